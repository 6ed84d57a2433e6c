"""`ChromaMetric` in TorchMetrics itself, and `ChromaMonitor.write` in TensorBoard itself."""

import math

import numpy as np
import pytest

import ganchroma as gch

torch = pytest.importorskip("torch")
torchmetrics = pytest.importorskip("torchmetrics")


def pictures(count=8, seed=0, tint=0.0):
    noise = torch.randn(count, 3, 16, 12, generator=torch.Generator().manual_seed(seed))
    return torch.tanh(noise + tint * torch.tensor([1.0, 0, -1]).view(1, 3, 1, 1))


def expected(images, value_range=(-1, 1)):
    summary = gch.ChromaStats(None if images.dtype == torch.uint8 else value_range).update(images.numpy()).summary()
    return {
        "achromatic_share": summary.within.achromatic_share,
        "correlation_rb": summary.within.correlation[1],
        "chroma": summary.chroma,
        "colorfulness": summary.colorfulness,
        "std_levels": summary.within.std_levels,
        "near_end_share": summary.near_end_share,
        "gray_images": summary.gray_images,
    }


@pytest.mark.parametrize("kind", ["floats", "bytes"])
def test_batches_are_what_all_pictures_together_are(kind):
    batches = [pictures(count, seed) for count, seed in ((3, 0), (8, 1), (1, 2))]
    if kind == "bytes":
        batches = [((batch + 1) * 127.5).to(torch.uint8) for batch in batches]
    metric = gch.torch.ChromaMetric()
    for batch in batches:
        metric.update(batch)
    for name, value in expected(torch.cat(batches)).items():
        np.testing.assert_allclose(metric.compute()[name].item(), value, rtol=1e-6, err_msg=name)  # float32 tensors
    whole = gch.ChromaStats((-1, 1) if kind == "floats" else None).update(torch.cat(batches).numpy()).summary()
    assert metric.stats().summary().total == whole.total  # the sums themselves are exact


def test_forward_gives_the_batch_and_keeps_the_whole():
    metric = gch.torch.ChromaMetric()
    first, second = pictures(seed=1), pictures(seed=2, tint=1)
    metric(first)
    alone = metric(second)
    assert alone["chroma"].item() == pytest.approx(expected(second)["chroma"], rel=1e-6)
    assert metric.compute()["chroma"].item() == pytest.approx(expected(torch.cat([first, second]))["chroma"], rel=1e-6)
    metric.reset()
    with pytest.warns(UserWarning, match="before the ``update``"):  # TorchMetrics' own
        assert all(math.isnan(value) for value in metric.compute().values())


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_pictures_of_no_numbers_are_left_out(value):
    metric, seen = gch.torch.ChromaMetric(), pictures(4)
    metric.update(torch.cat([seen, torch.full((2, 3, 16, 12), value)]))
    metric.update(torch.full((3, 3, 16, 12), value))
    for name, number in expected(seen).items():
        assert metric.compute()[name].item() == pytest.approx(number, rel=1e-6), name
    assert metric.kinds.tolist() == [0, 4]
    alone = gch.torch.ChromaMetric()
    alone.update(torch.full((3, 3, 16, 12), value))
    assert all(math.isnan(number) for number in alone.compute().values())
    alone.update(((pictures() + 1) * 127).to(torch.uint8))  # nothing was added: bytes are welcome still
    assert not math.isnan(alone.compute()["chroma"])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.float64])
def test_sums_stay_integers(dtype):
    metric, plain = gch.torch.ChromaMetric(), gch.torch.ChromaMetric()
    metric.update(pictures())
    changed = metric.set_dtype(dtype).float().half().to(torch.float64)
    changed.update(pictures(seed=1))
    for batch in (pictures(), pictures(seed=1)):
        plain.update(batch)
    assert changed.stats() == plain.stats()
    changed.reset()
    changed.update(pictures())
    assert (changed.sums.dtype, changed.least.dtype) == (torch.int64, torch.float64)
    assert changed.compute()["chroma"].dtype == torch.float32


def test_in_a_collection_and_through_a_checkpoint():
    collection = torchmetrics.MetricCollection([gch.torch.ChromaMetric()], prefix="fake/")
    collection.update(pictures())
    assert collection.compute()["fake/achromatic_share"] == pytest.approx(expected(pictures())["achromatic_share"])
    metric = gch.torch.ChromaMetric()
    metric.persistent(True)
    metric.update(pictures())
    other = gch.torch.ChromaMetric()
    other.persistent(True)
    other.load_state_dict(metric.state_dict())
    other.update(pictures(0))
    assert other.stats() == metric.stats()


