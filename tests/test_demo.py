"""The demo: every case has the cause it was made with, and the numbers that were measured elsewhere."""

import json
from pathlib import Path

import numpy as np
import pytest

from ganchroma import cli
from ganchroma.demo import cases

pytest.importorskip("skimage")
pytest.importorskip("matplotlib")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("demo") / "made" / "here"


@pytest.fixture(scope="module")
def report(folder):
    return cases.run(0, out=folder, shown=False)


@pytest.fixture(scope="module")
def found(report):
    return {case["name"]: case for case in report["cases"]}


def stage(case, name):
    return next(stage for stage in case["stages"] if stage["name"] == name)


def causes(case):
    return [cause["name"] for cause in case["causes"]]


def test_three_files_are_written(report, folder):
    assert sorted(path.name for path in folder.iterdir()) == ["report.html", "report.json", "sheet.png"]
    assert json.loads((folder / "report.json").read_text()) == report
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert all(f">{name}</a>" in page for name in cases.CASES)
    assert (folder / "sheet.png").read_bytes().startswith(b"\x89PNG")


def test_report_holds_the_agreed_cases(report):
    assert report["seed"] == 0
    assert report["version"]
    article = "1-ones 1-copied 2-default 2-xavier 2-kaiming 3-spectral-norm-legacy 3-spectral-norm-parametrization"
    names = ["dcgan", "dcgan-eval", "dcgan-sigmoid", *(f"article-{name}" for name in article.split())]
    assert [case["name"] for case in report["cases"]] == [*names, "rank-one", "one-channel", "reshaped", "photos"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("dcgan", ["healthy"]),
        ("dcgan-eval", ["batchnorm_eval"]),
        ("dcgan-sigmoid", ["healthy"]),
        ("article-1-copied", ["identical_filters"]),
        ("article-2-default", ["healthy"]),
        ("article-2-xavier", ["healthy"]),
        ("article-2-kaiming", ["healthy"]),
        ("article-3-spectral-norm-legacy", ["healthy"]),
        ("article-3-spectral-norm-parametrization", ["healthy"]),
        ("rank-one", ["feature_collapse"]),
        ("one-channel", ["display_channel"]),
        ("reshaped", ["layout_reshape"]),
        ("photos", ["healthy"]),
    ],
)
def test_every_case_has_its_cause(found, name, expected):
    assert causes(found[name]) == expected


def test_ones_saturate_and_are_equal(found):
    case = found["article-1-ones"]
    assert {"saturation", "identical_filters"} <= set(causes(case))
    assert min(stage(case, "activation")["mean"]) > 0.99  # white, not gray


def test_untrained_dcgan_is_more_colourful_than_photographs(found):
    # The range of PyTorch's own generator over seeds; photographs have .90.
    assert 0.28 <= stage(found["dcgan"], "activation")["achromatic_share"] <= 0.42
    assert 15 < found["dcgan"]["display"]["std_levels"] < 40


def test_evaluation_mode_is_invisible_and_training_mode_brings_it_back(found):
    case = found["dcgan-eval"]
    assert case["display"]["std_levels"] < 1
    assert case["after"]["std_levels"] == pytest.approx(found["dcgan"]["display"]["std_levels"], rel=1e-5)


def test_sigmoid_halves_the_chroma(found):
    ratio = found["dcgan-sigmoid"]["display"]["chroma"] / found["dcgan"]["display"]["chroma"]
    assert 0.45 < ratio < 0.6
    shares = [stage(found[name], "activation")["achromatic_share"] for name in ("dcgan", "dcgan-sigmoid")]
    assert shares[0] == pytest.approx(shares[1], abs=0.01)  # a squeeze in amplitude, not in colour


def test_copied_filters_are_exactly_gray(found):
    linear = stage(found["article-1-copied"], "linear")
    assert linear["achromatic_share"] == pytest.approx(1, abs=1e-6)
    assert found["article-1-copied"]["display"]["gray_pixel_share"] == 1


