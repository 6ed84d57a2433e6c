"""Scanning where something would be lost, waited for for ever, or counted wrongly."""

import contextlib
import json
import math
import multiprocessing
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import time
import tracemalloc
import warnings
import zipfile

import numpy as np
import pytest
from pictures import as_tar, make_pictures, reference, scan
from support import need_tool, run_python, smooth_picture

from ganchroma import cli
from ganchroma._files import npz_bytes
from ganchroma.scanning import checkpoint, engines, measuring, page, places

Image = pytest.importorskip("PIL.Image")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return make_pictures(tmp_path_factory.mktemp("pictures"))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"out": "data.npz"}, r"out is .*data\.npz, which is scanned; accepted: another file"),
        ({"out": "link.npz"}, r"out is .*data\.npz, which is scanned"),
        ({"out": "a.csv", "records": "a.csv"}, r"records is a\.csv, and so is out; accepted: two files"),
        ({"out": "no/a.npz"}, r"out is no/a\.npz, but there is no folder no; make it first"),
        ({"out": "a.PNG"}, r"out is a\.PNG, the name of a picture; accepted: another ending"),
        ({"html": "."}, r"html is \., a folder; accepted: a file"),
    ],
)
def test_no_result_is_written_over_something_else(tmp_path, monkeypatch, options, text):
    monkeypatch.chdir(tmp_path)
    np.savez("data.npz", a=np.zeros((2, 3, 4, 4), np.uint8))
    os.symlink("data.npz", "link.npz")
    before = (tmp_path / "data.npz").read_bytes()
    with pytest.raises(ValueError, match=text):
        scan("data.npz", **options)
    assert (tmp_path / "data.npz").read_bytes() == before


@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize("name", ["rows.csv.part", "rows.parquet.part", "state.npz.progress"])
def test_no_file_of_others_is_taken_for_what_a_scan_left(tmp_path, name, resume):
    Image.fromarray(smooth_picture()).save(tmp_path / "a.png")
    (tmp_path / name).write_text("mine")
    files = {"out": tmp_path / "state.npz", "records": tmp_path / name.removesuffix(".part")}
    if name.endswith(".progress"):
        files.pop("records")
    with pytest.raises(ValueError, match=rf"{re.escape(name)} is in the way: no scan left it; move it, or take"):
        scan(tmp_path, resume=resume, **files)
    assert (tmp_path / name).read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["a.png", name])


def test_what_a_killed_scan_left_is_not_in_the_way(tmp_path):
    Image.fromarray(smooth_picture()).save(tmp_path / "a.png")
    row = "b.png,1,1,1,0.0,0.0,true\n"
    for left in ("", "path,wi", f"path,width,height,achromatic_share,colorfulness,chroma,gray\n{row}"):
        (tmp_path / "rows.csv.part").write_text(left)
        scan(tmp_path, records=tmp_path / "rows.csv")
        assert len((tmp_path / "rows.csv").read_text().splitlines()) == 2


def test_a_parquet_file_is_made_under_a_name_of_its_own(tmp_path):
    pytest.importorskip("pyarrow")
    Image.fromarray(smooth_picture()).save(tmp_path / "a.png")
    (tmp_path / "rows.parquet.whole").write_text("mine")
    scan(tmp_path, records=tmp_path / "rows.parquet")
    assert (tmp_path / "rows.parquet.whole").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "rows.parquet", "rows.parquet.whole"]


def test_results_in_the_folder_that_is_scanned_are_no_data(tmp_path):
    Image.fromarray(smooth_picture()).save(tmp_path / "a.png")
    files = {"out": tmp_path / "state.npz", "records": tmp_path / "rows.csv", "html": tmp_path / "page.html"}
    first = scan(tmp_path, **files)
    again = scan(tmp_path, **files)
    assert again.stats == first.stats
    assert not again.unreadable


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.jpg")
    found = scan([tmp_path, tmp_path / "a.jpg", "/dev/null"])
    assert [reason for _, reason in found.unreadable] == ["it is no regular file"] * 3


