"""Which values of an image are black and white, where no activation right before it says so."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganchroma._images import is_value_range
from ganchroma.activation import ActivationLike, activation_name
from ganchroma.torch.flow import Step

__all__ = ["is_usual", "likely_range", "limits_of", "range_after", "says_the_range", "scaled"]

Range = tuple[float, float]
_BOUNDED: dict[str, Range] = {"tanh": (-1, 1), "sigmoid": (0, 1), "_softmax": (0, 1), "sin": (-1, 1), "erf": (-1, 1)}
_USUAL: tuple[Range, ...] = ((-1, 1), (0, 1), (0, 255))
_OVERSHOOT = 0.05  # of the highest value: bicubic resizing of a sharp edge goes 7 % beyond it, few values do
_BYTES = 20.0  # from here on values are 8-bit levels: the darkest picture that shows anything
_SCALING = ("mul", "div", "add", "sub")
# Operators that move, copy, drop and average values, or repeat those at the border.
_KEEPING = (
    *("_to_copy", "clone", "copy", "contiguous", "_unsafe_view", "resolve_conj", "round", "index", "index_select"),
    *("slice_scatter", "flip", "roll", "gather", "stack", "cat", "pixel_shuffle", "avg_pool2d", "_adaptive_avg_pool2d"),
    *("max_pool2d", "max_pool2d_with_indices", "reflection_pad2d", "replication_pad2d", "grid_sampler_2d"),
    *("upsample_nearest2d", "upsample_bilinear2d", "_upsample_bilinear2d_aa", "upsample_bicubic2d"),
    "_upsample_bicubic2d_aa",
)


def range_after(steps: Sequence[Step]) -> Range | None:
    """The range that the operators after a sum bring its values to; None if one of them leaves it open."""
    ends: Range | None = None
    for step in steps:
        numbers = [number for number in step.numbers if number is not None]
        if step.name in _BOUNDED:
            ends = _BOUNDED[step.name]
        elif step.name in ("hardtanh", "clamp"):
            ends = _within(limits_of(step), ends) if step.constant else ends
        elif step.name in _SCALING and len(numbers) == 1 and step.constant:
            ends = None if ends is None else scaled([step], ends)
        elif step.name not in _KEEPING:
            ends = None
    return ends if ends is None or is_value_range(*ends) else None


def limits_of(step: Step) -> Range:
    """Between which numbers a clamp or hardtanh keeps its values; infinity where an end is open."""
    default = (-1.0, 1.0) if step.name == "hardtanh" else (-math.inf, math.inf)
    given = (*step.numbers, None, None)  # PyTorch leaves out last arguments that are the default
    low, high = (end if number is None else float(number) for number, end in zip(given, default, strict=False))
    return low, high


def _within(limits: Range, ends: Range | None) -> Range | None:
    """The range after a clamp: its limits if pictures have such, else what it leaves of `ends`."""
    if ends is None or is_usual(limits):
        return limits if is_value_range(*limits) else None
    low, high = max(limits[0], ends[0]), min(limits[1], ends[1])
    return (low, high) if is_value_range(low, high) else ends


def says_the_range(steps: Sequence[Step], activation: ActivationLike, ends: Range | None) -> bool:
    """Whether black and white of the image are what the steps after an activation made of its own, `ends`.

    They are where these steps scale by plain numbers, or bring the ends to a usual range; what a network has learned,
    or read off the image, says nothing of black and white. A clamp to a usual or narrower range says something else.
    Without `ends` each channel has its own, and constants of any kind do.
    """
    after = _steps_after(steps, activation)
    if ends is None:
        return all(step.constant for step in after)
    plain = all(step.constant and step.numbers and step.name in (*_SCALING, "clamp") for step in after)
    if not (plain or is_usual(ends)):
        return False
    bounded = range_after(steps)
    known = [ends] if bounded is None else [ends, bounded]
    best = min(known, key=lambda ends: (not is_usual(ends), ends[1] - ends[0]))
    return _are_close(ends, best)


def _steps_after(steps: Sequence[Step], activation: ActivationLike) -> list[Step]:
    """What changes the values after an activation; all steps that do, if none of them has its name."""
    kind = activation_name(activation)
    names = ("clamp", "hardtanh") if kind == "clamp" else (kind,)
    start = next((place + 1 for place, step in enumerate(steps) if step.name in names), 0)
    return [step for step in steps[start:] if step.name not in _KEEPING]


def is_usual(ends: Range) -> bool:
    """Whether black and white are where pictures have them."""
    return any(_are_close(ends, usual) for usual in _USUAL)


def _are_close(one: Range, other: Range) -> bool:
    """But for what a fit leaves."""
    return np.allclose(one, other, rtol=0, atol=0.005 * (other[1] - other[0]))


def likely_range(images: NDArray[Any]) -> Range:
    """The usual range that values nobody bounds are most likely meant for.

    Values that are hardly ever below 0 are meant for [0, 1], or for [0, 255] if they reach far beyond 1; all others for
    [-1, 1]. The outermost hundredths are left out: filters and sums overshoot.
    """
    finite = images[np.isfinite(images)]
    if not finite.size:
        return -1.0, 1.0
    low, high = np.percentile(finite, (1, 99))
    if low < -_OVERSHOOT * high or high <= 0:
        return -1.0, 1.0
    return (0.0, 255.0) if high > _BYTES else (0.0, 1.0)


def scaled(steps: Sequence[Step], ends: Range) -> Range:
    """What a network's last scalings, multiplications and additions of plain numbers, make of these values."""
    before, last = ends, list[Step]()
    for step in reversed(steps):
        numbers = [number for number in step.numbers if number is not None]
        if step.name in _SCALING and numbers:
            last.append(step)
        elif step.name not in ("_to_copy", "clone", "clamp"):
            break
    for step in reversed(last):
        number = next(number for number in step.numbers if number is not None)
        low, high = ends
        if not math.isfinite(number) or (number == 0 and step.name in ("mul", "div")):
            continue  # it leaves no range
        if step.name == "mul":
            ends = low * number, high * number
        elif step.name == "div":
            ends = low / number, high / number
        else:
            shift = number if step.name == "add" else -number
            ends = low + shift, high + shift
    low, high = sorted(ends)
    return (low, high) if is_value_range(low, high) else before
