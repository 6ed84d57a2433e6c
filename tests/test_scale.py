"""docs/scale.md: what it says was found, and the program that found it still runs."""

import re
import sys

import pytest
from support import ROOT

pytest.importorskip("skimage")
pytest.importorskip("sklearn")
pytest.importorskip("PIL.Image")


@pytest.fixture(scope="module")
def scale():
    sys.path.insert(0, str(ROOT / "docs"))
    from scale import dataset, measure

    sys.path.remove(str(ROOT / "docs"))
    return dataset, measure


def test_what_the_page_found():
    page = (ROOT / "docs/scale.md").read_text()
    assert "20,000 JPEGs" in page
    ways = re.findall(r"^\| (.*?) \| 19,950 \| 2,000 \| 50 \| yes \| yes \|$", page, re.MULTILINE)
    assert ways == ["one process", "two processes", "tar shards, two processes", "Dask, three workers, one killed"]
    shares = [float(share) for share in re.findall(r"\| ([\d.]+)% \|$", page, re.MULTILINE)]
    assert len(shares) == 2
    assert min(shares) >= 90
    few, most = re.search(r"(\d+) and \d+ MiB for 2,000 pictures, (\d+) and", page).groups()
    assert int(most) <= 1.1 * int(few)


def test_the_data_set_is_what_it_is_said_to_be(scale, tmp_path):
    dataset, measure = scale
    data = dataset.make(tmp_path, 80, broken=4)
    assert (len(data.gray), len(data.broken)) == (8, 4)
    assert dataset.make(tmp_path, 80) == data  # not made a second time
    ways = list(measure.states(data, tmp_path, dask=False))
    assert len({state for _, state, _, _ in ways}) == 1
    for _, _, found, gray in ways:
        assert (found.images, gray) == (76, data.gray)
        assert {dataset.short(name) for name, _ in found.unreadable} == data.broken
    seconds = measure.per_picture(data, units=1)
    assert seconds["scan"] > 0
    assert set(measure.decoders(data, pictures=2)) >= {"Pillow", "imageio"}
