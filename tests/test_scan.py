"""Scanning: the same state whatever the pictures lie in and however the work is split; what is broken is listed."""

import csv
import errno
import json
import multiprocessing
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import as_tar, as_zip, make_pictures, reference, scan
from support import smooth_picture

import ganchroma as gch
from ganchroma.scanning import engines, measuring, places, work
from ganchroma.scanning.measuring import Part

Image = pytest.importorskip("PIL.Image")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return make_pictures(tmp_path_factory.mktemp("pictures"))


def names_of(found, pictures):
    return {os.path.relpath(name, pictures.folder) for name in found}


# -- what is found ------------------------------------------------------------------------------------------------


def test_gray_and_broken_pictures_are_found(pictures, tmp_path):
    found = scan(pictures.folder, records=tmp_path / "rows.csv")
    assert found.complete
    assert names_of((name for name, _ in found.unreadable), pictures) == pictures.broken
    assert all(reason for _, reason in found.unreadable)
    assert (found.images, found.gray) == (57, len(pictures.gray))
    with open(tmp_path / "rows.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [os.path.relpath(row["path"], pictures.folder) for row in rows] == [
        name for name in pictures.names if name not in pictures.broken
    ]
    assert names_of((row["path"] for row in rows if row["gray"] == "true"), pictures) == pictures.gray
    for row, levels in zip(rows, pictures.levels, strict=True):
        alone = gch.ChromaStats(layout="NHWC").update(levels).summary()
        assert (int(row["height"]), int(row["width"])) == levels.shape[:2]
        assert float(row["achromatic_share"]) == pytest.approx(alone.within.achromatic_share, rel=1e-9)
        assert float(row["colorfulness"]) == pytest.approx(alone.colorfulness, rel=1e-9, abs=1e-9)
        assert float(row["chroma"]) == pytest.approx(alone.chroma, rel=0.1, abs=0.02)  # of 500 of 1,000 pixels
    assert found.histogram.sum() == found.images
    assert found.histogram[0] == len(pictures.gray)
    assert names_of((name for name, m3 in found.grayest if m3 < 0.5), pictures) == pictures.gray
    m3 = [value for _, value in found.most_colorful]
    assert m3 == sorted(m3, reverse=True)
    assert m3[0] == pytest.approx(max(float(row["colorfulness"]) for row in rows))
    assert not list(tmp_path.glob("*.part"))


def test_the_state_is_that_of_chroma_stats(pictures):
    found = scan(pictures.folder)
    assert found.stats == reference(pictures.levels)
    plain = gch.ChromaStats()
    for levels in pictures.levels:
        plain.update(levels.transpose(2, 0, 1))
    expected, seen = plain.summary(), found.stats.summary()
    assert seen.within == expected.within
    assert (seen.colorfulness, seen.gray_images) == (expected.colorfulness, expected.gray_images)
    assert seen.chroma == pytest.approx(expected.chroma, rel=0.01)


@pytest.mark.parametrize("container", ["tar", "tar.gz", "zip", "two processes", "pattern", "files", "two folders"])
def test_the_same_state_from_everything(pictures, tmp_path, container):
    whole = tmp_path / "whole.npz"
    scan(pictures.folder, out=whole)
    options = {}
    if container == "zip":
        paths = as_zip(pictures, tmp_path / "all.zip")
    elif container.startswith("tar"):
        paths = as_tar(pictures, tmp_path / f"shard.{container}", "w:gz" if "gz" in container else "w")
    elif container == "pattern":
        paths = str(pictures.folder / "**/*.jpg")
    elif container == "files":
        paths = [pictures.folder / name for name in reversed(pictures.names)]
    elif container == "two folders":
        paths = [pictures.folder / "2", pictures.folder / "0", pictures.folder / "1"]
    else:
        paths, options = pictures.folder, {"workers": 2}
    found = scan(paths, out=tmp_path / "again.npz", **options)
    assert (tmp_path / "again.npz").read_bytes() == whole.read_bytes()
    assert len(found.unreadable) == len(pictures.broken)
    assert not list(tmp_path.glob("*.progress"))


