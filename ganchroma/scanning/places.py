"""What there is to scan: every picture that paths lead to, in an order that is the same each time."""

import glob
import os
import stat
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ganchroma._files import check_path, read_npy_shape, reason_of

_NAMES = "avif bmp gif j2k jfif jp2 jpe jpeg jpg pbm pgm png pnm ppm tga tif tiff webp"
PICTURES = frozenset(f".{name}" for name in _NAMES.split())
ARRAYS = frozenset({".npy", ".npz"})
ARCHIVES = (".tar", ".zip", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
UNIT = 64  # pictures that are measured in one go


class Place(NamedTuple):
    """Where a picture is.

    Attributes
    ----------
    path : str
        Of a file.
    member : str
        In an archive, or the name of an array in a .npz file.
    row : int
        Along the first axis of an array; -1 where there is none.
    offset, size : int
        Of a tar's member in bytes, -1 where it has to be looked for by name; in a zip the number of the entry.
    """

    path: str
    member: str = ""
    row: int = -1
    offset: int = -1
    size: int = -1

    @property
    def name(self) -> str:
        """What reports call it: ``folder/a.jpg``, ``shard.tar/a.jpg``, ``samples.npy[7]``."""
        inside = f"/{self.member}" if self.member else ""
        return f"{self.path}{inside}{'' if self.row < 0 else f'[{self.row}]'}"


class Found(NamedTuple):
    """A place, with its bytes where they had to be read to find it, or with the reason why it can't be read."""

    place: Place
    data: bytes | None = None
    reason: str = ""


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
        matching = sorted(glob.glob(name, recursive=True)) if glob.has_magic(name) else []
        if not matching:
            what = "matches nothing" if glob.has_magic(name) else "no such file or folder"
            raise ValueError(f"{name}: {what}; accepted: picture files, folders, patterns, .zip, .tar, .npy, .npz")
        found += matching
    if not found:
        raise ValueError("paths is empty; accepted: picture files, folders, patterns, .zip, .tar, .npy, .npz")
    return found


def find(paths: Sequence[str], leave: Collection[str] = ()) -> Iterator[Found]:
    """Every picture under `paths`, in order. In folders only pictures, archives and arrays count, by their endings.

    What can't be opened comes with its reason. `leave`: real paths of files that don't count.
    """
    for file in _listed(paths, leave):
        yield from [file] if file.reason else _inside(file.place.path)


def units(found: Iterable[Found], size: int = UNIT) -> Iterator[list[Found]]:
    """The same in lists of `size`, the last one shorter."""
    unit: list[Found] = []
    for item in found:
        unit.append(item)
        if len(unit) == size:
            yield unit
            unit = []
    if unit:
        yield unit


def count(paths: Sequence[str], leave: Collection[str] = ()) -> int | None:
    """How many pictures `find` will come to; None where only reading a tar would tell."""
    total = 0
    for file in _listed(paths, leave):
        if _is_tar(file.place.path):
            return None
        simple = file.reason or not _is_container(file.place.path)
        total += 1 if simple else sum(1 for _ in _inside(file.place.path))
    return total


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


def _files(folder: str, above: frozenset[tuple[int, int]] = frozenset()) -> Iterator[Found]:
    """Files of a folder and of those in it, by name; links to folders are followed, but not in a circle."""
    try:
        status = os.stat(folder)
        with os.scandir(folder) as entries:
            listing = sorted((entry.name, entry.is_dir()) for entry in entries if not entry.name.startswith("."))
    except OSError as error:
        yield Found(Place(folder), reason=reason_of(error))
        return
    here = (status.st_dev, status.st_ino)
    if here in above:
        return
    for name, is_folder in listing:
        path = os.path.join(folder, name)
        if is_folder:
            yield from _files(path, above | {here})
        elif _suffix(name) in PICTURES or _is_container(name):
            yield _file(path)


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()


def _is_tar(name: str) -> bool:
    return name.lower().endswith(ARCHIVES) and not name.lower().endswith(".zip")


def is_array(path: str) -> bool:
    """Whether a file holds pictures as NumPy arrays."""
    return path[-4:].lower() in ARRAYS


def _is_container(name: str) -> bool:
    return is_array(name) or name.lower().endswith(ARCHIVES)


def _inside(path: str) -> Iterator[Found]:
    """The pictures of a file: itself, or what it holds."""
    if not _is_container(path):
        yield Found(Place(path))
        return
    suffix = _suffix(path)
    inside = _rows if is_array(path) else _zipped if suffix == ".zip" else _tarred
    try:
        yield from inside(path)
    except Exception as error:  # a damaged archive can fail anywhere in what decompresses it
        yield Found(Place(path), reason=reason_of(error))


def _zipped(path: str) -> Iterator[Found]:
    import zipfile

    with zipfile.ZipFile(path) as archive:
        for number, name in enumerate(archive.namelist()):
            if _counts(name):
                yield Found(Place(path, name, offset=number), reason=_nested(name))


def _tarred(path: str) -> Iterator[Found]:
    """By place where the archive is not compressed, else with the bytes: there is no way back in it."""
    import tarfile

    plain, known = path.lower().endswith(".tar"), dict[str, Place]()
    with tarfile.open(path, "r:" if plain else "r|*") as archive:
        for member in archive:
            archive.members = []  # type: ignore[attr-defined]  # it would remember them all
            place = Place(path, member.name)
            if not _counts(member.name):
                continue
            if member.issym() or member.islnk():
                folder = os.path.dirname(member.name) if member.issym() else ""
                target = known.get(os.path.normpath(os.path.join(folder, member.linkname)))
                if target is None:
                    yield Found(place, reason=f"a link to {member.linkname}, which can't be followed in the archive")
                    continue
                place = place._replace(offset=target.offset, size=target.size)
                yield Found(place)
            elif not member.isfile() or _nested(member.name):
                yield Found(place, reason=_nested(member.name) or "it is no regular file")
            elif plain and not member.issparse():
                place = place._replace(offset=member.offset_data, size=member.size)
                known[os.path.normpath(member.name)] = place
                yield Found(place)
            else:
                stream = archive.extractfile(member)
                yield Found(place, b"" if stream is None else stream.read())


def _counts(name: str) -> bool:
    """Whether a member of an archive is looked at: neither hidden nor in a hidden folder, as in folders."""
    hidden = any(part.startswith(".") and part not in (".", "..") for part in name.split("/"))
    return not hidden and (_suffix(name) in PICTURES or _is_container(name))


def _nested(name: str) -> str:
    return "it is an archive or an array in an archive; unpack it first" if _is_container(name) else ""


def _rows(path: str) -> Iterator[Found]:
    for member, shape in _shapes(path):
        if len(shape) not in (3, 4):
            reason = f"it has shape {shape}; accepted: (N, 3, H, W) and (N, H, W, 3), or one picture without N"
            yield Found(Place(path, member), reason=reason)
            continue
        for row in range(shape[0]) if len(shape) == 4 else (-1,):
            yield Found(Place(path, member, row))


def _shapes(path: str) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Names and shapes of the arrays in a .npy or .npz file, from their headers."""
    import zipfile

    if _suffix(path) == ".npy":
        with open(path, "rb") as stream:
            yield "", read_npy_shape(stream, os.path.getsize(path))
        return
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            if entry.filename.endswith(".npy"):
                with archive.open(entry) as part:
                    yield entry.filename.removesuffix(".npy"), read_npy_shape(part, entry.file_size)


def absolute(paths: Sequence[str]) -> list[str]:
    """The same from any working folder."""
    return [str(Path(path).absolute()) for path in paths]
