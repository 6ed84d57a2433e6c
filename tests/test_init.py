"""Initialisers: laws, bounds, structure, arguments."""

import math

import numpy as np
import oracle
import pytest

import ganchroma as gch
from ganchroma import _core, _structured, init

HEAD = (3, 128, 3, 3)
RANDOM = {
    "uniform": lambda **kw: init.uniform(HEAD, -1, 2, **kw),
    "normal": lambda **kw: init.normal(HEAD, 0.5, 2, **kw),
    "trunc_normal": lambda **kw: init.trunc_normal(HEAD, **kw),
    "trunc_normal, tail": lambda **kw: init.trunc_normal(HEAD, a=1.5, b=9, **kw),
    "xavier_uniform": lambda **kw: init.xavier_uniform(HEAD, **kw),
    "xavier_normal": lambda **kw: init.xavier_normal(HEAD, **kw),
    "kaiming_uniform": lambda **kw: init.kaiming_uniform(HEAD, **kw),
    "kaiming_normal": lambda **kw: init.kaiming_normal(HEAD, **kw),
    "orthogonal": lambda **kw: init.orthogonal(HEAD, **kw),
    "sparse": lambda **kw: init.sparse((40, 7), 0.3, **kw),
}
FIXED = {
    "constant": lambda **kw: init.constant((3, 4, 5), 0.25, **kw),
    "ones": lambda **kw: init.ones((3, 4, 5), **kw),
    "zeros": lambda **kw: init.zeros((3, 4, 5), **kw),
    "eye": lambda **kw: init.eye((3, 4), **kw),
    "dirac": lambda **kw: init.dirac((3, 4, 5), **kw),
}
LARGE = (200, 50, 4, 5)  # 200,000 elements; fans 1000 and 4000


def close_std(x, std, kurtosis):
    """The sample's standard deviation is within four standard errors of `std`."""
    error = std * math.sqrt((kurtosis - 1) / (4 * x.size))
    return abs(x.std(dtype=np.float64) - std) < 4 * error and abs(x.mean(dtype=np.float64)) < 4 * std / math.sqrt(
        x.size
    )


@pytest.mark.parametrize("name", RANDOM)
@pytest.mark.scenario("threads")
def test_seed_decides_and_threads_do_not(name):
    make = RANDOM[name]
    assert np.array_equal(make(rng=1, threads=1), make(rng=1, threads=4))
    assert np.array_equal(make(rng=1), make(rng=np.random.default_rng(1)))
    assert not np.array_equal(make(rng=1), make(rng=2))
    assert not np.array_equal(make(), make())


@pytest.mark.parametrize("name", RANDOM | FIXED)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_dtype_and_out(name, dtype):
    make = (RANDOM | FIXED)[name]
    seed = {"rng": 3} if name in RANDOM else {}
    x = make(dtype=dtype, **seed)
    assert x.dtype == dtype
    assert x.flags.c_contiguous
    assert x.flags.writeable
    out = np.full(x.shape, 77, dtype)
    assert make(out=out, **seed) is out
    assert np.array_equal(out, x)
    if dtype == np.float16 and name != "orthogonal":
        assert np.array_equal(x, make(dtype=np.float32, **seed).astype(np.float16))


@pytest.mark.parametrize("name", RANDOM | FIXED)
def test_out_is_checked(name):
    make = (RANDOM | FIXED)[name]
    shape = make().shape
    read_only = np.zeros(shape, np.float32)
    read_only.flags.writeable = False
    for out, error, words in [
        ([1.0], TypeError, "out must be a NumPy array"),
        (np.zeros(shape, np.int64), TypeError, "out has dtype int64"),
        (np.zeros((2, 2), np.float32), ValueError, r"out has shape \(2, 2\)"),
        (read_only, ValueError, "out is read-only"),
        (np.zeros(shape[::-1], np.float32).T, ValueError, "C-contiguous"),
        (np.zeros(shape, ">f4"), (TypeError, ValueError), "out"),
    ]:
        with pytest.raises(error, match=words):
            make(out=out)
    with pytest.raises(TypeError, match="out has dtype float32; the result has float64"):
        make(out=np.zeros(shape, np.float32), dtype=np.float64)


def test_shape_may_come_from_out():
    out = np.empty((4, 3), np.float64)
    assert init.xavier_normal(None, out=out, rng=0) is out
    with pytest.raises(TypeError, match="shape must be given"):
        init.normal(None)


@pytest.mark.parametrize("shape", ["3", 2.5, (2, 1.5), (True,), [None]])
def test_shape_of_a_wrong_type(shape):
    with pytest.raises(TypeError, match="shape must be an int or a sequence of ints"):
        init.normal(shape)


