"""What is known about the modules around the head: normalisation never trained, spectral norms never warmed up."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import _SpectralNorm
from torch.nn.utils.spectral_norm import SpectralNorm

from ganchroma.spectral import sigma

__all__ = ["Norms", "spectral_norms", "untrained_norms"]


@dataclass(frozen=True)
class Norms:
    """The normalisation layers that ran.

    Attributes
    ----------
    mode : str
        "train" if all take their statistics from the batch, "eval" if some take the running ones, "none" without any.
    untouched : list of torch.nn.Module
        Those in evaluation mode whose running statistics are still zeros and ones.
    """

    mode: str
    untouched: list[nn.Module]


def untrained_norms(modules: Iterable[nn.Module]) -> Norms:
    """BatchNorm and InstanceNorm layers with running statistics among `modules`."""
    tracking = [module for module in modules if isinstance(module, _NormBase) and module.running_mean is not None]
    if not tracking:
        return Norms("none", [])
    running: list[nn.Module] = [module for module in tracking if not module.training]
    untouched = [module for module in running if _is_initial(module)]
    return Norms("eval" if running else "train", untouched)


def _is_initial(module: nn.Module) -> bool:
    mean, variance = module.running_mean, module.running_var
    return isinstance(mean, Tensor) and isinstance(variance, Tensor) and not mean.any() and bool((variance == 1).all())


@torch.no_grad()  # type: ignore[untyped-decorator]
def spectral_norms(modules: Iterable[nn.Module]) -> Iterator[tuple[nn.Module, float, float]]:
    """(module, u.Wv, sigma) of each spectrally normalised layer in evaluation mode: what it divides by, and the norm.

    In training mode it comes closer at each forward; in evaluation mode it stays where it was.
    """
    for module in modules:
        for weight, u, v in _normalised(module):
            yield module, float(torch.dot(u, torch.mv(weight, v))), sigma(weight.detach().float().cpu())


def _normalised(module: nn.Module) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """(weight as a matrix, u, v) of what is in evaluation mode, for both of PyTorch's flavours."""
    for hook in module._forward_pre_hooks.values():
        if isinstance(hook, SpectralNorm) and not module.training:
            parts: Any = [getattr(module, f"{hook.name}_{part}") for part in ("orig", "u", "v")]
            yield hook.reshape_weight_to_matrix(parts[0]), parts[1], parts[2]
    if parametrize.is_parametrized(module):
        for chain in module.parametrizations.values():
            for part in chain:
                if isinstance(part, _SpectralNorm) and hasattr(part, "_u") and not part.training:
                    yield part._reshape_weight_to_matrix(chain.original), part._u, part._v
