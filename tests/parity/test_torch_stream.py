"""Runs stream_checks.py under each of PyTorch's capabilities: one is chosen when torch is loaded."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support import ROOT

import ganchroma
from ganchroma import _core

pytest.importorskip("torch")


def check(capability, marks):
    if "avx2" not in _core.available_isas():
        pytest.skip("PyTorch has its AVX2 kernels on x86-64 alone, and its baseline elsewhere is another")
    checks = Path(__file__).with_name("stream_checks.py")
    folder = str(Path(ganchroma.__file__).parents[1])
    environment = {**os.environ, "ATEN_CPU_CAPABILITY": capability, "PYTHONPATH": folder}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", marks, str(checks)]
    result = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-2000:]
    assert " passed" in result.stdout


@pytest.mark.parametrize("capability", ["default", "avx2"])
def test_stream(capability):
    check(capability, "not slow")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_what_takes_long():
    check("avx2", "slow")
