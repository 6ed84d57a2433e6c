"""Colour statistics of images: sums that merge across batches, threads, processes and files."""

import math
import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ganchroma import _core, _sums
from ganchroma._arrays import as_array, check_integer, check_word, chosen_of, shown
from ganchroma._files import check_path, check_result, npz_bytes, open_regular, read_npz, reason_of, write_bytes
from ganchroma._images import BYTE_RANGE, Images, Layout, check_layout, check_value_range, read_images
from ganchroma._level_records import DISPLAY, SECOND, SUM, WITHIN, LevelRecords
from ganchroma._state_checks import (
    MOST_PIXELS,
    STATE,
    SURE_IMAGES,
    check_counts,
    check_extremes,
    check_positions,
    check_sums,
    entry,
    given,
)
from ganchroma.color import Rule, image_records, parse_rule
from ganchroma.moments import ColorMoments
from ganchroma.runtime import resolve_threads
from ganchroma.summary import ChromaSummary

__all__ = ["ChromaStats", "ChromaSummary", "ColorMoments"]

VERSION = 3  # 1 had no chroma_samples, the chroma of every pixel was measured; 1 and 2 had no moments_only
MOST_POSITIONS = 1024 * 1024

_COUNTS = (
    *("images", "pixels", "measured", "nonfinite", "gray_images", "position_images"),
    *("gray_0", "gray_1", "gray_2", "clipped_low", "clipped_high", "near_low", "near_high"),
)
_KINDS = {"none": None, "bytes": True, "floats": False}
_MATRIX = np.array([[0, 1, 2], [1, 3, 4], [2, 4, 5]])
_NO_SIZE, _MIXED_SIZES = (0, 0), (-1, -1)
_POSITION_UNIT = 2.0**-32  # of the range, for floats; bytes are summed as they are


