"""Arrays in and out: what every public function does with what it is given.

NumPy arrays, PyTorch CPU tensors and anything else with ``__array__`` or DLPack are read without a copy where their
memory allows it. Nothing is moved from a device or cast silently: the error names the call that does it.
"""

import math
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

FLOATS = ("float16", "float32", "float64")
_MOST = sys.float_info.max
_MOST_ITEMS, _MOST_LEVELS = 100, 4  # of a list are looked through for what is wrong
_MOST_DIMENSIONS = 64  # that NumPy reads
_SINGLE = (float, int, complex, str, bytes, np.generic)

_LINE = 64
_LARGE = 1 << 22  # bytes
_PIECE = 1 << 22  # elements: some milliseconds


def as_array(
    value: Any, name: str, *, ndim: int | Sequence[int] | None = None, dtypes: Sequence[str] = FLOATS
) -> NDArray[Any]:
    """`value` as a NumPy array, or an error that names the argument, what was given and what is accepted.

    Parameters
    ----------
    value : array-like
        A NumPy array, a CPU tensor, nested sequences of numbers.
    name : str
        The argument's name in messages.
    ndim : int or sequence of int, optional
        Accepted numbers of dimensions.
    dtypes : sequence of str
        Accepted dtype names.

    Raises
    ------
    TypeError
        If the value can't be read as an array, or has another dtype.
    ValueError
        If it has another number of dimensions.
    """
    array = _read(value, name)
    if array.dtype.kind in "OSU" and not isinstance(value, np.ndarray):
        raise TypeError(f"{name} must be an array or a tensor of {', '.join(dtypes)}; got {_described(value)}")
    if _dtype_name(array.dtype) not in dtypes:
        raise TypeError(f"{name} has dtype {array.dtype}; accepted: {', '.join(dtypes)}{_cast_hint(array, dtypes)}")
    accepted = (ndim,) if isinstance(ndim, int) else ndim
    if accepted is not None and array.ndim not in accepted:
        wanted = " or ".join(str(n) for n in accepted)
        raise ValueError(f"{name} must have {wanted} dimensions, got {array.ndim} (shape {array.shape})")
    return array


@lru_cache(64)
def _dtype_name(dtype: np.dtype[Any]) -> str:
    return dtype.name  # NumPy composes it anew, in Python, each time it is asked


def _read(value: Any, name: str) -> NDArray[Any]:
    refuse_masked(value, name)
    if isinstance(value, np.ndarray):
        return np.asarray(value)
    if callable(getattr(value, "named_parameters", None)):
        given = _described(value)
        if any(base.__module__.startswith("torch.") for base in type(value).__mro__):
            fix = "pass an array of it, or what it returns"
            if getattr(value, "weight", None) is not None:
                fix = f"pass {name}.weight.detach(), or for the whole layer ganchroma.torch.output_layer({name})"
            given = f"the torch module {type(value).__name__}: {fix}"
        raise TypeError(f"{name} must be an array or a tensor; got {given}")
    try:
        if not hasattr(value, "__array__") and hasattr(value, "__dlpack__"):
            return np.from_dlpack(value)
        array = np.asanyarray(value)  # what it makes of itself may be masked
    except (TypeError, ValueError, RuntimeError, BufferError) as error:
        raise TypeError(f"{name} can't be read as an array: {tensor_hint(value, name) or error}") from error
    refuse_masked(array, f"numpy.asanyarray({name})")
    return np.asarray(array)


def refuse_masked(value: Any, name: str, levels: int = _MOST_DIMENSIONS) -> None:
    """A TypeError for a masked array, and for sequences of what is one or is read as one: NumPy would read under it."""
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{name} is a masked array; pass {name}.filled(value), with NaN for what should not count")
    items = _items(value) if levels > 0 else ()
    if not all(map(_never_masked, set(map(type, items)))):
        for place, item in enumerate(items):
            inner = f"{name}[{place}]"
            if hasattr(type(item), "__array__") and (array := _array_of(item)) is not item:
                refuse_masked(array, f"numpy.asanyarray({inner})", 0)
            else:
                refuse_masked(item, inner, levels - 1)


def _never_masked(kind: type) -> bool:
    if issubclass(kind, np.ndarray):
        return not issubclass(kind, np.ma.MaskedArray)
    return issubclass(kind, _SINGLE) or kind.__module__.split(".")[0] == "torch"


def _items(value: Any) -> Sequence[Any]:
    """What NumPy would go through one by one; nothing if `value` is no sequence, or fails as one: NumPy tells."""
    if isinstance(value, list | tuple):
        return value
    kind = type(value)
    if isinstance(value, str) or hasattr(kind, "__array__") or not hasattr(kind, "__getitem__"):
        return ()
    with suppress(TypeError):
        memoryview(value)
        return ()
    with suppress(Exception):
        return list(islice(value, len(value)))
    return ()


