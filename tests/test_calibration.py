"""The calibrated initialiser makes the colours asked for, changes filters least, and says what it can't do."""

import warnings

import numpy as np
import pytest

import ganchroma as gch
from ganchroma.calibration import CalibrationError

G = gch.demo.Generator(rng=0)
FEATURES = G.features(G.sample_latent(64, rng=1))
NATURAL = gch.color.NATURAL


def misses(layer, features, target=NATURAL):
    """Relative error of the covariance and largest error of the mean in half ranges."""
    made, wanted = layer.moments(features).to((-1, 1)), target.to((-1, 1))
    off = np.linalg.norm(made.covariance - wanted.covariance) / np.linalg.norm(wanted.covariance)
    return off, np.abs(made.mean - wanted.mean).max()


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "clamp", "linear"])
def test_natural_colours(activation):
    layer = gch.calibrate(G.head.replace(activation=activation), FEATURES)
    covariance, mean = misses(layer, FEATURES)
    assert covariance < 2e-3
    assert mean < 2e-3
    # Other images: the bounds that the documentation states.
    covariance, mean = misses(layer, G.features(G.sample_latent(256, rng=2)))
    assert covariance < 0.015
    assert mean < 0.005
    made = layer.moments(FEATURES)
    np.testing.assert_allclose(made.correlation, NATURAL.correlation, atol=0.003)
    assert made.achromatic_share == pytest.approx(0.914, abs=0.002)


def test_natural_colour_needs_similar_filters():
    filters = gch.calibrate(G.head, FEATURES).filters.reshape(3, -1).astype(np.float64)
    unit = filters / np.linalg.norm(filters, axis=1, keepdims=True)
    cosines = (unit @ unit.T)[np.triu_indices(3, 1)]
    assert 0.75 < cosines.min() < cosines.max() < 0.98


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_a_target_of_ones_own(dtype):
    target = gch.ColorMoments(0, [0.4, 0.5, 0.6], np.diag([0.01, 0.02, 0.03]), (0, 1))
    weight = np.random.default_rng(0).normal(size=(3, 8, 3, 3)).astype(dtype)
    x = np.maximum(np.random.default_rng(1).normal(size=(16, 8, 24, 24)), 0).astype(dtype)
    given = gch.OutputLayer(weight, np.array([1, 2, 3], dtype), padding=1)
    layer = gch.calibrate(given, x, target=target)
    assert layer.weight.dtype == dtype
    assert misses(layer, x, target)[0] < (0.01 if dtype == np.float16 else 2e-3)
    assert given.bias.tolist() == [1, 2, 3]  # the layer that was given stays


def test_what_is_right_already_stays():
    """The smallest change of what needs none is none: calibrated twice, the filters move by their rounding."""
    once = gch.calibrate(G.head, FEATURES)
    twice = gch.calibrate(once, FEATURES)
    assert np.linalg.norm(twice.weight - once.weight) < 2e-3 * np.linalg.norm(once.weight)


def test_of_all_mixings_that_reach_the_target_it_moves_values_least():
    linear = G.head.replace(activation="linear")
    layer = gch.calibrate(linear, FEATURES)
    before, after = linear(FEATURES), layer(FEATURES)

    def moved(images):
        about = [part - part.mean(axis=(2, 3), keepdims=True) for part in (images, before)]
        return float(np.square(about[0] - about[1]).mean())

    rng = np.random.default_rng(0)
    root = np.linalg.cholesky(layer.moments(FEATURES).covariance)
    for _ in range(20):  # the same covariance by another mixing: turned in the space where it is white
        turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
        mixing = root @ turn @ np.linalg.inv(root)
        assert moved(np.einsum("ij,njhw->nihw", mixing, after)) > moved(after)


def test_without_a_bias():
    with pytest.warns(UserWarning, match="without a bias of its own the layer makes the mean"):
        layer = gch.calibrate(G.head, FEATURES, bias=False)
    assert layer.bias is None
    np.testing.assert_allclose(layer.moments(FEATURES).correlation, NATURAL.correlation, atol=0.003)
    own = np.array([0.1, 0.2, 0.3], np.float32)
    with pytest.warns(UserWarning, match="without a bias"):
        layer = gch.calibrate(G.head.replace(bias=own), FEATURES, bias=False)
    assert (layer.bias == own).all()


def test_loud_targets_are_warned_of():
    target = gch.ColorMoments(0, [0, 0, 0], 0.78 * np.eye(3), (-1, 1))
    with pytest.warns(UserWarning, match="gradients are small"):
        assert misses(gch.calibrate(G.head, FEATURES, target=target), FEATURES, target)[0] < 0.01


def colors(mean, std, correlation=0.0):
    spread = np.full((3, 3), correlation)
    np.fill_diagonal(spread, 1)
    return gch.ColorMoments(0, mean, spread * np.square(std), (-1, 1))


