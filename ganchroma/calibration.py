"""The colour-calibrated initialiser: filters as near as can be to those given, whose images have the colours wanted."""

import warnings
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ganchroma._arrays import as_array
from ganchroma._gauss import before, covariance_before, positive, transport
from ganchroma.activation import activation_name
from ganchroma.color import NATURAL
from ganchroma.layer import OutputLayer
from ganchroma.moments import ColorMoments

__all__ = ["CalibrationError", "calibrate"]

Array = NDArray[np.float64]

ROUNDS = 12
CLOSE = 1e-3  # relative error of the covariance at which the loop ends: the images of a batch differ by more
# Standard deviation, over the largest that values in [-1, 1] with that mean can have: beyond it the activation would
# have to be driven so far into saturation that nothing is learned any more.
REACHABLE = 0.90
ROOM = 0.95  # of a limit: what the correction on real, not Gaussian, values needs
END = 0.98  # farthest mean, in half ranges: beyond it next to nothing is left to vary
LEAST = 1e-3  # smallest standard deviation, in half ranges: an eighth of an 8-bit level; filters can't make none
RELU_MEAN = 0.25  # smallest mean after relu, in standard deviations, that filters are asked for
OFF = 0.015  # relative error from which on a warning says so
FAR = 0.05  # relative error at which the colours are others than those asked for
LOUD = 1.8  # standard deviation before tanh (or sigmoid, halved) from which on gradients are small
FLAT = 1e-6  # smallest eigenvalue of the covariance before the activation, over the largest, that can be stretched


class CalibrationError(ValueError):
    """The colours asked for can't be made.

    Attributes
    ----------
    nearest : ColorMoments
        The nearest that can.
    """

    def __init__(self, message: str, nearest: ColorMoments) -> None:
        super().__init__(message)
        self.nearest = nearest


def calibrate(
    layer: OutputLayer,
    features: Any,
    *,
    target: ColorMoments = NATURAL,
    bias: bool = True,
    threads: int | None = None,
) -> OutputLayer:
    """A copy of `layer` whose images of `features` have the mean and covariance of `target`.

    The three filters are mixed by the 3x3 matrix that changes them least, ``W <- A W``, and shifted by a bias. What
    must come before the activation is found for a Gaussian and then corrected on the images really made, until they
    are right.

    Parameters
    ----------
    layer : OutputLayer
        With three filters.
    features : array (N, C, h, w)
        Its input: for +-2 % of the covariance on other images 2 images suffice for a DCGAN, 16 for a 7x7 head, 64 for a
        wide 3x3 one.
    target : ColorMoments
        Within-image moments to reach, in any range: of natural images by default, or ``ChromaStats.summary().within``
        of a data set.
    bias : bool
        Whether the layer may have a bias: with False it keeps none, or the one it has, and a warning says which mean
        that makes.
    threads : int, optional

    Returns
    -------
    OutputLayer
        Independent filters come out with cosines of .77 to .97: natural colour needs similar filters.

    Raises
    ------
    TypeError
        If `layer` is no OutputLayer or `target` no ColorMoments.
    CalibrationError
        A ValueError: the target is beyond the activation, or the features have too few directions for it; its `nearest`
        is what can be reached.

    Warns
    -----
    UserWarning
        If values before the activation get so large that little is learned, the colours stay some percent off, or a
        mean is out of reach without a bias.

    Notes
    -----
    A = C^(-1/2) (C^(1/2) U C^(1/2))^(1/2) C^(-1/2) maps covariance C to U and is the optimal transport between them:
    of all such maps it moves values least.

    Examples
    --------
    >>> import ganchroma as gch
    >>> G = gch.demo.Generator(rng=0)
    >>> features = G.features(G.sample_latent(16, rng=1))
    >>> G.head.moments(features).correlation.round(2)
    array([-0.03, -0.19, -0.04])
    >>> gch.calibrate(G.head, features).moments(features).correlation.round(2)
    array([0.91, 0.79, 0.91])
    """
    if not isinstance(layer, OutputLayer):
        raise TypeError(f"layer must be an OutputLayer, got {type(layer).__name__}")
    if not isinstance(target, ColorMoments):
        raise TypeError(f"target must be a ColorMoments, got {type(target).__name__}")
    if not isinstance(bias, bool | np.bool_):
        raise TypeError(f"bias must be True or False, got {bias!r}")
    if not (np.isfinite(target.mean).all() and np.isfinite(target.covariance).all()):
        raise ValueError("target holds NaN: its mean and covariance must be known")
    if as_array(features, "features").size == 0:
        raise ValueError(f"features is empty: shape {np.shape(features)}; it must hold an image of at least one pixel")
    wanted = target.to(layer.value_range)
    start = _Start(layer, features, threads)
    within = _within_reach(layer, wanted)
    start.check_rank(within)
    best = start.closed_loop(within, bias)
    if within is wanted and best.miss <= FAR:
        _warn(best, wanted, bias)
        return best.layer
    nearest = within if best.miss <= FAR else best.measured
    raise CalibrationError(
        f"target has {_described(wanted)}, which {activation_name(layer.activation)} does not reach from these "
        f"features; the nearest found has {_described(nearest)}: pass the error's .nearest as target",
        nearest,
    )


