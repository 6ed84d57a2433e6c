"""A table of bad input: each public function, each argument, what people pass by mistake, and what they are told.

`make bad-inputs` writes it to build/bad_inputs.md. No message may be vague: it names the argument, shows what was given
and says what is accepted.
"""

import contextlib
import re
import sys
import tempfile
from pathlib import Path

import numpy as np
from calls import public_calls
from file_calls import file_calls

# What stands in an array's place.
ARRAYS = {
    "None": None,
    "a string": "pictures.png",
    "a number": 3,
    "an object": object(),
    "an empty list": [],
    "a ragged list": [[1.0, 2.0], [3.0]],
    "a list of strings": ["a", "b"],
    "complex numbers": np.zeros((2, 3, 8, 9), np.complex64),
    "dates": np.zeros((2, 3, 8, 9), "M8[s]"),
    "objects": np.zeros((2, 3, 8, 9), object),
    "records": np.zeros((2, 3, 8, 9), [("a", "f4"), ("b", "f4")]),
    "a masked array": np.ma.masked_array(np.zeros((2, 3, 8, 9), np.float32)),
    "six dimensions": np.zeros((1, 1, 1, 1, 1, 1), np.float32),
    "no pixels": np.zeros((2, 3, 0, 9), np.float32),
}
NUMBERS = {"None": None, "a string": "3", "a list": [1, 2], "NaN": float("nan"), "true": True, "an object": object()}
WORDS = {"another word": "nonsense", "a number": 3, "an array": np.zeros(3)}
PAIRS = {
    "None": None,
    "a string": "ab",
    "backwards": (1, 0),
    "NaN": (float("nan"), 1.0),
    "three": (0, 1, 2),
    "words": ("a", "b"),
}
OBJECTS = {"a number": 3, "a string": "layer", "an object": object(), "an array": np.zeros(3)}
# Where results go: with the files of file_calls.py.
RESULTS = {
    "a number": 3,
    "the name of a picture": "new.png",
    "the name of arrays": "new.safetensors",
    "arrays": "set/arrays",
    "a NUL character": "a\0b",
    "a pair": ("a", "b"),
}

OPTIONAL = {"bias", "channel_scale", "features", "images", "mask", "layer", "shape", "out"}  # where None has a meaning
# An argument that does not fit another may be told in terms of that one.
PARTNERS = {
    "grad": "x", "x": "weight", "weight": "x", "images": "value_range", "value_range": "images", "lab1": "lab2",
    "lab2": "lab1", "features": "x", "weights": "feature_moments", "shape": "out", "out": "shape",
    "padding": "grad_output|out", "stride": "grad_output|out",
}  # fmt: skip
# The words in which a message says what is accepted or what to do.
ACCEPTED = (
    "accepted|must|takes|needs?|required|result has|this x has|expected|pass |finite|read as|lie in|can't|not below"
)


def candidates(value):
    if isinstance(value, np.ndarray):
        return ARRAYS
    if isinstance(value, bool):
        return {"a string": "no", "a number": 1, "None": None}
    if isinstance(value, int | float):
        return NUMBERS
    if isinstance(value, str):
        return WORDS
    if isinstance(value, tuple):
        return PAIRS
    return OBJECTS


def rows():
    """(function, argument, what was given, type of the error or "", message)."""
    for label in public_calls():
        _, given = public_calls()[label]
        for name, right in given.items():
            for what, wrong in candidates(right).items():
                if wrong is None and name in OPTIONAL:
                    continue
                function, keywords = public_calls()[label]  # anew: a call may change what it is a method of
                yield label, name, what, *told(function, {**keywords, name: wrong})


def rows_of_results():
    """The same of the calls that write files; nothing is written."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        calls = file_calls()
        Path("set/arrays.npy").rename("set/arrays")
        return [
            (label, name, what, *told(function, {**given, name: wrong}))
            for label, (function, given) in calls.items()
            for name in sorted(given.keys() & {"path", "out", "records", "html"})
            for what, wrong in RESULTS.items()
            if re.search(r"\.save(_\w+)?$|^scan files$", label)
        ]


def told(function, given):
    """Type of the error or "", message."""
    try:
        function(**given)
    except Exception as error:
        return type(error).__name__, " ".join(str(error).split())
    return "", ""


def vague(name, message):
    """What is missing in a message, or nothing."""
    if not re.search(rf"\b({name}|{PARTNERS.get(name, name)})\b", message):
        return "names no argument"
    if not re.search(ACCEPTED, message):
        return "does not say what is accepted"
    return "" if len(message) > 25 else "too short"


def table(refused):
    lines = ["# What bad input is told", "", "Written by `make bad-inputs`.", ""]
    lines += ["| function | argument | given | error | message |", "|---|---|---|---|---|"]
    for label, name, what, kind, message in refused:
        lines.append(f"| {label} | {name} | {what} | {kind} | {message.replace('|', '/')} |")
    return "\n".join(lines) + "\n"


def test_no_message_is_vague():
    wrong, refused = [], 0
    for label, name, what, kind, message in [*rows(), *rows_of_results()]:
        if not kind:
            continue
        refused += 1
        if kind not in ("TypeError", "ValueError"):
            wrong.append(f"{label}({name}={what}): {kind}: {message}")
        elif reason := vague(name, message):
            wrong.append(f"{label}({name}={what}): {reason}: {message}")
    assert wrong == [], "\n".join(["", *wrong])
    assert refused >= 200


def test_every_wrong_place_for_a_result_is_refused():
    tried = rows_of_results()
    assert len(tried) == 7 * len(RESULTS)
    assert [row for row in tried if not row[3]] == []


if __name__ == "__main__":
    tried = [*rows(), *rows_of_results()]
    refused = [row for row in tried if row[3]]
    Path(sys.argv[1]).write_text(table(refused), encoding="utf-8")
    unclear = sum(vague(name, message) != "" for _, name, _, _, message in refused)
    calls = len({label for label, *_ in tried})
    print(f"{len(tried)} wrong arguments of {calls} calls: {len(refused)} refused, {unclear} of them in vague words")
