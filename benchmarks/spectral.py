"""Spectral norms: the largest singular value of a weight, and the gains of the convolution itself.

The recipe for the latter (Sedghi, Gupta and Long 2019) is fft2 of the kernel at the image's size and the singular
values of the matrix at every frequency; "half" leaves out the frequencies whose conjugates are there (rfft2), which the
recipe does not. Of a transposed layer with a stride the phases are taken apart first, as few and as small matrices as
there can be. All in float64.
"""

from functools import partial
from typing import Any, NamedTuple

import numpy as np
import oracle

import ganchroma as gch
from benchmarks.case import Call, Case, Setting, Work
from benchmarks.peers import NUMPY, PYTORCH

SIZES = (32, 128)


class Layer(NamedTuple):
    name: str
    shape: tuple[int, int, int, int]
    stride: int = 1  # above 1: a transposed layer

    @property
    def options(self) -> dict[str, Any]:
        return {"transposed": self.stride > 1, "stride": self.stride}

    def filters(self, weight: np.ndarray) -> np.ndarray:
        """At stride 1: (outputs times phases, inputs, kh, kw)."""
        if self.stride == 1:
            return weight
        inputs, outputs, height, width = weight.shape
        s = self.stride
        split = weight.reshape(inputs, outputs, height // s, s, width // s, s)
        return np.ascontiguousarray(split.transpose(3, 5, 1, 0, 2, 4).reshape(s * s * outputs, inputs, height // s, -1))


LAYERS = [
    Layer("3 from 128, 3x3", (3, 128, 3, 3)),
    Layer("3 from 64, 7x7", (3, 64, 7, 7)),
    Layer("3 from 3, 3x3", (3, 3, 3, 3)),
    Layer("3 from 64, 4x4, up 2", (64, 3, 4, 4), 2),
]


def cases() -> list[Case]:
    gains = [
        Case("spectral norm", f"{what}, {layer.name}, {size}x{size}", partial(prepare, layer, size), False)
        for layer in LAYERS
        for size in SIZES
        for what, prepare in (("operator norm", prepare_norm), ("frequency response", prepare_response))
    ]
    return [Case("spectral norm", "sigma, 3x1152", prepare_sigma, False), *gains]


def prepare_sigma(setting: Setting) -> Work:
    weight = np.random.default_rng(0).normal(size=(3, 128, 3, 3)).astype(np.float32)
    matrix = weight.reshape(3, -1)
    peers: dict[str, Call] = {}
    if torch := setting.peers[PYTORCH]:
        tensor = torch.from_numpy(matrix)
        peers[PYTORCH] = lambda: torch.linalg.matrix_norm(tensor, 2)
    if setting.peers[NUMPY]:
        peers[NUMPY] = lambda: np.linalg.norm(matrix, 2)
    return Work(
        ours=lambda: gch.spectral.sigma(weight),
        exact=lambda: np.asarray(oracle.spectral_sigma(weight)),
        tolerance=1e-7,  # ours is computed in double, theirs in float32
        peers=peers,
    )


def prepare_norm(layer: Layer, size: int, setting: Setting) -> Work:
    weight = np.random.default_rng(0).normal(size=layer.shape)
    filters, grid = layer.filters(weight), (size, size)
    options = {"padding_mode": "circular", "size": size, **layer.options}
    peers: dict[str, Call] = {}
    if setting.peers[NUMPY]:
        for name, transform in ((NUMPY, np.fft.fft2), (f"{NUMPY}, half", np.fft.rfft2)):
            peers[name] = partial(values_by_numpy, transform, filters, grid)
    if torch := setting.peers[PYTORCH]:
        tensor = torch.from_numpy(filters)
        for name, transform in ((PYTORCH, torch.fft.fft2), (f"{PYTORCH}, half", torch.fft.rfft2)):
            peers[name] = partial(values_by_torch, torch, transform, tensor, grid)
    return Work(
        ours=lambda: gch.spectral.operator_norm(weight, **options),
        exact=lambda: np.asarray(gains(layer, weight, size).max()),
        compared=lambda values: np.asarray(values).max(),
        tolerance=1e-12,
        peers=peers,
    )


def prepare_response(layer: Layer, size: int, setting: Setting) -> Work:
    """All gains, and the directions that they belong to."""
    weight = np.random.default_rng(0).normal(size=layer.shape)
    filters, grid = layer.filters(weight), (size, size)
    peers: dict[str, Call] = {}
    if setting.peers[NUMPY]:
        peers[NUMPY] = lambda: np.linalg.svd(np.fft.fft2(filters, grid).transpose(2, 3, 0, 1), full_matrices=False).S
    if torch := setting.peers[PYTORCH]:
        tensor = torch.from_numpy(filters)
        peers[PYTORCH] = lambda: (
            torch.linalg.svd(torch.fft.fft2(tensor, grid).permute(2, 3, 0, 1), full_matrices=False).S
        )
    return Work(
        ours=lambda: gch.spectral.frequency_response(weight, size, threads=setting.threads, **layer.options),
        exact=lambda: gains(layer, weight, size),
        compared=lambda result: np.asarray(getattr(result, "singular_values", result)),
        tolerance=1e-12,
        peers=peers,
    )


def gains(layer: Layer, weight: np.ndarray, size: int) -> np.ndarray:
    strides = (layer.stride, layer.stride)
    answer: np.ndarray = oracle.circular_gains(weight, (size, size), layer.stride > 1, strides)
    return answer


def values_by_numpy(transform: Any, filters: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
    return np.linalg.svd(transform(filters, grid).transpose(2, 3, 0, 1), compute_uv=False)


def values_by_torch(torch: Any, transform: Any, filters: Any, grid: tuple[int, int]) -> Any:
    return torch.linalg.svdvals(transform(filters, grid).permute(2, 3, 0, 1))
