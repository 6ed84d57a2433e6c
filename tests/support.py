"""What several test files share: awkward arrays, subprocesses, compilers."""

import ast
import os
import shutil
import subprocess
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent
CSRC = ROOT / "csrc"

# Around the widths of every vector unit (1, 4, 8, 16 elements), their multiples, and the 16 lanes of reductions.
AWKWARD_SIZES = (0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100)


def unaligned(array, offset=1):
    """A copy of `array` whose memory starts `offset` bytes past a multiple of 64."""
    array = np.ascontiguousarray(array)
    room = np.empty(array.nbytes + 128, np.uint8)
    start = -room.ctypes.data % 64 + offset
    copy = room[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


def layouts(array):
    """(label, equal array) in every memory layout that users bring."""
    array = np.ascontiguousarray(array)
    yield "contiguous", array
    yield "unaligned", unaligned(array)
    yield "swapped bytes", array.astype(array.dtype.newbyteorder())
    if array.ndim == 0:
        return
    yield "fortran", np.asfortranarray(array)
    spread = np.zeros((*array.shape[:-1], 2 * array.shape[-1]), array.dtype)
    spread[..., ::2] = array
    yield "every second element", spread[..., ::2]
    yield "backwards", np.ascontiguousarray(array[..., ::-1])[..., ::-1]
    if array.ndim > 1:
        yield "channels last", np.moveaxis(np.ascontiguousarray(np.moveaxis(array, 1, -1)), -1, 1)


def same_bits(a, b):
    """Equal in shape, dtype and every bit: tells -0.0 from 0.0 and one NaN from another."""
    a, b = np.ascontiguousarray(a), np.ascontiguousarray(b)
    return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()


def smooth_picture(side=24, seed=0):
    """Smooth colour, (side, side, 3) bytes: random noise is no picture that a range or layout can be judged by."""
    from PIL import Image

    coarse = Image.fromarray((np.random.default_rng(seed).random((4, 4, 3)) * 255).astype(np.uint8))
    return np.ascontiguousarray(coarse.resize((side, side), Image.Resampling.BICUBIC))


def run_python(code, *, environment=None, cwd=None, timeout=None, paths=()):
    """`code` in a fresh interpreter that finds the same ganchroma, and what lies in `paths` of this checkout; a
    CompletedProcess with text. The time limit is the test's own, longer under sanitizers."""
    import ganchroma

    settings = {key: value for key, value in os.environ.items() if not key.startswith(("GANCHROMA_", "OMP_"))}
    folders = [Path(ganchroma.__file__).parent.parent, *(ROOT / path for path in paths)]
    settings["PYTHONPATH"] = os.pathsep.join(map(str, folders))
    settings.update(environment or {})
    command = [sys.executable, "-W", "error", "-c", code]
    return subprocess.run(command, env=settings, cwd=cwd, capture_output=True, text=True, timeout=timeout, check=False)


def repository_files():
    """What is under version control; outside a checkout, what a source distribution holds."""
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listing.returncode == 0 and listing.stdout:
        return [ROOT / part for part in listing.stdout.decode().split("\0") if part and (ROOT / part).is_file()]
    folders = ["csrc", "ganchroma", "tests", "benchmarks", "docs", "examples", "notebooks"]
    found = [path for folder in folders for path in (ROOT / folder).rglob("*")]
    return [path for path in found if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".so"]


def need_tool(name):
    """The path of a program, or the test is skipped and says why."""
    path = shutil.which(name) or shutil.which(name, path=Path(sys.executable).parent)
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path


def setup_constant(name):
    """The value of a constant in setup.py, which can't be imported without building."""
    for node in ast.parse((ROOT / "setup.py").read_text()).body:
        if isinstance(node, ast.Assign) and node.targets[0].id == name:
            return ast.literal_eval(node.value)
    raise AssertionError(f"setup.py has no constant {name}")


def compile_flags():
    """As the extension itself is compiled, optimization apart."""
    flags = [flag for flag in setup_constant("COMPILE") if not flag.startswith("-O")]
    macros = [f"-D{name}={value}" for name, value in setup_constant("MACROS")]
    return [*flags, *macros, f"-I{CSRC}", f"-I{np.get_include()}", f"-I{sysconfig.get_paths()['include']}"]


def compile_all(compiler, sources, folder, *flags):
    """Objects in `folder` of sources of csrc/; the first complaint of the compiler fails the test."""
    common = compile_flags()  # once, here: ast.parse of Python 3.11 fails where two threads parse at a time

    def compile_one(source):
        target = folder / source.relative_to(CSRC).with_suffix(".o")
        target.parent.mkdir(parents=True, exist_ok=True)
        command = [compiler, *common, *flags, "-c", str(source), "-o", str(target)]
        return target, subprocess.run(command, capture_output=True, text=True, check=False)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        done = list(pool.map(compile_one, sources))
    for target, result in done:
        assert result.returncode == 0, f"{compiler} {target.stem}.c:\n{result.stderr}"
    return [target for target, _ in done]
