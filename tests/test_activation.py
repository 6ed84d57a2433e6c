"""Activations by name, elementwise: accuracy, limits, NaN, memory of any kind, wrong input."""

import numpy as np
import oracle
import pytest
from support import layouts

import ganchroma as gch
from ganchroma import _core
from ganchroma.activation import activation_name, parse_activation

ALL = ["linear", "tanh", "sigmoid", "relu", "leaky_relu", ("leaky_relu", 0.3), "clamp", ("clamp", -0.25, 0.5)]
# Units in the last place over the points below. Measured: tanh 1.28 and 1.30 (float32, float64), sigmoid 2.03 and 2.36;
# the limits leave a fifth for another libm or point, a fault in a formula's coefficients costs more.
ULP = {"tanh": {np.float32: 1.55, np.float64: 1.55}, "sigmoid": {np.float32: 2.45, np.float64: 2.85}}
SLOPE_ULP = 4.4  # measured 3.55 to 3.67; the same fifth


def points(dtype):
    """Every size from the subnormals to beyond saturation, both signs, and dense around the changes of formula."""
    rng = np.random.default_rng(3)
    sizes = [10.0 ** rng.uniform(-44 if dtype is np.float32 else -320, 2.2, 60_000), rng.uniform(0, 22, 60_000)]
    sizes += [rng.normal(0.625, 1e-3, 5_000), [0.0, 0.625, 8.0, 9.0, 10.0, 20.0, 88.0, 104.0, 710.0, 746.0, 3e38]]
    x = np.concatenate(sizes)
    return np.concatenate([x, -x]).astype(dtype)


def in_long_double(name, x):
    x = x.astype(np.longdouble)
    small = np.exp(-np.abs(x))
    return np.tanh(x) if name == "tanh" else np.where(x < 0, small, 1) / (1 + small)


@pytest.mark.parametrize("name", ["tanh", "sigmoid"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_ulp(isa, name, dtype):
    x = points(dtype)
    with np.errstate(under="ignore"):
        exact = in_long_double(name, x)
        result = gch.activate(x, name)
        spacing = np.spacing(np.abs(exact).astype(dtype))
        worst = np.max(np.abs(result.astype(exact.dtype) - exact) / spacing)
    assert worst <= ULP[name][dtype]


@pytest.mark.parametrize("name", ["tanh", "sigmoid"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_ulp_of_slopes(isa, name, dtype):
    x = points(dtype)
    steep = 2 if name == "tanh" else 1
    with np.errstate(under="ignore"):
        small = np.exp(-steep * np.abs(x.astype(np.longdouble)))
        exact = steep**2 * small / (1 + small) ** 2
        result = gch.activate_backward(np.ones_like(x), x, name)
        worst = np.max(np.abs(result.astype(exact.dtype) - exact) / np.spacing(exact.astype(dtype)))
    assert worst <= SLOPE_ULP


@pytest.mark.parametrize("activation", ALL)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_backward_of_every_size(isa, activation, dtype):
    rng = np.random.default_rng(4)
    x, grad = rng.standard_normal((2, 70)).astype(dtype)
    for count in (*range(20), 31, 32, 33, 63, 64, 65, 70):
        result = gch.activate_backward(grad[:count], x[:count], activation)
        expected = grad[:count] * oracle.activate_slope(x[:count], activation)
        np.testing.assert_allclose(result, expected, rtol=8 * np.finfo(dtype).eps)
        assert result.dtype == dtype


@pytest.mark.parametrize("activation", ALL)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_backward_at_the_kinks(isa, activation, dtype):
    x = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 0.5, -0.25], dtype)
    result = gch.activate_backward(np.full_like(x, 3), x, activation)
    np.testing.assert_allclose(result, 3 * oracle.activate_slope(x, activation), rtol=8 * np.finfo(dtype).eps)
    assert result.dtype == dtype


def test_backward_takes_memory_of_any_kind():
    rng = np.random.default_rng(5)
    x, grad = rng.standard_normal((2, 4, 6, 10))
    expected = gch.activate_backward(grad, x, "tanh")
    for (label, g), (_, a) in zip(layouts(grad), layouts(x), strict=True):
        result = gch.activate_backward(g, a, "tanh")
        np.testing.assert_array_equal(result, expected, err_msg=label)
        assert result.flags.c_contiguous
        assert result.dtype.isnative
    assert gch.activate_backward(np.float32(2), np.float32(0.5), "relu") == 2


@pytest.mark.parametrize(
    ("kind", "message", "grad", "x"),
    [
        (TypeError, "grad has dtype float32, x has float64", np.zeros(3, np.float32), np.zeros(3)),
        (ValueError, r"grad has shape \(1,\), x has \(3,\)", np.zeros(1), np.zeros(3)),
        (TypeError, "grad has dtype int64", np.arange(3), np.zeros(3)),
        (TypeError, "x", np.zeros(3), None),
    ],
)
def test_wrong_gradient(kind, message, grad, x):
    with pytest.raises(kind, match=message):
        gch.activate_backward(grad, x, "tanh")


def test_core_backward_survives_anything():
    x, tanh = np.zeros(3), parse_activation("tanh")
    for arguments in (
        (x, x, tanh, np.zeros(4), 1),
        (np.zeros(2), x, tanh, np.zeros(3), 1),
        (x.astype(np.float32), x, tanh, np.zeros(3), 1),
        (None, x, tanh, np.zeros(3), 1),
        (x, x, (9, 0.0, 0.0), np.zeros(3), 1),
        (x, x, tanh, np.zeros(3)),
    ):
        with pytest.raises((TypeError, ValueError)):
            _core.activate_backward(*arguments)


@pytest.mark.parametrize("activation", ALL)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_size_around_the_vector(isa, activation, dtype):
    x = np.random.default_rng(4).standard_normal(70).astype(dtype)
    for count in (*range(20), 31, 32, 33, 63, 64, 65, 70):
        result = gch.activate(x[:count], activation)
        np.testing.assert_allclose(result, oracle.activate(x[:count], activation), rtol=8 * np.finfo(dtype).eps)
        assert result.dtype == dtype


@pytest.mark.parametrize("activation", ALL)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_nan_infinity_and_signed_zero(isa, activation, dtype):
    x = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0], dtype)
    result = gch.activate(x, activation)
    expected = oracle.activate(x, activation)
    np.testing.assert_allclose(result, expected, rtol=4 * np.finfo(dtype).eps)
    assert np.isnan(result[0])
    if activation != "sigmoid":
        np.testing.assert_array_equal(np.signbit(result[3:5]), [False, True])


