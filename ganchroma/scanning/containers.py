"""What files hold pictures, and where in them: archives, arrays, and what is a picture itself."""

import io
import math
import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ganchroma._files import (
    ARCHIVES,
    LARGEST,
    PICTURES,
    check_picture_size,
    check_unpacked,
    open_member,
    read_npy,
    read_npy_header,
    reason_of,
    too_large,
)

if TYPE_CHECKING:
    import zipfile

ARRAYS = frozenset({".npy", ".npz"})
MOST_PACKED = 100_000  # bytes of zeros in a byte of bzip2, about; gzip and xz have less
# Of a tar the first members tell how many there are: so many that what gzip reads ahead is little, no more to unpack.
LOOK, LOOK_PACKED, LOOK_UNPACKED = 64, 1 << 20, 1 << 27

Check = Callable[[NDArray[Any]], object]  # raises where no picture of that shape and dtype can be read


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
        Of a tar's member in bytes; without a size the number of the entry, in all archives: two may have one name.
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


def inside(path: str, check: Check | None = None) -> Iterator[Found]:
    """The pictures of a file: itself, or what it holds. An array of many that `check` refuses is one that is broken."""
    if not _is_container(path):
        yield Found(Place(path))
        return
    suffix = _suffix(path)
    opened = partial(_rows, check=check) if is_array(path) else _zipped if suffix == ".zip" else _tarred
    try:
        yield from opened(path)
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
    import shutil

    from ganchroma.scanning.tars import open_tar

    plain, known = path.lower().endswith(".tar"), dict[str, Place]()
    with open_tar(path) as (archive, _):
        for number, member in enumerate(archive):
            archive.members = []  # type: ignore[attr-defined]  # it would remember them all
            place = Place(path, member.name, offset=number)
            if _lies(member.size, path):
                yield Found(place, reason=f"it is damaged: it claims {member.size:,} bytes; what follows is not read")
                return
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
            elif member.size > LARGEST:
                yield Found(place, reason=too_large(member.size))
            elif plain and not member.issparse():
                place = place._replace(offset=member.offset_data, size=member.size)
                known[os.path.normpath(member.name)] = place
                yield Found(place)
            else:
                buffer, stream = io.BytesIO(), archive.extractfile(member)
                if stream is not None:
                    shutil.copyfileobj(stream, buffer)  # read in one go it would be in memory twice
                yield Found(place, buffer.getvalue())


def _lies(size: int, path: str) -> bool:
    """Whether a member can't be that large: tarfile would go back for ever, or read on for hours behind the end."""
    return not 0 <= size <= MOST_PACKED * os.path.getsize(path)


def _counts(name: str) -> bool:
    """Whether a member of an archive is looked at: neither hidden nor in a hidden folder, as in folders."""
    hidden = any(part.startswith(".") and part not in (".", "..") for part in name.split("/"))
    return not hidden and is_looked_at(name)


def _nested(name: str) -> str:
    return "it is an archive or an array in an archive; unpack it first" if _is_container(name) else ""


def _rows(path: str, check: Check | None) -> Iterator[Found]:
    """By place in a .npy file, which can be read anywhere; with the bytes in an .npz, which may be compressed."""
    if _suffix(path) == ".npy":
        with open(path, "rb") as stream:
            shape, _, dtype = read_rows_header(stream, os.path.getsize(path))
        for row in _numbers(shape, dtype, check):
            yield Found(Place(path, row=row))
        return
    for archive, number, entry in _arrays(path):
        place = Place(path, entry.filename.removesuffix(".npy"), offset=number)
        try:
            for row, picture in enumerate(_npz_rows(archive, entry, check)):
                buffer = io.BytesIO()
                np.save(buffer, picture)
                yield Found(place._replace(row=row), buffer.getvalue())
        except Exception as error:  # of one array, the others may be whole
            yield Found(place, reason=reason_of(error))


def read_rows_header(stream: IO[bytes], size: int) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """As `read_npy_header`, of a file that is read a picture at a time.

    Raises
    ------
    ValueError
        If it can't be, or holds no pictures.
    """
    shape, fortran, dtype = read_npy_header(stream, size)
    _check_shape(shape, dtype)
    if fortran and len(shape) == 4 and size > LARGEST:  # a picture is spread over all of it
        raise ValueError("it is in Fortran's order and too large to be read whole; save it in C's")
    return shape, fortran, dtype


