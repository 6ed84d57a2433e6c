"""The diagnosis as a matplotlib figure. Never touches pyplot: no window opens, no global state changes."""

import math
from collections.abc import Sequence
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np

from ganchroma._figures import drawable, new_figure
from ganchroma.color import NATURAL
from ganchroma.diagnosis.pictures import RAISED, Panels, montage, raised_label
from ganchroma.diagnosis.words import number, together
from ganchroma.moments import ColorMoments

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ganchroma.diagnosis.report import Diagnosis

FOUND, POSSIBLE, SOUND, MUTED = "#d13438", "#c27c0e", "#2a9d6e", "#8a8a8a"
MOST_PIXELS = 3000


def plot(diagnosis: "Diagnosis", figure: "Figure | None" = None) -> "Figure":
    """Draw a diagnosis: see `Diagnosis.plot`."""
    figure = new_figure(11.5, 5.9) if figure is None else figure
    figure.suptitle(
        drawable(f"{diagnosis.name}: {fill(diagnosis.headline, 90)}"), x=0.02, ha="left", fontweight="bold", fontsize=12
    )
    grid = figure.add_gridspec(
        2, 1, height_ratios=(1, 1.15), hspace=0.22, left=0.045, right=0.985, top=0.88, bottom=0.07
    )
    panels = diagnosis.panels
    if panels is None:
        axes = figure.add_subplot(grid[0])
        axes.set_axis_off()
        axes.text(0.5, 0.5, "no pictures: pass images, or layer and features", ha="center", color=MUTED)
    else:
        upper = grid[0].subgridspec(1, 4, wspace=0.06)
        _pictures([figure.add_subplot(upper[place]) for place in range(4)], panels, *_labels(diagnosis))
    lower = grid[1].subgridspec(1, 3, wspace=0.28)
    share, levels, plane = (figure.add_subplot(lower[place]) for place in range(3))
    _measures(share, levels, diagnosis)
    _plane(plane, diagnosis)
    return figure


def sheet(rows: Sequence["SheetRow"], title: str) -> "Figure":
    """Several diagnoses under one another: pictures as seen, with raised contrast, and remedied, beside the answer."""
    head, height = 0.85, 1.02  # inches
    whole = head + height * len(rows)
    figure = new_figure(13, whole)
    figure.text(0.012, 1 - 0.2 / whole, drawable(title), fontweight="bold", fontsize=15, va="top")
    figure.text(0.995, 1 - 0.25 / whole, RAISED, fontsize=9, va="top", ha="right", color=MUTED)
    grid = figure.add_gridspec(
        len(rows),
        4,
        width_ratios=(1, 1, 1, 2.15),
        left=0.012,
        right=0.995,
        bottom=0.06 / whole,
        top=1 - head / whole,
        wspace=0.06,
        hspace=0.12,
    )
    for line, row in enumerate(rows):
        cells = [figure.add_subplot(grid[line, column]) for column in range(4)]
        for axes in cells:
            axes.set_axis_off()
        if line == 0:
            for axes, text in zip(
                cells, ("as seen", "contrast raised, means at gray", "with the remedies"), strict=False
            ):
                figure.text(axes.get_position().x0, 1 - (head - 0.08) / whole, text, fontsize=10, color=MUTED)
        _strip(cells, row)
        cells[3].text(0, 1, drawable(row.name), fontsize=12, fontweight="bold", va="top", color=row.color)
        cells[3].text(0, 0.76, drawable(fill(row.about, 90)), fontsize=8.5, va="top", color="#555555")
        cells[3].text(0, 0.54, drawable(fill(row.answer, 72)), fontsize=9.5, va="top", linespacing=1.2)
        cells[3].text(0, 0.0, row.numbers, fontsize=8.5, va="bottom", color="#555555")
    return figure


def _strip(cells: Sequence["Axes"], row: "SheetRow") -> None:
    if row.panels is None:
        return
    for axes, part in zip(cells, (row.panels.seen, row.panels.stretched, row.panels.after), strict=False):
        if part is not None:
            _show(axes, montage(part, shown=3))
    _note(cells[1], raised_label(row.panels.factor))
    if row.panels.after is not None:
        _note(cells[2], row.remedies)


class SheetRow:
    """What a sheet shows of one diagnosis; holds pictures, not the features they came from."""

    def __init__(self, diagnosis: "Diagnosis") -> None:
        self.name = diagnosis.name
        self.about = diagnosis.about
        self.answer = diagnosis.headline
        self.panels = diagnosis.panels
        self.color = _accent(diagnosis)
        self.remedies = f"put right: {together(diagnosis.remedies)}"
        self.numbers = ""
        display = diagnosis.trace.display
        if display is not None:
            before = display.to_dict()
            share = display.summary.within.achromatic_share
            self.numbers = (
                f"std {number(before['std_levels'], 1)} levels   achromatic share {number(share, 3)}   "
                f"chroma C*ab {number(before['chroma'], 1)}   badness {number(before['badness'])}"
            )


