"""Writes docs/reliability.md: how much was done to break ganchroma, counted by the programs that did it.

Run by ``make reliability``: hours. The figures of each section are kept in build/reliability with the sources, the
command and the machine that they belong to; what is there already, and still the same, is not run again.
``python docs/reliability.py --only fuzz`` runs one section and writes no page.
"""

import argparse
import hashlib
import json
import os
import platform
import re
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
KEPT = BUILD / "reliability"
SOURCES = ["csrc", "ganchroma", "tests", "Makefile", "setup.py", "pyproject.toml"]

Row = tuple[str, str]  # what was counted, and how much of it


class Run(NamedTuple):
    """What a command left behind: what it printed, and the results of pytest where it ran."""

    output: str
    results: ET.Element | None = None


class Section(NamedTuple):
    title: str
    command: str
    text: str
    rows: Callable[[Run], Iterable[Row]]


# -- reading what the commands leave behind -----------------------------------------------------------------------


def counted(pattern: str, output: str) -> list[Any]:
    """Every match; none at all would be a figure of nothing."""
    found = re.findall(pattern, output, re.MULTILINE)
    if not found:
        raise ValueError(f"the output has no line like {pattern}")
    return found


def number(value: Any) -> str:
    return f"{int(value):,}"


def c_checks(run: Run) -> Iterator[Row]:
    yield "checks in plain C", number(sum(map(int, counted(r"^\w[\w ]* (\d+) checks, 0 failed$", run.output))))


def passed(run: Run) -> list[ET.Element]:
    assert run.results is not None
    cases = list(run.results.iter("testcase"))
    assert not any(case.find(kind) is not None for case in cases for kind in ("failure", "error"))
    return [case for case in cases if case.find("skipped") is None]


def python_tests(run: Run) -> Iterator[Row]:
    yield "Python tests passed", number(len(passed(run)))


def properties(run: Run) -> Iterator[tuple[str, str]]:
    """What the tests that passed told of themselves."""
    for case in passed(run):
        yield from ((told.attrib["name"], told.attrib["value"]) for told in case.iter("property"))


def sanitized(run: Run) -> Iterator[Row]:
    yield from c_checks(run)
    yield from python_tests(run)
    yield "findings", "0"  # the first one ends the run, and with it this program


def races(run: Run) -> Iterator[Row]:
    if WITHOUT_OPENMP in run.output:
        raise ValueError(f"{WITHOUT_OPENMP}: that finds no race between the core's own threads")
    yield from c_checks(run)
    yield "findings", "0"


def valgrind(run: Run) -> Iterator[Row]:
    yield from c_checks(run)
    yield "findings", *counted(r"^valgrind: (\d+) findings in ganchroma$", run.output)


def bad_inputs(run: Run) -> Iterator[Row]:
    line = r"^(\d+) wrong arguments of (\d+) calls: (\d+) refused, (\d+) of them in vague words$"
    ((tried, calls, refused, vague),) = counted(line, run.output)
    yield "wrong arguments tried", number(tried)
    yield "calls in which they stood", number(calls)
    yield "refused; the others mean something there, as a `shape` of three numbers", number(refused)
    yield "messages that do not name the argument or do not say what is accepted", number(vague)


def fuzz(run: Run) -> Iterator[Row]:
    targets = counted(r"^(fuzz_\w+)$(?s:.*?)^stat::number_of_executed_units: +(\d+)$", run.output)
    for name, executed in targets:
        yield f"executions of `{name}`", number(executed)
    examples = counted(r"(\d+) passing(?: examples)?, 0 failing", run.output)  # older: "1 passing examples"
    tests = set(counted(r"^(\S+::\S+):$", run.output))  # those of which it tells statistics
    yield f"hostile arrays and tensors of Hypothesis, in {len(tests)} tests", number(sum(map(int, examples)))


