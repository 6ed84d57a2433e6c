"""The command line: ``ganchroma demo | diagnose | scan | info``.

Exit status: 0 answered, 2 wrong usage or unreadable input (the other files are still answered; a scan lists what it
could not read, and ends with 2 if that is everything), 130 interrupted.
"""

import argparse
import io
import json
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from ganchroma import __version__
from ganchroma._files import check_result, printable, read_arrays, read_picture
from ganchroma._progress import progress
from ganchroma.activation import parse_activation
from ganchroma.diagnosis import Diagnosis, diagnose
from ganchroma.diagnosis.engine import Answer
from ganchroma.diagnosis.report import Book
from ganchroma.layer import OutputLayer
from ganchroma.runtime import resolve_threads, runtime_info, show_runtime

ANSWERED, UNUSABLE, INTERRUPTED = 0, 2, 130
ARRAYS = (".npy", ".npz")
UNREADABLE = (ImportError, MemoryError, OSError, TypeError, ValueError)

# What describes the head in --weights, with what holds where an option is left out.
HEAD: dict[str, Any] = {
    "weight_key": "weight",
    "bias_key": "bias",
    "transposed": False,
    "stride": 1,
    "padding": 0,
    "activation": "tanh",
}

# The package speaks of arguments; here these are options, and for two of them there is only Python. In this order.
OPTIONS = [
    (r'layout="(\w+)"', r"--layout \1"),
    (r"gch\.diagnose\(images, value_range=\((\S+), (\S+)\)\)", r"ganchroma diagnose FILE --value-range \1 \2"),
    (r"value_range", "--value-range"),
    (r"\(-1, 1\) after tanh, \(0, 1\) after sigmoid", "-1 1 after tanh, 0 1 after sigmoid"),
    (r'padding="same"', "--padding same"),
    (r"\bpadding=\(\((\d+), \1\), \((\d+), \2\)\)", r"--padding \1,\2"),
    (r'\("leaky_relu", slope\)', '"leaky_relu=SLOPE"'),
    (r'\("clamp", low, high\)', '"clamp=LO,HI"'),
    (r"layer=(?! and features=)", "--weights"),
    (r"layer= and features=|dataset=", r"\g<0> (of Python's ganchroma.diagnose)"),
]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    options = _parser().parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # file names of another encoding can be printed too
    try:
        resolve_threads(None)  # what the environment says of it is wrong for every file or for none
        status: int = options.command(options)
        return status
    except KeyboardInterrupt:
        _say("interrupted")
        return INTERRUPTED
    except UNREADABLE as error:
        return _complain(_reason(error))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ganchroma", description="Where did the colour go?")
    parser.add_argument("--version", action="version", version=f"ganchroma {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    demo = commands.add_parser("demo", help="show every way in which an untrained generator's colour gets lost")
    demo.add_argument("--seed", type=_integer(0), default=0, help="of the generator and its latents (default 0)")
    demo.add_argument(
        "--out", type=Path, default=Path("ganchroma-demo"), help="folder for report.html, sheet.png, report.json"
    )
    demo.add_argument("--json", action="store_true", help="print report.json instead of a table")
    demo.set_defaults(command=_demo)

    check = commands.add_parser(
        "diagnose", help="diagnose images of your own, with the head's weights if you have them"
    )
    check._negative_number_matcher = re.compile(r"-\.?\d")  # Python 3.14's; an older one takes -1. and -1e0 for options
    check.add_argument(
        "images", nargs="+", metavar="IMAGE", help="image files, or .npy / .npz arrays; each gets its own answer"
    )
    check.add_argument("--weights", type=Path, metavar="FILE", help="the head's weights: .npz, .npy or .safetensors")
    head = check.add_argument_group("the head in --weights")
    head.add_argument("--weight-key", metavar="NAME", help='array in FILE (default "weight")')
    head.add_argument("--bias-key", metavar="NAME", help='array in FILE (default "bias", if there is one)')
    head.add_argument("--transposed", action="store_true", default=None, help="it is a transposed convolution")
    head.add_argument("--stride", type=_integer(1), metavar="N", help="(default 1)")
    head.add_argument("--padding", type=_padding, help='N, "PH,PW", "same" or "valid" (default 0)')
    head.add_argument("--activation", type=_activation, metavar="NAME", help=_activation.__doc__)
    check.add_argument("--value-range", type=float, nargs=2, metavar=("LO", "HI"), help="required for float arrays")
    check.add_argument(
        "--layout", choices=("NCHW", "NHWC"), default="NCHW", help="axes of .npy / .npz arrays (default NCHW)"
    )
    check.add_argument("--json", action="store_true", help="print JSON instead of text")
    check.add_argument("--html", type=Path, metavar="FILE", help="also write a page with pictures")
    check.set_defaults(command=_diagnose)

    scan = commands.add_parser("scan", help="measure the colour of a whole data set, and find its gray pictures")
    scan._negative_number_matcher = check._negative_number_matcher
    scan.add_argument(
        "paths", nargs="+", metavar="PATH", help="folders, picture files, patterns, .zip, .tar (.gz, ...), .npy, .npz"
    )
    scan.add_argument("--workers", type=_integer(1), metavar="N", help="processes (default: one a processor)")
    scan.add_argument("--out", metavar="STATE.npz", help="the state, for ganchroma.ChromaStats.load")
    scan.add_argument("--records", metavar="FILE", help="a row a picture: .csv or .parquet")
    scan.add_argument("--html", metavar="FILE", help="a page with the verdict, a histogram and contact sheets")
    scan.add_argument("--resume", action="store_true", help="go on where a scan with the same --out was interrupted")
    scan.add_argument("--value-range", type=float, nargs=2, metavar=("LO", "HI"), help="required for float arrays")
    scan.add_argument("--layout", choices=("NCHW", "NHWC"), default="NCHW", help="axes of arrays (default NCHW)")
    scan.add_argument("--json", action="store_true", help="print JSON instead of text")
    scan.set_defaults(command=_scan)

    info = commands.add_parser("info", help="versions, instruction set, threads, OpenMP libraries")
    info.add_argument("--json", action="store_true", help="print JSON instead of a table")
    info.set_defaults(command=_info)
    return parser


def _demo(options: argparse.Namespace) -> int:
    from ganchroma.demo import cases

    report = cases.run(options.seed, out=options.out)
    if options.json:
        _print_json(report)
    else:
        files = ", ".join(str(options.out / name) for name in ("sheet.png", "report.html", "report.json"))
        with _reader():
            print(cases.table(report))
            print(f"\nSee {printable(files)}")
            print("What is claimed of such pictures, and what holds: docs/claims.md, notebooks/01_the_article.ipynb")
    return ANSWERED


def _diagnose(options: argparse.Namespace) -> int:
    layer = _layer(options)
    if options.html is not None:
        for path in (*options.images, options.weights):
            if path is not None and os.path.realpath(path) == os.path.realpath(options.html):
                raise ValueError(f"--html is {options.html}, which is read; accepted: another file")
        check_result(options.html, "--html")
    book = Book("ganchroma diagnose")
    failures: list[dict[str, str]] = []
    for name in progress(options.images, "diagnose"):
        try:
            pictures, layout = _pictures(Path(name), options.layout)
            found = diagnose(pictures, layer=layer, value_range=options.value_range, layout=layout)
        except UNREADABLE as error:
            reason = _in_options(_reason(error).removeprefix(f"{Path(name)}: "))
            failures.append({"file": name, "reason": reason})
            book.add_failure(name, reason)
            _complain(f"{name}: {reason}")
            continue
        answer = Diagnosis(_answer_in_options(found.answer), name)
        if not options.json:
            with _reader():
                print(("\n" if book.cases else "") + answer.summary())
        book.add(answer)
    if options.json:
        _print_json(book.to_dict(errors=failures))
    if options.html is not None:
        book.save_html(options.html)
    return UNUSABLE if failures else ANSWERED


def _scan(options: argparse.Namespace) -> int:
    from ganchroma.scanning import scan

    if options.resume and options.out is None:
        raise ValueError("--resume needs --out STATE.npz, the file of the scan that was interrupted")
    settings = ("workers", "out", "records", "html", "resume", "value_range", "layout")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a picture's metadata, or that it is large
        found = scan(options.paths, **{name: getattr(options, name) for name in settings})
    found = replace(found, unreadable=[(name, _in_options(reason)) for name, reason in found.unreadable])
    if options.json:
        _print_json(found.to_dict())
    else:
        with _reader():
            print(found)
    if not found.complete:
        again = f"; go on with --resume --out {printable(options.out)}" if options.out is not None else ""
        _say(f"interrupted after {found.images:,} pictures{again}")
        return INTERRUPTED
    return ANSWERED if found.images else UNUSABLE


def _info(options: argparse.Namespace) -> int:
    if options.json:
        _print_json(runtime_info())
    else:
        with _reader():
            show_runtime()
    return ANSWERED


def _pictures(path: Path, layout: str) -> tuple[Any, str]:
    """What the file holds and its layout: an array, or an image as one channels-last picture."""
    if path.suffix.lower() not in ARRAYS:
        return read_picture(path), "NHWC"
    arrays = read_arrays(path)
    if len(arrays) != 1:
        raise ValueError(f"{path}: must hold one array, has {len(arrays)}: {', '.join(arrays) or 'none'}")
    return next(iter(arrays.values())), layout


def _layer(options: argparse.Namespace) -> OutputLayer | None:
    path, given = options.weights, {name for name in HEAD if getattr(options, name) is not None}
    if path is None:
        if given:
            flags = ", ".join(_flag(name) for name in HEAD if name in given)
            raise ValueError(f"{flags}: only with --weights FILE, the head that it describes")
        return None
    chosen = {name: getattr(options, name) if name in given else value for name, value in HEAD.items()}
    weight_key, bias_key = chosen.pop("weight_key"), chosen.pop("bias_key")
    arrays = read_arrays(path)
    if path.suffix.lower() == ".npy":
        if keys := given & {"weight_key", "bias_key"}:
            raise ValueError(f"{path}: a .npy file holds one array without a name; leave {_flag(min(keys))} out")
        weight, bias = arrays[""], None
    else:
        weight = _pick(arrays, weight_key, "--weight-key", path)
        bias = _pick(arrays, bias_key, "--bias-key", path) if "bias_key" in given or bias_key in arrays else None
    try:
        layer = OutputLayer(weight, bias, **chosen)
        if layer.out_channels != 3:
            raise ValueError(f"weight {weight.shape} has {layer.out_channels} filters; a head has 3, for R, G and B")
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{path}: {_in_options(str(error))}{_transposed_hint(weight, chosen['transposed'])}"
        ) from error
    return layer


