"""Build the C core. Everything that is not about the compiler stands in pyproject.toml.

Switches (environment):
    GANCHROMA_CFLAGS    flags added to every compilation and to the link, e.g. "-fsanitize=address -g"
    GANCHROMA_OPENMP=0  build without OpenMP: serial, everything else the same
    GANCHROMA_ABI3=1    keep to the limited API: one module, and one wheel, for Python 3.11 and all later ones
"""

import os
import shlex
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

# -ffp-contract=off: a multiply-add is fused where the source says so and nowhere else, so every
# instruction set gives the same bits. Never -ffast-math (it also switches subnormals off for the
# whole process) and never -march=native (dispatch happens at import).
COMPILE = ["-std=c11", "-O2", "-ffp-contract=off", "-fno-math-errno", "-fvisibility=hidden", "-Wall", "-Wextra"]
MACROS = [("NPY_NO_DEPRECATED_API", "NPY_2_0_API_VERSION"), ("NPY_TARGET_VERSION", "NPY_2_0_API_VERSION")]


def sources() -> list[str]:
    return sorted(path.as_posix() for path in Path("csrc").rglob("*.c"))


def headers() -> list[str]:
    return sorted(path.as_posix() for path in Path("csrc").rglob("*.h"))


def processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class BuildCore(build_ext):
    """Adds OpenMP where the compiler has it, and compiles as many sources at a time as there are processors."""

    def build_extensions(self) -> None:
        if os.environ.get("GANCHROMA_OPENMP", "1") != "0":
            flag = self.openmp_flag()
            if flag is None:
                print("ganchroma: the compiler has no OpenMP; building the serial version", file=sys.stderr)
            else:
                for extension in self.extensions:
                    extension.extra_compile_args.append(flag)
                    extension.extra_link_args.append(flag)
        compile_in_turn = self.compiler.compile

        def compile_together(sources: list[str], **options: Any) -> list[str]:
            with ThreadPoolExecutor(processors()) as pool:
                parts = pool.map(lambda source: compile_in_turn([source], **options), sources)
                return [name for part in parts for name in part]

        self.compiler.compile = compile_together
        super().build_extensions()

    def openmp_flag(self) -> str | None:
        program = "#include <omp.h>\nint main(void) { return omp_get_max_threads() < 1; }\n"
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder, "probe.c")
            source.write_text(program)
            command = [*self.compiler.compiler_so, "-fopenmp", str(source), "-o", str(Path(folder, "probe"))]
            try:
                found = subprocess.run(command, capture_output=True, check=False).returncode == 0
            except OSError:
                found = False
        return "-fopenmp" if found else None


extra = shlex.split(os.environ.get("GANCHROMA_CFLAGS", ""))
abi3 = os.environ.get("GANCHROMA_ABI3", "0") != "0"
core = Extension(
    "ganchroma._core",
    sources(),
    depends=headers(),
    include_dirs=["csrc", np.get_include()],
    define_macros=[*MACROS, ("Py_LIMITED_API", "0x030b0000")] if abi3 else MACROS,
    py_limited_api=abi3,
    extra_compile_args=[*COMPILE, *extra],
    extra_link_args=[*extra, "-lm"],
)
tag = {"bdist_wheel": {"py_limited_api": "cp311"}} if abi3 else {}
setup(ext_modules=[core], cmdclass={"build_ext": BuildCore}, options=tag)