def test_members_of_archives(tmp_path):
    """Twice the same name, links, hidden ones, sparse ones, archives in archives: counted as in a folder, or listed."""
    folder = tmp_path / "folder"
    (folder / ".hidden").mkdir(parents=True)
    Image.fromarray(smooth_picture()).save(folder / "a.png")
    Image.fromarray(smooth_picture()).save(folder / ".hidden/b.png")
    os.link(folder / "a.png", folder / "hard.png")
    os.symlink("a.png", folder / "soft.png")
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.add(folder, ".")
    assert scan(tmp_path / "a.tar").stats == scan(folder).stats
    with tarfile.open(tmp_path / "a.tgz", "w:gz") as archive:
        archive.add(folder, ".")
    reasons = [reason for _, reason in scan(tmp_path / "a.tgz").unreadable]
    assert len(reasons) == 2
    assert all("can't be followed in the archive" in reason for reason in reasons)
    gray = np.repeat(smooth_picture()[..., :1], 3, axis=-1)
    Image.fromarray(gray).save(tmp_path / "gray.png")
    with zipfile.ZipFile(tmp_path / "twice.zip", "w") as archive:
        archive.write(folder / "a.png", "x.png")
        archive.write(tmp_path / "a.tar", "inside.tar")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.write(tmp_path / "gray.png", "x.png")
    found = scan(tmp_path / "twice.zip")
    assert (found.images, found.gray) == (2, 1)
    assert found.unreadable == [
        (f"{tmp_path}/twice.zip/inside.tar", "it is an archive or an array in an archive; unpack it first")
    ]


@pytest.mark.parametrize("ending", [".tar", ".tar.gz"])
def test_members_of_one_name_have_their_own_thumbnails(tmp_path, ending):
    path, colour = tmp_path / f"twice{ending}", smooth_picture()
    with tarfile.open(path, "w:gz" if ending == ".tar.gz" else "w") as archive:
        for picture in (np.repeat(colour[..., :1], 3, axis=-1), colour):
            Image.fromarray(picture).save(tmp_path / "a.png")
            archive.add(tmp_path / "a.png", "a.png")
    found = scan(path)
    ends = [extreme.place for (extreme,) in found._extremes]
    tiles = page.tiles(ends, found._settings)
    grayest, other = (np.ptp(tiles[place], axis=-1).max() for place in ends)
    assert grayest == 0 < other


def test_a_sparse_member_is_read_whole(tmp_path):
    tar = need_tool("tar")
    black = np.zeros((400, 400, 3), np.uint8)
    black[0, 0] = 255
    Image.fromarray(black).save(tmp_path / "a.bmp")
    with open(tmp_path / "a.bmp", "r+b") as file:  # with holes
        data = file.read()
        file.seek(0)
        file.truncate()
        for at in range(0, len(data), 4096):
            if any(data[at : at + 4096]):
                file.seek(at)
                file.write(data[at : at + 4096])
        file.truncate(len(data))
    subprocess.run([tar, "-cSf", tmp_path / "a.tar", "-C", tmp_path, "a.bmp"], check=True)
    found = scan(tmp_path / "a.tar")
    assert not found.unreadable
    assert found.stats == reference([black])


def test_a_picture_with_nan_is_unreadable(tmp_path):
    """A screen shows NaN as black: where much of a picture is NaN, its measures would be a gray one's."""
    floats = np.random.default_rng(0).random((4, 3, 8, 8), np.float32)
    floats[1] = np.nan
    floats[2, :, 1:] = np.nan
    floats[3, 1, 2, 3] = -np.inf
    np.save(tmp_path / "a.npy", floats)
    found = scan(tmp_path / "a.npy", value_range=(0, 1))
    assert (found.images, found.gray) == (1, 0)
    reasons = [f"{count} of its 192 values are not finite" for count in (192, 168, 1)]
    assert found.unreadable == [(f"{tmp_path}/a.npy[{row}]", reason) for row, reason in enumerate(reasons, 1)]


def test_a_script_without_a_guard_ends_at_once(pictures, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import multiprocessing, ganchroma as gch\n"
        "multiprocessing.set_start_method('spawn', force=True)\n"
        f"gch.scan({str(pictures.folder)!r}, workers=2)\n"
    )
    result = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 1
    assert 'no process could start; in a script, call it below `if __name__ == "__main__":`' in result.stderr


