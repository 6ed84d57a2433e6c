"""Instructions that representative calls take, beside those on record: fails where they grew by more than 3 %.

Counts repeat where times do not. valgrind has no AVX-512, so that they are those of the AVX2 kernels, on one thread.
One process makes all calls and tells callgrind, through `callgrind_requests.c`, when to count: neither the start nor
what warms up is. Another compiler, Python or NumPy has other counts: then the difference is told and nothing fails.
"""

import argparse
import ctypes
import gc
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import ganchroma as gch
from benchmarks.roofs import c_compiler
from ganchroma import _core
from ganchroma._progress import progress

RECORD = Path(__file__).with_name("instructions.json")
MOST = 0.03  # growth
WARM_UP = 3
ISA = "avx2"
ENVIRONMENT = {
    "GANCHROMA_MAX_ISA": ISA,
    "GANCHROMA_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONHASHSEED": "0",
}
Call = Callable[[], Any]


class Counted(NamedTuple):
    """What makes a call ready, and over how many the count is averaged."""

    prepare: Callable[[], Call]
    calls: int


def numbers(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape, np.float32)


def convolution() -> Call:
    x, layer = numbers(2, 64, 37, 53), gch.OutputLayer(numbers(3, 64, 3, 3), padding=1, activation="tanh")
    return lambda: layer(x)


def reflected_convolution() -> Call:
    x = numbers(1, 32, 64, 64)
    layer = gch.OutputLayer(numbers(3, 32, 7, 7), padding=3, padding_mode="reflect", activation="tanh")
    return lambda: layer(x)


def pointwise_convolution() -> Call:
    x, layer = numbers(1, 512, 32, 32), gch.OutputLayer(numbers(3, 512, 1, 1))
    return lambda: layer(x)


def transposed_convolution() -> Call:
    x, weight = numbers(2, 64, 32, 32), numbers(64, 3, 4, 4)
    layer = gch.OutputLayer(weight, transposed=True, stride=2, padding=1, activation="tanh")
    return lambda: layer(x)


def channels_last_convolution() -> Call:
    x, weight = numbers(1, 64, 64, 64), numbers(3, 64, 3, 3)
    return lambda: gch.conv2d(x, weight, padding=1, layout="NHWC")


def gradient(need: str) -> Call:
    x, weight, grad = numbers(1, 64, 64, 64), numbers(3, 64, 3, 3), numbers(1, 3, 64, 64)
    return lambda: gch.conv2d_backward(grad, x, weight, padding=1, needs=(need,))


def small_convolution() -> Call:
    x, weight, out = numbers(1, 8, 4, 4), numbers(3, 8, 3, 3), np.empty((1, 3, 4, 4), np.float32)
    return lambda: gch.conv2d(x, weight, padding=1, out=out)


def torch_numbers() -> Call:
    stream, out = gch.TorchGenerator(0), np.empty(100_000, np.float32)
    return lambda: stream.uniform(out, 0.0, 1.0)


def byte_statistics(images: int, side: int) -> Call:
    """Added to what there is already, as in a loop over batches."""
    batch = np.random.default_rng(0).integers(0, 256, (images, 3, side, side), np.uint8)
    stats = gch.ChromaStats().update(batch)
    return lambda: stats.update(batch)


def lab() -> Call:
    images = np.random.default_rng(0).random((1, 3, 128, 128), np.float32)
    return lambda: gch.color.rgb_to_lab(images, value_range=(0, 1))


COUNTED = {
    "conv2d 3x3, 64 to 3, 2 of 37x53": Counted(convolution, 4),
    "conv2d 7x7 reflect, 32 to 3, 64x64": Counted(reflected_convolution, 4),
    "conv2d 1x1, 512 to 3, 32x32": Counted(pointwise_convolution, 8),
    "conv_transpose2d 4x4 up 2, 64 to 3, 2 of 32x32": Counted(transposed_convolution, 4),
    "conv2d 3x3 NHWC, 64 to 3, 64x64": Counted(channels_last_convolution, 4),
    "grad_input 3x3, 64 to 3, 64x64": Counted(lambda: gradient("input"), 4),
    "grad_weight 3x3, 64 to 3, 64x64": Counted(lambda: gradient("weight"), 4),
    "conv2d 3x3, 8 to 3, 4x4, out=": Counted(small_convolution, 500),
    "init.normal, 256x128x3, rng=0": Counted(lambda: lambda: gch.init.normal((256, 128, 3), rng=0), 8),
    "TorchGenerator.uniform, 100,000": Counted(torch_numbers, 8),
    "ChromaStats.update, bytes, 8 of 64x64": Counted(lambda: byte_statistics(8, 64), 4),
    "ChromaStats.update, bytes, 1 of 512x512": Counted(lambda: byte_statistics(1, 512), 4),
    "rgb_to_lab, float32, 128x128": Counted(lab, 4),
}


