"""Spectral norms: of the reshaped weight, as PyTorch divides by it, and of the convolution itself.

`sigma` is the largest singular value of a weight reshaped to a matrix, the dimension `dim` first and all others
flattened behind it. That is what "spectral normalisation" divides by (Miyato et al. 2018). `operator_norm` is the
largest factor by which the convolution can lengthen an image, and `frequency_response` its gains at every spatial
frequency: see docs/operator_norm.md.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganchroma import _core
from ganchroma._arrays import as_array, check_flag, check_number, check_word, compute_dtype
from ganchroma._operator_norm import OperatorNorm, operator_norm
from ganchroma.frequency import FrequencyResponse, frequency_response
from ganchroma.rng import RNGLike, as_stream
from ganchroma.runtime import interruptible, resolve_threads

__all__ = ["FrequencyResponse", "OperatorNorm", "SpectralNorm", "frequency_response", "operator_norm", "sigma"]

Array = NDArray[Any]

_CONSTRUCTION_STEPS = 15  # of the power method, when PyTorch makes the parametrization
_MOST_STEPS = 2**30  # at a microsecond each, 18 minutes; with those of the construction still an integer of the core
_EXACT_ROWS = 4
_SAFE = (1e-140, 1e140)  # singular values whose squares neither overflow nor lose digits to underflow


def _axis(dim: Any, ndim: int) -> int:
    if isinstance(dim, bool) or not isinstance(dim, int | np.integer):
        raise TypeError(f"dim must be an integer, got {dim!r}")
    if not -ndim <= dim < ndim:
        raise ValueError(f"dim must be between {-ndim} and {ndim - 1} for a weight of {ndim} dimensions, got {dim}")
    return int(dim) % ndim


def _weight(weight: Any, name: str = "weight") -> Array:
    array = as_array(weight, name)
    if array.ndim < 1 or array.size == 0:
        raise ValueError(f"{name} must have at least one dimension and one element, got shape {array.shape}")
    return array


def _matrix(array: Array, axis: int) -> Array:
    rows = array.shape[axis]
    first = array if axis == 0 else np.moveaxis(array, axis, 0)
    return np.ascontiguousarray(first, compute_dtype(array)).reshape(rows, array.size // rows)


def sigma(weight: Any, dim: int = 0) -> float:
    """The largest singular value of a weight, exactly.

    Parameters
    ----------
    weight : array of float16, float32 or float64, at least one dimension
        Reshaped to a matrix with dimension `dim` first; one dimension is a column.
    dim : int
        Which dimension counts the outputs: 0, or 1 for the weight of a transposed convolution.

    Returns
    -------
    float
        NaN if an element is not finite. With a short side of at most 4, from the Gram matrix in double; otherwise by
        `numpy.linalg.svd`, in double too. Either way the relative error is that of double arithmetic.

    Raises
    ------
    TypeError, ValueError
        For another dtype, an empty weight, or a `dim` that it has not.

    Examples
    --------
    >>> sigma(np.array([[3.0, 0.0, 0.0], [0.0, 4.0, 0.0]]))
    4.0
    """
    plain = _core.spectral_sigma_of_plain(weight, dim)  # most weights of a head: no more than a call
    if plain is not None and _SAFE[0] < plain < _SAFE[1]:
        return plain
    array = _weight(weight)
    matrix = _matrix(array, _axis(dim, array.ndim))
    if min(matrix.shape) > _EXACT_ROWS:
        if not np.isfinite(matrix).all():
            return float("nan")
        exact = matrix.astype(np.float64, copy=False)
        return float(interruptible(lambda: np.linalg.svd(exact, compute_uv=False))[0])
    if matrix.shape[0] > _EXACT_ROWS:
        matrix = np.ascontiguousarray(matrix.T)
    value = _core.spectral_sigma(matrix)
    if _SAFE[0] < value < _SAFE[1]:
        return value
    peak = float(np.abs(matrix).max())
    if peak == 0.0 or not np.isfinite(peak):
        return 0.0 if peak == 0.0 else float("nan")
    exponent = int(np.frexp(peak)[1])
    value = _core.spectral_sigma(np.ldexp(matrix.astype(np.float64), -exponent))
    with np.errstate(over="ignore"):
        return float(np.ldexp(value, exponent))


class SpectralNorm:
    """Spectral normalisation as PyTorch does it, state and all.

    Parameters
    ----------
    weight : array of float16, float32 or float64, at least one dimension
        The weight before normalisation; copied. float16 is computed, and `u` and `v` are held, in float32.
    flavor : "parametrization" or "legacy"
        ``torch.nn.utils.parametrizations.spectral_norm``: at construction 15 iterations, and, as PyTorch looks at the
        weight of a new module when it registers the parametrization, `n_power_iterations` more; each is
        ``u = normalize(W v)``, then ``v = normalize(W^T u)``; a weight of one dimension is normalised as a vector. Or
        ``torch.nn.utils.spectral_norm``: no iteration at construction, and `v` goes before `u`. That one has the
        eval-before-train trap: in eval mode before any training forward, `u` and `v` are two random vectors,
        ``u . W v`` some 2 % of the norm, and the weight, divided by it, some fifty times too loud: tanh saturates.
    n_power_iterations : int
        Iterations on every access in training mode.
    eps : float
        ``normalize(x) = x / max(norm(x), eps)``.
    dim : int
        Which dimension counts the outputs; PyTorch takes 1 for transposed convolutions, 0 for all others.
    rng : None, int, numpy.random.Generator, Stream or TorchGenerator
        Where `u`, then `v` come from.

    Raises
    ------
    TypeError, ValueError
        For arguments other than these.

    Examples
    --------
    >>> import ganchroma as gch
    >>> norm = gch.spectral.SpectralNorm(gch.init.normal((3, 64, 3, 3), rng=0), rng=1)
    >>> round(gch.spectral.sigma(norm.weight()), 2)
    1.0
    """

    def __init__(
        self,
        weight: Any,
        *,
        flavor: str = "parametrization",
        n_power_iterations: int = 1,
        eps: float = 1e-12,
        dim: int = 0,
        rng: RNGLike = None,
    ) -> None:
        check_word(flavor, "flavor", ("parametrization", "legacy"))
        if isinstance(n_power_iterations, bool) or not isinstance(n_power_iterations, int | np.integer):
            raise TypeError(f"n_power_iterations must be an integer, got {n_power_iterations!r}")
        if not 1 <= n_power_iterations <= _MOST_STEPS:
            raise ValueError(f"n_power_iterations must lie in 1..{_MOST_STEPS}, got {n_power_iterations}")
        array = _weight(weight)
        self._flavor = flavor
        self._iterations = int(n_power_iterations)
        self._eps = check_number(eps, "eps", low=0.0)
        self._axis = _axis(dim, array.ndim)
        self._original = np.array(array, array.dtype.newbyteorder("="), order="C")
        rows = array.shape[self._axis]
        self._u, self._v = (np.empty(size, compute_dtype(array)) for size in (rows, array.size // rows))
        if self._is_vector:
            return
        stream = as_stream(rng)
        for vector in (self._u, self._v):
            stream.normal(vector, 0.0, 1.0)
            vector /= max(float(np.linalg.norm(vector)), self._eps)
        if flavor == "parametrization":
            self._power(_CONSTRUCTION_STEPS + self._iterations)

    def __repr__(self) -> str:
        return (
            f"SpectralNorm(shape={self._original.shape}, flavor={self._flavor!r}, "
            f"n_power_iterations={self._iterations}, eps={self._eps:g}, dim={self._axis})"
        )

    @property
    def _is_vector(self) -> bool:
        return self._flavor == "parametrization" and self._original.ndim == 1

    def _power(self, steps: int) -> float:
        matrix = _matrix(self._original, self._axis)
        u_first = self._flavor == "parametrization"
        return _core.spectral_power(matrix, self._u, self._v, steps, u_first, self._eps, resolve_threads(None))

    @property
    def original(self) -> Array:
        """The weight before normalisation. Writing to it is what an optimiser's step does."""
        return self._original

    @property
    def u(self) -> Array | None:
        """The left vector (a copy); None for the vector case of the parametrization."""
        return None if self._is_vector else self._u.copy()

    @property
    def v(self) -> Array | None:
        """The right vector (a copy); None for the vector case of the parametrization."""
        return None if self._is_vector else self._v.copy()

    @property
    def sigma(self) -> float:
        """What the weight is divided by now: ``u . W v``, or a vector's norm; `spectral.sigma` is the exact one."""
        if self._is_vector:
            return max(float(np.linalg.norm(self._original.astype(np.float64))), self._eps)
        return self._power(0)

    def weight(self, training: bool = True) -> Array:
        """The normalised weight, in the weight's dtype.

        Parameters
        ----------
        training : bool
            Run `n_power_iterations` first, as every forward in train mode does; otherwise use `u` and `v` as they are.
        """
        divisor = (
            self._power(self._iterations) if check_flag(training, "training") and not self._is_vector else self.sigma
        )
        kind = compute_dtype(self._original)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            normalized: Array = self._original.astype(kind) / kind.type(divisor)
            return normalized.astype(self._original.dtype)

    def _key_names(self) -> tuple[str, ...]:
        if self._flavor == "legacy":
            return "weight_orig", "weight_u", "weight_v"
        original = "parametrizations.weight.original"
        return (
            (original,)
            if self._is_vector
            else (original, "parametrizations.weight.0._u", "parametrizations.weight.0._v")
        )

    def _buffers(self) -> tuple[Array, ...]:
        return (self._original,) if self._is_vector else (self._original, self._u, self._v)

    def state_dict(self) -> dict[str, Array]:
        """Copies of weight, `u` and `v` under the names that PyTorch gives them in a module."""
        return {key: value.copy() for key, value in zip(self._key_names(), self._buffers(), strict=True)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over weight, `u` and `v`: a mapping of arrays or CPU tensors with the keys of `state_dict`.

        That of a whole PyTorch module will do: its "bias", which no norm touches, is left out.

        Raises
        ------
        ValueError
            If keys are missing or unknown, or a shape differs; nothing is taken over then.
        """
        if not isinstance(state, Mapping):
            raise TypeError(f"state must be a mapping of names to arrays, got {type(state).__name__}")
        names = self._key_names()
        missing, unknown = sorted(set(names) - set(state)), sorted(set(state) - {*names, "bias"})
        if missing or unknown:
            raise ValueError(f"state does not match: missing keys {missing}, unknown keys {unknown}")
        loaded = []
        for key, value in zip(names, self._buffers(), strict=True):
            given = as_array(state[key], f"state[{key!r}]")
            if given.shape != value.shape:
                raise ValueError(f"state[{key!r}] must have shape {value.shape}, got {given.shape}")
            loaded.append(np.array(given, value.dtype, order="C"))
        self._original = loaded[0]
        if not self._is_vector:
            self._u, self._v = loaded[1:]
