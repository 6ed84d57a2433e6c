"""One row a picture in a file, CSV or Parquet: written while the scan goes on, there when it is whole."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ganchroma._files import check_path, csv_field, open_regular, temporary_name
from ganchroma.scanning.measuring import Row

KINDS = (".csv", ".parquet")
HEADER = ",".join(Row._fields) + "\n"
BATCH = 1 << 22  # bytes of CSV that become Parquet in one go


class RecordWriter:
    """Appends rows to ``FILE.part``, as CSV; `make` and `finish` make FILE of it.

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
        self.path, self._part, self._whole = path, Path(part_of(path)), temporary_name(Path(path))
        if _kind(path) == ".parquet":
            _pyarrow()
        if keep and (not self._part.exists() or self._part.stat().st_size < keep):
            raise ValueError(f"{self._part}: it is not what the interrupted scan left; start anew without resume")
        mode = "a" if keep else "w"
        self._file = open(self._part, mode, newline="", encoding="utf-8", errors="backslashreplace")  # noqa: SIM115
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
        """Leave the part for another time."""
        self._file.close()

    def make(self) -> None:
        """All of the work that is left for `finish`: the part stays, to go on after where this fails."""
        self.flush()
        if _kind(self.path) == ".parquet":
            try:
                _to_parquet(self._part, self._whole)
            except BaseException:
                self._whole.unlink(missing_ok=True)
                raise

    def finish(self) -> None:
        """The file itself, under its own name."""
        self.close()
        if _kind(self.path) == ".csv":
            os.replace(self._part, self.path)
            return
        os.replace(self._whole, self.path)
        self._part.unlink()


def part_of(path: str) -> str:
    """The file of the rows so far."""
    return f"{path}.part"


def is_part(path: str) -> bool:
    """Whether a scan may have left this file, as far as its beginning tells."""
    with open_regular(path) as file:
        head = file.read(len(HEADER))
    return HEADER.encode().startswith(head)


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
