"""The colour that is predicted is the colour that the layer makes."""

import pickle

import numpy as np
import oracle
import pytest

import ganchroma as gch
from ganchroma import _gauss
from ganchroma.prediction import expect

RNG = np.random.default_rng(3)


def weight(*shape):
    return RNG.normal(size=shape) * 0.1


LAYERS = [
    gch.OutputLayer(weight(3, 6, 3, 3), weight(3), padding=1),
    gch.OutputLayer(weight(3, 6, 1, 1), weight(3)),
    gch.OutputLayer(weight(3, 6, 7, 7), padding=3, padding_mode="reflect"),
    gch.OutputLayer(
        weight(3, 6, 5, 4), padding=((1, 2), (0, 3)), padding_mode="circular", dilation=(1, 2), stride=(2, 1)
    ),
    gch.OutputLayer(weight(3, 6, 3, 3), padding=2, padding_mode="replicate", stride=3, output_scale=-0.5),
    gch.OutputLayer(weight(3, 6, 3, 3), weight(3), padding=1, channel_scale=weight(6)),
    gch.OutputLayer(weight(3, 6, 3, 3), padding=1, channel_scale=weight(5, 6)),
    gch.OutputLayer(weight(6, 3, 4, 4), transposed=True, stride=2, padding=1),
    gch.OutputLayer(
        weight(6, 3, 5, 3), weight(3), transposed=True, stride=(2, 3), padding=((1, 2), (0, 1)), output_padding=(1, 0)
    ),
    gch.OutputLayer(weight(6, 3, 2, 2), weight(3), transposed=True, stride=3, dilation=2),  # phases that see nothing
]


def features(count=5, channels=6, height=9, width=11, seed=0):
    return np.maximum(np.random.default_rng(seed).normal(size=(count, channels, height, width)), 0)


def split(images):
    """(total, within, between) covariances of (N, 3, H, W), and the mean, by their definitions."""
    pixels = images.transpose(0, 2, 3, 1).reshape(len(images), -1, 3)
    mean, own = pixels.mean(axis=(0, 1)), pixels.mean(axis=1)
    about = pixels - own[:, None]
    within = np.einsum("npi,npj->ij", about, about) / about[..., 0].size
    between = (own - mean).T @ (own - mean) / len(own)
    return mean, within + between, within, between


@pytest.mark.parametrize("layer", LAYERS, ids=repr)
def test_the_linear_part_is_exact(layer):
    x = features()
    moments = gch.FeatureMoments.from_features(x, layer)
    found = moments.linear(layer.filters, layer.bias, layer.output_scale)
    mean, total, within, between = split(layer.linear(x))
    size = np.abs(total).max()
    np.testing.assert_allclose(found.mean, mean, atol=1e-12)
    for result, expected in ((found.total, total), (found.within, within), (found.between, between)):
        np.testing.assert_allclose(result, expected, atol=1e-12 * size)
    np.testing.assert_allclose(gch.predict(layer, moments)["linear"].moments.covariance, within, atol=1e-12 * size)


def test_patches_are_what_the_oracle_convolves():
    """The whole second moment, every entry: a filter that sees one tap alone makes that tap."""
    x = features(2, 2, 5, 4)
    layer = gch.OutputLayer(np.zeros((3, 2, 3, 2)), padding=((1, 0), (1, 1)))
    moments = gch.FeatureMoments.from_features(x, layer)
    taps = np.eye(12).reshape(12, 2, 3, 2)
    images = oracle.conv2d(x, taps, padding=((1, 0), (1, 1))).transpose(1, 0, 2, 3).reshape(12, -1)
    order = moments.parts[0].weights(taps).argmax(axis=1)  # tap -> place in the moments
    (sums,) = moments.sums
    np.testing.assert_allclose(sums.xx[np.ix_(order, order)], images @ images.T, atol=1e-12)
    np.testing.assert_allclose(sums.x[order], images.sum(axis=1), atol=1e-12)
    energy = np.square(images).sum(axis=0)
    np.testing.assert_allclose([sums.q, sums.qq], [energy.sum(), energy @ energy])
    np.testing.assert_allclose(sums.qx[order], images @ energy)
    centred = np.square(images - images.mean(axis=1, keepdims=True)).sum(axis=0)
    # What a Gaussian with this covariance has of itself is 2 / participation ratio.
    values = np.linalg.eigvalsh(np.cov(images, bias=True))
    gaussian = 2 * np.sum(values**2) / np.sum(values) ** 2
    scale = (1 + centred.var() / centred.mean() ** 2) / (1 + gaussian) - 1
    assert moments.tail == pytest.approx(max(scale, 0))


