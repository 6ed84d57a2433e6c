"""A zoo of image generators: the layouts of well-known networks, made small, each with the layer that makes its RGB.

The networks have random weights from PyTorch's global generator, which the caller seeds; they are left in training
mode. `explained` bounds the share of the image's variance that the head's activated output explains (R squared of a
least-squares line, the output repeated up to the image's size); where it is below one, the bounds hold what was
measured over seeds 0 to 4, with a margin.
"""

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrizations
from torch.utils.checkpoint import checkpoint


@dataclass(frozen=True)
class Specimen:
    """A generator and the truth about it.

    `head` is a name of named_modules(), or of named_parameters() where the root module itself makes the RGB.
    `constant`: the image has no variance, so that no share can be told. `note`: what is peculiar.
    """

    name: str
    make: Callable[[], nn.Module]
    inputs: Callable[[], tuple[Any, ...]]
    head: str
    activation: Any
    explained: tuple[float, float] = (0.999, 1.0)
    compiled: bool = False
    constant: bool = False
    note: str = ""


def noise(*shape, dtype=torch.float32):
    return lambda: (torch.randn(*shape, dtype=dtype),)


def pictures(size, low=-1.0, high=1.0):
    return lambda: (torch.rand(4, 3, size, size) * (high - low) + low,)


def up(x):
    return functional.interpolate(x, scale_factor=2, mode="nearest")


def block(given, made, *, norm=nn.BatchNorm2d, activation=nn.ReLU):
    return [nn.ConvTranspose2d(given, made, 4, 2, 1, bias=False), norm(made), activation()]


def trunk():
    """From (N, 12, 1, 1) to features (N, 16, 16, 16), as DCGAN makes them."""
    return nn.Sequential(nn.ConvTranspose2d(12, 32, 4), nn.BatchNorm2d(32), nn.ReLU(), *block(32, 24), *block(24, 16))


LATENT = noise(4, 12, 1, 1)


class Small(nn.Module):
    """A trunk, a head, and a function that follows: the base of every layout that is not a network of its own."""

    def __init__(self, after=torch.tanh, head=None):
        super().__init__()
        self.body = trunk()
        self.to_rgb = nn.Conv2d(16, 3, 3, padding=1) if head is None else head
        self.after = after

    def forward(self, z):
        return self.after(self.to_rgb(self.body(z)))


# -- convolutional GANs ---------------------------------------------------------------------------------------------


class Dcgan(nn.Module):
    """DCGAN as in PyTorch's examples: one Sequential, no biases, normal weights of std 0.02."""

    def __init__(self):
        super().__init__()
        first = [nn.ConvTranspose2d(16, 32, 4, 1, 0, bias=False), nn.BatchNorm2d(32), nn.ReLU(True)]
        last = [nn.ConvTranspose2d(8, 3, 4, 2, 1, bias=False), nn.Tanh()]
        self.main = nn.Sequential(*first, *block(32, 16), *block(16, 8), *last)
        for module in self.main:
            if not isinstance(module, nn.ReLU | nn.Tanh):
                nn.init.normal_(module.weight, 1.0 if isinstance(module, nn.BatchNorm2d) else 0.0, 0.02)

    def forward(self, z):
        return self.main(z)


class WganGp(nn.Module):
    """WGAN-GP's CIFAR generator: Linear and BatchNorm1d first, 2x2 transposed convolutions, a view at the very end."""

    def __init__(self):
        super().__init__()
        self.preprocess = nn.Sequential(nn.Linear(16, 4 * 4 * 32), nn.BatchNorm1d(4 * 4 * 32), nn.ReLU(True))
        self.block1 = nn.Sequential(nn.ConvTranspose2d(32, 16, 2, 2), nn.BatchNorm2d(16), nn.ReLU(True))
        self.block2 = nn.Sequential(nn.ConvTranspose2d(16, 8, 2, 2), nn.BatchNorm2d(8), nn.ReLU(True))
        self.deconv_out = nn.ConvTranspose2d(8, 3, 2, 2)
        self.tanh = nn.Tanh()

    def forward(self, z):
        x = self.preprocess(z).view(-1, 32, 4, 4)
        return self.tanh(self.deconv_out(self.block2(self.block1(x)))).view(-1, 3, 32, 32)


