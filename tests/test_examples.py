"""The scripts in examples/ run, and find what they say."""

import os
import subprocess
import sys

import pytest
from pictures import make_pictures
from support import ROOT

pytest.importorskip("PIL.Image")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return make_pictures(tmp_path_factory.mktemp("pictures"))


def example(name, *arguments, folder, program=(sys.executable,)):
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    result = subprocess.run(
        [*program, str(ROOT / "examples" / name), *map(str, arguments)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_examples_are_all_tested():
    names = {path.name for path in (ROOT / "examples").glob("*.py")}
    assert names == {"scan_folder.py", "scan_dask.py", "statistics_ddp.py", "generator_samples.py"}


def test_example_of_a_folder(pictures, tmp_path):
    out = example("scan_folder.py", pictures.folder, folder=tmp_path)
    assert "6 gray pictures:" in out
    assert "scanned twice: 114 pictures, gray share 0.105" in out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["page.html", "rows.csv", "state.npz"]


def test_example_of_samples(tmp_path):
    first, second = example("generator_samples.py", "--samples", 70, folder=tmp_path).splitlines()
    assert first == second
    assert first.startswith("ColorMoments(count=286720")


def test_example_of_dask(pictures, tmp_path):
    pytest.importorskip("distributed")
    out = example("scan_dask.py", pictures.folder, folder=tmp_path)
    assert "57 pictures in" in out
    assert "512 images, 524,288 pixels" in out


def test_example_of_ddp(tmp_path):
    pytest.importorskip("torch.distributed.run")
    program = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "3")
    out = example("statistics_ddp.py", folder=tmp_path, program=program)
    assert "the same as one process finds: True" in out
    assert "ChromaMonitor(records=3, last_step=2, attached=False)" in out
