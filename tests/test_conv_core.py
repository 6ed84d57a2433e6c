"""The private binding of the convolutions: bits that must not depend on how the work is cut, and calls that must not
crash.

What the numbers mean is tested through the public functions and, to the bit, by tests/c/test_conv.c.
"""

import itertools

import numpy as np
import pytest

from ganchroma import _core

LINEAR, TANH = (0, 0.0, 0.0), (1, 0.0, 0.0)
ZEROS, REFLECT, REPLICATE, CIRCULAR = range(4)


def geometry(*, transposed=0, stride=(1, 1), pad=(0, 0, 0, 0), mode=ZEROS, dilation=(1, 1), output_padding=(0, 0)):
    return (transposed, *stride, *pad, mode, *dilation, *output_padding)


# name: (kernel, geometry, output size of a 37 x 53 input)
HEADS = {
    "3x3": ((3, 3), geometry(pad=(1, 1, 1, 1)), (37, 53)),
    "1x1": ((1, 1), geometry(), (37, 53)),
    "7x7 reflect": ((7, 7), geometry(pad=(3, 3, 3, 3), mode=REFLECT), (37, 53)),
    "5x5 circular": ((5, 5), geometry(pad=(2, 2, 2, 2), mode=CIRCULAR), (37, 53)),
    "3x3 stride 2": ((3, 3), geometry(stride=(2, 2), pad=(1, 1, 1, 1)), (19, 27)),
    "3x3 dilated": ((3, 3), geometry(dilation=(2, 2), pad=(2, 2, 2, 2), mode=REPLICATE), (37, 53)),
    "transposed 4/2/1": ((4, 4), geometry(transposed=1, stride=(2, 2), pad=(1, 1, 1, 1)), (74, 106)),
    "transposed 5x5 stride 2": ((5, 5), geometry(transposed=1, stride=(2, 2), pad=(1, 2, 1, 2)), (74, 106)),
}


def head(name, dtype, images=2, channels=35):
    kernel, geom, size = HEADS[name]
    rng = np.random.default_rng(7)
    x = rng.standard_normal((images, channels, 37, 53)).astype(dtype)
    shape = (channels, 3, *kernel) if geom[0] else (3, channels, *kernel)
    weight = (rng.standard_normal(shape) * 0.1).astype(dtype)
    return x, weight, geom, (images, 3, *size)


def run(
    x, weight, geom, shape, *, bias=None, channel_scale=None, moments=None, activation=LINEAR, scale=1.0, threads=1
):
    out = np.full(shape, np.nan, x.dtype)
    _core.conv(x, weight, bias, channel_scale, out, moments, geom, activation, scale, threads)
    return out


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", HEADS)
@pytest.mark.scenario("threads")
def test_threads_and_batches_do_not_change_bits(name, dtype, isa):
    x, weight, geom, shape = head(name, dtype)
    one = run(x, weight, geom, shape)
    assert np.array_equal(one, run(x, weight, geom, shape, threads=3))
    for n in range(len(x)):
        assert np.array_equal(one[n : n + 1], run(x[n : n + 1], weight, geom, (1, *shape[1:]), threads=2))


@pytest.mark.skipif("avx2" not in _core.available_isas(), reason="one set of vector instructions only")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", HEADS)
def test_fused_instruction_sets_agree_to_the_bit(name, dtype):
    x, weight, geom, shape = head(name, dtype)
    before, results = _core.isa(), []
    try:
        for fused in [isa for isa in _core.available_isas() if isa != "scalar"]:
            _core.select_isa(fused)
            moments = np.empty((len(x), 11))
            results.append((run(x, weight, geom, shape, moments=moments, activation=TANH), moments))
    finally:
        _core.select_isa(before)
    for out, moments in results[1:]:
        assert np.array_equal(out, results[0][0])
        assert np.array_equal(moments, results[0][1])


@pytest.mark.parametrize("width", [1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 48, 49, 64, 65])
def test_a_pixel_does_not_depend_on_its_place_in_a_row(width, isa):
    """Tiles at the edges mask what tiles inside load whole: the same row in a wider image gives the same pixels."""
    rng = np.random.default_rng(width)
    x = rng.standard_normal((1, 17, 5, width)).astype(np.float32)
    weight = rng.standard_normal((3, 17, 3, 3)).astype(np.float32)
    wide = np.zeros((1, 17, 5, width + 29), np.float32)
    wide[..., 13 : 13 + width] = x
    geom = geometry(pad=(1, 1, 1, 1))
    small, large = run(x, weight, geom, (1, 3, 5, width)), run(wide, weight, geom, (1, 3, 5, width + 29))
    assert np.array_equal(small, large[..., 13 : 13 + width])


def test_channel_scale_is_folded_into_the_weights(isa):
    x, weight, geom, shape = head("3x3", np.float32)
    scale = np.random.default_rng(3).uniform(0.5, 2, (2, 35)).astype(np.float32)
    scaled = run(x, weight, geom, shape, channel_scale=scale, threads=2)
    for n in range(2):
        folded = weight * scale[n][None, :, None, None]
        assert np.array_equal(scaled[n : n + 1], run(x[n : n + 1], folded, geom, (1, *shape[1:])))


