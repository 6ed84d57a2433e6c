"""Gradients of the output layer against PyTorch's autograd, on the heads of real generators.

Run: python benchmarks/bench_backward.py [--json]

Each gradient is first checked against PyTorch, then both take turns on one thread, in processor time, as in
bench_layer.py. The share is the multiply-adds of the gradient over those of the fastest burst of the run.
"""

import argparse
import json
import sys
from typing import Any

import numpy as np
import torch
from bench_layer import CASES, Case, time_turns, timed
from roof import Roof
from torch.nn import functional

import ganchroma as gch
from ganchroma import _core

HEADS = [case for case in CASES if case.features[0] > 1 and case.mode == "zeros"]


def gradient(case: Case, layer: gch.OutputLayer, x: np.ndarray, need: str) -> tuple[Any, Any]:
    """Two calls that compute one gradient: ours and PyTorch's."""
    features, weight = torch.from_numpy(x).requires_grad_(), torch.tensor(layer.weight).requires_grad_()
    (top, bottom), (left, right) = case.pads
    if case.transposed:
        y = functional.conv_transpose2d(features, weight, None, case.stride, (top, left))
        y = y[:, :, : y.shape[2] - (bottom - top), : y.shape[3] - (right - left)]
    else:
        y = functional.conv2d(features, weight, None, case.stride, (top, left))
    grad = torch.randn(y.shape, generator=torch.Generator().manual_seed(1))
    function = gch.conv_transpose2d_backward if case.transposed else gch.conv2d_backward
    leaf, index = (features, 0) if need == "input" else (weight, 1)

    def ours() -> Any:
        return function(grad, x, layer.weight, **case.options, needs=(need,), threads=1)[index]

    def theirs() -> Any:
        return torch.autograd.grad(y, leaf, grad, retain_graph=True)[0].numpy()

    return ours, theirs


def measure(case: Case, roof: Roof) -> list[dict[str, Any]]:
    x, layer = case.draw()
    rows = []
    for need in ("input", "weight"):
        ours, theirs = gradient(case, layer, x, need)
        expected = theirs()
        # Float32 sums of up to 10^6 products in PyTorch's order: some 1e-5 of the largest.
        np.testing.assert_allclose(ours(), expected, atol=1e-4 * np.abs(expected).max(), err_msg=f"{case.name}, {need}")
        mine, peer = time_turns(roof, [timed(ours, 1), timed(theirs, 1)], 1)
        rows.append(
            {
                "case": case.name,
                "gradient": need,
                "ours_ms": 1e3 * mine,
                "torch_ms": 1e3 * peer,
                "ratio": peer / mine,
                "gflops": case.flops / mine / 1e9,
                "fma_share": case.flops / mine / roof.best[1],
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    options = parser.parse_args()
    torch.set_num_threads(1)
    roof = Roof(_core.isa())
    for _ in range(25):
        roof.flops(1)
    rows = []
    if not options.json:
        print(
            f"{_core.isa()}, torch {torch.__version__}; multiply-add burst: {roof.best[1] / 1e9:.0f} GF/s, one thread\n"
        )
        print(f"{'head':34s}{'gradient':>9s}{'ours':>12s}{'torch':>12s}{'faster':>9s}{'GF/s':>8s}{'of FMA':>9s}")
    for case in HEADS:
        for row in measure(case, roof):
            rows.append(row)
            if not options.json:
                print(
                    f"{row['case']:34s}{row['gradient']:>9s}{row['ours_ms']:9.3f} ms{row['torch_ms']:9.3f} ms"
                    f"{row['ratio']:8.1f}x{row['gflops']:8.0f}{row['fma_share']:9.0%}",
                    flush=True,
                )
    if options.json:
        json.dump({"isa": _core.isa(), "torch": torch.__version__, "cases": rows}, sys.stdout, indent=1)
        print()


if __name__ == "__main__":
    main()
