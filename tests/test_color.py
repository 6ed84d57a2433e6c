"""Colour spaces and measures, against float64 definitions, scikit-image and published pairs."""

import numpy as np
import oracle
import pytest

import ganchroma as gch
from ganchroma import _core, color
from ganchroma._arrays import pieces
from ganchroma._images import read_images

SIZES = [(1, 1), (1, 7), (3, 5), (1, 15), (4, 4), (1, 17), (1, 33), (61, 67), (64, 64), (64, 65)]  # 4096: a chunk


def every_isa(function):
    """The result on each instruction set, by name."""
    before, results = _core.isa(), {}
    for name in _core.available_isas():
        _core.select_isa(name)
        results[name] = function()
    _core.select_isa(before)
    return results


def reference_hsv(rgb):
    return np.stack(np.vectorize(lambda *c: oracle.hsv(c))(*np.moveaxis(rgb, -3, 0)), axis=-3)


# -- spaces -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("dtype", "lab_error", "hsv_error"), [("float32", 1e-4, 3e-7), ("float64", 1e-11, 1e-15)])
def test_spaces_against_definitions(isa, rng, size, dtype, lab_error, hsv_error):
    rgb = rng.random((2, 3, *size)).astype(dtype)
    rgb[0, :, 0, 0] = 0
    rgb[1, :, -1, -1] = 1
    lab, hsv = (f(rgb, value_range=(0, 1)) for f in (gch.color.rgb_to_lab, gch.color.rgb_to_hsv))
    assert lab.dtype == hsv.dtype == dtype
    assert np.abs(lab - oracle.lab(rgb)).max() <= lab_error
    assert np.abs(hsv - reference_hsv(rgb.astype(np.float64))).max() <= hsv_error


def test_lab_accuracy_over_many_colors(rng):
    """The stated accuracy, on 3 * 10^5 outputs, dark colours (the two straight pieces) among them."""
    rgb = np.concatenate([rng.random((1, 3, 250, 200)), rng.random((1, 3, 250, 200)) * 0.1])
    for dtype, most, rms in (("float32", 1e-4, 1e-5), ("float64", 1e-11, 1e-12)):
        error = gch.color.rgb_to_lab(rgb.astype(dtype), value_range=(0, 1)) - oracle.lab(rgb.astype(dtype))
        assert np.abs(error).max() <= most
        assert np.sqrt(np.mean(error**2)) <= rms


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("function", [gch.color.rgb_to_lab, gch.color.rgb_to_hsv])
def test_spaces_have_the_same_bits_everywhere(rng, dtype, function):
    """What is fused is so everywhere, so even the plain baseline agrees; and in either layout."""
    rgb = rng.uniform(-1.5, 1.5, (2, 3, 61, 67)).astype(dtype)
    rgb[1] /= 2
    last = np.ascontiguousarray(np.moveaxis(rgb, 1, -1))
    results = every_isa(lambda: function(rgb, value_range=(-1, 1)).tobytes())
    woven = every_isa(lambda: np.moveaxis(function(last, value_range=(-1, 1), layout="NHWC"), -1, 1).tobytes())
    assert len(set(results.values()) | set(woven.values())) == 1
    with gch.threads(1):
        assert function(rgb, value_range=(-1, 1)).tobytes() == results["scalar"]


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("value_range", [(0, 1), (-1, 1), (0, 255), (-0.3, 1.1)])
def test_neighbors_out_of_range_change_nothing(isa, rng, layout, value_range):
    """Floats in range have a way of their own."""
    low, high = value_range
    share = rng.random((1, 3, 5, 41), np.float32)
    share[0, :, 2, ::7] = [[0], [1], [0.5]]  # the ends belong to the range
    rgb = (low + (high - low) * share).astype(np.float32).clip(*np.float32(value_range))
    mixed = rgb.copy()
    mixed[0, 1, 0, 3] = high + 0.1 * (high - low)
    mixed[0, 2, 1, ::5] = low - 0.5 * (high - low)
    mixed[0, 0, 3, 20:] *= 3
    changed = (mixed != rgb).any(axis=1)[0]
    if layout == "NHWC":
        rgb, mixed = (np.ascontiguousarray(np.moveaxis(a, 1, -1)) for a in (rgb, mixed))
    options = {"value_range": value_range, "layout": layout}
    clean, given = (gch.color.rgb_to_lab(a, **options) for a in (rgb, mixed))
    wanted = oracle.lab(
        (np.moveaxis(mixed, -1, 1) if layout == "NHWC" else mixed).astype(np.float64) / (high - low)
        - low / (high - low)
    )
    if layout == "NHWC":
        clean, given = (np.moveaxis(a, -1, 1) for a in (clean, given))
    assert np.array_equal(given[0][:, ~changed], clean[0][:, ~changed])
    assert np.abs(given - wanted).max() <= 3e-4  # values of three times white have larger roundings


