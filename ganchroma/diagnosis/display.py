"""How a picture follows from the network's image: shown as it is, or lost on the way to the screen.

Both pictures are given, so nothing has to be guessed: each known path is applied to the network's image and the
result compared with what the user holds. A path is a tuple of steps, empty where the picture is shown as the network
made it. Simpler paths come first and are believed first, unless a later one fits at least twice as well: that tells
one channel from three where rounding leaves two levels, and values cut off where nearly all were at an end before.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganchroma.diagnosis.thresholds import (
    BETTER_LEVELS,
    EQUAL_CHANNELS,
    EQUAL_LEVELS,
    EXACT_LEVELS,
    RAISED,
    SAME_LEVELS,
    SAME_SHARE,
    SIGN_PICTURES,
)

Levels = NDArray[Any]


@dataclass(frozen=True)
class Step:
    """One thing that happens to (N, 3, H, W) pictures in 8-bit levels on the way to the screen.

    Attributes
    ----------
    kind : str
        "order" (channels swapped), "channel" (one channel drawn three times), "layout", "range" or "stretch" (contrast
        raised until the ends of the screen are reached).
    detail : str
        The same in words.
    apply : callable
        The map itself; works on unrounded levels.
    name : str
        Which mistake with ranges it is.
    """

    kind: str
    detail: str
    apply: Callable[[Levels], Levels]
    name: str = ""


Path = tuple[Step, ...]


def some(pictures: Levels) -> Levels:
    """A view of at most SIGN_PICTURES pictures, every so many from the first: the same ones each time."""
    return pictures[:: -(-len(pictures) // SIGN_PICTURES) or 1]


def follow(path: Path, levels: Levels) -> Levels:
    """The pictures after every step of a path."""
    for step in path:
        levels = step.apply(levels)
    return levels


def find_path(shown: NDArray[np.uint8], network: Levels, single: bool = False) -> Path | None:
    """The path from the network's image to the picture; None if the picture is not from this network's image.

    Parameters
    ----------
    shown : (N, 3, H, W) uint8
    network : (N, 3, H, W)
        The network's image in levels, not rounded.
    single : bool
        Whether the picture was given as one channel, so that one channel it must have been.
    """
    if shown.shape != network.shape or not np.isfinite(network).all():
        return None
    target = shown.astype(np.float32)
    contrast = float(target.std())
    tolerance = max(SAME_LEVELS, SAME_SHARE * contrast)
    rounded = np.rint(network)
    ways = list(_rearrangements(shown, rounded, single))
    found, distance = None, np.inf
    for path, made in _candidates(ways, rounded, network):
        fit = _distance(made, target)
        if fit <= tolerance and fit < min(distance / 2, distance - BETTER_LEVELS):
            found, distance = path, fit
        if distance <= EXACT_LEVELS:
            return found
    if found is not None or contrast <= SAME_LEVELS:
        return found  # any map makes a constant
    for fitted in (_stretches, _pointwise):
        for path in ways:
            for step, made in fitted(shown, follow(path, network)):
                if _distance(made, target) <= tolerance:
                    return (*path, step)
    return None


def _candidates(ways: list[Path], rounded: Levels, network: Levels) -> Iterator[tuple[Path, Levels]]:
    """Every path without a free parameter, and what it makes; the simplest first."""
    for path in ways:
        yield path, follow(path, rounded)
    for path in ways:
        changed = follow(path, network)
        for step in KNOWN_MAPS:
            yield (*path, step), step.apply(changed)


def channels_equal(levels: Levels) -> bool:
    """Whether R, G and B agree: up to rounding, or up to a small share of the picture's contrast."""
    spread = levels.max(axis=1).astype(np.float32) - levels.min(axis=1)
    return bool(spread.mean() <= max(EQUAL_LEVELS, EQUAL_CHANNELS * float(levels.std())))


def _distance(a: Levels, b: Levels) -> float:
    return float(np.sqrt(np.mean(np.square(a - b, dtype=np.float64))))


def _rearrangements(shown: NDArray[np.uint8], network: Levels, single: bool) -> Iterator[Path]:
    """Paths that move values about without changing them (luminance excepted), the simplest first."""
    if not single:
        yield ()
    if channels_equal(shown):
        exactly = bool((shown == shown[:, :1]).all()) and not bool((network == network[:, :1]).all())
        if single or exactly or not channels_equal(network):
            for channel in range(3):
                detail = f"channel {channel} ({'RGB'[channel]}) drawn three times"
                yield (Step("channel", detail, _reordered((channel,) * 3)),)
            for name, weights in GRAYS.items():
                yield (Step("channel", f"converted to {name}", _gray(weights)),)
    else:
        for order in list(permutations(range(3)))[1:]:
            names = "".join("RGB"[channel] for channel in order)
            yield (Step("order", f"channels shown in the order {names}", _reordered(order)),)
    yield (Step("layout", "the (3, H, W) buffer reshaped, not transposed, to (H, W, 3)", channels_as_rows),)
    yield (Step("layout", "the (H, W, 3) buffer reshaped, not transposed, to (3, H, W)", rows_as_channels),)


