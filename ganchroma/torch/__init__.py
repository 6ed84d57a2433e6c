"""ganchroma for those who live in PyTorch: the layer with gradients, and modules in and out.

The one package that imports PyTorch; ``import ganchroma`` alone does not.
"""

from importlib import import_module
from typing import Any

try:
    import torch as _torch  # noqa: F401  asked for here, where the answer can say what to install
except ModuleNotFoundError as error:
    if error.name != "torch":
        raise
    raise ImportError('ganchroma.torch needs PyTorch: pip install "ganchroma[torch]"') from error

from ganchroma.torch.calibrate import calibrate_
from ganchroma.torch.inspect import inspect
from ganchroma.torch.modules import output_layer, to_module
from ganchroma.torch.monitor import ChromaMonitor, ColorCollapse
from ganchroma.torch.ops import conv2d, conv_transpose2d
from ganchroma.torch.reduce import all_reduce

__all__ = [
    "ChromaMetric",
    "ChromaMonitor",
    "ColorCollapse",
    "all_reduce",
    "calibrate_",
    "conv2d",
    "conv_transpose2d",
    "experiments",
    "inspect",
    "output_layer",
    "to_module",
]


def __getattr__(name: str) -> Any:
    """What needs other packages, or is for experiments alone, is loaded when it is first used."""
    if name == "experiments":
        return import_module("ganchroma.torch.experiments")
    if name == "ChromaMetric":
        from ganchroma.torch.metric import ChromaMetric

        return ChromaMetric
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
