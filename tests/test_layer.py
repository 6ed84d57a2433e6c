"""OutputLayer: what it computes, what it is, that nothing changes it, and its fused colour moments."""

import copy
import pickle

import numpy as np
import oracle
import pytest

import ganchroma as gch
from ganchroma import _core


def make(rng, dtype=np.float64, *, channels=7, filters=3, transposed=False, **options):
    shape = (channels, filters, 4, 4) if transposed else (filters, channels, 3, 3)
    options = {"stride": 2, "padding": 1} | options if transposed else {"padding": 1} | options
    weight, bias = rng.normal(0, 0.3, shape).astype(dtype), rng.normal(0, 0.3, filters).astype(dtype)
    return gch.OutputLayer(weight, bias, transposed=transposed, **options)


def pooled(records):
    """Count, mean over all pixels, covariance about each image's own mean."""
    scatter = np.zeros((3, 3))
    scatter[np.triu_indices(3)] = records[:, 4:10].sum(axis=0)
    scatter += np.triu(scatter, 1).T
    count = records[:, 0].sum()
    return count, records[:, 0] @ records[:, 1:4] / count, scatter / count


# -- what it computes -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_is_the_function(rng, dtype):
    x, scale = rng.standard_normal((2, 7, 6, 9)).astype(dtype), rng.standard_normal(7).astype(dtype)
    layer = make(
        rng, dtype, stride=2, dilation=2, padding=3, padding_mode="reflect", channel_scale=scale, output_scale=2
    )
    options = {"stride": 2, "dilation": 2, "padding": 3, "padding_mode": "reflect", "channel_scale": scale}
    expected = gch.conv2d(x, layer.weight, layer.bias, **options, output_scale=2, activation="tanh")
    np.testing.assert_array_equal(layer(x), expected)
    linear = gch.conv2d(x, layer.weight, layer.bias, **options, output_scale=2)
    np.testing.assert_array_equal(layer.linear(x), linear)
    out = np.empty_like(expected)
    assert layer(x, out=out) is out
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "linear", "clamp"])
def test_transposed_is_the_function_and_activation_comes_last(rng, dtype, activation):
    x = rng.standard_normal((2, 7, 6, 9)).astype(dtype)
    layer = make(rng, dtype, transposed=True, output_padding=1, activation=activation)
    options = {"stride": 2, "padding": 1, "output_padding": 1}
    expected = gch.conv_transpose2d(x, layer.weight, layer.bias, **options, activation=activation)
    np.testing.assert_array_equal(layer(x), expected)
    np.testing.assert_array_equal(layer.activate(layer.linear(x)), expected)


