"""Gradients of the output layer, one at a time, beside PyTorch's autograd."""

from functools import partial
from typing import Any

import numpy as np
import oracle

import ganchroma as gch
from benchmarks.case import Call, Case, Setting, Work
from benchmarks.engines import torch_linear
from benchmarks.heads import HEADS, Head
from benchmarks.layers import limit
from benchmarks.peers import CHANNELS_LAST, PYTORCH, tensor

NEEDS = ("input", "weight")
MEASURED = (HEADS[0], HEADS[3])


def cases() -> list[Case]:
    return [
        Case("gradients", f"grad_{need}, {head.name}", partial(prepare, head, need))
        for head in MEASURED
        for need in NEEDS
    ]


def prepare(head: Head, need: str, setting: Setting) -> Work:
    x, layer = head.draw()
    shape = (len(x), layer.out_channels, *head.output_size)
    grad = np.random.default_rng(1).standard_normal(shape, np.float32)
    kind = "conv_transpose2d_backward" if head.transposed else "conv2d_backward"
    backward, answer = getattr(gch, kind), getattr(oracle, kind)
    index = NEEDS.index(need)
    # Held on to, as in a training loop: PyTorch's allocator keeps the memory of its result as well.
    out = backward(grad, x, layer.weight, **head.options, needs=(need,))
    return Work(
        ours=lambda: backward(grad, x, layer.weight, **head.options, needs=(need,), out=out)[index],
        exact=lambda: answer(grad, x, layer.weight, **head.options)[index],
        # Float32 sums of up to 10^6 products.
        tolerance=1e-5,
        peers=peers(head, need, layer, x, grad, setting),
        limit=limit(head, x, setting.lanes),
    )


def peers(
    head: Head, need: str, layer: gch.OutputLayer, x: np.ndarray, grad: np.ndarray, setting: Setting
) -> dict[str, Call]:
    torch = setting.peers[PYTORCH]
    if torch is None:
        return {}
    return {
        name: autograd(torch, head, need, layer, x, grad, channels_last=name == CHANNELS_LAST)
        for name in (PYTORCH, CHANNELS_LAST)
    }


def autograd(
    torch: Any, head: Head, need: str, layer: gch.OutputLayer, x: np.ndarray, grad: np.ndarray, channels_last: bool
) -> Call:
    features, weight = (tensor(torch, array, channels_last).requires_grad_() for array in (x, layer.weight))
    output = torch_linear(torch, head, features, weight, None)()
    given = tensor(torch, grad, channels_last)
    leaf = features if need == "input" else weight
    return lambda: torch.autograd.grad(output, leaf, given, retain_graph=True)[0]
