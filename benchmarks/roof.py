"""The machine's limits, measured in the process that measures everything else: FMA throughput and read bandwidth."""

import ctypes
import os
import shlex
import subprocess
import sysconfig
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter, thread_time

import numpy as np
from numpy.typing import NDArray

FLAGS = {"avx512": ["-mavx512f", "-mavx512dq", "-mavx512bw", "-mavx512vl", "-mfma"], "avx2": ["-mavx2", "-mfma"]}
CHAINS = 12  # as in roof.c
BLOCK = 8 * 16  # floats: a multiple of 8 registers at every width


class Roof:
    """The limits of one instruction set; the C code is compiled when this is made."""

    def __init__(self, isa: str) -> None:
        here = Path(__file__).resolve().parent
        compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")
        with tempfile.TemporaryDirectory() as folder:
            library = Path(folder, "roof.so")
            header = f'-DSIMD_HEADER="kernels/simd/{isa}.h"'
            options = ["-std=c11", "-O2", "-shared", "-fPIC", f"-I{here.parent / 'csrc'}", header, *FLAGS.get(isa, [])]
            subprocess.run([*compiler, *options, str(here / "roof.c"), "-o", str(library), "-lm"], check=True)
            self._library = ctypes.CDLL(str(library))
        self._library.roof_fma.argtypes = [ctypes.c_ssize_t]
        self._library.roof_fma.restype = ctypes.c_float
        self._library.roof_read.argtypes = [ctypes.c_void_p, ctypes.c_ssize_t]
        self._library.roof_read.restype = ctypes.c_float
        self._lanes = self._library.roof_lanes()
        self.best: dict[int, float] = {}  # operations a second of the fastest burst so far, by threads

    def flops(self, threads: int, seconds: float = 0.004) -> float:
        """Multiplications and additions a second, of a burst on `threads` threads at once."""
        operations = 2 * CHAINS * self._lanes
        rounds = int(seconds * 1e9 / CHAINS)  # about one FMA a nanosecond; the exact length does not matter
        rate: float = threads * rounds * operations / elapsed(lambda _: self._library.roof_fma(rounds), threads)
        self.best[threads] = max(rate, self.best.get(threads, 0.0))
        return rate

    def read(self, array: NDArray[np.float32], threads: int) -> float:
        """Bytes a second, reading `array` once, each thread its own part."""
        part = array.size // threads // BLOCK * BLOCK
        start = array.ctypes.data
        taken = elapsed(lambda i: self._library.roof_read(start + 4 * part * i, part), threads)
        return 4 * part * threads / taken


def elapsed(work: Callable[[int], object], threads: int) -> float:
    """Seconds that `threads` calls of `work` take side by side: processor time of one, wall time of several."""
    if threads == 1:
        start = thread_time()
        work(0)
        return thread_time() - start
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda _: None, range(threads)))  # starts the threads
        start = perf_counter()
        list(pool.map(work, range(threads)))
        return perf_counter() - start