class _Made(NamedTuple):
    """A layer, the moments of its images, how far they are from those wanted, how loud it is before the activation."""

    layer: OutputLayer
    measured: ColorMoments
    miss: float = np.inf
    loudest: float = 0.0


class _Start:
    """The layer as it was given, and its linear output: what every round starts from."""

    def __init__(self, layer: OutputLayer, features: Any, threads: int | None) -> None:
        self.layer, self.features, self.threads = layer, features, threads
        moments = layer.moments(features, linear=True, threads=threads)
        if moments.count == 0:
            parts = [part for part in (layer.weight, layer.bias, layer.channel_scale) if part is not None]
            whose = "features" if all(np.isfinite(part).all() for part in parts) else "layer"
            raise ValueError(f"{whose} must be finite: with its NaN or infinite values no pixel is left to measure")
        self.bias = np.zeros(3) if layer.bias is None else layer.bias.astype(np.float64)
        self.mean = moments.mean - self.bias  # of what the filters alone make
        self.covariance = moments.covariance

    def check_rank(self, wanted: ColorMoments) -> None:
        values = np.linalg.eigvalsh(self.covariance)
        rank = int(np.sum(values > FLAT * max(values[-1], 0.0)))
        needed = np.linalg.eigvalsh(wanted.covariance)
        directions = int(np.sum(needed > FLAT * needed[-1]))
        if rank >= directions:
            return
        filters = self.layer.filters.reshape(3, -1).astype(np.float64)
        own = np.linalg.svd(filters, compute_uv=False)
        if int(np.sum(own**2 > FLAT * max(own[0] ** 2, 0.0))) <= rank:
            cause = "the filters are alike: draw independent ones first (gch.init)"
        else:
            cause = "the features collapsed: use richer ones (a wider layer before the head)"
        parts, axes = np.linalg.eigh(wanted.covariance)
        parts[: 3 - rank] = 0
        nearest = ColorMoments(0, wanted.mean, (axes * parts) @ axes.T, wanted.value_range)
        reach = f"the nearest that can be reached: std {_text(nearest.std)} with the correlations "
        raise CalibrationError(
            f"the layer makes colours along {rank} direction(s) only, and target has {directions}; {cause}"
            + (f", or {reach}{_text(nearest.correlation)}" if rank else ""),
            nearest,
        )

    def closed_loop(self, wanted: ColorMoments, bias: bool) -> _Made:
        """The best of some rounds, each of which corrects the aim by what the best so far missed: by all of it, or by
        less where that led farther away or beyond what the activation reaches."""
        best = _Made(self.layer, self.layer.moments(self.features, threads=self.threads))
        aim = mean, covariance = wanted.mean, wanted.covariance
        step = 1.0
        for _ in range(ROUNDS):
            try:
                layer, deviation = self.aimed(mean, covariance, bias)
                measured = layer.moments(self.features, threads=self.threads)
                miss = _miss(measured, wanted, bias)
            except ValueError:
                miss = np.inf
            if miss < best.miss:
                best, aim, step = _Made(layer, measured, miss, deviation), (mean, covariance), min(1.0, 2 * step)
            else:
                step /= 2
            if best.miss < CLOSE or np.isinf(best.miss):
                break
            mean = aim[0] + (step * (wanted.mean - best.measured.mean) if bias else 0.0)
            covariance = positive(aim[1] + step * (wanted.covariance - best.measured.covariance))
        return best

    def aimed(self, mean: Array, covariance: Array, bias: bool) -> tuple[OutputLayer, float]:
        """The layer that would be right for Gaussian values, and their largest deviation before the activation."""
        if bias:
            center, spread = before(mean, covariance, self.layer.activation)
            mixing = transport(self.covariance, spread)
            offset: Array | None = center - mixing @ self.mean
        else:
            mixing, offset = np.eye(3), None if self.layer.bias is None else self.bias
            for _ in range(ROUNDS):  # the mean follows from the mixing, and the spread from the mean
                center = mixing @ self.mean + self.bias
                spread = covariance_before(center, covariance, self.layer.activation)
                mixing = transport(self.covariance, spread)
        filters = np.einsum("ij,jchw->ichw", mixing, self.layer.filters.astype(np.float64))
        weight = filters.swapaxes(0, 1) if self.layer.transposed else filters
        dtype = self.layer.weight.dtype
        made = self.layer.replace(
            weight=np.ascontiguousarray(weight, dtype), bias=None if offset is None else offset.astype(dtype)
        )
        return made, float(np.sqrt(np.diag(spread)).max())


