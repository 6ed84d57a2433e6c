"""A whole generator in, the answer out: which layer makes the RGB, and where the colour goes from there."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from torch import Tensor, nn

from ganchroma.activation import ActivationLike, activation_name, parse_activation
from ganchroma.diagnosis import Diagnosis, ModuleFacts, Rerun, diagnose
from ganchroma.torch.facts import spectral_norms, untrained_norms
from ganchroma.torch.flow import Step
from ganchroma.torch.learning import learning_signs
from ganchroma.torch.search import Found, Network, Run, find_head, read_again, to_array

__all__ = ["inspect"]


def inspect(
    generator: nn.Module,
    *inputs: Any,
    head: str | nn.Module | None = None,
    activation: ActivationLike | None = None,
    value_range: tuple[float, float] | None = None,
    discriminator: Callable[[Tensor], Any] | None = None,
    loss: Callable[[Tensor], Tensor] | None = None,
    dataset: Any = None,
    seed: int = 0,
    kwargs: Mapping[str, Any] | None = None,
) -> Diagnosis:
    """Say where a PyTorch generator loses its colour, why, and what brings it back; the generator stays as it is.

    It is run as it stands, in the mode it is in. Every operator of the forward is watched, so the layer that makes the
    RGB is found by what was computed, not by its name or place: in modules and functions, containers, weight norms,
    modulated weights, linear layers that are viewed as images. What follows it, up to the image that comes out, is
    verified by computing it.

    Parameters
    ----------
    generator : torch.nn.Module
    *inputs
        What it is called with. Sixteen latents or more give steady numbers; of very large features fewer are read.
    head : str or torch.nn.Module, optional
        The layer that makes the RGB, by its name in ``named_modules()`` or a parameter's, if it is not to be searched.
    activation : str or tuple, optional
        What follows the head, as in `ganchroma.conv2d`, if it is not to be searched.
    value_range : (low, high), optional
        Black and white of the images that come out. By default what the activation says: tanh [-1, 1], sigmoid [0, 1],
        scaled as the network scales it. A head that nothing bounds is taken for [-1, 1], and a note says so.
    discriminator : callable, optional
        Images to scores; adds the signs of learning, `Diagnosis.learning`, for the loss softplus(-score). A module is
        left as it is, too.
    loss : callable, optional
        Images to a scalar, in place of the discriminator's loss.
    dataset : array or tensor (n, 3, H, W), optional
        Real pictures in the range of the generator's: what its pictures should resemble, and what the discriminator is
        asked about.
    seed : int
        Of the random numbers that the forward draws.
    kwargs : mapping, optional
        Keyword arguments of the forward.

    Returns
    -------
    Diagnosis
        With `.head_name`, the layer that makes the RGB, and `.head_share`, the share of the image's variance that it
        explains. Where that is less than all (skip connections, blends), the picture is judged by itself.

    Raises
    ------
    TypeError
        If `generator` is no module, or the forward returns no tensor.
    ValueError
        If `head` names nothing that ran.
    LookupError
        If no image comes out, or no layer ran that could make it; the message lists what did and how to name one.

    Examples
    --------
    >>> import ganchroma as gch
    >>> import torch
    >>> _ = torch.manual_seed(0)
    >>> generator = nn.Sequential(nn.ConvTranspose2d(8, 16, 4), nn.ReLU(), nn.Conv2d(16, 3, 3, padding=1), nn.Tanh())
    >>> answer = gch.torch.inspect(generator, torch.randn(16, 8, 5, 5))
    >>> answer.head_name, answer.causes[0].name
    ('2', 'healthy')
    """
    if not isinstance(generator, nn.Module):
        raise TypeError(f"generator must be a torch.nn.Module, got {type(generator).__name__}")
    if any(tensor.is_meta for tensor in (*generator.parameters(), *generator.buffers())):
        raise ValueError("generator is on the meta device, where nothing is computed: give it memory and weights first")
    for name, given in (("discriminator", discriminator), ("loss", loss)):
        if not (given is None or callable(given)):
            raise TypeError(f"{name} must be a function of the images, got {type(given).__name__}")
    if activation is not None:
        parse_activation(activation)
    network = Network(generator, inputs, dict(kwargs or {}), seed)
    found, run = find_head(network, head, activation)
    shown, value_range, remarks = _shown(found, run, value_range)
    facts = _facts(network, found, run)
    diagnosis = diagnose(
        shown,
        layer=found.match.layer,
        features=found.match.features if found.match.explains else None,
        dataset=dataset,
        value_range=value_range,
        module=facts,
    )
    signs = None
    if discriminator is not None or loss is not None:
        signs = learning_signs(found.match, run.image, discriminator, loss, dataset, seed)
        if signs is None:
            remarks.append("the signs of learning were left out: they need a head that makes the whole image")
    return Diagnosis(
        replace(diagnosis.answer, notes=[*remarks, *diagnosis.notes]),
        name=type(generator).__name__,
        about=_sentence(found, run, facts),
        head_name=found.ran.name,
        head_share=found.match.share,
        learning=signs,
    )


def _shown(found: Found, run: Run, stated: tuple[float, float] | None) -> tuple[Any, tuple[float, float], list[str]]:
    """The picture to judge (None: the head's own), its range, and what a reader has to know of both."""
    match = found.match
    image = to_array(run.image)[: len(match.features)]
    remarks = list(match.remarks)
    if run.where:
        remarks.append(f"of what the generator returns, {run.where} is judged")
    if len(image) < len(run.image):
        remarks.append(f"the first {len(image)} of {len(run.image)} images were read: the head's input is large")
    bounded = activation_name(match.layer.activation) in ("tanh", "sigmoid", "clamp")
    if image.dtype == "uint8":
        own = (0.0, 255.0)
    elif bounded and match.explains:
        own = match.value_range
    else:
        own = _scaled(found.steps, match.layer.value_range)
    if stated is None and not (bounded and match.explains) and image.dtype != "uint8":
        low, high = own
        beyond = float(np.mean((image < low) | (image > high)))
        remarks.append(
            f"nothing bounds the image's values: [{low:g}, {high:g}] is taken for black and white, and "
            f"{100 * beyond:.2g} % lie beyond; pass value_range= if it is another"
        )
        image = np.clip(image, low, high)  # as whatever shows it will do
    if match.normalised:
        remarks.append("each channel of what comes out is scaled by itself; it is judged before that")
        return None, match.layer.value_range if stated is None else stated, remarks
    if match.explains and image.shape[2:] != match.layer.output_size(match.features.shape[2:]):
        remarks.append(f"the image is the head's at another size, {image.shape[2]} x {image.shape[3]}")
        return None, own if stated is None else stated, remarks
    return image[:, :3], own if stated is None else stated, remarks


def _scaled(steps: Sequence[Step], ends: tuple[float, float]) -> tuple[float, float]:
    """What a network's last scalings, multiplications and additions of plain numbers, make of these values."""
    last: list[Step] = []
    for step in reversed(steps):
        numbers = [number for number in step.numbers if number is not None]
        if step.name in ("mul", "div", "add", "sub") and numbers:
            last.append(step)
        elif step.name not in ("_to_copy", "clone", "clamp"):
            break
    for step in reversed(last):
        number = next(number for number in step.numbers if number is not None)
        low, high = ends
        if step.name == "mul":
            ends = low * number, high * number
        elif step.name == "div":
            ends = low / number, high / number
        else:
            shift = number if step.name == "add" else -number
            ends = low + shift, high + shift
    return min(ends), max(ends)


def _facts(network: Network, found: Found, run: Run) -> ModuleFacts:
    """The state of the modules that ran, and how to run them again in another."""
    norms = untrained_norms(run.modules)
    spectral = min(
        ((abs(used / exact), module) for module, used, exact in spectral_norms(run.modules) if exact > 0),
        key=lambda pair: pair[0],
        default=None,
    )
    normed = [module for module, _, _ in spectral_norms(run.modules)]

    def again(put_right: frozenset[str]) -> Rerun:
        try:
            match, image = read_again(
                network,
                found,
                train=norms.untouched if "batchnorm" in put_right else (),
                warm=normed if "spectral_norm" in put_right else (),
            )
        except ValueError:
            return Rerun()  # BatchNorm in training mode refuses a single value per channel
        if match is None or not match.explains:
            return Rerun(images=image[:, :3])
        return Rerun(match.layer, match.features, image[:, :3])

    return ModuleFacts(
        batchnorm=norms.mode,
        untouched=bool(norms.untouched),
        untouched_layers=tuple(run.modules[module] for module in norms.untouched),
        spectral_norm=None if spectral is None else spectral[0],
        spectral_layer="" if spectral is None else run.modules[spectral[1]],
        rerun=again,
    )


def _sentence(found: Found, run: Run, facts: ModuleFacts) -> str:
    """Which layer makes the RGB, what follows it, and how much of the image that is."""
    layer, share = found.match.layer, found.match.share
    height, width = layer.kernel_size
    name = found.ran.name or "the module itself"
    text = f"The RGB is made by {name} ({layer.in_channels} channels, {height}x{width}, then {layer.activation})"
    if found.match.explains:
        text += ", which explains the whole image"
    else:
        text += f", which explains {100 * share:.0f} % of the image's variance; the picture is judged by itself"
        if found.others:
            text += f", for it also comes from {', '.join(found.others[-3:])}"
    if facts.batchnorm == "train":
        text += f". BatchNorm is in training mode, over {len(run.image)} images"
    return text + "."