def test_names_can_be_printed_and_do_nothing_to_a_terminal(tmp_path):
    for name in (b"caf\xe9.png", b"\x1b]0;title\x07.png", b"new\nline.png"):
        (tmp_path / os.fsdecode(name)).write_bytes(b"")
    found = scan(tmp_path, html=tmp_path / "page.html")
    for text in (str(found), (tmp_path / "page.html").read_text()):
        text.encode()
        assert "caf\\udce9.png" in text
        assert "\\x1b]0;title\\x07.png" in text
        assert "new\\nline.png" in text
        assert "\x1b" not in text


@pytest.mark.scenario("processes")
def test_no_more_workers_start_than_have_work(pictures, monkeypatch):
    """There were as many as were asked for, whatever the folder, until the machine had no memory left."""
    started, begin = [], engines._Worker.__init__
    monkeypatch.setattr(engines._Worker, "__init__", lambda self, way: (begin(self, way), started.append(self))[0])
    few = places.units
    monkeypatch.setattr(places, "units", lambda found, plain=few: plain(found, 30))
    assert scan(pictures.folder, workers=1000).stats == scan(pictures.folder).stats
    assert len(started) == 2  # 60 pictures
    for wanted in (1025, 10**20):
        with pytest.raises(ValueError, match=f"workers is {wanted}; accepted: 1 to 1024"):
            scan(pictures.folder, workers=wanted)


@pytest.mark.scenario("threads")
def test_threads_leave_the_warnings_of_the_program_alone(pictures, monkeypatch):
    """One begins, the other begins, one ends, the other ends: each put back what it had found."""
    before, plain, begun, ended = list(warnings.filters), measuring.Reader.read, threading.Event(), threading.Event()

    def read(self, found):
        if threading.current_thread().name == "one":
            assert begun.wait(20)
        else:
            begun.set()
            assert ended.wait(20)
        return plain(self, found)

    def one():
        engines.measure(unit, measuring.Settings())
        ended.set()

    monkeypatch.setattr(measuring.Reader, "read", read)
    unit = next(places.units(places.find([str(pictures.folder)]), 1))
    threads = [
        threading.Thread(target=one, name="one"),
        threading.Thread(target=engines.measure, args=(unit, measuring.Settings())),
    ]
    for thread in threads:
        thread.start()
        time.sleep(0.02)
    for thread in threads:
        thread.join()
    assert warnings.filters == before


@pytest.mark.scenario("processes")
def test_processes_and_the_program_say_nothing_of_large_pictures(tmp_path, monkeypatch, capsys):
    """Warnings are errors here, by which the picture would be unreadable."""
    Image.fromarray(smooth_picture()).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 400)
    monkeypatch.setattr(multiprocessing, "get_context", lambda plain=multiprocessing.get_context: plain("fork"))
    assert scan(tmp_path, workers=2).images == 1
    assert cli.main(["scan", str(tmp_path), "--workers", "1"]) == 0
    with pytest.warns(Image.DecompressionBombWarning):
        assert scan(tmp_path).images == 1


@pytest.mark.scenario("processes")
def test_killed_workers_change_nothing(pictures, monkeypatch):
    """As the system does when memory ends: at any time, several times."""
    monkeypatch.setattr(places, "units", lambda found, plain=places.units: plain(found, 4))
    whole = scan(pictures.folder)
    workers, begin = [], engines._Worker.__init__
    monkeypatch.setattr(engines._Worker, "__init__", lambda self, way: (begin(self, way), workers.append(self))[0])
    killer = random.Random(0)
    for _ in range(5):
        done = threading.Event()

        def kill(done=done):
            while not done.wait(killer.random() * 0.02):
                pid = killer.choice(workers).process.pid if len(workers) == 2 else None
                if pid is not None:
                    with contextlib.suppress(ProcessLookupError):  # it was, just before
                        os.kill(pid, signal.SIGKILL)

        thread = threading.Thread(target=kill)
        thread.start()
        found = scan(pictures.folder, workers=2)
        done.set()
        thread.join()
        workers.clear()
        unlucky = [name for name, reason in found.unreadable if "came to an end" in reason]
        assert found.images + len(found.unreadable) == 60
        if not unlucky:
            assert found.stats == whole.stats
            assert found.unreadable == whole.unreadable


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
@pytest.mark.scenario("processes")
def test_no_process_is_left(pictures, monkeypatch, error):
    def stop(self, unit, part):
        raise error

    monkeypatch.setattr("ganchroma.scanning.checkpoint.Progress.add", stop)
    before = set(multiprocessing.active_children())
    if error is KeyboardInterrupt:
        assert not scan(pictures.folder, workers=2).complete
    else:
        with pytest.raises(error):
            scan(pictures.folder, workers=2)
    assert set(multiprocessing.active_children()) <= before


