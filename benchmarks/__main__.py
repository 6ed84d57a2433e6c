"""Verify, then time: ours, every peer that is installed, and what the machine can do at most."""

import argparse
import json
import os
import platform
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import calls, chart, colour, gradients, layers, page, random_numbers, spectral
from benchmarks.case import Case
from benchmarks.measurement import Row, WrongResult, measure
from benchmarks.owed import verdicts
from benchmarks.peers import MODULES, Peers
from benchmarks.roofs import Roofs
from benchmarks.tables import NOTES, as_text, table
from benchmarks.turns import BURST
from ganchroma import _core
from ganchroma._progress import progress
from ganchroma.runtime import processor_limit

FAMILIES = (layers, gradients, random_numbers, spectral, colour, calls)
BURSTS = 25  # before the first case, to find the roof
BUSY = 0.5  # load average before the start from which the machine has other work to do


def main(arguments: Sequence[str] | None = None) -> int:
    given = sys.argv[1:] if arguments is None else arguments
    parser = _parser()
    options = parser.parse_args(given)
    cases = [case for case in every_case() if re.search(options.only, f"{case.family}: {case.name}", re.IGNORECASE)]
    if not cases:
        parser.error(f"no case matches {options.only!r}")
    if options.write and options.only:
        parser.error("--write makes the whole page: leave --only out")
    peers = Peers(options.peers)
    roofs = Roofs(_core.isa())
    counts = sorted({1, processor_limit()})
    facts = {"command": shlex.join(["python", "-m", "benchmarks", *given]), **machine()}
    for threads in counts * BURSTS:
        roofs.burst(threads, BURST)
    print(introduction(facts, peers))
    try:
        rows = run(cases, peers, roofs, counts, options.seconds)
    except WrongResult as error:
        print(f"\nwrong: {error}", file=sys.stderr)
        return 1
    facts |= {
        "versions": peers.versions,
        "missing": peers.missing,
        "roofs_gflops": {str(threads): rate / 1e9 for threads, rate in roofs.best.items()},
    }
    print(f"\n{NOTES}\n\n{account(rows)}")
    if options.json:
        found = [{**row.to_dict(), "owed": [v._asdict() for v in verdicts(row, rows)]} for row in rows]
        options.json.write_text(json.dumps({**facts, "cases": found}, indent=1) + "\n")
    if options.chart:
        chart.draw(rows, page.title(facts), options.chart)
    if options.write:
        page.write(facts, rows)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", default="", metavar="PATTERN", help='cases whose "family: name" matches')
    parser.add_argument(
        "--peers",
        type=_peers,
        default=tuple(MODULES),
        metavar="NAMES",
        help=f'separated by commas, or "none" (default: {",".join(MODULES)})',
    )
    parser.add_argument("--seconds", type=float, default=3.0, help="for each case and number of threads (default 3)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything that was found")
    parser.add_argument("--chart", type=Path, metavar="FILE", help="draw a PNG")
    parser.add_argument("--write", action="store_true", help="write docs/performance.md and its picture")
    return parser


def _peers(text: str) -> tuple[str, ...]:
    names = () if text == "none" else tuple(text.split(","))
    if unknown := [name for name in names if name not in MODULES]:
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}")
    return names


def every_case() -> list[Case]:
    return [case for family in FAMILIES for case in family.cases()]


def machine() -> dict[str, Any]:
    try:
        names = re.findall(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        names = []
    return {
        "cpu": names[0] if names else platform.processor() or platform.machine(),
        "processors": processor_limit(),
        "isa": _core.isa(),
        "load_before": os.getloadavg()[0],
    }


def introduction(facts: dict[str, Any], peers: Peers) -> str:
    lines = [f"{facts['cpu']}, {facts['processors']} processors, {facts['isa']}"]
    lines += [f"peers: {', '.join(f'{name} {version}' for name, version in peers.versions.items()) or 'none'}"]
    lines += [f"without {name}: {reason}" for name, reason in peers.missing.items()]
    if facts["load_before"] > BUSY:
        lines.append(f"the load average is {facts['load_before']:.1f}: do not trust the figures of several threads")
    return "\n".join(lines)


def run(cases: Sequence[Case], peers: Peers, roofs: Roofs, counts: Sequence[int], seconds: float) -> list[Row]:
    """Prints each family when it is done."""
    rows: list[Row] = []
    for family in dict.fromkeys(case.family for case in cases):
        jobs = [(case, n) for case in cases if case.family == family for n in (counts if case.scales else [1])]
        made = [measure(case, peers, roofs, threads, seconds) for case, threads in progress(jobs, family)]
        rows += made
        print(f"\n{family}\n{as_text(table(made, rows))}", flush=True)
    return rows


def account(rows: Sequence[Row]) -> str:
    found = [verdict for row in rows for verdict in verdicts(row, rows)]
    samples, discarded = sum(row.samples for row in rows), sum(row.discarded for row in rows)
    return (
        f"{sum(verdict.met for verdict in found)} of {len(found)} figures owed are met; {discarded:,} of {samples:,} "
        "samples discarded"
    )


if __name__ == "__main__":
    sys.exit(main())
