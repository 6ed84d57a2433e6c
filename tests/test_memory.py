"""Memory that fails: an error, nothing held, and the next call works as ever.

Failures in the core need a build with -DGCH_FAULTS (`make faults`, `make asan`), those of Python's allocations do not.
"""

import contextlib
import gc
import sys

import numpy as np
import pytest
from calls import core_calls, public_calls
from support import run_python, same_bits

from ganchroma import _core

CORE = list(core_calls())
IDS = [label for label, _, _ in CORE]
TEST_SWITCHES = {"fail_allocation", "held_allocations"}
with_faults = pytest.mark.skipif(not hasattr(_core, "fail_allocation"), reason="needs `make faults`")


def test_every_function_of_the_core_has_a_call():
    functions = {name for name in dir(_core) if not name.startswith("_")} - TEST_SWITCHES
    assert {function.__name__ for _, function, _ in CORE} == functions


@pytest.mark.parametrize(("label", "function", "arguments"), CORE, ids=IDS)
def test_references_are_given_back(label, function, arguments):
    wrong = [(*arguments[:i], object(), *arguments[i + 1 :]) for i in range(len(arguments))]
    wrong += [
        (*arguments[:i], item[..., None], *arguments[i + 1 :]) for i, item in enumerate(arguments) if is_array(item)
    ]
    wrong += [(*arguments, None), arguments[1:]]
    function(*arguments)
    before = [sys.getrefcount(item) for item in arguments if is_array(item)]
    for _ in range(20):
        function(*arguments)
        for some in wrong:
            with contextlib.suppress(TypeError, ValueError, OverflowError):  # a few of them are right
                function(*some)
    assert [sys.getrefcount(item) for item in arguments if is_array(item)] == before


def is_array(item):
    return isinstance(item, np.ndarray) and item.ndim > 0


@with_faults
@pytest.mark.parametrize(("label", "function", "arguments"), CORE, ids=IDS)
def test_the_core_without_memory(label, function, arguments, record_property):
    if label in ("rng_torch_uniform", "rng_torch_normal", "rng_torch_shuffle", "stats_positions", "orthonormalize"):
        arguments = tuple(item.copy() if is_array(item) else item for item in arguments)
    outputs = [item for item in arguments if is_array(item)]
    start = [item.copy() for item in outputs]
    _core.fail_allocation(0)
    function(*arguments)
    asked = _core.fail_allocation(0)
    record_property("in the core, called by the binding", asked)
    known = [item.copy() for item in outputs]
    for n in range(1, asked + 1):
        for item, value in zip(outputs, start, strict=True):
            item[...] = value
        _core.fail_allocation(n)
        with pytest.raises(MemoryError):
            function(*arguments)
        _core.fail_allocation(0)
        assert _core.held_allocations() == 0
        for item, value in zip(outputs, start, strict=True):
            item[...] = value
        function(*arguments)
        assert all(same_bits(item, value) for item, value in zip(outputs, known, strict=True))
        assert _core.held_allocations() == 0


@with_faults
@pytest.mark.parametrize("label", sorted(public_calls()))
def test_public_functions_without_memory(label, record_property):
    function, given = public_calls()[label]
    _core.fail_allocation(0)
    function(**given)
    asked = _core.fail_allocation(0)
    record_property("in the core, called by public functions", asked)
    for n in range(1, asked + 1):
        _core.fail_allocation(n)
        with pytest.raises(MemoryError):
            function(**given)
        _core.fail_allocation(0)
        gc.collect()
        assert _core.held_allocations() == 0
    function(**given)


# One allocation of Python at a time fails, of a dozen and on until a call needs no more, in right calls and in those
# that are refused with a message. A process of its own: a crash would take the others along.
SWEEP = """
import _testcapi
from calls import core_calls
swept = 0
for label, function, arguments in core_calls():
    calls = [arguments, (*arguments, None)]
    calls += [(*arguments[:i], "wrong", *arguments[i + 1 :]) for i in range(len(arguments))]
    for given in calls:
        n, failed = 0, False
        while n < 12 or failed:
            failed = False
            try:
                _testcapi.set_nomemory(n, n + 1)
                function(*given)
            except MemoryError:
                failed = True
            except (TypeError, ValueError):
                pass
            finally:
                _testcapi.remove_mem_hooks()
            swept += failed
            n += 1
    function(*arguments)
print("swept", swept)
"""


def test_the_binding_without_memory(record_property):
    pytest.importorskip("_testcapi")
    result = run_python(SWEEP, paths=["tests"])
    assert result.returncode == 0, result.stderr
    swept = int(result.stdout.split()[1])
    record_property("of Python, in functions of the binding", swept)
    assert swept > 300
