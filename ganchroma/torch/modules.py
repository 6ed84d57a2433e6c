"""Modules of PyTorch to layers and back, whatever makes their weight."""

import copy
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize, skip_init
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from ganchroma.activation import ActivationLike
from ganchroma.layer import OutputLayer

__all__ = ["output_layer", "to_module"]


def output_layer(module: nn.Module, *, activation: ActivationLike = "tanh") -> OutputLayer:
    """The layer that computes what `module`, followed by `activation`, computes.

    Parameters
    ----------
    module : torch.nn.Conv2d, ConvTranspose2d or Linear, on the CPU
        With ``groups=1``. A linear module becomes a 1x1 convolution: its features are the channels. A weight that is
        made by weight norm, by spectral norm (either flavour) or by any parametrization is the one that the module's
        next forward would use in the mode it is in; the module itself, `u` and `v` included, is left as it is.
    activation : str or tuple
        What follows the module, as in `ganchroma.conv2d`.

    Returns
    -------
    OutputLayer
        With copies of weight and bias.

    Raises
    ------
    TypeError
        For another kind of module, one on another device, or one of a dtype that NumPy has not.
    ValueError
        For groups, parameters that are not initialised, and weights made by hooks that are not known.

    Notes
    -----
    ``torch.nn.utils.spectral_norm`` draws `u` and `v` when it is applied and improves them in training forwards alone.
    A module that is put in eval mode before its first training forward divides by the product of two random vectors
    with the weight, some 2 % of the norm: the eval-before-train trap. The layer shows it as it is.

    Examples
    --------
    >>> import ganchroma as gch
    >>> gch.torch.output_layer(torch.nn.ConvTranspose2d(64, 3, 4, 2, 1, bias=False))
    OutputLayer(64, 3, kernel_size=(4, 4), stride=(2, 2), padding=(1, 1), bias=False, transposed=True,
    activation='tanh')
    """
    _check_kind(module)
    weight, bias = _tensor(module, "weight"), _tensor(module, "bias")
    _check_hooks(module)
    if isinstance(module, nn.Linear):
        return OutputLayer(weight[:, :, None, None], bias, activation=activation)
    if module.groups != 1:
        raise ValueError(f"module has groups={module.groups}; a layer has one group, every filter sees every channel")
    options: dict[str, Any] = {"stride": module.stride, "padding": module.padding, "dilation": module.dilation}
    if isinstance(module, nn.ConvTranspose2d):
        options |= {"transposed": True, "output_padding": module.output_padding}
    else:
        options["padding_mode"] = module.padding_mode
    return OutputLayer(weight, bias, activation=activation, **options)


def to_module(layer: OutputLayer, *, linear: bool = False) -> nn.Module:
    """The module that computes ``layer.linear``: what stands before the activation.

    Parameters
    ----------
    layer : OutputLayer
    linear : bool
        Give back a ``Linear``, whose input has the channels last: for layers of one pixel, as `output_layer` makes of
        a ``Linear``.

    Returns
    -------
    torch.nn.Conv2d, ConvTranspose2d or Linear
        With trainable copies of weight and bias. A `channel_scale` and an `output_scale` are multiplied into the
        weight, each rounded once.

    Raises
    ------
    TypeError
        If `layer` is not an `OutputLayer`.
    ValueError
        For what PyTorch's modules can't express: other padding on one side than on the other, a channel scale for
        each image; with `linear`, a layer that sees more than one pixel.

    Examples
    --------
    >>> import ganchroma as gch
    >>> import numpy as np
    >>> layer = gch.OutputLayer(np.zeros((3, 64, 3, 3), np.float32), padding=1)
    >>> gch.torch.to_module(layer)
    Conv2d(64, 3, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1), bias=False)
    """
    if not isinstance(layer, OutputLayer):
        raise TypeError(f"layer must be an OutputLayer, got {type(layer).__name__}")
    weight = torch.tensor(layer.weight)
    if layer.channel_scale is not None:
        if layer.channel_scale.ndim == 2:
            raise ValueError(
                f"channel_scale has shape {layer.channel_scale.shape}, one row for each image; a module has one "
                "weight: use layer.replace(channel_scale=None) on features that are scaled already"
            )
        factors = torch.tensor(layer.channel_scale)
        weight = weight * (factors[:, None, None, None] if layer.transposed else factors[:, None, None])
    if layer.output_scale != 1:
        weight = weight * layer.output_scale
    if linear:
        return _linear(layer, weight)
    options: dict[str, Any] = {"stride": layer.stride, "dilation": layer.dilation, "bias": layer.bias is not None}
    if layer.transposed:
        kind = nn.ConvTranspose2d
        options["padding"], options["output_padding"] = _crop(layer)
    else:
        kind = nn.Conv2d
        options |= {"padding": _padding(layer), "padding_mode": layer.padding_mode}
    # skip_init: the user's random stream must not move for numbers that are overwritten here.
    made = skip_init(kind, layer.in_channels, layer.out_channels, layer.kernel_size, dtype=weight.dtype, **options)
    return _with_numbers(made, weight, layer)


