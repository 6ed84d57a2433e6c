"""Scans and statistics on Dask's workers, which are processes here; one of them is killed."""

import os
import signal

import numpy as np
import pytest
from pictures import as_tar, make_pictures

import ganchroma as gch
from ganchroma.scanning import places

dask_array = pytest.importorskip("dask.array")
distributed = pytest.importorskip("distributed")
pytest.importorskip("PIL.Image")
# Of Dask's own: a worker that is killed cannot close what it had open.
pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture(scope="module")
def client():
    with (
        distributed.LocalCluster(n_workers=3, threads_per_worker=1, dashboard_address=None, processes=True) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def test_chroma_of_a_dask_array(client):
    levels = np.random.default_rng(0).integers(0, 256, (50, 3, 12, 10), dtype=np.uint8)
    stats = gch.distributed.chroma_stats(dask_array.from_array(levels, chunks=(7, 3, 5, 10)), client=client)
    assert stats == gch.ChromaStats().update(levels)
    floats = (levels / 255).astype(np.float32).transpose(0, 2, 3, 1)
    options = {"value_range": (0, 1), "layout": "NHWC", "quantize": "floor", "chroma_samples": 16}
    stats = gch.distributed.chroma_stats(dask_array.from_array(floats, chunks=(16, 12, 10, 3)), **options)
    assert stats == gch.ChromaStats(**options).update(floats)
    none = dask_array.zeros((0, 3, 4, 4), dtype=np.uint8)
    assert gch.distributed.chroma_stats(none) == gch.ChromaStats()
    with pytest.raises(TypeError, match=r"images must be a dask\.array\.Array, got ndarray"):
        gch.distributed.chroma_stats(levels)
    with pytest.raises(ValueError, match=r"images must have four axes.*\(3, 12, 10\)"):
        gch.distributed.chroma_stats(dask_array.from_array(levels[0]))


@pytest.mark.scenario("processes")
def test_a_killed_worker_changes_nothing(client, tmp_path, monkeypatch):
    pictures = make_pictures(tmp_path / "all", count=120)
    whole = gch.scan(pictures.folder, workers=1, out=tmp_path / "whole.npz", records=tmp_path / "whole.csv")
    monkeypatch.setattr(places, "units", lambda found, plain=places.units: plain(found, 4))
    submit, submitted = client.submit, []

    def submit_and_kill(*what, **how):
        submitted.append(what)
        if len(submitted) == 12:
            os.kill(next(iter(client.run(os.getpid).values())), signal.SIGKILL)
        return submit(*what, **how)

    monkeypatch.setattr(client, "submit", submit_and_kill)
    options = {"client": client, "show_progress": False}
    found = gch.distributed.scan(pictures.folder, out=tmp_path / "again.npz", records=tmp_path / "again.csv", **options)
    assert len(submitted) == 30
    assert found.unreadable == whole.unreadable
    assert (tmp_path / "again.npz").read_bytes() == (tmp_path / "whole.npz").read_bytes()
    assert (tmp_path / "again.csv").read_text() == (tmp_path / "whole.csv").read_text()
    for suffix, mode in (("tar", "w"), ("tgz", "w:gz")):
        shard = as_tar(pictures, tmp_path / f"shard.{suffix}", mode)
        assert gch.distributed.scan(shard, **options).stats == whole.stats


def test_a_scan_needs_a_cluster(tmp_path, monkeypatch):
    monkeypatch.setattr(gch.distributed, "get_client", lambda: (_ for _ in ()).throw(ValueError("none")))
    with pytest.raises(ValueError, match=r"there is no Dask client; make one first: distributed\.Client\(\)"):
        gch.distributed.scan(tmp_path)
    with pytest.raises(TypeError, match=r"client must be a distributed\.Client, got str"):
        gch.distributed.scan(tmp_path, "tcp://here")
    with pytest.raises(TypeError, match=r"client must be a distributed\.Client, got str"):
        gch.distributed.chroma_stats(dask_array.zeros((1, 3, 4, 4)), client="x")


def test_a_client_that_is_closed(client, tmp_path):
    other = distributed.Client(client.scheduler.address, set_as_default=False)
    other.close()
    with pytest.raises(ValueError, match="client is closed; accepted: one that is connected, and not asynchronous"):
        gch.distributed.scan(tmp_path, other)


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="this system does not list what is open")
def test_threads_of_a_cluster_that_is_closed_leave_nothing_open(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((3, 3, 8, 8), np.uint8))
    options = {"processes": False, "n_workers": 1, "threads_per_worker": 2, "dashboard_address": None}
    with distributed.Client(set_as_default=False, **options) as own:
        assert gch.distributed.scan(tmp_path / "a.npy", own, show_progress=False).complete
    held = [os.path.realpath(entry) for entry in os.scandir("/proc/self/fd")]
    assert os.path.realpath(tmp_path / "a.npy") not in held
