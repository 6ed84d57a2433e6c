"""The diagnosis as HTML: escaped, no scripts, pictures inside, readable on light and on dark."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from html import escape
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ganchroma.color import NATURAL
from ganchroma.diagnosis.engine import Finding
from ganchroma.diagnosis.pictures import RAISED, data_uri, montage, raised_label, swatches
from ganchroma.diagnosis.words import (
    STAGE_MEANING,
    STAGES,
    display_line,
    effect,
    features_line,
    has_own_reference,
    moments_cells,
    number,
    remark_lines,
    status_mark,
)

if TYPE_CHECKING:
    from ganchroma.diagnosis.report import Diagnosis

# Colours are the surroundings' own (currentColor) with translucent accents, so one sheet serves light and dark.
STYLE = """
.gch{font:14px/1.45 system-ui,sans-serif;margin:0 0 2.5em;max-width:1060px}
.gch h2{font-size:1.1em;margin:0;font-weight:600;opacity:.7}
.gch .about{margin:.1em 0;opacity:.75}
.gch .answer{font-size:1.35em;font-weight:650;margin:.1em 0 .7em}
.gch .path{display:flex;flex-wrap:wrap;gap:6px;margin:0 0 1em}
.gch .stage{flex:1 1 150px;border:1px solid rgba(128,128,128,.4);border-top:5px solid #2a9d6e;border-radius:6px;
padding:6px 9px}
.gch .stage.found{border-top-color:#e5484d;background:rgba(229,72,77,.13)}
.gch .stage.possible{border-top-color:#e09b13;background:rgba(224,155,19,.13)}
.gch .stage.unknown{border-style:dashed;border-top:5px solid rgba(128,128,128,.4);opacity:.6}
.gch .stage b,.gch .stage small{display:block}
.gch small{opacity:.75;font-size:.85em}
.gch .stage img{width:100%;height:42px;margin:6px 0 3px;border-radius:3px}
.gch img{image-rendering:pixelated;display:block}
.gch .pictures{display:flex;flex-wrap:wrap;gap:16px;margin:0 0 1em}
.gch figure{margin:0;flex:1 1 220px;max-width:300px}
.gch figure img{width:100%}
.gch figcaption{font-size:.85em;margin:0 0 4px}
.gch .cause{border-left:5px solid #e5484d;padding:2px 0 2px 12px;margin:0 0 .9em}
.gch .cause.possible{border-color:#e09b13}
.gch .cause.healthy{border-color:#2a9d6e}
.gch .cause p{margin:.15em 0}
.gch pre{background:rgba(128,128,128,.14);padding:8px 10px;border-radius:5px;overflow-x:auto;margin:.4em 0;
font-size:.9em;text-align:left;color:inherit}
.gch table{border-collapse:collapse;font-variant-numeric:tabular-nums;margin:.5em 0;color:inherit}
.gch th,.gch td{padding:2px 9px;text-align:right;border-bottom:1px solid rgba(128,128,128,.3);background:none}
.gch th:first-child,.gch td:first-child,.gch .text{text-align:left}
.gch summary{cursor:pointer;opacity:.8}
"""

PAGE_STYLE = """
:root{color-scheme:light dark}
body{margin:28px auto;padding:0 20px;max-width:1060px;background:Canvas;color:CanvasText;
font:14px/1.45 system-ui,sans-serif}
h1{font-size:1.6em;margin:0 0 .6em}
a{color:inherit}
.gch .index{width:100%;margin-bottom:3em}
.gch .index td{vertical-align:middle;padding:5px 9px}
.gch .index img{height:44px}
"""


def fragment(diagnosis: "Diagnosis") -> str:
    """One answer, to be put into a page or a notebook."""
    causes = "".join(_cause(diagnosis, finding) for finding in diagnosis.causes)
    about = f'<p class="about">{escape(diagnosis.about)}</p>' if diagnosis.about else ""
    return (
        f'<section class="gch"><style>{STYLE}</style>'
        f"<h2>{escape(diagnosis.name)}: where did the colour go?</h2>{about}"
        f'<p class="answer">{escape(diagnosis.headline)}</p>'
        f"{_path(diagnosis)}{_pictures(diagnosis)}{causes}{_remarks(diagnosis)}{_table(diagnosis)}</section>"
    )


def anchored(diagnosis: "Diagnosis", anchor: str) -> str:
    """`fragment` under a name that `index_row` links to."""
    return f'<div id="{escape(anchor)}">{fragment(diagnosis)}</div>'


def missing(name: str, reason: str, anchor: str) -> str:
    """A case without an answer."""
    return f'<section class="gch" id="{escape(anchor)}"><h2>{escape(name)}</h2><p>{escape(reason)}</p></section>'


def whole(title: str, body: Iterable[str]) -> str:
    """A page of its own around fragments."""
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width"><title>{escape(title)}</title>'
        f"<style>{PAGE_STYLE}</style></head><body><h1>{escape(title)}</h1>\n" + "\n".join(body) + "\n</body></html>\n"
    )


def index_row(diagnosis: "Diagnosis", anchor: str) -> str:
    """A line of a page's table of contents: the answer, and two pictures to see it by."""
    panels, display = diagnosis.panels, diagnosis.trace.display
    pictures = ["", ""]
    numbers = ["-"] * 4
    if panels is not None and display is not None:
        pictures = [_image(montage(part, shown=2, columns=2), "") for part in (panels.seen, panels.stretched)]
        share = display.summary.within.achromatic_share
        seen = display.to_dict()
        numbers = [number(seen["std_levels"], 1), number(share, 3), number(seen["chroma"], 1), number(seen["badness"])]
    cells = "".join(f"<td>{cell}</td>" for cell in (*pictures, *numbers))
    return (
        f'<tr><td><a href="#{escape(anchor)}">{escape(diagnosis.name)}</a></td>'
        f'<td class="text">{escape(diagnosis.headline)}</td>{cells}</tr>'
    )


def missing_row(name: str, reason: str, anchor: str) -> str:
    """The line of a case without an answer in a page's table of contents."""
    link = f'<a href="#{escape(anchor)}">{escape(name)}</a>'
    return f'<tr><td>{link}</td><td class="text" colspan="7">no answer: {escape(reason)}</td></tr>'


def index(rows: Sequence[str]) -> str:
    """The table of contents of a page with several answers."""
    heads = (
        "case",
        "where did the colour go?",
        "as seen",
        "contrast raised, means at gray",
        "std (levels)",
        "achromatic",
        "chroma",
        "badness",
    )
    head = "".join(
        f'<th class="text">{text}</th>' if place < 4 else f"<th>{text}</th>" for place, text in enumerate(heads)
    )
    table = f'<table class="index"><tr>{head}</tr>{"".join(rows)}</table>'
    return f'<section class="gch"><style>{STYLE}</style>{table}</section>'


def _path(diagnosis: "Diagnosis") -> str:
    return f'<div class="path">{"".join(_stage(diagnosis, name) for name in STAGES)}</div>'


def _stage(diagnosis: "Diagnosis", name: str) -> str:
    title = f"<b>{name}</b><small>{escape(STAGE_MEANING[name])}</small>"
    state = diagnosis.lost_at.get(name, "")
    if name not in diagnosis.trace:
        return f'<div class="stage {state or "unknown"}">{title}<small>not given</small></div>'
    stage = diagnosis.trace[name]
    if stage.moments is None:
        return f'<div class="stage {state}">{title}<small>{escape(features_line(stage.details))}</small></div>'
    drawn = stage.moments
    if name == "linear":
        drawn = replace(drawn, value_range=diagnosis.answer.evidence.linear_range)
    colors = _image(swatches(drawn), "colours that this stage makes")
    share = number(stage.moments.achromatic_share, 3)
    text = f"{number(stage.moments.std_levels, 1)} levels, achromatic share {share}"
    return f'<div class="stage {state}">{title}{colors}<small>{text}</small></div>'


def _pictures(diagnosis: "Diagnosis") -> str:
    panels = diagnosis.panels
    if panels is None:
        return ""
    figures = [(panels.seen, "as seen"), (panels.stretched, raised_label(panels.factor))]
    if panels.after is not None and panels.after_stretched is not None:
        figures.append((panels.after, "with the remedies, as seen"))
        figures.append((panels.after_stretched, f"remedied, {raised_label(panels.after_factor)}"))
    parts = [
        f"<figure><figcaption>{caption}</figcaption>{_image(montage(part), 'pictures')}</figure>"
        for part, caption in figures
    ]
    return f'<div class="pictures">{"".join(parts)}</div><p><small>{escape(RAISED)}.</small></p>'


def _image(image: NDArray[np.uint8], alternative: str) -> str:
    return f'<img src="{data_uri(image)}" alt="{escape(alternative)}">'


def _cause(diagnosis: "Diagnosis", finding: Finding) -> str:
    kind = "" if finding.name == finding.kind else f" ({finding.kind})"
    look = "healthy" if finding.kind == "healthy" else finding.status
    title = f"<b>{escape(finding.name + kind)}</b><small>{escape(status_mark(finding))}</small>"
    parts = [f"<p>{title}</p><p>{escape(finding.reason)}</p>"]
    if finding.remedy:
        parts.append(f"<p><b>Remedy:</b> {escape(finding.remedy)}</p>")
    if finding.after is not None and diagnosis.trace.display is not None:
        change = effect(diagnosis.trace.display.to_dict(), finding.after.to_dict())
        parts.append(f"<p><small>alone: {escape(change)}</small></p>")
    if finding.code:
        parts.append(f"<pre>{escape(finding.code.strip())}</pre>")
    return f'<div class="cause {escape(look)}">{"".join(parts)}</div>'


def _remarks(diagnosis: "Diagnosis") -> str:
    lines = []
    if len(diagnosis.remedies) > 1:
        lines.append(f"Needed together: {', '.join(diagnosis.remedies)}.")
    lines += [f"Or: {', '.join(other)}." for other in diagnosis.alternatives]
    lines += remark_lines(diagnosis)
    return "".join(f"<p>{escape(line)}</p>" for line in lines)


def _table(diagnosis: "Diagnosis") -> str:
    heads = ("stage", "std (levels)", "achromatic", "RG", "RB", "GB", "eff. rank", "angle", "mean R", "G", "B")
    rows = ["<tr>" + "".join(f"<th>{text}</th>" for text in heads) + "</tr>"]
    measured = [(stage.name, stage.moments) for stage in diagnosis.trace.stages if stage.moments is not None]
    if has_own_reference(diagnosis.trace):
        measured.append(("(natural)", NATURAL))
    for name, moments in measured:
        cells = "".join(f"<td>{cell}</td>" for cell in moments_cells(moments))
        rows.append(f"<tr><td>{name}</td>{cells}</tr>")
    display = diagnosis.trace.display
    line = f"<p><small>{escape(display_line(display.to_dict()))}</small></p>" if display is not None else ""
    return f"<details><summary>All numbers</summary><table>{''.join(rows)}</table>{line}</details>"
