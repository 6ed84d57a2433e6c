"""What a call costs that has next to nothing to do, and what stands between the user and the first answer."""

import os
import subprocess
import sys
from functools import partial
from resource import RUSAGE_CHILDREN, getrusage

import numpy as np
import oracle

import ganchroma as gch
from benchmarks.case import Call, Case, Setting, Work
from benchmarks.peers import NUMPY, PYTORCH

SMALL = (3, 128, 3, 3)
IMPORT = """
import numpy
from time import thread_time  # not of the process: threads that NumPy has just started are waiting for work, and busy
before = thread_time()
import ganchroma
print(thread_time() - before)
"""


def cases() -> list[Case]:
    kinds = ("uniform", "normal", "kaiming_normal")
    named = {
        "conv2d 3x3, one of 8x4x4, out=": prepare_convolution,
        **{f"init.{kind}, 3x128x3x3, rng=0": partial(prepare_initialiser, kind) for kind in kinds},
        "diagnose, 64 of 64x64 with layer and features": prepare_diagnosis,
        "import ganchroma, beyond NumPy": prepare_import,
        "ganchroma info": prepare_info,
    }
    return [Case("calls and start-up", name, prepare, scales=False) for name, prepare in named.items()]


def prepare_convolution(setting: Setting) -> Work:
    rng = np.random.default_rng(0)
    x, weight = rng.standard_normal((1, 8, 4, 4), np.float32), rng.standard_normal((3, 8, 3, 3), np.float32)
    out, total = np.empty((1, 3, 4, 4), np.float32), np.empty_like(x)
    peers: dict[str, Call] = {}
    if setting.peers[NUMPY]:
        peers["numpy.add"] = lambda: np.add(x, x, out=total)
    if torch := setting.peers[PYTORCH]:
        tensors = torch.from_numpy(x), torch.from_numpy(weight)
        peers[PYTORCH] = lambda: torch.nn.functional.conv2d(*tensors, padding=1)
    return Work(
        ours=lambda: gch.conv2d(x, weight, padding=1, out=out),
        exact=lambda: oracle.conv2d(x, weight, padding=((1, 1), (1, 1))),
        tolerance=1e-6,
        peers=peers,
        strangers=frozenset(["numpy.add"]),
    )


def prepare_initialiser(kind: str, setting: Setting) -> Work:
    """A seed each time, a new array each time."""
    ours, peers = getattr(gch.init, kind), {}
    if torch := setting.peers[PYTORCH]:
        theirs, generator = getattr(torch.nn.init, f"{kind}_"), torch.Generator()
        peers[PYTORCH] = lambda: theirs(torch.empty(SMALL), generator=generator.manual_seed(0))
    return Work(
        ours=lambda: ours(SMALL, rng=0),
        exact=lambda: exact_numbers(kind),
        tolerance=1e-6,
        peers=peers,
        strangers=frozenset([PYTORCH]),
    )


def exact_numbers(kind: str) -> np.ndarray:
    key = int(np.random.default_rng(0).integers(0, 2**64, dtype=np.uint64))
    draw = oracle.stream_uniform if kind == "uniform" else oracle.stream_normal
    scale = np.sqrt(2 / oracle.fans(SMALL)[0]) if kind == "kaiming_normal" else 1.0
    numbers: np.ndarray = scale * draw(key, 0, int(np.prod(SMALL)), np.float32)
    return numbers.reshape(SMALL)


def prepare_diagnosis(setting: Setting) -> Work:
    rng = np.random.default_rng(0)
    features = rng.standard_normal((64, 64, 32, 32), np.float32).clip(0)
    layer = gch.OutputLayer(
        gch.init.normal((64, 3, 4, 4), std=0.02, rng=0), transposed=True, stride=2, padding=1, activation="tanh"
    )
    images = layer(features)
    return Work(ours=lambda: gch.diagnose(images, layer=layer, features=features, value_range=(-1, 1)))


def prepare_import(setting: Setting) -> Work:
    import_seconds()  # leaves the bytecode behind, as an installation does
    return Work(ours=import_seconds, times_itself=True)


def import_seconds() -> float:
    return float(fresh_python(IMPORT))


def prepare_info(setting: Setting) -> Work:
    return Work(ours=info_seconds, times_itself=True)


def info_seconds() -> float:
    before = seconds_of_children()
    fresh_python("from ganchroma_program import main; main()", "info")
    return seconds_of_children() - before


def seconds_of_children() -> float:
    usage = getrusage(RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def fresh_python(code: str, *arguments: str) -> str:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
