"""Which values of an image are black and white, where no activation right before it says so."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganchroma._images import is_value_range
from ganchroma.torch.flow import Step

__all__ = ["likely_range", "limits_of", "range_after", "scaled"]

Range = tuple[float, float]
_BOUNDED: dict[str, Range] = {"tanh": (-1, 1), "sigmoid": (0, 1), "_softmax": (0, 1), "sin": (-1, 1), "erf": (-1, 1)}
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
            ends = limits_of(step) or ends
        elif step.name in _SCALING and len(numbers) == 1:
            ends = None if ends is None else scaled([step], ends)
        elif step.name not in _KEEPING:
            ends = None
    return ends if ends is None or is_value_range(*ends) else None


def limits_of(step: Step) -> Range | None:
    """Between which numbers a clamp or hardtanh keeps its values; None where an end is open."""
    numbers = [float(number) for number in step.numbers if number is not None]
    if step.name == "hardtanh":
        numbers += (-1.0, 1.0)[len(numbers) :]  # PyTorch leaves out last arguments that are the default
    return (numbers[0], numbers[1]) if len(numbers) == 2 else None


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
