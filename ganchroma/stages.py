"""The path of colour as data: its stages with their moments, what is on the screen, and the band that is healthy."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import log, nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganchroma.moments import ColorMoments
from ganchroma.summary import ChromaSummary

# -- the healthy band -------------------------------------------------------------------------------------------
# Visible: an untrained generator in evaluation mode has 0.4, one with default weights 2-5, photographs 28-79.
VISIBLE_LEVELS = 5.0
# Coloured, mean C*ab: photographs 15-47, a nearly gray night sky 3.5, filters that differ by 3 % 1.3, gray .01.
VISIBLE_CHROMA = 3.0
# Achromatic share: photographs .77-.94; equal filters on the screen from .98 up.
GRAY_SHARE = 0.98
# Values within 1 % of an end of the range: photographs up to .23, clamped linear heads .20; saturated heads .7-1.
NEAR_END_SHARE = 0.25
# A display is healthy below this sum of excesses (see trace.badness).
HEALTHY_BADNESS = 0.05


@dataclass(frozen=True)
class Stage:
    """One stage: its colour moments, or for the features what a head can make of them."""

    name: str
    moments: ColorMoments | None = None
    details: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe."""
        moments = self.moments.to_dict() if self.moments is not None else {}
        return {"name": self.name, **moments, **self.details}


@dataclass(frozen=True)
class Display:
    """What is on the screen.

    Attributes
    ----------
    summary : ChromaSummary
    pictures : (n, H, W, 3) uint8
        The first pictures as the user sees them.
    near_end_share : float
        Share of the values within 1 % of an end of the range, a background of all black or all white left out.
    """

    summary: ChromaSummary
    pictures: NDArray[np.uint8]
    near_end_share: float

    @property
    def badness(self) -> float:
        """How far the display is from the healthy band; see `badness`."""
        return badness(self.summary, self.near_end_share)

    @property
    def healthy(self) -> bool:
        return self.badness < HEALTHY_BADNESS

    @property
    def gray(self) -> bool:
        """Whether there is no colour to see: hardly any chroma, or R, G and B all but equal."""
        within = self.summary.within
        if not self.summary.chroma >= VISIBLE_CHROMA:
            return True
        return within.std_levels >= 1 and within.achromatic_share > GRAY_SHARE

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe."""
        return {**self.summary.to_dict(), "std_levels": self.summary.within.std_levels, "badness": self.badness}


@dataclass(frozen=True)
class Trace:
    """The stages that could be measured, in the order in which colour passes them."""

    stages: list[Stage]
    display: Display | None

    def __getitem__(self, name: str) -> Stage:
        for stage in self.stages:
            if stage.name == name:
                return stage
        raise KeyError(f"no stage {name!r} was measured; there are: {', '.join(stage.name for stage in self.stages)}")

    def __contains__(self, name: object) -> bool:
        return any(stage.name == name for stage in self.stages)

    def __iter__(self) -> Iterator[Stage]:
        return iter(self.stages)


def badness(summary: ChromaSummary, near_end_share: float) -> float:
    """Distance of a display from the healthy band: 0 inside, the sum of what is missing or too much outside.

    The terms: log of the missing contrast, log of the missing chroma, the achromatic share above that of any natural
    picture, the share of clipped values above that of photographs. Share and chroma count from one level of contrast
    up; below it rounding decides them. NaN where no pixel was finite.
    """
    if summary.within.count == 0:
        return nan
    levels = max(summary.within.std_levels, 0.01)
    chroma = max(summary.chroma, 0.01)
    share = summary.within.achromatic_share
    total = max(0.0, log(VISIBLE_LEVELS / levels)) + max(0.0, log(VISIBLE_CHROMA / chroma))
    if levels >= 1 and np.isfinite(share):
        total += max(0.0, (share - GRAY_SHARE) / (1 - GRAY_SHARE))
    return float(total + max(0.0, near_end_share - NEAR_END_SHARE))
