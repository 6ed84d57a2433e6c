"""What there is to scan: every picture that paths lead to, in an order that is the same each time."""

import glob
import os
import stat
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ganchroma._files import check_path, reason_of
from ganchroma.scanning.containers import Check, Found, Place, count_inside, inside, is_looked_at

UNIT, UNIT_BYTES = 64, 1 << 26  # pictures that are measured in one go, and what they may hold of their bytes


def check_paths(paths: Any) -> list[str]:
    """One path or many as strings, patterns replaced by what they match.

    Raises
    ------
    TypeError
        If they are no paths.
    ValueError
        If there is none, or one leads nowhere.
    """
    given = [paths] if isinstance(paths, str | bytes | os.PathLike) else paths
    if not isinstance(given, Iterable):
        raise TypeError(f"paths must be a path or a list of paths, got {type(paths).__name__}")
    found: list[str] = []
    for place, path in enumerate(given):
        name = check_path(path, f"paths[{place}]")
        if os.path.lexists(name):
            found.append(name)
            continue
        try:
            matching = sorted(glob.glob(name, recursive=True)) if glob.has_magic(name) else []
        except RecursionError:  # `glob` calls itself for each folder in another
            raise ValueError(
                f"{name}: folders lie too deep in each other for a pattern; give the folder itself"
            ) from None
        if not matching:
            what = "matches nothing" if glob.has_magic(name) else "no such file or folder"
            raise ValueError(f"{name}: {what}; accepted: picture files, folders, patterns, .zip, .tar, .npy, .npz")
        found += matching
    if not found:
        raise ValueError("paths is empty; accepted: picture files, folders, patterns, .zip, .tar, .npy, .npz")
    return found


def find(paths: Sequence[str], leave: Collection[str] = (), check: Check | None = None) -> Iterator[Found]:
    """Every picture under `paths`, in order. In folders only pictures, archives and arrays count, by their endings.

    What can't be opened comes with its reason, and so does an array of which `check` says that nothing in it can be
    read: once, not for every picture. `leave`: real paths of files that don't count.
    """
    for file in _listed(paths, leave):
        yield from [file] if file.reason else inside(file.place.path, check)


def units(found: Iterable[Found], size: int = UNIT) -> Iterator[list[Found]]:
    """The same in lists of `size`, the last one shorter, and those that hold many bytes."""
    unit: list[Found] = []
    held = 0
    for item in found:
        unit.append(item)
        held += len(item.data or b"")
        if len(unit) == size or held >= UNIT_BYTES:
            yield unit
            unit, held = [], 0
    if unit:
        yield unit


def count(paths: Sequence[str], leave: Collection[str] = ()) -> int:
    """How many pictures `find` will come to; of tars by an estimate, only reading them would tell."""
    return sum(1 if file.reason else count_inside(file.place.path) for file in _listed(paths, leave))


def _listed(paths: Sequence[str], leave: Collection[str]) -> Iterator[Found]:
    for path in paths:
        for file in _files(path) if os.path.isdir(path) else [_file(path)]:
            if not (leave and os.path.realpath(file.place.path) in leave):
                yield file


def _file(path: str) -> Found:
    """A file; a pipe or a device would be waited for, perhaps for ever."""
    try:
        regular = stat.S_ISREG(os.stat(path).st_mode)
    except OSError as error:
        return Found(Place(path), reason=reason_of(error))
    return Found(Place(path), reason="" if regular else "it is no regular file")


def _files(folder: str) -> Iterator[Found]:
    """Files of a folder and of those in it, by name; links to folders are followed, but each folder is seen once."""
    seen: set[tuple[int, int]] = set()
    waiting = [(folder, True)]  # the next one last: folders may lie deeper in each other than calls can
    while waiting:
        path, is_folder = waiting.pop()
        if not is_folder:
            if is_looked_at(path):
                yield _file(path)
            continue
        try:
            status = os.stat(path)
            with os.scandir(path) as entries:
                listing = sorted((entry.name, _is_folder(entry)) for entry in entries if not entry.name.startswith("."))
        except OSError as error:
            yield Found(Place(path), reason=reason_of(error))
            continue
        here = (status.st_dev, status.st_ino)
        if here not in seen:
            seen.add(here)
            waiting += [(os.path.join(path, name), is_one) for name, is_one in reversed(listing)]


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    """A link that can't be followed is taken for one: opening it says why, and the files beside it count."""
    try:
        return entry.is_dir()
    except OSError:
        return True


def absolute(paths: Sequence[str]) -> list[str]:
    """The same from any working folder."""
    return [str(Path(path).absolute()) for path in paths]
