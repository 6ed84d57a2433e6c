"""Files of any bytes into every loader and command, words of any kind as arguments: an answer, or an error that helps.

`make fuzz` runs it, with atheris. The first byte of an input says what the rest is.
"""

import contextlib
import io
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path


def readers() -> dict[str, Callable[[Path], object]]:
    """What reads a file of each kind; imported here, where atheris follows it."""
    from ganchroma import ChromaStats, cli
    from ganchroma._files import read_arrays, read_picture
    from ganchroma.scanning import scan

    def scanned(path: Path) -> object:
        return scan(path, value_range=(0, 1), workers=1, show_progress=False)

    def parsed(path: Path) -> None:
        words = path.read_bytes().decode(errors="replace").replace("\0", "").split()
        try:
            cli._parser().parse_args(words)
        except SystemExit as end:
            if end.code not in (0, 2):
                raise

    def commanded(*words: str) -> Callable[[Path], None]:
        def run(path: Path) -> None:
            said = io.StringIO()
            with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
                status = cli.main([words[0], str(path), *words[1:]])
            if status not in (0, 2) or not said.getvalue():
                raise AssertionError(f"status {status}: {said.getvalue()}")

        return run

    diagnosed, listed = commanded("diagnose", "--value-range", "0", "1"), commanded("scan", "--workers=1", "--json")
    arrays = dict.fromkeys(("npy", "npz", "safetensors"), read_arrays)
    read = {"png": read_picture, "state": ChromaStats.load, "tar": scanned, "zip": scanned, "words": parsed}
    commands = {"diagnose.png": diagnosed, "diagnose.npz": diagnosed, "diagnose.npy": diagnosed, "scan.zip": listed}
    return arrays | read | commands


def main() -> None:
    import atheris

    with atheris.instrument_imports(include=["ganchroma"]):
        kinds = readers()
    folder = Path(tempfile.mkdtemp())

    def one(data: bytes) -> None:
        kind, read = list(kinds.items())[data[0] % len(kinds) if data else 0]
        path = folder / f"given.{kind}"
        path.write_bytes(data[1:])
        try:
            read(path)
        except ValueError as error:
            if path.name not in str(error):
                raise

    atheris.Setup(sys.argv, one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
