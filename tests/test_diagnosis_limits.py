"""What must not be claimed: from little evidence, from sound pictures, from values that are no numbers."""

from dataclasses import replace

import numpy as np
import pytest
from diagnosis_cases import names, photographs, relu_features, solve, sound_layer

import ganchroma as gch
from ganchroma.color import quantize
from ganchroma.diagnosis.causes import CAUSES
from ganchroma.diagnosis.display import channels_as_rows, rows_as_channels, some
from ganchroma.diagnosis.engine import answer
from ganchroma.diagnosis.evidence import collect
from ganchroma.diagnosis.signs import better_reading, tones

# -- with little evidence ---------------------------------------------------------------------------------------


def test_a_gray_picture_alone_is_never_explained_with_certainty():
    gray = np.repeat(photographs()[:, :1], 3, axis=1)
    result = solve(gray)
    assert names(result) == []
    assert names(result, "possible") == ["display_channel", "identical_filters", "gray_data"]
    assert any("features=" in text for text in result.settle)


def test_a_gray_picture_with_sound_filters_leaves_two_causes():
    result = solve(np.repeat(photographs()[:, :1], 3, axis=1), layer=sound_layer())
    assert names(result, "possible") == ["display_channel", "gray_data"]


def test_equal_filters_are_a_fact_without_features():
    layer = sound_layer()
    equal = layer.replace(weight=np.repeat(layer.weight[:1], 3, axis=0))
    assert names(solve(layer=equal)) == ["identical_filters"]
    assert names(solve(np.repeat(photographs()[:, :1], 3, axis=1), layer=equal)) == ["identical_filters"]


def dead_layer(*dead):
    layer = sound_layer()
    weight = layer.weight.copy()
    weight[list(dead)] = 0
    return layer.replace(weight=weight)


def test_a_dead_filter_is_a_fact_without_features():
    for dead in ((1,), (0, 2)):
        assert names(solve(layer=dead_layer(*dead))) == ["dead_filter"]
    result = solve(photographs(), layer=dead_layer(1))
    assert names(result) == ["dead_filter"]
    assert "another head made them" in result.findings[0].reason
    filtered = photographs()
    filtered[:, 1] = 128
    result = solve(filtered, layer=dead_layer(1))
    assert names(result) == ["dead_filter"]
    assert "another head" not in result.findings[0].reason
    assert "dead_filter" not in names(solve(filtered, layer=sound_layer()), "possible")


@pytest.mark.parametrize("value", [0, 128, 255])
@pytest.mark.parametrize("planes", [[0], [1, 2]])
def test_constant_planes_alone_are_a_possibility(planes, value):
    """Whatever their number: a plane at an end of the range is neither saturated nor cut off for that."""
    filtered = photographs()
    filtered[:, planes] = value
    for images, known in ((filtered, {}), (filtered.astype(np.float32) / 255, {"value_range": (0, 1)})):
        result = solve(images, **known)
        assert names(result) == []
        assert [name for name in names(result, "possible") if name != "healthy"] == ["dead_filter"]
        assert any("layer=" in text for text in result.settle)


def test_planes_that_vary_are_not_dead():
    filtered = photographs()
    filtered[:, 0] = 128
    filtered[-1, 0] = 129  # another number in one picture
    assert "dead_filter" not in names(solve(filtered), "possible")
    many = np.repeat(filtered[:1], 40, axis=0)
    many[1, 0, 0, 0] = 129  # in none of the pictures that signs are read off
    assert "dead_filter" not in names(solve(many), "possible")
    faint = np.full((4, 3, 32, 32), 128, np.uint8)
    faint[:, 2, ::2] = 129
    assert names(solve(faint)) == ["flat_amplitude"]


def test_constant_features_and_weights_that_are_no_numbers_make_no_filter_dead():
    constant = np.ones_like(relu_features())
    assert names(solve(layer=dead_layer(1), features=constant)) == ["feature_collapse"]
    layer = dead_layer(1)
    weight = layer.weight.copy()
    weight[0, 0, 0, 0] = np.nan
    assert "dead_filter" not in names(solve(layer=layer.replace(weight=weight), features=relu_features()))


def test_gray_data_set_is_a_fact():
    gray = np.repeat(photographs()[:, :1], 3, axis=1)
    assert "gray_data" in names(solve(gray, dataset=gray))
    assert "gray_data" not in names(solve(photographs(), dataset=photographs()))
    assert names(solve(dataset=gray)) == ["gray_data"]


