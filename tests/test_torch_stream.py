"""PyTorch's random stream, without PyTorch: its golden numbers, its definition, and its state."""

import copy
import hashlib
import math
import pickle
import re
import signal
import threading
from fractions import Fraction

import numpy as np
import oracle
import pytest
from support import ROOT

import ganchroma as gch
from ganchroma import TorchGenerator, _core
from ganchroma._arrays import pieces

CAPABILITIES = ("default", "avx2")
FLOATS = (np.float32, np.float64)
# Around a block (16), a generation of the twister (624 words, in float64 312 elements), and a work item (8192).
COUNTS = [0, 1, 2, 3, 7, 8, 15, 16, 17, 31, 32, 33, 47, 311, 312, 313, 623, 624, 625, 1249, 8191, 8192, 8209, 20_001]


def digest(array):
    return hashlib.sha256(array.tobytes()).hexdigest()[:12]


def fill(generator, law, count, dtype, a=0.0, b=1.0, threads=1):
    out = np.empty(count, dtype)
    getattr(generator, law)(out, a, b, threads=threads)
    return out


# Made with torch 2.13.0 on x86-64, torch.manual_seed(1234): default, then avx2. Float64 normals, and those of
# "default", have the bits of the GNU C library's logarithm, sine and cosine.
GOLDEN = {
    "uniform": (lambda rng: gch.init.uniform(1000, rng=rng), "c156e3deb4a1", "c156e3deb4a1"),
    "uniform bounds": (lambda rng: gch.init.uniform(1000, -0.0721, 0.0721, rng=rng), "7a8766e937e4", "830af49d6d2d"),
    "uniform float64": (
        lambda rng: gch.init.uniform(1000, -0.0721, 0.0721, rng=rng, dtype=np.float64),
        "45a44ed21ed2",
        "9ff396baee3a",
    ),
    "normal 8": (lambda rng: gch.init.normal(8, 0, 0.02, rng=rng), "c15cd33b8727", "c15cd33b8727"),
    "normal": (lambda rng: gch.init.normal(1000, 0, 0.02, rng=rng), "2e7dc3f9468e", "f22c399bd646"),
    "normal float64": (
        lambda rng: gch.init.normal(1000, 0.3, 1.7, rng=rng, dtype=np.float64),
        "20a79654d4e1",
        "20a79654d4e1",
    ),
    "trunc_normal": (
        lambda rng: gch.init.trunc_normal(1000, 0, 0.02, -0.04, 0.04, rng=rng),
        "9732c60d2163",
        "7563b6b3157b",
    ),
    "kaiming_uniform": (
        lambda rng: gch.init.kaiming_uniform((3, 64, 3, 3), a=5**0.5, rng=rng),
        "880327d13449",
        "0ce0ee9f9d72",
    ),
    "xavier_normal": (lambda rng: gch.init.xavier_normal((64, 3, 4, 4), rng=rng), "c7191039f17e", "1b7851a3c220"),
    "normal 15": (
        lambda rng: gch.init.normal(15, 0.3, 1.7, rng=rng, dtype=np.float64),
        "93e05cded91a",
        "a6f2b59a5dc6",
    ),
    "far trunc_normal": (lambda rng: gch.init.trunc_normal(1000, 0, 1, 1, 3, rng=rng), "47a9b4bcd27c", "47a9b4bcd27c"),
    "sparse": (lambda rng: gch.init.sparse((40, 25), 0.3, rng=rng), "54d818e42029", "c098d65f4301"),
    "randperm": (lambda rng: rng.randperm(1000), "ae8ae77dccd2", "ae8ae77dccd2"),
    "Conv2d": (lambda rng: gch.init.conv_default((3, 128, 3, 3), rng=rng)[0], "33f12fba07a4", "0d9d595664d8"),
}


@pytest.mark.parametrize("name", GOLDEN)
@pytest.mark.parametrize("capability", CAPABILITIES)
def test_golden_numbers(isa, capability, name):
    make, *digests = GOLDEN[name]
    assert digest(make(TorchGenerator(1234, capability))) == digests[CAPABILITIES.index(capability)]


