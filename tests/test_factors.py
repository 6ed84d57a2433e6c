"""The factorial experiment: against running the layer, against what must be so, and its statistics."""

import functools
import json
import math

import numpy as np
import pytest
from support import run_python

import ganchroma as gch
from ganchroma import factorial
from ganchroma._factor_analysis import analyse, student
from ganchroma._factor_levels import INITIALISERS

RNG = np.random.default_rng(20)
FEATURES = np.maximum(RNG.standard_normal((4, 8, 6, 7)), 0).astype(np.float32)  # after a ReLU
ALL = 10**6  # pixels: whole images


def conv(channels=8, dtype=np.float32, **options):
    return gch.OutputLayer(np.zeros((3, channels, 3, 3), dtype), **{"padding": 1, **options})


def run(layer=None, features=FEATURES, **options):
    return gch.factors(conv() if layer is None else layer, features, **{"seeds": 4, "progress": False, **options})


def effects(found, factor, response):
    return {row.level: row for row in found.effects if (row.factor, row.response) == (factor, response)}


@functools.cache
def generator():
    G = gch.demo.Generator(rng=0)
    z = G.sample_latent(16, rng=1)
    return G.head, {"train": G.features(z, training=True), "eval": G.features(z, training=False)}


# -- against running the layer ------------------------------------------------------------------------------------

BIAS = np.array([0.3, -0.1, 0.2], np.float32)
LAYERS = {
    "plain": conv(bias=BIAS),
    "double": conv(dtype=np.float64),
    "stride, reflect": gch.OutputLayer(np.zeros((3, 8, 5, 3), np.float32), padding=2, stride=2, padding_mode="reflect"),
    "dilation": conv(dilation=2),
    "scales": conv(bias=BIAS, output_scale=0.5, channel_scale=RNG.random((4, 8), np.float32)),
    "DCGAN": gch.OutputLayer(np.zeros((8, 3, 4, 4), np.float32), transposed=True, stride=2, padding=1),
    "phases without taps": gch.OutputLayer(
        np.zeros((8, 3, 2, 3), np.float32), BIAS, transposed=True, stride=(3, 2), output_padding=1
    ),
}


@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)
def test_whole_images_are_what_running_the_layer_shows(layer):
    x = FEATURES.astype(layer.weight.dtype)
    found = run(layer, x, seeds=2, rng=5, pixels=ALL)
    assert list(found.levels) == ["initialiser", "activation", "spectral_norm"]
    for at in np.ndindex(*found.values["chroma"].shape):
        name, activation, norm = (levels[i] for levels, i in zip(found.levels.values(), at[1:], strict=True))
        weight = INITIALISERS[name](layer.weight.shape, rng=5 + at[0]).astype(layer.weight.dtype)
        if norm == "on":
            weight = weight / layer.weight.dtype.type(gch.spectral.sigma(weight, dim=int(layer.transposed)))
        head = layer.replace(weight=weight, activation=activation)
        summary = gch.ChromaStats(head.value_range).update(head(x)).summary()
        # float32 rounds values of about 1 to 1e-7; the smallest standard deviation here is .01 of that.
        assert found.values["std_levels"][at] == pytest.approx(summary.within.std_levels, rel=2e-5)
        assert found.values["achromatic_share"][at] == pytest.approx(summary.within.achromatic_share, rel=5e-5)
        # A value at a rounding boundary may fall on its other side: one level in one pixel of at least 4 * 12.
        assert found.values["chroma"][at] == pytest.approx(summary.chroma, abs=0.01)


def test_sampled_pixels_stand_for_all():
    head, features = generator()
    options = {"seeds": 6, "activations": ("tanh",), "spectral_norm": (False,)}
    sampled, whole = (run(head, features["train"], pixels=pixels, **options) for pixels in (512, ALL))
    assert (sampled.images, sampled.pixels, whole.pixels) == (16, 512, 16 * 64 * 64)
    for response, limit in (("chroma", 0.05), ("std_levels", 0.05), ("achromatic_share", 0.08)):  # twice the largest
        ratio = sampled.values[response].mean(axis=0) / whole.values[response].mean(axis=0)
        assert abs(ratio - 1).max() < limit


