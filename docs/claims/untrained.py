"""The claims about generators that have not been trained, each measured on newly drawn ones."""

from functools import cache

import numpy as np
from claim import PARTLY, Claim, verdict

import ganchroma as gch
from ganchroma.color import NATURAL
from ganchroma.layer import OutputLayer
from ganchroma.summary import ChromaSummary
from ganchroma.torch.experiments import Interval

SEEDS = 10
IMAGES = 16
_WIDTH = 4.0  # pixels: of the Gaussian that makes features smooth
_GRAY = 0.95  # achromatic share from which on a picture is called gray here
_TINT = 1.0  # chroma C*ab from which on a picture is none: about what can be told from gray


# -- generators and pictures ----------------------------------------------------------------------------------------


@cache
def dcgan(seed: int, training: bool = True) -> tuple[OutputLayer, np.ndarray]:
    """Head and features of an untrained DCGAN of the PyTorch examples."""
    generator = gch.demo.Generator(rng=seed)
    return generator.head, generator.features(generator.sample_latent(IMAGES, rng=seed), training=training)


@cache
def articles(seed: int) -> tuple[OutputLayer, np.ndarray]:
    """The article's head, Conv2d(128, 3, 3, padding=1) and tanh as PyTorch draws it, on rectified noise."""
    weight, bias = gch.init.conv_default((3, 128, 3, 3), rng=seed)
    noise = gch.init.normal((8, 128, 32, 32), rng=1000 + seed)
    return OutputLayer(weight, bias, padding=1, activation="tanh"), np.maximum(noise, 0)


def seen(images: np.ndarray, value_range: tuple[float, float] = (-1.0, 1.0)) -> ChromaSummary:
    return gch.ChromaStats(value_range).update(images).summary()


def shown(layer: OutputLayer, features: np.ndarray) -> ChromaSummary:
    return seen(layer(features), layer.value_range)


def over(measure, seeds: int = SEEDS) -> Interval:
    """A measure of a seed, over all of them."""
    return Interval.of(float(measure(seed)) for seed in range(seeds))


def changed(layer: OutputLayer, make) -> OutputLayer:
    """Other weights in the same shape."""
    return layer.replace(weight=np.ascontiguousarray(make(layer.weight).astype(layer.weight.dtype)))


def equal_filters(layer: OutputLayer) -> OutputLayer:
    return changed(layer, lambda weight: np.repeat(weight[:, :1], 3, axis=1) if layer.transposed else weight[[0, 0, 0]])


# -- the claims -----------------------------------------------------------------------------------------------------


def h1() -> Claim:
    share = over(lambda seed: shown(*dcgan(seed)).within.achromatic_share)
    faint = over(lambda seed: shown(*dcgan(seed, training=False)).within.std_levels)
    return Claim(
        "H1",
        "untrained 3-channel generators consistently output gray",
        f"achromatic share {share:.2f} (1/3 expected, photographs {NATURAL.achromatic_share:.2f}); in eval mode the "
        f"same picture has {faint:.2f} levels of contrast: it looks gray because nothing can be seen",
        f"share {share.mean - NATURAL.achromatic_share:+.2f} against photographs",
        SEEDS,
        verdict(holds=share.low > _GRAY, fails=share.high < NATURAL.achromatic_share),
    )


def _initializers(layer: OutputLayer, seed: int) -> dict[str, OutputLayer]:
    shape, made = layer.weight.shape, gch.init
    return {
        "N(0, .02)": layer.replace(weight=made.normal(shape, std=0.02, rng=seed)),
        "xavier_uniform": layer.replace(weight=made.xavier_uniform(shape, rng=seed)),
        "kaiming_uniform": layer.replace(weight=made.kaiming_uniform(shape, nonlinearity="relu", rng=seed)),
        "default": layer,
    }


def _by_initializer(measure) -> dict[str, Interval]:
    def of(name):
        def one(seed):
            layer, features = articles(seed)
            return measure(shown(_initializers(layer, seed)[name], features))

        return over(one)

    return {name: of(name) for name in ("N(0, .02)", "xavier_uniform", "kaiming_uniform", "default")}