class Residual(nn.Module):
    """x + branch(x)."""

    def __init__(self, *branch):
        super().__init__()
        self.branch = nn.Sequential(*branch)

    def forward(self, x):
        return x + self.branch(x)


def cyclegan():
    """CycleGAN's ResNet generator: image to image, InstanceNorm, reflection padding as a layer before a 7x7 head."""

    def padded(given, made, pad):
        return [nn.ReflectionPad2d(pad), nn.Conv2d(given, made, 2 * pad + 1), nn.InstanceNorm2d(made), nn.ReLU(True)]

    down = [nn.Conv2d(8, 16, 3, 2, 1), nn.InstanceNorm2d(16), nn.ReLU(True)]
    middle = [Residual(*padded(16, 16, 1), *padded(16, 16, 1)[:-1]) for _ in range(2)]
    rise = [nn.ConvTranspose2d(16, 8, 3, 2, 1, output_padding=1), nn.InstanceNorm2d(8), nn.ReLU(True)]
    head = [nn.ReflectionPad2d(3), nn.Conv2d(8, 3, 7), nn.Tanh()]
    return nn.Sequential(*padded(3, 8, 3), *down, *middle, *rise, *head)


class ClassBatchNorm(nn.Module):
    """BatchNorm whose gain and shift come from a condition."""

    def __init__(self, channels, condition):
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.gain, self.shift = nn.Linear(condition, channels), nn.Linear(condition, channels)

    def forward(self, x, y):
        return (1 + self.gain(y))[..., None, None] * self.norm(x) + self.shift(y)[..., None, None]


class UpBlock(nn.Module):
    """The residual block of SNGAN and BigGAN, which doubles the size; conditional where `condition` is given."""

    def __init__(self, given, made, norm, condition=None):
        super().__init__()
        self.bn1, self.bn2 = (
            nn.BatchNorm2d(c) if condition is None else ClassBatchNorm(c, condition) for c in (given, made)
        )
        self.conv1, self.conv2 = norm(nn.Conv2d(given, made, 3, 1, 1)), norm(nn.Conv2d(made, made, 3, 1, 1))
        self.shortcut = norm(nn.Conv2d(given, made, 1))

    def forward(self, x, *y):
        h = self.conv1(up(functional.relu(self.bn1(x, *y))))
        return self.conv2(functional.relu(self.bn2(h, *y))) + self.shortcut(up(x))


class Sngan(nn.Module):
    """SNGAN's ResNet generator, its 3x3 head (and, as in SAGAN, all else) under the old spectral_norm."""

    def __init__(self, norm=nn.utils.spectral_norm):
        super().__init__()
        self.l1 = norm(nn.Linear(16, 4 * 4 * 16))
        self.blocks = nn.Sequential(UpBlock(16, 16, norm), UpBlock(16, 16, norm))
        self.b5, self.c5 = nn.BatchNorm2d(16), norm(nn.Conv2d(16, 3, 3, 1, 1))

    def forward(self, z):
        h = self.blocks(self.l1(z).view(-1, 16, 4, 4))
        return torch.tanh(self.c5(functional.relu(self.b5(h))))


class BigGan(nn.Module):
    """BigGAN: split latents, shared class embedding, conditional BatchNorm, BN-ReLU-Conv under a parametrization."""

    def __init__(self):
        super().__init__()
        norm = parametrizations.spectral_norm
        self.shared, self.linear = nn.Embedding(10, 6), norm(nn.Linear(6, 4 * 4 * 16))
        self.blocks = nn.ModuleList(
            nn.ModuleList([UpBlock(16, made, norm, 6 + 6)]) for made in (16, 12)
        )  # a list of lists, as there, where attention may follow a block
        self.blocks[1][0] = UpBlock(16, 12, norm, 6 + 6)
        self.output_layer = nn.Sequential(nn.BatchNorm2d(12), nn.ReLU(), norm(nn.Conv2d(12, 3, 3, padding=1)))
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.orthogonal_(module.parametrizations.weight.original if parametrized(module) else module.weight)

    def forward(self, z, label):
        first, *rest = z.split(6, 1)
        y = self.shared(label)
        h = self.linear(first).view(-1, 16, 4, 4)
        for blocks, part in zip(self.blocks, rest, strict=True):
            for one in blocks:
                h = one(h, torch.cat([y, part], 1))
        return torch.tanh(self.output_layer(h))


