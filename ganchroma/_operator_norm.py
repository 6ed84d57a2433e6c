"""The operator norm of a convolution: how much it can amplify an image."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganchroma._gains import (
    ROWS,
    Floats,
    Gram,
    Layer,
    System,
    check_size,
    grid_largest,
    largest,
    make_gram,
    make_layer,
    make_system,
    trimmed,
)
from ganchroma._geometry import PADDING_MODES, IntPair, PaddingLike, make_geometry
from ganchroma.conv import conv2d, conv_transpose2d
from ganchroma.conv_backward import conv2d_backward, conv_transpose2d_backward
from ganchroma.runtime import interruptible

_PARTS = 8  # a cell of the search is divided into so many along each axis
_MOST_CELLS = 2048  # where the gain is nearly constant, the search ends here and says how far it came
_CLOSE = 1e-12, 1e-6  # relative distance of the bounds to stop at, by the core and by NumPy
_BASIS, _KEPT, _RESTARTS = 40, 14, 60  # of the Lanczos method
_RESIDUAL = 1e-12


class OperatorNorm(float):
    """A norm: a float, with what is known about it.

    Attributes
    ----------
    upper : float
        No more than this. Of the supremum over all frequencies a certified bound, rounding errors included; of a
        circular grid the value itself; of any other padding the value and the distance to the nearest singular value.
    frequency : (float, float) or None
        Where it is attained, vertical and horizontal, in periods per pixel (of a transposed layer's input, of another's
        output); None for paddings other than circular.
    method : {"supremum", "circular", "lanczos"}

    Examples
    --------
    >>> import ganchroma as gch
    >>> norm = gch.spectral.operator_norm(np.full((1, 1, 3, 3), 1 / 9))
    >>> norm
    OperatorNorm(1.0, upper=1.0, method='supremum')
    >>> norm <= 1 + 1e-12, norm.frequency
    (True, (0.0, 0.0))
    """

    __slots__ = ("_frequency", "_method", "_upper")
    _upper: float
    _frequency: tuple[float, float] | None
    _method: str

    def __new__(cls, value: float, upper: float, frequency: tuple[float, float] | None, method: str) -> "OperatorNorm":
        norm = super().__new__(cls, value)
        norm._upper, norm._frequency, norm._method = upper, frequency, method
        return norm

    def __getnewargs__(self) -> tuple[Any, ...]:  # copies and pickles
        return float(self), self._upper, self._frequency, self._method

    def __repr__(self) -> str:
        return f"OperatorNorm({float(self):.10}, upper={self._upper:.10}, method={self._method!r})"

    def __str__(self) -> str:
        return str(float(self))

    @property
    def upper(self) -> float:
        return self._upper

    @property
    def frequency(self) -> tuple[float, float] | None:
        return self._frequency

    @property
    def method(self) -> str:
        return self._method

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, for JSON."""
        return {
            "value": float(self),
            "upper": self.upper,
            "frequency": None if self.frequency is None else list(self.frequency),
            "method": self.method,
        }