def h2() -> Claim:
    shares = _by_initializer(lambda summary: summary.within.achromatic_share)
    levels = _by_initializer(lambda summary: summary.within.std_levels)
    spread = max(item.mean for item in shares.values()) - min(item.mean for item in shares.values())
    ratio = max(item.mean for item in levels.values()) / min(item.mean for item in levels.values())
    return Claim(
        "H2",
        "the cause is an imbalance in the output layer's initialisation",
        "; ".join(f"{name}: share {shares[name]:.2f}, {levels[name].mean:.0f} levels" for name in shares),
        f"share differs by {spread:.2f}, contrast by a factor {ratio:.1f}",
        SEEDS,
        PARTLY if spread < 0.1 and ratio > 1.5 else verdict(holds=spread > 0.3, fails=ratio <= 1.5),
    )


def h3() -> Claim:
    def linear(seed):
        layer, features = articles(seed)
        return seen(layer.linear(features), (-10.0, 10.0)).within.correlation

    pairs = np.array([linear(seed) for seed in range(40)])
    mean = Interval.of(pairs.mean(axis=1))
    layer, features = articles(0)
    ratio = gch.FeatureMoments.from_features(features, layer).participation_ratio
    spread = float(pairs.std())
    return Claim(
        "H3",
        "filters of one distribution give correlated channels",
        f"mean correlation {mean:.3f} over 40 seeds; its standard deviation {spread:.3f}, where independent filters "
        f"give 1/sqrt(PR) = {ratio**-0.5:.3f} (PR: participation ratio of the patches, {ratio:.0f})",
        f"correlation {mean.mean:+.3f}",
        40,
        verdict(holds=mean.low > 0.1, fails=abs(mean.mean) < 0.1 and mean.low < 0.05),
    )


def h4() -> Claim:
    def gray(seed, tinted):
        layer, features = articles(seed)
        bias = layer.bias if tinted else np.zeros(3, np.float32)
        return shown(equal_filters(layer).replace(bias=bias), features)

    share = over(lambda seed: gray(seed, False).within.achromatic_share)
    chroma = over(lambda seed: gray(seed, False).chroma)
    tinted = over(lambda seed: gray(seed, True).chroma)
    return Claim(
        "H4",
        "identical filter values give gray",
        f"share {share:.4f}, chroma C*ab {chroma:.2f} with equal biases, {tinted:.2f} with the biases as drawn",
        f"share {share.mean - over(lambda seed: shown(*articles(seed)).within.achromatic_share).mean:+.2f}",
        SEEDS,
        verdict(holds=share.low > 0.999, fails=share.high < _GRAY),
    )


def h5() -> Claim:
    def filled(seed):
        layer, features = articles(seed)
        return layer.replace(weight=np.ones_like(layer.weight))(features)

    white = over(lambda seed: np.mean(filled(seed) > 0.99))
    chroma = over(lambda seed: seen(filled(seed)).chroma)
    copied = over(lambda seed: shown(equal_filters(articles(seed)[0]), articles(seed)[1]).within.achromatic_share)
    return Claim(
        "H5",
        "example 1, every weight 1.0, shows gray",
        f"{100 * white.mean:.1f} % of the values are white (tanh at +1), chroma {chroma:.2f}; one random filter copied "
        f"three times shows gray: share {copied:.3f}",
        f"{100 * white.mean:.0f} % white",
        SEEDS,
        verdict(
            holds=white.high < 0.5 and chroma.high < _TINT,
            fails=chroma.low > _TINT or (white.low > 0.5 and copied.high < _GRAY),
        ),
    )


