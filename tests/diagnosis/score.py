"""How well the diagnosis answers the test bed: the score, the confusion matrix, how far its confidence can be trusted.

Run: python tests/diagnosis/score.py [--known] [--write]. Scores the unseen half, or the one on which thresholds were
set; with --write, docs/confusion.md holds what was printed.
"""

import argparse
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from bed import BORDERLINE, KINDS, TOGETHER, Case, cases, sets
from tqdm import tqdm

import ganchroma as gch

PAGE = Path(__file__).resolve().parents[2] / "docs" / "confusion.md"
BINS = (0.0, 0.3, 0.6, 0.9, 0.98, 1.0)


@dataclass(frozen=True)
class Result:
    """A case and what was answered: kinds, the first cause first."""

    case: Case
    found: tuple[str, ...]
    possible: tuple[str, ...]
    named: tuple[tuple[str, float], ...]  # every kind that was named, and the confidence in it
    gray: bool

    @property
    def first(self) -> str:
        return self.named[0][0]

    @property
    def right(self) -> bool:
        return self.first in self.case.kinds

    @property
    def exact(self) -> bool:
        return set(self.found) == self.case.kinds

    @property
    def reported(self) -> bool:
        return bool(self.case.kinds & {*self.found, *self.possible})

    @property
    def misjudged(self) -> bool:
        """A sound generator called broken, or a broken one sound, without a doubt."""
        healthy = not self.case.faults
        return bool(self.found) and healthy != ("healthy" in self.found)


def ask(case: Case) -> Result:
    with gch.threads(1):  # small pictures
        answer = gch.diagnose(**case.given)
    found = tuple(cause.kind for cause in answer.causes if cause.status == "found")
    possible = tuple(cause.kind for cause in answer.causes if cause.status == "possible")
    named = tuple((cause.kind, cause.confidence) for cause in answer.causes)
    return Result(case, found, possible, named, answer.looks_gray)


@dataclass(frozen=True)
class Share:
    """So many of so many."""

    good: int
    count: int

    @classmethod
    def of(cls, results: Iterable[Result], good: Callable[[Result], bool]) -> "Share":
        judged = [good(result) for result in results]
        return cls(sum(judged), len(judged))

    @property
    def value(self) -> float:
        return self.good / max(self.count, 1)

    def __str__(self) -> str:
        return f"{self.good} of {self.count}, {100 * self.value:.1f} %"


@dataclass(frozen=True)
class Score:
    """What is asked of the diagnosis, and how far it does it."""

    singles: list[Result]
    together: list[Result]
    hidden: list[Result]  # of pictures alone that do not show their fault

    def clear(self, evidence: str) -> list[Result]:
        return [r for r in self.singles if r.case.evidence == evidence and not r.case.borderline]

    def exact_sets(self) -> dict[int, Share]:
        sizes = range(4)
        return {n: Share.of([r for r in self.together if len(r.case.faults) == n], lambda r: r.exact) for n in sizes}

    def first_cause(self) -> Share:
        return Share.of(self.clear("full"), lambda r: r.right)

    def reported_from_images(self) -> Share:
        return Share.of(self.clear("images"), lambda r: r.reported)

    def reported_of_all(self) -> Share:
        hidden = [r for r in self.hidden if not r.case.borderline]
        return Share.of(self.clear("images") + hidden, lambda r: r.reported)

    def misjudged(self) -> list[Result]:
        return [r for r in self.clear("full") + self.clear("head") if r.misjudged]

    def gray(self, truth: bool) -> Share:
        """Sensitivity, or for False specificity, of "looks gray" from pictures alone."""
        chosen = [r for r in self.singles if r.case.evidence == "images" and r.case.gray is truth]
        return Share.of(chosen, lambda r: r.gray is truth)

    def calibration(self) -> list[tuple[float, Share]]:
        """By confidence: what was claimed on average, and how often it was so."""
        claims: dict[int, list[tuple[float, bool]]] = defaultdict(list)
        for result in self.singles + self.together:
            if not result.case.borderline:
                for kind, confidence in result.named:
                    place = next(i for i, top in enumerate(BINS[1:]) if confidence <= top)
                    claims[place].append((confidence, kind in result.case.kinds))
        return [
            (sum(c for c, _ in made) / len(made), Share(sum(true for _, true in made), len(made)))
            for _, made in sorted(claims.items())
        ]