def test_dcgan_draws_golden_numbers():
    """Every weight of the examples' generator after torch.manual_seed(0), and the latent vectors drawn next."""
    stream = TorchGenerator(0)
    generator = gch.demo.Generator(rng=stream)
    whole = b"".join(value.tobytes() for value in generator.state_dict().values())
    assert hashlib.sha256(whole).hexdigest()[:12] == "12cbc2f0fb10"
    assert digest(generator.sample_latent(16, rng=stream)) == "4d4a93907a2c"


def test_the_readme_prints_what_it_says(capsys):
    """The numbers behind it are test_dcgan_draws_golden_numbers's."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    section = text.split("## PyTorch's untrained DCGAN, without PyTorch", 1)[1]
    code, printed = re.findall(r"```(?:python|text)\n(.*?)```", section, re.DOTALL)[:2]
    exec(code, {})
    assert capsys.readouterr().out == printed


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("count", COUNTS)
def test_uniform_is_its_definition(isa, count, dtype):
    """To the bit on [0, 1); scaled, "default" rounds the product and the sum, "avx2" the sum alone."""
    unit = oracle.TorchStream(7).unit(count, dtype)
    for capability in CAPABILITIES:
        assert np.array_equal(fill(TorchGenerator(7, capability), "uniform", count, dtype), unit.astype(dtype))
    low, high = dtype(-0.3), dtype(0.75)
    got = fill(TorchGenerator(7, "default"), "uniform", count, dtype, -0.3, 0.75)
    assert np.array_equal(got, unit.astype(dtype) * (high - low) + low)
    got = fill(TorchGenerator(7, "avx2"), "uniform", count, dtype, -0.3, 0.75)
    exact = [dtype(float(Fraction(u) * Fraction(float(high - low)) + Fraction(float(low)))) for u in unit[:700]]
    assert np.array_equal(got[:700], np.array(exact, dtype))


def test_uniform_never_reaches_its_upper_bound():
    """PyTorch answers with the lower bound where rounding would give the upper one."""
    high = np.nextafter(np.float32(1), np.float32(2))
    for capability in CAPABILITIES:
        got = fill(TorchGenerator(0, capability), "uniform", 1000, np.float32, 1.0, float(high))
        assert (got == 1).all()
    assert (fill(TorchGenerator(0), "uniform", 100, np.float32, 2.0, 2.0) == 2).all()


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("capability", CAPABILITIES)
def test_normal_is_its_definition(isa, capability, dtype):
    """One sequence of calls, so that kept halves and shared words count. Float32 rounds the angle, which may be 2 pi,
    before a radius of up to 5.8: 6e-6. Float64: some roundings of numbers below 9, 1e-14."""
    stream, generator = oracle.TorchStream(99), TorchGenerator(99, capability)
    for count in COUNTS:
        got = fill(generator, "normal", count, dtype, 0.5, 2.0)
        expected = 0.5 + 2 * stream.normal(count, dtype)
        assert np.abs(got - expected).max(initial=0) < 2 * (6e-6 if dtype == np.float32 else 1e-14)
    assert np.array_equal(fill(generator, "uniform", 9, dtype), stream.unit(9, dtype))


def test_the_second_of_a_pair_waits(isa):
    """It survives everything but seeding, and whatever its dtype."""
    whole = fill(TorchGenerator(5), "normal", 4, np.float64)
    generator = TorchGenerator(5)
    first = fill(generator, "normal", 3, np.float64)
    between = (
        fill(generator, "normal", 40, np.float32),
        fill(generator, "uniform", 3, np.float64),
        generator.randperm(9),
    )
    assert np.array_equal(first, whole[:3])
    assert len(between) == 3
    assert fill(generator, "normal", 1, np.float32)[0] == np.float32(whole[3])
    fill(generator, "normal", 1, np.float32)
    generator.manual_seed(5)
    assert np.array_equal(fill(generator, "normal", 4, np.float64), whole)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("capability", CAPABILITIES)
@pytest.mark.scenario("threads")
def test_same_bits_for_every_instruction_set_and_thread_count(isa, capability, dtype):
    """300,001 elements: several chunks, and several rounds of two threads' chunks."""
    results = []
    for name, threads in (("scalar", 1), (isa, 1), (isa, 2), (isa, 5)):
        _core.select_isa(name)
        generator = TorchGenerator(3, capability)
        filled = [fill(generator, law, 300_001, dtype, -0.1, 0.9, threads).tobytes() for law in ("uniform", "normal")]
        results.append((filled, generator.get_state().tobytes()))
    assert all(result == results[0] for result in results)


