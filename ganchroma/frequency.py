"""What a convolution does to every spatial frequency: how much it amplifies it, and in which colour."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ganchroma._gains import Floats, grid_values, make_layer, make_system
from ganchroma._geometry import IntPair, Pair
from ganchroma._operator_norm import OperatorNorm, operator_norm
from ganchroma.runtime import interruptible

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False, repr=False)
class FrequencyResponse:
    """Singular values and directions of a convolution with circular padding, by spatial frequency.

    Attributes
    ----------
    weight : array
        As it was given.
    transposed : bool
    stride : (int, int)
    size : (int, int)
        Of the layer's input.
    singular_values : array (H, W, n)
        Descending. The frequencies are in the order of `numpy.fft.fftfreq`; (H, W) is the size of the layer's input, or
        of its output where that is smaller; n is the smaller side of the matrix that the layer is at a frequency.
    directions : complex array (H, W, O), or (H, W, stride, stride, O) of a transposed layer with a stride
        A unit vector of outputs: where the gain is largest, this mixture of colours comes out. The phases between
        the colours are shifts against each other. In the phase in which the real part is longest, its sum not
        negative. With a stride, by phase of the finer output: a pattern of that many pixels, which repeats with the
        wave. Arbitrary within their plane where two gains are equal, and where all are 0.
    """

    weight: NDArray[Any]
    transposed: bool
    stride: Pair
    size: Pair
    singular_values: Floats
    directions: NDArray[np.complex128]

    def __repr__(self) -> str:
        height, width, count = self.singular_values.shape
        return (
            f"FrequencyResponse({height}x{width} frequencies, {count} singular values, norm={self.norm:.6g}, "
            f"condition={self.condition:.6g})"
        )

    @property
    def frequencies(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Vertical (H,) and horizontal (W,), in periods per pixel of the coarser image."""
        height, width = self.singular_values.shape[:2]
        return np.fft.fftfreq(height), np.fft.fftfreq(width)

    @property
    def eigenvalues(self) -> Floats:
        """(H, W, n): of the layer times its adjoint, the squares of the singular values."""
        return self.singular_values**2

    @property
    def largest(self) -> Floats:
        """The largest gain (H, W)."""
        return self.singular_values[..., 0]

    @property
    def smallest(self) -> Floats:
        """The smallest gain (H, W): 0 where a colour, or a mixture, cannot be made."""
        return self.singular_values[..., -1]

    @property
    def norm(self) -> float:
        """The operator norm with circular padding at this size."""
        return float(self.largest.max())

    @property
    def condition(self) -> float:
        """The largest gain over the smallest; infinite if that is 0, NaN if both are."""
        smallest = float(self.smallest.min())
        if smallest == 0:
            return math.nan if self.norm == 0 else math.inf
        return self.norm / smallest

    @cached_property
    def supremum(self) -> OperatorNorm:
        """The norm over all frequencies, not only those of this size: `operator_norm` without a size."""
        return operator_norm(self.weight, transposed=self.transposed, stride=self.stride)

    @property
    def reshaped(self) -> float:
        """What PyTorch's `spectral_norm` divides by: `sigma` of dimension 0, or 1 of a transposed layer."""
        if not np.isfinite(self.weight).all():
            return math.nan
        first = np.moveaxis(self.weight, int(self.transposed), 0)
        return float(interruptible(lambda: np.linalg.norm(first.reshape(len(first), -1).astype(np.float64), 2)))

    @cached_property
    def colors(self) -> Floats:
        """(H, W, O): the real unit direction that holds most of the largest gain's output, its sum not negative.

        (.58, .58, .58) is gray; the farther from it, the more colourful.
        """
        parts = self.directions.reshape(*self.singular_values.shape[:2], -1, self.directions.shape[-1])
        if not np.isfinite(parts).all():
            return np.full((*parts.shape[:2], parts.shape[-1]), np.nan)
        pairs = np.concatenate([parts.real, parts.imag], axis=2)
        _, vectors = interruptible(lambda: np.linalg.eigh(pairs.swapaxes(2, 3) @ pairs))
        color = vectors[..., -1]
        return np.where(color.sum(axis=-1, keepdims=True) < 0, -color, color) + 0.0

    def to_dict(self) -> dict[str, Any]:
        """The numbers that stand for the whole, for JSON: infinities and NaN as None."""
        numbers = {
            "norm": self.norm,
            "smallest": float(self.smallest.min()),
            "condition": self.condition,
            "reshaped": self.reshaped,
        }
        return {
            "size": list(self.size),
            "transposed": self.transposed,
            "stride": list(self.stride),
            **{name: value if math.isfinite(value) else None for name, value in numbers.items()},
            "supremum": {
                key: None if isinstance(value, float) and not math.isfinite(value) else value
                for key, value in self.supremum.to_dict().items()
            },
        }

    def plot(self, figure: "Figure | None" = None) -> "Figure":
        """The largest and the smallest gain and the colour of the largest, by frequency, and the norms beside them.

        Parameters
        ----------
        figure : matplotlib Figure, optional
            To draw into; otherwise a new one, which a notebook shows as a picture.

        Raises
        ------
        ImportError
            If matplotlib is missing.
        ValueError
            If a weight is not finite, so that there is nothing to draw.
        """
        if not math.isfinite(self.norm):
            raise ValueError("the response is not finite: a weight is NaN or infinite, or the gains are too large")
        from ganchroma._response_plot import draw

        return draw(self, figure)


