"""Threads, instruction sets, forked children, and what the runtime says of itself."""

import asyncio
import multiprocessing
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from support import run_python, same_bits

import ganchroma as gch
from ganchroma import _core
from ganchroma.runtime import openmp_libraries, processor_limit, resolve_threads, runtime_info

# Enough elements that the core would like more threads than there are.
LARGE = np.linspace(-6, 6, 400_000, dtype=np.float32)


@pytest.fixture
def many_processors(monkeypatch):
    """As if this process might use 64 processors: only then can a limit of ours be told from the machine's."""
    monkeypatch.setattr("ganchroma.runtime.processor_limit", lambda: 64)


# -- how many threads -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", [True, 1.0, "2", None, [1], np.float32(2)])
def test_threads_of_a_wrong_type(given):
    with pytest.raises(TypeError, match="n must be an integer, got"):
        gch.threads(given)
    if given is not None:
        with pytest.raises(TypeError, match="threads must be an integer, got"):
            gch.activate(LARGE, "tanh", threads=given)


@pytest.mark.parametrize("given", [0, -1, np.int64(-5)])
def test_threads_of_a_wrong_value(given):
    with pytest.raises(ValueError, match="n must be at least 1, got"):
        gch.threads(given)
    with pytest.raises(ValueError, match="threads must be at least 1, got"):
        gch.activate(LARGE, "tanh", threads=given)


def test_the_argument_goes_before_the_block(many_processors):
    with gch.threads(3):
        assert resolve_threads(None) == 3
        assert resolve_threads(5) == 5
        assert resolve_threads(np.int32(2)) == 2


def test_blocks_nest_and_restore(many_processors):
    before = resolve_threads(None)
    outer = gch.threads(4)
    with outer:
        with gch.threads(2):
            assert resolve_threads(None) == 2
        assert resolve_threads(None) == 4
        with outer:
            assert resolve_threads(None) == 4
        assert resolve_threads(None) == 4
    assert resolve_threads(None) == before


def test_a_block_ends_with_an_error(many_processors):
    before = resolve_threads(None)
    with pytest.raises(KeyError), gch.threads(before + 1):
        raise KeyError
    assert resolve_threads(None) == before


@pytest.mark.scenario("threads")
def test_a_block_holds_for_its_own_thread_only(many_processors):
    before = resolve_threads(None)
    with gch.threads(before + 3), ThreadPoolExecutor(1) as pool:
        assert pool.submit(resolve_threads, None).result() == before


def test_a_block_holds_in_its_own_task_only(many_processors):
    async def task(n, seen):
        with gch.threads(n):
            await asyncio.sleep(0)
            seen[n] = resolve_threads(None)

    async def both(seen):
        await asyncio.gather(task(2, seen), task(7, seen))

    seen = {}
    asyncio.run(both(seen))
    assert seen == {2: 2, 7: 7}


@pytest.mark.scenario("threads")
def test_one_block_in_several_threads_at_once(many_processors):
    block, gate = gch.threads(5), threading.Barrier(2, timeout=20)
    before = resolve_threads(None)

    def caller(number):
        seen = []
        with gch.threads(2 + number):
            gate.wait()
            with block:
                gate.wait()
                seen.append(resolve_threads(None))
                if number == 0:
                    gate.wait()  # the one that entered first, or last, leaves while the other is still inside
            if number == 1:
                gate.wait()
            seen.append(resolve_threads(None))
        return [*seen, resolve_threads(None)]

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(caller, range(2))) == [[5, 2, before], [5, 3, before]]


@pytest.mark.scenario("threads")
def test_never_more_than_the_process_may_use():
    assert resolve_threads(10_000) == processor_limit() <= (os.cpu_count() or 1)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity")
def test_affinity_is_a_limit():
    code = """
import os
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
from ganchroma.runtime import resolve_threads
print(resolve_threads(8))
"""
    assert run_python(code).stdout.strip() == "1"


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity")
def test_affinity_set_after_a_call_is_a_limit_too():
    # As the workers of a pool set it: after the import, some after the first call.
    code = """
import os
from ganchroma.runtime import resolve_threads
resolve_threads(8)
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
print(resolve_threads(8))
"""
    assert run_python(code).stdout.strip() == "1"


SHOW = "from ganchroma import runtime; runtime.processor_limit = lambda: 64; print(runtime.resolve_threads(None))"


