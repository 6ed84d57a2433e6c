"""PyTorch's random numbers, from ganchroma and from PyTorch, and ganchroma's own, on one thread.

Run: python benchmarks/bench_rng.py [--json]

First the numbers of both are compared, bit for bit, for the capability that this process's PyTorch has. Then ours,
PyTorch, ganchroma's own stream and plainly writing the array take turns, as in bench_layer.py. Small arrays show what a
call costs. At last the initialisers beside torch.nn.init.
"""

import argparse
import itertools
import json
import math
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from bench_layer import time_turns, timed
from roof import Roof

import ganchroma as gch
from ganchroma import _core

try:
    import torch
except ImportError:
    sys.exit("this benchmark compares with PyTorch; install it: pip install ganchroma[bench]")

INITIALISERS: dict[str, tuple[float, ...]] = {
    "uniform": (-0.1, 0.1),
    "normal": (0.0, 0.02),
    "trunc_normal": (0.0, 0.02, -0.04, 0.04),
    "xavier_uniform": (),
    "xavier_normal": (),
    "kaiming_uniform": (),
    "kaiming_normal": (),
    "orthogonal": (),
    "sparse": (0.5,),
}
SHAPES = [(3, 64, 3, 3), (256, 128, 3, 3)]
COUNTS = (1, 15, 16, 17, 64, 256, 10_000_000)
CAPABILITY = "default" if torch.backends.cpu.get_cpu_capability() == "DEFAULT" else "avx2"


def check(law: str, dtype: Any) -> None:
    """Stops if one bit differs."""
    array, tensor = np.empty(100_003, dtype), torch.from_numpy(np.empty(100_003, dtype))
    getattr(gch.TorchGenerator(0, CAPABILITY), law)(array, 0.0, 1.0)
    getattr(tensor, f"{law}_")(0.0, 1.0, generator=torch.Generator().manual_seed(0))
    assert array.tobytes() == tensor.numpy().tobytes(), f"{law} {np.dtype(dtype)} is not PyTorch's"


def measure(roof: Roof, law: str, dtype: Any, count: int) -> dict[str, Any]:
    check(law, dtype)
    array, repeats = np.zeros(count, dtype), max(1, 100_000 // count)
    tensor = torch.from_numpy(array)
    ours = getattr(gch.TorchGenerator(0, CAPABILITY), law)
    theirs = getattr(tensor, f"{law}_")
    own = getattr(gch.rng.as_stream(0), law)
    calls = [
        lambda: ours(array, 0.0, 1.0),
        lambda: theirs(0.0, 1.0),
        lambda: own(array, 0.0, 1.0),
        lambda: array.fill(0),
    ]
    with gch.threads(1):
        times = time_turns(roof, [timed(repeated(call, repeats), 1) for call in calls], 1)
    names = ("ours", "torch", "own_stream", "write")
    row = {f"{name}_ns": 1e9 * seconds / count / repeats for name, seconds in zip(names, times, strict=True)}
    return {"law": law, "dtype": np.dtype(dtype).name, "count": count, **row, "ratio": times[1] / times[0]}


def measure_initialiser(roof: Roof, name: str, arguments: tuple[float, ...], shape: tuple[int, ...]) -> dict[str, Any]:
    array, repeats = np.empty(shape, np.float32), max(1, 20_000 // math.prod(shape))
    tensor, stream = torch.empty(shape), gch.TorchGenerator(0, CAPABILITY)
    ours, theirs = getattr(gch.init, name), getattr(torch.nn.init, f"{name}_")
    calls = [lambda: ours(shape, *arguments, rng=stream, out=array), lambda: theirs(tensor, *arguments)]
    with gch.threads(1):
        times = time_turns(roof, [timed(repeated(call, repeats), 1) for call in calls], 1)
    return {
        "initialiser": name,
        "shape": shape,
        "ours_us": 1e6 * times[0] / repeats,
        "torch_us": 1e6 * times[1] / repeats,
        "ratio": times[1] / times[0],
    }


def repeated(call: Callable[[], Any], times: int) -> Callable[[], None]:
    def run() -> None:
        for _ in range(times):
            call()

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    options = parser.parse_args()
    torch.set_num_threads(1)
    roof = Roof(_core.isa())
    for _ in range(25):
        roof.flops(1)
    kinds = itertools.product(("uniform", "normal"), (np.float32, np.float64), COUNTS)
    rows = [measure(roof, *kind) for kind in kinds]
    made = [
        measure_initialiser(roof, name, arguments, (shape[0], math.prod(shape[1:])) if name == "sparse" else shape)
        for name, arguments in INITIALISERS.items()
        for shape in SHAPES
    ]
    if options.json:
        json.dump(
            {
                "isa": _core.isa(),
                "torch": torch.__version__,
                "capability": CAPABILITY,
                "cases": rows,
                "initialisers": made,
            },
            sys.stdout,
        )
        print()
        return
    print(f"{_core.isa()}, torch {torch.__version__} ({CAPABILITY}); ns a number, on one thread\n")
    heads = f"{'law':9s}{'dtype':9s}{'numbers':>11s}"
    print(f"{heads}{'ours':>8s}{'torch':>8s}{'faster':>9s}{'own stream':>12s}{'writing':>9s}")
    for row in rows:
        print(
            f"{row['law']:9s}{row['dtype']:9s}{row['count']:11,}{row['ours_ns']:8.2f}{row['torch_ns']:8.2f}"
            f"{row['ratio']:8.2f}x"
            f"{row['own_stream_ns']:12.2f}{row['write_ns']:9.2f}"
        )
    print(f"\n{'initialiser':17s}{'shape':18s}{'ours':>10s}{'torch':>11s}{'faster':>9s}   microseconds a call")
    for row in made:
        shape = "x".join(map(str, row["shape"]))
        print(f"{row['initialiser']:17s}{shape:18s}{row['ours_us']:10.1f}{row['torch_us']:11.1f}{row['ratio']:8.2f}x")
    print("\nfaster: PyTorch's time over ours, the same bits (but orthogonal's); processor time")


if __name__ == "__main__":
    main()
