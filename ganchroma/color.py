"""Colour measures and colour spaces, always on decoded values with a stated range."""

from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ganchroma import _core
from ganchroma._arrays import as_array, cast, check_integer, check_word, pieces
from ganchroma._images import Images, Layout, as_channels_first, check_layout, read_images
from ganchroma.moments import ColorMoments
from ganchroma.runtime import interruptible, resolve_threads

__all__ = [
    "NATURAL",
    "OPPONENT_AXES",
    "chroma",
    "colorfulness",
    "delta_e2000",
    "gray_pixel_share",
    "quantize",
    "rgb_to_hsv",
    "rgb_to_lab",
]

Rule = Literal["round", "floor", "truncate"]
Range = tuple[float, float]

_LAB, _HSV = 0, 1
_TOGETHER = 1 << 15  # colours whose differences are computed in the cache
_LONG = 1 << 24  # numbers whose mean takes so long that a thread for it costs nothing
_RULES = {"round": 0, "floor": 1, "truncate": 1}  # once limited to 0..255, truncating is flooring
_VARIANTS = {"paper": 0, "absolute": 1}

OPPONENT_AXES = np.array([[1, -1, 0], [1, 1, -2], [1, 1, 1]]) / np.sqrt([[2], [6], [3]])
"""Rows o1 = (R - G) / sqrt 2, o2 = (R + G - 2 B) / sqrt 6, o3 = (R + G + B) / sqrt 3: orthonormal, o3 is gray.
With a covariance C, ``OPPONENT_AXES @ C @ OPPONENT_AXES.T`` is that of the opponent channels."""
OPPONENT_AXES.setflags(write=False)


def _natural() -> ColorMoments:
    root = np.array([[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]])
    return ColorMoments(0, [0.48, 0.46, 0.41], root @ root.T, (0, 1))  # type: ignore[arg-type]


NATURAL = _natural()
"""Natural images on [0, 1]: the ImageNet colour statistics that the Lucid library uses. Stated, so count is 0."""


def parse_rule(rule: Any, name: str = "rule") -> int:
    """The core's number for a quantisation rule; `name` is the argument's in messages."""
    return _RULES[check_word(rule, name, _RULES)]


def _convert(images: Any, space: int, value_range: Range | None, layout: Layout) -> NDArray[Any]:
    batch = read_images(images, value_range, layout)
    pixels = cast(batch.pixels, np.dtype(np.float32)) if batch.dtype == np.uint8 else batch.pixels
    result = batch.empty(pixels.dtype.newbyteorder("="))
    low, high = batch.value_range
    _core.color_convert(pixels, as_channels_first(result, batch.layout), space, low, high, resolve_threads(None))
    return cast(result, np.dtype(np.float16)) if batch.dtype.itemsize == 2 else result


def rgb_to_lab(images: Any, *, value_range: Range | None = None, layout: Layout = "NCHW") -> NDArray[Any]:
    """CIELAB of sRGB images (white point D65, 2 degrees).

    Parameters
    ----------
    images : array-like (N, 3, H, W) or (3, H, W); (N, H, W, 3) or (H, W, 3) with layout "NHWC"
        uint8, float16, float32 or float64. Values outside the range are not clipped.
    value_range : (float, float)
        The values of black and white. Required for floats; (0, 255) for uint8.
    layout : {"NCHW", "NHWC"}

    Returns
    -------
    array
        L in 0..100, a and b in the place of R, G and B; float32 for uint8, else the dtype of `images` (float16 is
        computed in float32). Against exact arithmetic, values in range are right to 1e-4 in float32 and 1e-11 in
        float64. The same bits on every instruction set. A pixel with a value that is not finite gives NaN.

    Raises
    ------
    TypeError, ValueError
        If `images` is no batch of RGB images, or a range is missing or wrong.

    Notes
    -----
    IEC 61966-2-1 for sRGB; CIE 15 for L*, a*, b*, with the constants .008856 and 7.787.

    Examples
    --------
    >>> import ganchroma as gch
    >>> red = np.array([1.0, 0.0, 0.0]).reshape(3, 1, 1)
    >>> gch.color.rgb_to_lab(red, value_range=(0, 1)).ravel().round(2)
    array([53.24, 80.09, 67.2 ])
    """
    return _convert(images, _LAB, value_range, layout)


