"""The benchmarks themselves: what they say can be trusted, whoever runs them. No time is judged here."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from support import ROOT, need_tool

sys.path.append(str(ROOT))  # the last: `ganchroma` is to come from where the other tests have it

from benchmarks import __main__ as program
from benchmarks import instructions, measurement, owed, page, tables, turns
from benchmarks.case import Case, Work
from benchmarks.heads import HEADS, Head

FIELDS = {"family", "case", "threads", "seconds", "peers", "limit", "share", "cap", "errors", "spread"}
FIELDS |= {"samples", "discarded", "noisy", "ratios", "best_ratio", "owed"}


def row(**changes):
    facts = dict(
        family="output layer", case=HEADS[0].name, threads=1, seconds=0.5, peers={"PyTorch": 2.0, "NumPy": 4.0}
    )
    facts |= dict(limit="FMA", share=0.8, cap=1.0, errors={}, spread=0.1, samples=9, discarded=0, noisy=False)
    return measurement.Row(**(facts | changes))


class ScriptedRoofs:
    """Bursts as fast as the script says."""

    def __init__(self, bursts):
        self._bursts = iter(bursts)
        self.best = {1: 100.0}

    def burst(self, threads, seconds):
        return next(self._bursts, 100.0)


def test_a_case_without_peers(tmp_path):
    need_tool("cc")
    target = tmp_path / "found.json"
    only = ["--only", "output layer: 3x3, 64 to 3, one of 32x32", "--peers", "none", "--seconds", "0.01"]
    command = [sys.executable, "-m", "benchmarks", *only, "--json", str(target)]
    environment = {**os.environ, "GANCHROMA_NUM_THREADS": "1"}
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert "peers: none" in result.stdout
    found = json.loads(target.read_text())
    assert found["command"].startswith("python -m benchmarks --only")
    assert found["cpu"]
    assert found["versions"] == {}
    assert found["roofs_gflops"]["1"] > 0
    first = found["cases"][0]
    assert set(first) == FIELDS
    assert first["seconds"] > 0
    assert 0 < first["share"] < 2
    assert first["errors"]["ganchroma"] < 1e-5
    assert first["best_ratio"] is None


@pytest.mark.parametrize("arguments", [["--only", "no such case"], ["--only", "3x3", "--write"], ["--peers", "Excel"]])
def test_wrong_usage(arguments, capsys):
    with pytest.raises(SystemExit) as stopped:
        program.main(arguments)
    assert stopped.value.code == 2
    assert arguments[1] in capsys.readouterr().err or "--only" in arguments


def test_every_figure_owed_belongs_to_a_case():
    cases = {case.name: case for case in program.every_case()}
    assert len(cases) == len(program.every_case())
    for figure in owed.OWED:
        assert figure.case in cases
        assert cases[figure.case].scales or not figure.every_thread


def test_verdicts():
    met = {verdict.what: verdict.met for verdict in owed.verdicts(row(share=0.9, peers={"PyTorch": 2.0}), [])}
    assert met == {"share of the roof": True, "times the best peer": False}
    assert owed.verdicts(row(share=None, peers={}), []) == []
    alone, both = row(case="Philox, uniform", seconds=1.0), row(case="Philox, uniform", threads=2, seconds=0.625)
    assert owed.verdicts(both, [alone, both]) == [("of the threads' worth", 0.75, 0.8, True)]


def test_lanes_left_empty_are_allowed_for():
    odd = next(figure for figure in owed.OWED if "37x53" in figure.case)
    found = owed.verdicts(row(case=odd.case, share=0.7, cap=0.83, peers={}), [])
    assert found[0].met
    assert "70% (83%) FMA" in tables.table([row(share=0.7, cap=0.83)], [])[1]


def test_wrong_results_stop_everything():
    exact = np.ones(3)
    work = Work(ours=lambda: exact + 0.1, exact=lambda: exact, tolerance=0.2)
    case = Case("none", "made up", lambda setting: work)
    assert measurement.verify(case, work) == {"ganchroma": pytest.approx(0.1)}
    for wrong in (lambda: exact + 3, lambda: np.ones(4), lambda: exact * np.nan):
        peers = {"another": wrong}
        with pytest.raises(measurement.WrongResult, match="made up: another"):
            measurement.verify(case, Work(ours=work.ours, exact=work.exact, tolerance=0.2, peers=peers))
        stranger = Work(work.ours, exact=work.exact, tolerance=0.2, peers=peers, strangers=frozenset(peers))
        assert measurement.verify(case, stranger)


@pytest.fixture
def rounds(monkeypatch):
    """Sets how many rounds there are, whatever time they take."""
    return lambda count: monkeypatch.setattr(turns, "MOST", count)


def test_samples_beside_a_slow_burst_are_discarded(rounds):
    rounds(7)
    values = iter(range(1, 1000))
    # The third burst is slow: the samples before and after it are the second and the third.
    found = turns.take_turns({"ours": lambda: float(next(values))}, ScriptedRoofs([100, 99, 50, 98]), 1, np.inf)["ours"]
    assert found.seconds == [1, 4, 5, 6, 7]
    assert (found.taken, found.discarded, found.noisy) == (7, 2, False)
    assert found.median == 5


def test_where_too_few_samples_are_quiet_all_count(rounds):
    rounds(3)
    found = turns.take_turns({"ours": lambda: 1.0}, ScriptedRoofs([50] * 9), 1, np.inf)["ours"]
    assert (found.seconds, found.discarded, found.noisy) == ([1, 1, 1], 3, True)


def test_ours_comes_before_each_peer(rounds):
    rounds(4)
    order = []
    contenders = {name: lambda name=name: order.append(name) or 1.0 for name in ("ours", "a", "b")}
    turns.take_turns(contenders, ScriptedRoofs([]), 1, np.inf)
    assert order == ["ours", "a", "ours", "b"] * 4


def test_output_sizes():
    assert Head("", (1, 2, 9, 10), 3, pads=((1, 1), (0, 0))).output_size == (9, 8)
    assert Head("", (1, 2, 9, 10), 3, stride=2).output_size == (4, 4)
    assert Head("", (1, 2, 9, 10), 5, True, 2, ((1, 2), (2, 2))).output_size == (18, 19)


def test_page(tmp_path):
    pytest.importorskip("matplotlib")
    facts = {"command": "python -m benchmarks", "cpu": "a processor", "processors": 1, "isa": "avx2", "versions": {}}
    facts |= {"load_before": 0.0, "roofs_gflops": {"1": 50.0}}
    rows = [row(), row(cap=0.8, case=HEADS[5].name), row(family="colour", case="x", limit=None, share=None, peers={})]
    page.write(facts, rows, tmp_path)
    text = (tmp_path / "performance.md").read_text()
    assert f"| {HEADS[0].name} | 1 | 500 ms | 4.0x | 8.0x | 80% FMA | 10% | 0/9 | 82% NOT MET: 80.0%;" in text
    assert "## Colour" in text
    assert (tmp_path / "performance.png").read_bytes()[1:4] == b"PNG"


def test_the_document_has_every_case():
    lines = [line.split("|") for line in (page.FOLDER / "performance.md").read_text().splitlines() if "|" in line]
    named = {cells[1].strip() for cells in lines} - {"", "---"}
    assert named == {case.name for case in program.every_case()}


# -- instructions -------------------------------------------------------------------------------------------------

TOOLS = {"compiler": "GCC: (made up) 1.0", "python": "3.11", "numpy": "2.0"}
ON_RECORD = {"made_with": TOOLS, "instructions": {"a": 1000, "b": 1000}}


@pytest.mark.parametrize(("found", "well"), [((1000, 1030), True), ((1000, 1031), False), ((1, 1000), True)])
def test_more_instructions_fail(found, well):
    text, judged = instructions.compare(ON_RECORD, dict(zip("ab", found, strict=True)), TOOLS)
    assert judged is well
    assert ("more than 3% more instructions: b" in text) is not well


def test_another_compiler_is_told_and_does_not_fail():
    text, well = instructions.compare(ON_RECORD, {"a": 9000, "b": 1000}, {**TOOLS, "compiler": "clang version 99"})
    assert well
    assert "not judged: compiler is clang version 99, on record GCC: (made up) 1.0" in text
    assert "+800.0%" in text


def test_the_record_is_of_the_calls_that_are_counted():
    record = json.loads(instructions.RECORD.read_text())
    assert list(record["instructions"]) == list(instructions.COUNTED)
    assert set(record["made_with"]) == set(instructions.made_with())
    assert instructions.made_with()["compiler"]


@pytest.mark.parametrize("name", instructions.COUNTED)
def test_what_is_counted_runs(name):
    instructions.COUNTED[name].prepare()()
