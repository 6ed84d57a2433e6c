"""Causes that lie in the network: in its features, its head, the activation after it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganchroma import init
from ganchroma.diagnosis import thresholds as limits
from ganchroma.diagnosis.evidence import Evidence, Range, to_levels
from ganchroma.diagnosis.signs import (
    amplitude,
    at_an_end,
    channels_agree,
    compare_filters,
    constant_planes,
    dead_filters,
    filter_norms,
    filters_aligned,
    is_gray,
    one_tint,
    rescaled,
    rescaling_code,
    tones,
)
from ganchroma.diagnosis.suspicion import FACT, POSSIBLE, SIGN, Suspicion, possible
from ganchroma.layer import OutputLayer
from ganchroma.moments import ColorMoments
from ganchroma.stages import Trace

# -- BatchNorm in evaluation mode, its statistics untouched -----------------------------------------------------


def suspect_batchnorm(evidence: Evidence, trace: Trace) -> Suspicion | None:
    if not (evidence.module.batchnorm == "eval" and evidence.module.untouched):
        return None
    numbers: dict[str, Any] = {"batchnorm": "eval, running statistics untouched"}
    names = evidence.module.untouched_layers
    numbers |= {"layers": list(names)} if names else {}
    seen = amplitude(evidence, trace)
    varies = ""
    if seen is not None:
        numbers["std_levels"] = seen[0]
        varies = f"; the image varies by {seen[0]:.2g} of 255 levels"
    return Suspicion(
        FACT,
        numbers,
        f"BatchNorm{_listed(names)} is in evaluation mode with running statistics that no batch has ever updated, "
        f"so the hidden layers are not normalised at all{varies}",
        "run the generator in training mode, or train it before looking at it in evaluation mode",
        "images = generator.train()(z)",
        stage="features",
    )


def remedy_batchnorm(evidence: Evidence) -> Evidence | None:
    """Statistics of the batch, where the network can be run; else the gain at which they would leave the image."""
    again = evidence.run_again("batchnorm")
    return again if again is not None else remedy_flat(evidence)


# -- flat amplitude ---------------------------------------------------------------------------------------------


def suspect_flat(evidence: Evidence, trace: Trace) -> Suspicion | None:
    seen = amplitude(evidence, trace)
    if seen is None:
        return None
    levels, mean = seen
    numbers: dict[str, Any] = {"std_levels": levels}
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


# -- dead filters -----------------------------------------------------------------------------------------------


def suspect_dead(evidence: Evidence, trace: Trace) -> Suspicion | None:
    words = "give the filter weights of its own, drawn like the others"
    layer = evidence.layer
    if layer is None:
        return _dead_alone(evidence, trace, words)
    dead = _dead(evidence, trace)
    if not dead.any():
        return None
    channels = _channels(dead)
    names, verb = _told(channels)
    norms = filter_norms(layer.filters).ravel()
    numbers: dict[str, Any] = {"dead": channels, "norms": [float(norm) for norm in norms]}
    if not norms[dead].any():
        reason = f"all weights of the head for {names} are 0 (norms {_three(norms)} for R, G, B)"
    else:
        std = trace["linear"].moments.std  # type: ignore[union-attr]  # they are what showed it
        numbers["std_before_activation"] = [float(value) for value in std]
        reason = (
            f"what the head reads for {names} never varies, whatever its weights (before the activation R, G and B "
            f"have the std {_three(std)})"
        )
    doubt = ""
    if evidence.images is not None and not evidence.computed and not constant_planes(evidence)[dead].all():
        doubt = "; in these pictures it varies, so another head made them"
    return Suspicion(
        FACT,
        numbers,
        f"{reason}: {names} {verb} the same number everywhere, in every picture{doubt}",
        words,
        _revival(layer, dead),
    )


def _dead_alone(evidence: Evidence, trace: Trace, words: str) -> Suspicion | None:
    constant = constant_planes(evidence)
    if not constant.any() or trace.display is None:
        return None
    if not trace.display.summary.within.std_levels >= limits.VISIBLE_LEVELS:
        return None  # rounding alone makes a faint plane constant
    channels = _channels(constant)
    names, verb = _told(channels)
    return Suspicion(
        POSSIBLE,
        {"constant": channels},
        f"{names} {verb} one and the same number in every pixel of every picture, while the rest varies: a filter that "
        "makes nothing looks like this, and so does a channel that was cut off, left out or taken away",
        words,
        settle="layer= shows the filters",
        stands_alone=True,
    )


def remedy_dead(evidence: Evidence) -> Evidence | None:
    """New filters in place of the dead ones, independent of the others and of their mean norm."""
    layer, features = evidence.layer, evidence.features
    if layer is None or features is None:
        return None
    dead = dead_filters(layer, layer.moments(features, linear=True))
    if not dead.any():
        return None
    filters = layer.filters
    norms = filter_norms(filters)
    drawn = _drawn(filters, norms[~dead].mean())
    drawn[~dead] = filters[~dead]
    return evidence.with_head(layer=_with_filters(layer, drawn))


def _dead(evidence: Evidence, trace: Trace) -> NDArray[np.bool_]:
    """Which filters are dead, as far as the features let them live: where those are constant, nothing can."""
    if evidence.layer is None or ("features" in trace and trace["features"].details["participation_ratio"] is None):
        return np.zeros(3, np.bool_)
    return dead_filters(evidence.layer, trace["linear"].moments if "linear" in trace else None)


def _revival(layer: OutputLayer, dead: NDArray[np.bool_]) -> str:
    """`remedy_dead` as Python."""
    living = [int(one) for one in np.flatnonzero(~dead)]
    return (
        f"{_NORM}"
        "filters = gch.init.normal(layer.filters.shape, rng=0, dtype=layer.weight.dtype)\n"
        f"filters *= norm(layer.filters[{living}]).mean() / norm(filters)\n"
        f"filters[{living}] = layer.filters[{living}]\n"
        f"layer = layer.replace(weight=filters{'.swapaxes(0, 1)' if layer.transposed else ''})"
    )


def _channels(chosen: NDArray[np.bool_]) -> list[str]:
    """The names of those of R, G and B."""
    return [name for name, one in zip("RGB", chosen, strict=True) if one]


def _told(channels: list[str]) -> tuple[str, str]:
    """One or two of them for a sentence, and the verb after them."""
    return " and ".join(channels), "is" if len(channels) == 1 else "are each"


def _three(values: Any) -> str:
    return ", ".join(f"{value:.3g}" for value in values)


# -- identical filters ------------------------------------------------------------------------------------------


def suspect_filters(evidence: Evidence, trace: Trace) -> Suspicion | None:
    words = "draw the three filters independently; training separates equal filters too, unless the head is saturated"
    if evidence.layer is None:
        gray = channels_agree(trace)
        return possible("three equal filters in the head", words, "layer= shows the filters") if gray else None
    if _dead(evidence, trace).any():
        return None  # one direction alone is left, but for another reason
    difference, cosine = compare_filters(evidence.layer)
    numbers = {"relative_difference": difference, "smallest_cosine": cosine}
    equal = difference <= limits.FILTERS_EQUAL
    alike = difference <= limits.FILTERS_ALIKE or cosine >= limits.FILTERS_COLLINEAR
    if not (equal or (alike and _gray_by_filters(evidence, trace, difference))):
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


def _gray_by_filters(evidence: Evidence, trace: Trace, difference: float) -> bool:
    """Whether filters that are alike make gray: natural colour needs filters that are somewhat alike, too."""
    before = trace["linear"].moments if "linear" in trace else None
    if before is not None and np.isfinite(before.achromatic_share):
        return before.achromatic_share > limits.GRAY_SHARE
    return is_gray(trace) if trace.display is not None else difference <= limits.FILTERS_CLOSE


_NORM = "norm = lambda w: np.sqrt(np.square(w).sum(axis=(1, 2, 3), keepdims=True))\n"
_INDEPENDENT = f"""{_NORM}filters = gch.init.normal(layer.filters.shape, rng=0, dtype=layer.weight.dtype)
filters *= norm(layer.filters) / norm(filters)
layer = layer.replace(weight=filters"""


def remedy_filters(evidence: Evidence) -> Evidence | None:
    """Independent filters of the same norms."""
    layer = evidence.layer
    if layer is None or not evidence.computed:
        return None
    return evidence.with_head(layer=_with_filters(layer, _drawn(layer.filters, filter_norms(layer.filters))))


def _drawn(like: NDArray[Any], norms: Any) -> NDArray[Any]:
    """Independent filters of these norms, the same each time."""
    drawn: NDArray[Any] = init.normal(like.shape, rng=0, dtype=like.dtype)
    drawn *= (norms / filter_norms(drawn)).astype(like.dtype)
    return drawn


def _with_filters(layer: OutputLayer, filters: NDArray[Any]) -> OutputLayer:
    return layer.replace(weight=filters.swapaxes(0, 1) if layer.transposed else filters)


# -- one tint ---------------------------------------------------------------------------------------------------


def suspect_tint(evidence: Evidence, trace: Trace) -> Suspicion | None:
    words = "draw the three filters independently: filters that are multiples of one another make one tint"
    if evidence.layer is None or not evidence.computed:
        return _tint_alone(evidence, trace, words) if evidence.layer is None else None
    if _dead(evidence, trace).any():
        return None
    difference, cosine = compare_filters(evidence.layer)
    linear = trace["linear"].moments
    aligned = filters_aligned(evidence.layer)
    if difference <= limits.FILTERS_ALIKE or not aligned >= limits.FILTERS_COLLINEAR or linear is None:
        return None
    if not linear.participation_ratio <= limits.ONE_TINT_ONLY:
        return None
    norms = filter_norms(evidence.layer.filters).ravel()
    return Suspicion(
        FACT,
        {"smallest_cosine": cosine, "norms": [float(norm) for norm in norms]},
        f"the three filters are multiples of one another (their directions agree to {aligned:.3f}, but for the sign; "
        f"norms {_three(norms)}): every pixel has the same hue, more of it or less",
        words,
        _INDEPENDENT + (".swapaxes(0, 1))" if evidence.layer.transposed else ")"),
    )


def _tint_alone(evidence: Evidence, trace: Trace, words: str) -> Suspicion | None:
    numbers = one_tint(evidence, trace)
    if numbers is None:
        return None
    return Suspicion(
        POSSIBLE,
        numbers,
        f"all pixels have one tint (participation ratio of the colours {numbers['participation_ratio']:.2f}, natural "
        "images 1.2): filters that are multiples of one another make that, and so does one photographed material",
        words,
        settle="layer= shows the filters",
        stands_alone=True,
    )


# -- saturation -------------------------------------------------------------------------------------------------


def suspect_gain(evidence: Evidence, trace: Trace) -> Suspicion | None:
    """Saturated by contrast: the head's values reach far beyond the activation's range, both ways."""
    share, before = _near_ends(trace), trace["linear"].moments if "linear" in trace else None
    if share is None or before is None or not _too_loud(before, evidence.linear_range):
        return None
    return Suspicion(
        SIGN,
        _saturated(share, before),
        f"{100 * share:.0f} % of the network's values lie within 1 % of an end of the range: before the activation "
        f"their std is {np.mean(before.std):.3g}, far beyond where it bends",
        _LOWER,
        rescaling_code(evidence),
    )


def suspect_saturation(evidence: Evidence, trace: Trace) -> Suspicion | None:
    """Saturated by the mean, or for a reason that pictures alone do not show."""
    share, before = _near_ends(trace), trace["linear"].moments if "linear" in trace else None
    if share is None or (before is not None and _too_loud(before, evidence.linear_range)):
        return None
    if before is None:
        if constant_planes(evidence).any() and tones(evidence).near_ends <= limits.NEAR_END_SHARE:
            return None  # a plane that never varies lies there, the rest does not
        return Suspicion(
            POSSIBLE,
            {"near_end_share": share},
            f"{100 * share:.0f} % of the picture's values lie within 1 % of an end of the range: a saturated head "
            "looks like this, and so does a white or black background",
            "lower the gain of the head: smaller weights, or a normalised layer before it",
            settle="layer= and features= show whether the head saturates",
        )
    return Suspicion(
        SIGN,
        _saturated(share, before),
        f"{100 * share:.0f} % of the network's values lie within 1 % of an end of the range; before the activation "
        f"their std is {np.mean(before.std):.3g} and their mean {np.mean(before.mean):.3g}",
        _LOWER,
        rescaling_code(evidence),
    )


_LOWER = (
    "lower the gain of the head: smaller weights, or a normalised layer before it; a saturated head also learns next "
    "to nothing, because the gradient of the activation is gone"
)


def _near_ends(trace: Trace) -> float | None:
    """Share of the values near an end of the range, where that is too much."""
    if "activation" in trace:
        share = float(trace["activation"].details["near_end_share"])
    elif trace.display is not None:
        share = trace.display.near_end_share
    else:
        return None
    return share if share > limits.NEAR_END_SHARE else None


def _too_loud(before: ColorMoments, value_range: Range) -> bool:
    """Whether the values are far out by their contrast rather than by their mean."""
    return bool(np.mean(before.std) >= np.mean(np.abs(np.asarray(before.mean) - np.mean(value_range))))


def _saturated(share: float, before: ColorMoments) -> dict[str, Any]:
    return {
        "near_end_share": share,
        "std_before_activation": [float(value) for value in before.std],
        "mean_before_activation": [float(value) for value in before.mean],
    }


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
    words = "look for a dead or collapsed layer before the head: one latent direction, a bottleneck, mode collapse"
    if "features" not in trace:
        numbers = one_tint(evidence, trace) if evidence.layer is None else None
        if numbers is None:
            return None
        reason = "all pixels have one tint: collapsed features make that"
        return Suspicion(
            POSSIBLE, numbers, reason, words, settle="features= shows whether they vary", stands_alone=True
        )
    details = trace["features"].details
    ratio, channels = details["participation_ratio"], details["channel_participation_ratio"]
    if details["nonfinite_share"] or details["places"] < limits.FEW_PLACES:
        return None  # what is not a number hides what is, and a few places vary along few directions
    if ratio is not None and ratio >= limits.COLLAPSED_PARTICIPATION:
        return None
    before = trace["linear"].moments
    tint = before is None or not before.participation_ratio >= limits.ONE_TINT
    certain = ratio is None or tint or (channels is not None and channels < limits.COLLAPSED_CHANNELS)
    if ratio is None:
        reason = f"the features are constant: all {details['channels']} channels are dead"
    else:
        reason = (
            f"the features that one pixel sees vary along {ratio:.2f} directions only (participation ratio), so the "
            "three filters, however different, make one tint"
        )
    return Suspicion(
        FACT if certain else SIGN,  # few natural colours also come from few directions
        {"participation_ratio": ratio, "channel_participation_ratio": channels, "channels": details["channels"]},
        reason,
        words,
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