@pytest.mark.parametrize(("value", "threads"), [("3", 3), (" 5 ", 5), ("007", 7)])
@pytest.mark.scenario("threads")
def test_the_environment_sets_threads(value, threads):
    assert run_python(SHOW, environment={"GANCHROMA_NUM_THREADS": value}).stdout.strip() == str(threads)


def test_the_environment_may_be_empty():
    expected = run_python(SHOW, environment={"OMP_NUM_THREADS": "3"}).stdout.strip()
    both = {"OMP_NUM_THREADS": "3", "GANCHROMA_NUM_THREADS": ""}
    assert run_python(SHOW, environment=both).stdout.strip() == expected
    assert expected == ("3" if _core.has_openmp() else "1")


@pytest.mark.parametrize("value", ["0", "-2", "two", "1.5", "1,2", "²"])
def test_a_bad_environment_is_an_error_at_the_first_call(value):
    assert run_python("import ganchroma", environment={"GANCHROMA_NUM_THREADS": value}).returncode == 0
    result = run_python(SHOW, environment={"GANCHROMA_NUM_THREADS": value})
    assert result.returncode == 1
    assert f"ValueError: GANCHROMA_NUM_THREADS must be a positive integer, got {value!r}" in result.stderr


def test_a_long_environment_is_told_in_short():
    for value in ("9" * 5000, "x" * 5000):
        result = run_python(SHOW, environment={"GANCHROMA_NUM_THREADS": value})
        told = result.stderr.splitlines()[-1]
        assert told.startswith("ValueError: GANCHROMA_NUM_THREADS must be a positive integer, got '")
        assert len(told) < 150


# -- instruction sets -----------------------------------------------------------------------------------------------


def test_the_best_set_runs_unless_told_otherwise():
    assert _core.available_isas()[0] == "scalar"
    assert run_python("from ganchroma import _core; print(_core.isa())").stdout.strip() == _core.available_isas()[-1]


def test_a_fresh_interpreter_finds_the_same_build():
    """Else the subprocesses of a test under a sanitizer would run without it, quietly."""
    result = run_python("from ganchroma import _core; print(_core.__file__)")
    assert result.stdout.strip() == _core.__file__


@pytest.mark.parametrize("name", _core.available_isas())
def test_the_environment_limits_the_set(name):
    result = run_python("from ganchroma import _core; print(_core.isa())", environment={"GANCHROMA_MAX_ISA": name})
    assert result.stdout.strip() == name


@pytest.mark.parametrize("name", ["avx1024", "AVX2", "none", " scalar"])
def test_an_unknown_set_is_an_error_that_lists_what_there_is(name):
    result = run_python("import ganchroma", environment={"GANCHROMA_MAX_ISA": name})
    assert result.returncode == 1
    available = ", ".join(_core.available_isas())
    assert f"ImportError: GANCHROMA_MAX_ISA={name} is not available here; available: {available}\n" in result.stderr


def test_switching_the_set_in_process(isa):
    assert _core.isa() == isa
    for wrong, error in [("sse", ValueError), ("", ValueError), (None, TypeError), (b"scalar", TypeError)]:
        with pytest.raises(error):
            _core.select_isa(wrong)
    with pytest.raises(UnicodeEncodeError):
        _core.select_isa("\ud800")
    assert _core.isa() == isa


# -- the same bits, whoever calls -----------------------------------------------------------------------------------


@pytest.mark.scenario("threads")
def test_one_thread_and_many_give_the_same_bits(isa):
    expected = gch.activate(LARGE, "tanh", threads=1)
    for threads in (2, 3, 7):
        result = np.empty_like(LARGE)
        _core.activate(LARGE, (1, 0.0, 0.0), result, threads)
        assert same_bits(result, expected)


def test_callers_side_by_side(isa):
    inputs = [LARGE + index for index in range(4)]
    expected = [gch.activate(x, "sigmoid", threads=1) for x in inputs]
    gate, wrong = threading.Barrier(8), []

    def caller(number):
        gate.wait()
        for turn in range(10):
            index = (number + turn) % len(inputs)
            if not same_bits(gch.activate(inputs[index], "sigmoid"), expected[index]):
                wrong.append((number, turn))

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(caller, range(8)))
    finally:
        sys.setswitchinterval(interval)
    assert wrong == []


