"""One rank of several with gloo: `python ranks.py RANK RANKS FILE FOLDER`. Leaves what each function yields."""

import json
import sys
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
import torch.distributed.nn  # keeps the group there is at its import, and DDP imports it: best while there is none
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

import ganchroma as gch


def images(kind):
    levels = np.random.default_rng(0).integers(0, 256, (26, 3, 9, 7), dtype=np.uint8)
    return levels if kind == "bytes" else (levels / 127.5 - 1).astype(np.float32)


def uneven(rank, ranks):
    """Ranks see 0, 13 and 13 images; floats and bytes, and nothing at all."""
    for kind in ("bytes", "floats"):
        stats = gch.ChromaStats(None if kind == "bytes" else (-1, 1))
        if rank > 0:
            for part in np.array_split(images(kind)[rank - 1 :: ranks - 1], 5):
                stats.update(part)
        assert gch.torch.all_reduce(stats) is stats
        yield kind, stats
    yield "nothing", gch.torch.all_reduce(gch.ChromaStats((-1, 1)))


def padded(rank, ranks):
    """The sampler repeats an image, so that 26 are 27: it is masked."""
    data = TensorDataset(torch.from_numpy(images("bytes")))
    sampler = DistributedSampler(data, ranks, rank, shuffle=False)
    stats, seen = gch.ChromaStats(), 0
    for (batch,) in DataLoader(data, batch_size=4, sampler=sampler):
        place = (seen + torch.arange(len(batch))) * ranks + rank
        stats.update(batch, mask=place < len(data))
        seen += len(batch)
    assert seen == 9
    yield "bytes", gch.torch.all_reduce(stats, dist.group.WORLD)


def mixed(rank, ranks):
    """One rank has floats: all raise, none hangs or changes."""
    kind = "floats" if rank == 1 else "bytes"
    stats = gch.ChromaStats(None if kind == "bytes" else (0, 255)).update(images(kind))
    before = stats + stats.empty_like()
    try:
        gch.torch.all_reduce(stats)
    except ValueError as error:
        assert stats == before
        yield str(error), stats


def apart(rank, ranks):
    """A group that the last rank is not in."""
    group = dist.new_group([0, 1])
    stats = gch.ChromaStats().update(images("bytes")[rank::2])
    try:
        text = str(gch.torch.all_reduce(stats, group) is stats)
    except ValueError as error:
        text = str(error)
    yield text, stats


def monitored(rank, ranks):
    """Behind DistributedDataParallel; then by hand, with ranks that have no pictures."""
    torch.manual_seed(0)
    generator = nn.Sequential(nn.ConvTranspose2d(8, 16, 4), nn.ReLU(), nn.Conv2d(16, 3, 3), nn.Tanh())
    parallel = DistributedDataParallel(generator)
    latent = torch.randn(12, 8, 5, 5, generator=torch.Generator().manual_seed(1))
    with gch.torch.ChromaMonitor(parallel, head="module.2", group=dist.group.WORLD) as monitor:
        for _ in range(2):
            parallel(latent[rank::ranks]).square().mean().backward()
        monitor.update(9, images("floats")[: 4 if rank == 1 else 0])
    record = monitor.history[0].to_dict()
    yield json.dumps([len(monitor.history), record, monitor.history[-1].to_dict()]), gch.ChromaStats()


def metric(rank, ranks):
    """One rank has nothing."""
    made = gch.torch.ChromaMetric()
    for part in np.array_split(images("floats")[rank // 2 :: 2], 3) if rank != 1 else []:
        made.update(torch.from_numpy(part))
    yield json.dumps({name: value.item() for name, value in made.compute().items()}), gch.ChromaStats()


def main():
    rank, ranks, meeting, folder = sys.argv[1:]
    rank, ranks = int(rank), int(ranks)
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=ranks)
    for what in (uneven, padded, mixed, apart, monitored, metric):
        for number, (text, stats) in enumerate(what(rank, ranks)):
            stats.save(Path(folder) / f"{what.__name__}-{rank}-{number}.npz")
            (Path(folder) / f"{what.__name__}-{rank}-{number}.txt").write_text(text)
    dist.destroy_process_group()
    # a thread of gloo's that lets go of a tensor while Python ends would abort the process
    assert not [task for task in Path("/proc/self/task").glob("*/comm") if "gloo" in task.read_text()]


if __name__ == "__main__":
    main()
