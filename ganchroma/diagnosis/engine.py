"""From suspicions to findings: the smallest set of remedies that brings the display into the healthy band.

The engine knows no cause. It asks each one for its signs, tries the remedies of those that show some, alone and
together, and keeps the smallest set after which the picture is visible, coloured and not clipped. Ranking single
remedies by the colour they bring would fail: clipping and saturation raise chroma, and two faults that each suffice to
make a picture gray have no single remedy.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any

import numpy as np

from ganchroma.diagnosis.causes import CAUSES
from ganchroma.diagnosis.evidence import Evidence
from ganchroma.diagnosis.signs import channels_agree
from ganchroma.diagnosis.suspicion import FACT, POSSIBLE, SIGN, Cause, Suspicion
from ganchroma.diagnosis.thresholds import (
    ALL_ALIKE_SHARE,
    CONFIDENCE,
    FIXED_PATTERN_SHARE,
    NOT_FINITE,
    POSSIBLE_CONFIDENCE,
)
from ganchroma.diagnosis.trace import measure_display, trace
from ganchroma.stages import Display, Trace

MOST_REMEDIES = 3


@dataclass(frozen=True)
class Finding:
    """One cause, as found.

    Attributes
    ----------
    name, kind : str
        The cause; `kind` is one of the ten general ones, "not_finite" or "healthy".
    status : str
        "found", or "possible" where the evidence neither shows it nor rules it out.
    evidence : dict
        The numbers.
    reason, remedy : str
    code : str or None
    badness_after : float or None
        Badness of the display with this remedy alone; None where it can't be tried.
    after : Display or None
    masked : bool
        Whether it showed only after the other remedies were applied.
    stage : str or None
        Where the colour goes; None for where it goes by most faults of the kind.
    confidence : float
        How often such a finding is right, 0 to 1, as counted on labelled cases: see docs/confusion.md.
    """

    name: str
    kind: str
    status: str = "found"
    evidence: dict[str, Any] = field(default_factory=dict)
    reason: str = ""
    remedy: str = ""
    code: str | None = None
    badness_after: float | None = None
    after: Display | None = None
    masked: bool = False
    stage: str | None = None
    confidence: float = 1.0


@dataclass(frozen=True)
class Answer:
    """Everything the engine found out.

    Attributes
    ----------
    remedies : list of str
        Names of the smallest sufficient set; empty if nothing has to change or nothing suffices.
    alternatives : list of list of str
        Other sets of the same size that suffice as well.
    after : Trace or None
        The trace with `remedies` applied.
    settle : list of str
        Which further input would settle what stayed open.
    """

    evidence: Evidence
    trace: Trace
    findings: list[Finding]
    notes: list[str]
    remedies: list[str]
    alternatives: list[list[str]]
    after: Trace | None
    settle: list[str]


def answer(evidence: Evidence, causes: Sequence[Cause] = CAUSES) -> Answer:
    """Find the causes in this evidence; where pictures do not follow from layer and features, in either by itself."""
    found = _Search(evidence, causes).answer()
    network = evidence.network_alone
    if network is None:
        return found
    apart = [
        replace(cause, reason=f"layer and features by themselves: {cause.reason}", after=None, badness_after=None)
        for cause in answer(network, causes).findings
        if cause.status == "found" and cause.kind != "healthy"
    ]
    names = {cause.name for cause in apart}
    seen = [cause for cause in found.findings if cause.name not in names and not (apart and cause.kind == "healthy")]
    return replace(found, findings=[*apart, *seen])


class _Search:
    """One diagnosis: the suspects of this evidence, and every set of remedies tried so far."""

    def __init__(self, evidence: Evidence, causes: Sequence[Cause]) -> None:
        self.evidence = evidence
        self.trace = trace(evidence)
        self.causes = causes
        self.suspects: dict[str, tuple[Cause, Suspicion]] = {}
        self.remediable: set[str] = set()  # suspects whose remedy can be tried
        self.unmasked: set[str] = set()  # suspects that showed only behind other remedies
        self._displays: dict[tuple[str, ...], Display | None] = {(): self.trace.display}
        self.suspect(evidence, self.trace)

    def suspect(self, evidence: Evidence, measured: Trace) -> None:
        """Add the causes that show their signs in this evidence."""
        for cause in self.causes:
            suspicion = None if cause.name in self.suspects else cause.suspect(evidence, measured)
            if suspicion is None:
                continue
            self.suspects[cause.name] = cause, suspicion
            if suspicion.strength != POSSIBLE and cause.remedy(evidence) is not None:
                self.remediable.add(cause.name)

    def answer(self) -> Answer:
        chosen, alternatives = self.smallest_sets()
        findings = self.findings(chosen, len(alternatives))
        listed = {finding.name for finding in findings}
        settle = [
            suspicion.settle
            for name, (_, suspicion) in self.suspects.items()
            if suspicion.settle and (name in listed or not findings)
        ]
        solved = bool(chosen) and self.sufficient(chosen)
        spoiled = self.spoiled()
        if spoiled is not None:
            findings = [spoiled, *(finding for finding in findings if finding.status == "found")]
        else:
            findings = self.with_soundness(findings) if findings else self.nothing_found()
        return Answer(
            evidence=self.evidence,
            trace=self.trace,
            findings=findings,
            notes=self.notes(),
            remedies=list(chosen) if solved else [],
            alternatives=[list(other) for other in alternatives],
            after=trace(self.apply(chosen)) if solved else None,
            settle=settle,
        )

    def named(self, strength: str) -> list[str]:
        """Suspects of that strength, in the order of the causes."""
        return [
            cause.name
            for cause in self.causes
            if cause.name in self.suspects and self.suspects[cause.name][1].strength == strength
        ]

    def apply(self, names: Sequence[str]) -> Evidence:
        """The evidence with these remedies applied, in the order in which colour passes the causes."""
        evidence = self.evidence
        for cause in self.causes:
            if cause.name in names:
                evidence = cause.remedy(evidence) or evidence
        return evidence

    def display(self, names: tuple[str, ...]) -> Display | None:
        if names not in self._displays:
            self._displays[names] = measure_display(self.apply(names))
        return self._displays[names]

    def sufficient(self, names: tuple[str, ...]) -> bool:
        display = self.display(names)
        return display is not None and display.healthy

    def smallest_sets(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        """The chosen set and its equals. It holds every fact with a remedy; signs come in only as far as needed.

        Two faults can hide each other, a tiny amplitude a huge gain: where no set is enough, the best of them is
        applied and what it uncovers is suspected too. Without any solution, the facts.
        """
        if self.trace.display is None:
            return (), []
        while True:
            facts = tuple(name for name in self.named(FACT) if name in self.remediable)
            signs = [name for name in self.signs_behind(facts) if name in self.remediable]
            tried = []
            for size in range(max(MOST_REMEDIES - len(facts), 0) + 1):
                sets = [self.ordered(facts + extra) for extra in combinations(signs, size)]
                enough = sorted((names for names in sets if self.sufficient(names)), key=self.badness)
                if enough:
                    return enough[0], enough[1:]
                tried += sets
            best = min(tried, key=self.badness)
            if not best or not self.uncover(best):
                return facts, []

    def signs_behind(self, facts: tuple[str, ...]) -> list[str]:
        """The signs that are still there with the facts put right: what a fact explains needs no other cause."""
        names = self.named(SIGN)
        if not facts or not names:
            return names
        evidence = self.apply(facts)
        measured = trace(evidence)
        return [name for name in names if self.suspect_again(name, evidence, measured) is not None]

    def suspect_again(self, name: str, evidence: Evidence, measured: Trace) -> Suspicion | None:
        """What of a suspicion is left in other evidence: its own cause, or one that the same remedy puts right, as
        where what was too large by its mean is so by its contrast now."""
        cause = self.suspects[name][0]
        alike = [cause, *(other for other in self.causes if other.remedy is cause.remedy)]
        return next(filter(None, (other.suspect(evidence, measured) for other in alike)), None)

    def uncover(self, names: tuple[str, ...]) -> bool:
        """Suspect again behind these remedies; whether that shows a cause with a remedy."""
        before = set(self.suspects)
        remedied = self.apply(names)
        self.suspect(remedied, trace(remedied))
        new = {name for name in self.suspects if name not in before and name in self.remediable}
        for name in set(self.suspects) - before - new:
            del self.suspects[name]
        self.unmasked |= new
        return bool(new)

    def ordered(self, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(cause.name for cause in self.causes if cause.name in names)

    def badness(self, names: tuple[str, ...]) -> float:
        display = self.display(names)
        return float("inf") if display is None or np.isnan(display.badness) else display.badness

    def findings(self, chosen: tuple[str, ...], alternatives: int) -> list[Finding]:
        """Members of the chosen set, most needed first, then facts no remedy was tried for; all signs if unsolved."""

        def rank(name: str) -> tuple[bool, float]:
            return name in self.unmasked, -self.badness(tuple(other for other in chosen if other != name))

        names = sorted(chosen, key=rank) + [name for name in self.named(FACT) if name not in chosen]
        if not self.sufficient(chosen):
            names += [name for name in self.named(SIGN) if name not in names]
            if not self.named(FACT):
                names += sorted(self.named(POSSIBLE), key=lambda name: -POSSIBLE_CONFIDENCE.get(name, 0.0))
        return [self.finding(name, chosen, alternatives) for name in names]

    def code(self, name: str, chosen: tuple[str, ...]) -> str | None:
        """A remedy as Python, for where the chosen remedies that colour passes before it are carried out, too."""
        suspicion = self.suspects[name][1]
        earlier = chosen[: chosen.index(name)] if name in chosen else ()
        if not earlier:
            return suspicion.code
        evidence = self.apply(earlier)
        again = self.suspect_again(name, evidence, trace(evidence))
        return suspicion.code if again is None else again.code

    def finding(self, name: str, chosen: tuple[str, ...] = (), alternatives: int = 0) -> Finding:
        cause, suspicion = self.suspects[name]
        confidence = CONFIDENCE[suspicion.strength]
        if suspicion.strength == SIGN:
            confidence /= 1 + alternatives
        elif suspicion.strength == POSSIBLE:
            confidence = POSSIBLE_CONFIDENCE.get(name, confidence)
        alone = name in self.remediable and name not in self.unmasked
        after = self.display((name,)) if alone else None
        return Finding(
            name=cause.name,
            kind=cause.kind,
            status="possible" if suspicion.strength == POSSIBLE else "found",
            evidence=suspicion.evidence,
            reason=suspicion.reason,
            remedy=suspicion.remedy,
            code=self.code(name, chosen),
            badness_after=None if after is None else after.badness,
            after=after,
            masked=name in self.unmasked,
            stage=suspicion.stage,
            confidence=confidence,
        )

    def with_soundness(self, findings: list[Finding]) -> list[Finding]:
        """Beside possibilities alone, that nothing is wrong: a coloured picture may be near the ends by its subject."""
        display = self.trace.display
        certain = any(finding.status == "found" for finding in findings)
        if certain or display is None or channels_agree(self.trace):
            return findings
        healthy = replace(self.healthy(), confidence=min(CONFIDENCE["subject"], _rest(findings)))
        return sorted([*findings, healthy], key=lambda finding: -finding.confidence)

    def nothing_found(self) -> list[Finding]:
        """No cause, or what the picture leaves open although it is visible, coloured and not clipped; the likeliest
        first."""
        healthy = self.healthy()
        named = self.named(POSSIBLE) if self.trace.display is not None and self.trace.display.healthy else []
        open_ones = [self.finding(name) for name in named if self.suspects[name][1].stands_alone]
        if not open_ones:
            return [healthy]
        healthy = replace(healthy, status="possible", confidence=min(healthy.confidence, _rest(open_ones)))
        return sorted([healthy, *open_ones], key=lambda finding: -finding.confidence)

    def spoiled(self) -> Finding | None:
        """That too many pixels are no numbers, or without a picture any of what makes it; None where the rest can be
        judged."""
        display, module = self.trace.display, self.evidence.module
        if display is None:
            reason = "; ".join(self.not_finite())
            return _not_finite(reason, {}, self.spoiled_at()) if reason else None
        count, measured = display.summary.nonfinite, display.summary.within.count
        if count <= NOT_FINITE * (count + measured):
            return None
        share = count / (count + measured)
        reason = f"{100 * share:.0f} % of the pixels, {count:,} of {count + measured:,}, are NaN or infinite"
        spoiled = [not np.isfinite(plane).all() for plane in self.evidence.picture[0].swapaxes(0, 1)]
        if not all(spoiled):
            reason += f" in {' and '.join(name for name, one in zip('RGB', spoiled, strict=True) if one)}"
        return _not_finite(
            f"{reason}: {module.not_finite}" if module.not_finite else reason,
            {"nonfinite_share": share, "nonfinite_pixels": count},
            self.spoiled_at() if measured else None,
        )

    def spoiled_at(self) -> str:
        layer, features = self.evidence.layer, self.evidence.features
        if features is not None and not np.isfinite(features).all():
            return "features"
        parts = () if layer is None else (layer.weight, layer.bias)
        return "display" if all(part is None or np.isfinite(part).all() for part in parts) else "linear"

    def healthy(self) -> Finding:
        """What to say where no cause was found; "possible" where that is not the same as sound."""
        display = self.trace.display
        if display is None:
            reason = "there is no picture to judge; nothing that was given shows a fault"
            return Finding("healthy", "healthy", "possible", reason=reason, confidence=CONFIDENCE[POSSIBLE])
        summary = display.summary
        levels, near = summary.within.std_levels, display.near_end_share
        numbers = {
            "std_levels": levels,
            "chroma": summary.chroma,
            "achromatic_share": summary.within.achromatic_share,
            "near_end_share": near,
        }
        seen = (
            f"{levels:.0f} levels of contrast, C*ab {summary.chroma:.1f}, "
            f"{100 * near:.0f} % of the values within 1 % of an end of the range"
        )
        if display.healthy:
            status, reason = "found", f"the picture is visible, coloured and not clipped: {seen}"
            confidence = CONFIDENCE[SIGN if self.evidence.computed else "pictures"]
            if self.evidence.unrelated:
                status, confidence = "possible", CONFIDENCE[POSSIBLE]
                reason += "; but it does not follow from layer and features, so an unknown step lies between"
        else:
            status, confidence = "possible", CONFIDENCE[POSSIBLE]
            reason = (
                f"outside the healthy band ({seen}), but no known fault shows its signs: "
                "a dark or pale subject looks like this too"
            )
        badness = display.badness
        return Finding("healthy", "healthy", status, numbers, reason, badness_after=badness, confidence=confidence)

    def notes(self) -> list[str]:
        """Remarks that are no cause of gray."""
        found = []
        if self.evidence.unrelated:
            found.append(
                "the pictures do not follow from layer and features by any display path known: another batch, another "
                "order, or another step lies between; they were judged by themselves"
            )
        found += self.not_finite()
        order = self.evidence.step("order")
        if order is not None:
            found.append(order.detail)
        remarks = [c.remark(self.evidence) for c in self.causes if c.remark is not None and c.name not in self.suspects]
        found += filter(None, remarks)
        display = self.trace.display
        if display is None:
            return found
        summary = display.summary
        if display.healthy:
            unlisted = [name for name in self.named(POSSIBLE) if not self.suspects[name][1].stands_alone]
            unlisted += [name for name in self.named(SIGN) if name not in self.remediable]
            found += [self.suspects[name][1].reason for name in unlisted]
        if summary.within.std_levels < 1:
            found.append(
                "under one level of contrast the share, correlation and angle of the 8-bit picture mean nothing; "
                "those of the stages before it do"
            )
        if summary.nonfinite:
            where = self.evidence.module.not_finite
            left_out = f"{summary.nonfinite:,} pixels with NaN or infinite values were left out"
            found.append(f"{left_out}: {where}" if where and self.spoiled() is None else left_out)
        if summary.fixed is not None and summary.within.std_levels >= 1:
            share = float(np.trace(summary.fixed.covariance) / np.trace(summary.within.covariance))
            if share > ALL_ALIKE_SHARE:
                found.append("all images are all but the same one: mode collapse, or one latent repeated")
            elif share > FIXED_PATTERN_SHARE:
                found.append(
                    f"{100 * share:.0f} % of the images' energy is one fixed pattern, "
                    "the same in every image: it is no diversity"
                )
        return found

    def not_finite(self) -> list[str]:
        """Where NaN and infinity are, for a reader who must look there first."""
        found = []
        layer, features = self.evidence.layer, self.evidence.features
        for name, part in () if layer is None else (("weights", layer.weight), ("biases", layer.bias)):
            if part is not None and not np.isfinite(part).all():
                found.append(f"the head's {name} hold NaN or infinite values: look there first")
        if features is not None and not np.isfinite(features).all():
            found.append("the features hold NaN or infinite values: look before the head first")
        return found


def _not_finite(reason: str, evidence: dict[str, Any], stage: str | None) -> Finding:
    return Finding(
        "not_finite",
        "not_finite",
        evidence=evidence,
        reason=reason,
        remedy="look where they begin; a training that diverged goes on from its last finite weights, with a smaller "
        "learning rate",
        stage=stage,
        confidence=CONFIDENCE[FACT],
    )


def _rest(findings: Sequence[Finding]) -> float:
    """What these possibilities leave for none of them."""
    return 1 - min(sum(finding.confidence for finding in findings), 0.95)
