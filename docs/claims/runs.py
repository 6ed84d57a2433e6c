"""The training runs that the claims about training are judged by, and the table of what they measured."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

import ganchroma
from ganchroma.torch.experiments import Config, Sweep, sweep

SEEDS = 6
STANDARD = Config(steps=400)
_IDENTICAL = replace(STANDARD, init="identical")
_WEAK, _STRONG, _FROZEN = ({"discriminator_lr": rate} for rate in (2e-6, 2e-3, 0.0))

CONFIGS = {
    "standard": STANDARD,
    "identical": _IDENTICAL,
    "identical, SGD 2e-2": replace(_IDENTICAL, optimizer="sgd", lr=2e-2),
    "identical, SGD 2e-3": replace(_IDENTICAL, optimizer="sgd", lr=2e-3),
    "identical, SGD 2e-4": replace(_IDENTICAL, optimizer="sgd", lr=2e-4),
    "fill(1.0)": replace(STANDARD, init="fill"),
    "weak D": replace(STANDARD, **_WEAK),
    "identical, weak D": replace(_IDENTICAL, **_WEAK),
    "identical, frozen D": replace(_IDENTICAL, **_FROZEN),
    "strong D": replace(STANDARD, **_STRONG),
    "identical, strong D": replace(_IDENTICAL, **_STRONG),
    "data half gray": replace(STANDARD, gray_share=0.5),
    "data all gray": replace(STANDARD, gray_share=1.0),
    "calibrated": replace(STANDARD, init="calibrated"),
    "spectral norm": replace(STANDARD, spectral_norm="parametrization"),
    "spectral norm, legacy": replace(STANDARD, spectral_norm="legacy"),
    "as loud as spectral norm": replace(STANDARD, init="unit_sigma"),
    "identical, spectral norm": replace(_IDENTICAL, spectral_norm="parametrization"),
    "sigmoid": replace(STANDARD, activation="sigmoid"),
    "identical, sigmoid": replace(_IDENTICAL, activation="sigmoid"),
}


_KEPT = ("state.safetensors", "run.json")  # what a run leaves in its folder
_STAMP = "code"


def train(out: Path, resume: bool = False) -> Sweep:
    """All of them, anew; or, resuming, those that an interrupted call left out.

    Raises
    ------
    SystemExit
        If what is to be resumed was made by other code, which might have trained otherwise.
    """
    begin(out, resume)
    return sweep(CONFIGS, SEEDS, out=out)


def begin(out: Path, resume: bool) -> None:
    """Nothing old in the folder, or nothing but what this very code left there."""
    left = [path for name in _KEPT for path in sorted(out.glob(f"*/{name}"))]
    stamp = out / _STAMP
    if not resume:
        for path in left:
            path.unlink()
    elif left and (not stamp.exists() or stamp.read_text() != code()):
        raise SystemExit(f"the runs in {out} are of other code, or of other versions: start anew, without --resume")
    out.mkdir(parents=True, exist_ok=True)
    stamp.write_text(code())


def code() -> str:
    """A checksum of what a run depends on: the package, its core, PyTorch and NumPy."""
    package = Path(ganchroma.__file__).parent
    core = sorted((package.parent / "csrc").rglob("*.[ch]"))
    found = hashlib.sha256(f"torch {torch.__version__}, numpy {np.__version__}".encode())
    for path in (*sorted(package.rglob("*.py")), *core):
        found.update(path.read_bytes())
    return found.hexdigest()
