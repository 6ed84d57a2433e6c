"""The output layer against PyTorch and against the machine, on the heads of real generators.

Run: python benchmarks/bench_layer.py [--json]

Each case is first checked: a small input against the float64 definition, the full one against PyTorch. Then ours and
PyTorch, each from NCHW and from channels-last memory (already converted, answered in such memory), take turns, with a
burst of multiply-adds between them; a turn whose burst was slow is thrown away, and the least time counts. One thread
is timed in processor time, more in wall time. Shares: multiply-adds of the layer (activation not counted) over those
of the fastest burst of the run; for 1x1 also the time of plainly reading the same array, in the same turns, over
ours. On a busy machine believe one thread.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, thread_time
from typing import Any

import numpy as np
from roof import Roof

import ganchroma as gch
from ganchroma import _core
from ganchroma.runtime import processor_limit

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
import oracle

try:
    import torch
    from torch.nn import functional
except ImportError:
    sys.exit("this benchmark compares with PyTorch; install it: pip install ganchroma[bench]")

BUSY = 0.5  # load average before the start from which the machine has other work to do
SECONDS = 1.6  # of turns, for each case and thread count
TURNS = (3, 200)  # at least, at most
STEADY = 0.92  # a turn counts if its burst reached this share of the fastest one


@dataclass(frozen=True)
class Case:
    """One head: `features` is (N, C, H, W), `pads` ((top, bottom), (left, right))."""

    name: str
    features: tuple[int, int, int, int]
    kernel: int
    transposed: bool = False
    stride: int = 1
    pads: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0))
    mode: str = "zeros"
    activation: str = "tanh"

    @property
    def options(self) -> dict[str, Any]:
        return {"stride": (self.stride, self.stride), "padding": self.pads}

    @property
    def flops(self) -> float:
        images, channels, height, width = self.features
        if not self.transposed:
            height = (height + sum(self.pads[0]) - self.kernel) // self.stride + 1
            width = (width + sum(self.pads[1]) - self.kernel) // self.stride + 1
        return 2.0 * images * channels * height * width * 3 * self.kernel**2

    def draw(self) -> tuple[np.ndarray, gch.OutputLayer]:
        rng = np.random.default_rng(0)
        channels = self.features[1]
        shape = (channels, 3) if self.transposed else (3, channels)
        weight = rng.normal(0, 1 / np.sqrt(channels * self.kernel**2), (*shape, self.kernel, self.kernel))
        layer = gch.OutputLayer(
            weight.astype(np.float32),
            rng.normal(0, 0.1, 3).astype(np.float32),
            transposed=self.transposed,
            padding_mode=self.mode,
            activation=self.activation,
            **self.options,
        )
        return rng.standard_normal(self.features, np.float32), layer


CASES = [
    Case("BigGAN 3x3 128>3 16x64x64", (16, 128, 64, 64), 3, pads=((1, 1), (1, 1))),
    Case("3x3 128>3 4x256x256", (4, 128, 256, 256), 3, pads=((1, 1), (1, 1))),
    Case("DCGAN 4/2/1 64>3 64x32x32", (64, 64, 32, 32), 4, True, 2, ((1, 1), (1, 1))),
    Case("CycleGAN 7x7 64>3 4x256x256", (4, 64, 256, 256), 7, pads=((3, 3), (3, 3)), mode="reflect"),
    Case("StyleGAN 1x1 512>3 4x128x128", (4, 512, 128, 128), 1, activation="linear"),
    Case("TF 5x5/2 same 64>3 64x32x32", (64, 64, 32, 32), 5, True, 2, ((1, 2), (1, 2))),
    Case("Keras 7x7 128>3 16x28x28", (16, 128, 28, 28), 7, pads=((3, 3), (3, 3)), activation="sigmoid"),
    Case("3x3 128>3 16x37x53", (16, 128, 37, 53), 3, pads=((1, 1), (1, 1))),
    Case("DCGAN, one image", (1, 64, 32, 32), 4, True, 2, ((1, 1), (1, 1))),
    Case("PyTorch-GAN 3x3 64>3, one 32x32", (1, 64, 32, 32), 3, pads=((1, 1), (1, 1))),
]


def channels_last(x: np.ndarray) -> np.ndarray:
    """The same (N, C, H, W) in channels-last memory."""
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)


def peer(case: Case, layer: gch.OutputLayer, x: np.ndarray, last: bool) -> Callable[[], torch.Tensor]:
    """PyTorch's way to the same result, in NCHW or channels_last."""
    memory = torch.channels_last if last else torch.contiguous_format
    tensor = torch.from_numpy(x).to(memory_format=memory)
    weight = torch.tensor(layer.weight).to(memory_format=memory)
    bias = torch.tensor(layer.bias)
    activate = {"tanh": torch.tanh_, "sigmoid": torch.sigmoid_, "linear": lambda y: y}[case.activation]
    (top, bottom), (left, right) = case.pads

    def transposed() -> torch.Tensor:
        y = functional.conv_transpose2d(tensor, weight, bias, case.stride, (top, left))
        # PyTorch crops both sides alike; a slice takes the rest.
        return activate(y[:, :, : y.shape[2] - (bottom - top), : y.shape[3] - (right - left)])

    def reflected() -> torch.Tensor:
        padded = functional.pad(tensor, (left, right, top, bottom), mode=case.mode)
        return activate(functional.conv2d(padded, weight, bias, case.stride))

    def plain() -> torch.Tensor:
        return activate(functional.conv2d(tensor, weight, bias, case.stride, (top, left)))

    return transposed if case.transposed else plain if case.mode == "zeros" else reflected