@pytest.mark.parametrize("activation", ALL)
@pytest.mark.scenario("threads")
def test_same_bits_for_any_thread_count_and_instruction_set(activation):
    x = points(np.float32)
    reference, before = gch.activate(x, activation, threads=1), _core.isa()
    slopes = gch.activate_backward(x[::-1], x, activation, threads=1)
    np.testing.assert_array_equal(gch.activate_backward(x[::-1], x, activation, threads=3), slopes)
    np.testing.assert_array_equal(gch.activate(x, activation, threads=3), reference)
    try:
        for name in _core.available_isas():
            if name != "scalar":
                _core.select_isa(name)
                np.testing.assert_array_equal(gch.activate(x, activation), reference)
                np.testing.assert_array_equal(gch.activate_backward(x[::-1], x, activation), slopes)
    finally:
        _core.select_isa(before)


def test_memory_of_any_kind():
    x = np.random.default_rng(5).standard_normal((4, 6, 10))
    expected = gch.activate(x, "tanh")
    room = np.empty(x.nbytes + 1, np.uint8)[1:].view(x.dtype).reshape(x.shape)
    room[...] = x
    for view in (np.asfortranarray(x), x[::-1].copy()[::-1], np.repeat(x, 2, 1)[:, ::2], x.astype(">f8"), room):
        result = gch.activate(view, "tanh")
        np.testing.assert_array_equal(result, expected)
        assert result.dtype.isnative
        assert result.flags.c_contiguous
    np.testing.assert_array_equal(gch.activate(x.tolist(), "tanh"), expected)
    assert gch.activate(np.float32(0.5), "tanh").shape == ()
    assert gch.activate(np.empty((0, 3), np.float32), "tanh").shape == (0, 3)


def test_float16_is_computed_in_float32():
    x = np.linspace(-5, 5, 999).astype(np.float16)
    expected = gch.activate(x.astype(np.float32), "tanh").astype(np.float16)
    np.testing.assert_array_equal(gch.activate(x, "tanh"), expected)


def test_float16_overflows_to_infinity_in_silence():
    x = np.array([60_000, -60_000], np.float16)
    np.testing.assert_array_equal(gch.activate(x, ("leaky_relu", 100.0)), np.array([60_000, -np.inf], np.float16))


def test_names_and_numbers():
    assert parse_activation("clamp")[1:] == (-1.0, 1.0)
    assert parse_activation(("clamp", 0, np.inf))[1:] == (0.0, np.inf)
    assert parse_activation("leaky_relu")[1] == 0.01
    assert parse_activation(("tanh",)) == parse_activation("tanh")
    assert activation_name(("clamp", -256, 256)) == "clamp"


@pytest.mark.parametrize(
    ("kind", "message", "activation"),
    [
        (ValueError, "activation is 'softmax'.*sigmoid", "softmax"),
        (ValueError, "activation is 'Tanh'", "Tanh"),
        (ValueError, "activation", ("tanh", 2)),
        (ValueError, "activation", ("clamp", 1)),
        (ValueError, "low must not exceed high", ("clamp", 1, 0)),
        (ValueError, "a parameter of activation 'clamp' must be a number, got nan", ("clamp", float("nan"), 0)),
        (TypeError, "a parameter of activation 'leaky_relu' must be a number", ("leaky_relu", "steep")),
        (TypeError, "activation is None", None),
        (TypeError, "activation is \\(\\)", ()),
        (TypeError, "activation", (1, 2)),
        (TypeError, "activation", ["clamp", 0, 1]),
    ],
)
def test_wrong_activation(kind, message, activation):
    with pytest.raises(kind, match=message):
        gch.activate(np.zeros(3), activation)


@pytest.mark.parametrize(
    ("kind", "message", "x"),
    [
        (TypeError, "x has dtype int64.*cast", np.arange(3)),
        (TypeError, "x has dtype complex128.*real", np.zeros(3, complex)),
        (TypeError, "x", "text"),
        (TypeError, "x", None),
    ],
)
def test_wrong_x(kind, message, x):
    with pytest.raises(kind, match=message):
        gch.activate(x, "tanh")
