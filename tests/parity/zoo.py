"""A zoo of image generators: the layouts of well-known networks, made small, each with the layer that makes its RGB.

Weights are random, from PyTorch's global generator, which the caller seeds; the networks are in training mode.
`explained` bounds the share of the image's variance that a least-squares line explains with the head's activated
output, repeated up to the image's size; where it is below one it was measured over seeds 0 to 4, and given a margin.
"""

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, make_dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrizations
from torch.utils.checkpoint import checkpoint

Seq, ConvT, conv3 = nn.Sequential, nn.ConvTranspose2d, partial(nn.Conv2d, kernel_size=3, padding=1)
up = partial(F.interpolate, scale_factor=2, mode="nearest")


def draw(*shape, dtype=None, by=torch.randn, classes=0):
    return lambda: (by(*shape, dtype=dtype), *([torch.randint(classes, (4,))] if classes else []))


LATENT, VECTOR, PICTURES = draw(4, 12, 1, 1), draw(4, 12), draw(4, 3, 16, 16, by=torch.rand)
LOW, TIMED = draw(4, 3, 8, 8, by=torch.rand), draw(4, 3, 16, 16, classes=1000)


@dataclass(frozen=True)
class Specimen:
    """A generator and the truth about it."""

    name: str
    make: Callable[[], nn.Module]
    head: str = "to_rgb"  # of named_modules(), or of named_parameters() where the root module itself makes the RGB
    activation: Any = "tanh"  # what follows the head, up to a change of scale
    inputs: Callable[[], tuple[Any, ...]] = LATENT
    explained: tuple[float, float] = (0.999, 1.0)


class Net(nn.Module):
    """Modules and parameters by name, registered in that order, and a forward written as a function of the net."""

    def __init__(self, run, **parts):
        super().__init__()
        self.run = run
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, *inputs):
        return self.run(self, *inputs)


def residual(*branch):
    return Net(lambda net, x: x + net.branch(x), branch=Seq(*branch))


def trunk():
    """DCGAN's way from (N, 12, 1, 1) to features (N, 16, 16, 16)."""
    layers = []
    for given, made, *options in ((12, 32, 4), (32, 24, 4, 2, 1), (24, 16, 4, 2, 1)):
        layers += [ConvT(given, made, *options, bias=False), nn.BatchNorm2d(made), nn.ReLU(True)]
    return Seq(*layers)


def plain(net, z):
    return net.after(net.to_rgb(net.body(z)))


def small(after=torch.tanh, head=None, run=plain, **parts):
    """A trunk, a head and a function of its output: for layouts that are not a network of their own."""
    if head is None:
        nn.init.normal_((head := conv3(16, 3)).weight, std=0.1)
    return Net(run, body=trunk(), to_rgb=head, after=after, **parts)


def dcgan(ending=()):
    """DCGAN as in PyTorch's examples: one Sequential, no biases, normal weights of std 0.02."""
    main = Seq(*trunk(), ConvT(16, 3, 4, 2, 1, bias=False), *ending, nn.Tanh())
    for module in main:
        if hasattr(module, "weight"):
            nn.init.normal_(module.weight, float(isinstance(module, nn.BatchNorm2d)), 0.02)
    return Net(lambda net, z: net.main(z), main=main)


def wgan_gp():
    """WGAN-GP's CIFAR generator: Linear and BatchNorm1d first, 2x2 transposed convolutions, a view at the very end."""
    first = Seq(nn.Linear(12, 512), nn.BatchNorm1d(512), nn.ReLU(True), nn.Unflatten(1, (32, 4, 4)))
    blocks = [Seq(ConvT(2 * c, c, 2, 2), nn.BatchNorm2d(c), nn.ReLU(True)) for c in (16, 8)]
    parts = dict(first=first, block1=blocks[0], block2=blocks[1], deconv_out=ConvT(8, 3, 2, 2), tanh=nn.Tanh())
    return Net(lambda n, z: n.tanh(n.deconv_out(n.block2(n.block1(n.first(z))))).view(-1, 3, 32, 32), **parts)