@pytest.mark.scenario("processes")
def test_processes_end_with_the_one_that_started_them():
    """However it ended: they would wait for ever, and whoever reads what they print would too."""
    code = (
        "import multiprocessing, os, signal\n"
        "from ganchroma.scanning.engines import _Worker\n"
        "multiprocessing.set_start_method('fork')\n"
        "workers = [_Worker(len), _Worker(len)]\n"
        "workers[0].send([1])\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    result = run_python(code, timeout=20)  # until the last of them has ended
    assert (result.returncode, result.stderr) == (-signal.SIGKILL, "")


def test_an_npz_is_never_read_whole(tmp_path):
    """In memory is one picture at a time, compressed or not; what is shown at the end is found again."""
    levels = np.random.default_rng(0).integers(0, 256, (40, 3, 128, 128), dtype=np.uint8)
    np.savez(tmp_path / "plain.npz", first=levels, second=levels[0])
    np.savez_compressed(tmp_path / "packed.npz", first=levels, second=levels[0])
    np.savez(tmp_path / "fortran.npz", first=np.asfortranarray(levels), second=np.asfortranarray(levels[0]))
    expected = reference([*levels.transpose(0, 2, 3, 1), levels[0].transpose(1, 2, 0)])
    for name in ("plain", "packed", "fortran"):
        found = scan(tmp_path / f"{name}.npz", html=tmp_path / f"{name}.html")
        assert found.stats == expected
        assert (tmp_path / f"{name}.html").read_text().count("<img") == 4
        assert places.count([str(tmp_path / f"{name}.npz")]) == 41
    for name in ("plain", "packed"):
        tracemalloc.start()
        for item in places.find([str(tmp_path / f"{name}.npz")]):
            assert len(item.data) < 50_000
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < levels.nbytes / 4


def test_the_time_of_all_parts_counts(pictures, tmp_path, monkeypatch):
    monkeypatch.setattr(places, "units", lambda found, plain=places.units: plain(found, 7))
    plain, seen = engines.measure, []

    def measured(unit, how):
        seen.append(1)
        if len(seen) == 3:
            raise KeyboardInterrupt
        return plain(unit, how)

    monkeypatch.setattr(engines, "measure", measured)
    first = scan(pictures.folder, out=tmp_path / "state.npz")
    assert not first.complete
    assert scan(pictures.folder, out=tmp_path / "state.npz", resume=True).seconds > first.seconds


def test_folders_that_link_to_each_other_are_seen_once(tmp_path):
    folders = [tmp_path / str(number) for number in range(8)]
    for folder in folders:
        folder.mkdir()
    for folder in folders:
        for other in folders:
            (folder / f"to_{other.name}").symlink_to(other)
    Image.fromarray(smooth_picture()).save(folders[3] / "a.png")
    assert scan(tmp_path).images == 1


def test_a_link_that_leads_nowhere_takes_no_other_file_along(tmp_path):
    Image.fromarray(smooth_picture()).save(tmp_path / "a.png")
    for name in ("b", "c.png"):
        (tmp_path / name).symlink_to(name)
    found = scan(tmp_path)
    assert found.images == 1
    assert [os.path.basename(name) for name, _ in found.unreadable] == ["b", "c.png"]
    assert all("symbolic links" in reason for _, reason in found.unreadable)


@contextlib.contextmanager
def few_calls_in_each_other(more):
    before = sys.getrecursionlimit()
    frame, depth = sys._getframe(), 0
    while frame is not None:
        frame, depth = frame.f_back, depth + 1
    sys.setrecursionlimit(depth + more)
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


def test_folders_may_lie_deep_in_each_other(tmp_path):
    Image.fromarray(smooth_picture()).save(tmp_path / "z.png")
    folder = os.path.join(tmp_path, *["f"] * 30)
    os.makedirs(folder)
    shutil.copy(tmp_path / "z.png", folder)
    with few_calls_in_each_other(25):
        names = [found.place.path for found in places.find([str(tmp_path)])]
    assert names == [os.path.join(folder, "z.png"), str(tmp_path / "z.png")]


def test_a_pattern_through_folders_too_deep_in_each_other_is_refused(tmp_path):
    os.makedirs(os.path.join(tmp_path, *["f"] * 60))
    refused = pytest.raises(ValueError, match=r"png: folders lie too deep in each other for a pattern; give the folder")
    with few_calls_in_each_other(50), refused:
        places.check_paths(f"{tmp_path}/**/*.png")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"settings": 5}, "'int' object is not iterable"),
        ({"settings": None}, "no entry 'settings'"),
        ({"seconds": "x"}, "could not convert"),
        ({"seconds": math.inf}, "inf seconds can't be"),
        ({"record_bytes": -5}, "-5 bytes of records"),
        ({"done": 1}, "its counts contradict each other"),
        ({"histogram": [2**62] * 64}, "its counts contradict each other"),
        ({"histogram": [-1, 1] + [0] * 62}, "its counts contradict each other"),
        ({"unreadable": [["a.png", ""]]}, "its counts contradict each other"),
        ({"grayest": [[0.0, 1, ["a.png", "", "x"]]]}, "invalid literal"),
        ({"grayest": [[0.0, 1, 5]]}, "int"),
    ],
)
def test_progress_that_no_scan_left_is_refused(tmp_path, change, reason):
    checkpoint.save(tmp_path / "s.npz.progress", checkpoint.Progress(measuring.Part()), {})
    arrays = dict(np.load(tmp_path / "s.npz.progress"))
    told = json.loads(arrays["progress"].tobytes()) | change
    arrays["progress"] = np.frombuffer(json.dumps({k: v for k, v in told.items() if v is not None}).encode(), np.uint8)
    (tmp_path / "s.npz.progress").write_bytes(npz_bytes(arrays))
    with pytest.raises(ValueError, match=rf"s\.npz\.progress: it can't be gone on from: .*{reason}.*; start anew"):
        scan(tmp_path, out=tmp_path / "s.npz", resume=True)