def _array_of(value: Any) -> Any:
    """What NumPy reads in place of one item; None if it can't."""
    with suppress(Exception):
        return np.asanyarray(value)
    return None


def _described(value: Any) -> str:
    """What was given in place of numbers, in words."""
    if isinstance(value, str | bytes | os.PathLike):
        return (
            f"{shown(value)}: a file has to be read first, e.g. by numpy.load(path), or as a picture (channels last) "
            "by numpy.asarray(PIL.Image.open(path))"
        )
    if isinstance(value, list | tuple):
        kinds = sorted({type(item).__name__ for item in value})
        return f"a {type(value).__name__} of {', '.join(kinds)}"
    return "None" if value is None else f"an object of type {type(value).__name__}"


def tensor_hint(value: Any, name: str, levels: int = _MOST_LEVELS) -> str:
    """The call that makes a tensor, or the first such of a list, readable; nothing if `value` is not one we know."""
    if isinstance(value, list | tuple):
        if levels == 0:  # a list may hold itself
            return ""
        hints = (tensor_hint(item, f"{name}[{place}]", levels - 1) for place, item in enumerate(value[:_MOST_ITEMS]))
        return next(filter(None, hints), "")
    device = getattr(getattr(value, "device", None), "type", "cpu")
    layout = str(getattr(value, "layout", ""))
    dtype = str(getattr(value, "dtype", ""))
    if device == "meta":
        return "it is on the meta device and holds no values"
    if device != "cpu":
        return f"it is on {value.device}; pass {name}.detach().cpu()"
    if "sparse" in layout or "mkldnn" in layout:
        return f"its layout is {layout}; pass {name}.to_dense()"
    if "jagged" in layout:
        return f"its rows differ in length; pass {name}.to_padded_tensor(0.0)"
    if getattr(value, "requires_grad", False):
        return f"it requires grad; pass {name}.detach()"
    if "complex32" in dtype:
        return f"NumPy has no complex32; pass {name}.real or {name}.abs()"
    if "bfloat16" in dtype or "float8" in dtype:
        return f"NumPy has no {dtype.removeprefix('torch.')}; pass {name}.float()"
    if getattr(value, "is_quantized", False):
        return f"it is quantized; pass {name}.dequantize()"
    if callable(getattr(value, "is_conj", None)) and value.is_conj():
        return f"its conjugate bit is set; pass {name}.resolve_conj()"
    if callable(getattr(value, "is_neg", None)) and value.is_neg():
        return f"its negative bit is set; pass {name}.resolve_neg()"
    if callable(getattr(value, "_is_zerotensor", None)) and value._is_zerotensor():
        return f"it holds no memory for its zeros; pass {name}.clone()"
    return ""


def _cast_hint(array: NDArray[Any], dtypes: Sequence[str]) -> str:
    if "float32" not in dtypes:
        return ""
    if array.dtype.kind in "biu":
        return "; cast it first, e.g. with .astype(np.float32) or .float(), and scale it to the range you mean"
    if array.dtype.kind == "c":
        return "; take .real or .abs() first"
    return ""


def check_word(value: Any, name: str, accepted: Iterable[str]) -> str:
    """`value` itself if it is one of the accepted words, or an error that lists them.

    Raises
    ------
    TypeError
        If it is no string.
    ValueError
        If it is another word.
    """
    words = tuple(accepted)
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a string, one of {_quoted(words)}; got {shown(value)}")
    if value not in words:
        raise ValueError(f"{name} is {shown(value)}; accepted: {_quoted(words)}")
    return value


def _quoted(words: Iterable[str]) -> str:
    return ", ".join(f'"{word}"' for word in words)


def check_flag(value: Any, name: str) -> bool:
    """True or False; anything else, however true, is a TypeError."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be True or False, got {shown(value)}")
    return bool(value)


def shown(value: Any) -> str:
    """A value in a message: as Python writes it, or its type where that is long."""
    try:
        text = repr(value)
    except ValueError:  # an integer of thousands of digits
        text = ""
    return text if 0 < len(text) <= 60 and "\n" not in text else f"an object of type {type(value).__name__}"


def check_integer(value: Any, name: str, low: int) -> int:
    """An integer of any type, at least `low`, or an error that names the argument."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{name} must be an integer, got {shown(value)}")
    number = int(value)
    if number < low:
        raise ValueError(f"{name} must be at least {low}, got {shown(number)}")
    return number


