"""The factors of an experiment on output layers, and their levels, from what the user gives."""

import math
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, TypeVar

from numpy.typing import NDArray

from ganchroma import init
from ganchroma._arrays import check_flag, check_word, compute_dtype, shown
from ganchroma._factor_sample import Sample
from ganchroma.activation import parse_activation
from ganchroma.feature_moments import check_features
from ganchroma.layer import OutputLayer

__all__ = ["INITIALISERS", "heads_of", "makers_of", "norms_of", "samples_of"]

Level = TypeVar("Level")

INITIALISERS: dict[str, Callable[..., NDArray[Any]]] = {
    "normal(0, .02)": partial(init.normal, std=0.02),
    "default": partial(init.kaiming_uniform, a=math.sqrt(5)),
    "xavier_uniform": init.xavier_uniform,
    "xavier_normal": init.xavier_normal,
    "kaiming_normal": init.kaiming_normal,
    "orthogonal": init.orthogonal,
}
"""Those of the experiment unless others are named; "default" is what PyTorch gives a convolution's weight."""


def _several(value: Any, name: str, accepted: str) -> list[Any]:
    """The levels of a factor: any sequence but a word."""
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise TypeError(f"{name} must be a sequence of {accepted}, got {shown(value)}")
    levels = list(value)
    if not levels:
        raise ValueError(f"{name} is empty; it must hold at least one of {accepted}")
    return levels


def _distinct(levels: Iterable[tuple[str, Level]], name: str) -> dict[str, Level]:
    found: dict[str, Level] = {}
    for word, level in levels:
        if word in found:
            raise ValueError(f"{name} holds {word!r} twice")
        found[word] = level
    return found


def makers_of(initialisers: Any) -> dict[str, Callable[..., Any]]:
    if initialisers is None:
        return INITIALISERS
    if not isinstance(initialisers, Mapping):
        words = _several(initialisers, "initialisers", "names, or a mapping of names to callables")
        checked = [check_word(word, f"initialisers[{place}]", INITIALISERS) for place, word in enumerate(words)]
        return _distinct(((word, INITIALISERS[word]) for word in checked), "initialisers")
    if not initialisers:
        raise ValueError("initialisers is empty; it must hold at least one name and callable")
    for name, make in initialisers.items():
        if not isinstance(name, str) or not callable(make):
            raise TypeError(f"initialisers must map names to callables, got {shown(name)}: {shown(make)}")
    return dict(initialisers)


def heads_of(layer: Any, activations: Any) -> dict[str, OutputLayer]:
    """A layer for each activation."""
    if not isinstance(layer, OutputLayer):
        raise TypeError(f"layer must be an OutputLayer, got {type(layer).__name__}")
    if layer.out_channels != 3:
        raise ValueError(f"layer must have 3 filters (R, G, B), got {layer.out_channels}")
    levels = _several(activations, "activations", 'activations, e.g. ("tanh", "sigmoid")')
    for place, level in enumerate(levels):
        try:
            parse_activation(level)
        except (TypeError, ValueError) as error:
            raise type(error)(f"activations[{place}]: {error}") from None
    named = ((level if isinstance(level, str) else _words(*level), layer.replace(activation=level)) for level in levels)
    return _distinct(named, "activations")


def _words(name: str, *numbers: float) -> str:
    return f"{name}({', '.join(f'{number:g}' for number in numbers)})" if numbers else name


def norms_of(spectral_norm: Any) -> dict[str, bool]:
    levels = _several(spectral_norm, "spectral_norm", "True and False")
    checked = (check_flag(level, f"spectral_norm[{place}]") for place, level in enumerate(levels))
    return _distinct((("on" if level else "off", level) for level in checked), "spectral_norm")


def samples_of(layer: OutputLayer, features: Any, pixels: int) -> dict[str, Sample]:
    """What is looked at of each level of "batchnorm", or under one name of the features."""
    if not isinstance(features, Mapping):
        return {"features": _sample(layer, features, "features", pixels)}
    if not features:
        raise ValueError("features is an empty mapping; it must hold at least one array")
    wrong = next((name for name in features if not isinstance(name, str)), "")
    if not isinstance(wrong, str):
        raise TypeError(f"the names of features must be strings, got {shown(wrong)}")
    return {name: _sample(layer, x, f"features[{name!r}]", pixels) for name, x in features.items()}


def _sample(layer: OutputLayer, x: Any, name: str, pixels: int) -> Sample:
    checked = check_features(x, layer, name)
    if checked.size and checked.min() == checked.max():
        raise ValueError(f"{name} is {checked.flat[0]:g} everywhere: whatever the factors, no picture varies")
    found = Sample.draw(layer, checked, pixels, compute_dtype(layer.weight))
    if found.each < 2:
        raise ValueError(f"{name} gives images of a single pixel, within which no colour varies")
    return found
