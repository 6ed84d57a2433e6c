"""Threads and processes of other people: forks at any moment, the workers of a DataLoader, limits set elsewhere."""

import importlib.util
import multiprocessing
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from support import need_tool, run_python

import ganchroma
from ganchroma import _core

METHODS = [method for method in ("fork", "forkserver", "spawn") if method in multiprocessing.get_all_start_methods()]
has_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system can't fork")
has_torch = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed")
WHEEL_HAS_ONE = Path(ganchroma.__file__).parent.with_name("ganchroma.libs").is_dir()
QUIET = "import warnings; warnings.simplefilter('ignore')\n"  # from Python 3.12 on a fork beside threads warns

FORKS = """
import os, signal, threading, time
import numpy as np
import ganchroma as gch
x = np.linspace(-6, 6, 400_000, dtype=np.float32)
weight = np.ones((3, 8, 3, 3), np.float32)
images = np.arange(8 * 64 * 64, dtype=np.float32).reshape(1, 8, 64, 64) % 7
def work():
    return gch.activate(x, "tanh", threads=2), gch.conv2d(images, weight, padding=1, threads=2)
expected, over, rounds = work(), threading.Event(), [0, 0]
def caller(number):
    while not over.is_set():
        work()
        rounds[number] += 1
callers = [threading.Thread(target=caller, args=(number,)) for number in range(2)]
for thread in callers:
    thread.start()
failed = 0
for _ in range(20):
    child = os.fork()  # while teams of threads run, and locks may be held
    if child == 0:
        signal.alarm(30)
        os._exit(not all(np.array_equal(a, b) for a, b in zip(work(), expected)))
    failed += os.waitpid(child, 0)[1] != 0
over.set()
for thread in callers:
    thread.join()
same = all(np.array_equal(a, b) for a, b in zip(work(), expected))
print(failed, same, min(rounds) > 0)
"""


@has_fork
@pytest.mark.scenario("processes")
def test_forks_while_regions_run():
    result = run_python(QUIET + FORKS, environment={"OMP_NUM_THREADS": "2"})
    assert result.stdout == "0 True True\n", result.stderr


# The parent is in the midst of a draw: nobody in the child will end it.
DRAWING = """
import os, signal, threading
import numpy as np
import ganchroma as gch
generator, out, status = gch.TorchGenerator(0), np.zeros(20_000_000), []
drawing = threading.Thread(target=lambda: generator.normal(out, 0.0, 1.0, threads=1))
drawing.start()
while not out[0]:
    pass
child = os.fork()
if child == 0:
    signal.alarm(30)
    os._exit(sorted(generator.randperm(4)) != [0, 1, 2, 3])
print(os.waitpid(child, 0)[1], drawing.is_alive())
"""


@has_fork
@pytest.mark.scenario("processes")
def test_a_fork_in_the_midst_of_a_draw():
    result = run_python(QUIET + DRAWING)
    assert result.stdout == "0 True\n", result.stderr


# Threads take address space, of which no more is left here.
NO_THREAD = """
import resource
import numpy as np
import ganchroma as gch
x, weight = np.ones((1, 8, 64, 64), np.float32), np.ones((3, 8, 3, 3), np.float32)
expected = gch.conv2d(x, weight, threads=1)
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (4 << 20), resource.getrlimit(resource.RLIMIT_AS)[1]))
print(np.array_equal(gch.conv2d(x, weight, threads=2), expected))
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="this system does not tell what is in use")
@pytest.mark.scenario("threads")
def test_a_thread_that_can_not_start_is_done_without():
    """OpenMP would end the process."""
    result = run_python(NO_THREAD)
    assert result.stdout == "True\n", result.stderr


# A worker computes as the parent does; before that the parent has run a team of its own.
LOADER = """
import sys
import numpy as np
{imports}
class Pictures(torch.utils.data.Dataset):
    def __len__(self):
        return 6
    def __getitem__(self, index):
        x = np.full((1, 4, 64, 64), index, np.float32)
        weight = np.ones((3, 4, 3, 3), np.float32)
        return torch.from_numpy(gch.conv2d(x, weight, padding=1, activation="tanh", threads=4))
