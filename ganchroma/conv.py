"""The output layer as functions: convolution, scale, bias and activation in one pass over the pixels."""

import math
import sys
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ganchroma import _core
from ganchroma._arrays import as_array, cast, check_number, check_out, check_word, compute_dtype
from ganchroma._geometry import Geometry, IntPair, PaddingLike, make_geometry
from ganchroma.activation import ActivationLike, parse_activation
from ganchroma.runtime import resolve_threads

Array = NDArray[Any]

LAYOUTS = ("NCHW", "NHWC")
RECORD = 11  # numbers a moments record has: count, mean (3), scatter (6), count of pixels that are not finite
_TENSOR_CASTS = {"float16": "half", "float32": "float", "float64": "double"}


# Of plain numbers, which nearly every call gives, again and again: other arguments can be equal and not the same.
_known_geometry = lru_cache(maxsize=256)(make_geometry)


class Head(NamedTuple):
    """Checked arrays and numbers of a layer: everything but its input."""

    weight: Array
    bias: Array | None
    channel_scale: Array | None
    output_scale: float
    activation: tuple[int, float, float]
    geometry: Geometry

    @property
    def in_channels(self) -> int:
        return int(self.weight.shape[0 if self.geometry.transposed else 1])

    @property
    def out_channels(self) -> int:
        return int(self.weight.shape[1 if self.geometry.transposed else 0])


def conv2d(
    x: Any,
    weight: Any,
    bias: Any = None,
    *,
    stride: IntPair = 1,
    padding: PaddingLike = 0,
    padding_mode: str = "zeros",
    dilation: IntPair = 1,
    activation: ActivationLike = "linear",
    channel_scale: Any = None,
    output_scale: float = 1.0,
    layout: str = "NCHW",
    out: Array | None = None,
    threads: int | None = None,
) -> Array:
    """Compute ``activation(output_scale * conv(x * channel_scale, weight) + bias)``.

    The convolution is PyTorch's: a cross-correlation, the kernel is not flipped.

    Parameters
    ----------
    x : array (N, C, H, W) of float16, float32 or float64
        Or (N, H, W, C) with ``layout="NHWC"``. Contiguous arrays and CPU tensors, either layout or (N, C, H, W) in
        channels-last memory, are read as they are and give the same bits; other strides are copied first.
    weight : array (O, C, kh, kw)
        Same dtype as `x`, as are `bias` and `channel_scale`.
    bias : array (O,), optional
    stride, dilation : int or (height, width)
    padding : int, (height, width), ((top, bottom), (left, right)), "same" or "valid"
        In pixels. "same" needs stride 1; an odd pixel goes to the bottom and the right.
    padding_mode : {"zeros", "reflect", "replicate", "circular"}
        What the padding holds.
    activation : str or tuple
        "linear", "tanh", "sigmoid", "relu", ("leaky_relu", slope), "clamp" (to [-1, 1]) or ("clamp", low, high).
    channel_scale : array (C,) or (N, C), optional
        Factors of the input channels; folded into the weights of each image, rounded once.
    output_scale : float
        Factor of the sum before the bias is added.
    layout : {"NCHW", "NHWC"}
        Of `x` and of the result.
    out : array, optional
        C-contiguous and of the result's shape and dtype; the result is written to it.
    threads : int, optional
        At most this many threads. The result is the same to the bit for any number.

    Returns
    -------
    array (N, O, H', W'), or (N, H', W', O) with ``layout="NHWC"``
        In the dtype of `x`; float16 is computed in float32. H' is (H + top + bottom - dilation * (kh - 1) - 1) //
        stride + 1. An `x` of shape (N, C, H, W) whose memory is channels-last is answered in such memory.

    Raises
    ------
    TypeError
        For an argument of a wrong type, integer and complex arrays, and arrays whose dtypes differ.
    ValueError
        For shapes and numbers that do not fit together.

    Notes
    -----
    A pixel sums blocks of 16 input channels; inside a block one chain of fused multiply-adds from zero in the order
    channel, kx, ky; the sums of the blocks are added in order. NaN and infinities go through as in PyTorch.

    For standard normal `x` of 64 channels and 7x7 weights the error's root mean square in float32 is below 6e-7
    of the result's. A processor without fused multiply-adds rounds each product first: other bits, no more error
    (the two differ by an rms below 2.6e-7). In float64 both are some 5e8 times smaller.

    Examples
    --------
    >>> import ganchroma as gch
    >>> x = np.arange(16.0).reshape(1, 1, 4, 4)
    >>> weight = np.ones((3, 1, 3, 3))
    >>> gch.conv2d(x, weight, padding=1).shape
    (1, 3, 4, 4)
    >>> gch.conv2d(x, weight)[0, 0]
    array([[45., 54.],
           [81., 90.]])
    """
    if channel_scale is None and threads is None:
        small = _core.conv_plain(
            False, x, weight, bias, out, stride, padding, 0, dilation, padding_mode, activation, output_scale, layout
        )
        if small is not None:
            return small
    head = make_head(
        weight, bias, False, stride, padding, 0, padding_mode, dilation, activation, channel_scale, output_scale
    )
    return forward(head, x, layout=layout, out=out, threads=threads)