def operator_norm(
    weight: Any,
    *,
    transposed: bool = False,
    stride: IntPair = 1,
    padding_mode: str = "zeros",
    size: IntPair | None = None,
    padding: PaddingLike = "same",
    threads: int | None = None,
) -> OperatorNorm:
    """The largest factor by which a convolution can lengthen an image: its largest singular value as a linear map.

    Parameters
    ----------
    weight : array (O, C, kh, kw) of float16, float32 or float64
        Or (C, O, kh, kw) of a transposed layer. Computed in double.
    transposed : bool
    stride : int or (height, width)
    padding_mode : {"zeros", "reflect", "replicate", "circular"}
        A transposed layer has only "zeros" and "circular".
    size : int or (height, width), optional
        Of the layer's input. None: the supremum over all frequencies, which zero padding and circular layers never
        exceed at any size, and approach at large ones. Reflected and replicated borders may exceed it: they need a
        size.
    padding : int, (height, width), ((top, bottom), (left, right)), "same" or "valid"
        As of `conv2d` and `conv_transpose2d`. "same", for any stride: the output has the size of the input divided by
        the stride, or times the stride if transposed; an odd pixel goes to the bottom and the right. A circular layer
        takes only this.
    threads : int, optional
        At most this many threads. Without a size, or with circular padding, the result is the same to the bit for any
        number.

    Returns
    -------
    OperatorNorm
        A float that also has `upper`, `frequency` and `method`. NaN if a weight is not finite.

    Raises
    ------
    TypeError, ValueError
        For arguments other than these.

    Notes
    -----
    At a frequency a layer is a matrix of output by input channels, the sum of its taps times ``exp(i w t)``; the norm
    of a circular layer is the largest norm of these over the frequencies of its grid (Sedghi, Gupta and Long 2019),
    found from products of the filters without a Fourier transform of their channels. Relative error: a few 1e-16.

    The supremum is searched for in ever smaller cells. On a line through its maximum M, a non-negative trigonometric
    polynomial is at least ``M cos(w / 2)^2`` at a distance at which its highest frequency has turned by w (Duffin and
    Schaeffer 1938), so a cell whose middle lies lower cannot hold the maximum, and the highest middle bounds it. The
    bounds meet within 1e-12 (1e-6 where both sides of the matrix have more than 16 rows), unless the gain is all but
    constant over an area.

    Every other padding: the Lanczos method with the layer and its exact adjoint, to a residual of 1e-12. Where the
    largest gains all but coincide, as of interpolation filters on large images, it ends before; `upper` then says how
    much larger the norm may be, of padding with zeros at most the supremum.

    Not what PyTorch's `spectral_norm` divides by: see `sigma`, and docs/operator_norm.md.

    Examples
    --------
    >>> import ganchroma as gch
    >>> blur = np.full((1, 1, 3, 3), 1 / 9)
    >>> round(gch.spectral.sigma(blur), 4), round(operator_norm(blur), 4)
    (0.3333, 1.0)
    >>> round(operator_norm(blur, size=8), 4)  # zeros beyond the border
    0.9212
    """
    layer = make_layer(weight, transposed, stride)
    if not isinstance(padding_mode, str):
        raise TypeError(f"padding_mode must be a string, got {padding_mode!r}")
    accepted = ("zeros", "circular") if layer.transposed else PADDING_MODES
    if padding_mode not in accepted:
        kind = " of a transposed layer" if layer.transposed else ""
        raise ValueError(f"padding_mode{kind} is {padding_mode!r}; accepted: {', '.join(accepted)}")
    if padding != "same":
        make_geometry(layer.transposed, layer.weight.shape[2:], layer.stride, padding, (0, 0), padding_mode, 1)
    if padding_mode == "circular" and padding != "same":
        raise ValueError(f'padding is {padding!r}; padding_mode="circular" takes only "same"')
    if size is None:
        if padding_mode not in ("zeros", "circular"):
            raise ValueError(f"size is None; padding_mode={padding_mode!r} needs a size: (height, width) of the input")
        return _supremum(layer, threads)
    if padding_mode == "circular":
        return _circular(layer, layer.grid(size), threads)
    return _padded(layer, size, padding_mode, padding, threads)


def _prepare(layer: Layer, threads: int | None) -> tuple[System, Gram | None] | None:
    system = make_system(layer, small=True)
    if system is None:
        return None
    return system, make_gram(system, threads) if system.filters.shape[0] <= ROWS else None


def _circular(layer: Layer, grid: tuple[int, int], threads: int | None) -> OperatorNorm:
    prepared = _prepare(layer, threads)
    if prepared is None:
        return OperatorNorm(math.nan, math.nan, None, "circular")
    system, gram = prepared
    value, place = grid_largest(system, gram, grid, threads)
    value = _scaled(value, system.exponent)
    return OperatorNorm(value, value, _frequency(place[0] / grid[0], place[1] / grid[1]), "circular")


