"""The machine's limits, measured in the process that measures everything else."""

import ctypes
import os
import shlex
import subprocess
import sysconfig
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from time import perf_counter, thread_time
from typing import Any

import numpy as np

FLAGS = {"avx512": ["-mavx512f", "-mavx512dq", "-mavx512bw", "-mavx512vl", "-mfma"], "avx2": ["-mavx2", "-mfma"]}
CHAINS = 12  # as in roofs.c
WORD = 4


def c_compiler() -> list[str]:
    """The one that extensions are built with."""
    return shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")


class Roofs:
    """The limits of one instruction set; the C code is compiled when this is made."""

    def __init__(self, isa: str) -> None:
        here = Path(__file__).resolve().parent
        with tempfile.TemporaryDirectory() as folder:
            library = Path(folder, "roofs.so")
            header = f'-DSIMD_HEADER="kernels/simd/{isa}.h"'
            options = ["-std=c11", "-O2", "-shared", "-fPIC", f"-I{here.parent / 'csrc'}", header, *FLAGS.get(isa, [])]
            subprocess.run([*c_compiler(), *options, str(here / "roofs.c"), "-o", str(library), "-lm"], check=True)
            self._library = ctypes.CDLL(str(library))
        for name, arguments in {
            "roof_fma": [ctypes.c_ssize_t],
            "roof_read": [ctypes.c_void_p, ctypes.c_ssize_t],
            "roof_write": [ctypes.c_void_p, ctypes.c_ssize_t],
        }.items():
            getattr(self._library, name).argtypes = arguments
        self._library.roof_fma.restype = ctypes.c_float
        self._library.roof_write.restype = None
        self.isa = isa
        self.lanes: int = self._library.roof_lanes()
        self.best: dict[int, float] = {}  # operations a second of the fastest burst so far, by threads

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(os.cpu_count())

    def burst(self, threads: int, seconds: float) -> float:
        """Multiplications and additions a second, of some `seconds` of nothing else on `threads` threads at once."""
        rounds = int(seconds * 1e9 / CHAINS)  # about one FMA a nanosecond; the exact length does not matter
        operations = 2 * CHAINS * self.lanes * rounds
        rate = sum(operations / taken for taken in self._each(lambda _: self._library.roof_fma(rounds), threads))
        self.best[threads] = max(rate, self.best.get(threads, 0.0))
        return rate

    def read(self, array: np.ndarray, threads: int) -> float:
        """Seconds to read an array once, each thread its own part."""
        return self._pass(self._library.roof_read, array, threads)

    def write(self, array: np.ndarray, threads: int) -> float:
        """Seconds to overwrite an array."""
        return self._pass(self._library.roof_write, array, threads)

    def _pass(self, work: Callable[..., Any], array: np.ndarray, threads: int) -> float:
        part = array.nbytes // WORD // threads
        start = array.ctypes.data
        return max(self._each(lambda i: work(start + WORD * part * i, part), threads))

    def _each(self, work: Callable[[int], Any], threads: int) -> list[float]:
        """Seconds that each of `threads` calls takes, made at once: processor time of one, wall time of several."""
        clock = thread_time if threads == 1 else perf_counter

        def timed(index: int) -> float:
            start = clock()
            work(index)
            return clock() - start

        return [timed(0)] if threads == 1 else list(self._pool.map(timed, range(threads)))