def conv_transpose2d(
    x: Any,
    weight: Any,
    bias: Any = None,
    *,
    stride: IntPair = 1,
    padding: PaddingLike = 0,
    output_padding: IntPair = 0,
    dilation: IntPair = 1,
    activation: ActivationLike = "linear",
    channel_scale: Any = None,
    output_scale: float = 1.0,
    layout: str = "NCHW",
    out: Array | None = None,
    threads: int | None = None,
) -> Array:
    """Compute ``activation(output_scale * conv_transpose(x * channel_scale, weight) + bias)``.

    Every input pixel adds its value times the kernel to the result at its place times the stride.

    Parameters
    ----------
    x : array (N, C, H, W) of float16, float32 or float64
        Or (N, H, W, C) with ``layout="NHWC"``. Contiguous arrays and CPU tensors, either layout or (N, C, H, W) in
        channels-last memory, are read as they are and give the same bits; other strides are copied first.
    weight : array (C, O, kh, kw)
        Input channels first, as in PyTorch. Same dtype as `x`, as are `bias` and `channel_scale`.
    bias : array (O,), optional
    stride, dilation : int or (height, width)
    padding : int, (height, width), ((top, bottom), (left, right)), "same" or "valid"
        Pixels cut from each side of the full result. "same" needs stride 1.
    output_padding : int or (height, width)
        Pixels added at the bottom and the right; smaller than the larger of stride and dilation.
    activation, channel_scale, output_scale, layout, out, threads
        As in `conv2d`.

    Returns
    -------
    array (N, O, H', W'), or (N, H', W', O) with ``layout="NHWC"``
        In the dtype of `x`. H' is (H - 1) * stride + dilation * (kh - 1) + 1 + output_padding - top - bottom.

    Raises
    ------
    TypeError
        For an argument of a wrong type, integer and complex arrays, and arrays whose dtypes differ.
    ValueError
        For shapes and numbers that do not fit together.

    Notes
    -----
    The order of accumulation is that of `conv2d`, over the taps that meet an input pixel.

    For standard normal `x` of 64 channels and 4x4 weights at stride 2 the error's root mean square in float32 is below
    2e-7 of the result's. A processor without fused multiply-adds rounds each product first: other bits, no more error
    (the two differ by an rms below 1.5e-7). In float64 both are some 5e8 times smaller.

    Examples
    --------
    >>> import ganchroma as gch
    >>> x = np.ones((1, 64, 32, 32), np.float32)
    >>> weight = np.zeros((64, 3, 4, 4), np.float32)
    >>> gch.conv_transpose2d(x, weight, stride=2, padding=1, activation="tanh").shape
    (1, 3, 64, 64)
    """
    if channel_scale is None and threads is None:
        small = _core.conv_plain(
            True,
            x,
            weight,
            bias,
            out,
            stride,
            padding,
            output_padding,
            dilation,
            "zeros",
            activation,
            output_scale,
            layout,
        )
        if small is not None:
            return small
    head = make_head(
        weight, bias, True, stride, padding, output_padding, "zeros", dilation, activation, channel_scale, output_scale
    )
    return forward(head, x, layout=layout, out=out, threads=threads)


def make_head(
    weight: Any,
    bias: Any,
    transposed: bool,
    stride: IntPair,
    padding: PaddingLike,
    output_padding: IntPair,
    padding_mode: str,
    dilation: IntPair,
    activation: ActivationLike,
    channel_scale: Any,
    output_scale: float,
) -> Head:
    """Check everything that can be checked without an input."""
    kernels = as_array(weight, "weight", ndim=4)
    if 0 in kernels.shape:
        raise ValueError(f"weight has shape {kernels.shape}; every dimension must be at least 1")
    channels, filters = kernels.shape[:2] if transposed else kernels.shape[1::-1]
    size = (kernels.shape[2], kernels.shape[3])
    plain = type(stride) is type(padding) is type(output_padding) is type(dilation) is int and type(padding_mode) is str
    make = _known_geometry if plain else make_geometry
    geometry = make(transposed, size, stride, padding, output_padding, padding_mode, dilation)
    offsets = None if bias is None else like(bias, "bias", kernels, "weight", 1)
    if offsets is not None and offsets.shape != (filters,):
        raise ValueError(f"bias has shape {offsets.shape}; weight {kernels.shape} has {filters} filters: ({filters},)")
    factors = None if channel_scale is None else like(channel_scale, "channel_scale", kernels, "weight", (1, 2))
    if factors is not None and factors.shape[-1] != channels:
        raise ValueError(
            f"channel_scale has shape {factors.shape}; weight {kernels.shape} has {channels} input channels: "
            f"({channels},) or (N, {channels})"
        )
    scale = check_number(output_scale, "output_scale")
    return Head(kernels, offsets, factors, scale, parse_activation(activation), geometry)


