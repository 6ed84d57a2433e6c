"""Causes that lie outside the network: on the way to the screen, and in the data."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganchroma.diagnosis import thresholds as limits
from ganchroma.diagnosis.display import channels_as_rows, rows_as_channels
from ganchroma.diagnosis.evidence import Evidence, to_levels
from ganchroma.diagnosis.signs import (
    better_reading,
    compare_filters,
    display_chroma,
    equal_on_screen,
    finite_range,
    fitting_range,
    is_gray,
    outside_share,
    tone_ends,
)
from ganchroma.diagnosis.suspicion import FACT, POSSIBLE, SIGN, Suspicion, possible, proven
from ganchroma.stages import Trace

# -- layout -----------------------------------------------------------------------------------------------------

_TRANSPOSE: dict[Callable[[NDArray[Any]], NDArray[Any]], str] = {
    channels_as_rows: "image.transpose(1, 2, 0)  # not image.reshape(H, W, 3)",
    rows_as_channels: "image.transpose(2, 0, 1)  # not image.reshape(3, H, W)",
}


def suspect_layout(evidence: Evidence, trace: Trace) -> Suspicion | None:
    words = "transpose instead of reshaping"
    step = evidence.step("layout")
    if step is not None:
        return proven(step, words, _TRANSPOSE[step.apply])
    better = better_reading(evidence)
    if better is None:
        return None
    numbers = {"smoother_x": better.gain_x, "smoother_y": better.gain_y, "repetition": better.repetition}
    if better.fault is channels_as_rows:
        repeats = f"the picture shows itself three times side by side (correlation {better.repetition:.2f})"
    else:
        repeats = f"rows go on three rows below, not in the next ({100 * better.repetition:.0f} % nearer)"
    return Suspicion(
        FACT,
        numbers,
        f"read as the other layout, neighbouring pixels agree {better.gain_x:.1f} times better along x and "
        f"{better.gain_y:.1f} times along y, and {repeats}: the buffer was reshaped, not transposed",
        words,
        _TRANSPOSE[better.fault],
    )


def remedy_layout(evidence: Evidence) -> Evidence | None:
    if evidence.step("layout") is not None:
        return evidence.without_step("layout")
    better = better_reading(evidence)
    return None if better is None else evidence.with_images(better.images, evidence.value_range)


# -- one channel shown ------------------------------------------------------------------------------------------


def suspect_channel(evidence: Evidence, trace: Trace) -> Suspicion | None:
    words = "draw all three channels"
    step = evidence.step("channel")
    if step is not None:
        return proven(step, words, f"plt.imshow({_decoded(evidence, 'image')}.transpose(1, 2, 0))  # no cmap")
    if evidence.computed or not (is_gray(trace) and equal_on_screen(evidence)):
        return None
    return possible(
        "one channel of a colour image drawn (img[0], cmap='gray')",
        words,
        "layer= and features= show the image before it was drawn",
    )


def remedy_channel(evidence: Evidence) -> Evidence | None:
    return evidence.without_step("channel") if evidence.step("channel") is not None else None


# -- range ------------------------------------------------------------------------------------------------------


def suspect_range(evidence: Evidence, trace: Trace) -> Suspicion | None:
    words = "decode with the range the network makes"
    step = evidence.step("range")
    if step is not None:
        return proven(step, words, f"shown = {_decoded(evidence, 'images')}")
    seen = None if evidence.images is None or evidence.computed else finite_range(evidence.images)
    if evidence.images is None or seen is None:
        return None
    (low, high), (least, most) = evidence.value_range, seen
    outside = outside_share(evidence)
    if outside > limits.OUTSIDE_SHARE:
        fitting = fitting_range(least, most)
        numbers = {"outside_share": outside, "minimum": least, "maximum": most, "fitting_range": list(fitting or ())}
        return Suspicion(
            FACT,
            numbers,
            f"{100 * outside:.2g} % of the values lie outside the stated range [{low:g}, {high:g}]: "
            f"they span {least:.3g} to {most:.3g}",
            words,
            None if fitting is None else f"gch.diagnose(images, value_range={fitting})",
        )
    lowest, zero, full = tone_ends(evidence)
    numbers = {"percentile_0.5": lowest, "share_of_0": zero, "share_of_255": full}
    varies = trace.display is not None and trace.display.summary.within.std_levels >= 1
    if lowest >= limits.WASHED_PERCENTILE and full < 0.5 and varies:
        unused = evidence.images.dtype != np.uint8 and low < 0 <= least
        return Suspicion(
            FACT if unused else POSSIBLE,
            numbers,
            f"nothing is darker than mid-gray (0.5-percentile {lowest:.0f} of 255): [0, 1] read as [-1, 1]",
            words,
            f"gch.diagnose(images, value_range=({(low + high) / 2:g}, {high:g}))" if unused else None,
            settle=None if unused else "layer= and features= show the values before they were drawn",
        )
    if zero > limits.CUT_AT_ZERO and full < limits.CUT_AT_FULL:
        return Suspicion(
            POSSIBLE,
            numbers,
            f"{100 * zero:.0f} % of the values are 0 and {100 * full:.1f} % 255: [-1, 1] cut off to [0, 1] looks like "
            "this, and so does a black background",
            words,
            settle="layer= and features= show the values before they were drawn",
        )
    return None


def remedy_range(evidence: Evidence) -> Evidence | None:
    if evidence.step("range") is not None:
        return evidence.without_step("range")
    if evidence.images is None or evidence.computed:
        return None
    if outside_share(evidence) > limits.OUTSIDE_SHARE:
        fitting = fitting_range(*(finite_range(evidence.images) or evidence.value_range))
        return None if fitting is None else evidence.with_images(evidence.images, fitting)
    if tone_ends(evidence)[0] >= limits.WASHED_PERCENTILE:
        levels = to_levels(evidence.images, evidence.value_range)
        return evidence.with_images(np.where(np.isfinite(levels), levels, np.float32(127.5)), (127.5, 255.0))
    return None  # what was cut off is lost


def _decoded(evidence: Evidence, name: str) -> str:
    """Python that brings the network's image to [0, 1]."""
    low, high = evidence.network_range
    return name if (low, high) == (0, 1) else f"(({name} - {low:g}) / {high - low:g})"


# -- gray data --------------------------------------------------------------------------------------------------


def suspect_data(evidence: Evidence, trace: Trace) -> Suspicion | None:
    words = "train on colour images, or check that the loader does not convert to gray"
    reference = evidence.reference
    if reference is not None and reference.achromatic_share > limits.GRAY_SHARE:
        share = reference.achromatic_share
        return Suspicion(
            SIGN,
            {"dataset_achromatic_share": share},
            f"the data set itself is gray: achromatic share {share:.3f} (natural images .91)",
            words,
        )
    if reference is not None or not is_gray(trace):
        return None
    if evidence.layer is not None and compare_filters(evidence.layer)[0] <= limits.FILTERS_ALIKE:
        return None  # the filters explain it
    if evidence.step("channel") is not None:
        return None  # the display explains it
    if not evidence.computed:
        return possible(
            "a network trained on gray images, or a gray image",
            words,
            "dataset= shows the data, layer= and features= the rest",
        )
    return Suspicion(
        SIGN,
        {"display_chroma": display_chroma(trace)},
        "the picture is gray although the filters differ, the features vary and the display shows the network's image",
        words,
        settle="dataset= shows whether the data are gray",
    )


def remedy_nothing(evidence: Evidence) -> Evidence | None:
    """No computation can bring back a colour that was never learned."""
    return None
