"""Weight initialisers: every name of ``torch.nn.init`` without its underscore, returning an array.

All follow PyTorch's rules, fans included: ``fan_in`` is ``shape[1]`` and ``fan_out`` is ``shape[0]``, each times the
receptive field, *also for the weight of a transposed convolution*, whose layout is (in, out, kh, kw): there "fan_in"
counts output channels. The default bound of a DCGAN head, (64, 3, 4, 4), is therefore 1/sqrt(3 * 16), 4.2 times the
usual N(0, .02).

Common parameters
-----------------
shape : int or sequence of int
    Shape of the result; may be ``None`` where `out` is given.
rng : None, int, numpy.random.Generator, Stream or TorchGenerator
    Where random numbers come from; see `ganchroma.rng`. The same seed gives the same array for every thread count and
    instruction set. A `TorchGenerator` gives the array that PyTorch's function gives, `orthogonal` to rounding.
dtype : dtype
    float32 (the default), float64, or float16, which is computed in float32. Where `out` is given its dtype decides.
out : array, optional
    A C-contiguous array to fill and return.
threads : int, optional
    At most this many threads.
"""

import math

import numpy as np
from numpy.typing import DTypeLike

from ganchroma._arrays import check_flag, check_number, check_word
from ganchroma._initialize import Array, Shape, check_shape, filled, target
from ganchroma._structured import constant, dirac, eye, ones, orthogonal, sparse, zeros
from ganchroma._truncated import fill_truncated
from ganchroma.rng import RNGLike, as_stream

__all__ = [
    "calculate_gain",
    "constant",
    "conv_default",
    "dirac",
    "eye",
    "fan_in_and_fan_out",
    "kaiming_normal",
    "kaiming_uniform",
    "normal",
    "ones",
    "orthogonal",
    "sparse",
    "trunc_normal",
    "uniform",
    "xavier_normal",
    "xavier_uniform",
    "zeros",
]

_LARGEST_DOUBLE, _LARGEST_SINGLE = (float(np.finfo(kind).max) for kind in (np.float64, np.float32))
_GAINS = {"tanh": 5.0 / 3.0, "relu": math.sqrt(2.0), "selu": 0.75} | dict.fromkeys(
    ["linear", "sigmoid", *(f"conv{kind}{n}d" for kind in ("", "_transpose") for n in (1, 2, 3))], 1.0
)
_NONLINEARITIES = sorted([*_GAINS, "leaky_relu"])


def fan_in_and_fan_out(shape: Shape) -> tuple[int, int]:
    """Inputs that an output sums and outputs that an input reaches, by PyTorch's rule for a weight of that shape.

    Raises
    ------
    ValueError
        If the shape has fewer than two dimensions.

    Examples
    --------
    >>> fan_in_and_fan_out((3, 128, 3, 3))
    (1152, 27)
    """
    sizes = check_shape(shape)
    if len(sizes) < 2:
        raise ValueError(f"shape must have at least 2 dimensions to have fans, got {sizes}")
    field = math.prod(sizes[2:])
    return sizes[1] * field, sizes[0] * field


