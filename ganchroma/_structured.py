"""Initialisers whose arrays have a structure; public in `ganchroma.init`, which describes their common parameters."""

import math

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ganchroma import _core
from ganchroma._arrays import check_number, copy, pieces
from ganchroma._initialize import Array, Shape, fill_with, filled, target
from ganchroma.rng import RNGLike, as_stream
from ganchroma.runtime import check_threads

_TOGETHER = 16  # rows that the core makes orthonormal, faster than BLAS would
_AT_ONCE = 1 << 29  # multiplications that BLAS gets: less than 100 ms
_SHORT = 2**-10  # beside a row of normal numbers: below it float32 would see the cancellation in double


def orthogonal(
    shape: Shape | None,
    gain: float = 1.0,
    *,
    rng: RNGLike = None,
    dtype: DTypeLike = np.float32,
    out: Array | None = None,
    threads: int | None = None,
) -> Array:
    """A (semi-)orthogonal matrix times `gain`, all dimensions but the first taken as columns (Saxe et al. 2013).

    The Q of a normal matrix's QR decomposition in which the diagonal of R is positive, computed in double. The last
    bits depend on NumPy's BLAS, which makes the products of matrices with more than a few rows and columns.

    Raises
    ------
    ValueError
        If the shape has fewer than two dimensions.

    Examples
    --------
    >>> q = orthogonal((3, 8), rng=0, dtype=np.float64)
    >>> np.allclose(q @ q.T, np.eye(3))
    True
    """
    scale = check_number(gain, "gain")
    result = target(shape, dtype, out)
    if result.ndim < 2:
        raise ValueError(f"shape must have at least 2 dimensions, got {result.shape}")
    stream = as_stream(rng)
    if threads is not None:
        check_threads(threads)

    def fill(work: Array) -> None:
        matrix = work.reshape(len(work), -1) if work.size else work
        if matrix.size:
            stream.normal(work, 0.0, 1.0, threads=1)  # others would wait, spinning, where BLAS wants to run
            wide = matrix.shape[0] < matrix.shape[1]
            turned = matrix if wide else matrix.T
            rows = np.empty_like(turned, np.float64, order="C")
            copy(turned, rows)
            shortest = _orthonormalize(rows)
            if work.dtype == np.float64 or shortest < _SHORT * math.sqrt(rows.shape[1]):
                _orthonormalize(rows)
            for piece in pieces(rows.shape):
                turned[piece] = rows[piece] * scale

    return filled(result, fill)


