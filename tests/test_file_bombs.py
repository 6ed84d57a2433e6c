"""Files that claim to hold more than any memory: one clear line, at once; and a save that a kill interrupts."""

import bz2
import gzip
import io
import os
import random
import signal
import subprocess
import sys
import tarfile
import time
import tracemalloc
import warnings
import zipfile
from unittest import mock

import numpy as np
import pytest
from pictures import scan
from support import ROOT, smooth_picture

import ganchroma as gch
from ganchroma import _files
from ganchroma._files import read_arrays
from ganchroma.scanning import engines, places
from ganchroma.scanning.measuring import Part
from ganchroma.scanning.reading import _Rows

Image = pytest.importorskip("PIL.Image")


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


def tar_header(name, size, kind=tarfile.REGTYPE):
    """What tarfile would not write: any size of anything."""
    member = tarfile.TarInfo(name)
    member.type = kind
    head = bytearray(member.tobuf(tarfile.GNU_FORMAT))
    head[124:136] = tarfile.itn(size, 12, tarfile.GNU_FORMAT)
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    return bytes(head)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("suffix", ["tar", "tar.gz"])
@pytest.mark.parametrize("way", ["header", "pax", "sparse"])
def test_a_negative_size_ends_a_tar(tmp_path, suffix, way):
    """The next member would be one before it, for ever."""
    told = b"14 size=-1536\n"
    lie = {
        "header": tar_header("b.png", -1024),
        "pax": tar_header("p", len(told), tarfile.XHDTYPE) + told.ljust(512, b"\0") + tar_header("b.png", 0),
        "sparse": tar_header("b.png", -1024, tarfile.GNUTYPE_SPARSE),
    }[way]
    data, path = tar_header("a.txt", 0) + lie + bytes(1024), tmp_path / f"a.{suffix}"
    path.write_bytes(gzip.compress(data) if suffix == "tar.gz" else data)
    ((name, reason),) = scan(path, show_progress=True).unreadable
    assert name.startswith(str(path))
    assert reason.startswith("it is damaged: ")
    assert reason.endswith("what follows is not read")


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE])
def test_a_name_of_gigabytes_is_not_read(tmp_path, kind):
    """Nor is what a few bytes of bzip2 hold unpacked in one go."""
    size, path = 32 << 20, tmp_path / "a.tar.bz2"
    path.write_bytes(bz2.compress(tar_header("a.txt", 0) + tar_header("name", size, kind) + bytes(size)))
    tracemalloc.start()
    found = scan(path, show_progress=True)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    reason = "it is damaged: a header claims 33,554,432 bytes; what follows is not read"
    assert found.unreadable == [(str(path), reason)]
    assert peak < 4 << 20


def test_a_unit_holds_few_bytes(tmp_path, monkeypatch):
    """Of a compressed archive the members wait in memory; how many there are is told without unpacking it whole."""
    path, member = tmp_path / "a.tgz", tarfile.TarInfo("a.png")
    member.size = 1 << 20
    with tarfile.open(path, "w:gz") as archive:
        for _ in range(8):
            archive.addfile(member, io.BytesIO(bytes(member.size)))
    monkeypatch.setattr(places, "UNIT_BYTES", 2 << 20)
    assert [len(unit) for unit in places.units(places.find([str(path)]))] == [2, 2, 2, 2]
    monkeypatch.setattr("ganchroma.scanning.containers.LOOK_UNPACKED", 3 << 20)
    with mock.patch("gzip.GzipFile.read", autospec=True, side_effect=gzip.GzipFile.read) as read:
        assert places.count([str(path)]) == pytest.approx(8, abs=8)
    assert sum(call.args[1] for call in read.call_args_list) < 4 << 20
    whole = []
    for unit, _ in engines.over_processes(places.units(places.find([str(path)])), _nothing, 2):
        assert not any(item.data for item in unit)
        whole += unit
    assert len(whole) == 8


def test_a_member_is_in_memory_once(tmp_path):
    path, member = tmp_path / "a.tgz", tarfile.TarInfo("a.png")
    member.size = 8 << 20
    with tarfile.open(path, "w:gz") as archive:
        archive.addfile(member, io.BytesIO(bytes(member.size)))
    tracemalloc.start()
    (found,) = places.find([str(path)])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.data == bytes(member.size)
    assert peak < 1.6 * member.size


def _nothing(unit):
    return Part()


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


def test_all_arrays_of_a_file_count_together(tmp_path, small_limit):
    """Each may be allowed and all of them too much; what a state has not is not unpacked at all."""
    path = tmp_path / "many.npz"
    np.savez_compressed(path, **{str(number): np.zeros(400_000, np.uint8) for number in range(4)})
    for read in (read_arrays, gch.ChromaStats.load):
        with pytest.raises(ValueError, match=r"array '2': .* bytes unpack to 1,200,384"):
            read(path)
    state = gch.ChromaStats().state()
    np.savez_compressed(path, **state, more=np.zeros(1_000_000, np.uint8))
    tracemalloc.start()
    assert gch.ChromaStats.load(path) == gch.ChromaStats()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 900_000


