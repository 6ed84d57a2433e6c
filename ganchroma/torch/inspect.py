"""A whole generator in, the answer out: which layer makes the RGB, and where the colour goes from there."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from ganchroma._arrays import check_integer, shown
from ganchroma.activation import ActivationLike, is_bounded, parse_activation
from ganchroma.diagnosis import Diagnosis, ModuleFacts, Rerun, diagnose
from ganchroma.torch.facts import spectral_norms, untrained_norms
from ganchroma.torch.finite import is_finite, not_finite_from
from ganchroma.torch.learning import learning_signs
from ganchroma.torch.ranges import is_usual, likely_range, range_after, scaled
from ganchroma.torch.search import Found, Network, Run, find_head, read_again, to_array
from ganchroma.torch.untouched import SEEDS

__all__ = ["inspect"]

Range = tuple[float, float]
MOST_OF_THE_IMAGE = 0.5  # of its variance: from here on a head's filters say something about a picture judged by itself


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
        scaled as the network scales it. Where nothing bounds the values, those that are hardly ever negative are taken
        for [0, 1] or [0, 255], all others for [-1, 1], and a note says so.
    discriminator : callable, optional
        Images to scores; adds the signs of learning, `Diagnosis.learning`, for the loss softplus(-score). A module is
        left as it is, too.
    loss : callable, optional
        Images to a scalar, in place of the discriminator's loss.
    dataset : array or tensor (n, 3, H, W), optional
        Real pictures, bytes or in the range of the generator's: what its pictures should resemble, and what the
        discriminator is asked about.
    seed : int
        Of the random numbers that the forward draws; from 0 to 2**64 - 1.
    kwargs : mapping, optional
        Keyword arguments of the forward.

    Returns
    -------
    Diagnosis
        With `.head_name`, the layer that makes the RGB, and `.head_share`, the share of the image's variance that is
        its: where more than an activation and a scale comes after it (skip connections, blends, filters), what changes
        when its result is replaced by a constant. The picture is judged by itself then, as it is where the network
        scales it by numbers that it learned or read off the picture, or cuts it to another range.

    Raises
    ------
    TypeError
        If `generator` is no module, an option has the wrong type, or the forward returns no tensor.
    ValueError
        If `head` names nothing that ran, or an option's value is not accepted.
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
    if check_integer(seed, "seed", 0) >= SEEDS:
        raise ValueError(f"seed must be below 2**64, got {shown(seed)}")
    if not isinstance(kwargs, Mapping | None) or not all(isinstance(name, str) for name in kwargs or ()):
        raise TypeError(f"kwargs must be a dictionary of names and values, got {kwargs!r}")
    network = Network(generator, inputs, dict(kwargs or {}), int(seed))
    found, run = find_head(network, head, activation)
    picture, value_range, remarks = _picture(found, run, value_range)
    facts = _facts(network, found, run, remarks)
    diagnosis = diagnose(
        picture,
        layer=None if found.match is None or not _makes_the_image(found) else found.match.layer,
        features=None if found.explained is None else found.explained.features,
        dataset=dataset,
        value_range=value_range,
        module=facts,
    )
    signs = None
    if discriminator is not None or loss is not None:
        if is_finite(run.image):
            signs = learning_signs(found.explained, run, discriminator, loss, dataset, value_range, seed)
        if signs is None:
            need = "a head that makes the whole image" if is_finite(run.image) else "images without NaN and infinity"
            remarks.append(f"the signs of learning were left out: they need {need}")
    return Diagnosis(
        replace(diagnosis.answer, notes=[*remarks, *diagnosis.notes]),
        name=type(generator).__name__,
        about=_sentence(found, run, facts),
        head_name=found.ran.name,
        head_share=found.share,
        learning=signs,
    )


def _makes_the_image(found: Found) -> bool:
    """Whether what is known of the head's filters says something about the image."""
    return found.explained is not None or (
        found.match is not None and found.match.reading.whole and found.share >= MOST_OF_THE_IMAGE
    )


