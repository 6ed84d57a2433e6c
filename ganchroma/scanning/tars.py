"""Tars, opened so that a few bytes that lie neither fill the memory nor are read for ever."""

import tarfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from importlib import import_module
from typing import IO, Any

MOST_HEADER = 1 << 20  # bytes of a long name, or of what pax tells of a member
_MODULES = {b"\x1f\x8b": "gzip", b"BZh": "bz2", b"\xfd7zXZ": "lzma", b"\x5d\x00\x00\x80": "lzma"}  # not all everywhere
_HEADERS = (
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
)


class _Member(tarfile.TarInfo):
    @classmethod
    def frombuf(cls, buf: Any, encoding: str, errors: str) -> "_Member":
        """As in tarfile, which would go back where a size is negative, and read any name into memory."""
        member = super().frombuf(buf, encoding, errors)
        if member.size < 0 or (member.type in _HEADERS and member.size > MOST_HEADER):
            raise ValueError(f"it is damaged: a header claims {member.size:,} bytes; what follows is not read")
        return member


@contextmanager
def open_tar(path: str) -> Iterator[tuple[tarfile.TarFile, IO[bytes]]]:
    """A tar, and the file that it is read from. One that ends in .tar is not compressed and can be read anywhere.

    Others are unpacked a little at a time; tarfile does at once whatever ten thousand bytes hold.
    """
    with open(path, "rb") as file:
        if path.lower().endswith(".tar"):
            with tarfile.open(fileobj=file, mode="r:", tarinfo=_Member) as archive:
                yield archive, file
            return
        begin = file.read(6)
        file.seek(0)
        module = next((module for magic, module in _MODULES.items() if begin.startswith(magic)), None)
        unpacked: Any = import_module(module).open(file) if module else nullcontext(file)
        with unpacked as stream, tarfile.open(fileobj=stream, mode="r|", tarinfo=_Member) as archive:
            yield archive, file