def test_gray_output_of_a_sound_head_is_gray_data():
    """What training on gray data leaves: filters that differ, features that vary, and yet R = G = B."""
    layer = sound_layer()
    features = relu_features()
    twice = np.concatenate([features, features], axis=1)
    extra = gch.init.normal((3, 24, 3, 3), std=0.05, rng=9)
    one = np.repeat(layer.weight[:1], 3, axis=0)
    weight = np.concatenate([one + extra, -extra], axis=1)
    result = solve(layer=gch.OutputLayer(weight, padding=1), features=twice)
    assert names(result) == ["gray_data"]


@pytest.mark.parametrize("reshape", [channels_as_rows, rows_as_channels])
def test_reshaped_pictures_alone_are_a_fact(reshape):
    result = solve(reshape(photographs(2, 96)))
    assert names(result)[0] == "layout_reshape"
    assert np.array_equal(result.after.display.pictures, photographs(2, 96).transpose(0, 2, 3, 1))


def test_flat_and_saturated_show_in_pictures_alone():
    flat = (photographs() * 0.01 + 120).astype(np.uint8)
    assert names(solve(flat)) == ["flat_amplitude"]
    ends = np.where(photographs() > 120, 255, 0).astype(np.uint8)
    result = solve(ends)
    assert names(result) == []  # a logo looks like this too
    assert "saturation" in names(result, "possible")


def test_values_outside_the_stated_range_are_a_fact():
    image = photographs().astype(np.float32) / 127.5 - 1
    result = solve(image, value_range=(0, 1))
    assert names(result) == ["range_mismatch"]
    assert result.findings[0].evidence["fitting_range"] == [-1.0, 1.0]
    assert names(solve(image, value_range=(-1, 1))) == ["healthy"]


def test_two_remedies_that_each_suffice_are_alternatives():
    flat = next(cause for cause in CAUSES if cause.name == "flat_amplitude")
    twin = replace(flat, name="twin")
    result = answer(collect((photographs() * 0.02 + 120).astype(np.uint8)), [flat, twin])
    assert [result.remedies, *result.alternatives] == [["flat_amplitude"], ["twin"]]
    assert names(result) == ["flat_amplitude"]


def test_photographs_are_healthy_each_and_together():
    data = pytest.importorskip("skimage.data")
    for name in ("astronaut", "coffee", "chelsea", "rocket"):
        result = solve(getattr(data, name)(), layout="NHWC")
        assert names(result) == ["healthy"], name
        gray = np.repeat(getattr(data, name)()[..., 1:2], 3, axis=-1)
        assert "gray_data" in names(solve(gray, layout="NHWC"), "possible")


@pytest.mark.parametrize("gain", [1e-3, 0.01, 1])
@pytest.mark.parametrize("noise", [0.05, 0.15])
def test_filters_nearly_alike_count_wherever_the_colour_is_missing(noise, gain):
    layer = sound_layer()
    other = gch.init.normal(layer.weight.shape, std=noise * layer.weight.std(), rng=4)
    weight = (layer.weight[:1] + other) * np.float32(gain)
    result = solve(layer=layer.replace(weight=weight), features=relu_features())
    assert "identical_filters" in names(result)
    assert result.after.display.healthy


# -- many pictures ----------------------------------------------------------------------------------------------


def test_signs_of_many_pictures_are_those_of_sixteen():
    """What the signs cost must not grow with the batch."""
    many = np.random.default_rng(0).permutation(np.repeat(photographs(8, 96), 20, axis=0))
    chosen = some(many)
    assert np.array_equal(chosen, many[::10])
    assert chosen.base is not None  # a view
    assert [len(some(many[:count])) for count in (1, 16, 17, 32, 33)] == [1, 16, 9, 16, 11]
    shown = channels_as_rows(many)
    whole, part = (better_reading(collect(pictures)) for pictures in (shown, some(shown)))
    assert (whole.gain_x, whole.gain_y, whole.repetition) == (part.gain_x, part.gain_y, part.repetition)
    assert np.array_equal(whole.images, many)
    assert tones(collect(many)) == tones(collect(chosen))


