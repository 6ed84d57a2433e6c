"""What decides the colour of an untrained output layer: a full factorial experiment over many draws of its weight."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ganchroma import runtime
from ganchroma._arrays import as_array, check_flag, check_integer, compute_dtype
from ganchroma._factor_analysis import Effect, Explained, analyse, text
from ganchroma._factor_levels import INITIALISERS, heads_of, makers_of, norms_of, samples_of
from ganchroma._factor_sample import RESPONSES, Sample
from ganchroma._progress import progress as bar
from ganchroma.activation import ActivationLike, activate
from ganchroma.layer import OutputLayer
from ganchroma.moments import json_number
from ganchroma.spectral import sigma

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["INITIALISERS", "Effect", "Explained", "Factors", "factors"]

Array = NDArray[Any]

MOST_NUMBERS = 2**20  # of the weights and the values before the activation at a time: some 50 MB in all


@dataclass(frozen=True, eq=False, repr=False)
class Factors:
    """What `factors` found; prints as a table.

    Attributes
    ----------
    levels : dict of str to tuple of str
        Each factor's levels, in the order of the axes of `values`.
    values : dict of str to array (seeds, levels of the first factor, of the second, ...)
        Each response: "chroma" (mean C*ab), "achromatic_share", "std_levels" (amplitude in 8-bit levels).
    images, pixels : int
        How many images and output pixels were looked at; with a mapping of features, of the first.
    effects : list of Effect
        factor, level, response, mean, effect, low, high: of factors with two levels or more. The effect is `mean` minus
        the mean of all; low to high is its 95 % interval over seeds, by Student's t from one paired effect a seed.
    explained : dict of factor, then response, to Explained
        share, low, high of the response's variance over all runs (eta squared), the 95 % interval by the jackknife over
        seeds. Beside the factors "interactions", all of them, and "seed", the rest: that depends on the draw. They add
        up to 1.

    Examples
    --------
    >>> import ganchroma as gch
    >>> G = gch.demo.Generator(rng=0)
    >>> features = G.features(G.sample_latent(16, rng=1))
    >>> print(gch.factors(G.head, features, initialisers=("normal(0, .02)", "default"), spectral_norm=(False,)))
    100 seeds x 6 combinations: mean of each level, effect (minus mean of all), 95 % interval
    held: spectral_norm off
                                       chroma C*ab          achromatic share         amplitude, levels
                             mean   effect      +-     mean   effect      +-     mean   effect      +-
    initialiser
      normal(0, .02)         ...
    """

    levels: dict[str, tuple[str, ...]]
    values: dict[str, NDArray[np.float64]]
    images: int
    pixels: int
    effects: list[Effect]
    explained: dict[str, dict[str, Explained]]

    @property
    def seeds(self) -> int:
        """Draws of the weight from each initialiser."""
        return len(self.values["chroma"])

    def table(self) -> str:
        """Effects, then what each factor explains, for people to read: at most 100 columns."""
        return text(self.levels, self.values, self.effects, self.explained)

    def to_dict(self) -> dict[str, Any]:
        """Numbers, lists and dictionaries that `json.dumps` takes, without `values`; NaN becomes None."""

        def row(item: Effect | Explained) -> dict[str, Any]:
            return {
                name: value if isinstance(value, str) else json_number(value) for name, value in asdict(item).items()
            }

        return {
            "seeds": self.seeds,
            "images": self.images,
            "pixels": self.pixels,
            "levels": {factor: list(levels) for factor, levels in self.levels.items()},
            "effects": [row(effect) for effect in self.effects],
            "explained": {
                factor: {response: row(share) for response, share in of.items()}
                for factor, of in self.explained.items()
            },
        }

    def plot(self, figure: "Figure | None" = None) -> "Figure":
        """A panel for each response: the mean at each level with its interval, and what each factor explains.

        Parameters
        ----------
        figure : matplotlib Figure, optional
            To draw into; otherwise a new one, which a notebook shows as a picture.

        Raises
        ------
        ImportError
            If matplotlib is missing.
        """
        from ganchroma._factor_plot import draw

        return draw(self, figure)

    def __str__(self) -> str:
        return self.table()

    def __repr__(self) -> str:
        crossed = " x ".join(f"{len(levels)} {factor}" for factor, levels in self.levels.items())
        return f"Factors({self.seeds} seeds, {crossed}, {self.pixels} pixels of {self.images} images)"


def factors(
    layer: OutputLayer,
    features: Any,
    *,
    seeds: int = 100,
    initialisers: Sequence[str] | Mapping[str, Callable[..., Any]] | None = None,
    activations: Sequence[ActivationLike] = ("tanh", "sigmoid", "clamp"),
    spectral_norm: Sequence[bool] = (False, True),
    rng: int = 0,
    pixels: int = 512,
    progress: bool = True,
    threads: int | None = None,
) -> Factors:
    """How much initialiser, activation, spectral norm and BatchNorm's mode each do to the colour of an untrained layer.

    Every level of every factor is combined with every other, for many draws of the weight. One draw serves all levels
    of the other factors, and initialisers draw from the same seed, so that effects are differences within a seed. The
    layer is not run: the receptive fields of some output pixels are multiplied by all weights at once.

    Parameters
    ----------
    layer : OutputLayer
        With three filters. Its geometry, bias and scales are used; its weight and its activation are not.
    features : array (N, C, h, w) of float16, float32 or float64, or a mapping of names to such arrays
        Input of the layer. The names of a mapping, e.g. ``{"train": ..., "eval": ...}``, are the levels of the factor
        "batchnorm"; their arrays may differ in N, h and w.
    seeds : int
        Draws of the weight, at least 2.
    initialisers : sequence of str, or mapping of str to callable, optional
        Some of `INITIALISERS` (all, by default), or others by any name: ``make(shape, rng=seed)`` returns the weight.
        The shape is that of ``layer.weight``, so that a transposed layer has the fans that PyTorch computes.
    activations : sequence
        As in `activate`; each picture is decoded in its activation's range, see `OutputLayer.value_range`.
    spectral_norm : sequence of bool
        Whether the weight is divided by ``sigma(weight, dim)``, dim 1 for a transposed layer: what the power method of
        PyTorch's spectral norm converges to.
    rng : int
        The first seed: the weights are drawn with ``rng``, ``rng + 1``, ...
    pixels : int
        Output pixels to look at, at least 2: 32 each of the first images, more of each if there are fewer. As many as
        there are: whole images.
    progress : bool
        Whether a bar may appear.
    threads : int, optional
        At most this many threads; the matrix product has those of NumPy's BLAS.

    Returns
    -------
    Factors
        Prints as a table. Responses are what `ChromaStats` says of the layer's pictures: mean C*ab on 8-bit levels,
        achromatic share and standard deviation, in levels, within images and before rounding, as rounding would decide
        both where the amplitude is below a level. The share is NaN where a picture is flat; a seed that has one is left
        out of that response.

    Raises
    ------
    TypeError, ValueError
        If an argument is of another kind, `features` do not fit the layer, are empty or not finite, a level is unknown
        or given twice, or no factor has two levels.

    Notes
    -----
    Intervals are over draws of the weight, for the pixels that were sampled. With 512 of them, of an untrained DCGAN's
    features, a level's mean was within 2.4 % of that of 64 whole images for chroma and amplitude, within .01 for the
    share; of a single draw within 9 % and .06.

    Eta squared: J. Cohen, Educational and Psychological Measurement 33 (1973). The jackknife: B. Efron and C. Stein,
    Annals of Statistics 9 (1981).

    Examples
    --------
    >>> import ganchroma as gch
    >>> G = gch.demo.Generator(rng=0)
    >>> z = G.sample_latent(16, rng=1)
    >>> features = {"train": G.features(z, training=True), "eval": G.features(z, training=False)}
    >>> found = gch.factors(G.head, features, seeds=20)
    >>> found
    Factors(20 seeds, 6 initialiser x 3 activation x 2 spectral_norm x 2 batchnorm, 512 pixels of 16 images)
    >>> explained = {factor: of["std_levels"].share for factor, of in found.explained.items()}
    >>> max(explained, key=explained.get)
    'batchnorm'
    >>> [row.level for row in found.effects if row.response == "std_levels" and row.mean < 5]
    ['eval']
    """
    makers = makers_of(initialisers)
    heads = heads_of(layer, activations)
    norms = norms_of(spectral_norm)
    count, first, wanted = (
        check_integer(seeds, "seeds", 2),
        check_integer(rng, "rng", 0),
        check_integer(pixels, "pixels", 2),
    )
    shows = check_flag(progress, "progress")
    with nullcontext() if threads is None else runtime.threads(runtime.check_threads(threads)):
        samples = samples_of(layer, features, wanted)
        levels = {"initialiser": tuple(makers), "activation": tuple(heads), "spectral_norm": tuple(norms)}
        if isinstance(features, Mapping):
            levels["batchnorm"] = tuple(samples)
        if max(map(len, levels.values())) < 2:
            raise ValueError(
                "initialisers, activations, spectral_norm and features have one level each: nothing varies"
            )
        runs = [(name, first + seed) for seed in range(count) for name in makers]
        measured = np.empty((len(runs), len(heads), len(norms), len(samples), len(RESPONSES)))
        most = layer.weight.size + 3 * max(sample.pixels for sample in samples.values())
        chunk = max(1, MOST_NUMBERS // most)
        for start in bar(range(0, len(runs), chunk), "factors", shown=shows):
            some = runs[start : start + chunk]
            weights = [_drawn(layer, makers[name], name, seed) for name, seed in some]
            divisors = [_divisors(layer, weights, some) if on else np.ones(len(some)) for on in norms.values()]
            measured[start : start + chunk] = _measured(layer, np.stack(weights), divisors, heads, samples)
    shape = (count, *(len(names) for names in levels.values()))
    values = {name: measured[..., place].reshape(shape) for place, name in enumerate(RESPONSES)}
    looked = next(iter(samples.values()))
    return Factors(levels, values, looked.images, looked.pixels, *analyse(levels, values))


def _measured(
    layer: OutputLayer,
    weights: Array,
    divisors: list[NDArray[np.float64]],
    heads: Mapping[str, OutputLayer],
    samples: Mapping[str, Sample],
) -> NDArray[np.float64]:
    """(weights, activations, spectral norms, features, responses)."""
    found = np.empty((len(weights), len(heads), len(divisors), len(samples), len(RESPONSES)))
    filters = weights.swapaxes(1, 2) if layer.transposed else weights
    for feature, sample in enumerate(samples.values()):
        linear = sample.linear(filters)
        for norm, divisor in enumerate(divisors):
            before = linear * (layer.output_scale / divisor).astype(linear.dtype)[:, np.newaxis, np.newaxis, np.newaxis]
            if layer.bias is not None:
                before += layer.bias[:, np.newaxis]
            for place, head in enumerate(heads.values()):
                made = activate(before, head.activation)
                found[:, place, norm, feature] = sample.responses(made, head.value_range)
    return found


def _drawn(layer: OutputLayer, make: Callable[..., Any], name: str, seed: int) -> Array:
    weight = as_array(make(layer.weight.shape, rng=seed), f"the weight from initialiser {name!r}")
    if weight.shape != layer.weight.shape or not np.isfinite(weight).all():
        wrong = f"got shape {weight.shape}" if weight.shape != layer.weight.shape else "it holds NaN or infinite values"
        raise ValueError(f"initialiser {name!r} must return a finite weight of shape {layer.weight.shape}; {wrong}")
    return weight.astype(compute_dtype(layer.weight), copy=False)


def _divisors(layer: OutputLayer, weights: list[Array], runs: list[tuple[str, int]]) -> NDArray[np.float64]:
    found = np.array([sigma(weight, dim=int(layer.transposed)) for weight in weights])
    if not found.all():
        raise ValueError(
            f"initialiser {runs[int(found.argmin())][0]!r} made a weight of zeros: it has no spectral norm"
        )
    return found
