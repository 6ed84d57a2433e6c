"""The colour-calibrated initialiser: filters as near as can be to those given, whose images have the colours wanted."""

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganchroma._gauss import before, covariance_before, positive, transport
from ganchroma.activation import activation_name
from ganchroma.color import NATURAL
from ganchroma.layer import OutputLayer
from ganchroma.moments import ColorMoments

__all__ = ["CalibrationError", "calibrate"]

Array = NDArray[np.float64]

ROUNDS = 8
CLOSE = 1e-3  # relative error of the covariance at which the loop ends: the images of a batch differ by more
# Standard deviation, over the largest that values in [-1, 1] with that mean can have: beyond it the activation would
# have to be driven so far into saturation that nothing is learned any more.
REACHABLE = 0.90
ROOM = 0.95  # of that: what the correction on real, not Gaussian, values needs
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
        If values before the activation get so large that little is learned, or a mean is out of reach without a bias.

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
    wanted = target.to(layer.value_range)
    _check_reach(layer, wanted)
    start = _Start(layer, features, threads)
    start.check_rank(wanted)
    mean, covariance = wanted.mean, wanted.covariance
    best, best_miss, loudest = layer, np.inf, 0.0  # the first round can't fail: its aim was checked
    for _ in range(ROUNDS):
        try:
            made, deviation = start.aimed(mean, covariance, bias)
        except ValueError:
            break  # a correction went further than the activation reaches: the best so far is kept
        measured = made.moments(features, threads=threads)
        miss = float(np.linalg.norm(measured.covariance - wanted.covariance) / np.linalg.norm(wanted.covariance))
        if bias:
            miss = max(miss, float(np.abs(measured.mean - wanted.mean).max() / np.mean(wanted.std)))
        if miss < best_miss:
            best, best_miss, loudest = made, miss, deviation
        if miss < CLOSE:
            break
        mean = mean + (wanted.mean - measured.mean if bias else 0.0)
        covariance = positive(covariance + wanted.covariance - measured.covariance)
    _warn(best, features, wanted, loudest, bias)
    return best


class _Start:
    """The layer as it was given, and its linear output: what every round starts from."""

    def __init__(self, layer: OutputLayer, features: Any, threads: int | None) -> None:
        self.layer = layer
        moments = layer.moments(features, linear=True, threads=threads)
        self.bias = np.zeros(3) if layer.bias is None else layer.bias.astype(np.float64)
        self.mean = moments.mean - self.bias  # of what the filters alone make
        self.covariance = moments.covariance

    def check_rank(self, wanted: ColorMoments) -> None:
        values = np.linalg.eigvalsh(self.covariance)
        rank = int(np.sum(values > FLAT * max(values[-1], 0.0)))
        needed = np.linalg.eigvalsh(wanted.covariance)
        if rank < int(np.sum(needed > FLAT * needed[-1])) or rank == 0:
            parts, axes = np.linalg.eigh(wanted.covariance)
            parts[: 3 - rank] = 0
            nearest = ColorMoments(0, wanted.mean, (axes * parts) @ axes.T, wanted.value_range)
            raise CalibrationError(
                f"features make colours along {rank} direction(s) only, and target has "
                f"{int(np.sum(needed > FLAT * needed[-1]))}; use richer features (a wider layer before the head, no "
                f"collapse), or the nearest that can be reached: std {_text(nearest.std)} with the correlations "
                f"{_text(nearest.correlation)}",
                nearest,
            )

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


def _check_reach(layer: OutputLayer, wanted: ColorMoments) -> None:
    """Values in a range can't vary beyond what their mean leaves them."""
    if activation_name(layer.activation) not in ("tanh", "sigmoid", "clamp"):
        return
    low, high = layer.value_range
    middle, half = (low + high) / 2, (high - low) / 2
    center = (wanted.mean - middle) / half
    most = REACHABLE * half * np.sqrt(np.maximum(1 - center**2, 0))
    if (wanted.std > most * (1 + 1e-9)).any() or (np.abs(center) >= 1).any():
        shrink = np.minimum(1, ROOM * most / np.maximum(wanted.std, 1e-300))
        inside = np.clip(wanted.mean, middle - 0.99 * half, middle + 0.99 * half)
        nearest = ColorMoments(0, inside, wanted.covariance * np.outer(shrink, shrink), wanted.value_range)
        raise CalibrationError(
            f"target has mean {_text(wanted.mean)} and std {_text(wanted.std)} on [{low:g}, {high:g}]; "
            f"{activation_name(layer.activation)} reaches a std of {_text(most)} at that mean: the nearest has mean "
            f"{_text(nearest.mean)} and std {_text(nearest.std)}",
            nearest,
        )


def _warn(layer: OutputLayer, features: Any, wanted: ColorMoments, loudest: float, bias: bool) -> None:
    name = activation_name(layer.activation)
    unit = {"tanh": 1.0, "sigmoid": 2.0}.get(name)
    if unit is not None and loudest > LOUD * unit:
        warnings.warn(
            f"the values before {name} have a std of {loudest:.2f}: much of the image is near the ends of the range, "
            "where gradients are small",
            stacklevel=3,
        )
    if not bias:
        mean = layer.moments(features).mean
        if np.abs(mean - wanted.mean).max() > 0.05 * np.mean(wanted.std):
            warnings.warn(
                f"without a bias of its own the layer makes the mean {_text(mean)}, not {_text(wanted.mean)}",
                stacklevel=3,
            )


def _text(values: Array) -> str:
    return "(" + ", ".join(f"{value:.3g}" for value in values) + ")"