def _transposed_hint(weight: Any, transposed: bool) -> str:
    """What to try where the other of the first two dimensions counts three filters."""
    if weight.ndim != 4 or weight.shape[not transposed] != 3 or weight.shape[transposed] == 3:
        return ""
    if transposed:
        return "; without --transposed it has 3 filters"
    return "; if it is of a transposed convolution, (C, 3, kh, kw), pass --transposed"


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _in_options(message: str) -> str:
    for argument, option in OPTIONS:
        message = re.sub(argument, option, message)
    return message


def _answer_in_options(answer: Answer) -> Answer:
    findings = [
        replace(
            finding,
            reason=_in_options(finding.reason),
            remedy=_in_options(finding.remedy),
            code=None if finding.code is None else _in_options(finding.code),
        )
        for finding in answer.findings
    ]
    notes, settle = ([_in_options(line) for line in lines] for lines in (answer.notes, answer.settle))
    return replace(answer, findings=findings, notes=notes, settle=settle)


def _reason(error: BaseException) -> str:
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return str(error) or "not enough memory"


def _pick(arrays: dict[str, Any], key: str, option: str, path: Path) -> Any:
    if key not in arrays:
        there = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise ValueError(f"{path}: has no array {key!r}; name one with {option}: {there or 'the file is empty'}")
    return arrays[key]