def test_arrays(pictures, tmp_path):
    rng = np.random.default_rng(0)
    levels = rng.integers(0, 256, (70, 3, 16, 20), dtype=np.uint8)
    np.save(tmp_path / "bytes.npy", levels)
    np.savez(tmp_path / "parts.npz", first=levels[:30], second=levels[30:])
    expected = scan(tmp_path / "bytes.npy").stats
    assert scan(tmp_path / "parts.npz").stats == expected == reference(levels.transpose(0, 2, 3, 1))
    np.save(tmp_path / "floats.npy", (levels / 127.5 - 1).astype(np.float32).transpose(0, 2, 3, 1))
    assert scan(tmp_path / "floats.npy", value_range=(-1, 1), layout="NHWC").stats == expected
    np.save(tmp_path / "one.npy", levels[0])
    assert scan([tmp_path / "one.npy", pictures.folder], value_range=(-1, 1)).images == 58
    assert scan(tmp_path / "bytes.npy").most_colorful[0][0].startswith(f"{tmp_path}/bytes.npy[")
    without = scan(tmp_path / "floats.npy", layout="NHWC")
    assert "value_range is required" in without.unreadable[0][1]
    assert (without.images, len(without.unreadable)) == (0, 1)
    assert "Nothing can be said" in without.verdict


@pytest.mark.parametrize(
    ("dtype", "shape", "reason"),
    [
        ("float16", (70, 3, 4, 4), "value_range is required for images of dtype float16: the values of black and"),
        ("uint8", (70, 4, 5, 3), 'must have 3 channels in layout NCHW, got shape (4, 5, 3); pass layout="NHWC"'),
        ("int64", (70, 3, 4, 4), "images has dtype int64; accepted: uint8, "),
    ],
)
def test_an_array_of_which_nothing_can_be_read_is_listed_once(tmp_path, dtype, shape, reason):
    array = np.ones(shape, dtype)
    np.save(tmp_path / "a.npy", array)
    np.save(tmp_path / "none.npy", array[:0])
    np.savez(tmp_path / "b.npz", one=array, two=np.zeros((2, 3, 4, 4), np.uint8))
    found = scan(tmp_path)
    assert [name for name, _ in found.unreadable] == [f"{tmp_path}/a.npy", f"{tmp_path}/b.npz/one"]
    assert all(reason in told for _, told in found.unreadable)
    assert found.images == 2


@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_any_split_adds_up_to_the_same(pictures, data):
    found = list(places.find([str(pictures.folder)]))
    size = data.draw(st.integers(1, len(found)))
    units = data.draw(st.permutations(list(places.units(found, size))))
    one, other = Part(), Part()
    for unit in units:
        half = data.draw(st.sampled_from([one, other]))
        half.merge(measuring.measure(unit, measuring.Settings()))
    one.merge(other)
    whole = scan(pictures.folder)
    assert one.stats == whole.stats
    np.testing.assert_array_equal(one.histogram, whole.histogram)
    assert [e.place.name for e in one.grayest] == [name for name, _ in whole.grayest]
    assert [e.place.name for e in one.most_colorful] == [name for name, _ in whole.most_colorful]
    assert sorted(one.unreadable) == sorted(whole.unreadable)


# -- what is no picture -------------------------------------------------------------------------------------------


def test_a_folder_of_all_sorts(tmp_path, monkeypatch):
    (tmp_path / "inside").mkdir()
    Image.fromarray(smooth_picture()).save(tmp_path / "inside/a.PNG")
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / ".hidden.png").write_text("no picture")
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "text.jpg").write_text("no picture")
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    (tmp_path / "circle").symlink_to(tmp_path)
    (tmp_path / "linked").symlink_to(tmp_path / "inside")
    for name in ("bad.tar", "bad.zip", "bad.npy", "bad.npz", "bad.tgz"):
        (tmp_path / name).write_bytes(b"\x93NUMPY no archive" * 40)
    np.save(tmp_path / "flat.npy", np.zeros(5, np.uint8))
    np.save(tmp_path / "objects.npy", np.array([{}], object), allow_pickle=True)
    (tmp_path / os.fsdecode(b"caf\xe9.png")).write_bytes(b"x")
    found = scan(tmp_path)
    assert found.images == 1  # the links show folders that were seen
    reasons = {os.path.relpath(name, tmp_path): reason for name, reason in found.unreadable}
    assert set(reasons) == {
        *("empty.png", "text.jpg", "gone.jpg", "bad.tar", "bad.zip", "bad.npy", "bad.npz", "bad.tgz"),
        *("flat.npy", "objects.npy", "caf\udce9.png"),
    }
    assert "accepted: (N, 3, H, W)" in reasons["flat.npy"]
    assert "Python objects" in reasons["objects.npy"]
    assert reasons["gone.jpg"] == "No such file or directory"
    found.save_html(tmp_path / "page.html")
    assert "caf\\udce9.png" in (tmp_path / "page.html").read_text()


