"""Files that claim to hold more than any memory: one clear line, at once; and a save that a kill interrupts."""

import gzip
import io
import os
import random
import signal
import subprocess
import sys
import tarfile
import time
import zipfile

import numpy as np
import pytest
from pictures import scan
from support import ROOT

import ganchroma as gch
from ganchroma import _files
from ganchroma._files import read_arrays

pytest.importorskip("PIL.Image")


@pytest.fixture
def small_limit(monkeypatch):
    """So that a bomb in a test need not be one."""
    monkeypatch.setattr(_files, "LARGEST", 1 << 20)
    monkeypatch.setattr("ganchroma.scanning.containers.LARGEST", 1 << 20)


@pytest.mark.parametrize("kind", ["zip", "tar", "tgz"])
def test_a_picture_in_an_archive_is_not_unpacked_without_end(tmp_path, small_limit, kind):
    path, size = tmp_path / f"bomb.{kind}", 8 << 20
    if kind == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("a.png", bytes(size))
    else:
        member = tarfile.TarInfo("a.png")
        member.size = size
        with tarfile.open(path, "w:gz" if kind == "tgz" else "w") as archive:
            archive.addfile(member, io.BytesIO(bytes(size)))
    found = scan(path)
    assert found.unreadable == [(f"{path}/a.png", "it would take 8,388,608 bytes; a picture has 1,048,576 at most")]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("kind", ["tar", "tgz"])
def test_a_size_that_no_archive_can_hold_is_not_waited_for(tmp_path, kind):
    member = tarfile.TarInfo("a.png")
    member.size = 1 << 50
    data, path = member.tobuf() + bytes(10240), tmp_path / f"lie.{kind}"
    path.write_bytes(gzip.compress(data) if kind == "tgz" else data)
    ((name, reason),) = scan(path).unreadable
    assert name == f"{path}/a.png"
    assert reason == "it is damaged: it claims 1,125,899,906,842,624 bytes; what follows is not read"


def test_an_array_is_not_unpacked_without_end(tmp_path, small_limit):
    np.savez_compressed(tmp_path / "bomb.npz", weight=np.zeros((1, 3, 1000, 1000), np.uint8))
    text = r"\d,\d{3} bytes unpack to 3,000,128, .* save it without compression"
    with pytest.raises(ValueError, match=rf"bomb\.npz: array 'weight': {text}"):
        read_arrays(tmp_path / "bomb.npz")
    with pytest.raises(ValueError, match=rf"bomb\.npz can't be read as ChromaStats: array 'weight': {text}"):
        gch.ChromaStats.load(tmp_path / "bomb.npz")
    ((_, reason),) = scan(tmp_path / "bomb.npz").unreadable
    assert reason == "it would take 3,000,000 bytes; a picture has 1,048,576 at most"
    np.savez(tmp_path / "plain.npz", weight=np.zeros((1, 3, 1000, 1000), np.uint8))
    assert read_arrays(tmp_path / "plain.npz")["weight"].shape == (1, 3, 1000, 1000)


class Pickled:
    def __reduce__(self):
        return os.mkdir, ("unpickled",)


@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
def test_nothing_is_unpickled(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (np.save if name.endswith("npy") else np.savez)(name, np.array([Pickled()], object))
    with pytest.raises(ValueError, match="it holds Python objects, which are not opened"):
        read_arrays(name)
    if name == "a.npz":
        with pytest.raises(ValueError, match="it holds Python objects"):
            gch.ChromaStats.load(name)
    assert scan(name, value_range=(0, 1)).images == 0
    assert not os.path.exists("unpickled")


def test_a_kill_while_saving_leaves_a_whole_state(tmp_path):
    path, code = tmp_path / "state.npz", "import sys, ganchroma as gch\nstate = gch.ChromaStats()\nprint(flush=True)\n"
    code += "while True:\n    state.save(sys.argv[1])\n"
    gch.ChromaStats().save(path)
    killer = random.Random(0)
    for _ in range(6):
        with subprocess.Popen([sys.executable, "-c", code, path], stdout=subprocess.PIPE, cwd=ROOT) as saving:
            saving.stdout.readline()
            time.sleep(killer.random() * 0.02)
            saving.send_signal(signal.SIGKILL)
        assert gch.ChromaStats.load(path) == gch.ChromaStats()
