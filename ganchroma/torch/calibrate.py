"""The colour-calibrated initialiser for a generator that lives in PyTorch: its head is changed in place."""

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

from ganchroma._arrays import check_integer
from ganchroma.calibration import calibrate
from ganchroma.color import NATURAL
from ganchroma.layer import OutputLayer
from ganchroma.moments import ColorMoments
from ganchroma.torch.modules import output_layer
from ganchroma.torch.search import Network, find_head, read_again, to_array

__all__ = ["calibrate_"]


def calibrate_(
    generator: nn.Module,
    *inputs: Any,
    target: ColorMoments = NATURAL,
    head: str | nn.Module | None = None,
    bias: bool = True,
    seed: int = 0,
    kwargs: Mapping[str, Any] | None = None,
) -> OutputLayer:
    """Change the head of a generator so that its images have the mean and covariance of `target`.

    Weight and bias of the layer that makes the RGB are written in place; nothing else changes. A head without bias gets
    one, a new ``torch.nn.Parameter``: make the optimiser afterwards, or give it the new parameter.

    Parameters
    ----------
    generator : torch.nn.Module
        Run as it stands, in the mode it is in, on `inputs`.
    *inputs
        What it is called with; `ganchroma.calibrate` says how many images are enough.
    target : ColorMoments
        As for `ganchroma.calibrate`.
    head, seed, kwargs
        As for `inspect`.
    bias : bool
        Whether the head may have a bias; see `ganchroma.calibrate`.

    Returns
    -------
    OutputLayer
        The head as it is now, with its activation.

    Raises
    ------
    TypeError, ValueError, LookupError
        As `inspect` and `ganchroma.calibrate`.
    ValueError
        If the head is no plain Conv2d or ConvTranspose2d with three filters, its weight is made by a norm or another
        parametrization that would undo the change, or the image does not follow from it alone.

    Examples
    --------
    >>> import ganchroma as gch
    >>> _ = torch.manual_seed(0)
    >>> generator = nn.Sequential(nn.ConvTranspose2d(8, 16, 4), nn.ReLU(), nn.Conv2d(16, 3, 3, padding=1), nn.Tanh())
    >>> z = torch.randn(16, 8, 13, 13)
    >>> _ = gch.torch.calibrate_(generator, z)
    >>> gch.torch.inspect(generator, z).trace["activation"].moments.correlation.round(2)  # as natural images
    array([0.91, 0.79, 0.91])
    """
    if not isinstance(generator, nn.Module):
        raise TypeError(f"generator must be a torch.nn.Module, got {type(generator).__name__}")
    network = Network(generator, inputs, dict(kwargs or {}), check_integer(seed, "seed", 0))
    found, _ = find_head(network, head, None)
    module = dict(generator.named_modules()).get(found.ran.name)
    if not isinstance(module, nn.Conv2d | nn.ConvTranspose2d) or not isinstance(
        module._parameters.get("weight"), nn.Parameter
    ):
        raise ValueError(
            f"the RGB is made by {found.ran.name!r}, a {type(module).__name__}: only a plain Conv2d or ConvTranspose2d "
            "whose weight no norm makes can be changed in place; use ganchroma.calibrate on its numbers"
        )
    if module.out_channels != 3 or module.groups != 1:
        raise ValueError(
            f"{found.ran.name!r} has {module.out_channels} filters in {module.groups} group(s): a head must have three "
            "filters, R, G and B, that see all channels; use ganchroma.calibrate on its numbers"
        )
    match = found.match
    if match is None or not match.explains or not _is(match.layer, module):
        raise ValueError(
            f"the image does not follow from the weight of {found.ran.name!r} and a plain activation alone: use "
            "ganchroma.calibrate on the numbers of what it follows from"
        )
    made = calibrate(match.layer, match.features, target=target, bias=bias)
    with _kept_if_it_works(module):
        _write(module, made)
        again, _ = read_again(network, found)
        if again is None or not again.explains or not np.allclose(again.features, match.features, rtol=1e-3, atol=1e-4):
            raise ValueError(
                f"the weight of {found.ran.name!r} is used before the head, too, or the generator is not the same each "
                "time it runs: the image does not follow from it alone; nothing was changed"
            )
    readable = copy.deepcopy(module).float() if module.weight.dtype == torch.bfloat16 else module
    return output_layer(readable, activation=match.layer.activation)


def _is(layer: OutputLayer, module: nn.Conv2d | nn.ConvTranspose2d) -> bool:
    """Whether these are the numbers of a module, but for how its input was padded."""
    bias = np.zeros(3) if layer.bias is None else layer.bias
    own = np.zeros(3) if module.bias is None else to_array(module.bias)
    weight = to_array(module.weight)
    return layer.weight.shape == weight.shape and np.allclose(layer.weight, weight) and np.allclose(bias, own)


def _write(module: nn.Conv2d | nn.ConvTranspose2d, made: OutputLayer) -> None:
    """In place; a bias that was not there is a new parameter."""
    with torch.no_grad():
        module.weight.copy_(torch.from_numpy(np.array(made.weight)))
        if made.bias is None:
            return
        values = torch.from_numpy(np.array(made.bias)).to(module.weight)
        if module.bias is None:
            module.bias = nn.Parameter(values, requires_grad=module.weight.requires_grad)
        else:
            module.bias.copy_(values)


@contextmanager
def _kept_if_it_works(module: nn.Conv2d | nn.ConvTranspose2d) -> Iterator[None]:
    """What the body does to weight and bias is undone if it raises anything."""
    weight, bias = module.weight.detach().clone(), module.bias
    values = None if bias is None else bias.detach().clone()
    try:
        yield
    except BaseException:
        with torch.no_grad():
            module.weight.copy_(weight)
            module.bias = bias
            if bias is not None:
                bias.copy_(values)
        raise
