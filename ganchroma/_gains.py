"""Singular values of a convolution at spatial frequencies, where it is a small matrix: what the frequency response and
the operator norm are made of.

A layer of stride s is a layer of stride 1 between the s x s phases of the finer image and the coarser one, so that one
form serves all: correlation filters (rows, kh, kw, channels), whose transfer matrix at the frequency w is the sum over
taps t of filters[:, t] exp(i w t).
"""

import math
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ganchroma import _core
from ganchroma._arrays import as_array
from ganchroma._geometry import IntPair, Pair, check_pair
from ganchroma.runtime import interruptible, resolve_threads

Array = NDArray[Any]
Floats = NDArray[np.float64]

ROWS = 16  # of the largest matrix that the core diagonalises
_MOST_FREQUENCIES = 2**40  # sizes of arrays, multiplied by those of a matrix, still fit their integers
_SAFE = 64  # weights of 2**-64 to 2**64 are taken as they are: their fourth powers occur
_TOGETHER = 1 << 18  # numbers of transfer matrices made at a time in NumPy: some tenths of a second at most


def check_size(size: Any) -> Pair:
    """Height and width of an image."""
    height, width = check_pair(size, "size", 1)
    if height * width > _MOST_FREQUENCIES:
        raise ValueError(f"size is {(height, width)}: too large, at most {_MOST_FREQUENCIES} pixels")
    return height, width


class Layer(NamedTuple):
    """A checked layer."""

    weight: Array
    transposed: bool
    stride: Pair

    @property
    def out_channels(self) -> int:
        return int(self.weight.shape[1 if self.transposed else 0])

    def grid(self, size: Any) -> Pair:
        """The grid of frequencies of an input of `size`: the coarser of the two images."""
        height, width = check_size(size)
        if self.transposed:
            return height, width
        if height % self.stride[0] or width % self.stride[1]:
            raise ValueError(f"size is {(height, width)}; each side must be a multiple of the stride {self.stride}")
        return height // self.stride[0], width // self.stride[1]


class System(NamedTuple):
    """The same layer at stride 1, with weights that are neither huge nor tiny."""

    filters: Floats  # (rows, kh, kw, channels)
    exponent: int  # the layer's are these times 2**exponent


class Gram(NamedTuple):
    """Products of a system's filters: all that the core needs."""

    products: Floats
    reach: Pair
    rounding: float  # bounds the relative rounding error of the largest eigenvalue


def make_layer(weight: Any, transposed: Any, stride: IntPair) -> Layer:
    kernels = as_array(weight, "weight", ndim=4)
    if 0 in kernels.shape:
        raise ValueError(f"weight has shape {kernels.shape}; every dimension must be at least 1")
    if not isinstance(transposed, bool | np.bool_):
        raise TypeError(f"transposed must be True or False, got {transposed!r}")
    return Layer(kernels, bool(transposed), check_pair(stride, "stride", 1))


def make_system(layer: Layer, *, small: bool = False) -> System | None:
    """The layer's output channels, times the phases of a transposed layer, as rows; None if a weight is not finite.

    With `small`, the adjoint in its place where that has fewer rows: the singular values are the same.
    """
    weight = layer.weight
    peak = float(np.abs(weight).max())
    if not math.isfinite(peak):
        return None
    exponent = math.frexp(peak)[1] if peak else 0
    if layer.stride == (1, 1):
        filters = weight.transpose((1, 2, 3, 0) if layer.transposed else (0, 2, 3, 1))
    else:
        filters = _phases(layer)
    if layer.transposed:
        filters = filters[:, ::-1, ::-1]
    if small and filters.shape[3] < filters.shape[0]:
        filters = filters[:, ::-1, ::-1].transpose(3, 1, 2, 0)
    aligned = _empty(filters.shape)
    aligned[...] = filters
    if abs(exponent) <= _SAFE:
        return System(aligned, 0)
    return System(np.ldexp(aligned, -exponent, out=aligned), exponent)


def _empty(shape: tuple[int, ...]) -> Floats:
    """An array that begins where a cache line does: the core reads it in vectors of that size."""
    count = math.prod(shape)
    memory = np.empty(count + 7)
    first = -memory.__array_interface__["data"][0] // 8 % 8
    return memory[first : first + count].reshape(shape)