def test_an_end_between_the_results_loses_nothing(pictures, tmp_path, monkeypatch):
    """As kill -9 would, after the state is written and before the rows are: to go on is to begin anew."""
    files = {"out": tmp_path / "state.npz", "records": tmp_path / "rows.csv"}
    monkeypatch.setattr("ganchroma.scanning.work.SAVE_EVERY", 0)

    def killed(writer):
        writer.close()
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr("ganchroma.scanning.work.RecordWriter.finish", killed)
        with pytest.raises(RuntimeError, match="killed"):
            scan(pictures.folder, **files)
    found = scan(pictures.folder, resume=True, **files)
    assert (found.complete, found.images) == (True, 57)
    assert len(files["records"].read_text().splitlines()) == 58


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_thumbnails_of_a_stream_take_one_pass(pictures, tmp_path, monkeypatch, mode):
    path = as_tar(pictures, tmp_path / ("a.tar" if mode == "w" else "a.tgz"), mode)
    found, opened = scan(path), []
    plain = tarfile.open
    monkeypatch.setattr(tarfile, "open", lambda *given, **named: (opened.append(given), plain(*given, **named))[1])
    assert found._repr_html_().count("<img") == 4
    assert len(opened) == (0 if mode == "w" else 1)


def test_how_many_a_tar_holds_is_estimated(tmp_path):
    many = make_pictures(tmp_path / "many", count=200, sides=(24,), broken=0)
    for name, mode, error in (("a.tar", "w", 0.1), ("a.tgz", "w:gz", 0.5)):  # a few blocks are read ahead
        path = as_tar(many, tmp_path / name, mode)
        assert places.count([str(path)]) == pytest.approx(200, rel=error)
    small = as_tar(make_pictures(tmp_path / "few", count=10), tmp_path / "few.tar")
    assert places.count([str(small)]) == 10
