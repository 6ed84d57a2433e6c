"""What a cause is: two pure functions, and what the first of them answers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ganchroma.diagnosis.display import Step
from ganchroma.diagnosis.evidence import Evidence
from ganchroma.stages import Trace

FACT, SIGN, POSSIBLE = "fact", "sign", "possible"


@dataclass(frozen=True)
class Suspicion:
    """Why a cause is suspected.

    Attributes
    ----------
    strength : str
        FACT: a finding whatever the display looks like. SIGN: a finding if its remedy is needed to bring the display
        into the healthy band. POSSIBLE: what is given neither shows it nor rules it out.
    evidence : dict
        The numbers behind it.
    reason : str
        One sentence that says what was seen, with the numbers.
    remedy : str
        What to do, in words.
    code : str, optional
        The same as Python.
    settle : str, optional
        Which further input would turn a possibility into an answer.
    stage : str, optional
        Where the colour goes, where that is another stage than for most faults of the kind.
    stands_alone : bool
        Whether a possibility is worth saying of a picture that is visible, coloured and not clipped.
    """

    strength: str
    evidence: dict[str, Any]
    reason: str
    remedy: str
    code: str | None = None
    settle: str | None = None
    stage: str | None = None
    stands_alone: bool = False


@dataclass(frozen=True)
class Cause:
    """See `causes`. `remark`: what to say of evidence in which the cause itself is not suspected, if anything."""

    name: str
    kind: str
    suspect: Callable[[Evidence, Trace], Suspicion | None]
    remedy: Callable[[Evidence], Evidence | None]
    remark: Callable[[Evidence], str | None] | None = None


def possible(what: str, remedy: str, settle: str) -> Suspicion:
    return Suspicion(POSSIBLE, {}, f"{what} would look like this; pictures alone can't tell", remedy, settle=settle)


def proven(step: Step, remedy: str, code: str) -> Suspicion:
    return Suspicion(
        FACT,
        {"display_path": step.detail},
        f"the picture differs from the network's image: {step.detail}",
        remedy,
        code,
    )
