"""Output layers of real generators, and what they are given."""

from dataclasses import dataclass
from typing import Any

import numpy as np

import ganchroma as gch

Pads = tuple[tuple[int, int], tuple[int, int]]
FILTERS = 3


@dataclass(frozen=True)
class Head:
    """One head: `features` is (N, C, H, W), `pads` ((top, bottom), (left, right))."""

    name: str
    features: tuple[int, int, int, int]
    kernel: int
    transposed: bool = False
    stride: int = 1
    pads: Pads = ((0, 0), (0, 0))
    mode: str = "zeros"
    activation: str = "tanh"

    @property
    def options(self) -> dict[str, Any]:
        return {"stride": (self.stride, self.stride), "padding": self.pads}

    @property
    def output_size(self) -> tuple[int, int]:
        if self.transposed:
            height, width = ((size - 1) * self.stride + self.kernel for size in self.features[2:])
            return height - sum(self.pads[0]), width - sum(self.pads[1])
        height, width = (size + sum(pad) for size, pad in zip(self.features[2:], self.pads, strict=True))
        return (height - self.kernel) // self.stride + 1, (width - self.kernel) // self.stride + 1

    @property
    def flops(self) -> float:
        """Of the convolution alone. A transposed one multiplies every input pixel by the whole kernel."""
        images, channels, *size = self.features
        height, width = size if self.transposed else self.output_size
        return 2.0 * images * channels * height * width * FILTERS * self.kernel**2

    def draw(self) -> tuple[np.ndarray, gch.OutputLayer]:
        rng = np.random.default_rng(0)
        channels = self.features[1]
        shape = (channels, FILTERS) if self.transposed else (FILTERS, channels)
        weight = rng.normal(0, 1 / np.sqrt(channels * self.kernel**2), (*shape, self.kernel, self.kernel))
        layer = gch.OutputLayer(
            weight.astype(np.float32),
            rng.normal(0, 0.1, FILTERS).astype(np.float32),
            transposed=self.transposed,
            padding_mode=self.mode,
            activation=self.activation,
            **self.options,
        )
        return rng.standard_normal(self.features, np.float32), layer


ONE = ((1, 1), (1, 1))
HEADS = [
    Head("3x3, 128 to 3, 16 of 64x64", (16, 128, 64, 64), 3, pads=ONE),
    Head("3x3, 128 to 3, 4 of 256x256", (4, 128, 256, 256), 3, pads=ONE),
    Head("7x7 reflect, 64 to 3, 4 of 256x256", (4, 64, 256, 256), 7, pads=((3, 3), (3, 3)), mode="reflect"),
    Head("transposed 4x4/2, 64 to 3, 64 of 32x32", (64, 64, 32, 32), 4, True, 2, ONE),
    Head("1x1, 512 to 3, 4 of 128x128", (4, 512, 128, 128), 1, activation="linear"),
    Head("3x3, 128 to 3, 16 of 37x53", (16, 128, 37, 53), 3, pads=ONE),
    Head("3x3, 128 to 3, 16 of 63x65", (16, 128, 63, 65), 3, pads=ONE),
    Head("transposed 5x5/2 same, 64 to 3, 64 of 32x32", (64, 64, 32, 32), 5, True, 2, ((1, 2), (1, 2))),
    Head("7x7, 128 to 3, 16 of 28x28", (16, 128, 28, 28), 7, pads=((3, 3), (3, 3)), activation="sigmoid"),
    Head("transposed 4x4/2, 64 to 3, one of 32x32", (1, 64, 32, 32), 4, True, 2, ONE),
    Head("3x3, 64 to 3, one of 32x32", (1, 64, 32, 32), 3, pads=ONE),
]
