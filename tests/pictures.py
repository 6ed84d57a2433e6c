"""A small data set in files: photographs' colours, some gray, some cut off; and the same in other containers."""

import io
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from support import smooth_picture

import ganchroma as gch
from ganchroma._images import read_images
from ganchroma._level_records import LevelRecords
from ganchroma.scanning.measuring import CHROMA_SAMPLES


@dataclass(frozen=True)
class Pictures:
    """Names relative to `folder`; `levels` of those that can be read, in the order of names."""

    folder: Path
    names: list[str]
    gray: set[str]
    broken: set[str]
    levels: list[np.ndarray]


def make_pictures(folder, count=60, sides=(24, 32, 33), broken=3, suffix=".jpg"):
    """Every tenth is gray, `broken` of the others are cut off at different places."""
    from PIL import Image

    names, gray, cut, levels = [], set(), set(), []
    for number in range(count):
        name = f"{number % 3}/{number:04d}{suffix}"
        names.append(name)
    for number, name in enumerate(sorted(names)):
        picture = Image.fromarray(smooth_picture(sides[number % len(sides)], seed=number))
        if number % 10 == 4:
            picture = picture.convert("L").convert("RGB")
            gray.add(name)
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG" if suffix == ".jpg" else "PNG")
        data = buffer.getvalue()
        if len(cut) < broken and number % 10 == 7:
            data = data[: (len(data) * (1 + len(cut))) // (broken + 2)]
            cut.add(name)
        else:
            levels.append(np.asarray(Image.open(io.BytesIO(data)).convert("RGB")))
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return Pictures(folder, sorted(names), gray, cut, levels)


def as_tar(pictures, path, mode="w"):
    with tarfile.open(path, mode) as archive:
        for name in pictures.names:
            archive.add(pictures.folder / name, name)
            text = tarfile.TarInfo(name.replace(".jpg", ".txt"))  # a shard holds captions, too
            text.size = 3
            archive.addfile(text, io.BytesIO(b"abc"))
    return path


def as_zip(pictures, path):
    with zipfile.ZipFile(path, "w") as archive:
        for name in pictures.names:
            archive.write(pictures.folder / name, name)
    return path


def scan(paths, **options):
    return gch.scan(paths, **{"workers": 1, "show_progress": False} | options)


def reference(levels):
    """What `ChromaStats` makes of the same pictures, without the fixed pattern, of which a scan has none."""
    stats = gch.ChromaStats(chroma_samples=CHROMA_SAMPLES)
    for picture in levels:
        records = LevelRecords.empty(1)
        records.measure(0, read_images(picture, None, "NHWC"), "round", CHROMA_SAMPLES, 1)
        stats.update_from(records)
    return stats