@pytest.mark.parametrize("flavor", ["legacy", "parametrization"])
def test_spectral_norm_does_not_move_the_mix_of_colours(found, flavor):
    before, after = (stage(found[f"article-{name}"], "linear") for name in ("2-default", f"3-spectral-norm-{flavor}"))
    assert after["achromatic_share"] == pytest.approx(before["achromatic_share"], abs=5e-4)
    np.testing.assert_allclose(after["correlation"], before["correlation"], atol=5e-4)
    assert after["std_levels"] != pytest.approx(before["std_levels"], rel=0.01)


def test_remedies_reach_the_healthy_band(found):
    for name in ("dcgan-eval", "article-1-ones", "article-1-copied", "one-channel", "reshaped"):
        assert found[name]["remedies"]
        assert found[name]["after"]["badness"] < 0.05


def test_the_same_seed_gives_the_same_case():
    one, two = (cases.dcgan(cases.Setting(3)).to_dict() for _ in range(2))
    assert one == two
    assert cases.dcgan(cases.Setting(4)).to_dict() != one


def test_table_has_a_line_for_each_case(report):
    title, *lines = cases.table(report).splitlines()
    assert title.strip() == "achromatic share"
    assert [line.split()[0] for line in lines] == ["case", *cases.CASES]
    assert max(map(len, lines)) <= 100


def test_table_tells_the_share_before_the_activation_from_that_on_display(report, found):
    title, head, *lines = cases.table(report).splitlines()
    assert head.split() == ["case", "std", "linear", "display", "chroma", "causes"]
    assert title.index("achromatic share") == head.index("  linear display")
    for line in lines:
        name, _, *shares = line.split()[:4]
        measured = {stage["name"]: stage.get("achromatic_share") for stage in found[name]["stages"]}
        told = [measured.get(place) for place in ("linear", "display")]
        assert shares == ["-" if share is None else f"{share:.3f}" for share in told]


def test_a_file_is_no_folder(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert cli.main(["demo", "--out", str(tmp_path / "file")]) == 2
    assert capsys.readouterr().err == f"ganchroma: {tmp_path / 'file'}: is not a folder\n"
    with pytest.raises(TypeError, match="out must be a string or a path, got 1"):
        cases.run(0, out=1)


def test_command_line(monkeypatch, report, tmp_path, capsys):
    asked = []
    monkeypatch.setattr(cases, "run", lambda seed, out: asked.append((seed, out)) or report)
    assert cli.main(["demo", "--seed", "5", "--out", str(tmp_path)]) == 0
    assert "article-1-copied" in capsys.readouterr().out
    assert cli.main(["demo", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == report
    assert [seed for seed, _ in asked] == [5, 0]
    assert str(asked[1][1]) == "ganchroma-demo"


def test_without_scikit_image_the_cases_say_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "skimage", None)
    monkeypatch.setattr(cases, "CASES", {name: cases.CASES[name] for name in ("reshaped", "photos")})
    report = cases.run(0, shown=False)
    for case in report["cases"]:
        assert 'pip install "ganchroma[demo]"' in case["answer"]
        assert case["causes"] == []
    assert "ganchroma[demo]" in cases.table(report)


def test_the_readme_tells_the_numbers_of_this_demo(found):
    def share(name, place, digits=3):
        return f"{stage(found[name], place)['achromatic_share']:.{digits}f}".removeprefix("0")

    seen = {name: case["display"] for name, case in found.items()}
    article = [share(f"article-2-{kind}", "linear", 2) for kind in ("default", "xavier", "kaiming")]
    before, after = "article-2-default", "article-3-spectral-norm-legacy"
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    for words in (
        f"share on the display is {share('dcgan', 'display', 2)}, photographs have {share('photos', 'display', 2)}",
        f"{seen['dcgan-eval']['std_levels']:.1f} of 255 levels, in training mode {seen['dcgan']['std_levels']:.0f}",
        f"(std {seen['article-1-ones']['std_levels']:.1f} levels)",
        f"gray (linear share {share('article-1-copied', 'linear')})",
        "at the linear stage the default share is {}, Xavier {}, He {}".format(*article),
        f"linear share {share(before, 'linear')} before, {share(after, 'linear')} after",
        f"{share(before, 'display')} and {share(after, 'display')} on the display",
        f"chroma {seen['dcgan-sigmoid']['chroma']:.1f} for {seen['dcgan']['chroma']:.1f}",
    ):
        assert words in readme
