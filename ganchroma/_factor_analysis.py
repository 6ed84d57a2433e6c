"""Effects of a full factorial experiment whose replicates are seeds, what each factor explains, and both as text."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Effect", "Explained", "analyse", "student", "text"]

Array = NDArray[np.float64]
Levels = Mapping[str, tuple[str, ...]]

CONFIDENCE = 0.95
REST = ("interactions", "seed")
TITLES = {"chroma": "chroma C*ab", "achromatic_share": "achromatic share", "std_levels": "amplitude, levels"}
_DIGITS = {"chroma": 1, "achromatic_share": 3, "std_levels": 1}
_NAME, _COLUMN = 20, 26


@dataclass(frozen=True)
class Effect:
    """Mean response at one level, and how far that is from the mean of all; `low` to `high`: of the effect, 95 %."""

    factor: str
    level: str
    response: str
    mean: float
    effect: float
    low: float
    high: float


@dataclass(frozen=True)
class Explained:
    """Share of a response's variance over all runs, and its 95 % interval."""

    share: float
    low: float
    high: float


def analyse(levels: Levels, values: Mapping[str, Array]) -> tuple[list[Effect], dict[str, dict[str, Explained]]]:
    """Of each response (seeds, *levels). A seed with a value that is not finite is left out of that response."""
    varied = {factor: axis for axis, factor in enumerate(levels) if len(levels[factor]) > 1}
    effects: list[Effect] = []
    explained: dict[str, dict[str, Explained]] = {factor: {} for factor in (*varied, *REST)}
    for response, all_seeds in values.items():
        runs = usable(all_seeds)
        for factor, axis in varied.items():
            found = _effects(runs, axis) if len(runs) > 1 else np.full((4, len(levels[factor])), math.nan)
            effects += [
                Effect(factor, level, response, *map(float, numbers))
                for level, numbers in zip(levels[factor], found.T, strict=True)
            ]
        shares = _explained(runs, list(varied.values())) if len(runs) > 1 else np.full((3, len(explained)), math.nan)
        for factor, numbers in zip(explained, shares.T, strict=True):
            explained[factor][response] = Explained(*map(float, numbers))
    return effects, explained


def usable(values: Array) -> Array:
    return values[np.isfinite(values.reshape(len(values), -1)).all(axis=1)]


def _effects(runs: Array, axis: int) -> Array:
    """(mean, effect, low, high) x levels."""
    means = runs.mean(axis=tuple(other + 1 for other in range(runs.ndim - 1) if other != axis))
    paired = means - means.mean(axis=1, keepdims=True)
    effect = paired.mean(axis=0)
    half = student(len(runs) - 1) * paired.std(axis=0, ddof=1) / math.sqrt(len(runs))
    return np.stack([means.mean(axis=0), effect, effect - half, effect + half])


def _explained(runs: Array, axes: list[int]) -> Array:
    """(share, low, high) x (factors, interactions, seed): the jackknife leaves each seed out in turn."""
    count, shape = len(runs), runs.shape[1:]
    flat = (runs - runs.mean()).reshape(count, -1)
    square = np.mean(flat**2, axis=1)
    without = (flat.sum(axis=0) - flat) / (count - 1), (square.sum() - square) / (count - 1)
    share = _shares(flat.mean(axis=0)[np.newaxis], square.mean(keepdims=True), shape, axes)[0]
    left_out = _shares(*without, shape, axes)
    spread = np.sqrt((count - 1) / count * np.sum((left_out - left_out.mean(axis=0)) ** 2, axis=0))
    half = student(count - 1) * spread
    return np.stack([share, np.maximum(share - half, 0), np.minimum(share + half, 1)])


def _shares(cells: Array, square: Array, shape: tuple[int, ...], axes: list[int]) -> Array:
    """(k, factors + 2) from cell means (k, cells) and mean squares (k,); NaN where nothing varies."""
    total = square - cells.mean(axis=1) ** 2
    table = cells.reshape(len(cells), *shape)
    every = range(1, table.ndim)
    main = [table.mean(axis=tuple(other for other in every if other != axis + 1)).var(axis=1) for axis in axes]
    between = cells.var(axis=1)
    parts = np.stack([*main, between - np.sum(main, axis=0), total - between], axis=1)
    whole = np.where(total > 0, total, math.nan)[:, np.newaxis]
    return np.asarray(np.clip(parts / whole, 0, 1))


def student(freedom: int) -> float:
    """The factor of Student's t for a 95 % interval.

    With t = sqrt(n) tan(a) the density is cos(a)^(n - 1), which is added up.
    """
    edges = np.linspace(0, min(math.pi / 2, 12 / math.sqrt(freedom)), 20_001)
    middle = (edges[1:] + edges[:-1]) / 2
    mass = np.concatenate([[0], np.cumsum(np.cos(middle) ** (freedom - 1))])
    return math.sqrt(freedom) * math.tan(float(np.interp(CONFIDENCE, mass / mass[-1], edges)))


# -- for people ------------------------------------------------------------------------------------------------------


def text(
    levels: Levels, values: Mapping[str, Array], effects: list[Effect], explained: Mapping[str, Mapping[str, Explained]]
) -> str:
    """At most 100 columns."""
    seeds = len(next(iter(values.values())))
    cells = math.prod(map(len, levels.values()))
    varied = [factor for factor in levels if len(levels[factor]) > 1]
    lines = [f"{seeds:,} seeds x {cells} combinations: mean of each level, effect (minus mean of all), 95 % interval"]
    held = ", ".join(f"{factor} {levels[factor][0]}" for factor in levels if factor not in varied)
    lines += [f"held: {held}"] if held else []
    lines.append(_row("", [TITLES[response] for response in values]))
    lines.append(_row("", [f"{'mean':>9s}{'effect':>9s}{'+-':>8s}" for _ in values]))
    at = {(row.factor, row.level, row.response): row for row in effects}
    for factor in varied:
        lines.append(factor)
        for level in levels[factor]:
            name = level if len(level) <= _NAME - 3 else level[: _NAME - 4] + "…"
            lines.append(_row(f"  {name}", [_effect(at[factor, level, response]) for response in values]))
    lines.append("share of the variance explained (95 % interval over seeds)")
    for factor, of in explained.items():
        lines.append(_row(f"  {factor}", [_share(of[response]) for response in values]))
    for response, every in values.items():
        if len(usable(every)) < seeds:
            lines.append(f"{TITLES[response]}: from {len(usable(every))} of the seeds; the others made a flat picture")
    return "\n".join(lines)


def _row(name: str, cells: list[str]) -> str:
    return f"{name:{_NAME}s}" + "".join(f"{cell:>{_COLUMN}s}" for cell in cells)


def _effect(row: Effect) -> str:
    digits = _DIGITS[row.response]
    return f"{row.mean:9.{digits}f}{row.effect:+9.{digits}f}{(row.high - row.low) / 2:8.{digits}f}"


def _share(share: Explained) -> str:
    return f"{100 * share.share:.1f} % ({100 * share.low:.1f}-{100 * share.high:.1f})"
