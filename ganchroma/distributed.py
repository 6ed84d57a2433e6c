"""Scans and statistics on a Dask cluster: the same state, to the bit for bytes, as in one process."""

import itertools
from collections import deque
from collections.abc import Iterator
from typing import Any

try:
    import dask
    import dask.array
    from distributed import Client, get_client
    from distributed.scheduler import KilledWorker
except ImportError as error:
    raise ImportError('ganchroma.distributed needs Dask: pip install "ganchroma[dask]"') from error

from ganchroma._images import Layout
from ganchroma.color import Rule
from ganchroma.scanning.engines import AHEAD, Measuring, Parts, Unit, piecewise
from ganchroma.scanning.local import Paths
from ganchroma.scanning.measuring import Part, Settings
from ganchroma.scanning.places import absolute, check_paths
from ganchroma.scanning.result import Scan
from ganchroma.scanning.work import Files, drive
from ganchroma.stats import ChromaStats

__all__ = ["chroma_stats", "scan"]


def scan(
    paths: Paths,
    client: Any = None,
    *,
    out: Any = None,
    records: Any = None,
    html: Any = None,
    resume: bool = False,
    value_range: tuple[float, float] | None = None,
    layout: Layout = "NCHW",
    show_progress: bool = True,
) -> Scan:
    """`ganchroma.scan` by the workers of a Dask cluster, which see the same files under the same absolute paths.

    A worker that is lost changes nothing in the result: its pictures are measured by others.

    Parameters
    ----------
    paths : path or list of paths
    client : distributed.Client, optional
        Of the cluster; the current one by default.
    out, records, html, resume, value_range, layout, show_progress
        As for `ganchroma.scan`; the files are written by this process.

    Returns
    -------
    Scan

    Raises
    ------
    TypeError, ValueError, OSError, ImportError
        As `ganchroma.scan`; ValueError too if there is no client.
    """
    settings = Settings.of(value_range, layout, records is not None)
    files, measuring, cluster = Files(out, records, html, resume), Measuring(settings), _client(client)

    def attempt(unit: Unit) -> Part | None:
        try:
            part: Part = cluster.submit(measuring, unit, pure=False).result()
        except KilledWorker:
            return None
        return part

    def run(units: Iterator[Unit]) -> Parts:
        waiting: deque[tuple[Unit, Any]] = deque()
        ahead = AHEAD * max(1, sum(cluster.nthreads().values()))
        while True:
            for unit in itertools.islice(units, ahead - len(waiting)):
                waiting.append((unit, cluster.submit(measuring, unit, pure=False)))
            if not waiting:
                return
            unit, future = waiting.popleft()
            try:
                yield unit, future.result()
            except KilledWorker:  # several times, or Dask would have given it to another one
                yield unit, piecewise(unit, attempt)

    return drive(absolute(check_paths(paths)), settings, files, run, show_progress)


def chroma_stats(
    images: Any,
    *,
    value_range: tuple[float, float] | None = None,
    layout: Layout = "NCHW",
    quantize: Rule = "round",
    chroma_samples: int | None = None,
    moments_only: bool = False,
    client: Any = None,
) -> ChromaStats:
    """Statistics of a Dask array of images, chunk by chunk, added up on the workers.

    Parameters
    ----------
    images : dask.array.Array (N, 3, H, W), or (N, H, W, 3) with layout "NHWC"
        Chunked along N; if along other axes too, those chunks are joined first.
    value_range, layout, quantize, chroma_samples, moments_only
        As for `ChromaStats`.
    client : distributed.Client, optional
        The current one, or Dask's own scheduler where there is none.

    Returns
    -------
    ChromaStats
        For bytes the same to the bit as `ChromaStats.update` of the whole array, for floats too: each image is measured
        by itself, and the images are added exactly.

    Raises
    ------
    TypeError, ValueError
        If `images` is no Dask array of images, or `client` no client that is connected.

    Examples
    --------
    >>> import dask.array, numpy as np, ganchroma as gch
    >>> images = np.random.default_rng(0).integers(0, 256, (8, 3, 16, 16), np.uint8)
    >>> with dask.config.set(scheduler="synchronous"):
    ...     stats = gch.distributed.chroma_stats(dask.array.from_array(images, chunks=(3, 3, 16, 16)))
    >>> stats == gch.ChromaStats().update(images)
    True
    """
    if not isinstance(images, dask.array.Array):
        raise TypeError(f"images must be a dask.array.Array, got {type(images).__name__}")
    if images.ndim != 4:
        raise ValueError(f"images must have four axes, one of them for the images; got shape {images.shape}")
    cluster = None if client is None else _client(client)
    empty = ChromaStats(value_range, layout, quantize, chroma_samples, moments_only)
    blocks = images.rechunk(dict.fromkeys((1, 2, 3), -1)).to_delayed().ravel()
    parts = [dask.delayed(_measured, pure=True)(block, empty) for block in blocks] or [dask.delayed(empty)]
    while len(parts) > 1:
        parts = [dask.delayed(_added, pure=True)(parts[i : i + 8]) for i in range(0, len(parts), 8)]
    answer: ChromaStats = parts[0].compute() if cluster is None else cluster.compute(parts[0]).result()
    return answer


def _measured(block: Any, empty: ChromaStats) -> ChromaStats:
    return empty.empty_like().update(block)


def _added(parts: list[ChromaStats]) -> ChromaStats:
    total = parts[0].empty_like()
    for part in parts:
        total.merge(part)
    return total


def _client(client: Any) -> Client:
    if client is None:
        try:
            return get_client()
        except ValueError:
            raise ValueError("there is no Dask client; make one first: distributed.Client(), or pass client=") from None
    if not isinstance(client, Client):
        raise TypeError(f"client must be a distributed.Client, got {type(client).__name__}")
    if client.status != "running" or client.asynchronous:
        state = "asynchronous" if client.asynchronous else client.status
        raise ValueError(f"client is {state}; accepted: one that is connected, and not asynchronous")
    return client