def rgb_to_hsv(images: Any, *, value_range: Range | None = None, layout: Layout = "NCHW") -> NDArray[Any]:
    """Hue, saturation and value.

    Parameters
    ----------
    images, value_range, layout
        As for `rgb_to_lab`.

    Returns
    -------
    array
        All in 0..1 for values in range; hue is 0 for gray. The dtype as for `rgb_to_lab`. Saturation is unstable near
        black: weigh it by value.

    Raises
    ------
    TypeError, ValueError
        As for `rgb_to_lab`.

    Notes
    -----
    A. R. Smith, Color gamut transform pairs, SIGGRAPH 1978.

    Examples
    --------
    >>> import ganchroma as gch
    >>> blue = np.array([0, 0, 255], np.uint8).reshape(1, 1, 3)
    >>> gch.color.rgb_to_hsv(blue, layout="NHWC").ravel().round(3)
    array([0.667, 1. , 1. ], dtype=float32)
    """
    return _convert(images, _HSV, value_range, layout)


def _of_images(values: NDArray[np.float64], batch: Images) -> NDArray[np.float64] | float:
    return float(values[0]) if batch.single else values


def image_records(batch: Images, opponent: bool = False) -> NDArray[np.float64]:
    """One record of moments an image, (N, 11): what `ColorMoments.from_images_records` pools."""
    records = np.empty((len(batch.pixels), 11))
    _core.color_moments(batch.pixels, records, opponent, resolve_threads(None))
    return records


def colorfulness(
    images: Any,
    *,
    value_range: Range | None = None,
    layout: Layout = "NCHW",
    variant: Literal["paper", "absolute"] = "paper",
) -> NDArray[np.float64] | float:
    """Hasler and Suesstrunk's colourfulness M3 of each image.

    0 is not colourful, 15 slightly, 33 moderately, 45 averagely, 59 quite, 82 highly, 109 extremely.

    Parameters
    ----------
    images, value_range, layout
        As for `rgb_to_lab`; not quantised.
    variant : {"paper", "absolute"}
        With rg = R - G and yb = (R + G) / 2 - B in 0..255, the paper has sqrt(var rg + var yb) + .3 sqrt(mean(rg)^2 +
        mean(yb)^2). "absolute" takes \\|rg\\| and \\|yb\\| first, as many programs do: about 16 % lower.

    Returns
    -------
    (N,) array of float64, or a float for one image
        Pixels with a value that is not finite are left out; NaN if none is left. NaN or inf, too, where float64 can't
        hold the squares of values: beyond 1e154, or sums of them.

    Raises
    ------
    TypeError, ValueError
        As for `rgb_to_lab`; for an unknown variant.

    Notes
    -----
    D. Hasler and S. Suesstrunk, Measuring colourfulness in natural images, SPIE 5007 (2003).

    Examples
    --------
    >>> import ganchroma as gch
    >>> gch.color.colorfulness(np.full((8, 8, 3), 90, np.uint8), layout="NHWC")
    0.0
    """
    check_word(variant, "variant", _VARIANTS)
    batch = read_images(images, value_range, layout)
    absolute = variant == "absolute"
    records = image_records(batch, absolute)
    low, high = batch.value_range
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        mean, (rr, rg, rb, gg, gb, bb) = records[:, 1:4].T, (records[:, 4:10] / records[:, :1]).T
        if absolute:  # the planes are |rg|, |yb| already
            variance, first, second = rr + gg, mean[0], mean[1]
        else:
            variance = (rr - 2 * rg + gg) + ((rr + 2 * rg + gg) / 4 - rb - gb + bb)
            first, second = mean[0] - mean[1], (mean[0] + mean[1]) / 2 - mean[2]
        m3 = (np.sqrt(np.maximum(variance, 0)) + 0.3 * np.hypot(first, second)) * (255 / (high - low))
    return _of_images(m3, batch)


def chroma(images: Any, *, value_range: Range | None = None, layout: Layout = "NCHW") -> NDArray[np.float64] | float:
    """Mean CIELAB chroma C*ab = sqrt(a^2 + b^2) of each image.

    Parameters
    ----------
    images, value_range, layout
        As for `rgb_to_lab`; not quantised. A gray pixel has about .01, not 0: the sRGB matrix is rounded.

    Returns
    -------
    (N,) array of float64, or a float for one image
        NaN if a value is not finite.

    Raises
    ------
    TypeError, ValueError
        As for `rgb_to_lab`.

    Examples
    --------
    >>> import ganchroma as gch
    >>> round(gch.color.chroma(np.full((3, 8, 8), 255, np.uint8)), 2)
    0.01
    """
    batch = read_images(images, value_range, layout)
    lab = rgb_to_lab(batch.pixels, value_range=batch.value_range)
    return _of_images(_mean_lengths(lab[:, 1], lab[:, 2]), batch)


