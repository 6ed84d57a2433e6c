"""Measurements that the causes decide by; each on evidence or its trace, none with an opinion."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganchroma.color import quantize
from ganchroma.diagnosis import thresholds as limits
from ganchroma.diagnosis.display import channels_as_rows, channels_equal, rows_as_channels, some
from ganchroma.diagnosis.evidence import Evidence
from ganchroma.layer import OutputLayer
from ganchroma.moments import ColorMoments
from ganchroma.stages import Trace


@dataclass(frozen=True)
class Reading:
    """Pictures read in the other layout, and how much better they then look.

    Attributes
    ----------
    images : (N, 3, H, W)
    fault : callable
        What made the pictures from these: `channels_as_rows` or `rows_as_channels`.
    gain_x, gain_y : float
        Difference of neighbouring pixels before, over that after.
    repetition : float
        How far the pictures repeat themselves by thirds, at most 1.
    """

    images: NDArray[Any]
    fault: Callable[[NDArray[Any]], NDArray[Any]]
    gain_x: float
    gain_y: float
    repetition: float


def compare_filters(layer: OutputLayer) -> tuple[float, float]:
    """Largest relative difference and smallest cosine between two of the three filters.

    0 and 1 if all are zero; NaN if a weight is not finite.
    """
    flat = layer.filters.reshape(3, -1).astype(np.float64)
    largest = float(np.abs(flat).max())
    if not np.isfinite(largest):
        return float("nan"), float("nan")
    if largest > 0:
        flat /= largest  # so that no square overflows
    difference, cosine = 0.0, 1.0
    for i, j in ((0, 1), (0, 2), (1, 2)):
        norms = np.linalg.norm(flat[i]), np.linalg.norm(flat[j])
        if max(norms) > 0:
            difference = max(difference, float(np.linalg.norm(flat[i] - flat[j]) / max(norms)))
            if min(norms) > 0:
                cosine = min(cosine, float(flat[i] @ flat[j] / (norms[0] * norms[1])))
    return difference, cosine


def filters_aligned(layer: OutputLayer) -> float:
    """Smallest cosine between two of the three filters, whatever its sign; NaN where one is zero or not finite."""
    flat = layer.filters.reshape(3, -1).astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        flat /= np.linalg.norm(flat, axis=1, keepdims=True)
    return float(np.abs([flat[0] @ flat[1], flat[0] @ flat[2], flat[1] @ flat[2]]).min())


def filter_norms(filters: NDArray[Any]) -> NDArray[np.float64]:
    """Euclidean norm of each filter, (3, 1, 1, 1)."""
    squares = np.square(filters, dtype=np.float64).sum(axis=(1, 2, 3), keepdims=True)
    return np.asarray(np.sqrt(squares), np.float64)


def dead_filters(layer: OutputLayer, linear: ColorMoments | None) -> NDArray[np.bool_]:
    """Which filters make nothing while others do: all weights zero, or next to no part in what the head's output varies
    by, where that is known. None of them if all are so or a weight is not finite; (3,)."""
    norms = filter_norms(layer.filters).ravel()
    none = np.zeros(3, np.bool_)
    if not np.isfinite(norms).all():
        return none
    dead = norms == 0
    if linear is not None and np.isfinite(linear.std).all() and np.max(linear.std) > 0:
        dead |= np.asarray(linear.std) <= limits.DEAD_SHARE * np.max(linear.std)
    return none if dead.all() else dead


def constant_planes(evidence: Evidence) -> NDArray[np.bool_]:
    """Which of R, G and B are exactly one number in all pictures together while others vary; (3,)."""
    constant = np.zeros(3, np.bool_)
    if evidence.images is None:
        return constant
    for images in (some(evidence.images), evidence.images):  # most are ruled out by a few of them
        least, most = images.min(axis=(0, 2, 3)), images.max(axis=(0, 2, 3))
        constant = least == most
        if constant.all() or not constant.any() or not np.isfinite([least, most]).all():
            return np.zeros(3, np.bool_)
    return constant


def amplitude(evidence: Evidence, trace: Trace) -> tuple[float, NDArray[np.float64]] | None:
    """Std in levels and mean as a share of the range, of the network's image where it is known, else of the screen.

    None if there is no picture or nothing finite in it.
    """
    stage = "activation" if "activation" in trace else "display"
    moments = trace[stage].moments if stage in trace else None
    if moments is None or moments.count == 0 or not np.isfinite(moments.std_levels):
        return None
    low, high = moments.value_range
    return moments.std_levels, (np.asarray(moments.mean) - low) / (high - low)


def at_an_end(mean: NDArray[np.float64]) -> bool:
    return bool(np.all((mean < 0.01) | (mean > 0.99)))


def display_chroma(trace: Trace) -> float:
    return float("nan") if trace.display is None else trace.display.summary.chroma


def is_gray(trace: Trace) -> bool:
    """Whether there is a picture, with contrast, and by the healthy band its colour is missing."""
    if trace.display is None:
        return False
    within = trace.display.summary.within
    return within.count > 0 and within.std_levels >= 1 and trace.display.gray


def channels_agree(trace: Trace) -> bool:
    """Whether the picture is gray because R, G and B vary together; a dark one has little chroma whatever they do."""
    if not is_gray(trace) or trace.display is None:
        return False
    return bool(trace.display.summary.within.achromatic_share > limits.GRAY_SHARE)


def one_tint(evidence: Evidence, trace: Trace) -> dict[str, float] | None:
    """Measures of a picture that has contrast and colour, all of it along one direction; else None. Not where planes
    that never vary leave one direction: those are a sign of their own."""
    if trace.display is None or constant_planes(evidence).any():
        return None
    within, chroma = trace.display.summary.within, trace.display.summary.chroma
    if within.count == 0 or not within.std_levels >= limits.VISIBLE_LEVELS or not chroma >= limits.VISIBLE_CHROMA:
        return None
    ratio, share = within.participation_ratio, within.achromatic_share
    if not ratio <= limits.ONE_TINT_ONLY or share > limits.TINT_SHARE:
        return None
    return {"participation_ratio": ratio, "achromatic_share": share}


def equal_on_screen(evidence: Evidence) -> bool:
    if not evidence.has_picture:
        return False
    picture, value_range = evidence.picture
    return channels_equal(quantize(some(picture), value_range=value_range))


def _healthy_scale(evidence: Evidence) -> tuple[float, float] | None:
    """Factors for the head's gain and for its bias that give a natural contrast and saturate nothing; None if no
    factor can: without features, without variance, or with values that are not finite."""
    layer, features = evidence.layer, evidence.features
    if layer is None or features is None:
        return None
    moments = layer.moments(features, linear=True)
    low, high = evidence.linear_range
    unit = (high - low) / 2  # values at which the activation bends
    bias = np.zeros(3) if layer.bias is None else np.asarray(layer.bias, np.float64)
    std = float(np.sqrt(np.trace(moments.covariance) / 3))
    rms = float(np.sqrt(np.max(np.diag(moments.covariance) + np.square(moments.mean - bias))))
    most = float(np.abs(bias).max())
    if not (np.isfinite(rms) and np.isfinite(most) and std > 0):
        return None
    gain = min(limits.TARGET_STD * unit / std, limits.TARGET_RMS * unit / rms)
    return gain, 1.0 if most <= limits.TARGET_BIAS * unit else limits.TARGET_BIAS * unit / most


def rescaled(evidence: Evidence) -> Evidence | None:
    """The same head at a healthy gain, its bias within bounds; None where no gain helps."""
    scale, layer = _healthy_scale(evidence), evidence.layer
    if scale is None or layer is None:
        return None
    gain, shrink = scale
    bias = None if layer.bias is None else (layer.bias * shrink).astype(layer.bias.dtype)
    return evidence.with_head(layer=layer.replace(output_scale=layer.output_scale * gain, bias=bias))


def rescaling_code(evidence: Evidence) -> str | None:
    """`rescaled` as Python."""
    scale, layer = _healthy_scale(evidence), evidence.layer
    if scale is None or layer is None:
        return None
    gain, shrink = scale
    bias = "" if shrink == 1 else f", bias=layer.bias * {shrink:.4g}"
    return f"layer = layer.replace(output_scale={layer.output_scale * gain:.4g}{bias})"


def better_reading(evidence: Evidence) -> Reading | None:
    """The pictures read the other way round, if that is clearly the right one; only where pictures are all there is.

    Where R, G and B are equal at every pixel there is nothing to find: a buffer read in the wrong layout puts different
    pixels beside one another.
    """
    if evidence.images is None or evidence.computed or min(evidence.images.shape[2:]) < 9:
        return None
    images = some(evidence.images)
    if not np.isfinite(images).all() or (images == images[:, :1]).all():
        return None
    rough_x, rough_y = _roughness(images)
    for reading in (rows_as_channels, channels_as_rows):
        other = reading(images)
        other_x, other_y = _roughness(other)
        if min(other_x, other_y) <= 0:
            continue
        gain_x, gain_y = rough_x / other_x, rough_y / other_y
        if reading is rows_as_channels:
            repetition = _thirds_correlation(images)
            gain = min(gain_x, gain_y)
            doubtful = gain >= limits.SMOOTHER and gain * repetition >= limits.SMOOTHER_TIMES_THIRDS
        else:
            repetition = _row_cycle(images)
            doubtful = gain_y >= limits.SMOOTHER and repetition >= limits.ROW_CYCLE
        if doubtful or min(gain_x, gain_y) >= limits.SMOOTHER_CLEARLY:
            fault = channels_as_rows if reading is rows_as_channels else rows_as_channels
            return Reading(reading(evidence.images), fault, gain_x, gain_y, repetition)
    return None


def _roughness(images: NDArray[Any]) -> tuple[float, float]:
    """Mean absolute difference of neighbours along x and along y."""
    return _difference(images[..., 1:], images[..., :-1]), _difference(images[:, :, 1:], images[:, :, :-1])


def _difference(one: NDArray[Any], other: NDArray[Any]) -> float:
    """Mean absolute difference; exact for bytes, which stay bytes."""
    if one.dtype == np.uint8:
        return float((np.maximum(one, other) - np.minimum(one, other)).mean())
    with np.errstate(over="ignore"):  # of values beyond any picture's
        return float(np.abs(one - other).mean())


def _thirds_correlation(images: NDArray[Any]) -> float:
    """Correlation of the left with the middle third: a (3, H, W) buffer read as (H, W, 3) shows itself three times."""
    third = images.shape[3] // 3
    gray = images.mean(axis=1, dtype=np.float64)
    left, middle = gray[..., :third].ravel(), gray[..., third : 2 * third].ravel()
    if left.std() == 0 or middle.std() == 0:
        return 0.0
    return float(np.corrcoef(left, middle)[0, 1])


def _row_cycle(images: NDArray[Any]) -> float:
    """How much better a row agrees with the third below it than with the next, 0 to 1: an (H, W, 3) buffer read as
    (3, H, W) shows the left, the middle and the right third of each row in turn."""
    next_row = _difference(images[:, :, 1:], images[:, :, :-1])
    third_row = _difference(images[:, :, 3:], images[:, :, :-3])
    return max(0.0, 1 - third_row / next_row) if next_row > 0 else 0.0


def outside_share(evidence: Evidence) -> float:
    """Share of finite values beyond the stated range by more than 1 % of its width."""
    images = evidence.images
    if images is None or images.dtype == np.uint8:
        return 0.0
    low, high = evidence.value_range
    margin = 0.01 * (high - low)
    least, most = finite_range(images) or (low, high)
    if low - margin <= least and most <= high + margin:
        return 0.0
    finite = images[np.isfinite(images)]
    return float(np.mean((finite < low - margin) | (finite > high + margin)))


def finite_range(images: NDArray[Any]) -> tuple[float, float] | None:
    """Smallest and largest finite value; None if there is none."""
    least, most = float(images.min()), float(images.max())
    if np.isfinite([least, most]).all():
        return least, most
    finite = images[np.isfinite(images)]
    return (float(finite.min()), float(finite.max())) if finite.size else None


def far_outside(images: NDArray[Any], value_range: tuple[float, float]) -> tuple[float, float] | None:
    """Smallest and largest finite value, if more than a few reach so far beyond a range that it can't be meant."""
    seen, (low, high) = finite_range(images), value_range
    reach = limits.FAR_OUTSIDE * (high - low)
    if seen is None or (low - seen[0] <= reach and seen[1] - high <= reach):
        return None
    share = float(np.mean((images < low - reach) | (images > high + reach)))
    return seen if share > limits.OUTSIDE_SHARE else None


