"""A data set of photographs' crops in files: some gray, some cut off."""

import io
import json
import tarfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SIDES = (128, 192, 256)
SHARD = 2000  # pictures a tar


class DataSet(NamedTuple):
    """Where it is, and what is true of it."""

    folder: Path
    shards: Path
    gray: set[str]
    broken: set[str]


def short(path: str) -> str:
    """A picture's name in the data set, whatever it was found in."""
    return "/".join(Path(path).parts[-2:])


def photographs() -> list[NDArray[np.uint8]]:
    """Those that come with scikit-image and scikit-learn, of which every part has colour."""
    from skimage import data
    from sklearn.datasets import load_sample_images

    return [data.astronaut(), data.coffee(), data.chelsea(), *load_sample_images().images]


def make(root: Path, count: int, broken: int = 50) -> DataSet:
    """`count` JPEGs in a folder and in shards; a tenth is gray, `broken` of the others are cut off. Made once."""
    folder, shards, truth = root / "photos", root / "shards", root / "truth.json"
    if not truth.exists():
        _write(folder, shards, truth, count, broken)
    told = json.loads(truth.read_text())
    return DataSet(folder, shards, set(told["gray"]), set(told["broken"]))


def _write(folder: Path, shards: Path, truth: Path, count: int, broken: int) -> None:
    from PIL import Image

    rng, sources = np.random.default_rng(0), photographs()
    order = rng.permutation(count).tolist()
    gray, cut = set(order[: count // 10]), set(order[count // 10 : count // 10 + broken])
    names = [f"{number // 1000:03d}/{number:06d}.jpg" for number in range(count)]
    shards.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        side, source = int(rng.choice(SIDES)), sources[rng.integers(len(sources))]
        top, left = (int(rng.integers(length - side + 1)) for length in source.shape[:2])
        picture = Image.fromarray(source[top : top + side, left : left + side])
        buffer = io.BytesIO()
        (picture.convert("L").convert("RGB") if number in gray else picture).save(buffer, "JPEG", quality=90)
        data = buffer.getvalue()
        data = data[: int(rng.integers(20, len(data) - 2))] if number in cut else data
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    for first in range(0, count, SHARD):
        with tarfile.open(shards / f"{first // SHARD:04d}.tar", "w") as archive:
            for name in names[first : first + SHARD]:
                archive.add(folder / name, name)
    truth.write_text(json.dumps({"gray": [names[i] for i in gray], "broken": [names[i] for i in cut]}))