def _linear(layer: OutputLayer, weight: Tensor) -> nn.Module:
    if layer.transposed or layer.kernel_size != (1, 1) or layer.stride != (1, 1) or any(map(any, layer.padding)):
        raise ValueError(f"a Linear sees one pixel; this layer is {layer!r}: use linear=False")
    channels = layer.in_channels, layer.out_channels
    made = skip_init(nn.Linear, *channels, bias=layer.bias is not None, dtype=weight.dtype)
    return _with_numbers(made, weight[:, :, 0, 0], layer)


@torch.no_grad()  # type: ignore[untyped-decorator]
def _with_numbers(module: Any, weight: Tensor, layer: OutputLayer) -> nn.Module:
    module.weight.copy_(weight)
    if layer.bias is not None:
        module.bias.copy_(torch.tensor(layer.bias))
    made: nn.Module = module
    return made


# -- the weight that a module would use ---------------------------------------------------------------------------


def _check_kind(module: Any) -> None:
    for kind in (nn.Conv2d, nn.ConvTranspose2d, nn.Linear):
        if isinstance(module, kind):
            break
    else:
        hint = "; pass the layer in it, e.g. module[-2]" if isinstance(module, nn.Sequential) else ""
        raise TypeError(f"module must be a Conv2d, ConvTranspose2d or Linear, got {type(module).__name__}{hint}")
    parts = ("forward", "_conv_forward")
    own = any(
        name in vars(module) or getattr(type(module), name, None) is not getattr(kind, name, None) for name in parts
    )
    if own:
        raise TypeError(
            f"module is a {type(module).__name__}, which computes something else than {kind.__name__}: make "
            "ganchroma.OutputLayer(weight, bias, ...) of the numbers that it uses"
        )
    for name, tensor in module.named_parameters():
        if isinstance(tensor, nn.parameter.UninitializedParameter):
            raise ValueError(f"module's {name} is not initialised yet; run a forward pass first")
        if tensor.device.type != "cpu":
            raise TypeError(f"module's {name} is on {tensor.device}; pass module.cpu(), or that of a copy.deepcopy")
        if tensor.dtype not in (torch.float16, torch.float32, torch.float64):
            raise TypeError(f"module's {name} is {tensor.dtype}; pass copy.deepcopy(module).float()")


def _check_hooks(module: nn.Module) -> None:
    """What the known norms do is in the weight; what other hooks do is anybody's guess."""
    known = [isinstance(hook, SpectralNorm | WeightNorm) for hook in module._forward_pre_hooks.values()]
    if module._forward_hooks or not all(known):
        raise ValueError(
            "module has forward hooks, which may change what goes in or comes out: remove them, or make "
            "ganchroma.OutputLayer(weight, bias, ...) of the numbers that it uses"
        )


@torch.no_grad()  # type: ignore[untyped-decorator]
def _tensor(module: nn.Module, name: str) -> Any:
    """Weight or bias of the next forward in the module's mode; nothing that iterates does so on the module itself."""
    if parametrize.is_parametrized(module, name):
        return copy.deepcopy(module.parametrizations[name])()
    for hook in module._forward_pre_hooks.values():
        if isinstance(hook, SpectralNorm) and hook.name == name:
            parts = (f"{name}_orig", f"{name}_u", f"{name}_v")
            stand_in = SimpleNamespace(**{part: getattr(module, part).detach().clone() for part in parts})
            return hook.compute_weight(stand_in, do_power_iteration=module.training)
        if isinstance(hook, WeightNorm) and hook.name == name:
            return hook.compute_weight(module)
    if name not in module._parameters:
        raise ValueError(
            f"module's {name} is not a parameter, and what makes it is not known here: make "
            "ganchroma.OutputLayer(weight, bias, ...) of the numbers that it uses"
        )
    value: Tensor | None = module._parameters[name]
    return None if value is None else value.detach()


# -- the padding of a module --------------------------------------------------------------------------------------


def _padding(layer: OutputLayer) -> Any:
    (top, bottom), (left, right) = layer.padding
    if (top, left) == (bottom, right):
        return top, left
    reaches = [d * (k - 1) for d, k in zip(layer.dilation, layer.kernel_size, strict=True)]
    if layer.stride == (1, 1) and layer.padding == tuple((reach // 2, reach - reach // 2) for reach in reaches):
        return "same"
    raise ValueError(
        f"padding is {layer.padding}, and a Conv2d pads both sides alike: use layer.replace(padding=0) on "
        f"torch.nn.functional.pad(x, {(left, right, top, bottom)})"
    )


def _crop(layer: OutputLayer) -> tuple[Any, Any]:
    """A crop that takes less below than above is the same on both sides and an output padding."""
    crop, extra = [], []
    for axis in (0, 1):
        before, after = layer.padding[axis]
        crop.append(before)
        extra.append(layer.output_padding[axis] + before - after)
        if extra[-1] < 0 or (extra[-1] and extra[-1] >= max(layer.stride[axis], layer.dilation[axis])):
            raise ValueError(
                f"padding is {layer.padding}, and a ConvTranspose2d crops both sides alike: use "
                "layer.replace(padding=0, output_padding=0) and crop what it makes"
            )
    return tuple(crop), tuple(extra)