def test_a_long_call_is_made_in_slices_of_the_same_stream():
    """Beyond some 31 million normal numbers the binding stops in between to look at signals."""
    count = 2**25 + 5
    whole = fill(TorchGenerator(11), "normal", count, np.float32)
    parts, generator = np.empty(count, np.float32), TorchGenerator(11)
    generator.normal(parts[: 2**24], 0.0, 1.0)
    generator.normal(parts[2**24 :], 0.0, 1.0)
    assert np.array_equal(parts, whole)


@pytest.mark.parametrize("count", [0, 1, 2, 5, 17, 623, 624, 625, 3000])
def test_randperm_is_its_definition(isa, count):
    stream, generator = oracle.TorchStream(21), TorchGenerator(21)
    for _ in range(2):
        got = generator.randperm(count)
        assert got.dtype == np.int64
        assert np.array_equal(got, stream.randperm(count))


def test_float16_in_pieces_is_the_same(monkeypatch):
    whole = [fill(TorchGenerator(4), kind, 3000, np.float16) for kind in ("uniform", "normal")]
    monkeypatch.setattr(pieces, "__defaults__", (70,))
    for kind, expected in zip(("uniform", "normal"), whole, strict=True):
        np.testing.assert_array_equal(fill(TorchGenerator(4), kind, 3000, np.float16), expected)


def test_float16_is_rounded_element_by_element():
    """The elements after the last whole block take no words of their own first, unlike those of float32."""
    stream = oracle.TorchStream(4)
    got = fill(TorchGenerator(4), "normal", 37, np.float16)
    expected = stream.normal(32, np.float32)
    expected = np.concatenate([expected[:21], stream.normal(16, np.float32)])
    assert np.abs(got - expected).max() < 4 * 2.0**-11  # half a unit of a number below four
    got = fill(TorchGenerator(4), "uniform", 5000, np.float16, 0.0, 1.0)
    expected = oracle.TorchStream(4).unit(5000, np.float32).astype(np.float16)
    assert np.array_equal(got, np.where(expected == 1, np.float16(0), expected))
    assert np.array_equal(
        gch.init.normal(9, rng=TorchGenerator(4), dtype=np.float16),
        gch.init.normal(9, rng=TorchGenerator(4)).astype(np.float16),
    )


# -- where rng= is accepted ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float16, *FLOATS])
def test_every_initialiser_takes_it_and_moves_it(dtype):
    calls = {
        "uniform": (),
        "normal": (),
        "trunc_normal": (),
        "xavier_uniform": (),
        "xavier_normal": (),
        "kaiming_uniform": (),
        "kaiming_normal": (),
        "orthogonal": (),
        "sparse": (0.25,),
    }
    generator = TorchGenerator(0)
    for name, arguments in calls.items():
        before = generator.get_state()
        first = getattr(gch.init, name)((20, 30), *arguments, rng=generator, dtype=dtype)
        assert not np.array_equal(generator.get_state(), before), name
        second = getattr(gch.init, name)((20, 30), *arguments, rng=generator, dtype=dtype)
        assert first.dtype == dtype
        assert np.isfinite(first).all()
        assert not np.array_equal(first, second), name


def test_sparse_takes_its_zeros_from_randperm():
    got = gch.init.sparse((10, 4), 0.25, rng=TorchGenerator(8))
    stream = oracle.TorchStream(8)
    stream.normal(40, np.float32)
    for column in got.T:
        assert sorted(np.flatnonzero(column == 0)) == sorted(stream.randperm(10)[:3])


