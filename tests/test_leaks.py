"""A thousand calls of everything, right and wrong: Python's blocks and the memory of the process stay flat."""

import pytest
from calls import core_calls, public_calls
from support import run_python

# A call may keep what it computed once (caches, first uses): the first calls don't count. In pages, a leak of
# 64 bytes a call shows after a thousand.
COUNT = """
import contextlib, gc, sys
from calls import core_calls, public_calls

def page_count():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1])

def rounds(call, times):
    for _ in range(times):
        call()
    gc.collect()
    return sys.getallocatedblocks(), page_count()

def refused(function, given):
    with contextlib.suppress(Exception):
        function(**given)

def calls(which):
    if which == "core":
        for label, function, arguments in core_calls():
            yield label, lambda: function(*arguments)
            for i in range(len(arguments)):
                given = (*arguments[:i], object(), *arguments[i + 1:])
                yield f"{label}, argument {i} wrong", lambda: refused(lambda: function(*given), {})
    else:
        function, given = public_calls()[which]
        yield which, lambda: function(**given)
        for name in given:
            yield f"{which}, {name} wrong", lambda: refused(function, {**given, name: object()})

for label, call in calls(WHICH):
    blocks, pages = rounds(call, TIMES // 5)
    for _ in range(3):  # memory that only settles grows once; what leaks grows each time
        more_blocks, more_pages = rounds(call, TIMES)
        grown = more_blocks - blocks, more_pages - pages
        blocks, pages = more_blocks, more_pages
        if grown[0] < TIMES // 4 and grown[1] < 16:
            break
    else:
        print(f"{label}: {grown[0]} blocks and {grown[1]} pages more after {TIMES} calls")
"""


def leaks(which, times):
    code = f"WHICH, TIMES = {which!r}, {times}\n{COUNT}"
    result = run_python(code, environment={"GANCHROMA_NUM_THREADS": "1"}, paths=["tests"], timeout=600)
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_core_leaks_nothing():
    assert len(list(core_calls())) > 30
    assert leaks("core", 1000) == ""


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("which", sorted(public_calls()))
def test_public_functions_leak_nothing(which):
    assert leaks(which, 1000) == ""


def test_a_leak_is_found():
    # The measure itself, on a function that keeps one object a call.
    code = COUNT.replace(
        "for label, call in calls(WHICH):", "kept = []\nfor label, call in [('kept', lambda: kept.append([]))]:"
    )
    result = run_python(f"WHICH, TIMES = 'core', 1000\n{code}", paths=["tests"])
    assert result.stdout.startswith("kept: "), result.stderr
