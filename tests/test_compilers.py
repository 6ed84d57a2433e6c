"""Every compiler and processor that the sources are for, whether or not this machine runs the result."""

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
from support import CSRC, ROOT, compile_all, compile_flags, need_tool

SOURCES = sorted(CSRC.rglob("*.c"))
BINDING = [path for path in SOURCES if "python" in path.parts]
LIBRARY = [path for path in SOURCES if "python" not in path.parts]
CHECKS = sorted((ROOT / "tests/c").glob("test_*.c"))

# -O1: enough for the warnings that need data flow, half the time of -O2; minutes all the same.
WHOLE = pytest.param(["-O1", "-Werror"], id="whole", marks=[pytest.mark.slow, pytest.mark.timeout(600)])
DEPTHS = [pytest.param(["-fsyntax-only", "-Werror"], id="syntax"), WHOLE]


@pytest.mark.parametrize("flags", DEPTHS)
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_no_warning(compiler, flags, tmp_path):
    assert compile_all(need_tool(compiler), SOURCES, tmp_path, *flags)


def test_no_warning_in_the_checks(tmp_path):
    compiler = need_tool("cc")
    command = [compiler, *compile_flags(), "-D_GNU_SOURCE", f"-I{ROOT / 'tests/c'}", "-O1", "-Werror", "-fsyntax-only"]
    result = subprocess.run([*command, *CHECKS], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_the_binding_keeps_to_the_limited_api(tmp_path):
    # As wheels are built: one serves every later version of Python.
    assert compile_all(need_tool("cc"), BINDING, tmp_path, "-O0", "-Werror", "-DPy_LIMITED_API=0x030b0000")


@pytest.mark.parametrize("flags", DEPTHS)
def test_aarch64_compiles(flags, tmp_path):
    # System headers of the other architecture: those of Python and NumPy are not needed below the binding.
    assert compile_all(need_tool("aarch64-linux-gnu-gcc"), LIBRARY, tmp_path, *flags)


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize(("sanitizer", "macro"), [("address", "GCH_ASAN"), ("thread", "GCH_TSAN")])
def test_the_code_knows_what_checks_it(compiler, sanitizer, macro):
    command = [need_tool(compiler), *compile_flags(), "-fsanitize=" + sanitizer, "-E", "-dM", "-include", "common.h"]
    result = subprocess.run([*command, "-x", "c", os.devnull], capture_output=True, text=True, check=True)
    assert {line.split()[1] for line in result.stdout.splitlines()} & {"GCH_ASAN", "GCH_TSAN"} == {macro}


def test_every_header_stands_alone():
    compiler = need_tool("cc")
    headers = [path.relative_to(CSRC) for path in sorted(CSRC.rglob("*.h")) if not path.name.endswith(".inc.h")]
    native = [header for header in headers if header.name != ("neon.h" if os.uname().machine == "x86_64" else "avx2.h")]
    if os.uname().machine != "x86_64":
        native = [header for header in native if header.name != "avx512.h"]

    common = compile_flags()

    def check(header):
        # Twice: a guard that is missing or that two headers share shows here.
        program = f'#include "{header.as_posix()}"\n#include "{header.as_posix()}"\n'
        vectors = ["-mavx512f", "-mavx512dq", "-mavx512bw", "-mavx512vl", "-mfma"] if header.stem[:3] == "avx" else []
        command = [compiler, *common, *vectors, "-Werror", "-fsyntax-only", "-x", "c", "-"]
        return header, subprocess.run(command, input=program, capture_output=True, text=True, check=False)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for header, result in pool.map(check, native):
            assert result.returncode == 0, f"{header}:\n{result.stderr}"
