"""conv2d and conv_transpose2d against their definitions: every option, instruction set, layout and thread count."""

import itertools

import numpy as np
import oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import same_bits

import ganchroma as gch
from ganchroma import _core

SIZES = (1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 49)
FUSED = [name for name in _core.available_isas() if name != "scalar"]
OURS = {False: gch.conv2d, True: gch.conv_transpose2d}
TRUE = {False: oracle.conv2d, True: oracle.conv_transpose2d}


def draw(rng, transposed, *, images=2, channels=5, filters=3, size=(9, 17), kernel=(3, 3), dtype=np.float64):
    shape = (channels, filters, *kernel) if transposed else (filters, channels, *kernel)
    x = rng.standard_normal((images, channels, *size)).astype(dtype)
    weight = (rng.standard_normal(shape) / np.sqrt(channels * np.prod(kernel))).astype(dtype)
    return x, weight, rng.standard_normal(filters).astype(dtype)


def assert_right(transposed, x, weight, bias, result, **options):
    """`result` is within the bound that any order of summation obeys (Higham, 2002, section 3.1).

    A sum of n products in working precision is off by at most n u sum |products|; four more roundings are the scaled
    weight, the scale and the bias; activations are 1-Lipschitz here (slopes at most 1) and good to 4 ulp of 1.
    """
    unit = np.finfo(result.dtype).eps / 2
    plain = {name: value for name, value in options.items() if name not in ("activation", "layout")}
    for name in ("channel_scale", "output_scale"):
        if plain.get(name) is not None:
            plain[name] = np.abs(plain[name])
    terms = weight.size // weight.shape[1 if transposed else 0] + 4
    sizes = TRUE[transposed](np.abs(x), np.abs(weight), None if bias is None else np.abs(bias), **plain)
    expected = TRUE[transposed](x, weight, bias, **options)
    assert result.shape == expected.shape
    assert np.all(np.abs(result - expected) <= terms * unit * sizes + 8 * unit)


def fits(transposed, size, kernel, *, stride, dilation, padding, output_padding=(0, 0), padding_mode="zeros"):
    """Whether such a layer exists, by the rules of PyTorch."""
    for axis in range(2):
        reach, pads = dilation[axis] * (kernel[axis] - 1) + 1, padding[axis]
        full = (size[axis] - 1) * stride[axis] + reach + output_padding[axis]
        limit = {"reflect": size[axis] - 1, "circular": size[axis]}.get(padding_mode, np.inf)
        if (full <= sum(pads)) if transposed else (size[axis] + sum(pads) < reach or max(pads) > limit):
            return False
    return True


def assert_right_or_refused(transposed, x, weight, bias, options):
    options = {"stride": (1, 1), "dilation": (1, 1), "padding": ((0, 0), (0, 0)), **options}
    if fits(transposed, x.shape[2:], weight.shape[2:], **options):
        assert_right(transposed, x, weight, bias, OURS[transposed](x, weight, bias, **options), **options)
    else:
        with pytest.raises(ValueError, match=r"padding|kernel reaches"):
            OURS[transposed](x, weight, bias, **options)


# -- right ------------------------------------------------------------------------------------------------------

