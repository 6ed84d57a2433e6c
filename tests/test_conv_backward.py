"""Gradients of conv2d and conv_transpose2d against their definitions: every option, instruction set, thread count."""

import itertools

import numpy as np
import oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import layouts, same_bits

import ganchroma as gch
from ganchroma import _core

FUSED = [name for name in _core.available_isas() if name != "scalar"]
FORWARD = {False: gch.conv2d, True: gch.conv_transpose2d}
OURS = {False: gch.conv2d_backward, True: gch.conv_transpose2d_backward}
TRUE = {False: oracle.conv2d_backward, True: oracle.conv_transpose2d_backward}

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
    {"padding": ((0, 0), (2, 0)), "padding_mode": "circular"},
]
TRANSPOSED = [
    {},
    {"padding": ((1, 1), (1, 1)), "stride": (2, 2)},
    {"padding": ((1, 2), (1, 2)), "stride": (2, 2)},
    {"padding": ((0, 1), (2, 0)), "stride": (3, 1), "output_padding": (2, 0)},
    {"stride": (4, 5), "output_padding": (3, 1)},
    {"stride": (2, 2), "dilation": (2, 3), "output_padding": (1, 2), "padding": ((3, 0), (1, 1))},
    {"stride": (1, 1), "dilation": (3, 4), "output_padding": (2, 3)},
]


def draw(rng, transposed, *, images=2, channels=5, filters=3, size=(9, 17), kernel=(3, 3), dtype=np.float64, **options):
    """x, weight and a gradient of the output; None where there is no such layer."""
    shape = (channels, filters, *kernel) if transposed else (filters, channels, *kernel)
    x = rng.standard_normal((images, channels, *size)).astype(dtype)
    weight = (rng.standard_normal(shape) / np.sqrt(channels * np.prod(kernel))).astype(dtype)
    try:
        output = FORWARD[transposed](x, weight, **options)
    except ValueError:
        return None
    return x, weight, rng.standard_normal(output.shape).astype(dtype)


def assert_right(transposed, x, weight, grad, results, **options):
    """Each gradient is within the bound that any order of summation obeys (Higham, 2002, section 3.1).

    A sum of n products in working precision is off by at most n u sum |products|; the scales cost three roundings, a
    fold as many as there are copies of a pixel, at most the padded rows and columns.
    """
    unit = np.finfo(results[0].dtype).eps / 2
    plain = dict(options)
    for name in ("channel_scale", "output_scale"):
        if plain.get(name) is not None:
            plain[name] = np.abs(plain[name])
    copies = sum(map(sum, options.get("padding", ()))) if options.get("padding_mode", "zeros") != "zeros" else 0
    taps = grad.shape[1] * weight.shape[2] * weight.shape[3] + copies
    pixels = max(x[:, 0].size, grad[:, 0].size)
    expected = TRUE[transposed](grad, x, weight, **options)
    sizes = TRUE[transposed](np.abs(grad), np.abs(x), np.abs(weight), **plain)
    for result, exact, size, terms in zip(results, expected, sizes, (taps, pixels, pixels), strict=True):
        assert result.shape == exact.shape
        assert np.all(np.abs(result - exact) <= (terms + 4) * unit * size)


def check(rng, transposed, shape, options):
    problem = draw(rng, transposed, **shape, **options)
    if problem is not None:
        x, weight, grad = problem
        assert_right(transposed, x, weight, grad, OURS[transposed](grad, x, weight, **options), **options)
    return problem is not None