def cyclegan():
    """CycleGAN's ResNet generator: image to image, InstanceNorm, reflection padding as a layer before a 7x7 head."""

    def normed(conv, *pad):
        return [*map(nn.ReflectionPad2d, pad), conv, nn.InstanceNorm2d(conv.out_channels), nn.ReLU(True)]

    middle = [residual(*normed(nn.Conv2d(16, 16, 3), 1), *normed(nn.Conv2d(16, 16, 3), 1)[:-1]) for _ in range(2)]
    rise = normed(ConvT(16, 8, 3, 2, 1, output_padding=1))
    last = [nn.ReflectionPad2d(3), nn.Conv2d(8, 3, 7), nn.Tanh()]
    return Seq(*normed(nn.Conv2d(3, 8, 7), 3), *normed(conv3(8, 16, stride=2)), *middle, *rise, *last)


def class_norm(size):
    """BatchNorm whose gain and shift come from a condition."""
    parts = dict(norm=nn.BatchNorm2d(size, affine=False), gain=nn.Linear(10, size), bias=nn.Linear(10, size))
    return Net(lambda n, x, y: (1 + n.gain(y)[..., None, None]) * n.norm(x) + n.bias(y)[..., None, None], **parts)


def up_block(spectral, norm):
    """The residual block of SNGAN and BigGAN, which doubles the size; its norms may take a condition."""
    convs = dict(c1=conv3(16, 16), c2=conv3(16, 16), c_sc=nn.Conv2d(16, 16, 1))
    parts = dict(b1=norm(16), b2=norm(16), **{name: spectral(conv) for name, conv in convs.items()})
    return Net(lambda n, x, *y: n.c2(F.relu(n.b2(n.c1(up(F.relu(n.b1(x, *y)))), *y))) + n.c_sc(up(x)), **parts)


def sngan(norm=nn.utils.spectral_norm):
    """SNGAN's ResNet generator, its 3x3 head (and, as in SAGAN, all else) under the old spectral_norm."""
    parts = dict(l1=norm(nn.Linear(12, 256)), blocks=Seq(*[up_block(norm, nn.BatchNorm2d) for _ in range(2)]))
    parts |= dict(b5=nn.BatchNorm2d(16), c5=norm(conv3(16, 3)))
    return Net(lambda n, z: torch.tanh(n.c5(F.relu(n.b5(n.blocks(n.l1(z).view(-1, 16, 4, 4)))))), **parts)


def biggan():
    """BigGAN: split latents, a class embedding, conditional BatchNorm, BN-ReLU-Conv, orthogonal, spectral norm."""

    def spectral(module):
        nn.init.orthogonal_(module.weight)
        return parametrizations.spectral_norm(module)

    def run(net, z, label):
        first, *rest = z.split(4, 1)
        y, h = net.shared(label), net.linear(first).view(-1, 16, 4, 4)
        for block, part in zip(net.blocks, rest, strict=True):
            h = block[0](h, torch.cat([y, part], 1))
        return torch.tanh(net.output_layer(h))

    blocks = nn.ModuleList([nn.ModuleList([up_block(spectral, class_norm)]) for _ in range(2)])
    parts = dict(shared=nn.Embedding(9, 6), linear=spectral(nn.Linear(4, 256)), blocks=blocks)
    return Net(run, **parts, output_layer=Seq(nn.BatchNorm2d(16), nn.ReLU(), spectral(conv3(16, 3))))


def quietly(make, *inputs):
    with warnings.catch_warnings():  # the old weight_norm and torch.jit.trace say that they are old
        warnings.simplefilter("ignore")
        return make(*inputs)


def weight_normed(norm):
    """Weight normalisation instead of batch normalisation, the head included."""
    first, second, head = (norm(ConvT(*o)) for o in ((12, 24, 4), (24, 16, 4, 2, 1), (16, 3, 4, 2, 1)))
    return Seq(first, nn.LeakyReLU(0.2), second, nn.LeakyReLU(0.2), head, nn.Tanh())


