"""Spectral norms: the exact one against SVD, the power method against its definition."""

import numpy as np
import oracle
import pytest

import ganchroma as gch
from ganchroma import _core
from ganchroma.spectral import SpectralNorm, sigma

SHAPES = [
    (3, 1152),
    (3, 17),
    (4, 4),
    (1, 9),
    (2, 1),
    (3,),
    (1152, 3),
    (3, 128, 3, 3),
    (64, 3, 4, 4),
    (5, 7),
    (6, 5, 3, 3),
]
FUSED = [name for name in _core.available_isas() if name != "scalar"]


def random(shape, dtype=np.float64, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("shape", SHAPES)
def test_sigma_is_the_largest_singular_value(isa, shape, dtype):
    weight = random(shape, dtype)
    for dim in range(-len(shape), len(shape)):
        assert sigma(weight, dim) == pytest.approx(oracle.spectral_sigma(weight, dim), rel=1e-14)


@pytest.mark.parametrize("columns", [1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 31, 33, 63, 65])
@pytest.mark.parametrize("rows", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sigma_at_every_width(isa, rows, columns, dtype):
    weight = random((rows, columns), dtype)
    assert sigma(weight) == pytest.approx(oracle.spectral_sigma(weight), rel=1e-14)


@pytest.mark.parametrize(
    ("weight", "expected"),
    [
        (np.zeros((3, 5)), 0.0),
        (np.ones((3, 12)), 6.0),  # rank one
        (np.diag([2.0, 2.0, 2.0]), 2.0),  # a triple value
        (np.diag([1.0, 1e-9, 1e-18]), 1.0),
        (np.diag([1e-200, 2e-200, 3e-200]), 3e-200),  # squares underflow
        (np.diag([1e200, 2e200, 3e200]), 3e200),  # squares overflow
        (np.diag([5e-324, 0.0]), 5e-324),
        (np.full((3, 3), 1.5e308), np.inf),
    ],
)
def test_special_matrices(isa, weight, expected):
    assert sigma(weight) == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("shape", [(3, 20), (6, 7)])
def test_non_finite_weights_give_nan(isa, shape, bad):
    weight = random(shape)
    weight[2, 5] = bad
    assert np.isnan(sigma(weight))


def test_any_memory_layout():
    weight = random((6, 10, 4, 4), np.float32)
    expected = sigma(weight[:3, ::2].copy())
    assert sigma(weight[:3, ::2]) == expected
    assert sigma(np.asfortranarray(weight[:3, ::2])) == expected
    assert sigma(weight[:3, ::2].astype(">f4").astype("<f4")) == expected
    assert sigma(weight.astype(">f4")[:3, ::2]) == expected
    memory = bytearray(weight[:3, ::2].nbytes + 1)
    unaligned = np.frombuffer(memory, np.float32, offset=1, count=3 * 80).reshape(3, 5, 4, 4)
    unaligned[...] = weight[:3, ::2]
    assert sigma(unaligned) == expected


@pytest.mark.skipif(len(FUSED) < 2, reason="needs two instruction sets with fused multiply-add")
def test_same_bits_for_every_instruction_set_with_fma():
    before = _core.isa()
    results = set()
    for name in FUSED:
        _core.select_isa(name)
        norm = SpectralNorm(random((3, 70, 3, 3), np.float32), rng=1)
        results.add((sigma(random((3, 71))), norm.sigma, norm.weight().tobytes(), norm.u.tobytes(), norm.v.tobytes()))
    _core.select_isa(before)
    assert len(results) == 1


@pytest.mark.scenario("threads")
def test_same_bits_for_every_thread_count(isa):
    matrix = random((300, 4500), np.float32)
    results = set()
    for threads in (1, 2, 5):
        u, v = random(300, np.float32, 1), random(4500, np.float32, 2)
        value = _core.spectral_power(matrix, u, v, 2, 0, 1e-12, threads)
        results.add((value, u.tobytes(), v.tobytes()))
    assert len(results) == 1


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-6), (np.float64, 1e-14)])
@pytest.mark.parametrize("flavor", ["parametrization", "legacy"])
@pytest.mark.parametrize(("shape", "dim"), [((3, 20, 3, 3), 0), ((64, 3, 4, 4), 1), ((7, 1), 0), ((5, 33), -1)])
def test_power_method_by_its_definition(isa, shape, dim, flavor, dtype, tolerance):
    """From the same vectors, step by step; tolerance: a few roundings of vectors of norm one."""
    weight = random(shape, dtype)
    norm = SpectralNorm(weight, flavor=flavor, dim=dim, n_power_iterations=2, rng=3)
    matrix = oracle.spectral_matrix(weight, dim)
    for _ in range(5):
        u, v = norm.u.astype(np.float64), norm.v.astype(np.float64)
        for _ in range(2):
            u, v = oracle.power_step(matrix, u, v, flavor == "parametrization", 1e-12)
        normalized = norm.weight()
        assert np.abs(norm.u - u).max() < tolerance
        assert np.abs(norm.v - v).max() < tolerance
        assert norm.sigma == pytest.approx(u @ matrix @ v, rel=tolerance)
        assert normalized.dtype == dtype
        assert np.array_equal(normalized, weight / dtype(norm.sigma))