@pytest.mark.parametrize("count", [1, 5, 16])
def test_the_dark_end_is_numpys_percentile(count):
    pictures = np.random.default_rng(count).integers(100, 256, (count, 3, 7, 5), dtype=np.uint8)
    tone = tones(collect(pictures))
    lowest, zero, full = tone.lowest, tone.black, tone.white
    assert lowest == pytest.approx(np.percentile(pictures, 0.5), abs=1e-9)
    assert (zero, full) == (0, pytest.approx(np.mean(pictures == 255)))


def test_what_lies_outside_a_range_is_looked_for_in_every_picture():
    many = np.repeat(photographs(8, 24), 5, axis=0).astype(np.float32) / 255
    many[1] *= 255
    assert names(solve(many, value_range=(0, 1))) == ["range_mismatch"]
    many[1] = np.nan
    assert names(solve(many, value_range=(0, 1))) == ["healthy"]


# -- what is no fault, and what hides one -----------------------------------------------------------------------


def test_a_white_background_is_not_called_a_fault_with_certainty():
    for background in (0, 255):
        canvas = np.full((4, 3, 96, 96), background, np.uint8)
        canvas[:, :, 24:72, 24:72] = photographs()
        assert set(names(solve(canvas))) <= {"healthy"}


def test_pictures_read_in_twice_their_range_are_noticed_in_the_band():
    image = photographs().astype(np.float32) / 255
    assert names(solve(image, value_range=(-1, 1))) == ["range_wash"]
    washed = quantize(image, value_range=(-1, 1))  # bytes do not say what they were
    result = solve(washed)
    assert names(result) == []
    assert names(result, "possible") == ["range_wash", "healthy"]


def test_bytes_that_wrapped_around_are_recognised():
    layer, features = sound_layer(), relu_features()
    wrapped = (layer(features) * 255).astype(np.int32).astype(np.uint8)
    result = solve(wrapped, layer=layer, features=features)
    assert names(result) == ["range_wrap"]
    assert "wrapped" in result.findings[0].reason


def test_a_constant_picture_proves_nothing_about_the_display():
    layer, features = sound_layer(), relu_features()
    result = solve(np.full((8, 3, 32, 32), 0.3, np.float32), layer=layer, features=features, value_range=(-1, 1))
    assert result.evidence.unrelated
    assert names(result) == ["flat_amplitude"]


def test_values_that_are_no_numbers_prove_nothing():
    layer, features = sound_layer(), relu_features()
    spoiled = features.copy()
    spoiled[0] = np.nan
    result = solve(layer=layer, features=spoiled)
    assert names(result) == ["healthy"]
    assert any("features hold NaN" in note for note in result.notes)
    for value in (np.nan, np.inf):
        nothing = solve(np.full((2, 3, 16, 16), value, np.float32), value_range=(0, 1))
        assert (names(nothing), names(nothing, "possible")) == (["not_finite"], [])
    weight = layer.weight.copy()
    weight[:, 0, 0, 0] = np.nan
    result = solve(photographs(), layer=layer.replace(weight=weight))
    assert names(result) == ["healthy"]
    assert any("weights hold NaN" in note for note in result.notes)


def test_dead_features_are_collapsed_features():
    for value in (0, 1):
        result = solve(layer=sound_layer(), features=np.full((4, 24, 16, 16), value, np.float32))
        assert names(result)[0] == "feature_collapse"
        assert result.remedies == []  # nothing brings back what is not there


def test_no_set_is_called_sufficient_that_is_not():
    layer = sound_layer()
    result = solve(layer=layer.replace(weight=layer.weight * 0), features=relu_features())
    assert "identical_filters" in names(result)
    assert result.remedies == []
    assert result.after is None


@pytest.mark.parametrize(
    ("scale", "bias", "cause"), [(0.001, (0.9, -0.5, 0.3), "flat_amplitude"), (1, (50, 50, 50), "saturation")]
)
def test_the_code_of_a_remedy_does_what_was_shown(scale, bias, cause):
    features = relu_features()
    layer = sound_layer(gain=scale, bias=np.array(bias, np.float32))
    result = solve(layer=layer, features=features)
    assert names(result) == [cause]
    changed = {"layer": layer, "gch": gch}
    exec(result.findings[0].code, changed)
    told = quantize(changed["layer"](features), value_range=(-1, 1)).transpose(0, 2, 3, 1)
    # The code gives four digits, a tenth of a level at most: rounding may still fall on the other side.
    assert np.abs(told.astype(int) - result.after.display.pictures).max() <= 1