def memory(run: Run) -> Iterator[Row]:
    (swept_in_c,) = counted(r"^operations: (\d+) failed allocations swept$", run.output)
    yield "in the core, called from C", number(swept_in_c)
    swept: Counter[str] = Counter()
    for what, told in properties(run):
        if what != "scenario":
            swept[what] += int(told)
    for what, count in swept.items():
        yield what, number(count)


# What a test marked as `scenario` may be of.
KINDS = {
    "processes": "forks, worker processes, processes killed",
    "interrupts": "interrupts",
    "threads": "threads: the same bits, limits kept, calls at the same time",
}


def scenarios(run: Run) -> Iterator[Row]:
    kinds = Counter(kind for name, kind in properties(run) if name == "scenario")
    for kind, what in KINDS.items():
        yield what, number(kinds[kind])


def coverage(_: Run) -> Iterator[Row]:
    files = json.loads((BUILD / "coverage/summary.json").read_text())["files"]
    for folder in ("core", "python", "cpu"):
        inside = [file for file in files if file["filename"].startswith(f"csrc/{folder}/")]
        for what in ("line", "branch"):
            total, reached = (sum(file[f"{what}_{end}"] for file in inside) for end in ("total", "covered"))
            kind = {"line": "lines", "branch": "branches"}[what]
            yield f"{kind} of `csrc/{folder}`", f"{reached:,} of {total:,}, {100 * reached / total:.1f} %"


# -- the sections ---------------------------------------------------------------------------------------------------

SANITIZER = "Builds of their own; what is found ends the run, so that 0 is the only figure there can be."
WITHOUT_OPENMP = "Clang finds no OpenMP, the checks run without"  # as `make tsan` says
SECTIONS = {
    "bad-inputs": Section(
        "Bad input",
        "make bad-inputs",
        "Each argument of each public function, replaced by what people pass by mistake; `tests/test_bad_inputs.py` "
        "fails where a message is vague.",
        bad_inputs,
    ),
    "fuzz": Section(
        "Fuzzing",
        "make fuzz SECONDS={seconds}",
        "libFuzzer on the core under the address and undefined behaviour sanitizers, Atheris on what reads files and "
        "on the command line, {seconds} seconds a target; Hypothesis on every public function with arrays as nobody "
        "would bring them.",
        fuzz,
    ),
    "memory": Section(
        "Failing memory",
        "make test-c faults",
        "Each allocation fails in turn: a `MemoryError`, nothing held, and the next call gives the same bits as ever.",
        memory,
    ),
    "asan": Section("Addresses, undefined behaviour and leaks (ASan, UBSan, LSan)", "make asan", SANITIZER, sanitized),
    "ubsan": Section("Undefined behaviour alone (UBSan)", "make ubsan", SANITIZER, sanitized),
    "tsan": Section("Data races (TSan)", "make tsan", SANITIZER, races),
    "valgrind": Section(
        "Uninitialised values (valgrind)",
        "make valgrind",
        "The C checks, and every function from Python, right and wrong, where leaks are findings too. A finding has a "
        "frame of ours.",
        valgrind,
    ),
    "emulated": Section(
        "Other processors (QEMU)",
        "make emulated",
        "The C checks on AArch64 with NEON, on x86-64 without AVX and with AVX2.",
        c_checks,
    ),
    "leaks": Section(
        "Leaks, from Python",
        "make leaks",
        "Every function a thousand times, right and wrong: references, memory and open files stay flat.",
        python_tests,
    ),
    "scenarios": Section(
        "Forks, threads and interrupts",
        "make core && .venv/bin/pytest tests --ignore=tests/parity -m scenario",
        "Tests that passed, by what happens in them: each is marked.",
        scenarios,
    ),
    "coverage": Section(
        "What tests reach in C",
        "make coverage",
        "By gcov, with failing memory; it fails below 95 % of the lines of `csrc/core` or `csrc/python`.",
        coverage,
    ),
}

# -- running them, and the page -------------------------------------------------------------------------------------


