"""The words of a report: what each stage and cause is called, and the answer as text."""

import math
import textwrap
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from ganchroma._files import printable
from ganchroma.color import NATURAL
from ganchroma.diagnosis.engine import Finding
from ganchroma.stages import Trace

if TYPE_CHECKING:
    from ganchroma.diagnosis.report import Diagnosis

STAGES = ("features", "linear", "activation", "display", "reference")
STAGE_MEANING = {
    "features": "input of the head",
    "linear": "after the three filters",
    "activation": "the network's image",
    "display": "what you look at",
    "reference": "the data to resemble",
}
WIDTH = 100

# kind -> {stage where the colour goes: the sentence that says so}; where a finding names no stage, the first
ANSWERS = {
    "healthy": {"": "Nowhere: the colour is there."},
    "not_finite": {
        "": "There is nothing to see: every pixel is NaN or infinite.",
        "features": "Lost before the head: NaN or infinite values came out of it.",
        "linear": "Lost in the head: its weights or biases are NaN or infinite in part.",
        "display": "Lost to values that are no numbers: NaN or infinity came out.",
    },
    "flat_amplitude": {
        "linear": "Too faint to see: the picture hardly varies.",
        "features": "Too faint to see: the hidden layers are not normalised, so the picture hardly varies.",
    },
    "dead_filter": {"linear": "Lost in part, in the head: a filter makes nothing, so its channel never varies."},
    "identical_filters": {"linear": "Lost in the head: its three filters are alike, so R, G and B are too."},
    "saturation": {"activation": "Lost at the ends of the range: most values stick there."},
    "feature_collapse": {"features": "Lost before the head: the features hold one pattern, which gives one tint."},
    "layout_reshape": {"display": "Lost on the way to the screen: the array was reshaped, not transposed."},
    "display_channel": {"display": "Lost on the way to the screen: one channel was drawn three times."},
    "range_mismatch": {"display": "Lost on the way to the screen: the values were read in the wrong range."},
    "gray_data": {"reference": "It was never there: gray data, or what was learned from it."},
}


def place(finding: Finding) -> str:
    """The stage where the colour goes by this finding; "" where it is all there."""
    return next(iter(ANSWERS[finding.kind])) if finding.stage is None else finding.stage


def sentence(finding: Finding) -> str:
    """The answer that this finding gives."""
    return ANSWERS[finding.kind][place(finding)]


def unsettled(findings: Sequence[Finding], gray: bool) -> str:
    """The answer where nothing is certain."""
    names = [finding.name for finding in findings]
    if names == ["healthy"]:
        return "No known fault shows in what was given."
    if "healthy" in names:
        doubts = ", ".join(name for name in names if name != "healthy")
        return f"The colour is there; what was given leaves possible: {doubts}."
    opening = "The picture is gray, and w" if gray else "W"
    return f"{opening}hat was given does not say why; possible: {', '.join(names)}."


def needs(remedies: Sequence[str]) -> str:
    """That one remedy alone is not enough."""
    count = "both" if len(remedies) == 2 else f"all {len(remedies)}"
    return f"It needs {count}: {', '.join(remedies[:-1])} and {remedies[-1]}."


def summary(diagnosis: "Diagnosis") -> str:
    """The whole answer as text."""
    parts = [_wrap(f"{printable(diagnosis.name)}: where did the colour go?"), _wrap(diagnosis.headline, "  ")]
    if diagnosis.before is not None:
        parts.append(_wrap(f"What if: {diagnosis.change}{_change(diagnosis)}", "  "))
    parts += [_wrap(diagnosis.about, "  "), ""] if diagnosis.head_name is not None else [""]
    parts += _stage_table(diagnosis)
    for rank, finding in enumerate(diagnosis.causes, 1):
        parts += ["", *_finding_text(rank, finding, diagnosis.trace)]
    if diagnosis.remedies:
        parts += ["", _wrap(f"Remedies that together suffice: {', '.join(diagnosis.remedies)}{_effect(diagnosis)}")]
    parts += [_wrap(f"Or: {', '.join(other)}") for other in diagnosis.alternatives]
    remarks = [_wrap(line, "", "      ") for line in remark_lines(diagnosis)]
    return "\n".join([*parts, "", *remarks] if remarks else parts)


def remark_lines(diagnosis: "Diagnosis") -> list[str]:
    """How the head learns, notes, then what would settle what stayed open."""
    learning = [] if diagnosis.learning is None else [f"Learning: {line}" for line in diagnosis.learning.lines()]
    return (
        learning
        + [f"Note: {note}" for note in diagnosis.notes]
        + [f"To settle it: {text}" for text in diagnosis.settle]
    )


def number(value: Any, digits: int = 2) -> str:
    """A number for reading; a dash where there is none."""
    if value is None or not math.isfinite(value):
        return "-"
    return f"{value:z.{digits}f}"


