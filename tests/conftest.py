"""Fixtures for every test."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest

import ganchroma
from ganchroma import _core

# Set by the sanitizer targets: testing another build than the one just made would find nothing, quietly. The processes
# that tests start must find it too, wherever they are, and not what lies in their current directory.
if wanted := os.environ.get("GANCHROMA_BUILD"):
    build = Path(wanted).resolve()
    assert Path(ganchroma.__file__).is_relative_to(build), ganchroma.__file__
    os.environ.update(PYTHONPATH=str(build), PYTHONSAFEPATH="1")

# A shell starts what runs in its background with Ctrl-C ignored, and every process that a test starts inherits that.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_report_header():
    return f"ganchroma: {Path(ganchroma.__file__).parent}, {_core.isa()} of {', '.join(_core.available_isas())}"


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    """A file that is named, as tests/installed.txt names them, is wanted: without what it needs it fails."""
    report = yield
    named = {Path(argument).resolve() for argument in collector.config.args}
    if report.skipped and collector.path.resolve() in named:
        report.outcome, report.longrepr = "failed", f"skipped whole: {report.longrepr[2]}"
    return report


def pytest_collection_modifyitems(items):
    """The results of a run hold no markers: `docs/reliability.py` counts these."""
    for item in items:
        item.user_properties += [("scenario", mark.args[0]) for mark in item.iter_markers("scenario")]


@pytest.fixture(params=_core.available_isas())
def isa(request):
    """Runs the test once for each instruction set of this machine; its value is the name."""
    before = _core.isa()
    _core.select_isa(request.param)
    yield request.param
    _core.select_isa(before)


@pytest.fixture
def rng():
    """The same random numbers in every run."""
    return np.random.default_rng(20180807)
