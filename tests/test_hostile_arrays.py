"""Every public function with arrays as nobody would bring them: the same answer as ever, or an error in words."""

import contextlib

import numpy as np
import pytest
from calls import public_calls
from hostile import axis_of, changes, check_same, examples, flat
from hypothesis import given
from hypothesis import strategies as st
from support import run_python, unaligned

PLACES = [
    (label, name)
    for label, (_, keywords) in public_calls().items()
    for name, value in keywords.items()
    if isinstance(value, np.ndarray)
]


class Subclass(np.ndarray):
    """Whose own methods must not be called: they answer nonsense."""

    def sum(self, *args, **kwargs):
        raise AssertionError("a method of the subclass was called")

    mean = min = max = astype = reshape = sum


# -- the same values in other memory --------------------------------------------------------------------------------


def spread(array, axis, step):
    """Every `step`-th element of something larger, along one axis."""
    shape = list(array.shape)
    shape[axis] *= step
    room = np.full(shape, 99, array.dtype)
    view = room[(slice(None),) * axis + (slice(None, None, step),)]
    view[...] = array
    return view


def backwards(array, axis, step):
    return np.flip(np.ascontiguousarray(np.flip(array, axis)), axis)


def transposed(array, axis, step):
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(array, axis, 0)), 0, axis)


def read_only(array, axis, step):
    copy = array.copy(order="K")
    copy.setflags(write=False)
    return copy


SAME = {
    "spread": spread,
    "backwards": backwards,
    "transposed": transposed,
    "fortran": lambda array, axis, step: np.asfortranarray(array),
    "swapped bytes": lambda array, axis, step: array.astype(array.dtype.newbyteorder()),
    "misaligned": lambda array, axis, step: unaligned(array, step),
    "read-only": read_only,
    "list": lambda array, axis, step: array if array.dtype != np.float64 else array.tolist(),
}

# -- other values or types: an answer or an error --------------------------------------------------------------------

OTHER = {
    "repeated": lambda array, axis, step: np.broadcast_to(array.take([0], axis), array.shape),
    "empty": lambda array, axis, step: array.take([], axis),
    "one more": lambda array, axis, step: np.concatenate([array, array], axis),
    "an axis more": lambda array, axis, step: np.expand_dims(array, axis),
    "an axis less": lambda array, axis, step: array.take(0, axis),
    "NaN": lambda array, axis, step: array * np.float32("nan") if array.dtype.kind == "f" else array,
    "infinite": lambda array, axis, step: array / np.float32(0.0) if array.dtype.kind == "f" else array,
    "largest": lambda array, axis, step: np.full_like(array, largest(array.dtype)),
    "subnormal": lambda array, axis, step: array * np.array(1e-40, array.dtype) if array.dtype.kind == "f" else array,
    **{
        f"as {dtype}": lambda array, axis, step, dtype=dtype: array.astype(dtype)
        for dtype in ("f2", "f8", "g", "i1", "i8", "u2", "c8", "?", "O", "S3", "U2")
    },
    "dates": lambda array, axis, step: array.astype("i8").astype("M8[s]"),
    "records": lambda array, axis, step: np.zeros(array.shape, [("a", "f4"), ("b", "i4")]),
    "masked": lambda array, axis, step: np.ma.masked_array(array, np.zeros(array.shape, bool)),
}


def largest(dtype):
    return np.finfo(dtype).max if dtype.kind == "f" else np.iinfo(dtype).max if dtype.kind in "iu" else True


def call(label, name=None, change=None):
    function, keywords = public_calls()[label]
    if name is not None:
        with np.errstate(all="ignore"):
            keywords = {**keywords, name: change(keywords[name])}
    with np.errstate(all="ignore"):
        result = function(**keywords)
    changed = keywords.get("out", function.__self__ if result is None else None)
    return flat([result, changed])


@examples
@given(st.sampled_from(PLACES), changes(SAME), st.booleans())
def test_other_memory_the_same_answer(place, made, subclass):
    def change(array):
        for kind, axis, step in made:
            if isinstance(array, np.ndarray):
                array = SAME[kind](array, axis_of(array, axis), step)
        return array.view(Subclass) if subclass and isinstance(array, np.ndarray) else array

    label, name = place
    wanted = call(label)
    if name == "out":  # must be as the function would make it, and may be refused
        with contextlib.suppress(TypeError, ValueError):
            call(label, name, change)
        return
    check_same(call(label, name, change), wanted)


# What a function says of values that it can't use, and what NumPy says of overflow on the way to that.
@pytest.mark.filterwarnings("ignore")
@examples
@given(st.sampled_from(PLACES), st.sampled_from(sorted(OTHER)), st.integers(0, 3), st.integers(1, 3))
def test_other_values_an_answer_or_an_error(place, kind, axis, step):
    label, name = place
    with contextlib.suppress(TypeError, ValueError):
        call(label, name, lambda array: OTHER[kind](array, axis_of(array, axis), step))
    call(label)


# An array may claim to be larger than any memory, all its elements being the same one. A call that takes for ever is
# interrupted; one that would take all memory is not allowed to.
HUGE = """
import resource, signal, sys
import numpy as np
from calls import public_calls
resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))
class Enough(BaseException):
    pass
def enough(*_):
    raise Enough
signal.signal(signal.SIGALRM, enough)
for label, (_, keywords) in public_calls().items():
    for name, value in keywords.items():
        if not isinstance(value, np.ndarray) or value.ndim == 0:
            continue
        for count in (2**34, 2**40, 2**56):
            for axis in (0, value.ndim - 1):
                function, given = public_calls()[label]
                shape = list(value.shape)
                shape[axis] = count
                try:
                    huge = np.lib.stride_tricks.as_strided(value, shape, [0] * value.ndim)
                except ValueError:
                    continue
                signal.setitimer(signal.ITIMER_REAL, 0.2)
                try:
                    function(**{**given, name: huge})
                except (TypeError, ValueError, MemoryError, Enough) as error:
                    pass
                finally:
                    signal.setitimer(signal.ITIMER_REAL, 0)
print("done")
"""


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_huge_arrays_crash_nothing():
    pytest.importorskip("resource")
    environment = {"OPENBLAS_NUM_THREADS": "1", "GANCHROMA_NUM_THREADS": "2"}
    result = run_python(
        "import warnings; warnings.simplefilter('ignore')\n" + HUGE,
        environment=environment,
        paths=["tests"],
        timeout=600,
    )
    assert result.stdout == "done\n", result.stderr
