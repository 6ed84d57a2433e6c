"""Mean and covariance of what each output pixel of a layer sees: all that is needed to know the colours it makes."""

import math
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganchroma._arrays import as_array, check_number
from ganchroma._geometry import Geometry
from ganchroma._patches import Axis, Phase, padded, phases
from ganchroma.layer import OutputLayer

__all__ = ["FeatureMoments", "LinearColor", "check_features", "same_scale"]

Array = NDArray[np.float64]

MOST_NUMBERS = 2**22  # of one chunk's input (32 MB): more images than fit are taken one chunk after the other


@dataclass(frozen=True)
class _Sums:
    """Sums over the output pixels of one phase, of x, what a pixel sees, and of q = |x|^2."""

    pixels: float
    x: Array  # (D,)
    xx: Array  # (D, D)
    q: float
    qq: float
    qx: Array  # (D,)

    def __add__(self, other: "_Sums") -> "_Sums":
        return _Sums(*(getattr(self, part.name) + getattr(other, part.name) for part in fields(self)))

    @property
    def participation_ratio(self) -> float:
        """NaN where nothing varies; so is `tail`."""
        covariance = self.xx / self.pixels - np.outer(self.x, self.x) / self.pixels**2
        squares = float(np.sum(covariance**2))
        return float(np.trace(covariance)) ** 2 / squares if squares > 0 else float("nan")

    @property
    def tail(self) -> float:
        n, mean = self.pixels, self.x / self.pixels
        square = float(mean @ mean)
        second = self.q / n - square
        if second <= 1e-12 * self.q / n:
            return float("nan")
        shifted = 4 * float(mean @ self.xx @ mean) - 4 * float(mean @ self.qx) + 2 * square * self.q
        fourth = (self.qq + shifted) / n - 3 * square**2
        gaussian = 1 + 2 / self.participation_ratio
        return max(0.0, fourth / second**2 / gaussian - 1)


@dataclass(frozen=True)
class LinearColor:
    """Colour before the activation, of one filter set or of many: leading axes are theirs.

    Attributes
    ----------
    mean : (..., 3) array
    total, within, between : (..., 3, 3) arrays
        Covariances as in `ChromaSummary`: about the mean of all pixels, about each image's own, of the images' means.
    """

    mean: Array
    total: Array
    within: Array
    between: Array

    @property
    def achromatic_share(self) -> Array:
        """Of the within-image covariance: (...)."""
        gray = self.within.sum(axis=(-2, -1)) / 3
        return np.asarray(gray / np.trace(self.within, axis1=-2, axis2=-1))


