"""What is kept of a generator in training: the colour of one batch a record, and a picture of many."""

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ganchroma._figures import drawable, new_figure
from ganchroma.color import NATURAL
from ganchroma.diagnosis import thresholds as limits
from ganchroma.diagnosis.plots import FOUND, MUTED, POSSIBLE, SOUND
from ganchroma.moments import json_number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["ChromaRecord", "plot_records"]

_BLUE, _PURPLE = "#3a6fb0", "#8a4fa3"


@dataclass(frozen=True, slots=True)
class ChromaRecord:
    """Colour of one batch, as `ChromaSummary` has it; NaN where there was nothing to measure.

    `achromatic_share`, `correlation` (RG, RB, GB) and `std_levels` are within-image, `colorfulness` is M3, `chroma` the
    mean C*ab, `filter_cosines` (RG, RB, GB) compare the head's filters and are None without a head.
    """

    step: int
    achromatic_share: float
    correlation: tuple[float, ...]
    colorfulness: float
    chroma: float
    std_levels: float
    near_end_share: float
    filter_cosines: tuple[float, ...] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Numbers and lists that `json.dumps` takes; NaN becomes None."""
        values = asdict(self)
        return {key: value if value is None or key == "step" else json_number(value) for key, value in values.items()}

    def scalars(self) -> dict[str, float]:
        """Numbers by name, those of three one by one: "filter_cosines/RG"."""
        found: dict[str, float] = {}
        for name, value in asdict(self).items():
            if isinstance(value, tuple):
                found |= {f"{name}/{pair}": number for pair, number in zip(("RG", "RB", "GB"), value, strict=True)}
            elif value is not None and name != "step":
                found[name] = value
        return found

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """What `to_dict` wrote."""
        given = {key: _from_json(value) for key, value in values.items() if key != "filter_cosines"}
        cosines = values["filter_cosines"]
        return cls(**given, filter_cosines=None if cosines is None else _from_json(cosines))


def _from_json(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(map(_from_json, value))
    return math.nan if value is None else value


# Title and y-limits; field, labels and colours of what is drawn; height and meaning of what to compare it with.
_Panel = tuple[str, tuple[float | None, float | None], dict[str, dict[str, str]], dict[str, float]]
_PANELS: tuple[_Panel, ...] = (
    (
        "achromatic share (1: gray, 1/3: independent)",
        (0, 1.05),
        {"achromatic_share": {"share": _BLUE}},
        {"natural": NATURAL.achromatic_share, "gray": limits.GRAY_SHARE},
    ),
    (
        "colourfulness",
        (0, None),
        {"colorfulness": {"M3": POSSIBLE}, "chroma": {"chroma C*ab": _BLUE}},
        {"visible": limits.VISIBLE_CHROMA},
    ),
    (
        "amplitude: std in 8-bit levels",
        (0, None),
        {"std_levels": {"std": _BLUE}},
        {"natural": NATURAL.std_levels, "visible": limits.VISIBLE_LEVELS},
    ),
    (
        "cosine between filters (1: alike)",
        (None, 1.1),
        {"filter_cosines": {"RG": POSSIBLE, "RB": _PURPLE, "GB": _BLUE}},
        {"alike": limits.FILTERS_COLLINEAR},
    ),
)


def plot_records(
    records: list[ChromaRecord],
    figure: "Figure | None",
    title: str,
    *,
    color: str = "black",
    mark: int | None = None,
) -> "Figure":
    """Records over the steps under a title; `mark` is a step to draw a line at."""
    panels = _PANELS if any(record.filter_cosines for record in records) else _PANELS[:3]
    rows, columns = (2, 2) if len(panels) == 4 else (1, 3)
    figure = new_figure(11.5, 0.9 + 2.5 * rows) if figure is None else figure
    if not records:
        text = "no records yet: attach a generator, or call update(step, images)"
        figure.text(0.5, 0.5, text, ha="center", va="center", color=MUTED)
        return figure
    inch = 1 / figure.get_figheight()
    figure.suptitle(drawable(title), x=0.012, y=1 - 0.12 * inch, ha="left", fontweight="bold", fontsize=12, color=color)
    place = {"left": 0.04, "right": 0.96, "top": 1 - 0.75 * inch, "bottom": 0.5 * inch, "hspace": 0.42, "wspace": 0.27}
    for axes, panel in zip(figure.subplots(rows, columns, gridspec_kw=place).flat, panels, strict=True):
        _draw(axes, panel, records, mark)
    return figure


def _draw(axes: "Axes", panel: _Panel, records: list[ChromaRecord], mark: int | None) -> None:
    (name, ends, series, levels), across = panel, axes.get_yaxis_transform()
    for label, height in levels.items():
        tint = SOUND if label == "natural" else FOUND
        axes.axhline(height, color=tint, linestyle="--", linewidth=1)
        axes.text(1.01, height, label, transform=across, va="center", fontsize=7.5, color=tint)
    if mark is not None:
        axes.axvline(mark, color=FOUND, linestyle=":", linewidth=1.2)
    steps = [record.step for record in records]
    for field, lines in series.items():
        values = [getattr(record, field) for record in records]
        table = np.array([(math.nan,) * 3 if value is None else np.atleast_1d(value) for value in values])
        for column, (label, tint) in zip(table.T, lines.items(), strict=True):
            axes.plot(steps, column, "o-" if len(steps) <= 50 else "-", ms=3, lw=1.5, color=tint, label=label)
    axes.set_title(name, fontsize=9.5, loc="left")
    axes.set_ylim(*ends)
    if steps[0] == steps[-1]:
        axes.set_xlim(steps[0] - 1, steps[0] + 1)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=9)
    axes.locator_params("x", integer=True)
    axes.set_xlabel("step", fontsize=9)
    if len(axes.get_legend_handles_labels()[0]) > 1:
        axes.legend(loc="lower right", bbox_to_anchor=(1, 0.98), fontsize=8, ncols=3, frameon=False)