def _scaled(value: float, exponent: int) -> float:
    with np.errstate(over="ignore"):
        return float(np.ldexp(value, exponent))


def _frequency(y: float, x: float) -> tuple[float, float]:
    """In -1/2 < w <= 1/2, as little as possible: w and -w are one wave."""
    y, x = (part - math.ceil(part - 0.5) for part in (y, x))
    return (-y + 0.0, -x + 0.0) if (y, x) < (0.0, 0.0) else (y + 0.0, x + 0.0)


def _supremum(layer: Layer, threads: int | None) -> OperatorNorm:
    prepared = _prepare(layer, threads)
    if prepared is None:
        return OperatorNorm(math.nan, math.nan, None, "supremum")
    system, gram = prepared
    if gram is None:
        height, width = system.filters.shape[1:3]
        reach, rounding, close = (height - 1, width - 1), 2.0**-50 * system.filters.size, _CLOSE[1]
    else:
        gram = trimmed(gram)
        reach, rounding, close = gram.reach, gram.rounding, _CLOSE[0]
    # The polynomial is of the squared norm, so that its bounds may be twice as far apart.
    counts = [max(1, 16 * r) for r in reach]
    parts = [_PARTS if r else 1 for r in reach]
    lines, columns = np.arange(counts[0] // 2 + 1) / counts[0], np.arange(counts[1])[None] / counts[1]
    widths = [1 / count for count in counts]
    best, upper, place = 0.0, math.inf, (0.0, 0.0)
    while True:
        values = largest(system, gram, lines, columns, threads)
        index = divmod(int(values.argmax()), values.shape[1])
        highest = float(values[index])
        if highest > best:
            best = highest
            place = float(lines[index[0]]), float(columns[index[0] % len(columns), index[1]])
        turn = math.pi * (reach[0] * widths[0] + reach[1] * widths[1])
        least = math.cos(turn / 2)  # of the square, its square
        upper = min(upper, highest / least)
        if upper <= best * (1 + close):
            break
        y, x = np.nonzero(values >= best * least * (1 - rounding))
        if len(y) * parts[0] * parts[1] > _MOST_CELLS * _PARTS:
            break
        middle_y, middle_x = lines[y], columns[y % len(columns), x]
        steps = [(np.arange(n) - (n - 1) / 2) / n * w for n, w in zip(parts, widths, strict=True)]
        lines = (middle_y[:, None] + steps[0]).ravel()
        columns = np.repeat(middle_x[:, None] + steps[1], parts[0], axis=0)
        widths = [w / n for w, n in zip(widths, parts, strict=True)]
    upper = max(best, upper * (1 + rounding))
    exponent = system.exponent
    return OperatorNorm(_scaled(best, exponent), _scaled(upper, exponent), _frequency(*place), "supremum")


def _padded(layer: Layer, size: Any, padding_mode: str, padding: PaddingLike, threads: int | None) -> OperatorNorm:
    height, width = check_size(size)
    kernel = (layer.weight.shape[2], layer.weight.shape[3])
    extra = (0, 0)
    if isinstance(padding, str) and padding == "same":
        missing = [k - s for k, s in zip(kernel, layer.stride, strict=True)]
        padding = [(max(0, m) // 2, max(0, m) - max(0, m) // 2) for m in missing]
        if layer.transposed:
            extra = (max(0, -missing[0]), max(0, -missing[1]))
    geometry = make_geometry(layer.transposed, kernel, layer.stride, padding, extra, padding_mode, 1)
    try:
        rows, columns = geometry.output_size((height, width))
    except ValueError as error:
        raise ValueError(f"size is {(height, width)}, for which this layer has no output: {error}") from None
    peak = float(np.abs(layer.weight).max())
    if not math.isfinite(peak):
        return OperatorNorm(math.nan, math.nan, None, "lanczos")
    exponent = math.frexp(peak)[1]
    weight = _fewer_channels(np.ldexp(layer.weight.astype(np.float64), -exponent), layer.transposed)
    options: dict[str, Any] = {"stride": layer.stride, "padding": geometry.padding, "threads": threads}
    options |= {"output_padding": extra} if layer.transposed else {"padding_mode": padding_mode}
    forward: Callable[..., Any] = conv_transpose2d if layer.transposed else conv2d
    backward: Callable[..., Any] = conv_transpose2d_backward if layer.transposed else conv2d_backward
    inside = np.zeros((1, weight.shape[0 if layer.transposed else 1], height, width))
    outside = (1, layer.out_channels, rows, columns)

    def up(x: Floats) -> Floats:
        return np.asarray(forward(x.reshape(inside.shape), weight, **options)).ravel()

    def down(y: Floats) -> Floats:
        return np.asarray(backward(y.reshape(outside), inside, weight, **options, needs=("input",))[0]).ravel()

    if math.prod(outside) <= inside.size:
        value, residual = _lanczos(lambda y: up(down(y)), math.prod(outside))
    else:
        value, residual = _lanczos(lambda x: down(up(x)), inside.size)
    norm, upper = math.sqrt(max(value, 0.0)), math.sqrt(max(value, 0.0) + residual)
    bound = math.inf
    if residual > _RESIDUAL * value and padding_mode == "zeros":
        bound = _supremum(layer, threads).upper  # padding with zeros never exceeds it
    upper = max(norm, min(_scaled(upper, exponent), bound) if math.isfinite(bound) else _scaled(upper, exponent))
    return OperatorNorm(_scaled(norm, exponent), upper, None, "lanczos")


def _fewer_channels(weight: Floats, transposed: bool) -> Floats:
    """The same singular values from no more input channels than the filters have weights each: mixing channels by a
    rotation changes no length, whatever the padding."""
    first = weight if transposed else weight.swapaxes(0, 1)
    channels, filters, *kernel = first.shape
    if channels > filters * math.prod(kernel):
        _, upper = interruptible(lambda: np.linalg.qr(first.reshape(channels, -1)))
        first = upper.reshape(-1, filters, *kernel)
    return np.ascontiguousarray(first if transposed else first.swapaxes(0, 1))


def _lanczos(apply: Callable[[Floats], Floats], size: int) -> tuple[float, float]:
    """The largest eigenvalue of a symmetric positive operator, and the norm of what its equation leaves: more than
    _RESIDUAL of it where the largest ones lie too close together to be told apart in the time there is.

    Thick-restart Lanczos (Wu and Simon 2000), every vector made orthogonal to all others twice.
    """
    most = min(_BASIS, size)
    basis = np.empty((most + 1, size))
    start = np.random.default_rng(0).normal(size=size)
    basis[0] = start / np.linalg.norm(start)
    projected = np.zeros((most, most))
    done = 0
    for _ in range(_RESTARTS):
        while done < most:
            vector = apply(basis[done])
            done += 1
            known = basis[:done]
            parts: NDArray[Any] = known @ vector
            vector -= parts @ known
            again = known @ vector
            vector -= again @ known
            projected[:done, done - 1] = projected[done - 1, :done] = parts + again
            rest = float(np.linalg.norm(vector))
            if rest <= 1e-15 * np.abs(projected).max() or done == size:
                rest = 0.0
                break
            basis[done] = vector / rest
        values, vectors = np.linalg.eigh(projected[:done, :done])
        residual = abs(rest * float(vectors[-1, -1]))
        if residual <= _RESIDUAL * abs(values[-1]):
            return float(values[-1]), residual
        kept = min(_KEPT, done - 1)
        basis[:kept] = vectors[:, -kept:].T @ basis[:done]
        basis[kept] = basis[done]
        projected[:] = 0.0
        projected[:kept, :kept] = np.diag(values[-kept:])
        done = kept
    return float(values[-1]), residual
