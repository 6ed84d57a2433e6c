"""What results are written over: results of their kind, never pictures or arrays."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from support import smooth_picture

import ganchroma as gch
from ganchroma import cli
from ganchroma._files import write_text

Image = pytest.importorskip("PIL.Image")
IMAGES = np.random.default_rng(0).integers(0, 256, (4, 3, 16, 16), np.uint8)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Three pictures, three arrays, and what has no ending that tells."""
    monkeypatch.chdir(tmp_path)
    for name in "abc":
        Image.fromarray(smooth_picture()).save(f"{name}.png")
        np.savez(f"{name}.npz", images=IMAGES)
    shutil.copy("a.png", "picture")
    shutil.copy("a.npz", "arrays")
    return tmp_path


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


PICTURES, ARRAYS = [["a.png", "b.png", "c.png"], ["a.npz", "b.npz", "c.npz"]]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["diagnose", "--html", *PICTURES], "--html is a.png, the name of a picture; accepted: another ending"),
        (["diagnose", "--html", *ARRAYS], "--html is a.npz, the name of arrays; accepted: another ending"),
        (["diagnose", "--html", "new.tar.gz", "a.png"], "--html is new.tar.gz, the name of an archive; accepted"),
        (["diagnose", "--html", "new.SVG", "a.png"], "--html is new.SVG, the name of a picture; accepted"),
        (["diagnose", "--html", "picture", "a.png"], "--html is picture, which holds no text; accepted: a new file"),
        (["scan", "--html", *PICTURES], "html is a.png, the name of a picture; accepted: another ending"),
        (["scan", "--html", *ARRAYS], "html is a.npz, the name of arrays; accepted: another ending"),
        (["scan", "--html", "arrays", "a.png"], "html is arrays, which holds no text; accepted: a new file, or one"),
        (["scan", "--out", *ARRAYS], "out is a.npz, which holds no state of ChromaStats; accepted: a new file, or one"),
        (["scan", "--out", "picture", "a.png"], "out is picture, which holds no state of ChromaStats; accepted"),
        (["scan", "--out", "new.npy", "a.png"], "out is new.npy, the name of arrays; accepted: another ending"),
        (["scan", "--records", "link.csv", "a.png"], "records is link.csv, which holds no rows of a scan; accepted"),
    ],
)
def test_no_option_takes_data_for_a_result(folder, capsys, arguments, reason):
    os.symlink("picture", "link.csv")
    before = contents(folder)
    assert cli.main(arguments) == 2
    assert f"ganchroma: {reason}" in capsys.readouterr().err
    assert contents(folder) == before


def test_records_replace_no_other_parquet(folder, capsys):
    pyarrow = pytest.importorskip("pyarrow")
    pytest.importorskip("pyarrow.parquet").write_table(pyarrow.table({"image": [b"mine"]}), "rows.parquet")
    shutil.copy("a.png", "cut.parquet")
    before = contents(folder)
    for name in ("rows.parquet", "cut.parquet"):
        assert cli.main(["scan", "a.png", "--workers", "1", "--records", name]) == 2
        assert f"records is {name}, which holds no rows of a scan; accepted" in capsys.readouterr().err
    assert contents(folder) == before


def test_a_demo_replaces_no_picture(folder, capsys):
    for kind in ("JPEG", "PNG"):
        Image.fromarray(smooth_picture()).save("sheet.png", kind)
        before = contents(folder)
        assert cli.main(["demo", "--out", "."]) == 2
        assert "out is sheet.png, which holds no figure of matplotlib; accepted" in capsys.readouterr().err
        assert contents(folder) == before


def writers():
    diagnosis, found = gch.diagnose(IMAGES), gch.scan("a.png", workers=1, show_progress=False)
    yield gch.ChromaStats().update(IMAGES).save, "state of ChromaStats"
    yield from ((write, "text") for write in (diagnosis.save_html, diagnosis.save_json, found.save_html))


def test_no_function_takes_data_for_a_result(folder):
    before = contents(folder)
    for write, kind in writers():
        for name in ("picture", "arrays"):
            with pytest.raises(ValueError, match=f"path is {name}, which holds no {kind}; accepted: a new file"):
                write(name)
        with pytest.raises(ValueError, match=r"path is a\.png, the name of a picture; accepted: another ending"):
            write("a.png")
    assert contents(folder) == before


UNLIKE_TEXT = {
    "a PPM": b"P6 32 32 255\n" + bytes([90]) * 3072,
    "a PGM in digits": b"P2\n2 1\n255\n90 91\n",
    "floats": np.full(999, np.pi, np.float32).tobytes(),
    "zeros": bytes(3072),
}


@pytest.mark.parametrize("case", UNLIKE_TEXT)
def test_data_without_a_telling_name_are_not_lost(tmp_path, case):
    (tmp_path / "data").write_bytes(UNLIKE_TEXT[case])
    with pytest.raises(ValueError, match="data, which holds no text; accepted: a new file"):
        write_text(tmp_path / "data", "new")
    assert (tmp_path / "data").read_bytes() == UNLIKE_TEXT[case]


def test_text_is_replaced_wherever_its_beginning_ends(tmp_path):
    for first in range(3):
        (tmp_path / "text").write_text("P6" + "." * first + "\N{BULLET}" * 2000, encoding="utf-8")
        write_text(tmp_path / "text", "new")
    assert (tmp_path / "text").read_text() == "new"


def test_a_link_to_the_name_of_a_picture_is_refused(tmp_path):
    os.symlink("new.png", tmp_path / "page.html")
    with pytest.raises(ValueError, match=r"page\.html, a link to .*new\.png, the name of a picture; accepted: another"):
        write_text(tmp_path / "page.html", "new")
    assert not (tmp_path / "new.png").exists()


@pytest.mark.parametrize("more", ["images", "version"])
def test_arrays_beside_those_of_a_state_are_not_lost(folder, more):
    stats = gch.ChromaStats().update(IMAGES)
    np.savez("mine.npz", **({"version": IMAGES} if more == "version" else stats.state() | {more: IMAGES}))
    with pytest.raises(ValueError, match=r"path is mine\.npz, which holds no state of ChromaStats"):
        stats.save("mine.npz")
    with open("mine.npz", "r+b") as file:
        file.truncate(2000)
    with pytest.raises(ValueError, match=r"path is mine\.npz, which holds no state of ChromaStats"):
        stats.save("mine.npz")


def test_results_of_the_same_kind_are_replaced(folder):
    stats = gch.ChromaStats().update(IMAGES)
    for version in (1, 2):
        shutil.copy(Path(__file__).parent / "data" / f"stats_version_{version}.npz", "state.npz")
        stats.save("state.npz")
        assert gch.ChromaStats.load("state.npz") == stats
    Path("empty.npz").touch()
    files = {"out": "empty.npz", "records": "rows.csv", "html": "page.html"}
    for _ in range(2):
        gch.scan("a.png", workers=1, show_progress=False, **files)
    Path("page.html").write_text("<svg>\N{BULLET}</svg>", encoding="utf-8")
    for write, _ in list(writers())[1:]:
        write("page.html")
    assert Path("page.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
