"""PyTorch's CPU random stream, without PyTorch; public as `ganchroma.TorchGenerator`."""

import os
import sys
import threading
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ganchroma import _core
from ganchroma._arrays import FLOATS, as_array, check_integer, check_number, check_word, copy, pieces, shown
from ganchroma.runtime import check_threads, resolve_threads

Array = NDArray[Any]

_CAPABILITIES = ("default", "avx2")  # in the order of the core's enum
# PyTorch's own words for them; its AVX-512 kernels make the bits of AVX2's.
_SPELLINGS = {"avx2": "avx2", "default": "default", "AVX2": "avx2", "AVX512": "avx2", "DEFAULT": "default"}
_BLOCK = 16  # elements that PyTorch makes normal together
_WORDS = 624
_FLOAT32, _FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)
_SERIAL = 4096  # normal numbers that are not worth a second thread

# What the bytes of torch.Generator.get_state() mean, as far as they do.
_STATE = np.dtype(
    {
        "names": ["seed", "left", "seeded", "next"],
        "formats": ["<u8", "<i4", "<i4", "<u8"],
        "offsets": [0, 8, 12, 16],
        "itemsize": 5056,
    }
)


def _check_seed(seed: Any) -> int:
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer):
        raise TypeError(f"seed must be an integer, got {seed!r}")
    if not -(2**63) <= seed < 2**64:
        raise ValueError(f"seed must be at least -2**63 and below 2**64, got {shown(seed)}")
    return int(seed) % 2**64


class _Turn:
    """One draw at a time: other threads wait; what interrupts a draw in this one can't, and is told so."""

    __slots__ = ("_lock", "_process")

    def __init__(self) -> None:
        self._renew()

    def _renew(self) -> None:
        self._process, self._lock = _forks, threading.RLock()

    def lock(self) -> Any:
        """For a ``with``: between which and Python's own lock no Ctrl-C comes, as it would with methods of ours."""
        if self._process != _forks:  # a child, in which a thread that was drawing is not
            self._renew()
        if self._lock._is_owned():  # type: ignore[attr-defined]  # as threading.Condition asks
            raise RuntimeError(
                "this TorchGenerator is in the midst of a draw, which a signal handler has interrupted; "
                "the handler needs a generator of its own"
            )
        return self._lock


_forks = 0  # between this process and the one that loaded this module


def _in_child() -> None:
    global _forks
    _forks += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)


