"""The path of colour in numbers: one stage after the other, from the features to the screen."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganchroma.color import NATURAL, quantize
from ganchroma.diagnosis.evidence import Evidence
from ganchroma.diagnosis.thresholds import PATCHES
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
    some = quantize(picture[:PICTURES], value_range=value_range)
    return Display(stats.summary(), np.ascontiguousarray(np.moveaxis(some, 1, -1)))


def trace(evidence: Evidence) -> Trace:
    """Measure every stage that the evidence reaches."""
    stages = []
    layer, features, network = evidence.layer, evidence.features, evidence.network
    if layer is not None and features is not None and network is not None:
        stages.append(Stage("features", details=measure_features(features, layer)))
        stages.append(Stage("linear", layer.moments(features, linear=True)))
        stats = ChromaStats(value_range=evidence.network_range)
        stats.update(network)
        stages.append(Stage("activation", stats.summary().within, {"near_end_share": stats.summary().near_end_share}))
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
    single pixels. Values that are not finite are left out and their share is stated.
    """
    finite = np.isfinite(features)
    values = features if finite.all() else np.where(finite, features, 0)
    count = np.maximum(finite.sum(axis=(0, 2, 3)), 1)
    energy = np.square(values, dtype=np.float64).sum(axis=(0, 2, 3)) / count
    means = values.sum(axis=(0, 2, 3), dtype=np.float64) / count
    samples = _patches(features, layer)
    pixels = _pixels(features)
    return {
        "channels": features.shape[1],
        "energy": float(np.mean(energy)),
        "mean_share": float(np.mean(means**2) / np.mean(energy)) if energy.any() else None,
        "participation_ratio": _participation(samples[np.isfinite(samples).all(axis=1)]),
        "channel_participation_ratio": _participation(pixels[np.isfinite(pixels).all(axis=1)]),
        "nonfinite_share": float(1 - finite.mean()),
    }


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
    gram = centred.T @ centred if centred.shape[1] < count else centred @ centred.T
    trace_one = np.trace(gram) / count
    if trace_one <= 1e-12 * max(float(np.mean(samples**2)), 1e-300) * samples.shape[1]:
        return None
    trace_two = float(np.sum(gram**2)) / count**2
    # n samples of a white spectrum alone would give tr(C)^2 / n: that part is not the features'.
    trace_two = max(trace_two - trace_one**2 / count, 1e-12 * trace_one**2)
    return float(min(trace_one**2 / trace_two, samples.shape[1]))
