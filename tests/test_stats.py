"""ChromaStats: what it measures, exact for bytes, the same for any split."""

import json
import math
from itertools import pairwise

import numpy as np
import oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ganchroma as gch
from ganchroma import _core, _sums

SIZES = [(1, 1), (1, 2), (3, 5), (1, 15), (1, 16), (1, 17), (1, 33), (63, 65), (64, 64), (64, 65), (70, 130)]
FUSED = [name for name in _core.available_isas() if name != "scalar"]


def stats_of(*batches, value_range=None, **options):
    stats = gch.ChromaStats(value_range, **options)
    for batch in batches:
        stats.update(batch)
    return stats


def smooth_levels(rng, count, height, width):
    """Bytes like a picture's: correlated channels, some gray, some clipped."""
    gray = rng.normal(120, 60, (count, 1, height, width))
    color = rng.normal(0, 25, (count, 3, height, width)) * (rng.random((count, 1, height, width)) < 0.7)
    return np.clip(gray + color, 0, 255).astype(np.uint8)


def check_display(summary, levels, rel=1e-12):
    """Everything that is measured on 8-bit levels, against its definition."""
    values = np.concatenate([image.reshape(3, -1) for image in levels], axis=1).astype(np.float64)
    wide = values.reshape(3, 1, -1)
    assert summary.colorfulness == pytest.approx(np.mean([oracle.colorfulness(i) for i in levels]), rel=rel, abs=1e-9)
    variant = np.mean([oracle.colorfulness(i, absolute=True) for i in levels])
    assert summary.colorfulness_variant == pytest.approx(variant, rel=rel, abs=1e-9)
    # float32 inside, each pixel rounded to 2^-16: below 1e-4, as for rgb_to_lab
    assert summary.chroma == pytest.approx(oracle.chroma(wide / 255).mean(), abs=1e-4)
    assert summary.gray_pixel_shares == tuple(oracle.gray_pixel_share(wide, t) for t in range(3))
    assert summary.gray_pixel_share == summary.gray_pixel_shares[1]
    assert summary.gray_images == np.mean([oracle.gray_pixel_share(image, 2) > 0.99 for image in levels])
    assert summary.clipped_share == ((values == 0).mean(), (values == 255).mean())


def check_moments(given, covariance, mean, tolerance):
    scale = max(np.abs(covariance).max(), np.abs(mean).max() ** 2 * 1e-3, 1e-30)
    assert np.abs(given.covariance - covariance).max() <= tolerance * scale
    assert given.mean == pytest.approx(mean, rel=1e-12, abs=1e-12)


# -- bytes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
def test_bytes_against_definitions(isa, rng, size):
    levels = smooth_levels(rng, 3, *size)
    levels[2] = levels[2, :1]  # a gray image
    summary = stats_of(levels).summary()
    mean, within, between, total = oracle.set_moments(levels)
    check_moments(summary.within, within, mean, 1e-12)
    check_moments(summary.between, between, mean, 1e-9)  # what is left after subtracting the others
    check_moments(summary.total, total, mean, 1e-12)
    check_display(summary, levels)
    assert summary.near_end_share == ((levels <= 2) | (levels >= 253)).mean()
    assert (summary.images, summary.pixels, summary.nonfinite) == (3, levels[:, 0].size, 0)
    assert (summary.minimum, summary.maximum) == (levels.min(), levels.max())
    assert summary.value_range == (0, 255)


@pytest.mark.parametrize("value", [0, 1, 127, 128, 254, 255])
def test_constant_bytes(isa, value):
    summary = stats_of(np.full((2, 3, 5, 7), value, np.uint8)).summary()
    assert summary.total.variance == summary.within.variance == 0
    assert math.isnan(summary.within.achromatic_share)
    assert summary.colorfulness == 0
    assert summary.chroma < 0.02  # a gray pixel has about .01: the matrix is rounded
    assert summary.gray_pixel_shares == (1, 1, 1)
    assert summary.gray_images == 1


def test_extreme_bytes_are_exact(isa):
    """The largest sums: every product 255^2, on more pixels than a chunk."""
    levels = np.full((2, 3, 200, 300), 255, np.uint8)
    levels[:, 1, ::2] = 0
    mean, within, _, total = oracle.set_moments(levels)
    summary = stats_of(levels).summary()
    assert summary.within.covariance == pytest.approx(within, rel=1e-14, abs=1e-9)
    assert summary.total.covariance == pytest.approx(total, rel=1e-14, abs=1e-9)
    assert summary.total.mean.tolist() == mean.tolist()