@pytest.mark.parametrize("layer", [LAYERS[0], LAYERS[7]], ids=repr)
def test_batches_merge(layer, monkeypatch):
    x = features(40, seed=4)
    whole = gch.FeatureMoments.from_features(x, layer)
    parts = [gch.FeatureMoments.from_features(x[start : start + 7], layer) for start in range(0, 40, 7)]
    merged = sum(parts[1:], parts[0])
    from ganchroma import feature_moments

    monkeypatch.setattr(feature_moments, "MOST_NUMBERS", 3 * x[0].size)
    chunked = gch.FeatureMoments.from_features(x, layer)
    exact = whole.linear(layer.filters)
    for other in (merged, chunked):
        assert (other.images, other.pixels) == (40, whole.pixels)
        for name in ("mean", "total", "within", "between"):
            np.testing.assert_allclose(getattr(other.linear(layer.filters), name), getattr(exact, name), atol=1e-12)
        np.testing.assert_allclose(other.fixed(layer.filters), whole.fixed(layer.filters), atol=1e-12)
        assert other.participation_ratio == pytest.approx(whole.participation_ratio)
        assert other.tail == pytest.approx(whole.tail)
        assert len(other.factor) <= other.factor.shape[1]
    with pytest.raises(ValueError, match="moments of different layers"):
        whole + gch.FeatureMoments.from_features(x, gch.OutputLayer(np.zeros((3, 6, 1, 1))))


@pytest.mark.parametrize("layer", LAYERS[:6] + LAYERS[7:], ids=repr)
def test_the_fixed_pattern_is_that_of_the_images(layer):
    x = features(7) + 2 * features(1, seed=8)
    moments = gch.FeatureMoments.from_features(x, layer)
    stats = gch.ChromaStats(value_range=(-1, 1))
    stats.update(layer.linear(x))
    expected = stats.summary().fixed.covariance
    found = moments.fixed(layer.filters, layer.output_scale)
    np.testing.assert_allclose(found, expected, atol=1e-6 * np.abs(expected).max())  # ChromaStats keeps it in float32
    assert gch.FeatureMoments.from_features(x[:1], layer).fixed(layer.filters) is None
    larger = np.pad(x, ((0, 0), (0, 0), (0, 3), (0, 0)))
    assert (moments + gch.FeatureMoments.from_features(larger, layer)).fixed(layer.filters) is None


# -- after the activation -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "clamp", "relu", ("leaky_relu", 0.2), "linear"])
def test_a_gaussian_through_an_activation(activation):
    """Against a million samples: their own chance is some 3e-3 of the covariance."""
    root = np.array([[0.9, 0.3, 0.0], [0.2, 0.7, -0.3], [0.1, 0.2, 0.8]])
    mean, covariance = np.array([0.3, -0.2, 0.1]), root @ root.T
    values = gch.activate(np.random.default_rng(0).standard_normal((1_000_000, 3)) @ root.T + mean, activation)
    made_mean, made = _gauss.after(mean, covariance, activation)
    np.testing.assert_allclose(made_mean, values.mean(axis=0), atol=4e-3)
    np.testing.assert_allclose(made, np.cov(values.T), atol=6e-3)
    back_mean, back = _gauss.before(made_mean, made, activation)
    np.testing.assert_allclose(back_mean, mean, atol=1e-6)
    np.testing.assert_allclose(back, covariance, atol=1e-6)
    np.testing.assert_allclose(_gauss.covariance_before(mean, made, activation), covariance, atol=1e-6)