def test_a_header_that_promises_too_much_is_not_believed(tmp_path):
    with open(tmp_path / "huge.npy", "wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": (10**12, 3, 8, 8)})
    found = scan(tmp_path)
    assert [reason for _, reason in found.unreadable] == [
        "it is cut off or damaged: an array of shape (1000000000000, 3, 8, 8) needs 192000000000000 bytes, 0 follow"
    ]


def test_a_tar_that_is_cut_off_gives_what_it_has(pictures, tmp_path):
    data = as_tar(pictures, tmp_path / "whole.tar").read_bytes()
    (tmp_path / "whole.tar").unlink()
    (tmp_path / "cut.tar").write_bytes(data[: len(data) // 2])
    found = scan(tmp_path)
    assert 20 < found.images < 40
    assert found.unreadable[-1][0] == str(tmp_path / "cut.tar") or "cut.tar/" in found.unreadable[-1][0]


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"paths": "nowhere"}, ValueError, "nowhere: no such file or folder; accepted: picture files, folders"),
        ({"paths": "*.xyz"}, ValueError, r"\*\.xyz: matches nothing; accepted"),
        ({"paths": []}, ValueError, "paths is empty; accepted"),
        ({"paths": 3}, TypeError, "paths must be a path or a list of paths, got int"),
        ({"paths": [3]}, TypeError, r"paths\[0\] must be a string or a path, got 3"),
        ({"workers": 0}, ValueError, "workers must be at least 1, got 0"),
        ({"workers": "2"}, TypeError, "workers must be an integer"),
        ({"records": "rows.txt"}, ValueError, r"records is rows\.txt; accepted: a file that ends in \.csv or"),
        ({"records": 3}, TypeError, "records must be a string or a path"),
        ({"out": 3}, TypeError, "out must be a string or a path"),
        ({"html": 3}, TypeError, "html must be a string or a path"),
        ({"resume": True}, ValueError, "resume needs out"),
        ({"resume": "yes"}, TypeError, "resume must be True or False"),
        ({"value_range": (1, 0)}, ValueError, "value_range must be finite with low < high"),
        ({"layout": "CHW"}, ValueError, "layout is 'CHW'; accepted"),
    ],
)
def test_wrong_arguments(tmp_path, monkeypatch, options, error, text):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=text):
        scan(**{"paths": str(tmp_path)} | options)


# -- interrupts, faults -------------------------------------------------------------------------------------------


@pytest.fixture
def small_units(monkeypatch):
    monkeypatch.setattr(places, "units", lambda found, plain=places.units: plain(found, 7))


def interrupt_after(monkeypatch, calls, error=KeyboardInterrupt):
    plain, seen = engines.measure, []

    def measured(unit, how):
        seen.append(1)
        if len(seen) > calls:
            raise error
        return plain(unit, how)

    monkeypatch.setattr(engines, "measure", measured)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.scenario("interrupts")
def test_an_interrupted_scan_goes_on(pictures, tmp_path, monkeypatch, small_units, kind):
    if kind == "parquet":
        pytest.importorskip("pyarrow")
    files = {"out": tmp_path / "state.npz", "records": tmp_path / f"rows.{kind}"}
    scan(pictures.folder, **{name: path.with_stem("whole") for name, path in files.items()})
    with monkeypatch.context() as patch:
        interrupt_after(patch, 3)
        part = scan(pictures.folder, **files)
    assert not part.complete
    assert part.images + len(part.unreadable) == 21
    assert gch.ChromaStats.load(files["out"]) == part.stats
    assert not files["records"].exists()
    assert "this is not all" in str(part)
    with monkeypatch.context() as patch:
        interrupt_after(patch, 2, RuntimeError)  # whatever else ends it
        with pytest.raises(RuntimeError):
            scan(pictures.folder, resume=True, **files)
    found = scan(pictures.folder, resume=True, **files)
    assert found.complete
    assert found.images == 57
    assert names_of((name for name, _ in found.unreadable), pictures) == pictures.broken
    for path in files.values():
        assert path.read_bytes() == path.with_stem("whole").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        ["state.npz", "whole.npz", f"rows.{kind}", f"whole.{kind}"]
    )