def test_code_for_the_display_decodes_the_heads_own_range():
    layer, features = sound_layer(activation="sigmoid"), relu_features()
    shown = np.clip(127.5 + 127.5 * layer(features), 0, 255).astype(np.uint8)  # [0, 1] shown as [-1, 1]
    result = solve(shown, layer=layer, features=features)
    assert names(result) == ["range_wash"]
    assert result.findings[0].code.endswith("\nshown = made")


def test_a_linear_head_is_read_in_the_stated_range():
    layer, features = sound_layer(gain=0.3, activation="linear", bias=np.full(3, 0.5, np.float32)), relu_features()
    pictures = np.clip(layer(features), 0, 1)
    result = solve(pictures, layer=layer, features=features, value_range=(0, 1))
    assert names(result) == ["healthy"]
    linear, activation = (result.trace[stage].moments for stage in ("linear", "activation"))
    assert linear.value_range == activation.value_range == (0, 1)
    assert linear.std_levels == pytest.approx(activation.std_levels, rel=1e-5)


@pytest.mark.parametrize("activation", ["linear", ("clamp", 0, 1)])
def test_values_far_out_by_their_mean_are_so_in_any_range(activation):
    """About 0 in [0, 1] they are as far from the middle as about -1 in [-1, 1]."""
    layer = sound_layer(gain=0.3, activation=activation, bias=np.full(3, -0.05, np.float32))
    assert names(solve(layer=layer, features=relu_features(), value_range=(0, 1))) == ["saturation"]


def test_the_only_range_that_bytes_have_says_nothing_of_the_network():
    layer, features = sound_layer(activation="linear"), relu_features()
    shown = quantize(layer(features), value_range=(-1, 1))
    for given in (shown, list(shown)):
        result = solve(given, layer=layer, features=features, value_range=(0, 255))
        assert (names(result), result.evidence.path) == (["healthy"], ())
        assert result.trace["activation"].moments.value_range == (-1, 1)


@pytest.mark.parametrize("given", [list, memoryview])
def test_a_data_set_of_bytes_beside_floats_may_be_any_array(given):
    pictures = photographs()
    result = solve(pictures / np.float32(255), dataset=given(pictures), value_range=(0, 1))
    assert result.evidence.reference == solve(pictures, dataset=pictures).evidence.reference


def test_natural_colour_is_no_collapse():
    """Three channels of a photograph as features: few directions, as in every photograph, and nothing lost."""
    features = photographs().astype(np.float32) / 127.5 - 1
    head = gch.OutputLayer(np.eye(3, dtype=np.float32)[:, :, None, None], activation="clamp")
    result = solve(layer=head, features=features)
    assert result.trace["features"].details["participation_ratio"] < 2
    assert names(result) == ["healthy"]


def test_equal_filters_beside_colourful_pictures_are_questioned():
    layer = sound_layer()
    equal = layer.replace(weight=np.repeat(layer.weight[:1], 3, axis=0))
    result = solve(photographs(), layer=equal)
    assert "another head made them" in result.findings[0].reason


def test_gray_data_beside_colourful_pictures_is_a_note():
    gray = np.repeat(photographs()[:, :1], 3, axis=1)
    result = solve(photographs().astype(np.float32) / 255, value_range=(0, 1), dataset=gray)  # bytes beside floats
    assert names(result) == ["healthy"]
    assert any("data set itself is gray" in note for note in result.notes)


def test_an_exactly_gray_picture_proves_nothing_about_its_layout():
    """A ramp agrees with its neighbours better in the other reading, but R, G and B being equal rules that out."""
    ramp = np.rint(np.arange(65536).reshape(256, 256) / 257).astype(np.uint8)
    gray = np.repeat(ramp[np.newaxis], 3, axis=0)
    for picture in (gray, gray.astype(np.float32) / 255):
        result = solve(picture, value_range=None if picture.dtype == np.uint8 else (0, 1))
        assert "layout_reshape" not in names(result)
        assert names(result, "possible") == ["display_channel", "identical_filters", "gray_data"]
    assert names(solve(channels_as_rows(np.repeat(photographs(1, 96)[:, :1], 3, axis=1))))[0] == "layout_reshape"