def test_byte_state_is_one_for_every_split(rng):
    levels = smooth_levels(rng, 12, 64, 65)
    last = np.ascontiguousarray(np.moveaxis(levels, 1, -1))
    whole = stats_of(levels)
    for cut in (1, 5, 11):
        assert stats_of(levels[:cut], levels[cut:]) == whole
        assert stats_of(levels[:cut]) + stats_of(levels[cut:]) == whole
    assert stats_of(*levels) == whole
    assert stats_of(*levels[::-1]) == whole
    assert stats_of(levels[::-1, :, :, :]) == whole
    assert stats_of(last.transpose(0, 3, 1, 2)) == whole
    tree = [stats_of(image) for image in levels]
    while len(tree) > 1:
        tree = [sum(tree[i + 1 : i + 2], tree[i]) for i in range(0, len(tree), 2)]
    assert tree[0] == whole
    for threads in (1, 2):
        with gch.threads(threads):
            assert stats_of(levels) == whole
    assert stats_of(last, layout="NHWC").summary() == whole.summary()


@pytest.mark.parametrize("size", [(1, 1), (7, 9), (64, 65)])
def test_byte_state_is_one_for_every_instruction_set(rng, size):
    levels = rng.integers(0, 256, (4, 3, *size), dtype=np.uint8)
    before, states = _core.isa(), []
    for name in _core.available_isas():
        _core.select_isa(name)
        states.append(stats_of(levels))
    _core.select_isa(before)
    assert all(one == two for one, two in pairwise(states))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=5), st.integers()
)
def test_any_sizes_in_any_order(shapes, seed):
    rng = np.random.default_rng(abs(seed))
    batches = [rng.integers(0, 256, (n, 3, h, w), dtype=np.uint8) for n, h, w in shapes]
    order = rng.permutation(len(batches))
    forward, shuffled = stats_of(*batches), stats_of(*(batches[i] for i in order))
    assert forward == shuffled
    images = [image for batch in batches for image in batch]
    if images:
        mean, within, _, total = oracle.set_moments(images)
        summary = forward.summary()
        check_moments(summary.within, within, mean, 1e-12)
        check_moments(summary.total, total, mean, 1e-12)


# -- floats -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("value_range", [(-1, 1), (0, 1)])
def test_floats_against_definitions(isa, rng, size, dtype, value_range):
    low, high = value_range
    images = (low + (high - low) * (smooth_levels(rng, 3, *size) / 255 * 1.2 - 0.1)).astype(dtype)
    summary = stats_of(images, value_range=value_range).summary()
    mean, within, between, total = oracle.set_moments(images)
    check_moments(summary.within, within, mean, 1e-11)
    check_moments(summary.between, between, mean, 1e-9)
    check_moments(summary.total, total, mean, 1e-11)
    check_display(summary, oracle.quantize(images, low, high))
    share = (images.astype(np.float64) - low) / (high - low)
    assert summary.near_end_share == ((share <= 0.01) | (share >= 0.99)).mean()
    assert (summary.minimum, summary.maximum) == (images.min(), images.max())


def test_small_amplitudes_survive(rng):
    """A generator in eval mode: .003 of [-1, 1], far below one level, about a mean that is not 0."""
    images = (0.4 + 1e-6 * rng.normal(size=(8, 3, 16, 16))).astype(np.float64)
    summary = stats_of(images, value_range=(-1, 1)).summary()
    mean, within, _, _ = oracle.set_moments(images)
    assert summary.within.covariance == pytest.approx(within, rel=1e-8)  # 1e-16 of the mean's square, 1e-12 of ours
    assert summary.within.achromatic_share == pytest.approx(1 / 3, abs=0.05)
    assert summary.total.mean == pytest.approx(mean, rel=1e-14)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_float_state_is_one_for_every_split(rng, dtype):
    images = np.tanh(rng.normal(size=(10, 3, 64, 65))).astype(dtype)
    whole = stats_of(images, value_range=(-1, 1))
    assert stats_of(images[:3], images[3:], value_range=(-1, 1)) == whole
    assert stats_of(*images[::-1], value_range=(-1, 1)) == whole
    last = np.ascontiguousarray(np.moveaxis(images, 1, -1))
    assert stats_of(last.transpose(0, 3, 1, 2), value_range=(-1, 1)) == whole
    with gch.threads(1):
        assert stats_of(images, value_range=(-1, 1)) == whole