@pytest.mark.parametrize(
    ("activation", "target"),
    [
        ("tanh", colors([0, 0, 0], 0.975)),  # beyond what the mean leaves
        ("tanh", colors([0.9, 0, 0], 0.55)),
        ("tanh", colors([1.5, 0, 0], 0.1)),  # beyond the range
        ("tanh", colors([0.99] * 3, 0.05)),
        ("tanh", colors([0.7] * 3, 0.6, -0.3)),  # each channel alone could, these correlations can't
        ("clamp", colors([0.9, -0.9, 0], 0.3, -0.44)),
        ("relu", colors([0.1] * 3, 0.12, -0.48)),
        ("relu", NATURAL),  # of a negative mean in the range that relu has
        ("sigmoid", colors([0, 0, 0], 0.0)),  # a constant
    ],
)
def test_what_can_not_be_reached(activation, target):
    """An error and not another layer; and what it names as nearest can be made."""
    layer = G.head.replace(activation=activation)
    with pytest.raises(CalibrationError, match="does not reach from these features; the nearest found has") as caught:
        gch.calibrate(layer, FEATURES, target=target)
    assert isinstance(caught.value, ValueError)
    nearest = caught.value.nearest
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        made = gch.calibrate(layer, FEATURES, target=nearest)
    assert not np.array_equal(made.weight, layer.weight)
    covariance, mean = misses(made, FEATURES, nearest)
    assert covariance < 0.02
    assert mean < 0.01


def test_colours_that_stay_some_percent_off_are_warned_of():
    layer, target = G.head.replace(activation="relu"), colors([0.1] * 3, 0.12, -0.4)
    with pytest.warns(UserWarning, match=r"the colours came within \d\.\d % of the target"):
        layer = gch.calibrate(layer, FEATURES, target=target)
    assert 0.01 < misses(layer, FEATURES, target)[0] < 0.05


def test_features_of_one_direction():
    collapsed = FEATURES[:, :1] * np.ones((1, 64, 1, 1), np.float32)
    head = gch.OutputLayer(gch.init.conv_default((3, 64, 1, 1), rng=0)[0])
    with pytest.raises(
        CalibrationError, match=r"along 1 direction\(s\) only, and target has 3; the features"
    ) as caught:
        gch.calibrate(head, collapsed)
    nearest = caught.value.nearest
    assert np.linalg.matrix_rank(nearest.covariance, tol=1e-9) == 1
    assert misses(gch.calibrate(head, collapsed, target=nearest), collapsed, nearest)[0] < 0.02
    with pytest.raises(CalibrationError, match=r"along 0 direction"):
        gch.calibrate(head, np.ones_like(collapsed))


@pytest.mark.parametrize("std", [3e-3, 1e-3, 1e-4])
def test_a_channel_that_hardly_varies(std):
    """E f^2 - (E f)^2 is the rounding of its terms there: Newton must not wait for more."""
    target = gch.ColorMoments(0, [0, 0, -0.9], np.diag([0.3, 0.3, max(std, 2e-3)]) ** 2, (-1, 1))
    layer = gch.calibrate(G.head, FEATURES, target=target)
    covariance, mean = misses(layer, FEATURES, target)
    assert covariance < 2e-3
    assert mean < 2e-3


def test_equal_filters_are_not_blamed_on_the_features():
    for weight in (np.ones_like(G.head.weight), np.repeat(G.head.weight[:, :1], 3, axis=1), 0 * G.head.weight):
        with pytest.raises(CalibrationError, match="the filters are alike: draw independent ones first"):
            gch.calibrate(G.head.replace(weight=weight), FEATURES)


def test_a_head_without_bias_that_can_not_is_refused():
    """Features with a mean and filters with one: no mixing gives natural contrast about gray."""
    rng = np.random.default_rng(0)
    x = (3 + rng.normal(size=(16, 16, 12, 12))).astype(np.float32)
    weight = (0.05 + 0.05 * rng.normal(size=(3, 16, 3, 3))).astype(np.float32)
    with pytest.raises(CalibrationError, match="does not reach from these features"):
        gch.calibrate(gch.OutputLayer(weight, padding=1), x, bias=False)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: gch.calibrate("layer", FEATURES), TypeError, "layer must be an OutputLayer"),
        (lambda: gch.calibrate(G.head, FEATURES, target=3), TypeError, "target must be a ColorMoments"),
        (lambda: gch.calibrate(G.head, FEATURES, bias=1), TypeError, "bias must be True or False"),
        (lambda: gch.calibrate(G.head, FEATURES[:0]), ValueError, "features is empty"),
        (lambda: gch.calibrate(G.head, FEATURES * np.nan), ValueError, "features must be finite"),
        (
            lambda: gch.calibrate(G.head.replace(weight=G.head.weight * np.nan), FEATURES),
            ValueError,
            "layer must be fin",
        ),
        (lambda: gch.calibrate(G.head, FEATURES[:, :3]), ValueError, "x has shape"),
        (
            lambda: gch.calibrate(G.head, FEATURES, target=gch.ColorMoments.empty((0, 1))),
            ValueError,
            "target holds NaN",
        ),
    ],
)
def test_wrong_input(call, error, words):
    with pytest.raises(error, match=words):
        call()
