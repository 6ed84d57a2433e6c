"""The small DCGAN that experiments train, 32x32, and the initial states of its head."""

import torch
from torch import Tensor, nn

from ganchroma.spectral import sigma
from ganchroma.torch.calibrate import calibrate_
from ganchroma.torch.experiments.config import Config

__all__ = ["LATENTS", "Generator", "discriminator", "generator"]

LATENTS = 64
_CALIBRATION_BATCH = 64


class Generator(nn.Module):  # type: ignore[misc]
    """Latents (N, 64) to pictures (N, 3, 32, 32)."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        width = config.width
        self.body = nn.Sequential(
            *_up(LATENTS, 4 * width, stride=1, padding=0), *_up(4 * width, 2 * width), *_up(2 * width, width)
        )
        self.head = nn.ConvTranspose2d(width, 3, 4, 2, 1, bias=False)
        self.activation = nn.Tanh() if config.activation == "tanh" else nn.Sigmoid()

    def forward(self, latents: Tensor) -> Tensor:
        images: Tensor = self.activation(self.head(self.body(latents[:, :, None, None])))
        return images


def _up(given: int, made: int, stride: int = 2, padding: int = 1) -> list[nn.Module]:
    return [nn.ConvTranspose2d(given, made, 4, stride, padding, bias=False), nn.BatchNorm2d(made), nn.ReLU()]


def generator(config: Config) -> Generator:
    """A generator as the configuration starts it; draws from PyTorch's global stream."""
    made = Generator(config)
    made.apply(_draw)
    with torch.no_grad():
        if config.init == "identical":
            made.head.weight[:] = made.head.weight[:, :1]
        elif config.init == "fill":
            made.head.weight.fill_(1.0)
        elif config.init == "unit_sigma":
            made.head.weight /= sigma(made.head.weight.numpy(), dim=1)
    if config.init == "calibrated":
        calibrate_(made, torch.randn(_CALIBRATION_BATCH, LATENTS), head="head", seed=config.seed)
    if config.spectral_norm == "legacy":
        nn.utils.spectral_norm(made.head)
    elif config.spectral_norm == "parametrization":
        nn.utils.parametrizations.spectral_norm(made.head)
    return made


def discriminator(config: Config) -> nn.Sequential:
    """Pictures (N, 3, 32, 32) to logits (N, 1, 1, 1); draws from PyTorch's global stream."""
    width = config.discriminator_width or config.width
    made = nn.Sequential(
        nn.Conv2d(3, width, 4, 2, 1, bias=False),
        nn.LeakyReLU(0.2),
        *_down(width, 2 * width),
        *_down(2 * width, 4 * width),
        nn.Conv2d(4 * width, 1, 4, bias=False),
    )
    return made.apply(_draw)


def _down(given: int, made: int) -> list[nn.Module]:
    return [nn.Conv2d(given, made, 4, 2, 1, bias=False), nn.BatchNorm2d(made), nn.LeakyReLU(0.2)]


def _draw(module: nn.Module) -> None:
    """As the DCGAN paper and PyTorch's example: weights N(0, .02), BatchNorm's N(1, .02)."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
