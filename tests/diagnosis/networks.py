"""Small untrained generators in NumPy, and what they leave of a head's input: the architectures of the test bed.

Each is a latent, some blocks of upsampling, convolution, BatchNorm and activation, and a head. What a real network of
that name does to colour is in its head, the activation before it and how smooth its features are; the width and depth
are what a test can afford. The two halves share no head geometry, hidden activation and initialiser together.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

import ganchroma as gch

SIZE, COUNT, LATENT = 32, 10, 24


@dataclass(frozen=True)
class Architecture:
    """How a generator is built.

    Attributes
    ----------
    half : str
        "known", on which thresholds are set, or "unseen", on which the score is taken.
    width : int
        Channels of the head's input.
    slope : float
        Of the activation below zero: 0 is ReLU.
    hidden : float
        Standard deviation of hidden weights; 0 means He's.
    kernel : int
        Of the head; `stride` 2 makes it a transposed one.
    smooth : int
        How often the features are averaged with their neighbours: what skip connections bring.
    bias : str
        "none", "zero" or "default".
    spectral : bool
        Whether the head is spectrally normalised.
    trained : bool
        Whether the head makes natural colours, as a trained one does.
    """

    name: str
    half: str
    width: int
    kernel: int
    stride: int = 1
    slope: float = 0.0
    hidden: float = 0.02
    initialiser: str = "normal"
    activation: Any = "tanh"
    padding: Any = "same"
    padding_mode: str = "zeros"
    smooth: int = 0
    bias: str = "default"
    spectral: bool = False
    trained: bool = False
    options: dict[str, Any] = field(default_factory=dict)


ARCHITECTURES = [
    Architecture("dcgan", "known", 32, 4, stride=2, padding=1, bias="none"),
    Architecture("resnet", "known", 32, 7, padding_mode="reflect", initialiser="normal"),
    Architecture("keras", "known", 24, 7, slope=0.2, activation="sigmoid", initialiser="xavier_uniform", bias="zero"),
    Architecture("progressive", "known", 64, 1, slope=0.2, hidden=0, initialiser="kaiming_normal", activation="clamp"),
    Architecture("trained", "known", 32, 3, smooth=2, hidden=0, initialiser="kaiming_uniform", trained=True),
    Architecture("biggan", "unseen", 48, 3, initialiser="orthogonal", hidden=0, bias="zero"),
    Architecture("upsample", "unseen", 32, 3, slope=0.2, initialiser="normal"),
    Architecture(
        "tutorial", "unseen", 32, 5, stride=2, padding=2, slope=0.3, hidden=0, bias="none",
        initialiser="xavier_uniform",
        options={"output_padding": 1},
    ),
    Architecture("unet", "unseen", 40, 4, stride=2, padding=1, smooth=3, slope=0.2),
    Architecture("lightweight", "unseen", 32, 3, hidden=0, initialiser="kaiming_normal", activation="clamp", smooth=1),
    Architecture("spectral", "unseen", 48, 3, initialiser="xavier_uniform", spectral=True, bias="zero"),
    Architecture("style", "unseen", 96, 1, smooth=2, hidden=0, initialiser="orthogonal", activation="clamp"),
    Architecture("trained wide", "unseen", 48, 5, smooth=2, slope=0.2, hidden=0, initialiser="xavier_normal",
        trained=True),
]  # fmt: skip


def convolved(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    return gch.conv2d(x, weight, padding=weight.shape[2] // 2)


def normalised(x: np.ndarray, training: bool) -> np.ndarray:
    """BatchNorm with untouched statistics: in evaluation mode it divides by one."""
    if not training:
        return x
    mean, std = x.mean(axis=(0, 2, 3), keepdims=True), x.std(axis=(0, 2, 3), keepdims=True)
    return (x - mean) / (std + 1e-3 * std.mean() + 1e-12)


class Network:
    """One generator with its weights and a batch of latents: `features` of either mode, the same each time."""

    def __init__(self, architecture: Architecture, seed: int) -> None:
        self.architecture = architecture
        self.rng = np.random.default_rng([seed, *architecture.name.encode()])
        width, size = architecture.width, SIZE // architecture.stride
        blocks = int(np.log2(size // 4))
        self.latents = self.rng.standard_normal((COUNT, LATENT), dtype=np.float32)
        self.first = self.drawn((2 * width, LATENT, 4, 4), LATENT)
        sizes = [2 * width, *[int(width * 1.5)] * (blocks - 1), width]
        self.weights = [self.drawn((b, a, 3, 3), 9 * a) for a, b in pairwise(sizes)]

    def drawn(self, shape: tuple[int, ...], fan_in: int) -> np.ndarray:
        std = self.architecture.hidden or (2 / fan_in) ** 0.5
        return self.rng.standard_normal(shape, dtype=np.float32) * np.float32(std)

    def features(self, training: bool = True) -> np.ndarray:
        """(COUNT, width, size, size): the head's input."""
        a = self.architecture
        act = ("leaky_relu", a.slope) if a.slope else "relu"
        x = np.einsum("nl,clhw->nchw", self.latents, self.first)
        x = gch.activate(np.ascontiguousarray(normalised(x, training)), act)
        for weight in self.weights:
            x = x.repeat(2, axis=2).repeat(2, axis=3)
            x = gch.activate(np.ascontiguousarray(normalised(convolved(x, weight), training)), act)
        for _ in range(a.smooth):
            for axis in (2, 3):
                x = (x + np.roll(x, 1, axis)) / 2
        return np.ascontiguousarray(x, np.float32)

    def head(self, seed: int) -> gch.OutputLayer:
        """As drawn: of no particular gain."""
        a, rng = self.architecture, np.random.default_rng([seed, 1])
        shape = (a.width, 3, a.kernel, a.kernel) if a.stride > 1 else (3, a.width, a.kernel, a.kernel)
        make: Callable[..., np.ndarray] = getattr(gch.init, a.initialiser)
        extra = (
            {"std": 0.02} if a.initialiser == "normal" else {"a": 5**0.5} if a.initialiser == "kaiming_uniform" else {}
        )
        weight = make(shape, rng=rng, **extra)
        bias = None if a.bias == "none" else np.zeros(3, np.float32)
        if a.bias == "default":
            bound = 1 / np.sqrt(weight[0].size)
            bias = rng.uniform(-bound, bound, 3).astype(np.float32)
        padding = (a.kernel // 2 if a.padding_mode != "zeros" else "same") if a.padding == "same" else a.padding
        return gch.OutputLayer(
            weight, bias, transposed=a.stride > 1, stride=a.stride, padding=padding, padding_mode=a.padding_mode,
            activation=a.activation, **a.options,
        )  # fmt: skip