def _reordered(order: tuple[int, ...]) -> Callable[[Levels], Levels]:
    return lambda levels: levels[:, list(order)]


# The ways from three channels to a gray one.
GRAYS = {
    "luminance": (0.299, 0.587, 0.114),
    "luminance by the weights of Rec. 709": (0.2125, 0.7154, 0.0721),
    "the mean of the channels": (1 / 3, 1 / 3, 1 / 3),
}


def _gray(weights: tuple[float, float, float]) -> Callable[[Levels], Levels]:
    def apply(levels: Levels) -> Levels:
        gray = weights[0] * levels[:, 0] + weights[1] * levels[:, 1] + weights[2] * levels[:, 2]
        return np.repeat(gray[:, np.newaxis], 3, axis=1)

    return apply


def channels_as_rows(levels: Levels) -> Levels:
    """A (N, 3, H, W) buffer read as (N, H, W, 3), given back as (N, 3, H, W)."""
    count, channels, height, width = levels.shape
    return np.moveaxis(np.ascontiguousarray(levels).reshape(count, height, width, channels), -1, 1)


def rows_as_channels(levels: Levels) -> Levels:
    """A (N, H, W, 3) buffer read as (N, 3, H, W): undoes `channels_as_rows`."""
    return np.ascontiguousarray(np.moveaxis(levels, 1, -1)).reshape(levels.shape)


def _stretches(shown: NDArray[np.uint8], changed: Levels) -> Iterator[tuple[Step, Levels]]:
    """Contrast raised, in each picture or in all together, and what the picture then would be."""
    detail = "contrast stretched {} to the ends of the screen"
    yield Step("stretch", detail.format("picture by picture"), _picture_stretched), _picture_stretched(changed)
    values, target = changed.ravel().astype(np.float64), shown.ravel().astype(np.float64)
    spread = values.var()
    slope = float(np.mean((values - values.mean()) * (target - target.mean())) / spread) if spread > 0 else 0.0
    if slope > RAISED:  # of how many pictures the extremes were taken is not known: what is seen may be some of them
        step = Step("stretch", detail.format("over all pictures together"), _stretched)
        yield step, (target.mean() + slope * (changed - values.mean())).astype(np.float32)


def _stretched(levels: Levels, axis: tuple[int, ...] | None = None) -> Levels:
    low, high = levels.min(axis=axis, keepdims=True), levels.max(axis=axis, keepdims=True)
    made: Levels = (levels - low) * (255 / np.maximum(high - low, 1e-6))
    return made


def _picture_stretched(levels: Levels) -> Levels:
    return _stretched(levels, (1, 2, 3))


def _pointwise(shown: NDArray[np.uint8], changed: Levels) -> Iterator[tuple[Step, Levels]]:
    """The best map of one level to another: the mean of what each became."""
    level = np.clip(np.rint(changed), 0, 255).astype(np.uint8).ravel()
    number = np.bincount(level, minlength=256)
    total = np.bincount(level, weights=shown.ravel(), minlength=256)
    seen = np.flatnonzero(number)
    table = np.interp(np.arange(256), seen, total[seen] / number[seen])
    detail = "another pointwise map of the values (a wrong range or scale, gamma)"
    step = Step("range", detail, lambda levels: np.interp(levels, np.arange(256), table), "range_mismatch")
    yield step, step.apply(changed)


def _wrapped(levels: Levels) -> Levels:
    return np.mod(np.trunc((levels / 127.5 - 1) * 255), 256)


# Mistakes that people make with ranges, each as a map of unrounded levels.
KNOWN_MAPS = [
    Step(
        "range",
        "[-1, 1] shown as [0, 1], negative values cut off",
        lambda x: np.clip(2 * x - 255, 0, 255),
        "range_clip",
    ),
    Step("range", "[0, 1] shown as [-1, 1]: half the contrast, nothing dark", lambda x: 127.5 + x / 2, "range_wash"),
    Step("range", "[-1, 1] times 255 wrapped around as unsigned bytes", _wrapped, "range_wrap"),
    Step("range", "[0, 1] taken for 8-bit levels: all but black", lambda x: x / 255, "range_dark"),
    Step(
        "range",
        "scaled twice: 255 times what is 0 to 255 already",
        lambda x: np.clip(x * 255, 0, 255),
        "range_twice",
    ),
    Step("range", "inverted", lambda x: 255 - x, "range_mismatch"),
]