def upsample_dcgan():
    """PyTorch-GAN's DCGAN: Upsample and convolution, BatchNorm before the first one, and an eps of 0.8."""
    blocks = [nn.BatchNorm2d(32)]
    for made in (32, 16):
        blocks += [nn.Upsample(scale_factor=2), conv3(32, made), nn.BatchNorm2d(made, 0.8), nn.LeakyReLU(0.2, True)]
    parts = dict(l1=Seq(nn.Linear(12, 512)), conv_blocks=Seq(*blocks, conv3(16, 3), nn.Tanh()))
    return Net(lambda net, z: net.conv_blocks(net.l1(z).view(-1, 32, 4, 4)), **parts)


def pix2pix():
    """pix2pix's U-Net: a block holds the next one; the in-place LeakyReLU changes what is concatenated; dropout."""

    def level(outer, inner, *nested):
        down = [nn.LeakyReLU(0.2, True), nn.Conv2d(outer, inner, 4, 2, 1, bias=False)]
        rise = [nn.ReLU(True), ConvT((1 + len(nested)) * inner, outer, 4, 2, 1, bias=False), nn.BatchNorm2d(outer)]
        middle = [nn.BatchNorm2d(inner), *nested] if nested else []
        model = Seq(*down, *middle, *rise, *[nn.Dropout(0.5)] * len(nested))
        return Net(lambda net, x: torch.cat([x, net.model(x)], 1), model=model)

    inner = level(8, 16, level(16, 24, level(24, 32)))
    outermost = [nn.Conv2d(3, 8, 4, 2, 1), inner, nn.ReLU(True), ConvT(16, 3, 4, 2, 1), nn.Tanh()]
    return Net(lambda net, x: net.model(x), model=Seq(*outermost))


def fastgan(norm=nn.utils.spectral_norm):
    """FastGAN: GLU, skip-layer excitation, spectral norm; [big, small], of a 3x3 head and of a 1x1."""

    def run(net, z):
        feat_4 = net.init(z)
        feat_16 = net.feat_16(net.feat_8(feat_4))
        feat_32 = net.feat_32(feat_16) * net.se_32(feat_4)
        return [torch.tanh(net.to_big(feat_32)), torch.tanh(net.to_16(feat_16))]

    feats = {}
    for size, given, made in ((8, 32, 48), (16, 24, 32), (32, 16, 16)):
        conv = norm(conv3(given, made, bias=False))
        feats[f"feat_{size}"] = Seq(nn.Upsample(scale_factor=2), conv, nn.BatchNorm2d(made), nn.GLU(1))
    init = Seq(norm(ConvT(12, 64, 4, bias=False)), nn.BatchNorm2d(64), nn.GLU(1))
    squeeze = [nn.AdaptiveAvgPool2d(4), norm(nn.Conv2d(32, 8, 4, bias=False)), nn.SiLU()]
    se_32 = Seq(*squeeze, norm(nn.Conv2d(8, 8, 1, bias=False)), nn.Sigmoid())
    heads = dict(to_16=norm(nn.Conv2d(16, 3, 1, bias=False)), to_big=norm(conv3(8, 3, bias=False)))
    return Net(run, init=init, **feats, se_32=se_32, **heads)


class ModulatedConv(nn.Module):
    """StyleGAN2's: equalised weights, times a style; a group per image, or else features times style, or einsum."""

    def __init__(self, given, made, size, kind="grouped", bias=True):
        super().__init__()
        self.kind, self.affine = kind, nn.Linear(12, given)
        nn.init.ones_(self.affine.bias)
        self.weight = nn.Parameter(torch.randn(made, given, size, size))
        self.bias = nn.Parameter(torch.zeros(made, 1, 1)) if bias else None

    def forward(self, x, w):
        weight, style, (count, _, *size) = self.weight / math.sqrt(self.weight[0].numel()), self.affine(w), x.shape
        if self.kind == "scaled":
            y = F.conv2d(x * style[:, :, None, None], weight)
        elif self.kind == "einsum":
            y = torch.einsum("nchw,noc->nohw", x, weight[None, :, :, 0, 0] * style[:, None])
        else:
            weight = weight * style[:, None, :, None, None]
            if weight.shape[-1] > 1:  # demodulated, as toRGB is not
                weight = weight * torch.rsqrt(weight.square().sum((2, 3, 4), keepdim=True) + 1e-8)
            y = F.conv2d(x.reshape(1, -1, *size), weight.flatten(0, 1), padding="same", groups=count)
        y = y.view(count, -1, *size)
        return y if self.bias is None else y + self.bias


