"""What a ChromaMonitor says of a wrong range, and to whom it gives its records."""

import copy
import gc
import pickle
import warnings
import weakref

import numpy as np
import pytest

import ganchroma as gch

torch = pytest.importorskip("torch")
ChromaMonitor = gch.torch.ChromaMonitor
from parity.monitored import pictures  # noqa: E402

# -- the range ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [np.asarray, torch.from_numpy])
def test_values_far_outside_the_range_are_worth_one_warning(rng, kind):
    monitor, images = ChromaMonitor(), kind((pictures(rng) + 1) * 127.5)
    words = r"value_range is \(-1, 1\), but the pictures of step 3 reach from .* to .*for these \(0, 255\)"
    with pytest.warns(UserWarning, match=words) as caught:
        monitor.update(3, images)
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        monitor.update(4, images)
    assert len(monitor.history) == 2


@pytest.mark.parametrize("value_range", [(-1, 1), (0, 1)])
def test_what_overshoots_is_not(rng, value_range):
    images = pictures(rng) * 2
    images[0, 0, 0] = [np.nan, np.inf, -np.inf, 1000] + [0] * 12  # no range is told by a few
    monitor = ChromaMonitor(value_range=value_range)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        monitor.update(0, images)
        monitor.update(1, gch.color.quantize(pictures(rng), value_range=(-1, 1)))
        ChromaMonitor(value_range=(0, 255)).update(0, (pictures(rng) + 1) * 127.5)


# -- writers --------------------------------------------------------------------------------------------------------


class Writer:
    """Keeps what it is given; fails once, if asked to."""

    def __init__(self, fail_at=-1):
        self.scalars, self.fail_at = [], fail_at

    def add_scalar(self, tag, value, step):
        if len(self.scalars) == self.fail_at:
            self.fail_at = -1
            raise OSError("disk full")
        self.scalars.append((tag, value, step))

    def steps(self):
        return [step for tag, _, step in self.scalars if tag.endswith("/achromatic_share")]


class Slotted(Writer):
    __slots__ = ()
    __hash__ = None


class Unreachable:
    """Has no place for a weak reference."""

    __slots__ = ("steps",)

    def __init__(self):
        self.steps = set()

    def add_scalar(self, tag, value, step):
        self.steps.add(step)


def recorded(rng, *steps, **options):
    monitor = ChromaMonitor(**options)
    for step in steps:
        monitor.update(step, pictures(rng))
    return monitor


def test_each_writer_gets_every_record(rng):
    monitor, writers = recorded(rng, 0, 5), [Writer(), Writer()]
    assert [monitor.write(writer) for writer in writers] == [2, 2]
    monitor.update(7, pictures(rng))
    assert [monitor.write(writer) for writer in writers] == [1, 1]
    assert [writer.steps() for writer in writers] == [[0, 5, 7], [0, 5, 7]]
    assert monitor.write(writers[0], prefix="other") == 3
    assert monitor.write(writers[0]) == monitor.write(writers[0], prefix="other") == 0


def test_records_of_one_step_are_all_written(rng):
    monitor, writer = recorded(rng, 5), Writer()
    assert monitor.write(writer) == 1
    monitor.update(5, pictures(rng))
    assert monitor.write(writer) == 1
    assert writer.steps() == [5, 5]


def test_what_failed_is_written_again(rng):
    monitor, writer = recorded(rng, 0, 1), Writer(fail_at=9)
    with pytest.raises(OSError, match="disk full"):
        monitor.write(writer)
    assert monitor.write(writer) == 1
    assert writer.steps() == [0, 1, 1]


def test_thinning_writes_no_record_twice(rng):
    monitor, writer = ChromaMonitor(limit=4), Writer()
    for step in range(20):
        monitor.update(step, pictures(rng, n=2))
        monitor.write(writer)
    steps = writer.steps()
    assert steps == sorted(set(steps))
    assert {record.step for record in monitor.history} <= set(steps)


def test_writers_of_any_kind(rng):
    monitor = recorded(rng, 0)
    unhashable, unreachable = Slotted(), Unreachable()
    for writer in (unhashable, unreachable):
        assert monitor.write(writer) == 1
        assert monitor.write(writer) == 0
    assert unreachable.steps == {0}


def test_a_writer_is_not_kept_alive(rng):
    monitor, writer = recorded(rng, 0), Writer()
    monitor.write(writer)
    gone = weakref.ref(writer)
    del writer
    gc.collect()
    assert gone() is None


def test_copies_and_files_know_no_writer(rng):
    monitor, writer = recorded(rng, 0), Writer()
    monitor.write(writer)
    for other in (copy.deepcopy(monitor), pickle.loads(pickle.dumps(monitor))):
        assert other.history == monitor.history
        assert other.write(writer) == 1
    assert monitor.write(writer) == 0