@pytest.mark.parametrize("dtype", [np.int32, np.complex64, "f2x", None, ">f8", bool])
def test_dtypes_that_are_refused(dtype):
    with pytest.raises(TypeError, match="dtype must be float16, float32, float64"):
        init.normal(3, dtype=dtype)


def test_empty_shapes():
    for x in (init.normal((0, 3)), init.uniform((2, 0)), init.trunc_normal(0), init.ones((0,)), init.eye((0, 2))):
        assert x.size == 0
    assert init.orthogonal((0, 3)).shape == (0, 3)
    assert init.sparse((0, 3), 0.5).shape == (0, 3)
    assert init.dirac((3, 0, 1)).shape == (3, 0, 1)
    with pytest.raises(ValueError, match="at least one element"):
        init.kaiming_uniform((3, 0))
    with pytest.raises(ValueError, match="must not have negative sizes"):
        init.normal((2, -1))


def test_fans():
    for shape in [(5, 7), HEAD, (64, 3, 4, 4), (2, 3, 4, 5, 6)]:
        assert init.fan_in_and_fan_out(shape) == oracle.fans(shape)
    for make in (init.xavier_uniform, init.xavier_normal, init.kaiming_uniform, init.kaiming_normal, init.orthogonal):
        with pytest.raises(ValueError, match="at least 2 dimensions"):
            make((7,))


@pytest.mark.parametrize(
    ("name", "param", "gain"),
    [
        ("linear", None, 1),
        ("conv2d", None, 1),
        ("conv_transpose3d", None, 1),
        ("sigmoid", None, 1),
        ("tanh", None, 5 / 3),
        ("relu", None, 2**0.5),
        ("leaky_relu", None, (2 / (1 + 0.01**2)) ** 0.5),
        ("leaky_relu", 0.2, (2 / 1.04) ** 0.5),
        ("selu", None, 0.75),
    ],
)
def test_gains(name, param, gain):
    assert init.calculate_gain(name, param) == pytest.approx(gain, rel=1e-15)


def test_laws_have_their_scale():
    """The standard deviations are those of the rule, from 200,000 elements; kurtosis 3 (normal) and 1.8 (uniform)."""
    fan_in, fan_out = oracle.fans(LARGE)
    xavier = math.sqrt(2 / (fan_in + fan_out))
    assert close_std(init.xavier_normal(LARGE, 1.5, rng=0), 1.5 * xavier, 3)
    assert close_std(init.xavier_uniform(LARGE, 1.5, rng=0), 1.5 * xavier, 1.8)
    assert close_std(init.kaiming_normal(LARGE, nonlinearity="relu", rng=0), math.sqrt(2 / fan_in), 3)
    assert close_std(
        init.kaiming_normal(LARGE, mode="fan_out", nonlinearity="tanh", rng=0), 5 / 3 / math.sqrt(fan_out), 3
    )
    assert close_std(init.kaiming_uniform(LARGE, a=5**0.5, rng=0), math.sqrt(1 / 3 / fan_in), 1.8)
    assert close_std(init.normal(LARGE, std=0.02, rng=0), 0.02, 3)
    assert close_std(init.uniform(LARGE, -2, 2, rng=0), 2 / math.sqrt(3), 1.8)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_uniform_laws_fill_their_interval_and_stay_in_it(dtype):
    x = init.uniform(1_000_000, -0.3, 0.7, rng=0, dtype=dtype)
    assert dtype(-0.3) <= x.min() < -0.299
    assert 0.699 < x.max() <= dtype(0.7)
    bound = math.sqrt(6 / sum(oracle.fans(LARGE)))
    x = init.xavier_uniform(LARGE, rng=0, dtype=dtype)
    assert 0.999 * bound < np.abs(x).max() <= dtype(bound)


def test_uniform_of_one_point():
    assert (init.uniform(5, 0.1, 0.1) == np.float32(0.1)).all()
    assert (init.normal(5, 0.1, 0) == np.float32(0.1)).all()


def truncated_moments(mean, std, a, b):
    """Mean and standard deviation of the truncated normal law by numerical integration."""
    x = np.linspace(max(a, mean - 40 * std), min(b, mean + 40 * std), 400_001)
    weight = np.exp(-0.5 * ((x - mean) / std) ** 2 + 0.5 * ((np.clip(mean, a, b) - mean) / std) ** 2)
    weight /= weight.sum()
    first = (weight * x).sum()
    return first, math.sqrt((weight * (x - first) ** 2).sum())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("mean", "std", "a", "b"),
    [
        (0, 1, -2, 2),
        (0, 0.02, -0.04, 0.04),
        (0.3, 1.7, -np.inf, 1.0),
        (0, 1, 1.5, 9),
        (0, 1, 5, np.inf),
        (0, 1, 6, 1e9),
        (0, 1, 2.9, 3.0),
        (1, 2, -np.inf, -4),
    ],
)
def test_truncated_normal(mean, std, a, b, dtype):
    x = init.trunc_normal(200_000, mean, std, a, b, rng=0, dtype=dtype)
    assert dtype(a) <= x.min()
    assert x.max() <= dtype(b)
    first, second = truncated_moments(mean, std, a, b)
    x = x.astype(np.float64)
    assert abs(x.mean() - first) < 4 * second / math.sqrt(x.size)
    assert abs(x.std() / second - 1) < 4 * math.sqrt(8 / 4 / x.size)  # kurtosis up to 9, that of an exponential tail


