"""Operator norms: against FFT and SVD, against the layer as a matrix, and the certificate against searching."""

import copy
import json
import math
import pickle

import numpy as np
import oracle
import pytest

import ganchroma as gch
from ganchroma.spectral import OperatorNorm, frequency_response, operator_norm, sigma


def random(shape, dtype=np.float64, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


# -- circular -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("outputs", [1, 2, 3, 4, 5, 17])
@pytest.mark.parametrize("channels", [1, 3, 20, 130])
@pytest.mark.parametrize("kernel", [(1, 1), (2, 2), (3, 3), (4, 5), (7, 6)])
def test_circular(isa, outputs, channels, kernel):
    weight = random((outputs, channels, *kernel))
    for size in ((3, 8), (9, 5), (1, 1)):
        norm = operator_norm(weight, padding_mode="circular", size=size)
        assert norm == pytest.approx(oracle.circular_gains(weight, size).max(), rel=1e-12)
        assert norm.upper == norm
        assert norm.method == "circular"


@pytest.mark.parametrize("stride", [(1, 1), (2, 2), (3, 2), (1, 4)])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("shape", [(64, 3, 4, 4), (3, 20, 4, 4), (3, 2, 5, 3), (2, 3, 1, 2), (40, 5, 2, 2)])
def test_circular_with_a_stride(isa, shape, transposed, stride):
    weight = random(shape)
    size = (6, 8)
    norm = operator_norm(weight, padding_mode="circular", size=size, transposed=transposed, stride=stride)
    assert norm == pytest.approx(oracle.circular_gains(weight, size, transposed, stride).max(), rel=1e-12)


def test_the_frequency_of_the_largest_gain():
    weight = random((3, 10, 3, 3))
    gains = oracle.circular_gains(weight, (8, 12))[..., 0]
    norm = operator_norm(weight, padding_mode="circular", size=(8, 12))
    y, x = (round(part * n) % n for part, n in zip(norm.frequency, (8, 12), strict=True))
    assert gains[y, x] == pytest.approx(gains.max(), rel=1e-12)
    blur, edge = np.ones((1, 1, 3, 3)), np.array([[[[1.0, -1.0]]]])
    assert operator_norm(blur, padding_mode="circular", size=8).frequency == (0.0, 0.0)
    assert operator_norm(edge, padding_mode="circular", size=8).frequency == (0.0, 0.5)


# -- supremum -----------------------------------------------------------------------------------------------------

LAYERS = [
    ((3, 30, 3, 3), False, (1, 1)),
    ((3, 3, 4, 4), False, (1, 1)),
    ((3, 9, 7, 7), False, (1, 1)),
    ((4, 2, 1, 5), False, (1, 1)),
    ((5, 8, 3, 2), False, (1, 1)),
    ((16, 3, 4, 4), True, (2, 2)),
    ((3, 5, 4, 4), False, (2, 2)),
    ((18, 18, 2, 2), False, (1, 1)),
]


@pytest.mark.parametrize(("shape", "transposed", "stride"), LAYERS)
@pytest.mark.parametrize("mean", [0.0, 1.0])
def test_supremum(shape, transposed, stride, mean):
    """No grid goes beyond its bound, and it is attained, where it says so."""
    weight = random(shape) + mean
    norm = operator_norm(weight, transposed=transposed, stride=stride)
    close = 1e-11 if min(shape[:2]) <= 16 else 1e-5
    assert norm <= norm.upper <= norm * (1 + close)
    for size in (12, 26, 60) if min(shape[:2]) <= 16 else (12,):
        gains = oracle.circular_gains(weight, (size, size), transposed, stride)
        assert gains.max() <= norm.upper
        assert gains.max() > 0.9 * norm
    y, x = norm.frequency
    assert 0 <= y <= 0.5
    assert -0.5 < x <= 0.5
    assert gain_at(weight, y, x, transposed, stride) == pytest.approx(float(norm), rel=1e-12)
    for dy, dx in 1e-4 * random((20, 2)):
        assert gain_at(weight, y + dy, x + dx, transposed, stride) <= norm.upper


def gain_at(weight, y, x, transposed, stride):
    """The largest singular value at any frequency of the coarse grid: the waves that alias to it, together."""
    matrices = []
    for down in range(stride[0]):
        for across in range(stride[1]):
            wave = np.multiply.outer(
                np.exp(-2j * np.pi * (y + down) / stride[0] * np.arange(weight.shape[2])),
                np.exp(-2j * np.pi * (x + across) / stride[1] * np.arange(weight.shape[3])),
            )
            matrix = (weight * wave).sum(axis=(2, 3)).T if transposed else (weight * wave).sum(axis=(2, 3)).conj()
            matrices.append(matrix)
    stacked = np.concatenate(matrices, axis=0 if transposed else 1)
    return np.linalg.norm(stacked, 2) / math.sqrt(stride[0] * stride[1])


@pytest.mark.parametrize("seed", range(4))
def test_supremum_against_a_climb_from_every_hill(seed):
    """The maximum between grid points, found by halving steps from the best places of a fine grid."""
    weight = random((3, 4, 3, 3), seed=seed)
    gains = oracle.circular_gains(weight, (48, 48))[..., 0]
    best = 0.0
    for place in np.argsort(gains, axis=None)[-12:]:
        y, x = (part / 48 for part in divmod(int(place), 48))
        value, step = gain_at(weight, y, x, False, (1, 1)), 1 / 96
        while step > 1e-9:
            around = [(y + i * step, x + j * step) for i in (-1, 0, 1) for j in (-1, 0, 1)]
            values = [gain_at(weight, *point, False, (1, 1)) for point in around]
            if max(values) > value * (1 + 1e-15):
                value, (y, x) = max(values), around[int(np.argmax(values))]
            else:
                step /= 2
        best = max(best, value)
    assert operator_norm(weight) == pytest.approx(best, rel=1e-12)


def test_supremum_where_the_gain_is_constant():
    """No cell can be left out: the bound says how far the search came. Zero taps do not count as kernel."""
    centre = np.zeros((3, 3, 5, 5))
    centre[[0, 1, 2], [0, 1, 2], 2, 2] = 2.0
    assert repr(operator_norm(centre)) == "OperatorNorm(2.0, upper=2.0, method='supremum')"
    shifts = np.zeros((2, 2, 3, 3))
    shifts[0, 0, 0, 0] = shifts[1, 1, 2, 2] = 1.0
    shifts[:] = np.einsum("ab,bcyx->acyx", np.linalg.qr(random((2, 2)))[0], shifts)
    norm = operator_norm(shifts)
    assert norm == pytest.approx(1.0, rel=1e-14)
    assert 1 <= norm.upper < 1.001


def test_supremum_bounds_and_is_approached_by_zero_padding():
    weight = random((3, 8, 3, 3))
    bound = operator_norm(weight)
    sizes = [operator_norm(weight, size=size) for size in (2, 4, 8, 16, 32)]
    assert sizes == sorted(sizes)
    assert 0.98 * bound < sizes[-1] <= bound.upper


# -- with borders -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["zeros", "reflect", "replicate"])
@pytest.mark.parametrize(
    ("shape", "size", "padding"),
    [
        ((3, 5, 3, 3), (7, 6), "same"),
        ((3, 30, 3, 3), (4, 5), 1),
        ((3, 2, 4, 4), (5, 6), "same"),
        ((1, 3, 7, 7), (8, 9), ((3, 3), (2, 4))),
        ((4, 3, 1, 1), (3, 4), 0),
        ((5, 2, 2, 3), (4, 4), "valid"),
        ((2, 1, 5, 5), (3, 3), 2),
    ],
)
def test_borders(mode, shape, size, padding):
    """The dense matrix of the layer, by its definition."""
    weight = random(shape)
    pads = (
        {
            "same": [((k - 1) // 2, k // 2) for k in shape[2:]],
            "valid": ((0, 0), (0, 0)),
        }.get(padding, padding)
        if isinstance(padding, str)
        else padding
    )
    if isinstance(pads, int):
        pads = ((pads, pads), (pads, pads))
    matrix = oracle.layer_matrix(
        lambda x: oracle.conv2d(x, weight, padding=tuple(map(tuple, pads)), padding_mode=mode), shape[1], size
    )
    norm = operator_norm(weight, size=size, padding_mode=mode, padding=padding)
    expected = np.linalg.norm(matrix, 2)
    assert norm == pytest.approx(expected, rel=1e-12)
    assert expected * (1 - 1e-13) <= norm.upper
    assert norm.upper == pytest.approx(expected, rel=1e-11)
    assert norm.method == "lanczos"
    assert norm.frequency is None


@pytest.mark.parametrize(
    ("shape", "size", "stride", "padding", "pads", "extra"),
    [
        ((16, 3, 4, 4), (4, 5), 2, "same", ((1, 1), (1, 1)), (0, 0)),
        ((2, 3, 5, 5), (4, 3), 2, "same", ((1, 2), (1, 2)), (0, 0)),
        ((2, 3, 1, 2), (4, 3), (3, 2), "same", ((0, 0), (0, 0)), (2, 0)),
        ((4, 3, 3, 3), (3, 3), 1, 0, ((0, 0), (0, 0)), (0, 0)),
    ],
)
def test_transposed_with_borders(shape, size, stride, padding, pads, extra):
    weight = random(shape)
    strides = (stride, stride) if isinstance(stride, int) else stride
    matrix = oracle.layer_matrix(
        lambda x: oracle.conv_transpose2d(x, weight, stride=strides, padding=pads, output_padding=extra), shape[0], size
    )
    norm = operator_norm(weight, size=size, transposed=True, stride=stride, padding=padding)
    assert norm == pytest.approx(np.linalg.norm(matrix, 2), rel=1e-12)
    assert norm <= operator_norm(weight, transposed=True, stride=stride).upper


def test_strided_with_borders():
    weight = random((3, 4, 4, 4))
    matrix = oracle.layer_matrix(lambda x: oracle.conv2d(x, weight, stride=(2, 2), padding=((1, 1), (1, 1))), 4, (6, 8))
    norm = operator_norm(weight, size=(6, 8), stride=2)
    assert norm == pytest.approx(np.linalg.norm(matrix, 2), rel=1e-12)
    assert norm <= operator_norm(weight, stride=2).upper


def test_borders_of_a_larger_image():
    """More unknowns than the basis holds: it is restarted."""
    weight = random((3, 4, 3, 3))
    matrix = oracle.layer_matrix(lambda x: oracle.conv2d(x, weight, padding=((1, 1), (1, 1))), 4, (12, 14))
    assert operator_norm(weight, size=(12, 14)) == pytest.approx(np.linalg.norm(matrix, 2), rel=1e-12)


def test_reflection_may_exceed_the_supremum():
    weight = np.array([[[[1.0, -1.0]]]])
    weight = np.concatenate([weight, 0 * weight], axis=3)[..., :3]
    assert operator_norm(weight, size=(1, 4), padding_mode="reflect") > operator_norm(weight).upper


# -- what all have in common --------------------------------------------------------------------------------------

EVERY = [{}, {"size": 6}, {"size": 6, "padding_mode": "circular"}, {"size": 6, "padding_mode": "reflect"}]
HEAD = {"transposed": True, "stride": 2}


@pytest.mark.parametrize("options", [*EVERY, HEAD, {**HEAD, "size": 4}])
def test_zeros_and_bad_weights(options):
    norm = operator_norm(np.zeros((3, 4, 3, 3)), **options)
    assert norm == 0
    assert norm.upper == 0
    for bad in (np.nan, np.inf, -np.inf):
        weight = random((3, 4, 3, 3))
        weight[1, 2, 0, 1] = bad
        norm = operator_norm(weight, **options)
        assert np.isnan(norm)
        assert np.isnan(norm.upper)


@pytest.mark.parametrize("options", EVERY)
@pytest.mark.parametrize("scale", [1e-300, 1e-160, 1e160, 1e300])
def test_any_scale(options, scale):
    weight = random((3, 4, 3, 3))
    assert operator_norm(scale * weight, **options) / scale == pytest.approx(
        operator_norm(weight, **options), rel=1e-12
    )


@pytest.mark.parametrize("options", EVERY)
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_other_floats_are_computed_in_double(options, dtype):
    weight = random((3, 4, 3, 3), dtype)
    assert operator_norm(weight, **options) == operator_norm(weight.astype(np.float64), **options)


@pytest.mark.parametrize("options", EVERY[:1] + EVERY[2:3])
@pytest.mark.scenario("threads")
def test_same_bits_for_every_thread_count(isa, options):
    weight = random((3, 300, 5, 5))
    found = {(float(norm), norm.upper) for norm in (operator_norm(weight, **options, threads=n) for n in (1, 2, 5))}
    assert len(found) == 1


def test_rank_one_filters():
    """Equal filters on equal channels: the norm of one, times the root of both numbers."""
    kernel = random((3, 3))
    weight = np.broadcast_to(kernel, (3, 5, 3, 3))
    one = operator_norm(kernel[None, None])
    assert operator_norm(weight) == pytest.approx(one * math.sqrt(15), rel=1e-12)
    assert operator_norm(weight, size=5) == pytest.approx(
        operator_norm(kernel[None, None], size=5) * math.sqrt(15), rel=1e-12
    )


def test_it_is_not_the_reshaped_norm():
    """Known of independent filters: the reshaped norm is the smaller; of the head of a DCGAN, the larger."""
    iid = gch.init.normal((3, 128, 3, 3), std=1 / math.sqrt(1152), rng=0)
    assert 0.78 < sigma(iid) / operator_norm(iid) < 0.93
    assert 0.15 < sigma(iid + 0.05) / operator_norm(iid + 0.05) < 0.5
    head = gch.init.normal((64, 3, 4, 4), std=0.02, rng=0)
    assert 1.35 < sigma(head, dim=1) / operator_norm(head, transposed=True, stride=2) < 1.5


def test_a_float_with_more_to_tell():
    norm = operator_norm(random((3, 4, 3, 3)))
    assert isinstance(norm, OperatorNorm)
    assert isinstance(norm, float)
    assert f"{norm:.3f}" == f"{float(norm):.3f}"
    assert str(norm) == str(float(norm))
    assert repr(norm).startswith("OperatorNorm(")
    assert json.loads(json.dumps(norm)) == float(norm)
    for same in (copy.deepcopy(norm), pickle.loads(pickle.dumps(norm))):
        assert same.to_dict() == norm.to_dict()
    assert list(norm.to_dict()) == ["value", "upper", "frequency", "method"]
    with pytest.raises(AttributeError):
        norm.upper = 3.0


def test_it_agrees_with_the_frequency_response():
    weight = random((64, 3, 4, 4))
    norm = operator_norm(weight, transposed=True, stride=2, padding_mode="circular", size=(6, 5))
    assert frequency_response(weight, (6, 5), transposed=True, stride=2).norm == pytest.approx(norm, rel=1e-14)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"padding_mode": "mirror"}, ValueError, "padding_mode is 'mirror'; accepted: zeros, reflect"),
        ({"padding_mode": None}, TypeError, "padding_mode must be a string"),
        ({"padding_mode": "reflect"}, ValueError, "size is None; padding_mode='reflect' needs a size"),
        ({"padding_mode": "reflect", "transposed": True, "size": 3}, ValueError, "accepted: zeros, circular"),
        ({"padding_mode": "circular", "size": 4, "padding": 1}, ValueError, 'circular" takes only "same"'),
        ({"padding_mode": "circular", "size": 5, "stride": 2}, ValueError, "multiple of the stride"),
        ({"size": 0}, ValueError, "size must lie in 1"),
        ({"size": 10**9}, ValueError, r"size is \(1000000000, 1000000000\): too large, at most"),
        ({"size": "64"}, TypeError, "size must be an integer or"),
        ({"size": 4, "padding": "some"}, ValueError, "padding is 'some'; accepted"),
        ({"size": 1, "padding": 0}, ValueError, "x has height 1"),
        ({"size": 1, "padding_mode": "reflect"}, ValueError, "too large for padding_mode"),
        ({"transposed": "yes"}, TypeError, "transposed must be True or False"),
        ({"stride": (1, 2, 3)}, ValueError, "stride must be an integer or"),
        ({"threads": 0}, ValueError, "threads"),
    ],
)
def test_wrong_arguments(options, error, words):
    with pytest.raises(error, match=words):
        operator_norm(random((3, 4, 3, 3)), **options)


def test_wrong_weights():
    for weight, error in ((np.zeros((3, 4)), ValueError), (np.zeros((3, 4, 3, 3), int), TypeError), (None, TypeError)):
        with pytest.raises(error, match="weight"):
            operator_norm(weight)


def test_gains_that_all_but_coincide_end_with_a_bound():
    """A half-band interpolation filter is flat about frequency 0: its largest gains on a long line are within 1e-12."""
    taps = np.array([-1.0, 0, 9, 16, 9, 0, -1]) / 32
    norm = operator_norm(taps.reshape(1, 1, 1, 7), size=(1, 2048))
    assert 1 - 1e-6 < norm <= norm.upper <= 1 + 1e-9


@pytest.mark.parametrize("size", [None, 8])
def test_a_padding_that_there_is_not(size):
    with pytest.raises((TypeError, ValueError), match="padding"):
        operator_norm(np.ones((3, 4, 3, 3)), padding="most", size=size)


def test_a_size_without_output_is_named():
    with pytest.raises(ValueError, match=r"size is \(2, 2\), for which this layer has no output"):
        operator_norm(np.ones((3, 4, 3, 3)), padding=0, size=2)
