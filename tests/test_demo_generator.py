"""The demo generator without PyTorch: its arithmetic by definition, its state, its arguments."""

import numpy as np
import pytest

import ganchroma as gch

KEYS = ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]


@pytest.fixture
def generator():
    return gch.demo.Generator(rng=0)


def transposed_convolution(x, weight, stride, padding):
    """(N, C, H, W) by (C, O, k, k) in float64: every pixel adds its patch to the full result, then the crop."""
    count, _, height, width = x.shape
    size = weight.shape[2]
    full = np.zeros((count, weight.shape[1], (height - 1) * stride + size, (width - 1) * stride + size))
    for row in range(height):
        for column in range(width):
            patch = np.einsum("nc,coyx->noyx", x[:, :, row, column], weight)
            full[:, :, row * stride : row * stride + size, column * stride : column * stride + size] += patch
    return full[:, :, padding : full.shape[2] - padding, padding : full.shape[3] - padding]


def expected_features(state, z, training, stages):
    """By definition in float64; also the statistics of each stage."""
    x, statistics = z[:, :, None, None].astype(np.float64), []
    for stage in range(stages):
        conv, norm = f"main.{3 * stage}", f"main.{3 * stage + 1}"
        weight = state[f"{conv}.weight"].astype(np.float64)
        x = transposed_convolution(x, weight, 1 if stage == 0 else 2, 0 if stage == 0 else 1)
        mean, variance = x.mean(axis=(0, 2, 3)), x.var(axis=(0, 2, 3))
        statistics.append((norm, mean, variance * x[:, 0].size / (x[:, 0].size - 1)))
        if not training:
            mean, variance = state[f"{norm}.running_mean"], state[f"{norm}.running_var"]
        scale = state[f"{norm}.weight"] / np.sqrt(variance + 1e-5)
        shift = state[f"{norm}.bias"] - mean * scale
        x = np.maximum(x * scale[:, None, None] + shift[:, None, None], 0)
    return x, statistics


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("stage", [1, 2, 3])
def test_features_by_their_definition(generator, training, stage):
    """To 1e-5: sums of up to 2048 float32 products, values up to six."""
    state = generator.state_dict()
    z = generator.sample_latent(3, rng=1)
    expected, statistics = expected_features(state, z, training, stage)
    assert np.abs(generator.features(z, training, stage=stage) - expected).max() < 1e-5
    after = generator.state_dict()
    for norm, mean, variance in statistics:
        if training:
            moved_mean = 0.9 * state[f"{norm}.running_mean"] + 0.1 * mean
            moved_variance = 0.9 * state[f"{norm}.running_var"] + 0.1 * variance
            assert np.abs(after[f"{norm}.running_mean"] - moved_mean).max() < 1e-6
            assert np.abs(after[f"{norm}.running_var"] - moved_variance).max() < 1e-6
            assert after[f"{norm}.num_batches_tracked"] == 1
        else:
            assert all(np.array_equal(after[f"{norm}.{key}"], state[f"{norm}.{key}"]) for key in KEYS)
    untouched = [key for key in after if int(key.split(".")[1]) > 3 * stage]
    assert all(np.array_equal(after[key], state[key]) for key in untouched)


def test_shapes_of_latent_vectors_and_stages(generator):
    z = generator.sample_latent(2, rng=1)
    assert z.shape == (2, 100)
    assert z.dtype == np.float32
    shapes = [(2, 512, 4, 4), (2, 256, 8, 8), (2, 128, 16, 16), (2, 64, 32, 32)]
    for stage, shape in enumerate(shapes, start=1):
        features = generator.features(z, training=False, stage=stage)
        assert features.shape == shape
        assert features.dtype == np.float32
        assert features.flags.c_contiguous
        assert features.min() == 0
    again = generator.features(z[:, :, None, None].astype(np.float64), training=False)
    assert np.array_equal(again, features)


def test_more_images_than_are_expanded_at_a_time(generator):
    """In eval mode images do not touch each other, so that any split gives the same, to the order of a BLAS's sums."""
    z = generator.sample_latent(21, rng=1)
    apart = np.concatenate([generator.features(z[i : i + 3], training=False) for i in range(0, 21, 3)])
    assert np.abs(generator.features(z, training=False) - apart).max() < 1e-6


