"""Frequency response: against FFT and SVD, and against the layer as a matrix."""

import json

import numpy as np
import oracle
import pytest
from support import layouts

import ganchroma as gch
from ganchroma import _core
from ganchroma.spectral import frequency_response

FUSED = [name for name in _core.available_isas() if name != "scalar"]

# Weight, size of the input, transposed, stride: kernels of 1 to 7, one side alone, wider than the image; 1 to 5
# outputs; fewer inputs than outputs, and many more; every height and width odd and even.
CASES = [
    ((3, 128, 3, 3), (8, 8), False, (1, 1)),
    ((3, 3, 3, 3), (5, 12), False, (1, 1)),
    ((1, 4, 1, 1), (3, 4), False, (1, 1)),
    ((2, 7, 2, 2), (9, 6), False, (1, 1)),
    ((3, 16, 4, 4), (7, 16), False, (1, 1)),
    ((3, 64, 7, 7), (4, 5), False, (1, 1)),
    ((4, 9, 5, 6), (6, 33), False, (1, 1)),
    ((5, 8, 3, 1), (4, 4), False, (1, 1)),
    ((5, 2, 1, 3), (1, 9), False, (1, 1)),
    ((3, 1, 3, 3), (6, 1), False, (1, 1)),
    ((4, 2, 3, 3), (1, 1), False, (1, 1)),
    ((17, 3, 2, 2), (3, 3), False, (1, 1)),
    ((17, 20, 2, 2), (3, 4), False, (1, 1)),
    ((64, 3, 4, 4), (5, 6), True, (2, 2)),
    ((4, 3, 5, 5), (3, 4), True, (2, 2)),
    ((5, 3, 2, 2), (4, 3), True, (3, 1)),
    ((6, 3, 3, 3), (4, 7), True, (1, 1)),
    ((5, 4, 6, 6), (2, 2), True, (2, 2)),
    ((3, 5, 4, 4), (8, 6), False, (2, 2)),
    ((3, 2, 3, 5), (4, 6), False, (1, 3)),
]
IDS = [f"{'transposed ' * t}{'x'.join(map(str, w))} on {s[0]}x{s[1]} stride {d}" for w, s, t, d in CASES]


def random(shape, dtype=np.float64, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def outputs(response, y, x):
    """The wave (O, H', W') of the direction at one frequency."""
    height, width = response.singular_values.shape[:2]
    wave = np.exp(2j * np.pi * np.add.outer(y * np.arange(height) / height, x * np.arange(width) / width))
    direction = response.directions[y, x]
    if direction.ndim == 1:
        return direction[:, None, None] * wave
    down, across, colors = direction.shape
    spread = np.einsum("rso,hw->ohrws", direction, wave)
    return spread.reshape(colors, height * down, width * across)


@pytest.mark.parametrize(("shape", "size", "transposed", "stride"), CASES, ids=IDS)
def test_singular_values(isa, shape, size, transposed, stride):
    """Tolerance: the largest to a few roundings, the others to those of a squared norm."""
    weight = random(shape)
    response = frequency_response(weight, size, transposed=transposed, stride=stride)
    expected = oracle.circular_gains(weight, size, transposed, stride)
    got = response.singular_values
    assert got.shape == expected.shape
    assert response.size == size
    peak = expected.max()
    np.testing.assert_allclose(got[..., 0].max(), peak, rtol=1e-14)
    np.testing.assert_allclose(got[..., 0], expected[..., 0], rtol=1e-12)
    np.testing.assert_allclose(got**2, expected**2, rtol=0, atol=3e-15 * peak**2)
    np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-14 * peak)
    assert (np.diff(got, axis=-1) <= 0).all()