def _fans(shape: tuple[int, ...]) -> tuple[int, int]:
    fans = fan_in_and_fan_out(shape)
    if 0 in shape:
        raise ValueError(f"shape must have at least one element, got {shape}")
    return fans


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The gain that keeps the variance through an activation, as PyTorch recommends it.

    Parameters
    ----------
    nonlinearity : str
        "linear", "conv1d" to "conv_transpose3d", "sigmoid" (1), "tanh" (5/3), "relu" (sqrt 2), "leaky_relu"
        (sqrt(2 / (1 + slope**2))) or "selu" (3/4).
    param : float, optional
        The slope of "leaky_relu", .01 by default.

    Examples
    --------
    >>> calculate_gain("leaky_relu", 1)
    1.0
    """
    if check_word(nonlinearity, "nonlinearity", _NONLINEARITIES) == "leaky_relu":
        slope = 0.01 if param is None else check_number(param, "param")
        return math.sqrt(2.0 / (1.0 + slope * slope))
    return _GAINS[nonlinearity]


def _kaiming_std(shape: tuple[int, ...], a: float, mode: str, nonlinearity: str) -> float:
    word = mode.lower() if isinstance(mode, str) else mode  # PyTorch takes FAN_IN too
    fan = _fans(shape)[check_word(word, "mode", ("fan_in", "fan_out")) == "fan_out"]
    return calculate_gain(nonlinearity, check_number(a, "a")) / math.sqrt(fan)


def _xavier_std(shape: tuple[int, ...], gain: float) -> float:
    return check_number(gain, "gain", low=0.0) * math.sqrt(2.0 / sum(_fans(shape)))


def _uniform(result: Array, a: float, b: float, rng: RNGLike, threads: int | None) -> Array:
    if not b - a <= (_LARGEST_DOUBLE if result.dtype.itemsize == 8 else _LARGEST_SINGLE):
        raise ValueError(f"a and b are too far apart for {result.dtype}: {a} and {b}")
    stream = as_stream(rng)
    return filled(result, lambda work: stream.uniform(work, a, b, threads=threads), stream.fills_float16)


def _normal(result: Array, mean: float, std: float, rng: RNGLike, threads: int | None) -> Array:
    stream = as_stream(rng)
    return filled(result, lambda work: stream.normal(work, mean, std, threads=threads), stream.fills_float16)


def uniform(
    shape: Shape | None,
    a: float = 0.0,
    b: float = 1.0,
    *,
    rng: RNGLike = None,
    dtype: DTypeLike = np.float32,
    out: Array | None = None,
    threads: int | None = None,
) -> Array:
    """Uniform numbers between `a` and `b`.

    Raises
    ------
    TypeError, ValueError
        For anything else than finite ``a <= b``, or arguments contrary to the module's list.

    Examples
    --------
    >>> uniform((2, 2), -1, 1, rng=0)
    array([[0.87691617, 0.30134046],
           [0.08044839, 0.7802272 ]], dtype=float32)
    """
    low, high = check_number(a, "a"), check_number(b, "b")
    if low > high:
        raise ValueError(f"a must not exceed b, got {a!r} and {b!r}")
    return _uniform(target(shape, dtype, out), low, high, rng, threads)


def normal(
    shape: Shape | None,
    mean: float = 0.0,
    std: float = 1.0,
    *,
    rng: RNGLike = None,
    dtype: DTypeLike = np.float32,
    out: Array | None = None,
    threads: int | None = None,
) -> Array:
    """Normal numbers of that mean and standard deviation.

    Examples
    --------
    >>> normal((2, 2), std=0.02, rng=0)
    array([[-0.00676343, -0.01840357],
           [-0.0196649 ,  0.00692453]], dtype=float32)
    """
    center, spread = check_number(mean, "mean"), check_number(std, "std", low=0.0)
    return _normal(target(shape, dtype, out), center, spread, rng, threads)


def trunc_normal(
    shape: Shape | None,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    *,
    rng: RNGLike = None,
    dtype: DTypeLike = np.float32,
    out: Array | None = None,
    threads: int | None = None,
) -> Array:
    """Normal numbers on condition that they lie between `a` and `b`.

    Rejection sampling, as PyTorch does since 2.12 (it inverted the distribution function before): where more than .3 of
    the normal distribution lies between the bounds, values outside are drawn again; otherwise uniform proposals are
    accepted in proportion to the density. The bounds may be infinite (from a `TorchGenerator` only in the first case:
    PyTorch proposes between the bounds).

    Raises
    ------
    ValueError
        If `std` is not positive or `a` is not below `b`; from a `TorchGenerator`, if PyTorch would come to no end.

    Examples
    --------
    >>> x = trunc_normal(1000, a=1, b=np.inf, rng=0)
    >>> bool(x.min() >= 1)
    True
    """
    center, spread = check_number(mean, "mean"), check_number(std, "std", low=0.0)
    low, high = check_number(a, "a", infinite=True), check_number(b, "b", infinite=True)
    if spread == 0:
        raise ValueError(f"std must be positive, got {std!r}")
    if low >= high:
        raise ValueError(f"a must be below b, got {a!r} and {b!r}")
    result = target(shape, dtype, out)
    stream = as_stream(rng)
    return filled(
        result, lambda work: fill_truncated(work, center, spread, low, high, stream, threads), stream.fills_float16
    )


def xavier_uniform(
    shape: Shape | None,
    gain: float = 1.0,
    *,
    rng: RNGLike = None,
    dtype: DTypeLike = np.float32,
    out: Array | None = None,
    threads: int | None = None,
) -> Array:
    """Uniform within ``gain * sqrt(6 / (fan_in + fan_out))`` of zero (Glorot and Bengio 2010).

    Raises
    ------
    ValueError
        If the shape has fewer than two dimensions or no elements.

    Examples
    --------
    >>> bool(abs(xavier_uniform((3, 3), rng=0)).max() < 1)
    True
    """
    result = target(shape, dtype, out)
    bound = math.sqrt(3.0) * _xavier_std(result.shape, gain)
    return _uniform(result, -bound, bound, rng, threads)


def xavier_normal(
    shape: Shape | None,
    gain: float = 1.0,
    *,
    rng: RNGLike = None,
    dtype: DTypeLike = np.float32,
    out: Array | None = None,
    threads: int | None = None,
) -> Array:
    """Normal with standard deviation ``gain * sqrt(2 / (fan_in + fan_out))``; otherwise as `xavier_uniform`.

    Examples
    --------
    >>> xavier_normal((3, 128, 3, 3), rng=0).shape
    (3, 128, 3, 3)
    """
    result = target(shape, dtype, out)
    return _normal(result, 0.0, _xavier_std(result.shape, gain), rng, threads)


def kaiming_uniform(
    shape: Shape | None,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    *,
    rng: RNGLike = None,
    dtype: DTypeLike = np.float32,
    out: Array | None = None,
    threads: int | None = None,
) -> Array:
    """Uniform within ``gain * sqrt(3 / fan)`` of zero (He et al. 2015).

    Parameters
    ----------
    a : float
        Negative slope of the activation, for "leaky_relu".
    mode : "fan_in" or "fan_out"
        Keep the variance of the forward or of the backward pass.
    nonlinearity : str
        As in `calculate_gain`.

    Raises
    ------
    ValueError
        For another mode or nonlinearity, or a shape with fewer than two dimensions or no elements.

    Examples
    --------
    >>> bool(abs(kaiming_uniform((3, 6), rng=0)).max() <= 1)
    True
    """
    result = target(shape, dtype, out)
    bound = math.sqrt(3.0) * _kaiming_std(result.shape, a, mode, nonlinearity)
    return _uniform(result, -bound, bound, rng, threads)


def kaiming_normal(
    shape: Shape | None,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    *,
    rng: RNGLike = None,
    dtype: DTypeLike = np.float32,
    out: Array | None = None,
    threads: int | None = None,
) -> Array:
    """Normal with standard deviation ``gain / sqrt(fan)``; otherwise as `kaiming_uniform`.

    Examples
    --------
    >>> kaiming_normal((3, 128, 3, 3), nonlinearity="relu", rng=0).shape
    (3, 128, 3, 3)
    """
    result = target(shape, dtype, out)
    return _normal(result, 0.0, _kaiming_std(result.shape, a, mode, nonlinearity), rng, threads)


def conv_default(
    shape: Shape,
    *,
    transposed: bool = False,
    bias: bool = True,
    rng: RNGLike = None,
    dtype: DTypeLike = np.float32,
    threads: int | None = None,
) -> tuple[Array, Array | None]:
    """Weight and bias as ``nn.Conv2d`` or ``nn.ConvTranspose2d`` makes them, both uniform within 1/sqrt(fan_in) of 0.

    Parameters
    ----------
    shape : sequence of int
        Of the weight: (out, in, kh, kw); transposed: (in, out, kh, kw), whose "fan_in" is ``out * kh * kw``.
    transposed : bool
        Which of the two dimensions counts the outputs.
    bias : bool
        Whether to make one.

    Returns
    -------
    tuple
        The weight, and the bias (out,) or ``None``.

    Examples
    --------
    >>> weight, bias = conv_default((64, 3, 4, 4), transposed=True, rng=0)
    >>> weight.shape, bias.shape
    ((64, 3, 4, 4), (3,))
    """
    check_flag(bias, "bias")
    outputs = int(check_flag(transposed, "transposed"))  # the dimension that counts them
    stream = as_stream(rng)
    weight = kaiming_uniform(shape, math.sqrt(5.0), rng=stream, dtype=dtype, threads=threads)
    if not bias:
        return weight, None
    bound = 1.0 / math.sqrt(_fans(weight.shape)[0])
    return weight, _uniform(np.empty(weight.shape[outputs], weight.dtype), -bound, bound, stream, threads)
