"""`ganchroma scan`: answers, exit status, Ctrl-C."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from pictures import make_pictures

import ganchroma as gch
from ganchroma import cli

pytest.importorskip("PIL.Image")

COPIES = 120  # of a folder: enough work that Ctrl-C comes before its end


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return make_pictures(tmp_path_factory.mktemp("pictures"))


def run(capsys, *arguments):
    status = cli.main(["scan", *(str(argument) for argument in arguments)])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_text(pictures, capsys, tmp_path):
    status, out, _ = run(capsys, pictures.folder, "--workers", 1, "--html", tmp_path / "page.html")
    assert status == 0
    assert "57 pictures in" in out
    assert "The claim holds in part: 6 of 57 pictures (10.5 %) are gray." in out
    assert (tmp_path / "page.html").stat().st_size > 10_000


def test_json(pictures, capsys, tmp_path):
    files = ["--out", tmp_path / "state.npz", "--records", tmp_path / "rows.csv"]
    status, out, _ = run(capsys, pictures.folder, "--workers", 2, "--json", *files)
    told = json.loads(out)
    assert status == 0
    assert (told["images"], told["gray"], told["gray_share"]) == (57, 6, 6 / 57)
    assert {os.path.relpath(path, pictures.folder) for path in told["unreadable"]} == pictures.broken
    assert told["summary"] == gch.ChromaStats.load(tmp_path / "state.npz").summary().to_dict()
    assert len((tmp_path / "rows.csv").read_text().splitlines()) == 58


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["nowhere"], "ganchroma: nowhere: no such file or folder"),
        ([".", "--resume"], "ganchroma: --resume needs --out STATE.npz"),
        ([".", "--records", "a.txt"], "ganchroma: records is a.txt; accepted"),
        (["floats.npy", "--layout", "NHWC"], ""),
    ],
)
def test_what_cannot_be_done(tmp_path, monkeypatch, capsys, arguments, text):
    monkeypatch.chdir(tmp_path)
    np.save("floats.npy", np.zeros((2, 4, 4, 3)))
    status, out, err = run(capsys, *arguments)
    assert status == 2
    assert text in err
    if not text:
        assert "floats.npy: --value-range is required" in out
        assert run(capsys, *arguments, "--value-range", "-1", "1")[0] == 0


def interrupted(folder, out, *options):
    """Start the program, send Ctrl-C once it works, and wait for its end."""
    command = [sys.executable, "-m", "ganchroma.cli", "scan", str(folder), "--out", str(out), *options]
    begun = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    deadline = time.monotonic() + 60
    while not (out.parent / "rows.csv.part").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.5)
    os.killpg(begun.pid, signal.SIGINT)  # as a terminal does: to all of its processes
    text, errors = begun.communicate(timeout=60)
    return begun.returncode, text, errors


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.scenario("interrupts")
def test_an_interrupt_keeps_what_there_is(tmp_path, workers):
    big = make_pictures(tmp_path / "some", count=40, sides=(256, 300))
    for copy in range(COPIES):
        shutil.copytree(big.folder, tmp_path / "all" / str(copy), copy_function=os.link)
    state, rows = tmp_path / "state.npz", tmp_path / "rows.csv"
    options = ["--workers", workers, "--records", str(rows)]
    status, text, errors = interrupted(tmp_path / "all", state, *options)
    assert status == 130, (text, errors)
    assert "interrupted: this is not all" in text
    assert f"go on with --resume --out {state}" in errors
    assert "Traceback" not in errors
    before = gch.ChromaStats.load(state).count("images")
    assert before < COPIES * 37
    found = gch.scan(str(tmp_path / "all"), out=state, records=rows, resume=True, workers=2, show_progress=False)
    assert found.images == COPIES * 37
    assert found.gray == COPIES * len(big.gray)
    assert len(rows.read_text().splitlines()) == COPIES * 37 + 1
    assert not list(tmp_path.glob("*.part")) + list(tmp_path.glob("*.progress"))