def test_spaces_agree_with_scikit_image(rng):
    convert = pytest.importorskip("skimage.color")
    rgb = rng.uniform(-0.2, 1.2, (9, 8, 3))
    options = {"value_range": (0, 1), "layout": "NHWC"}
    clipped = rgb.clip(0, 1)
    assert gch.color.rgb_to_lab(clipped, **options) == pytest.approx(convert.rgb2lab(clipped), abs=1e-11)
    assert gch.color.rgb_to_hsv(clipped, **options) == pytest.approx(convert.rgb2hsv(clipped), abs=1e-14)
    # out of range: nothing is clipped, there either
    assert gch.color.rgb_to_hsv(rgb, **options)[..., 2] == pytest.approx(convert.rgb2hsv(rgb)[..., 2], abs=1e-14)
    assert gch.color.rgb_to_lab(rgb + 1, **options) == pytest.approx(oracle.lab((rgb + 1).T).T, abs=1e-10)


@pytest.mark.parametrize("function", [gch.color.rgb_to_lab, gch.color.rgb_to_hsv])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_nonfinite_pixels_are_nan_and_others_untouched(isa, function, bad, dtype):
    rgb = np.full((3, 1, 19), 0.25, dtype)
    clean = function(rgb, value_range=(0, 1))
    rgb[1, 0, 4] = bad
    result = function(rgb, value_range=(0, 1))
    assert np.isnan(result[:, 0, 4]).all()
    assert np.array_equal(np.delete(result, 4, axis=2), np.delete(clean, 4, axis=2))


@pytest.mark.parametrize("huge", [1e30, -1e30, 3e38])
def test_huge_values_do_no_harm(isa, huge):
    rgb = np.full((3, 1, 5), huge, np.float32)
    assert gch.color.rgb_to_lab(rgb, value_range=(0, 1)).shape == rgb.shape


def test_dtype_in_is_dtype_out(rng):
    bytes_ = rng.integers(0, 256, (3, 4, 5), dtype=np.uint8)
    lab = gch.color.rgb_to_lab(bytes_)
    assert lab.dtype == np.float32
    assert np.abs(lab - oracle.lab(bytes_ / 255)).max() <= 1e-4
    half = (bytes_ / 255).astype(np.float16)
    result = gch.color.rgb_to_lab(half, value_range=(0, 1))
    assert result.dtype == np.float16
    in_single = gch.color.rgb_to_lab(half.astype(np.float32), value_range=(0, 1))
    assert np.array_equal(result, in_single.astype(np.float16))
    swapped = half.astype(">f4")
    result = gch.color.rgb_to_lab(swapped, value_range=(0, 1))
    assert result.dtype.isnative
    assert np.array_equal(result, in_single)