def first_line(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout.splitlines()[0]


def machine() -> list[str]:
    told = Path("/proc/cpuinfo")
    models = re.findall(r"^model name\s*: (.*)$", told.read_text(), re.MULTILINE) if told.exists() else []
    versions = [first_line(tool, "--version") for tool in ("gcc", "clang", "valgrind")]
    isa = first_line(sys.executable, "-c", "from ganchroma import _core; print(_core.isa())")
    numpy = first_line(sys.executable, "-c", "import numpy; print(numpy.__version__)")
    processor = f"{next(iter(models), platform.machine())}, {os.cpu_count()} processors, {isa}"
    return [processor, *versions, f"Python {platform.python_version()}", f"NumPy {numpy}"]


def sources() -> str:
    """One word for all that the figures depend on."""
    listing = subprocess.run(["git", "ls-files", "-z", *SOURCES], cwd=ROOT, capture_output=True, check=True).stdout
    digest = hashlib.sha256()
    for name in listing.decode().rstrip("\0").split("\0"):
        digest.update(name.encode() + b"\0" + (ROOT / name).read_bytes() + b"\0")
    return digest.hexdigest()


def carry_out(name: str, command: str) -> Run:
    """Runs a command; what it prints goes to build/reliability/NAME.log."""
    log, results = KEPT / f"{name}.log", KEPT / f"{name}.xml"
    results.unlink(missing_ok=True)
    options = f"--junitxml={results} -o junit_family=xunit1 --hypothesis-show-statistics"
    with log.open("w") as stream:
        code = subprocess.run(
            command, shell=True, cwd=ROOT, stdout=stream, stderr=stream, env={**os.environ, "PYTEST_ADDOPTS": options}
        ).returncode
    if code:
        sys.exit(f"{command} failed, status {code}; its end, the rest in {log}:\n{log.read_text()[-3000:]}")
    return Run(log.read_text(), ET.parse(results).getroot() if results.exists() else None)


def page(told: list[str], commands: dict[str, str], found: dict[str, list[Row]], seconds: int) -> str:
    lines = ["# Reliability", "", HEAD.format(machine="; ".join(told)), ""]
    for name, section in SECTIONS.items():
        lines += [f"## {section.title}", "", f"`{commands[name]}`. {section.text.format(seconds=seconds)}", ""]
        lines += ["| | |", "|---|---:|", *(f"| {what} | {figure} |" for what, figure in found[name]), ""]
    return "\n".join(lines)


HEAD = """How much was done to break ganchroma, counted by the programs that did it. Written by `make reliability`; each
section names the command that gives its figures, and a command that fails leaves no page.

Measured on {machine}."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="docs/reliability.py", description=__doc__.splitlines()[0])
    parser.add_argument("--only", action="append", choices=SECTIONS, help="run this section anew and write no page")
    parser.add_argument("--seconds", type=int, default=60, help="for each target of the fuzzer; 60 if not given")
    options = parser.parse_args()
    KEPT.mkdir(parents=True, exist_ok=True)
    told, digest = machine(), sources()
    commands = {name: section.command.format(seconds=options.seconds) for name, section in SECTIONS.items()}
    found = {}
    for name in options.only or SECTIONS:
        file = KEPT / f"{name}.json"
        made_with = {"machine": told, "sources": digest, "command": commands[name]}
        kept = json.loads(file.read_text()) if file.exists() else {}
        if options.only or any(kept.get(key) != value for key, value in made_with.items()):
            print(f"{name}: {commands[name]}", flush=True)
            start = time.monotonic()
            rows = list(SECTIONS[name].rows(carry_out(name, commands[name])))
            file.write_text(json.dumps({**made_with, "rows": rows}, indent=1))
            print(*(f"    {what}: {figure}" for what, figure in rows), sep="\n")
            print(f"    {time.monotonic() - start:.0f} s")
        found[name] = json.loads(file.read_text())["rows"]
    if not options.only:
        Path(__file__).with_suffix(".md").write_text(page(told, commands, found, options.seconds))


if __name__ == "__main__":
    main()
