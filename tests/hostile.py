"""Arrays and tensors that may break something: how many Hypothesis makes, of what, and how results are compared."""

import dataclasses
import os

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

import ganchroma as gch

LONGER = os.environ.get("GANCHROMA_EXAMPLES")  # 10000, say; then not the same ones each time
examples = settings(
    max_examples=int(LONGER or 50), derandomize=not LONGER, deadline=None, suppress_health_check=list(HealthCheck)
)


def flat(result):
    """What can be compared of a result: its arrays and numbers, in order."""
    if isinstance(result, np.ndarray):
        return [np.array(result)]
    if isinstance(result, int | float | np.generic):
        return [np.array(result)]
    if isinstance(result, tuple | list):
        return [part for item in result for part in flat(item)]
    if isinstance(result, dict):
        return [part for item in result.values() for part in flat(item)]
    if isinstance(result, gch.OutputLayer):
        return flat([result.weight, result.bias])
    if dataclasses.is_dataclass(result):
        return [part for field in dataclasses.fields(result) for part in flat(getattr(result, field.name))]
    tellers = ("to_dict", "state", "state_dict", "get_state")
    return next((flat(getattr(result, name)()) for name in tellers if hasattr(result, name)), [])


def axis_of(array, axis):
    return axis % max(array.ndim, 1)


def changes(kinds):
    """One to three of these changes after another, each of an axis by a step."""
    one = st.tuples(st.sampled_from(sorted(kinds)), st.integers(0, 3), st.integers(1, 3))
    return st.lists(one, min_size=1, max_size=3)


def check_same(got, wanted):
    """The same numbers, up to the order in which other memory is added up."""
    assert len(got) == len(wanted) > 0
    for a, b in zip(got, wanted, strict=True):
        assert a.shape == b.shape
        if a.dtype.kind in "fciu?":
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
