"""docs/parity.md: every function with a counterpart in PyTorch has its line, and `make parity` writes it."""

import re
import runpy

import pytest
from support import ROOT

from ganchroma import init

DOCUMENT = ROOT / "docs" / "parity.md"

FUNCTIONS = [
    *(f"init.{name}" for name in init.__all__),
    *(f"TorchGenerator.{name}" for name in ("uniform", "normal", "randperm")),
    *(f"TorchGenerator.{name}" for name in ("get_state", "set_state", "manual_seed", "initial_seed")),
    *("conv2d", "conv_transpose2d", "conv2d_backward", "conv_transpose2d_backward"),
    *("activate", "activate_backward", "OutputLayer.moments"),
    *("torch.conv2d", "torch.conv_transpose2d", "torch.output_layer", "torch.to_module"),
    *("spectral.SpectralNorm", "spectral.SpectralNorm.state_dict", "spectral.SpectralNorm.load_state_dict"),
    *("spectral.sigma", "demo.Generator", "demo.Generator.sample_latent", "demo.Generator.load_state_dict"),
]
# The order of no sum is at stake: anything but the same bits would be another algorithm.
SAME_BITS = [
    *(f"init.{name}" for name in init.__all__ if name != "orthogonal"),
    *(name for name in FUNCTIONS if name.startswith("TorchGenerator.") or name.endswith("state_dict")),
    *("demo.Generator.sample_latent", "torch.to_module"),
]


def rows(text):
    """(function, PyTorch's, data, result) of every line of the tables."""
    found = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in text.splitlines() if "|" in line]
    return [row for row in found if row[0].startswith("`")]


def test_every_function_has_its_line():
    named = {row[0].strip("`") for row in rows(DOCUMENT.read_text())}
    assert sorted(named) == sorted(FUNCTIONS)


def test_every_line_has_a_result():
    for function, peer, data, result in rows(DOCUMENT.read_text()):
        assert peer, function
        assert data, function
        assert re.fullmatch(r"the same bits|largest difference \d\.\de[+-]\d\d(; error \d+\.\d\dx)?", result), function
        if function.strip("`") in SAME_BITS:
            assert result == "the same bits", function
        elif result != "the same bits":
            # Single precision after sums of thousands: the float32 lines; nothing may be further apart than that.
            assert float(result.split()[2].rstrip(";")) < 1e-5, (function, data)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")  # PyTorch's, of weight_norm's kin
def test_the_document_is_what_the_script_writes(tmp_path):
    """Line by line the same comparisons; their last digits are this machine's and that one's."""
    torch = pytest.importorskip("torch")
    threads = torch.get_num_threads()
    runpy.run_path(str(ROOT / "docs" / "parity.py"))["main"](tmp_path / "parity.md")
    assert torch.get_num_threads() == threads
    written = rows((tmp_path / "parity.md").read_text())
    kept = rows(DOCUMENT.read_text())
    assert [row[:3] for row in written] == [row[:3] for row in kept]
