"""Colour of a data set and of a generator's samples under torch.distributed: every rank measures its share.

    torchrun --nproc-per-node 3 examples/statistics_ddp.py

The sampler repeats the first images so that all ranks have as many: those are left out by `mask`.
"""

import torch
import torch.distributed as dist
import torch.distributed.nn  # keeps the group there is at its import, and DDP imports it: best while there is none
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

import ganchroma as gch


def data_set(rank: int, ranks: int) -> None:
    """Each rank measures the images its sampler gives it."""
    images = torch.randint(0, 256, (100, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    data = TensorDataset(images)
    sampler = DistributedSampler(data, ranks, rank, shuffle=False)
    stats, seen = gch.ChromaStats(), 0
    for (batch,) in DataLoader(data, batch_size=16, sampler=sampler):
        place = (seen + torch.arange(len(batch))) * ranks + rank  # in the sampler's order
        stats.update(batch, mask=place < len(data))
        seen += len(batch)
    gch.torch.all_reduce(stats)  # every rank has the sum now
    if rank == 0:
        print(stats.summary())
        print("the same as one process finds:", stats == gch.ChromaStats().update(images))


def generator(rank: int) -> None:
    """Each rank's samples, while all train one generator."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.ConvTranspose2d(8, 16, 4), nn.ReLU(), nn.Conv2d(16, 3, 3), nn.Tanh())
    parallel = DistributedDataParallel(network)
    with gch.torch.ChromaMonitor(parallel, head="module.2", group=dist.group.WORLD) as monitor:
        for _ in range(3):
            parallel(torch.randn(16, 8, 13, 13)).square().mean().backward()
    if rank == 0:
        print(monitor, f"chroma {monitor.history[-1].chroma:.2f} over all ranks")


def main() -> None:
    """One rank."""
    dist.init_process_group("gloo")
    rank, ranks = dist.get_rank(), dist.get_world_size()
    data_set(rank, ranks)
    generator(rank)
    dist.destroy_process_group()  # its threads end, for nothing holds the group any more


if __name__ == "__main__":
    main()
