"""The small DCGAN that several tests look into."""

import torch
from torch import nn


def dcgan(channels=24, seed=0, head=None, activation=None):
    torch.manual_seed(seed)

    def up(given, made, *options):
        return nn.ConvTranspose2d(given, made, 4, *options, bias=False), nn.BatchNorm2d(made), nn.ReLU(True)

    last = nn.ConvTranspose2d(channels, 3, 4, 2, 1, bias=False) if head is None else head
    main = nn.Sequential(*up(20, 2 * channels, 1, 0), *up(2 * channels, channels, 2, 1), *up(channels, channels, 2, 1))
    generator = nn.Sequential(main, last, activation or nn.Tanh())
    for module in generator.modules():
        if isinstance(module, nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0, 0.02 if head is None else 0.1)
    return generator


def latents(count=16, seed=1):
    return torch.randn(count, 20, 1, 1, generator=torch.Generator().manual_seed(seed))
