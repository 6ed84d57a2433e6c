"""Chroma of some pixels: they lie all over the picture, whatever its size."""

import numpy as np
import pytest
from pictures import scan

import ganchroma as gch
from ganchroma._sampling import sampling_step

SAMPLES = 512
SIZES = [(512, width) for width in range(300, 1101)]
SIZES += [(509, 521), (1009, 1013), (10007, 125), (125, 2946), (125, 125), (1536, 683), (4000, 6000), (2048, 5766)]


def places(height, width, samples=SAMPLES):
    return np.divmod(np.arange(0, height * width, sampling_step(height, width, samples)), width)


def test_every_part_of_a_picture_has_its_share():
    """Of 8 x 8 parts with 8 pixels each on average; a few columns or a diagonal miss most of them."""
    for height, width in SIZES:
        rows, columns = places(height, width)
        assert 2 / 3 * SAMPLES <= len(rows) < 1.4 * SAMPLES, (height, width)
        counts = np.bincount(rows * 8 // height * 8 + columns * 8 // width, minlength=64)
        share = len(rows) / 64
        assert 0.4 * share < counts.min() <= counts.max() < 2 * share, (height, width)


@pytest.mark.parametrize("length", [511, 513, 5000, 10007, 99990])
@pytest.mark.parametrize("side", [1, 2, 3, 20])
def test_narrow_pictures(length, side):
    for height, width in ((length, side), (side, length)):
        rows, columns = places(height, width)
        assert min(2 / 3 * SAMPLES, length * side) <= len(rows) < 2 * SAMPLES
        along, across = (rows, columns) if height == length else (columns, rows)
        assert len(np.unique(across)) == side
        counts = np.bincount(along * 4 // length)
        assert counts.min() > 0.8 * counts.max()


def test_a_picture_with_fewer_pixels_is_measured_whole():
    for height, width in ((1, 1), (3, 5), (16, 32), (31, 33)):
        assert sampling_step(height, width, SAMPLES) == 1


@pytest.mark.parametrize("size", [(512, 683), (512, 682), (512, 341), (512, 1023), (1536, 683), (200, 125)])
@pytest.mark.parametrize("kind", ["one odd column", "a chessboard"])
def test_patterns(size, kind):
    """Of a chessboard, as dithering makes it, there may be some more white squares than black."""
    gray = np.zeros(size, bool)
    gray[:, 0] = True
    if kind == "a chessboard":
        gray = np.indices(size).sum(axis=0) % 2 == 0
    levels = np.where(gray[..., np.newaxis], 128, (230, 20, 40)).astype(np.uint8)
    every, some = (gch.ChromaStats(layout="NHWC", chroma_samples=count).update(levels) for count in (None, SAMPLES))
    assert some.summary().chroma == pytest.approx(every.summary().chroma, rel=0.02)


@pytest.mark.parametrize("size", [(683, 512), (682, 512), (1023, 512), (683, 1536), (640, 480)])
def test_photographs(tmp_path, size):
    """Within 5 %; the column at the edge, or the diagonal, was up to 40 % off."""
    data, image = pytest.importorskip("skimage.data"), pytest.importorskip("PIL.Image")
    for name in ("astronaut", "coffee", "rocket"):
        picture = image.fromarray(getattr(data, name)()).resize(size)
        picture.save(tmp_path / "a.ppm")
        every = gch.ChromaStats(layout="NHWC").update(np.asarray(picture)).summary()
        assert scan(tmp_path / "a.ppm").summary().chroma == pytest.approx(every.chroma, rel=0.05)