def parametrized(module):
    return nn.utils.parametrize.is_parametrized(module, "weight")


def weight_normed(norm):
    """A generator with weight normalisation in place of batch normalisation, down to its head."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # the old weight_norm says that it is old
        return nn.Sequential(
            *[norm(nn.ConvTranspose2d(16, 24, 4)), nn.LeakyReLU(0.2)],
            *[norm(nn.ConvTranspose2d(24, 16, 4, 2, 1)), nn.LeakyReLU(0.2)],
            *[norm(nn.ConvTranspose2d(16, 3, 4, 2, 1)), nn.Tanh()],
        )


class UpsampleDcgan(nn.Module):
    """PyTorch-GAN's DCGAN: Upsample and convolution, a BatchNorm before everything, and eps 0.8 by mistake."""

    def __init__(self):
        super().__init__()
        self.l1 = nn.Sequential(nn.Linear(16, 32 * 4 * 4))
        middle = []
        for given, made in ((32, 32), (32, 16)):
            middle += [nn.Upsample(scale_factor=2), nn.Conv2d(given, made, 3, padding=1)]
            middle += [nn.BatchNorm2d(made, 0.8), nn.LeakyReLU(0.2, inplace=True)]
        self.conv_blocks = nn.Sequential(nn.BatchNorm2d(32), *middle, nn.Conv2d(16, 3, 3, padding=1), nn.Tanh())

    def forward(self, z):
        return self.conv_blocks(self.l1(z).view(-1, 32, 4, 4))


class UnetBlock(nn.Module):
    """pix2pix's U-Net, recursive: a block holds the next; its in-place LeakyReLU changes what it concatenates."""

    def __init__(self, outer, inner, submodule=None, outermost=False, dropout=False):
        super().__init__()
        self.outermost = outermost
        down = nn.Conv2d(3 if outermost else outer, inner, 4, 2, 1, bias=False)
        rise = nn.ConvTranspose2d(inner if submodule is None else 2 * inner, outer, 4, 2, 1, bias=outermost)
        if outermost:
            model = [down, submodule, nn.ReLU(True), rise, nn.Tanh()]
        elif submodule is None:
            model = [nn.LeakyReLU(0.2, True), down, nn.ReLU(True), rise, nn.BatchNorm2d(outer)]
        else:
            model = [nn.LeakyReLU(0.2, True), down, nn.BatchNorm2d(inner), submodule, nn.ReLU(True), rise]
            model += [nn.BatchNorm2d(outer), *([nn.Dropout(0.5)] if dropout else [])]
        self.model = nn.Sequential(*model)

    def forward(self, x):
        return self.model(x) if self.outermost else torch.cat([x, self.model(x)], 1)


def pix2pix():
    inner = UnetBlock(16, 24, UnetBlock(24, 32), dropout=True)
    return UnetBlock(3, 8, UnetBlock(8, 16, inner), outermost=True)


class FastGan(nn.Module):
    """FastGAN: GLU, skip-layer excitation, spectral norm; two heads, a 3x3 for the big image and a 1x1 for the small.

    Returns the list [big, small].
    """

    def __init__(self):
        super().__init__()
        norm = nn.utils.spectral_norm
        self.initial = nn.Sequential(norm(nn.ConvTranspose2d(16, 64, 4, bias=False)), nn.BatchNorm2d(64), nn.GLU(1))
        self.feat_8, self.feat_16, self.feat_32 = self.rise(norm, 32, 24), self.rise(norm, 24, 16), self.rise(norm, 16)
        self.se_32 = nn.Sequential(
            nn.AdaptiveAvgPool2d(4), norm(nn.Conv2d(32, 8, 4, bias=False)), nn.SiLU(), norm(nn.Conv2d(8, 8, 1)), nn.Sigmoid()
        )
        self.to_16, self.to_big = norm(nn.Conv2d(16, 3, 1, bias=False)), norm(nn.Conv2d(8, 3, 3, 1, 1, bias=False))

    @staticmethod
    def rise(norm, given, made=8):
        conv = norm(nn.Conv2d(given, 2 * made, 3, 1, 1, bias=False))
        return nn.Sequential(nn.Upsample(scale_factor=2), conv, nn.BatchNorm2d(2 * made), nn.GLU(1))

    def forward(self, z):
        feat_4 = self.initial(z)
        feat_16 = self.feat_16(self.feat_8(feat_4))
        feat_32 = self.feat_32(feat_16) * self.se_32(feat_4)
        small = torch.tanh(self.to_16(feat_16))
        return [torch.tanh(self.to_big(feat_32)), small]