def fitting_range(least: float, most: float) -> tuple[float, float] | None:
    """The narrowest of the usual ranges that holds all values."""
    for low, high in ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0)):
        margin = 0.01 * (high - low)
        if low - margin <= least and most <= high + margin:
            return low, high
    return None


@dataclass(frozen=True)
class Tones:
    """How dark and how bright pictures are, in 8-bit levels of their finite values; of planes that never vary beside
    others that do, nothing.

    Attributes
    ----------
    lowest, highest : float
        The .5- and 99.5-percentile.
    black, white : float
        Shares of 0 and of 255.
    black_beside : float
        Share of 0 in pixels that are not black in all channels.
    near_ends : float
        Share within 1 % of an end.
    """

    lowest: float
    highest: float
    black: float
    white: float
    black_beside: float
    near_ends: float


def tones(evidence: Evidence) -> Tones:
    assert evidence.images is not None
    images = some(evidence.images)
    counted = np.isfinite(images) & ~constant_planes(evidence)[:, np.newaxis, np.newaxis]
    pictures = quantize(images, value_range=evidence.value_range)
    levels = pictures[counted]
    if not levels.size:
        return Tones(float("nan"), float("nan"), 0.0, 0.0, 0.0, 0.0)
    count = np.bincount(levels, minlength=256)
    near = float(count[:3].sum() + count[253:].sum()) / levels.size
    beside = counted & (pictures > 0).any(axis=1, keepdims=True)
    black_beside = float((pictures[beside] == 0).mean()) if beside.any() else 0.0
    shares = float(count[0] / levels.size), float(count[255] / levels.size), black_beside
    return Tones(_percentile(count, 0.5), _percentile(count, 99.5), *shares, near)


