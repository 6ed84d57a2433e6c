"""Causes that lie in the network: in its features, its head, the activation after it."""

from typing import Any

import numpy as np

from ganchroma import init
from ganchroma.diagnosis import thresholds as limits
from ganchroma.diagnosis.evidence import Evidence, to_levels
from ganchroma.diagnosis.signs import (
    amplitude,
    at_an_end,
    compare_filters,
    filter_norms,
    is_gray,
    rescaled,
    rescaling_code,
)
from ganchroma.diagnosis.suspicion import FACT, POSSIBLE, SIGN, Suspicion, possible
from ganchroma.stages import Trace

# -- flat amplitude ---------------------------------------------------------------------------------------------


def suspect_flat(evidence: Evidence, trace: Trace) -> Suspicion | None:
    seen = amplitude(evidence, trace)
    if seen is None:
        return None
    levels, mean = seen
    numbers: dict[str, Any] = {"std_levels": levels}
    if evidence.module.batchnorm == "eval" and evidence.module.untouched:
        numbers["batchnorm"] = "eval, running statistics untouched"
        names = evidence.module.untouched_layers
        numbers |= {"layers": list(names)} if names else {}
        return Suspicion(
            FACT,
            numbers,
            f"BatchNorm{_listed(names)} is in evaluation mode with running statistics that no batch has ever updated, "
            "so the hidden layers are not normalised at all; the image varies by "
            f"{levels:.2g} of 255 levels",
            "run the generator in training mode, or train it before looking at it in evaluation mode",
            "images = generator.train()(z)",
            stage="features",
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
    again = evidence.run_again("batchnorm") if evidence.module.untouched else None
    if again is not None:
        return again
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


def _listed(names: tuple[str, ...]) -> str:
    """Names of layers, for a sentence; the first few."""
    if not names:
        return ""
    return f" ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})"


# -- identical filters ------------------------------------------------------------------------------------------


def suspect_filters(evidence: Evidence, trace: Trace) -> Suspicion | None:
    words = "draw the three filters independently; training separates equal filters too, unless the head is saturated"
    if evidence.layer is None:
        gray = is_gray(trace)
        return possible("three equal filters in the head", words, "layer= shows the filters") if gray else None
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


# -- spectral norm in evaluation mode, never warmed up ----------------------------------------------------------


def suspect_spectral(evidence: Evidence, trace: Trace) -> Suspicion | None:
    ratio = evidence.module.spectral_norm
    if ratio is None or not abs(ratio) < limits.WARM_SPECTRAL_NORM:
        return None
    names = tuple(filter(None, [evidence.module.spectral_layer]))
    return Suspicion(
        FACT,
        {"u_Wv_over_sigma": ratio, **({"layer": names[0]} if names else {})},
        f"spectral norm{_listed(names)} divides by {100 * abs(ratio):.2g} % of the weight's norm: it is in evaluation "
        "mode and its vectors u and v are not the weight's own, as before a first training forward, so what it makes "
        f"is {1 / max(abs(ratio), 1e-12):.3g} times too large",
        "run one forward in training mode before evaluation mode, and again after weights were replaced",
        "generator.train()(z); generator.eval()",
    )


def remedy_spectral(evidence: Evidence) -> Evidence | None:
    return evidence.run_again("spectral_norm")


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
