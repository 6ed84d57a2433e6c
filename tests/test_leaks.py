"""A thousand calls of everything, right and wrong: Python's blocks, the memory and the open files stay as many."""

import pytest
from calls import NOT_CALLED, core_calls, public_calls
from file_calls import file_calls
from leaks import COUNT, leaks, not_called
from support import run_python

import ganchroma as gch


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_core_leaks_nothing():
    assert len(list(core_calls())) > 30
    assert leaks("calls", "core_calls") == ""


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("which", sorted(public_calls()))
def test_public_functions_leak_nothing(which):
    assert leaks("calls", "public_calls", which) == ""


@pytest.mark.slow
@pytest.mark.timeout(3600)  # a figure takes a fifth of a second
def test_files_and_pages_leak_nothing(tmp_path):
    pytest.importorskip("PIL")
    assert leaks("file_calls", "file_calls", cwd=tmp_path) == ""


def test_every_public_name_has_a_call(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    assert not_called(gch, public_calls() | file_calls()) == NOT_CALLED


@pytest.mark.parametrize("leak", ["kept.append([])", "os.dup(0)"])
def test_a_leak_is_found(leak):
    # The measure itself, on a function that keeps one object a call, and on one that keeps a file open.
    code = COUNT.replace("for label, call in calls():", f"kept = []\nfor label, call in [('kept', lambda: {leak})]:")
    result = run_python(f"TIMES, ROUNDS = 100, 3\n{code}", paths=["tests"])
    assert result.stdout.startswith("kept: "), result.stderr