@pytest.mark.parametrize("activation", ["tanh", "sigmoid"])
def test_a_wide_gaussian_through_a_smooth_activation(activation):
    """Of values that have a part in common, E f(u) f(v) is that of E[f(u) | common]^2, here on a fine grid; where f is
    a step in the end, the correlation is the arcsine's.
    """
    x = np.linspace(-8, 8, 1001)
    weights = np.exp(-(x**2) / 2) / np.exp(-(x**2) / 2).sum()
    for std in (1e-3, 1.0, 5.0, 20.0):
        values = gch.activate(0.7 + std * (0.9**0.5 * x[:, np.newaxis] + 0.1**0.5 * x), activation) @ weights
        expected = weights @ (values - weights @ values) ** 2
        for shared in (
            _gauss.after(np.full(3, 0.7), std**2 * (0.9 + 0.1 * np.eye(3)), activation)[1][0, 1],
            _gauss.shared_after(
                [(1.0, np.full(3, 0.7), np.full(3, std**2))], np.full((3, 3), 0.9 * std**2), activation
            ),
        ):
            np.testing.assert_allclose(shared, expected, rtol=1e-3)
    for rho in (0.5, 1.0):
        made = _gauss.after(np.zeros(3), 1e6 * ((1 - rho) * np.eye(3) + rho), activation)[1]
        assert made[0, 1] / made[0, 0] == pytest.approx(2 / np.pi * np.arcsin(rho), abs=1e-3)


@pytest.mark.parametrize("gain", [1.0, 4.0])
@pytest.mark.parametrize("activation", ["tanh", "sigmoid"])
def test_after_the_activation(gain, activation):
    """Of 64 images on 256 others: the bounds that the documentation states."""
    G = gch.demo.Generator(rng=0)
    layer = G.head.replace(output_scale=gain, activation=activation, bias=np.array([0.1, 0, -0.2], np.float32))
    x = G.features(G.sample_latent(64, rng=1))
    true = layer.moments(G.features(G.sample_latent(256, rng=2)))
    moments = gch.FeatureMoments.from_features(x, layer)
    for given, bound in ((x, 0.035), (None, 0.08)):
        trace = gch.predict(layer, moments, given)
        made = trace["activation"].moments
        off = np.linalg.norm(made.covariance - true.covariance) / np.linalg.norm(true.covariance)
        assert off < bound
        assert abs(made.achromatic_share - true.achromatic_share) < 0.015
        np.testing.assert_allclose(made.mean, true.mean, atol=0.01)
        assert trace.display.summary.within.std_levels == pytest.approx(true.std_levels, rel=0.05)
        assert [stage.name for stage in trace] == ["features", "linear", "activation", "display", "reference"]
        assert trace["activation"].details["method"]


