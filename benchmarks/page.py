"""Writes docs/performance.md and its picture."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import chart
from benchmarks.measurement import Row
from benchmarks.tables import NOTES, as_markdown, table

FOLDER = Path(__file__).resolve().parent.parent / "docs"
PICTURE = "performance.png"


def write(facts: dict[str, Any], rows: Sequence[Row], folder: Path = FOLDER) -> None:
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    roofs = ", ".join(f"{rate:.0f} GF/s on {threads}" for threads, rate in facts["roofs_gflops"].items())
    parts = [
        "# Performance",
        f"Written by `{facts['command']}` on {facts['cpu']}, {facts['processors']} processors, instruction set "
        f"{facts['isa']}, load average {facts['load_before']:.1f} before the start. Fastest burst of multiply-adds "
        f"(threads): {roofs}. Peers: {versions}. Every case was compared with a float64 answer first.",
        f"![Shares of the roof]({PICTURE})",
        NOTES,
    ]
    for family in dict.fromkeys(row.family for row in rows):
        lines = table([row for row in rows if row.family == family], rows)
        parts += [f"## {family.capitalize()}", as_markdown(lines)]
    (folder / "performance.md").write_text("\n\n".join(parts) + "\n")
    chart.draw(rows, title(facts), folder / PICTURE)


def title(facts: dict[str, Any]) -> str:
    return f"{facts['cpu']}, {facts['isa']}"
