"""Results as tables: one for each family, for a terminal and for a page."""

from collections.abc import Sequence

from benchmarks.measurement import OURS, Row
from benchmarks.owed import Verdict, of, verdicts

Table = list[list[str]]  # the first line holds the heads

NOTES = """\
Times are medians of quiet samples: processor time on one thread, wall time on more. A peer's column says how many times
as long it takes. "Of roof" is the share of what the machine can do at most: multiply-adds on registers (FMA), or
passing once over the very array that is read or written; in brackets the share that the shape allows, where its rows do
not fill whole vectors. Spread is the distance between the quartiles, as a share of the median. A sample is discarded if
the burst of multiply-adds before or after it was slower than 92 % of the fastest; ~ marks rows with fewer than five
quiet samples of someone, where all count. Errors are the largest distances from the float64 answer, ours and in
brackets the worst of the peers', in parts of the largest value (of CIELAB and of M3, as they are). "Must" is what is
owed, with what was found where that is not met."""


def table(rows: Sequence[Row], everything: Sequence[Row]) -> Table:
    """The rows of a family."""
    peers = list(dict.fromkeys(name for row in rows for name in row.peers))
    roof, error = any(row.share for row in rows), any(row.errors for row in rows)
    heads = [
        "",
        "threads",
        "ours",
        *peers,
        *["of roof"] * roof,
        *["error (peers)"] * error,
        "spread",
        "discarded",
        "must",
    ]
    lines = [heads]
    for row in rows:
        lines.append(
            [
                row.case,
                str(row.threads),
                duration(row.seconds),
                *(times(row.ratios[peer]) if peer in row.peers else "" for peer in peers),
                *[share(row)] * roof,
                *[errors(row)] * error,
                f"{row.spread:.0%}",
                f"{'~' * row.noisy}{row.discarded}/{row.samples}",
                owed(row, everything),
            ]
        )
    return lines


def share(row: Row) -> str:
    if row.share is None:
        return ""
    cap = f" ({row.cap:.0%})" if row.cap < 1 else ""
    return f"{row.share:.0%}{cap} {row.limit}"


def errors(row: Row) -> str:
    if not row.errors:
        return ""
    theirs = [error for name, error in row.errors.items() if name != OURS]
    return f"{row.errors[OURS]:.0e}" + (f" ({max(theirs):.0e})" if theirs else "")


def owed(row: Row, rows: Sequence[Row]) -> str:
    texts = [_sentence(verdict) for verdict in verdicts(row, rows)]
    texts += [f"aim {figure.aim:.0%}" for figure in of(row) if figure.aim is not None]
    return "; ".join(texts)


def _sentence(verdict: Verdict) -> str:
    figure = {"seconds": duration, "error": "{:.0e}".format}.get(verdict.what)
    if figure is not None:
        must, found = figure(verdict.must), figure(verdict.found)
    elif verdict.what.startswith("times "):
        must, found = f"{times(verdict.must)} {verdict.what.removeprefix('times ')}", f"{verdict.found:.2f}x"
    else:
        must, found = f"{verdict.must:.0%}", f"{verdict.found:.1%}"
    return f"{must} met" if verdict.met else f"{must} NOT MET: {found}"


def duration(seconds: float) -> str:
    """Three digits."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def times(ratio: float) -> str:
    """Two digits where one would round .95 to 1."""
    return f"{ratio:.2f}x" if ratio < 2 else f"{ratio:.1f}x" if ratio < 20 else f"{ratio:.0f}x"


def as_text(lines: Table) -> str:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    last = len(widths) - 1
    return "\n".join(
        "  ".join(
            cell.ljust(width) if place in (0, last) else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def as_markdown(lines: Table) -> str:
    heads, *rest = lines
    rule = ["---", *["---:"] * (len(heads) - 2), "---"]
    return "\n".join(f"| {' | '.join(line)} |" for line in (heads, rule, *rest))
