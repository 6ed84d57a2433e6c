"""Ctrl-C ends whatever the core is doing within 200 ms, however little of it is done.

Each call here takes a second to years, on a slow machine. A signal comes a moment after it began; it must not have run
to its end first. A busy machine stretches the time after it: that is divided by what the call was stretched, which the
processor time of all its threads shows, and one try in time is enough. The slow tests hold what is promised, the others
several times that, for code that sanitizers watch. `pytest -m slow -rP` prints the times.
"""

import contextlib
import signal
import sys
import textwrap
import threading
import time
import timeit

import numpy as np
import pytest
from numpy.lib.stride_tricks import as_strided
from support import run_python

import ganchroma as gch
from ganchroma import _arrays, _core, color

LINEAR, TANH = (0, 0.0, 0.0), (1, 0.0, 0.0)
SIDE, MANY, WIDE = 30_000, 3 * 10**7, 2**20
PROMISED, WATCHED = 0.2, 1.0  # seconds: of the code as it is built, and of code that is watched
SOON = 1.0  # seconds: a fast machine may be done before anybody would look whether to stop

pytestmark = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no timers")


def geometry(transposed=0, stride=1, pad=0):
    return (transposed, stride, stride, pad, pad, pad, pad, 0, 1, 1, 0, 0)


def singles(*shape):
    return np.zeros(shape, np.float32)


def conv(x, weight, out, threads, **given):
    arrays = singles(*x), singles(*weight), None, None, singles(*out), None
    return _core.conv, *arrays, geometry(**given), LINEAR, 1.0, threads


def backward(out, x, weight, threads, *, of):
    results = [singles(*x) if of == "input" else None, singles(*weight) if of == "weight" else None, None]
    return _core.conv_backward, singles(*out), singles(*x), singles(*weight), None, *results, geometry(), 1.0, threads


def state():
    made = np.zeros(5056, np.uint8)
    _core.rng_torch_seed(made, 1)
    return made


def picture(dtype):
    """One of 900 million pixels, in the memory of one."""
    return np.broadcast_to(np.array([0.2, 0.5, 0.7], dtype).reshape(3, 1, 1), (1, 3, SIDE, SIDE))


def canvas(dtype):
    """Room for it, in the memory of one row."""
    size = np.dtype(dtype).itemsize
    return as_strided(np.zeros((3, SIDE), dtype), (1, 3, SIDE, SIDE), (0, SIDE * size, 0, size))


