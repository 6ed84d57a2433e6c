"""Statistics of several ranks become those of all."""

from io import BytesIO
from typing import Any

import torch
import torch.distributed as dist

from ganchroma._files import npz_bytes, read_npz
from ganchroma.stats import ChromaStats

__all__ = ["all_reduce"]


def all_reduce(stats: ChromaStats, group: Any = None) -> ChromaStats:
    """Add up the statistics of all ranks; every rank then holds the sum. Like ``torch.distributed.all_reduce``.

    Ranks may have seen any number of images, none too; what a sampler repeated to fill the last batch is left out by
    `mask` of `ChromaStats.update`. For bytes the state is the same to the bit as that of one process that saw
    everything. Nothing is pickled: the states travel as the arrays that `ChromaStats.save` writes.

    Parameters
    ----------
    stats : ChromaStats
        Of this rank; changed in place. All ranks need the same settings.
    group : torch.distributed.ProcessGroup, optional
        All ranks by default. Any backend: with "nccl" the bytes go over the current CUDA device.

    Returns
    -------
    ChromaStats
        `stats` itself. Without an initialised process group it stays as it is: a script runs alone, too.

    Raises
    ------
    TypeError
        If `stats` is no ChromaStats, or `group` no process group.
    ValueError
        If this rank is not in `group`; on every rank, if they have other settings, or one has seen uint8 and another
        floats. `stats` is unchanged.

    Examples
    --------
    >>> import numpy as np, ganchroma as gch
    >>> stats = gch.ChromaStats().update(np.zeros((2, 3, 4, 4), np.uint8))
    >>> gch.torch.all_reduce(stats).summary().images
    2
    """
    if not isinstance(stats, ChromaStats):
        raise TypeError(f"stats must be a ChromaStats, got {type(stats).__name__}")
    check_group(group)
    if not (dist.is_available() and dist.is_initialized()):
        return stats
    states = _gather(npz_bytes(stats.state()), group)
    del states[dist.get_rank(group)]
    others = [ChromaStats.from_state(read_npz(BytesIO(state))) for state in states]
    for other in others[1:]:
        others[0].merge(other)
    return stats.merge(others[0]) if others else stats


def check_group(group: Any) -> Any:
    """`group` itself if it is None or a process group with this rank; otherwise a TypeError or ValueError."""
    if group is None or (dist.is_available() and isinstance(group, dist.ProcessGroup)):
        return group
    if dist.is_available() and group is dist.GroupMember.NON_GROUP_MEMBER:  # what `new_group` gives the others
        raise ValueError(f"group must be one that this rank, {dist.get_rank()}, is in")
    raise TypeError(f"group must be a torch.distributed.ProcessGroup or None, got {type(group).__name__}")


def _gather(data: bytes, group: Any) -> list[bytes]:
    """The bytes of every rank, in their order."""
    device = torch.device("cuda", torch.cuda.current_device()) if dist.get_backend(group) == "nccl" else "cpu"
    own = torch.frombuffer(bytearray(data), dtype=torch.uint8).to(device)
    count = torch.tensor([own.numel()], device=device)
    counts = [torch.empty_like(count) for _ in range(dist.get_world_size(group))]
    dist.all_gather(counts, count, group=group)
    longest = max(int(other) for other in counts)
    padded = torch.nn.functional.pad(own, (0, longest - own.numel()))
    parts = [torch.empty_like(padded) for _ in counts]
    dist.all_gather(parts, padded, group=group)
    return [part[: int(length)].cpu().numpy().tobytes() for part, length in zip(parts, counts, strict=True)]
