"""How well the diagnosis answers the test bed: the score, the confusion matrix, the calibration of its confidence."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bed import KINDS, Case

import ganchroma as gch


@dataclass(frozen=True)
class Result:
    """A case and what was answered."""

    case: Case
    found: tuple[str, ...]  # kinds, the first cause first
    possible: tuple[str, ...]
    gray: bool
    confidence: tuple[tuple[str, float], ...]  # of every kind that was named

    @property
    def first(self) -> str:
        return (*self.found, *self.possible)[0]

    @property
    def right(self) -> bool:
        return self.first in self.case.kinds

    @property
    def exact(self) -> bool:
        return set(self.found) == self.case.kinds

    @property
    def reported(self) -> bool:
        return bool(self.case.kinds & {*self.found, *self.possible})


def ask(case: Case) -> Result:
    answer = gch.diagnose(**case.given)
    named = {status: tuple(c.kind for c in answer.causes if c.status == status) for status in ("found", "possible")}
    confidence = tuple((cause.kind, cause.confidence) for cause in answer.causes)
    return Result(case, named["found"], named["possible"], answer.looks_gray, confidence)


def share(results: Sequence[Result], good: Iterable[bool]) -> float:
    return sum(good) / max(len(results), 1)