def check(case: Case, layer: gch.OutputLayer, x: np.ndarray) -> None:
    """Stops if the result is wrong: no figure is worth anything then."""
    small = x[:1, :, :21, :45]
    modes = {} if case.transposed else {"padding_mode": case.mode}
    true = oracle.conv_transpose2d if case.transposed else oracle.conv2d
    exact = true(small, layer.weight, layer.bias, **case.options, **modes, activation=case.activation)
    # Sums of size 1 (by the weights' scale) of up to 6272 products: blocks of 16 channels stay far below 1e-5.
    np.testing.assert_allclose(layer(small), exact, atol=1e-5, err_msg=case.name)
    np.testing.assert_allclose(layer(x), peer(case, layer, x, False)().numpy(), atol=3e-5, err_msg=case.name)
    np.testing.assert_array_equal(layer(channels_last(x)), layer(x), err_msg=case.name)


def timed(work: Callable[[], object], threads: int) -> Callable[[], float]:
    """A call that returns the seconds `work` takes."""
    clock = thread_time if threads == 1 else perf_counter

    def once() -> float:
        before = clock()
        work()
        return clock() - before

    return once


def time_turns(roof: Roof, ways: Sequence[Callable[[], float]], threads: int) -> list[float]:
    """Least seconds of each way over the turns that count."""
    for way in ways:
        way()
    bursts, times = [], []
    start = perf_counter()
    while len(times) < TURNS[0] or (perf_counter() - start < SECONDS and len(times) < TURNS[1]):
        bursts.append(roof.flops(threads, 0.002))
        times.append([way() for way in ways])
    steady = [turn for turn, burst in zip(times, bursts, strict=True) if burst >= STEADY * max(bursts)]
    return [min(column) for column in zip(*steady, strict=True)]


def measure(case: Case, roof: Roof, counts: Sequence[int]) -> list[dict[str, Any]]:
    """A row for NCHW and one for channels-last memory, by number of threads."""
    x, layer = case.draw()
    last = channels_last(x)
    torch.set_num_threads(1)
    check(case, layer, x)
    rows = []
    for threads in counts:
        torch.set_num_threads(threads)
        calls = [lambda n=threads: layer(x, threads=n), lambda n=threads: layer(last, threads=n)]
        calls += [peer(case, layer, x, False), peer(case, layer, x, True)]
        ways = [timed(call, threads) for call in calls]
        if case.kernel == 1:
            ways.append(lambda n=threads: x.nbytes / roof.read(x.reshape(-1), n))
        least = time_turns(roof, ways, threads)
        for memory, seconds, theirs in zip(("NCHW", "channels last"), least[:2], least[2:4], strict=True):
            row = {
                "case": case.name,
                "memory": memory,
                "threads": threads,
                "ours_ms": 1e3 * seconds,
                "torch_ms": 1e3 * theirs,
                "ratio": theirs / seconds,
                "ratio_to_best": min(least[2:4]) / seconds,
                "gflops": case.flops / seconds / 1e9,
                "fma_share": case.flops / seconds / roof.best[threads],
                "read_share": least[4] / seconds if len(least) > 4 else None,
            }
            rows.append(row)
    return rows


def times(ratio: float) -> str:
    """Two digits where one would round .95 to 1."""
    return f"{ratio:.2f}x" if ratio < 2 else f"{ratio:.1f}x"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    roof, every = Roof(_core.isa()), processor_limit()
    counts = sorted({1, every})
    for threads in counts * 25:
        roof.flops(threads)
    rows = []
    if not options.json:
        text = ", ".join(f"{rate / 1e9:.0f} GF/s on {n}" for n, rate in roof.best.items())
        print(f"{_core.isa()}, torch {torch.__version__}; multiply-add burst (threads): {text}\n")
        print(
            f"{'head':34s}{'memory':15s}{'threads':>7s}{'ours':>12s}{'torch':>12s}{'faster':>9s}{'than best':>11s}"
            f"{'GF/s':>8s}{'of FMA':>9s}{'of read':>9s}"
        )
    with torch.inference_mode():
        for case in CASES:
            for row in measure(case, roof, counts):
                rows.append(row)
                if not options.json:
                    read = "" if row["read_share"] is None else f"{row['read_share']:.0%}"
                    print(
                        f"{row['case']:34s}{row['memory']:15s}{row['threads']:7d}{row['ours_ms']:9.3f} ms"
                        f"{row['torch_ms']:9.3f} ms{times(row['ratio']):>9s}{times(row['ratio_to_best']):>11s}"
                        f"{row['gflops']:8.0f}{row['fma_share']:9.0%}{read:>9s}",
                        flush=True,
                    )
    if options.json:
        bursts = {str(n): rate / 1e9 for n, rate in roof.best.items()}
        facts = {"load_before": load, "isa": _core.isa(), "torch": torch.__version__, "burst_gflops": bursts}
        json.dump({**facts, "cases": rows}, sys.stdout, indent=1)
        print()
    else:
        if load > BUSY:
            print(f"\nThe load average was {load:.1f} before the start: do not trust the figures of several threads.")
        print("\nfaster: torch in the same memory over ours; than best: the better of torch's two over ours")
        print("one thread in processor time, more in wall time")


if __name__ == "__main__":
    main()
