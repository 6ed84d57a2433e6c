"""Verifies a case and times it: a row of the results."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

import ganchroma as gch
from benchmarks.case import Call, Case, Flops, Reading, Setting, Work, Writing
from benchmarks.peers import Peers
from benchmarks.roofs import Roofs
from benchmarks.turns import Timed, take_turns, timed

OURS, ROOF = "ganchroma", "roof"
LOOSER = 10  # peers' errors: float32 too, but summed in orders of their own


@dataclass(frozen=True)
class Row:
    """A case on a number of threads. Seconds are medians."""

    family: str
    case: str
    threads: int
    seconds: float
    peers: dict[str, float]
    limit: str | None  # which roof
    share: float | None  # of that roof
    cap: float  # the largest share that the shape allows
    errors: dict[str, float]  # the largest, ours and the peers'
    spread: float
    samples: int
    discarded: int
    noisy: bool

    @property
    def ratios(self) -> dict[str, float]:
        """How many times as long the peers take."""
        return {name: seconds / self.seconds for name, seconds in self.peers.items()}

    @property
    def best(self) -> float | None:
        return min(self.ratios.values(), default=None)

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "ratios": self.ratios, "best_ratio": self.best}


class WrongResult(Exception):
    """No figure is worth anything where the result is wrong."""


def measure(case: Case, peers: Peers, roofs: Roofs, threads: int, seconds: float) -> Row:
    """Takes some `seconds`, more where the machine is busy; verifying is not counted."""
    with gch.threads(threads), peers.limited(threads):
        work = case.prepare(Setting(peers, threads, roofs.lanes))
        errors = verify(case, work)
        samples = take_turns(contenders(work, roofs, threads), roofs, threads, seconds)
    every = list(samples.values())
    ours, roof = samples.pop(OURS), samples.pop(ROOF, None)
    share, cap = roof and roof.median / ours.median, 1.0
    if isinstance(work.limit, Flops):
        share, cap = work.limit.count / roofs.best[threads] / ours.median, work.limit.cap
    return Row(
        family=case.family,
        case=case.name,
        threads=threads,
        seconds=ours.median,
        peers={name: taken.median for name, taken in samples.items()},
        limit=None if work.limit is None else work.limit.name,
        share=share,
        cap=cap,
        errors=errors,
        spread=ours.spread,
        samples=sum(taken.taken for taken in every),
        discarded=sum(taken.discarded for taken in every),
        noisy=any(taken.noisy for taken in every),
    )


def contenders(work: Work, roofs: Roofs, threads: int) -> dict[str, Timed]:
    """Ours first. Passes over an array take turns with the rest; bursts of multiply-adds go between all."""
    found: dict[str, Timed] = {OURS: work.ours if work.times_itself else timed(work.ours, threads)}
    found |= {name: timed(call, threads) for name, call in work.peers.items()}
    if isinstance(work.limit, Reading | Writing):
        one_pass, array = roofs.read if isinstance(work.limit, Reading) else roofs.write, work.limit.array
        found[ROOF] = lambda: one_pass(array, threads)
    return found


def verify(case: Case, work: Work) -> dict[str, float]:
    """Everybody's largest error: who computes something else is no peer."""
    if work.exact is None:
        return {}
    exact = np.asarray(work.exact())
    scale = 1.0 if work.absolute else float(np.abs(exact).max())

    def check(name: str, call: Call, allowed: float) -> float:
        result = np.asarray(work.compared(call()))
        if result.shape != exact.shape:
            raise WrongResult(f"{case.name}: {name} has the shape {result.shape}, not {exact.shape}")
        found = float(np.abs(result - exact).max()) / scale
        if not found <= allowed:
            raise WrongResult(f"{case.name}: {name} is {found:.1e} from the exact answer, allowed are {allowed:.1e}")
        return found

    errors = {OURS: check(OURS, work.checked or work.ours, work.tolerance)}
    looser = LOOSER * work.tolerance if work.tolerance_of_peers is None else work.tolerance_of_peers
    comparable = {name: call for name, call in work.peers.items() if name not in work.strangers}
    return errors | {name: check(name, call, looser) for name, call in comparable.items()}