@pytest.mark.parametrize("channels", [3, 8])
def test_gaussian_features_of_few_directions_have_no_tails(channels):
    """Their energy varies by 2 / participation ratio; 64 images of 24x24 know the rest to about 1 %."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, channels, 24, 24))
    layer = gch.OutputLayer(rng.normal(size=(3, channels, 1, 1)) / channels**0.5)
    trace = gch.predict(layer, gch.FeatureMoments.from_features(x, layer))
    assert trace["activation"].details["excess_kurtosis"] < 0.1
    made = layer.moments(x)
    off = np.linalg.norm(trace["activation"].moments.covariance - made.covariance)
    assert off < 0.02 * np.linalg.norm(made.covariance)


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "clamp"])
@pytest.mark.parametrize("dilation", [1, 2])
def test_phases_that_see_unequal_parts_of_the_kernel(dilation, activation):
    """Of Gaussian features 1 to 4 of 9 taps, or with dilation 9 and none: each phase is Gaussian, tails it has from
    the border alone (1 %). With dilation a fourth of the samples carries all variance: 4,000 are 1.4 % off by chance.
    """
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 16, 16, 16))
    layer = gch.OutputLayer(
        0.1 * dilation * rng.normal(size=(16, 3, 3, 3)),
        np.array([0.2, -0.1, 0.0]),
        transposed=True,
        stride=2,
        padding=1,
        output_padding=1,
        dilation=dilation,
        activation=activation,
    )
    moments, made = gch.FeatureMoments.from_features(x, layer), layer.moments(x)
    assert max(moments.tails) < 0.1
    for given, bound in ((None, 0.015), (x, 0.03)):
        trace = gch.predict(layer, moments, given)
        off = np.linalg.norm(trace["activation"].moments.covariance - made.covariance)
        assert off < bound * np.linalg.norm(made.covariance)
        assert trace.display.summary.within.std_levels == pytest.approx(made.std_levels, rel=bound)
        assert trace["activation"].details["excess_kurtosis"] < 0.3


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "relu", "clamp"])
def test_images_that_differ_in_their_means(activation):
    """Most of the variance lies between the images; 2,000 of them, as 64 would be an error of their own."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(2000, 8, 1, 1)) + 0.4 * rng.normal(size=(2000, 8, 6, 6))
    layer = gch.OutputLayer(rng.normal(size=(3, 8, 1, 1)) * 0.3, np.array([0.3, -0.2, 0.0]), activation=activation)
    moments = gch.FeatureMoments.from_features(x, layer)
    linear = moments.linear(layer.filters)
    assert np.trace(linear.between) > 4 * np.trace(linear.within)
    trace, made = gch.predict(layer, moments), layer.moments(x)
    off = np.linalg.norm(trace["activation"].moments.covariance - made.covariance)
    assert off < 0.02 * np.linalg.norm(made.covariance)
    np.testing.assert_allclose(trace["activation"].moments.mean, made.mean, atol=0.02)
    assert "differ" in trace["activation"].details["remark"]
    one = x[:, :, :1, :1]  # one pixel an image: nothing varies inside
    trace = gch.predict(layer, gch.FeatureMoments.from_features(one, layer))
    # 0 but for two quadratures, one on a grid.
    assert np.abs(trace["activation"].moments.covariance).max() < 4e-3


def test_half_precision_scales_as_the_layer_computes():
    rng = np.random.default_rng(2)
    x = (300 * rng.normal(size=(4, 8, 9, 9))).astype(np.float16)
    layer = gch.OutputLayer(
        (1e-4 * rng.normal(size=(3, 8, 3, 3))).astype(np.float16), channel_scale=np.full(8, 300, np.float16)
    )
    moments = gch.FeatureMoments.from_features(x, layer)
    expected = layer.moments(x, linear=True)
    np.testing.assert_allclose(
        gch.predict(layer, moments)["linear"].moments.covariance, expected.covariance, rtol=1e-3, atol=1e-4
    )
    assert gch.predict(layer, moments, x)["activation"].moments.std.all()


@pytest.mark.parametrize("output_scale", [5e-7, 5000.0])
def test_half_precision_multiplies_weight_and_scale_as_the_layer_computes(output_scale):
    """Neither product is a number of float16: one is below the smallest, one beyond the largest."""
    rng = np.random.default_rng(2)
    x = (2e3 * rng.normal(size=(4, 8, 9, 9))).astype(np.float16)
    weight = (0.02 if output_scale < 1 else 20.0) * rng.normal(size=(3, 8, 3, 3))
    layer = gch.OutputLayer(weight.astype(np.float16), activation="relu", output_scale=output_scale)
    found = gch.predict(layer, gch.FeatureMoments.from_features(x, layer))["activation"].moments
    np.testing.assert_allclose(found.std, layer.moments(x).std, rtol=0.1)  # 4 images of the law


