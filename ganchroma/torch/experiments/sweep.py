"""Many runs: every configuration with every seed, over processes, and the difference that a setting makes."""

import csv
import io
import math
import multiprocessing
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ganchroma._arrays import check_integer
from ganchroma._factor_analysis import student
from ganchroma._files import check_path, write_text
from ganchroma._progress import progress
from ganchroma.torch.experiments.config import Config
from ganchroma.torch.experiments.history import History
from ganchroma.torch.experiments.plots import plot_runs
from ganchroma.torch.experiments.training import run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Interval", "Sweep", "sweep"]


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean over seeds and its 95 % interval by Student's t; NaN ends where a single seed is left."""

    mean: float
    low: float
    high: float
    seeds: int

    @classmethod
    def of(cls, values: Iterable[float]) -> "Interval":
        """Of the values that are numbers."""
        kept = np.array([value for value in values if not math.isnan(value)])
        if not kept.size:
            return cls(math.nan, math.nan, math.nan, 0)
        half = student(kept.size - 1) * kept.std(ddof=1) / math.sqrt(kept.size) if kept.size > 1 else math.nan
        return cls(float(kept.mean()), float(kept.mean() - half), float(kept.mean() + half), int(kept.size))

    def __format__(self, spec: str) -> str:
        if not self.seeds:
            return "never"
        spec = spec or ".2f"
        half = "" if math.isnan(self.high) else f" +- {self.high - self.mean:{spec.lstrip('+')}}"
        return f"{self.mean:{spec}}{half}"


@dataclass(frozen=True)
class Sweep:
    """The runs of a sweep.

    Attributes
    ----------
    runs : dict
        Name of the configuration -> seed -> History, complete ones alone.
    complete : bool
        Whether no run is missing: an interrupt leaves those that were done.
    """

    runs: Mapping[str, Mapping[int, History]]
    complete: bool

    def rows(self) -> list[dict[str, Any]]:
        """A table: one run a row, with its name, its seed and `History.measures`."""
        return [
            {"name": name, "seed": seed, **history.measures()}
            for name, seeds in self.runs.items()
            for seed, history in sorted(seeds.items())
        ]

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """The table as a file."""
        rows = self.rows()
        text = io.StringIO()
        writer = csv.DictWriter(text, list(dict.fromkeys(key for row in rows for key in row)), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_text(path, text.getvalue())

    def plot(self, figure: "Figure | None" = None) -> "Figure":
        """Share, chroma, amplitude and filters over the steps, a line a configuration, as a matplotlib figure.

        Raises
        ------
        ImportError
            If matplotlib is missing.
        """
        return plot_runs(self.runs, figure)

    def values(self, name: str, measure: str) -> dict[int, float]:
        """Seed -> a measure of the runs of one configuration.

        Raises
        ------
        KeyError
            If there is no such configuration or measure.
        """
        if name not in self.runs:
            raise KeyError(f"no configuration {name!r}; there are {', '.join(self.runs)}")
        found = {}
        for seed, history in self.runs[name].items():
            measures = history.measures()
            if measure not in measures:
                raise KeyError(f"no measure {measure!r}; there are {', '.join(measures)}")
            found[seed] = measures[measure]
        return found

    def mean(self, name: str, measure: str) -> Interval:
        """Of a measure, over the seeds of one configuration."""
        return Interval.of(self.values(name, measure).values())

    def effect(self, name: str, measure: str, *, against: str) -> Interval:
        """How much larger a measure is than in another configuration, paired by seed."""
        here, there = self.values(name, measure), self.values(against, measure)
        return Interval.of(here[seed] - there[seed] for seed in here.keys() & there.keys())


def sweep(
    configs: Mapping[str, Config],
    seeds: int | Sequence[int] = 3,
    *,
    workers: int | None = None,
    out: str | os.PathLike[str] | None = None,
    shown: bool = True,
) -> Sweep:
    """Run every configuration with every seed.

    Parameters
    ----------
    configs : mapping
        Name -> Config; its own seed is not used.
    seeds : int or sequence of int
        How many, from 0, or which.
    workers : int, optional
        Processes, each working on one thread; by default one a core. 1 runs them here. The results are the same.
    out : path, optional
        Folder with one folder a run, and ``runs.csv``: a sweep that stopped goes on there.
    shown : bool
        Whether a progress bar may appear.

    Returns
    -------
    Sweep
        Of what was done when Ctrl-C was pressed, if it was.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or value.

    Examples
    --------
    >>> small = Config(steps=2, batch=4, width=4)
    >>> found = sweep({"standard": small, "identical": replace(small, init="identical")}, seeds=2, workers=1)
    >>> [(row["name"], row["seed"], round(row["share_0"], 1)) for row in found.rows()][2:]
    [('identical', 0, 1.0), ('identical', 1, 1.0)]
    >>> found.effect("identical", "share_0", against="standard").mean > 0.5
    True
    """
    if not configs or not all(isinstance(config, Config) for config in configs.values()):
        raise TypeError("configs must map names to Config, at least one")
    chosen = range(check_integer(seeds, "seeds", 1)) if isinstance(seeds, int) else seeds
    wanted = [(name, check_integer(seed, "seeds", 0)) for name in configs for seed in chosen]
    folder = None if out is None else Path(check_path(out, "out"))
    jobs = {
        (name, seed): (replace(configs[name], seed=seed), None if folder is None else folder / _file_name(name, seed))
        for name, seed in wanted
    }
    count = min(len(jobs), _cores() if workers is None else check_integer(workers, "workers", 1))
    done = _here(jobs, shown) if count == 1 else _over_processes(jobs, count, shown)
    runs = {name: {seed: done[name, seed] for _, seed in wanted if (name, seed) in done} for name in configs}
    found = Sweep(runs, complete=len(done) == len(jobs))
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        found.to_csv(folder / "runs.csv")
    return found


def _cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_Run = tuple[str, int]
_Job = tuple[Config, Path | None]


def _file_name(name: str, seed: int) -> str:
    return f"{re.sub(r'[^A-Za-z0-9._=+-]+', '-', name)}-{seed}"


def _one(config: Config, out: Path | None) -> History:
    return run(config, out=out, shown=False)


def _here(jobs: Mapping[_Run, _Job], shown: bool) -> dict[_Run, History]:
    done: dict[_Run, History] = {}
    for key, job in progress(list(jobs.items()), "runs", shown=shown):
        history = _one(*job)
        if not history.complete:
            break
        done[key] = history
    return done


def _over_processes(jobs: Mapping[_Run, _Job], workers: int, shown: bool) -> dict[_Run, History]:
    """Fresh processes: a forked one would inherit threads that do not run there."""
    done: dict[_Run, History] = {}
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        waiting = {pool.submit(_one, *job): key for key, job in jobs.items()}
        try:
            for _ in progress(as_completed(waiting), "runs", shown=shown, total=len(waiting)):
                pass
        except KeyboardInterrupt:
            pool.shutdown(wait=True, cancel_futures=True)  # those that run hear Ctrl-C, too, and save themselves
        for future, key in waiting.items():
            if not future.cancelled() and future.result().complete:
                done[key] = future.result()
    return done
