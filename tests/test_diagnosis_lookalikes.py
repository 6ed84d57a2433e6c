"""What resembles a fault and is none, and what hides behind a picture that looks sound."""

import json

import numpy as np
import pytest
from diagnosis_cases import names, photographs, relu_features, smooth_noise, solve, sound_layer

import ganchroma as gch
from ganchroma.color import quantize


def circle(size, radius=0.4):
    y, x = np.mgrid[:size, :size] / size - 0.5
    return np.hypot(x, y) < radius


def natural(**options):
    """A head as trained ones are, with natural colours, and its features."""
    features = relu_features(channels=32)
    layer = gch.OutputLayer(gch.init.kaiming_uniform((3, 32, 3, 3), a=5**0.5, rng=2), padding=1, activation="tanh")
    return gch.calibrate(layer, features, **options), features


def on_background(level):
    """The same head with features that make a background of one end of the range around a subject."""
    layer, features = natural()
    inside = circle(32)
    push = np.linalg.pinv(layer.filters.sum(axis=(2, 3))) @ np.full(3, 4.0 * level)  # the least that makes an end of it
    return layer, np.where(inside, features, features + push[:, None, None].astype(np.float32))


# -- sound, and called sound ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", [-1, 1])
def test_natural_filters_are_no_fault_whatever_lies_behind_the_subject(level):
    """Filters as alike as natural colour asks for, and half of the picture at an end of the range."""
    layer, features = on_background(level)
    image = layer(features)
    assert np.mean(np.abs(image) > 0.98) > 0.3
    assert names(solve(layer=layer, features=features)) == ["healthy"]
    assert names(solve(quantize(image, value_range=(-1, 1)), layer=layer, features=features)) == ["healthy"]


@pytest.mark.parametrize("background", [0, 255])
def test_pictures_on_black_or_white_are_judged_by_their_subject(background):
    canvas = np.where(circle(48), photographs(), background).astype(np.uint8)
    assert names(solve(canvas)) == ["healthy"]
    small = np.where(circle(48, 0.2), photographs(), background).astype(np.uint8)
    assert "healthy" in names(solve(small), "possible") + names(solve(small))


def test_values_that_overshoot_a_range_are_cut_off_and_no_other_range():
    image = photographs().astype(np.float32) / 255
    sharp = image + 0.25 * (image - image.mean(axis=(2, 3), keepdims=True))
    found = solve(sharp, value_range=(0, 1))
    assert names(found) == ["healthy"]
    assert any("of the values lie outside the stated range [0, 1]" in note for note in found.notes)
    assert names(solve(2 * image - 1, value_range=(0, 1))) == ["range_mismatch"]
    assert names(solve(255 * image, value_range=(-1, 1))) == ["range_mismatch"]
    layer, features = natural()
    unbounded = layer.replace(activation="linear", output_scale=layer.output_scale * 1.4)(features)
    assert np.mean(np.abs(unbounded) > 1) > 0.1
    assert "range_mismatch" not in [finding.name for finding in solve(unbounded, value_range=(-1, 1)).findings]


def test_pale_pictures_may_be_sound():
    image = photographs().astype(np.float32) / 255
    pale = 0.55 + 0.45 * image
    for given, value_range in ((quantize(pale, value_range=(0, 1)), None), (2 * pale - 1, (-1, 1))):
        found = solve(given, value_range=value_range)
        assert names(found) == []
        assert names(found, "possible") == ["range_wash", "healthy"]


def test_a_dark_head_has_no_gray_data():
    layer, features = natural()
    dark = layer.replace(output_scale=layer.output_scale * 0.3, bias=np.full(3, -1.0, np.float32))
    assert "gray_data" not in [finding.name for finding in solve(layer=dark, features=features).findings]


@pytest.mark.parametrize(("count", "size"), [(1, 1), (4, 1), (1, 2)])
def test_a_few_places_are_no_collapse(count, size):
    features = np.abs(np.random.default_rng(1).normal(size=(count, 24, size, size))).astype(np.float32)
    layer = gch.OutputLayer(gch.init.normal((24, 3, 4, 4), std=0.2, rng=0), transposed=True, activation="tanh")
    assert "feature_collapse" not in names(solve(layer=layer, features=features))


