"""The path of colour in numbers: one stage after the other, from the features to the screen."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganchroma.color import NATURAL, quantize
from ganchroma.diagnosis.display import some
from ganchroma.diagnosis.evidence import Evidence, Range
from ganchroma.diagnosis.thresholds import (
    COLLAPSED_PARTICIPATION,
    NEAR_END_SHARE,
    NEAR_LEVELS,
    ONE_BACKGROUND,
    PATCHES,
    SUBJECT_SHARE,
)
from ganchroma.layer import OutputLayer
from ganchroma.stages import Display, Stage, Trace
from ganchroma.stats import ChromaStats

PICTURES = 16


def measure_display(evidence: Evidence) -> Display | None:
    """The screen as this evidence leaves it; None if there is no picture."""
    if not evidence.has_picture:
        return None
    picture, value_range = evidence.picture
    stats = ChromaStats(value_range=value_range)
    stats.update(picture)
    first = quantize(picture[:PICTURES], value_range=value_range)
    summary = stats.summary()
    pictures = np.ascontiguousarray(np.moveaxis(first, 1, -1))
    return Display(summary, pictures, _near_ends(summary.near_end_share, picture, value_range))


def _near_ends(share: float, images: NDArray[Any], value_range: Range) -> float:
    """The share of values near an end of the range; without a background, if there is one.

    That is: pixels that are black, or white, in all three channels, nearly all of them the same, beside enough others.
    A saturated head has both ends, or nothing else.
    """
    if not share > NEAR_END_SHARE:
        return share
    levels = quantize(some(images), value_range=value_range)
    low, high = levels <= NEAR_LEVELS, levels >= 255 - NEAR_LEVELS
    black, white = low.all(axis=1), high.all(axis=1)
    subject = ~(black | white)
    if subject.mean() < SUBJECT_SHARE or max(black.mean(), white.mean()) < ONE_BACKGROUND * (1 - subject.mean()):
        return share
    return float((low | high).transpose(0, 2, 3, 1)[subject].mean())


def trace(evidence: Evidence) -> Trace:
    """Measure every stage that the evidence reaches."""
    stages = []
    layer, features, network = evidence.layer, evidence.features, evidence.network
    if layer is not None and features is not None and network is not None:
        stages.append(Stage("features", details=measure_features(features, layer)))
        linear = layer.moments(features, linear=True)
        stages.append(Stage("linear", replace(linear, value_range=evidence.network_range)))
        stats = ChromaStats(value_range=evidence.network_range)
        stats.update(network)
        share = _near_ends(stats.summary().near_end_share, network, evidence.network_range)
        stages.append(Stage("activation", stats.summary().within, {"near_end_share": share}))
    display = measure_display(evidence)
    if display is not None:
        stages.append(Stage("display", display.summary.within))
    reference = evidence.reference
    source = "natural images" if reference is None else "data set"
    stages.append(Stage("reference", NATURAL if reference is None else reference, {"source": source}))
    return Trace(stages, display)


def measure_features(features: NDArray[Any], layer: OutputLayer) -> dict[str, Any]:
    """Channels, energy, mean share and participation ratio of the head's input.

    Energy is the mean square; the mean share is the part of it that the channels' means carry. The participation
    ratio (sum l)^2 / sum l^2 is that of the covariance of the patches one output pixel sees, sampled at a regular
    grid of positions and corrected for the number of samples; None if they do not vary. That of the channels is of
    single pixels. Both are of the features at the head's scales; where they are small, of the features at its weights,
    too, if that is more: a loud channel that it hardly reads is no collapse. `places` is the number of patches. Values
    that are not finite are left out and their share is stated.
    """
    heard = _as_heard(features, layer)
    finite = np.isfinite(features)
    values = features if finite.all() else np.where(finite, features, 0)
    count = np.maximum(finite.sum(axis=(0, 2, 3)), 1)
    energy = np.square(values, dtype=np.float64).sum(axis=(0, 2, 3)) / count
    means = values.sum(axis=(0, 2, 3), dtype=np.float64) / count
    participation, places = _largest_participation(heard, lambda one: _patches(one, layer))
    return {
        "channels": features.shape[1],
        "energy": float(np.mean(energy)),
        "mean_share": float(np.mean(means**2) / np.mean(energy)) if energy.any() else None,
        "participation_ratio": participation,
        "channel_participation_ratio": _largest_participation(heard, _pixels)[0],
        "places": places,
        "nonfinite_share": float(1 - finite.mean()),
    }


def _as_heard(features: NDArray[Any], layer: OutputLayer) -> list[NDArray[Any]]:
    """Features at the scale of each channel, and also at the root mean square of the weights that read it."""
    scale = np.ones(1) if layer.channel_scale is None else np.asarray(layer.channel_scale, np.float64)
    weights = np.sqrt(np.square(layer.filters, dtype=np.float64).mean(axis=(0, 2, 3)))
    heard = [] if layer.channel_scale is not None else [features]
    for loudness in ([] if heard else [np.atleast_2d(scale)]) + [np.atleast_2d(weights * scale)]:
        if np.isfinite(loudness).all() and loudness.any():
            factors = (loudness / loudness.max()).astype(features.dtype)
            heard.append(features * factors[:, :, np.newaxis, np.newaxis])
    return heard or [features]


def _largest_participation(
    heard: list[NDArray[Any]], take: Callable[[NDArray[Any]], NDArray[np.float64]]
) -> tuple[float | None, int]:
    """Of samples of the first features; where that is small, the largest of any. And how many samples there are."""
    largest, count = None, 0
    for features in heard:
        rows = take(features)
        count = len(rows)
        ratio = _participation(rows[np.isfinite(rows).all(axis=1)])
        largest = max(filter(None, (largest, ratio)), default=None)
        if largest is not None and largest >= COLLAPSED_PARTICIPATION:
            break
    return largest, count


def _pixels(features: NDArray[Any]) -> NDArray[np.float64]:
    """(samples, channels) pixels on a regular grid of positions."""
    count, channels, height, width = features.shape
    places = np.linspace(0, count * height * width - 1, min(count * height * width, PATCHES)).astype(np.int64)
    image, row, column = np.unravel_index(places, (count, height, width))
    return features[image, :, row, column].reshape(-1, channels).astype(np.float64)


def _patches(features: NDArray[Any], layer: OutputLayer) -> NDArray[np.float64]:
    """(samples, values) receptive fields of output pixels; of one phase, if the layer is transposed."""
    window = [
        min(-(-kernel // stride) if layer.transposed else (kernel - 1) * dilation + 1, size)
        for kernel, stride, dilation, size in zip(
            layer.kernel_size, layer.stride, layer.dilation, features.shape[2:], strict=True
        )
    ]
    every = np.lib.stride_tricks.sliding_window_view(features, window, axis=(2, 3))
    places = (every.shape[0], *every.shape[2:4])
    count = int(np.prod(places))
    image, row, column = np.unravel_index(np.linspace(0, count - 1, min(count, PATCHES)).astype(np.int64), places)
    step = (1, 1) if layer.transposed else layer.dilation
    chosen = every[image, :, row, column, :: step[0], :: step[1]]
    return chosen.reshape(len(chosen), -1).astype(np.float64)


def _participation(samples: NDArray[np.float64]) -> float | None:
    """Participation ratio of the covariance of (n, d) samples; None without variance."""
    count = len(samples)
    if count < 2:
        return None
    centred = samples - samples.mean(axis=0)
    energy = np.square(centred).sum()
    if energy / count <= 1e-12 * max(float(np.mean(samples**2)), 1e-300) * samples.shape[1]:
        return None
    # Of mean square one, float32 holds the products: most of the time of a diagnosis, of which two digits are read.
    even = (centred / np.sqrt(energy / centred.size)).astype(np.float32)
    gram = even.T @ even if even.shape[1] < count else even @ even.T
    trace_one = float(even.shape[1])
    trace_two = float(np.square(gram, dtype=np.float64).sum()) / count**2
    # n samples of a white spectrum alone would give tr(C)^2 / n: that part is not the features'.
    trace_two = max(trace_two - trace_one**2 / count, 1e-12 * trace_one**2)
    return float(min(trace_one**2 / trace_two, samples.shape[1]))
