"""Threads, instruction set, and what this process has loaded."""

import os
import platform
import reprlib
import sys
from collections.abc import Callable
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from threading import Event, Thread
from types import TracebackType
from typing import Any, TypeVar

import numpy as np

from ganchroma import _core
from ganchroma._arrays import check_integer

__all__ = ["runtime_info", "show_runtime", "threads"]

Result = TypeVar("Result")

MOST_WORKERS = 1024  # each takes some 40 MB
MOST_DIGITS = 18  # Python refuses to read thousands of them

# The limits of the blocks around a call, the innermost last. They live in the context alone, so that one `threads`
# object may be used in several threads and tasks at once.
_chosen: ContextVar[tuple[int, ...]] = ContextVar("ganchroma_threads", default=())


def check_threads(value: Any, name: str = "threads") -> int:
    """A positive number of threads, or an error that names the argument."""
    return check_integer(value, name, 1)


@cache
def _environment() -> int | None:
    """Read at the first call that needs it, not at import: the command line can then say what is wrong in a line."""
    text = os.environ.get("GANCHROMA_NUM_THREADS", "").strip()
    if not text:
        return None
    if not text.isdecimal() or len(text) > MOST_DIGITS or int(text) < 1:
        raise ValueError(f"GANCHROMA_NUM_THREADS must be a positive integer, got {reprlib.repr(text)}")
    return int(text)


class threads:
    """Use at most `n` threads inside a ``with`` block, in this thread and its async tasks.

    Parameters
    ----------
    n : int
        At least 1. A call's own ``threads=`` goes before it.

    Examples
    --------
    >>> import ganchroma as gch
    >>> with gch.threads(1):
    ...     y = gch.activate(np.zeros((2, 3), np.float32), "tanh")
    """

    def __init__(self, n: int) -> None:
        self._n = check_threads(n, "n")

    def __enter__(self) -> "threads":
        _chosen.set((*_chosen.get(), self._n))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        _chosen.set(_chosen.get()[:-1])


def processor_limit() -> int:
    """Processors this process may use now: its affinity, and its control group's quota."""
    affinity = getattr(os, "sched_getaffinity", None)
    count = len(affinity(0)) if affinity else os.cpu_count() or 1
    return min(count, _quota())


@cache  # reading files costs more than a small call; affinity, which pools set after the import, is asked each time
def _quota() -> int:
    """Processors that the control group's quota amounts to."""
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return max(1, round(int(quota) / int(period)))
    except (OSError, ValueError):
        return sys.maxsize  # no such control group, or "max"


def resolve_threads(given: int | None) -> int:
    """Threads for a call: ``threads=``, the ``with`` block, the environment, OpenMP; within the process's limit."""
    if given is not None:
        wanted = check_threads(given)
    else:
        chosen = _chosen.get()
        wanted = chosen[-1] if chosen else _environment() or _default()
    return min(wanted, processor_limit()) if wanted > 1 else wanted


def resolve_workers(given: int | None) -> int:
    """Processes for a call: as many as processors where nothing is given."""
    if given is None:
        return min(processor_limit(), MOST_WORKERS)
    wanted = check_integer(given, "workers", 1)
    if wanted > MOST_WORKERS:
        raise ValueError(f"workers is {wanted}; accepted: 1 to {MOST_WORKERS}, of which as many start as have work")
    return wanted


def interruptible(work: Callable[[], Result]) -> Result:
    """What `work` returns, from a thread of its own: Ctrl-C ends the wait for what NumPy can't be stopped in.

    It goes on to its end then, for nobody; the program can't end before, in the midst of a library's code.
    """
    done: list[Result] = []
    failed: list[BaseException] = []
    over = Event()

    def run() -> None:
        try:
            done.append(work())
        except BaseException as error:
            failed.append(error)
        finally:
            over.set()

    thread = Thread(target=run, daemon=False)
    thread.start()
    over.wait()  # Python 3.11 forgets a thread whose `join` is interrupted, and ends without it
    thread.join()
    if failed:
        raise failed[0]
    return done[0]


def _default() -> int:
    process = sys.modules.get("multiprocessing.process")
    if process is not None and process.current_process().daemon:
        return 1  # a pool's worker: its siblings keep the other processors busy
    return _core.default_threads()


def openmp_libraries() -> list[str]:
    """Paths of the OpenMP runtimes loaded in this process (Linux; empty elsewhere)."""
    try:
        maps = Path("/proc/self/maps").read_text()
    except OSError:
        return []
    paths = {line.split(maxsplit=5)[-1] for line in maps.splitlines() if "/" in line}
    return sorted(path for path in paths if any(word in Path(path).name for word in ("libgomp", "libomp", "libiomp")))


def runtime_info() -> dict[str, Any]:
    """What `show_runtime` prints, as a dictionary."""
    from ganchroma import __version__

    return {
        "ganchroma": __version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "isa": _core.isa(),
        "available_isas": list(_core.available_isas()),
        "threads": resolve_threads(None) if _core.has_openmp() else 1,
        "processors": processor_limit(),
        "openmp": _core.has_openmp(),
        "openmp_libraries": openmp_libraries(),
    }


def show_runtime() -> None:
    """Print versions, instruction set, threads, and every OpenMP library in the process.

    Raises
    ------
    ValueError
        If the environment asks for a number of threads that is none.

    Examples
    --------
    >>> import ganchroma as gch
    >>> gch.show_runtime()
    ganchroma          ...
    isa                ...
    openmp_libraries   ...
    """
    for key, value in runtime_info().items():
        text = ", ".join(value) if isinstance(value, list) else str(value)
        if key == "openmp" and not value:
            text += ": a serial build, every call runs on one thread, whatever threads= and GANCHROMA_NUM_THREADS say"
        print(f"{key:18s} {text or '-'}")
