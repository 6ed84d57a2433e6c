"""Claims about training, as runs that anybody can repeat: a small DCGAN on photographs, one thing varied."""

from ganchroma.torch.experiments.config import Config
from ganchroma.torch.experiments.history import History
from ganchroma.torch.experiments.photographs import crops
from ganchroma.torch.experiments.sweep import Failure, Interval, Sweep, sweep
from ganchroma.torch.experiments.training import run

__all__ = ["Config", "Failure", "History", "Interval", "Sweep", "crops", "run", "sweep"]
