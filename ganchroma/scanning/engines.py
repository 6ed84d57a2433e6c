"""Units are measured here or in other processes; what comes back is in the order in which they were given."""

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Protocol

from ganchroma.scanning.measuring import Part, Settings, measure
from ganchroma.scanning.places import Found

AHEAD = 8  # units a worker that wait for it or for their turn: what a scan holds in memory

Unit = list[Found]


class Engine(Protocol):
    """Where units are measured."""

    workers: int
    died: tuple[type[BaseException], ...]  # what a result raises whose worker ended

    def submit(self, unit: Unit) -> Any:
        """Begin; the answer has a method `result`."""

    def renew(self) -> None:
        """Make it work again after a worker ended."""

    def close(self) -> None:
        """End without waiting for what was not begun."""


class Processes:
    """Processes of this machine, each with one thread.

    Parameters
    ----------
    measuring : callable
        Unit -> Part.
    workers : int
    """

    died: tuple[type[BaseException], ...] = (BrokenProcessPool,)

    def __init__(self, measuring: Callable[[Unit], Part], workers: int) -> None:
        self.measuring, self.workers = measuring, workers
        self.renew()

    def submit(self, unit: Unit) -> Any:
        """Begin; the answer is a future."""
        return self._pool.submit(self.measuring, unit)

    def renew(self) -> None:
        """New processes."""
        context = multiprocessing.get_context(start_method())
        self._pool = ProcessPoolExecutor(self.workers, mp_context=context, initializer=_leave_interrupts_alone)
        try:
            self._pool.submit(os.getpid).result()
        except BrokenProcessPool:
            raise RuntimeError(
                'no process could start; in a script, call it below `if __name__ == "__main__":`, or with workers=1'
            ) from None

    def close(self) -> None:
        """End without waiting for what was not begun."""
        self._pool.shutdown(wait=True, cancel_futures=True)


def start_method() -> str:
    """How processes begin: as this platform prefers or the program chose."""
    return multiprocessing.get_start_method()


def _leave_interrupts_alone() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all; the parent decides what becomes of it


class Measuring:
    """`measure` with its settings, for other processes."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def __call__(self, unit: Unit) -> Part:
        return measure(unit, self.settings)


def here(units: Iterable[Unit], measuring: Callable[[Unit], Part]) -> Iterator[tuple[Unit, Part]]:
    """Each unit with its part, measured in this process."""
    for unit in units:
        yield unit, measuring(unit)


def elsewhere(units: Iterable[Unit], engine: Engine) -> Iterator[tuple[Unit, Part]]:
    """The same by an engine, a few units ahead, in order.

    A picture that ends the process that decodes it is unreadable; the others are measured all the same.
    """
    waiting: deque[tuple[Unit, Any]] = deque()
    rest, ahead = iter(units), engine.workers * AHEAD
    while True:
        for unit in rest:
            waiting.append((unit, engine.submit(unit)))
            if len(waiting) >= ahead:
                break
        if not waiting:
            return
        unit, future = waiting.popleft()
        try:
            yield unit, future.result()
        except engine.died:
            doubtful = [unit, *(other for other, _ in waiting)]
            waiting.clear()
            engine.renew()
            for each in doubtful:
                yield each, _alone(each, engine)


def _alone(unit: Sequence[Found], engine: Engine) -> Part:
    """One unit with nothing beside it, then in halves, until it is known which picture does it."""
    try:
        part: Part = engine.submit(list(unit)).result()
        return part
    except engine.died:
        engine.renew()
    if len(unit) == 1:
        return Part(unreadable=[(unit[0].place.name, "the process that decoded it came to an end")])
    part = _alone(unit[: len(unit) // 2], engine)
    rows = part.rows
    second = _alone(unit[len(unit) // 2 :], engine)
    part.merge(second)
    part.rows = rows + second.rows
    return part