def _orthonormalize(rows: NDArray[np.float64]) -> float:
    """Gram-Schmidt in place, by halves; the length of the shortest row before it became 1.

    What was lost to cancellation is lost in orthogonality; once more mends it ("twice is enough": Parlett, The
    Symmetric Eigenvalue Problem, section 6.9).
    """
    if len(rows) <= _TOGETHER:
        return _core.orthonormalize(rows)
    half = len(rows) // (2 * _TOGETHER) * _TOGETHER or _TOGETHER
    first, second = rows[:half], rows[half:]
    shortest = _orthonormalize(first)
    step = max(_AT_ONCE // first.size // _TOGETHER, 1) * _TOGETHER
    for start in range(0, len(second), step):  # in pieces: Ctrl-C ends it soon
        part = second[start : start + step]
        part -= part @ first.T @ first
    return min(shortest, _orthonormalize(second))


def sparse(
    shape: Shape | None,
    sparsity: float,
    std: float = 0.01,
    *,
    rng: RNGLike = None,
    dtype: DTypeLike = np.float32,
    out: Array | None = None,
    threads: int | None = None,
) -> Array:
    """A normal matrix (rows, columns) with ``ceil(sparsity * rows)`` zeros in each column (Martens 2010).

    PyTorch takes the places of the zeros from its default generator even where it is given another: a `TorchGenerator`
    follows ``torch.manual_seed``.

    Raises
    ------
    ValueError
        If the shape has not two dimensions, or `sparsity` is outside [0, 1].

    Examples
    --------
    >>> (sparse((10, 3), 0.25, rng=0) == 0).sum(axis=0)
    array([3, 3, 3])
    """
    spread = check_number(std, "std", low=0.0)
    if check_number(sparsity, "sparsity", low=0.0) > 1:
        raise ValueError(f"sparsity must be between 0 and 1, got {sparsity!r}")
    result = target(shape, dtype, out)
    if result.ndim != 2:
        raise ValueError(f"shape must have 2 dimensions, got {result.shape}")
    stream = as_stream(rng)
    zeros_each = math.ceil(sparsity * len(result))

    def fill(work: Array) -> None:
        if work.size == 0:
            return
        stream.normal(work, 0.0, spread, threads=threads)
        np.put_along_axis(work, stream.orders(*work.shape)[:zeros_each], 0, axis=0)

    return filled(result, fill, stream.fills_float16)


def constant(shape: Shape | None, val: float, *, dtype: DTypeLike = np.float32, out: Array | None = None) -> Array:
    """Every element `val`.

    Examples
    --------
    >>> constant(2, 0.5)
    array([0.5, 0.5], dtype=float32)
    """
    value = check_number(val, "val", infinite=True)
    return fill_with(target(shape, dtype, out), value)


def ones(shape: Shape | None, *, dtype: DTypeLike = np.float32, out: Array | None = None) -> Array:
    """Every element one.

    Examples
    --------
    >>> ones(2)
    array([1., 1.], dtype=float32)
    """
    return constant(shape, 1.0, dtype=dtype, out=out)


def zeros(shape: Shape | None, *, dtype: DTypeLike = np.float32, out: Array | None = None) -> Array:
    """Every element zero.

    Examples
    --------
    >>> zeros(2)
    array([0., 0.], dtype=float32)
    """
    return constant(shape, 0.0, dtype=dtype, out=out)


def eye(shape: Shape | None, *, dtype: DTypeLike = np.float32, out: Array | None = None) -> Array:
    """The identity, as far as a matrix of that shape can be one.

    Raises
    ------
    ValueError
        If the shape has not two dimensions.

    Examples
    --------
    >>> eye((2, 3))
    array([[1., 0., 0.],
           [0., 1., 0.]], dtype=float32)
    """
    result = target(shape, dtype, out)
    if result.ndim != 2:
        raise ValueError(f"shape must have 2 dimensions, got {result.shape}")
    fill_with(result, 0)
    np.fill_diagonal(result, 1)
    return result


def dirac(shape: Shape | None, groups: int = 1, *, dtype: DTypeLike = np.float32, out: Array | None = None) -> Array:
    """The convolution weight that passes its input channels on, as many as there are outputs for.

    Parameters
    ----------
    shape : sequence of 3, 4 or 5 ints
        (out, in / groups, kernel...).
    groups : int
        Each group of outputs passes the same leading input channels of its own group.

    Raises
    ------
    ValueError
        For another number of dimensions, or outputs that `groups` does not divide.

    Examples
    --------
    >>> dirac((2, 2, 1)).reshape(2, 2)
    array([[1., 0.],
           [0., 1.]], dtype=float32)
    """
    result = target(shape, dtype, out)
    if result.ndim not in (3, 4, 5):
        raise ValueError(f"shape must have 3, 4 or 5 dimensions, got {result.shape}")
    if isinstance(groups, bool) or not isinstance(groups, int | np.integer):
        raise TypeError(f"groups must be an integer, got {groups!r}")
    if groups < 1 or len(result) % groups:
        raise ValueError(f"groups must divide the {len(result)} outputs, got {groups}")
    fill_with(result, 0)
    each = len(result) // groups
    center = tuple(size // 2 for size in result.shape[2:])
    if result.size:
        for channel in range(len(result)):
            if channel % each < result.shape[1]:
                result[(channel, channel % each, *center)] = 1
    return result
