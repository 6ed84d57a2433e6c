"""Operator norm and frequency response against FFT and SVD, in NumPy and in PyTorch, on one thread.

Run: python benchmarks/bench_spectral.py [--json]

The recipe (Sedghi, Gupta and Long 2019) is fft2 of the kernel at the image's size and the SVD of the matrix at every
frequency; "half" leaves out the frequencies whose conjugates are there (rfft2), which the recipe does not. Of a
transposed layer with a stride the phases are taken apart first, as few and as small matrices as there can be. All in
float64. The results are compared, then all take turns, in processor time; the least counts.
"""

import argparse
import json
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from bench_layer import timed

import ganchroma as gch
from ganchroma import _core

try:
    import torch
except ImportError:
    sys.exit("this benchmark compares with PyTorch; install it: pip install ganchroma[bench]")

TURNS, OURS_A_TURN = 5, 20
SIZES = (32, 128)


class Case(NamedTuple):
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


CASES = [
    Case("3 from 128, 3x3", (3, 128, 3, 3)),
    Case("3 from 64, 7x7", (3, 64, 7, 7)),
    Case("3 from 3, 3x3", (3, 3, 3, 3)),
    Case("DCGAN: 3 from 64, 4x4, up 2", (64, 3, 4, 4), 2),
]


def recipes(filters: np.ndarray, size: int) -> dict[str, Callable[[], Any]]:
    """Singular values (frequencies, n)."""
    tensor = torch.from_numpy(filters)
    grid = (size, size)
    return {
        "numpy": lambda: np.linalg.svd(np.fft.fft2(filters, grid).transpose(2, 3, 0, 1), compute_uv=False),
        "numpy_half": lambda: np.linalg.svd(np.fft.rfft2(filters, grid).transpose(2, 3, 0, 1), compute_uv=False),
        "torch": lambda: torch.linalg.svdvals(torch.fft.fft2(tensor, grid).permute(2, 3, 0, 1)),
        "torch_half": lambda: torch.linalg.svdvals(torch.fft.rfft2(tensor, grid).permute(2, 3, 0, 1)),
        "numpy_vectors": lambda: np.linalg.svd(np.fft.fft2(filters, grid).transpose(2, 3, 0, 1), full_matrices=False),
        "torch_vectors": lambda: torch.linalg.svd(
            torch.fft.fft2(tensor, grid).permute(2, 3, 0, 1), full_matrices=False
        ),
    }


def measure(case: Case, size: int) -> dict[str, Any]:
    weight = np.random.default_rng(0).normal(size=case.shape)
    peers = recipes(case.filters(weight), size)

    def norm() -> float:
        return gch.spectral.operator_norm(weight, padding_mode="circular", size=size, threads=1, **case.options)

    def response() -> Any:
        return gch.spectral.frequency_response(weight, size, threads=1, **case.options)

    expected = peers["numpy"]()
    error = abs(norm() / expected.max() - 1)
    assert error <= 1e-12, f"{case.name}: the norm differs by {error}"
    np.testing.assert_allclose(response().singular_values, expected, atol=1e-12 * expected.max(), err_msg=case.name)
    times: dict[str, list[float]] = {}
    for _ in range(TURNS):
        for name, way in {**peers, "norm": norm, "response": response}.items():
            times.setdefault(name, []).extend(timed(way, 1)() for _ in range(1 if name in peers else OURS_A_TURN))
    least = {name: min(values) for name, values in times.items()}
    return {
        "case": case.name,
        "size": size,
        "relative_error": error,
        **{f"{name}_ms": 1e3 * value for name, value in least.items()},
        "ratio": min(least["numpy"], least["torch"]) / least["norm"],
        "half_ratio": min(least["numpy_half"], least["torch_half"]) / least["norm"],
        "response_ratio": min(least["numpy_vectors"], least["torch_vectors"]) / least["response"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--json", action="store_true", help="print JSON instead of the tables")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = [measure(case, size) for case in CASES for size in SIZES]
    if options.json:
        json.dump({"isa": _core.isa(), "torch": torch.__version__, "cases": rows}, sys.stdout, indent=1)
        print()
        return
    print(f"{_core.isa()}, torch {torch.__version__}, numpy {np.__version__}; ms, one thread\n")
    print(
        f"{'circular':28s}{'size':>5s}{'numpy':>9s}{'torch':>9s}{'half':>9s}{'norm':>8s}{'faster':>8s}"
        f"{'than half':>11s}{'vectors':>9s}{'response':>10s}{'faster':>8s}{'error':>7s}"
    )
    for row in rows:
        half = min(row["numpy_half_ms"], row["torch_half_ms"])
        vectors = min(row["numpy_vectors_ms"], row["torch_vectors_ms"])
        print(
            f"{row['case']:28s}{row['size']:5d}{row['numpy_ms']:9.2f}{row['torch_ms']:9.2f}{half:9.2f}"
            f"{row['norm_ms']:8.3f}{row['ratio']:7.0f}x{row['half_ratio']:10.0f}x{vectors:9.2f}"
            f"{row['response_ms']:10.3f}{row['response_ratio']:7.0f}x{row['relative_error']:7.0e}"
        )
    print(
        "\nnumpy, torch: singular values by fft2 and SVD. half: the faster of both without conjugate frequencies."
        "\nvectors: the faster of both with vectors, beside all values and the directions of ours. faster: than the"
        "\nfaster of numpy and torch."
    )


if __name__ == "__main__":
    main()