def _accent(diagnosis: "Diagnosis") -> str:
    first = diagnosis.causes[0]
    if first.kind == "healthy":
        return SOUND
    return FOUND if first.status == "found" else POSSIBLE


def _labels(diagnosis: "Diagnosis") -> tuple[str, str, str]:
    """What the pictures before are called, those after, and those after in a word."""
    if diagnosis.before is not None:
        return "as it is", fill(f"what if: {diagnosis.change}", 34), "what if"
    count = len(diagnosis.remedies)
    what = (
        together(diagnosis.remedies) if count < 2 else "both" if count == 2 else f"all {count}"
    )  # named in the headline
    return "as seen", fill(f"{what} put right", 34), "put right"


def _pictures(axes: Sequence["Axes"], panels: Panels, before: str, after: str, short: str) -> None:
    parts = [
        (panels.seen, before),
        (panels.stretched, raised_label(panels.factor)),
        (panels.after, after),
        (panels.after_stretched, f"{short}, {raised_label(panels.after_factor)}"),
    ]
    for place, (part, title) in zip(axes, parts, strict=True):
        place.set_axis_off()
        if part is not None:
            place.set_title(title, fontsize=9.5, loc="left")
            _show(place, montage(part))


def _show(axes: "Axes", image: Any) -> None:
    axes.imshow(image, interpolation="nearest")
    axes.set_anchor("NW")


def _note(axes: "Axes", text: str) -> None:
    box = {"facecolor": "white", "edgecolor": "none", "pad": 1.5, "alpha": 0.85}
    axes.text(0.01, 0.04, text, transform=axes.transAxes, fontsize=8, bbox=box)


def _measures(share: "Axes", levels: "Axes", diagnosis: "Diagnosis") -> None:
    """Achromatic share and contrast from stage to stage, against natural images."""
    old, new = diagnosis.compared
    now = {stage.name: stage.moments for stage in old.stages if stage.moments and stage.name != "reference"}
    after = {stage.name: stage.moments for stage in new.stages} if new is not None else {}
    accent, label = _accent(diagnosis.before or diagnosis), _labels(diagnosis)[2]
    names = list(now)
    places = np.arange(len(names))
    for axes, measure in ((share, _share), (levels, _levels)):
        axes.axhline(measure(NATURAL), color=SOUND, linestyle="--", linewidth=1, label="natural images")
        axes.plot(places, [measure(now[name]) for name in names], "o-", color=accent, linewidth=2, label="now")
        if after:
            remedied = [measure(after.get(name)) for name in names]
            axes.plot(places, remedied, "s:", color="#3a6fb0", linewidth=1.5, label=label)
        axes.set_xticks(places, names)
        axes.set_xlim(-0.4, max(len(names) - 0.6, 0.4))
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=9)
    share.set_ylim(-0.03, 1.05)
    share.set_title("achromatic share (1: gray, 1/3: independent)", fontsize=9.5, loc="left")
    share.legend(fontsize=8, frameon=False, loc="lower left", borderaxespad=0.1, ncols=3, columnspacing=1)
    heights = [_levels(moments) for moments in now.values()]
    levels.set_yscale("log")
    levels.axhspan(1e-3, 1, color=MUTED, alpha=0.18, linewidth=0)
    levels.set_ylim(min([0.3, *(height / 2 for height in heights)]), max([300, *(2 * height for height in heights)]))
    levels.set_title("std in 8-bit levels (under 1: invisible)", fontsize=9.5, loc="left")


def _share(moments: ColorMoments | None) -> float:
    return math.nan if moments is None else moments.achromatic_share


def _levels(moments: ColorMoments | None) -> float:
    """Standard deviation in levels; a constant picture is drawn at the foot of the logarithmic axis."""
    return math.nan if moments is None else max(moments.std_levels, 0.01)


def _plane(axes: "Axes", diagnosis: "Diagnosis") -> None:
    """Every pixel by what tells it from gray; a gray picture is one point in the middle."""
    axes.set_title("hue of the pixels (centre: gray)", fontsize=9.5, loc="left")
    axes.set_aspect("equal")
    axes.spines[:].set_visible(False)
    axes.set_xticks([])
    axes.set_yticks([])
    turn = np.linspace(0, 2 * np.pi, 200)
    for radius in (30, 60, 90):
        axes.plot(radius * np.cos(turn), radius * np.sin(turn), color=MUTED, linewidth=0.6, alpha=0.6)
        axes.annotate(f"{radius}", (0, radius), fontsize=7, color=MUTED, ha="center", va="bottom")
    axes.set_xlim(-110, 110)
    axes.set_ylim(-100, 100)
    display = diagnosis.trace.display
    if display is None:
        return
    pixels = display.pictures.reshape(-1, 3)
    pixels = pixels[:: max(1, len(pixels) // MOST_PIXELS)].astype(np.float64)
    red, green, blue = pixels.T
    first, second = (red - green) / np.sqrt(2), (red + green - 2 * blue) / np.sqrt(6)
    axes.scatter(first, second, s=5, c=pixels / 255, edgecolors="#00000030", linewidths=0.3)