def test_going_on_with_something_else_is_refused(pictures, tmp_path, monkeypatch, small_units):
    out = tmp_path / "state.npz"
    other = make_pictures(tmp_path / "other", count=30)

    def stop(folder=other.folder, **options):
        with monkeypatch.context() as patch:
            interrupt_after(patch, 2)
            scan(folder, out=out, **options)

    stop()
    with pytest.raises(ValueError, match="the interrupted scan had other paths; start anew without resume"):
        scan(pictures.folder, out=out, resume=True)
    with pytest.raises(ValueError, match="the interrupted scan had other layout"):
        scan(other.folder, out=out, resume=True, layout="NHWC")
    (other.folder / other.names[3]).unlink()
    with pytest.raises(ValueError, match="the pictures are not those of the interrupted scan"):
        scan(other.folder, out=out, resume=True)
    aside = tmp_path / "state.npz.progress"
    aside.write_bytes(aside.read_bytes()[:-50])
    with pytest.raises(ValueError, match=r"state\.npz\.progress: it can't be gone on from: it is no complete"):
        scan(other.folder, out=out, resume=True)
    stop(records=tmp_path / "rows.csv")
    (tmp_path / "rows.csv.part").write_text("")
    with pytest.raises(ValueError, match=r"rows\.csv\.part: it is not what the interrupted scan left"):
        scan(other.folder, out=out, resume=True, records=tmp_path / "rows.csv")
    assert scan(other.folder, out=out).complete  # anew
    assert not aside.exists()
    assert scan(other.folder, out=out, resume=True).complete  # nothing was interrupted


def test_progress_is_kept_while_it_runs(pictures, tmp_path, monkeypatch, small_units):
    monkeypatch.setattr(work, "SAVE_EVERY", 0)
    kept = []
    plain = work.checkpoint.save
    monkeypatch.setattr(work.checkpoint, "save", lambda *given: (plain(*given), kept.append(given[1].done)))
    scan(pictures.folder, out=tmp_path / "state.npz")
    assert kept == [7, 14, 21, 28, 35, 42, 49, 56, 60]


@pytest.mark.scenario("processes")
def test_a_picture_that_ends_its_process_is_left_out(pictures, monkeypatch, small_units):
    plain, bad = engines.measure, str(pictures.folder / pictures.names[12])

    def measured(unit, how):
        if any(found.place.path == bad for found in unit):
            os._exit(9)
        return plain(unit, how)

    monkeypatch.setattr(engines, "measure", measured)  # forked workers have it, too
    monkeypatch.setattr(multiprocessing, "get_context", lambda plain=multiprocessing.get_context: plain("fork"))
    found = scan(pictures.folder, workers=2)
    assert (bad, "the process that decoded it came to an end") in found.unreadable
    assert len(found.unreadable) == len(pictures.broken) + 1
    assert found.images == 56


def test_a_full_disk_is_an_error_that_names_the_file(pictures, tmp_path, monkeypatch):
    def full(path, data):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr("ganchroma.stats.write_bytes", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*state\.npz'"):
        scan(pictures.folder, out=tmp_path / "state.npz")


# -- what people see ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gray", "text"),
    [
        (0, "The claim does not hold: 0 of 20 pictures (0 %) are gray."),
        (1, "The claim holds in part: 1 of 20 pictures (5 %) are gray."),
        (10, "The claim holds: 10 of 20 pictures (50 %) are gray."),
        (20, "The claim holds: 20 of 20 pictures (100 %) are gray."),
    ],
)
def test_verdicts(tmp_path, gray, text):
    for number in range(20):
        levels = smooth_picture(seed=number)
        if number < gray:
            levels = np.repeat(levels[..., :1], 3, axis=-1)
        Image.fromarray(levels).save(tmp_path / f"{number}.png")
    assert scan(tmp_path).verdict.startswith(text)