# -- what must be so ----------------------------------------------------------------------------------------------


def test_the_law_of_independent_weights_changes_the_scale_alone():
    spread = 0.05
    laws = {
        "normal": functools.partial(gch.init.normal, std=spread),
        "uniform": functools.partial(gch.init.uniform, a=-spread * math.sqrt(3), b=spread * math.sqrt(3)),
    }
    found = run(seeds=200, initialisers=laws, activations=("tanh",), spectral_norm=(False,))
    for response in found.values:
        # Both laws are one population of pictures, two samples of 200: the standard error of half their difference.
        runs = found.values[response][:, :, 0, 0]
        error = runs.std(axis=0).mean() / math.sqrt(2 * len(runs))
        assert abs(effects(found, "initialiser", response)["normal"].effect) < 4 * error
    assert abs(found.values["achromatic_share"].mean() - 1 / 3) < 4 * found.values["achromatic_share"].std() / 20


def test_a_scale_leaves_the_share_alone():
    options = {"activations": ("linear",), "initialisers": ("normal(0, .02)", "xavier_normal", "kaiming_normal")}
    found = run(**options)
    share, amplitude = found.values["achromatic_share"], found.values["std_levels"]
    assert np.ptp(share, axis=(1, 2, 3)).max() < 1e-4  # rounding of float32
    assert np.ptp(amplitude, axis=(1, 2, 3)).min() > 1
    assert found.explained["seed"]["achromatic_share"].share > 0.999


def test_sigmoid_halves_a_small_contrast():
    found = run(conv(output_scale=0.01), initialisers=("default",))
    means = {level: row.mean for level, row in effects(found, "activation", "std_levels").items()}
    # tanh(x) = x - x^3 / 3, and the standard deviation of x is below .03.
    assert means["sigmoid"] / means["tanh"] == pytest.approx(0.5, rel=1e-3)
    assert means["clamp"] / means["tanh"] == pytest.approx(1, rel=1e-3)


def test_spectral_norm_divides_by_sigma():
    found = run(activations=("linear",), initialisers=("orthogonal", "default"))
    amplitude = found.values["std_levels"][:, :, 0]
    sigmas = [
        [gch.spectral.sigma(INITIALISERS[name]((3, 8, 3, 3), rng=seed)) for name in ("orthogonal", "default")]
        for seed in range(4)
    ]
    assert amplitude[..., 0] / amplitude[..., 1] == pytest.approx(np.array(sigmas), rel=1e-5)  # rounding of float32
    assert np.ptp(found.values["achromatic_share"], axis=3).max() < 1e-5


def test_evaluation_mode_takes_the_amplitude():
    head, features = generator()
    found = run(head, features, seeds=10, activations=("tanh",), initialisers=("normal(0, .02)", "default"))
    assert found.levels["batchnorm"] == ("train", "eval")
    modes = effects(found, "batchnorm", "std_levels")
    assert modes["eval"].mean < 5 < modes["train"].mean / 4  # VISIBLE_LEVELS of stages.py
    assert modes["eval"].high < 0 < modes["train"].low
    explained = {factor: of["std_levels"].share for factor, of in found.explained.items()}
    assert max(explained, key=explained.get) == "batchnorm"
    assert abs(effects(found, "batchnorm", "achromatic_share")["eval"].effect) < 0.03


