"""Scanning: what stands where the results go, and what is left where one can't be written."""

import os

import pytest
from pictures import scan
from support import smooth_picture

from ganchroma import ChromaStats
from ganchroma.scanning import engines

Image = pytest.importorskip("PIL.Image")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.mkdir("pictures")
    Image.fromarray(smooth_picture()).save("pictures/a.png")
    return tmp_path


def files_of(kind):
    if kind == "parquet":
        pytest.importorskip("pyarrow")
    return {"out": "state.npz", "records": f"rows.{kind}"}


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_records_are_written_through_links_and_keep_permissions(folder, kind, monkeypatch):
    records = files_of(kind)["records"]
    os.mkdir("real")
    target = folder / "real" / "private"
    target.write_text("old")
    target.chmod(0o600)
    os.symlink("real/private", records)
    modes, measured = [], engines.measure

    def looking(*given):
        modes.append((folder / "real" / "private.part").stat().st_mode & 0o777)
        return measured(*given)

    monkeypatch.setattr(engines, "measure", looking)
    scan("pictures", records=records)
    assert os.path.islink(records)
    assert b"a.png" in target.read_bytes()
    assert [target.stat().st_mode & 0o777, *modes] == [0o600, 0o600]
    assert os.listdir("real") == ["private"]


@pytest.mark.parametrize("name", ["rows.csv.part", "state.npz.progress"])
def test_a_link_is_not_taken_for_what_a_scan_left(folder, name):
    os.symlink("elsewhere", name)
    with pytest.raises(ValueError, match=rf"{name} is in the way: no scan left it"):
        scan("pictures", **files_of("csv"))
    assert sorted(os.listdir()) == ["pictures", name]


def test_a_pipe_is_not_replaced_by_records(folder):
    os.mkfifo("rows.csv")
    with pytest.raises(ValueError, match=r"records is rows\.csv, no regular file; accepted: a file"):
        scan("pictures", records="rows.csv")


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_state_that_can_not_be_written_loses_nothing(folder, monkeypatch, kind):
    def refuse(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(ChromaStats, "save", refuse)
        with pytest.raises(OSError, match="No space left"):
            scan("pictures", **files_of(kind))
    assert sorted(os.listdir()) == ["pictures", f"rows.{kind}.part", "state.npz.progress"]
    with monkeypatch.context() as patch:
        patch.setattr(engines, "measure", None)  # nothing is measured again
        assert scan("pictures", resume=True, **files_of(kind)).complete
    assert sorted(os.listdir()) == ["pictures", f"rows.{kind}", "state.npz"]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("place", ["ganchroma.scanning.checkpoint.save", "ganchroma.scanning.records.put_in_place"])
def test_no_hidden_file_is_left(folder, monkeypatch, kind, place):
    def refuse(*_):
        raise OSError(2, "No such file or directory")

    monkeypatch.setattr(place, refuse)
    if "checkpoint" in place:
        monkeypatch.setattr(ChromaStats, "save", refuse)
    with pytest.raises(OSError, match="No such file"):
        scan("pictures", **files_of(kind))
    assert f"rows.{kind}.part" in os.listdir()
    assert not [name for name in os.listdir() if name.startswith(".")]