def _picture(found: Found, run: Run, stated: Range | None) -> tuple[Any, Range, list[str]]:
    """The picture to judge (None: the head's own), its range, and what a reader has to know of both."""
    match = found.explained
    image = to_array(run.image)
    remarks = []
    if run.where:
        remarks.append(f"of what the generator returns, {run.where} is judged")
    if found.match is not None and _makes_the_image(found):
        remarks += found.match.reading.remarks if match is None else match.remarks
        if len(found.match.features) < len(image):
            image = image[: len(found.match.features)]
            remarks.append(f"the first {len(image)} of {len(run.image)} images were read: the head's input is large")
    own, why = _range(found, image)
    if stated is None and why:
        low, high = own
        finite = np.isfinite(image)
        if finite.any():
            beyond = round(100 * float(np.mean((image[finite] < low) | (image[finite] > high))))
            remarks.append(
                f"{why}: [{low:g}, {high:g}] is taken for black and white"
                f"{f', {beyond} % lie beyond' if beyond else ''}; pass value_range= if it is another"
            )
        # As whatever shows it will do; but infinity is no color.
        image = np.where(finite, np.clip(image, low, high), image)
    span = own if stated is None else stated
    if match is not None and match.normalised:
        remarks.append("each channel of what comes out is scaled by itself; it is judged before that")
        return None, match.layer.value_range if stated is None else stated, remarks
    if match is not None and image.shape[2:] != match.layer.output_size(match.features.shape[2:]):
        remarks.append(f"the image is the head's at another size, {image.shape[2]} x {image.shape[3]}")
        return None, span, remarks
    return image[:, :3], span, remarks


def _range(found: Found, image: NDArray[Any]) -> tuple[Range, str]:
    """Black and white of the image, and why they are no more than likely ("" where the network says so)."""
    match = found.explained
    if image.dtype == "uint8":
        return (0.0, 255.0), ""
    if match is not None:
        own = match.layer.value_range
        if is_bounded(match.layer.activation):
            sure = match.value_range == own or is_usual(match.value_range)
            return match.value_range, "" if sure else "numbers scale the image after its activation"
        scales = scaled(found.steps, own)
        return (likely_range(image) if scales == own else scales), "nothing bounds the image's values"
    bounded = range_after(found.steps)
    if bounded is not None:
        return bounded, ""
    return likely_range(image), "the range of the image's values can't be read off the network"


def _facts(network: Network, found: Found, run: Run, remarks: list[str]) -> ModuleFacts:
    """The state of the modules that ran, and how to run them again in another; a remark for what can't be run."""
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
        except Exception as error:  # whatever a network does that nobody has run in that mode
            mode = "in training mode" if "batchnorm" in put_right else "after a training forward"
            remark = f"a remedy could not be tried: the generator can't be run {mode}: {_first_line(error)}"
            if remark not in remarks:
                remarks.append(remark)
            return Rerun()
        if found.explained is None or match is None or not match.explains:
            return Rerun(images=image[:, :3])
        return Rerun(match.layer, match.features, image[:, :3])

    return ModuleFacts(
        batchnorm=norms.mode,
        untouched=bool(norms.untouched),
        untouched_layers=tuple(run.modules[module] for module in norms.untouched),
        spectral_norm=None if spectral is None else spectral[0],
        spectral_layer="" if spectral is None else run.modules[spectral[1]],
        rerun=again,
        not_finite="" if is_finite(run.image) else not_finite_from(network),
    )


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).partition('. ')[0].partition(chr(10))[0]}"


def _sentence(found: Found, run: Run, facts: ModuleFacts) -> str:
    """Which layer makes the RGB, what follows it, and how much of the image that is."""
    name = found.ran.name or "the module itself"
    if found.match is not None and found.match.reading.whole:
        layer = found.match.layer
        height, width = layer.kernel_size
        text = f"The RGB is made by {name} ({layer.in_channels} channels, {height}x{width}, then {layer.activation})"
    else:
        text = f"The image comes from {name}"
    if found.explained is not None:
        text += ", which explains the whole image"
    elif not bool(run.image.isfinite().any()):
        text += ", and no value of the image is finite"
    else:
        text += f", which makes {100 * found.share:.0f} % of the image's variance"
        if found.others:
            text += f", beside {', '.join(found.others[-3:])}"
        text += "; more than a plain activation follows, so the picture is judged by itself"
    if facts.batchnorm == "train":
        text += f". BatchNorm is in training mode, over {len(run.image)} images"
    return text + "."