def test_equal_filters_are_gray_and_flat_pictures_have_no_share():
    def equal(shape, rng):
        return np.repeat(gch.init.normal((1, *shape[1:]), std=0.1, rng=rng), 3, axis=0)

    def flat_at_first(shape, rng):
        return np.zeros(shape, np.float32) if rng == 0 else gch.init.normal(shape, rng=rng)

    found = run(initialisers={"equal": equal, "flat at first": flat_at_first}, spectral_norm=(False,))
    rows = effects(found, "initialiser", "achromatic_share")
    assert rows["equal"].mean == pytest.approx(1, abs=1e-6)
    assert np.isnan(found.values["achromatic_share"][0, 1]).all()
    assert rows["flat at first"].mean == pytest.approx(found.values["achromatic_share"][1:, 1].mean())
    assert "achromatic share: from 3 of the seeds" in str(found)
    nothing = run(initialisers={"zeros": lambda shape, rng: np.zeros(shape)}, spectral_norm=(False,))
    assert nothing.to_dict()["explained"]["activation"]["achromatic_share"]["share"] is None
    assert "nan" in nothing.table()


# -- statistics ---------------------------------------------------------------------------------------------------


def test_student():  # published tables of the two-sided 95 % point
    for freedom, value in ((1, 12.7062), (2, 4.30265), (9, 2.26216), (29, 2.04523), (999, 1.96234), (10**6, 1.95997)):
        assert student(freedom) == pytest.approx(value, rel=1e-4)


def test_intervals_cover():
    rng = np.random.default_rng(0)
    truth = np.array([[0.0, 1.0], [2.0, 2.0], [1.0, 3.0]])  # levels 3 x 2, not additive
    main = truth.mean(axis=1) - truth.mean(), truth.mean(axis=0) - truth.mean()
    variance = [float(np.mean(part**2)) for part in main]
    whole = truth.var() + 2.0  # a part that a seed's runs share, and one of each run, variance 1 each
    covered = np.zeros((2, 2), int)
    repeats = 400
    for _ in range(repeats):
        runs = truth + rng.standard_normal((20, 1, 1)) + rng.standard_normal((20, 3, 2))
        found, explained = analyse({"a": ("1", "2", "3"), "b": ("1", "2")}, {"chroma": runs})
        for place, factor in enumerate("ab"):
            row = next(row for row in found if row.factor == factor)
            covered[0, place] += row.low <= main[place][0] <= row.high
            share = explained[factor]["chroma"]
            covered[1, place] += share.low <= variance[place] / whole <= share.high
    # 380 of 400 expected of the t interval, standard deviation 4.4; the jackknife's is a little off at 20 seeds.
    assert (abs(covered[0] - 380) < 18).all()
    assert (covered[1] > 350).all()


def test_shares_of_the_variance():
    shape = (2, 3, 2)
    a, b = np.array([0.0, 3.0, 6.0]), np.array([-1.0, 1.0])
    runs = np.zeros(shape) + a[:, np.newaxis] + b + np.array([1.0, -1.0])[:, np.newaxis, np.newaxis]
    _, explained = analyse({"a": ("1", "2", "3"), "b": ("1", "2")}, {"chroma": runs})
    shares = {factor: of["chroma"].share for factor, of in explained.items()}
    assert shares == pytest.approx({"a": 6 / 8, "b": 1 / 8, "interactions": 0, "seed": 1 / 8})
    for of in zip(*(of.values() for of in run().explained.values()), strict=True):
        assert sum(part.share for part in of) == pytest.approx(1)
        assert all(0 <= part.low <= part.share <= part.high <= 1 for part in of)


def test_effects_add_up_to_nothing():
    found = run(seeds=3)
    for factor in found.levels:
        for response, values in found.values.items():
            rows = effects(found, factor, response).values()
            assert sum(row.effect for row in rows) == pytest.approx(0, abs=1e-9)
            assert all(row.mean - row.effect == pytest.approx(values.mean()) for row in rows)


# -- the same again -----------------------------------------------------------------------------------------------