def fir_up():
    """Zeros put between, then a fixed blur: a depthwise convolution, which makes RGB too, but only out of RGB."""
    taps = nn.Buffer(torch.outer(*[torch.tensor([1.0, 3.0, 3.0, 1.0]) / 4] * 2).repeat(3, 1, 1, 1))

    def run(net, x):
        count, _, height, width = x.shape
        spread = F.pad(x[..., None, :, None], (0, 1, 0, 0, 0, 1)).reshape(count, 3, 2 * height, 2 * width)
        return F.conv2d(F.pad(spread, (2, 1, 2, 1)), net.taps, groups=3)

    return Net(run, taps=taps)


def stylegan2(kind="grouped", whole=True):
    """StyleGAN2: mapping, constant, noise, an image summed over the sizes; toRGB holds its bias or its parent does."""

    def run(net, z):
        w = net.mapping(z * torch.rsqrt(z.square().mean(1, keepdim=True) + 1e-8))
        x, image = net.const.expand(len(z), -1, -1, -1), None
        for i, (conv, to_rgb) in enumerate(zip(net.convs, net.to_rgbs, strict=True)):
            x = conv(up(x) if i else x, w)
            x = F.leaky_relu(x + net.noise_strength[i] * torch.randn_like(x[:, :1]), 0.2) * math.sqrt(2)
            image = to_rgb(x, w) + (net.enlarge(image) if i else 0)
        return image

    rgbs = [ModulatedConv(given, 3, 1, kind, whole) for given in (16, 16, 12)]
    if not whole:
        zeros = partial(torch.zeros, 3, 1, 1)
        rgbs = [Net(lambda n, x, w: n.conv(x, w) + n.bias, conv=conv, bias=nn.Parameter(zeros())) for conv in rgbs]
    mapping = Seq(nn.Linear(12, 12), nn.LeakyReLU(0.2), nn.Linear(12, 12), nn.LeakyReLU(0.2))
    parts = dict(const=nn.Parameter(torch.randn(1, 16, 8, 8)), noise_strength=nn.Parameter(0.1 * torch.ones(3)))
    parts |= dict(convs=nn.ModuleList([ModulatedConv(16, made, 3) for made in (16, 16, 12)]), enlarge=fir_up())
    return Net(run, mapping=mapping, **parts, to_rgbs=nn.ModuleList(rgbs))


def progan():
    """ProGAN: equalised weights; amid a fade-in: the new 1x1 counts 0.7, the enlarged image of the old one 0.3."""

    def conv(given, made, size):
        parts = dict(weight=nn.Parameter(torch.randn(made, given, size, size)), bias=nn.Parameter(torch.zeros(made)))
        scale = math.sqrt((2 if size > 1 else 1) / (given * size * size))
        return Net(lambda n, x: F.conv2d(x, n.weight * scale, n.bias, padding="same"), **parts)

    def run(net, z, alpha=0.7):
        x = net.first(z).view(-1, 16, 4, 4)
        for layer in net.convs:
            old, x = x, F.leaky_relu(layer(up(x)), 0.2)
            x = x * torch.rsqrt(x.square().mean(1, keepdim=True) + 1e-8)
        return alpha * net.to_rgb[1](x) + (1 - alpha) * up(net.to_rgb[0](old))

    convs, to_rgb = [conv(16, made, 3) for made in (16, 16, 12)], [conv(given, 3, 1) for given in (16, 12)]
    return Net(run, first=nn.Linear(12, 256), convs=nn.ModuleList(convs), to_rgb=nn.ModuleList(to_rgb))