def lie(path, name, data, method, claimed):
    """A zip whose one member says that it is shorter than it is."""
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr(name, data)
    whole = bytearray(path.read_bytes())
    for mark, at in ((b"PK\3\4", 22), (b"PK\1\2", 24)):
        begin = whole.index(mark) + at
        whole[begin : begin + 4] = claimed.to_bytes(4, "little")
    path.write_bytes(whole)


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_no_more_is_unpacked_than_a_member_says(tmp_path, method):
    size, header = 8 << 20, io.BytesIO()
    np.save(header, np.zeros((1, 3, 4, 4), np.uint8))
    bombs = [tmp_path / "a.zip", tmp_path / "a.npz"]
    lie(bombs[0], "a.png", bytes(size), method, 100)
    lie(bombs[1], "a.npy", header.getvalue() + bytes(size), method, len(header.getvalue()))
    tracemalloc.start()
    found = scan(bombs)
    assert (found.images, len(found.unreadable)) == (0, 2)
    for read in (read_arrays, gch.ChromaStats.load):
        with pytest.raises(ValueError, match=r"a\.npz"):
            read(bombs[1])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < size / 4
    if method != zipfile.ZIP_DEFLATED:
        assert all("accepted in a .zip or .npz: deflate, or no compression" in reason for _, reason in found.unreadable)


def npy(shape, dtype="|u1", data=b""):
    """A .npy file whose header is believed."""
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": dtype, "fortran_order": False, "shape": shape})
    return stream.getvalue() + data


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("shape", "dtype", "text"),
    [
        ((10**12, 0, 4, 3), "|u1", "pictures without a pixel"),
        ((10**12, 3, 4, 4), "|V0", "items of no bytes"),
        ((0, 4, 3), "|u1", "pictures without a pixel"),
    ],
)
def test_pictures_without_pixels_are_one_file_that_can_not_be_read(tmp_path, shape, dtype, text):
    (tmp_path / "a.npy").write_bytes(npy(shape, dtype))
    with zipfile.ZipFile(tmp_path / "b.npz", "w") as archive:
        archive.writestr("x.npy", npy(shape, dtype))
    found = scan(tmp_path)
    assert [name for name, _ in found.unreadable] == [f"{tmp_path}/a.npy", f"{tmp_path}/b.npz/x"]
    assert all(text in reason for _, reason in found.unreadable)


def test_arrays_of_one_name_or_of_none_are_all_read(tmp_path):
    levels = np.random.default_rng(0).integers(0, 256, (3, 3, 8, 8), dtype=np.uint8)
    one = npy((1, 3, 8, 8))
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zipfile's, of the name
        for name, picture in zip(("same.npy", "same.npy", ".npy"), levels, strict=True):
            archive.writestr(name, one + picture.tobytes())
    np.save(tmp_path / "a.npy", levels)
    found = scan(tmp_path / "a.npz", html=tmp_path / "a.html")
    assert found.stats == scan(tmp_path / "a.npy").stats
    assert not found.unreadable
    assert (tmp_path / "a.html").read_text().count("<img") == 4


@pytest.mark.parametrize("fortran", [False, True])
def test_an_array_that_shrinks_while_it_is_read(tmp_path, fortran):
    """The rows that are gone can't be read; mapped into memory, they ended the process."""
    levels = np.random.default_rng(0).integers(0, 256, (4, 3, 64, 64), dtype=np.uint8)
    path = tmp_path / "a.npy"
    np.save(path, np.asfortranarray(levels) if fortran else levels)
    rows = _Rows(str(path))
    assert all((rows.read(number) == levels[number]).all() for number in range(4))
    os.truncate(path, 20_000)
    if not fortran:  # else all of them are in memory
        with pytest.raises(ValueError, match="the file has become shorter"):
            rows.read(3)
    rows.close()


def test_an_array_too_large_to_be_read_is_refused_once(tmp_path, small_limit):
    np.save(tmp_path / "a.npy", np.zeros((8, 3, 256, 256), np.uint8, "F"))
    np.save(tmp_path / "b.npy", np.zeros((2, 3, 1024, 1024), np.uint8))
    assert scan(tmp_path).unreadable == [
        (f"{tmp_path}/a.npy", "it is in Fortran's order and too large to be read whole; save it in C's"),
        (f"{tmp_path}/b.npy", "it would take 3,145,728 bytes; a picture has 1,048,576 at most"),
    ]


def test_a_raw_picture_is_not_mapped_into_memory(tmp_path):
    Image.fromarray(smooth_picture()).convert("L").save(tmp_path / "a.bmp")
    maps = []
    with mock.patch("PIL.Image.core.map_buffer", lambda *given: maps.append(given)):
        _files.read_picture(tmp_path / "a.bmp")
    assert not maps


@pytest.mark.timeout(60)
def test_a_device_or_a_pipe_is_not_waited_for(tmp_path):
    for name in ("a.npz", "a.npy", "a.safetensors", "a.png"):
        os.symlink("/dev/zero", tmp_path / name)
    os.mkfifo(tmp_path / "pipe.npz")
    for name in ("a.npz", "a.npy", "a.safetensors", "pipe.npz"):
        with pytest.raises(ValueError, match=rf"{name}: it is no regular file"):
            read_arrays(tmp_path / name)
    with pytest.raises(ValueError, match=r"a\.png: it is no regular file"):
        _files.read_picture(tmp_path / "a.png")
    for name in ("a.npz", "pipe.npz"):
        with pytest.raises(OSError, match=rf"it is no regular file: .*{name}"):
            gch.ChromaStats.load(tmp_path / name)


def test_16_bit_gray_takes_little_more_than_its_pixels(tmp_path):
    levels = np.arange(1 << 20, dtype=np.uint16).reshape(1024, 1024)  # every value
    Image.fromarray(levels).save(tmp_path / "a.png")
    tracemalloc.start()
    read = _files.read_picture(tmp_path / "a.png")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (read == np.rint(levels / 257).astype(np.uint8)[..., np.newaxis]).all()
    assert peak < 6 * levels.size


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
