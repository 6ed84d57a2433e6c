"""Many runs: every configuration with every seed, over processes, and the difference that a setting makes."""

import csv
import hashlib
import math
import os
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ganchroma._arrays import check_flag, check_integer
from ganchroma._arrays import shown as as_shown
from ganchroma._factor_analysis import student
from ganchroma._files import csv_field, write_text
from ganchroma.runtime import resolve_workers
from ganchroma.torch.experiments.config import Config, check_seed
from ganchroma.torch.experiments.history import History
from ganchroma.torch.experiments.plots import plot_runs
from ganchroma.torch.experiments.processes import here, over_processes, refuse_in_a_new_process
from ganchroma.torch.experiments.training import check_folder

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Failure", "Interval", "Sweep", "sweep"]

_LONGEST = 200  # characters of a name in that of a folder: file systems take 255 in all


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


@dataclass(frozen=True, slots=True)
class Failure:
    """A run that did not come to its end, and not because of Ctrl-C.

    Attributes
    ----------
    name : str
        Of its configuration.
    seed : int
    reason : str
        Where it diverged, or the error; `run` of the same configuration and seed shows where that comes from.
    history : History or None
        What came before, of a run that diverged.
    """

    name: str
    seed: int
    reason: str
    history: History | None = None

    def __str__(self) -> str:
        return f"{self.name}, seed {self.seed}: {self.reason}"


