"""The command line speaks of its own options, not of Python's arguments."""

import json
import os
import re
import shlex
import subprocess
import sys

import numpy as np
import pytest
from diagnosis_cases import photographs

from ganchroma import cli
from ganchroma._progress import counter

# What only Python's `diagnose` takes must be said to be there.
PYTHON = re.compile(r"\b(layer|features|dataset|value_range|layout|padding)=(?! and features=)(?! \(of Python's )")

GRAY = np.repeat(photographs()[:, :1], 3, axis=1)
PICTURES = {
    "gray": GRAY,
    "flat": (photographs() * 0.01 + 120).astype(np.uint8),
    "ends": np.where(photographs() > 120, 255, 0).astype(np.uint8),
    "washed": (photographs() // 2 + 128).astype(np.uint8),
    "cut": np.maximum(2 * photographs().astype(int) - 255, 0).astype(np.uint8),
    "outside": photographs().astype(np.float32) / 127.5 - 1,
    "unused": photographs().astype(np.float32) / 255,
}
RANGES = {"outside": ["--value-range", "0", "1"], "unused": ["--value-range", "-1", "1"]}


@pytest.mark.parametrize("weights", [False, True])
@pytest.mark.parametrize("case", PICTURES)
def test_answers_name_options(tmp_path, monkeypatch, capsys, case, weights):
    monkeypatch.chdir(tmp_path)
    np.save("a.npy", PICTURES[case])
    np.save("head.npy", np.random.default_rng(0).standard_normal((3, 8, 3, 3)).astype(np.float32))
    options = [*RANGES.get(case, []), *(["--weights", "head.npy"] if weights else [])]
    assert cli.main(["diagnose", "a.npy", *options, "--html", "a.html"]) == 0
    text = capsys.readouterr().out
    assert cli.main(["diagnose", "a.npy", *options, "--json"]) == 0
    entry = json.loads(capsys.readouterr().out)["cases"][0]
    page = (tmp_path / "a.html").read_text(encoding="utf-8").replace("&#x27;", "'")
    for said in (" ".join(text.split()), page, json.dumps(entry)):
        assert PYTHON.findall(said) == []
        assert "gch.diagnose" not in said
    if case in RANGES:
        assert re.search(r"ganchroma diagnose FILE --value-range -?[01](\.0)? 1(\.0)?\n", text)
    elif case == "gray":
        assert ("--weights shows the filters" in text) != weights
        assert "dataset= (of Python's ganchroma.diagnose) shows the data" in " ".join(text.split())


@pytest.mark.parametrize(
    ("activation", "words"),
    [
        ("gelu", "activation is 'gelu'; accepted: \"linear\""),
        ("gelu", '"leaky_relu=SLOPE", "clamp", "clamp=LO,HI"'),
        ("clamp=1", "activation is 'clamp=1'; accepted: "),
        ("clamp=1,0", "activation is 'clamp=1,0'; low must not exceed high"),
        ("clamp=a,b", "must have numbers after the =, got 'clamp=a,b'"),
        ("clamp=0,1=2", "must have numbers after the =, got 'clamp=0,1=2'"),
    ],
)
def test_activations_are_spelled_as_they_are_given(capsys, activation, words):
    with pytest.raises(SystemExit):
        cli.main(["diagnose", "a.png", "--weights", "w.npy", "--activation", activation])
    assert words in capsys.readouterr().err


def test_padding_is_spelled_as_it_is_given(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    np.save("head.npy", np.zeros((3, 8, 3, 3), np.float32))
    assert cli.main(["diagnose", "a.png", "--weights", "head.npy", "--padding", "same", "--stride", "2"]) == 2
    error = capsys.readouterr().err
    assert "--padding same needs stride 1" in error
    assert error.endswith("pass --padding 1,1\n")


def test_numbers_of_thousands_of_digits_are_not_repeated(capsys):
    for option in ("--workers", "--padding"):
        with pytest.raises(SystemExit):
            cli.main(["scan" if option == "--workers" else "diagnose", "a.png", option, "9" * 5000])
        err = capsys.readouterr().err
        assert f"argument {option}: has 5,000 digits; accepted: at most 100" in err
        assert "9999" not in err


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_names_do_nothing_to_a_terminal(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    escape, key = "\x1b]0;title\x07", "\x1bkey"
    np.save(f"{escape}.npy", GRAY[0])
    np.savez(f"{escape}.npz", **{key: np.zeros(3), "b": np.zeros(3)})
    for arguments in (
        ["diagnose", f"{escape}.npy", f"{escape}.npz", escape],
        ["diagnose", f"{escape}.npy", "--weights", f"{escape}.npz"],
        ["diagnose", f"{escape}.npy", "--html", f"{escape}/page.html"],
        ["scan", escape],
        ["scan", f"{escape}*"],
        ["scan", f"{escape}.npy", "--workers", "1", "--records", f"{escape}.txt"],
        ["demo", "--out", f"{escape}.npy"],
    ):
        cli.main(arguments)
        out, err = capsys.readouterr()
        assert "\\x1b]0;title\\x07" in out + err
        assert "\x1b" not in out + err


def test_the_page_is_written_over_nothing_that_is_read(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    np.save("a.npy", GRAY)
    np.save("head.npy", np.ones((3, 8, 3, 3), np.float32))
    before = [(tmp_path / name).read_bytes() for name in ("a.npy", "head.npy")]
    for name in ("a.npy", "./head.npy"):
        assert cli.main(["diagnose", "a.npy", "--weights", "head.npy", "--html", name]) == 2
        assert "which is read; accepted: another file" in capsys.readouterr().err
    assert [(tmp_path / name).read_bytes() for name in ("a.npy", "head.npy")] == before


@pytest.mark.skipif(sys.platform == "win32", reason="it has another shell")
@pytest.mark.parametrize("where", ["2>&-", "2>/dev/full"])
def test_complaints_are_no_answers(tmp_path, where):
    """Python prints to stdout what was meant for a stderr that is closed."""
    np.save(tmp_path / "a.npy", GRAY)
    command = f"{shlex.quote(sys.executable)} -m ganchroma.cli diagnose missing.npy a.npy --json {where}"
    ran = subprocess.run(["sh", "-c", command], cwd=tmp_path, stdout=subprocess.PIPE, timeout=60, check=False)
    answer = json.loads(ran.stdout)
    assert (ran.returncode, len(answer["cases"]), len(answer["errors"])) == (2, 1, 1)


@pytest.mark.parametrize(
    ("arguments", "status", "written"),
    [
        ("info", 0, []),
        ("diagnose a.npy a.npy --html page.html", 0, ["page.html"]),
        ("diagnose a.npy missing.npy a.npy --html page.html", 2, ["page.html"]),
        ("diagnose missing.npy a.npy --json --html page.html", 2, ["page.html"]),
        ("scan a.npy --workers 1 --records rows.csv", 0, ["rows.csv"]),
        ("scan empty.npy --workers 1", 2, []),
    ],
)
def test_a_reader_who_leaves_changes_nothing_else(tmp_path, monkeypatch, capsys, arguments, status, written):
    """As `head` and `less` do; nothing of it is left that Python could complain of at exit."""
    monkeypatch.chdir(tmp_path)
    np.save("a.npy", GRAY)
    (tmp_path / "empty.npy").touch()
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w", encoding="utf-8") as left:
        monkeypatch.setattr(sys, "stdout", left)
        assert cli.main(arguments.split()) == status
    assert capsys.readouterr().err.count("\n") == arguments.count("missing")
    assert all((tmp_path / name).is_file() for name in written)
    if "page.html" in written:
        assert (tmp_path / "page.html").read_text(encoding="utf-8").count("<section") == 1 + arguments.count(".npy")


class Left:
    """A stderr that nobody reads any more."""

    def write(self, text=""):
        raise BrokenPipeError

    flush = write


@pytest.mark.parametrize("stderr", [Left(), None])
def test_a_bar_that_cannot_be_shown_holds_nothing_up(monkeypatch, stderr):
    monkeypatch.setattr(sys, "stderr", stderr)
    bar = counter("scan", "picture", shown=True, total=3)
    bar.start_t = bar.last_print_t = 0  # long ago, so that it appears
    bar.update(3)
    bar.close()
