"""Normal numbers between two bounds: by rejection, and by PyTorch's own sequence of draws."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganchroma._arrays import compute_dtype
from ganchroma._torch_stream import TorchGenerator
from ganchroma.rng import Stream

Array = NDArray[Any]

_LIKELY = 0.3  # of the distribution between the bounds: then normal numbers are tried, otherwise uniform ones
_NEGLIGIBLE = 1e-6  # of PyTorch's proposals: it would make the whole array a million times
_FAR = 1e18  # standard deviations: all is refused from 1e11 on, and the square of this is finite in float32


def fill_truncated(
    work: Array, mean: float, std: float, a: float, b: float, stream: Stream | TorchGenerator, threads: int | None
) -> None:
    """Fill `work` with normal numbers on condition that ``a <= x <= b``."""
    inside = _below((b - mean) / std) - _below((a - mean) / std)
    if isinstance(stream, TorchGenerator):
        if inside > _LIKELY:
            _redraw_as_torch(work, mean, std, a, b, stream, threads)
        elif math.isinf(a) or math.isinf(b):
            raise ValueError(f"a and b must be finite this far from the mean, as in PyTorch, got {a} and {b}")
        else:
            _propose_as_torch(work, mean, std, a, b, stream)
    elif inside > _LIKELY:
        _redraw(work, mean, std, a, b, stream, threads)
    else:
        _propose(work, mean, std, a, b, stream, threads)


def _below(distance: float) -> float:
    return (1.0 + math.erf(distance / math.sqrt(2.0))) / 2.0


def _redraw(work: Array, mean: float, std: float, a: float, b: float, stream: Stream, threads: int | None) -> None:
    low, high = work.dtype.type(a), work.dtype.type(b)
    stream.normal(work, mean, std, threads=threads)
    values = work.reshape(-1)
    outside = np.flatnonzero((values < low) | (values > high))
    while outside.size:
        again = np.empty(outside.size, work.dtype)
        stream.normal(again, mean, std, threads=threads)
        values[outside] = again
        outside = outside[(again < low) | (again > high)]


def _propose(work: Array, mean: float, std: float, a: float, b: float, stream: Stream, threads: int | None) -> None:
    # Beyond this distance the density is below 2**-64 of its peak between the bounds: no proposal there would ever be
    # accepted, and a far or infinite bound would waste nearly all of them.
    peak = (max(a, min(mean, b)) - mean) / std
    reach = math.sqrt(peak * peak + 2 * 64 * math.log(2))
    low, high = max(a, mean - reach * std), min(b, mean + reach * std)
    spacing = float(np.spacing(work.dtype.type(max(abs(low), abs(high)))))
    # Where the density falls within a few numbers of the dtype, proposals are rounded after they are accepted.
    kind = np.dtype(np.float64) if spacing * max(1.0, abs(peak)) > std / 64 else work.dtype
    values = work.reshape(-1)
    pending = np.arange(values.size)
    while pending.size:
        proposed, chance = np.empty(pending.size, kind), np.empty(pending.size)
        stream.uniform(proposed, low, high, threads=threads)
        stream.uniform(chance, 0.0, 1.0, threads=threads)
        distance = (proposed.astype(np.float64) - mean) / std
        values[pending] = proposed
        pending = pending[np.log1p(-chance) > 0.5 * (peak * peak - distance * distance)]


def _redraw_as_torch(
    work: Array, mean: float, std: float, a: float, b: float, stream: TorchGenerator, threads: int | None
) -> None:
    """PyTorch draws every element again each time, and takes those that are still wanted."""
    with np.errstate(over="ignore"):
        low, high = np.array([a, b]).astype(work.dtype)
    stream.normal(work, mean, std, threads=threads)
    again = np.empty_like(work)
    while (outside := (work < low) | (work > high)).any():
        stream.normal(again, mean, std, threads=threads)
        np.copyto(work, again, where=outside)


@np.errstate(over="ignore", divide="ignore", invalid="ignore")
def _propose_as_torch(work: Array, mean: float, std: float, a: float, b: float, stream: TorchGenerator) -> None:
    """As above; each step of the log density is rounded to the array's dtype."""
    kind = compute_dtype(work)
    center, spread = kind.type(mean), kind.type(std)
    nearest = max(a, min(mean, b))
    peak = (nearest - mean) / std
    log_peak = kind.type(-0.5 * min(abs(peak), _FAR) ** 2)

    def below_peak(values: Array) -> Array:
        distance = ((values.astype(kind) - center).astype(work.dtype).astype(kind) / spread).astype(work.dtype)
        density = ((distance * distance).astype(kind) * kind.type(-0.5)).astype(work.dtype)
        lower: Array = (density.astype(kind) - log_peak).astype(work.dtype)
        return lower

    # Most of what is accepted lies where the density has fallen by e at most.
    reach = min(b - a, std / max(abs(peak), 1.0))
    probes = np.linspace(nearest, nearest + (reach if nearest == a else -reach), 64).astype(work.dtype)
    accepted = np.exp(np.minimum(below_peak(probes).astype(np.float64), 0.0)).mean() * reach / (b - a)
    if not accepted > _NEGLIGIBLE:
        raise ValueError(
            f"numbers between {a} and {b} are too rare for PyTorch's stream, with mean {mean} and std {std}; "
            "accepted: bounds nearer to the mean, or a seed as rng"
        )
    proposed, chance = np.empty_like(work), np.empty_like(work)
    pending = np.ones(work.shape, bool)
    while pending.any():
        stream.uniform(proposed, a, b)
        np.copyto(work, proposed, where=pending)
        density = below_peak(proposed)
        stream.uniform(chance, 0.0, 1.0)
        pending &= np.log(chance.astype(np.float64)).astype(work.dtype) > density