@pytest.mark.parametrize(("shape", "size", "transposed", "stride"), CASES, ids=IDS)
def test_directions(isa, shape, size, transposed, stride):
    """The layer's adjoint shortens the wave of a direction by the gain: the definition, pixel by pixel."""
    weight = random(shape, seed=1)
    response = frequency_response(weight, size, transposed=transposed, stride=stride)
    flat = response.directions.reshape(*response.largest.shape, -1)
    np.testing.assert_allclose(np.linalg.norm(flat, axis=-1), 1, rtol=1e-14)
    matrix = oracle.circular_matrix(weight, size, transposed, stride)
    height, width = response.singular_values.shape[:2]
    for y, x in {(0, 0), (height // 2, width // 2), (height - 1, 1 % width), (1 % height, width - 1)}:
        wave = outputs(response, y, x).ravel()
        gain = np.linalg.norm(matrix.T @ wave) / np.linalg.norm(wave)
        assert gain == pytest.approx(response.largest[y, x], rel=1e-12)


def test_directions_are_in_phase():
    response = frequency_response(random((3, 20, 3, 3)), (6, 7))
    square = (response.directions**2).sum(axis=-1)
    assert np.abs(square.imag).max() < 1e-12
    assert square.real.min() > 0
    assert response.directions.real.sum(axis=-1).min() > -1e-12
    mirrored = np.roll(response.directions[::-1, ::-1], 1, axis=(0, 1)).conj()
    np.testing.assert_allclose(response.directions, mirrored, atol=1e-12)


def test_colors():
    """Two filters alike and none in blue: yellow. Their difference alone: red against green."""
    kernel = random((1, 8, 3, 3))
    yellow = frequency_response(np.concatenate([kernel, kernel, 0 * kernel]), 8).colors
    np.testing.assert_allclose(yellow, np.broadcast_to([0.5**0.5, 0.5**0.5, 0], yellow.shape), atol=1e-12)
    against = frequency_response(np.concatenate([kernel, -kernel, 0 * kernel]), 8).colors
    np.testing.assert_allclose(np.abs(against), np.abs(yellow), atol=1e-12)
    assert (against[..., 0] * against[..., 1] < 0).all()
    heads = random((16, 3, 4, 4))
    response = frequency_response(heads, 4, transposed=True, stride=2)
    assert response.directions.shape == (4, 4, 2, 2, 3)
    np.testing.assert_allclose(np.linalg.norm(response.colors, axis=-1), 1)


def test_a_delay_between_colors_is_a_phase():
    """Green is red one pixel later: at the frequency w the two differ by exp(i w)."""
    weight = np.zeros((2, 1, 1, 2))
    weight[0, 0, 0, 0] = weight[1, 0, 0, 1] = 1
    directions = frequency_response(weight, (1, 8)).directions[0]
    np.testing.assert_allclose(directions[:, 1] / directions[:, 0], np.exp(2j * np.pi * np.arange(8) / 8), atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_other_floats_are_computed_in_double(dtype):
    weight = random((3, 20, 3, 3), dtype)
    got, expected = (frequency_response(w, (5, 6)) for w in (weight, weight.astype(np.float64)))
    assert got.singular_values.dtype == np.float64
    assert np.array_equal(got.singular_values, expected.singular_values)
    assert np.array_equal(got.directions, expected.directions)


def test_any_memory_layout():
    weight = random((3, 6, 3, 4), np.float32)
    expected = frequency_response(weight, 5)
    for _, same in layouts(weight):
        assert np.array_equal(frequency_response(same, 5).singular_values, expected.singular_values)


def test_rank_deficient_filters():
    """Identical filters make gray alone: two of three gains are 0, to the rounding of the matrix, not of its square."""
    kernel = random((1, 40, 3, 3))
    response = frequency_response(np.repeat(kernel, 3, axis=0), (9, 8))
    assert response.singular_values[..., 1:].max() < 1e-14 * response.norm
    assert response.condition > 1e14
    np.testing.assert_allclose(response.colors, 3**-0.5, atol=1e-12)


@pytest.mark.parametrize("apart", [1e-2, 1e-4, 1e-7])
def test_small_singular_values_keep_their_digits(apart):
    kernel = random((1, 40, 3, 3))
    weight = np.repeat(kernel, 3, axis=0) + apart * random((3, 40, 3, 3), seed=1)
    response = frequency_response(weight, 8)
    expected = oracle.circular_gains(weight, (8, 8))
    np.testing.assert_allclose(response.smallest, expected[..., -1], rtol=max(1e-10, 1e-14 / apart))
    assert response.condition == pytest.approx(expected.max() / expected.min(), rel=max(1e-10, 1e-14 / apart))


def test_equal_singular_values():
    """Orthogonal filters: every gain the same, at every frequency."""
    weight = np.linalg.qr(random((27, 3)))[0].T.reshape(3, 27, 1, 1)
    response = frequency_response(weight, 6)
    np.testing.assert_allclose(response.singular_values, 1, rtol=1e-14)
    assert response.condition == pytest.approx(1, rel=1e-14)


@pytest.mark.parametrize("scale", [1e-300, 1e-160, 1e160, 1e300])
def test_any_scale(scale):
    weight = random((3, 5, 3, 3))
    got, expected = (frequency_response(w, 4).singular_values for w in (scale * weight, weight))
    np.testing.assert_allclose(got / scale, expected, rtol=1e-12)


def test_zero_and_bad_weights():
    zero = frequency_response(np.zeros((3, 4, 3, 3)), 5)
    assert not zero.singular_values.any()
    assert zero.norm == 0
    assert np.isnan(zero.condition)
    assert np.isfinite(zero.directions).all()
    for bad in (np.nan, np.inf):
        weight = random((64, 3, 4, 4))
        weight[3, 2, 1, 0] = bad
        response = frequency_response(weight, 5, transposed=True, stride=2)
        assert response.singular_values.shape == (5, 5, 12)
        assert response.directions.shape == (5, 5, 2, 2, 3)
        assert np.isnan(response.singular_values).all()
        assert np.isnan(response.colors).all()
        assert np.isnan(response.norm)
        assert json.dumps(response.to_dict(), allow_nan=False)
        with pytest.raises(ValueError, match="not finite"):
            response.plot()
    strided = random((3, 4, 3, 3))
    strided[0] = np.nan
    assert frequency_response(strided, 6, stride=2).singular_values.shape == (3, 3, 3)


@pytest.mark.skipif(len(FUSED) < 2, reason="needs two instruction sets with fused multiply-add")
@pytest.mark.parametrize(
    "shape", [(1, 4, 2, 2), (2, 5, 3, 3), (3, 60, 3, 3), (4, 4, 5, 5), (7, 9, 2, 2), (12, 64, 2, 2)]
)
@pytest.mark.parametrize("special", ["random", "identical", "real"])
def test_same_bits_for_every_instruction_set_with_fma(shape, special):
    weight = random(shape)
    if special == "identical":
        weight[:] = weight[0]
    if special == "real":
        weight[:, :, 1:] = 0
    before = _core.isa()
    results = set()
    for name in FUSED:
        _core.select_isa(name)
        values, vectors = raw(weight, 7, 9)
        alone, _ = raw(weight, 7, 9, vectors=False)
        results.add((values.tobytes(), vectors.tobytes(), alone.tobytes()))
    _core.select_isa(before)
    assert len(results) == 1


def raw(weight, height, width, *, threads=1, vectors=True):
    rows, _, kh, kw = weight.shape
    gram = np.empty((kh, 2 * kw - 1, rows, rows))
    _core.frequency_gram(np.ascontiguousarray(weight.transpose(0, 2, 3, 1)), gram, threads)
    values = np.empty((height, width, rows))
    left = np.empty((height, width, rows), np.complex128) if vectors else None
    lines, columns = np.arange(height // 2 + 1) / height, np.arange(width)[None] / width
    _core.frequency_values(gram, lines, columns, values, left, height, threads)
    return values, left


@pytest.mark.parametrize("special", ["random", "equal", "zero"])
@pytest.mark.parametrize(
    "shape", [(1, 3, 3, 3), (2, 5, 2, 2), (3, 3, 3, 3), (4, 40, 1, 5), (12, 64, 2, 2), (16, 1, 2, 2)]
)
def test_peaks_are_the_largest_values(isa, shape, special):
    """To the bit, and the first of them, though most columns are passed over."""
    weight = random(shape) * {"random": 1, "equal": 1, "zero": 0}[special]
    if special == "equal":
        weight[..., 1:] = 0  # nothing changes along a line
    rows, _, kh, kw = shape
    for width in (1, 7, 8, 9, 40, 500):
        values, _ = raw(weight, 12, width, vectors=False)
        gram, peaks = np.empty((kh, 2 * kw - 1, rows, rows)), np.empty((7, 2))
        _core.frequency_gram(np.ascontiguousarray(weight.transpose(0, 2, 3, 1)), gram, 1)
        _core.frequency_peaks(gram, np.arange(7) / 12, np.arange(width)[None] / width, peaks, 1)
        assert np.array_equal(peaks[:, 0], values[:7, :, 0].max(axis=1))
        assert np.array_equal(peaks[:, 1], values[:7, :, 0].argmax(axis=1))


@pytest.mark.parametrize("rows", [3, 12, 16])
def test_a_line_of_any_length_is_that_of_its_columns(isa, rows):
    """Long ones are taken a piece at a time: a column gets the same bits wherever it stands."""
    gram, columns = np.empty((2, 3, rows, rows)), np.arange(500) / 500
    _core.frequency_gram(random((rows, 2, 2, 4)), gram, 1)
    whole, turned = (np.empty((3, 500, rows)), np.empty((3, 500, rows), np.complex128)), []
    _core.frequency_values(gram, np.arange(3) / 4, columns[None], *whole, 0, 1)
    for way in (slice(None, None, -1), slice(250, 251)):
        part = np.empty_like(whole[0][:, way]), np.empty_like(whole[1][:, way])
        _core.frequency_values(gram, np.arange(3) / 4, columns[None, way].copy(), *part, 0, 1)
        turned.append(all(np.array_equal(one, other[:, way]) for one, other in zip(part, whole, strict=True)))
    assert turned == [True, True]


@pytest.mark.scenario("threads")
def test_same_bits_for_every_thread_count(isa):
    weight = random((3, 700, 5, 5))
    results = set()
    for threads in (1, 2, 5):
        values, vectors = raw(weight, 160, 90, threads=threads)
        results.add((values.tobytes(), vectors.tobytes()))
    assert len(results) == 1


def test_numbers_and_text():
    weight = random((3, 20, 3, 3), np.float32)
    response = frequency_response(weight, (8, 6))
    assert response.norm == response.largest.max()
    assert response.reshaped == pytest.approx(gch.spectral.sigma(weight), rel=1e-12)
    assert response.supremum.upper >= response.norm
    assert np.array_equal(response.eigenvalues, response.singular_values**2)
    assert [len(part) for part in response.frequencies] == [8, 6]
    assert repr(response).startswith("FrequencyResponse(8x6 frequencies, 3 singular values, norm=")
    assert json.loads(json.dumps(response.to_dict()))["norm"] == response.norm
    with pytest.raises(AttributeError):
        response.size = 3
    head = frequency_response(random((8, 3, 4, 4)), 4, transposed=True, stride=2)
    assert head.reshaped == pytest.approx(gch.spectral.sigma(head.weight, dim=1), rel=1e-12)


@pytest.mark.parametrize(
    ("weight", "options"),
    [
        (random((3, 8, 3, 3)), {}),
        (random((1, 1, 1, 1)), {}),
        (random((8, 3, 4, 4)), {"transposed": True, "stride": 2}),
        (np.zeros((3, 2, 3, 3)), {}),
        (np.ones((3, 2, 3, 3)), {}),
    ],
)
def test_plot(weight, options, tmp_path):
    pytest.importorskip("matplotlib")
    import sys

    response = frequency_response(weight, (5, 8), **options)
    figure = response.plot()
    figure.savefig(tmp_path / "plot.png")
    assert "matplotlib.pyplot" not in sys.modules or getattr(figure, "number", None) is None
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert any("largest gain" in title for title in titles)
    legend = [text.get_text() for axes in figure.axes if axes.get_legend() for text in axes.get_legend().get_texts()]
    assert [entry.split(":")[0] for entry in legend] == ["reshaped, as PyTorch", "circular, 5x8", "supremum"]
    assert figure._repr_png_()[1:4] == b"PNG"
    assert response.plot(figure) is figure


@pytest.mark.parametrize(
    ("arguments", "options", "error", "words"),
    [
        ((np.zeros((3, 4, 3)), 4), {}, ValueError, "weight must have 4 dimensions"),
        ((np.zeros((3, 4, 3, 3), int), 4), {}, TypeError, "weight has dtype int64"),
        ((np.zeros((3, 0, 3, 3)), 4), {}, ValueError, "every dimension must be at least 1"),
        (("weight", 4), {}, TypeError, "weight must be an array"),
        ((np.zeros((3, 4, 3, 3)), 0), {}, ValueError, "size must lie in 1"),
        ((np.zeros((3, 4, 3, 3)), None), {}, TypeError, "size must be an integer or"),
        ((np.zeros((3, 4, 3, 3)), 4.0), {}, TypeError, "size must be an integer or"),
        ((np.zeros((3, 4, 3, 3)), (4, 4, 4)), {}, ValueError, "size must be an integer or"),
        ((np.zeros((3, 4, 3, 3)), 4), {"transposed": 1}, TypeError, "transposed must be True or False"),
        ((np.zeros((3, 4, 3, 3)), 4), {"stride": 0}, ValueError, "stride must lie in 1"),
        ((np.zeros((3, 4, 3, 3)), (4, 5)), {"stride": 2}, ValueError, "each side must be a multiple of the stride"),
        ((np.zeros((3, 4, 3, 3)), 2**30), {}, ValueError, "size is .*too large"),
    ],
)
def test_wrong_arguments(arguments, options, error, words):
    with pytest.raises(error, match=words):
        frequency_response(*arguments, **options)


@pytest.mark.parametrize(
    ("position", "value"),
    [
        (0, np.zeros((2, 2, 3, 3))),
        (0, np.zeros((0, 3, 3, 3))),
        (0, np.zeros((2, 3, 3, 2))),
        (0, np.zeros((2, 3, 17, 17))),
        (0, np.zeros((2, 3, 0, 0))),
        (0, np.zeros((2, 3, 3, 3), np.float32)),
        (1, np.zeros(4)),
        (1, np.zeros((3, 1))),
        (2, np.zeros((1, 5))),
        (2, np.zeros((2, 4))),
        (2, np.zeros((0, 4))),
        (3, np.zeros((5, 4, 4))),
        (3, np.zeros((5, 4, 0))),
        (3, np.zeros((5, 8, 3))[:, ::2]),
        (3, None),
        (4, np.zeros((5, 4, 3))),
        (4, np.zeros((4, 4, 3), complex)),
        (4, np.zeros((5, 4, 2), complex)),
        (5, 6),
        (5, -1),
        (5, "height"),
        (6, 1.5),
    ],
)
def test_the_binding_refuses_what_it_cannot_use(position, value):
    arguments = [np.zeros((2, 3, 3, 3)), np.zeros(3), np.zeros((1, 4)), np.zeros((5, 4, 3)), None, 5, 1]
    _core.frequency_values(*arguments)
    arguments[position] = value
    with pytest.raises((TypeError, ValueError)):
        _core.frequency_values(*arguments)


@pytest.mark.parametrize(
    ("position", "value"),
    [
        (0, np.zeros((2, 2, 3, 3))),
        (0, np.zeros((2, 3, 17, 17))),
        (1, np.zeros(4)),
        (2, np.zeros((2, 4))),
        (2, np.zeros((1, 0))),
        (3, np.zeros((3, 1))),
        (3, np.zeros((4, 2))),
        (3, None),
        (4, None),
    ],
)
def test_the_binding_refuses_what_it_cannot_use_for_peaks(position, value):
    arguments = [np.zeros((2, 3, 3, 3)), np.zeros(3), np.zeros((1, 4)), np.zeros((3, 2)), 1]
    _core.frequency_peaks(*arguments)
    arguments[position] = value
    with pytest.raises((TypeError, ValueError)):
        _core.frequency_peaks(*arguments)


@pytest.mark.parametrize(
    ("filters", "gram"),
    [
        (np.zeros((3, 2, 2)), np.zeros((2, 3, 3, 3))),
        (np.zeros((3, 2, 2, 4), np.float32), np.zeros((2, 3, 3, 3))),
        (np.zeros((3, 2, 2, 4)), np.zeros((2, 2, 3, 3))),
        (np.zeros((3, 2, 2, 4)), np.zeros((3, 3, 3, 3))),
        (np.zeros((3, 2, 2, 4)), np.zeros((2, 3, 3, 2))),
        (np.zeros((3, 2, 2, 4)), None),
    ],
)
def test_the_binding_refuses_wrong_filters(filters, gram):
    with pytest.raises((TypeError, ValueError)):
        _core.frequency_gram(filters, gram, 1)
    _core.frequency_gram(np.zeros((0, 2, 2, 4)), np.zeros((2, 3, 0, 0)), 1)
    _core.frequency_gram(np.zeros((2, 0, 2, 4)), np.zeros((0, 3, 2, 2)), 1)
    _core.frequency_gram(np.zeros((2, 2, 0, 4)), np.zeros((2, 0, 2, 2)), 1)