def score(half: str, *, seeds: int = 3, shown: bool = True) -> Score:
    """Every case of one half, answered."""
    every = [ask(case) for case in tqdm(cases(half, seeds), desc=f"{half}: single faults", disable=not shown)]
    singles, hidden = [r for r in every if r.case.seen], [r for r in every if not r.case.seen]
    together = [ask(case) for case in tqdm(sets(half, 2 * seeds), desc=f"{half}: sets of faults", disable=not shown)]
    return Score(singles, together, hidden)


def matrix(results: Iterable[Result], answered: Callable[[Result], str]) -> list[str]:
    """Truth down, first answer across, as a table."""
    counts = Counter((next(iter(r.case.kinds)), answered(r)) for r in results)
    kinds = [kind for kind in ("healthy", *dict.fromkeys(KINDS.values())) if any(kind in key for key in counts)]
    rows = ["| truth | " + " | ".join(kinds) + " |", "|---" * (len(kinds) + 1) + "|"]
    for truth in kinds:
        cells = [str(counts[truth, kind]) if counts[truth, kind] else "" for kind in kinds]
        rows.append(f"| {truth} | " + " | ".join(cells) + " |")
    return rows


def page(result: Score, half: str) -> str:
    exact = result.exact_sets()
    count = len(result.singles) + len(result.together)
    borders = [f"{name}: {unit} {strong} and {weak}" for name, (unit, strong, weak) in BORDERLINE.items()]
    border = [r for r in result.singles if r.case.borderline]
    missed = [r for r in result.singles if not r.case.borderline and not r.reported]
    missed += [r for r in result.together if not r.exact]
    return "\n".join(
        [
            "# How often the diagnosis is right",
            "",
            f"Written by `make confusion`: {count:,} labelled cases of the {half} half of the test bed in",
            "tests/diagnosis/, whose truth is known because each was broken on purpose. Thresholds were set on the",
            "known half; the unseen one has other architectures, initialisers and seeds. How strong a fault must be to",
            "count, and how weak to be none (what lies between is borderline and counted by itself):",
            "",
            *(f"- {border}" for border in borders),
            "",
            "| asked | found |",
            "|---|---|",
            f"| first cause right, everything known | {result.first_cause()} |",
            *(f"| exact set of {n} faults of {len(TOGETHER)} | {share} |" for n, share in exact.items()),
            f"| sound called broken or the reverse, layer and features known | {len(result.misjudged())} |",
            f"| true cause among those named, pictures alone | {result.reported_from_images()} |",
            f"| the same, with {len(result.hidden)} pictures that do not show the fault | {result.reported_of_all()} |",
            f'| "looks gray" of gray pictures | {result.gray(True)} |',
            f'| not "looks gray" of coloured ones | {result.gray(False)} |',
            f"| borderline cases: first cause that of the weaker fault | {Share.of(border, lambda r: r.right)} |",
            "",
            "## First cause, everything known",
            "",
            *matrix(result.clear("full"), lambda r: r.first),
            "",
            "## First cause, pictures alone",
            "",
            *matrix(result.clear("images"), lambda r: r.first),
            "",
            "Equal filters, one channel drawn and gray data look the same there; all three are named, with the input",
            "that would tell them apart. Left out are pictures that do not show their fault to anybody: of a network",
            "that stays loud in evaluation mode, of noise that was reshaped, of one pattern or multiples of one filter",
            "where borders and phases mix the tints, of dead filters through JPEG. They are answered as sound.",
            "",
            "## Confidence",
            "",
            "Of everything that was named with about this confidence, how much was so:",
            "",
            "| confidence | so |",
            "|---|---|",
            *(f"| {claimed:.2f} | {share} |" for claimed, share in result.calibration()),
            "",
            "The frequencies are those of the test bed, where every fault is as frequent as any other.",
            "",
            "## Missed",
            "",
            *(f"- {describe(r)}" for r in missed),
            "",
            "Equal filters without a bias make R = G = B: whether one channel of that was drawn, no picture can show.",
            "",
        ]
    )


def describe(result: Result) -> str:
    case = result.case
    faults = " + ".join(sorted(case.faults)) or "no fault"
    answer = ", ".join(result.found + tuple(f"{kind}?" for kind in result.possible))
    return f"{case.subject}, seed {case.seed}, {case.evidence}: {faults}; answered {answer}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--known", action="store_true", help="the half on which thresholds were set")
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name}")
    options = parser.parse_args()
    half = "known" if options.known else "unseen"
    text = page(score(half), half)
    sys.stdout.write(text)
    if options.write:
        PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
