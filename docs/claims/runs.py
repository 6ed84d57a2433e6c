"""The training runs that the claims about training are judged by, and the table of what they measured."""

from dataclasses import replace
from pathlib import Path

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


def train(out: Path, workers: int | None = None) -> Sweep:
    """All of them; what lies in `out` already is read."""
    return sweep(CONFIGS, SEEDS, workers=workers, out=out)