# -- moments ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("linear", [False, True])
def test_moments_are_those_of_the_image(isa, rng, dtype, transposed, linear):
    layer = make(rng, dtype, transposed=transposed)
    for size in ((1, 1), (2, 3), (5, 16), (9, 17), (16, 33), (37, 53)):
        x = rng.standard_normal((3, 7, *size)).astype(dtype)
        expected = oracle.image_records(layer.linear(x) if linear else layer(x))
        result = layer.image_moments(x, linear)
        # Double accumulation of a few thousand values: 1e-12 of the size of what is summed.
        scale = np.maximum(np.abs(expected), expected[:, 4:10].max() + expected[:, :1] * [0] * 4 + [[1] + [0] * 10])
        assert np.all(np.abs(result - expected) <= 1e-12 * scale)
        moments = layer.moments(x, linear)
        count, mean, covariance = pooled(expected)
        assert moments.count == count
        np.testing.assert_allclose(moments.mean, mean, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(moments.covariance, covariance, rtol=1e-12, atol=1e-13)
        assert moments.value_range == (-1, 1)


def test_moments_keep_their_digits_far_from_zero(rng):
    layer = make(rng).replace(bias=np.full(3, 1e6), activation="linear")
    x = rng.standard_normal((2, 7, 16, 16))
    covariance = pooled(oracle.image_records(layer(x)))[2]
    np.testing.assert_allclose(layer.moments(x).covariance, covariance, rtol=1e-9)  # E[y^2] - E[y]^2 keeps 3 digits


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.scenario("threads")
def test_moments_have_the_same_bits_for_any_thread_count_instruction_set_and_batch(rng, transposed):
    layer = make(rng, np.float32, transposed=transposed, channels=18)
    x, before = rng.standard_normal((3, 18, 37, 53)).astype(np.float32), _core.isa()
    reference = layer.image_moments(x, threads=1)
    for threads in (2, 3):
        np.testing.assert_array_equal(layer.image_moments(x, threads=threads), reference)
    np.testing.assert_array_equal(layer.image_moments(x[1:2])[0], reference[1])
    try:
        for name in _core.available_isas():
            if name != "scalar":
                _core.select_isa(name)
                np.testing.assert_array_equal(layer.image_moments(x), reference)
    finally:
        _core.select_isa(before)


def test_moments_leave_out_and_count_what_is_not_finite(rng):
    layer = make(rng, activation="linear")
    x = rng.standard_normal((2, 7, 8, 8))
    x[0, 3, 4, 4], x[0, 1, 0, 7] = np.nan, np.inf
    expected = oracle.image_records(layer(x))
    result = layer.image_moments(x)
    assert expected[0, 10] == 9 + 4
    np.testing.assert_allclose(result, expected, rtol=1e-12, atol=1e-12)
    assert layer.moments(x).count == 128 - 13
    x[1] = np.nan
    result = layer.image_moments(x)
    np.testing.assert_array_equal(result[1, [0, 10]], [0, 64])
    assert layer.moments(x).count == 64 - 13
    np.testing.assert_allclose(layer.moments(x).covariance, pooled(result[:1])[2], rtol=1e-12)


def test_moments_of_no_images(rng):
    layer = make(rng)
    x = np.empty((0, 7, 8, 8))
    assert layer.image_moments(x).shape == (0, 11)
    moments = layer.moments(x)
    assert moments.count == 0
    assert np.isnan(moments.mean).all()
    assert np.isnan(moments.covariance).all()


def test_moments_need_three_filters(rng):
    with pytest.raises(ValueError, match=r"3 filters.*has 4"):
        make(rng, filters=4).moments(np.zeros((1, 7, 8, 8)))


# -- what it is -------------------------------------------------------------------------------------------------


def test_shape_of_the_layer(rng):
    layer = make(rng, transposed=True, filters=4)
    assert (layer.in_channels, layer.out_channels, layer.kernel_size) == (7, 4, (4, 4))
    assert (layer.stride, layer.padding, layer.dilation) == ((2, 2), ((1, 1), (1, 1)), (1, 1))
    np.testing.assert_array_equal(layer.filters, layer.weight.swapaxes(0, 1))
    plain = make(rng, filters=4)
    assert (plain.in_channels, plain.out_channels, plain.kernel_size) == (7, 4, (3, 3))
    np.testing.assert_array_equal(plain.filters, plain.weight)
    assert not layer.filters.flags.writeable


@pytest.mark.parametrize(
    ("activation", "expected"),
    [
        ("tanh", (-1, 1)),
        ("sigmoid", (0, 1)),
        ("linear", (-1, 1)),
        ("relu", (-1, 1)),
        ("clamp", (-1, 1)),
        (("clamp", -256, 256), (-256, 256)),
        (("clamp", 0, np.inf), (-1, 1)),
        (("clamp", 2, 2), (-1, 1)),
    ],
)
def test_value_range(rng, activation, expected):
    assert make(rng, activation=activation).value_range == expected


def test_nothing_changes_it(rng):
    weight, bias, scale = rng.standard_normal((3, 7, 3, 3)), rng.standard_normal(3), rng.standard_normal(7)
    layer = gch.OutputLayer(weight, bias, channel_scale=scale)
    x = rng.standard_normal((1, 7, 5, 5))
    before = layer(x)
    weight[:], bias[:], scale[:] = 0, 0, 0
    np.testing.assert_array_equal(layer(x), before)
    for array in (layer.weight, layer.bias, layer.channel_scale):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0
    with pytest.raises(AttributeError, match=r"immutable.*replace\(activation="):
        layer.activation = "sigmoid"
    with pytest.raises(AttributeError, match="immutable"):
        del layer.bias
    with pytest.raises(AttributeError):
        layer.other = 1


def test_replace(rng):
    layer = make(rng, np.float32)
    x = rng.standard_normal((1, 7, 8, 8)).astype(np.float32)
    other = layer.replace(activation="sigmoid", bias=None)
    np.testing.assert_array_equal(other(x), gch.conv2d(x, layer.weight, padding=1, activation="sigmoid"))
    assert (layer.activation, other.bias, other.padding) == ("tanh", None, layer.padding)
    assert layer.bias is not None
    same = gch.OutputLayer(np.zeros((3, 7, 3, 4)), padding="same").replace(weight=np.zeros((3, 7, 6, 5)))
    assert same.padding == ((2, 3), (2, 2))
    with pytest.raises(TypeError, match=r"'color'.*weight, bias"):
        layer.replace(color=1)
    with pytest.raises(TypeError, match="bias has dtype float64"):
        layer.replace(bias=np.zeros(3))


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer))])
def test_copies(rng, again):
    layer = make(rng, padding=(2, 0), activation=("clamp", -2, 2), output_scale=0.5)
    x = rng.standard_normal((1, 7, 8, 8))
    twin = again(layer)
    np.testing.assert_array_equal(twin(x), layer(x))
    assert repr(twin) == repr(layer)


