"""Writes docs/prediction.md: how close predicted and calibrated colours come, on images that were not used for either.

Run by ``make check-prediction``; takes some minutes. The generators are untrained, made with PyTorch at a size that two
processors can run: what is tested is the head and the statistics of what comes into it.
"""

import argparse
import io
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as functional
from numpy.typing import NDArray
from torch import Tensor, nn
from tqdm import tqdm

import ganchroma as gch
from ganchroma.moments import ColorMoments

Array = NDArray[Any]
SEEDS, KNOWN, CALIBRATED, OTHERS, BATCH = 5, 64, 256, 2000, 64
LATENT = 64
FOLDER = Path(__file__).parent


class Subject(NamedTuple):
    """A generator up to its head, and the head."""

    name: str
    head: gch.OutputLayer
    features: Callable[[int], Array]  # number of a batch -> (BATCH, C, h, w)


# -- the generators --------------------------------------------------------------------------------------------------


def conv(given: int, made: int, size: int = 3) -> nn.Conv2d:
    return nn.Conv2d(given, made, size, padding=size // 2)


class Residual(nn.Module):
    """x + f(x), as in a CycleGAN's middle."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        norm = partial(nn.InstanceNorm2d, channels)
        self.path = nn.Sequential(conv(channels, channels), norm(), nn.ReLU(), conv(channels, channels), norm())

    def forward(self, x: Tensor) -> Tensor:
        return x + self.path(x)


def resnet(channels: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, channels, 7, padding=3, padding_mode="reflect"),
        nn.InstanceNorm2d(channels),
        nn.ReLU(),
        *[Residual(channels) for _ in range(3)],
        nn.InstanceNorm2d(channels),
        nn.ReLU(),
    )


class Growing(nn.Module):
    """Shortcut + f(x) at twice the size, as in a BigGAN."""

    def __init__(self, given: int, made: int) -> None:
        super().__init__()
        self.first, self.second = nn.BatchNorm2d(given), nn.BatchNorm2d(made)
        self.convs = nn.ModuleList([conv(given, made), conv(made, made), conv(given, made, 1)])

    def forward(self, x: Tensor) -> Tensor:
        y = functional.interpolate(functional.relu(self.first(x)), scale_factor=2)
        y = self.convs[1](functional.relu(self.second(self.convs[0](y))))
        return y + self.convs[2](functional.interpolate(x, scale_factor=2))


def biggan(*channels: int) -> nn.Module:
    """From 4 x 4 up, twice the size and fewer channels a block; orthogonal weights."""
    net = nn.Sequential(
        nn.Linear(LATENT, 16 * channels[0]),
        nn.Unflatten(1, (channels[0], 4, 4)),
        *[Growing(given, made) for given, made in pairwise(channels)],
        nn.BatchNorm2d(channels[-1]),
        nn.ReLU(),
    )
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.orthogonal_(module.weight)
    return net


class StyleGAN(nn.Module):
    """Modulated 3x3 convolutions with demodulation and noise; what comes out is scaled by the style of toRGB."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mapping = nn.Sequential(
            *[part for _ in range(4) for part in (nn.Linear(LATENT, LATENT), nn.LeakyReLU(0.2))]
        )
        self.styles = nn.ModuleList([nn.Linear(LATENT, channels) for _ in range(5)])
        self.start = nn.Parameter(torch.randn(1, channels, 4, 4))
        self.weights = nn.ParameterList([torch.randn(channels, channels, 3, 3) for _ in range(4)])

    def forward(self, z: Tensor) -> Tensor:
        w = self.mapping(functional.normalize(z) * LATENT**0.5)
        x = self.start.expand(len(z), -1, -1, -1)
        for place, (weight, style) in enumerate(zip(self.weights, self.styles, strict=False)):
            if place:
                x = functional.interpolate(x, scale_factor=2, mode="bilinear")
            scale = 1 + style(w)
            x = functional.conv2d(x * scale[:, :, None, None], weight, padding=1)
            demodulation = (torch.einsum("oihw,ni->no", weight**2, scale**2) + 1e-8).rsqrt()
            x = x * demodulation[:, :, None, None] + 0.1 * torch.randn(len(z), 1, *x.shape[2:])
            x = functional.leaky_relu(x, 0.2) * 2**0.5
        return x * (1 + self.styles[-1](w))[:, :, None, None]