@dataclass(frozen=True, repr=False)
class Sweep:
    """The runs of a sweep.

    Attributes
    ----------
    runs : dict
        Name of the configuration -> seed -> History, complete ones alone.
    complete : bool
        Whether no run is missing: an interrupt leaves those that were done.
    failures : tuple of Failure
        Runs that diverged, or met an error; the others went on.
    """

    runs: Mapping[str, Mapping[int, History]]
    complete: bool
    failures: tuple[Failure, ...] = ()

    def __repr__(self) -> str:
        count = sum(map(len, self.runs.values()))
        failed = f", {len(self.failures)} failed" if self.failures else ""
        return f"Sweep({', '.join(map(repr, self.runs))}: {count} runs{failed}, complete={self.complete})"

    def rows(self) -> list[dict[str, Any]]:
        """A table: one run a row, with its name, its seed and `History.measures`."""
        return [
            {"name": name, "seed": seed, **history.measures()}
            for name, seeds in self.runs.items()
            for seed, history in sorted(seeds.items())
        ]

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """The table as a file; one that stands there is replaced as by `ChromaStats.save`."""
        _write_rows(path, self.rows())

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
    seeds: int | Iterable[int] = 3,
    *,
    workers: int | None = None,
    out: str | os.PathLike[str] | None = None,
    shown: bool = True,
) -> Sweep:
    """Run every configuration with every seed.

    A script has to call this under ``if __name__ == "__main__":``, unless `workers` is 1: every process imports it.

    Parameters
    ----------
    configs : mapping
        Name -> Config; its own seed is not used.
    seeds : int or iterable of int
        How many, from 0, or which.
    workers : int, optional
        Processes, each working on one thread; by default one a core. 1 runs them here. The results are the same.
    out : path, optional
        Folder with one folder a run, and ``runs.csv``, with the runs of earlier sweeps there too: a sweep that stopped
        goes on there. Folders have the names of the configurations, as far as files can have them; where two would be
        alike, or too long, a checksum is added.
    shown : bool
        Whether a progress bar may appear.

    Returns
    -------
    Sweep
        Of what was done when Ctrl-C was pressed, if it was. A run that diverges or fails does not stop the others: it
        is in `Sweep.failures`, and in a RuntimeWarning at the end.

    Raises
    ------
    ImportError
        If a package is missing that the photographs, or saving, need.
    NotADirectoryError
        If `out` is a file.
    RuntimeError
        If no process could start.
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
    refuse_in_a_new_process()
    _check_configs(configs)
    chosen = _seeds(seeds)
    folder = None if out is None else check_folder(out, "out")
    if folder is not None:
        _read_rows(folder)  # what is wrong with them is said before hours of work
    places = _folder_names(configs)
    jobs = {
        (name, seed): (replace(config, seed=seed), None if folder is None else folder / f"{places[name]}-{seed}")
        for name, config in configs.items()
        for seed in chosen
    }
    count = min(len(jobs), resolve_workers(workers))
    shown = check_flag(shown, "shown")
    done = here(jobs, shown) if count == 1 else over_processes(jobs, count, shown)
    runs: dict[str, dict[int, History]] = {name: {} for name in configs}
    failures = []
    for name, seed in jobs:
        outcome = done.get((name, seed))
        if outcome is not None and outcome.reason:
            failures.append(Failure(name, seed, outcome.reason, outcome.history))
        elif outcome is not None and outcome.history is not None:
            runs[name][seed] = outcome.history
    found = Sweep(runs, sum(map(len, runs.values())) == len(jobs), tuple(failures))
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        told = {(_written(name), str(seed)) for (name, seed), outcome in done.items() if outcome.history is not None}
        earlier = [row for row in _read_rows(folder) if (row["name"], row["seed"]) not in told]
        _write_rows(folder / "runs.csv", [*earlier, *found.rows()])
    for category, text in dict.fromkeys(warning for outcome in done.values() for warning in outcome.warned):
        warnings.warn(text, category, stacklevel=2)
    if failures:
        listed = "".join(f"\n  {failure}" for failure in failures)
        warnings.warn(f"{len(failures)} of {len(jobs)} runs failed:{listed}", RuntimeWarning, stacklevel=2)
    return found


def _read_rows(folder: Path) -> list[dict[str, Any]]:
    """The table in the folder of a sweep; empty where there is none."""
    path = folder / "runs.csv"
    if not path.is_file():
        return []
    with open(path, encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file, restval="", strict=True)
        try:
            rows = list(reader)
            columns = set(reader.fieldnames or ("name", "seed"))
            sound = {"name", "seed"} <= columns and not any(None in row for row in rows)
        except (csv.Error, UnicodeDecodeError):
            sound = False
    if not sound:
        raise ValueError(f"out: {path} is no table of runs; move it, or take another folder")
    return rows


def _write_rows(path: str | os.PathLike[str], rows: list[dict[str, Any]]) -> None:
    columns = list(dict.fromkeys(["name", "seed", *(key for row in rows for key in row)]))
    table = [columns, *([row.get(column, "") for column in columns] for row in rows)]
    write_text(path, "".join(",".join(csv_field(str(value)) for value in line) + "\n" for line in table))


def _written(name: str) -> str:
    """A name as it is read again: `write_text` has escapes for what UTF-8 has not."""
    return name.encode(errors="backslashreplace").decode()


def _check_configs(configs: Any) -> None:
    if not isinstance(configs, Mapping) or not configs:
        raise TypeError(f"configs must map names to Config, at least one; got {as_shown(configs)}")
    for name, config in configs.items():
        if not isinstance(name, str):
            raise TypeError(f"configs must map names to Config; got the name {as_shown(name)}, which is no string")
        if not isinstance(config, Config):
            raise TypeError(f"configs must map names to Config; {name!r} is {as_shown(config)}")


def _seeds(seeds: Any) -> list[int]:
    if isinstance(seeds, int | np.integer):
        return list(range(check_integer(seeds, "seeds", 1)))
    if isinstance(seeds, str | bytes) or not isinstance(seeds, Iterable):
        raise TypeError(f"seeds must be an integer, how many, or several, which; got {as_shown(seeds)}")
    chosen = [check_seed(seed, "seeds") for seed in seeds]
    if not chosen:
        raise ValueError("seeds holds none; accepted: an integer, how many, or at least one, which")
    return chosen


def _folder_names(names: Iterable[str]) -> dict[str, str]:
    """Configuration -> what its folders are called, before the seed: no two alike, on any file system."""
    plain = {name: re.sub(r"[^A-Za-z0-9._=+-]+", "-", name) for name in names}
    alike = Counter(text.lower() for text in plain.values())
    found = {
        name: text
        if alike[text.lower()] == 1 and len(text) <= _LONGEST
        else f"{text[:_LONGEST]}-{hashlib.sha256(name.encode(errors='surrogatepass')).hexdigest()[:12]}"
        for name, text in plain.items()
    }
    if len({text.lower() for text in found.values()}) < len(found):
        raise ValueError(f"configs: two of the names {', '.join(map(repr, names))} would share a folder; rename one")
    return found
