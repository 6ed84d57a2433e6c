"""The runs of a sweep, here or in other processes: what each of them left, whatever became of the others."""

import contextlib
import multiprocessing
import signal
import warnings
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganchroma._progress import progress
from ganchroma.torch.experiments.config import Config
from ganchroma.torch.experiments.history import History
from ganchroma.torch.experiments.training import train

__all__ = ["Job", "Outcome", "Run", "here", "over_processes", "refuse_in_a_new_process"]

Run = tuple[str, int]
Job = tuple[Config, Path | None]

_GUARD = (
    'in a script, the call belongs under `if __name__ == "__main__":`, since every process imports the script anew; '
    "or pass workers=1"
)
_KILLED = "its process was ended from outside, as when memory runs out"


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one run: its history, or why there is none; and the warnings that it gave."""

    history: History | None = None
    reason: str = ""
    warned: tuple[tuple[type[Warning], str], ...] = ()

    @property
    def interrupted(self) -> bool:
        """Whether it can go on."""
        return not self.reason and (self.history is None or not self.history.complete)


def here(jobs: Mapping[Run, Job], shown: bool) -> dict[Run, Outcome]:
    """One after the other in this process, up to where Ctrl-C is pressed."""
    done: dict[Run, Outcome] = {}
    for key, job in progress(list(jobs.items()), "runs", shown=shown):
        try:
            outcome = _outcome(*job)
        except KeyboardInterrupt:  # between two steps it is a run that ends early, and no exception
            break
        if outcome.interrupted:
            break
        done[key] = outcome
    return done


def over_processes(jobs: Mapping[Run, Job], workers: int, shown: bool) -> dict[Run, Outcome]:
    """Over fresh processes, up to where Ctrl-C is pressed: a forked one would inherit threads that do not run there.

    A process that is killed takes its pool with it. The runs that were going on then are repeated one by one, so that
    it is known which one it was, and the others go on.

    Raises
    ------
    ImportError
        If a package is missing: every run would need it.
    RuntimeError
        If no process could start.
    """
    done: dict[Run, Outcome] = {}
    batches = [dict(jobs)]
    while batches:
        batch = batches.pop()
        found, interrupted = _pool(batch, min(workers, len(batch)), shown)
        done |= found
        if interrupted:
            break
        lost = {key: job for key, job in batch.items() if key not in found}
        if lost and len(batch) == 1:
            done |= dict.fromkeys(lost, Outcome(reason=_KILLED))
        elif lost:
            started = list(lost)[:workers]  # runs start in their order
            rest = {key: job for key, job in lost.items() if key not in started}
            batches += [rest] * bool(rest) + [{key: lost[key]} for key in reversed(started)]
    return done


def _pool(jobs: Mapping[Run, Job], workers: int, shown: bool) -> tuple[dict[Run, Outcome], bool]:
    """What was done, and whether Ctrl-C ended it; if not, what is missing was lost with a process."""
    context = multiprocessing.get_context("spawn")
    stop, began = context.Event(), context.Event()
    waiting: dict[Future[Outcome], Run] = {}
    interrupted = False
    with ProcessPoolExecutor(workers, context, initializer=_begin, initargs=(stop, began)) as pool:
        try:
            with _deaf():
                waiting |= {pool.submit(_outcome, *job): key for key, job in jobs.items()}
            for _ in progress(as_completed(waiting), "runs", shown=shown, total=len(waiting)):
                pass
        except BrokenProcessPool:
            pass
        except KeyboardInterrupt:
            interrupted = True
            stop.set()  # those that run save themselves after their step
            pool.shutdown(wait=True, cancel_futures=True)
    if not (began.is_set() or interrupted):
        raise RuntimeError(f"no process of the sweep could start: {_GUARD}")
    done = {}
    for future, key in waiting.items():
        error = None if future.cancelled() else future.exception()
        if isinstance(error, ImportError):
            raise error
        if error is None and not future.cancelled() and not future.result().interrupted:
            done[key] = future.result()
    return done, interrupted


@contextlib.contextmanager
def _deaf() -> Iterator[None]:
    """Processes that start in here never hear Ctrl-C, which would end them while they import; it is not lost here."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_stop: Any = None  # in a process of a pool: the event that asks its runs to end


def _begin(stop: Any, began: Any) -> None:
    global _stop
    _stop = stop
    began.set()


def _outcome(config: Config, out: Path | None) -> Outcome:
    if _stop is not None and _stop.is_set():
        return Outcome()
    with warnings.catch_warnings(record=True) as caught:
        try:
            history = train(config, out, stopped=None if _stop is None else _stop.is_set)
            reason = history.divergence
        except ImportError:
            raise
        except Exception as error:  # whatever it is, the other runs go on, and the reason is told
            history, reason = None, f"{type(error).__name__}: {error}"
    return Outcome(history, reason, tuple((warning.category, str(warning.message)) for warning in caught))


def refuse_in_a_new_process() -> None:
    """End a process that is about to begin the sweep that it was started for, by importing the script."""
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise SystemExit(f"ganchroma: sweep() was called while a new process imports the script: {_GUARD}")