if __name__ == "__main__":
    torch.nn.functional.conv2d(torch.ones(1, 4, 64, 64), torch.ones(3, 4, 3, 3))
    torch.ones(2_000_000).tanh()
    expected = torch.stack([Pictures()[index] for index in range(6)])
    gch.activate(np.zeros(2_000_000, np.float32), "tanh", threads=2)
    loader = torch.utils.data.DataLoader(
        Pictures(), batch_size=2, num_workers=2, multiprocessing_context=sys.argv[1], timeout=100
    )
    print(torch.equal(torch.cat(list(loader)), expected), torch.equal(torch.cat(list(loader)), expected))
"""


def run_loader(folder, method, imports, environment=None):
    script = folder / "loader.py"
    script.write_text(LOADER.format(imports="\n".join(imports)))
    # Workers import the script as the main module, so it must be one.
    call = f"[sys.executable, {str(script)!r}, {method!r}]"
    code = f"import subprocess, sys; sys.exit(subprocess.run({call}).returncode)"
    result = run_python(code, environment={"OMP_NUM_THREADS": "2", **(environment or {})}, timeout=300)
    assert result.stdout == "True True\n", result.stderr


@has_torch
@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("first", ["torch", "ganchroma as gch"])
@pytest.mark.scenario("processes")
def test_workers_of_a_data_loader(method, first, tmp_path):
    imports = ["import torch, torch.utils.data", "import ganchroma as gch"]
    if first != "torch":
        imports.reverse()
    run_loader(tmp_path, method, imports)


@has_torch
@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(not _core.has_openmp(), reason="built without OpenMP")
@pytest.mark.skipif(WHEEL_HAS_ONE, reason="the wheel brings an OpenMP of its own: all tests here run with it")
@pytest.mark.scenario("processes")
def test_workers_beside_an_openmp_of_our_own(tmp_path):
    # As a repaired wheel has it: a copy of the runtime under another name, loaded before torch's.
    patchelf = need_tool("patchelf")
    package = Path(shutil.copytree(Path(ganchroma.__file__).parent, tmp_path / "ganchroma"))
    core = next(package.glob("_core*.so"))
    linked = subprocess.run(["ldd", core], capture_output=True, text=True, check=True).stdout
    runtime = next(line.split()[2] for line in linked.splitlines() if "libgomp" in line)
    copy = shutil.copy(runtime, package / "libgomp-ours.so.1")
    subprocess.run([patchelf, "--set-soname", "libgomp-ours.so.1", copy], check=True)
    subprocess.run([patchelf, "--replace-needed", "libgomp.so.1", "libgomp-ours.so.1", core], check=True)
    subprocess.run([patchelf, "--set-rpath", "$ORIGIN", core], check=True)
    imports = ["import ganchroma as gch", f"assert gch.__file__.startswith({str(tmp_path)!r})"]
    imports += ["import torch, torch.utils.data"]
    run_loader(tmp_path, "fork", imports, {"PYTHONPATH": str(tmp_path)})


@pytest.mark.skipif(not _core.has_openmp(), reason="built without OpenMP")
@pytest.mark.scenario("threads")
def test_the_limit_of_threadpoolctl_is_ours_too():
    pytest.importorskip("threadpoolctl")
    code = """
import threadpoolctl
from ganchroma import _core
before = _core.default_threads()
with threadpoolctl.threadpool_limits(3):
    inside = _core.default_threads()
print(inside, _core.default_threads() == before)
"""
    assert run_python(code, environment={"OMP_NUM_THREADS": "2"}).stdout == "3 True\n"


@has_torch
@pytest.mark.slow
def test_the_settings_of_torch_stay_as_they_were():
    code = """
import numpy as np, torch
import ganchroma as gch
torch.set_num_threads(3)
state = lambda: (torch.get_num_threads(), torch.get_num_interop_threads(), torch.get_flush_denormal() if hasattr(
    torch, "get_flush_denormal") else torch.tensor(1e-40).mul(0.5).item() != 0, torch.random.initial_seed())
before = state()
gch.activate(np.zeros(2_000_000, np.float32), "tanh", threads=2)
gch.conv2d(np.ones((4, 8, 64, 64), np.float32), np.ones((3, 8, 3, 3), np.float32), threads=2)
gch.init.normal((3, 8, 3, 3), rng=gch.TorchGenerator(1))
print(state() == before)
"""
    assert run_python(code).stdout == "True\n"


def test_subnormal_numbers_survive_the_import():
    code = "import sys, ganchroma; print(sys.float_info.min * 0.5 > 0)"
    assert run_python(code).stdout == "True\n"