@pytest.mark.skipif(len(FUSED) < 2, reason="needs two instruction sets with fused multiply-adds")
@pytest.mark.parametrize("size", [(1, 1), (7, 9), (64, 65)])
def test_float_state_is_one_for_fused_instruction_sets(rng, size):
    images = np.tanh(rng.normal(size=(3, 3, *size))).astype(np.float32)
    before, states = _core.isa(), []
    for name in FUSED:
        _core.select_isa(name)
        states.append(stats_of(images, value_range=(-1, 1)))
    _core.select_isa("scalar")
    plain = stats_of(images, value_range=(-1, 1)).summary()
    _core.select_isa(before)
    assert all(one == two for one, two in pairwise(states))
    assert plain.within.allclose(states[0].summary().within)
    assert plain.chroma == states[0].summary().chroma  # levels are integers: exact there too


def test_float16_is_read_as_float32(rng):
    half = rng.random((2, 3, 5, 6)).astype(np.float16)
    assert stats_of(half, value_range=(0, 1)) == stats_of(half.astype(np.float32), value_range=(0, 1))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_nonfinite_pixels_are_counted_apart(isa, rng, dtype):
    images = rng.random((3, 3, 6, 17)).astype(dtype)
    bad = images.copy()
    bad[0, 1, 0, 0] = np.nan
    bad[0, 2, 5, 16] = np.inf
    bad[1, :, :, :] = -np.inf
    summary = stats_of(bad, value_range=(0, 1)).summary()
    keep = np.ones((6, 17), bool)
    keep[0, 0] = keep[5, 16] = False
    mean, within, _, _ = oracle.set_moments([images[0][:, None, keep], images[2]])
    assert summary.nonfinite == 2 + 6 * 17
    assert summary.pixels == 3 * 6 * 17
    assert summary.within.count == summary.pixels - summary.nonfinite
    check_moments(summary.within, within, mean, 1e-11)
    assert np.isfinite([summary.minimum, summary.maximum, summary.colorfulness, summary.chroma]).all()
    with np.errstate(invalid="ignore"):
        check_display(summary, oracle.quantize(bad, 0, 1))
    assert summary.fixed is None  # one whole image is left


def test_nothing_but_nan():
    summary = stats_of(np.full((2, 3, 4, 4), np.nan), value_range=(0, 1)).summary()
    assert summary.within.count == 0
    assert math.isnan(summary.minimum)
    assert summary.nonfinite == 32
    assert math.isnan(summary.gray_pixel_share)  # one finite pixel more, and NaN is drawn as black
    assert json.dumps(summary.to_dict(), allow_nan=False)


def test_absurd_values_do_no_harm():
    images = np.array([1e300, -1e300, 3.0, 0.5] * 3, np.float64).reshape(1, 3, 2, 2)
    with np.errstate(over="ignore"):
        stats = stats_of(images / 1e200, value_range=(0, 1))
    assert stats.summary().within.variance > 1e50
    assert stats.summary().clipped_share == (0.75, 0.25)


@pytest.mark.parametrize(("rule", "level"), [("round", 128), ("floor", 127), ("truncate", 127)])
def test_quantisation_is_named(rule, level):
    """0 of [-1, 1] is 127.5: the rule decides. One channel a level up shows which it was."""
    image = np.zeros((3, 2, 2))
    image[1] = level / 127.5 - 1
    summary = stats_of(image, value_range=(-1, 1), quantize=rule).summary()
    assert summary.gray_pixel_shares[0] == 1