@pytest.mark.parametrize("bounds", [(-1.0, 2.0), (1.0, 3.0)])
@pytest.mark.parametrize("dtype", [np.float16, *FLOATS])
def test_truncated_numbers_are_truncated_normal(bounds, dtype):
    """Both ways, redrawing and proposing: mean within four standard errors (spread below .7) of the truncated law's."""
    a, b = bounds
    got = gch.init.trunc_normal(40_000, 0, 1, a, b, rng=TorchGenerator(1), dtype=dtype).astype(np.float64)
    assert got.min() >= a
    assert got.max() <= b
    density = [math.exp(-x * x / 2) / math.sqrt(2 * math.pi) for x in bounds]
    inside = (math.erf(b / math.sqrt(2)) - math.erf(a / math.sqrt(2))) / 2
    assert abs(got.mean() - (density[0] - density[1]) / inside) < 4 * 0.7 / 200


def test_truncation_at_infinity():
    assert gch.init.trunc_normal(1000, a=-np.inf, b=0.5, rng=TorchGenerator(1)).max() <= 0.5
    with pytest.raises(ValueError, match=r"a and b must be finite .*got 2.0 and inf"):
        gch.init.trunc_normal(1000, a=2, b=np.inf, rng=TorchGenerator(1))


@pytest.mark.parametrize(
    ("std", "a", "b", "dtype"),
    [
        (1e-4, 1.0, 2.0, np.float32),
        (1e-4, -2.0, -1.0, np.float64),
        (1e-3, 0.5, 0.501, np.float16),  # density that overflows
        (1.0, 1e5, 2e5, np.float16),
        (1e-200, 1.0, 2.0, np.float64),
    ],
)
def test_truncation_without_an_end_is_refused(std, a, b, dtype):
    """PyTorch would propose for hours, or for ever."""
    generator = TorchGenerator(0)
    before = generator.get_state()
    with pytest.raises(ValueError, match=rf"between {a} and {b} are too rare .* mean 0.0 and std {std}; accepted: "):
        gch.init.trunc_normal(4, std=std, a=a, b=b, rng=generator, dtype=dtype)
    assert np.array_equal(generator.get_state(), before)


def test_truncation_far_out_is_taken_while_it_ends():
    got = gch.init.trunc_normal(50, std=0.02, a=1, b=1.2, rng=TorchGenerator(0))  # one of 500
    assert 1 <= got.min() <= got.max() < 1.008


def test_spectral_norm_draws_u_then_v_and_leaves_half_a_pair():
    generator, stream = TorchGenerator(6), oracle.TorchStream(6)
    norm = gch.spectral.SpectralNorm(gch.init.ones((3, 30)), flavor="legacy", rng=generator)
    for vector in (norm.u, norm.v):
        drawn = stream.normal(vector.size, np.float32)
        assert np.abs(vector - drawn / np.linalg.norm(drawn)).max() < 1e-6  # roundings of a unit vector
    assert np.abs(fill(generator, "normal", 1, np.float64) - stream.normal(1, np.float64)).max() < 1e-14


def test_other_generators_keep_their_demo():
    """PyTorch's construction draws first; the other streams have no such history."""
    weight = gch.demo.Generator(rng=0).state_dict()["main.0.weight"]
    assert np.array_equal(weight, gch.init.normal((100, 512, 4, 4), std=0.02, rng=0))


# -- state --------------------------------------------------------------------------------------------------------


def test_the_state_continues_the_stream():
    generator = TorchGenerator(17)
    fill(generator, "normal", 3, np.float32)
    fill(generator, "uniform", 700, np.float32)
    state = generator.get_state()
    assert state.dtype == np.uint8
    assert state.shape == (5056,)
    expected = [fill(generator, "normal", count, np.float64).tobytes() for count in (1, 20, 400)]
    other = TorchGenerator(0)
    other.set_state(state)
    assert other.initial_seed() == 17
    assert [fill(other, "normal", count, np.float64).tobytes() for count in (1, 20, 400)] == expected
    for again in (copy.deepcopy(generator), pickle.loads(pickle.dumps(generator))):
        assert repr(again) == repr(generator)
        assert np.array_equal(again.get_state(), generator.get_state())
        fill(again, "uniform", 1, np.float32)
        assert not np.array_equal(again.get_state(), generator.get_state())