@pytest.mark.scenario("threads")
def test_a_seed_decides_and_threads_do_not():
    first, again, threaded, other = run(), run(), run(threads=2), run(rng=1)
    for response, values in first.values.items():
        assert np.array_equal(values, again.values[response])
        assert np.array_equal(values, threaded.values[response])
        # The matrix product may round otherwise where other draws stand beside: 1e-7, in 8 bits now and then a level.
        assert other.values[response][:-1] == pytest.approx(values[1:], rel=1e-3)
        assert not np.allclose(other.values[response], values)


@pytest.mark.parametrize("most", [1, 3000])
def test_chunks_change_nothing(most, monkeypatch):
    whole = run(pixels=64)
    monkeypatch.setattr(factorial, "MOST_NUMBERS", most)
    parts = run(pixels=64)
    for response, values in whole.values.items():
        assert parts.values[response] == pytest.approx(values, rel=1e-3)  # as above


# -- for people ---------------------------------------------------------------------------------------------------


def test_the_table_and_the_dictionary():
    names = {"a name that is far longer than its column": gch.init.orthogonal, "b": gch.init.xavier_normal}
    found = run(initialisers=names, activations=(("clamp", -2, 2),))
    lines = str(found).splitlines()
    assert max(map(len, lines)) <= 100
    assert "held: activation clamp(-2, 2)" in lines
    assert {row.factor for row in found.effects} == {"initialiser", "spectral_norm"}
    assert "4 seeds, 2 initialiser x 1 activation x 2 spectral_norm, 168 pixels of 4 images" in repr(found)
    back = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert back["seeds"] == 4
    assert back["effects"][0]["mean"] == found.effects[0].mean
    assert set(back["explained"]) == {"initialiser", "spectral_norm", "interactions", "seed"}


def test_the_figure_has_a_panel_for_each_response():
    pytest.importorskip("matplotlib")
    found = run()
    figure = found.plot()
    panels = figure.axes
    assert [axes.get_xlabel() for axes in panels] == ["chroma C*ab", "achromatic share", "amplitude, levels"]
    dots = list(panels[0].containers)
    assert len(dots) == sum(map(len, found.levels.values()))
    assert dots[0].lines[0].get_xdata()[0] == found.effects[0].mean
    assert found.plot(figure) is figure


def test_every_name_of_a_level_can_be_drawn():
    pytest.importorskip("matplotlib")
    found = run(features={"train": FEATURES, "$\\frac$": FEATURES}, seeds=2)
    assert found.plot()._repr_png_()


def test_the_name_stays_the_function():
    program = "import ganchroma as g, ganchroma.factorial; g.factors; print(g.factors is ganchroma.factorial.factors)"
    assert run_python(program).stdout.strip() == "True"


# -- bad input ----------------------------------------------------------------------------------------------------

