"""Random streams: the same numbers for every thread count and instruction set.

Wherever the package takes ``rng=``, it may be

- ``None``: fresh entropy, another result each time;
- an int: a seed, the same result each time;
- a `numpy.random.Generator`: draws from it, so that its state decides and moves on;
- a `Stream`: continues it, so that several calls share one source;
- a `TorchGenerator`: continues PyTorch's own stream, described there.

From an int or a NumPy generator comes one 64-bit key, ``generator.integers(0, 2**64, dtype=np.uint64)`` (an int seeds
``np.random.default_rng`` first). The key and the number of the draw (0 for the first fill of a `Stream`, 1 for the
next) select a counter-based stream, Philox 4x32-10 [1]_, whose block ``b`` is four 32-bit words, Philox of the counter
(low word of ``b``, high word of ``b``, low word of the draw, high word of the draw). Sixteen blocks make a group: block
``16 g + l`` is lane ``l`` of group ``g``, its words are ``w[0][l]`` to ``w[3][l]``. In C order of the elements,

- uniform float32: element ``64 g + 16 j + l`` is ``(w[j][l] >> 8) * 2**-24``;
- uniform float64: element ``32 g + 16 h + l`` is ``((w[2h][l] >> 5) * 2**26 + (w[2h+1][l] >> 6)) * 2**-53``;
- normal float32, by Box-Muller: ``u = (w[0][l] + .5) * 2**-32`` and the angle ``2 pi * w[1][l] * 2**-32`` give elements
  ``64 g + l`` (cosine) and ``64 g + 16 + l`` (sine); ``w[2][l]`` and ``w[3][l]`` the two 32 elements further;
- normal float64: ``u = ((w[0][l] >> 5) * 2**26 + (w[1][l] >> 6) + .5) * 2**-53`` and the angle
  ``2 pi * (w[2][l] * 2**26 + (w[3][l] >> 6)) * 2**-58`` give elements ``32 g + l`` and ``32 g + 16 + l``.

Uniform numbers lie on a grid from 0 up to, not including, 1 before they are scaled; ``u`` is never 0, so that normals
have their full tails (6.7 standard deviations in float32, 8.6 in float64); they lie within 3 units of relative rounding
of these formulas (float32: `u` being rounded at each of its two steps).

References
----------
.. [1] J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
"""

from functools import lru_cache
from threading import Lock
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ganchroma import _core
from ganchroma._arrays import check_integer, check_number, shown
from ganchroma._torch_stream import TorchGenerator, check_range
from ganchroma.runtime import resolve_threads

__all__ = ["RNGLike", "Stream", "TorchGenerator", "as_stream"]


_SORTED = 1 << 18  # numbers in one go


class Stream:
    """A source of random numbers: a 64-bit key, and how many draws were made under it.

    Threads may share one: every fill gets numbers of its own, in the order in which the fills begin.

    Parameters
    ----------
    key : int
        0 to 2**64 - 1.

    Examples
    --------
    >>> import ganchroma as gch
    >>> stream = gch.rng.as_stream(0)
    >>> first = gch.init.normal((2, 3), rng=stream)
    >>> second = gch.init.normal((2, 3), rng=stream)
    >>> stream.draws, bool((first == second).any())
    (2, False)
    """

    __slots__ = ("_draws", "_key", "_lock")

    fills_float16: ClassVar[bool] = False

    def __init__(self, key: int) -> None:
        if type(key) is not int and (isinstance(key, bool) or not isinstance(key, int | np.integer)):
            raise TypeError(f"key must be an integer, got {shown(key)}")
        if not 0 <= key < 2**64:
            raise ValueError(f"key must be at least 0 and below 2**64, got {shown(key)}")
        self._key = int(key)
        self._draws = 0
        self._lock = Lock()

    def __reduce__(self) -> tuple[Any, ...]:
        return Stream, (self._key,), (None, {"_draws": self._draws})  # a lock can't be copied

    @property
    def key(self) -> int:
        """The 64-bit key."""
        return self._key

    @property
    def draws(self) -> int:
        """Fills made so far."""
        return self._draws

    def __repr__(self) -> str:
        return f"Stream(key={self._key:#018x}, draws={self._draws})"

    def uniform(self, out: NDArray[Any], low: float, high: float, *, threads: int | None = None) -> None:
        """Fill a C-contiguous float32 or float64 array with uniform numbers, ``low <= x <= high``."""
        low, high = check_range(low, high)
        _core.rng_uniform(self._key, self._next_draw(), low, high, out, resolve_threads(threads))

    def normal(self, out: NDArray[Any], mean: float, std: float, *, threads: int | None = None) -> None:
        """Fill a C-contiguous float32 or float64 array with normal numbers."""
        mean, std = check_number(mean, "mean"), check_number(std, "std", low=0.0)
        _core.rng_normal(self._key, self._next_draw(), mean, std, out, resolve_threads(threads))

    def _next_draw(self) -> int:
        with self._lock:  # taken before the fill: the core lets other threads run meanwhile
            draw = self._draws
            self._draws += 1
        return draw

    def orders(self, rows: int, columns: int) -> NDArray[Any]:
        """(rows, columns): each column the numbers 0 to rows - 1 in an order of its own."""
        rows, columns = check_integer(rows, "rows", 0), check_integer(columns, "columns", 0)
        keys = np.empty((rows, columns))
        self.uniform(keys, 0.0, 1.0)
        order = np.empty((rows, columns), np.int64)
        step = max(1, _SORTED // max(rows, 1))
        for first in range(0, columns, step):  # in pieces: Ctrl-C ends it soon
            order[:, first : first + step] = np.argsort(keys[:, first : first + step], axis=0)
        return order


# A string: the name of NumPy's class alone would load numpy.random, half of what `import ganchroma` may take.
RNGLike: TypeAlias = "int | np.integer[Any] | np.random.Generator | Stream | TorchGenerator | None"


def as_stream(rng: RNGLike = None) -> Stream | TorchGenerator:
    """The stream that ``rng=`` stands for.

    Parameters
    ----------
    rng : None, int, numpy.random.Generator, Stream or TorchGenerator
        See the head of this module. A `Stream` or `TorchGenerator` is returned as it is.

    Raises
    ------
    TypeError
        For anything else.
    ValueError
        For a negative seed.

    Examples
    --------
    >>> import ganchroma as gch
    >>> gch.rng.as_stream(0)
    Stream(key=0xa30febcfd9c2825f, draws=0)
    """
    if type(rng) is int and rng >= 0:  # what nearly every call gives
        return Stream(_key_of_seed(rng))
    if isinstance(rng, Stream | TorchGenerator):
        return rng
    if isinstance(rng, bool) or not (rng is None or isinstance(rng, int | np.integer | np.random.Generator)):
        raise TypeError(f"rng must be None, an int, a numpy.random.Generator, Stream or TorchGenerator, got {rng!r}")
    if isinstance(rng, int | np.integer):
        if rng < 0:
            raise ValueError(f"rng must not be negative, got {shown(rng)}")
        return Stream(_key_of_seed(int(rng)))
    return Stream(_drawn_key(np.random.default_rng(rng)))


@lru_cache(maxsize=1024)  # NumPy spreads a seed over its state: that takes longer than filling a small array
def _key_of_seed(seed: int) -> int:
    return _drawn_key(np.random.default_rng(seed))


def _drawn_key(generator: "np.random.Generator") -> int:
    return int(generator.integers(0, 2**64, dtype=np.uint64))