# -- style-based and progressive ------------------------------------------------------------------------------------


class ModulatedConv(nn.Module):
    """StyleGAN2's convolution, with equalised weights, scaled for each image by a style; demodulated or not.

    "grouped": one convolution with a group per image; "scaled": the features times the style; "einsum": for a 1x1.
    """

    def __init__(self, given, made, size, style=16, *, kind="grouped", demodulate=True, upsample=False, bias=False):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(made, given, size, size))
        self.affine = nn.Linear(style, given)
        nn.init.normal_(self.affine.weight, std=1 / math.sqrt(style))
        nn.init.ones_(self.affine.bias)
        self.bias = nn.Parameter(torch.zeros(made)) if bias else None
        self.kind, self.demodulate, self.upsample = kind, demodulate, upsample

    def forward(self, x, w):
        x = up(x) if self.upsample else x
        style = self.affine(w)
        weight = self.weight / math.sqrt(self.weight[0].numel())
        count, given, height, width = x.shape
        if self.kind == "scaled":
            y = functional.conv2d(x * style[:, :, None, None], weight)
        elif self.kind == "einsum":
            y = torch.einsum("nchw,noc->nohw", x, weight[None, :, :, 0, 0] * style[:, None])
        else:
            weight = weight[None] * style[:, None, :, None, None]
            if self.demodulate:
                weight = weight * torch.rsqrt(weight.square().sum((2, 3, 4), keepdim=True) + 1e-8)
            x, weight = x.reshape(1, count * given, height, width), weight.flatten(0, 1)
            y = functional.conv2d(x, weight, padding="same", groups=count).view(count, -1, height, width)
        return y if self.bias is None else y + self.bias[:, None, None]


class ToRgb(nn.Module):
    """A modulated 1x1 without demodulation and a separate bias, added to the smaller image, enlarged by a FIR filter.

    The filter is a depthwise convolution of three channels: it makes RGB too, but only out of RGB.
    """

    def __init__(self, given):
        super().__init__()
        self.conv = ModulatedConv(given, 3, 1, demodulate=False)
        self.bias = nn.Parameter(torch.zeros(1, 3, 1, 1))
        taps = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 4
        self.register_buffer("kernel", torch.outer(taps, taps))

    def enlarge(self, skip):
        count, channels, height, width = skip.shape
        spread = skip.new_zeros(count, channels, height, 2, width, 2)
        spread[:, :, :, 0, :, 0] = skip
        spread = functional.pad(spread.view(count, channels, 2 * height, 2 * width), (2, 1, 2, 1))
        return functional.conv2d(spread, self.kernel.expand(channels, 1, 4, 4), groups=channels)

    def forward(self, x, w, skip):
        rgb = self.conv(x, w) + self.bias
        return rgb if skip is None else rgb + self.enlarge(skip)


class StyledConv(nn.Module):
    """A modulated 3x3, noise of a learned strength (0 at first) drawn at every call, bias and LeakyReLU."""

    def __init__(self, given, made, upsample=False):
        super().__init__()
        self.conv = ModulatedConv(given, made, 3, upsample=upsample)
        self.noise_strength, self.bias = nn.Parameter(torch.zeros(())), nn.Parameter(torch.zeros(made, 1, 1))

    def forward(self, x, w):
        y = self.conv(x, w)
        y = y + self.noise_strength * torch.randn_like(y[:, :1]) + self.bias
        return functional.leaky_relu(y, 0.2) * math.sqrt(2)


