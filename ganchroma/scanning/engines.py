"""Units are measured here or in processes of their own; what comes back is in the order in which they were given."""

import contextlib
import multiprocessing
import signal
from collections.abc import Callable, Generator, Iterable
from multiprocessing import connection
from typing import Any

from ganchroma.scanning.containers import Found
from ganchroma.scanning.measuring import Part, Settings, measure
from ganchroma.scanning.reading import close_kept

AHEAD = 8  # units a worker that wait for their turn

Unit = list[Found]
Parts = Generator[tuple[Unit, Part], None, None]


class Measuring:
    """`measure` with its settings, for other processes."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def __call__(self, unit: Unit) -> Part:
        return measure(unit, self.settings)


def here(units: Iterable[Unit], measuring: Callable[[Unit], Part]) -> Parts:
    """Each unit with its part, measured in this process."""
    try:
        for unit in units:
            yield unit, measuring(unit)
    finally:
        close_kept()


def over_processes(units: Iterable[Unit], measuring: Callable[[Unit], Part], count: int) -> Parts:
    """The same by up to `count` processes, a few units ahead.

    A picture that ends the process that decodes it is unreadable; the others are measured all the same. Each process
    has a pipe of its own, so that one that is killed takes nothing with it, and all can be killed at the end.

    Raises
    ------
    RuntimeError
        If no process could start.
    """
    workers: list[_Worker] = []
    try:
        yield from _in_order(units, measuring, workers, count)
    finally:
        for worker in workers:
            worker.end()


def _in_order(units: Iterable[Unit], measuring: Callable[[Unit], Part], workers: list["_Worker"], most: int) -> Parts:
    """Starts a worker, up to `most`, where there is a unit that no other is free to take."""
    rest, given, taken = enumerate(units), 0, 0
    under_way: dict[_Worker, tuple[int, Unit]] = {}
    done: dict[int, tuple[Unit, Part]] = {}
    while True:
        while len(under_way) < most and given - taken < AHEAD * most:
            number, unit = next(rest, (-1, []))
            if not unit:
                break
            if len(under_way) == len(workers):
                workers.append(_Worker(measuring))
            worker = next(worker for worker in workers if worker not in under_way)
            under_way[worker], given = (number, unit), given + 1
            worker.send(unit)
        if taken in done:
            yield done.pop(taken)
            taken += 1
        elif under_way:
            for ready in connection.wait([worker.connection for worker in under_way]):
                worker = next(worker for worker in under_way if worker.connection is ready)
                number, unit = under_way.pop(worker)
                part = worker.receive()
                part = piecewise(unit, worker.anew) if part is None else part
                done[number] = ([found._replace(data=None) for found in unit], part)
        else:
            return


def piecewise(unit: Unit, attempt: Callable[[Unit], Part | None]) -> Part:
    """A unit that ended a process: once more, then in halves, until it is known which picture does it.

    `attempt` gives None where the process came to an end.
    """
    part = attempt(unit)
    if part is not None:
        return part
    if len(unit) == 1:
        return Part(unreadable=[(unit[0].place.name, "the process that decoded it came to an end")])
    first, second = (piecewise(half, attempt) for half in (unit[: len(unit) // 2], unit[len(unit) // 2 :]))
    rows = first.rows + second.rows
    first.merge(second)
    first.rows = rows
    return first


class _Worker:
    """A process that measures one unit after the other."""

    def __init__(self, measuring: Callable[[Unit], Part]) -> None:
        self.measuring = measuring
        self._start()
        if self._answer() is None:
            raise RuntimeError(
                'no process could start; in a script, call it below `if __name__ == "__main__":`, or with workers=1'
            )

    def _start(self) -> None:
        context = multiprocessing.get_context()  # as this platform prefers or the program chose
        self.connection, other = context.Pipe()
        self.process: Any = context.Process(target=_serve, args=(other, self.connection, self.measuring), daemon=True)
        self.process.start()
        other.close()  # with either end in one process alone, that the process ended is the end of the pipe

    def _answer(self) -> Any:
        try:
            return self.connection.recv()
        except (EOFError, OSError):
            return None

    def send(self, unit: Unit) -> None:
        """Begin."""
        with contextlib.suppress(OSError):  # it has ended, which `receive` will find
            self.connection.send(unit)

    def receive(self) -> Part | None:
        """Wait for the answer; None, and a new process, where this one came to an end."""
        answer = self._answer()
        if isinstance(answer, BaseException):
            raise answer
        if answer is None:
            self.end()
            self._start()
            self._answer()
        part: Part | None = answer
        return part

    def anew(self, unit: Unit) -> Part | None:
        """Begin and wait."""
        self.send(unit)
        return self.receive()

    def end(self) -> None:
        """At once: it holds nothing that could be lost."""
        self.process.kill()
        self.process.join()
        self.connection.close()


def _serve(pipe: Any, parents: Any, measuring: Callable[[Unit], Part]) -> None:
    """Answer until the parent is gone. `parents`: its end of the pipe, which a forked process has too."""
    parents.close()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all; the parent decides what becomes of it
    answer: Any = "ready"
    while True:
        try:
            pipe.send(answer)
            unit = pipe.recv()
        except (EOFError, OSError):  # the parent is gone
            return
        try:
            answer = measuring(unit)
        except Exception as error:  # raised again where it is of use
            answer = error