def _integer(least: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not text.isdecimal() or _decimal(text) < least:
            raise argparse.ArgumentTypeError(f"must be an integer of at least {least}, got {text!r}")
        return _decimal(text)

    return read


def _padding(text: str) -> Any:
    if text in ("same", "valid"):
        return text
    parts = text.split(",")
    if len(parts) > 2 or not all(part.isdecimal() for part in parts):
        raise argparse.ArgumentTypeError(f'must be N, "PH,PW", "same" or "valid", got {text!r}')
    return _decimal(text) if len(parts) == 1 else tuple(map(_decimal, parts))


def _decimal(digits: str) -> int:
    if len(digits) > 100:  # from some thousands on Python refuses them
        raise argparse.ArgumentTypeError(f"has {len(digits):,} digits; accepted: at most 100")
    return int(digits)


def _activation(text: str) -> Any:
    """linear, tanh (default), sigmoid, relu, leaky_relu=SLOPE, clamp or clamp=LO,HI"""
    name, *rest = text.split("=", 1)
    try:
        activation = (name, *map(float, rest[0].split(","))) if rest else name
    except ValueError:
        raise argparse.ArgumentTypeError(f"must have numbers after the =, got {text!r}") from None
    try:
        parse_activation(activation)
    except ValueError as error:
        reason = str(error).replace(repr(activation), repr(text))
        raise argparse.ArgumentTypeError(_in_options(reason)) from None
    return activation


def _print_json(value: Any) -> None:
    with _reader():
        print(json.dumps(value, indent=2, allow_nan=False))


@contextmanager
def _reader() -> Iterator[None]:
    """Around what is printed: a reader (head, less) who has seen enough changes neither files nor the exit status."""
    try:
        yield
        if sys.stdout is not None:  # it is where a shell has closed it
            sys.stdout.flush()
    except BrokenPipeError:
        # The rest goes nowhere; without this, Python complains once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _complain(message: str) -> int:
    _say(f"ganchroma: {printable(message)}")
    return UNUSABLE


def _say(line: str) -> None:
    """On stderr; where that is closed or full, nowhere: the answers are on stdout."""
    if sys.stderr is not None:
        with suppress(OSError):
            print(line, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