class ChromaStats:
    """Colour statistics of any number of images, in a state of sums that merges.

    Bytes are counted exactly: whatever the batches, their order, the merges, the threads and the instruction set, the
    state is the same to the bit. For floats each image is measured in float64 and the images are then added exactly:
    the same holds however they are split, and between instruction sets with fused multiply-adds. Against exact sums
    means and standard deviations are then right to 1e-15 of the range, and the covariance to 1e-13 of the largest
    variance where that is over a level, without them too.

    Parameters
    ----------
    value_range : (float, float), optional
        The values of black and white, e.g. (-1, 1) after tanh. Required for floats; (0, 255) for uint8.
    layout : {"NCHW", "NHWC"}
        Of the images to come.
    quantize : {"round", "floor", "truncate"}
        How floats become the 8-bit levels that display measures are taken on; see `color.quantize`.
    chroma_samples : int, optional
        About how many pixels of each image have their chroma measured, from two thirds of it to twice as many; None
        for all. They lie at equal distances row by row, chosen so that they are spread over columns as over rows.
        Chroma takes most of the time of everything that is measured on bytes.
    moments_only : bool
        Measure the colour moments and no more: what `ChromaSummary` has of a screen is then NaN, `fixed` None. For
        batches that are to be measured about as fast as memory gives them.

    Notes
    -----
    Not for several threads at once: give each its own, and merge them; the answer is the same.

    `summary().fixed` needs a sum for every position: 24 bytes a pixel of one image, kept while all images have one
    size of at most 1024 x 1024 pixels.

    Examples
    --------
    >>> import ganchroma as gch
    >>> rng = np.random.default_rng(0)
    >>> a, b = gch.ChromaStats(), gch.ChromaStats()
    >>> a.update(rng.integers(0, 256, (4, 3, 16, 16), dtype=np.uint8))
    ChromaStats(images=4, value_range=(0.0, 255.0), layout='NCHW', quantize='round')
    >>> b.update(rng.integers(0, 256, (2, 3, 16, 16), dtype=np.uint8)).summary().images
    2
    >>> round((a + b).summary().within.achromatic_share, 2)
    0.34
    """

    def __init__(
        self,
        value_range: tuple[float, float] | None = None,
        layout: Layout = "NCHW",
        quantize: Rule = "round",
        chroma_samples: int | None = None,
        moments_only: bool = False,
    ) -> None:
        self.value_range = None if value_range is None else check_value_range(value_range)
        self.layout = check_layout(layout)
        parse_rule(quantize, "quantize")
        self.quantize = quantize
        self.chroma_samples = None if chroma_samples is None else check_integer(chroma_samples, "chroma_samples", 1)
        if not isinstance(moments_only, bool):
            raise TypeError(f"moments_only must be True or False, got {moments_only!r}")
        self.moments_only = moments_only
        self._bytes: bool | None = None  # whether the images are uint8; unknown before the first
        self._counts = np.zeros(len(_COUNTS), np.int64)
        self._sums = _sums.zeros(18)
        self._extremes = np.array([np.inf, -np.inf])
        self._size = _NO_SIZE
        self._positions: NDArray[np.int64] | None = None

    # -- adding ---------------------------------------------------------------------------------------------------

    def update(self, images: Any, mask: Any = None) -> Self:
        """Add images.

        Parameters
        ----------
        images : array-like (N, 3, H, W) or (3, H, W); (N, H, W, 3) or (H, W, 3) with layout "NHWC"
            uint8, float16, float32 or float64; N may be 0. Either uint8 or floats in one ChromaStats.
        mask : array-like (N,) of bool, optional
            Which of the images count: False leaves out what a sampler repeated to fill its last batch.

        Returns
        -------
        ChromaStats
            Itself. After an error or an interrupt it's unchanged.

        Raises
        ------
        TypeError, ValueError
            If `images` is no batch of RGB images, floats come without a value range, or `mask` does not fit.
        """
        batch = _chosen(read_images(images, self.value_range, self.layout), mask)
        if len(batch.pixels) == 0:
            return self
        is_bytes = batch.dtype == np.uint8
        if self._bytes not in (None, is_bytes):
            seen = "uint8" if self._bytes else "floats"
            raise ValueError(f"images have dtype {batch.dtype}, but this ChromaStats has seen {seen}; use another one")
        more = self.empty_like()
        more.value_range, more._bytes = batch.value_range, is_bytes
        more._measure(batch)
        return self._merge(more, more._positions)

    def update_from(self, records: LevelRecords) -> Self:
        """Add images of bytes that were measured one by one; of these there is no fixed pattern.

        Raises
        ------
        TypeError
            If `records` are no LevelRecords.
        ValueError
            If this ChromaStats has another value range than bytes, or has seen floats.
        """
        if not isinstance(records, LevelRecords):
            raise TypeError(f"records must be LevelRecords, got {shown(records)}")
        if len(records.pixels) == 0:
            return self
        more = self.empty_like()
        more.value_range, more._bytes = BYTE_RANGE, True
        more._fill(records)
        return self.merge(more)

    def _measure(self, batch: Images) -> None:
        """Fill an empty state with one batch."""
        count, _, height, width = batch.pixels.shape
        threads, (low, high) = resolve_threads(None), batch.value_range
        if self._bytes or not self.moments_only:
            records = LevelRecords.empty(count)
            samples = 0 if self.moments_only else self.chroma_samples
            records.measure(0, batch, self.quantize, samples, threads)
            self._fill(records)
        usable = np.ones(count, np.uint8)
        if not self._bytes:
            moments = image_records(batch)
            usable[moments[:, 10] > 0] = 0
            measured, pixels = int(moments[:, 0].sum()), count * height * width
            self._counts[[0, 1, 2, 3, 5]] = count, pixels, measured, pixels - measured, usable.sum()
            with np.errstate(over="ignore", invalid="ignore"):  # of values beyond 1e150 ranges: held at the largest
                self._sums[:15] = _sums.from_floats(np.nan_to_num(_normalized_sums(moments, low, high)))
        if height * width <= MOST_POSITIONS and not self.moments_only:
            self._size, self._positions = (height, width), np.zeros((3, height, width), np.int64)
            _core.stats_positions(batch.pixels, usable, self._positions, low, high, threads)
        else:
            self._size = _MIXED_SIZES

    def _fill(self, records: LevelRecords) -> None:
        """Fill an empty state with what was measured on bytes, all but the fixed pattern."""
        levels, extremes = records.levels, records.extremes
        self._sums = records.sums()
        self._extremes = np.array([extremes[:, 2].min(), extremes[:, 3].max()])
        pixels = int(records.pixels.sum())
        self._counts[:] = (
            *(len(levels), pixels, pixels, 0, int(records.gray.sum()), len(levels)),
            *levels[:, 11:16].sum(axis=0),
            *extremes[:, :2].sum(axis=0).astype(np.int64),
        )
        self._size = _MIXED_SIZES

    def merge(self, other: "ChromaStats") -> Self:
        """Add everything that another ChromaStats has seen; also ``a + b``, which leaves both alone.

        Raises
        ------
        TypeError
            If `other` is no ChromaStats.
        ValueError
            If both have a different value range, layout, quantisation, or one has seen uint8 and the other floats.
        """
        if not isinstance(other, ChromaStats):
            raise TypeError(f"other must be a ChromaStats, got {type(other).__name__}")
        for name in ("value_range", "layout", "quantize", "chroma_samples", "moments_only"):
            mine, theirs = getattr(self, name), getattr(other, name)
            if mine != theirs and not (name == "value_range" and (mine is None or theirs is None)):
                raise ValueError(f"other has {name} {theirs!r}; accepted: {mine!r}")
        if self._bytes is not None and other._bytes is not None and self._bytes != other._bytes:
            raise ValueError("one of the two has seen uint8, the other floats: they don't merge")
        return self._merge(other)

    def _merge(self, other: "ChromaStats", room: NDArray[np.int64] | None = None) -> Self:
        """Add one of the same settings. `room`: memory for the sums at positions, the other's own if nobody has it."""
        counts = self._counts + other._counts
        if counts[_COUNTS.index("pixels")] > MOST_PIXELS:
            raise ValueError(f"other has too many pixels to add: a ChromaStats counts {MOST_PIXELS:,} at most")
        size, positions = self._merged_positions(other, room)
        least, most = min(self._extremes[0], other._extremes[0]), max(self._extremes[1], other._extremes[1])
        # In one step, and into new arrays: an interrupt finds all of it or nothing, and copies stay.
        self.__dict__.update(
            value_range=other.value_range if self.value_range is None else self.value_range,
            _bytes=self._bytes if other._bytes is None else other._bytes,
            _counts=counts,
            _sums=_sums.normalized(self._sums + other._sums),
            _extremes=np.array([least, most]) + 0.0,  # -0 is 0: which of them came first is not told
            _size=size,
            _positions=positions,
        )
        return self

    def empty_like(self) -> "ChromaStats":
        """One with the same settings that has seen nothing."""
        return ChromaStats(self.value_range, self.layout, self.quantize, self.chroma_samples, self.moments_only)

    def _merged_positions(
        self, other: "ChromaStats", room: NDArray[np.int64] | None
    ) -> tuple[tuple[int, int], NDArray[np.int64] | None]:
        if _NO_SIZE in (self._size, other._size):
            filled = other if self._size == _NO_SIZE else self
            return filled._size, filled._positions
        if self._size != other._size or self._positions is None or other._positions is None:
            return _MIXED_SIZES, None
        mine, theirs = self._positions, other._positions
        if self.count("position_images") + other.count("position_images") > SURE_IMAGES:
            both = mine + theirs
            if ((mine ^ both) & (theirs ^ both) < 0).any():
                raise ValueError("other has too many images, or values too far from its range: sums would overflow")
        return self._size, np.add(mine, theirs, out=room)

    def __add__(self, other: object) -> "ChromaStats":
        if not isinstance(other, ChromaStats):
            return NotImplemented
        return self.empty_like().merge(self).merge(other)

    def __eq__(self, other: object) -> bool:
        """Whether both states are the same to the bit."""
        if not isinstance(other, ChromaStats):
            return NotImplemented
        mine, theirs = self.state(), other.state()
        return mine.keys() == theirs.keys() and all(np.array_equal(mine[key], theirs[key]) for key in mine)

    __hash__ = None  # type: ignore[assignment]  # it changes

    def __repr__(self) -> str:
        return (
            f"ChromaStats(images={self.count('images')}, value_range={self.value_range}, layout={self.layout!r}, "
            f"quantize={self.quantize!r})"
        )

    def count(self, name: str) -> int:
        """One of the counts of the state, e.g. "images", "pixels", "gray_images"."""
        return int(self._counts[_COUNTS.index(check_word(name, "name", _COUNTS))])

    # -- reading --------------------------------------------------------------------------------------------------

    def summary(self) -> ChromaSummary:
        """What all images together show; see `ChromaSummary`. NaN where there was nothing to measure.

        Raises
        ------
        ValueError
            If no image was seen and no value range given: then there is no unit.
        """
        value_range = self.value_range
        if value_range is None:
            raise ValueError("there is nothing to summarise: no images were added, and value_range is not given")
        images, pixels = self.count("images"), self.count("pixels")
        # A screen shows NaN as black; where nothing else is there, measures of it would look like a gray picture's.
        shown, drawn = (images, pixels) if self.count("measured") and not self.moments_only else (0, 0)
        within, between, total = self._moments(value_range)
        m3, variant, chroma = (number / 2**_sums.FRACTION_BITS for number in _sums.to_integers(self._sums[DISPLAY]))
        gray = tuple(_ratio(self.count(f"gray_{level}"), drawn) for level in range(3))
        least, most = self._extremes if self._extremes[0] <= self._extremes[1] else (math.nan, math.nan)
        return ChromaSummary(
            images=images,
            pixels=pixels,
            nonfinite=self.count("nonfinite"),
            value_range=value_range,
            within=within,
            between=between,
            total=total,
            fixed=self._fixed(value_range),
            colorfulness=_ratio(m3, shown),
            colorfulness_variant=_ratio(variant, shown),
            chroma=_ratio(chroma, drawn),
            gray_pixel_share=gray[1],
            gray_pixel_shares=(gray[0], gray[1], gray[2]),
            gray_images=_ratio(self.count("gray_images"), shown),
            clipped_share=(
                _ratio(self.count("clipped_low"), 3 * drawn),
                _ratio(self.count("clipped_high"), 3 * drawn),
            ),
            near_end_share=_ratio(self.count("near_low") + self.count("near_high"), 3 * drawn),
            minimum=float(least),
            maximum=float(most),
        )

    def _moments(self, value_range: tuple[float, float]) -> tuple[ColorMoments, ColorMoments, ColorMoments]:
        """Within, between, total: from the sums by exact integer arithmetic, rounded once."""
        n, one = self.count("measured"), 2**_sums.FRACTION_BITS
        if n == 0:
            empty = ColorMoments.empty(value_range)
            return empty, empty, empty
        numbers = _sums.to_integers(self._sums[:15])
        sums, second, scatter = numbers[SUM], numbers[SECOND], numbers[WITHIN]
        pairs = [sums[i] * sums[j] for i in range(3) for j in range(i, 3)]
        within = np.array([w / (n * one) for w in scatter])
        total = np.array([(s * n * one - p) / (n * one) ** 2 for s, p in zip(second, pairs, strict=True)])
        apart = [((s - w) * n * one - p) / (n * one) ** 2 for s, w, p in zip(second, scatter, pairs, strict=True)]
        mean = np.array([s / (n * one) for s in sums])
        between = np.array(apart)[_MATRIX]
        rounding = 1e-30 * (1 + total[[0, 3, 5]].sum() + mean @ mean)  # of the images' means: 1e-15 each
        if self.count("images") < 2 or np.trace(between) <= rounding:
            between = np.zeros((3, 3))
        low, high = value_range
        unit, origin = (1.0, 0.0) if self._bytes else (high - low, (low + high) / 2)
        return (
            ColorMoments(n, origin + unit * mean, _positive(within[_MATRIX]) * unit**2, value_range),
            ColorMoments(n, origin + unit * mean, _positive(between) * unit**2, value_range),
            ColorMoments(n, origin + unit * mean, _positive(total[_MATRIX]) * unit**2, value_range),
        )

    def _fixed(self, value_range: tuple[float, float]) -> ColorMoments | None:
        """E[covariance of the mean image of N] = fixed + (within - fixed) / N, solved for `fixed`."""
        images = self.count("position_images")
        if self._positions is None or images < 2:
            return None
        low, high = value_range
        unit, origin = (1.0, 0.0) if self._bytes else ((high - low) * _POSITION_UNIT, low)
        average = self._positions.reshape(3, -1) / images * unit
        mean = average.mean(axis=1)
        centered = average - mean[:, np.newaxis]
        pattern = centered @ centered.T / centered.shape[1]
        within = self._moments(value_range)[0].covariance
        covariance = _positive(pattern - (within - pattern) / (images - 1))
        return ColorMoments(centered.shape[1], origin + mean, covariance, value_range)

    # -- files ----------------------------------------------------------------------------------------------------

    def state(self) -> dict[str, NDArray[Any]]:
        """The arrays that `save` writes; `from_state` makes the same of them."""
        state = {
            "version": np.array(VERSION),
            "layout": np.array(self.layout),
            "quantize": np.array(self.quantize),
            "chroma_samples": np.array(self.chroma_samples or 0),
            "moments_only": np.array(self.moments_only),
            "value_range": np.array(self.value_range or (), np.float64),
            "kind": np.array(next(kind for kind, is_bytes in _KINDS.items() if is_bytes is self._bytes)),
            "counts": self._counts.copy(),
            "sums": self._sums.copy(),
            "extremes": self._extremes.copy(),
            "size": np.array(self._size),
        }
        if self._positions is not None:
            state["positions"] = self._positions.copy()
        return state

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the state to a .npz file: first to a temporary name beside it, then renamed.

        So a file that stood there is replaced even if it was read-only, and another hard link to it keeps what was.

        Raises
        ------
        OSError, ValueError
            If the file can't be written, or pictures or arrays stand there, which are then untouched.
        """
        write_bytes(check_result(path, "path", STATE), npz_bytes(self.state()))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "ChromaStats":
        """Read a state that `save` wrote; nothing is ever unpickled.

        Raises
        ------
        OSError
            If the file can't be opened.
        ValueError
            If it is not such a file, is damaged, or comes from a newer version: names the file and the reason.
        """
        name = check_path(path)
        with open_regular(name) as file:
            try:
                return cls.from_state(read_npz(file, {*cls().state(), "positions"}))
            except MemoryError:
                raise MemoryError(f"{name} can't be read as ChromaStats: not enough memory") from None
            except Exception as error:  # a damaged file can fail anywhere in zip, header or data
                reason = error.args[0] if isinstance(error, KeyError) and error.args else reason_of(error)
                raise ValueError(f"{name} can't be read as ChromaStats: {reason}") from error

    @classmethod
    def from_state(cls, state: Mapping[str, NDArray[Any]]) -> "ChromaStats":
        """A state from what `state` gave, checked as far as a look at the sums tells.

        Raises
        ------
        KeyError, TypeError, ValueError
            If it is none, lacks an entry, or comes from a newer version.
        """
        if not isinstance(state, Mapping):
            raise TypeError(f"state must be a mapping of arrays, as ChromaStats.state() gives it; got {shown(state)}")
        version = entry(state, "version", np.int64, ()).item()
        if not 1 <= version <= VERSION:
            raise ValueError(f"it has version {version}, this program reads versions 1 to {VERSION}")
        shape = (min(np.size(given(state, "value_range")), 2),)
        value_range = tuple(entry(state, "value_range", np.float64, shape).tolist()) or None
        samples = entry(state, "chroma_samples", np.int64, ()).item() if version > 1 else 0
        moments_only = entry(state, "moments_only", np.bool_, ()).item() if version > 2 else False
        layout, quantize, kind = (np.asarray(given(state, name)).tolist() for name in ("layout", "quantize", "kind"))
        stats = cls(value_range, layout, quantize, samples or None, moments_only)
        stats._bytes = _KINDS[check_word(kind, "kind", _KINDS)]
        stats._counts = entry(state, "counts", np.int64, (len(_COUNTS),))
        stats._sums = entry(state, "sums", np.int64, (18, _sums.LIMBS))
        stats._extremes = entry(state, "extremes", np.float64, (2,))
        count, is_bytes = dict(zip(_COUNTS, stats._counts.tolist(), strict=True)), stats._bytes
        check_counts(count, is_bytes)
        check_sums(stats._sums, count, is_bytes)
        least, most = stats._extremes.tolist()
        check_extremes(least, most, is_bytes=is_bytes, may_be_none=moments_only or count["measured"] == 0)
        if (stats._bytes is not None and stats.value_range is None) or (
            stats._bytes and stats.value_range != BYTE_RANGE
        ):
            raise ValueError(f"its value_range {stats.value_range} does not fit its images")
        height, width = entry(state, "size", np.int64, (2,)).tolist()
        stats._size = (height, width)
        if (stats._size == _NO_SIZE) != (is_bytes is None):
            raise ValueError(f"its size {stats._size} does not fit its images")
        if stats._size not in (_NO_SIZE, _MIXED_SIZES):
            stats._positions = entry(state, "positions", np.int64, (3, height, width))
            check_positions(stats._positions, count["position_images"], is_bytes)
        return stats


def _chosen(batch: Images, mask: Any) -> Images:
    if mask is None:
        return batch
    chosen = as_array(mask, "mask", dtypes=("bool",))
    if chosen.shape != batch.pixels.shape[:1]:
        raise ValueError(f"mask must have shape {batch.pixels.shape[:1]}, one entry an image; got {chosen.shape}")
    return replace(batch, pixels=chosen_of(batch.pixels, chosen))


def _normalized_sums(records: NDArray[np.float64], low: float, high: float) -> NDArray[np.float64]:
    """Sum, second moments and scatter of each image, for values measured in ranges from the middle: (5 N, 15), of which
    the sum over the images is exact. Rounded products would hide the spread of faint images far from the middle."""
    count, scatter = records[:, :1], records[:, 4:10] / (high - low) ** 2
    mean = (records[:, 1:4] - (low + high) / 2) / (high - low)
    rounded, left = _sums.product(mean[:, [0, 0, 0, 1, 1, 2]], mean[:, [0, 1, 2, 1, 2, 2]])
    parts = np.zeros((5, len(records), 15))
    parts[:2, :, SUM] = _sums.product(count, mean)
    parts[:2, :, SECOND], parts[2:4, :, SECOND] = _sums.product(count, rounded), _sums.product(count, left)
    parts[4, :, SECOND] = parts[4, :, WITHIN] = scatter
    return parts.reshape(-1, 15)


def _positive(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """The nearest covariance: negative eigenvalues, left by rounding or by chance, become 0."""
    values, axes = np.linalg.eigh(matrix)
    if values[0] >= 0:
        return matrix
    nearest: NDArray[np.float64] = (axes * np.maximum(values, 0)) @ axes.T
    return nearest


def _ratio(value: float, count: int) -> float:
    return value / count if count else math.nan
