"""Gradients of the output layer: what its input, weight and bias have to do with a gradient of its linear output."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganchroma import _core
from ganchroma._arrays import cast, check_out, compute_dtype, in_lines
from ganchroma._geometry import IntPair, PaddingLike
from ganchroma.conv import Head, images_first, make_head, per_image, result_shape
from ganchroma.runtime import resolve_threads

Array = NDArray[Any]
Gradients = tuple[Array | None, Array | None, Array | None]
Out = Sequence[Array | None]

NEEDS = ("input", "weight", "bias")


def conv2d_backward(
    grad_output: Any,
    x: Any,
    weight: Any,
    *,
    stride: IntPair = 1,
    padding: PaddingLike = 0,
    padding_mode: str = "zeros",
    dilation: IntPair = 1,
    channel_scale: Any = None,
    output_scale: float = 1.0,
    layout: str = "NCHW",
    needs: Sequence[str] = NEEDS,
    out: Out | None = None,
    threads: int | None = None,
) -> Gradients:
    """Compute the gradients of ``output_scale * conv(x * channel_scale, weight) + bias``.

    Parameters
    ----------
    grad_output : array (N, O, H', W') of the dtype of `x`
        Gradient of the linear output: of what `conv2d` returns with ``activation="linear"``. For another activation
        pass it through `activate_backward` first. (N, H', W', O) with ``layout="NHWC"``.
    x, weight, stride, padding, padding_mode, dilation, channel_scale, output_scale, layout
        What `conv2d` was called with.
    needs : sequence of {"input", "weight", "bias"}
        Which gradients to compute.
    out : (array or None, array or None, array or None), optional
        C-contiguous arrays for the gradients of `x`, weight and bias, of the shape and dtype of each. A large one that
        is held on to, as what a first call returned, saves the time that memory new to the process costs.
    threads : int, optional
        At most this many threads. The result is the same to the bit for any number.

    Returns
    -------
    tuple of array or None
        The gradients of `x` (its shape; channels-last memory is answered in such memory), `weight` (its shape) and bias
        (O,), in the dtype of `x`; None for what is not in `needs`. float16 is computed in float32.

    Raises
    ------
    TypeError
        For an argument of a wrong type, integer and complex arrays, and arrays whose dtypes differ.
    ValueError
        For shapes and numbers that do not fit together.

    Notes
    -----
    The gradient of `x` is the transposed layer (a transposed layer's is the convolution) with the same weight, in the
    order of accumulation that `conv2d` states; what lies in a padding of copies is then added, in order, to what was
    copied, rows first.

    The gradients of weight and bias: along an image's rows, column x adds to lane x mod 16. Chains of at most 64 fused
    multiply-adds from zero, over blocks of whole columns of lanes (up to 512 columns wide), are added in order; then
    the 16 lanes, by a fixed tree. At most 64 runs of neighbouring images (fewer where weights are many) add up their
    images in order and are added by a fixed binary tree. `channel_scale` multiplies the sum of an image, `output_scale`
    that of all.

    NaN and infinities go through by the rules of arithmetic: an infinite gradient that meets a zero of the padding
    gives NaN in the gradient of `weight`, as in PyTorch's float64.

    Examples
    --------
    >>> import ganchroma as gch
    >>> x = np.arange(16.0).reshape(1, 1, 4, 4)
    >>> weight = np.ones((3, 1, 3, 3))
    >>> grad_x, grad_weight, grad_bias = gch.conv2d_backward(np.ones((1, 3, 2, 2)), x, weight)
    >>> grad_x[0, 0]
    array([[ 3.,  6.,  6.,  3.],
           [ 6., 12., 12.,  6.],
           [ 6., 12., 12.,  6.],
           [ 3.,  6.,  6.,  3.]])
    >>> grad_weight[0, 0], grad_bias
    (array([[10., 14., 18.],
           [26., 30., 34.],
           [42., 46., 50.]]), array([4., 4., 4.]))
    """
    head = make_head(
        weight, None, False, stride, padding, 0, padding_mode, dilation, "linear", channel_scale, output_scale
    )
    return _backward(head, grad_output, x, layout, needs, out, threads)


def conv_transpose2d_backward(
    grad_output: Any,
    x: Any,
    weight: Any,
    *,
    stride: IntPair = 1,
    padding: PaddingLike = 0,
    output_padding: IntPair = 0,
    dilation: IntPair = 1,
    channel_scale: Any = None,
    output_scale: float = 1.0,
    layout: str = "NCHW",
    needs: Sequence[str] = NEEDS,
    out: Out | None = None,
    threads: int | None = None,
) -> Gradients:
    """Compute the gradients of ``output_scale * conv_transpose(x * channel_scale, weight) + bias``.

    Parameters
    ----------
    grad_output : array (N, O, H', W') of the dtype of `x`
        Gradient of the linear output, as in `conv2d_backward`.
    x, weight, stride, padding, output_padding, dilation, channel_scale, output_scale, layout
        What `conv_transpose2d` was called with.
    needs : sequence of {"input", "weight", "bias"}
        Which gradients to compute.
    out
        As for `conv2d_backward`.
    threads : int, optional
        At most this many threads. The result is the same to the bit for any number.

    Returns
    -------
    tuple of array or None
        The gradients of `x`, `weight` and bias, as from `conv2d_backward`.

    Raises
    ------
    TypeError
        For an argument of a wrong type, integer and complex arrays, and arrays whose dtypes differ.
    ValueError
        For shapes and numbers that do not fit together.

    Examples
    --------
    >>> import ganchroma as gch
    >>> x, weight = np.ones((1, 64, 32, 32), np.float32), np.ones((64, 3, 4, 4), np.float32)
    >>> grad = np.ones((1, 3, 64, 64), np.float32)
    >>> gx, gw, gb = gch.conv_transpose2d_backward(grad, x, weight, stride=2, padding=1, needs=("input", "bias"))
    >>> gx.shape, gw, gb
    ((1, 64, 32, 32), None, array([4096., 4096., 4096.], dtype=float32))
    """
    head = make_head(
        weight, None, True, stride, padding, output_padding, "zeros", dilation, "linear", channel_scale, output_scale
    )
    return _backward(head, grad_output, x, layout, needs, out, threads)


def _backward(
    head: Head, grad_output: Any, x: Any, layout: str, needs: Sequence[str], out: Out | None, threads: int | None
) -> Gradients:
    wanted = _check_needs(needs)
    given, source, last = images_first(x, "x", head.weight, layout)
    shape = result_shape(head, source, given, layout)
    given_grad, grad, _ = images_first(grad_output, "grad_output", head.weight, layout)
    if grad.shape != shape:
        size = shape if layout == "NCHW" else (shape[0], shape[2], shape[3], shape[1])
        raise ValueError(f"grad_output has shape {given_grad.shape}; the layer's output for this x has {size}")
    factors = per_image(head, source)
    compute, dtype = compute_dtype(given), given.dtype.newbyteorder("=")
    inputs = [array for array in (given, given_grad, head.weight, head.channel_scale) if array is not None]
    places = _check_places(out, wanted, (given.shape, head.weight.shape, (head.out_channels,)), dtype, inputs)
    weight = head.weight
    if given.dtype != compute:
        source, grad, weight = cast(source, compute), cast(grad, compute), weight.astype(compute)
        factors = None if factors is None else factors.astype(compute)
    sizes = (source.shape, weight.shape, (head.out_channels,))
    direct = (layout == "NCHW" and dtype == compute, dtype == compute, dtype == compute)
    grad_x, grad_weight, grad_bias = (
        None if name not in wanted else place if place is not None and as_it_is else in_lines(size, compute)
        for name, place, as_it_is, size in zip(NEEDS, places, direct, sizes, strict=True)
    )
    _core.conv_backward(
        grad,
        source,
        weight,
        factors,
        grad_x,
        grad_weight,
        grad_bias,
        head.geometry.core,
        head.output_scale,
        resolve_threads(threads),
    )
    if grad_x is not None and last and places[0] is None:
        grad_x = np.ascontiguousarray(grad_x.transpose(0, 2, 3, 1))
        grad_x = grad_x if layout == "NHWC" else grad_x.transpose(0, 3, 1, 2)
    elif grad_x is not None and layout == "NHWC":
        grad_x = grad_x.transpose(0, 2, 3, 1)
    x_place, weight_place, bias_place = places
    with np.errstate(over="ignore"):  # beyond float16 is infinity there, as in PyTorch
        return (
            _hand_over(grad_x, x_place, dtype),
            _hand_over(grad_weight, weight_place, dtype),
            _hand_over(grad_bias, bias_place, dtype),
        )


def _hand_over(result: Array | None, place: Array | None, dtype: np.dtype[Any]) -> Array | None:
    if result is None or result is place:
        return result
    if place is None:
        return cast(result, dtype)
    place[...] = result
    return place


def _check_places(
    out: Out | None,
    wanted: set[str],
    shapes: tuple[tuple[int, ...], ...],
    dtype: np.dtype[Any],
    inputs: Sequence[Array],
) -> Out:
    """Where the gradients of input, weight and bias go; None for what has no place."""
    if out is None:
        return (None, None, None)
    if not isinstance(out, tuple | list) or len(out) != 3:
        raise TypeError(
            f"out must be a tuple of three, for the gradients of input, weight and bias, None where there is none; got "
            f"{type(out).__name__}"
        )
    taken = list(inputs)
    for name, place, shape in zip(NEEDS, out, shapes, strict=True):
        if place is None:
            continue
        if name not in wanted:
            raise ValueError(f'out has an array for "{name}", which is not in needs; pass None there')
        try:
            taken.append(check_out(place, shape, dtype, taken))
        except (TypeError, ValueError) as error:
            raise type(error)(f'for "{name}", {error}') from None
    return out


def _check_needs(needs: Sequence[str]) -> set[str]:
    accepted = ", ".join(f'"{name}"' for name in NEEDS)
    if isinstance(needs, str) or not isinstance(needs, Sequence):
        raise TypeError(f"needs must be a tuple of words from {accepted}; got {needs!r}")
    for name in needs:
        if not isinstance(name, str):
            raise TypeError(f"needs must be a tuple of words from {accepted}; got {needs!r}")
        if name not in NEEDS:
            raise ValueError(f"needs has {name!r}; accepted: {accepted}")
    return set(needs)