def test_initialisation_and_seed():
    state = gch.demo.Generator(rng=5).state_dict()
    same = gch.demo.Generator(rng=np.random.default_rng(5)).state_dict()
    assert all(np.array_equal(state[key], same[key]) for key in state)
    other = gch.demo.Generator(rng=6).state_dict()
    for stage in range(5):
        weight = state[f"main.{3 * stage}.weight"]
        assert not np.array_equal(weight, other[f"main.{3 * stage}.weight"])
        assert abs(weight.std() / 0.02 - 1) < 4 / np.sqrt(2 * weight.size)
    scales = np.concatenate([state[f"main.{3 * stage + 1}.weight"] for stage in range(4)])
    assert abs(scales.mean() - 1) < 4 * 0.02 / np.sqrt(scales.size)
    assert abs(scales.std() / 0.02 - 1) < 4 / np.sqrt(2 * scales.size)


def test_train_mode_has_amplitude_and_eval_mode_has_none(generator):
    """Why: untouched running statistics do not undo the smallness of N(0, .02) weights."""
    z = generator.sample_latent(8, rng=1)
    assert generator.features(z, training=True).std() > 0.5
    fresh = gch.demo.Generator(rng=0)
    assert fresh.features(z, training=False).std() < 0.05


def test_head_is_the_last_layer(generator):
    head = generator.head
    assert np.array_equal(head.weight, generator.state_dict()["main.12.weight"])
    z = generator.sample_latent(2, rng=1)
    features = generator.features(z, training=False)
    linear = transposed_convolution(features.astype(np.float64), head.weight.astype(np.float64), 2, 1)
    images = generator(z, training=False)
    assert images.shape == (2, 3, 64, 64)
    assert np.abs(images - np.tanh(linear)).max() < 1e-6


def test_state_round_trip_and_copies(generator):
    z = generator.sample_latent(4, rng=1)
    generator.features(z)
    other = gch.demo.Generator(rng=1)
    state = generator.state_dict()
    other.load_state_dict(state)
    assert np.array_equal(other.features(z, training=False), generator.features(z, training=False))
    state["main.0.weight"][...] = 0
    assert other.state_dict()["main.0.weight"].any()
    other.features(z)
    assert generator.state_dict()["main.1.num_batches_tracked"] == 1


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (lambda s: s.pop("main.12.weight"), ValueError, r"missing keys \['main.12.weight'\]"),
        (lambda s: s.update(extra=np.zeros(1)), ValueError, r"unknown keys \['extra'\]"),
        (lambda s: s.update({"main.1.bias": np.zeros(3, np.float32)}), ValueError, r"must have shape \(512,\)"),
        (lambda s: s.update({"main.1.bias": np.zeros(512, complex)}), TypeError, "main.1.bias.* has dtype complex128"),
        (lambda s: s.update({"main.1.num_batches_tracked": np.zeros(())}), TypeError, "accepted: int64"),
    ],
)
def test_states_that_do_not_match(generator, change, error, words):
    before, state = generator.state_dict(), generator.state_dict()
    state["main.0.weight"] = state["main.0.weight"] + 1
    change(state)
    with pytest.raises(error, match=words):
        generator.load_state_dict(state)
    assert np.array_equal(generator.state_dict()["main.0.weight"], before["main.0.weight"])


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda g: g.features(np.zeros((2, 99), np.float32)), ValueError, r"z must have shape \(N, 100\)"),
        (lambda g: g.features(np.zeros((2, 100, 2, 1), np.float32)), ValueError, "z must have shape"),
        (lambda g: g.features(np.zeros((0, 100), np.float32)), ValueError, "N > 0"),
        (lambda g: g.features(np.zeros(100, np.float32)), ValueError, "z must have 2 or 4 dimensions"),
        (lambda g: g.features(np.zeros((2, 100), int)), TypeError, "z has dtype int64"),
        (lambda g: g.features(np.zeros((2, 100)), stage=0), ValueError, "stage must be 1, 2, 3 or 4, got 0"),
        (lambda g: g.features(np.zeros((2, 100)), stage=1.0), TypeError, "stage must be an integer"),
        (lambda g: g.sample_latent(0), ValueError, "n must be at least 1"),
        (lambda g: g.sample_latent(2.0), TypeError, "n must be an integer"),
        (lambda g: g.load_state_dict([1]), TypeError, "state must be a mapping"),
        (lambda g: gch.demo.Generator(rng="x"), TypeError, "rng must be"),
    ],
)
def test_wrong_arguments(generator, call, error, words):
    with pytest.raises(error, match=words):
        call(generator)
