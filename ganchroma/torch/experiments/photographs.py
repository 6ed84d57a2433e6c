"""Real pictures to train on: 32x32 crops of photographs, in colour or gray."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

from ganchroma._files import read_picture

__all__ = ["SIZE", "crops", "photographs"]

SIZE = 32
_SMALLEST = 64  # pixels of the photograph that become a crop of SIZE: below that it would be blurred
_LARGEST = 256
_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")


def photographs(folder: str | None = None) -> list[NDArray[np.uint8]]:
    """Photographs as (H, W, 3) bytes: those in a folder, or the seven that come with scikit-image and scikit-learn.

    Raises
    ------
    ImportError
        If a package is missing.
    ValueError
        If the folder holds no picture that is large enough, or one that can't be read.
    """
    if folder is not None:
        paths = sorted(path for path in Path(folder).rglob("*") if path.suffix.lower() in _SUFFIXES)
        read = [read_picture(path) for path in paths]
        found = [picture for picture in read if min(picture.shape[:2]) >= _SMALLEST]
        if not found:
            raise ValueError(
                f"folder {folder!r} holds {len(read)} pictures ({', '.join(_SUFFIXES)}), none of at least {_SMALLEST}x"
                f"{_SMALLEST} pixels"
            )
        return found
    try:
        from skimage import data
        from sklearn.datasets import load_sample_image
    except ImportError as error:
        raise ImportError(f'the photographs need {error.name}: pip install "ganchroma[experiments]"') from error
    named = [getattr(data, name)() for name in ("astronaut", "chelsea", "coffee", "rocket")]
    return [*named, data.stereo_motorcycle()[0], load_sample_image("china.jpg"), load_sample_image("flower.jpg")]


def crops(count: int, *, gray_share: float = 0.0, folder: str | None = None, seed: int = 0) -> Tensor:
    """Random square crops at random scales, mirrored half of the time, (count, 3, 32, 32) in [0, 1].

    Parameters
    ----------
    count : int
    gray_share : float
        Share of them that is gray, every channel the mean of the three: the first ones, so shuffle.
    folder : str, optional
        See `photographs`.
    seed : int
    """
    sources = [torch.tensor(photo) for photo in photographs(folder)]
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
