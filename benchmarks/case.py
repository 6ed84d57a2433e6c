"""What a case is: some work, what it should give, who else does it, and what no program can beat."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import numpy as np

from benchmarks.peers import Peers

Call = Callable[[], Any]


class Setting(NamedTuple):
    """What a case is prepared for."""

    peers: Peers
    threads: int
    lanes: int  # float32 in a vector


@dataclass(frozen=True)
class Flops:
    """Limited by multiply-adds: at least `count` operations, and lanes that the shape leaves empty at that."""

    name: ClassVar[str] = "FMA"
    count: float
    cap: float = 1.0  # share of the lanes that the shape can fill


@dataclass(frozen=True)
class Reading:
    """Limited by reading `array` once."""

    name: ClassVar[str] = "read"
    array: np.ndarray


@dataclass(frozen=True)
class Writing:
    """Limited by writing `array` once, whose contents nobody needs."""

    name: ClassVar[str] = "write"
    array: np.ndarray


Limit = Flops | Reading | Writing


@dataclass(frozen=True)
class Work:
    """A case, ready to run on a number of threads.

    The `error` of a result is the largest distance from `exact()`, relative to the largest value there or `absolute`.
    """

    ours: Call
    checked: Call | None = None  # in place of `ours`, where that gives something else every time
    exact: Callable[[], np.ndarray] | None = None  # the float64 answer; None where no number comes out
    tolerance: float = 0.0
    tolerance_of_peers: float | None = None  # ten times ours where it is not given
    absolute: bool = False
    compared: Callable[[Any], Any] = np.asarray  # what of a result has its counterpart in `exact`
    peers: Mapping[str, Call] = field(default_factory=dict)
    strangers: frozenset[str] = frozenset()  # peers that by design give something else
    limit: Limit | None = None
    times_itself: bool = False  # `ours` returns its seconds, of processor time


@dataclass(frozen=True)
class Case:
    """A line of the table, for one thread and, if `scales`, for all."""

    family: str
    name: str
    prepare: Callable[[Setting], Work]
    scales: bool = True