CALLS = {
    "activate": lambda threads: (_core.activate, np.zeros(MANY), TANH, np.zeros(MANY), threads),
    "activate_backward": lambda threads: (
        _core.activate_backward,
        *[np.zeros(MANY)] * 2,
        TANH,
        np.zeros(MANY),
        threads,
    ),
    "rng_uniform": lambda threads: (_core.rng_uniform, 1, 0, 0.0, 1.0, np.zeros(4 * MANY, np.float32), threads),
    "rng_normal": lambda threads: (_core.rng_normal, 1, 0, 0.0, 1.0, np.zeros(MANY), threads),
    "rng_torch_uniform": lambda _: (_core.rng_torch_uniform, state(), 0, 0.0, 1.0, np.zeros(2 * MANY)),
    "rng_torch_normal": lambda threads: (_core.rng_torch_normal, state(), 0, 0.0, 1.0, np.zeros(MANY), threads),
    "rng_torch_shuffle": lambda _: (_core.rng_torch_shuffle, state(), np.empty(MANY, np.int64)),
    "spectral_power": lambda threads: (
        *(_core.spectral_power, np.zeros((1000, 1000)), np.ones(1000), np.ones(1000)),
        *(10**9, 0, 1e-12, threads),
    ),
    "orthonormalize": lambda _: (_core.orthonormalize, np.zeros((2000, 4000))),
    "frequency_gram": lambda threads: (
        *(_core.frequency_gram, np.zeros((8, 64, 64, 32)), np.zeros((64, 127, 8, 8)), threads),
    ),
    "frequency_values": lambda threads: (
        *(_core.frequency_values, np.zeros((3, 5, 3, 3)), np.zeros(2000), np.zeros((1, 1000))),
        *(np.zeros((2000, 1000, 3)), None, 0, threads),
    ),
    "frequency_values of one line": lambda threads: (
        *(_core.frequency_values, np.zeros((3, 5, 16, 16)), np.zeros(1), np.zeros((1, 10**6))),
        *(np.zeros((1, 10**6, 16)), None, 0, threads),
    ),
    "frequency_peaks of one line": lambda threads: (
        *(_core.frequency_peaks, np.zeros((3, 5, 16, 16)), np.zeros(1), np.zeros((1, 10**7))),
        *(np.zeros((1, 2)), threads),
    ),
    "frequency_peaks": lambda threads: (
        *(_core.frequency_peaks, np.zeros((3, 5, 3, 3)), np.zeros(10**5), np.zeros((1, 1000))),
        *(np.zeros((10**5, 2)), threads),
    ),
    "conv of a wide kernel": lambda threads: conv((1, 1, 1, 2 * WIDE), (1, 1, 1, WIDE), (1, 1, 1, WIDE + 1), threads),
    "conv of many filters": lambda threads: conv(
        (1, 512, 16, 64), (2048, 512, 3, 3), (1, 2048, 16, 64), threads, pad=1
    ),
    "conv of points": lambda threads: conv((1, 2048, 32, 64), (4096, 2048, 1, 1), (1, 4096, 32, 64), threads),
    "transposed": lambda threads: conv(
        (1, 256, 32, 64), (256, 1024, 4, 4), (1, 1024, 64, 128), threads, transposed=1, stride=2, pad=1
    ),
    "gradient of the input": lambda threads: backward(
        (1, 1, 1, WIDE + 1), (1, 1, 1, 2 * WIDE), (1, 1, 1, WIDE), threads, of="input"
    ),
    "gradient of a wide kernel": lambda threads: backward(
        (1, 1, 1, WIDE + 1), (1, 1, 1, 2 * WIDE), (1, 1, 1, WIDE), threads, of="weight"
    ),
    "gradient of a square kernel": lambda threads: backward(
        (1, 8, 994, 994), (1, 1, 1024, 1024), (8, 1, 31, 31), threads, of="weight"
    ),
    "color_convert": lambda threads: (
        *(_core.color_convert, picture(np.float32), canvas(np.float32), 0, 0.0, 1.0, threads),
    ),
    "color_quantize": lambda threads: (
        *(_core.color_quantize, picture(np.float32), canvas(np.uint8), 0.0, 1.0, 0, threads),
    ),
    "color_moments": lambda threads: (_core.color_moments, picture(np.float32), np.zeros((1, 11)), 0, threads),
    "stats_levels": lambda threads: (
        *(_core.stats_levels, picture(np.float32), np.zeros((1, 31), np.int64), np.zeros((1, 4))),
        *(0.0, 1.0, 0, 1, threads),
    ),
    "stats_positions": lambda threads: (
        *(_core.stats_positions, np.broadcast_to(picture(np.float32)[:, :, :999, :999], (1000, 3, 999, 999))),
        *(np.ones(1000, np.uint8), np.zeros((3, 999, 999), np.int64), 0.0, 1.0, threads),
    ),
}
# Soon done, or of memory alone.
NOT_LONG = {"isa", "available_isas", "select_isa", "default_threads", "has_openmp", "rng_words", "rng_torch_seed"}
NOT_LONG |= {"spectral_sigma", "spectral_sigma_of_plain", "conv_plain", "fail_allocation", "held_allocations"}


def interrupted(call, after):
    """Runs the call with a Ctrl-C `after` seconds; after how many more it ended, had the machine nothing else to do.

    Between the core's return and the end of `extend` Python looks at no signal: what was done is in the list.
    """
    came, results = [], []

    def press(*_):
        came.extend((time.perf_counter(), time.process_time()))
        raise KeyboardInterrupt

    function, *arguments = call
    before = signal.signal(signal.SIGALRM, press)
    start, worked = time.perf_counter(), time.process_time()
    try:
        with contextlib.suppress(KeyboardInterrupt):
            signal.setitimer(signal.ITIMER_REAL, after)
            results.extend(map(function, *([argument] for argument in arguments)))
            time.sleep(60)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    took, worked = came[0] - start, came[1] - worked
    assert not results or took < SOON, f"it ran to its end first, for {took:.1f} seconds"
    return (took - after) * min(worked / took, 1.0)


