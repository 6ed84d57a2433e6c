"""Random streams: which numbers, the same numbers everywhere, and good numbers."""

import copy
import math
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import oracle
import pytest

import ganchroma as gch
from ganchroma import _core
from ganchroma.rng import as_stream

FILLS = {"uniform": _core.rng_uniform, "normal": _core.rng_normal}
# Around the widths of a vector, of a group of blocks, and of a work item (256 groups).
COUNTS = [0, 1, 2, 7, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 129, 256 * 32 - 1, 256 * 64 + 1, 100_003]


def fill(law, count, dtype, *, key=0x0123456789ABCDEF, draw=3, threads=1):
    out = np.empty(count, dtype)
    FILLS[law](key, draw, 0.0, 1.0, out, threads)
    return out


@pytest.mark.parametrize(
    ("counter", "key", "words"),
    [
        ([0] * 4, [0] * 2, [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
        ([0xFFFFFFFF] * 4, [0xFFFFFFFF] * 2, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
        (
            [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
            [0xA4093822, 0x299F31D0],
            [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
        ),
    ],
)
def test_known_answers_of_philox(isa, counter, key, words):
    """The vectors published with the generator (Random123, kat_vectors)."""
    assert [int(word) for word in oracle.philox(counter, key)] == words
    block, draw = counter[0] | counter[1] << 32, counter[2] | counter[3] << 32
    group = np.empty((4, 16), np.uint32)
    _core.rng_words(key[0] | key[1] << 32, draw, block // 16, group)
    assert group[:, block % 16].tolist() == words


def test_words_of_groups_beyond_32_bits(isa):
    group, key, draw = 2**40 + 5, 2**63 + 11, 2**33 + 1
    got = np.empty((4, 16), np.uint32)
    _core.rng_words(key, draw, group, got)
    block = np.arange(16 * group, 16 * group + 16, dtype=np.uint64)
    expected = oracle.philox([block & 0xFFFFFFFF, block >> 32, 1, 2], [key % 2**32, key >> 32])
    assert np.array_equal(got, np.stack(expected))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("count", COUNTS)
def test_uniform_is_the_documented_stream_to_the_bit(isa, dtype, count):
    expected = oracle.stream_uniform(0x0123456789ABCDEF, 3, count, dtype)
    assert np.array_equal(fill("uniform", count, dtype), expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_normal_is_the_documented_stream(isa, dtype):
    """Within 3 units of relative rounding: five roundings after polynomials good to one unit (measured 2.3, 2.8)."""
    count = 100_003
    expected = oracle.stream_normal(0x0123456789ABCDEF, 3, count, dtype)
    got = fill("normal", count, dtype)
    assert np.abs(got / expected - 1).max() < 3 * np.finfo(dtype).eps


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("law", FILLS)
def test_every_length_is_a_prefix_of_the_longest(isa, law, dtype):
    longest = fill(law, max(COUNTS), dtype)
    for count in COUNTS:
        assert np.array_equal(fill(law, count, dtype), longest[:count])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("law", FILLS)
@pytest.mark.scenario("threads")
def test_same_bits_for_every_thread_count_and_instruction_set(isa, law, dtype):
    before = _core.isa()
    _core.select_isa("scalar")
    reference = fill(law, 300_001, dtype)
    _core.select_isa(before)
    for threads in (1, 2, 5):
        assert np.array_equal(fill(law, 300_001, dtype, threads=threads), reference)


@pytest.mark.parametrize("offset", [1, 3])
@pytest.mark.parametrize("law", FILLS)
def test_unaligned_output_and_its_neighbours(isa, law, offset):
    for count in (1, 16, 37, 64, 200):
        memory = np.full(count + 8, np.float32(-7))
        FILLS[law](1, 0, 0.0, 1.0, memory[offset : offset + count], 1)
        assert np.array_equal(memory[offset : offset + count], fill(law, count, np.float32, key=1, draw=0))
        assert (memory[:offset] == -7).all()
        assert (memory[offset + count :] == -7).all()


def test_scale_and_shift_round_separately(isa):
    unit = fill("normal", 1000, np.float32)
    out = np.empty(1000, np.float32)
    _core.rng_normal(0x0123456789ABCDEF, 3, 0.3, 1.7, out, 1)
    assert np.array_equal(out, unit * np.float32(1.7) + np.float32(0.3))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_uniform_passes_a_chi_square_test(dtype):
    count, bins = 1_000_000, 256
    observed = np.bincount((fill("uniform", count, dtype, draw=0) * bins).astype(int), minlength=bins)
    statistic = ((observed - count / bins) ** 2).sum() / (count / bins)
    # 255 degrees of freedom: mean 255, standard deviation 22.6; both ends of four deviations count as a failure.
    assert 165 < statistic < 345


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_normal_passes_a_kolmogorov_smirnov_test_and_has_its_moments(dtype):
    count = 1_000_000
    x = fill("normal", count, dtype, draw=0).astype(np.float64)
    grid = np.linspace(-4, 4, 401)
    below = np.searchsorted(np.sort(x), grid) / count
    exact = np.array([0.5 * (1 + math.erf(t / math.sqrt(2))) for t in grid])
    assert np.abs(below - exact).max() * math.sqrt(count) < 1.95  # 1.95: passed by 999 of 1000 true samples
    # Four standard errors each: 1, sqrt 2, sqrt 15 and sqrt 96 over sqrt count.
    for power, moment, deviation in ((1, 0, 1), (2, 1, 1.42), (3, 0, 3.9), (4, 3, 9.8)):
        assert abs((x**power).mean() - moment) < 4 * deviation / math.sqrt(count)


@pytest.mark.parametrize("lag", [1, 16, 32, 64])
def test_elements_and_draws_are_uncorrelated(lag):
    """Also between the two halves of a Box-Muller pair, 16 elements apart, and their squares."""
    count = 1_000_000
    x, y = fill("normal", count, np.float32, draw=0), fill("normal", count, np.float32, draw=1)
    for a, b in ((x[lag:], x[:-lag]), (x, y), (x[lag:] ** 2, x[:-lag] ** 2)):
        assert abs(np.corrcoef(a, b)[0, 1]) < 4 / math.sqrt(count)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_tails_and_range(dtype):
    x, u = fill("normal", 4_000_000, dtype), fill("uniform", 4_000_000, dtype)
    assert np.isfinite(x).all()
    assert 4.8 < np.abs(x).max() < 6.8  # expected largest of four million: 5.2
    assert u.min() >= 0
    assert u.max() < 1
    assert u.min() < 2e-6


class TestAsStream:
    def test_seed_generator_and_stream(self):
        key = int(np.random.default_rng(5).integers(0, 2**64, dtype=np.uint64))
        assert gch.rng.as_stream(5).key == gch.rng.as_stream(np.int32(5)).key == key
        assert gch.rng.as_stream(np.random.default_rng(5)).key == key
        stream = gch.rng.Stream(key)
        assert gch.rng.as_stream(stream) is stream

    def test_generator_moves_on(self):
        generator = np.random.default_rng(5)
        assert gch.rng.as_stream(generator).key != gch.rng.as_stream(generator).key

    def test_none_is_fresh(self):
        assert gch.rng.as_stream().key != gch.rng.as_stream(None).key

    def test_draws_differ_and_are_counted(self):
        stream = gch.rng.as_stream(0)
        a, b = gch.init.normal(100, rng=stream), gch.init.normal(100, rng=stream)
        assert stream.draws == 2
        assert not (a == b).any()
        assert np.array_equal(a, gch.init.normal(100, rng=0))

    @pytest.mark.parametrize("rng", [True, 1.5, "seed", [1], np.random.RandomState(0), np.random.PCG64(0)])
    def test_wrong_types(self, rng):
        with pytest.raises(TypeError, match="rng must be None, an int"):
            gch.init.normal(3, rng=rng)

    def test_wrong_values(self):
        with pytest.raises(ValueError, match="rng must not be negative, got -1"):
            gch.rng.as_stream(-1)
        with pytest.raises(ValueError, match="key must be at least 0"):
            gch.rng.Stream(2**64)
        with pytest.raises(ValueError, match="got an object of type int"):
            gch.rng.Stream(10**5000)  # more digits than Python writes
        with pytest.raises(TypeError, match="key must be an integer"):
            gch.rng.Stream(1.0)

    @pytest.mark.parametrize("stream", [gch.rng.Stream(1), gch.TorchGenerator(1)])
    def test_wrong_bounds(self, stream):
        out = np.zeros(3)
        with pytest.raises(ValueError, match="low must be finite, got nan"):
            stream.uniform(out, np.nan, 1)
        with pytest.raises(ValueError, match="low must not exceed high"):
            stream.uniform(out, 1.0, 0.0)
        with pytest.raises(ValueError, match="std must not be below 0, got -1"):
            stream.normal(out, 0, -1)
        assert not out.any()


@pytest.mark.parametrize("function", FILLS.values())
@pytest.mark.parametrize(
    ("position", "value", "error"),
    [
        (0, -1, OverflowError),
        (0, 2**64, OverflowError),
        (0, "k", TypeError),
        (1, 1.0, TypeError),
        (2, "low", TypeError),
        (3, None, TypeError),
        (4, [1.0], TypeError),
        (4, np.empty(3, np.int32), TypeError),
        (4, np.empty((4, 4), np.float32)[:, ::2], ValueError),
        (5, "two", TypeError),
    ],
)
def test_the_binding_refuses_what_it_cannot_use(function, position, value, error):
    arguments = [0, 0, 0.0, 1.0, np.empty(3, np.float32), 1]
    arguments[position] = value
    with pytest.raises(error):
        function(*arguments)
    with pytest.raises(TypeError):
        function(*arguments[:5])


@pytest.mark.parametrize("out", [np.empty((4, 15), np.uint32), np.empty(64, np.uint32), np.empty((4, 16), np.int32)])
def test_words_refuses_other_outputs(out):
    with pytest.raises((TypeError, ValueError)):
        _core.rng_words(0, 0, 0, out)


@pytest.mark.scenario("threads")
def test_threads_that_share_a_stream_get_different_numbers():
    # The core lets go of the interpreter while it fills: whoever reads the count meanwhile must not repeat a draw.
    stream, gate = as_stream(1), threading.Barrier(4, timeout=20)

    def caller(_):
        gate.wait()
        firsts = []
        for turn in range(40):
            out = np.empty(20_000, np.float32)
            (stream.uniform if turn % 2 else stream.normal)(out, 0.0, 1.0, threads=1)
            firsts.append((turn % 2, float(out[:64].sum())))
        return firsts

    with ThreadPoolExecutor(4) as pool:
        firsts = [first for part in pool.map(caller, range(4)) for first in part]
    assert len(set(firsts)) == len(firsts) == stream.draws == 160


@pytest.mark.parametrize("again", [copy.deepcopy, copy.copy, lambda stream: pickle.loads(pickle.dumps(stream))])
def test_a_copied_stream_continues_alone(again):
    stream = as_stream(1)
    gch.init.uniform((3,), rng=stream)
    other = again(stream)
    assert (other.key, other.draws) == (stream.key, 1)
    np.testing.assert_array_equal(gch.init.uniform((5,), rng=other), gch.init.uniform((5,), rng=stream))
    assert (other.draws, stream.draws) == (2, 2)