@pytest.mark.parametrize("shape", [(3, 1152), (1152, 3), (64, 3, 4, 4), (5, 5), (1, 4), (150, 150)])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 2e-6), (np.float64, 4e-15)])
def test_orthogonal(shape, dtype, tolerance):
    """Orthonormal to some ten roundings of its dtype."""
    matrix = init.orthogonal(shape, 1.5, rng=0, dtype=dtype).reshape(shape[0], -1).astype(np.float64) / 1.5
    product = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
    assert np.abs(product - np.eye(len(product))).max() < tolerance


@pytest.mark.parametrize("rows", [1, 2, 16, 17, 100])
def test_orthonormal_rows(isa, rows):
    """Against NumPy's LAPACK, whose R has signs of its own: each row in the span of its predecessors and its own."""
    matrix = np.random.default_rng(0).normal(size=(rows, 130))
    given = matrix.copy()
    shortest = _structured._orthonormalize(matrix)
    q, r = np.linalg.qr(given.T)
    np.testing.assert_allclose(matrix, (q * np.sign(np.diagonal(r))).T, atol=1e-13)
    assert shortest == pytest.approx(np.abs(np.diagonal(r)).min(), rel=1e-12)


@pytest.mark.parametrize("rows", [8, 60])
def test_twice_is_enough(rows):
    """Rows of which one is all but a sum of the others: once leaves an error of the cancellation, twice none."""
    matrix = np.random.default_rng(0).normal(size=(rows, 200))
    matrix[-1] = matrix[:-1].sum(axis=0) + 1e-7 * matrix[-1]
    assert 1e-7 < _structured._orthonormalize(matrix) < 1e-5
    assert np.abs(matrix @ matrix.T - np.eye(rows)).max() > 1e-11
    assert _structured._orthonormalize(matrix) == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(rows), atol=4e-15)


def test_orthonormal_rows_that_there_are_not():
    """A row of zeros stays; more rows than columns leave nothing of the last: no division by zero."""
    matrix = np.array([[3.0, 4.0], [0.0, 0.0], [1.0, 0.0]])
    assert _core.orthonormalize(matrix) == 0
    np.testing.assert_allclose(matrix, [[0.6, 0.8], [0, 0], [0.8, -0.6]], atol=1e-15)
    assert _core.orthonormalize(np.empty((0, 3))) == math.inf
    assert _core.orthonormalize(np.empty((2, 0))) == 0
    for wrong in (None, np.zeros(3), np.zeros((2, 2), np.float32), np.zeros((4, 4))[::2]):
        with pytest.raises((TypeError, ValueError)):
            _core.orthonormalize(wrong)


def test_orthogonal_has_no_preferred_sign():
    """Haar distributed: without the sign of R's diagonal the first entries would all be negative."""
    first = [init.orthogonal((4, 4), rng=seed)[0, 0] for seed in range(64)]
    assert 16 < sum(x > 0 for x in first) < 48  # four standard deviations


@pytest.mark.parametrize(("rows", "sparsity", "zeros"), [(10, 0.25, 3), (10, 0, 0), (10, 1, 10), (7, 0.01, 1)])
def test_sparse(rows, sparsity, zeros):
    x = init.sparse((rows, 500), sparsity, std=0.5, rng=0)
    assert ((x == 0).sum(axis=0) == zeros).all()
    if 0 < zeros < rows:
        share = (x == 0).mean(axis=1)  # every row is as likely as any other
        assert np.abs(share - zeros / rows).max() < 4 * math.sqrt(zeros / rows / 500)
    if zeros < rows:
        assert abs(x[x != 0].std() / 0.5 - 1) < 4 / math.sqrt(2 * (x != 0).sum())


def test_conv_default_follows_the_fan_of_pytorch():
    for shape, transposed, fan in [(HEAD, False, 1152), ((64, 3, 4, 4), True, 48)]:
        weight, bias = init.conv_default(shape, transposed=transposed, rng=0)
        bound = 1 / math.sqrt(fan)
        assert weight.shape == shape
        assert bias.shape == (3,)
        assert 0.99 * bound < np.abs(weight).max() <= np.float32(bound)
        assert np.abs(bias).max() <= np.float32(bound)
    assert init.conv_default(HEAD, bias=False)[1] is None
    assert init.conv_default(HEAD, dtype=np.float64)[1].dtype == np.float64