# -- right ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kernel", [(1, 1), (3, 3), (4, 4), (5, 5), (7, 7), (2, 3), (6, 1), (4, 6)])
@pytest.mark.parametrize(
    ("transposed", "options"), [(False, case) for case in CONV] + [(True, case) for case in TRANSPOSED]
)
def test_every_geometry(isa, rng, transposed, options, kernel, dtype):
    fits = check(rng, transposed, {"kernel": kernel, "dtype": dtype}, options)
    assert fits or max(kernel) > 3  # larger kernels do not fit every case


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sizes_around_the_vector_and_the_block(isa, rng, transposed, dtype):
    options = {"padding": ((1, 1), (1, 1)), **({"stride": (2, 2)} if transposed else {})}
    widths = [(3, n) for n in (1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 49, 511, 513)]
    for size in [*widths, *((n, 17) for n in (1, 2, 31, 32, 33, 65))]:
        shape = {"images": 1, "channels": 2, "size": size, "kernel": (4, 4) if transposed else (3, 3), "dtype": dtype}
        assert check(rng, transposed, shape, options)


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5, 17])
@pytest.mark.parametrize("filters", [1, 2, 3, 4, 5, 17])
@pytest.mark.parametrize("kernel", [(1, 1), (3, 3)])
def test_channels_and_filters_around_the_groups(isa, rng, transposed, channels, filters, kernel):
    shape = {"channels": channels, "filters": filters, "size": (5, 18), "kernel": kernel, "dtype": np.float32}
    assert check(rng, transposed, shape, {})


@pytest.mark.parametrize("images", [63, 64, 65, 130])
def test_images_around_the_slots(isa, rng, images):
    shape = {"images": images, "channels": 2, "size": (3, 4), "kernel": (2, 2), "dtype": np.float32}
    assert check(rng, False, shape, {"padding": ((1, 1), (1, 1))})


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scales(isa, rng, transposed, dtype):
    factors = rng.standard_normal((2, 5)).astype(dtype)
    for kernel, scale in itertools.product([(1, 1), (3, 2)], (factors, factors[0])):
        options = {"channel_scale": scale, "output_scale": -1.75}
        assert check(rng, transposed, {"kernel": kernel, "dtype": dtype}, options)


@st.composite
def problems(draw_one):
    """Shapes that no one would think of."""

    def ints(low, high):
        return draw_one(st.tuples(st.integers(low, high), st.integers(low, high)))

    transposed = draw_one(st.booleans())
    shape = {
        "images": draw_one(st.integers(1, 3)),
        "channels": draw_one(st.integers(1, 20)),
        "filters": draw_one(st.integers(1, 6)),
        "size": (draw_one(st.integers(1, 12)), draw_one(st.integers(1, 40))),
        "kernel": ints(1, 8),
        "dtype": draw_one(st.sampled_from([np.float32, np.float64])),
    }
    options = {"stride": ints(1, 4), "dilation": ints(1, 3), "padding": (ints(0, 5), ints(0, 5))}
    if transposed:
        limits = [max(pair) for pair in zip(options["stride"], options["dilation"], strict=True)]
        options["output_padding"] = tuple(draw_one(st.integers(0, limit - 1)) for limit in limits)
    else:
        options["padding_mode"] = draw_one(st.sampled_from(["zeros", "reflect", "replicate", "circular"]))
    return transposed, shape, options


@settings(max_examples=200, deadline=None, derandomize=True)
@given(problems())
def test_any_shape(problem):
    transposed, shape, options = problem
    check(np.random.default_rng(1), transposed, shape, options)


@pytest.mark.parametrize("transposed", [False, True])
def test_adjoint(rng, transposed):
    """<conv(x), g> = <x, gx> = <weight, gw>: the definition of a gradient of something bilinear, without an oracle."""
    options = {"stride": (2, 1), "padding": ((1, 0), (2, 1)), "channel_scale": rng.standard_normal((2, 5))}
    x, weight, grad = draw(rng, transposed, kernel=(4, 3), **options)
    gx, gw, _ = OURS[transposed](grad, x, weight, **options)
    value = np.vdot(FORWARD[transposed](x, weight, **options), grad)
    np.testing.assert_allclose([np.vdot(x, gx), np.vdot(weight, gw)], value, rtol=1e-12)


# -- bits -------------------------------------------------------------------------------------------------------