def _percentile(count: NDArray[Any], percent: float) -> float:
    """Of values 0, 1, 2 ... that occur so many times each; between two of them by NumPy's linear rule."""
    place = percent / 100 * (count.sum() - 1)
    below, above = np.searchsorted(count.cumsum(), [np.floor(place), np.ceil(place)], side="right")
    return float(below + (above - below) * (place % 1))


def wrapped_gain(evidence: Evidence) -> float:
    """How much better neighbours agree on a ring of levels, on which 0 follows 255: what wrapped around jumps from one
    end to the other where the image goes on smoothly. 0 for noise of all levels alike, which does so by chance."""
    assert evidence.images is not None
    images = some(evidence.images)
    if min(images.shape[2:]) < 2 or not np.isfinite(images).all():
        return 0.0
    levels = quantize(images, value_range=evidence.value_range)
    line = ring = 0.0
    for first, second in ((levels[..., 1:], levels[..., :-1]), (levels[:, :, 1:], levels[:, :, :-1])):
        apart = np.maximum(first, second) - np.minimum(first, second)
        line += float(apart.mean())
        ring += float(np.minimum(apart, np.uint8(0) - apart).mean())
    if ring == 0:
        return 0.0
    frequency = np.bincount(levels.ravel(), minlength=256) / levels.size
    apart = np.abs(np.subtract.outer(np.arange(256), np.arange(256)))
    by_chance = frequency @ apart @ frequency, frequency @ np.minimum(apart, 256 - apart) @ frequency
    smooth = ring / 2 <= limits.RING_SMOOTH * by_chance[1]
    return line / ring if smooth or by_chance[0] >= limits.RING_BIMODAL * by_chance[1] else 0.0


def stretches(evidence: Evidence) -> bool:
    """Whether every one of several pictures reaches exactly from black to white, and hardly a pixel stays there."""
    assert evidence.images is not None
    images = some(evidence.images)
    if len(images) < 2 or not np.isfinite(images).all():
        return False
    levels = quantize(images, value_range=evidence.value_range).reshape(len(images), -1)
    ends = np.mean((levels == 0) | (levels == 255), axis=1)
    return bool((levels.min(axis=1) == 0).all() and (levels.max(axis=1) == 255).all() and ends.max() < 0.01)