# -- counting -----------------------------------------------------------------------------------------------------


def count() -> dict[str, int]:
    """Instructions of one call of each."""
    with tempfile.TemporaryDirectory() as folder:
        requests, out = Path(folder, "requests.so"), Path(folder, "out")
        source = Path(__file__).with_name("callgrind_requests.c")
        subprocess.run([*c_compiler(), "-O2", "-shared", "-fPIC", str(source), "-o", str(requests)], check=True)
        tool = ["valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={out}"]
        program = [sys.executable, "-m", "benchmarks.instructions", "--run", str(requests)]
        subprocess.run([*tool, "--quiet", *program], env={**os.environ, **ENVIRONMENT}, check=True)
        dumps = [path.read_text() for path in Path(folder).glob("out.*")]
    found = {}
    for dump in dumps:
        name = re.search(r"^desc: Trigger: Client Request: (.*)$", dump, re.MULTILINE)
        total = re.search(r"^totals: (\d+)$", dump, re.MULTILINE)
        if name and total:
            found[name[1]] = round(int(total[1]) / COUNTED[name[1]].calls)
    return {name: found[name] for name in COUNTED}


def run(requests: Path) -> None:
    """Under valgrind: every call, some times to warm up, then as often as it is counted."""
    assert _core.isa() == ISA, f"{_core.isa()} is running"
    callgrind = ctypes.CDLL(str(requests))
    callgrind.count_on.restype = None
    callgrind.count_off.restype, callgrind.count_off.argtypes = None, [ctypes.c_char_p]
    for name, (prepare, calls) in progress(list(COUNTED.items()), "counting"):
        call = prepare()
        for _ in range(WARM_UP):
            call()
        gc.collect()
        callgrind.count_on()
        for _ in range(calls):
            call()
        callgrind.count_off(name.encode())


# -- comparing ----------------------------------------------------------------------------------------------------


def made_with() -> dict[str, str]:
    """What decides the counts beside our sources. The compilers are those that the extension itself names."""
    named = re.findall(rb"GCC: \([^)\0]*\) [\d.]+|clang version [\d.]+", Path(_core.__file__).read_bytes())
    return {
        "compiler": ", ".join(sorted({name.decode() for name in named})),
        "python": ".".join(platform.python_version_tuple()[:2]),
        "numpy": np.__version__,
    }


def compare(record: Mapping[str, Any], found: Mapping[str, int], tools: Mapping[str, str]) -> tuple[str, bool]:
    """A table, and whether all is well."""
    before = record["instructions"]
    lines, grown = [], []
    for name, instructions_now in found.items():
        growth = instructions_now / before[name] - 1
        lines.append(f"{name:48s}{before[name]:12,}{instructions_now:12,}{growth:+8.1%}")
        if instructions_now > (1 + MOST) * before[name]:
            grown.append(name)
    different = [
        f"{key} is {tools[key]}, on record {value}" for key, value in record["made_with"].items() if tools[key] != value
    ]
    if different:
        return "\n".join([*lines, f"not judged: {'; '.join(different)}"]), True
    if grown:
        return "\n".join([*lines, f"more than {MOST:.0%} more instructions: {'; '.join(grown)}"]), False
    return "\n".join([*lines, f"none takes more than {MOST:.0%} more instructions"]), True


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.instructions", description=__doc__.split("\n")[0])
    parser.add_argument("--write", action="store_true", help=f"put what is counted on record, in {RECORD.name}")
    parser.add_argument("--run", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.run:
        run(options.run)
        return 0
    if shutil.which("valgrind") is None:
        parser.error("valgrind is not installed: apt-get install valgrind")
    found = count()
    if options.write:
        RECORD.write_text(json.dumps({"made_with": made_with(), "instructions": found}, indent=1) + "\n")
        print(f"wrote {RECORD}")
        return 0
    text, well = compare(json.loads(RECORD.read_text()), found, made_with())
    print(text)
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