def vae():
    """A VAE, which draws its latent in forward and returns (reconstruction, mu, logvar)."""

    def run(net, x):
        mu, logvar = net.fc(net.encoder(x)).chunk(2, 1)
        return net.decoder((mu + torch.exp(0.5 * logvar) * torch.randn_like(mu))[..., None, None]), mu, logvar

    encoder = Seq(nn.Conv2d(3, 16, 4, 2, 1), nn.ReLU(), nn.Conv2d(16, 16, 4, 2, 1), nn.ReLU(), nn.Flatten())
    decoder = Seq(*trunk()[:6], ConvT(24, 3, 4, 2, 1), nn.Sigmoid())
    return Net(run, encoder=encoder, fc=nn.Linear(256, 24), decoder=decoder)


def attention(channels):
    """Self-attention over places, (N, L, C), normalised before and added after."""

    def run(net, x):
        query, key, value = net.qkv(net.norm(x)).unflatten(-1, (3, 2, -1)).permute(2, 0, 3, 1, 4)
        return x + net.proj(F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2))

    qkv, proj = nn.Linear(channels, 3 * channels), nn.Linear(channels, channels)
    return Net(run, norm=nn.LayerNorm(channels), qkv=qkv, proj=proj)


def diffusion(trained):
    """DDPM's U-Net: (x, t) to epsilon; attention in the middle, GroupNorm and SiLU before a conv_out that is zero."""

    def block(given, made):
        first = dict(conv1=Seq(nn.GroupNorm(4, given), nn.SiLU(), conv3(given, made)), time=nn.Linear(16, made))
        last = dict(conv2=Seq(nn.GroupNorm(4, made), nn.SiLU(), conv3(made, made)), skip=nn.Conv2d(given, made, 1))
        return Net(lambda n, x, t: n.skip(x) + n.conv2(n.conv1(x) + n.time(t)[..., None, None]), **first, **last)

    def run(net, x, t):
        angles = t[:, None] * torch.exp(-math.log(10_000) * torch.arange(8) / 8)
        t = net.time(torch.cat([angles.sin(), angles.cos()], 1))
        fine = net.down1(net.conv_in(x), t)
        coarse = net.down2(F.avg_pool2d(fine, 2), t)
        h = net.attention(coarse.flatten(2).transpose(1, 2)).transpose(1, 2).view_as(coarse)
        h = net.up1(torch.cat([up(net.up2(torch.cat([h, coarse], 1), t)), fine], 1), t)
        return net.conv_out(F.silu(net.norm_out(h)))

    first = dict(time=Seq(nn.Linear(16, 16), nn.SiLU()), conv_in=conv3(3, 8), down1=block(8, 8), down2=block(8, 16))
    last = dict(attention=attention(16), up2=block(32, 8), up1=block(16, 8), norm_out=nn.GroupNorm(4, 8))
    net = Net(run, **first, **last, conv_out=conv3(8, 3))
    for parameter in () if trained else net.conv_out.parameters():
        nn.init.zeros_(parameter)
    return net


def edsr(bicubic):
    """EDSR: frozen 1x1 MeanShifts from RGB to RGB at both ends, or a bicubic skip instead."""

    def run(net, x):
        image = net.tail(net.body(net.head(net.sub_mean(x))))
        return F.interpolate(x, scale_factor=2, mode="bicubic") + image if bicubic else net.add_mean(image)

    shifts = [nn.Conv2d(3, 3, 1).requires_grad_(False) for _ in range(2)]
    for shift, sign in zip(shifts, (-1, 1), strict=True):
        shift.weight[:, :, 0, 0], shift.bias[:] = torch.eye(3), sign * torch.tensor([0.45, 0.44, 0.4])
    body = residual(residual(conv3(16, 16), nn.ReLU(True), conv3(16, 16)), conv3(16, 16))
    tail = Seq(Seq(conv3(16, 64), nn.PixelShuffle(2)), conv3(16, 3))
    return Net(run, sub_mean=shifts[0], add_mean=shifts[1], head=conv3(3, 16), body=body, tail=tail)