def frequency_response(
    weight: Any, size: IntPair, *, transposed: bool = False, stride: IntPair = 1, threads: int | None = None
) -> FrequencyResponse:
    """Every singular value of a convolution with circular padding, and the colour of the largest, by spatial frequency.

    Parameters
    ----------
    weight : array (O, C, kh, kw) of float16, float32 or float64
        Or (C, O, kh, kw) of a transposed layer. Computed in double.
    size : int or (height, width)
        Of the layer's input. May be smaller than the kernel, which then wraps around.
    transposed : bool
    stride : int or (height, width)
    threads : int, optional
        At most this many threads.

    Returns
    -------
    FrequencyResponse
        `singular_values`, `directions`, `colors`, `norm`, `condition`, `supremum`, `reshaped`, `plot()`.
        NaN throughout if a weight is not finite.

    Raises
    ------
    TypeError, ValueError
        For arguments other than these; a layer with a stride takes sizes that are its multiples.

    Notes
    -----
    From products of the filters, whose errors are a few 1e-16 of the squared norm: a singular value's relative error is
    below 1e-15 for the largest and grows with the square of its ratio to it, to 1e-10 at a thousandth. Where one is
    below that, all of the frequency come from NumPy's SVD of the transfer matrix, to a few 1e-16 of the norm; so do
    those of a layer with more than 16 outputs (times its phases, if transposed).

    Examples
    --------
    >>> import ganchroma as gch
    >>> weight = gch.init.normal((3, 64, 3, 3), rng=0)
    >>> response = frequency_response(weight, 32)
    >>> response.singular_values.shape, response.directions.shape
    ((32, 32, 3), (32, 32, 3))
    >>> response.norm <= response.supremum.upper
    True
    """
    layer = make_layer(weight, transposed, stride)
    grid = layer.grid(size)
    system = make_system(layer)
    phases = layer.stride if layer.transposed and layer.stride != (1, 1) else ()
    if system is None:
        channels = layer.weight.size // layer.out_channels // math.prod(layer.weight.shape[2:])
        rows, columns = layer.out_channels * math.prod(phases), channels
        if not layer.transposed:
            columns *= math.prod(layer.stride)
        values = np.full((*grid, min(rows, columns)), np.nan)
        directions = np.full((*grid, *phases, layer.out_channels), complex(math.nan, math.nan))
    else:
        values, vectors = grid_values(system, grid, threads)
        with np.errstate(over="ignore"):
            values = np.ldexp(values, system.exponent)
        directions = vectors.reshape(*grid, *phases, layer.out_channels)
    height_width = (grid[0], grid[1])
    if not layer.transposed:
        height_width = (grid[0] * layer.stride[0], grid[1] * layer.stride[1])
    return FrequencyResponse(layer.weight, layer.transposed, layer.stride, height_width, values, directions)
