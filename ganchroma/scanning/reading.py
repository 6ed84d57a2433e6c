"""A place becomes a picture, (1, 3, H, W) bytes."""

import io
import math
import os
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganchroma._files import check_picture_size, open_member, read_npy, read_picture
from ganchroma._images import BYTE_RANGE, Images, Layout, read_images
from ganchroma.color import quantize
from ganchroma.scanning.containers import Found, Place, is_array, read_rows_header

Range = tuple[float, float]


class Reader:
    """Reads places, with the archive or array opened last at hand.

    Parameters
    ----------
    value_range : (float, float) or None
        Of arrays of floats, which become the 8-bit levels that a screen would show.
    layout : {"NCHW", "NHWC"}
        Of arrays.
    """

    def __init__(self, value_range: Range | None = None, layout: Layout = "NCHW") -> None:
        self.value_range, self.layout = value_range, layout

    def read(self, found: Found) -> Images:
        """One picture.

        Raises
        ------
        Exception
            Whatever its format's code happens to meet.
        """
        place, data = found.place, found.data
        if is_array(place.path):
            return self._row(place, data)
        stream = _stream(place) if data is None else io.BytesIO(data)
        picture = read_picture(place.path if stream is None else place.name, stream)
        return Images(picture.transpose(2, 0, 1)[np.newaxis], BYTE_RANGE, "NHWC", True, picture.dtype)

    def check(self, picture: NDArray[Any]) -> None:
        """Refuse a picture of an array for its shape or dtype, as `read` does."""
        read_images(picture, None if picture.dtype == np.uint8 else self.value_range, self.layout)

    def _row(self, place: Place, data: bytes | None) -> Images:
        if data is not None:
            row = np.load(io.BytesIO(data), allow_pickle=False)
        else:
            row = _kept(_Rows, place.path).read(place.row)
        levels = row
        broken = row.size - np.count_nonzero(np.isfinite(row)) if row.dtype.kind == "f" else 0
        if broken:  # they would count as black
            raise ValueError(f"{broken:,} of its {row.size:,} values are not finite")
        if row.dtype != np.uint8:
            levels = quantize(row, value_range=self.value_range, layout=self.layout)
        return read_images(levels, None, self.layout)


def _stream(place: Place) -> Any:
    """An open stream of the picture's bytes; None where the path itself is one."""
    if not place.member:
        return None
    if place.size >= 0:
        check_picture_size(place.size)
        file = _kept(_File, place.path)
        return io.BytesIO(os.pread(file.fileno(), place.size, place.offset))
    archive = _kept(_open_zip, place.path)
    entry = archive.infolist()[place.offset]
    check_picture_size(entry.file_size)
    with open_member(archive, entry) as member:
        return io.BytesIO(member.read(entry.file_size))


class _File(io.FileIO):
    """An open file, closed without a warning too: where the thread that kept it ends, nobody else can."""

    def __del__(self) -> None:
        self.close()


def _open_zip(path: str) -> Any:
    import zipfile

    return zipfile.ZipFile(path)


class _Rows:
    """Reads pictures of a .npy file. Mapped into memory, a file that shrinks would end the process."""

    def __init__(self, path: str) -> None:
        self._file = _File(path)
        size = os.fstat(self._file.fileno()).st_size
        shape, self._fortran, self._dtype = read_rows_header(self._file, size)
        self._begin, self._shape = self._file.tell(), shape[-3:]
        self._count = math.prod(self._shape)
        self._whole: NDArray[Any] | None = None
        if self._fortran and len(shape) == 4:
            self._whole = read_npy(self._file, size)

    def read(self, row: int) -> NDArray[Any]:
        """One picture."""
        if self._whole is not None:
            picture: NDArray[Any] = self._whole[row]
            return picture
        size = self._count * self._dtype.itemsize
        data = os.pread(self._file.fileno(), size, self._begin + max(row, 0) * size)
        if len(data) < size:
            raise ValueError("the file has become shorter")
        return np.frombuffer(data, self._dtype).reshape(self._shape, order="F" if self._fortran else "C")

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


_OPENED = threading.local()  # threads of one worker don't share a position in a file


def _kept(opener: Callable[[str], Any], path: str) -> Any:
    """What `opener` gives for the file, as long as the same is asked for again and the file is the same."""
    status = os.stat(path)
    key = (opener, path, status.st_ino, status.st_mtime_ns, status.st_size)
    if getattr(_OPENED, "key", None) != key:
        close_kept()
        _OPENED.value = opener(path)
        _OPENED.key = key
    return _OPENED.value


def close_kept() -> None:
    """Let go of the archive or array opened last."""
    value = getattr(_OPENED, "value", None)
    _OPENED.key, _OPENED.value = None, None  # first, or an interrupt would leave something closed to be read
    if value is not None:
        value.close()