def layouts(batch):
    """The same (N, 3, H, W) pixels in other memory."""
    padded = np.zeros((*batch.shape[:-1], batch.shape[-1] + 3), batch.dtype)
    padded[..., 1:-2] = batch
    raw = np.zeros(batch.nbytes + 1, np.uint8)
    misaligned = raw[1:].view(batch.dtype).reshape(batch.shape)
    misaligned[:] = batch
    return {
        "channels last": np.ascontiguousarray(np.moveaxis(batch, 1, -1)).transpose(0, 3, 1, 2),
        "sliced": padded[..., 1:-2],
        "negative strides": np.ascontiguousarray(batch[::-1, ::-1, ::-1, ::-1])[::-1, ::-1, ::-1, ::-1],
        "fortran": np.asfortranarray(batch),
        "misaligned": misaligned,
    }


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
@pytest.mark.parametrize("size", [(1, 1), (5, 1), (1, 9), (70, 61)])
def test_memory_does_not_matter(rng, dtype, size):
    batch = (rng.random((2, 3, *size)) * 255).astype(dtype)
    wanted = [
        f(batch, value_range=(0, 255)) for f in (gch.color.rgb_to_lab, gch.color.colorfulness, gch.color.quantize)
    ]
    for name, same in layouts(batch).items():
        given = [
            f(same, value_range=(0, 255)) for f in (gch.color.rgb_to_lab, gch.color.colorfulness, gch.color.quantize)
        ]
        assert all(np.array_equal(a, b) for a, b in zip(given, wanted, strict=True)), name
    last = np.moveaxis(batch, 1, -1)
    assert np.array_equal(
        gch.color.rgb_to_lab(last, value_range=(0, 255), layout="NHWC"), np.moveaxis(wanted[0], 1, -1)
    )
    assert np.array_equal(gch.color.quantize(last, value_range=(0, 255), layout="NHWC"), np.moveaxis(wanted[2], 1, -1))
    assert np.array_equal(gch.color.colorfulness(last, value_range=(0, 255), layout="NHWC"), wanted[1])


def test_results_are_plain_arrays(rng):
    image = np.moveaxis(rng.random((4, 5, 3)), -1, 0)
    result = gch.color.rgb_to_lab(image, value_range=(0, 1))
    assert result.shape == (3, 4, 5)
    assert result.flags.c_contiguous
    assert result.flags.writeable
    assert gch.color.rgb_to_hsv(np.empty((0, 3, 4, 5)), value_range=(0, 1)).shape == (0, 3, 4, 5)


def test_records_of_bytes_are_exact(isa, rng):
    """From integers: scatter that a sum in doubles would lose beside the square of the mean."""
    levels = 250 + rng.integers(0, 2, (2, 3, 70, 61), dtype=np.uint8)
    for pixels in (levels, np.ascontiguousarray(np.moveaxis(levels, 1, -1)).transpose(0, 3, 1, 2)):
        records = gch.color.image_records(read_images(pixels, None, "NCHW"))
        count = 70 * 61
        values = levels.reshape(2, 3, -1).astype(object)
        for record, planes in zip(records, values, strict=True):
            sums = [int(plane.sum()) for plane in planes]
            pairs = [(i, j) for i in range(3) for j in range(i, 3)]
            scatter = [(count * int((planes[i] * planes[j]).sum()) - sums[i] * sums[j]) / count for i, j in pairs]
            assert record.tolist() == [count, *(total / count for total in sums), *scatter, 0]


# -- measures ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("variant", ["paper", "absolute"])
@pytest.mark.parametrize("size", SIZES)
def test_colorfulness(isa, rng, variant, size):
    levels = rng.integers(0, 256, (2, 3, *size), dtype=np.uint8)
    wanted = [oracle.colorfulness(image, variant == "absolute") for image in levels]
    # sums of 4000 terms in double, then a root: 1e-12 of the largest value for one pixel or many
    assert gch.color.colorfulness(levels, variant=variant) == pytest.approx(wanted, rel=1e-12, abs=1e-10)
    tanh = levels / 127.5 - 1
    given = gch.color.colorfulness(tanh, value_range=(-1, 1), variant=variant)
    assert given == pytest.approx(wanted, rel=1e-11, abs=1e-6)  # a root of a rounding of 1e-13
    assert isinstance(gch.color.colorfulness(levels[0], variant=variant), float)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("variant", ["paper", "absolute"])
def test_colorfulness_of_values_whose_squares_overflow(rng, variant):
    image = rng.random((3, 4, 4))
    far = np.stack([image, image * 1.7e308, image * [[[1e200]], [[1]], [[1]]]])
    given = gch.color.colorfulness(far, value_range=(0, 1), variant=variant)
    assert given[0] == gch.color.colorfulness(image, value_range=(0, 1), variant=variant)
    assert not np.isfinite(given[1:]).any()