@pytest.mark.parametrize("flavor", ["parametrization", "legacy"])
def test_a_zero_weight_is_divided_by_zero_as_pytorch_does(flavor):
    """u and v become 0 with it, so it is 0 / 0 ever after; a vector's norm alone has eps as its least."""
    norm = SpectralNorm(np.zeros((3, 4, 3, 3), np.float32), flavor=flavor, rng=0)
    assert np.isnan(norm.weight()).all()
    assert norm.sigma == 0
    assert not norm.u.any()
    assert not norm.v.any()
    assert np.isnan(norm.weight(training=False)).all()
    if flavor == "parametrization":
        assert not SpectralNorm(np.zeros(5, np.float32)).weight().any()


def test_legacy_does_not_iterate_before_the_first_training_forward():
    """Its sigma is then that of two random vectors: some 2 per cent of the true one for a head like this."""
    weight = random((3, 128, 3, 3), np.float32)
    norm = SpectralNorm(weight, flavor="legacy", rng=0)
    assert abs(norm.sigma) < 0.1 * sigma(weight)
    assert np.linalg.norm(norm.u) == pytest.approx(1, rel=1e-6)
    assert np.linalg.norm(norm.v) == pytest.approx(1, rel=1e-6)
    parametrization = SpectralNorm(weight, rng=0)
    # Sixteen steps leave some per cent where singular values lie close together, as those of random filters do.
    assert 0.9 * sigma(weight) < parametrization.sigma <= sigma(weight) * (1 + 1e-6)


@pytest.mark.parametrize("flavor", ["parametrization", "legacy"])
def test_evaluation_changes_nothing_and_training_converges(flavor):
    weight = random((3, 20, 3, 3))
    norm = SpectralNorm(weight, flavor=flavor, rng=0)
    before = norm.state_dict()
    norm.weight(training=False)
    assert all(np.array_equal(before[key], value) for key, value in norm.state_dict().items())
    for _ in range(400):
        normalized = norm.weight()
    assert sigma(normalized) == pytest.approx(1, rel=1e-12)


def test_vectors_are_normalized_as_such():
    weight = random(9, np.float32)
    norm = SpectralNorm(weight)
    assert norm.u is None
    assert norm.v is None
    assert list(norm.state_dict()) == ["parametrizations.weight.original"]
    assert np.linalg.norm(norm.weight()) == pytest.approx(1, rel=1e-6)
    assert SpectralNorm(np.zeros(3)).weight().tolist() == [0, 0, 0]
    assert SpectralNorm(weight, flavor="legacy").u.shape == (9,)


def test_float16_is_computed_in_float32():
    weight = random((3, 40), np.float16)
    norm = SpectralNorm(weight, rng=0)
    assert norm.weight().dtype == np.float16
    assert norm.u.dtype == np.float32
    same = SpectralNorm(weight.astype(np.float32), rng=0)
    assert np.array_equal(norm.weight(), same.weight().astype(np.float16))


def test_the_weight_is_copied_and_may_be_stepped():
    weight = random((3, 10))
    norm = SpectralNorm(weight, rng=0)
    weight[:] = 0
    assert norm.sigma > 0.1
    before = norm.sigma
    norm.original[...] *= 2
    assert norm.sigma == pytest.approx(2 * before, rel=1e-14)


