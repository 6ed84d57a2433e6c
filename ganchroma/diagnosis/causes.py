"""The causes of missing colour: for each one, its signs and its remedy.

A cause is two pure functions. `suspect(evidence, trace)` says whether the cause's own signs are there, as a
`Suspicion`, or None. `remedy(evidence)` returns new evidence with that one thing put right and nothing else, or None
where no computation can do it. To add a cause: write the two, add a line to CAUSES, write its test.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganchroma import init
from ganchroma.diagnosis import thresholds as limits
from ganchroma.diagnosis.display import Step, channels_as_rows, rows_as_channels
from ganchroma.diagnosis.evidence import Evidence, to_levels
from ganchroma.diagnosis.signs import (
    amplitude,
    at_an_end,
    better_reading,
    compare_filters,
    display_chroma,
    equal_on_screen,
    filter_norms,
    finite_range,
    fitting_range,
    is_gray,
    outside_share,
    rescaled,
    rescaling_code,
    tone_ends,
)
from ganchroma.diagnosis.trace import Trace
from ganchroma.layer import OutputLayer

FACT, SIGN, POSSIBLE = "fact", "sign", "possible"


@dataclass(frozen=True)
class Suspicion:
    """Why a cause is suspected.

    Attributes
    ----------
    strength : str
        FACT: a finding whatever the display looks like. SIGN: a finding if its remedy is needed to bring the display
        into the healthy band. POSSIBLE: what is given neither shows it nor rules it out.
    evidence : dict
        The numbers behind it.
    reason : str
        One sentence that says what was seen, with the numbers.
    remedy : str
        What to do, in words.
    code : str, optional
        The same as Python.
    settle : str, optional
        Which further input would turn a possibility into an answer.
    """

    strength: str
    evidence: dict[str, Any]
    reason: str
    remedy: str
    code: str | None = None
    settle: str | None = None


@dataclass(frozen=True)
class Cause:
    name: str
    kind: str
    suspect: Callable[[Evidence, Trace], Suspicion | None]
    remedy: Callable[[Evidence], Evidence | None]


def _possible(what: str, remedy: str, settle: str) -> Suspicion:
    return Suspicion(POSSIBLE, {}, f"{what} would look like this; pictures alone can't tell", remedy, settle=settle)


def _proven(step: Step, remedy: str, code: str) -> Suspicion:
    return Suspicion(
        FACT,
        {"display_path": step.detail},
        f"the picture differs from the network's image: {step.detail}",
        remedy,
        code,
    )


def _layer(evidence: Evidence) -> OutputLayer:
    assert evidence.layer is not None
    return evidence.layer


# -- flat amplitude ---------------------------------------------------------------------------------------------


def suspect_flat(evidence: Evidence, trace: Trace) -> Suspicion | None:
    seen = amplitude(evidence, trace)
    if seen is None:
        return None
    levels, mean = seen
    numbers: dict[str, Any] = {"std_levels": levels}
    if evidence.module.batchnorm == "eval" and evidence.module.untouched:
        numbers["batchnorm"] = "eval, running statistics untouched"
        return Suspicion(
            FACT,
            numbers,
            "BatchNorm is in evaluation mode with running statistics that no batch has ever updated, so the hidden "
            f"layers are not normalised at all; the image varies by {levels:.2g} of 255 levels",
            "run the generator in training mode, or train it before looking at it in evaluation mode",
            "images = generator.train()(z)",
        )
    if levels >= limits.VISIBLE_LEVELS or at_an_end(mean):
        return None  # at an end everything is clipped, not faint: saturation
    reason = (
        f"the image varies by {levels:.2g} of 255 levels (std); under {limits.VISIBLE_LEVELS:g} it looks like one tone"
    )
    if not evidence.computed:
        return Suspicion(
            SIGN,
            numbers,
            reason,
            "a viewer that stretches contrast shows what is there; a network that made it needs a louder head, or "
            "normalised hidden layers (BatchNorm in evaluation mode before training makes them tiny)",
            settle="layer= and features= tell a quiet head from unnormalised features",
        )
    return Suspicion(
        SIGN,
        numbers,
        reason,
        "raise the gain of the head, or check that the hidden layers are normalised: BatchNorm in evaluation mode "
        "before training makes them tiny",
        rescaling_code(evidence),
    )


def remedy_flat(evidence: Evidence) -> Evidence | None:
    again = evidence.features_in_training_mode()
    if again is not None:
        return evidence.with_head(features=again)
    if evidence.computed:
        return rescaled(evidence)
    if evidence.images is None:
        return None
    levels = to_levels(evidence.images, evidence.value_range)
    levels = np.where(np.isfinite(levels), levels, np.float32(127.5))
    mean = levels.mean(axis=(2, 3), keepdims=True)
    std = float(np.sqrt(np.mean(np.var(levels, axis=(2, 3), dtype=np.float64))))
    if std == 0:
        return None
    raised = mean + (levels - mean) * np.float32(limits.TARGET_STD * 127.5 / std)
    return evidence.with_images(np.clip(raised, 0, 255), (0.0, 255.0))  # a screen's limits, no fault of range


# -- identical filters ------------------------------------------------------------------------------------------


def suspect_filters(evidence: Evidence, trace: Trace) -> Suspicion | None:
    words = "draw the three filters independently; training separates equal filters too, unless the head is saturated"
    if evidence.layer is None:
        gray = is_gray(trace)
        return _possible("three equal filters in the head", words, "layer= shows the filters") if gray else None
    difference, cosine = compare_filters(evidence.layer)
    numbers = {"relative_difference": difference, "smallest_cosine": cosine}
    equal = difference <= limits.FILTERS_EQUAL
    alike = difference <= limits.FILTERS_ALIKE or cosine >= limits.FILTERS_COLLINEAR
    if not (equal or alike):
        return None
    doubt = ""
    if not evidence.computed and trace.display is not None and not is_gray(trace):
        doubt = "; these pictures have colour, so another head made them"
    return Suspicion(
        FACT if equal else SIGN,
        numbers,
        f"the three filters differ by {100 * difference:.2g} % of their norm (smallest cosine {cosine:.3f}); under "
        f"{100 * limits.FILTERS_EQUAL:.0f} % R, G and B come out the same but for their biases{doubt}",
        words,
        _INDEPENDENT + (".swapaxes(0, 1))" if evidence.layer.transposed else ")"),
    )


_INDEPENDENT = """norm = lambda w: np.sqrt(np.square(w).sum(axis=(1, 2, 3), keepdims=True))
filters = gch.init.normal(layer.filters.shape, rng=0, dtype=layer.weight.dtype)
filters *= norm(layer.filters) / norm(filters)
layer = layer.replace(weight=filters"""


def remedy_filters(evidence: Evidence) -> Evidence | None:
    """Independent filters of the same norms."""
    layer = evidence.layer
    if layer is None or not evidence.computed:
        return None
    filters = layer.filters
    drawn = init.normal(filters.shape, rng=0, dtype=filters.dtype)
    drawn *= (filter_norms(filters) / filter_norms(drawn)).astype(filters.dtype)
    return evidence.with_head(layer=layer.replace(weight=drawn.swapaxes(0, 1) if layer.transposed else drawn))


# -- saturation -------------------------------------------------------------------------------------------------


def suspect_saturation(evidence: Evidence, trace: Trace) -> Suspicion | None:
    if "activation" in trace:
        share = float(trace["activation"].details["near_end_share"])
    elif trace.display is not None:
        share = trace.display.near_end_share
    else:
        return None
    if not share > limits.NEAR_END_SHARE:
        return None
    numbers: dict[str, Any] = {"near_end_share": share}
    remedy = "lower the gain of the head: smaller weights, or a normalised layer before it"
    if not evidence.computed:
        return Suspicion(
            POSSIBLE,
            numbers,
            f"{100 * share:.0f} % of the picture's values lie within 1 % of an end of the range: a saturated head "
            "looks like this, and so does a white or black background",
            remedy,
            settle="layer= and features= show whether the head saturates",
        )
    before = trace["linear"].moments
    assert before is not None
    numbers["std_before_activation"] = [float(value) for value in before.std]
    numbers["mean_before_activation"] = [float(value) for value in before.mean]
    return Suspicion(
        SIGN,
        numbers,
        f"{100 * share:.0f} % of the network's values lie within 1 % of an end of the range; before the activation "
        f"their std is {np.mean(before.std):.3g} and their mean {np.mean(before.mean):.3g}",
        remedy + "; a saturated head also learns next to nothing, because the gradient of the activation is gone",
        rescaling_code(evidence),
    )


def remedy_saturation(evidence: Evidence) -> Evidence | None:
    return rescaled(evidence) if evidence.computed else None


# -- feature collapse -------------------------------------------------------------------------------------------


def suspect_collapse(evidence: Evidence, trace: Trace) -> Suspicion | None:
    if "features" not in trace:
        return None
    details = trace["features"].details
    ratio = details["participation_ratio"]
    if details["nonfinite_share"] or (ratio is not None and ratio >= limits.COLLAPSED_PARTICIPATION):
        return None  # what is not a number hides what is
    before = trace["linear"].moments
    one_tint = before is None or not before.participation_ratio >= limits.ONE_TINT
    if ratio is None:
        reason = f"the features are constant: all {details['channels']} channels are dead"
    else:
        reason = (
            f"the features that one pixel sees vary along {ratio:.2f} directions only (participation ratio), so the "
            "three filters, however different, make one tint"
        )
    return Suspicion(
        FACT if ratio is None or one_tint else SIGN,  # few natural colours also come from few directions
        {"participation_ratio": ratio, "channels": details["channels"]},
        reason,
        "look for a dead or collapsed layer before the head: one latent direction, a bottleneck, mode collapse",
    )


def remedy_collapse(evidence: Evidence) -> Evidence | None:
    """Every channel keeps its values and its smoothness; what they had in common is taken away by shifts in space."""
    features = evidence.features
    if features is None or features.min() == features.max():
        return None
    height, width = features.shape[2:]
    rng = np.random.default_rng(0)
    shifted = np.empty_like(features)
    for channel in range(features.shape[1]):
        images = rng.permutation(len(features))
        shift = int(rng.integers(height)), int(rng.integers(width))
        plane = np.roll(features[images, channel], shift, axis=(1, 2))
        shifted[:, channel] = plane.swapaxes(1, 2) if height == width and rng.random() < 0.5 else plane
    return evidence.with_head(features=shifted)


# -- layout -----------------------------------------------------------------------------------------------------

_TRANSPOSE: dict[Callable[[NDArray[Any]], NDArray[Any]], str] = {
    channels_as_rows: "image.transpose(1, 2, 0)  # not image.reshape(H, W, 3)",
    rows_as_channels: "image.transpose(2, 0, 1)  # not image.reshape(3, H, W)",
}


def suspect_layout(evidence: Evidence, trace: Trace) -> Suspicion | None:
    words = "transpose instead of reshaping"
    step = evidence.step("layout")
    if step is not None:
        return _proven(step, words, _TRANSPOSE[step.apply])
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
        return _proven(step, words, f"plt.imshow({_decoded(evidence, 'image')}.transpose(1, 2, 0))  # no cmap")
    if evidence.computed or not (is_gray(trace) and equal_on_screen(evidence)):
        return None
    return _possible(
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
        return _proven(step, words, f"shown = {_decoded(evidence, 'images')}")
    if evidence.images is None or evidence.computed or not np.isfinite(evidence.images).any():
        return None
    low, high = evidence.value_range
    least, most = finite_range(evidence.images)
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
        fitting = fitting_range(*finite_range(evidence.images))
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
        return _possible(
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


# In the order in which colour passes them; remedies are applied in this order.
CAUSES: list[Cause] = [
    Cause("feature_collapse", "feature_collapse", suspect_collapse, remedy_collapse),
    Cause("identical_filters", "identical_filters", suspect_filters, remedy_filters),
    Cause("flat_amplitude", "flat_amplitude", suspect_flat, remedy_flat),
    Cause("saturation", "saturation", suspect_saturation, remedy_saturation),
    Cause("layout_reshape", "layout_reshape", suspect_layout, remedy_layout),
    Cause("display_channel", "display_channel", suspect_channel, remedy_channel),
    Cause("range_mismatch", "range_mismatch", suspect_range, remedy_range),
    Cause("gray_data", "gray_data", suspect_data, remedy_nothing),
]