def test_fixed_arrays():
    assert np.array_equal(init.eye((2, 3)), np.eye(2, 3))
    assert np.array_equal(init.constant((2, 2), np.inf), np.full((2, 2), np.inf))
    identity = init.dirac((4, 2, 3, 3), groups=2)
    x = np.random.default_rng(0).normal(size=(4, 5, 5))
    # Each group of two outputs passes its own two inputs on: at the centre tap nothing else stands.
    assert np.array_equal(identity[:, :, 1, 1], np.tile(np.eye(2), (2, 1)))
    assert identity.sum() == 4
    assert np.array_equal(np.einsum("oc,chw->ohw", identity[:2, :, 1, 1], x[:2]), x[:2])


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: init.uniform(3, 1, 0), ValueError, "a must not exceed b"),
        (lambda: init.uniform(3, np.nan, 0), ValueError, "a must be finite"),
        (lambda: init.uniform(3, 0, np.inf), ValueError, "b must be finite"),
        (lambda: init.uniform(3, "0", 1), TypeError, "a must be a number"),
        (lambda: init.uniform(3, -3e38, 3e38), ValueError, "too far apart for float32"),
        (lambda: init.normal(3, std=-1), ValueError, "std must not be below 0"),
        (lambda: init.normal(3, mean=None), TypeError, "mean must be a number"),
        (lambda: init.normal(3, threads=0), ValueError, "threads must be at least 1"),
        (lambda: init.trunc_normal(3, std=0), ValueError, "std must be positive"),
        (lambda: init.trunc_normal(3, a=1, b=1), ValueError, "a must be below b"),
        (lambda: init.trunc_normal(3, a=np.nan), ValueError, "a must be a number"),
        (lambda: init.xavier_uniform(HEAD, -1), ValueError, "gain must not be below 0"),
        (lambda: init.kaiming_normal(HEAD, mode="fan"), ValueError, "mode is 'fan'"),
        (lambda: init.kaiming_normal(HEAD, mode=1), TypeError, "mode must be a string"),
        (lambda: init.kaiming_normal(HEAD, nonlinearity="gelu"), ValueError, "nonlinearity is 'gelu'; accepted"),
        (lambda: init.calculate_gain("leaky_relu", True), TypeError, "param must be a number"),
        (lambda: init.sparse((3, 3), 1.5), ValueError, "sparsity must be between 0 and 1"),
        (lambda: init.sparse((3,), 0.5), ValueError, "2 dimensions"),
        (lambda: init.eye((3,)), ValueError, "2 dimensions"),
        (lambda: init.dirac((3, 3)), ValueError, "3, 4 or 5 dimensions"),
        (lambda: init.dirac((3, 3, 3), groups=2), ValueError, "groups must divide the 3 outputs"),
        (lambda: init.dirac((3, 3, 3), groups=0), ValueError, "groups must divide"),
        (lambda: init.dirac((3, 3, 3), groups=1.5), TypeError, "groups must be an integer"),
        (lambda: init.constant(3, "x"), TypeError, "val must be a number"),
        (lambda: init.conv_default((3,)), ValueError, "at least 2 dimensions"),
    ],
)
def test_wrong_arguments(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_float16_is_the_rounded_float32():
    assert np.array_equal(
        init.kaiming_uniform(HEAD, rng=9, dtype=np.float16), init.kaiming_uniform(HEAD, rng=9).astype(np.float16)
    )


def test_public_names():
    assert set(init.__all__) >= {name.split(",")[0] for name in RANDOM | FIXED}
    assert gch.init is init


@pytest.mark.parametrize(("a", "b"), [(1e30, 2e30), (1_000_000.1, 2e6), (-2e6, -1_000_000.1)])
def test_bounds_farther_out_than_the_dtype_tells_numbers_apart(a, b):
    """Whatever is proposed there is rounded to numbers that have no chance."""
    nearest = np.float32(a if a > 0 else b)
    assert (init.trunc_normal(100, a=a, b=b, rng=0) == nearest).all()
    exact = init.trunc_normal(100_000, a=a, b=b, rng=0, dtype=np.float64)
    bound = a if a > 0 else b
    assert ((a <= exact) & (exact <= b)).all()
    if abs(bound) < 1e9:  # beyond the bound the density falls by e in 1 / |bound|; a mean of 100,000 is right to .3 %
        assert np.abs(exact - bound).mean() * abs(bound) == pytest.approx(1, rel=0.015)


def test_no_rows_have_no_order():
    assert init.sparse((0, 10**9), 0.5, rng=0).shape == (0, 10**9)