@pytest.mark.parametrize(
    ("seed", "stored"), [(0, 0), (-1, 2**64 - 1), (2**40 + 3, 2**40 + 3), (2**64 - 1, 2**64 - 1), (np.int32(5), 5)]
)
def test_seeds(seed, stored):
    generator = TorchGenerator(1)
    assert generator.manual_seed(seed) is generator
    assert generator.initial_seed() == stored
    expected = oracle.TorchStream(int(seed)).unit(5, np.float32)
    assert np.array_equal(fill(generator, "uniform", 5, np.float32), expected)


def test_representation():
    assert repr(TorchGenerator(3, "default")) == "TorchGenerator(seed=3, capability='default')"
    assert TorchGenerator(3).capability == "avx2"
    assert gch.rng.TorchGenerator is gch.TorchGenerator
    generator = TorchGenerator(3)
    assert gch.rng.as_stream(generator) is generator


@pytest.mark.scenario("threads")
def test_threads_that_share_one_draw_different_numbers():
    """As in PyTorch: one caller at a time, so together they draw what one would."""
    generator, drawn = TorchGenerator(2), [None] * 4
    barrier = threading.Barrier(4)

    def draw(i):
        barrier.wait()
        drawn[i] = [fill(generator, "uniform", 1000, np.float32) for _ in range(20)]

    callers = [threading.Thread(target=draw, args=(i,)) for i in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    together = np.sort(np.concatenate([part for parts in drawn for part in parts]))
    assert np.array_equal(together, np.sort(fill(TorchGenerator(2), "uniform", 80_000, np.float32)))


def test_a_handler_can_not_draw_in_the_midst_of_a_draw():
    """It would wait for the draw that it interrupts; the draw ends with its error, and the generator goes on."""
    generator, out = TorchGenerator(0), np.empty(30_000_000)
    before = signal.signal(signal.SIGALRM, lambda *_: generator.randperm(3))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        with pytest.raises(RuntimeError, match="in the midst of a draw"):
            generator.normal(out, 0.0, 1.0, threads=1)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert sorted(generator.randperm(3)) == [0, 1, 2]


# -- errors -------------------------------------------------------------------------------------------------------


def broken(**fields):
    state = TorchGenerator(0).get_state()
    places = {"left": (8, "<i4"), "seeded": (12, "<i4"), "next": (16, "<u8")}
    for name, value in fields.items():
        offset, kind = places[name]
        state[offset : offset + np.dtype(kind).itemsize] = np.array([value], kind).view(np.uint8)
    return state


BROKEN = {
    "never seeded": broken(seeded=0),
    "nothing left": broken(left=0),
    "negative": broken(left=-5),
    "too many left": broken(left=625),
    "beyond the end": broken(next=625),
    "far beyond the end": broken(next=2**64 - 1),
    "runs over the end": broken(left=300, next=400),
}


@pytest.mark.parametrize("name", BROKEN)
def test_states_that_are_none(name):
    generator = TorchGenerator(9)
    before = generator.get_state()
    with pytest.raises(ValueError, match="state must be that of a CPU generator"):
        generator.set_state(BROKEN[name])
    assert np.array_equal(generator.get_state(), before)
    out, order = np.empty(40, np.float32), np.empty(40, np.int64)
    for call in (
        lambda state: _core.rng_torch_uniform(state, 1, 0.0, 1.0, out),
        lambda state: _core.rng_torch_normal(state, 1, 0.0, 1.0, out, 1),
        lambda state: _core.rng_torch_shuffle(state, order),
    ):
        with pytest.raises(ValueError, match="contract"):
            call(BROKEN[name].copy())


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda g: TorchGenerator("0"), TypeError, "seed must be an integer, got '0'"),
        (lambda g: TorchGenerator(1.0), TypeError, "seed must be an integer, got 1.0"),
        (lambda g: TorchGenerator(True), TypeError, "seed must be an integer, got True"),
        (lambda g: TorchGenerator(2**64), ValueError, "seed must be at least"),
        (lambda g: TorchGenerator(-(2**63) - 1), ValueError, "seed must be at least"),
        (lambda g: TorchGenerator(0, "avx512"), ValueError, "capability is 'avx512'; accepted"),
        (lambda g: TorchGenerator(0, None), TypeError, "capability must be a string"),
        (lambda g: g.manual_seed(None), TypeError, "seed must be an integer"),
        (lambda g: g.randperm(2.0), TypeError, "n must be an integer, got 2.0"),
        (lambda g: g.randperm(-1), ValueError, "n must not be negative, got -1"),
        (lambda g: g.set_state(np.zeros(5056)), TypeError, "state has dtype float64; accepted: uint8"),
        (lambda g: g.set_state(np.zeros(5048, np.uint8)), ValueError, "state must have 5056 bytes, got 5048"),
        (lambda g: g.set_state(np.zeros((2, 2528), np.uint8)), ValueError, "state must have 1 dimensions"),
        (lambda g: g.uniform(np.empty(3, np.float32), 1, 0), ValueError, "low must not exceed high"),
        (lambda g: g.uniform(np.empty(3, np.float32), 0, np.inf), ValueError, "high must be finite"),
        (lambda g: g.uniform(np.empty(3, np.float32), "0", 1), TypeError, "low must be a number"),
        (lambda g: g.uniform([0.0], 0, 1), TypeError, "out must be a NumPy array"),
        (lambda g: g.uniform(np.empty(3, np.int32), 0, 1), TypeError, "out has dtype .*accepted"),
        (lambda g: g.uniform(np.empty(3, ">f4"), 0, 1), ValueError, "out must be C-contiguous"),
        (lambda g: g.uniform(np.empty(3, np.float32), 0, 1, threads=0), ValueError, "threads"),
        (lambda g: g.normal(np.empty(3, np.float32), 0, -1), ValueError, "std must not be below 0"),
        (lambda g: g.normal(np.empty(3, np.float32), np.nan, 1), ValueError, "mean must be finite"),
        (lambda g: g.normal(np.empty((4, 4), np.float32).T[:2], 0, 1), ValueError, "out must be C-contiguous"),
        (lambda g: g.normal(np.empty((4, 4), np.float16).T, 0, 1), ValueError, "out must be C-contiguous"),
        (lambda g: g.normal(np.broadcast_to(np.float16(0), 3), 0, 1), ValueError, "out must be C-contiguous and writ"),
    ],
)
def test_errors(call, error, message):
    generator = TorchGenerator(0)
    before = generator.get_state()
    with pytest.raises(error, match=message):
        call(generator)
    assert np.array_equal(generator.get_state(), before)