# -- the fixed pattern ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["bytes", "floats"])
def test_fixed_pattern_is_found_and_chance_taken_off(rng, kind):
    """E over draws: pattern of known covariance plus independent noise. 64 images leave 1/64 of the noise by chance."""
    pattern = rng.normal(0, 20, (3, 1, 24, 24)) * np.array([1, 0.5, 0.2]).reshape(3, 1, 1, 1)
    noise = rng.normal(0, 30, (3, 64, 24, 24))
    images = np.moveaxis(pattern + noise + 128, 0, 1)
    images = np.clip(np.rint(images), 0, 255).astype(np.uint8) if kind == "bytes" else images / 255
    summary = stats_of(images, value_range=None if kind == "bytes" else (0, 1)).summary()
    known = oracle.image_moments(pattern[:, 0])[1] / (1 if kind == "bytes" else 255**2)
    error = np.abs(summary.fixed.covariance - known).max() / known.max()
    assert error < 0.06  # 576 positions: noise of the mean image correlates with the pattern by chance
    raw = oracle.image_moments(images.astype(np.float64).mean(axis=0))[1]
    within = oracle.set_moments(images)[1]
    corrected = raw - (within - raw) / 63
    assert summary.fixed.covariance == pytest.approx(corrected, rel=1e-9, abs=1e-9 * corrected.max())


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("size", [(1, 1), (5, 7), (70, 61), (150, 160)])
def test_sums_at_positions(isa, rng, size, threads):
    """In words of 16 bits on the way: more images of white than such a sum can hold, some left out."""
    count = 530 if size[0] < 10 else 21
    images = rng.integers(0, 256, (count, 3, *size), dtype=np.uint8)
    images[:300] = 255
    use = (rng.random(count) < 0.9).astype(np.uint8)
    start = rng.integers(0, 9, (3, *size))
    wanted = start + images[use > 0].sum(axis=0, dtype=np.int64)
    layouts = [images, np.ascontiguousarray(np.moveaxis(images, 1, -1)).transpose(0, 3, 1, 2), images[..., ::-1]]
    for pixels in layouts:
        sums = start.copy()
        _core.stats_positions(pixels, use, sums, 0.0, 255.0, threads)
        assert np.array_equal(sums - start, (wanted - start)[..., :: -1 if pixels is layouts[2] else 1])


def test_no_fixed_pattern_in_noise(rng):
    summary = stats_of(rng.integers(0, 256, (32, 3, 16, 16), dtype=np.uint8)).summary()
    assert np.trace(summary.fixed.covariance) < 0.01 * np.trace(summary.within.covariance)
    assert np.linalg.eigvalsh(summary.fixed.covariance)[0] > -1e-9


def test_equal_images_are_all_pattern(rng):
    images = np.repeat(rng.integers(0, 256, (1, 3, 8, 8), dtype=np.uint8), 5, axis=0)
    summary = stats_of(images).summary()
    assert summary.fixed.covariance == pytest.approx(summary.within.covariance, rel=1e-12)
    assert summary.between.variance == 0


def test_fixed_is_none_where_it_means_nothing(rng):
    one, other = (rng.integers(0, 256, (2, 3, n, 4), dtype=np.uint8) for n in (4, 5))
    assert stats_of(one[0]).summary().fixed is None
    assert stats_of(one, other).summary().fixed is None
    assert stats_of(one, other, one).summary().fixed is None
    assert (stats_of(one) + stats_of(other)).summary().fixed is None
    large = np.zeros((2, 3, 1025, 1024), np.uint8)
    assert stats_of(large).summary().fixed is None


# -- wrong input ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("low", "high"), [(0, 1e-30), (-1e30, 1e30)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_same_is_found_in_any_range_that_is_accepted(rng, low, high, dtype):
    values = rng.random((4, 3, 16, 16))
    numbers = []
    for ends in ((0.0, 1.0), (low, high)):
        images = (ends[0] + (ends[1] - ends[0]) * values).astype(dtype)
        found = gch.ChromaStats(ends).update(images).summary()
        assert np.array_equal(gch.color.quantize(images, value_range=ends), np.rint(255 * values))
        measures = [
            [m.std_levels, m.achromatic_share, m.effective_rank] for m in (found.within, found.fixed, found.total)
        ]
        numbers.append([*np.ravel(measures), found.colorfulness, found.chroma, found.near_end_share])
    np.testing.assert_allclose(*numbers, rtol=1e-11 if dtype == np.float64 else 1e-5)  # as the values are rounded