def test_a_loud_channel_that_the_head_hardly_reads_is_no_collapse():
    features, layer = relu_features(), sound_layer()
    loud, weight = features.copy(), layer.weight.copy()
    loud[:, 3] *= 30
    weight[:, 3] /= 30
    assert names(solve(layer=layer.replace(weight=weight), features=loud)) == ["healthy"]
    scale = np.ones(24, np.float32)
    scale[3] = 1 / 30
    assert names(solve(layer=layer.replace(channel_scale=scale), features=loud)) == ["healthy"]


# -- broken, and not called sound -----------------------------------------------------------------------------------


def test_a_scale_that_leaves_one_channel_is_a_collapse():
    features = smooth_noise((8, 24, 32, 32))
    layer = gch.OutputLayer(gch.init.normal((3, 24, 1, 1), std=0.2, rng=0), activation="tanh")
    assert names(solve(layer=layer, features=features)) == ["healthy"]
    scale = np.full(24, 0.01, np.float32)
    scale[5] = 4
    assert "feature_collapse" in names(solve(layer=layer.replace(channel_scale=scale), features=features))


@pytest.mark.parametrize("factors", [(1, -0.6, 0.25), (1, -1, 1), (1, 0.6, 0.25)])
def test_multiples_of_one_filter_make_one_tint_whatever_their_sign(factors):
    layer = sound_layer()
    weight = layer.weight[:1] * np.array(factors, np.float32)[:, None, None, None]
    found = solve(layer=layer.replace(weight=weight), features=relu_features())
    assert names(found) == ["monochrome_tint"]
    assert found.remedies == ["monochrome_tint"]


def test_a_head_is_judged_although_its_pictures_were_resized():
    layer, features = sound_layer(gain=50), relu_features()
    shown = quantize(layer(features), value_range=(-1, 1))
    larger = shown.repeat(2, axis=2).repeat(2, axis=3)
    found = solve(larger, layer=layer, features=features)
    assert names(found)[0] in ("gain", "saturation")
    assert "layer and features by themselves" in found.findings[0].reason
    sound = quantize(sound_layer()(features), value_range=(-1, 1)).repeat(2, axis=2).repeat(2, axis=3)
    judged = solve(sound, layer=sound_layer(), features=features)
    assert names(judged, "possible") == ["healthy"]  # what lies between is not known
    with pytest.raises(ValueError, match="do not follow from layer and features: leave images= out"):
        gch.diagnose(larger, layer=layer, features=features).what_if(gain=2)


@pytest.mark.parametrize("weights", [(0.299, 0.587, 0.114), (0.2125, 0.7154, 0.0721), (1 / 3, 1 / 3, 1 / 3)])
def test_gray_by_any_weights_is_a_display_fault(weights):
    layer, features = sound_layer(gain=4), relu_features()
    levels = 127.5 * (1 + layer(features).astype(np.float64))
    gray = np.rint(np.tensordot(weights, levels, (0, 1))).astype(np.uint8)
    found = solve(np.repeat(gray[:, None], 3, axis=1), layer=layer, features=features)
    assert names(found) == ["display_channel"]


def test_black_pictures_are_dark_first():
    found = solve(np.zeros((4, 3, 32, 32), np.uint8))
    assert found.findings[0].name == "range_dark"
    assert names(found) == []


