"""Where NaN and infinity begin in a network: in the first module that makes them of finite numbers."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from ganchroma.torch.search import Network

__all__ = ["is_finite", "not_finite_from"]

_MOST_NAMES = 3


def is_finite(tree: Any) -> bool:
    """Whether all numbers of all tensors in it are."""
    return all(bool(leaf.detach().isfinite().all()) for leaf in tree_leaves(tree) if isinstance(leaf, Tensor))


def not_finite_from(network: Network) -> str:
    """A sentence that names the place; "" where none can be named. Runs the network once, which stays as it is."""
    if not is_finite((network.inputs, dict(network.keywords))):
        return "what the generator is called with holds them"
    names = {
        module: name
        for name, module in network.generator.named_modules()
        if not isinstance(module, torch.jit.RecursiveScriptModule)
    }
    given: list[bool] = []  # whether what the modules that run now were given is finite
    first: list[nn.Module] = []

    def enter(module: nn.Module, args: Any, keywords: Any) -> None:
        given.append(is_finite((args, keywords)))

    def leave(module: nn.Module, args: Any, output: Any) -> None:
        if given.pop() and not first and not is_finite(output):
            first.append(module)

    hooks = [module.register_forward_pre_hook(enter, with_kwargs=True) for module in names]
    hooks += [module.register_forward_hook(leave, always_call=True) for module in names]
    try:
        network.run()
    finally:
        for hook in hooks:
            hook.remove()
    module = first[0] if first else network.generator
    held = _held(module)
    place = names.get(module, "").partition(".parametrizations.")[0]
    if held:
        listed = f"{', '.join(held[:_MOST_NAMES])}{', ...' if len(held) > _MOST_NAMES else ''}"
        return f"they begin in {place}, in its {listed}" if place else f"they begin in {listed}"
    where = place or "the generator's own forward"
    return f"they begin in {where}, from finite inputs and weights" if first else ""


def _held(module: nn.Module) -> list[str]:
    """Parameters and buffers with such values, and how many of their numbers those are."""
    found = []
    for name, tensor in (*module.named_parameters(), *module.named_buffers()):
        count = int((~tensor.detach().isfinite()).sum())
        if count:
            found.append(f"{name} ({count:,} of {tensor.numel():,} values)")
    return found