@pytest.mark.parametrize("rows", [(), (5,)], ids=["for all images", "for each image"])
def test_moments_are_those_of_one_channel_scale(rows):
    x, scale = features(), np.random.default_rng(1).uniform(0.1, 10, (*rows, 6))
    plain, scaled = LAYERS[0], LAYERS[0].replace(channel_scale=scale)
    of_plain, of_scaled = (gch.FeatureMoments.from_features(x, layer) for layer in (plain, scaled))
    for layer, moments in (
        (scaled, of_plain),
        (plain, of_scaled),
        (scaled.replace(channel_scale=2 * scale), of_scaled),
    ):
        for given in (None, x):
            with pytest.raises(ValueError, match="measured with another channel_scale"):
                gch.predict(layer, moments, given)
    with pytest.raises(ValueError, match="measured with different channel_scale"):
        of_plain + of_scaled
    single = gch.OutputLayer(*(np.float32(part) for part in (plain.weight, plain.bias)), padding=1)
    gch.predict(single.replace(channel_scale=np.float32(scale)), of_scaled)  # the same numbers, rounded


def test_scales_of_single_images_are_added_with_their_images(monkeypatch):
    from ganchroma import feature_moments

    x, layer = features(), LAYERS[6]
    whole = gch.FeatureMoments.from_features(x, layer)
    parts = [layer.replace(channel_scale=layer.channel_scale[rows]) for rows in (slice(2), slice(2, 5))]
    added = gch.FeatureMoments.from_features(x[:2], parts[0]) + gch.FeatureMoments.from_features(x[2:], parts[1])
    monkeypatch.setattr(feature_moments, "MOST_NUMBERS", 2 * x[0].size)
    for moments in (added, gch.FeatureMoments.from_features(x, layer)):
        found, expected = (gch.predict(layer, each)["linear"].moments for each in (moments, whole))
        np.testing.assert_allclose(found.covariance, expected.covariance, atol=1e-12)