def _phases(layer: Layer) -> Floats:
    """Filters whose rows (of a transposed layer) or channels are those of the layer for each phase, in this order:
    phase down, phase across, channel."""
    kernels = layer.weight.astype(np.float64)
    if layer.transposed:
        kernels = kernels.transpose(1, 0, 2, 3)
    rows, channels, *taps = kernels.shape
    (down, across), (height, width) = layer.stride, (-(-n // s) for n, s in zip(taps, layer.stride, strict=True))
    padded = np.zeros((rows, channels, height * down, width * across))
    padded[:, :, : taps[0], : taps[1]] = kernels
    split = padded.reshape(rows, channels, height, down, width, across)
    if layer.transposed:
        return split.transpose(3, 5, 0, 2, 4, 1).reshape(down * across * rows, height, width, channels)
    return split.transpose(0, 2, 4, 3, 5, 1).reshape(rows, height, width, down * across * channels)


def make_gram(system: System, threads: int | None) -> Gram:
    rows, height, width, channels = system.filters.shape
    products = np.empty((height, 2 * width - 1, rows, rows))
    _core.frequency_gram(system.filters, products, resolve_threads(threads))
    terms = height * (2 * width - 1) + 4 * rows + height * width * channels / 16
    return Gram(products, (height - 1, width - 1), 2.0**-50 * (16 + terms))


def trimmed(gram: Gram) -> Gram:
    """Without outer offsets whose products are all zero."""
    products, (down, across) = gram.products, gram.reach
    while down and not products[-1].any():
        products, down = products[:-1], down - 1
    while across and not products[:, [0, -1]].any():
        products, across = products[:, 1:-1], across - 1
    return Gram(np.ascontiguousarray(products), (down, across), gram.rounding)


def largest(system: System, gram: Gram | None, lines: Floats, columns: Floats, threads: int | None) -> Floats:
    """The largest singular value (lines, columns) at frequencies in turns: `lines` (n,), `columns` (1 or n, m)."""
    if gram is None:
        y, x = np.broadcast_arrays(lines[:, None], columns)
        rows = [
            np.sqrt(np.maximum(interruptible(partial(_last_eigenvalue, matrix)), 0))
            for matrix in _transfers(system, y.ravel(), x.ravel())
        ]
        return np.concatenate(rows).reshape(y.shape)
    values = np.empty((len(lines), columns.shape[1], 1))
    _core.frequency_values(gram.products, lines, columns, values, None, 0, resolve_threads(threads))
    return values[..., 0]


def _last_eigenvalue(matrix: Any) -> Any:
    return np.linalg.eigvalsh(matrix @ matrix.conj().swapaxes(1, 2))[:, -1]


def grid_largest(system: System, gram: Gram | None, grid: Pair, threads: int | None) -> tuple[float, Pair]:
    """The largest over the frequencies of a grid, and where."""
    height, width = grid
    lines, columns = np.arange(height // 2 + 1) / height, np.arange(width)[None] / width
    if gram is None:
        values = largest(system, gram, lines, columns, threads)
        place = divmod(int(values.argmax()), width)
        return float(values[place]), place
    peaks = np.empty((len(lines), 2))
    _core.frequency_peaks(gram.products, lines, columns, peaks, resolve_threads(threads))
    line = int(peaks[:, 0].argmax())
    return float(peaks[line, 0]), (line, int(peaks[line, 1]))


def grid_values(system: System, grid: Pair, threads: int | None) -> tuple[Floats, NDArray[np.complex128]]:
    """All singular values (height, width, n), descending, and the left vector (height, width, rows) of the largest."""
    height, width = grid
    rows, channels = system.filters.shape[0], system.filters.shape[3]
    count = min(rows, channels)
    vectors = np.empty((height, width, rows), np.complex128)
    if rows > ROWS:
        values = np.empty((height, width, count))
        small = np.ones((height, width), bool)
    else:
        values = np.empty((height, width, rows))
        gram = make_gram(system, threads)
        lines, columns = np.arange(height // 2 + 1) / height, np.arange(width)[None] / width
        _core.frequency_values(gram.products, lines, columns, values, vectors, height, resolve_threads(threads))
        if count < rows:
            values = np.ascontiguousarray(values[..., :count])
        # What is left of a small value in a product of the filters is the product's rounding error.
        small = values[..., -1] < 1e-3 * values[..., 0].max()
    if small.any():
        y, x = np.nonzero(small)
        done = 0
        for matrix in _transfers(_reduced(system), y / height, x / width):
            part = slice(done, done + len(matrix))
            if rows > ROWS:
                left, found, _ = interruptible(partial(np.linalg.svd, matrix, full_matrices=False))
                first = left[..., 0]  # in the phase that the core chooses
                first = first * np.exp(-0.5j * np.angle((first * first).sum(axis=1, keepdims=True)))
                vectors[y[part], x[part]] = np.where(first.real.sum(axis=1, keepdims=True) < 0, -first, first)
            else:
                found = np.linalg.svd(matrix, compute_uv=False)
            values[y[part], x[part]] = found[:, :count]
            done += len(matrix)
    return values, vectors


def _reduced(system: System) -> System:
    """No more channels than the filters have weights each: the others never play a part."""
    rows, height, width, channels = system.filters.shape
    if channels <= rows * height * width:
        return system
    _, upper = interruptible(lambda: np.linalg.qr(system.filters.reshape(-1, channels).T))
    return System(np.ascontiguousarray(upper.T).reshape(rows, height, width, -1), system.exponent)


def _transfers(system: System, y: Floats, x: Floats) -> Any:
    """Transfer matrices (some, rows, channels) at the frequencies (y, x) in turns, some at a time."""
    rows, height, width, channels = system.filters.shape
    taps = system.filters.transpose(1, 2, 0, 3).reshape(height * width, rows * channels)
    step = max(1, _TOGETHER // (rows * channels))
    for start in range(0, len(y), step):
        part = slice(start, start + step)
        down = np.exp(2j * np.pi * np.outer(y[part], np.arange(height)))
        across = np.exp(2j * np.pi * np.outer(x[part], np.arange(width)))
        waves = (down[:, :, None] * across[:, None, :]).reshape(-1, height * width)
        yield (waves @ taps).reshape(-1, rows, channels)