def check_number(value: Any, name: str, *, low: float = -math.inf, infinite: bool = False) -> float:
    """`value` as a float not below `low`, or an error that names it.

    Raises
    ------
    TypeError
        If it is no real number.
    ValueError
        If it is NaN, infinite (unless `infinite`), beyond float64, or below `low`.
    """
    if type(value) is float and low <= value and -_MOST <= value <= _MOST:
        return value  # what nearly every call gives
    if isinstance(value, str | bytes | bool | np.bool_ | complex) or _kind(value) == "c":
        raise TypeError(f"{name} must be a number, got {shown(value)}")
    try:
        number = float(value)
    except OverflowError:
        raise ValueError(f"{name} is beyond the largest float64, {_MOST:.4g}") from None
    except (TypeError, ValueError, RuntimeError):  # the last from tensors without a value
        raise TypeError(f"{name} must be a number, got {shown(value)}") from None
    if math.isnan(number) or (math.isinf(number) and not infinite):
        raise ValueError(f"{name} must be {'a number' if infinite else 'finite'}, got {shown(value)}")
    if number < low:
        raise ValueError(f"{name} must not be below {low:g}, got {shown(value)}")
    return number


def _kind(value: Any) -> str:
    return str(getattr(getattr(value, "dtype", None), "kind", ""))


def compute_dtype(array: NDArray[Any]) -> np.dtype[Any]:
    """The dtype that the core computes in: float16 is computed in float32; byte order is always native."""
    return np.dtype(np.float64 if array.dtype.itemsize == 8 else np.float32)


def cast(array: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """``array.astype(dtype, copy=False)``, a long one in pieces: Ctrl-C ends it soon."""
    if array.dtype == dtype or array.size <= _PIECE:
        return array.astype(dtype, copy=False)
    result = np.empty_like(array, dtype)
    copy(array, result)
    return result


def copy(source: NDArray[Any], target: NDArray[Any]) -> None:
    """``target[...] = source`` in pieces, for arrays of one shape."""
    for piece in pieces(target.shape):
        target[piece] = source[piece]


def chosen_of(array: NDArray[Any], chosen: NDArray[np.bool_]) -> NDArray[Any]:
    """``array[chosen]`` in pieces, for a mask of the first axis; the array itself where all is chosen."""
    if chosen.all():
        return array
    places = np.flatnonzero(chosen)
    one = np.empty_like(array[0])  # its axes lie in memory as those of the array
    result = np.ndarray((len(places), *one.shape), one.dtype, strides=(one.nbytes, *one.strides))
    for piece in pieces(result.shape):
        first, *rest = piece
        result[piece] = array[(places[first], *rest)]
    return result


def pieces(shape: tuple[int, ...], most: int = _PIECE) -> Iterator[tuple[Any, ...]]:
    """Indices of the parts of an array, each of `most` elements at most: between two of them Ctrl-C is seen."""
    each = math.prod(shape[1:])
    if not shape or shape[0] * each <= most:
        yield (...,)
    elif each > most:
        for row in range(shape[0]):
            yield from ((row, *piece) for piece in pieces(shape[1:], most))
    else:
        step = most // each
        yield from ((slice(first, first + step), ...) for first in range(0, shape[0], step))


def in_lines(shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """An uninitialised array; a large one begins where a cache line does, so that the core can write whole lines."""
    size = math.prod(shape) * dtype.itemsize
    if size < _LARGE:
        return np.empty(shape, dtype)
    memory = np.empty(size + _LINE, np.uint8)
    first = -memory.ctypes.data % _LINE
    return memory[first : first + size].view(dtype).reshape(shape)


def check_out(out: Any, shape: tuple[int, ...], dtype: np.dtype[Any], inputs: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """`out` itself if a result of that shape and dtype may be written to it.

    Raises
    ------
    TypeError
        If it is no array, is masked or has another dtype.
    ValueError
        If it has another shape, is read-only, is not C-contiguous, or overlaps an input.
    """
    if not isinstance(out, np.ndarray):
        raise TypeError(f"out must be a NumPy array, got {type(out).__name__}")
    if isinstance(out, np.ma.MaskedArray):
        raise TypeError("out is a masked array, and results know no mask; pass out.data")
    if out.dtype != dtype:
        raise TypeError(f"out has dtype {out.dtype}; the result has {dtype}")
    if out.shape != shape:
        raise ValueError(f"out has shape {out.shape}; the result has {shape}")
    if not out.flags.writeable:
        raise ValueError("out is read-only")
    if not (out.flags.c_contiguous and out.flags.aligned and out.dtype.isnative):
        raise ValueError("out must be C-contiguous, aligned and in native byte order")
    if any(_overlap(out, array) for array in inputs):
        raise ValueError("out overlaps an input; pass another array")
    return out


def _overlap(a: NDArray[Any], b: NDArray[Any]) -> bool:
    """Whether two arrays share a byte; where that is hard to tell (odd strides in many dimensions), whether they might.

    The bounds alone would refuse an `out` that lies between the images of a strided input.
    """
    if not np.may_share_memory(a, b):
        return False
    work: Any = 10_000  # some 0.1 ms at most; NumPy's annotation knows two numbers only
    try:
        return bool(np.shares_memory(a, b, max_work=work))
    except np.exceptions.TooHardError:
        return True
