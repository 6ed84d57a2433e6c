"""Where the taps of a convolution lie: strides, paddings, dilations, checked once and handed to the core as numbers."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ganchroma._arrays import check_word, shown

IntPair = int | Sequence[int]
PaddingLike = int | str | Sequence[int] | Sequence[Sequence[int]]

Pair = tuple[int, int]
Pads = tuple[Pair, Pair]

PADDING_MODES = ("zeros", "reflect", "replicate", "circular")
_PADDING = 'an integer, (height, width), ((top, bottom), (left, right)), "same" or "valid"'
_LARGEST = 2**30  # the core's own limit: far beyond any image, and products of two still fit its integers


class Geometry(NamedTuple):
    """A checked geometry. Pairs are (height, width); `padding` is ((top, bottom), (left, right)).

    Of a transposed layer `padding` is what is cut from each side of the full result.
    """

    transposed: bool
    kernel: Pair
    stride: Pair
    padding: Pads
    output_padding: Pair
    padding_mode: str
    dilation: Pair

    @property
    def core(self) -> tuple[int, int, int, int, int, int, int, int, int, int, int, int]:
        """The tuple that the core takes."""
        mode = PADDING_MODES.index(self.padding_mode)
        rows, columns = self.padding
        return (
            int(self.transposed),
            *self.stride,
            *rows,
            *columns,
            mode,
            *self.dilation,
            *self.output_padding,
        )

    def output_size(self, size: Pair) -> Pair:
        """Rows and columns of the result for an input of `size`.

        Raises
        ------
        ValueError
            If the padding is too large for the input, or nothing is left of the result.
        """
        return self._along(0, size), self._along(1, size)

    def _along(self, axis: int, size: Pair) -> int:
        length, kernel, stride, dilation = size[axis], self.kernel[axis], self.stride[axis], self.dilation[axis]
        before, after = self.padding[axis]
        reach = dilation * (kernel - 1) + 1
        word = ("height", "width")[axis]
        if length > _LARGEST:
            raise ValueError(f"x has {word} {length}; it must be at most {_LARGEST}")
        if self.transposed:
            result = (length - 1) * stride + reach + self.output_padding[axis] - before - after
            if result < 1:
                raise ValueError(
                    f"padding {(before, after)} leaves nothing of the result's {word}, "
                    f"which is {result + before + after} before it"
                )
            return result
        if max(before, after) >= length and (
            self.padding_mode == "reflect" or (self.padding_mode == "circular" and max(before, after) > length)
        ):
            limit = "less than" if self.padding_mode == "reflect" else "at most"
            raise ValueError(
                f'padding {(before, after)} is too large for padding_mode="{self.padding_mode}" on {word} {length}; '
                f"it must be {limit} {length}"
            )
        padded = length + before + after
        if padded < reach:
            raise ValueError(
                f"x has {word} {length}, {padded} with its padding, but the kernel reaches over {reach}; "
                "use a larger x, more padding or a smaller kernel"
            )
        return (padded - reach) // stride + 1


def make_geometry(
    transposed: bool,
    kernel: Pair,
    stride: IntPair,
    padding: PaddingLike,
    output_padding: IntPair,
    padding_mode: str,
    dilation: IntPair,
) -> Geometry:
    """A `Geometry` of arguments as users write them.

    Raises
    ------
    TypeError, ValueError
        For the first argument that is not what it must be; the message names it.
    """
    stride = check_pair(stride, "stride", 1)
    dilation = check_pair(dilation, "dilation", 1)
    output_padding = check_pair(output_padding, "output_padding", 0)
    check_word(padding_mode, "padding_mode", PADDING_MODES)
    if transposed and padding_mode != "zeros":
        raise ValueError(f'padding_mode is {padding_mode!r}; a transposed layer accepts only "zeros"')
    for extra, step, spread in zip(output_padding, stride, dilation, strict=True):
        if not transposed and extra:
            raise ValueError(f"output_padding is {output_padding}; only a transposed layer has one")
        if extra and extra >= max(step, spread):
            raise ValueError(
                f"output_padding is {output_padding}; it must be smaller than the larger of stride {stride} and "
                f"dilation {dilation}"
            )
    if max(kernel) > _LARGEST:
        raise ValueError(f"weight has a kernel of {kernel}; a side must be at most {_LARGEST}")
    pads = _check_padding(padding, transposed, kernel, stride, dilation)
    if max(*pads[0], *pads[1]) > _LARGEST:
        raise ValueError(f"padding {padding!r} comes to {pads}; it must be at most {_LARGEST}")
    return Geometry(transposed, kernel, stride, pads, output_padding, padding_mode, dilation)


def check_int(value: Any, name: str, least: int) -> int:
    """An integer in least <= value <= 2**30, or an error that names the argument."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{name} must be made of integers, got {shown(value)}")
    if not least <= value <= _LARGEST:
        raise ValueError(f"{name} must lie in {least}..{_LARGEST}, got {shown(value)}")
    return int(value)