class StyleGan2(nn.Module):
    """StyleGAN2 with skips: a mapping network, a constant, and an image that is the sum of what every size makes.

    `kind` None keeps the bias beside the modulated head (`to_rgbs.2.conv`); else the head (`to_rgbs.2`) has all.
    """

    def __init__(self, kind=None):
        super().__init__()
        self.mapping = nn.Sequential(nn.Linear(16, 16), nn.LeakyReLU(0.2), nn.Linear(16, 16), nn.LeakyReLU(0.2))
        for layer in self.mapping[::2]:
            nn.init.normal_(layer.weight, std=math.sqrt(2 / 16))
        self.const = nn.Parameter(torch.randn(1, 16, 8, 8))
        self.convs = nn.ModuleList([StyledConv(16, 16), StyledConv(16, 16, True), StyledConv(16, 12, True)])
        sizes = (16, 16, 12)
        whole = [ModulatedConv(c, 3, 1, kind=kind, demodulate=False, bias=True) for c in sizes if kind is not None]
        self.to_rgbs = nn.ModuleList(whole or [ToRgb(c) for c in sizes])
        self.kind = kind

    def forward(self, z):
        w = self.mapping(z * torch.rsqrt(z.square().mean(1, keepdim=True) + 1e-8))
        x, image = self.const.expand(len(z), -1, -1, -1), None
        for conv, to_rgb in zip(self.convs, self.to_rgbs, strict=True):
            x = conv(x, w)
            if self.kind is None:
                image = to_rgb(x, w, image)
            else:
                made = to_rgb(x, w)
                image = made if image is None else made + functional.interpolate(image, scale_factor=2, mode="bilinear")
        return image


class EqualConv(nn.Module):
    """ProGAN's convolution at an equalised learning rate: normal weights, scaled at every call."""

    def __init__(self, given, made, size):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.randn(made, given, size, size)), nn.Parameter(torch.zeros(made))

    def forward(self, x):
        scale = math.sqrt((2 if len(self.weight) > 3 else 1) / self.weight[0].numel())
        return functional.conv2d(x, self.weight * scale, self.bias, padding="same")


class ProGan(nn.Module):
    """ProGAN amid a fade-in: the new, finer 1x1 head counts 0.7, the enlarged image of the old one 0.3."""

    def __init__(self):
        super().__init__()
        self.alpha = 0.7
        self.first = nn.Linear(16, 16 * 4 * 4)
        self.convs = nn.ModuleList([EqualConv(16, 16, 3), EqualConv(16, 16, 3), EqualConv(16, 12, 3)])
        self.to_rgb = nn.ModuleList([EqualConv(16, 3, 1), EqualConv(12, 3, 1)])

    def forward(self, z):
        x = self.first(z).view(-1, 16, 4, 4)
        for conv in self.convs:
            old, x = x, functional.leaky_relu(conv(up(x)), 0.2)
            x = x * torch.rsqrt(x.square().mean(1, keepdim=True) + 1e-8)
        return self.alpha * self.to_rgb[1](x) + (1 - self.alpha) * up(self.to_rgb[0](old))


# -- autoencoders, diffusion, super-resolution ----------------------------------------------------------------------