def features_line(details: dict[str, Any]) -> str:
    """The stage `features` in words."""
    return (
        f"{details['channels']} channels, patch participation ratio {number(details['participation_ratio'], 1)}, "
        f"{number(100 * _or_nan(details['mean_share']), 0)} % of the energy is its mean"
    )


def _or_nan(value: Any) -> float:
    return math.nan if value is None else float(value)


def _wrap(text: str, indent: str = "", hanging: str | None = None) -> str:
    return textwrap.fill(
        text,
        WIDTH,
        initial_indent=indent,
        subsequent_indent=indent if hanging is None else hanging,
        break_on_hyphens=False,
    )


def _stage_table(diagnosis: "Diagnosis") -> list[str]:
    rows: list[tuple[str, ...]] = [("", "std", "achrom.", "correlation", "", "", "eff.", "gray", "mean", "", "")]
    rows.append(("stage", "levels", "share", "RG", "RB", "GB", "rank", "angle", "R", "G", "B"))
    lines: dict[int, str] = {}
    for stage in diagnosis.trace.stages:
        if stage.moments is None:
            lines[len(rows)] = features_line(stage.details)
            rows.append((stage.name, *[""] * 10))
        else:
            rows.append((stage.name, *moments_cells(stage.moments)))
    if has_own_reference(diagnosis.trace):
        rows.append(("(natural)", *moments_cells(NATURAL)))
    widths = [max(len(row[column]) for index, row in enumerate(rows) if index not in lines) for column in range(11)]
    marks = {stage: {"found": "<- here", "possible": "<- here?"}[status] for stage, status in diagnosis.lost_at.items()}
    text = []
    for index, row in enumerate(rows):
        cells = f"{row[0]:10s}  " + "  ".join(
            f"{cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=True)
        )
        line = f"{row[0]:10s}  {lines[index]}" if index in lines else cells
        text.append(f"  {line.rstrip()}  {marks.get(row[0], '')}".rstrip())
    display = diagnosis.trace.display
    if display is not None:
        text += ["", f"  {display_line(display.to_dict())}"]
    return text


def has_own_reference(trace: Trace) -> bool:
    """Whether the stage `reference` is the user's data set, so that natural images are worth a line of their own."""
    return "reference" not in trace or trace["reference"].moments is not NATURAL


def moments_cells(moments: Any) -> Sequence[str]:
    """std, share, three correlations, rank, angle, mean; the mean in the stage's own range."""
    return (
        number(moments.std_levels, 1),
        number(moments.achromatic_share, 3),
        *(number(value) for value in moments.correlation),
        number(moments.effective_rank),
        number(moments.gray_angle_degrees, 1),
        *(number(value) for value in moments.mean),
    )


def display_line(display: dict[str, Any]) -> str:
    """What the display stage looks like, in one line."""
    return (
        f"on screen: colourfulness M3 {number(display['colorfulness'], 1)}, "
        f"chroma C*ab {number(display['chroma'], 1)}, "
        f"gray pixels {number(100 * _or_nan(display['gray_pixel_share']), 1)} %, badness {number(display['badness'])}"
    )


def together(names: Sequence[str]) -> str:
    """Names of remedies that are applied together."""
    return " + ".join(names)


def effect(before: dict[str, Any], after: dict[str, Any]) -> str:
    """What a remedy changes on the screen."""
    return (
        f"badness {number(before['badness'])} -> {number(after['badness'])}, "
        f"std {number(before['std_levels'], 1)} -> {number(after['std_levels'], 1)} levels, "
        f"chroma {number(before['chroma'], 1)} -> {number(after['chroma'], 1)}"
    )


def status_mark(finding: Finding) -> str:
    """What a reader must know about how sure a finding is; nothing where it is plainly found."""
    if finding.masked:
        return " [masked by the others]"
    return "" if finding.status == "found" else f" [{finding.status}, {100 * finding.confidence:.0f} %]"


def _effect(diagnosis: "Diagnosis") -> str:
    before, after = diagnosis.trace.display, diagnosis.after.display if diagnosis.after is not None else None
    return f" ({effect(before.to_dict(), after.to_dict())})" if before is not None and after is not None else ""


def _change(diagnosis: "Diagnosis") -> str:
    old, new = (None if trace is None else trace.display for trace in diagnosis.compared)
    return f" ({effect(old.to_dict(), new.to_dict())})" if old is not None and new is not None else ""


def _finding_text(rank: int, finding: Finding, trace: Trace) -> Iterable[str]:
    title = finding.name if finding.name == finding.kind else f"{finding.name} ({finding.kind})"
    yield f"{rank}. {title}{status_mark(finding)}"
    yield _wrap(f"why:    {finding.reason}", "   ", "           ")
    if finding.remedy:
        yield _wrap(f"remedy: {finding.remedy}", "   ", "           ")
    if finding.after is not None and trace.display is not None:
        yield _wrap(f"alone:  {effect(trace.display.to_dict(), finding.after.to_dict())}", "   ", "           ")
    if finding.code:
        yield textwrap.indent(finding.code.rstrip(), " " * 11)
