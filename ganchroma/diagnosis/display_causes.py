"""Causes that lie outside the network: on the way to the screen, and in the data."""

from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray

from ganchroma.diagnosis import thresholds as limits
from ganchroma.diagnosis.display import channels_as_rows, rows_as_channels
from ganchroma.diagnosis.evidence import Evidence
from ganchroma.diagnosis.range_causes import decoded
from ganchroma.diagnosis.signs import better_reading, channels_agree, compare_filters, display_chroma, equal_on_screen
from ganchroma.diagnosis.suspicion import FACT, SIGN, Suspicion, possible, proven
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
        return proven(step, words, f"plt.imshow(({decoded(evidence, 'image')}).transpose(1, 2, 0))  # no cmap")
    if evidence.single and not evidence.computed:
        return Suspicion(
            FACT,
            {"channels": 1},
            "the picture was given as one channel: whatever made it, it can hold no colour",
            "if the network makes three channels, pass and draw all of them",
        )
    if evidence.computed or not (channels_agree(trace) and equal_on_screen(evidence)):
        return None
    return possible(
        "one channel of a colour image drawn (img[0], cmap='gray')",
        words,
        "layer= and features= show the image before it was drawn",
    )


def remedy_channel(evidence: Evidence) -> Evidence | None:
    return evidence.without_step("channel") if evidence.step("channel") is not None else None


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
    if reference is not None or not channels_agree(trace):
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


def partly_gray_remark(evidence: Evidence) -> str | None:
    """Of a data set in which some pictures are gray: a network learns from those, too."""
    share = evidence.reference_gray
    if share is None or not share > limits.SOME_GRAY:
        return None
    return f"{100 * share:.0f} % of the data set's pictures are gray: what learns from it is drawn towards gray"


def remedy_nothing(evidence: Evidence) -> Evidence | None:
    """No computation can bring back a colour that was never learned."""
    return None
