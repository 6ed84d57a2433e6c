"""Streams of random numbers and the initialisers that draw from them."""

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import oracle

import ganchroma as gch
from benchmarks.case import Call, Case, Setting, Work, Writing
from benchmarks.peers import NUMPY, PYTORCH

Fill = Callable[[np.ndarray, bool], None]  # an array, and whether the stream starts anew

MANY, CHECKED = 10_000_000, 1_000_003
LAWS = ("uniform", "normal")
SMALL, LARGE = (3, 128, 3, 3), (256, 128, 3, 3)
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


def cases() -> list[Case]:
    streams = [
        Case("random numbers", f"{source}, {law}", partial(prepare, law))
        for source, prepare in (("Philox", prepare_philox), ("TorchGenerator", prepare_torch))
        for law in LAWS
    ]
    shapes = [
        (name, (shape[0], math.prod(shape[1:])) if name == "sparse" else shape)
        for name in INITIALISERS
        for shape in (SMALL, LARGE)
    ]
    return streams + [
        Case("initialisers", f"{name}, {'x'.join(map(str, shape))}", partial(prepare_initialiser, name, shape), False)
        for name, shape in shapes
    ]


def prepare_philox(law: str, setting: Setting) -> Work:
    stream = gch.rng.Stream(0)
    answer = oracle.stream_uniform if law == "uniform" else oracle.stream_normal
    return prepare_stream(
        lambda out, fresh: getattr(gch.rng.Stream(stream.key) if fresh else stream, law)(
            out, 0.0, 1.0, threads=setting.threads
        ),
        lambda: answer(stream.key, 0, CHECKED, np.float32),
        law,
        setting,
    )


def prepare_torch(law: str, setting: Setting) -> Work:
    stream = gch.TorchGenerator(0, setting.peers.capability())
    twister = oracle.TorchStream(0)
    return prepare_stream(
        lambda out, fresh: getattr(stream.manual_seed(0) if fresh else stream, law)(
            out, 0.0, 1.0, threads=setting.threads
        ),
        lambda: twister.unit(CHECKED, np.float32) if law == "uniform" else twister.normal(CHECKED, np.float32),
        law,
        setting,
    )


def prepare_stream(fill: Fill, exact: Call, law: str, setting: Setting) -> Work:
    """Standard numbers in float32, into arrays that are there."""
    out = np.zeros(MANY, np.float32)

    def first() -> np.ndarray:
        fill(out[:CHECKED], True)
        return out[:CHECKED]

    peers = stream_peers(law, setting)
    return Work(
        ours=lambda: fill(out, False),
        checked=first,
        exact=exact,
        # Uniform numbers are exact; of normal ones the angle and the radius are rounded to float32.
        tolerance=0.0 if law == "uniform" else 1e-6,
        peers=peers,
        strangers=frozenset(peers),
        limit=Writing(np.zeros(MANY, np.float32)),
    )


def stream_peers(law: str, setting: Setting) -> dict[str, Call]:
    peers = {}
    if torch := setting.peers[PYTORCH]:
        peers[PYTORCH] = getattr(torch.zeros(MANY), f"{law}_")
    if setting.peers[NUMPY]:
        generator, out = np.random.Generator(np.random.Philox(0)), np.zeros(MANY, np.float32)
        draw = generator.random if law == "uniform" else generator.standard_normal
        peers[NUMPY] = lambda: draw(out=out, dtype=np.float32)
    return peers


def prepare_initialiser(name: str, shape: tuple[int, ...], setting: Setting) -> Work:
    """PyTorch's stream, into arrays that are there: the same numbers (of `orthogonal` to rounding)."""
    ours, arguments = getattr(gch.init, name), INITIALISERS[name]
    stream, out = gch.TorchGenerator(0, setting.peers.capability()), np.zeros(shape, np.float32)
    torch = setting.peers[PYTORCH]
    theirs = torch and partial(getattr(torch.nn.init, f"{name}_"), torch.zeros(shape), *arguments)

    def answer() -> np.ndarray:
        torch.manual_seed(0)
        return np.array(theirs())

    return Work(
        ours=lambda: ours(shape, *arguments, rng=stream, out=out),
        checked=lambda: ours(shape, *arguments, rng=stream.manual_seed(0), out=out),
        exact=answer if torch else None,
        tolerance=1e-5 if name == "orthogonal" else 0.0,
        peers={PYTORCH: theirs} if torch else {},
        strangers=frozenset([PYTORCH]),  # its stream goes on
    )
