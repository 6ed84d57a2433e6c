"""Factors of an experiment as a matplotlib figure."""

import math
from typing import TYPE_CHECKING

from ganchroma._factor_analysis import TITLES
from ganchroma._figures import drawable, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ganchroma.factorial import Factors

COLORS = ("#3a6fb0", "#2a9d6e", "#d1781f", "#8a4fa3")
MUTED = "#8a8a8a"


def draw(found: "Factors", figure: "Figure | None") -> "Figure":
    factors = {name: levels for name, levels in found.levels.items() if len(levels) > 1}
    rows = sum(map(len, factors.values())) + len(factors)  # each factor has a line for its name
    figure = new_figure(13, 1.3 + 0.27 * rows) if figure is None else figure
    figure.suptitle(
        f"What decides the colour of an untrained layer: {found.seeds:,} seeds, every combination",
        x=0.012,
        ha="left",
        fontweight="bold",
    )
    # Inches, not shares, above and below: the height follows the rows.
    height = figure.get_figheight()
    grid = figure.add_gridspec(
        1, len(found.values), left=0.125, right=0.985, bottom=0.55 / height, top=1 - 0.7 / height, wspace=0.1
    )
    for column, response in enumerate(found.values):
        axes = figure.add_subplot(grid[0, column])
        _panel(axes, found, factors, response)
        axes.set_ylim(rows - 0.4, -0.6)
        if response == "achromatic_share":
            axes.set_xlim(0, 1)  # from no gray to nothing else
        else:
            axes.set_xlim(left=0)
        if column:
            axes.tick_params(labelleft=False)
    return figure


def _panel(axes: "Axes", found: "Factors", factors: dict[str, tuple[str, ...]], response: str) -> None:
    at = {(row.factor, row.level): row for row in found.effects if row.response == response}
    ticks, names, line = [], [], 0
    rows = list(at.values())
    grand = rows[0].mean - rows[0].effect
    if math.isfinite(grand):
        axes.axvline(grand, color=MUTED, lw=1, zorder=0)
    for (factor, levels), color in zip(factors.items(), COLORS, strict=False):
        share = found.explained[factor][response]
        axes.text(
            0.99,
            line,
            f"explains {100 * share.share:.1f} %" if math.isfinite(share.share) else "undefined",
            transform=axes.get_yaxis_transform(),
            ha="right",
            va="center",
            fontsize=8.5,
            color=color,
        )
        ticks.append(line)
        names.append(factor.replace("_", " "))
        for level in levels:
            line += 1
            row = at[factor, level]
            ticks.append(line)
            names.append(drawable(level if len(level) <= 20 else level[:19] + "…"))
            half = (row.high - row.low) / 2
            axes.errorbar(row.mean, line, xerr=half, fmt="o", ms=4.5, color=color, capsize=3, lw=1.4)
        line += 1
    axes.set_yticks(ticks, names)
    for label, name in zip(axes.get_yticklabels(), names, strict=True):
        if name in {factor.replace("_", " ") for factor in factors}:
            label.set_fontweight("bold")
    axes.tick_params(axis="y", length=0, labelsize=8.5)
    axes.tick_params(axis="x", labelsize=8.5)
    axes.set_xlabel(TITLES[response], fontsize=9.5)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.grid(axis="x", color="#e6e6e6", lw=0.7)
    axes.set_axisbelow(True)
