"""Pictures of many runs: how colour moves while they train."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from ganchroma._figures import drawable, new_figure
from ganchroma.diagnosis.plots import MUTED
from ganchroma.torch.experiments.history import History

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_runs"]

_PANELS = {
    "achromatic_share": "achromatic share (1: gray, 1/3: independent)",
    "chroma": "chroma C*ab",
    "std_levels": "amplitude: std in 8-bit levels",
    "filter_cosines": "mean cosine between filters (1: alike)",
}
_SMOOTHED = 8  # records: a batch alone is noisy


def plot_runs(runs: Mapping[str, Mapping[int, History]], figure: "Figure | None" = None) -> "Figure":
    """A panel a measure, a line a configuration: the mean of its seeds, and in the shade the least and the largest."""
    figure = new_figure(11.5, 7.2) if figure is None else figure
    figure.subplots_adjust(left=0.06, right=0.98, top=0.94, bottom=0.16, hspace=0.32, wspace=0.16)
    for axes, (measure, title) in zip(figure.subplots(2, 2).flat, _PANELS.items(), strict=True):
        for number, (name, seeds) in enumerate(runs.items()):
            if seeds:
                _line(axes, [_curve(history, measure) for history in seeds.values()], name, number)
        data = [history.data for seeds in runs.values() for history in seeds.values() if history.data is not None]
        if data and measure != "filter_cosines":
            axes.axhline(getattr(data[0], measure), color=MUTED, linestyle="--", linewidth=1)
            across = axes.get_yaxis_transform()
            axes.text(0.01, getattr(data[0], measure), "data", color=MUTED, fontsize=8, va="bottom", transform=across)
        axes.set_title(title, fontsize=9.5, loc="left")
        axes.set_xscale("symlog", linthresh=8)
        axes.set_xlim(left=0)
        axes.xaxis.set_major_formatter("{x:g}")
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_xlabel("step", fontsize=9)
        axes.tick_params(labelsize=9)
    lines, labels = figure.axes[0].get_legend_handles_labels()
    if lines:
        figure.legend(lines, labels, loc="lower left", bbox_to_anchor=(0.05, 0.01), ncols=4, fontsize=9, frameon=False)
    return figure


def _curve(history: History, measure: str) -> "np.ndarray[tuple[int, ...], np.dtype[np.float64]]":
    values = np.array([np.mean(getattr(record, measure)) for record in history.records], np.float64)
    sums = np.cumsum(np.insert(values, 0, 0.0))
    first = np.maximum(np.arange(len(values)) + 1 - _SMOOTHED, 0)
    return (sums[1:] - sums[first]) / (np.arange(len(values)) + 1 - first)


def _line(
    axes: "Axes", curves: list["np.ndarray[tuple[int, ...], np.dtype[np.float64]]"], name: str, number: int
) -> None:
    from matplotlib import colormaps

    color = colormaps["tab10" if number < 10 else "tab20"](number % 20)
    length = min(map(len, curves))
    table, steps = np.array([curve[:length] for curve in curves]), np.arange(length)
    axes.plot(steps, table.mean(axis=0), color=color, linewidth=1.6, label=drawable(name))
    if len(curves) > 1:
        axes.fill_between(steps, table.min(axis=0), table.max(axis=0), color=color, alpha=0.15, linewidth=0)
