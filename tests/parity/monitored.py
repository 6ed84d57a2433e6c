"""What the tests of the monitor share: a small generator, its latents, pictures of a chosen colour, measures."""

import numpy as np
import torch
from torch import nn

import ganchroma as gch


def generator(activation=nn.Tanh):
    torch.manual_seed(0)
    return nn.Sequential(nn.ConvTranspose2d(8, 16, 4), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 3, 3), activation())


def latents(n=16):
    return torch.randn(n, 8, 9, 9, generator=torch.Generator().manual_seed(5))


def pictures(rng, *, color=0.5, gain=0.6, tint=0.0, n=16, size=16):
    """Gray noise with `color` times as much colour noise, through tanh; `tint` is added to red."""
    noise = rng.standard_normal((n, 1, size, size)) + color * rng.standard_normal((n, 3, size, size))
    return np.tanh(gain * noise + np.array([tint, 0, 0]).reshape(3, 1, 1)).astype(np.float32)


def expected(images, value_range=(-1, 1)):
    """The measures of a record, from ChromaStats itself."""
    summary = gch.ChromaStats(None if images.dtype == np.uint8 else value_range).update(images).summary()
    return {
        "achromatic_share": summary.within.achromatic_share,
        "correlation": tuple(summary.within.correlation.tolist()),
        "colorfulness": summary.colorfulness,
        "chroma": summary.chroma,
        "std_levels": summary.within.std_levels,
        "near_end_share": summary.near_end_share,
    }


def measures(record):
    return {name: getattr(record, name) for name in expected(np.zeros((1, 3, 1, 1), np.uint8))}
