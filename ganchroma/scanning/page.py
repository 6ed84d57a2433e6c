"""A scan as HTML: the verdict, the colours, a histogram, and the pictures at either end."""

from collections.abc import Collection, Sequence
from html import escape
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ganchroma._files import printable
from ganchroma.color import NATURAL
from ganchroma.diagnosis.page import STYLE
from ganchroma.diagnosis.pictures import FRAME, data_uri, montage, swatches
from ganchroma.diagnosis.words import moments_cells
from ganchroma.moments import ColorMoments
from ganchroma.scanning.containers import Found, Place, inside, is_stream
from ganchroma.scanning.measuring import BIN_WIDTH, EXTREMES, Settings
from ganchroma.scanning.reading import Reader

if TYPE_CHECKING:
    from ganchroma.scanning.result import Scan

SIDE = 96  # of a thumbnail
LISTED = 200  # unreadable files by name
HEADS = ("", "std (levels)", "achromatic", "RG", "RB", "GB", "eff. rank", "angle", "mean R", "G", "B")
MORE_STYLE = """
.gch .sheet img{max-width:100%}
.gch .bars{display:flex;align-items:flex-end;height:110px;gap:1px;max-width:640px;border-bottom:1px solid}
.gch .bars i{flex:1;background:#2a9d6e;min-width:2px}
.gch .axis{display:flex;justify-content:space-between;max-width:640px}
.gch .swatch img{width:160px;height:42px;border-radius:3px}
"""


def tiles(places: Collection[Place], settings: Settings) -> dict[Place, NDArray[np.uint8]]:
    """Thumbnails, read anew: of one file all in one go. What is gone by now is left out."""
    reader, found = Reader(settings.value_range, settings.layout), {}
    for path in dict.fromkeys(place.path for place in places):
        wanted = [place for place in places if place.path == path]
        for item in inside(path) if is_stream(path) else map(Found, wanted):
            if item.place not in wanted:
                continue
            try:
                picture = reader.read(item).pixels[0].transpose(1, 2, 0)
            except Exception:  # it was there when it was measured, and its numbers are in the list below
                continue
            found[item.place] = _tile(picture)
    return found


def contact_sheet(pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8] | None:
    """Tiles in a grid; None where there is none."""
    return montage(np.stack(pictures), shown=EXTREMES, columns=8) if pictures else None


def _tile(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Thinned to the size of a tile by a whole step and put into its middle: every pixel is one of the picture's."""
    step = -(-max(picture.shape[:2]) // SIDE)
    small = picture[::step, ::step]
    height, width = small.shape[:2]
    tile = np.full((SIDE, SIDE, 3), FRAME, np.uint8)
    top, left = (SIDE - height) // 2, (SIDE - width) // 2
    tile[top : top + height, left : left + width] = small
    return tile


def fragment(scan: "Scan", grayest: NDArray[np.uint8] | None, most_colorful: NDArray[np.uint8] | None) -> str:
    """The answer, to be put into a page or a notebook."""
    state = "" if scan.complete else " Interrupted: this is not all of them."
    about = f"{scan.images:,} pictures, {scan.gray:,} gray, {len(scan.unreadable):,} unreadable.{state}"
    parts = [
        f"<h2>Does the data lack colour?</h2><p class='about'>{escape(about)}</p>"
        f'<p class="answer">{escape(scan.verdict)}</p>'
    ]
    found = scan.summary()
    if found is not None:
        parts.append(_colors({"these pictures": found.within, "natural images": NATURAL.to(found.value_range)}))
        parts.append(_histogram(scan.histogram))
        parts.append(_sheet("The grayest", grayest, scan.grayest))
        if scan.most_colorful:
            parts.append(_sheet("The most colourful", most_colorful, scan.most_colorful))
        parts.append(f"<details><summary>All numbers</summary><pre>{escape(str(found))}</pre></details>")
    parts.append(_unreadable(scan.unreadable))
    return f'<section class="gch"><style>{STYLE}{MORE_STYLE}</style>{"".join(parts)}</section>'


def _colors(stages: dict[str, ColorMoments]) -> str:
    rows = ["<tr>" + "".join(f"<th>{head}</th>" for head in (*HEADS, "colours")) + "</tr>"]
    for name, moments in stages.items():
        cells = "".join(f"<td>{cell}</td>" for cell in moments_cells(moments))
        image = f'<img src="{data_uri(swatches(moments))}" alt="colours drawn from these numbers">'
        rows.append(f'<tr><td>{escape(name)}</td>{cells}<td class="swatch">{image}</td></tr>')
    return f"<table>{''.join(rows)}</table>"


def _histogram(counts: NDArray[np.int64]) -> str:
    last = max(int(np.flatnonzero(counts)[-1]) + 1, 24) if counts.any() else 24
    most = max(int(counts.max()), 1)
    bars = "".join(
        f'<i style="height:{100 * int(count) / most:.2f}%" title="{place * BIN_WIDTH:g} to '
        f'{(place + 1) * BIN_WIDTH:g}: {int(count):,}"></i>'
        for place, count in enumerate(counts[:last])
    )
    ends = f"<small>0</small><small>{last * BIN_WIDTH:g}</small>"
    title = "Pictures by colourfulness M3 (15 slightly, 33 moderately, 59 quite, 82 highly)"
    return f'<p><b>{title}</b></p><div class="bars">{bars}</div><div class="axis">{ends}</div>'


def _sheet(title: str, sheet: NDArray[np.uint8] | None, names: Sequence[tuple[str, float]]) -> str:
    image = "" if sheet is None else f'<div class="sheet"><img src="{data_uri(sheet)}" alt="{escape(title)}"></div>'
    rows = "".join(f'<tr><td class="text">{escape(printable(name))}</td><td>{m3:.1f}</td></tr>' for name, m3 in names)
    table = f"<details><summary>names</summary><table><tr><th>picture</th><th>M3</th></tr>{rows}</table></details>"
    return f"<p><b>{escape(title)}</b></p>{image}{table}"


def _unreadable(failures: Sequence[tuple[str, str]]) -> str:
    if not failures:
        return ""
    rows = "".join(
        f'<tr><td class="text">{escape(printable(name))}</td><td class="text">{escape(printable(reason))}</td></tr>'
        for name, reason in failures[:LISTED]
    )
    left = len(failures) - LISTED
    more = f"<p>and {left:,} more</p>" if left > 0 else ""
    return f"<details><summary>{len(failures):,} unreadable</summary><table>{rows}</table>{more}</details>"
