"""Evidence with one thing changed because somebody wonders, not because it is a fault."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganchroma._arrays import check_number, check_word, shown
from ganchroma.diagnosis.evidence import Evidence
from ganchroma.layer import OutputLayer


def changed(
    evidence: Evidence,
    *,
    activation: Any = None,
    weight: Any = None,
    bias: Any = None,
    gain: float | None = None,
    batchnorm: str | None = None,
    spectral_norm: str | None = None,
) -> tuple[Evidence, str]:
    """The same evidence otherwise, and the change in words. See `Diagnosis.what_if`."""
    if evidence.layer is not None and evidence.apart is not None:
        raise ValueError(
            "what_if can't follow a change to these pictures, which do not follow from layer and features: leave "
            "images= out"
        )
    if evidence.layer is None or evidence.features is None:
        raise ValueError("what_if needs the layer and its features: pass layer= and features= to diagnose")
    words = []
    if batchnorm is not None:
        check_word(batchnorm, "batchnorm", ("train",))
        evidence = _run(evidence, "batchnorm", "train")
        words.append("BatchNorm in training mode")
    if spectral_norm is not None:
        check_word(spectral_norm, "spectral_norm", ("warm",))
        evidence = _run(evidence, "spectral_norm", "warm")
        words.append("spectral norm warmed up")
    layer = evidence.layer
    assert layer is not None
    if weight is not None:
        layer = layer.replace(weight=_numbers(weight, "weight", layer, layer.weight.shape))
        words.append("other filters")
    if bias is not None:
        none = isinstance(bias, str) and bias == "none"
        layer = layer.replace(bias=None if none else _numbers(bias, "bias", layer, (3,)))
        words.append("no bias" if layer.bias is None else "another bias")
    if gain is not None:
        layer = layer.replace(output_scale=layer.output_scale * check_number(gain, "gain"))
        words.append(f"{gain:g} times the gain")
    if activation is not None:
        layer = layer.replace(activation=activation)
        words.append(activation if isinstance(activation, str) else f"{activation[0]}{tuple(activation[1:])}")
    if not words:
        raise TypeError(
            "what_if needs a change; accepted: activation, weight, bias, gain, batchnorm, spectral_norm; got none"
        )
    return evidence.with_head(layer=layer), ", ".join(words)


def _numbers(value: Any, name: str, layer: OutputLayer, shape: tuple[int, ...]) -> NDArray[Any]:
    """Numbers of any type as the layer's own; one number alone is three."""
    try:
        array = np.asarray(value)
        real = array.dtype.kind in "fiu"
    except (TypeError, ValueError):
        real = False
    if not real:
        alternatives = ", one number, or 'none'" if name == "bias" else ""
        raise TypeError(f"{name} is {shown(value)}; accepted: numbers of shape {shape}{alternatives}")
    if name == "bias" and array.ndim == 0:
        array = np.repeat(array, 3)
    if array.shape != shape:
        raise ValueError(f"{name} has shape {array.shape}; the layer's is {shape}: what_if changes nothing but values")
    return array.astype(layer.weight.dtype)


def _run(evidence: Evidence, fault: str, value: str) -> Evidence:
    if fault == "spectral_norm" and evidence.module.rerun is not None and evidence.module.spectral_norm is None:
        raise ValueError("spectral_norm is 'warm', but no spectral norm in evaluation mode is known")
    if fault in evidence.put_right or (fault == "batchnorm" and evidence.module.batchnorm == "train"):
        raise ValueError(f"{fault} is {value!r}, and so it is already")
    again = evidence.run_again(fault)
    if again is None:
        raise ValueError(
            f"{fault} is {value!r}, but the network can't be run again: use ganchroma.torch.inspect, or pass "
            "module=ModuleFacts(..., rerun=) to diagnose"
        )
    facts = {"batchnorm": "train"} if fault == "batchnorm" else {"spectral_norm": None}
    return replace(again, module=replace(again.module, **facts))