def test_pictures_that_hardly_have_colour(tmp_path):
    for number in range(4):
        levels = smooth_picture(seed=number).astype(float)
        faint = levels.mean(axis=-1, keepdims=True) + 0.08 * (levels - levels.mean(axis=-1, keepdims=True))
        Image.fromarray(np.rint(faint).astype(np.uint8)).save(tmp_path / f"{number}.png")
    found = scan(tmp_path)
    assert found.gray == 0
    assert "The claim holds" in found.verdict


def test_page_and_dictionary(pictures, tmp_path):
    found = scan(pictures.folder, html=tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert page.count("<img") == 4  # two sheets, two rows of colours
    assert found.verdict in page
    assert "<script" not in page
    assert found._repr_html_() in page
    told = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert told["gray_share"] == told["gray"] / told["images"]
    assert told["summary"]["images"] == told["images"] == 57
    assert [name for name, _ in found.unreadable] == told["unreadable"]
    text = str(found)
    assert "57 pictures in" in text
    assert f"{len(pictures.broken)} unreadable" in text


@pytest.mark.parametrize(("images", "gray", "either"), [(24, 12, (12, 12)), (60, 60, (24, 24)), (1, 0, (1, 0))])
def test_no_picture_is_at_both_ends(tmp_path, images, gray, either):
    levels = np.stack([smooth_picture(seed=seed) for seed in range(images)])
    levels[:gray] = levels[:gray, ..., :1]
    np.save(tmp_path / "a.npy", levels)
    found = scan(tmp_path, layout="NHWC")
    low, high = dict(found.grayest), dict(found.most_colorful)
    assert (len(low), len(high)) == either
    assert not low.keys() & high.keys()
    assert max(low.values()) <= min(high.values(), default=np.inf)
    assert ("The most colourful" in found._repr_html_()) == bool(high)


def test_names_are_escaped(tmp_path):
    (tmp_path / "<script>alert(1)<").mkdir()
    Image.fromarray(smooth_picture()).save(tmp_path / "<script>alert(1)<" / "a.png")
    (tmp_path / "<script>alert(2)<.png").write_text("")
    scan(tmp_path, html=tmp_path / "page.html", records=tmp_path / "rows.csv")
    assert "<script" not in (tmp_path / "page.html").read_text()


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_rows_that_do_not_become_parquet_lose_nothing(pictures, tmp_path, monkeypatch, error):
    pytest.importorskip("pyarrow")
    files = {"out": tmp_path / "state.npz", "records": tmp_path / "rows.parquet"}

    def fails(source, target):
        target.write_bytes(b"half")
        raise error

    with monkeypatch.context() as patch:
        patch.setattr("ganchroma.scanning.records._to_parquet", fails)
        if error is KeyboardInterrupt:
            assert not scan(pictures.folder, **files).complete
        else:
            with pytest.raises(error):
                scan(pictures.folder, **files)
    with monkeypatch.context() as patch:
        interrupt_after(patch, 0, AssertionError)  # nothing is measured again
        found = scan(pictures.folder, resume=True, **files)
    assert (found.complete, found.images) == (True, 57)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rows.parquet", "state.npz"]


def test_records_in_parquet_are_those_in_csv(pictures, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    weird = tmp_path / 'new\nline,"quoted",\rover'
    weird.mkdir()
    Image.new("RGB", (8, 8), (9, 9, 9)).save(weird / "flat.png")
    paths = [pictures.folder, weird]
    scan(paths, records=tmp_path / "rows.csv")
    scan(paths, records=tmp_path / "rows.parquet")
    with open(tmp_path / "rows.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    table = parquet.read_table(tmp_path / "rows.parquet").to_pylist()
    assert len(table) == len(rows) == 58
    for row, record in zip(rows, table, strict=True):
        assert (record["path"], record["gray"]) == (row["path"], row["gray"] == "true")
        assert (
            str(record["achromatic_share"] if record["achromatic_share"] is not None else "") == row["achromatic_share"]
        )
    assert table[-1]["achromatic_share"] is None
    assert table[-1]["path"] == str(weird / "flat.png")


def test_a_folder_without_pictures_is_not_called_unreadable(tmp_path):
    (tmp_path / "picture_without_ending").write_bytes(b"")
    assert "there is no picture; in folders and archives files count by their endings" in scan(tmp_path).verdict