CONV = [
    {},
    {"padding": ((1, 1), (1, 1))},
    {"padding": ((0, 3), (2, 1)), "stride": (2, 1)},
    {"padding": ((2, 2), (3, 3)), "dilation": (2, 3)},
    {"padding": ((4, 0), (0, 5)), "stride": (3, 2), "dilation": (1, 2)},
    {"stride": (1, 5)},
    {"padding": ((2, 1), (4, 3)), "padding_mode": "reflect"},
    {"padding": ((2, 1), (4, 3)), "padding_mode": "reflect", "stride": (2, 2), "dilation": (2, 1)},
    {"padding": ((12, 1), (4, 30)), "padding_mode": "replicate"},
    {"padding": ((9, 1), (17, 3)), "padding_mode": "circular", "stride": (1, 2)},
]
TRANSPOSED = [
    {},
    {"padding": ((1, 1), (1, 1)), "stride": (2, 2)},
    {"padding": ((1, 2), (1, 2)), "stride": (2, 2)},
    {"padding": ((0, 1), (2, 0)), "stride": (3, 1), "output_padding": (2, 0)},
    {"stride": (4, 5), "output_padding": (3, 1)},
    {"stride": (2, 2), "dilation": (2, 3), "output_padding": (1, 2), "padding": ((3, 0), (1, 1))},
    {"dilation": (3, 2), "padding": ((2, 2), (0, 3))},
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kernel", [(1, 1), (3, 3), (4, 4), (5, 5), (7, 7), (2, 3), (6, 1)])
@pytest.mark.parametrize(
    ("transposed", "options"), [(False, case) for case in CONV] + [(True, case) for case in TRANSPOSED]
)
def test_every_geometry(isa, rng, transposed, options, kernel, dtype):
    x, weight, bias = draw(rng, transposed, kernel=kernel, dtype=dtype)
    assert_right_or_refused(transposed, x, weight, bias, options)


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sizes_around_the_vector_and_the_tile(isa, rng, transposed, dtype):
    options = {"padding": ((1, 1), (1, 1)), **({"stride": (2, 2)} if transposed else {})}
    for width, height in [*((n, 3) for n in SIZES), *((17, n) for n in (1, 2, 4, 5, 6, 9))]:
        kernel = (4, 4) if transposed else (3, 3)
        x, weight, bias = draw(rng, transposed, images=1, size=(height, width), kernel=kernel, dtype=dtype)
        assert_right(transposed, x, weight, bias, OURS[transposed](x, weight, bias, **options), **options)


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("channels", [1, 15, 16, 17, 32, 33])
@pytest.mark.parametrize("filters", [1, 2, 3, 4, 5, 9])
def test_channels_around_the_block_and_filters_around_the_group(isa, rng, transposed, channels, filters):
    x, weight, bias = draw(rng, transposed, channels=channels, filters=filters, size=(5, 18), dtype=np.float32)
    assert_right(transposed, x, weight, bias, OURS[transposed](x, weight, bias))


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize(
    "activation", ["linear", "tanh", "sigmoid", "relu", ("leaky_relu", 0.3), "clamp", ("clamp", -0.25, 0.5)]
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scales_bias_and_activation(isa, rng, transposed, activation, dtype):
    x, weight, bias = draw(rng, transposed, dtype=dtype)
    per_image = rng.standard_normal((2, 5)).astype(dtype)
    for scale, given_bias in itertools.product((None, per_image, per_image[0]), (bias, None)):
        options = {"activation": activation, "channel_scale": scale, "output_scale": -1.75}
        result = OURS[transposed](x, weight, given_bias, **options)
        assert_right(transposed, x, weight, given_bias, result, **options)


@st.composite
def problems(draw_one):
    """Shapes that no one would think of."""

    def ints(low, high):
        return draw_one(st.tuples(st.integers(low, high), st.integers(low, high)))

    transposed = draw_one(st.booleans())
    shape = {
        "images": draw_one(st.integers(0, 3)),
        "channels": draw_one(st.integers(1, 20)),
        "filters": draw_one(st.integers(1, 6)),
        "size": (draw_one(st.integers(1, 12)), draw_one(st.integers(1, 40))),
        "kernel": ints(1, 6),
        "dtype": draw_one(st.sampled_from([np.float32, np.float64])),
    }
    options = {"stride": ints(1, 4), "dilation": ints(1, 3), "padding": (ints(0, 5), ints(0, 5))}
    if transposed:
        limits = [max(pair) for pair in zip(options["stride"], options["dilation"], strict=True)]
        options["output_padding"] = tuple(draw_one(st.integers(0, limit - 1)) for limit in limits)
    else:
        options["padding_mode"] = draw_one(st.sampled_from(["zeros", "reflect", "replicate", "circular"]))
    return transposed, shape, options


@settings(max_examples=150, deadline=None, derandomize=True)
@given(problems())
def test_any_shape(problem):
    transposed, shape, options = problem
    x, weight, bias = draw(np.random.default_rng(1), transposed, **shape)
    assert_right_or_refused(transposed, x, weight, bias, options)


@pytest.mark.parametrize("far", [1_000_000, 2**30])
@pytest.mark.parametrize("padding_mode", ["zeros", "replicate"])
def test_memory_is_for_what_is_read_and_not_for_what_is_strode_over(isa, rng, far, padding_mode):
    """What lies between the taps would fill terabytes."""
    x, weight, bias = draw(rng, False, size=(5, 7))
    first = gch.conv2d(x, weight, bias)[:, :, :1, :1]
    for stride in ((far, far), (far, 1), (1, far)):
        result = gch.conv2d(x, weight, bias, stride=stride, padding_mode=padding_mode)
        np.testing.assert_array_equal(result[:, :, :1, :1], first)
        assert result.shape[2:] == (1 if stride[0] > 1 else 3, 1 if stride[1] > 1 else 5)
    spread = {"dilation": far, "padding": far, "padding_mode": padding_mode}
    every = gch.conv2d(x, weight, bias, dilation=7, padding=7, padding_mode=padding_mode)  # 7: outer taps read padding
    np.testing.assert_array_equal(gch.conv2d(x, weight, bias, **spread), every)
    np.testing.assert_array_equal(gch.conv2d(x, weight, bias, stride=far, **spread), every[:, :, :1, :1])


def test_padding_is_spelt_in_many_ways(rng):
    x, weight, _ = draw(rng, False, kernel=(4, 3), size=(8, 9))
    full = gch.conv2d(x, weight, padding=((1, 2), (1, 1)))
    np.testing.assert_array_equal(gch.conv2d(x, weight, padding="same"), full)
    np.testing.assert_array_equal(gch.conv2d(x, weight, padding=[(1, 2), np.array([1, 1])]), full)
    assert full.shape[2:] == (8, 9)
    one = gch.conv2d(x, weight, padding=1)
    for same in ((1, 1), [1, 1], np.array([1, 1]), np.int64(1), ((1, 1), (1, 1))):
        np.testing.assert_array_equal(gch.conv2d(x, weight, padding=same), one)
    np.testing.assert_array_equal(gch.conv2d(x, weight, padding="valid"), gch.conv2d(x, weight))
    dilated = gch.conv2d(x, weight, padding="same", dilation=2, padding_mode="circular")
    options = {"padding": ((3, 3), (2, 2)), "dilation": (2, 2), "padding_mode": "circular"}
    assert_right(False, x, weight, None, dilated, **options)
    turned = weight.swapaxes(0, 1)
    assert gch.conv_transpose2d(x, turned, padding="same").shape[2:] == (8, 9)


# -- bits -------------------------------------------------------------------------------------------------------


def grid(rng, shape, dtype=np.float32):
    """Multiples of 2^-10 below 4: products and their sums with a float32 are exact in float64."""
    return (rng.integers(-4095, 4096, shape) / 1024).astype(dtype)


def in_the_stated_order(patches, weight, bias, scale):
    """The contract: blocks of 16 channels, one chain of fused multiply-adds in each in the order channel, kx, ky."""
    channels, rows, columns = weight.shape
    total = None
    for first in range(0, channels, 16):
        chain = np.zeros(patches.shape[3:], np.float32)
        for c, kx, ky in itertools.product(range(first, min(first + 16, channels)), range(columns), range(rows)):
            product = patches[c, ky, kx].astype(np.float64) * np.float64(weight[c, ky, kx])
            chain = (chain + product).astype(np.float32)
        total = chain if total is None else total + chain
    return total * np.float32(scale) + bias


@pytest.mark.parametrize("name", FUSED)
@pytest.mark.parametrize("kernel", [(1, 1), (3, 3), (4, 4), (7, 7), (3, 5), (6, 2)])
@pytest.mark.parametrize("stride", [1, 2])
def test_order_of_accumulation(name, rng, kernel, stride):
    x, weight, bias = grid(rng, (1, 35, 11, 21)), grid(rng, (3, 35, *kernel)), grid(rng, 3)
    before = _core.isa()
    _core.select_isa(name)
    try:
        result = gch.conv2d(x, weight, bias, stride=stride, output_scale=0.375)
    finally:
        _core.select_isa(before)
    windows = np.lib.stride_tricks.sliding_window_view(x[0], kernel, axis=(1, 2))[:, ::stride, ::stride]
    patches = windows.transpose(0, 3, 4, 1, 2)
    for o in range(3):
        np.testing.assert_array_equal(result[0, o], in_the_stated_order(patches, weight[o], bias[o], 0.375))


@pytest.mark.parametrize("name", FUSED)
@pytest.mark.parametrize("kernel", [(4, 4), (5, 5), (2, 7)])
def test_order_of_accumulation_transposed(name, rng, kernel):
    x, weight, bias = grid(rng, (1, 35, 6, 19)), grid(rng, (35, 3, *kernel)), grid(rng, 3)
    before = _core.isa()
    _core.select_isa(name)
    try:
        result = gch.conv_transpose2d(x, weight, bias, stride=2, output_scale=0.375)
    finally:
        _core.select_isa(before)
    # A tap hits every second pixel: where it misses, it adds an exact zero, which changes no sum.
    patches = np.zeros((35, *kernel, *result.shape[2:]), np.float32)
    for c, ky, kx in itertools.product(range(35), range(kernel[0]), range(kernel[1])):
        patches[c, ky, kx, ky : ky + 11 : 2, kx : kx + 37 : 2] = x[0, c]
    for o in range(3):
        np.testing.assert_array_equal(result[0, o], in_the_stated_order(patches, weight[:, o], bias[o], 0.375))


BITS = [
    (False, {"kernel": (3, 3)}, {"padding": 1, "activation": "tanh"}),
    (False, {"kernel": (7, 7)}, {"padding": 3, "padding_mode": "reflect", "activation": "sigmoid"}),
    (False, {"kernel": (1, 1), "channels": 67}, {}),
    (False, {"kernel": (5, 5)}, {"stride": 2, "dilation": 2, "padding": 4}),
    (True, {"kernel": (4, 4), "channels": 33}, {"stride": 2, "padding": 1, "activation": "tanh"}),
    (True, {"kernel": (5, 5)}, {"stride": 2, "padding": ((1, 2), (1, 2))}),
    (True, {"kernel": (3, 2)}, {"stride": 3, "output_padding": 2}),
]


@pytest.mark.parametrize(("transposed", "shape", "options"), BITS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.scenario("threads")
def test_same_bits_for_any_thread_count_instruction_set_and_batch(rng, transposed, shape, options, dtype):
    x, weight, bias = draw(rng, transposed, **{"channels": 18, **shape}, images=3, size=(37, 53), dtype=dtype)
    function, before = OURS[transposed], _core.isa()
    reference = function(x, weight, bias, **options, threads=1)
    for threads in (2, 3):
        np.testing.assert_array_equal(function(x, weight, bias, **options, threads=threads), reference)
    alone = function(x[1:2], weight, bias, **options)
    np.testing.assert_array_equal(alone[0], reference[1])
    try:
        for name in FUSED:
            _core.select_isa(name)
            np.testing.assert_array_equal(function(x, weight, bias, **options), reference)
    finally:
        _core.select_isa(before)


# -- arrays in and out ------------------------------------------------------------------------------------------


def byte_swapped(a):
    return a.astype(a.dtype.newbyteorder(">"))


def misaligned(a):
    room = np.empty(a.nbytes + 1, np.uint8)
    view = room[1:].view(a.dtype).reshape(a.shape)
    view[...] = a
    return view


VIEWS = {
    "fortran": np.asfortranarray,
    "negative": lambda a: np.ascontiguousarray(a[..., ::-1])[..., ::-1],
    "sliced": lambda a: np.repeat(a, 2, axis=-1)[..., ::2],
    "byte-swapped": byte_swapped,
    "misaligned": misaligned,
    "list": lambda a: a.tolist(),
}


@pytest.mark.parametrize("view", VIEWS)
def test_memory_of_any_kind(rng, view):
    x, weight, bias = draw(rng, False)
    scale = rng.standard_normal((2, 5))
    expected = gch.conv2d(x, weight, bias, channel_scale=scale, padding=1)
    change = VIEWS[view]
    result = gch.conv2d(change(x), change(weight), change(bias), channel_scale=change(scale), padding=1)
    np.testing.assert_array_equal(result, expected)
    assert result.dtype.isnative
    assert result.flags.c_contiguous
    assert result.flags.writeable
    assert result.flags.owndata


def test_inputs_are_left_alone(rng):
    x, weight, bias = draw(rng, False)
    kept = [a.copy() for a in (x, weight, bias)]
    for a in (x, weight, bias):
        a.setflags(write=False)
    gch.conv2d(x, weight, bias, padding=2, padding_mode="reflect", activation="tanh")
    for a, copy in zip((x, weight, bias), kept, strict=True):
        np.testing.assert_array_equal(a, copy)


@pytest.mark.parametrize("transposed", [False, True])
def test_layouts(rng, transposed):
    x, weight, bias = draw(rng, transposed)
    function = OURS[transposed]
    expected = function(x, weight, bias, padding=1)
    last = function(np.moveaxis(x, 1, -1), weight, bias, padding=1, layout="NHWC")
    np.testing.assert_array_equal(last, np.moveaxis(expected, 1, -1))
    assert last.flags.c_contiguous
    strided = np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)
    answer = function(strided, weight, bias, padding=1)
    np.testing.assert_array_equal(answer, expected)
    assert np.moveaxis(answer, 1, -1).flags.c_contiguous
    assert not answer.flags.c_contiguous


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_out(rng, dtype, layout):
    x, weight, bias = draw(rng, False, dtype=dtype)
    if layout == "NHWC":
        x = np.ascontiguousarray(np.moveaxis(x, 1, -1))
    expected = gch.conv2d(x, weight, bias, padding=1, layout=layout)
    out = np.full(expected.shape, np.nan, dtype)
    assert gch.conv2d(x, weight, bias, padding=1, layout=layout, out=out) is out
    np.testing.assert_array_equal(out, expected)


def test_float16_is_computed_in_float32(rng):
    x, weight, bias = draw(rng, False, channels=40, dtype=np.float16)
    single = [a.astype(np.float32) for a in (x, weight, bias)]
    result = gch.conv2d(x, weight, bias, channel_scale=np.full(40, 0.5, np.float16), activation="tanh")
    expected = gch.conv2d(*single, channel_scale=np.full(40, 0.5, np.float32), activation="tanh")
    np.testing.assert_array_equal(result, expected.astype(np.float16))
    loud = gch.conv2d(np.full((1, 1, 1, 1), 6e4, np.float16), np.full((1, 1, 1, 1), 2, np.float16))
    assert loud[0, 0, 0, 0] == np.inf


@pytest.mark.parametrize("transposed", [False, True])
def test_no_images(isa, transposed):
    x, weight = np.empty((0, 5, 8, 8), np.float32), np.ones((5, 5, 3, 3), np.float32)
    result = OURS[transposed](x, weight, padding=1, channel_scale=np.ones((0, 5), np.float32))
    assert result.shape == (0, 5, 8, 8)
    assert result.dtype == np.float32


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("activation", ["linear", "tanh", "relu", "clamp"])
@pytest.mark.filterwarnings("ignore:invalid value")  # the oracle's own: inf - inf is the point here
def test_nan_and_infinity_reach_what_they_touch_and_nothing_else(isa, rng, transposed, activation):
    x, weight, bias = draw(rng, transposed, size=(12, 40), dtype=np.float32)
    x[0, 1, 3, 5], x[0, 2, 8, 33], x[1, 0, 2, 20], x[1, 4, 3, 21] = np.nan, np.inf, np.inf, -np.inf
    options = {"padding": ((1, 1), (1, 1)), "activation": activation}
    result = OURS[transposed](x, weight, bias, **options)
    expected = TRUE[transposed](x, weight, bias, **options)
    np.testing.assert_allclose(result, expected, atol=1e-5)  # assert_allclose wants NaN and inf at the same places
    assert np.isnan(expected).any()


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("value", [np.inf, np.nan])
@pytest.mark.parametrize("through", ["conv", "transposed", "transposed scale"])
@pytest.mark.filterwarnings("ignore:invalid value")  # the oracle's own: 0 inf in a padded convolution
def test_weights_that_are_not_finite_meet_only_pixels_that_are_there(isa, stride, value, through):
    """A convolution pads with zeros, and 0 inf is NaN; a transposed one pads with nothing."""
    transposed = through != "conv"
    x, scale = np.ones((2, 19, 5, 33), np.float32), np.ones((2, 19), np.float32)
    for tap in itertools.product((0, 2, 3), repeat=2):
        weight = np.ones((19, 3, 4, 4) if transposed else (3, 19, 4, 4), np.float32)
        if through == "transposed scale":
            scale[1, 17] = value
        else:
            weight[(17, 1, *tap) if transposed else (1, 17, *tap)] = value
        options = {"stride": (stride, stride), "padding": ((1, 2), (1, 2)), "channel_scale": scale}
        expected = TRUE[transposed](x, weight, **options)
        assert not np.isfinite(expected).all()
        np.testing.assert_array_equal(OURS[transposed](x, weight, **options), expected)  # sums of ones are exact


@pytest.mark.parametrize("transposed", [False, True])
def test_accuracy_is_what_the_docstrings_state(transposed):
    # Measured over four seeds: 4.9e-7 and 1.5e-7; fused against unfused 2.1e-7 and 1.2e-7. The limits leave a quarter.
    limit, between, shape, options = (
        (2e-7, 1.5e-7, (64, 3, 4, 4), {"stride": (2, 2), "padding": ((1, 1), (1, 1))})
        if transposed
        else (6e-7, 2.6e-7, (3, 64, 7, 7), {"padding": ((3, 3), (3, 3))})
    )
    function = OURS[transposed]
    rng = np.random.default_rng(11)
    x, weight = (rng.standard_normal(size).astype(np.float32) for size in ((1, 64, 24, 24), shape))
    bias = np.zeros(3)
    exact = TRUE[transposed](x.astype(np.float64), weight.astype(np.float64), bias, **options)
    wide_exact = TRUE[transposed](x / np.float64(3), weight.astype(np.float64), bias, **options) * 3
    size = np.sqrt(np.mean(exact**2))
    before, results = _core.isa(), {}
    try:
        for name in _core.available_isas():
            _core.select_isa(name)
            results[name] = function(x, weight, **options).astype(np.float64)
            error = np.sqrt(np.mean((results[name] - exact) ** 2)) / size
            assert error < limit, name
            wide = function(x / np.float64(3), weight.astype(np.float64), **options) * 3
            assert np.sqrt(np.mean((wide - wide_exact) ** 2)) / size < 2 * limit / 5e8, name  # twice: the oracle's own
    finally:
        _core.select_isa(before)
    difference = results["scalar"] - results[before]
    assert np.sqrt(np.mean(difference**2)) / size < between


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("transposed", "kernel", "options"),
    [
        (False, (1, 1), {}),
        (False, (3, 3), {"padding": 1}),
        (False, (7, 7), {"padding": 3, "padding_mode": "reflect"}),
        (False, (3, 5), {"padding": ((4, 4), (2, 2)), "stride": (3, 1), "dilation": (2, 1)}),
        (True, (4, 4), {"stride": 2, "padding": 1}),
        (True, (4, 3), {"stride": (2, 1), "dilation": 2, "output_padding": (1, 0)}),
    ],
)
def test_channels_last_memory_gives_the_same_bits(isa, transposed, kernel, options, dtype):
    rng = np.random.default_rng(2)
    function = gch.conv_transpose2d if transposed else gch.conv2d
    for channels, filters, height, width in ((1, 3, 9, 8), (17, 3, 13, 33), (40, 5, 20, 15)):
        x = rng.normal(size=(2, channels, height, width)).astype(dtype)
        shape = (channels, filters) if transposed else (filters, channels)
        weight = rng.normal(size=(*shape, *kernel)).astype(dtype)
        expected = function(x, weight, **options)
        last = np.ascontiguousarray(x.transpose(0, 2, 3, 1))
        for threads in (1, 3):
            found = function(last.transpose(0, 3, 1, 2), weight, threads=threads, **options)
            assert same_bits(found, expected)
            assert found.transpose(0, 2, 3, 1).flags.c_contiguous or channels == 1
            found = function(last, weight, layout="NHWC", threads=threads, **options)
            assert same_bits(found.transpose(0, 3, 1, 2), expected)


def test_channels_last_input_is_not_copied():
    import tracemalloc

    x = np.ones((2, 64, 64, 256), np.float32)  # (N, H, W, C): 8 MB
    weight = np.ones((3, 256, 1, 1), np.float32)
    gch.conv2d(x, weight, layout="NHWC")
    tracemalloc.start()
    gch.conv2d(x, weight, layout="NHWC")
    gch.conv2d(x.transpose(0, 3, 1, 2), weight)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < x.nbytes / 8