@pytest.mark.parametrize(
    ("options", "images", "error", "text"),
    [
        ({}, np.zeros((3, 4, 4)), ValueError, "value_range is required for images of dtype float64"),
        ({"value_range": (-1, 1)}, np.zeros((3, 4, 4), np.uint8), ValueError, r"uint8 have the range \(0, 255\)"),
        ({}, np.zeros((3, 4, 4), np.int32), TypeError, "images has dtype int32"),
        ({}, np.zeros((4, 4, 3), np.uint8), ValueError, 'pass layout="NHWC"$'),
        ({"layout": "NHWC"}, np.zeros((3, 5, 5), np.uint8), ValueError, 'pass layout="NCHW"$'),
        ({}, np.zeros((2, 5, 5, 4), np.uint8), ValueError, 'pass layout="NHWC" and leave the fourth channel out'),
        ({}, np.zeros((2, 4, 5, 5), np.uint8), ValueError, r"\(2, 4, 5, 5\); leave the fourth channel out"),
        ({}, np.zeros((2, 1, 5, 4), np.uint8), ValueError, r"\(2, 1, 5, 4\); repeat the single channel three times"),
        ({}, np.zeros((2, 5, 5, 5), np.uint8), ValueError, r"\(2, 5, 5, 5\)$"),
        ({"layout": "HWC"}, None, ValueError, "layout is 'HWC'; accepted"),
        ({"quantize": "nearest"}, None, ValueError, "quantize is 'nearest'; accepted"),
        ({"value_range": (2, 1)}, None, ValueError, "value_range must be finite with low < high"),
        ({"value_range": (0, 1e-170)}, None, ValueError, "and at least 1e-30 apart, got"),
        ({"value_range": (1e31, 2e31)}, None, ValueError, r"within -1e\+30 to 1e\+30 and"),
    ],
)
def test_wrong_input(options, images, error, text):
    with pytest.raises(error, match=text):
        gch.ChromaStats(**options).update(images)


def test_bytes_and_floats_do_not_mix(rng):
    stats = stats_of(np.zeros((1, 3, 4, 4), np.uint8))
    before = stats_of(np.zeros((1, 3, 4, 4), np.uint8))
    with pytest.raises(ValueError, match="images have dtype float64, but this ChromaStats has seen uint8"):
        stats.update(rng.random((1, 3, 4, 4)))
    assert stats == before


def test_torch_tensors(rng):
    torch = pytest.importorskip("torch")
    levels = rng.integers(0, 256, (2, 3, 8, 9), dtype=np.uint8)
    wanted = stats_of(levels)
    assert stats_of(torch.from_numpy(levels)) == wanted
    assert stats_of(torch.from_numpy(levels).to(memory_format=torch.channels_last)) == wanted
    with pytest.raises(TypeError, match=r"images can't be read.*detach"):
        stats_of(torch.zeros(1, 3, 4, 4, requires_grad=True), value_range=(0, 1))


# -- reading ----------------------------------------------------------------------------------------------------


def test_summary_reads_well(rng):
    images = rng.random((4, 3, 8, 8))
    images[0, 0, 0, 0] = np.nan
    summary = stats_of(images, value_range=(0, 1)).summary()
    text = str(summary)
    for word in (
        "4 images",
        "256 pixels",
        "within-image",
        "between",
        "fixed",
        "total",
        "M3",
        "C*ab",
        "1 pixels with NaN",
    ):
        assert word in text
    assert max(map(len, text.splitlines())) <= 100
    said = json.loads(json.dumps(summary.to_dict(), allow_nan=False))
    assert said["within"]["achromatic_share"] == summary.within.achromatic_share
    assert said["gray_pixel_shares"] == list(summary.gray_pixel_shares)
    assert said["images"] == 4
    assert stats_of(images[1], value_range=(0, 1)).summary().to_dict()["fixed"] is None


def test_photographs_are_natural():
    """Reference: shares of .90-.91 within 64 x 64 pieces, correlations of .91 .79 .91 in natural images at large."""
    data = pytest.importorskip("skimage.data")
    stats = gch.ChromaStats(layout="NHWC")
    for name in ("astronaut", "coffee", "chelsea", "rocket"):
        stats.update(getattr(data, name)())
    summary = stats.summary()
    assert summary.images == 4
    assert summary.fixed is None
    assert 0.85 < summary.within.achromatic_share < 0.93
    assert (summary.within.correlation > 0.6).all()
    assert summary.gray_images == 0


# -- the exact sums ---------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-1e40, 1e40, allow_subnormal=False), min_size=1, max_size=20))
def test_sums_of_floats_are_exact(values):
    """Exact wherever the last digit is above 2^-96, whatever the order."""
    kept = [math.trunc(value * 2.0**96) if abs(value) < 1 else int(value * 2.0**60) << 36 for value in values]
    forward = _sums.to_integers(_sums.from_floats(np.array(values)[:, None]))[0]
    backward = _sums.to_integers(_sums.from_floats(np.array(values[::-1])[:, None]))[0]
    assert forward == backward == sum(kept)


