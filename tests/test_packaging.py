"""What users install: the source distribution is complete, and the wheel made from it works in a clean environment."""

import os
import runpy
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from email.parser import Parser
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import setuptools
from support import ROOT, need_tool, repository_files

import ganchroma as gch
from ganchroma import _core

pytestmark = pytest.mark.timeout(600)  # it compiles twice, on machines that do other things too


def run(command, cwd, **settings):
    # Settings of whoever runs the tests would reach into the clean environment.
    foreign = ("PYTHON", "PIP_", "GANCHROMA_")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(foreign)} | settings
    result = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, f"{command}:\n{result.stdout}\n{result.stderr}"
    return result.stdout


@pytest.fixture(scope="module")
def distributions(tmp_path_factory):
    """Paths of the source distribution and of the wheel built from it; the checkout stays as it is."""
    pytest.importorskip("build")
    need_tool("cc")
    checkout, made = tmp_path_factory.mktemp("checkout"), tmp_path_factory.mktemp("made")
    for path in repository_files():
        target = checkout / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target)
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(made), str(checkout)]
    run(command, made, GANCHROMA_CFLAGS="-O0 -g0")  # compiled in half the time; `make check-wheel` tests one as it is
    (source,), (wheel,) = made.glob("*.tar.gz"), made.glob("*.whl")
    return source, wheel


@pytest.fixture(scope="module")
def clean(distributions, tmp_path_factory):
    """Interpreter of an environment that has this wheel, the NumPy of the tests, and nothing else."""
    folder = tmp_path_factory.mktemp("clean")
    venv.create(folder / "env", with_pip=False, symlinks=True)
    python = folder / "env/bin/python"
    site = Path(run([str(python), "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])"], folder).strip())
    numpy = Path(np.__file__).parent
    for package in (numpy, numpy.with_name("numpy.libs")):
        if package.exists():
            (site / package.name).symlink_to(package)
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "-qq", "--no-deps", "--no-index"]
    run([*install, str(distributions[1])], folder)
    return python


@pytest.mark.skipif(not _core.has_openmp(), reason="built without OpenMP: the compiler may have none")
def test_openmp_is_used_where_the_compiler_has_it(monkeypatch):
    monkeypatch.setattr("setuptools.setup", lambda **options: None)
    monkeypatch.chdir(ROOT)
    setup = runpy.run_path("setup.py")
    command = setup["BuildCore"](setuptools.Distribution())
    found = {}
    for name, compiler in {"none": ["sh", "tests/without_openmp.sh"], "two words": ["env", need_tool("gcc")]}.items():
        command.compiler = SimpleNamespace(compiler_so=compiler)
        found[name] = command.openmp_flag()
    assert found == {"none": None, "two words": "-fopenmp"}


def test_the_source_distribution_is_complete(distributions):
    with tarfile.open(distributions[0]) as archive:
        names = {member.split("/", 1)[1] for member in archive.getnames() if "/" in member}
    files = {path.relative_to(ROOT).as_posix() for path in repository_files()}
    wanted = {name for name in files if not name.startswith((".gitignore", ".ci/", ".github/"))}
    assert {"csrc/core/ganchroma.h", "csrc/kernels/simd/neon.h", "tests/oracle.py", "LICENSE"} <= wanted
    assert sorted(wanted - names) == []


def test_the_wheel_holds_the_package_and_nothing_else(distributions):
    with zipfile.ZipFile(distributions[1]) as archive:
        names = set(archive.namelist())
        metadata = Parser().parsestr(archive.read(next(n for n in names if n.endswith("/METADATA"))).decode())
    package = {name for name in names if ".dist-info/" not in name}
    assert {"ganchroma/__init__.py", "ganchroma/py.typed", "ganchroma/_core.pyi"} <= package
    assert [name for name in package if not name.startswith("ganchroma/")] == ["ganchroma_program.py"]
    assert len([name for name in package if name.endswith(".so")]) == 1
    assert [name for name in package if name.endswith((".c", ".h"))] == []
    needed = [line for line in metadata.get_all("Requires-Dist") if "extra ==" not in line]
    assert needed == ["numpy>=2"]
    assert metadata["License-Expression"] == "BSD-3-Clause"


def test_the_wheel_works_in_a_clean_environment(clean, tmp_path):
    program = """
import pathlib, sys
import numpy as np
import ganchroma as gch
assert pathlib.Path(gch.__file__).is_relative_to(sys.prefix), gch.__file__
print(gch.__version__, gch.activate(np.array([-2.0, 0.5, 2.0], np.float32), "clamp").tolist())
gch.show_runtime()
"""
    lines = run([str(clean), "-W", "error", "-c", program], tmp_path).splitlines()
    assert lines[0] == f"{gch.__version__} [-1.0, 0.5, 1.0]"
    assert len(lines) > 5


def test_the_command_is_installed(clean, tmp_path):
    assert "isa" in run([str(clean.with_name("ganchroma")), "info"], tmp_path)


def test_a_named_file_is_not_skipped_whole(tmp_path):
    """As those of tests/installed.txt are, where a wheel is tested without what they need."""
    (tmp_path / "test_it.py").write_text('import pytest\npytest.importorskip("there_is_none")\n')
    shutil.copy(ROOT / "tests/conftest.py", tmp_path)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_it.py"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == pytest.ExitCode.INTERRUPTED
    assert "skipped whole: Skipped: could not import 'there_is_none'" in result.stdout