def _mean_lengths(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.float64]:
    """Of the (a, b) of each image."""
    lengths = np.empty(a.shape, a.dtype)
    for piece in pieces(a.shape):
        np.hypot(a[piece], b[piece], out=lengths[piece])
    mean = partial(lengths.mean, axis=(1, 2), dtype=np.float64)
    return interruptible(mean) if lengths.size > _LONG else mean()


def quantize(
    images: Any, *, value_range: Range | None = None, layout: Layout = "NCHW", rule: Rule = "round"
) -> NDArray[np.uint8]:
    """8-bit levels of images: what a screen or a PNG file holds.

    Parameters
    ----------
    images, value_range, layout
        As for `rgb_to_lab`. uint8 is returned as it is.
    rule : {"round", "floor", "truncate"}
        What becomes of 255 (v - low) / (high - low), computed in float64: rounded to nearest (ties to even, like
        `numpy.rint`), or cut off ("truncate" is what a cast does; the same as "floor" for what is limited to 0..255).
        NaN becomes 0.

    Returns
    -------
    array of uint8, in the shape of `images`

    Raises
    ------
    TypeError, ValueError
        As for `rgb_to_lab`; for an unknown rule.

    Examples
    --------
    >>> import ganchroma as gch
    >>> tanh = np.array([-1.5, 0.0, 0.999]).reshape(3, 1, 1)
    >>> gch.color.quantize(tanh, value_range=(-1, 1)).ravel()
    array([  0, 128, 255], dtype=uint8)
    """
    number = parse_rule(rule)
    batch = read_images(images, value_range, layout)
    if batch.dtype == np.uint8:
        return as_array(images, "images", dtypes=("uint8",))
    result = batch.empty(np.uint8)
    low, high = batch.value_range
    target = as_channels_first(result, batch.layout)
    _core.color_quantize(batch.pixels, target, low, high, number, resolve_threads(None))
    return result


def gray_pixel_share(
    images: Any, *, tolerance: int = 0, value_range: Range | None = None, layout: Layout = "NCHW"
) -> NDArray[np.float64] | float:
    """Share of each image's pixels whose channels differ by at most `tolerance` 8-bit levels.

    Parameters
    ----------
    images, value_range, layout
        As for `rgb_to_lab`; floats are quantised first, to nearest.
    tolerance : int
        At least 0. Mid-gray, 127.5, is a rounding boundary: equal floats may differ by a level in another program.

    Returns
    -------
    (N,) array of float64, or a float for one image
        Pixels with a value that is not finite are left out; NaN if none is left.

    Raises
    ------
    TypeError, ValueError
        As for `rgb_to_lab`; for a tolerance that is no integer or negative.

    Examples
    --------
    >>> import ganchroma as gch
    >>> pixels = np.array([[[90, 90, 90], [90, 91, 89]]], np.uint8)
    >>> [gch.color.gray_pixel_share(pixels, tolerance=levels, layout="NHWC") for levels in (0, 1, 2)]
    [0.5, 0.5, 1.0]
    """
    allowed = check_integer(tolerance, "tolerance", 0)
    batch = read_images(images, value_range, layout)
    levels = np.moveaxis(quantize(batch.pixels, value_range=batch.value_range), 1, 0)
    pixels = np.moveaxis(batch.pixels, 1, 0)
    gray, counted = np.zeros((2, len(batch.pixels)), np.int64)
    for image, *rest in pieces(levels.shape[1:]):
        part = (slice(None), image, *rest)
        finite = np.atleast_2d(np.isfinite(pixels[part]).all(axis=0))  # a part of a row has one dimension
        spread = levels[part].max(axis=0) - levels[part].min(axis=0)
        counted[image] += finite.sum(axis=(-2, -1))
        gray[image] += (finite & (spread <= allowed)).sum(axis=(-2, -1))
    with np.errstate(invalid="ignore"):
        return _of_images(gray / counted, batch)


