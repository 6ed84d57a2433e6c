"""How close everybody comes to what the machine can do: bars, with the roof drawn in."""

from collections.abc import Sequence
from itertools import cycle
from pathlib import Path

from benchmarks.measurement import OURS, Row
from benchmarks.owed import of
from ganchroma._figures import new_figure

# Ours, then the peers.
COLORS = ("#d1495b", "#30638e", "#6a9fc4", "#8d96a3", "#bcc1c9", "#e0e2e6", "#e6c79c", "#9bbf85")
BAR, GAP = 0.8, 1.0  # a bar's height, and the space between cases, both in rows


def draw(rows: Sequence[Row], title: str, target: Path) -> None:
    """The cases on one thread of which something is owed and which have a roof; as PNG."""
    shown = [row for row in rows if row.share is not None and row.threads == 1 and of(row)]
    bars: dict[str, list[tuple[float, float]]] = {}
    figure = new_figure(9.5, 1.5 + 0.19 * sum(1 + len(row.peers) + GAP for row in shown))
    axes = figure.add_subplot()
    place, places = 0.0, []
    for row in shown:
        assert row.share is not None
        start = place
        for name, ratio in {OURS: 1.0, **row.ratios}.items():
            bars.setdefault(name, []).append((place, 100 * row.share / ratio))
            place += 1
        if row.cap < 1:
            axes.vlines(100 * row.cap, start - BAR / 2, place - 1 + BAR / 2, "black", "dotted", linewidth=1)
        places.append((start + place - 1) / 2)
        place += GAP
    for (name, found), color in zip(bars.items(), cycle(COLORS), strict=False):
        drawn = axes.barh([at for at, _ in found], [share for _, share in found], BAR, color=color, label=name)
        axes.bar_label(drawn, fmt="%.0f%%", padding=3, fontsize=7)
    axes.axvline(100, color="black", linewidth=1.5)
    axes.text(99, -1.2, "roof", ha="right", va="center", fontsize=9)
    axes.set_yticks(places, [f"{row.case} ({row.limit})" for row in shown], fontsize=8)
    axes.set_ylim(place - GAP, -2)
    axes.set_xlim(0, 108)
    axes.set_xlabel(
        "share of what the machine can do at most, %; one thread. Dotted: what the width leaves of it", fontsize=8
    )
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.legend(
        loc="lower center", bbox_to_anchor=(0.4, 1.0), ncols=6, frameon=False, fontsize=8, title=title, title_fontsize=9
    )
    figure.savefig(target, bbox_inches="tight")
