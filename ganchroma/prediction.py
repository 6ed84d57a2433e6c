"""The colour a layer will make, from its filters and the moments of its input, at every stage; no image is made."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganchroma import _gauss
from ganchroma._arrays import as_array, check_flag, check_number
from ganchroma._geometry import IntPair, check_pair
from ganchroma._initialize import check_shape
from ganchroma._patches import padded, phases, receptive_fields
from ganchroma.activation import activate
from ganchroma.color import NATURAL, quantize
from ganchroma.feature_moments import FeatureMoments, LinearColor, check_features, same_scale
from ganchroma.init import calculate_gain, fan_in_and_fan_out
from ganchroma.layer import OutputLayer
from ganchroma.stages import Display, Stage, Trace
from ganchroma.stats import ChromaStats, ColorMoments

__all__ = ["Expectation", "expect", "predict", "predict_many"]

Array = NDArray[np.float64]

SAMPLES = 16_000  # receptive fields that are pushed through the activation, of at most so many images:
SAMPLED_IMAGES = 64
HEAVY_TAIL = 1.0  # excess kurtosis from which on a remark warns: an untrained DCGAN's features have .6
MEANS_DIFFER = 0.3  # share of the variance between images from which on a remark warns; a generator's has .01-.1
_CHUNK = 256  # filter sets in double at a time
_STREAM = 0  # of the positions that are sampled: the same call gives the same answer


def predict(layer: OutputLayer, feature_moments: FeatureMoments, features: Any = None) -> Trace:
    """Colour at every stage of a layer that is never run.

    Parameters
    ----------
    layer : OutputLayer
        With three filters, of the geometry and channel_scale that the moments were measured for.
    feature_moments : FeatureMoments
    features : array (N, C, h, w), optional
        Input of the layer: with it the activation sees sampled receptive fields, without it a Gaussian law whose scale
        varies as the moments say.

    Returns
    -------
    Trace
        Stages "features", "linear", "activation", "display", "reference", as `diagnose` measures them. "linear" is
        exact for the images that the moments come from; `details` say how the others were found and how heavy the tails
        are: ``{"method", "excess_kurtosis"}``.

    Raises
    ------
    TypeError, ValueError
        If the moments are of another geometry, number of channels or channel_scale, or `features` do not fit.

    Notes
    -----
    On other images of the same generator the covariance is .2 to 3 % off before the activation, which is the sampling
    error of 64 images, as much after it with features, up to 8 % from moments alone; the achromatic share by less than
    .015. Of a transposed layer each phase counts by its own moments, but what images differ by in their means counts as
    the same in all phases: if those see very unequal parts of the kernel, as with stride 2 and dilation 2, moments
    alone are 9 % off where 3 % of the variance lies between the images, and more beyond.

    Examples
    --------
    >>> import ganchroma as gch
    >>> G = gch.demo.Generator(rng=0)
    >>> features = G.features(G.sample_latent(16, rng=1))
    >>> trace = gch.predict(G.head, gch.FeatureMoments.from_features(features, G.head))
    >>> trace["linear"].moments.correlation.round(2)
    array([-0.03, -0.19, -0.04])
    >>> G.head.moments(features, linear=True).correlation.round(2)
    array([-0.03, -0.19, -0.04])
    """
    _check(layer, feature_moments)
    linear = _linear("layer gives", feature_moments, layer.filters, layer.bias, layer.output_scale)
    if features is None:
        drawn, method = _drawn(layer, feature_moments, linear), "scale mixture"
    else:
        drawn, method = _sampled(layer, features, linear), "sampled receptive fields"
    made = activate(drawn, layer.activation)  # (images, 3, samples of each)
    count = int(feature_moments.pixels)
    low, high = layer.value_range
    before = ColorMoments(count, linear.mean, _gauss.positive(linear.within), layer.value_range)
    if features is None:
        mean, within = _mixture(layer, feature_moments, linear)
    else:
        mean, within = made.mean(axis=(0, 2)), _within(made)
    after = ColorMoments(count, mean, _gauss.positive(within), layer.value_range)
    details: dict[str, Any] = {"method": method, "excess_kurtosis": 3 * feature_moments.tail}
    if details["excess_kurtosis"] > HEAVY_TAIL and features is None:
        details["remark"] = (
            f"the features' tails are heavy (excess kurtosis {details['excess_kurtosis']:.1f}): after the activation "
            "the covariance may be several percent off; with features= it is closer"
        )
    elif features is None and np.trace(linear.between) > MEANS_DIFFER * np.trace(linear.total):
        details["remark"] = (
            f"{100 * np.trace(linear.between) / np.trace(linear.total):.0f} % of the variance lies in what the images "
            f"differ by in their means, and {feature_moments.images} images know that roughly; with features= the "
            "covariance after the activation is closer"
        )
    details["near_end_share"] = float(np.mean((made < low + 0.01 * (high - low)) | (made > high - 0.01 * (high - low))))
    shown = ChromaStats(value_range=layer.value_range)
    side = math.isqrt(made.shape[2])
    pictures = np.ascontiguousarray(made[:, :, : side * side].reshape(len(made), 3, side, side))
    shown.update(pictures)
    screen = np.moveaxis(quantize(pictures[:16], value_range=layer.value_range), 1, -1)
    display = Display(shown.summary(), screen, shown.summary().near_end_share)
    seen = {
        "channels": feature_moments.channels,
        "energy": feature_moments.energy,
        "mean_share": feature_moments.mean_share,
        "participation_ratio": feature_moments.participation_ratio,
        "nonfinite_share": 0.0,
    }
    stages = [
        Stage("features", details=seen),
        Stage("linear", before, _split(layer, feature_moments, linear)),
        Stage("activation", after, details),
        Stage("display", display.summary.within),
        Stage("reference", NATURAL, {"source": "natural images"}),
    ]
    return Trace(stages, display)


def predict_many(weights: Any, feature_moments: FeatureMoments, *, transposed: bool = False) -> LinearColor:
    """Colour before the activation of many filter sets at once: thousands of seeds and initialisers in one product.

    Parameters
    ----------
    weights : array (B, 3, C, kh, kw), or transposed (B, C, 3, kh, kw)
    feature_moments : FeatureMoments
        Of a layer with this kernel.
    transposed : bool
        Whether the weights are a transposed convolution's.

    Returns
    -------
    LinearColor
        `mean` (B, 3), `within`, `between` and `total` (B, 3, 3), `achromatic_share` (B,).

    Raises
    ------
    TypeError, ValueError
        If the weights are not of the moments' layer, not finite, or so large that what they give overflows.

    Examples
    --------
    >>> import ganchroma as gch
    >>> G = gch.demo.Generator(rng=0)
    >>> moments = gch.FeatureMoments.from_features(G.features(G.sample_latent(16, rng=1)), G.head)
    >>> weights = np.stack([gch.init.normal((64, 3, 4, 4), std=0.02, rng=seed) for seed in range(100)])
    >>> share = gch.predict_many(weights, moments, transposed=True).achromatic_share
    >>> round(float(share.mean()), 2)  # 1/3 is what independent filters make
    0.33
    """
    _check_moments(feature_moments)
    check_flag(transposed, "transposed")
    filters = as_array(weights, "weights", ndim=5)
    filters = filters.swapaxes(1, 2) if transposed else filters
    geometry = feature_moments.geometry
    expected = (3, feature_moments.channels, *geometry.kernel)
    if filters.shape[1:] != expected or not len(filters):
        order = "(B, C, 3, kh, kw)" if transposed else "(B, 3, C, kh, kw)"
        raise ValueError(f"weights must be {order} with (3, C, kh, kw) = {expected}, got shape {np.shape(weights)}")
    if not np.isfinite(filters).all():
        raise ValueError("weights must be finite; they hold NaN or infinite values")
    chunks = (filters[start : start + _CHUNK] for start in range(0, len(filters), _CHUNK))
    parts = [_linear("weights give", feature_moments, chunk) for chunk in chunks]
    return LinearColor(
        *(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(LinearColor))
    )


# -- from theory alone -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Expectation:
    """What filters drawn from one law make, before the network exists.

    Attributes
    ----------
    initialiser : str
    weight_std : float
    std : float
        Expected standard deviation before the activation, for features of the stated energy.
    share : float
        Expected achromatic share: 1 / C.
    interval : (float, float)
        Its 5-95 % range over draws.
    """

    initialiser: str
    weight_std: float
    std: float
    share: float
    interval: tuple[float, float]

    def __str__(self) -> str:
        low, high = self.interval
        return (
            f"{self.initialiser:24s}{self.weight_std:12.4f}{self.std:10.3f}{self.share:10.3f}   {low:.2f} to {high:.2f}"
        )


class Expectations(tuple[Expectation, ...]):
    """A row for each initialiser; prints as a table."""

    def __str__(self) -> str:
        head = f"{'initialiser':24s}{'weight std':>12s}{'std':>10s}{'share':>10s}   5 to 95 %"
        return "\n".join([head, *map(str, self)])


def expect(
    shape: Sequence[int],
    *,
    participation_ratio: float,
    energy: float = 1.0,
    transposed: bool = False,
    stride: IntPair = 1,
) -> Expectations:
    """What each initialiser will make of features with this participation ratio and energy.

    Filters that are drawn independently of one another, from any law that is symmetric, have an expected achromatic
    share of exactly 1 / C: which law it is changes the scale alone. How far one draw is from that depends on how many
    directions the features have.

    Parameters
    ----------
    shape : (O, C, kh, kw), or transposed (C, O, kh, kw)
        Of the weight.
    participation_ratio : float
        Of the patches that a pixel sees, e.g. `FeatureMoments.participation_ratio`; at least 1.
    energy : float
        Variance of a feature.
    transposed : bool
    stride : int or (height, width)
        Of a transposed layer: each pixel sees one in height times width of the taps.

    Returns
    -------
    tuple of Expectation
        Prints as a table.

    Notes
    -----
    The share of independent Gaussian filters over features with n equally strong directions follows a Beta law with
    parameters n / 2 and (C - 1) n / 2; n is the participation ratio. Directions of unequal strength draw it in at the
    lowest ratios: at 1.1 the law says .005 to .88, where draws lie between .02 and .82. With a stride the pixels of
    different phases see different taps, which draws the shares of features of mean 0 in, to half the interval where
    stride is 2; the means of others spread them again.

    Examples
    --------
    >>> print(expect((3, 128, 3, 3), participation_ratio=30))
    initialiser               weight std       std     share   5 to 95 %
    normal(0, .02)                0.0200     0.679     0.333   0.22 to 0.45
    default                       0.0170     0.577     0.333   0.22 to 0.45
    xavier                        0.0412     1.398     0.333   0.22 to 0.45
    kaiming, relu                 0.0417     1.414     0.333   0.22 to 0.45
    """
    sizes = check_shape(shape)
    if len(sizes) != 4 or min(sizes) < 1:
        raise ValueError(f"shape must be (O, C, kh, kw), or transposed (C, O, kh, kw), got {shape!r}")
    check_flag(transposed, "transposed")
    down, across = check_pair(stride, "stride", 1)
    ratio = check_number(participation_ratio, "participation_ratio", low=1.0)
    strength = check_number(energy, "energy", low=0.0)
    given, colors = (sizes[0], sizes[1]) if transposed else (sizes[1], sizes[0])
    seen = given * sizes[2] * sizes[3] / (down * across if transposed else 1)
    interval = _share_interval(ratio, colors)
    return Expectations(
        Expectation(name, std, std * math.sqrt(seen * strength), 1 / colors, interval) for name, std in _laws(sizes)
    )


def _laws(shape: tuple[int, ...]) -> Iterator[tuple[str, float]]:
    fan_in, fan_out = fan_in_and_fan_out(shape)
    yield "normal(0, .02)", 0.02
    yield "default", 1 / math.sqrt(3 * fan_in)
    yield "xavier", math.sqrt(2 / (fan_in + fan_out))
    yield "kaiming, relu", calculate_gain("relu") / math.sqrt(fan_in)


def _share_interval(directions: float, colors: int) -> tuple[float, float]:
    """5 and 95 % points of Beta(n / 2, (C - 1) n / 2), by adding up its density."""
    if colors == 1:
        return 1.0, 1.0
    a, b = directions / 2, (colors - 1) * directions / 2
    # In t = logit(x) the density x^a (1 - x)^b is smooth and falls off fast, however small a and b are.
    t = np.linspace(-60, 60, 48_001)
    density = a * -np.logaddexp(0, -t) + b * -np.logaddexp(0, t)
    share = np.cumsum(np.exp(density - density.max()))
    low, high = np.interp([0.05, 0.95], share / share[-1], t)
    return float(1 / (1 + np.exp(-low))), float(1 / (1 + np.exp(-high)))


# -- after the activation --------------------------------------------------------------------------------------------


def _check(layer: Any, moments: Any) -> None:
    if not isinstance(layer, OutputLayer):
        raise TypeError(f"layer must be an OutputLayer, got {type(layer).__name__}")
    _check_moments(moments)
    if layer.out_channels != 3:
        raise ValueError(f"layer must have 3 filters (R, G, B), got {layer.out_channels}")
    for name in ("weight", "bias"):
        part = getattr(layer, name)
        if part is not None and not np.isfinite(part).all():
            raise ValueError(f"layer must be finite; its {name} holds NaN or infinite values")
    if (layer.geometry, layer.in_channels) != (moments.geometry, moments.channels):
        raise ValueError(
            f"feature_moments are of another layer: {moments.geometry} of {moments.channels} channels; make them with "
            "FeatureMoments.from_features(x, layer)"
        )
    if not same_scale(layer.channel_scale, moments.channel_scale):
        raise ValueError(
            "feature_moments were measured with another channel_scale than the layer's: make them with "
            "FeatureMoments.from_features(x, layer), or predict layer.replace(channel_scale="
            "feature_moments.channel_scale)"
        )


def _linear(who: str, moments: FeatureMoments, filters: Any, bias: Any = None, scale: float = 1.0) -> LinearColor:
    """The colour of finite filters, or an error that begins with `who`."""
    with np.errstate(over="ignore", invalid="ignore"):
        linear = moments.linear(filters, bias, scale)
    if not np.isfinite(linear.total).all():
        raise ValueError(f"{who} values whose squares overflow float64 (beyond about 1e150); scale the weights")
    return linear


def _check_moments(moments: Any) -> None:
    if not isinstance(moments, FeatureMoments):
        raise TypeError(f"feature_moments must be a FeatureMoments, got {type(moments).__name__}")


def _split(layer: OutputLayer, moments: FeatureMoments, linear: LinearColor) -> dict[str, Any]:
    """Between the images, all together, and what all images share, beside the covariance within them."""
    parts = {
        "between": linear.between,
        "total": linear.total,
        "fixed": moments.fixed(layer.filters, layer.output_scale),
    }
    return {name: None if value is None else value.tolist() for name, value in parts.items()}


def _within(values: Array) -> Array:
    """Within-image covariance of (images, 3, samples), for as many pixels as there may be."""
    about = values - values.mean(axis=2, keepdims=True)
    return np.asarray(np.einsum("nis,njs->ij", about, about) / (len(values) * (values.shape[2] - 1)))


def _matched(values: Array, linear: LinearColor) -> Array:
    """Samples moved onto the exact mean and within-image covariance: chance is left in the higher moments alone."""
    center = values.mean(axis=2, keepdims=True)
    mixing = _gauss.transport(_within(values), linear.within)
    shift = linear.mean[:, np.newaxis] - values.mean(axis=(0, 2))[:, np.newaxis]
    return np.asarray(np.einsum("ij,njs->nis", mixing, values - center) + center + shift)


def _sampled(layer: OutputLayer, features: Any, linear: LinearColor) -> Array:
    """(images, 3, samples) before the activation, of receptive fields at random places."""
    x = check_features(features, layer, "features")[:SAMPLED_IMAGES]
    scale = layer.channel_scale
    if scale is not None:
        x = x.astype(np.float64) * (scale[: len(x)] if scale.ndim == 2 else scale)[..., np.newaxis, np.newaxis]
    parts = phases(layer.geometry, (x.shape[2], x.shape[3]))
    whole, origin = padded(x, layer.geometry, parts)
    rng = np.random.default_rng(_STREAM)
    count = SAMPLES // len(x)
    choice = _spread_evenly((len(x), count), [part.outputs for part in parts])
    weights = [part.weights(layer.filters.astype(np.float64) * layer.output_scale) for part in parts]
    values = np.empty((len(x), count, 3))
    for image, plane in enumerate(whole):
        for number, (part, weight) in enumerate(zip(parts, weights, strict=True)):
            chosen = choice[image] == number
            places = (rng.integers(axis.count, size=chosen.sum()) for axis in (part.rows, part.columns))
            values[image, chosen] = receptive_fields(plane, origin, part, *places) @ weight.T
    return _matched(values.swapaxes(1, 2), linear)


def _drawn(layer: OutputLayer, moments: FeatureMoments, linear: LinearColor) -> Array:
    """(images, 3, samples) before the activation, of the Gaussian law with two scales that the moments describe."""
    rng = np.random.default_rng(_STREAM)
    count = SAMPLES // SAMPLED_IMAGES
    colors = moments.phase_colors(layer.filters, layer.output_scale)
    choice = _spread_evenly((SAMPLED_IMAGES, count), [share for share, _, _ in colors])
    spread = _gauss.root(linear.between)
    values = np.empty((SAMPLED_IMAGES, count, 3))
    for number, ((_, mean, covariance), tail) in enumerate(zip(colors, moments.tails, strict=True)):
        chosen = choice == number
        scale = np.sqrt(1 + _two_scales(tail) * rng.choice([-1.0, 1.0], (chosen.sum(), 1)))
        inside = _gauss.root(covariance - linear.between)
        values[chosen] = mean + scale * (rng.standard_normal((chosen.sum(), 3)) @ inside)
    values += (rng.standard_normal((SAMPLED_IMAGES, 3)) @ spread)[:, np.newaxis]
    return _matched(values.swapaxes(1, 2), linear)


def _spread_evenly(shape: tuple[int, int], weights: Sequence[float]) -> NDArray[np.intp]:
    """A phase for each sample, so that any stretch of samples holds each as often as its weight says: by chance, rare
    phases would be some percent off, and so would the covariance.

    The fractional parts of the golden ratio's multiples fill the unit interval most evenly.
    """
    at = np.arange(math.prod(shape)).reshape(shape) * ((math.sqrt(5) - 1) / 2) % 1
    return np.asarray(np.searchsorted(np.cumsum(weights)[:-1] / sum(weights), at, side="right"))


def _two_scales(tail: float) -> float:
    """d of the covariances C (1 - d) and C (1 + d) whose even mixture has this tail."""
    return min(math.sqrt(tail), 0.95)


def _mixture(layer: OutputLayer, moments: FeatureMoments, linear: LinearColor) -> tuple[Array, Array]:
    """Mean and within-image covariance after the activation, by quadrature over phases and the two scales."""
    offset = 0.0 if layer.bias is None else layer.bias.astype(np.float64)
    mean, second, parts = np.zeros(3), np.zeros((3, 3)), []
    colors = moments.phase_colors(layer.filters, layer.output_scale)
    for (share, center, covariance), tail in zip(colors, moments.tails, strict=True):
        for factor in (1 - _two_scales(tail), 1 + _two_scales(tail)):
            whole = linear.between + factor * (covariance - linear.between)  # images differ by a mean, and inside
            made, about = _gauss.after(center + offset, whole, layer.activation)
            mean += share / 2 * made
            second += share / 2 * (about + np.outer(made, made))
            parts.append((share / 2, center + offset, np.diag(whole)))
    within = second - np.outer(mean, mean) - _gauss.shared_after(parts, linear.between, layer.activation)
    return mean, _gauss.positive(within)
