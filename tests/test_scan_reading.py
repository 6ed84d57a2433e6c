"""Scanning: what was open is let go of, whenever an interrupt comes and whichever thread read it."""

import itertools
import os
import sys
import tarfile
import threading

import numpy as np
import pytest
from pictures import scan

from ganchroma.scanning import places, reading
from ganchroma.scanning.engines import Measuring
from ganchroma.scanning.measuring import Settings

pytest.importorskip("PIL.Image")


@pytest.fixture
def arrays(tmp_path):
    """Two .npy files, all black and all white."""
    paths = [str(tmp_path / name) for name in ("black.npy", "white.npy")]
    for path, level in zip(paths, (0, 255), strict=True):
        np.save(path, np.full((3, 3, 8, 8), level, np.uint8))
    return paths


def interrupted_scan(paths, number, out):
    """Whether Ctrl-C came: at the `number`-th line that runs while the reader lets go of a file."""
    lines = itertools.count(1)
    letting_go = {reading.close_kept.__code__, reading._Rows.close.__code__}

    def trace(frame, event, _):
        if frame.f_code not in letting_go:
            return None
        if event in ("line", "return") and next(lines) == number:
            raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        return not scan(paths, out=out).complete
    finally:
        sys.settrace(before)


@pytest.mark.scenario("interrupts")
def test_an_interrupt_leaves_no_closed_file_to_read(arrays, tmp_path):
    """Its number may have become that of another file, which would be read, and closed, in its place."""
    for number in itertools.count(1):
        came = interrupted_scan(arrays, number, tmp_path / f"{number}.npz")
        assert (tmp_path / f"{number}.npz").exists()
        with open(arrays[1], "rb") as mine, open(arrays[1], "rb") as other:
            again = scan(arrays[0])
            assert (again.unreadable, again.stats.summary().maximum) == ([], 0)
            assert [os.fstat(file.fileno()).st_size for file in (mine, other)] == [os.path.getsize(arrays[1])] * 2
        if not came:
            break
    assert number > 8


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="this system does not list what is open")
def test_threads_that_end_leave_nothing_open(arrays, tmp_path):
    """As Dask's do, each with what it read last."""
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.add(arrays[0], "a.png")
    before = os.listdir("/proc/self/fd")
    for path in (*arrays, str(tmp_path / "a.tar")):
        (unit,) = places.units(places.find([path], {}, None))
        for _ in range(3):
            thread = threading.Thread(target=Measuring(Settings.of(None, "NCHW", False)), args=(unit,))
            thread.start()
            thread.join()
    assert len(os.listdir("/proc/self/fd")) == len(before)