class TorchGenerator:
    """The random stream of PyTorch 2.13 on the CPU: the numbers that follow ``torch.manual_seed``, bit for bit.

    Wherever ``rng=`` is accepted, this makes the result the one that PyTorch's function gives for the same seed (with
    exceptions that the functions name). The state moves on as PyTorch's does and can be exchanged with it.

    PyTorch's numbers depend on which of its kernels the processor gets: `capability`. They also depend on the order of
    calls, their sizes and dtypes; they never depend on the number of threads, nor here on the instruction set. Tensors
    must be contiguous in PyTorch: for others (``channels_last``) it draws other numbers.

    Parameters
    ----------
    seed : int
        -2**63 to 2**64 - 1; of which PyTorch uses the low 32 bits.
    capability : "avx2" or "default"
        Or what ``torch.backends.cpu.get_cpu_capability()`` answers. "avx2" on any x86-64 of the last ten years (AVX-512
        gives the same bits). "default" is the baseline, which takes logarithm, sine and
        cosine from the C library, as normal float64 does under both.

    Raises
    ------
    TypeError, ValueError
        For another seed or capability.

    Examples
    --------
    The numbers of ``torch.manual_seed(0); torch.randn(2, 2)``:

    >>> import ganchroma as gch
    >>> gch.init.normal((2, 2), rng=gch.TorchGenerator(0))
    array([[ 1.5409961 , -0.2934289 ],
           [-2.1787894 ,  0.56843126]], dtype=float32)
    """

    __slots__ = ("_capability", "_state", "_turn")

    # PyTorch rounds float16 element by element, and draws for its last ones in another order than for float32.
    fills_float16: ClassVar[bool] = True

    def __init__(self, seed: int, capability: str = "avx2") -> None:
        self._capability = _CAPABILITIES.index(_SPELLINGS[check_word(capability, "capability", tuple(_SPELLINGS))])
        self._turn = _Turn()
        self._state = np.zeros(_STATE.itemsize, np.uint8)
        self.manual_seed(seed)

    def __repr__(self) -> str:
        return f"TorchGenerator(seed={self.initial_seed()}, capability={self.capability!r})"

    def __getstate__(self) -> tuple[int, bytes]:
        return self._capability, self.get_state().tobytes()

    def __setstate__(self, state: tuple[int, bytes]) -> None:
        self._capability = state[0]
        self._turn = _Turn()
        self._state = np.frombuffer(state[1], np.uint8).copy()

    @property
    def capability(self) -> str:
        """Whose bits these are: "avx2" or "default"."""
        return _CAPABILITIES[self._capability]

    def initial_seed(self) -> int:
        """The seed that this was last given, modulo 2**64."""
        return int(self._state.view(_STATE)["seed"][0])

    def manual_seed(self, seed: int) -> "TorchGenerator":
        """Start anew from a seed; returns the generator itself, as PyTorch's does."""
        word = _check_seed(seed)
        with self._turn.lock():
            _core.rng_torch_seed(self._state, word)
        return self

    def get_state(self) -> Array:
        """A copy of the state, uint8 (5056,): for `set_state`, or ``torch.from_numpy`` and ``torch.set_rng_state``."""
        with self._turn.lock():
            return self._state.copy()

    def set_state(self, state: Any) -> None:
        """Continue from a state of this class, or of ``torch.get_rng_state()`` or ``torch.Generator.get_state()``.

        Parameters
        ----------
        state : array or CPU tensor of uint8, (5056,)

        Raises
        ------
        TypeError, ValueError
            For another dtype or shape, or bytes that are no state; the generator keeps its own then.

        Examples
        --------
        >>> import ganchroma as gch
        >>> first, second = gch.TorchGenerator(1), gch.TorchGenerator(2)
        >>> second.set_state(first.get_state())
        >>> bool((first.randperm(9) == second.randperm(9)).all())
        True
        """
        given = np.array(as_array(state, "state", ndim=1, dtypes=("uint8",)))
        if given.size != _STATE.itemsize:
            raise ValueError(f"state must have {_STATE.itemsize} bytes, got {given.size}")
        fields = given.view(_STATE)[0]
        left, following = int(fields["left"]), int(fields["next"])
        if fields["seeded"] != 1 or not 1 <= left <= _WORDS or not 0 <= following <= _WORDS + 1 - left:
            raise ValueError(
                "state must be that of a CPU generator, seeded, with 1 <= left <= 624 and next + left <= 625, "
                f"got seeded {fields['seeded']}, left {left}, next {following}"
            )
        with self._turn.lock():
            self._state[...] = given

    def uniform(self, out: Array, low: float, high: float, *, threads: int | None = None) -> None:
        """Fill a C-contiguous float16, float32 or float64 array as ``Tensor.uniform_(low, high)`` does."""
        low, high = check_range(low, high)
        if threads is not None:
            check_threads(threads)  # one thread draws; a wrong number is an error nevertheless
        if not (type(out) is np.ndarray and (out.dtype is _FLOAT32 or out.dtype is _FLOAT64)) and _is_half(out):
            work = np.empty(out.shape, np.float32)
            self.uniform(work, low, high)
            least, most = np.float16(low), np.float16(high)
            for piece in pieces(out.shape):
                part = out[piece]
                part[...] = work[piece]
                part[part == most] = least
            return
        with self._turn.lock():
            _core.rng_torch_uniform(self._state, self._capability, low, high, out)

    def normal(self, out: Array, mean: float, std: float, *, threads: int | None = None) -> None:
        """Fill a C-contiguous float16, float32 or float64 array as ``Tensor.normal_(mean, std)`` does."""
        mean, std = check_number(mean, "mean"), check_number(std, "std", low=0.0)
        if not (type(out) is np.ndarray and (out.dtype is _FLOAT32 or out.dtype is _FLOAT64)) and _is_half(out):
            self._normal_half(out.reshape(-1), mean, std, threads)
            return
        count = 1 if threads is None and out.size < _SERIAL else resolve_threads(threads)
        with self._turn.lock():
            _core.rng_torch_normal(self._state, self._capability, mean, std, out, count)

    def _normal_half(self, out: Array, mean: float, std: float, threads: int | None) -> None:
        whole = out.size - out.size % _BLOCK or out.size
        parts = [out[:whole]] if whole == out.size else [out[:whole], out[-_BLOCK:]]
        for part in parts:
            work = np.empty(part.size, np.float32)
            self.normal(work, mean, std, threads=threads)
            copy(work, part)

    def randperm(self, n: int) -> Array:
        """The numbers 0 to n - 1 in random order, int64, as ``torch.randperm`` gives them.

        Raises
        ------
        TypeError, ValueError
            If `n` is no integer, or negative.

        Examples
        --------
        >>> import ganchroma as gch
        >>> gch.TorchGenerator(0).randperm(5)
        array([4, 0, 1, 3, 2])
        """
        if isinstance(n, bool) or not isinstance(n, int | np.integer):
            raise TypeError(f"n must be an integer, got {n!r}")
        if n < 0:
            raise ValueError(f"n must not be negative, got {shown(n)}")
        if n > sys.maxsize // 8:
            raise ValueError(f"n is {shown(n)}, more numbers than fit into an array")
        order = np.empty(int(n), np.int64)
        with self._turn.lock():
            _core.rng_torch_shuffle(self._state, order)
        return order

    def orders(self, rows: int, columns: int) -> Array:
        """(rows, columns): each column the numbers 0 to rows - 1 in an order of its own."""
        rows, columns = check_integer(rows, "rows", 0), check_integer(columns, "columns", 0)
        order = np.empty((rows, columns), np.int64)
        for column in range(columns):
            order[:, column] = self.randperm(rows)
        return order


def check_range(low: Any, high: Any) -> tuple[float, float]:
    """Where uniform numbers lie, or an error that names what is wrong."""
    low, high = check_number(low, "low"), check_number(high, "high")
    if low > high:
        raise ValueError(f"low must not exceed high, got {low!r} and {high!r}")
    return low, high


def _is_half(out: Any) -> bool:
    if not isinstance(out, np.ndarray):
        raise TypeError(f"out must be a NumPy array of {', '.join(FLOATS)}, got {shown(out)}")
    if out.dtype.name not in FLOATS:
        raise TypeError(f"out has dtype {out.dtype}; accepted: {', '.join(FLOATS)}")
    if out.dtype.char != "e":
        return False
    if not (out.flags.c_contiguous and out.flags.writeable):
        raise ValueError("out must be C-contiguous and writable")
    return True