def test_moments_that_were_pickled_before_they_knew_their_scale_are_read():
    moments = gch.FeatureMoments.from_features(features(), LAYERS[0])
    state = {name: value for name, value in vars(moments).items() if name != "channel_scale"}
    older = object.__new__(gch.FeatureMoments)
    older.__dict__.update(state)
    read = pickle.loads(pickle.dumps(older)) + moments
    assert read.images == 10
    gch.predict(LAYERS[0], read)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: gch.predict_many(np.zeros((1, 3, 2, 3, 3)), None), TypeError, "feature_moments must be a Feature"),
        (lambda: gch.prediction.expect((3, 8, 3, 3), participation_ratio=3, stride=0), ValueError, "stride"),
        (lambda: gch.prediction.expect("abcd", participation_ratio=3), TypeError, "shape must be an int or a sequence"),
        (lambda: gch.prediction.expect(None, participation_ratio=3), TypeError, "shape must be an int or a sequence"),
        (lambda: gch.prediction.expect((3.7, 8, 3, 3), participation_ratio=3), TypeError, "shape must be an int"),
        (
            lambda: gch.prediction.expect((3, 8, 3), participation_ratio=3),
            ValueError,
            r"shape must be \(O, C, kh, kw\)",
        ),
        (lambda: gch.prediction.expect((3, 8, 3, 3), participation_ratio=3, transposed="no"), TypeError, "transposed"),
    ],
)
def test_what_predictions_refuse(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_stride_of_two_numbers():
    one, other = (
        gch.prediction.expect((8, 3, 4, 4), participation_ratio=9, transposed=True, stride=s) for s in (2, (1, 4))
    )
    assert [row.std for row in one] == [row.std for row in other]


def test_heavy_tails_are_remarked():
    x = features(8) * np.random.default_rng(1).gamma(0.3, size=(8, 1, 9, 11))
    moments = gch.FeatureMoments.from_features(x, LAYERS[1])
    assert "heavy" in gch.predict(LAYERS[1], moments)["activation"].details["remark"]
    assert "remark" not in gch.predict(LAYERS[1], moments, x)["activation"].details


def test_collapsed_features_are_predicted_too():
    x = np.repeat(features(4, 1), 6, axis=1)
    trace = gch.predict(LAYERS[1], gch.FeatureMoments.from_features(x, LAYERS[1]), x)
    assert trace["linear"].moments.effective_rank == pytest.approx(1, abs=1e-3)
    assert np.isfinite(trace["activation"].moments.covariance).all()
    still = gch.FeatureMoments.from_features(np.ones((2, 6, 9, 11)), LAYERS[1])
    assert gch.predict(LAYERS[1], still)["linear"].moments.variance == pytest.approx(0, abs=1e-12)


def test_pixels_that_see_nothing_are_the_bias():
    layer = gch.OutputLayer(
        np.ones((4, 3, 1, 3)),
        np.array([0.1, 0.2, 0.3]),
        transposed=True,
        stride=(2, 1),
        padding=((1, 2), (1, 0)),
        output_padding=(1, 0),
    )
    x = np.ones((5, 4, 2, 6))
    moments = gch.FeatureMoments.from_features(x, layer)
    assert np.isnan(moments.energy)
    for given in (None, x):
        made = gch.predict(layer, moments, given)["activation"].moments
        np.testing.assert_allclose(made.mean, layer.moments(x).mean, atol=1e-12)
        np.testing.assert_allclose(made.covariance, 0, atol=1e-12)


# -- many filters, no features --------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", [0, 7])
def test_many_filter_sets_at_once(place):
    layer, x = LAYERS[place], features()
    moments = gch.FeatureMoments.from_features(x, layer)
    weights = np.random.default_rng(5).normal(size=(300, *layer.weight.shape)).astype(np.float32)
    many = gch.predict_many(weights, moments, transposed=layer.transposed)
    for index in (0, 299):
        mean, _, within, _ = split(layer.replace(weight=weights[index].astype(np.float64), bias=None).linear(x))
        np.testing.assert_allclose(many.mean[index], mean, atol=1e-10)
        np.testing.assert_allclose(many.within[index], within, rtol=1e-9, atol=1e-10)
    assert many.achromatic_share.shape == (300,)
    assert many.achromatic_share.mean() == pytest.approx(1 / 3, abs=0.02)


@pytest.mark.parametrize(
    ("ratio", "low", "high"),
    [(576, 0.31, 0.36), (29, 0.22, 0.45), (2, 0.025, 0.776)],  # of 2: Beta(1, 2), whose points are 1 - sqrt(1 - p)
)
def test_the_share_that_theory_expects(ratio, low, high):
    rows = expect((3, 64, 3, 3), participation_ratio=ratio)
    assert rows[0].interval == pytest.approx((low, high), abs=0.006)
    assert {row.share for row in rows} == {1 / 3}


def test_theory_agrees_with_draws():
    G = gch.demo.Generator(rng=0)
    moments = gch.FeatureMoments.from_features(G.features(G.sample_latent(32, rng=1)), G.head)
    rows = expect(
        G.head.weight.shape,
        participation_ratio=moments.participation_ratio,
        energy=moments.energy,
        transposed=True,
        stride=2,
    )
    weights = np.stack([gch.init.normal(G.head.weight.shape, std=0.02, rng=seed) for seed in range(400)])
    many = gch.predict_many(weights, moments, transposed=True)
    drawn = np.quantile(many.achromatic_share, [0.05, 0.95])
    np.testing.assert_allclose(rows[0].interval, drawn, atol=0.05)
    raw = np.sqrt(np.trace(many.total, axis1=1, axis2=2) / 3 + (many.mean**2).mean(axis=1))
    assert rows[0].std == pytest.approx(np.sqrt((raw**2).mean()), rel=0.05)
    names = [line.split()[0] for line in str(rows).splitlines()]
    assert names == ["initialiser", "normal(0,", "default", "xavier", "kaiming,"]


@pytest.mark.parametrize("name", ["weight", "bias"])
def test_a_layer_that_holds_no_numbers_is_refused(name):
    layer = gch.OutputLayer(np.ones((3, 4, 3, 3)), np.ones(3))
    moments = gch.FeatureMoments.from_features(np.random.default_rng(0).normal(size=(2, 4, 8, 8)), layer)
    with pytest.raises(ValueError, match=f"layer must be finite; its {name} holds NaN or infinite values"):
        gch.predict(layer.replace(**{name: getattr(layer, name) * np.nan}), moments)
    with pytest.raises(ValueError, match="layer gives values whose squares overflow float64"):
        gch.predict(layer.replace(weight=layer.weight * 1e200), moments)
    for scale, words in ((np.nan, "must be finite"), (1e200, "give values whose squares overflow float64")):
        with pytest.raises(ValueError, match=f"weights {words}"):
            gch.predict_many(np.stack([layer.weight, layer.weight * scale]), moments)


def test_features_too_small_for_the_whole_layer_are_not_added_to_others():
    layer = gch.OutputLayer(np.ones((5, 3, 2, 2)), transposed=True, stride=4)
    small, large = (gch.FeatureMoments.from_features(np.ones((2, 5, *size)), layer) for size in ((1, 1), (8, 8)))
    with pytest.raises(ValueError, match="do not meet the whole layer"):
        small + large


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda m: gch.predict("layer", m), TypeError, "layer must be an OutputLayer"),
        (lambda m: gch.predict(LAYERS[0], "m"), TypeError, "feature_moments must be a FeatureMoments"),
        (lambda m: gch.predict(LAYERS[1], m), ValueError, "feature_moments are of another layer"),
        (lambda m: gch.predict(LAYERS[0], m, features(2, 5)), ValueError, r"features must be \(N, 6, h, w\)"),
        (lambda m: gch.predict_many(np.zeros((2, 3, 6, 3)), m), ValueError, "weights must have 5 dimensions"),
        (lambda m: gch.predict_many(np.zeros((2, 3, 6, 5, 5)), m), ValueError, r"weights must be \(B, 3, C, kh, kw\)"),
        (lambda m: gch.FeatureMoments.from_features(features(0), LAYERS[0]), ValueError, "x must be"),
        (lambda m: gch.FeatureMoments.from_features(features() * np.inf, LAYERS[0]), ValueError, "NaN or infinite"),
        (lambda m: gch.FeatureMoments.from_features(features(4), LAYERS[6]), ValueError, "channel_scale has 5 rows"),
        (lambda m: gch.FeatureMoments.from_features(features(), 3), TypeError, "layer must be an OutputLayer"),
        (lambda m: gch.FeatureMoments.from_features(features() * 1e90, LAYERS[0]), ValueError, "x reaches .*: scale x"),
        (lambda m: gch.FeatureMoments.from_features(features() * 1e-90, LAYERS[0]), ValueError, "beyond float64"),
        (lambda m: m.linear(np.zeros((3, 6, 5, 5))), ValueError, r"filters must be \(..., 3, 6, 3, 3\), got"),
        (lambda m: m.linear(np.zeros((4, 6, 3, 3))), ValueError, "filters must be"),
        (lambda m: m.linear("a"), TypeError, "filters must be an array"),
        (lambda m: m.linear(LAYERS[0].filters, np.zeros(2)), ValueError, r"bias must have shape \(3,\)"),
        (lambda m: m.linear(LAYERS[0].filters, output_scale=np.nan), ValueError, "output_scale must be finite"),
        (lambda m: m.fixed(np.zeros((3, 5, 3, 3))), ValueError, "filters must be"),
        (lambda m: m.phase_colors(np.zeros((2, 3, 6, 3, 3))), ValueError, "filters must be one set"),
        (lambda m: expect((3, 4), participation_ratio=2), ValueError, "shape must be"),
        (
            lambda m: expect((3, 4, 1, 1), participation_ratio=0.5),
            ValueError,
            "participation_ratio must not be below 1",
        ),
        (lambda m: m + 1, TypeError, "unsupported operand"),
    ],
)
def test_wrong_input(call, error, words):
    moments = gch.FeatureMoments.from_features(features(), LAYERS[0])
    with np.errstate(invalid="ignore"), pytest.raises(error, match=words):
        call(moments)