def test_repr(rng):
    weight = np.zeros((3, 64, 3, 3), np.float32)
    assert repr(gch.OutputLayer(weight, np.zeros(3, np.float32), padding=1)) == (
        "OutputLayer(64, 3, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1), activation='tanh')"
    )
    full = gch.OutputLayer(
        weight.swapaxes(0, 1),
        transposed=True,
        stride=(2, 3),
        padding=((1, 2), (0, 0)),
        output_padding=1,
        dilation=2,
        activation=("clamp", 0, 1),
        channel_scale=np.ones(64, np.float32),
        output_scale=0.1,
    )
    assert repr(full) == (
        "OutputLayer(64, 3, kernel_size=(3, 3), stride=(2, 3), padding=((1, 2), (0, 0)), output_padding=(1, 1), "
        "dilation=(2, 2), bias=False, transposed=True, channel_scale=(64,), output_scale=0.1, "
        "activation=('clamp', 0, 1))"
    )


@pytest.mark.parametrize(
    ("kind", "message", "given"),
    [
        (TypeError, "weight", {"weight": None}),
        (ValueError, "weight must have 4", {"weight": np.ones((3, 7))}),
        (ValueError, "bias has shape", {"bias": np.ones(7)}),
        (TypeError, "transposed.*'yes'", {"transposed": "yes"}),
        (ValueError, "output_padding.*transposed", {"output_padding": 1}),
        (
            ValueError,
            "padding_mode is 'reflect'.*\"zeros\"",
            {"padding_mode": "reflect", "transposed": True, "bias": None},
        ),
        (ValueError, "activation", {"activation": "softmax"}),
        (ValueError, "stride", {"stride": 0}),
        (ValueError, "channel_scale", {"channel_scale": np.ones(3)}),
        (TypeError, "output_scale", {"output_scale": None}),
    ],
)
def test_wrong_arguments(kind, message, given):
    with pytest.raises(kind, match=message):
        gch.OutputLayer(**{"weight": np.ones((3, 7, 3, 3)), "bias": np.ones(3), **given})


@pytest.mark.parametrize("method", ["__call__", "linear", "moments", "image_moments"])
def test_wrong_x(rng, method):
    call = getattr(make(rng), method)
    with pytest.raises(TypeError, match="x has dtype float32, weight has float64"):
        call(np.zeros((1, 7, 8, 8), np.float32))
    with pytest.raises(ValueError, match=r"x has shape.*takes 7"):
        call(np.zeros((1, 6, 8, 8)))
    with pytest.raises(ValueError, match="x must have 4"):
        call(np.zeros((7, 8, 8)))


def test_moments_whose_squares_overflow_name_x():
    x = np.random.default_rng(1).standard_normal((1, 1, 4, 4))
    layer = gch.OutputLayer(np.ones((3, 1, 1, 1)), activation="linear")
    assert np.isfinite(layer.moments(x * 1e100).covariance).all()
    with pytest.raises(ValueError, match="x gives values whose squares overflow"):
        layer.moments(x * 1e160)
    assert gch.OutputLayer(np.ones((3, 1, 1, 1))).moments(x * 1e160).count == 16  # tanh: nothing to overflow
    assert layer.moments(x * np.nan).count == 0  # nothing was measured, nothing overflowed


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_the_activation_after_the_linear_part(dtype):
    x = np.random.default_rng(2).standard_normal((1, 8, 9, 9)).astype(dtype)
    layer = gch.OutputLayer(np.random.default_rng(3).standard_normal((3, 8, 3, 3)).astype(dtype))
    two, one = layer.activate(layer.linear(x)), layer(x)
    if dtype is not np.float16:
        np.testing.assert_array_equal(two, one)
    else:  # half a unit of rounding of the sum, up to 30 here, is at most 2**-7; tanh only shrinks it
        assert np.abs(two.astype(float) - one.astype(float)).max() < 2**-7
        assert (two != one).any()
