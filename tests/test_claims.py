"""docs/claims.md: the table is what `make claims` printed, and every claim has its line."""

import json
import re
import runpy
import sys
from types import SimpleNamespace

import pytest
from support import ROOT

pytest.importorskip("torch")
pytest.importorskip("sklearn")

DOCUMENT = ROOT / "docs" / "claims.md"


@pytest.fixture(scope="module")
def claims():
    """The names in the script."""
    return SimpleNamespace(**runpy.run_path(str(ROOT / "docs" / "claims")))


@pytest.fixture(scope="module")
def page(claims):
    return claims.page(claims.kept())


NUMBER = r"[-+]?\d[\d,]*(?:\.\d+)?"


def untrained_row(line):
    """A row whose figures are measured anew each time, not read from the measures that are kept."""
    named = re.match(r"\| (H\d+)[, ]", line)
    return bool(named) and named[1] not in ("H10", "H11", "H12", "H15", "H18", "H19")


def agree(line, kept):
    """The same words; the same numbers, signs and all, but for one in the last place: see the test."""
    if re.sub(NUMBER, "#", line) != re.sub(NUMBER, "#", kept):
        return False
    return all(
        abs(float(new.replace(",", "")) - float(old.replace(",", "")))
        <= 1.01 * 10.0 ** -len(old.partition(".")[2]) * (new != old)
        for new, old in zip(re.findall(NUMBER, line), re.findall(NUMBER, kept), strict=True)
    )


def test_the_document_is_what_the_script_writes(page):
    """To the letter where it comes from the measures that are kept.

    The rows on untrained generators are computed here: another processor or NumPy adds in another order, which may
    tip a figure over to the next one in its last place, and no further.
    """
    lines, kept = page.splitlines(), DOCUMENT.read_text().splitlines()
    computed = [untrained_row(line) for line in kept]
    assert sum(computed) == 12
    assert [line for line in lines if not untrained_row(line)] == [
        line for line, anew in zip(kept, computed, strict=True) if not anew
    ]
    for line, other in zip(lines, kept, strict=True):
        assert agree(line, other) if untrained_row(other) else line == other


@pytest.mark.parametrize(
    ("row", "mutated"),
    [("correlation +0.002", "correlation -0.008"), ("share -0.000 +- 0.001", "share +0.008 +- 0.009")],
)
def test_a_changed_sign_or_digit_is_seen(row, mutated):
    (line,) = [line for line in DOCUMENT.read_text().splitlines() if untrained_row(line) and row in line]
    assert agree(line, line)
    assert not agree(line.replace(row, mutated), line)


def test_every_claim_has_a_verdict_and_seeds_enough():
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in DOCUMENT.read_text().splitlines()
        if re.match(r"\| H\d", line)
    ]
    named = [int(number) for row in rows for number in re.findall(r"H(\d+)", row[0])]
    assert named == list(range(1, 20))
    for name, claim, measured, effect, seeds, verdict in rows:
        assert claim, name
        assert re.search(r"\d", measured), name
        assert re.search(r"\d", effect), name
        assert int(seeds) >= 5, name
        assert verdict in ("holds", "partly", "**fails**"), name


def test_one_line_is_printed_by_its_name(claims, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["claims", "H4", "H18"])
    claims.main()
    assert re.findall(r"^\| (H\d+)", capsys.readouterr().out, re.MULTILINE) == ["H4", "H18"]


def test_the_measures_are_of_the_runs_that_the_script_would_make(claims):
    kept = json.loads(claims.MEASURES.read_text())
    assert list(kept) == list(claims.runs.CONFIGS)
    assert all(list(seeds) == [str(seed) for seed in range(claims.runs.SEEDS)] for seeds in kept.values())


def test_a_harm_is_no_support(claims):
    """Spectral norm that makes pictures grayer does not hold in part; one that makes them more colourful does."""
    assert claims.trained.h15(claims.kept()).verdict == "**fails**"
    other = json.loads(claims.MEASURES.read_text())
    for seed, row in other["spectral norm"].items():
        row["share_end"] = other["as loud as spectral norm"][seed]["share_end"] - 0.2
    assert claims.trained.h15(claims.trained.Table(other)).verdict == "partly"


def test_a_grayer_initialiser_does_not_mitigate(claims, monkeypatch):
    untrained = claims.untrained
    monkeypatch.setattr(
        untrained,
        "_initializers",
        lambda layer, seed: dict.fromkeys(("xavier_uniform", "kaiming_uniform"), untrained.equal_filters(layer)),
    )
    assert untrained.h6().verdict == "**fails**"


def test_example_1_fails_if_it_shows_colour(claims, monkeypatch):
    untrained, seen = claims.untrained, claims.untrained.seen
    monkeypatch.setattr(untrained, "seen", lambda images, *rest: seen(images * [[[1]], [[0.2]], [[0.2]]], *rest))
    assert untrained.h5().verdict == "**fails**"


def test_old_runs_are_thrown_away_unless_resumed_by_the_same_code(claims, tmp_path, monkeypatch):
    runs, old = claims.runs, tmp_path / "standard-0" / "state.safetensors"

    def put():
        old.parent.mkdir(exist_ok=True)
        old.touch()

    put()
    with pytest.raises(SystemExit, match="other code"):
        runs.begin(tmp_path, resume=True)
    assert old.exists()
    runs.begin(tmp_path, resume=False)
    assert not old.exists()
    put()
    runs.begin(tmp_path, resume=True)
    assert old.exists()
    monkeypatch.setattr(runs, "code", lambda: "changed")
    with pytest.raises(SystemExit, match="other code"):
        runs.begin(tmp_path, resume=True)


@pytest.mark.slow
def test_a_run_is_reproduced(claims):
    """Its start: on another machine rounding differs, and training amplifies that."""
    from ganchroma.torch.experiments import run

    kept = json.loads(claims.MEASURES.read_text())["identical"]["0"]
    made = run(claims.runs.CONFIGS["identical"], shown=False, steps=20).measures()
    for name in ("share_0", "chroma_start", "cosine_start", "gradient_norm", "prefers_color_start"):
        assert made[name] == pytest.approx(kept[name], rel=0.01, abs=0.005), name
    assert abs(made["colored_at"] - kept["colored_at"]) <= 1
