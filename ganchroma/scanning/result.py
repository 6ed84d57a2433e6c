"""What a scan found: as numbers, text, page."""

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganchroma._files import printable, write_text
from ganchroma.diagnosis import thresholds as limits
from ganchroma.diagnosis.page import whole
from ganchroma.scanning import page
from ganchroma.scanning.measuring import BIN_WIDTH, Extreme, Part, Settings
from ganchroma.stats import ChromaStats
from ganchroma.summary import ChromaSummary

MOSTLY = 0.5  # share of gray pictures from which a network sees more gray than colour
SLIGHTLY_COLORFUL = 15.0  # M3, by Hasler and Suesstrunk's scale


@dataclass(frozen=True, repr=False, eq=False)
class Scan:
    """Colour of a set of pictures.

    Attributes
    ----------
    stats : ChromaStats
        The state: it saves, loads and merges. Chroma is of about 512 pixels of each picture; no fixed pattern.
    histogram : (64,) array of int64
        Pictures by their colourfulness M3, in steps of 2.5; the last holds what is beyond.
    grayest, most_colorful : list of (name, M3)
        Up to 24 pictures at either end, none at both; among equals chosen by a checksum of the name.
    unreadable : list of (name, reason)
        What was left out; an array of which no picture can be read, for its dtype or layout, once.
    seconds : float
        How long it took.
    complete : bool
        False after an interrupt.

    Examples
    --------
    >>> import tempfile, ganchroma as gch
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.save(f"{folder}/gray.npy", np.full((5, 3, 16, 16), 90, np.uint8))
    ...     found = gch.scan(folder, workers=1)
    >>> found.gray, found.gray_share, found.grayest[0][1]
    (5, 1.0, 0.0)
    >>> found.verdict
    'The claim holds: 5 of 5 pictures (100 %) are gray. What learns from them makes gray pictures.'
    """

    stats: ChromaStats
    histogram: NDArray[np.int64]
    grayest: list[tuple[str, float]]
    most_colorful: list[tuple[str, float]]
    unreadable: list[tuple[str, str]]
    seconds: float
    complete: bool
    _extremes: tuple[list[Extreme], list[Extreme]]
    _settings: Settings

    @classmethod
    def of(cls, part: Part, settings: Settings, seconds: float, complete: bool) -> "Scan":
        """What there is to say of the sum of all parts."""
        images = part.stats.count("images")
        ends = part.grayest[: images - images // 2], part.most_colorful[: images // 2]  # of few no picture is at both
        low = [(extreme.place.name, extreme.rank) for extreme in ends[0]]
        high = [(extreme.place.name, -extreme.rank) for extreme in ends[1]]
        return cls(part.stats, part.histogram, low, high, part.unreadable, seconds, complete, ends, settings)

    @property
    def images(self) -> int:
        """Pictures that were measured."""
        return self.stats.count("images")

    @property
    def gray(self) -> int:
        """Pictures with more than 99 % of their pixels gray within 2 levels."""
        return self.stats.count("gray_images")

    @property
    def gray_share(self) -> float:
        """Of the pictures that were measured; NaN where there is none."""
        return self.gray / self.images if self.images else float("nan")

    def summary(self) -> ChromaSummary | None:
        """The numbers of all pictures together; None where there is none."""
        return self.stats.summary() if self.images else None

    @property
    def verdict(self) -> str:
        """Whether "the data set lacks colour, or is biased towards gray" holds of these pictures."""
        found = self.summary()
        if found is None:
            if self.unreadable:
                return "Nothing can be said: no picture could be read."
            return "Nothing can be said: there is no picture; in folders and archives files count by their endings."
        share = found.within.achromatic_share
        those = f"{self.gray:,} of {self.images:,} pictures ({_percent(self.gray_share)}) are gray"
        if self.gray_share >= MOSTLY:
            return f"The claim holds: {those}. What learns from them makes gray pictures."
        if share > limits.GRAY_SHARE or not found.within.variance > 0:
            return f"The claim holds: {those}, and the others hardly have colour: achromatic share {share:.3f}."
        if self.gray_share > limits.SOME_GRAY:
            return f"The claim holds in part: {those}. What learns from them is drawn towards gray."
        if found.colorfulness < SLIGHTLY_COLORFUL:
            return (
                f"The claim holds in part: {those}, but the mean colourfulness M3 is {found.colorfulness:.1f}; "
                f"from {SLIGHTLY_COLORFUL:.0f} on pictures are slightly colourful."
            )
        return f"The claim does not hold: {those}. The data has colour (M3 {found.colorfulness:.1f})."

    def to_dict(self) -> dict[str, Any]:
        """Numbers, lists and dictionaries that `json.dumps` takes."""
        found = self.summary()
        return {
            "images": self.images,
            "gray": self.gray,
            "gray_share": self.gray_share if self.images else None,
            "unreadable": [name for name, _ in self.unreadable],
            "reasons": [reason for _, reason in self.unreadable],
            "summary": None if found is None else found.to_dict(),
            "verdict": self.verdict,
            "histogram": {"width": BIN_WIDTH, "counts": self.histogram.tolist()},
            "grayest": [{"path": name, "colorfulness": m3} for name, m3 in self.grayest],
            "most_colorful": [{"path": name, "colorfulness": m3} for name, m3 in self.most_colorful],
            "seconds": self.seconds,
            "complete": self.complete,
        }

    def save_html(self, path: str | os.PathLike[str]) -> None:
        """Write a page that stands alone, with the pictures at either end; those are read again for it.

        A file that stands there is replaced as by `ChromaStats.save`.
        """
        write_text(path, whole("ganchroma scan", [page.fragment(self, *self._pictures())]))

    def _repr_html_(self) -> str:
        return page.fragment(self, *self._pictures())

    def _pictures(self) -> tuple[NDArray[np.uint8] | None, NDArray[np.uint8] | None]:
        ends = [[extreme.place for extreme in end] for end in self._extremes]
        made = page.tiles([*ends[0], *ends[1]], self._settings)
        low, high = (page.contact_sheet([made[place] for place in end if place in made]) for end in ends)
        return low, high

    def __str__(self) -> str:
        rate = f" ({self.images / self.seconds:,.0f} a second)" if self.seconds > 0 else ""
        lines = [
            f"{self.images:,} pictures in {self.seconds:.1f} s{rate}, {len(self.unreadable):,} unreadable"
            f"{'' if self.complete else '; interrupted: this is not all'}",
            self.verdict,
        ]
        found = self.summary()
        if found is not None:
            lines += ["", str(found), "", "grayest:"]
            lines += [f"  {m3:6.1f}  {printable(name)}" for name, m3 in self.grayest[:5]]
        if self.unreadable:
            lines += [
                "",
                "unreadable:",
                *(f"  {printable(name)}: {printable(reason)}" for name, reason in self.unreadable[:10]),
            ]
            more = len(self.unreadable) - 10
            lines += [f"  and {more:,} more"] if more > 0 else []
        return "\n".join(lines)

    def __repr__(self) -> str:
        return (
            f"Scan(images={self.images}, gray={self.gray}, unreadable={len(self.unreadable)}, complete={self.complete})"
        )


def _percent(share: float) -> str:
    """A share in percent: none and all are said only of none and all."""
    if 0 < share < 0.001:
        return "under .1 %"
    if 0.999 < share < 1:
        return "over 99.9 %"
    return f"{100 * share:.1f} %".removeprefix("0") if 0 < share < 0.01 else f"{100 * share:.3g} %"
