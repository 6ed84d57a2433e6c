"""A line of the table, and the three verdicts."""

from collections.abc import Callable
from typing import NamedTuple

HOLDS, PARTLY, FAILS = "holds", "partly", "**fails**"


class Claim(NamedTuple):
    """What was claimed, what was measured over how many seeds, and what that says."""

    name: str
    claimed: str
    measured: str
    effect: str
    seeds: int
    verdict: str


def verdict(*, holds: bool, fails: bool) -> str:
    """Of two conditions that exclude each other; "partly" where neither is met."""
    assert not (holds and fails)
    return HOLDS if holds else FAILS if fails else PARTLY


Measure = Callable[[], Claim]