def check_pair(value: Any, name: str, least: int) -> Pair:
    """(height, width) of an integer or two of them."""
    if type(value) is int and least <= value <= _LARGEST:  # what nearly every call gives
        return value, value
    if isinstance(value, int | np.integer):
        value = (value, value)
    if isinstance(value, str) or not isinstance(value, Sequence | np.ndarray):
        raise TypeError(f"{name} must be an integer or (height, width), got {shown(value)}")
    if len(value) != 2:
        raise ValueError(f"{name} must be an integer or (height, width), got {shown(value)}")
    return check_int(value[0], name, least), check_int(value[1], name, least)


def _check_padding(padding: Any, transposed: bool, kernel: Pair, stride: Pair, dilation: Pair) -> Pads:
    if isinstance(padding, int | np.integer):
        return check_pair(padding, "padding", 0), check_pair(padding, "padding", 0)
    if isinstance(padding, str):
        if padding == "valid":
            return (0, 0), (0, 0)
        if padding != "same":
            raise ValueError(f"padding is {shown(padding)}; accepted: {_PADDING}")
        return _same(transposed, kernel, stride, dilation)
    if isinstance(padding, Sequence) and any(isinstance(side, Sequence | np.ndarray) for side in padding):
        if len(padding) != 2 or not all(isinstance(side, Sequence | np.ndarray) for side in padding):
            raise ValueError(f"padding is {shown(padding)}; accepted: {_PADDING}")
        if any(isinstance(side, str) for side in padding):
            raise TypeError(f"padding is {shown(padding)}; accepted: {_PADDING}")
        rows, columns = padding
        return check_pair(rows, "padding", 0), check_pair(columns, "padding", 0)
    if not isinstance(padding, Sequence | np.ndarray):
        raise TypeError(f"padding is {shown(padding)}; accepted: {_PADDING}")
    height, width = check_pair(padding, "padding", 0)
    return (height, height), (width, width)


def _same(transposed: bool, kernel: Pair, stride: Pair, dilation: Pair) -> Pads:
    """The padding that keeps the size, the odd pixel at the bottom and right; with a stride, say it in numbers."""
    pads: list[Pair] = []
    missing = []
    for size, step, spread in zip(kernel, stride, dilation, strict=True):
        reach = spread * (size - 1) + 1
        total = reach - step if transposed else reach - 1
        missing.append(max(0, -total))
        total = max(0, total)
        pads.append((total // 2, total - total // 2))
    if stride != (1, 1):
        numbers = f"padding={tuple(pads)}" + (f", output_padding={tuple(missing)}" if any(missing) else "")
        factor = "times" if transposed else "divided by"
        raise ValueError(
            f'padding="same" needs stride 1, got stride {stride}; for a result of the input\'s size {factor} the '
            f"stride pass {numbers}"
        )
    return pads[0], pads[1]
