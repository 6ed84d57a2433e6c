"""A generator to look at: the PyTorch examples' DCGAN, untrained."""

from ganchroma.demo.generator import Generator

__all__ = ["Generator"]
