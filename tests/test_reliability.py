"""docs/reliability.py reads what its commands print; `make reliability` runs them."""

import re
import runpy
import xml.etree.ElementTree as ET
from types import SimpleNamespace

import pytest
from support import ROOT

# As they were printed; lines between them are left out.
C_CHECKS = """\
activation      63506 checks, 0 failed
conv: 150 cases, every table equals the definition to the bit
operations: 1867 failed allocations swept
operations       8961 checks, 0 failed
torch stream   138726 checks, 0 failed
"""
FUZZ = """\
fuzz_conv
INFO: Running with entropic power schedule (0xFF, 100).
stat::number_of_executed_units: 180363
stat::average_exec_per_sec:     30060
fuzz_shapes
stat::number_of_executed_units: 1206
stat::average_exec_per_sec:     201
tests/test_hostile_arrays.py::test_other_memory_the_same_answer:

  - during generate phase (1.05 seconds):
    - Typical runtimes: ~ 1-40 ms, of which < 1ms in data generation
    - 100 passing, 0 failing, and 36 invalid test cases

tests/test_hostile_arrays.py::test_hostile_arrays:

    - 1100 passing examples, 0 failing examples, 0 invalid examples
"""
RESULTS = """\
<testsuites><testsuite name="pytest" errors="0" failures="0" skipped="1" tests="4">
<testcase classname="tests.test_memory" name="test_the_core_without_memory[conv]">
<properties><property name="in the core, called by the binding" value="20" /></properties></testcase>
<testcase classname="tests.test_memory" name="test_the_core_without_memory[activate]">
<properties><property name="in the core, called by the binding" value="1001" /></properties></testcase>
<testcase classname="tests.test_processes" name="test_forks_while_regions_run">
<properties><property name="scenario" value="processes" /></properties></testcase>
<testcase classname="tests.test_frequency" name="test_same_bits"><skipped message="one set" /></testcase>
</testsuite></testsuites>
"""
MARKED = r'(?m)^@pytest\.mark\.scenario\("(\w+)"\)$'


@pytest.fixture(scope="module")
def script():
    """The names in it."""
    return SimpleNamespace(**runpy.run_path(str(ROOT / "docs" / "reliability.py")))


def rows(script, name, output, results=RESULTS):
    return list(script.SECTIONS[name].rows(script.Run(output, ET.fromstring(results))))


@pytest.mark.parametrize(
    ("name", "output", "expected"),
    [
        ("tsan", C_CHECKS, [("checks in plain C", "211,193"), ("findings", "0")]),
        (
            "asan",
            C_CHECKS,
            [("checks in plain C", "211,193"), ("Python tests passed", "3"), ("findings", "0")],
        ),
        ("valgrind", C_CHECKS + "valgrind: 0 findings in ganchroma\n", [..., ("findings", "0")]),
        (
            "memory",
            C_CHECKS,
            [("in the core, called from C", "1,867"), ("in the core, called by the binding", "1,021")],
        ),
        (
            "fuzz",
            FUZZ,
            [
                ("executions of `fuzz_conv`", "180,363"),
                ("executions of `fuzz_shapes`", "1,206"),
                ("hostile arrays and tensors of Hypothesis, in 2 tests", "1,200"),
            ],
        ),
        ("scenarios", "", [("forks, worker processes, processes killed", "1"), ..., ...]),
    ],
)
def test_figures(script, name, output, expected):
    found = rows(script, name, output)
    assert len(found) == len(expected)
    assert all(wanted in (..., row) for row, wanted in zip(found, expected, strict=True))


@pytest.mark.parametrize("name", ["asan", "ubsan", "tsan", "valgrind", "emulated", "memory", "bad-inputs", "fuzz"])
def test_a_figure_of_nothing_is_an_error(script, name):
    with pytest.raises(ValueError, match="no line like"):
        rows(script, name, "activation      63506 checks, 2 failed\n")
    with pytest.raises(ValueError, match="no line like"):
        rows(script, name, "")


def test_races_are_not_looked_for_without_openmp(script):
    assert script.WITHOUT_OPENMP in (ROOT / "Makefile").read_text()
    with pytest.raises(ValueError, match="Clang finds no OpenMP"):
        rows(script, "tsan", f"{script.WITHOUT_OPENMP}; Debian: apt-get install libomp-dev\n{C_CHECKS}")


def test_every_scenario_is_of_a_kind(script):
    used = {kind for path in (ROOT / "tests").glob("test_*.py") for kind in re.findall(MARKED, path.read_text())}
    assert used == set(script.KINDS)


def test_a_failure_is_no_figure(script):
    with pytest.raises(AssertionError):
        rows(script, "scenarios", "", RESULTS.replace("skipped", "failure"))


def test_a_command_that_fails_ends_the_program(script, tmp_path, monkeypatch):
    monkeypatch.setitem(script.carry_out.__globals__, "KEPT", tmp_path)
    assert script.carry_out("right", "echo told").output == "told\n"
    with pytest.raises(SystemExit, match="false failed, status 1"):
        script.carry_out("wrong", "echo told; false")


def test_the_page(script):
    found = {name: [("counted", "7")] for name in script.SECTIONS}
    commands = {name: f"make {name}" for name in script.SECTIONS}
    text = script.page(["a processor", "gcc 12"], commands, found, 60)
    assert text.count("| counted | 7 |") == len(script.SECTIONS)
    assert all(f"`make {name}`" in text for name in script.SECTIONS)
    assert "a processor; gcc 12" in text