def _check_shape(shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    if len(shape) not in (3, 4):
        raise ValueError(f"it has shape {shape}; accepted: (N, 3, H, W) and (N, H, W, 3), or one picture without N")
    if 0 in shape[-3:]:  # any number of them would fit
        raise ValueError(f"it has shape {shape}: pictures without a pixel")
    check_picture_size(math.prod(shape[-3:]) * dtype.itemsize)


def _numbers(shape: tuple[int, ...], dtype: np.dtype[Any], check: Check | None) -> Iterable[int]:
    """Of the pictures in an array; -1 of one that is a picture."""
    if len(shape) == 3:
        return [-1]
    if check is not None and shape[0]:
        check(np.broadcast_to(np.zeros((), dtype), shape[1:]))
    return range(shape[0])


def _npz_rows(archive: "zipfile.ZipFile", entry: "zipfile.ZipInfo", check: Check | None) -> Iterator[NDArray[Any]]:
    """Pictures of an array in an .npz file one after the other: never the whole array.

    Only one that was saved in Fortran's order has to be read whole.
    """
    with open_member(archive, entry) as stream:
        shape, fortran, dtype = read_npy_header(stream, entry.file_size)
        _check_shape(shape, dtype)
        numbers, one = _numbers(shape, dtype, check), shape[-3:]
        if fortran and len(shape) == 4:
            check_unpacked(entry.file_size, os.path.getsize(str(archive.filename)))
            yield from read_npy(stream, entry.file_size)
            return
        size = math.prod(one) * dtype.itemsize
        for _ in numbers:
            yield np.frombuffer(stream.read(size), dtype).reshape(one, order="F" if fortran else "C")


def _arrays(path: str) -> Iterator[tuple["zipfile.ZipFile", int, "zipfile.ZipInfo"]]:
    """What an .npz file holds: by entry, two may have one name, and a name may be empty."""
    import zipfile

    with zipfile.ZipFile(path) as archive:
        for number, entry in enumerate(archive.infolist()):
            if entry.filename.endswith(".npy"):
                yield archive, number, entry


def _shapes(path: str) -> Iterator[tuple[int, ...]]:
    """Of the arrays in a .npy or .npz file, from their headers."""
    if _suffix(path) == ".npy":
        with open(path, "rb") as stream:
            yield read_npy_header(stream, os.path.getsize(path))[0]
        return
    for archive, _, entry in _arrays(path):
        with open_member(archive, entry) as part:
            yield read_npy_header(part, entry.file_size)[0]


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()


def is_stream(path: str) -> bool:
    """Whether what a file holds can only be read from its beginning on."""
    return path[-4:].lower() == ".npz" or (_is_container(path) and path[-4:].lower() not in (".npy", ".zip", ".tar"))


def is_looked_at(name: str) -> bool:
    """Whether a file counts in a folder, by its ending."""
    return _suffix(name) in PICTURES or _is_container(name)


def is_array(path: str) -> bool:
    """Whether a file holds pictures as NumPy arrays."""
    return path[-4:].lower() in ARRAYS


def _is_container(name: str) -> bool:
    return is_array(name) or name.lower().endswith(ARCHIVES)


def count_inside(path: str) -> int:
    """How many pictures a file holds; of a tar about how many."""
    if not _is_container(path):
        return 1
    try:
        if is_array(path):
            return sum(shape[0] if len(shape) == 4 and all(shape) else 1 for shape in _shapes(path))
        return sum(1 for _ in _zipped(path)) if _suffix(path) == ".zip" else _estimate(path)
    except Exception:  # `inside` will say what is wrong
        return 1


def _estimate(path: str) -> int:
    """From the first members of a tar, compressed or not, and the share of the file that they take."""
    from ganchroma.scanning.tars import open_tar

    some, size = 0, os.path.getsize(path)
    with open_tar(path) as (archive, file):
        for number, member in enumerate(archive, 1):
            if _lies(member.size, path):
                break
            some += _counts(member.name)
            passed = archive.offset if _suffix(path) == ".tar" else file.tell()
            if (number >= LOOK and passed >= LOOK_PACKED) or archive.offset > LOOK_UNPACKED:
                return round(some * max(1.0, size / passed))
    return some
