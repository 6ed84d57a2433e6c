"""Cases for the tests of the diagnosis: heads, features and pictures whose truth is known by construction."""

import numpy as np

import ganchroma as gch
from ganchroma.diagnosis.causes import CAUSES
from ganchroma.diagnosis.engine import answer
from ganchroma.diagnosis.evidence import collect

KINDS = {cause.kind for cause in CAUSES} | {"healthy", "not_finite"}


def smooth_noise(shape, seed=0):
    """Values of a few pixels' smoothness, like features and like natural subjects."""
    noise = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    for axis in (-1, -2):
        for _ in range(3):
            noise = noise + np.roll(noise, 1, axis)
    return noise / noise.std()


def relu_features(n=8, channels=24, size=32, seed=0):
    return np.maximum(smooth_noise((n, channels, size, size), seed), 0)


def sound_layer(channels=24, gain=1.0, **options):
    weight = gch.init.kaiming_uniform((3, channels, 3, 3), a=5**0.5, rng=1) * np.float32(gain)
    return gch.OutputLayer(weight, padding=1, **options)


def photographs(n=4, size=48):
    """Pictures with the colours and the power spectrum (1 / f^2) of natural images."""
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None, :])
    frequency[0, 0] = np.inf
    spectrum = np.fft.rfft2(np.random.default_rng(5).normal(size=(n, 3, size, size))) / frequency
    linear = np.fft.irfft2(spectrum, s=(size, size))
    linear = (linear / linear.std(axis=(2, 3), keepdims=True)).transpose(0, 2, 3, 1)
    root = np.array([[0.26, 0.09, 0.02], [0.27, 0.0, -0.05], [0.27, -0.09, 0.03]])
    picture = np.clip(linear @ root.T + 0.45, 0, 1)
    return np.ascontiguousarray(np.round(255 * picture).astype(np.uint8).transpose(0, 3, 1, 2))


def norms(layer):
    return np.linalg.norm(layer.filters.reshape(3, -1).astype(np.float64), axis=1)


def names(result, status="found"):
    return [finding.name for finding in result.findings if finding.status == status]


def solve(*args, **kwargs):
    result = answer(collect(*args, **kwargs))
    assert {finding.kind for finding in result.findings} <= KINDS
    return result
