"""Activations by name, and applied to arrays."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganchroma import _core
from ganchroma._arrays import as_array, cast, check_number, compute_dtype, shown
from ganchroma.runtime import resolve_threads

ActivationLike = str | tuple[Any, ...]

_KINDS = {"linear": 0, "tanh": 1, "sigmoid": 2, "relu": 3, "leaky_relu": 4, "clamp": 5}
_PLAIN = {name: (_KINDS[name], 0.0, 0.0) for name in ("linear", "tanh", "sigmoid", "relu")}
_ACCEPTED = '"linear", "tanh", "sigmoid", "relu", ("leaky_relu", slope), "clamp", ("clamp", low, high)'


def parse_activation(activation: ActivationLike) -> tuple[int, float, float]:
    """The core's (kind, low, high) for an activation as users write it.

    Raises
    ------
    TypeError, ValueError
        If it is not one of the accepted forms; the message lists them.
    """
    if type(activation) is str and activation in _PLAIN:  # what nearly every call gives
        return _PLAIN[activation]
    words: tuple[Any, ...] = (activation,) if isinstance(activation, str) else activation
    if not isinstance(words, tuple) or not words or not isinstance(words[0], str):
        raise TypeError(f"activation is {shown(activation)}; accepted: {_ACCEPTED}")
    name, *parameters = words
    wanted = {"leaky_relu": (0, 1), "clamp": (0, 2)}.get(name, (0,))
    if name not in _KINDS or len(parameters) not in wanted:
        raise ValueError(f"activation is {shown(activation)}; accepted: {_ACCEPTED}")
    numbers = [check_number(value, f"a parameter of activation {name!r}", infinite=True) for value in parameters]
    if name == "leaky_relu":
        return _KINDS[name], numbers[0] if numbers else 0.01, 0.0
    if name == "clamp":
        low, high = numbers or (-1.0, 1.0)
        if low > high:
            raise ValueError(f"activation is {shown(activation)}; low must not exceed high")
        return _KINDS[name], low, high
    return _KINDS[name], 0.0, 0.0


def activation_name(activation: ActivationLike) -> str:
    """Its first word: "tanh", "clamp" and so on."""
    parse_activation(activation)
    return activation if isinstance(activation, str) else str(activation[0])


def is_bounded(activation: ActivationLike) -> bool:
    """Whether its results lie in an interval, whatever it is given."""
    return activation_name(activation) not in ("linear", "relu", "leaky_relu")


def activate(x: Any, activation: ActivationLike, *, threads: int | None = None) -> NDArray[Any]:
    """Apply an activation to every element.

    Parameters
    ----------
    x : array of float16, float32 or float64, any shape
        Values before the activation.
    activation : str or tuple
        "linear", "tanh", "sigmoid", "relu", ("leaky_relu", slope), "clamp" (to [-1, 1]) or ("clamp", low, high).
    threads : int, optional
        At most this many threads.

    Returns
    -------
    array
        Same shape and dtype; float16 is computed in float32. NaN and infinities go through as in PyTorch.

    Raises
    ------
    TypeError, ValueError
        For another dtype or an unknown activation.

    Notes
    -----
    tanh is good to 1.55 units in the last place in float32 and float64; sigmoid to 2.45 in float32 and 2.85 in float64.
    The others are exact, but for the one rounding of leaky_relu's product.

    Examples
    --------
    >>> import ganchroma as gch
    >>> gch.activate(np.array([-2.0, 0.0, 2.0]), "clamp")
    array([-1.,  0.,  1.])
    """
    array = as_array(x, "x")
    parsed = parse_activation(activation)
    source = cast(array, compute_dtype(array))
    result = np.empty(array.shape, source.dtype)
    _core.activate(source, parsed, result, resolve_threads(threads))
    return _rounded(result, array)


def activate_backward(grad: Any, x: Any, activation: ActivationLike, *, threads: int | None = None) -> NDArray[Any]:
    """Compute ``grad * activation'(x)``: the gradient before an activation from the one after it.

    Parameters
    ----------
    grad : array of the shape and dtype of `x`
        Gradient of ``activate(x, activation)``.
    x : array of float16, float32 or float64, any shape
        Values before the activation.
    activation : str or tuple
        As in `activate`.
    threads : int, optional
        At most this many threads.

    Returns
    -------
    array
        Same shape and dtype; float16 is computed in float32.

    Raises
    ------
    TypeError, ValueError
        For another dtype, shapes or dtypes that differ, or an unknown activation.

    Notes
    -----
    At the kinks and for NaN as in PyTorch: relu has slope 0 at 0, leaky_relu its `slope`; clamp has slope 1 at its
    limits. Where `x` is NaN, relu passes `grad` on, leaky_relu ``slope * grad``, clamp 0. The derivatives of tanh and
    sigmoid come from exp(-2 |x|) and exp(-|x|), and are good to 4.4 units in the last place in float32 and float64, in
    the tails too, where 1 - tanh(x)^2, as PyTorch has it, is rounded to multiples of 2^-24 (float64: 2^-53). For the
    same reason an infinite `grad` stays infinite there, where PyTorch multiplies it by 0 and has NaN: from |x| of 9.1
    (float64: 19.1) on for tanh, and for sigmoid from x of 16.7 (float64: 36.8) on. Both hold as long as the derivative
    is a normal number: up to |x| of 44 (float64: 354) for tanh, of 87 (708) for sigmoid.

    Examples
    --------
    >>> import ganchroma as gch
    >>> gch.activate_backward(np.ones(4), np.array([-2.0, -1.0, 0.0, 2.0]), "clamp")
    array([0., 1., 1., 0.])
    """
    array, slopes = as_array(x, "x"), as_array(grad, "grad")
    if slopes.dtype.num != array.dtype.num:
        raise TypeError(f"grad has dtype {slopes.dtype.name}, x has {array.dtype.name}; they must agree")
    if slopes.shape != array.shape:
        raise ValueError(f"grad has shape {slopes.shape}, x has {array.shape}; they must agree")
    parsed = parse_activation(activation)
    source = cast(array, compute_dtype(array))
    result = np.empty(array.shape, source.dtype)
    _core.activate_backward(cast(slopes, compute_dtype(slopes)), source, parsed, result, resolve_threads(threads))
    return _rounded(result, array)


def _rounded(result: NDArray[Any], array: NDArray[Any]) -> NDArray[Any]:
    """The result in the dtype that was given, in native byte order."""
    with np.errstate(over="ignore"):  # beyond float16 is infinity there, as in PyTorch
        return cast(result, array.dtype.newbyteorder("="))
