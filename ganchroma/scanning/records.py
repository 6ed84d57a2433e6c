"""One row a picture in a file, CSV or Parquet: written while the scan goes on, there when it is whole."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ganchroma._files import Result, check_path, csv_field, open_regular, put_in_place, temporary_name
from ganchroma.scanning.measuring import Row

KINDS = (".csv", ".parquet")
HEADER = ",".join(Row._fields) + "\n"
BATCH = 1 << 22  # bytes of CSV that become Parquet in one go


class RecordWriter:
    """Appends rows to ``FILE.part``, as CSV; `make` and `finish` make FILE of it, of a link what it leads to.

    Parameters
    ----------
    path : str
        With the ending .csv or .parquet.
    keep : int
        Bytes of a part that an interrupted scan left, to go on after; 0 to begin anew.

    Raises
    ------
    ImportError
        If pyarrow is missing for .parquet.
    ValueError
        For another ending, or a part that is shorter than `keep`.
    OSError
        If the file can't be written.
    """

    def __init__(self, path: str, keep: int = 0) -> None:
        self._target, self._part = Path(os.path.realpath(path)), Path(part_of(path))
        self._whole = self._part if _kind(path) == ".csv" else temporary_name(self._target)
        if self._whole != self._part:
            _pyarrow()
        if keep and (not self._part.exists() or self._part.stat().st_size < keep):
            raise ValueError(f"{self._part}: it is not what the interrupted scan left; start anew without resume")
        mode = "a" if keep else "w"
        self._file = open(  # noqa: SIM115
            self._part, mode, newline="", encoding="utf-8", errors="backslashreplace", opener=self._opened
        )
        self._file.truncate(keep)
        if not keep:
            self._file.write(HEADER)

    def write(self, rows: Iterable[Row]) -> None:
        """Append rows."""
        for path, width, height, share, m3, chroma, gray in rows:
            numbers = f"{width},{height},{'' if share != share else share},{m3},{chroma},{str(gray).lower()}"
            self._file.write(f"{csv_field(path)},{numbers}\n")

    def flush(self) -> int:
        """Bytes of the part once everything is in it, on the disk too."""
        self._file.flush()
        os.fsync(self._file.fileno())
        return os.fstat(self._file.fileno()).st_size

    def close(self) -> None:
        """Leave the part for another time, and nothing else."""
        self._file.close()
        if self._whole != self._part:
            self._whole.unlink(missing_ok=True)

    def make(self) -> None:
        """All of the work that is left for `finish`: the part stays, to go on after where this fails."""
        self.flush()
        if self._whole != self._part:
            _to_parquet(self._part, self._whole)

    def finish(self) -> None:
        """The file itself, under its own name."""
        try:
            put_in_place(self._whole, self._target)
        finally:
            self.close()
        self._part.unlink(missing_ok=True)

    def _opened(self, part: str, flags: int) -> int:
        """No more open to others than what it will replace, and never through a link."""
        mode = self._target.stat().st_mode & 0o666 | 0o200 if self._target.exists() else 0o666
        return os.open(part, flags | os.O_NOFOLLOW, mode)


def part_of(path: str) -> str:
    """The file of the rows so far, beside the one that will be written."""
    return f"{os.path.realpath(path)}.part"


def is_part(path: str) -> bool:
    """Whether a scan may have left this file, as far as its beginning tells."""
    with open_regular(path) as file:
        head = file.read(len(HEADER))
    return HEADER.encode().startswith(head)


def _is_rows(path: str) -> bool:
    """Whether an earlier scan wrote a file, as far as its columns tell; as CSV it is text."""
    if _kind(path) == ".csv":
        return False
    arrow = _pyarrow()
    try:
        names: list[str] = arrow.parquet.read_schema(path).names
    except arrow.ArrowException:
        return False
    return names == list(Row._fields)


RECORDS = Result("rows of a scan", _is_rows)


def check_records(path: Any) -> str:
    """`path` with an ending that rows can be written for."""
    name = check_path(path, "records")
    _kind(name)
    return name


def _kind(path: str) -> str:
    kind = Path(path).suffix.lower()
    if kind not in KINDS:
        raise ValueError(f"records is {path}; accepted: a file that ends in .csv or .parquet")
    return kind


def _pyarrow() -> Any:
    try:
        import pyarrow
        import pyarrow.csv
        import pyarrow.parquet
    except ImportError as error:
        raise ImportError('records in .parquet need pyarrow: pip install "ganchroma[parquet]"') from error
    return pyarrow


def _to_parquet(source: Path, target: Path) -> None:
    arrow = _pyarrow()
    kinds = {"path": arrow.string(), "width": arrow.int32(), "height": arrow.int32(), "gray": arrow.bool_()}
    schema = arrow.schema([(name, kinds.get(name, arrow.float64())) for name in Row._fields])
    reading = arrow.csv.ReadOptions(block_size=BATCH)
    converting = arrow.csv.ConvertOptions(column_types=schema, strings_can_be_null=False)
    quoting = arrow.csv.ParseOptions(newlines_in_values=True)  # a file may be called so
    with (
        arrow.csv.open_csv(source, reading, quoting, converting) as batches,
        arrow.parquet.ParquetWriter(target, schema) as writer,
    ):
        for batch in batches:
            writer.write_batch(batch)