def delta_e2000(lab1: Any, lab2: Any, *, layout: Layout = "NCHW") -> NDArray[np.float64]:
    """CIEDE2000 colour difference, in float64.

    Parameters
    ----------
    lab1, lab2 : array-like of floats
        CIELAB colours: images in `layout`, as `rgb_to_lab` gives them; or (3,) and (n, 3) lists of colours. They
        broadcast against each other.
    layout : {"NCHW", "NHWC"}
        Of arrays with three or more dimensions.

    Returns
    -------
    array
        The shape of the inputs without the axis of L, a, b. About 1 is just noticeable.

    Raises
    ------
    TypeError, ValueError
        If an input can't be read as floats or has no axis of 3 where it should, or they don't broadcast.

    Notes
    -----
    G. Sharma, W. Wu and E. N. Dalal, Color Research and Application 30 (2005) 21-30, with kL = kC = kH = 1.

    Examples
    --------
    >>> import ganchroma as gch
    >>> gch.color.delta_e2000([50.0, 2.6772, -79.7751], [50.0, 0.0, -82.7485]).round(4)
    np.float64(2.0425)
    """
    check_layout(layout)
    channels = *_lab_channels(lab1, "lab1", layout), *_lab_channels(lab2, "lab2", layout)
    try:
        channels = np.broadcast_arrays(*channels)
    except ValueError:
        raise ValueError(f"lab1 and lab2 must broadcast, got {np.shape(lab1)} and {np.shape(lab2)}") from None
    result = np.empty(channels[0].shape)
    for piece in pieces(result.shape, _TOGETHER):
        result[piece] = _ciede2000(*(channel[piece] for channel in channels))
    return result[()]


def _ciede2000(
    l1: NDArray[np.float64],
    a1: NDArray[np.float64],
    b1: NDArray[np.float64],
    l2: NDArray[np.float64],
    a2: NDArray[np.float64],
    b2: NDArray[np.float64],
) -> NDArray[np.float64]:
    # a is stretched so that grays come out neutral
    shift = _chroma_weight((np.hypot(a1, b1) + np.hypot(a2, b2)) / 2)
    a1, a2 = a1 * (1.5 - shift / 2), a2 * (1.5 - shift / 2)
    c1, c2 = np.hypot(a1, b1), np.hypot(a2, b2)
    h1, h2 = np.arctan2(b1, a1) % (2 * np.pi), np.arctan2(b2, a2) % (2 * np.pi)

    # hues are angles: the difference and the mean go the short way round, and neutral colours have none
    colored = c1 * c2 > 0
    turn = h2 - h1
    turn = np.where(turn > np.pi, turn - 2 * np.pi, np.where(turn < -np.pi, turn + 2 * np.pi, turn))
    turn = np.where(colored, turn, 0)
    far = np.abs(h1 - h2) > np.pi
    hue = (h1 + h2) / 2 + np.where(far, np.where(h1 + h2 < 2 * np.pi, np.pi, -np.pi), 0)
    hue = np.where(colored, hue, h1 + h2)

    lightness, c = (l1 + l2) / 2, (c1 + c2) / 2
    dl, dc, dh = l2 - l1, c2 - c1, 2 * np.sqrt(c1 * c2) * np.sin(turn / 2)
    degree = np.pi / 180
    weight = (
        1
        - 0.17 * np.cos(hue - 30 * degree)
        + 0.24 * np.cos(2 * hue)
        + 0.32 * np.cos(3 * hue + 6 * degree)
        - 0.20 * np.cos(4 * hue - 63 * degree)
    )
    off = (lightness - 50) ** 2
    dl = dl / (1 + 0.015 * off / np.sqrt(20 + off))
    dc = dc / (1 + 0.045 * c)
    dh = dh / (1 + 0.015 * c * weight)
    rotation = 60 * degree * np.exp(-(((hue / degree - 275) / 25) ** 2))
    blue = -2 * _chroma_weight(c) * np.sin(rotation)
    result: NDArray[np.float64] = np.sqrt(np.maximum(dl**2 + dc**2 + dh**2 + blue * dc * dh, 0))
    return result


def _chroma_weight(c: NDArray[np.float64]) -> NDArray[np.float64]:
    """sqrt(c^7 / (c^7 + 25^7)): 0 for neutral colours, 1 for saturated ones."""
    seventh = c**7
    weight: NDArray[np.float64] = np.sqrt(seventh / (seventh + 25.0**7))
    return weight


def _lab_channels(lab: Any, name: str, layout: Layout) -> tuple[NDArray[np.float64], ...]:
    array = cast(as_array(lab, name), np.dtype(np.float64))
    axis = -3 if layout == "NCHW" and array.ndim > 2 else -1
    if array.ndim == 0 or array.shape[axis] != 3:
        raise ValueError(f"{name} must have L, a, b along axis {axis} for layout {layout}, got shape {array.shape}")
    return tuple(np.moveaxis(array, axis, 0))