NAN = np.where(np.arange(7) == 3, np.nan, FEATURES).astype(np.float32)
BAD = {
    "layer": (dict(layer="head"), TypeError, "layer must be an OutputLayer, got str"),
    "outputs": (dict(layer=gch.OutputLayer(np.zeros((4, 8, 3, 3)))), ValueError, "3 filters .*, got 4"),
    "channels": (dict(features=FEATURES[:, :5]), ValueError, r"features must be \(N, 8, h, w\).*\(4, 5, 6, 7\)"),
    "empty": (dict(features=FEATURES[:0]), ValueError, r"features must be \(N, 8, h, w\)"),
    "NaN": (dict(features=NAN), ValueError, "features holds NaN"),
    "NaN in one": (dict(features={"a": FEATURES, "b": NAN}), ValueError, r"features\['b'\] holds NaN"),
    "dimensions": (dict(features=FEATURES[0]), ValueError, "features must have 4 dimensions"),
    "no features": (dict(features={}), ValueError, "features is an empty mapping"),
    "name of features": (dict(features={1: FEATURES}), TypeError, "names of features must be strings, got 1"),
    "one pixel": (dict(layer=conv(padding=0), features=FEATURES[..., :3, :3]), ValueError, "features .* single pixel"),
    "seeds": (dict(seeds=1), ValueError, "seeds must be at least 2, got 1"),
    "half a seed": (dict(seeds=2.5), TypeError, "seeds must be an integer, got 2.5"),
    "rng": (dict(rng=-1), ValueError, "rng must be at least 0, got -1"),
    "pixels": (dict(pixels=1), ValueError, "pixels must be at least 2, got 1"),
    "threads": (dict(threads=0), ValueError, "threads must be at least 1, got 0"),
    "progress": (dict(progress="yes"), TypeError, "progress must be True or False"),
    "initialiser": (
        dict(initialisers=("he",)),
        ValueError,
        r'initialisers\[0\] is \'he\'; accepted: "normal\(0, .02\)"',
    ),
    "a word": (dict(initialisers="default"), TypeError, "initialisers must be a sequence of names"),
    "none": (dict(initialisers=()), ValueError, "initialisers is empty"),
    "twice": (dict(initialisers=("default", "default")), ValueError, "initialisers holds 'default' twice"),
    "no callable": (dict(initialisers={"a": 3}), TypeError, "map names to callables, got 'a': 3"),
    "shape": (
        dict(initialisers={"a": lambda shape, rng: np.ones(3)}),
        ValueError,
        r"'a' must return .*got shape \(3,\)",
    ),
    "values": (dict(initialisers={"a": lambda shape, rng: np.full(shape, np.inf)}), ValueError, "'a' must .*infinite"),
    "zeros": (dict(initialisers={"a": lambda shape, rng: np.zeros(shape)}), ValueError, "'a' made a weight of zeros"),
    "activation": (dict(activations=("tanh", "swish")), ValueError, "activation is 'swish'; accepted"),
    "activations": (dict(activations="tanh"), TypeError, "activations must be a sequence"),
    "spectral norm": (dict(spectral_norm=True), TypeError, "spectral_norm must be a sequence of True and False, got"),
    "a number": (dict(spectral_norm=(0, 1)), TypeError, r"spectral_norm\[0\] must be True or False, got 0"),
    "nothing varies": (
        dict(initialisers=("default",), activations=("tanh",), spectral_norm=(False,)),
        ValueError,
        "nothing varies",
    ),
}


@pytest.mark.parametrize(("options", "error", "message"), BAD.values(), ids=BAD)
def test_bad_input_is_named(options, error, message):
    with pytest.raises(error, match=message):
        run(**options)


def test_features_may_differ_in_size():
    found = run(features={"few": FEATURES[:2], "small": FEATURES[:, :, :4, :5]}, activations=("tanh",))
    assert found.levels["batchnorm"] == ("few", "small")
    assert np.isfinite(found.values["chroma"]).all()


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"activations": (1, 2)}, TypeError, r"activations\[0\]"),
        ({"activations": ((),)}, (TypeError, ValueError), r"activations\[0\]"),
        ({"activations": (("leaky_relu", "x"),)}, (TypeError, ValueError), r"activations\[0\]"),
    ],
)
def test_wrong_activations_are_named(options, error, words):
    layer = gch.OutputLayer(gch.init.normal((3, 4, 1, 1), rng=0))
    features = np.random.default_rng(0).normal(size=(2, 4, 8, 8)).astype(np.float32)
    with pytest.raises(error, match=words):
        gch.factors(layer, features, seeds=2, **options)


def test_features_without_variance_are_named():
    layer = gch.OutputLayer(gch.init.normal((3, 4, 1, 1), rng=0))
    features = np.random.default_rng(0).normal(size=(2, 4, 8, 8)).astype(np.float32)
    with pytest.raises(ValueError, match=r"features\['dead'\] is 0 everywhere"):
        gch.factors(layer, {"train": features, "dead": np.zeros_like(features)}, seeds=2)