def srgan():
    """SRGAN: PReLU, 9x9 convolutions at both ends, pixel shuffle between them, tanh."""
    res = residual(conv3(12, 12), nn.BatchNorm2d(12), nn.PReLU(), conv3(12, 12))
    rise = Seq(conv3(12, 48), nn.BatchNorm2d(48), nn.PixelShuffle(2), nn.PReLU())
    return Seq(nn.Conv2d(3, 12, 9, padding=4), nn.PReLU(), res, rise, Seq(nn.Conv2d(12, 3, 9, padding=4), nn.Tanh()))


def mlp(after):
    """An MLP GAN, whose last Linear makes the whole image."""
    first = [nn.Linear(12, 32), nn.LeakyReLU(0.2, True), nn.Linear(32, 64), nn.BatchNorm1d(64), nn.LeakyReLU(0.2, True)]
    return Net(lambda net, z: after(net.model(z)), model=Seq(*first, nn.Linear(64, 3 * 16 * 16), nn.Tanh()))


def implicit():
    """An implicit generator: an MLP at each place, of its coordinates and the latent; sigmoid, NHWC to NCHW."""
    places = torch.cartesian_prod(*[torch.linspace(-1, 1, 16)] * 2).view(16, 16, 2)
    first = dict(places=nn.Buffer(places), place=nn.Linear(2, 24), latent=nn.Linear(12, 24), to_rgb=nn.Linear(24, 3))
    first["hidden"] = lambda net, z: torch.sin(4 * net.place(net.places) + net.latent(z)[:, None, None])
    return Net(lambda n, z: torch.sigmoid(n.to_rgb(n.hidden(n, z))).permute(0, 3, 1, 2), **first)


def vit():
    """A transformer on 4x4 patches: the last Linear makes p*p*3 numbers a token, 'n h w p q c -> n c (h p) (w q)'."""
    mixing = residual(nn.LayerNorm(16), nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 16))
    parts = dict(embed=nn.Linear(12, 256), position=nn.Parameter(torch.randn(1, 16, 16)))
    parts |= dict(blocks=Seq(attention(16), mixing), norm=nn.LayerNorm(16), final=nn.Linear(16, 48))
    parts["joined"] = lambda x: torch.einsum("nhwpqc->nchpwq", x.view(-1, 4, 4, 4, 4, 3)).reshape(-1, 3, 16, 16)
    return Net(lambda n, z: n.joined(n.final(n.norm(n.blocks(n.embed(z).view(-1, 16, 16) + n.position)))), **parts)


def masked(blend):
    """GANimation: an image and a mask; blended, the mask chooses between that image and the input."""

    def run(net, x):
        h = net.body(x)
        image, mask = torch.tanh(net.img_reg(h)), torch.sigmoid(net.attention_reg(h))
        return mask * image + (1 - mask) * x if blend else (image, mask)

    heads = dict(img_reg=nn.Conv2d(16, 3, 7, padding=3), attention_reg=nn.Conv2d(16, 1, 7, padding=3))
    return Net(run, body=Seq(conv3(3, 16), nn.InstanceNorm2d(16), nn.ReLU(True)), **heads)


def stateful(net, z):
    """Truncation towards a running average, a counter and a list: what a forward may change."""
    net.mean.lerp_(z.detach().flatten(1).mean(0), 0.002)
    net.calls += 1
    net.seen.append(float(net.mean.norm()))
    return plain(net, torch.lerp(net.mean[:, None, None], z, 0.7))


def inferred(net, z):
    """As people write it who want no gradients: the generator switches them off by itself."""
    with torch.inference_mode():
        return plain(net, z)


def among(heads, key):
    return Net(lambda net, z: torch.tanh(net.heads[key](net.body(z))), body=trunk(), heads=heads)


