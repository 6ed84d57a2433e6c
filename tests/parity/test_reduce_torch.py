"""Statistics over the ranks of torch.distributed: each a process, with gloo."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import ganchroma as gch

torch = pytest.importorskip("torch")
pytest.importorskip("torchmetrics")
if not torch.distributed.is_available():
    pytest.skip("this PyTorch has no torch.distributed", allow_module_level=True)

RANKS = 3
PROGRAM = Path(__file__).parent / "ranks.py"


def images(kind):
    levels = np.random.default_rng(0).integers(0, 256, (26, 3, 9, 7), dtype=np.uint8)
    return levels if kind == "bytes" else (levels / 127.5 - 1).astype(np.float32)


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """Function of `ranks.py` -> for each rank the (text, state) that it yielded; and what went to stderr."""
    folder = tmp_path_factory.mktemp("ranks")
    commands = [[sys.executable, PROGRAM, str(rank), str(RANKS), folder / "meeting", folder] for rank in range(RANKS)]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for command in commands]
    errors = [process.communicate(timeout=100)[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * RANKS, errors
    found = {"errors": errors}
    for name in ("uneven", "padded", "mixed", "apart", "monitored", "metric"):
        paths = [sorted(folder.glob(f"{name}-{rank}-*.npz")) for rank in range(RANKS)]
        found[name] = [
            [(path.with_suffix(".txt").read_text(), gch.ChromaStats.load(path)) for path in rank] for rank in paths
        ]
    return found


def test_uneven_and_empty_ranks(answers):
    for rank in answers["uneven"]:
        states = dict(rank)
        assert states["bytes"] == gch.ChromaStats().update(images("bytes"))
        assert states["floats"] == gch.ChromaStats((-1, 1)).update(images("floats"))
        assert states["nothing"] == gch.ChromaStats((-1, 1))


def test_what_the_sampler_repeated_is_masked(answers):
    for rank in answers["padded"]:
        assert rank[0][1] == gch.ChromaStats().update(images("bytes"))


def test_ranks_that_do_not_fit_all_raise(answers):
    assert [len(rank) for rank in answers["mixed"]] == [1] * RANKS
    assert all("uint8, the other floats" in text for rank in answers["mixed"] for text, _ in rank)


def test_a_rank_outside_the_group(answers):
    """Its images are not added, and it is told so."""
    whole = gch.ChromaStats().update(images("bytes"))
    own = gch.ChromaStats().update(images("bytes")[2::2])
    assert [rank[0] for rank in answers["apart"]] == [
        ("True", whole),
        ("True", whole),
        ("group must be one that this rank, 2, is in", own),
    ]


def test_a_monitor_of_all_ranks(answers):
    texts = [text for rank in answers["monitored"] for text, _ in rank]
    assert len(set(texts)) == 1
    count, first, last = json.loads(texts[0])
    assert count == 3
    torch.manual_seed(0)
    nn = torch.nn
    generator = nn.Sequential(nn.ConvTranspose2d(8, 16, 4), nn.ReLU(), nn.Conv2d(16, 3, 3), nn.Tanh())
    latent = torch.randn(12, 8, 5, 5, generator=torch.Generator().manual_seed(1))
    alone = gch.torch.ChromaMonitor().update(0, generator(latent), head=generator[2]).to_dict()
    # The convolution of 4 and of 12 pictures may round differently.
    for name in ("achromatic_share", "colorfulness", "chroma", "std_levels"):
        assert first[name] == pytest.approx(alone[name], rel=1e-5)
    assert first["filter_cosines"] == pytest.approx(alone["filter_cosines"], rel=1e-6)
    assert last["chroma"] == gch.torch.ChromaMonitor().update(0, images("floats")[:4]).chroma


def test_alone_nothing_happens():
    stats = gch.ChromaStats().update(images("bytes"))
    assert gch.torch.all_reduce(stats) is stats
    assert stats == gch.ChromaStats().update(images("bytes"))
    with pytest.raises(TypeError, match="stats must be a ChromaStats, got dict"):
        gch.torch.all_reduce({})
    with pytest.raises(TypeError, match=r"group must be a torch\.distributed\.ProcessGroup or None, got str"):
        gch.torch.all_reduce(stats, "WORLD")
    with pytest.raises(TypeError, match=r"group must be a torch\.distributed\.ProcessGroup or None, got str"):
        gch.torch.ChromaMonitor(group="WORLD")
    with pytest.raises(ValueError, match=r"images has shape \(0, 3, 4, 4\)"):
        gch.torch.ChromaMonitor().update(0, torch.zeros(0, 3, 4, 4))


def test_the_metric_of_all_ranks(answers):
    alone = gch.torch.ChromaMetric()
    alone.update(torch.from_numpy(images("floats")))
    whole = {name: value.item() for name, value in alone.compute().items()}
    assert [json.loads(text) for rank in answers["metric"] for text, _ in rank] == [whole] * RANKS
