"""ganchroma for those who live in PyTorch: the layer with gradients, and modules in and out.

The one package that imports PyTorch; ``import ganchroma`` alone does not.
"""

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

__all__ = [
    "ChromaMonitor",
    "ColorCollapse",
    "calibrate_",
    "conv2d",
    "conv_transpose2d",
    "inspect",
    "output_layer",
    "to_module",
]