def test_colorfulness_leaves_nonfinite_pixels_out(rng):
    image = rng.random((3, 4, 6))
    bad = image.copy()
    bad[1, :, 5] = np.nan
    wanted = gch.color.colorfulness(image[:, :, :5], value_range=(0, 1))
    assert gch.color.colorfulness(bad, value_range=(0, 1)) == pytest.approx(wanted, rel=1e-12)
    assert np.isnan(gch.color.colorfulness(np.full((3, 2, 2), np.nan), value_range=(0, 1)))


def test_chroma(rng):
    rgb = rng.random((2, 3, 9, 11))
    wanted = oracle.chroma(rgb).mean(axis=(1, 2))
    assert gch.color.chroma(rgb, value_range=(0, 1)) == pytest.approx(wanted, abs=1e-10)
    assert gch.color.chroma(rgb[1].astype(np.float32), value_range=(0, 1)) == pytest.approx(wanted[1], abs=1e-4)


def test_gray_pixel_share(rng):
    gray = rng.integers(2, 250, (6, 7))
    levels = np.stack([gray, gray + rng.integers(-2, 3, gray.shape), gray]).astype(np.uint8)
    shares = [gch.color.gray_pixel_share(levels, tolerance=t) for t in (0, 1, 2, 255)]
    assert shares == [oracle.gray_pixel_share(levels, t) for t in (0, 1, 2, 255)]
    assert 0 < shares[0] < shares[1] < shares[2] == 1
    assert gch.color.gray_pixel_share(levels[None] / 255, value_range=(0, 1)) == pytest.approx([shares[0]])
    broken = np.stack([levels, levels, levels]) / 255
    broken[1, 0, :3], broken[1, 2, 3], broken[2] = np.nan, np.inf, np.nan
    rest = oracle.gray_pixel_share(levels[:, 4:], 1)
    found = gch.color.gray_pixel_share(broken, tolerance=1, value_range=(0, 1))
    assert found == pytest.approx([shares[1], rest, np.nan], nan_ok=True)


