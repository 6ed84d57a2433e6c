"""A frequency response as a matplotlib figure."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ganchroma._figures import new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ganchroma.frequency import FrequencyResponse

RESHAPED, CIRCULAR, SUPREMUM, MUTED = "#d13438", "#3a6fb0", "#2a9d6e", "#8a8a8a"
NOTHING = 1e-12  # of the norm: rounding errors, drawn as 0


def draw(response: "FrequencyResponse", figure: "Figure | None") -> "Figure":
    figure = new_figure(13.5, 3.9) if figure is None else figure
    from matplotlib.ticker import MaxNLocator

    kind = "transposed convolution" if response.transposed else "convolution"
    stride = "" if response.stride == (1, 1) else f", stride {response.stride[0]}x{response.stride[1]}"
    shape = "x".join(map(str, response.weight.shape))
    figure.suptitle(
        f"What a {kind} {shape}{stride} does to every spatial frequency", x=0.012, ha="left", fontweight="bold"
    )
    grid = figure.add_gridspec(1, 4, left=0.045, right=0.985, bottom=0.13, top=0.86, wspace=0.33)
    places = [figure.add_subplot(grid[0, column]) for column in range(4)]
    for axes, gains, title in zip(
        places, (response.largest, response.smallest), ("largest gain", "smallest gain"), strict=False
    ):
        shown = np.where(gains < NOTHING * response.norm, 0.0, gains)
        low, high = float(shown.min()), float(shown.max())
        image = _map(axes, response, shown, cmap="magma", vmin=low, vmax=high if high > low else low + 1)
        extent = f"{low:.3g} to {high:.3g}" if high > low else f"{low:.3g} everywhere"
        axes.set_title(f"{title}: {extent}", fontsize=9.5, loc="left")
        bar = figure.colorbar(image, cax=axes.inset_axes((1.03, 0, 0.045, 1)))
        bar.ax.tick_params(labelsize=8)
        bar.locator = MaxNLocator(5)
        bar.update_ticks()
    _colors(places[2], response)
    _norms(places[3], response)
    places[0].set_ylabel("vertical, periods per pixel", fontsize=8.5)
    for axes in places[1:3]:
        axes.tick_params(labelleft=False)
    return figure


def _map(axes: "Axes", response: "FrequencyResponse", values: NDArray[Any], **options: Any) -> Any:
    """Frequency zero in the middle, vertical frequencies upwards."""
    height, width = values.shape[:2]
    edges = [-(n // 2) / n - 0.5 / n for n in (height, width)]
    extent = (edges[1], edges[1] + 1, edges[0], edges[0] + 1)
    shifted = np.fft.fftshift(values, axes=(0, 1))
    image = axes.imshow(shifted, origin="lower", extent=extent, interpolation="nearest", **options)
    ticks, labels = [-0.5, -0.25, 0, 0.25], ["-1/2", "-1/4", "0", "1/4"]
    axes.set_xticks(ticks, labels)
    axes.set_yticks(ticks, labels)
    axes.tick_params(labelsize=8)
    axes.set_xlabel("horizontal, periods per pixel", fontsize=8.5)
    y, x = np.unravel_index(int(response.largest.argmax()), response.largest.shape)
    down, across = response.frequencies
    for sign in (1, -1):  # a wave and its mirror image are one
        axes.plot(sign * across[x], sign * down[y], "o", ms=7, mfc="none", mec="black", mew=2.6)
        axes.plot(sign * across[x], sign * down[y], "o", ms=7, mfc="none", mec="white", mew=1.2)
    axes.set_xlim(extent[:2])
    axes.set_ylim(extent[2:])
    return image


def _colors(axes: "Axes", response: "FrequencyResponse") -> None:
    """The direction as it would look: added to middle gray, as strongly as the screen allows."""
    colors = response.colors
    if colors.shape[-1] != 3:
        axes.set_axis_off()
        axes.text(0.5, 0.5, f"{colors.shape[-1]} outputs: no RGB", ha="center", va="center", color=MUTED)
        return
    peak = np.abs(colors).max(axis=-1, keepdims=True)
    _map(axes, response, 0.5 + 0.5 * colors / np.where(peak > 0, peak, 1))
    gray = np.abs(colors.sum(axis=-1)) / np.sqrt(3)
    angle = float(np.degrees(np.arccos(np.clip(np.median(gray), 0, 1))))
    axes.set_title(f"colour of the largest gain: {angle:.0f}° from gray", fontsize=9.5, loc="left")


def _norms(axes: "Axes", response: "FrequencyResponse") -> None:
    """Every gain in order of size, against the share of frequencies, and the norms that are meant to bound them."""
    values = response.singular_values
    share = np.linspace(0, 100, values.shape[0] * values.shape[1])
    axes.fill_betweenx(
        share, np.sort(response.smallest, axis=None), np.sort(response.largest, axis=None), color=MUTED, alpha=0.18
    )
    for index in range(values.shape[2]):
        ends = index in (0, values.shape[2] - 1)
        axes.plot(
            np.sort(values[..., index], axis=None), share, color="#444444" if ends else MUTED, lw=1.6 if ends else 0.8
        )
    lines = (
        (response.reshaped, RESHAPED, "-", "reshaped, as PyTorch"),
        (response.norm, CIRCULAR, "-", f"circular, {response.size[0]}x{response.size[1]}"),
        (float(response.supremum), SUPREMUM, "--", "supremum"),
    )
    for value, color, style, name in lines:
        axes.plot([value, value], [0, 100], color=color, ls=style, lw=2, label=f"{name}: {value:.4g}")
    axes.set_xlim(0, 1.08 * max(response.reshaped, response.supremum, np.finfo(float).tiny))
    axes.set_ylim(0, 138)  # the legend stands above the curves
    axes.set_yticks([0, 25, 50, 75, 100])
    axes.set_box_aspect(1)
    axes.set_title("all gains, smallest to largest", fontsize=9.5, loc="left")
    axes.set_xlabel("gain", fontsize=8.5)
    axes.set_ylabel("% of frequencies below", fontsize=8.5)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
    axes.legend(fontsize=8, frameon=False, loc="upper left", borderaxespad=0.1)
