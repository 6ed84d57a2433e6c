"""A scan by the processes of this machine."""

import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from functools import partial

from ganchroma._images import Layout
from ganchroma.runtime import resolve_workers
from ganchroma.scanning.engines import Measuring, Parts, Unit, here, over_processes
from ganchroma.scanning.measuring import Part, Settings
from ganchroma.scanning.places import check_paths
from ganchroma.scanning.result import Scan
from ganchroma.scanning.work import Files, drive

Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]


def scan(
    paths: Paths,
    *,
    workers: int | None = None,
    out: str | os.PathLike[str] | None = None,
    records: str | os.PathLike[str] | None = None,
    html: str | os.PathLike[str] | None = None,
    resume: bool = False,
    value_range: tuple[float, float] | None = None,
    layout: Layout = "NCHW",
    show_progress: bool = True,
) -> Scan:
    """Measure the colour of every picture of a data set.

    Pictures are decoded by Pillow in processes of their own and measured in 8-bit levels. What comes out is the same
    to the bit however the work is split, in whatever order. What can't be read is listed and left out.

    Parameters
    ----------
    paths : path or list of paths
        Folders (with all that is in them), picture files, patterns like ``"photos/**/*.jpg"``, .zip and .tar archives
        (.tar.gz, .tgz, .tar.bz2, .tar.xz too; shards of a WebDataset), .npy and .npz arrays (N, 3, H, W).
    workers : int, optional
        Processes, at most; as many as there are processors by default. With 1 this process does everything.
    out : path, optional
        .npz file for the state, which `ChromaStats.load` reads. While the scan runs, its progress is kept beside it
        every 30 seconds and when it is interrupted.
    records : path, optional
        .csv or .parquet file with a row a picture: path, width, height, achromatic_share (1 for gray, empty where
        nothing varies), colorfulness (M3), chroma (C*ab), gray.
    html : path, optional
        Page with the verdict, a histogram and contact sheets.
    resume : bool
        Go on where an interrupted scan with the same `out` stopped; from the start where none did.
    value_range : (float, float), optional
        Of arrays of floats: they become the 8-bit levels that a screen would show. A picture with a value that is not
        finite is listed as unreadable.
    layout : {"NCHW", "NHWC"}
        Of arrays.
    show_progress : bool
        Show a bar on stderr.

    Returns
    -------
    Scan
        With `complete` False after an interrupt (Ctrl-C): then it is of the pictures so far, and so is `out`.

    Raises
    ------
    ImportError
        If there are pictures and Pillow is missing, or pyarrow for records in .parquet.
    TypeError, ValueError
        If an argument has the wrong type or value, a path leads nowhere, or there is nothing to go on with.
    OSError
        If a result can't be written.

    Notes
    -----
    Files that stand where results go are replaced as by `ChromaStats.save`.

    M3 is Hasler and Suesstrunk's colourfulness (2003). A picture is gray if more than 99 % of its pixels have channels
    that differ by at most 2 levels. What Pillow takes for a decompression bomb, from 179 million pixels on, is left
    out. Memory holds a few hundred pictures at a time, and the names of the unreadable. Of pictures that are large, or
    whose metadata are damaged, Pillow warns only with workers=1: how warnings are shown is up to the program.

    Examples
    --------
    >>> import tempfile, numpy as np, ganchroma as gch
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.save(f"{folder}/samples.npy", np.random.default_rng(0).integers(0, 256, (8, 3, 16, 16), np.uint8))
    ...     found = gch.scan(folder, workers=1)
    >>> found
    Scan(images=8, gray=0, unreadable=0, complete=True)
    >>> found.verdict
    'The claim does not hold: 0 of 8 pictures (0 %) are gray. The data has colour (M3 139.5).'
    """
    settings = Settings.of(value_range, layout, records is not None)
    count = resolve_workers(workers)
    files, measuring = Files(out, records, html, resume), Measuring(settings)

    def run(units: Iterator[Unit]) -> Parts:
        return here(units, measuring) if count == 1 else over_processes(units, partial(_quietly, measuring), count)

    return drive(check_paths(paths), settings, files, run, show_progress)


def _quietly(measuring: Callable[[Unit], Part], unit: Unit) -> Part:
    """In a process that does nothing else: how warnings are shown is set for all threads of a process."""
    warnings.simplefilter("ignore")
    return measuring(unit)
