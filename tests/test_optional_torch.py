"""PyTorch is an extra: nothing needs it, and what does says what to install."""

import pytest
from support import run_python

BLOCK = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name="torch")
sys.meta_path.insert(0, Block())
"""


@pytest.mark.parametrize(
    "code", ["import ganchroma.torch", "import ganchroma as gch; gch.torch", "from ganchroma.torch import conv2d"]
)
def test_without_torch_the_message_says_what_to_install(code):
    result = run_python(BLOCK + code)
    assert result.returncode != 0
    assert (
        result.stderr.splitlines()[-1] == 'ImportError: ganchroma.torch needs PyTorch: pip install "ganchroma[torch]"'
    )


def test_without_torch_everything_else_works():
    result = run_python(
        BLOCK
        + "from ganchroma import *\n"
        + "import numpy as np, ganchroma as gch\n"
        + "G = gch.demo.Generator(rng=0)\n"
        + "print(G(G.sample_latent(1, rng=1)).shape, gch.spectral.SpectralNorm(np.eye(3), rng=0).sigma)"
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("(1, 3, 64, 64)")


def test_a_broken_torch_is_not_called_missing():
    """Something that PyTorch itself lacks is reported under its own name."""
    broken = BLOCK.replace('name="torch"', 'name="sympy"').replace("'torch'", "'sympy'")
    result = run_python(broken + "import ganchroma.torch")
    assert result.stderr.splitlines()[-1] == "ModuleNotFoundError: No module named 'sympy'"


def test_torch_is_loaded_on_first_use():
    pytest.importorskip("torch")
    code = """
import sys, ganchroma as gch
before = "torch" in sys.modules
function = gch.torch.conv2d
print(before, "torch" in sys.modules, gch.torch is sys.modules["ganchroma.torch"])
"""
    result = run_python(code)
    assert result.stdout.split() == ["False", "True", "True"], result.stderr
