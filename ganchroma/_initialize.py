"""What every initialiser does with its arguments: shape, dtype and out in, numbers checked, a filled array out."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ganchroma._arrays import FLOATS, check_out, compute_dtype, copy, pieces, shown

Array = NDArray[Any]
Shape = int | Sequence[int]
Fill = Callable[[Array], None]
_FLOAT32 = np.dtype(np.float32)


def check_shape(shape: Any) -> tuple[int, ...]:
    """`shape` as a tuple of sizes, or an error that names it."""
    if type(shape) is tuple and set(map(type, shape)) == {int} and min(shape) >= 0:
        return shape  # what nearly every call gives
    sizes = tuple(shape) if isinstance(shape, Sequence) and not isinstance(shape, str) else (shape,)
    if any(isinstance(size, bool) or not isinstance(size, int | np.integer) for size in sizes):
        raise TypeError(f"shape must be an int or a sequence of ints, got {shown(shape)}")
    if any(size < 0 for size in sizes):
        raise ValueError(f"shape must not have negative sizes, got {shown(shape)}")
    return tuple(int(size) for size in sizes)


def check_dtype(dtype: Any) -> np.dtype[Any]:
    """`dtype` as one of the floating-point types, or an error that lists them."""
    if dtype is np.float32:
        return _FLOAT32
    found: np.dtype[Any] | None
    try:
        found = np.dtype(dtype)
    except TypeError:
        found = None
    if dtype is None or found is None or found.name not in FLOATS or not found.isnative:
        raise TypeError(f"dtype must be {', '.join(FLOATS)} in native byte order, got {shown(dtype)}")
    return found


def target(shape: Any, dtype: DTypeLike, out: Array | None) -> Array:
    """The array that an initialiser fills and returns: `out`, or a new one."""
    kind = check_dtype(dtype)
    sizes = None if shape is None else check_shape(shape)
    if out is None:
        if sizes is None:
            raise TypeError("shape must be given where out is not")
        try:
            return np.empty(sizes, kind)
        except ValueError as error:
            raise ValueError(f"shape is {shape!r}, which no array can have: {error}") from None
    if not isinstance(out, np.ndarray):
        raise TypeError(f"out must be a NumPy array, got {type(out).__name__}")
    if kind == np.float32 and out.dtype.name in FLOATS:
        kind = out.dtype  # float32 is the default of dtype: out decides
    return check_out(out, out.shape if sizes is None else sizes, kind, ())


def filled(result: Array, fill: Fill, fills_float16: bool = False) -> Array:
    """`result` after `fill`; float16 is filled in float32 and rounded, unless `fill` does that itself."""
    kind = compute_dtype(result)
    plain = np.asarray(result)  # methods of a subclass may do anything: a matrix stays two-dimensional
    if result.dtype == kind or fills_float16:
        fill(plain)
    else:
        work = np.empty(result.shape, kind)
        fill(work)
        copy(work, plain)
    return result


def fill_with(result: Array, value: float) -> Array:
    """`result` after ``result.fill(value)``, in pieces."""
    for piece in pieces(result.shape):
        result[piece].fill(value)
    return result
