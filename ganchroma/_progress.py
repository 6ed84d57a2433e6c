"""A progress bar for whatever takes longer than a second."""

import sys
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Protocol


def progress(items: Iterable[Any], description: str, *, shown: bool = True, total: int | None = None) -> Any:
    """Iterate over `items` behind a bar on stderr that appears after a second; without tqdm, without a bar.

    `total` is their number, where they have no length.
    """
    if not shown:
        return items
    try:
        from tqdm import tqdm
    except ImportError:
        return items
    return tqdm(items, desc=description, delay=1, leave=False, total=total, dynamic_ncols=True, file=_Stderr())


class Counter(Protocol):
    """A bar that is told how far things are."""

    def update(self, n: int) -> object:
        """`n` more are done."""

    def close(self) -> None:
        """It disappears."""


def counter(description: str, unit: str, *, shown: bool, total: int | None, done: int = 0) -> Counter:
    """A bar that counts `unit`, with their rate and, where their `total` is known, the time left."""
    if shown:
        try:
            from tqdm import tqdm
        except ImportError:
            return _Silent()
        about = {"desc": description, "unit": f" {unit}s", "total": total, "initial": done}
        bar: Counter = tqdm(delay=1, leave=False, dynamic_ncols=True, file=_Stderr(), **about)
        return bar
    return _Silent()


class _Silent:
    def update(self, n: int) -> None:
        pass

    def close(self) -> None:
        pass


class _Stderr:
    """Where it is closed, full or left by its reader, the bar is not seen; the work goes on."""

    def __getattr__(self, name: str) -> Any:
        return getattr(sys.stderr, name)

    def write(self, text: str) -> None:
        if sys.stderr is not None:
            with suppress(OSError):
                sys.stderr.write(text)

    def flush(self) -> None:
        if sys.stderr is not None:
            with suppress(OSError):
                sys.stderr.flush()
