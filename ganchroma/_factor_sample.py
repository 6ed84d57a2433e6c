"""Some output pixels of a layer for many weights at once: what they see, their values, the colour they show."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganchroma._images import read_images
from ganchroma._patches import Phase, padded, phases, receptive_fields
from ganchroma.color import chroma, image_records, quantize
from ganchroma.layer import OutputLayer

__all__ = ["RESPONSES", "Sample"]

Array = NDArray[Any]

RESPONSES = ("chroma", "achromatic_share", "std_levels")

_EACH = 32  # pixels of an image, where there are images enough
_FLAT = 1e-13  # of the range: a standard deviation below it is what is left of a constant
_STREAM = 0  # of the places: the same features give the same ones
_OWN, _SHARED = [4, 7, 9], [5, 6, 8]  # columns of `image_records`: RR, GG, BB, and RG, RB, GB


@dataclass(frozen=True)
class Sample:
    """Receptive fields of pixels drawn without replacement, equally many of each image.

    Attributes
    ----------
    seen : list of (Phase, (n,) array, (n, D) array)
        Which pixels a phase makes, and what they see.
    images, each : int
    available : int
        Pixels of a whole image.
    """

    seen: list[tuple[Phase, Array, Array]]
    images: int
    each: int
    available: int

    @classmethod
    def draw(cls, layer: OutputLayer, x: Array, pixels: int, dtype: Any) -> "Sample":
        """Of features (N, C, h, w): of the first images, one after the other, so that no copy of all is padded."""
        parts = phases(layer.geometry, (x.shape[2], x.shape[3]))
        height, width = layer.output_size((x.shape[2], x.shape[3]))
        images = min(len(x), max(1, pixels // _EACH))
        each = min(height * width, pixels // images)
        rng = np.random.default_rng(_STREAM)
        found: list[list[tuple[Array, Array]]] = [[] for _ in parts]
        scale = layer.channel_scale
        for image in range(images):
            plane = x[image : image + 1].astype(np.float64)
            if scale is not None:
                plane *= (scale[image] if scale.ndim == 2 else scale)[:, np.newaxis, np.newaxis]
            whole, origin = padded(plane, layer.geometry, parts)
            chosen = np.sort(rng.choice(height * width, each, replace=False))
            row, column = divmod(chosen, width)
            for part, of_part in zip(parts, found, strict=True):
                rows, columns = part.rows, part.columns
                mine = ((row - rows.first) % rows.pitch == 0) & ((column - columns.first) % columns.pitch == 0)
                places = ((at[mine] - axis.first) // axis.pitch for axis, at in ((rows, row), (columns, column)))
                seen = receptive_fields(whole[0], origin, part, *places)
                of_part.append((image * each + np.flatnonzero(mine), seen.astype(dtype)))
        joined = [
            (part, np.concatenate([at for at, _ in of_part]), np.concatenate([seen for _, seen in of_part]))
            for part, of_part in zip(parts, found, strict=True)
        ]
        return cls(joined, images, each, height * width)

    @property
    def pixels(self) -> int:
        return self.images * self.each

    def linear(self, filters: Array) -> Array:
        """(B, images, 3, each), unscaled and without bias, of filters (B, 3, C, kh, kw)."""
        values = np.empty((len(filters), 3, self.pixels), filters.dtype)
        for part, positions, seen in self.seen:
            weights = part.weights(filters)
            product = weights.reshape(3 * len(filters), weights.shape[2]) @ seen.T
            values[:, :, positions] = product.reshape(len(filters), 3, len(positions))
        return np.ascontiguousarray(values.reshape(len(filters), 3, self.images, self.each).swapaxes(1, 2))

    def responses(self, made: Array, value_range: tuple[float, float]) -> NDArray[np.float64]:
        """(B, 3), in the order of `RESPONSES`, of pictures (B, images, 3, each)."""
        pictures = made.reshape(-1, 3, 1, self.each)
        records = image_records(read_images(pictures, value_range, "NCHW"))
        own, shared = (
            records[:, columns].sum(axis=1).reshape(made.shape[:2]).sum(axis=1) for columns in (_OWN, _SHARED)
        )
        # Deviations from the mean of a sample of n out of N, made those of all N: exact for n = N, unbiased below.
        own, shared = (
            part * (self.available - 1) / self.available / (self.images * (self.each - 1)) for part in (own, shared)
        )
        low, high = value_range
        varies = own > 3 * (_FLAT * (high - low)) ** 2
        share = np.where(varies, (own + 2 * shared) / 3 / np.where(varies, own, 1), math.nan)
        colors = np.asarray(chroma(quantize(pictures, value_range=value_range)))
        return np.stack(
            [colors.reshape(made.shape[:2]).mean(axis=1), share, np.sqrt(own / 3) * 255 / (high - low)], axis=1
        )