def assert_ends_in_time(call, after, most, tries=3):
    found = []
    while not found or (found[-1] > most and len(found) < tries):
        found.append(interrupted(call, after))
    assert found[-1] <= most, f"it took {found} seconds"


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", CALLS)
@pytest.mark.scenario("interrupts")
def test_a_call_ends_before_it_is_done(name, threads):
    call = CALLS[name](threads)
    arrays = [argument for argument in call if isinstance(argument, np.ndarray)]
    before = [sys.getrefcount(array) for array in arrays]
    assert_ends_in_time(call, 0.01, WATCHED)
    assert [sys.getrefcount(array) for array in arrays] == before
    if hasattr(_core, "held_allocations"):  # a build that counts them
        assert _core.held_allocations() == 0
    assert gch.activate(np.zeros(100_000), "tanh", threads=threads).sum() == 0  # and the next call runs to its end


@pytest.mark.scenario("interrupts")
def test_the_copy_of_an_input_ends_before_it_is_done():
    """Else it would end with what is found after it: that the other array has another size."""
    swapped = np.broadcast_to(np.array(0, ">f8"), (4, MANY))
    for given in (swapped, swapped[0], np.broadcast_to(swapped[:, :1000, None], (4, 1000, MANY // 1000))):
        assert_ends_in_time((_core.activate, given, TANH, np.zeros(1), 1), 0.01, WATCHED)


def half(*shape):
    return np.zeros(shape, np.float16)


class Undrawn(gch.TorchGenerator):
    """Draws no numbers: what is left is how they become float16."""

    def uniform(self, out, low, high):
        if out.dtype == np.float16:
            super().uniform(out, low, high)

    def normal(self, out, mean, std, *, threads=None):
        if out.dtype == np.float16:
            super().normal(out, mean, std, threads=threads)


def many_pictures(dtype, count):
    """Of a million pixels each, in the memory of one value."""
    return np.broadcast_to(np.array(0.5, dtype), (count, 3, 1000, 1000))


PUBLIC = {
    "activate": lambda: gch.activate(half(10**8), "tanh"),
    "conv2d": lambda: gch.conv2d(half(64, 64, 200, 200), half(3, 64, 3, 3)),
    "sparse": lambda: gch.init.sparse((1000, 20_000), 0.5, rng=0),
    "dirac": lambda: gch.init.dirac((4000, 4000, 3, 3)),
    "sigma": lambda: gch.spectral.sigma(np.random.default_rng(0).normal(size=(1000, 1000))),
    "frequency_response": lambda: gch.spectral.frequency_response(np.ones((128, 128, 3, 3)), 8),
    "float16 uniform": lambda: Undrawn(0).uniform(half(10**8), 0, 1),
    "float16 normal": lambda: Undrawn(0).normal(half(10**8), 0, 1),
    "gray_pixel_share": lambda: gch.color.gray_pixel_share(many_pictures(np.uint8, 400)),
    "chroma of Lab": lambda: color._mean_lengths(*many_pictures(np.float32, 50)[:, :2].swapaxes(0, 1)),
    "chroma of one Lab": lambda: color._mean_lengths(*np.broadcast_to(np.float32(0.5), (2, 1, 7000, 7000))),
    "chosen images": lambda: _arrays.chosen_of(many_pictures(np.float32, 100)[..., ::2], np.arange(100) > 0),
}


@pytest.mark.slow
@pytest.mark.timeout(600)  # threads of BLAS wait for one another by spinning: minutes on a busy machine
@pytest.mark.parametrize("name", PUBLIC)
@pytest.mark.scenario("interrupts")
def test_a_public_call_ends_before_it_is_done(name):
    """Where NumPy works and not the core: NumPy looks at no signal in the midst of a call."""
    whole = min(timeit.repeat(PUBLIC[name], number=1, repeat=2))  # the first gets its memory from the system
    call = lambda _: PUBLIC[name](), None
    soon, later = min(whole / 10, 0.1), min(whole / 3, 0.3)  # a machine that was busy may have become ten times faster
    assert interrupted(call, soon) < whole / 3
    for after in (soon, later):
        assert_ends_in_time(call, after, PROMISED)


LONG = {
    "delta_e2000": lambda: gch.color.delta_e2000(picture(np.float32)[..., :4000, :4000], np.ones((1, 3, 1, 1))),
    "orthogonal": lambda: gch.init.orthogonal((4000, 4000)),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", LONG)
@pytest.mark.scenario("interrupts")
def test_a_long_public_call_ends_in_time(name):
    for after in (0.3, 1.5, 3):
        assert_ends_in_time((lambda _: LONG[name](), None), after, PROMISED)


def test_every_long_function_is_here():
    core = {name for name in vars(_core) if not name.startswith("__")}
    assert core - {CALLS[name](1)[0].__name__ for name in CALLS} == NOT_LONG & core


@pytest.mark.slow
@pytest.mark.parametrize("name", CALLS)
def test_how_soon(name):
    took = [interrupted(CALLS[name](1), after) for after in (0.01, 0.1, 0.1)]
    print(f"{name:28} {1e3 * np.median(took):5.0f} ms")
    assert min(took) <= PROMISED


@pytest.mark.scenario("interrupts")
def test_a_handler_that_lets_it_go_on_changes_nothing():
    x = np.linspace(-3, 3, 1_000_000)
    expected, came = gch.activate(x, "tanh", threads=2), []
    before = signal.signal(signal.SIGALRM, lambda *_: came.append(gch.activate(x[:1000], "tanh", threads=2)))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.002, 0.002)
        for _ in range(5):
            np.testing.assert_array_equal(gch.activate(x, "tanh", threads=2), expected)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert all(np.array_equal(part, expected[:1000]) for part in came)
    assert came


# Small calls in the midst of a long one: of the kinds that have no watch of their own, and of one that has.
HANDLER = """
import signal
import numpy as np
import ganchroma as gch
layer = np.ones((1, 2, 5, 5), np.float32), np.ones((3, 2, 3, 3), np.float32)
some, came = np.zeros(9, np.float32), []
def handler(*_):
    came.append(1)
    gch.activate(some, "relu")
    gch.conv2d(*layer)
    gch.activate(np.zeros(100_000, np.float32), "tanh")
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.1, 0.03)
x, weight, grad = (np.ones(shape, np.float32) for shape in ((1, 64, 512, 512), (3, 64, 7, 7), (1, 3, 512, 512)))
while len(came) < 5:
    gch.conv2d_backward(grad, x, weight, padding=3)
    gch.TorchGenerator(0).randperm(3_000_000)
print("done")
"""


@pytest.mark.scenario("interrupts")
def test_a_handler_may_compute():
    result = run_python(HANDLER, environment={"OMP_NUM_THREADS": "2"}, timeout=60)
    assert result.stdout == "done\n", result.stderr


@pytest.mark.scenario("interrupts")
def test_an_interrupt_at_any_moment_leaves_the_generator_free():
    """A thread that is left with its turn would make all others wait, and its own next draw an error."""
    generator, out = gch.TorchGenerator(0), np.empty(4, np.float32)
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        for moment in range(3000):
            with contextlib.suppress(KeyboardInterrupt):
                signal.setitimer(signal.ITIMER_REAL, 2e-5 + 1e-8 * moment)
                for _ in range(1000):  # an interrupt in a callback of the garbage collector's is not heard of
                    generator.uniform(out, 0.0, 1.0)
            generator.uniform(out, 0.0, 1.0)
    finally:
        signal.signal(signal.SIGALRM, before)
    drawing = threading.Thread(target=generator.uniform, args=(out, 0.0, 1.0), daemon=True)
    drawing.start()
    drawing.join(10)
    assert not drawing.is_alive()


@pytest.mark.scenario("interrupts")
def test_the_program_says_so_while_it_is_imported():
    """In a line, with the status that the command line has for it later."""
    code = (
        "import sys, ganchroma_program\n"
        "class Interrupted:\n"
        "    def find_spec(self, *_): raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupted())\n"
        "sys.exit(ganchroma_program.main())"
    )
    result = run_python(code)
    assert (result.returncode, result.stdout, result.stderr) == (130, "", "interrupted\n")


@pytest.mark.scenario("interrupts")
def test_the_program_ends_after_what_it_no_longer_waits_for():
    """Under NumPy's code the interpreter would be taken down, and crash."""
    code = """
    import signal, threading, time
    from ganchroma.runtime import interruptible

    def work():
        time.sleep(0.1)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        time.sleep(0.5)
        print("done", flush=True)

    try:
        interruptible(work)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
    """
    result = run_python(textwrap.dedent(code))
    assert (result.returncode, result.stdout, result.stderr) == (0, "interrupted\ndone\n", "")


@pytest.mark.slow
@pytest.mark.scenario("interrupts")
def test_a_metric_of_many_pictures_ends_in_time():
    torch = pytest.importorskip("torch")
    pytest.importorskip("torchmetrics")
    metric = gch.torch.ChromaMetric((0, 1))
    for pictures in (torch.full((), 0.5, dtype=torch.float64), torch.full((3, 1, 1), torch.nan)):
        for after in (0.02, 0.3):
            assert_ends_in_time((metric.update, pictures.expand(150, 3, 1000, 1000)), after, PROMISED)
