"""Every notebook runs from top to bottom, and is kept without its outputs."""

import base64
import io
import os
import re
import sys
from pathlib import Path

import numpy as np
import pytest

import ganchroma

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")
image = pytest.importorskip("matplotlib.image")

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
WHOLE = os.environ.get("GANCHROMA_NOTEBOOKS") == "whole"  # as they stand; otherwise with few steps of training
SMOKE = "STEPS, SEEDS = 6, 2"
EXECUTED = ROOT / "build" / "notebooks"  # where the whole ones are left to read


def colors(png):
    """How many colours a picture has: one if it is blank."""
    pixels = image.imread(io.BytesIO(base64.b64decode(png)), "png")
    return len(np.unique(pixels.reshape(-1, pixels.shape[-1]), axis=0))


@pytest.mark.parametrize("dots", [0, 1])
def test_a_blank_picture_is_told(dots):
    pixels, file = np.ones((4, 4, 3)), io.BytesIO()
    pixels[:dots] = 0
    image.imsave(file, pixels, format="png")
    assert colors(base64.b64encode(file.getvalue())) == 1 + dots


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_outputs_are_stripped(path):
    cells = nbformat.read(path, as_version=4).cells
    assert cells
    assert all(not cell.outputs and cell.execution_count is None for cell in cells if cell.cell_type == "code")


@pytest.mark.parametrize(
    ("name", "most"), [("quickstart", 9), ("crosscheck", 12), ("your_generator", 9), ("03_training", 9)]
)
def test_they_are_short(name, most):
    assert len(nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4).cells) <= most


@pytest.mark.timeout(3600 if WHOLE else 600)  # they train, over processes, on machines that do other things too
@pytest.mark.filterwarnings("ignore")  # of zmq and jupyter, not ours: the notebook's own process has none of these
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebook_runs_and_shows_each_answer_once(path, tmp_path, monkeypatch):
    here = str(Path(ganchroma.__file__).parents[1])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([here, os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("JUPYTER_PATH", str(Path(sys.prefix, "share", "jupyter")))
    notebook = nbformat.read(path, as_version=4)
    if any("torch" in cell.source for cell in notebook.cells):
        pytest.importorskip("torch")
    for cell in notebook.cells:
        if "parameters" in cell.metadata.get("tags", ()):
            assert re.fullmatch(r"STEPS, SEEDS = \d+, \d+", cell.source)
            cell.source = cell.source if WHOLE else SMOKE
    try:
        nbclient.NotebookClient(
            notebook, timeout=3000 if WHOLE else 500, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
        ).execute()
    finally:
        if WHOLE:  # one that stopped, too: it shows where
            EXECUTED.mkdir(parents=True, exist_ok=True)
            nbformat.write(notebook, EXECUTED / path.name)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ()) if "data" in output]
    assert all(colors(output.data["image/png"]) > 1 for output in outputs if "image/png" in output.data)
    for cell in notebook.cells:
        source = cell.source.strip()
        if cell.cell_type != "code":
            continue
        shown = [
            set(output.data) for output in cell.outputs if output.output_type in ("execute_result", "display_data")
        ]
        if source.endswith(".plot()"):
            assert len(shown) == 1
            assert "image/png" in shown[0]
        elif source.splitlines()[-1].startswith(("gch.diagnose(", "gch.torch.inspect(")):
            assert len(shown) == 1
            assert "text/html" in shown[0]
    if path.stem == "crosscheck":
        printed = "".join(
            output.text for cell in notebook.cells for output in cell.get("outputs", ()) if "text" in output
        )
        assert re.findall(r"^(?:bias|weight) .*", printed, re.MULTILINE)[:3] == [
            "bias                   equal to the bit",
            "weight                 equal to the bit",
            "weight                 equal to the bit",
        ]
        apart = re.findall(r"^(.*?) +largest difference (\S+)", printed, re.MULTILINE)
        images = [float(number) for name, number in apart if ", of" not in name]
        gradients = [float(number) for name, number in apart if ", of" in name]
        assert len(images) >= 6
        assert max(images) < 1e-5  # images of size one, sums of 1152 products in two orders
        assert len(gradients) == 3
        assert max(gradients) < 5e-5  # sums of 65,536 products, in an order that is PyTorch's and its threads'
