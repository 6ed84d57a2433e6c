"""The colour-calibrated initialiser for a generator that lives in PyTorch: its head is changed in place."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from ganchroma.calibration import calibrate
from ganchroma.color import NATURAL
from ganchroma.layer import OutputLayer
from ganchroma.moments import ColorMoments
from ganchroma.torch.modules import output_layer
from ganchroma.torch.search import Network, find_head

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
    found, _ = find_head(Network(generator, inputs, dict(kwargs or {}), seed), head, None)
    module = dict(generator.named_modules()).get(found.ran.name)
    match = found.match
    if not isinstance(module, nn.Conv2d | nn.ConvTranspose2d) or not isinstance(
        module._parameters.get("weight"), nn.Parameter
    ):
        raise ValueError(
            f"the RGB is made by {found.ran.name!r}, a {type(module).__name__}: only a plain Conv2d or ConvTranspose2d "
            "whose weight no norm makes can be changed in place; use ganchroma.calibrate on its numbers"
        )
    own = output_layer(module, activation=match.layer.activation)
    same = own.out_channels == 3 and np.allclose(
        own.linear(match.features), match.layer.linear(match.features), atol=1e-4
    )
    if not (match.explains and same):
        raise ValueError(
            f"the image does not follow from {found.ran.name!r} and {match.layer.activation!r} alone (they explain "
            f"{100 * match.share:.0f} % of it): use ganchroma.calibrate on its numbers"
        )
    made = calibrate(own, match.features, target=target, bias=bias)
    with torch.no_grad():
        module.weight.copy_(torch.from_numpy(np.array(made.weight)))
        if made.bias is not None:
            values = torch.from_numpy(np.array(made.bias)).to(module.weight)
            if module.bias is None:
                module.bias = nn.Parameter(values)
            else:
                module.bias.copy_(values)
    return made
