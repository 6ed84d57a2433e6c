"""Batches of RGB images: what every function that takes pictures does with them."""

from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ganchroma._arrays import FLOATS, as_array, cast, check_number, check_word, shown

Layout = Literal["NCHW", "NHWC"]
BYTE_RANGE = (0.0, 255.0)
# Covariances are multiplied with each other: fourth powers of values and widths have to be normal numbers of float64,
# which end at 1e77 and 1e-77. That leaves room for all values of float32, whose own normal numbers end at 1e-38.
_MOST, _LEAST = 1e30, 1e-30


def check_value_range(value_range: Any, name: str = "value_range") -> tuple[float, float]:
    """(low, high) as floats: the values of black and white.

    Raises
    ------
    TypeError
        If it is no pair of numbers.
    ValueError
        If low is not below high, or the range is so large or small that numbers measured in it would not be right.
    """
    try:
        pair = tuple(islice(value_range, 3))  # there may be no end of them
    except TypeError:
        pair = ()
    if len(pair) != 2 or isinstance(value_range, str | bytes):
        raise TypeError(f"{name} must be a pair of numbers (low, high), got {shown(value_range)}")
    low, high = (check_number(value, f"{name}[{i}]", infinite=True) for i, value in enumerate(pair))
    if not is_value_range(low, high):
        raise ValueError(
            f"{name} must be finite with low < high, within {-_MOST:g} to {_MOST:g} and at least {_LEAST:g} apart, "
            f"got {shown(value_range)}"
        )
    return low, high


def is_value_range(low: float, high: float) -> bool:
    """Whether colour can be measured between these."""
    return -_MOST <= low < high <= _MOST and high - low >= _LEAST


def check_layout(layout: Any) -> Layout:
    """`layout` itself if it is "NCHW" or "NHWC"."""
    return "NCHW" if check_word(layout, "layout", get_args(Layout)) == "NCHW" else "NHWC"


def as_channels_first(array: NDArray[Any], layout: Layout) -> NDArray[Any]:
    """A (N, 3, H, W) view of images in either layout, one or many."""
    batch = array if array.ndim == 4 else array[np.newaxis]
    return batch if layout == "NCHW" else np.moveaxis(batch, -1, 1)


@dataclass(frozen=True)
class Images:
    """A batch as the core reads it.

    Attributes
    ----------
    pixels : (N, 3, H, W) array of uint8, float32 or float64
        A view of what was given where its dtype allows; any strides.
    value_range : (float, float)
    layout : str
    single : bool
        Whether one image was given without the axis of images.
    dtype : dtype
        What was given; pixels of float16 are float32.
    """

    pixels: NDArray[Any]
    value_range: tuple[float, float]
    layout: Layout
    single: bool
    dtype: np.dtype[Any]

    def empty(self, dtype: Any) -> NDArray[Any]:
        """A new array for one result a value, in the shape that was given."""
        count, _, height, width = self.pixels.shape
        shape = (count, 3, height, width) if self.layout == "NCHW" else (count, height, width, 3)
        return np.empty(shape[1:] if self.single else shape, dtype)


def read_images(images: Any, value_range: Any, layout: Any, name: str = "images") -> Images:
    """Images of any accepted kind, checked.

    Parameters
    ----------
    images : array-like (N, 3, H, W) or (3, H, W); (N, H, W, 3) or (H, W, 3) with layout "NHWC"
        uint8, float16, float32 or float64. N may be 0.
    value_range : (float, float) or None
        Required for floats; bytes are 0..255.
    layout : {"NCHW", "NHWC"}
    name : str
        The argument's name in messages.

    Raises
    ------
    TypeError, ValueError
        With the argument's name, what was given and what is accepted.
    """
    layout = check_layout(layout)
    array = as_array(images, name, ndim=(3, 4), dtypes=("uint8", *FLOATS))
    pixels = as_channels_first(array, layout)
    if pixels.shape[1] != 3:
        raise ValueError(
            f"{name} must have 3 channels in layout {layout}, got shape {array.shape}{_shape_hint(array, layout)}"
        )
    if 0 in pixels.shape[1:]:
        raise ValueError(f"{name} must have at least one pixel each, got shape {array.shape}")
    if array.dtype == np.uint8:
        if value_range is not None and check_value_range(value_range) != BYTE_RANGE:
            raise ValueError(f"value_range is {shown(value_range)}, but {name} of uint8 have the range (0, 255)")
        chosen = BYTE_RANGE
    elif value_range is None:
        raise ValueError(
            f"value_range is required for {name} of dtype {array.dtype}: the values of black and white, "
            "e.g. (-1, 1) after tanh, (0, 1) after sigmoid"
        )
    else:
        chosen = check_value_range(value_range)
    if array.dtype.kind == "f" and array.dtype.itemsize == 2:
        pixels = cast(pixels, np.dtype(np.float32))
    return Images(pixels, chosen, layout, array.ndim == 3, array.dtype)


def _shape_hint(array: NDArray[Any], layout: Layout) -> str:
    first, last = array.shape[-3], array.shape[-1]
    channels, other = (first, last) if layout == "NCHW" else (last, first)
    if channels == 1:
        return "; repeat the single channel three times"
    swapped = f'; pass layout="{"NHWC" if layout == "NCHW" else "NCHW"}"'
    if other == 3:
        return swapped
    if channels == 4:
        return "; leave the fourth channel out"
    return f"{swapped} and leave the fourth channel out" if other == 4 else ""