def weight_gradient_in_the_stated_order(a, b, kernel):
    """float32 in the order of kernels/conv.h for one plane `a` and one map `b`, valid, stride 1.

    Elements are multiples of 2^-10 below 4, so a product and its sum with a float32 are exact in float64.
    """
    height, width = a.shape
    result = np.zeros(kernel, np.float32)
    for ky, kx in np.ndindex(*kernel):
        lanes = np.zeros(16, np.float32)
        for left in range(0, width, 512):
            columns = range(left, min(left + 512, width), 16)
            rows = 64 // len(columns)
            for top in range(0, height, rows):
                chain = np.zeros(16, np.float32)
                for x, y in itertools.product(columns, range(top, min(top + rows, height))):
                    mine = np.zeros(16)
                    theirs = np.zeros(16)
                    own = a[y, x : min(x + 16, width)]
                    mine[: len(own)] = own
                    theirs[: len(own)] = b[y + ky, x + kx : x + kx + len(own)]
                    chain = (chain + mine * theirs).astype(np.float32)
                lanes = lanes + chain
        while len(lanes) > 1:
            lanes = lanes[: len(lanes) // 2] + lanes[len(lanes) // 2 :]
        result[ky, kx] = lanes[0]
    return result


@pytest.mark.parametrize("name", FUSED)
@pytest.mark.parametrize(("size", "kernel"), [((70, 37), (3, 3)), ((9, 530), (1, 2)), ((3, 1100), (2, 1))])
def test_order_of_accumulation_of_weights(name, rng, size, kernel):
    def grid(*shape):
        return (rng.integers(-4095, 4096, shape) / 1024).astype(np.float32)

    grad, weight = grid(3, 2, *size), np.zeros((2, 2, *kernel), np.float32)
    x = grid(3, 2, size[0] + kernel[0] - 1, size[1] + kernel[1] - 1)
    before = _core.isa()
    _core.select_isa(name)
    try:
        _, result, bias = gch.conv2d_backward(grad, x, weight)
    finally:
        _core.select_isa(before)

    def over_images(parts):
        return (parts[0] + parts[1]) + parts[2]  # three slots of one image each, by the tree

    for o, c in np.ndindex(2, 2):
        parts = [weight_gradient_in_the_stated_order(grad[n, o], x[n, c], kernel) for n in range(3)]
        np.testing.assert_array_equal(result[o, c], over_images(parts))
    ones = np.ones(size, np.float32)
    for o in range(2):
        parts = [weight_gradient_in_the_stated_order(grad[n, o], ones, (1, 1))[0, 0] for n in range(3)]
        assert bias[o] == over_images(parts)


BITS = [
    (False, {"kernel": (3, 3)}, {"padding": 1}),
    (False, {"kernel": (7, 7)}, {"padding": 3, "padding_mode": "reflect"}),
    (False, {"kernel": (1, 1), "channels": 67}, {}),
    (False, {"kernel": (5, 5)}, {"stride": 2, "dilation": 2, "padding": 4}),
    (True, {"kernel": (4, 4), "channels": 33}, {"stride": 2, "padding": 1}),
    (True, {"kernel": (3, 2)}, {"stride": 3, "output_padding": 2}),
]


@pytest.mark.parametrize(("transposed", "shape", "options"), BITS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.scenario("threads")
def test_same_bits_for_any_thread_count_and_instruction_set(rng, transposed, shape, options, dtype):
    shape = {"channels": 18, "images": 3, "size": (37, 53), "dtype": dtype, **shape}
    x, weight, grad = draw(rng, transposed, **shape, **options)
    function, before = OURS[transposed], _core.isa()
    reference = function(grad, x, weight, **options, threads=1)
    for threads in (2, 3):
        for result, first in zip(function(grad, x, weight, **options, threads=threads), reference, strict=True):
            assert same_bits(result, first)
    try:
        for name in FUSED:
            _core.select_isa(name)
            for result, first in zip(function(grad, x, weight, **options), reference, strict=True):
                assert same_bits(result, first)
    finally:
        _core.select_isa(before)


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_large_gradient_has_the_bits_of_small_ones(isa, rng, transposed, dtype):
    x, weight, grad = draw(rng, transposed, channels=33, images=3, size=(100, 128), dtype=dtype, padding=1)
    for threads in (1, 2):
        (result, _, _) = OURS[transposed](grad, x, weight, padding=1, needs=("input",), threads=threads)
        assert result.nbytes > 1 << 22
        for image in range(3):
            part = slice(image, image + 1)
            (alone, _, _) = OURS[transposed](grad[part], x[part], weight, padding=1, needs=("input",))
            assert alone.nbytes < 1 << 22 or dtype == np.float64
            (sheared, _, _) = OURS[transposed](grad[part, :, :99], x[part, :, :99], weight, padding=1, needs=("input",))
            assert same_bits(result[part], alone)
            assert same_bits(result[part, :, :97], sheared[:, :, :97])


@pytest.mark.parametrize("offset", [0, 4])
def test_a_layer_of_one_block_writes_its_sums_where_they_belong(isa, rng, offset):
    x, weight = (rng.standard_normal(shape, np.float32) for shape in ((9, 5, 64, 64), (33, 5, 3, 3)))
    expected = gch.conv2d(x, weight, np.zeros(33, np.float32), padding=1)
    memory = np.full(expected.size + 16 + 2 * offset, 7, np.float32)
    first = -memory.ctypes.data // 4 % 16 + offset
    out = memory[first : first + expected.size].reshape(expected.shape)
    assert same_bits(gch.conv2d(x, weight, padding=1, out=out), expected)
    assert (memory[:first] == 7).all()
    assert (memory[first + expected.size :] == 7).all()


# -- arrays in and out ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("transposed", [False, True])
def test_only_what_is_needed(rng, transposed):
    x, weight, grad = draw(rng, transposed)
    everything = OURS[transposed](grad, x, weight)
    for count in range(4):
        for needs in itertools.combinations(("input", "weight", "bias"), count):
            some = OURS[transposed](grad, x, weight, needs=needs)
            for name, result, expected in zip(("input", "weight", "bias"), some, everything, strict=True):
                assert result is None if name not in needs else same_bits(result, expected)


@pytest.mark.parametrize("transposed", [False, True])
def test_memory_of_any_kind(rng, transposed):
    scale = rng.standard_normal((2, 5))
    x, weight, grad = draw(rng, transposed, padding=1)
    expected = OURS[transposed](grad, x, weight, padding=1, channel_scale=scale)
    views = [layouts(array) for array in (grad, x, weight)]
    for (label, g), (_, a), (_, w) in zip(*views, strict=True):
        results = OURS[transposed](g, a, w, padding=1, channel_scale=scale)
        for result, right in zip(results, expected, strict=True):
            np.testing.assert_array_equal(result, right, err_msg=label)
            assert result.dtype.isnative
            assert result.flags.writeable


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_layouts(rng, transposed, dtype):
    x, weight, grad = draw(rng, transposed, dtype=dtype, padding=1)
    gx, gw, gb = OURS[transposed](grad, x, weight, padding=1)
    moved = [np.ascontiguousarray(np.moveaxis(a, 1, -1)) for a in (grad, x)]
    last = OURS[transposed](*moved, weight, padding=1, layout="NHWC")
    assert same_bits(last[0], np.moveaxis(gx, 1, -1))
    assert last[0].flags.c_contiguous
    assert same_bits(last[1], gw)
    assert same_bits(last[2], gb)
    answer = OURS[transposed](*(np.moveaxis(a, -1, 1) for a in moved), weight, padding=1)
    assert same_bits(answer[0], gx)
    assert np.moveaxis(answer[0], 1, -1).flags.c_contiguous


def test_float16_is_computed_in_float32(rng):
    x, weight, grad = draw(rng, False, channels=40, dtype=np.float16)
    results = gch.conv2d_backward(grad, x, weight)
    single = gch.conv2d_backward(*(a.astype(np.float32) for a in (grad, x, weight)))
    for result, expected in zip(results, single, strict=True):
        assert same_bits(result, expected.astype(np.float16))
    loud = gch.conv2d_backward(*(np.full((1, 1, 1, 1), 6e4, np.float16) for _ in range(3)))
    assert np.isinf(loud[0]).all()


@pytest.mark.parametrize("transposed", [False, True])
def test_inputs_are_left_alone(rng, transposed):
    options = {} if transposed else {"padding_mode": "reflect"}
    problem = draw(rng, transposed, padding=2, **options)
    kept = [a.copy() for a in problem]
    for a in problem:
        a.setflags(write=False)
    x, weight, grad = problem
    OURS[transposed](grad, x, weight, padding=2, **options)
    for a, copy in zip(problem, kept, strict=True):
        np.testing.assert_array_equal(a, copy)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC", "channels last"])
@pytest.mark.parametrize("transposed", [False, True])
def test_out(rng, transposed, layout, dtype):
    x, weight, grad = draw(rng, transposed, channels=9, size=(9, 9), dtype=dtype, padding=1)
    options = {"padding": 1, "channel_scale": rng.random((2, 9)).astype(dtype)}
    if layout != "NCHW":
        x, grad = (np.ascontiguousarray(np.moveaxis(a, 1, -1)) for a in (x, grad))
    if layout == "NHWC":
        options["layout"] = "NHWC"
    elif layout != "NCHW":
        x, grad = (np.moveaxis(a, -1, 1) for a in (x, grad))
    expected = OURS[transposed](grad, x, weight, **options)
    out = [np.full(array.shape, 7, array.dtype) for array in expected]
    results = OURS[transposed](grad, x, weight, out=out, **options)
    for result, place, array in zip(results, out, expected, strict=True):
        assert result is place
        assert same_bits(result, np.ascontiguousarray(array))
    only = OURS[transposed](grad, x, weight, out=(None, out[1], None), **options)
    assert only[1] is out[1]
    assert same_bits(np.ascontiguousarray(only[0]), np.ascontiguousarray(expected[0]))


@pytest.mark.parametrize("transposed", [False, True])
def test_no_images(isa, transposed):
    empty, weight = np.empty((0, 5, 8, 8), np.float32), np.ones((5, 5, 3, 3), np.float32)
    gx, gw, gb = OURS[transposed](empty, empty, weight, padding=1, channel_scale=np.ones((0, 5), np.float32))
    assert gx.shape == empty.shape
    assert same_bits(gw, np.zeros_like(weight))
    assert same_bits(gb, np.zeros(5, np.float32))


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.filterwarnings("ignore:invalid value")  # the oracle's own: inf - inf is the point here
def test_nan_and_infinity_reach_what_they_touch_and_nothing_else(isa, rng, transposed):
    # Widths that are no multiple of the vector: lanes beyond the last column must not meet an infinity.
    for size in ((12, 40), (5, 19), (4, 3)):
        x, weight, grad = draw(rng, transposed, size=size, dtype=np.float32)
        x[0, 1, 1, -1], x[1, 0, 2, 0] = np.inf, np.nan
        grad[0, 2, -1, -1], grad[1, 1, 0, 0] = -np.inf, np.inf
        results = OURS[transposed](grad, x, weight)
        for result, expected in zip(results, TRUE[transposed](grad, x, weight), strict=True):
            np.testing.assert_allclose(result, expected, atol=1e-4, rtol=1e-4)


# -- refused ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "message", "change"),
    [
        (ValueError, r"grad_output has shape \(2, 3, 7, 14\).*\(2, 3, 7, 15\)", {"grad": np.zeros((2, 3, 7, 14))}),
        (ValueError, r"grad_output has shape \(1, 3, 7, 15\)", {"grad": np.zeros((1, 3, 7, 15))}),
        (ValueError, "grad_output must have 4 dimensions", {"grad": np.zeros(3)}),
        (TypeError, "grad_output has dtype float32, weight has float64", {"grad": np.zeros((2, 3, 7, 15), np.float32)}),
        (TypeError, "grad_output", {"grad": None}),
        (TypeError, "x has dtype int64", {"x": np.zeros((2, 5, 9, 17), np.int64)}),
        (ValueError, "x has shape .* 4 channels; weight .* takes 5", {"x": np.zeros((2, 4, 9, 17))}),
        (ValueError, "weight must have 4 dimensions", {"weight": np.zeros((3, 5, 3))}),
        (TypeError, "needs must be a tuple", {"needs": "input"}),
        (TypeError, "needs must be a tuple", {"needs": 3}),
        (TypeError, "needs must be a tuple", {"needs": (1,)}),
        (ValueError, "needs has 'inputs'", {"needs": ("inputs",)}),
        (ValueError, "layout is 'HWC'", {"layout": "HWC"}),
        (ValueError, "stride", {"stride": 0}),
        (ValueError, "padding", {"padding": -1}),
        (ValueError, r"channel_scale has shape \(3, 5\); x has 2 images", {"channel_scale": np.ones((3, 5))}),
        (TypeError, "output_scale must be a number", {"output_scale": "1"}),
        (TypeError, "out must be a tuple of three.*got ndarray", {"out": np.zeros((2, 5, 9, 17))}),
        (TypeError, "out must be a tuple of three", {"out": (None, None)}),
        (ValueError, 'for "bias", out has shape', {"out": (None, None, np.zeros(4))}),
        (TypeError, 'for "weight", out must be a NumPy array, got str', {"out": (None, "weight", None)}),
        (ValueError, "which is not in needs", {"out": (None, None, np.zeros(3)), "needs": ("input",)}),
    ],
)
def test_wrong_input(rng, kind, message, change):
    x, weight, grad = draw(rng, False)
    arguments = {"grad": grad, "x": x, "weight": weight, **change}
    with pytest.raises(kind, match=message):
        gch.conv2d_backward(arguments.pop("grad"), arguments.pop("x"), arguments.pop("weight"), **arguments)


def test_out_overlaps_nothing(rng):
    x, weight, grad = draw(rng, False)
    kept = x.copy()
    for name, out in {"input": (x, None, None), "weight": (None, weight, None)}.items():
        with pytest.raises(ValueError, match=f'for "{name}", out overlaps an input'):
            gch.conv2d_backward(grad, x, weight, out=out)
    memory = np.zeros(weight.size + 1)
    with pytest.raises(ValueError, match='for "bias", out overlaps'):
        gch.conv2d_backward(grad, x, weight, out=(None, memory[:-1].reshape(weight.shape), memory[-4:-1]))
    assert same_bits(x, kept)


def test_core_survives_anything():
    x, weight, grad = np.zeros((1, 2, 4, 4)), np.zeros((3, 2, 3, 3)), np.zeros((1, 3, 2, 2))
    geometry = (0, 1, 1, 0, 0, 0, 0, 0, 1, 1, 0, 0)
    good = [grad, x, weight, None, x.copy(), weight.copy(), np.zeros(3), geometry, 1.0, 1]
    _core.conv_backward(*good)
    bad = {
        0: [None, np.zeros((1, 3, 2, 3)), np.zeros((1, 3, 2, 2), np.float32), np.zeros((1, 3, 0, 0)), 3],
        1: [None, np.zeros((1, 2, 0, 4)), np.zeros((1, 3, 4, 4)), np.zeros((2, 2, 4, 4))],
        2: [None, np.zeros((3, 2, 0, 3)), np.zeros((0, 2, 3, 3)), np.zeros((3, 3, 3, 3))],
        3: [np.zeros(2), np.zeros((2, 2)), 1.0],
        4: [np.zeros((1, 2, 4, 5)), x.astype(np.float32), "x", np.broadcast_to(0.0, x.shape)],
        5: [np.zeros((3, 2, 3, 4)), 1],
        6: [np.zeros(4), np.zeros((3, 1))],
        7: [None, geometry[:-1], (0, 1, 1, 0, 0, 0, 0, 9, 1, 1, 0, 0), (0, 1, 1, -1, 0, 0, 0, 0, 1, 1, 0, 0)],
        8: [None],
        9: [None, 2**80],
    }
    for position, values in bad.items():
        for value in values:
            with pytest.raises((TypeError, ValueError, OverflowError)):
                _core.conv_backward(*good[:position], value, *good[position + 1 :])
    with pytest.raises(TypeError, match="takes 10 arguments"):
        _core.conv_backward(*good[:-1])