def h6() -> Claim:
    def against(name):
        def one(seed):
            layer, features = articles(seed)
            other = shown(_initializers(layer, seed)[name], features).within.achromatic_share
            return other - shown(layer, features).within.achromatic_share

        return over(one)

    effects = {name: against(name) for name in ("xavier_uniform", "kaiming_uniform")}
    best = min(effects.values(), key=lambda item: item.mean)  # a lower share is less gray
    return Claim(
        "H6, H7",
        "Xavier and He mitigate it, though their filters can still be similar",
        "; ".join(f"{name}: share {item:+.3f} against PyTorch's default" for name, item in effects.items())
        + " (the default is kaiming_uniform with a = sqrt 5)",
        f"share {best.mean:+.3f} at best",
        SEEDS,
        verdict(holds=best.high < -0.1, fails=best.mean > -0.05),
    )


def _smooth(noise: np.ndarray, width: float) -> np.ndarray:
    """Noise after a Gaussian of that many pixels, around the edges; as strong as before."""
    squares = sum(np.meshgrid(*(np.fft.fftfreq(size) ** 2 for size in noise.shape[-2:]), indexing="ij"))
    smooth = np.fft.ifft2(np.fft.fft2(noise) * np.exp(-2 * (np.pi * width) ** 2 * squares)).real
    return smooth / smooth.std() * noise.std()