@pytest.mark.parametrize("flavor", ["parametrization", "legacy"])
@pytest.mark.parametrize("shape", [(3, 4, 2, 2), (5,)])
def test_state_round_trip(flavor, shape):
    norm, other = (SpectralNorm(random(shape, np.float32, seed), flavor=flavor, rng=seed) for seed in (0, 1))
    other.load_state_dict(norm.state_dict())
    for _ in range(3):
        assert np.array_equal(norm.weight(), other.weight())
    state = norm.state_dict()
    key = next(iter(state))
    with pytest.raises(ValueError, match=r"missing keys \['.*unknown keys \['other'\]"):
        norm.load_state_dict({"other": state[key], **{k: v for k, v in state.items() if k != key}})
    with pytest.raises(ValueError, match="must have shape"):
        norm.load_state_dict({**state, key: np.zeros((2, 2), np.float32)})
    with pytest.raises(TypeError, match="dtype int64"):
        norm.load_state_dict({**state, key: np.zeros(shape, np.int64)})
    with pytest.raises(TypeError, match="state must be a mapping"):
        norm.load_state_dict([state])


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"flavor": "old"}, ValueError, "flavor is 'old'; accepted"),
        ({"n_power_iterations": 0}, ValueError, "n_power_iterations must lie in 1"),
        ({"n_power_iterations": 1.0}, TypeError, "n_power_iterations must be an integer"),
        ({"eps": -1e-3}, ValueError, "eps must not be below 0"),
        ({"eps": "small"}, TypeError, "eps must be a number"),
        ({"dim": 4}, ValueError, "dim must be between -4 and 3"),
        ({"dim": 1.5}, TypeError, "dim must be an integer"),
        ({"rng": "seed"}, TypeError, "rng must be"),
    ],
)
def test_wrong_arguments(arguments, error, words):
    with pytest.raises(error, match=words):
        SpectralNorm(random((3, 4, 2, 2)), **arguments)


@pytest.mark.parametrize("function", [sigma, SpectralNorm])
@pytest.mark.parametrize(
    ("weight", "error", "words"),
    [
        (np.zeros((3, 4), np.int32), TypeError, "weight has dtype int32"),
        (np.zeros((3, 4), complex), TypeError, "weight has dtype complex128"),
        (np.float64(3), ValueError, "at least one dimension"),
        (np.zeros((3, 0)), ValueError, "one element"),
        ("weight", TypeError, "weight"),
    ],
)
def test_wrong_weights(function, weight, error, words):
    with pytest.raises(error, match=words):
        function(weight)


@pytest.mark.parametrize(
    ("position", "value"),
    [
        (0, np.zeros(3)),
        (0, np.zeros((2, 4))),
        (0, np.zeros((3, 4), np.float32)),
        (0, None),
        (1, np.zeros(4)),
        (1, np.zeros(3, np.float32)),
        (2, np.zeros(8)[::2]),
        (3, "one"),
        (4, None),
        (5, "eps"),
        (6, 1.5),
    ],
)
def test_the_binding_refuses_what_it_cannot_use(position, value):
    arguments = [np.zeros((3, 4)), np.zeros(3), np.zeros(4), 1, 0, 1e-12, 1]
    arguments[position] = value
    with pytest.raises((TypeError, ValueError)):
        _core.spectral_power(*arguments)
    with pytest.raises((TypeError, ValueError)):
        _core.spectral_sigma(np.zeros((5, 5)) if position == 0 else value)


def test_binding_with_empty_matrices():
    assert _core.spectral_power(np.zeros((0, 4)), np.zeros(0), np.zeros(4), 2, 1, 1e-12, 1) == 0
    assert _core.spectral_sigma(np.zeros((2, 0))) == 0


def test_public_names():
    assert {"SpectralNorm", "frequency_response", "operator_norm", "sigma"} <= set(gch.spectral.__all__)
    assert all(getattr(gch.spectral, name).__doc__ for name in gch.spectral.__all__)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(1, 1), (3, 1152), (3, 64, 4, 4), (4, 5), (2, 7), (4,)])
def test_the_short_way_to_sigma_is_the_long_one(rng, shape, dtype):
    weight = rng.standard_normal(shape).astype(dtype)
    given = _core.spectral_sigma_of_plain(weight, 0)
    assert given == sigma(weight) == _core.spectral_sigma(weight.reshape(shape[0], -1))
    spaced = np.zeros((*shape[:-1], 2 * shape[-1]), dtype)[..., ::2]
    spaced[...] = weight
    others = [spaced, weight.astype(weight.dtype.newbyteorder()), weight.view(np.matrix) if weight.ndim == 2 else None]
    for other in others:
        if other is not None and not (other.flags.c_contiguous and type(other) is np.ndarray and other.dtype.isnative):
            assert _core.spectral_sigma_of_plain(other, 0) is None
            assert sigma(other) == given
    for dim in (1, False, np.int64(0), None):
        assert _core.spectral_sigma_of_plain(weight, dim) is None
    assert _core.spectral_sigma_of_plain(weight[:0], 0) is None
    assert _core.spectral_sigma_of_plain([[1.0]], 0) is None
