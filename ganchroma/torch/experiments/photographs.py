"""Real pictures to train on: 32x32 crops of photographs, in colour or gray."""

import hashlib
import io
import os
import warnings
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

from ganchroma._arrays import check_integer
from ganchroma._files import check_path, read_picture, reason_of
from ganchroma.torch.experiments.config import check_share

__all__ = ["SIZE", "crop_sets", "crops", "photographs"]

SIZE = 32
_SMALLEST = 64  # pixels of the photograph that become a crop of SIZE: below that it would be blurred
_LARGEST = 256
_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
_NAMED = 5  # files, of those that can't be read

_Picture = NDArray[np.uint8]


def photographs(folder: str | os.PathLike[str] | None = None) -> tuple[list[_Picture], str | None]:
    """Photographs as (H, W, 3) bytes: those in a folder, or the seven that come with scikit-image and scikit-learn.

    Of a folder, the checksum of the files that they were read from, too. Files that can't be read are left out, with
    one warning that names them; small pictures without a word.

    Raises
    ------
    ImportError
        If a package is missing.
    ValueError
        If there is no such folder, or it holds no picture that is large enough.
    """
    if folder is not None:
        return _in_folder(Path(check_path(folder, "folder")))
    try:
        from skimage import data
        from sklearn.datasets import load_sample_image
    except ImportError as error:
        raise ImportError(f'the photographs need {error.name}: pip install "ganchroma[experiments]"') from error
    named = [getattr(data, name)() for name in ("astronaut", "chelsea", "coffee", "rocket")]
    return [*named, data.stereo_motorcycle()[0], load_sample_image("china.jpg"), load_sample_image("flower.jpg")], None


def _in_folder(folder: Path) -> tuple[list[_Picture], str]:
    if not folder.is_dir():
        what = "is a file, no folder" if folder.exists() else "is not there: no such folder"
        raise ValueError(f"the folder of photographs {str(folder)!r} {what}")
    found, small, wrong, checksum = [], 0, [], hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES):
        if os.path.exists(path) and not os.path.isfile(path):
            continue  # a folder, a pipe: whatever its name
        name = path.relative_to(folder)
        try:
            data = path.read_bytes()
            picture = read_picture(name, io.BytesIO(data))
        except (OSError, ValueError) as error:
            wrong.append(f"{name} ({reason_of(error).removeprefix(f'{name}: ')})")
            continue
        if min(picture.shape[:2]) < _SMALLEST:
            small += 1
            continue
        found.append(picture)
        checksum.update(hashlib.sha256(data).digest())
    left_out = ", ".join(wrong[:_NAMED]) + (f" and {len(wrong) - _NAMED} more" if len(wrong) > _NAMED else "")
    if not found:
        raise ValueError(
            f"folder {str(folder)!r} holds {small + len(wrong)} pictures ({', '.join(_SUFFIXES)}), none of at least "
            f"{_SMALLEST}x{_SMALLEST} pixels{f'; unreadable are {left_out}' if wrong else ''}"
        )
    if wrong:
        warnings.warn(f"left out of the photographs in {str(folder)!r}, unreadable: {left_out}", stacklevel=3)
    return found, checksum.hexdigest()


def crops(
    count: int, *, gray_share: float = 0.0, folder: str | os.PathLike[str] | None = None, seed: int = 0
) -> Tensor:
    """Random square crops at random scales, mirrored half of the time, (count, 3, 32, 32) in [0, 1].

    Parameters
    ----------
    count : int
    gray_share : float
        Share of them that is gray, every channel the mean of the three: the first ones, so shuffle.
    folder : str or path, optional
        Its pictures, those in folders in it, too, instead of the photographs that come with scikit-image and
        scikit-learn. A file that can't be read is left out, with a warning; so is what is smaller than 64x64.
    seed : int

    Raises
    ------
    ImportError
        If a package is missing.
    TypeError, ValueError
        If an argument has the wrong type or value, or the folder holds no picture that is large enough.
    """
    count, gray_share = check_integer(count, "count", 1), check_share(gray_share, "gray_share")
    seed = check_integer(seed, "seed", 0)
    return _cut(photographs(folder)[0], count, gray_share, seed)


def crop_sets(
    folder: str | os.PathLike[str] | None, asked: Sequence[tuple[int, float, int]]
) -> tuple[list[Tensor], str | None]:
    """`crops` for each (count, gray_share, seed), not to be written to, and the checksum that `photographs` gives.

    The last few sets of the photographs that are always there are kept: the runs of a sweep ask for the same again.
    """
    if folder is None:
        return [_kept(*one) for one in asked], None
    pictures, checksum = photographs(folder)
    return [_cut(pictures, *one) for one in asked], checksum


@lru_cache(maxsize=8)
def _kept(count: int, gray_share: float, seed: int) -> Tensor:
    return _cut(photographs()[0], count, gray_share, seed)


def _cut(pictures: Sequence[_Picture], count: int, gray_share: float, seed: int) -> Tensor:
    sources = [torch.tensor(picture) for picture in pictures]
    rng = np.random.default_rng(seed)
    made = torch.stack([_crop(sources[rng.integers(len(sources))], rng) for _ in range(count)])
    gray = round(gray_share * count)
    made[:gray] = made[:gray].mean(dim=1, keepdim=True)
    return made


def _crop(photo: Tensor, rng: Any) -> Tensor:
    height, width = photo.shape[:2]
    side = int(rng.integers(_SMALLEST, min(height, width, _LARGEST) + 1))
    top, left = int(rng.integers(height - side + 1)), int(rng.integers(width - side + 1))
    piece = photo[top : top + side, left : left + side].permute(2, 0, 1)[None].float() / 255
    small = interpolate(piece, (SIZE, SIZE), mode="bilinear", antialias=True)[0].clamp(0, 1)
    return small.flip(-1) if rng.random() < 0.5 else small
