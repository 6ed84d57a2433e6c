"""The output layer as operators of PyTorch: tensors in and out, with gradients, opaque to ``torch.compile``.

Four operators are registered: ``ganchroma::conv`` and ``ganchroma::activate`` and, called by autograd alone, their
gradients ``ganchroma::conv_backward`` and ``ganchroma::activate_backward``. A convolution's numbers travel as one list,
`Geometry.core`, as they do to the C core.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd import forward_ad

import ganchroma as gch
from ganchroma._arrays import check_number
from ganchroma._geometry import PADDING_MODES, Geometry, IntPair, PaddingLike, make_geometry
from ganchroma.activation import ActivationLike, activation_name, parse_activation
from ganchroma.conv import LAYOUTS, forward, make_head
from ganchroma.runtime import check_threads

__all__ = ["conv2d", "conv_transpose2d"]


def conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    stride: IntPair = 1,
    padding: PaddingLike = 0,
    padding_mode: str = "zeros",
    dilation: IntPair = 1,
    activation: ActivationLike = "linear",
    channel_scale: Tensor | None = None,
    output_scale: float = 1.0,
    layout: str = "NCHW",
    threads: int | None = None,
) -> Tensor:
    """`ganchroma.conv2d` of tensors, with gradients for `x`, `weight`, `bias` and `channel_scale`.

    Parameters
    ----------
    x : tensor (N, C, H, W) of float16, float32 or float64, on the CPU
        Or (N, H, W, C) with ``layout="NHWC"``.
    weight : tensor (O, C, kh, kw)
        Same dtype as `x`, as are `bias` and `channel_scale`.
    bias : tensor (O,), optional
    stride, padding, padding_mode, dilation, activation, channel_scale, output_scale, layout, threads
        As in `ganchroma.conv2d`.

    Returns
    -------
    tensor
        The numbers of `ganchroma.conv2d` to the bit; float16 is rounded once before the activation and once after it.
        First derivatives only; those of tanh and sigmoid are exact in the tails, as in `ganchroma.activate_backward`,
        where PyTorch's are rounded to 0.

    Raises
    ------
    TypeError
        For what is not a tensor, for one that is not on the CPU, not dense or of another dtype.
    ValueError
        For shapes and numbers that do not fit together.

    Examples
    --------
    >>> import ganchroma as gch
    >>> x = torch.ones(1, 8, 5, 5)
    >>> weight = torch.zeros(3, 8, 3, 3, requires_grad=True)
    >>> y = gch.torch.conv2d(x, weight, padding=1, activation="tanh")
    >>> y.sum().backward()
    >>> weight.grad[0, 0]
    tensor([[16., 20., 16.],
            [20., 25., 20.],
            [16., 20., 16.]])
    """
    _check(x=x, weight=weight, bias=bias, channel_scale=channel_scale)
    geometry = make_geometry(False, _kernel(weight), stride, padding, 0, padding_mode, dilation)
    return _layer(x, weight, bias, channel_scale, geometry, output_scale, activation, layout, threads)


def conv_transpose2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    stride: IntPair = 1,
    padding: PaddingLike = 0,
    output_padding: IntPair = 0,
    dilation: IntPair = 1,
    activation: ActivationLike = "linear",
    channel_scale: Tensor | None = None,
    output_scale: float = 1.0,
    layout: str = "NCHW",
    threads: int | None = None,
) -> Tensor:
    """`ganchroma.conv_transpose2d` of tensors, with gradients for `x`, `weight`, `bias` and `channel_scale`.

    Parameters
    ----------
    x : tensor (N, C, H, W) of float16, float32 or float64, on the CPU
        Or (N, H, W, C) with ``layout="NHWC"``.
    weight : tensor (C, O, kh, kw)
        Input channels first; same dtype as `x`, as are `bias` and `channel_scale`.
    bias : tensor (O,), optional
    stride, padding, output_padding, dilation, activation, channel_scale, output_scale, layout, threads
        As in `ganchroma.conv_transpose2d`.

    Returns
    -------
    tensor
        The numbers of `ganchroma.conv_transpose2d` to the bit; float16 as in `conv2d`. First derivatives only.

    Raises
    ------
    TypeError, ValueError
        As `conv2d`.

    Examples
    --------
    >>> import ganchroma as gch
    >>> head = torch.nn.ConvTranspose2d(64, 3, 4, stride=2, padding=1)
    >>> x = torch.randn(2, 64, 8, 8)
    >>> y = gch.torch.conv_transpose2d(x, head.weight, head.bias, stride=2, padding=1, activation="tanh")
    >>> y.shape, y.requires_grad
    (torch.Size([2, 3, 16, 16]), True)
    """
    _check(x=x, weight=weight, bias=bias, channel_scale=channel_scale)
    geometry = make_geometry(True, _kernel(weight), stride, padding, output_padding, "zeros", dilation)
    return _layer(x, weight, bias, channel_scale, geometry, output_scale, activation, layout, threads)


def _check(**tensors: Any) -> None:
    for name, value in tensors.items():
        if value is None and name not in ("x", "weight"):
            continue
        if not isinstance(value, Tensor):
            raise TypeError(f"{name} must be a tensor, got {type(value).__name__}; ganchroma.conv2d takes arrays")
        if value.device.type not in ("cpu", "meta"):  # the second has shapes, which is all that is asked of it
            raise TypeError(f"{name} is on {value.device}; ganchroma computes on the CPU: pass {name}.cpu()")
        if value.layout != torch.strided:
            raise TypeError(f"{name} has layout {value.layout}; pass {name}.to_dense()")
        if name in ("x", "weight") and value.ndim != 4:
            raise ValueError(f"{name} must have 4 dimensions, got {value.ndim} (shape {tuple(value.shape)})")
        # PyTorch would take the tangents of an operator without forward mode for zeros.
        if forward_ad.unpack_dual(value).tangent is not None:
            raise NotImplementedError(
                f"{name} has a forward-mode tangent (torch.func.jvp, jacfwd), and gch.torch.conv2d and "
                "conv_transpose2d have reverse mode only: use torch.nn.functional.conv2d or conv_transpose2d"
            )
        if _in_transform(value):
            raise NotImplementedError(
                f"{name} has a gradient inside a transform of torch.func (grad, jacrev, vmap), where gch.torch.conv2d "
                "and conv_transpose2d have none: call torch.autograd.grad or .backward() outside of it, or use "
                "torch.nn.functional.conv2d or conv_transpose2d"
            )


def _in_transform(tensor: Tensor) -> bool:
    """Whether a gradient is wanted inside a transform of torch.func; a compiled graph would keep the question."""
    wanted = tensor.requires_grad and torch.is_grad_enabled() and not torch.compiler.is_compiling()
    return wanted and torch._C._are_functorch_transforms_active()


def _kernel(weight: Tensor) -> tuple[int, int]:
    return weight.shape[2], weight.shape[3]


def _layer(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    channel_scale: Tensor | None,
    geometry: Geometry,
    output_scale: float,
    activation: ActivationLike,
    layout: str,
    threads: int | None,
) -> Tensor:
    if layout not in LAYOUTS:
        error = ValueError if isinstance(layout, str) else TypeError
        raise error(f"layout is {layout!r}; accepted: {', '.join(LAYOUTS)}")
    parse_activation(activation)
    threads = None if threads is None else min(check_threads(threads), 2**31 - 1)  # of PyTorch's integers
    words = (activation,) if isinstance(activation, str) else activation
    planes = x if layout == "NCHW" else x.permute(0, 3, 1, 2)
    y = conv(planes, weight, bias, channel_scale, geometry.core, check_number(output_scale, "output_scale"), threads)
    if activation_name(activation) != "linear":
        y = activate(y, words[0], [float(number) for number in words[1:]], threads)
    return y if layout == "NCHW" else y.permute(0, 2, 3, 1)


# -- ganchroma::conv ----------------------------------------------------------------------------------------------


def _conv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    channel_scale: Tensor | None,
    geometry: Sequence[int],
    output_scale: float,
    threads: int | None,
) -> Tensor:
    numbers = _geometry(geometry, weight)
    head = make_head(
        weight.detach(),
        _detached(bias),
        numbers.transposed,
        numbers.stride,
        numbers.padding,
        numbers.output_padding,
        numbers.padding_mode,
        numbers.dilation,
        "linear",
        _detached(channel_scale),
        output_scale,
    )
    return torch.from_numpy(forward(head, x.detach(), threads=threads))


def _conv_fake(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    channel_scale: Tensor | None,
    geometry: Sequence[int],
    output_scale: float,
    threads: int | None,
) -> Tensor:
    numbers = _geometry(geometry, weight)
    size = numbers.output_size((x.shape[2], x.shape[3]))
    filters = weight.shape[1 if numbers.transposed else 0]
    return x.new_empty((x.shape[0], filters, *size)).contiguous(memory_format=_format(x))


def _conv_keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, weight, _, channel_scale, ctx.geometry, ctx.output_scale, ctx.threads = inputs
    ctx.save_for_backward(x, weight, channel_scale)


def _conv_gradients(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    x, weight, channel_scale = ctx.saved_tensors
    wanted = list(ctx.needs_input_grad[:4])
    made = iter(conv_backward(grad, x, weight, channel_scale, ctx.geometry, ctx.output_scale, wanted, ctx.threads))
    return *(next(made) if want else None for want in wanted), None, None, None


# -- ganchroma::conv_backward -------------------------------------------------------------------------------------


def _conv_backward(
    grad: Tensor,
    x: Tensor,
    weight: Tensor,
    channel_scale: Tensor | None,
    geometry: Sequence[int],
    output_scale: float,
    wanted: Sequence[bool],
    threads: int | None,
) -> list[Tensor]:
    """Gradients of those of x, weight, bias and channel_scale that are wanted, in that order."""
    numbers = _geometry(geometry, weight)
    options: dict[str, Any] = {"stride": numbers.stride, "padding": numbers.padding, "dilation": numbers.dilation}
    options |= {"output_scale": output_scale, "threads": threads}
    if numbers.transposed:
        options["output_padding"] = numbers.output_padding
    else:
        options["padding_mode"] = numbers.padding_mode
    backward = gch.conv_transpose2d_backward if numbers.transposed else gch.conv2d_backward
    given = tuple(tensor.detach() for tensor in (grad, x, weight))
    needs = tuple(name for name, want in zip(("input", "weight", "bias"), wanted, strict=False) if want)
    results: list[Any] = []
    if needs:
        results += backward(*given, channel_scale=_detached(channel_scale), needs=needs, **options)
    if wanted[3] and channel_scale is not None:
        # The layer sees x times the factors: each factor's gradient is that product's, summed over its pixels.
        product = np.asarray(backward(*given, needs=("input",), **options)[0])
        axes = (2, 3) if channel_scale.ndim == 2 else (0, 2, 3)
        results.append((product.astype(np.float64) * given[1].numpy()).sum(axis=axes))
    return [torch.from_numpy(result).to(x.dtype) for result in results if result is not None]


def _conv_backward_fake(
    grad: Tensor,
    x: Tensor,
    weight: Tensor,
    channel_scale: Tensor | None,
    geometry: Sequence[int],
    output_scale: float,
    wanted: Sequence[bool],
    threads: int | None,
) -> list[Tensor]:
    shapes = (x.shape, weight.shape, grad.shape[1:2], None if channel_scale is None else channel_scale.shape)
    made = [x.new_empty(shape) for shape, want in zip(shapes, wanted, strict=True) if want and shape is not None]
    return [made[0].contiguous(memory_format=_format(x)), *made[1:]] if wanted[0] else made


# -- ganchroma::activate and its gradient -------------------------------------------------------------------------


def _activate(x: Tensor, name: str, parameters: Sequence[float], threads: int | None) -> Tensor:
    order, back = _orders(x)
    made = gch.activate(x.detach().permute(order), (name, *parameters), threads=threads)
    return torch.from_numpy(made.transpose(back))  # PyTorch's view could not be changed in place


def _activate_fake(x: Tensor, name: str, parameters: Sequence[float], threads: int | None) -> Tensor:
    return torch.empty_like(x, memory_format=_format(x))


def _activate_keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, ctx.name, ctx.parameters, ctx.threads = inputs
    ctx.save_for_backward(x)


def _activate_gradients(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    return activate_backward(grad, *ctx.saved_tensors, ctx.name, ctx.parameters, ctx.threads), None, None, None


def _activate_backward(grad: Tensor, x: Tensor, name: str, parameters: Sequence[float], threads: int | None) -> Tensor:
    order, back = _orders(x)
    given, before = grad.detach().permute(order), x.detach().permute(order)
    return torch.from_numpy(gch.activate_backward(given, before, (name, *parameters), threads=threads)).permute(back)


def _activate_backward_fake(
    grad: Tensor, x: Tensor, name: str, parameters: Sequence[float], threads: int | None
) -> Tensor:
    return torch.empty_like(x, memory_format=_format(x))


# -- what they share ----------------------------------------------------------------------------------------------


def _geometry(core: Sequence[int], weight: Tensor) -> Geometry:
    """The `Geometry` whose `core` this is."""
    transposed, down, right, *pads, mode, rows, columns, below, beside = core
    padding = ((pads[0], pads[1]), (pads[2], pads[3]))
    kernel = _kernel(weight)
    return Geometry(
        bool(transposed), kernel, (down, right), padding, (below, beside), PADDING_MODES[mode], (rows, columns)
    )


def _detached(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.detach()


def _format(x: Tensor) -> Any:
    """The memory format of results: channels-last for channels-last `x`, as `ganchroma.conv2d` answers it."""
    last = not x.is_contiguous() and x.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if last else torch.contiguous_format


def _orders(x: Tensor) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The permutation that makes channels-last memory contiguous, and the one back."""
    last = _format(x) == torch.channels_last
    return ((0, 2, 3, 1), (0, 3, 1, 2)) if last else ((0, 1, 2, 3), (0, 1, 2, 3))


def _no_second_derivative(ctx: Any, *grads: Tensor) -> None:
    raise NotImplementedError(
        "gch.torch.conv2d and conv_transpose2d have first derivatives only; where a loss contains a gradient, use "
        "torch.nn.functional.conv2d or conv_transpose2d"
    )


def _register(name: str, compute: Any, fake: Any, gradients: Any, keep: Any) -> Any:
    operator = torch.library.custom_op(f"ganchroma::{name}", compute, mutates_args=(), device_types="cpu")
    operator.register_fake(fake)
    operator.register_autograd(gradients, setup_context=keep)
    return operator


conv = _register("conv", _conv, _conv_fake, _conv_gradients, _conv_keep)
conv_backward = _register("conv_backward", _conv_backward, _conv_backward_fake, _no_second_derivative, None)
activate = _register("activate", _activate, _activate_fake, _activate_gradients, _activate_keep)
activate_backward = _register(
    "activate_backward", _activate_backward, _activate_backward_fake, _no_second_derivative, None
)