def _miss(measured: ColorMoments, wanted: ColorMoments, bias: bool) -> float:
    """Relative error of the covariance, or of the mean in standard deviations, whichever is larger."""
    miss = float(np.linalg.norm(measured.covariance - wanted.covariance) / np.linalg.norm(wanted.covariance))
    return max(miss, float(np.abs(measured.mean - wanted.mean).max() / np.mean(wanted.std))) if bias else miss


def _within_reach(layer: OutputLayer, wanted: ColorMoments) -> ColorMoments:
    """The moments wanted, or the nearest that values of the activation can have at all."""
    name, (low, high) = activation_name(layer.activation), layer.value_range
    half = (high - low) / 2
    mean = wanted.mean
    std = np.where(wanted.std >= LEAST * half, wanted.std, LEAST * half / ROOM)
    if name in ("tanh", "sigmoid", "clamp"):  # values in a range can't vary beyond what their mean leaves them
        center = (mean - (low + high) / 2) / half
        center = np.where(np.abs(center) <= END, center, np.sign(center) * ROOM * END)
        most = REACHABLE * half * np.sqrt(1 - center**2)
        mean = np.where(np.abs(mean - (low + high) / 2) <= END * half, mean, (low + high) / 2 + center * half)
        std = np.where(std <= most, std, ROOM * most)
    elif name == "relu":
        mean = np.where(mean >= RELU_MEAN * std, mean, RELU_MEAN * std / ROOM)
    if (mean == wanted.mean).all() and (std == wanted.std).all():
        return wanted
    correlation = np.eye(3)
    correlation[np.triu_indices(3, 1)] = np.nan_to_num(wanted.correlation)
    correlation = np.triu(correlation) + np.triu(correlation, 1).T
    return ColorMoments(0, mean, correlation * np.outer(std, std), wanted.value_range)


def _warn(made: _Made, wanted: ColorMoments, bias: bool) -> None:
    name = activation_name(made.layer.activation)
    unit = {"tanh": 1.0, "sigmoid": 2.0}.get(name)
    if unit is not None and made.loudest > LOUD * unit:
        warnings.warn(
            f"the values before {name} have a std of {made.loudest:.2f}: much of the image is near the ends of the "
            "range, where gradients are small",
            stacklevel=3,
        )
    if made.miss > OFF:
        warnings.warn(f"the colours came within {100 * made.miss:.1f} % of the target, not closer", stacklevel=3)
    mean = made.measured.mean
    if not bias and np.abs(mean - wanted.mean).max() > 0.05 * np.mean(wanted.std):
        warnings.warn(
            f"without a bias of its own the layer makes the mean {_text(mean)}, not {_text(wanted.mean)}", stacklevel=3
        )


def _described(moments: ColorMoments) -> str:
    low, high = moments.value_range
    return (
        f"mean {_text(moments.mean)}, std {_text(moments.std)} and correlations {_text(moments.correlation)} "
        f"on [{low:g}, {high:g}]"
    )


def _text(values: Array) -> str:
    return "(" + ", ".join(f"{value:.3g}" for value in values) + ")"