GOOD = {
    "rng_torch_seed": [np.zeros(5056, np.uint8), 1],
    "rng_torch_uniform": [TorchGenerator(0).get_state(), 1, 0.0, 1.0, np.empty(5, np.float32)],
    "rng_torch_normal": [TorchGenerator(0).get_state(), 1, 0.0, 1.0, np.empty(5, np.float32), 1],
    "rng_torch_shuffle": [TorchGenerator(0).get_state(), np.empty(5, np.int64)],
}
READ_ONLY = TorchGenerator(0).get_state()
READ_ONLY.setflags(write=False)


@pytest.mark.parametrize("name", GOOD)
def test_the_binding_refuses_what_it_cannot_use(name):
    function, good = getattr(_core, name), GOOD[name]
    function(*good)
    for position, value in enumerate(good):
        wrong = [None, "x", [1.0], object()]
        if isinstance(value, np.ndarray):
            wrong += [np.zeros((2, 2), complex), READ_ONLY, value.repeat(2)[::2]]
        if position == 0:
            wrong += [value[:-1], value.reshape(2, -1), value.view(np.int8)]
        for bad in wrong:
            with pytest.raises((TypeError, ValueError)):
                function(*good[:position], bad, *good[position + 1 :])
    for arguments in (good[:-1], [*good, 0], []):
        with pytest.raises(TypeError):
            function(*arguments)
