"""Pictures for reports: montages, contrast stretching, PNG. NumPy and zlib alone, so that a page needs no extra."""

import base64
import math
import struct
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganchroma.moments import ColorMoments

Pictures = NDArray[np.uint8]

SHOWN = 6
LONGEST_SIDE = 160
SWATCHES = 24
GAP = 2
FRAME = 150
MID_GRAY = 127.5
STRETCHED_STD = 52.0  # levels: about what photographs have, 2.5 standard deviations from mid-gray to either end
RAISED = "Contrast raised: each channel's mean is moved to mid-gray, so a tint that all pixels share goes"
FARTHEST = 1e4  # levels: values farther from the screen's range, infinities too, would only squeeze all others
INVISIBLE = 1e-4  # levels: less is the rounding of float32, and stretching would draw that


@dataclass(frozen=True)
class Panels:
    """The same few pictures before and after, (n, H, W, 3) uint8: as they are seen, and with raised contrast.

    Attributes
    ----------
    seen, stretched : array
    factor : float
        How much the contrast of `stretched` was raised; NaN where nothing varies and nothing was done.
    after, after_stretched : array or None
        With the remedies applied.
    after_factor : float
    """

    seen: Pictures
    stretched: Pictures
    factor: float
    after: Pictures | None = None
    after_stretched: Pictures | None = None
    after_factor: float = 1.0


def stretched(levels: NDArray[Any]) -> tuple[Pictures, float]:
    """The pictures with their contrast raised until it can be seen, and the factor.

    Each channel's mean moves to mid-gray and one factor multiplies all three, so gray stays gray, and a tint that all
    pixels share goes. A gray picture and a flat one look the same as they are; here they differ.

    Parameters
    ----------
    levels : array (n, H, W, 3)
        8-bit levels; unrounded where the values behind the screen are known.

    Returns
    -------
    pictures : uint8 array (n, H, W, 3)
    factor : float
        At least 1; NaN where nothing varies, and the pictures are as they were.
    """
    values = np.clip(np.nan_to_num(levels.astype(np.float64)), -FARTHEST, FARTHEST)
    centered = values - values.mean(axis=(0, 1, 2))
    std = float(np.sqrt(np.mean(centered**2)))
    if std < INVISIBLE:
        return to_bytes(values), math.nan
    factor = max(1.0, STRETCHED_STD / std)
    return to_bytes(MID_GRAY + factor * centered), factor


def raised_label(factor: float) -> str:
    """What was done to a picture of `stretched`."""
    return "contrast as it is: nothing varies" if math.isnan(factor) else f"contrast ×{factor:.1f}, means at gray"


def to_bytes(levels: NDArray[Any]) -> Pictures:
    """Levels rounded and clipped, as a screen takes them."""
    shown: Pictures = np.clip(np.rint(np.nan_to_num(levels)), 0, 255).astype(np.uint8)
    return shown


def montage(pictures: Pictures, *, shown: int = SHOWN, columns: int = 3) -> NDArray[np.uint8]:
    """Some of the pictures side by side, each in a gray frame, (H, W, 4) with transparent gaps.

    Large pictures are thinned by a whole step, so every pixel that is drawn is a pixel of the picture. Without the
    frame a white picture would vanish on a white page.
    """
    chosen = pictures[:shown]
    step = -(-max(chosen.shape[1:3]) // LONGEST_SIDE)
    chosen = np.pad(chosen[:, ::step, ::step], ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=FRAME)
    count, height, width = chosen.shape[:3]
    columns = min(columns, count)
    rows = -(-count // columns)
    sheet = np.zeros((rows * (height + GAP) - GAP, columns * (width + GAP) - GAP, 4), np.uint8)
    for index, picture in enumerate(chosen):
        top, left = index // columns * (height + GAP), index % columns * (width + GAP)
        sheet[top : top + height, left : left + width, :3] = picture
        sheet[top : top + height, left : left + width, 3] = 255
    return sheet


def swatches(moments: ColorMoments) -> NDArray[np.uint8]:
    """Colours drawn from a stage's mean and covariance, as a screen shows them: (rows, columns, 3).

    The same standard draws serve every stage, so two stages can be compared swatch by swatch.
    """
    low, high = moments.value_range
    eigenvalues, vectors = np.linalg.eigh(np.nan_to_num(moments.covariance))
    root = vectors * np.sqrt(np.clip(eigenvalues, 0, None)) @ vectors.T
    draws = np.random.default_rng(0).standard_normal((SWATCHES, 3))
    colors = (np.asarray(moments.mean) + draws @ root - low) / (high - low) * 255
    return to_bytes(colors).reshape(-1, 8, 3)


def png(image: NDArray[np.uint8]) -> bytes:
    """A PNG file of an (H, W, 3) or (H, W, 4) uint8 image."""
    height, width, channels = image.shape
    rows = np.zeros((height, 1 + width * channels), np.uint8)  # each row starts with filter type 0
    rows[:, 1:] = image.reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, {3: 2, 4: 6}[channels], 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 6)), (b"IEND", b"")]
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body


def data_uri(image: NDArray[np.uint8]) -> str:
    """The image as a ``data:`` address for a page that stands alone."""
    return "data:image/png;base64," + base64.b64encode(png(image)).decode("ascii")