@given(st.lists(st.integers(-(2**62), 2**62), min_size=1, max_size=20), st.sampled_from([0, 1, 16, 31, 32]))
def test_sums_of_integers_are_exact(values, bits):
    limbs = _sums.normalized(_sums.from_integers(np.array(values, np.int64)[:, None], bits))
    assert _sums.to_integers(limbs) == [sum(values) << (96 - bits)]
    assert (limbs[:, :-1] >= 0).all()
    assert (limbs[:, :-1] < 2**32).all()


@pytest.mark.parametrize("value", [1e100, 1e155, 1e308])
def test_values_beyond_all_reason_are_counted_without_a_warning(value):
    images = np.random.default_rng(0).random((2, 3, 8, 8))
    images[0, 1] = value
    stats = gch.ChromaStats((0, 1)).update(images)
    summary = stats.summary()
    assert (summary.images, summary.nonfinite, summary.maximum) == (2, 0, value)
    assert np.isfinite(summary.within.covariance).all()


@pytest.mark.parametrize("layout", ["planes", "interleaved"])
@pytest.mark.parametrize("every", [1, 3, 16, 5000])
def test_chroma_of_every_nth_pixel(every, layout):
    """The pixels whose number is a multiple of n, across chunks, stand for all; everything else is of all pixels."""
    pixels = np.random.default_rng(3).integers(0, 256, (2, 67, 131, 3), dtype=np.uint8)  # more than two chunks
    batch = pixels.transpose(0, 3, 1, 2) if layout == "interleaved" else pixels.transpose(0, 3, 1, 2).copy()
    records, extremes = np.empty((2, 31), np.int64), np.empty((2, 4))
    whole = records.copy()
    _core.stats_levels(batch, whole, extremes, 0.0, 255.0, 0, 1, 1)
    _core.stats_levels(batch, records, extremes, 0.0, 255.0, 0, every, 2)
    some = pixels.reshape(2, -1, 3)[:, ::every].transpose(0, 2, 1)[:, :, np.newaxis].copy()
    lab = gch.color.rgb_to_lab(some, value_range=(0, 255)).astype(np.float64)
    expected = np.hypot(lab[:, 1], lab[:, 2]).mean(axis=(1, 2)) * 67 * 131
    np.testing.assert_allclose(records[:, 16] / 2**16, expected, rtol=1e-5)  # Lab in float32
    np.testing.assert_array_equal(np.delete(records, 16, axis=1), np.delete(whole, 16, axis=1))
    with pytest.raises(ValueError, match="contradicts its contract"):
        _core.stats_levels(batch, records, extremes, 0.0, 255.0, 0, -1, 1)


def test_positions_of_more_images_than_a_word_can_add_up():
    """257 bytes of 255 fill 16 bits; the images that don't count stand among them."""
    levels = np.full((600, 3, 67, 71), 255, np.uint8)
    levels[::5] = np.random.default_rng(0).integers(0, 256, levels[::5].shape)
    use = (np.arange(600) % 7 > 0).astype(np.uint8)
    sums = np.ones((3, 67, 71), np.int64)
    for batch in (levels, levels[:, ::-1]):  # contiguous, and not
        before = sums.copy()
        _core.stats_positions(batch, use, sums, 0.0, 255.0, 1)
        np.testing.assert_array_equal(sums - before, batch[use > 0].sum(axis=0, dtype=np.int64))


@pytest.mark.parametrize(
    ("offset", "std", "dtype"), [(0, 0.3, "f4"), (0.9, 1e-3, "f4"), (0.5, 0.2, "f8"), (-0.999, 1e-4, "f8")]
)
def test_floats_stay_within_the_bound_that_is_stated(isa, rng, offset, std, dtype):
    """Ten times what was found at most: 8e-15 of the variance where it is 1e8 times less than the mean's square."""
    images = (offset + std * rng.standard_normal((2, 3, 300, 301))).astype(dtype)
    whole = gch.ChromaStats((-1, 1)).update(images)
    assert gch.ChromaStats((-1, 1)).update(images[1:]) + gch.ChromaStats((-1, 1)).update(images[:1]) == whole
    exact = images.astype(np.longdouble).reshape(2, 3, -1)
    apart = exact - exact.mean(axis=-1, keepdims=True)
    covariance = np.einsum("nip,njp->ij", apart, apart) / apart[:, 0].size
    found = whole.summary().within
    assert np.abs(found.mean - exact.mean(axis=(0, 2))).max() < 2e-15  # of a range of 2
    assert np.abs(found.covariance - covariance).max() < 1e-13 * covariance.diagonal().max()
