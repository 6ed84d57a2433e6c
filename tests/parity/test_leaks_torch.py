"""Calls of everything that needs PyTorch or Dask, right and wrong: memory stays flat, as in test_leaks.py."""

import pytest
from leaks import leaks, not_called

import ganchroma as gch

for name in ("torch", "torchmetrics", "dask.array", "distributed"):
    pytest.importorskip(name)

from parity.torch_calls import NOT_CALLED, torch_calls  # noqa: E402


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_torch_functions_leak_nothing():
    assert leaks("parity.torch_calls", "torch_calls") == ""


def test_every_public_name_has_a_call():
    missing = not_called(gch.torch, torch_calls()) | not_called(gch.distributed, torch_calls())
    training = set(not_called(gch.torch.experiments, {}))  # minutes
    assert missing - training == NOT_CALLED
