"""A weighted sum as the network ran it, as an `OutputLayer` and its features.

Whatever makes RGB is a convolution: a matrix product is one of kernel size 1x1, with the image's pixels, its patches,
or the image as a whole as places; what spreads channels over space afterwards (pixel shuffle, "unpatchify", a plain
view) makes it a transposed convolution whose stride is the spread.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganchroma.layer import OutputLayer
from ganchroma.torch.flow import WeightedSum

__all__ = ["Head", "heads"]

Array = NDArray[Any]
Size = tuple[int, int, int]  # channels, height, width
_SAME_WEIGHTS = 1e-3  # relative difference under which the weights of two images differ by a factor per channel only


@dataclass(frozen=True)
class Head:
    """A linear layer of three filters, its features, and how they were read.

    Attributes
    ----------
    layer : OutputLayer
        With the activation "linear".
    features : (N, C, h, w) array
    remarks : tuple of str
        What a reader has to know of the reading.
    whole : bool
        Whether its filters are all that ran: three, or four with an alpha.
    single : bool
        Whether there is one filter, drawn three times.
    pixel_bias : bool
        Whether the last of the channels is 1 everywhere, with the biases of single pixels as its weights.
    """

    layer: OutputLayer
    features: Array
    remarks: tuple[str, ...] = ()
    whole: bool = True
    single: bool = False
    pixel_bias: bool = False


@dataclass(frozen=True)
class _Conv:
    """A convolution of (N, C, h, w) features; the weight is (K, C, kh, kw), or (C, K, kh, kw) if transposed."""

    features: Array
    weight: Array
    bias: Array | None = None
    channel_scale: Array | None = None
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    transposed: bool = False
    output_padding: tuple[int, int] = (0, 0)

    @property
    def filters(self) -> int:
        return int(self.weight.shape[1 if self.transposed else 0])

    def layer(self) -> OutputLayer:
        options: dict[str, Any] = {"output_padding": self.output_padding} if self.transposed else {}
        return OutputLayer(
            self.weight,
            self.bias,
            transposed=self.transposed,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            activation="linear",
            channel_scale=self.channel_scale,
            **options,
        )


def heads(
    ran: WeightedSum, args: tuple[Any, ...], added: Tensor | None, images: int, size: Size, most: int
) -> Iterator[Head]:
    """Every way to read a weighted sum as what made `images` pictures of that size, the plainest first.

    Parameters
    ----------
    ran : WeightedSum
    args : tuple
        The operator's arguments.
    added : Tensor, optional
        What was added to the sum right after: a bias, if it has one number for each filter.
    images : int
        How many images the forward made.
    size : (channels, height, width)
        Of the image; the layer has three filters whatever its channels are.
    most : int
        Images to read, at most; the first ones.
    """
    readings = _of_product(ran, args, images, size) if ran.operator.endswith("mm") else _of_convolution(args, images)
    for reading in readings:
        if added is not None and reading.bias is None and added.numel() == reading.filters:
            reading = replace(reading, bias=_array(added).reshape(-1))
        if most < images:
            scale = reading.channel_scale
            reading = replace(
                reading, features=reading.features[:most], channel_scale=scale[:most] if scale is not None else None
            )
        yield from _spread(reading, size)


def _array(tensor: Tensor) -> Array:
    tensor = tensor.detach().cpu()
    return np.ascontiguousarray((tensor if tensor.dtype == torch.float64 else tensor.float()).resolve_neg().numpy())


def _of_convolution(args: tuple[Any, ...], images: int) -> Iterator[_Conv]:
    features, weight, groups, transposed = args[0], args[1], int(args[8]), bool(args[6])
    if features.dim() != 4:
        return
    conv = _Conv(
        _array(features),
        _array(weight),
        None if args[2] is None else _array(args[2]),
        stride=_pair(args[3]),
        padding=_pair(args[4]),
        dilation=_pair(args[5]),
        transposed=transposed,
        output_padding=_pair(args[7]),
    )
    if groups > 1 and groups == images and features.shape[0] == 1:
        # One group for each image: that is how weights that differ from image to image are run in one call.
        parts = conv.weight.reshape(groups, -1, *conv.weight.shape[1:])
        factored = _factored(parts, 1 if transposed else 2)
        if factored is not None:
            yield replace(
                conv,
                features=conv.features.reshape(groups, -1, *conv.features.shape[2:]),
                weight=factored[0],
                channel_scale=factored[1],
            )
    elif len(conv.features) == images:
        yield replace(conv, weight=_ungrouped(conv.weight, groups, transposed))


def _pair(numbers: Any) -> tuple[int, int]:
    return int(numbers[0]), int(numbers[-1])


def _ungrouped(weight: Array, groups: int, transposed: bool) -> Array:
    """The weight of one group that does the same: zero where a filter does not see a channel."""
    if groups == 1:
        return weight
    given, made = weight.shape[0] // groups, weight.shape[1]
    whole = np.zeros((groups * given, groups * made, *weight.shape[2:]), weight.dtype)
    for group in range(groups):
        rows = slice(group * given, (group + 1) * given)
        whole[rows, group * made : (group + 1) * made] = weight[rows]
    return whole  # a transposed weight has channels first, the other filters: blocks on the diagonal either way


def _factored(weights: Array, axis: int) -> tuple[Array, Array | None] | None:
    """One weight, and a factor for each image and channel, of weights (N, ...) with channels on `axis`; or None."""
    axes = tuple(other for other in range(1, weights.ndim) if other != axis)
    squares = np.square(weights, dtype=np.float64).sum(axis=axes)  # (N, C)
    loudest = squares.argmax(axis=0)
    channels = np.arange(weights.shape[axis])
    base = np.moveaxis(np.moveaxis(weights, axis, 1)[loudest, channels], 0, axis - 1)
    scale = (weights * base).sum(axis=axes, dtype=np.float64) / np.maximum(squares[loudest, channels], 1e-300)
    shape = [1] * weights.ndim
    shape[0], shape[axis] = scale.shape
    whole = float(np.linalg.norm(weights))
    apart = float(np.linalg.norm(weights - base * scale.reshape(shape))) / max(whole, 1e-300)
    if not apart < _SAME_WEIGHTS:
        return None
    return base, None if np.allclose(scale, 1, rtol=1e-6) else scale.astype(weights.dtype)


def _of_product(ran: WeightedSum, args: tuple[Any, ...], images: int, size: Size) -> Iterator[_Conv]:
    matrices = [_array(item) for item in args if isinstance(item, Tensor)]
    added = matrices[0] if ran.operator in ("addmm", "baddbmm") else None
    left, right = (matrix if matrix.ndim == 3 else matrix[np.newaxis] for matrix in matrices[-2:])
    weight, rows = (
        (left, right.swapaxes(1, 2)) if ran.weight_first else (right.swapaxes(1, 2), left)
    )  # (B, K, C), (B, M, C)
    places, channels = rows.shape[0] * rows.shape[1] // images, rows.shape[2]
    if places * images != rows.shape[0] * rows.shape[1]:
        return
    factored = _factored(weight[:, :, :, np.newaxis, np.newaxis], 2)
    if factored is None or (factored[1] is not None and len(weight) != images):
        return
    bias = added.reshape(-1) if added is not None and added.size == weight.shape[1] else None
    for height in range(1, places + 1):
        width = places // height
        if height * width == places and size[1] % height == 0 and size[2] % width == 0:
            features = rows.reshape(images, height, width, channels).transpose(0, 3, 1, 2)
            yield _Conv(np.ascontiguousarray(features), factored[0], bias, factored[1])


# -- channels that become pixels -----------------------------------------------------------------------------------


def _spread(conv: _Conv, size: Size) -> Iterator[Head]:
    """The readings of a convolution with K filters as a layer with three."""
    layer = conv.layer()
    down, across = layer.output_size((conv.features.shape[2], conv.features.shape[3]))
    tall, wide = size[1] // down, size[2] // across
    spread = (tall, wide) != (1, 1) and (down * tall, across * wide) == size[1:]
    for colors in dict.fromkeys((size[0], 1)):
        if spread and conv.filters == colors * tall * wide:
            for order in ("channels first", "channels last"):
                shuffled = _shuffled(conv, colors, (tall, wide), order == "channels first")
                if shuffled is not None:
                    yield replace(_three(*shuffled), pixel_bias=len(shuffled) > 1)
    for colors in dict.fromkeys((conv.filters if conv.filters == 3 else size[0], size[0], 1)):
        if conv.filters >= colors:
            yield replace(_three(_first(conv, colors)), whole=conv.filters in (colors, 4))
            if conv.filters > colors:
                yield replace(_three(_first(conv, colors, conv.filters - colors)), whole=False)


def _first(conv: _Conv, colors: int, start: int = 0) -> _Conv:
    chosen = slice(start, start + colors)
    weight = conv.weight[:, chosen] if conv.transposed else conv.weight[chosen]
    return replace(conv, weight=weight, bias=None if conv.bias is None else conv.bias[chosen])


def _three(conv: _Conv, *remarks: str) -> Head:
    """A layer of three filters: one is drawn three times, a fourth (alpha) is left out."""
    single = conv.filters == 1
    if single:
        axis = 1 if conv.transposed else 0
        bias = None if conv.bias is None else np.repeat(conv.bias, 3)
        conv = replace(conv, weight=np.repeat(conv.weight, 3, axis=axis), bias=bias)
        remarks += ("the head makes one channel, which is shown as R, G and B: read as three equal filters",)
    elif conv.filters > 3:
        conv = _first(conv, 3)
        remarks += ("of the image's channels the first three are judged",)
    return Head(conv.layer(), conv.features, remarks, single=single)


def _shuffled(conv: _Conv, colors: int, spread: tuple[int, int], first: bool) -> tuple[_Conv, *tuple[str, ...]] | None:
    """A convolution whose K = colors * r * s filters become r x s pixels of `colors`, as a transposed convolution.

    With stride r, tap d of sub-pixel a stands at a + r (k - 1 - d), and r (k - 1 - padding) pixels are cropped. A bias
    that differs between sub-pixels becomes the weight of one more channel that is 1 everywhere.
    """
    crop = [kernel - 1 - pad for kernel, pad in zip(conv.weight.shape[2:], conv.padding, strict=True)]
    if conv.transposed or conv.stride != (1, 1) or conv.dilation != (1, 1) or min(crop) < 0:
        return None
    (r, s), (tall, wide) = spread, conv.weight.shape[2:]
    order = (0, 1, 2) if first else (2, 0, 1)  # where (colors, r, s) stand among the filters
    shape = (colors, r, s) if first else (r, s, colors)
    flipped = conv.weight[:, :, ::-1, ::-1].reshape(*shape, -1, tall, wide)
    flipped = flipped.transpose(*order, 3, 4, 5)  # (O, r, s, C, kh, kw)
    weight = flipped.transpose(3, 0, 4, 1, 5, 2).reshape(-1, colors, tall * r, wide * s)
    features, bias, scale = conv.features, None, conv.channel_scale
    remarks: tuple[str, ...] = ()
    if conv.bias is not None:
        biases = conv.bias.reshape(shape).transpose(order)
        bias = biases.mean(axis=(1, 2))
        if np.abs(biases - bias[:, None, None]).max() > 0:
            bias = None
            extra = np.zeros((1, *weight.shape[1:]), weight.dtype)
            y, x = crop[0] * r, crop[1] * s
            extra[0, :, y : y + r, x : x + s] = biases
            weight = np.concatenate([weight, extra])
            features = np.concatenate([features, np.ones_like(features[:, :1])], axis=1)
            if scale is not None:
                scale = np.concatenate([scale, np.ones_like(scale[:, :1])], axis=1)
            remarks = ("its bias differs from pixel to pixel: it is read as one more channel that is 1 everywhere",)
    spread_out = _Conv(
        features,
        np.ascontiguousarray(weight),
        bias,
        scale,
        stride=spread,
        padding=(crop[0] * r, crop[1] * s),
        transposed=True,
    )
    return spread_out, *remarks