def h8() -> Claim:
    def one_direction(seed, kernel, width=0.0):
        rng = np.random.default_rng(seed)
        pattern = _smooth(rng.standard_normal((8, 1, 32, 32)), width)
        features = np.abs(pattern) * np.abs(rng.standard_normal((1, 64, 1, 1)))
        weight = gch.init.normal((3, 64, kernel, kernel), std=(64 * kernel**2) ** -0.5, rng=seed)
        layer = OutputLayer(weight, padding=kernel // 2, activation="linear")
        return seen(layer.linear(features.astype(np.float32)), (-10.0, 10.0)).within

    wide, point = (over(lambda seed, k=kernel: one_direction(seed, k).participation_ratio) for kernel in (3, 1))
    smooth = over(lambda seed: one_direction(seed, 3, _WIDTH).participation_ratio)
    share = over(lambda seed: one_direction(seed, 1).achromatic_share)
    return Claim(
        "H8",
        "a redundant architecture correlates the channels",
        f"features of one direction: the colours vary along {wide:.2f} directions with a 3x3 head (its taps differ) if "
        f"the features are white in space, along {smooth:.2f} if they are smooth (a Gaussian of {_WIDTH:.0f} pixels), "
        f"and along {point:.2f} with a 1x1 head: one tint, gray only by accident (share {share:.2f})",
        f"{wide.mean - point.mean:+.2f} directions with 3x3, {smooth.mean - point.mean:+.2f} smooth",
        SEEDS,
        verdict(holds=wide.high < 1.2, fails=point.low > 1.5),
    )


def h9() -> Claim:
    def pair(seed):
        layer, features = dcgan(seed)
        return [shown(layer.replace(activation=name), features) for name in ("tanh", "sigmoid")]

    contrast = over(lambda seed: pair(seed)[0].within.std_levels / pair(seed)[1].within.std_levels)
    correlation = over(lambda seed: np.abs(pair(seed)[1].within.correlation - pair(seed)[0].within.correlation).max())
    return Claim(
        "H9",
        "sigmoid squeezes the channels together",
        f"tanh shows {contrast:.2f} times the contrast of sigmoid for the same values before it; the correlations move "
        f"by {correlation:.4f} at most",
        f"contrast / {contrast.mean:.1f}, correlation {correlation.mean:.3f}",
        SEEDS,
        verdict(holds=correlation.low > 0.1, fails=contrast.high < 1.2),
    )


def h13() -> Claim:
    def normed(seed):
        layer, features = dcgan(seed)
        sigma = gch.spectral.sigma(layer.weight, dim=1)
        return shown(layer, features), shown(changed(layer, lambda weight: weight / sigma), features), sigma

    share = over(lambda seed: normed(seed)[1].within.achromatic_share - normed(seed)[0].within.achromatic_share)
    chroma = over(lambda seed: normed(seed)[1].chroma / normed(seed)[0].chroma)
    sigma = over(lambda seed: normed(seed)[2])
    return Claim(
        "H13",
        "spectral norm on the output layer helps against gray",
        f"share {share:+.3f}: one number divides all filters, so no correlation moves; since sigma is {sigma:.2f} "
        f"here, under 1, the displayed chroma is {chroma:.2f} times as large",
        f"share {share.mean:+.3f}, chroma x {chroma.mean:.2f}",
        SEEDS,
        verdict(holds=share.high < -0.05, fails=abs(share.mean) < 0.05),
    )


def h14() -> Claim:
    def saturated(seed, gain, normed):
        layer, features = dcgan(seed)
        loud = changed(layer, lambda weight: gain * weight)
        sigma = gch.spectral.sigma(loud.weight, dim=1) if normed else 1.0
        return np.mean(np.abs(changed(loud, lambda weight: weight / sigma)(features)) > 0.99)

    def cold(seed):
        """The legacy hook in eval mode before any training forward divides by what random vectors see of sigma."""
        layer, features = dcgan(seed)
        norm = gch.spectral.SpectralNorm(layer.weight, flavor="legacy", dim=1, rng=seed)
        return np.mean(np.abs(layer.replace(weight=norm.weight(training=False))(features)) > 0.99)

    loud, tamed, first = over(lambda s: saturated(s, 50, False)), over(lambda s: saturated(s, 50, True)), over(cold)
    return Claim(
        "H14",
        "spectral norm avoids saturation",
        f"weights x50: {100 * loud.mean:.0f} % of the values saturated, {100 * tamed.mean:.1f} % with it; but the "
        f"legacy hook in eval mode before any training forward saturates {100 * first.mean:.0f} +- "
        f"{100 * (first.high - first.mean):.0f} %",
        f"{100 * (tamed.mean - loud.mean):+.0f} points; {100 * first.mean:+.0f} points cold",
        SEEDS,
        verdict(holds=tamed.high < 0.05 and first.high < 0.05, fails=tamed.low > 0.5),
    )


def h16() -> Claim:
    def share(seed, channels):
        weight = gch.init.normal((channels, 64, 3, 3), std=24**-1.0, rng=seed)
        features = np.maximum(gch.init.normal((4, 64, 24, 24), rng=seed + 99), 0)
        made = gch.conv2d(features, weight).transpose(1, 0, 2, 3).reshape(channels, -1).astype(np.float64)
        covariance = np.cov(made, bias=True)
        return covariance.sum() / (channels * np.trace(covariance))

    found = {channels: over(lambda seed, c=channels: share(seed, c), 40) for channels in (2, 3, 4, 8)}
    off = max(abs(item.mean * channels - 1) for channels, item in found.items())
    return Claim(
        "H16",
        "it is not inherent to three channels",
        "; ".join(f"{channels} channels: share {item:.3f}" for channels, item in found.items()) + "; expected 1/C",
        f"{100 * off:.0f} % off 1/C at most",
        40,
        verdict(holds=off < 0.1, fails=off > 0.5),
    )


def h17() -> Claim:
    def after(seed, std):
        rng = np.random.default_rng(seed)
        pair = rng.multivariate_normal([0, 0], [[1, 0.5], [0.5, 1]], 200_000)
        return np.corrcoef(np.tanh(std * pair).T)[0, 1]

    soft, hard = (over(lambda seed, s=std: after(seed, s)) for std in (1, 3))
    return Claim(
        "H17",
        "tanh, in place of a linear output, changes the colour",
        f"a correlation of .5 before it is {soft:.3f} after it at a standard deviation of 1, {hard:.3f} at 3",
        f"correlation {hard.mean - 0.5:+.2f} at most",
        SEEDS,
        verdict(holds=hard.high < 0.3, fails=soft.low > 0.499 and hard.low > 0.499),
    )


CLAIMS = {"H1": h1, "H2": h2, "H3": h3, "H4": h4, "H5": h5, "H6": h6, "H8": h8, "H9": h9}
CLAIMS |= {"H13": h13, "H14": h14, "H16": h16, "H17": h17}
