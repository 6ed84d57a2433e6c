"""What each case must reach, and what is aimed at: the one table that the results are read against."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from benchmarks.heads import HEADS
from benchmarks.measurement import OURS, Row
from benchmarks.peers import CHANNELS_LAST, NUMPY, ONNXRUNTIME, OPENCV, PYTORCH, SCIKIT_IMAGE

BEST = "the best peer"
SQUARE, WIDE, MIRRORED, UP, POINTS, ODD, ODDER, *_ = (head.name for head in HEADS)


@dataclass(frozen=True)
class Owed:
    """Shares are of the roof, lanes that the shape leaves empty allowed for."""

    case: str
    every_thread: bool = False  # else one
    share: float | None = None  # at least
    faster: Mapping[str, float] = field(default_factory=dict)  # times, at least
    scaling: float | None = None  # at least, of as many times as there are threads
    seconds: float | None = None  # at most
    error: float | None = None  # at most
    aim: float | None = None  # a share


OWED = (
    Owed(SQUARE, share=0.82, faster={BEST: 5}, aim=0.90),
    Owed(WIDE, share=0.80, faster={BEST: 5}, aim=0.90),
    Owed(SQUARE, every_thread=True, share=0.75, aim=0.85),
    Owed(WIDE, every_thread=True, share=0.75, aim=0.85),
    Owed(MIRRORED, share=0.83, faster={BEST: 5}, aim=0.92),
    Owed(UP, share=0.75, faster={PYTORCH: 5, ONNXRUNTIME: 1.8}, aim=0.87),
    Owed(POINTS, share=0.62, faster={BEST: 1.7}, aim=0.80),
    Owed(ODD, share=0.80, aim=0.90),
    Owed(ODDER, share=0.80, aim=0.90),
    Owed(f"grad_weight, {SQUARE}", share=0.62, faster={PYTORCH: 8}, aim=0.80),
    Owed(f"grad_input, {SQUARE}", share=0.70, faster={PYTORCH: 8}, aim=0.80),
    Owed(f"NHWC, {SQUARE}", share=0.56, faster={CHANNELS_LAST: 4}, aim=0.75),
    Owed("Philox, uniform", faster={PYTORCH: 5}, aim=1.0),
    Owed("Philox, normal", faster={PYTORCH: 3}),
    Owed("Philox, uniform", every_thread=True, scaling=0.75),
    Owed("Philox, normal", every_thread=True, scaling=0.75),
    Owed("TorchGenerator, uniform", faster={PYTORCH: 5}),
    Owed("TorchGenerator, normal", faster={PYTORCH: 2}),
    Owed("sigma, 3x1152", faster={PYTORCH: 20}),
    Owed("moments of bytes, 256 of 256x256", share=0.80, aim=0.92),
    Owed("M3, correlation, gray share of bytes, 256 of 256x256", faster={NUMPY: 20}),
    Owed("CIELAB of float32, 1024x1024", faster={OPENCV: 4, SCIKIT_IMAGE: 20}, error=1e-4),
    Owed("conv2d 3x3, one of 8x4x4, out=", faster={"numpy.add": 1 / 4}),
    Owed("init.uniform, 3x128x3x3, rng=0", seconds=10e-6),
    Owed("init.normal, 3x128x3x3, rng=0", seconds=10e-6),
    Owed("init.kaiming_normal, 3x128x3x3, rng=0", seconds=10e-6),
    Owed("diagnose, 64 of 64x64 with layer and features", seconds=0.1),
    Owed("import ganchroma, beyond NumPy", seconds=0.02),
    Owed("ganchroma info", seconds=0.3),
)


class Verdict(NamedTuple):
    """One figure that is owed, and what was found."""

    what: str
    must: float
    found: float
    met: bool


def verdicts(row: Row, rows: Sequence[Row]) -> list[Verdict]:
    """What is owed of a row, where its peers are there; `rows` holds the same case on one thread."""
    return [verdict for owed in of(row) for verdict in _verdicts(owed, row, rows)]


def of(row: Row) -> list[Owed]:
    return [owed for owed in OWED if owed.case == row.case and owed.every_thread == (row.threads > 1)]


def _verdicts(owed: Owed, row: Row, rows: Sequence[Row]) -> Iterator[Verdict]:
    if owed.share is not None and row.share is not None:
        yield _at_least("share of the roof", owed.share, row.share / row.cap)
    ratios = row.ratios | ({} if row.best is None else {BEST: row.best})
    for peer, times in owed.faster.items():
        if peer in ratios:
            yield _at_least(f"times {peer}", times, ratios[peer])
    alone = next((other for other in rows if other.case == row.case and other.threads == 1), None)
    if owed.scaling is not None and alone is not None:
        yield _at_least("of the threads' worth", owed.scaling, alone.seconds / row.seconds / row.threads)
    if owed.seconds is not None:
        yield _at_most("seconds", owed.seconds, row.seconds)
    if owed.error is not None and OURS in row.errors:
        yield _at_most("error", owed.error, row.errors[OURS])


def _at_least(what: str, must: float, found: float) -> Verdict:
    return Verdict(what, must, found, found >= must)


def _at_most(what: str, must: float, found: float) -> Verdict:
    return Verdict(what, must, found, found <= must)
