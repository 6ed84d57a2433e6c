"""Contenders take turns, and what was measured while the machine did something else does not count."""

from collections.abc import Callable, Mapping
from statistics import median, quantiles
from time import perf_counter, process_time, sleep
from typing import Any, NamedTuple

from benchmarks.roofs import Roofs

SAMPLE = 0.005  # seconds at least: calls that take less are repeated
BURST = 0.002
SPINNING = 0.006  # seconds that threads of OpenMP may wait for work before they sleep
STEADY = 0.92  # of the fastest burst of the run: slower ones shared the processor
ENOUGH = 5  # quiet samples of each contender
PATIENCE = 6  # times the seconds given, until there are as many
MOST = 200


class Samples(NamedTuple):
    """Seconds a call took, in quiet samples; where too few were quiet, in all of them."""

    seconds: list[float]
    taken: int
    discarded: int  # taken while the machine did something else
    noisy: bool  # too few were quiet, so that all count

    @property
    def median(self) -> float:
        return median(self.seconds)

    @property
    def spread(self) -> float:
        """Between the quartiles, as a share of the median."""
        if len(self.seconds) < 2:
            return 0.0
        low, _, high = quantiles(self.seconds, n=4, method="inclusive")
        return (high - low) / self.median


Timed = Callable[[], float]


def timed(call: Callable[[], Any], threads: int) -> Timed:
    """Seconds of a call: processor time for one thread (of every thread of the process), wall time for more."""
    clock = process_time if threads == 1 else perf_counter

    def once(repeats: int) -> float:
        start = clock()
        for _ in range(repeats):
            call()
        return (clock() - start) / repeats

    first = once(1)  # also warms up
    repeats = 1 if first >= SAMPLE else max(1, round(SAMPLE / max(once(3), SAMPLE / 1e5)))
    return lambda: once(repeats)


def take_turns(contenders: Mapping[str, Timed], roofs: Roofs, threads: int, seconds: float) -> dict[str, Samples]:
    """The first contender before each of the others, a burst of multiply-adds around every sample."""
    first, *others = contenders
    order = [name for other in others for name in (first, other)] or [first]
    taken: dict[str, list[tuple[float, bool]]] = {name: [] for name in contenders}

    def quiet(name: str) -> list[float]:
        return [value for value, steady in taken[name] if steady]

    start = perf_counter()
    before = roofs.burst(threads, BURST)
    while True:
        for name in order:
            value = contenders[name]()
            if threads > 1:
                sleep(SPINNING)
            after = roofs.burst(threads, BURST)
            taken[name].append((value, min(before, after) >= STEADY * roofs.best[threads]))
            before = after
        spent, rounds = perf_counter() - start, len(taken[order[-1]])
        enough = min(len(quiet(name)) for name in contenders) >= ENOUGH
        if rounds >= MOST or (spent >= seconds and (enough or spent >= PATIENCE * seconds)):
            break
    return {name: _samples(quiet(name), [value for value, _ in taken[name]]) for name in contenders}


def _samples(quiet: list[float], every: list[float]) -> Samples:
    noisy = len(quiet) < ENOUGH
    return Samples(every if noisy else quiet, len(every), len(every) - len(quiet), noisy)
