"""Files: pictures of every kind become RGB, headers are not believed, nothing but plain files is replaced."""

import json
import os
import stat
import struct
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from support import smooth_picture

from ganchroma._files import FORMATS, read_arrays, read_picture, write_text

Image = pytest.importorskip("PIL.Image")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


# -- pictures -----------------------------------------------------------------------------------------------------


def test_transparency_is_laid_over_white(folder):
    array = np.zeros((2, 2, 4), np.uint8)
    array[0, 0] = (255, 0, 0, 255)
    array[1, 1] = (0, 0, 0, 128)
    Image.fromarray(array).save("a.png")
    rgb = read_picture("a.png")
    assert rgb[0, 0].tolist() == [255, 0, 0]
    assert rgb[0, 1].tolist() == [255, 255, 255]
    assert rgb[1, 1].tolist() == [127, 127, 127]


def png(bits, colors, row, key):
    """One row of pixels, the color `key` transparent; Pillow writes few such."""
    header = struct.pack(">IIBBBBB", len(row) * 8 // (bits * colors), 1, bits, colors - colors % 2, 0, 0, 0)
    parts = {
        b"IHDR": header,
        b"tRNS": struct.pack(f">{colors}H", *key),
        b"IDAT": zlib.compress(b"\0" + row),
        b"IEND": b"",
    }
    chunks = (len(data).to_bytes(4) + kind + data + zlib.crc32(kind + data).to_bytes(4) for kind, data in parts.items())
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@pytest.mark.parametrize(
    ("bits", "row", "key", "levels"),
    [
        (1, b"\x55", 1, [0, 255] * 4),
        (2, b"\x1b", 1, [0, 255, 170, 255]),
        (4, b"\x01\x23", 2, [0, 17, 255, 51]),
        (8, b"\x12\x34", 0x34, [0x12, 255]),
        (16, b"\x12\x34\x12\x35", 0x1234, [255, 18]),
    ],
)
def test_a_transparent_gray_is_white_at_any_depth(folder, bits, row, key, levels):
    (folder / "a.png").write_bytes(png(bits, 1, row, [key]))
    assert read_picture("a.png")[0].tolist() == [[level] * 3 for level in levels]


def test_a_transparent_color_of_16_bits_is_refused(folder):
    """Pillow compares it with the upper 8 bits, of which several colors share the same."""
    (folder / "a.png").write_bytes(png(16, 3, b"\x12\x34\x56\x78\x9a\xbc", [0x1234, 0x5678, 0x9ABC]))
    with pytest.raises(ValueError, match=r"a\.png: its transparent colour has 16 bits .* with an alpha channel"):
        read_picture("a.png")


def test_palettes_gray_and_cmyk_become_rgb(folder):
    original = smooth_picture()
    Image.fromarray(original).quantize(64).save("palette.png")
    assert np.abs(read_picture("palette.png").astype(int) - original).mean() < 12  # 64 colours for 576 pixels
    Image.fromarray(original).convert("L").save("gray.png")
    assert np.all(np.ptp(read_picture("gray.png"), axis=-1) == 0)
    Image.fromarray(original).convert("CMYK").save("cmyk.tiff")
    assert np.abs(read_picture("cmyk.tiff").astype(int) - original).max() <= 1


def test_sixteen_bit_gray_is_rounded(folder):
    values = np.array([[0, 128, 129, 65535]], np.uint16)
    Image.fromarray(values).save("deep.png")
    assert read_picture("deep.png")[0, :, 0].tolist() == [0, 0, 1, 255]


def test_twelve_bit_gray_is_of_4095(folder):
    """A TIFF of two pixels, packed into three bytes; Pillow writes none."""
    tags = {256: 2, 257: 1, 258: 12, 259: 1, 262: 1, 273: 8, 279: 3}  # 273: where the pixels are
    directory = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    (folder / "a.tif").write_bytes(
        b"II*\0" + struct.pack("<I", 12) + b"\x7f\x0f\xff\0" + struct.pack("<H", len(tags)) + directory + bytes(4)
    )
    assert read_picture("a.tif")[0, :, 0].tolist() == [127, 255]


@pytest.mark.parametrize("values", [[-1, 7], [0, 65536], [0, 255]])
def test_integers_that_are_no_16_bit_gray_are_refused(folder, values):
    """Small ones too: nothing says which of them is white."""
    Image.fromarray(np.array([values], np.int32)).save("a.tif")
    with pytest.raises(
        ValueError, match=rf"a\.tif: its values go from {values[0]} to {values[1]}, .* 0 to 65535; save them as \.npy"
    ):
        read_picture("a.tif")


@pytest.mark.parametrize(
    ("dtype", "reason"), [(np.uint8, "signed pixels"), (np.uint16, r"its values go from 0 to 127, .* 0 to 65535")]
)
def test_signed_gray_is_refused(folder, dtype, reason):
    """Its white is not that of as many bits without a sign."""
    Image.fromarray(np.array([[0, 127]], dtype)).save("a.tif", tiffinfo={339: 2})  # SampleFormat
    with pytest.raises(ValueError, match=rf"a\.tif: {reason}.*; save them as \.npy and state the range"):
        read_picture("a.tif")


def test_animations_show_their_first_frame(folder):
    frames = [Image.new("RGB", (4, 4), color) for color in ("red", "blue")]
    frames[0].save("a.gif", save_all=True, append_images=frames[1:])
    assert read_picture("a.gif")[0, 0].tolist() == [255, 0, 0]


def test_float_pixels_are_refused(folder):
    Image.fromarray(np.zeros((2, 2), np.float32)).save("f.tiff")
    with pytest.raises(ValueError, match=r"f\.tiff: float pixels"):
        read_picture("f.tiff")


def test_no_other_program_is_started(folder, monkeypatch):
    """Pillow draws PostScript, whatever the file is called, by Ghostscript."""
    (folder / "gs").write_text("#!/bin/sh\ntouch started\n")
    (folder / "gs").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    Image.fromarray(smooth_picture()).save("cat.eps")
    os.replace("cat.eps", "cat.png")
    with pytest.raises(
        ValueError, match=r"^cat\.png: not a picture of a kind that is opened: BMP, GIF, JPEG, .*, WEBP$"
    ):
        read_picture("cat.png")
    assert not os.path.exists("started")


@pytest.mark.parametrize("kind", FORMATS)
def test_every_kind_that_is_named_is_opened(folder, kind):
    Image.init()
    if kind not in Image.SAVE:
        pytest.skip(f"this Pillow writes no {kind}")
    original = np.repeat(np.repeat(smooth_picture(4), 16, axis=0), 16, axis=1)
    Image.fromarray(original).save("cat.jpg", kind, quality=95)  # the ending does not matter
    assert np.abs(read_picture("cat.jpg").astype(int) - original).mean() < 12


def test_a_kind_that_pillow_lacks_is_left_out(folder, monkeypatch):
    Image.init()
    monkeypatch.delitem(Image.OPEN, "BMP")
    (folder / "a.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match="not a picture of a kind that is opened: GIF, JPEG"):
        read_picture("a.png")


def test_stereo_photographs_show_their_first(folder):
    pair = [Image.new("RGB", (16, 16), color) for color in ("red", "blue")]
    pair[0].save("a.jpg", "MPO", save_all=True, append_images=pair[1:])
    assert read_picture("a.jpg")[8, 8].tolist() == [254, 0, 0]


# -- arrays -------------------------------------------------------------------------------------------------------


def test_headers_are_not_believed(folder):
    start = {"descr": "<f8", "fortran_order": False}
    for shape, text in [((-1,), "cut off or damaged"), ((3, 2**70), "cut off or damaged"), (("a",), "does not begin")]:
        with open("a.npy", "wb") as stream:
            np.lib.format.write_array_header_1_0(stream, {**start, "shape": shape})
            stream.write(bytes(16))
        with pytest.raises(ValueError, match=rf"^a\.npy: it.*{text}"):
            read_arrays("a.npy")
    with open("a.npy", "wb") as stream:
        np.lib.format.write_array_header_1_0(stream, {**start, "descr": "|V0", "shape": (2**40,)})
    with pytest.raises(ValueError, match=r"^a\.npy: it holds items of no bytes"):
        read_arrays("a.npy")
    for text in (b"[" * 99, b"-" * 9000 + b"1"):  # what Python's tokenizer and its parser fail at
        (folder / "a.npy").write_bytes(b"\x93NUMPY\x01\0" + len(text).to_bytes(2, "little") + text)
        with pytest.raises(ValueError, match=r"^a\.npy: it does not begin as a \.npy file does$"):
            read_arrays("a.npy")


def test_archives_may_hold_other_things_too(folder):
    np.savez("a.npz", x=np.ones(2))
    with zipfile.ZipFile("a.npz", "a") as archive:
        archive.writestr("README.txt", "not an array")
    assert {name: array.tolist() for name, array in read_arrays("a.npz").items()} == {"x": [1, 1]}


@pytest.mark.parametrize(("kind", "name", "size"), [("F4", "float4", 4), ("F6_E2M3", "float6", 6)])
def test_types_that_only_the_file_knows_name_themselves(folder, kind, name, size):
    pytest.importorskip("safetensors")
    header = json.dumps({"weight": {"dtype": kind, "shape": [8], "data_offsets": [0, size]}}).encode()
    (folder / "a.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(size))
    with pytest.raises(ValueError, match=rf"^a\.safetensors: it holds {name}, which NumPy has not; "):
        read_arrays("a.safetensors")


# -- writing ------------------------------------------------------------------------------------------------------


def test_links_are_written_through_and_permissions_kept(folder):
    (folder / "real").mkdir()
    target = folder / "real" / "page.html"
    target.write_text("old")
    target.chmod(0o640)
    (folder / "link.html").symlink_to(target)
    write_text("link.html", "new")
    assert (folder / "link.html").is_symlink()
    assert target.read_text() == "new"
    assert target.stat().st_mode & 0o777 == 0o640
    (folder / "dangling.html").symlink_to("real/other.html")
    write_text("dangling.html", "new")
    assert (folder / "real" / "other.html").read_text() == "new"
    assert sorted(path.name for path in (folder / "real").iterdir()) == ["other.html", "page.html"]


def test_a_read_only_file_is_replaced_and_a_hard_link_keeps_it(folder):
    """As the docstrings say."""
    (folder / "page.html").write_text("old")
    (folder / "page.html").chmod(0o444)
    os.link("page.html", "other.html")
    write_text("page.html", "new")
    assert [(folder / name).read_text() for name in ("page.html", "other.html")] == ["new", "old"]
    assert (folder / "page.html").stat().st_mode & 0o777 == 0o444


def test_a_pipe_is_written_to_and_stays(folder):
    os.mkfifo("pipe")
    with ThreadPoolExecutor(1) as pool:
        reader = pool.submit((folder / "pipe").read_bytes)
        write_text("pipe", "text")
        assert reader.result(timeout=20) == b"text"
    assert (folder / "pipe").is_fifo()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_a_device_is_not_replaced(folder, monkeypatch):
    monkeypatch.setattr(os, "replace", lambda *_: pytest.fail("the device would be gone"))
    (folder / "device").symlink_to("/dev/full")
    with pytest.raises(OSError, match=r"No space left on device: 'device'"):
        write_text("device", "text")
    assert stat.S_ISCHR(os.stat("/dev/full").st_mode)


def test_a_failed_write_names_the_path_given_and_leaves_what_stood_there(folder, monkeypatch):
    (folder / "page.html").write_text("old")

    def refuse(*_):
        raise PermissionError(13, "Permission denied", ".ganchroma-1234")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(PermissionError, match=r"Permission denied: 'page\.html'"):
        write_text("page.html", "new")
    assert [path.name for path in folder.iterdir()] == ["page.html"]
    assert (folder / "page.html").read_text() == "old"
