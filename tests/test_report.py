"""What people see of a diagnosis: text, dictionary, page, picture. The page must stand alone and trust no name."""

import base64
import io
import json
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

import ganchroma as gch
from ganchroma.diagnosis import Diagnosis, pictures, plots, words
from ganchroma.diagnosis.report import Book, json_safe

VOID = {"img", "meta", "br"}


@pytest.fixture(scope="module")
def features():
    return np.random.default_rng(0).standard_normal((4, 8, 16, 16)).astype(np.float32)


@pytest.fixture(scope="module")
def gray(features):
    """Three equal filters: gray, with a remedy that can be tried."""
    weight = np.repeat(np.random.default_rng(1).standard_normal((1, 8, 1, 1)) * 0.1, 3, axis=0).astype(np.float32)
    layer = gch.OutputLayer(weight, activation="tanh")
    return gch.diagnose(layer(features), layer=layer, features=features, value_range=(-1, 1))


@pytest.fixture(scope="module")
def flat(features):
    weight = (np.random.default_rng(1).standard_normal((3, 8, 1, 1)) * 1e-3).astype(np.float32)
    layer = gch.OutputLayer(weight, activation="tanh")
    return gch.diagnose(layer(features), layer=layer, features=features, value_range=(-1, 1))


class Page(HTMLParser):
    """Collects what a page holds, and fails where a tag is not closed."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.attributes, self.text = [], [], [], ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


# -- text ---------------------------------------------------------------------------------------------------------


def test_summary_says_where_why_and_what_helps(gray):
    text = gray.summary()
    assert text.splitlines()[1].strip() == words.ANSWERS["identical_filters"]["linear"]
    for wanted in (
        "1. identical_filters",
        "why:",
        "remedy:",
        "gch.init.normal",
        "badness",
        "linear",
        "display",
    ):
        assert wanted in text
    marked = [line for line in text.splitlines() if "<- here" in line]
    assert [line.split()[0] for line in marked] == ["linear"]
    assert str(gray) == text


def test_summary_is_at_most_100_columns_wide(gray, flat):
    long_name = replace(gray, name="folder/" * 30)
    for diagnosis in (gray, flat, long_name):
        assert max(len(line) for line in diagnosis.summary().splitlines() if " " in line.strip()) <= 100


def test_table_lists_every_stage_with_its_numbers(gray):
    lines = {
        line.split()[0]: line.split() for line in gray.summary().splitlines() if line.startswith("  ") and line.strip()
    }
    assert "8 channels" in " ".join(lines["features"])
    activation = gray.trace["activation"].moments
    assert float(lines["activation"][1]) == pytest.approx(activation.std_levels, abs=0.05)  # printed to one decimal
    assert float(lines["activation"][2]) == pytest.approx(1.0, abs=5e-4)
    assert lines["activation"][3:6] == ["1.00", "1.00", "1.00"]


def test_repr_is_one_short_line(gray):
    assert repr(gray) == "<Diagnosis of images: identical_filters>"


def test_headline_names_the_other_causes_too(gray):
    first = gray.causes[0]
    both = replace(gray.answer, findings=[first, replace(first, name="saturation", kind="saturation")])
    assert Diagnosis(both).headline == words.ANSWERS["identical_filters"]["linear"] + " Also: saturation."
    assert Diagnosis(both).lost_at == {"linear": "found", "activation": "found"}


def test_possible_causes_are_never_stated_as_found():
    plane = np.random.default_rng(0).integers(0, 256, (2, 1, 16, 16), dtype=np.uint8)
    diagnosis = gch.diagnose(plane.repeat(3, axis=1))
    assert all(finding.status == "possible" for finding in diagnosis.causes)
    assert diagnosis.headline.startswith("The picture is gray")
    assert "gray_data" in diagnosis.headline
    assert "[possible, 48 %]" in diagnosis.summary()
    assert "To settle it:" in diagnosis.summary()
    assert set(diagnosis.lost_at.values()) == {"possible"}


def test_without_a_picture_it_says_so():
    weight = np.random.default_rng(0).standard_normal((3, 8, 1, 1)).astype(np.float32)
    diagnosis = gch.diagnose(layer=gch.OutputLayer(weight))
    assert diagnosis.panels is None
    assert diagnosis.headline == "No known fault shows in what was given."
    assert diagnosis.to_dict()["display"] is None
    assert "<img" not in diagnosis._repr_html_().split("reference")[0]
    diagnosis.plot()


def test_every_kind_has_an_answer_at_a_known_stage():
    kinds = "healthy flat_amplitude identical_filters saturation feature_collapse layout_reshape display_channel"
    assert set(words.ANSWERS) == {*kinds.split(), "dead_filter", "range_mismatch", "gray_data", "not_finite"}
    assert {stage for stages in words.ANSWERS.values() for stage in stages} - {""} <= set(words.STAGES)


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (float("nan"), "-"), (float("inf"), "-"), (-0.001, "0.00"), (1.005, "1.00"), (3, "3.00")],
)
def test_numbers_for_reading(value, text):
    assert words.number(value) == text


# -- dictionary ---------------------------------------------------------------------------------------------------


def test_dictionary_has_the_agreed_keys_and_is_strict_json(gray):
    entry = gray.to_dict()
    assert json.loads(json.dumps(entry, allow_nan=False)) == entry
    assert {"name", "stages", "display", "causes", "remedies", "notes"} <= set(entry)
    stages = {stage["name"]: stage for stage in entry["stages"]}
    assert list(stages) == ["features", "linear", "activation", "display", "reference"]
    assert {"channels", "energy", "mean_share", "participation_ratio"} <= set(stages["features"])
    measured = [
        "count",
        "mean",
        "std",
        "covariance",
        "achromatic_share",
        "correlation",
        "effective_rank",
        "gray_angle_degrees",
    ]
    for name in ("linear", "activation", "display", "reference"):
        assert set(measured) <= set(stages[name])
    assert {"std_levels", "colorfulness", "chroma", "gray_pixel_share", "badness"} <= set(entry["display"])
    for cause in entry["causes"]:
        assert {"name", "kind", "evidence", "remedy", "badness_after", "status", "reason", "code"} <= set(cause)
    assert entry["remedies"] == ["identical_filters"]
    assert entry["causes"][0]["badness_after"] < 0.05 < entry["display"]["badness"]
    assert entry["after"]["badness"] < 0.05


def test_constant_pictures_give_null_not_nan():
    entry = gch.diagnose(np.full((2, 3, 8, 8), 255, np.uint8)).to_dict()
    text = json.dumps(entry, allow_nan=False)
    display = next(stage for stage in entry["stages"] if stage["name"] == "display")
    assert display["achromatic_share"] is None
    assert display["correlation"] == [None] * 3
    assert "null" in text


def test_pictures_without_a_number_have_no_measures():
    for value in (np.nan, np.inf):
        diagnosis = gch.diagnose(np.full((2, 3, 16, 16), value, np.float32), value_range=(0, 1))
        display = diagnosis.to_dict()["display"]
        assert display["nonfinite"] == display["pixels"] == 512
        measures = "std_levels badness colorfulness colorfulness_variant chroma gray_pixel_share gray_images"
        assert [display[name] for name in (*measures.split(), "near_end_share", "minimum")] == [None] * 9
        assert display["gray_pixel_shares"] == [None] * 3
        assert "on screen: colourfulness M3 -, chroma C*ab -, gray pixels - %, badness -" in diagnosis.summary()
        assert not diagnosis.trace.display.healthy


def test_json_safe_knows_numpy():
    value = {"a": np.float32(0.5), 1: (np.int64(3), np.array([1.0, np.nan])), "b": [float("inf"), True, "x", None]}
    assert json_safe(value) == {"a": 0.5, "1": [3, [1.0, None]], "b": [None, True, "x", None]}


# -- files --------------------------------------------------------------------------------------------------------


def test_save_json_and_html(gray, tmp_path):
    gray.save_json(tmp_path / "a.json")
    gray.save_html(tmp_path / "a.html")
    assert json.loads((tmp_path / "a.json").read_text()) == gray.to_dict()
    assert (tmp_path / "a.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.html", "a.json"]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(gray, tmp_path, monkeypatch):
    target = tmp_path / "a.json"
    target.write_text("old")

    def fail(*_):
        raise OSError("no space")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="no space"):
        gray.save_json(target)
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


# -- page ---------------------------------------------------------------------------------------------------------


def test_page_stands_alone(gray):
    page = Page(gray._repr_html_())
    assert not {"script", "link", "iframe", "object"} & set(page.tags)
    assert all(value.startswith("data:image/png;base64,") for _, name, value in page.attributes if name == "src")
    assert not any(name.startswith("on") or name == "href" for _, name, _ in page.attributes)
    assert "identical_filters" in page.text
    assert "as seen" in page.text
    assert ", means at gray" in page.text
    assert "each channel's mean is moved to mid-gray" in page.text


def test_page_escapes_every_word(gray):
    evil = "<img src=x onerror=alert(1)>&\"'"
    finding = replace(gray.causes[0], name=evil, reason=evil, remedy=evil, code=evil)
    answer = replace(
        gray.answer, findings=[finding], notes=[evil], settle=[evil], remedies=[evil], alternatives=[[evil]]
    )
    diagnosis = Diagnosis(answer, evil, evil)
    book = Book(evil)
    book.add(diagnosis)
    book.add(diagnosis)
    book.add_missing(evil, evil, evil)
    for text in (diagnosis._repr_html_(), _saved(book)):
        page = Page(text)
        assert not any(name == "onerror" for _, name, _ in page.attributes)
        assert evil in page.text


def test_pictures_in_the_page_are_those_on_the_screen(gray):
    from PIL import Image

    sources = re.findall(r'base64,([^"]+)" alt="pictures"', gray._repr_html_())
    assert len(sources) == 4  # before and after, each as seen and with raised contrast
    first = np.asarray(Image.open(io.BytesIO(base64.b64decode(sources[0]))))
    shown = gray.trace.display.pictures
    np.testing.assert_array_equal(first[1:17, 1:17, :3], shown[0])
    np.testing.assert_array_equal(first[1:17, 21:37, :3], shown[1])
    assert np.all(first[1:17, 1:17, 3] == 255)


def test_a_book_lists_its_answers(gray, flat):
    book = Book("two")
    book.add(replace(gray, name="a"))
    book.add(replace(flat, name="b"))
    page = Page(_saved(book))
    anchors = {value for _, name, value in page.attributes if name == "id"}
    links = [value for _, name, value in page.attributes if name == "href"]
    assert {link.removeprefix("#") for link in links} == anchors
    assert len(anchors) == 2
    assert [case["name"] for case in book.to_dict(seed=3)["cases"]] == ["a", "b"]
    assert book.to_dict(seed=3)["version"] == gch.__version__


def _saved(book):
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        book.save_html(Path(folder, "page.html"))
        return Path(folder, "page.html").read_text(encoding="utf-8")


# -- pictures -----------------------------------------------------------------------------------------------------


def test_stretching_shows_faint_colour_and_keeps_gray_gray():
    rng = np.random.default_rng(0)
    faint = 128 + rng.standard_normal((2, 8, 8, 3)) * 0.3
    raised, factor = pictures.stretched(faint)
    assert raised.std() == pytest.approx(pictures.STRETCHED_STD, rel=0.05)  # a few values are clipped
    assert factor == pytest.approx(pictures.STRETCHED_STD / faint.std(), rel=0.02)
    plane = 100 + rng.standard_normal((2, 8, 8, 1)).repeat(3, axis=-1)
    raised, _ = pictures.stretched(plane)
    assert np.all(np.ptp(raised, axis=-1) == 0)


def test_stretching_never_lowers_contrast_nor_draws_rounding():
    loud = np.random.default_rng(0).integers(0, 2, (1, 8, 8, 3)) * 255
    assert pictures.stretched(loud)[1] == 1.0
    assert pictures.raised_label(1.0) == "contrast ×1.0, means at gray"
    nearly_constant = np.full((1, 8, 8, 3), 77.0) + np.random.default_rng(0).standard_normal((1, 8, 8, 3)) * 1e-6
    raised, factor = pictures.stretched(nearly_constant)
    assert np.isnan(factor)
    assert np.all(raised == 77)
    assert pictures.raised_label(factor) == "contrast as it is: nothing varies"


def test_faint_pictures_are_stretched_from_their_values_not_their_bytes(flat):
    assert flat.trace.display.summary.within.std_levels < 1
    assert len(np.unique(flat.panels.stretched)) > 50  # bytes of two or three levels would give as few
    assert flat.panels.after is not None
    assert flat.panels.after.std() > 10


@pytest.mark.parametrize(("count", "side", "shape"), [(1, 5, (7, 7, 4)), (4, 5, (16, 25, 4)), (9, 5, (16, 25, 4))])
def test_montage_size(count, side, shape):
    assert pictures.montage(np.zeros((count, side, side, 3), np.uint8)).shape == shape


def test_montage_thins_large_pictures_by_whole_steps():
    large = np.random.default_rng(0).integers(0, 256, (1, 400, 500, 3), dtype=np.uint8)
    sheet = pictures.montage(large)
    np.testing.assert_array_equal(sheet[1:-1, 1:-1, :3], large[0, ::4, ::4])


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("shape", [(1, 1), (3, 17), (64, 5)])
def test_png_is_read_back_by_pillow(shape, channels):
    from PIL import Image

    image = np.random.default_rng(0).integers(0, 256, (*shape, channels), dtype=np.uint8)
    with Image.open(io.BytesIO(pictures.png(image))) as read:
        np.testing.assert_array_equal(np.asarray(read), image)


def test_swatches_show_a_stage():
    gray = gch.ColorMoments(9, np.zeros(3), np.ones((3, 3)) * 0.1, (-1.0, 1.0))
    colors = pictures.swatches(gray)
    assert np.ptp(colors, axis=-1).max() <= 1  # rounding of the matrix root
    assert colors.std() > 20


@pytest.mark.parametrize(
    ("activation", "bias"), [("tanh", 0), ("sigmoid", 0), (("clamp", 0, 1), 0.5), ("linear", 0.5), ("relu", 0.5)]
)
def test_mid_gray_before_the_activation_is_drawn_as_mid_gray(activation, bias):
    weight = np.zeros((3, 2, 1, 1), np.float32)
    head = gch.OutputLayer(weight, np.full(3, bias, np.float32), activation=activation)
    answer = gch.diagnose(layer=head, features=np.ones((1, 2, 4, 4), np.float32), value_range=(0, 1))
    gray = pictures.data_uri(np.full_like(pictures.swatches(answer.trace["linear"].moments), 128))
    assert answer._repr_html_().count(gray) == 3  # before it, after it and on the screen


# -- figures ------------------------------------------------------------------------------------------------------


def test_plot_is_a_picture_and_draws_where_it_is_told(gray, flat):
    figure = gray.plot()
    assert figure._repr_png_().startswith(b"\x89PNG")
    given = plots.new_figure(4, 3)
    assert flat.plot(given) is given
    assert len(given.axes) == 7
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert "as seen" in titles
    assert any(title.startswith("contrast ×") and title.endswith("means at gray") for title in titles)


@pytest.mark.parametrize("name", ["cost $\\frac$.png", "caf\udce9.png"])  # no formula, and not in UTF-8
def test_every_name_can_be_drawn(gray, tmp_path, name):
    figure = Diagnosis(gray.answer, name).plot()
    assert figure._repr_png_()
    assert figure.get_suptitle().startswith(name.replace("$", r"\$").replace("\udce9", r"\udce9"))
    book = Book(name)
    book.add(Diagnosis(gray.answer, name))
    book.save_sheet(tmp_path / "sheet.png")


def test_plot_leaves_pyplot_alone():
    code = (
        "import sys, numpy as np, ganchroma as gch\n"
        "gch.diagnose(np.random.default_rng(0).integers(0, 256, (1, 3, 8, 8), dtype=np.uint8)).plot()._repr_png_()\n"
        "assert 'matplotlib' in sys.modules and 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_matplotlib_everything_but_the_plot_works(gray, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)
    with pytest.raises(ImportError, match=r'pip install "ganchroma\[report\]"'):
        gray.plot()
    gray.save_html(tmp_path / "a.html")
    assert gray.summary()
    assert gray.to_dict()


def test_sheet_has_a_line_for_each_answer(gray, flat, tmp_path):
    from PIL import Image

    book = Book("sheet")
    for diagnosis in (gray, flat, gray):
        book.add(diagnosis)
    book.save_sheet(tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as picture:
        assert picture.size[0] > 1000
        assert picture.size[1] > 300


def test_a_cause_seen_in_pictures_alone_is_marked_where_it_was_seen():
    faint = np.full((2, 3, 8, 8), 128, np.uint8)
    faint[:, :, ::2] = 129
    diagnosis = gch.diagnose(faint)
    assert diagnosis.causes[0].kind == "flat_amplitude"
    assert diagnosis.lost_at == {"display": "found"}


@pytest.mark.parametrize("evaluated", [True, False])
def test_batchnorm_in_evaluation_mode_is_at_fault_before_the_head(evaluated):
    faint = np.random.default_rng(0).standard_normal((4, 8, 16, 16)).astype(np.float32) * np.float32(0.003)
    layer = gch.OutputLayer(gch.init.kaiming_normal((3, 8, 1, 1), rng=0))
    facts = gch.ModuleFacts("eval", untouched=True) if evaluated else None
    diagnosis = gch.diagnose(layer=layer, features=faint, module=facts)
    assert [finding.kind for finding in diagnosis.causes] == ["flat_amplitude"]
    assert diagnosis.lost_at == {"features" if evaluated else "linear": "found"}
    assert ("hidden layers are not normalised" in diagnosis.headline) == evaluated
    assert diagnosis.headline.startswith("Too faint to see: ")
    marked = next(line for line in diagnosis.summary().splitlines() if line.endswith("<- here"))
    assert marked.split()[0] == ("features" if evaluated else "linear")


def test_raising_the_contrast_of_faint_pictures_makes_no_other_fault():
    faint = np.random.default_rng(0).normal(0, 0.003, (4, 3, 16, 16)).astype(np.float32)
    diagnosis = gch.diagnose(faint, value_range=(-1, 1))
    assert [finding.name for finding in diagnosis.causes] == ["flat_amplitude"]


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((1, 3, 1, 1), np.float32),
        np.random.default_rng(0).random((2, 3, 1, 7)),
        np.full((1, 3, 4, 4), np.nan, np.float32),
        np.where(np.arange(3 * 64).reshape(1, 3, 8, 8) % 7, 0.5, np.inf),
        np.full((2, 3, 4, 4), 1e30, np.float32),
        np.where(np.arange(2).reshape(2, 1, 1, 1), np.random.default_rng(0).random((2, 3, 4, 4)), np.inf),
        np.where(np.arange(2).reshape(2, 1, 1, 1), np.float32(0.5), np.float32(3e38))
        * np.ones((2, 3, 4, 4), np.float32),
        np.where(np.arange(2).reshape(2, 1, 1, 1), 0.5, 1e308) * np.ones((2, 3, 4, 4)),
    ],
    ids=["one pixel", "one row", "all NaN", "infinities", "huge", "one infinite", "one beyond float32", "1e308"],
)
def test_odd_pictures_get_a_whole_report(images):
    diagnosis = gch.diagnose(images, value_range=(0, 1))
    assert diagnosis.causes
    json.dumps(diagnosis.to_dict(), allow_nan=False)
    Page(diagnosis._repr_html_())
    assert diagnosis.summary()
    assert diagnosis.plot()._repr_png_()


def test_tensors_are_diagnosed_as_arrays_are(gray, features):
    torch = pytest.importorskip("torch")
    layer = gray.answer.evidence.layer
    images = torch.from_numpy(layer(features))
    same = gch.OutputLayer(torch.tensor(layer.weight), activation="tanh")
    diagnosis = gch.diagnose(images, layer=same, features=torch.from_numpy(features), value_range=(-1, 1))
    assert diagnosis.to_dict() == gray.to_dict()
