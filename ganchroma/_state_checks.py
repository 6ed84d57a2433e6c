"""What is no state of `ChromaStats`, or what no images can have led to in one: as far as a look at it tells."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganchroma import _sums
from ganchroma._arrays import shown
from ganchroma._files import Result
from ganchroma._level_records import DISPLAY, SECOND, SUM, WITHIN

MOST_PIXELS = 2**53  # float64 tells so many apart, and sums of some such states are still integers of 64 bits
_MOST_DISPLAYED = 512  # M3 and C*ab of any colours are below
_MOST_PLACED = 2**40  # of one value at a position, in units of 2^-32 of the range
SURE_IMAGES = 2**63 // _MOST_PLACED // 2  # sums at a position of so many can't run over
_ONE = 2**_sums.FRACTION_BITS
_DIAGONAL = (0, 3, 5)  # of RR, RG, RB, GG, GB, BB
_PAIRS = ((0, 3, 1), (0, 5, 2), (3, 5, 4))  # two squares and their product
_ARRAYS = {"version", "layout", "quantize", "value_range", "kind", "counts", "sums", "extremes", "size"}
_MORE_ARRAYS = {"chroma_samples", "moments_only", "positions"}  # of some versions, or with some settings


def is_state(path: str) -> bool:
    """Whether a file has the arrays of a state, by their names, and nothing else."""
    import zipfile  # slow, see `read_npz`

    try:
        with zipfile.ZipFile(path) as archive:
            names = {name.removesuffix(".npy") for name in archive.namelist()}
    except Exception:  # a damaged file can fail anywhere
        return False
    return _ARRAYS <= names <= _ARRAYS | _MORE_ARRAYS


STATE = Result("state of ChromaStats", is_state, ".npz")


def entry(state: Mapping[str, NDArray[Any]], name: str, dtype: type, shape: tuple[int, ...]) -> NDArray[Any]:
    """A copy of an array of the state, which must be of that dtype and shape."""
    array = given(state, name)
    if not isinstance(array, np.ndarray | np.generic):
        raise TypeError(f"{name} must be an array, as ChromaStats.state() gives it; got {shown(array)}")
    if array.dtype != dtype or array.shape != shape:
        raise ValueError(f"{name} has dtype {array.dtype} and shape {array.shape}, not {np.dtype(dtype)} and {shape}")
    return np.array(array)


def given(state: Mapping[str, NDArray[Any]], name: str) -> NDArray[Any]:
    """What the state has by that name, whatever it is."""
    try:
        return state[name]
    except KeyError:
        raise KeyError(f"state has no entry {name!r}; accepted: what ChromaStats.state() gives") from None


def check_counts(count: Mapping[str, int], is_bytes: bool | None) -> None:
    """Refuse counts of which one is larger than what it is a part of, with a ValueError; so do the others."""
    images, pixels = count["images"], count["pixels"]
    if not (
        min(count.values()) >= 0
        and (is_bytes is None) == (images == 0) == (not any(count.values()))
        and images <= pixels <= MOST_PIXELS
        and count["measured"] + count["nonfinite"] == pixels
        and count["gray_0"] <= count["gray_1"] <= count["gray_2"] <= pixels
        and max(count["gray_images"], count["position_images"]) <= images
        and count["clipped_low"] + count["clipped_high"] <= 3 * pixels
        and count["near_low"] + count["near_high"] <= 3 * pixels
    ):
        raise ValueError("its counts contradict each other")


def check_sums(sums: NDArray[np.int64], count: Mapping[str, int], is_bytes: bool | None) -> None:
    """Refuse sums of which a variance or a colour would be impossible."""
    numbers, images, measured = _sums.to_integers(sums), count["images"], count["measured"]
    total, second, within, (*m3, chroma) = (numbers[part] for part in (SUM, SECOND, WITHIN, DISPLAY))
    squares = [part[place] for part in (second, within) for place in _DIAGONAL]
    if min(squares + numbers[DISPLAY]) < 0:
        raise ValueError("its sums contradict each other: one of squares or of display measures is negative")
    digits, last = sums[:, :-1], sums[:, -1].astype(np.float64)
    if (digits >> 32).any() or (np.abs(last) > 2.0**62).any():
        raise ValueError("its sums are none: a limb is out of range")
    if max(m3) > _MOST_DISPLAYED * images * _ONE or chroma > _MOST_DISPLAYED * count["pixels"] * _ONE:
        raise ValueError("its sums contradict its counts: no colours are so far from gray")
    if max(map(abs, numbers)) >= _sums.LARGEST * _ONE:
        return  # values so far beyond the range are held there, and nothing fits any more
    rounding = [(square >> 40) + (images << 65) for square in second]  # of floats in part, of scatter to 2^-32
    for place, channel in zip(_DIAGONAL, total, strict=True):
        if channel**2 > measured * _ONE * (second[place] - within[place] + rounding[place]):
            raise ValueError("its sums contradict each other: a variance would be negative")
        if is_bytes and not (0 <= channel <= 255 * measured * _ONE and second[place] <= 255 * channel):
            raise ValueError("its sums contradict its counts: they are of no bytes")
    for part in (second, within):
        for one, other, both in _PAIRS:
            if part[both] ** 2 > (part[one] + rounding[one]) * (part[other] + rounding[other]):
                raise ValueError("its sums contradict each other: a correlation would be above 1")


def check_extremes(least: float, most: float, *, is_bytes: bool | None, may_be_none: bool) -> None:
    """Refuse what are no two values, the smaller one first."""
    if may_be_none and (least, most) == (math.inf, -math.inf):
        return
    if not (math.isfinite(least) and math.isfinite(most) and least <= most) or (is_bytes and (least < 0 or most > 255)):
        raise ValueError(f"its extremes contradict each other: {least} to {most}")


def check_positions(positions: NDArray[np.int64], images: int, is_bytes: bool | None) -> None:
    """Refuse sums at positions that so many images can't have."""
    low, high = (0, 255) if is_bytes else (-_MOST_PLACED, _MOST_PLACED)
    if positions.size == 0 or not low * images <= int(positions.min()) <= int(positions.max()) <= high * images:
        raise ValueError("its positions contradict its counts")
