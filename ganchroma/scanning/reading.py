"""A place becomes a picture, (1, 3, H, W) bytes."""

import io
import os
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganchroma._files import check_picture_size, read_picture
from ganchroma._images import BYTE_RANGE, Images, Layout, read_images
from ganchroma.color import quantize
from ganchroma.scanning.containers import Found, Place, is_array

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

    def _row(self, place: Place, data: bytes | None) -> Images:
        if data is not None:
            row = np.load(io.BytesIO(data), allow_pickle=False)
        else:
            array = _kept(_open_array, place.path)
            row = np.asarray(array[place.row] if place.row >= 0 else array)
        levels = row
        if row.dtype.kind == "f" and not np.isfinite(row).any():
            raise ValueError("no value in it is finite")
        if row.dtype != np.uint8:
            levels = quantize(row, value_range=self.value_range, layout=self.layout)
        return read_images(levels, None, self.layout)


def _stream(place: Place) -> Any:
    """An open stream of the picture's bytes; None where the path itself is one."""
    if not place.member:
        return None
    if place.size >= 0:
        check_picture_size(place.size)
        file = _kept(_open_file, place.path)
        return io.BytesIO(os.pread(file.fileno(), place.size, place.offset))
    archive = _kept(_open_zip, place.path)
    entry = archive.infolist()[place.offset]
    check_picture_size(entry.file_size)
    return io.BytesIO(archive.read(entry))


def _open_file(path: str) -> Any:
    return open(path, "rb")


def _open_zip(path: str) -> Any:
    import zipfile

    return zipfile.ZipFile(path)


def _open_array(path: str) -> NDArray[Any]:
    array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    return array


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
    close = getattr(getattr(_OPENED, "value", None), "close", None)
    if close is not None:
        close()
    _OPENED.key, _OPENED.value = None, None