def batch_of(net: nn.Module, shape: tuple[int, ...]) -> Callable[[int], Array]:
    def features(number: int) -> Array:
        torch.manual_seed(10_000 + number)
        z = torch.randn(BATCH, *shape)
        if len(shape) == 3:  # pictures: smooth, as photographs are
            z = functional.interpolate(torch.randn(BATCH, shape[0], 8, 8), size=shape[1:], mode="bicubic")
        with torch.no_grad():
            return np.asarray(net(z).numpy())

    return features


def subjects(seed: int) -> Iterator[Subject]:
    G = gch.demo.Generator(rng=seed)

    def dcgan(number: int) -> Array:
        return G.features(G.sample_latent(BATCH, rng=10_000 + number))

    yield Subject("DCGAN, N(0, .02)", G.head, dcgan)
    weight, _ = gch.init.conv_default(G.head.weight.shape, transposed=True, bias=False, rng=seed)
    yield Subject("DCGAN, default", G.head.replace(weight=weight), dcgan)
    torch.manual_seed(seed)
    net = resnet(48)
    weight = gch.init.normal((3, 48, 7, 7), std=0.02, rng=seed)
    head = gch.OutputLayer(weight, np.zeros(3, np.float32), padding=3, padding_mode="reflect")
    yield Subject("ResNet, 7x7 reflect", head, batch_of(net, (3, 32, 32)))
    net = biggan(256, 128, 64, 32)
    head = gch.OutputLayer(gch.init.orthogonal((3, 32, 3, 3), rng=seed), np.zeros(3, np.float32), padding=1)
    yield Subject("BigGAN-like, 3x3", head, batch_of(net, (LATENT,)))
    net = StyleGAN(64)
    weight = gch.init.normal((3, 64, 1, 1), rng=seed)
    head = gch.OutputLayer(weight, np.zeros(3, np.float32), activation="linear", output_scale=0.125)
    yield Subject("StyleGAN-like, 1x1 linear", head, batch_of(net, (LATENT,)))


# -- what is compared -----------------------------------------------------------------------------------------------


def measured(layer: gch.OutputLayer, batches: list[Array], linear: bool = False) -> ColorMoments:
    records = np.concatenate([layer.image_moments(batch, linear) for batch in batches])
    return ColorMoments.from_images_records(records, layer.value_range)


def off(found: ColorMoments, true: ColorMoments) -> float:
    return float(np.linalg.norm(found.covariance - true.covariance) / np.linalg.norm(true.covariance))