@pytest.mark.parametrize("rule", ["round", "floor", "truncate"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("value_range", [(-1, 1), (0, 1), (0, 255), (-3.5, 0.1)])
def test_quantize(isa, rng, rule, dtype, value_range):
    low, high = value_range
    images = rng.uniform(low - 0.1, high + 0.1, (2, 3, 7, 9)).astype(dtype)
    edges = (np.arange(9) + 0.5) / 255 * (high - low) + low  # ties, where the formula alone decides
    images[0, 0, 0] = edges.astype(dtype)
    images[0, 1, 0, :5] = [np.nan, np.inf, -np.inf, low, high]
    levels = gch.color.quantize(images, value_range=value_range, rule=rule)
    assert levels.dtype == np.uint8
    with np.errstate(invalid="ignore"):
        assert np.array_equal(levels, oracle.quantize(images, low, high, "round" if rule == "round" else "floor"))


def test_quantize_leaves_bytes_alone(rng):
    levels = rng.integers(0, 256, (4, 5, 3), dtype=np.uint8)
    assert np.array_equal(gch.color.quantize(levels, layout="NHWC"), levels)


# -- CIEDE2000 --------------------------------------------------------------------------------------------------

# L1 a1 b1 L2 a2 b2 Delta-E: Sharma, Wu, Dalal (2005), table 1
PAIRS = """
50 2.6772 -79.7751 50 0 -82.7485 2.0425
50 3.1571 -77.2803 50 0 -82.7485 2.8615
50 2.8361 -74.0200 50 0 -82.7485 3.4412
50 -1.3802 -84.2814 50 0 -82.7485 1.0000
50 -1.1848 -84.8006 50 0 -82.7485 1.0000
50 -0.9009 -85.5211 50 0 -82.7485 1.0000
50 0 0 50 -1 2 2.3669
50 -1 2 50 0 0 2.3669
50 2.4900 -0.0010 50 -2.4900 0.0009 7.1792
50 2.4900 -0.0010 50 -2.4900 0.0010 7.1792
50 2.4900 -0.0010 50 -2.4900 0.0011 7.2195
50 2.4900 -0.0010 50 -2.4900 0.0012 7.2195
50 -0.0010 2.4900 50 0.0009 -2.4900 4.8045
50 -0.0010 2.4900 50 0.0010 -2.4900 4.8045
50 -0.0010 2.4900 50 0.0011 -2.4900 4.7461
50 2.5 0 50 0 -2.5 4.3065
50 2.5 0 73 25 -18 27.1492
50 2.5 0 61 -5 29 22.8977
50 2.5 0 56 -27 -3 31.9030
50 2.5 0 58 24 15 19.4535
50 2.5 0 50 3.1736 0.5854 1.0000
50 2.5 0 50 3.2972 0 1.0000
50 2.5 0 50 1.8634 0.5757 1.0000
50 2.5 0 50 3.2592 0.3350 1.0000
60.2574 -34.0099 36.2677 60.4626 -34.1751 39.4387 1.2644
63.0109 -31.0961 -5.8663 62.8187 -29.7946 -4.0864 1.2630
61.2901 3.7196 -5.3901 61.4292 2.2480 -4.9620 1.8731
35.0831 -44.1164 3.7933 35.0232 -40.0716 1.5901 1.8645
22.7233 20.0904 -46.6940 23.0331 14.9730 -42.5619 2.0373
36.4612 47.8580 18.3852 36.2715 50.5065 21.2231 1.4146
90.8027 -2.0831 1.4410 91.1528 -1.6435 0.0447 1.4441
90.9257 -0.5406 -0.9208 88.6381 -0.8985 -0.7239 1.5381
6.7747 -0.2908 -2.4247 5.8714 -0.0985 -2.2286 0.6377
2.0776 0.0795 -1.1350 0.9033 -0.0636 -0.5514 0.9082
"""


def test_delta_e2000_on_the_published_pairs():
    table = np.array([line.split() for line in PAIRS.strip().splitlines()], np.float64)
    assert table.shape == (34, 7)
    difference = gch.color.delta_e2000(table[:, :3], table[:, 3:6])
    assert difference == pytest.approx(table[:, 6], abs=5e-5)  # the table has four digits
    assert gch.color.delta_e2000(table[:, 3:6], table[:, :3]) == pytest.approx(difference, rel=1e-12)


def test_delta_e2000_in_pieces_is_the_same(rng, monkeypatch):
    one, two = rng.normal(0, 50, (2, 3, 40, 41)), rng.normal(0, 50, (3, 1, 41))
    whole = gch.color.delta_e2000(one, two)
    for most in (1, 50, 1700):
        monkeypatch.setattr("ganchroma.color._TOGETHER", most)
        np.testing.assert_array_equal(gch.color.delta_e2000(one, two), whole)


def test_delta_e2000_of_images(rng):
    convert = pytest.importorskip("skimage.color")
    one, two = np.array([50, 0, 0]) + rng.normal(0, 30, (2, 4, 5, 6, 3))
    wanted = convert.deltaE_ciede2000(one, two)
    assert gch.color.delta_e2000(one, two, layout="NHWC") == pytest.approx(wanted, rel=1e-9)
    first = [np.moveaxis(lab, -1, 1) for lab in (one, two)]
    assert gch.color.delta_e2000(*first) == pytest.approx(wanted, rel=1e-9)
    same = gch.color.delta_e2000(first[0], [50.0, 0.0, 0.0], layout="NCHW")
    assert same.shape == (4, 5, 6)
    assert gch.color.delta_e2000(first[0], first[0]).max() == 0


@pytest.mark.parametrize("most", [1, 7, 50, 200])
def test_chroma_and_gray_share_in_pieces_are_the_same(rng, monkeypatch, most):
    """To the bit."""
    levels, (a, b) = rng.integers(0, 3, (5, 3, 6, 7), np.uint8), rng.normal(0, 50, (2, 5, 6, 7)).astype(np.float32)
    broken = np.where(rng.random(levels.shape) < 0.2, np.nan, levels / 255)
    whole, lengths = gch.color.gray_pixel_share(broken, value_range=(0, 1)), np.hypot(a, b).mean((1, 2), np.float64)
    monkeypatch.setattr(pieces, "__defaults__", (most,))
    monkeypatch.setattr("ganchroma.color._LONG", most)
    np.testing.assert_array_equal(gch.color.gray_pixel_share(levels), [oracle.gray_pixel_share(x, 0) for x in levels])
    np.testing.assert_array_equal(gch.color.gray_pixel_share(broken, value_range=(0, 1)), whole)
    np.testing.assert_array_equal(color._mean_lengths(a, b), lengths)
    assert color._mean_lengths(a[:0], b[:0]).shape == (0,)
    assert gch.color.gray_pixel_share(levels[:0]).shape == (0,)


# -- wrong input ------------------------------------------------------------------------------------------------

IMAGE = np.zeros((3, 4, 5), np.float32)
FUNCTIONS = ["rgb_to_lab", "rgb_to_hsv", "colorfulness", "chroma", "quantize", "gray_pixel_share"]


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize(
    ("images", "options", "error", "text"),
    [
        (IMAGE, {}, ValueError, "value_range is required for images of dtype float32"),
        (IMAGE, {"value_range": (1, 0)}, ValueError, "value_range must be finite with low < high"),
        (IMAGE, {"value_range": "tanh"}, TypeError, "value_range must be a pair of numbers"),
        (IMAGE, {"value_range": (-1e308, 1e308)}, ValueError, "value_range must be finite"),
        (IMAGE.astype(np.uint8), {"value_range": (-1, 1)}, ValueError, r"images of uint8 have the range \(0, 255\)"),
        (IMAGE.astype(np.int64), {}, TypeError, "images has dtype int64; accepted: uint8, float16, float32, float64"),
        (IMAGE.astype(complex), {}, TypeError, "images has dtype complex128"),
        (IMAGE[0], {"value_range": (0, 1)}, ValueError, "images must have 3 or 4 dimensions, got 2"),
        (IMAGE.T, {"value_range": (0, 1)}, ValueError, r'got shape \(5, 4, 3\); pass layout="NHWC"'),
        (IMAGE, {"value_range": (0, 1), "layout": "NHWC"}, ValueError, r'3 channels .*; pass layout="NCHW"'),
        (np.zeros((4, 8, 8)), {"value_range": (0, 1)}, ValueError, "leave the fourth channel out"),
        (np.zeros((3, 0, 8)), {"value_range": (0, 1)}, ValueError, "at least one pixel"),
        (IMAGE, {"value_range": (0, 1), "layout": "CHW"}, ValueError, 'layout is \'CHW\'; accepted: "NCHW", "NHWC"'),
        (IMAGE, {"value_range": (0, 1), "layout": 3}, TypeError, "layout must be"),
        ("picture.png", {"value_range": (0, 1)}, TypeError, "images"),
        (None, {"value_range": (0, 1)}, TypeError, "images"),
    ],
)
def test_wrong_images(function, images, options, error, text):
    with pytest.raises(error, match=text):
        getattr(gch.color, function)(images, **options)


def test_wrong_options():
    levels = IMAGE.astype(np.uint8)
    with pytest.raises(ValueError, match='variant is \'median\'; accepted: "paper", "absolute"'):
        gch.color.colorfulness(levels, variant="median")
    with pytest.raises(ValueError, match='rule is \'ceil\'; accepted: "round", "floor", "truncate"'):
        gch.color.quantize(levels, rule="ceil")
    with pytest.raises(TypeError, match="rule must be a string"):
        gch.color.quantize(levels, rule=None)
    with pytest.raises(TypeError, match=r"tolerance must be an integer, got 1\.5"):
        gch.color.gray_pixel_share(levels, tolerance=1.5)
    with pytest.raises(TypeError, match="tolerance must be an integer, got True"):
        gch.color.gray_pixel_share(levels, tolerance=True)
    with pytest.raises(ValueError, match="tolerance must be at least 0, got -1"):
        gch.color.gray_pixel_share(levels, tolerance=-1)


@pytest.mark.parametrize(
    ("one", "two", "error", "text"),
    [
        (np.zeros((2, 4)), np.zeros((2, 4)), ValueError, r"lab1 must have L, a, b along axis -1 .* got shape \(2, 4\)"),
        (np.zeros((4, 5, 3)), np.zeros((4, 5, 3)), ValueError, "lab1 must have L, a, b along axis -3 for layout NCHW"),
        (np.zeros(3), 0.0, ValueError, "lab2 must have L, a, b"),
        (np.zeros((2, 3)), np.zeros((5, 3)), ValueError, r"must broadcast, got \(2, 3\) and \(5, 3\)"),
        ([50, 0, 0], np.zeros(3), TypeError, "lab1 has dtype int64"),
    ],
)
def test_wrong_lab(one, two, error, text):
    with pytest.raises(error, match=text):
        gch.color.delta_e2000(one, two)


# -- the core's own guard ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call",
    [
        lambda: _core.color_convert(np.zeros((1, 3, 2, 2)), np.zeros((1, 3, 2, 3)), 0, 0.0, 1.0, 1),
        lambda: _core.color_convert(np.zeros((1, 3, 2, 2)), np.zeros((1, 3, 2, 2), np.float32), 0, 0.0, 1.0, 1),
        lambda: _core.color_convert(np.zeros((1, 4, 2, 2)), np.zeros((1, 4, 2, 2)), 0, 0.0, 1.0, 1),
        lambda: _core.color_convert(np.zeros((1, 3, 0, 2)), np.zeros((1, 3, 0, 2)), 0, 0.0, 1.0, 1),
        lambda: _core.color_quantize(np.zeros((1, 3, 2, 2)), np.zeros((1, 3, 2, 2)), 0.0, 1.0, 0, 1),
        lambda: _core.color_moments(np.zeros((2, 3, 2, 2)), np.zeros((1, 11)), 0, 1),
        lambda: _core.color_moments(np.zeros((1, 3, 2, 2)), np.zeros((1, 10)), 0, 1),
        lambda: _core.stats_levels(np.zeros((1, 3, 2, 2)), np.zeros((1, 30), int), np.zeros((1, 4)), 0.0, 1.0, 0, 1, 1),
        lambda: _core.stats_levels(np.zeros((1, 3, 2, 2)), np.zeros((1, 31), int), np.zeros((1, 3)), 0.0, 1.0, 0, 1, 1),
        lambda: _core.stats_positions(
            np.zeros((1, 3, 2, 2)), np.zeros(2, np.uint8), np.zeros((3, 2, 2), int), 0.0, 1.0, 1
        ),
        lambda: _core.stats_positions(
            np.zeros((1, 3, 2, 2)), np.zeros(1, np.uint8), np.zeros((3, 2, 3), int), 0.0, 1.0, 1
        ),
    ],
)
def test_core_refuses_sizes_that_disagree(call):
    with pytest.raises(ValueError):  # noqa: PT011 - private: that it does not crash is the point
        call()


def test_core_refuses_other_types():
    with pytest.raises(TypeError):
        _core.color_moments(np.zeros((1, 3, 2, 2), np.int32), np.zeros((1, 11)), 0, 1)
    with pytest.raises(TypeError):
        _core.color_moments([[1.0]], np.zeros((1, 11)), 0, 1)
    with pytest.raises(TypeError):
        _core.color_moments(np.zeros((1, 3, 2, 2)))
    frozen = np.zeros((1, 3, 2, 2))
    frozen.setflags(write=False)
    with pytest.raises(ValueError, match="writable"):
        _core.color_convert(np.zeros((1, 3, 2, 2)), frozen, 0, 0.0, 1.0, 1)


@pytest.mark.parametrize("kind", [">f2", "<f2"])
def test_half_precision_of_either_byte_order(kind, rng):
    images = rng.random((2, 3, 5, 4)).astype(kind)
    expected = gch.color.rgb_to_lab(images.astype(np.float32), value_range=(0, 1)).astype(np.float16)
    lab = gch.color.rgb_to_lab(images, value_range=(0, 1))
    assert lab.dtype == np.float16
    np.testing.assert_array_equal(lab, expected)
    assert gch.ChromaStats((0, 1)).update(images) == gch.ChromaStats((0, 1)).update(images.astype(np.float32))