SHARE = r"""
import _thread, re, sys, threading
import numpy as np
from ganchroma import _core
sys.setswitchinterval(60)  # the main thread is left only where it lets go: inside its call
started, workers = threading.Event(), []
def threads():  # a listing of /proc/self/task may miss some while others end
    return int(re.search(r"Threads:\s+(\d+)", open("/proc/self/status").read())[1])
def workers_of_a_call():
    x = np.zeros(4_000_000, np.float32)
    before = threads()
    _core.activate(x, (1, 0.0, 0.0), x, 8)
    return threads() - before + 1  # a team stays until the thread that led it ends
def second():
    started.wait()
    workers.append(workers_of_a_call())
    _thread.interrupt_main()
helper = threading.Thread(target=second)
helper.start()
u, v = np.ones(1000), np.ones(1000)
matrix = np.ones((1000, 1000))
try:
    started.set()
    _core.spectral_power(matrix, u, v, 10**9, 0, 1e-12, 1)
except KeyboardInterrupt:
    helper.join()
    while threads() > 1:
        pass  # the helper's team is going
    print(workers[0], workers_of_a_call())
"""


@pytest.mark.skipif(not (_core.has_openmp() and os.path.exists("/proc/self/task")), reason="workers can't be counted")
@pytest.mark.scenario("threads")
def test_calls_in_flight_share_the_threads():
    result = run_python(SHARE, environment={"OPENBLAS_NUM_THREADS": "1"})  # threads of its own would be counted
    assert result.stdout.split() == ["4", "8"], result.stderr


FORK = """
import os, signal, sys
import numpy as np
import ganchroma as gch
from ganchroma import _core
x = np.linspace(-6, 6, 400_000, dtype=np.float32)
expected = gch.activate(x, "tanh", threads=2)
child = os.fork()
if child == 0:
    signal.alarm(60)
    same = np.array_equal(gch.activate(x, "tanh", threads=2), expected)
    os._exit(0 if same and _core.default_threads() == 1 else 3)
print(os.waitpid(child, 0)[1], _core.default_threads())
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system can't fork")
@pytest.mark.scenario("processes")
def test_a_forked_child_computes_with_one_thread():
    # The parent has run a team of threads, so a child that started one of its own would wait for ever. From Python
    # 3.12 on a fork beside threads warns; here it is what is tested.
    environment = {"OMP_NUM_THREADS": "2"}
    result = run_python("import warnings; warnings.simplefilter('ignore')\n" + FORK, environment=environment)
    status, parent = result.stdout.split()
    assert status == "0", result.stderr
    assert parent == ("2" if _core.has_openmp() else "1")


@pytest.mark.parametrize("method", sorted({"spawn", "forkserver"} & set(multiprocessing.get_all_start_methods())))
@pytest.mark.scenario("processes")
def test_a_pools_worker_uses_one_thread(method):
    # Functions of the package alone: a worker can't import a test file.
    with multiprocessing.get_context(method).Pool(1) as pool:
        assert pool.apply_async(resolve_threads, (None,)).get(timeout=60) == 1
        result = pool.apply_async(gch.activate, (LARGE, "tanh")).get(timeout=20)
    assert same_bits(result, gch.activate(LARGE, "tanh"))


# -- what it says ---------------------------------------------------------------------------------------------------


def test_runtime_info_is_complete():
    info = runtime_info()
    assert info["ganchroma"] == gch.__version__
    assert info["numpy"] == np.__version__
    assert info["isa"] in info["available_isas"]
    assert 1 <= info["threads"] <= info["processors"]
    assert info["openmp"] is _core.has_openmp()


def test_show_runtime_prints_a_line_for_each_fact(capsys):
    gch.show_runtime()
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert set(lines) == set(runtime_info())
    assert lines["isa"] == _core.isa()
    assert lines["available_isas"] == ", ".join(_core.available_isas())


def test_a_serial_build_says_so(capsys, monkeypatch):
    monkeypatch.setattr(_core, "has_openmp", lambda: False)
    with gch.threads(2):
        gch.show_runtime()
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert lines["openmp"].startswith("False: a serial build, every call runs on one thread")
    assert lines["threads"] == "1"


@pytest.mark.skipif(not os.path.exists("/proc/self/maps"), reason="this system lists no mapped files")
def test_openmp_libraries_are_found():
    libraries = openmp_libraries()
    assert all(os.path.isabs(path) for path in libraries)
    if _core.has_openmp():
        assert libraries
