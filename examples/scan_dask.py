"""Scan on a Dask cluster, here one of three processes on this machine; on another, pass its scheduler's address.

python examples/scan_dask.py PHOTOS
python examples/scan_dask.py --scheduler tcp://10.0.0.1:8786 SHARED/PHOTOS
"""

import argparse

import dask.array
import numpy as np
from distributed import Client, LocalCluster

import ganchroma as gch


def main() -> None:
    """Scan files, then images that are a Dask array."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("paths", nargs="+", help="folders, archives, arrays: paths that every worker sees")
    parser.add_argument("--scheduler", help="address of a cluster that is there already")
    options = parser.parse_args()
    cluster = options.scheduler or LocalCluster(n_workers=3, threads_per_worker=1, dashboard_address=None)
    with Client(cluster) as client:
        found = gch.distributed.scan(options.paths, client, out="state.npz")
        print(found)

        images = dask.array.random.default_rng(0).integers(0, 256, (512, 3, 32, 32), np.uint8, chunks=(64, 3, 32, 32))
        print(gch.distributed.chroma_stats(images, client=client).summary())
    if options.scheduler is None:
        cluster.close()


if __name__ == "__main__":
    main()