class Vae(nn.Module):
    """A VAE, which draws its latent in forward and returns (reconstruction, mu, logvar)."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(3, 16, 4, 2, 1), nn.ReLU(), nn.Conv2d(16, 16, 4, 2, 1), nn.ReLU())
        self.fc_mu, self.fc_logvar, self.fc = nn.Linear(256, 8), nn.Linear(256, 8), nn.Linear(8, 256)
        self.decoder = nn.Sequential(
            *[nn.ConvTranspose2d(16, 16, 4, 2, 1), nn.ReLU(), nn.ConvTranspose2d(16, 3, 4, 2, 1), nn.Sigmoid()]
        )

    def forward(self, x):
        h = self.encoder(x).flatten(1)
        mu, logvar = self.fc_mu(h), self.fc_logvar(h)
        z = mu + torch.exp(0.5 * logvar) * torch.randn_like(mu)
        return self.decoder(self.fc(z).view(-1, 16, 4, 4)), mu, logvar


class TimeBlock(nn.Module):
    """The residual block of a diffusion U-Net: GroupNorm-SiLU-Conv twice, a time embedding added between."""

    def __init__(self, given, made):
        super().__init__()
        self.norm1, self.conv1 = nn.GroupNorm(4, given), nn.Conv2d(given, made, 3, padding=1)
        self.norm2, self.conv2 = nn.GroupNorm(4, made), nn.Conv2d(made, made, 3, padding=1)
        self.time, self.skip = nn.Linear(16, made), nn.Conv2d(given, made, 1)

    def forward(self, x, t):
        h = self.conv1(functional.silu(self.norm1(x))) + self.time(t)[:, :, None, None]
        return self.skip(x) + self.conv2(functional.silu(self.norm2(h)))


class Attention(nn.Module):
    """Self-attention over places (N, L, C), normalised before and added after."""

    def __init__(self, channels):
        super().__init__()
        self.norm, self.qkv = nn.LayerNorm(channels), nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)

    def forward(self, x):
        query, key, value = self.qkv(self.norm(x)).unflatten(-1, (3, 2, -1)).permute(2, 0, 3, 1, 4)
        return x + self.proj(functional.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2))


class DiffusionUnet(nn.Module):
    """DDPM's U-Net: (x, t) to epsilon, linear; attention in the middle, and GroupNorm-SiLU before conv_out.

    conv_out starts at zero, so that an untrained one says nothing at all; `trained` gives it weights.
    """

    def __init__(self, trained):
        super().__init__()
        self.time = nn.Sequential(nn.Linear(16, 16), nn.SiLU(), nn.Linear(16, 16), nn.SiLU())
        self.conv_in, self.down1, self.down2 = nn.Conv2d(3, 8, 3, padding=1), TimeBlock(8, 8), TimeBlock(8, 16)
        self.middle, self.attention = TimeBlock(16, 16), Attention(16)
        self.up2, self.up1 = TimeBlock(32, 8), TimeBlock(16, 8)
        self.norm_out, self.conv_out = nn.GroupNorm(4, 8), nn.Conv2d(8, 3, 3, padding=1)
        if not trained:
            nn.init.zeros_(self.conv_out.weight)
            nn.init.zeros_(self.conv_out.bias)

    def forward(self, x, t):
        angles = t[:, None] * torch.exp(-math.log(10_000) * torch.arange(8) / 8)
        t = self.time(torch.cat([angles.sin(), angles.cos()], 1))
        fine = self.down1(self.conv_in(x), t)
        coarse = self.down2(functional.avg_pool2d(fine, 2), t)
        h = self.middle(coarse, t)
        h = self.attention(h.flatten(2).transpose(1, 2)).transpose(1, 2).view_as(h)
        h = self.up2(torch.cat([h, coarse], 1), t)
        h = self.up1(torch.cat([up(h), fine], 1), t)
        return self.conv_out(functional.silu(self.norm_out(h)))


class MeanShift(nn.Conv2d):
    """EDSR's frozen 1x1 from three channels to three, the identity plus a colour."""

    def __init__(self, sign):
        super().__init__(3, 3, 1)
        self.weight.data, self.bias.data = torch.eye(3)[:, :, None, None], sign * torch.tensor([114.4, 111.5, 103.0])
        self.requires_grad_(False)


def residual_body(channels):
    def conv():
        return nn.Conv2d(channels, channels, 3, padding=1)

    return nn.Sequential(Residual(conv(), nn.ReLU(True), conv()), Residual(conv(), nn.ReLU(True), conv()))


class Edsr(nn.Module):
    """EDSR on values up to 255: pixel shuffle, then the 3x3 tail, then a MeanShift, or a bicubic skip instead."""

    def __init__(self, bicubic):
        super().__init__()
        self.bicubic = bicubic
        self.sub_mean, self.add_mean = MeanShift(-1), MeanShift(1)
        self.head, self.body = nn.Conv2d(3, 16, 3, padding=1), Residual(residual_body(16))
        self.tail = nn.Sequential(
            nn.Sequential(nn.Conv2d(16, 64, 3, padding=1), nn.PixelShuffle(2)), nn.Conv2d(16, 3, 3, padding=1)
        )

    def forward(self, x):
        image = self.tail(self.body(self.head(self.sub_mean(x))))
        if self.bicubic:
            return functional.interpolate(x, scale_factor=2, mode="bicubic", align_corners=False) + image
        return self.add_mean(image)


class Srgan(nn.Module):
    """SRGAN: PReLU, 9x9 convolutions at both ends, pixel shuffle between, tanh."""

    def __init__(self):
        super().__init__()
        self.conv1, self.res = nn.Sequential(nn.Conv2d(3, 12, 9, padding=4), nn.PReLU()), residual_body(12)
        self.upsampling = nn.Sequential(
            nn.Conv2d(12, 48, 3, padding=1), nn.BatchNorm2d(48), nn.PixelShuffle(2), nn.PReLU()
        )
        self.conv3 = nn.Sequential(nn.Conv2d(12, 3, 9, padding=4), nn.Tanh())

    def forward(self, x):
        x = self.conv1(x)
        return self.conv3(self.upsampling(x + self.res(x)))