@dataclass(frozen=True, eq=False, repr=False)
class FeatureMoments:
    """Moments of the receptive fields of a layer over all output pixels, border included, of all images.

    Made by `from_features`; two of the same layer and channels can be added, so that batches of any size make one.
    Sums are kept in double and not about a mean: of features whose mean is m standard deviations, covariances lose m^2
    roundings.

    Attributes
    ----------
    geometry : Geometry
        Of the layer.
    channels, images : int
    pixels : float
        Output pixels of all images.
    channel_scale : array (C,) or (images, C), or None
        Of the layer; where each image has its own, those of all images.

    Examples
    --------
    >>> import ganchroma as gch
    >>> G = gch.demo.Generator(rng=0)
    >>> moments = gch.FeatureMoments.from_features(G.features(G.sample_latent(8, rng=1)), G.head)
    >>> moments
    FeatureMoments(8 images, 64 channels, 4 phases of 256 values, participation ratio 57.7)
    >>> more = moments + gch.FeatureMoments.from_features(G.features(G.sample_latent(8, rng=2)), G.head)
    >>> more.images
    16
    """

    geometry: Geometry
    channels: int
    images: int
    parts: list[Phase]
    sums: list[_Sums]
    # F of F^T F = the sum over images of pixels * u u^T, u the mean of what an image's pixels see, all phases one after
    # the other. At first a row for each image, never more than there are columns.
    factor: Array
    whole: Array | None  # (1, C, h, w), the features summed over images; None if their sizes differ
    channel_scale: NDArray[Any] | None = None  # None for what was pickled before there was this field, too

    @classmethod
    def from_features(cls, x: Any, layer: OutputLayer) -> "FeatureMoments":
        """Measure features.

        Parameters
        ----------
        x : array (N, C, h, w) of float16, float32 or float64
            The layer's input.
        layer : OutputLayer
            Its kernel, stride, padding and so on, and its `channel_scale`, are used; its filters are not.

        Raises
        ------
        TypeError, ValueError
            If `x` is no input of this layer, is empty, or holds values that are not finite or whose fourth powers
            float64 does not hold.
        """
        features = check_features(x, layer)
        geometry = layer.geometry
        scale = layer.channel_scale
        parts = phases(geometry, (features.shape[2], features.shape[3]))
        chunk = max(1, MOST_NUMBERS // features[0].size)
        total: FeatureMoments | None = None
        for start in range(0, len(features), chunk):
            some = features[start : start + chunk]
            own_scale = scale[start : start + chunk] if scale is not None and scale.ndim == 2 else scale
            if own_scale is not None:
                if some.dtype.itemsize == 2:
                    some = some.astype(np.float32)  # as the layer computes
                some = some * own_scale[..., np.newaxis, np.newaxis]
            whole, origin = padded(some, geometry, parts)
            with np.errstate(over="ignore", invalid="ignore"):  # told below
                measured = [_measure(whole, origin, part) for part in parts]
            outputs = sum(part.outputs for part in parts)
            seen = np.concatenate([own / outputs for _, own in measured], axis=1)  # (n, all D)
            one = cls(
                geometry,
                features.shape[1],
                len(some),
                parts,
                [sums for sums, _ in measured],
                _compressed(math.sqrt(outputs) * seen),
                some.sum(axis=0, keepdims=True, dtype=np.float64),
                own_scale,
            )
            total = one if total is None else total + one
        assert total is not None
        if any(part.q and not 0 < part.qq < math.inf for part in total.sums):
            raise ValueError(f"x reaches {np.abs(features).max():.4g}, its fourth powers are beyond float64: scale x")
        return total

    def __add__(self, other: "FeatureMoments") -> "FeatureMoments":
        if not isinstance(other, FeatureMoments):
            return NotImplemented
        if (self.geometry, self.channels) != (other.geometry, other.channels):
            raise ValueError(
                f"moments of different layers can't be added: {self.geometry} of {self.channels} channels and "
                f"{other.geometry} of {other.channels}"
            )
        if [part.seen for part in self.parts] != [part.seen for part in other.parts]:
            raise ValueError(
                "moments of features so small that they do not meet the whole layer can't be added to others"
            )
        scale, others = self.channel_scale, other.channel_scale
        if scale is not None and others is not None and scale.ndim == others.ndim == 2:
            scale = np.concatenate([scale, others])  # each image has its own
        elif not same_scale(scale, others):
            raise ValueError(
                "moments measured with different channel_scale can't be added: make both with from_features(x, layer) "
                "of one layer"
            )
        return FeatureMoments(
            self.geometry,
            self.channels,
            self.images + other.images,
            self.parts,
            [mine + theirs for mine, theirs in zip(self.sums, other.sums, strict=True)],
            _compressed(np.concatenate([self.factor, other.factor])),
            _added(self.whole, other.whole),
            scale,
        )

    @property
    def pixels(self) -> float:
        """Output pixels of all images."""
        return sum(part.pixels for part in self.sums)

    @property
    def energy(self) -> float:
        """Mean square of what pixels see, the zeros of the padding included; NaN where they see nothing."""
        values = sum(part.pixels * len(part.x) for part in self.sums)
        return sum(part.q for part in self.sums) / values if values else float("nan")

    @property
    def mean_share(self) -> float:
        """Share of the energy that the values' means carry."""
        carried = sum(part.pixels * float(np.sum((part.x / part.pixels) ** 2)) for part in self.sums)
        whole = sum(part.q for part in self.sums)
        return carried / whole if whole > 0 else float("nan")

    @property
    def participation_ratio(self) -> float:
        """(sum l)^2 / sum l^2 of the covariance's eigenvalues, the phases' average: how many directions vary."""
        return self._average([part.participation_ratio for part in self.sums])

    @property
    def tail(self) -> float:
        """How much the scale of what a pixel sees varies, beyond a Gaussian: the squared coefficient of variation of s,
        x - mean being sqrt(s) times Gaussian values, the phases' average; 0 if nothing varies.

        Filters drawn independently make from it values with an excess kurtosis of three times as much.
        """
        return float(np.nan_to_num(self._average([part.tail for part in self.sums])))

    @property
    def tails(self) -> list[float]:
        """`tail` of each phase, in the order of `phase_colors`: by how much their scales differ is no part of it."""
        return [float(np.nan_to_num(part.tail)) for part in self.sums]

    def _average(self, values: list[float]) -> float:
        """Over the pixels of the phases in which something varies."""
        known = np.isfinite(values)
        weights = np.array([part.pixels for part in self.sums])[known]
        return float(np.average(np.array(values)[known], weights=weights)) if known.any() else float("nan")

    def linear(self, filters: Any, bias: Any = None, output_scale: float = 1.0) -> LinearColor:
        """The colour that filters make of these features, exactly: mean W mu + b, covariance W S W^T.

        Parameters
        ----------
        filters : array (..., 3, C, kh, kw)
            One set or many.
        bias : array (3,), optional
        output_scale : float

        Raises
        ------
        TypeError, ValueError
            If the filters are not of this layer, or another argument has the wrong type or shape.
        """
        filters = self._fitting(filters, output_scale)
        weights = [part.weights(filters) for part in self.parts]  # (..., 3, D)
        pixels = self.pixels
        pairs = list(zip(self.sums, weights, strict=True))
        shares = np.array([sums.pixels / pixels for sums in self.sums])
        centers = np.stack([weight @ (sums.x / sums.pixels) for sums, weight in pairs])  # (phases, ..., 3)
        mean = np.tensordot(shares, centers, axes=1)
        second = np.sum([_sandwich(weight, sums.xx) for sums, weight in pairs], axis=0) / pixels
        of_each = np.concatenate(weights, axis=-1) @ self.factor.T
        of_images = of_each @ np.swapaxes(of_each, -1, -2) / pixels
        about = _outer(mean)
        offset = np.zeros(3) if bias is None else as_array(bias, "bias")
        if offset.shape != (3,):
            raise ValueError(f"bias must have shape (3,), got {offset.shape}")
        return LinearColor(mean + offset, second - about, second - of_images, of_images - about)

    def fixed(self, filters: Any, output_scale: float = 1.0) -> Array | None:
        """Covariance over positions of what all images share, (..., 3, 3); None for one image or several sizes.

        The layer of the mean features is the mean image; what chance leaves there is taken away.
        """
        filters = self._fitting(filters, output_scale)
        if self.whole is None or self.images < 2:
            return None
        mean_features, origin = padded(self.whole / self.images, self.geometry, self.parts)
        shared = [_sandwich(part.weights(filters), _measure(mean_features, origin, part)[0].xx) for part in self.parts]
        color = self.linear(filters)
        pattern = np.sum(shared, axis=0) / sum(part.outputs for part in self.parts) - _outer(color.mean)
        return np.asarray(pattern - (color.within - pattern) / (self.images - 1))

    def phase_colors(self, filters: Any, output_scale: float = 1.0) -> list[tuple[float, Array, Array]]:
        """(share of the pixels, mean, covariance) of each phase before the activation, of one filter set."""
        found, filters = [], self._fitting(filters, output_scale)
        if filters.ndim != 4:
            raise ValueError(f"filters must be one set, (3, {self.channels}, kh, kw), got shape {filters.shape}")
        for part, sums in zip(self.parts, self.sums, strict=True):
            weight = part.weights(filters)
            mean = weight @ sums.x / sums.pixels
            found.append((sums.pixels / self.pixels, mean, _sandwich(weight, sums.xx) / sums.pixels - _outer(mean)))
        return found

    def _fitting(self, filters: Any, output_scale: float = 1.0) -> Array:
        """Filters of this layer as they stand in its sums: double, times the scale."""
        scale, array = check_number(output_scale, "output_scale"), as_array(filters, "filters")
        wanted = (3, self.channels, *self.geometry.kernel)
        if array.shape[-4:] != wanted:
            raise ValueError(f"filters must be (..., {', '.join(map(str, wanted))}), got shape {array.shape}")
        return np.asarray(array, np.float64) * scale

    def __repr__(self) -> str:
        sizes = sorted({len(part.x) for part in self.sums})
        return (
            f"FeatureMoments({self.images} images, {self.channels} channels, {len(self.parts)} "
            f"{'phase' if len(self.parts) == 1 else 'phases'} of {' or '.join(map(str, sizes))} values, "
            f"participation ratio {self.participation_ratio:.1f})"
        )


def check_features(x: Any, layer: OutputLayer, name: str = "x") -> NDArray[Any]:
    """`x` as a layer's input that can be measured; `name` is the argument's in messages."""
    if not isinstance(layer, OutputLayer):
        raise TypeError(f"layer must be an OutputLayer, got {type(layer).__name__}")
    features = as_array(x, name, ndim=4)
    if features.shape[1] != layer.in_channels or 0 in features.shape:
        raise ValueError(f"{name} must be (N, {layer.in_channels}, h, w) for this layer, got shape {features.shape}")
    if not np.isfinite(features).all():
        raise ValueError(f"{name} holds NaN or infinite values: their moments are not defined")
    scale = layer.channel_scale
    if scale is not None and scale.ndim == 2 and len(scale) != len(features):
        raise ValueError(f"channel_scale has {len(scale)} rows; {name} has {len(features)} images")
    return features


def same_scale(first: NDArray[Any] | None, second: NDArray[Any] | None) -> bool:
    """Whether two layers' `channel_scale` is one, but for the rounding to the coarser of their dtypes."""
    if first is None or second is None:
        return first is second
    rounding = max(float(np.finfo(scale.dtype).eps) for scale in (first, second))
    return first.shape == second.shape and np.allclose(first, second, rtol=rounding, atol=0)


def _added(first: Array | None, second: Array | None) -> Array | None:
    return None if first is None or second is None or first.shape != second.shape else first + second


def _compressed(factor: Array) -> Array:
    """The same F^T F of no more rows than columns."""
    return factor if len(factor) <= factor.shape[1] else np.asarray(np.linalg.qr(factor, mode="r"))


def _outer(vectors: Array) -> Array:
    return np.asarray(vectors[..., :, np.newaxis] * vectors[..., np.newaxis, :])


def _sandwich(weight: Array, matrix: Array) -> Array:
    """W M W^T for (..., 3, D) weights: one product of all of them with M."""
    flat = (weight.reshape(math.prod(weight.shape[:-1]), weight.shape[-1]) @ matrix).reshape(weight.shape)
    return np.asarray(flat @ np.swapaxes(weight, -1, -2))


def _measure(whole: Array, origin: tuple[int, int], part: Phase) -> tuple[_Sums, Array]:
    """Sums of a phase, and (n, D), what each image's pixels see, summed. `whole` is (n, H, W, C), padded.

    Of two rows of the input only one product is ever made, however many taps meet them; rows come and go.
    """
    rows, columns = part.rows, part.columns
    taps, width = len(rows.taps), len(columns.taps) * whole.shape[3]
    images, pixels = len(whole), len(whole) * columns.count
    xx, x, qx = np.zeros((taps, width, taps, width)), np.zeros((images, taps, width)), np.zeros((taps, width))
    q = qq = 0.0
    seen: dict[int, Array] = {}
    squares: dict[int, Array] = {}
    products: dict[tuple[int, int], Array] = {}
    for output in range(rows.count if taps and width else 0):
        places = [origin[0] + offset + rows.step * output for offset in rows.offsets]
        for place in set(places) - seen.keys():
            seen[place] = _row(whole, origin[1], place, columns)
            squares[place] = np.square(seen[place]).sum(axis=1)
        energy = np.sum([squares[place] for place in places], axis=0)
        q, qq = q + float(energy.sum()), qq + float(energy @ energy)
        for tap, place in enumerate(places):
            x[:, tap] += seen[place].reshape(images, columns.count, width).sum(axis=1)
            qx[tap] += energy @ seen[place]
            for other in range(tap, taps):
                pair = place, places[other]
                if pair not in products:
                    products[pair] = seen[pair[0]].T @ seen[pair[1]]
                xx[tap, :, other] += products[pair]
        last = min(places) + min(rows.step, 1)
        for place in [place for place in seen if place < last]:
            del seen[place], squares[place]
        for pair in [pair for pair in products if min(pair) < last]:
            del products[pair]
    for tap in range(taps):
        for other in range(tap):
            xx[tap, :, other] = xx[other, :, tap].T
    size = taps * width
    sums = _Sums(
        float(pixels * rows.count), x.sum(axis=0).reshape(size), xx.reshape(size, size), q, qq, qx.reshape(size)
    )
    return sums, x.reshape(images, size)


def _row(whole: Array, origin: int, place: int, columns: Axis) -> Array:
    """(n * outputs, taps * C): what the outputs of one row see of one input row."""
    taken = [
        whole[:, place, origin + offset : origin + offset + columns.step * (columns.count - 1) + 1 : columns.step]
        for offset in columns.offsets
    ]
    return np.concatenate(taken, axis=2).reshape(-1, len(taken) * whole.shape[3])
