"""What the core finds in each image's 8-bit levels: exact integers, one row an image."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganchroma import _core, _sums
from ganchroma._images import Images
from ganchroma._sampling import sampling_step
from ganchroma.color import parse_rule

SUM, SECOND, WITHIN, DISPLAY = slice(0, 3), slice(3, 9), slice(9, 15), slice(15, 18)  # rows of the exact sums
_COLUMNS = 31  # struct gch_level_record: sums, then what follows from them
_FRACTION_BITS = np.repeat([0, 16, 0, 32], [16, 1, 6, 8])  # of each column
_DIAGONAL = np.array([0, 3, 5])  # of RR, RG, RB, GG, GB, BB
_ONCE_AND_TWICE = np.array([1, 2, 2, 1, 2, 1])
_LEAST_SCATTER = 1e-6  # levels squared times pixels: below are only roundings of the fraction


@dataclass(frozen=True)
class LevelRecords:
    """Measures of images, to be filled one or many at a time.

    Attributes
    ----------
    levels : (N, 31) array of int64
        Rows of ``struct gch_level_record``: sums R, G, B; of products RR, RG, RB, GG, GB, BB; of \\|rg\\| and \\|yb\\|;
        pixels gray within 0, 1, 2 levels; values at 0 and 255; chroma in 2^-16; scatter about the image's own mean,
        whole and in 2^-32; M3 and its variant in 2^-32.
    extremes : (N, 4) array of float64
        Values near the low and the high end, the least and the largest value.
    pixels : (N,) array of int64
    """

    levels: NDArray[np.int64]
    extremes: NDArray[np.float64]
    pixels: NDArray[np.int64]

    @classmethod
    def empty(cls, count: int) -> "LevelRecords":
        """Room for `count` images."""
        return cls(np.zeros((count, _COLUMNS), np.int64), np.zeros((count, 4)), np.zeros(count, np.int64))

    def measure(self, place: int, batch: Images, rule: Any, chroma_samples: int | None, threads: int) -> None:
        """Fill the rows from `place` on, one an image of `batch`; about `chroma_samples` pixels have their chroma.

        With 0 of them sums and products are all that is counted, and their scatter and M3.
        """
        count, _, height, width = batch.pixels.shape
        rows = slice(place, place + count)
        every = 1 if chroma_samples is None else chroma_samples and sampling_step(height, width, chroma_samples)
        low, high = batch.value_range
        _core.stats_levels(
            batch.pixels, self.levels[rows], self.extremes[rows], low, high, parse_rule(rule), every, threads
        )
        self.pixels[rows] = height * width

    def first(self, count: int) -> "LevelRecords":
        """The first rows."""
        return LevelRecords(self.levels[:count], self.extremes[:count], self.pixels[:count])

    def sums(self) -> NDArray[np.int64]:
        """Of all images: R, G, B; the six products; the six of the scatter; M3 and its variant; chroma; see `_sums`."""
        total = _sums.from_integers(self.levels, _FRACTION_BITS)
        return np.concatenate([total[:9], total[17:23] + total[23:29], total[29:31], total[16:17]])

    @property
    def gray(self) -> NDArray[np.bool_]:
        """Which images have more than 99 % of their pixels gray within 2 levels."""
        gray: NDArray[np.bool_] = 100 * self.levels[:, 13] > 99 * self.pixels
        return gray

    @property
    def colorfulness(self) -> NDArray[np.float64]:
        """M3 of each image."""
        return np.ldexp(self.levels[:, 29].astype(np.float64), -32)

    @property
    def chroma(self) -> NDArray[np.float64]:
        """Mean C*ab of each image."""
        sums = np.ldexp(self.levels[:, 16].astype(np.float64), -16)
        chroma: NDArray[np.float64] = sums / np.maximum(self.pixels, 1)
        return chroma

    @property
    def achromatic_share(self) -> NDArray[np.float64]:
        """Share of each image's variance along the gray axis; NaN where nothing varies."""
        scatter = self.levels[:, 17:23] + self.levels[:, 23:29] * 2.0**-32
        trace = scatter[:, _DIAGONAL].sum(axis=1)
        trace[trace < _LEAST_SCATTER] = np.nan
        share: NDArray[np.float64] = scatter @ _ONCE_AND_TWICE / 3 / trace
        return share
