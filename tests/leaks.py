"""What a leak is, counted in a fresh interpreter; and every public name, so that none is forgotten."""

import inspect
import types

from support import run_python

# A call may keep what it computed once (caches, first uses): the first calls don't count. In pages, a leak of
# 64 bytes a call shows after a thousand; one of Python's objects shows however often.
COUNT = """
import contextlib, gc, importlib, os, sys

def page_count():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1])

# Python remembers names that attributes were asked for by: Pillow composes some anew for each file.
forget_names = getattr(sys, "_clear_internal_caches", None) or sys._clear_type_cache

def rounds(call, times):
    for _ in range(times):
        call()
    gc.collect()
    forget_names()
    return sys.getallocatedblocks(), page_count(), len(os.listdir("/proc/self/fd"))

def refused(function, given):
    with contextlib.suppress(Exception):
        function(**given)

def calls():
    table = getattr(importlib.import_module(MODULE), FUNCTION)()
    if FUNCTION == "core_calls":
        for label, function, arguments in table:
            yield label, lambda: function(*arguments)
            for i in range(len(arguments)):
                given = (*arguments[:i], object(), *arguments[i + 1:])
                yield f"{label}, argument {i} wrong", lambda: refused(lambda: function(*given), {})
        return
    for label, (function, given) in table.items():
        if ONLY in (None, label):
            yield label, lambda: function(**given)
            for name in given:
                yield f"{label}, {name} wrong", lambda: refused(function, {**given, name: object()})

for label, call in calls():
    before = rounds(call, max(1, TIMES // 5))
    for _ in range(ROUNDS):  # memory that only settles stops growing; what leaks grows each time
        after = rounds(call, TIMES)
        blocks, pages, files = (more - less for more, less in zip(after, before, strict=True))
        before = after
        if blocks < max(1, TIMES // 4) and pages < 16 and files < 1:
            break
    else:
        print(f"{label}: {blocks} blocks, {pages} pages and {files} open files more after {TIMES} calls")
"""


def leaks(module, function, only=None, *, cwd=None):
    """What grows in each of three rounds of a thousand calls, of those listed by `function` of `module`, or ""."""
    code = f"MODULE, FUNCTION, TIMES, ONLY, ROUNDS = {(module, function, 1000, only, 3)!r}\n{COUNT}"
    result = run_python(code, environment={"GANCHROMA_NUM_THREADS": "1"}, paths=["tests"], cwd=cwd)
    assert result.returncode == 0, result.stderr
    return result.stdout


def public_names(module):
    """Functions and classes in `__all__` of a module and of the modules named there, and the classes' methods."""
    for name in module.__all__:
        value = getattr(module, name)
        if isinstance(value, types.ModuleType):
            yield from public_names(value)
            continue
        yield name
        if inspect.isclass(value):
            methods = (part for part in vars(value) if not part.startswith("_") and callable(getattr(value, part)))
            yield from (f"{name}.{part}" for part in methods)


def not_called(module, calls):
    """Public names that no label begins with."""
    called = {label.split()[0].removesuffix("()").removeprefix("init.") for label in calls}
    return {name for name in public_names(module) if name not in called}
