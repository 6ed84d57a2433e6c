"""What each output pixel of a layer sees of its input, row by row: for statistics of receptive fields.

A layer is a set of phases. In one phase output row i and tap m meet input row ``i * step + offset[m]``, likewise the
columns; a plain convolution has one phase, a transposed one of stride s has s x s, whose outputs interleave. Rows and
columns outside the input are those of the padding.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganchroma._geometry import Geometry

__all__ = ["Axis", "Phase", "padded", "phases"]

Array = NDArray[Any]
_MODES = {"zeros": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


@dataclass(frozen=True)
class Axis:
    """One direction of one phase.

    Attributes
    ----------
    taps : tuple of int
        Which taps of the kernel.
    offsets : tuple of int
        Position of each, from where output 0 stands; may be negative.
    step : int
        Input positions from one output to the next.
    first, pitch, count : int
        Outputs first, first + pitch, ... of the image, so many.
    """

    taps: tuple[int, ...]
    offsets: tuple[int, ...]
    step: int
    first: int
    pitch: int
    count: int

    def positions(self, tap: int) -> range:
        """Input positions that the outputs meet at that tap (by its place in `taps`)."""
        return range(self.offsets[tap], self.offsets[tap] + self.step * self.count, self.step)


@dataclass(frozen=True)
class Phase:
    rows: Axis
    columns: Axis

    @property
    def outputs(self) -> int:
        """Pixels of one image."""
        return self.rows.count * self.columns.count

    @property
    def seen(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The taps of the kernel that meet the input, along rows and columns."""
        return self.rows.taps, self.columns.taps

    def weights(self, filters: Array) -> Array:
        """(..., O, D) of filters (..., O, C, kh, kw): this phase's taps, in the order row tap, column tap, channel."""
        chosen = filters[..., self.rows.taps, :][..., self.columns.taps]
        chosen = np.moveaxis(chosen, -3, -1)
        return np.ascontiguousarray(chosen).reshape(*chosen.shape[:-3], math.prod(chosen.shape[-3:]))


def phases(geometry: Geometry, size: tuple[int, int]) -> list[Phase]:
    """The phases of a layer on an input of that size; those without an output are left out."""
    made = geometry.output_size(size)
    down, across = ([*_axes(geometry, axis, made[axis])] for axis in (0, 1))
    return [Phase(rows, columns) for rows in down for columns in across]


def _axes(geometry: Geometry, axis: int, made: int) -> Iterator[Axis]:
    kernel, stride, spread = geometry.kernel[axis], geometry.stride[axis], geometry.dilation[axis]
    before = geometry.padding[axis][0]
    if not geometry.transposed:
        yield Axis(tuple(range(kernel)), tuple(tap * spread - before for tap in range(kernel)), stride, 0, 1, made)
        return
    for first in range(min(stride, made)):
        # Output o = stride * j + tap * spread - before of input j.
        taps = tuple(tap for tap in range(kernel) if (first + before - tap * spread) % stride == 0)
        offsets = tuple((first + before - tap * spread) // stride for tap in taps)
        yield Axis(taps, offsets, 1, first, stride, len(range(first, made, stride)))


def padded(features: Array, geometry: Geometry, parts: list[Phase]) -> tuple[Array, tuple[int, int]]:
    """The features (N, C, h, w) as (N, H, W, C) float64 with everything that any phase meets, and what was added
    before."""
    before, after = [0, 0], [0, 0]
    for axis, length in enumerate(features.shape[2:]):
        met = [
            position
            for part in parts
            for tap in range(len((part.rows, part.columns)[axis].taps))
            for position in _ends((part.rows, part.columns)[axis].positions(tap))
        ]
        before[axis], after[axis] = max(0, -min(met, default=0)), max(0, max(met, default=0) + 1 - length)
    mode: Any = _MODES[geometry.padding_mode]
    whole = np.pad(features, ((0, 0), (0, 0), (before[0], after[0]), (before[1], after[1])), mode=mode)
    return np.ascontiguousarray(whole.transpose(0, 2, 3, 1), np.float64), (before[0], before[1])


def receptive_fields(
    whole: Array, origin: tuple[int, int], part: Phase, row: NDArray[np.intp], column: NDArray[np.intp]
) -> Array:
    """(n, D), what the phase's outputs (row, column), counted within the phase, see of one padded image (H, W, C)."""
    down, across = (
        start + axis.step * at[:, np.newaxis] + np.array(axis.offsets, int)
        for start, axis, at in zip(origin, (part.rows, part.columns), (row, column), strict=True)
    )
    seen = whole[down[:, :, np.newaxis], across[:, np.newaxis, :]]
    made: Array = seen.reshape(len(seen), math.prod(seen.shape[1:]))
    return made


def _ends(positions: range) -> tuple[int, ...]:
    return (positions[0], positions[-1]) if len(positions) else ()