def test_nothing_but_nan_is_nothing_to_judge():
    found = gch.diagnose(np.full((2, 3, 16, 16), np.nan, np.float32), value_range=(-1, 1))
    assert found.headline == "There is nothing to see: every pixel is NaN or infinite."
    assert [(cause.name, cause.status) for cause in found.causes] == [("not_finite", "found")]
    assert found.lost_at == {}
    assert "not_finite" in found.summary()
    assert "NaN" not in json.dumps(found.to_dict()["causes"][0]["evidence"])
    pytest.importorskip("matplotlib")
    found.plot()


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("given", [True, False])
def test_a_weight_that_is_no_number_is_the_answer(value, given):
    layer, features = sound_layer(), relu_features()
    weight = layer.weight.copy()
    weight[1, 0, 0, 0] = value
    layer = layer.replace(weight=weight, activation="linear")
    pictures = layer(features) if given else None
    found = solve(pictures, layer=layer, features=features, value_range=(-1, 1) if given else None)
    assert names(found) == ["not_finite"]
    assert names(found, "possible") == []
    finding = found.findings[0]
    assert finding.reason.endswith("are NaN or infinite in G")
    assert finding.stage in ("linear", None)  # of all pixels, nowhere
    assert not found.evidence.unrelated


@pytest.mark.parametrize(("name", "words"), [("weight", "weights"), ("bias", "biases")])
def test_a_head_alone_tells_what_is_no_number(name, words):
    layer = sound_layer()
    part = np.full((3,), np.nan, np.float32) if name == "bias" else layer.weight * np.nan
    found = gch.diagnose(layer=layer.replace(**{name: part}))
    assert f"the head's {words} hold NaN or infinite values: look there first" in found.notes
    assert found.headline == "Lost in the head: its weights or biases are NaN or infinite in part."
    assert [(cause.name, cause.status) for cause in found.causes] == [("not_finite", "found")]


@pytest.mark.parametrize(("lost", "answered"), [(0.1, "healthy"), (0.5, "not_finite")])
def test_a_share_of_pixels_that_are_no_numbers(lost, answered):
    pictures = photographs().astype(np.float32) / 255
    pictures[:, :, : int(lost * pictures.shape[2])] = np.nan
    found = gch.diagnose(pictures, value_range=(0, 1))
    assert [cause.name for cause in found.causes] == [answered]
    assert any("pixels with NaN or infinite values were left out" in note for note in found.notes)
    if answered == "not_finite":
        assert found.lost_at == {"display": "found"}
        assert found.causes[0].evidence["nonfinite_share"] == pytest.approx(lost, abs=0.01)


def test_features_that_are_no_numbers_are_lost_before_the_head():
    features = relu_features()
    features[:3] = np.nan
    found = gch.diagnose(layer=sound_layer(), features=features)
    assert [cause.name for cause in found.causes] == ["not_finite"]
    assert found.lost_at == {"features": "found"}


def test_finite_pictures_are_not_from_a_head_that_makes_none():
    layer, features = sound_layer(), relu_features()
    pictures = layer(features)
    features[:4] = np.nan
    found = solve(pictures, layer=layer, features=features, value_range=(-1, 1))
    assert found.evidence.unrelated


def test_a_data_set_that_is_gray_in_part_is_a_remark():
    color = photographs(10, 32)
    mixed = color.copy()
    mixed[:3] = np.rint(mixed[:3].mean(axis=1, keepdims=True)).astype(np.uint8)
    for dataset in (mixed, gch.ChromaStats().update(mixed)):
        found = solve(color, dataset=dataset)
        assert names(found) == ["healthy"]
        assert "30 % of the data set's pictures are gray: what learns from it is drawn towards gray" in found.notes
    assert not any("data set" in note for note in solve(color, dataset=color).notes)


# -- remedies as code -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("activation", ["tanh", "sigmoid"])
def test_the_code_of_a_range_remedy_runs_on_what_is_at_hand(activation):
    layer, features = sound_layer(activation=activation), relu_features()
    low, high = layer.value_range
    network = layer(features)
    mistaken = np.clip(network * 255 / 255, 0, 1) if activation == "tanh" else (network / 255)
    shown = np.rint(255 * mistaken).astype(np.uint8)
    found = solve(shown, layer=layer, features=features)
    code = found.findings[0].code
    assert "- -" not in code
    scope = {"layer": layer, "features": features, "images": shown}
    exec(code, scope)
    np.testing.assert_allclose(scope["shown"], (network - low) / (high - low), atol=1e-6)