def compare(subject: Subject) -> dict[str, float]:
    """Errors of one subject: predicted from KNOWN images, calibrated on CALIBRATED, both judged on OTHERS."""
    some = [subject.features(number) for number in range(CALIBRATED // BATCH)]
    others = [subject.features(number) for number in range(100, 100 + -(-OTHERS // BATCH))]
    head, known = subject.head, some[0][:KNOWN]
    moments = gch.FeatureMoments.from_features(known, head)
    sampled, alone = gch.predict(head, moments, known), gch.predict(head, moments)
    linear, true = measured(head, others, linear=True), measured(head, others)
    result = {
        "linear": off(sampled["linear"].moments, linear),
        "sampled": off(sampled["activation"].moments, true),
        "moments": off(alone["activation"].moments, true),
        "share": abs(sampled["activation"].moments.achromatic_share - true.achromatic_share),
        "share from moments": abs(alone["activation"].moments.achromatic_share - true.achromatic_share),
    }
    made = gch.calibrate(head, np.concatenate(some))
    after, target = measured(made, others), gch.color.NATURAL.to(head.value_range)
    low, high = head.value_range
    result["calibrated"] = off(after, target)
    result["mean"] = float(np.abs(after.mean - target.mean).max()) / (high - low)
    result["correlation"] = float(np.abs(after.correlation - target.correlation).max())
    return result


def many() -> str:
    """6,000 filter sets at once, and the same in PyTorch by running the layer."""
    G = gch.demo.Generator(rng=0)
    features = G.features(G.sample_latent(KNOWN, rng=1))
    moments = gch.FeatureMoments.from_features(features, G.head)
    shape, laws = (
        G.head.weight.shape,
        ("normal", "trunc_normal", "xavier_uniform", "xavier_normal", "kaiming_uniform", "kaiming_normal"),
    )
    weights = np.concatenate(
        [np.stack([getattr(gch.init, law)(shape, rng=seed) for seed in range(1000)]) for law in laws]
    )
    gch.predict_many(weights[:256], moments, transposed=True)
    start = time.perf_counter()
    share = gch.predict_many(weights, moments, transposed=True).achromatic_share
    ours = time.perf_counter() - start
    x, tried = torch.from_numpy(features), 30
    start = time.perf_counter()
    with torch.no_grad():
        for weight in weights[:tried]:
            image = functional.conv_transpose2d(x, torch.from_numpy(weight), stride=2, padding=1)
            torch.cov(image.permute(1, 0, 2, 3).reshape(3, -1))
    theirs = (time.perf_counter() - start) / tried * len(weights)
    return (
        f"1,000 seeds of {len(laws)} initialisers, {len(weights):,} filter sets of the DCGAN's head on {KNOWN} images: "
        f"{ours:.2f} s; running the layer in PyTorch for each takes {theirs:.0f} s, {theirs / ours:.0f} times as long. "
        f"The mean achromatic share is {share.mean():.3f}."
    )


# -- the document ---------------------------------------------------------------------------------------------------

BOUNDS = {"linear": 0.025, "sampled": 0.035, "moments": 0.08, "share": 0.015, "share from moments": 0.015}
AIMS = {"calibrated": 0.015, "mean": 0.005, "correlation": 0.01}
HEAD = """# Predicted and chosen colour

Written by `make check-prediction`. Untrained generators, {seeds} seeds each, the median of the seeds. Predicted from
{known} images, calibrated on {calibrated}, both judged on {others} others. Covariances: relative error in the Frobenius
norm; shares, means (of the range) and correlations: largest absolute error. The linear stage is exact for the
images it was measured on: what is off there is what 64 images do not know of 2,000, .015 to .038 for single seeds of
the BigGAN-like head.
"""


def table(rows: dict[str, dict[str, float]], columns: dict[str, float]) -> str:
    lines = ["| head | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for name, row in rows.items():
        lines.append(f"| {name} | " + " | ".join(f"{row[column]:.4f}" for column in columns) + " |")
    lines.append("| bound | " + " | ".join(f"{bound:g}" for bound in columns.values()) + " |")
    return "\n".join(lines)


def picture(path: Path) -> None:
    """The same latents before and after calibration."""
    from matplotlib.figure import Figure

    G = gch.demo.Generator(rng=0)
    features = G.features(G.sample_latent(64, rng=1))
    made = gch.calibrate(G.head, features)
    figure = Figure(figsize=(9, 3.4), dpi=110)
    for place, (title, layer) in enumerate((("as drawn, N(0, .02)", G.head), ("calibrated to natural colours", made))):
        images = (np.moveaxis(layer(features[:6]), 1, -1) + 1) / 2
        axes = figure.add_axes((0.01 + 0.5 * place, 0.02, 0.48, 0.8))
        axes.imshow(np.concatenate([np.concatenate(images[:3], axis=1), np.concatenate(images[3:], axis=1)]))
        axes.set_axis_off()
        rho = layer.moments(features).correlation
        axes.set_title(f"{title}\ncorrelations RG {rho[0]:.2f}, RB {rho[1]:.2f}, GB {rho[2]:.2f}", fontsize=10)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    path.write_bytes(buffer.getvalue())


def main(folder: Path, seeds: int) -> bool:
    found: dict[str, list[dict[str, float]]] = {}
    for seed in tqdm(range(seeds), desc="seeds"):
        for subject in subjects(seed):
            found.setdefault(subject.name, []).append(compare(subject))
    rows = {
        name: {key: float(np.median([result[key] for result in results])) for key in results[0]}
        for name, results in found.items()
    }
    text = HEAD.format(seeds=seeds, known=KNOWN, calibrated=CALIBRATED, others=f"{OTHERS:,}")
    text += f"\n## Prediction\n\n{table(rows, BOUNDS)}\n\n{many()}\n"
    text += f"\n## Calibration to natural colours\n\n{table(rows, AIMS)}\n\n"
    text += "![Images of an untrained DCGAN before and after calibration](calibrated.png)\n\n"
    text += (
        "The structure of the images is untouched: they are still noise, but noise with the colours of photographs.\n"
        "The three filters are then similar (cosines .77 to .97): natural colour needs similar filters.\n"
    )
    print(text)
    (folder / "prediction.md").write_text(text, encoding="utf-8")
    picture(folder / "calibrated.png")
    return all(row[key] <= bound for row in rows.values() for key, bound in {**BOUNDS, **AIMS}.items())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--out", type=Path, default=FOLDER)
    options = parser.parse_args()
    sys.exit(not main(options.out, options.seeds))
