"""What is measured of a few pictures, so that the parts of a scan add up to the same whole however it was split."""

import heapq
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ganchroma._files import reason_of
from ganchroma._images import Layout, check_layout, check_value_range
from ganchroma._level_records import LevelRecords
from ganchroma.scanning.containers import Found, Place
from ganchroma.scanning.reading import Range, Reader
from ganchroma.stats import ChromaStats

CHROMA_SAMPLES = 512  # pixels of a picture: with all of them chroma would take as long as decoding
BINS, BIN_WIDTH = 64, 2.5  # of M3; what is beyond is in the last
EXTREMES = 24  # pictures at either end to look at


class Row(NamedTuple):
    """The record of one picture."""

    path: str
    width: int
    height: int
    achromatic_share: float
    colorfulness: float
    chroma: float
    gray: bool


class Extreme(NamedTuple):
    """A picture at one end of M3. Among equals the name's checksum decides: not all of one folder, nor at both ends."""

    rank: float
    tie: int
    place: Place


@dataclass(frozen=True)
class Settings:
    """What a scan measures; see `scan`."""

    value_range: Range | None = None
    layout: Layout = "NCHW"
    rows: bool = False

    @classmethod
    def of(cls, value_range: Any, layout: Any, rows: bool) -> "Settings":
        """Checked."""
        return cls(None if value_range is None else check_value_range(value_range), check_layout(layout), rows)


def new_stats() -> ChromaStats:
    """The state that a scan starts from."""
    return ChromaStats(chroma_samples=CHROMA_SAMPLES)


@dataclass
class Part:
    """Measures of some pictures.

    Attributes
    ----------
    stats : ChromaStats
    histogram : (64,) array of int64
        Pictures by M3, in steps of 2.5.
    grayest, most_colorful : list of Extreme
        At most 24 each, the utmost first.
    unreadable : list of (name, reason)
    rows : list of Row
        Where they were asked for.
    """

    stats: ChromaStats = field(default_factory=new_stats)
    histogram: NDArray[np.int64] = field(default_factory=lambda: np.zeros(BINS, np.int64))
    grayest: list[Extreme] = field(default_factory=list)
    most_colorful: list[Extreme] = field(default_factory=list)
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)

    def merge(self, other: "Part") -> None:
        """Add another part: all but its rows, of which there is no end."""
        self.stats.merge(other.stats)
        self.histogram += other.histogram
        self.grayest = heapq.nsmallest(EXTREMES, self.grayest + other.grayest)
        self.most_colorful = heapq.nsmallest(EXTREMES, self.most_colorful + other.most_colorful)
        self.unreadable += other.unreadable


def measure(unit: Sequence[Found], settings: Settings) -> Part:
    """The measures of the pictures of one unit, by one thread."""
    part, reader = Part(), Reader(settings.value_range, settings.layout)
    records, seen, sizes = LevelRecords.empty(len(unit)), list[Place](), list[tuple[int, int]]()
    for found in unit:
        try:
            if found.reason:
                raise ValueError(found.reason)
            picture = reader.read(found)
            records.measure(len(seen), picture, "round", CHROMA_SAMPLES, threads=1)
        except ImportError:
            raise  # it would be so for every picture
        except Exception as error:  # decoders raise whatever their format's code happens to meet
            name = found.place.name
            part.unreadable.append((name, reason_of(error).removeprefix(f"{name}: ")))
            continue
        seen.append(found.place)
        sizes.append((picture.pixels.shape[3], picture.pixels.shape[2]))
    if seen:
        _add(part, records.first(len(seen)), seen, sizes if settings.rows else None)
    return part


def _add(part: Part, records: LevelRecords, seen: list[Place], sizes: list[tuple[int, int]] | None) -> None:
    part.stats.update_from(records)
    m3 = records.colorfulness
    part.histogram += np.bincount(np.minimum(m3 / BIN_WIDTH, BINS - 1).astype(int), minlength=BINS)
    ties = [zlib.crc32(place.name.encode(errors="surrogateescape")) for place in seen]
    ranks = m3.tolist()
    part.grayest = heapq.nsmallest(EXTREMES, map(Extreme, ranks, ties, seen))
    part.most_colorful = heapq.nsmallest(EXTREMES, map(Extreme, (-m3).tolist(), (-tie for tie in ties), seen))
    if sizes is not None:
        measures = (records.achromatic_share.tolist(), ranks, records.chroma.tolist(), records.gray.tolist())
        for place, size, *values in zip(seen, sizes, *measures, strict=True):
            part.rows.append(Row(place.name, *size, *values))