def test_nonfinite_values_reach_their_neighbourhood_and_no_further(isa):
    x, weight, geom, shape = head("3x3", np.float32, images=1)
    x[0, 4, 10, 20] = np.nan
    moments = np.empty((1, 11))
    out = run(x, weight, geom, shape, moments=moments)
    lost = np.zeros(shape, bool)
    lost[:, :, 9:12, 19:22] = True
    assert np.array_equal(np.isnan(out), lost)
    assert moments[0, 10] == 9
    assert moments[0, 0] == 37 * 53 - 9


def test_an_empty_batch_is_an_empty_result(isa):
    x, weight, geom, shape = head("3x3", np.float32)
    moments = np.empty((0, 11))
    assert run(x[:0], weight, geom, (0, *shape[1:]), moments=moments).shape == (0, 3, 37, 53)


def good_call():
    x, weight, geom, shape = head("3x3", np.float32)
    return [x, weight, None, None, np.empty(shape, np.float32), None, geom, LINEAR, 1.0, 1]


def changed(index, value):
    call = good_call()
    call[index] = value
    return call


def geometry_with(index, value):
    geom = list(good_call()[6])
    geom[index] = value
    return changed(6, tuple(geom))


BAD = {
    "x is no array": (changed(0, None), TypeError),
    "x has another dtype": (changed(0, good_call()[0].astype(np.int32)), TypeError),
    "x has three dimensions": (changed(0, good_call()[0][0]), ValueError),
    "x has no channels": (changed(0, good_call()[0][:, :0]), ValueError),
    "x has no rows": (changed(0, good_call()[0][:, :, :0]), ValueError),
    "weight has another dtype": (changed(1, good_call()[1].astype(np.float64)), TypeError),
    "weight has other channels": (changed(1, good_call()[1][:, :7]), ValueError),
    "weight has no filters": (changed(1, good_call()[1][:0]), ValueError),
    "weight has no taps": (changed(1, good_call()[1][..., :0]), ValueError),
    "bias is too short": (changed(2, np.zeros(2, np.float32)), ValueError),
    "channel_scale is for one image": (changed(3, np.ones((1, 35), np.float32)), ValueError),
    "channel_scale has one dimension": (changed(3, np.ones(35, np.float32)), ValueError),
    "out is too small": (changed(4, np.empty((2, 3, 37, 52), np.float32)), ValueError),
    "out has strides": (changed(4, np.empty((2, 3, 37, 106), np.float32)[..., ::2]), ValueError),
    "moments are float32": (changed(5, np.empty((2, 11), np.float32)), TypeError),
    "moments are for one image": (changed(5, np.empty((1, 11))), ValueError),
    "geometry is a list": (changed(6, list(geometry())), TypeError),
    "geometry is short": (changed(6, geometry()[:-1]), TypeError),
    "geometry holds a float": (geometry_with(1, 1.5), TypeError),
    "stride 0": (geometry_with(1, 0), ValueError),
    "huge stride": (geometry_with(2, 2**62), ValueError),
    "stride beyond 64 bits": (geometry_with(2, 2**70), OverflowError),
    "negative padding": (geometry_with(3, -1), ValueError),
    "huge padding": (geometry_with(4, 2**62), ValueError),
    "unknown padding mode": (geometry_with(7, 4), ValueError),
    "huge dilation": (geometry_with(8, 2**62), ValueError),
    "output padding of a convolution": (geometry_with(10, 1), ValueError),
    "activation is a name": (changed(7, "tanh"), TypeError),
    "unknown activation": (changed(7, (6, 0.0, 0.0)), ValueError),
    "scale is a name": (changed(8, "one"), TypeError),
    "threads is a float": (changed(9, 1.5), TypeError),
    "an argument is missing": (good_call()[:-1], TypeError),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_calls_are_refused(name):
    call, error = BAD[name]
    with pytest.raises(error):
        _core.conv(*call)


def test_moments_need_three_filters():
    x, weight, geom, _ = head("3x3", np.float32)
    with pytest.raises(ValueError, match="3 filters"):
        _core.conv(x, weight[:2], None, None, None, np.empty((2, 11)), geom, LINEAR, 1.0, 1)


def test_any_small_geometry_is_refused_or_answered():
    """No combination may crash or write beyond its output, whatever the geometry."""
    x, weight = np.ones((1, 1, 4, 4), np.float32), np.ones((1, 1, 2, 2), np.float32)
    answered = 0
    for mode, stride, pad, dilation, extra in itertools.product(range(4), (1, 3, 9), (0, 3, 4, 5), (1, 4), (0, 1)):
        for transposed in (0, 1):
            full = 3 * stride + dilation + 1 + extra - 2 * pad if transposed else (3 + 2 * pad - dilation) // stride + 1
            geom = (transposed, stride, stride, pad, pad, pad, pad, mode, dilation, dilation, extra, extra)
            out = np.full((1, 1, max(full, 0), max(full, 0)), np.nan, np.float32)
            try:
                _core.conv(x, weight, None, None, out, None, geom, LINEAR, 1.0, 1)
            except ValueError:
                continue
            assert np.isfinite(out).all()
            answered += 1
    assert answered > 100