def refuse(memo):
    raise RuntimeError("this generator is not to be copied")


def functional():
    """The root module itself makes the RGB, with parameters of its own."""
    parts = dict(rgb_weight=nn.Parameter(0.1 * torch.randn(3, 16, 3, 3)), rgb_bias=nn.Parameter(torch.zeros(3)))
    return Net(lambda n, z: torch.tanh(F.conv2d(n.body(z), n.rgb_weight, n.rgb_bias, padding=1)), body=trunk(), **parts)


def sizes(net, z):
    h = net.body(z)
    return torch.tanh(net.to_rgb(F.avg_pool2d(h, 2))), torch.tanh(net.to_rgb(h))


Output, SKIP = make_dataclass("Output", ["sample"]), (0.15, 0.65)
ZOO = [
    Specimen("dcgan", dcgan, "main.9"),
    Specimen("wgan-gp", wgan_gp, "deconv_out", inputs=VECTOR),
    Specimen("cyclegan", cyclegan, "13", inputs=PICTURES),
    Specimen("sngan", sngan, "c5", inputs=VECTOR),
    Specimen("biggan", biggan, "output_layer.2", inputs=draw(4, 12, classes=9)),
    Specimen("weight-norm-old", lambda: weight_normed(partial(quietly, nn.utils.weight_norm)), "4"),
    Specimen("weight-norm", lambda: weight_normed(parametrizations.weight_norm), "4"),
    Specimen("stylegan2", lambda: stylegan2(whole=False), "to_rgbs.2.conv", "linear", VECTOR, SKIP),
    Specimen("stylegan2-whole", stylegan2, "to_rgbs.2", "linear", VECTOR, SKIP),
    Specimen("stylegan2-scaled", lambda: stylegan2("scaled"), "to_rgbs.2", "linear", VECTOR, SKIP),
    Specimen("stylegan2-einsum", lambda: stylegan2("einsum"), "to_rgbs.2", "linear", VECTOR, SKIP),
    Specimen("progan", progan, "to_rgb.1", "linear", VECTOR, (0.7, 0.92)),
    Specimen("pix2pix", pix2pix, "model.3", inputs=PICTURES),
    Specimen("fastgan", fastgan, "to_big"),
    Specimen("upsample-dcgan", upsample_dcgan, "conv_blocks.9", inputs=VECTOR),
    Specimen("pixel-shuffle", lambda: small(lambda x: torch.tanh(F.pixel_shuffle(x, 2)), conv3(16, 12))),
    Specimen("enlarged", lambda: small(lambda x: up(torch.tanh(x)))),
    Specimen("vae", vae, "decoder.6", "sigmoid", PICTURES),
    Specimen("diffusion", lambda: diffusion(True), "conv_out", "linear", TIMED),
    Specimen("diffusion-zero", lambda: diffusion(False), "conv_out", "linear", TIMED, (0.0, 1.0)),
    Specimen("edsr", lambda: edsr(False), "tail.1", "linear", LOW, (0.8, 1.0)),
    Specimen("edsr-bicubic", lambda: edsr(True), "tail.1", "linear", LOW, (0.04, 0.3)),
    Specimen("srgan", srgan, "4.0", inputs=LOW),
    Specimen("sigmoid", lambda: small(torch.sigmoid), activation="sigmoid"),
    Specimen("half-tanh", lambda: small(lambda x: (torch.tanh(x) + 1) / 2)),
    Specimen("clamp", lambda: small(lambda x: x.clamp(-1, 1)), activation=("clamp", -1.0, 1.0)),
    Specimen("bytes", lambda: small(lambda x: (x * 127.5 + 128).clamp(0, 255)), activation=("clamp", -1.0039, 0.9961)),
    Specimen("rgba", lambda: small(lambda x: x, conv3(16, 4)), activation="linear"),
    Specimen("gray", lambda: small(lambda x: torch.tanh(x).repeat(1, 3, 1, 1), conv3(16, 1))),
    Specimen("mlp", lambda: mlp(lambda x: x.view(-1, 3, 16, 16)), "model.5", inputs=VECTOR),
    Specimen("mlp-nhwc", lambda: mlp(lambda x: x.view(-1, 16, 16, 3).permute(0, 3, 1, 2)), "model.5", inputs=VECTOR),
    Specimen("implicit", implicit, "to_rgb", "sigmoid", VECTOR),
    Specimen("vit", vit, "final", "linear", VECTOR),
    Specimen("dict", lambda: small(lambda x: {"sample": torch.tanh(x)})),
    Specimen("dataclass", lambda: small(lambda x: Output(torch.tanh(x)))),
    Specimen("image-and-mask", lambda: masked(False), "img_reg", inputs=PICTURES),
    Specimen("blended", lambda: masked(True), "img_reg", inputs=PICTURES, explained=(0.25, 0.6)),
    Specimen("functional", functional, "rgb_weight"),
    Specimen("registered-twice", lambda: (lambda head: small(head=head, again=Seq(head)))(conv3(16, 3))),
    Specimen("two-sizes", lambda: small(run=sizes)),  # (coarse, fine)
    Specimen(
        "size-sum", lambda: small(run=lambda n, z: sum(map(nn.Upsample(16), sizes(n, z)))), explained=(0.45, 0.75)
    ),
    Specimen("declared-first", lambda: Net(plain, to_rgb=conv3(16, 3), body=trunk(), after=torch.tanh)),
    Specimen("norm-after", lambda: dcgan([nn.BatchNorm2d(3)]), "main.9", explained=(0.999, 1.0)),
    Specimen("module-list", lambda: among(nn.ModuleList([conv3(24, 3), conv3(16, 3)]), 1), "heads.1"),
    Specimen("module-dict", lambda: among(nn.ModuleDict({"rgb": conv3(16, 3)}), "rgb"), "heads.rgb"),
    Specimen("nested", lambda: Seq(trunk(), Seq(Seq(conv3(16, 3)), nn.Tanh())), "1.0.0"),
    Specimen("orthogonal", lambda: small(head=nn.utils.parametrizations.orthogonal(conv3(16, 3)))),
    Specimen("inference", lambda: small(run=inferred)),
    Specimen("scripted", lambda: torch.jit.script(Seq(trunk(), conv3(16, 3), nn.Tanh())), "1"),
    Specimen("compiled", lambda: torch.compile(dcgan(), backend="eager"), "_orig_mod.main.9"),
    Specimen("noisy", lambda: small(run=lambda n, z: plain(n, z + torch.randn_like(z)))),
    Specimen("stateful", lambda: small(run=stateful, mean=nn.Buffer(torch.zeros(12)), calls=0, seen=[])),
    Specimen("no-deepcopy", lambda: small(__deepcopy__=refuse)),
    Specimen("float64", lambda: small().double(), inputs=draw(4, 12, 1, 1, dtype=torch.float64)),
    Specimen("bfloat16", lambda: small().bfloat16(), inputs=draw(4, 12, 1, 1, dtype=torch.bfloat16)),
    Specimen("checkpointed", lambda: small(run=lambda n, z: checkpoint(plain, n, z, use_reentrant=False))),
    Specimen("traced", lambda: quietly(torch.jit.trace, dcgan(), *LATENT()), "main.9"),
    Specimen("reflect", lambda: small(head=conv3(16, 3, padding_mode="reflect"))),
    Specimen("grouped", lambda: Seq(trunk(), conv3(16, 12), nn.ReLU(), conv3(12, 3, groups=3), nn.Tanh()), "3"),
    Specimen("nhwc", lambda: small(lambda x: torch.tanh(x).permute(0, 2, 3, 1))),
    Specimen("chw-head", lambda: small(run=lambda n, z: n.to_rgb(n.body(z[None])[0]).tanh()), inputs=draw(12, 1, 1)),
    Specimen("chw", lambda: small(run=lambda n, z: plain(n, z[None])[0]), inputs=draw(12, 1, 1)),
]