@pytest.mark.parametrize(
    ("other", "alike"), [({"quantize": "floor"}, False), ({"value_range": (-1, 1 + 1e-9)}, False), ({}, True)]
)
@pytest.mark.parametrize("first", [-1.0, math.nan])
def test_a_collection_keeps_unlike_settings_apart(first, other, alike):
    """TorchMetrics updates one metric for all whose states are equal, and of black or no pictures all sums are."""
    collection = torchmetrics.MetricCollection({"a": gch.torch.ChromaMetric(), "b": gch.torch.ChromaMetric(**other)})
    alone = {"a": gch.torch.ChromaMetric(), "b": gch.torch.ChromaMetric(**other)}
    for batch in (torch.full((2, 3, 8, 8), first), pictures() * 0.002):
        for metric in (collection, *alone.values()):
            metric.update(batch)
    assert len(collection.compute_groups) == (1 if alike else 2)
    for name, metric in alone.items():
        assert collection[name].stats() == metric.stats()


def test_a_checkpoint_of_other_settings_is_refused():
    saved, floored = gch.torch.ChromaMetric(), gch.torch.ChromaMetric(quantize="floor")
    for metric in (saved, floored):
        metric.persistent(True)
    saved.update(pictures())
    state = saved.state_dict()
    with pytest.raises(RuntimeError, match=r"Unexpected key.*round in \(-1\.0, 1\.0\)"):
        floored.load_state_dict(state)
    del state["round in (-1.0, 1.0)"]  # as earlier versions saved it
    other = gch.torch.ChromaMetric()
    other.load_state_dict(state)
    assert other.stats() == saved.stats()


def test_a_zero_of_either_sign_is_the_same_setting():
    saved, other = gch.torch.ChromaMetric((-0.0, 1)), gch.torch.ChromaMetric((0, 1))
    for metric in (saved, other):
        metric.persistent(True)
    other.load_state_dict(saved.state_dict())


def test_wrong_pictures():
    metric = gch.torch.ChromaMetric()
    with pytest.raises(TypeError, match="images must be a tensor"):
        metric.update(np.zeros((1, 3, 2, 2), np.float32))
    with pytest.raises(ValueError, match="images"):
        metric.update(torch.zeros(2, 1, 4, 4))
    with pytest.raises(ValueError, match="value_range"):
        gch.torch.ChromaMetric(value_range=(1, 0))
    metric.update(pictures())
    metric.update(((pictures() + 1) * 127).to(torch.uint8))
    with pytest.raises(ValueError, match="8 pictures of bytes and 8 of floats"):
        metric.compute()


def test_tensorboard_reads_what_the_monitor_wrote(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from torch.utils.tensorboard import SummaryWriter

    head = torch.nn.Conv2d(4, 3, 1)
    monitor = gch.torch.ChromaMonitor(head=head)
    with SummaryWriter(tmp_path) as writer:
        monitor.update(0, pictures(seed=0))
        monitor.update(5, pictures(seed=1))
        assert monitor.write(writer) == 2
        monitor.update(7, pictures(seed=2))
        assert monitor.write(writer) == 1
        assert monitor.write(writer) == 0
    seen = EventAccumulator(str(tmp_path)).Reload()
    tags = seen.Tags()["scalars"]
    assert {"chroma/achromatic_share", "chroma/correlation/RB", "chroma/filter_cosines/GB", "chroma/chroma"} <= set(
        tags
    )
    events = seen.Scalars("chroma/achromatic_share")
    assert [event.step for event in events] == [0, 5, 7]
    np.testing.assert_allclose(
        [event.value for event in events], [record.achromatic_share for record in monitor.history], rtol=1e-6
    )
    with pytest.raises(TypeError, match="writer must have a method add_scalar"):
        monitor.write("runs")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda images: images.int(), "dtype torch.int32; accepted: floating point, or uint8"),
        (lambda images: images.to(torch.complex64), "dtype torch.complex64; accepted"),
        (lambda images: images.to("meta"), "on the meta device; accepted: dense"),
        (lambda images: images.to_sparse(), "of layout torch.sparse_coo; accepted: dense"),
    ],
)
def test_tensors_that_are_no_pictures(change, words):
    images = change(torch.rand(2, 3, 4, 4))
    for update in (gch.torch.ChromaMetric().update, lambda images: gch.torch.ChromaMonitor().update(0, images)):
        with pytest.raises(TypeError, match=words):
            update(images)