def forward(head: Head, x: Any, *, layout: str = "NCHW", out: Array | None = None, threads: int | None = None) -> Array:
    """The layer's output for `x`: what `conv2d` and `conv_transpose2d` return."""
    given, source, last = images_first(x, "x", head.weight, layout)
    shape = result_shape(head, source, given, layout)
    dtype = given.dtype if given.dtype.isnative else given.dtype.newbyteorder("=")
    if out is not None:
        size = shape if layout == "NCHW" else (shape[0], shape[2], shape[3], shape[1])
        parts = (given, head.weight, head.bias, head.channel_scale)
        check_out(out, size, dtype, [part for part in parts if part is not None])
        target = out if layout == "NCHW" else out.transpose(0, 3, 1, 2)
    elif last:
        target = np.empty((shape[0], shape[2], shape[3], shape[1]), dtype).transpose(0, 3, 1, 2)
    else:
        target = np.empty(shape, dtype)
    compute = compute_dtype(given)
    direct = dtype == compute
    result = target if direct else np.empty(shape, compute)
    _call(head, source, compute, result, None, threads)
    if not direct:
        with np.errstate(over="ignore"):  # beyond float16 is infinity there, as in PyTorch
            target[...] = result
    if out is not None:
        return out
    return target if layout == "NCHW" else target.transpose(0, 2, 3, 1)


def images_first(value: Any, name: str, weight: Array, layout: str) -> tuple[Array, Array, bool]:
    """The array that was given, the same as (N, C, H, W), and whether its memory is channels-last."""
    check_word(layout, "layout", LAYOUTS)
    given = like(value, name, weight, "weight", 4)
    source = given if layout == "NCHW" else given.transpose(0, 3, 1, 2)
    planes = source.flags.c_contiguous
    return given, source, layout == "NHWC" or (not planes and source.transpose(0, 2, 3, 1).flags.c_contiguous)


def per_image(head: Head, source: Array) -> Array | None:
    """The head's `channel_scale` as (N, C)."""
    factors = head.channel_scale
    if factors is None:
        return None
    if factors.ndim == 2 and factors.shape[0] != source.shape[0]:
        raise ValueError(f"channel_scale has shape {factors.shape}; x has {source.shape[0]} images")
    return np.broadcast_to(factors, source.shape[:2])


def records(head: Head, x: Any, *, threads: int | None = None) -> NDArray[np.float64]:
    """(N, 11) colour moments of the layer's output for `x`, which is never stored."""
    if head.out_channels != 3:
        raise ValueError(f"colour moments need 3 filters (R, G, B); weight {head.weight.shape} has {head.out_channels}")
    source = like(x, "x", head.weight, "weight", 4)
    shape = result_shape(head, source, source, "NCHW")
    result = np.empty((shape[0], RECORD), np.float64)
    _call(head, source, compute_dtype(source), None, result, threads)
    return result


def _call(
    head: Head, source: Array, compute: np.dtype[Any], out: Array | None, moments: Array | None, threads: int | None
) -> None:
    """The one place where the core is called. It copies what is neither contiguous nor channels-last.

    Another dtype is cast here.
    """
    factors = per_image(head, source)
    weight, bias = head.weight, head.bias
    if source.dtype != compute:
        source, weight = cast(source, compute), weight.astype(compute)
        bias = None if bias is None else bias.astype(compute)
        factors = None if factors is None else factors.astype(compute)
    _core.conv(
        source,
        weight,
        bias,
        factors,
        out,
        moments,
        head.geometry.core,
        head.activation,
        head.output_scale,
        resolve_threads(threads),
    )


def result_shape(head: Head, source: Array, given: Array, layout: str) -> tuple[int, int, int, int]:
    """(N, O, H', W') for an input whose shape fits the head."""
    images, channels, *size = source.shape
    if channels != head.in_channels:
        raise ValueError(
            f"x has shape {given.shape} ({layout}), {channels} channels; weight {head.weight.shape} takes "
            f"{head.in_channels}"
        )
    if 0 in size:
        raise ValueError(f"x has shape {given.shape} ({layout}); height and width must be at least 1")
    height, width = head.geometry.output_size((size[0], size[1]))
    shape = (images, head.out_channels, height, width)
    if math.prod(shape) > sys.maxsize // 8:
        raise ValueError(f"x {given.shape} with this padding and stride asks for a result of shape {shape}: too large")
    return shape


def like(value: Any, name: str, other: Array, other_name: str, ndim: int | tuple[int, ...]) -> Array:
    """`value` as an array of the dtype of `other`."""
    array = as_array(value, name, ndim=ndim)
    if array.dtype.num != other.dtype.num:
        dtype = other.dtype.name
        raise TypeError(
            f"{name} has dtype {array.dtype.name}, {other_name} has {dtype}; they must agree: pass "
            f"{name}.astype(np.{dtype}), of a tensor {name}.{_TENSOR_CASTS[dtype]}()"
        )
    return array
