"""Where did the colour go? Measure, explain and restore the colour of image generators."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ganchroma import color, init, rng, spectral
from ganchroma.activation import activate, activate_backward
from ganchroma.conv import conv2d, conv_transpose2d
from ganchroma.conv_backward import conv2d_backward, conv_transpose2d_backward
from ganchroma.layer import OutputLayer
from ganchroma.rng import TorchGenerator
from ganchroma.runtime import show_runtime, threads
from ganchroma.stats import ChromaStats, ChromaSummary, ColorMoments

if TYPE_CHECKING:
    from ganchroma import demo as demo
    from ganchroma import prediction as prediction
    from ganchroma import torch as torch
    from ganchroma.calibration import calibrate as calibrate
    from ganchroma.diagnosis import Diagnosis as Diagnosis
    from ganchroma.diagnosis import ModuleFacts as ModuleFacts
    from ganchroma.diagnosis import diagnose as diagnose
    from ganchroma.factorial import Factors as Factors
    from ganchroma.factorial import factors as factors
    from ganchroma.feature_moments import FeatureMoments as FeatureMoments
    from ganchroma.prediction import predict as predict
    from ganchroma.prediction import predict_many as predict_many
    from ganchroma.scanning import Scan as Scan
    from ganchroma.scanning import scan as scan

__version__ = "0.1.0"

__all__ = [
    "ChromaStats",
    "ChromaSummary",
    "ColorMoments",
    "Diagnosis",
    "Factors",
    "FeatureMoments",
    "ModuleFacts",
    "OutputLayer",
    "Scan",
    "TorchGenerator",
    "__version__",
    "activate",
    "activate_backward",
    "calibrate",
    "color",
    "conv2d",
    "conv2d_backward",
    "conv_transpose2d",
    "conv_transpose2d_backward",
    "demo",
    "diagnose",
    "factors",
    "init",
    "predict",
    "predict_many",
    "prediction",
    "rng",
    "scan",
    "show_runtime",
    "spectral",
    "threads",
]

# What takes time to load, or needs an extra, is loaded on first use: name -> (module, its attribute or the module).
_ON_FIRST_USE = {
    "demo": ("ganchroma.demo", None),
    "Diagnosis": ("ganchroma.diagnosis", "Diagnosis"),
    "ModuleFacts": ("ganchroma.diagnosis", "ModuleFacts"),
    "Factors": ("ganchroma.factorial", "Factors"),
    "FeatureMoments": ("ganchroma.feature_moments", "FeatureMoments"),
    "Scan": ("ganchroma.scanning", "Scan"),
    "scan": ("ganchroma.scanning", "scan"),
    "calibrate": ("ganchroma.calibration", "calibrate"),
    "diagnose": ("ganchroma.diagnosis", "diagnose"),
    "factors": ("ganchroma.factorial", "factors"),
    "predict": ("ganchroma.prediction", "predict"),
    "prediction": ("ganchroma.prediction", None),
    "predict_many": ("ganchroma.prediction", "predict_many"),
    # not in __all__: a star import must not ask for an extra
    "distributed": ("ganchroma.distributed", None),
    "torch": ("ganchroma.torch", None),
}


def __getattr__(name: str) -> Any:
    if name not in _ON_FIRST_USE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _ON_FIRST_USE[name]
    value = import_module(module)
    return value if attribute is None else getattr(value, attribute)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
