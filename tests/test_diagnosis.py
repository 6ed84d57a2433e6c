"""Each cause on a case whose truth is known by construction, alone and together, with much evidence and with little."""

import numpy as np
import pytest
from diagnosis_cases import names, norms, photographs, relu_features, smooth_noise, solve, sound_layer

import ganchroma as gch
from ganchroma.color import quantize
from ganchroma.diagnosis.causes import CAUSES
from ganchroma.diagnosis.display import channels_as_rows, find_path, rows_as_channels
from ganchroma.diagnosis.evidence import ModuleFacts, collect
from ganchroma.diagnosis.trace import measure_features

# -- one cause each, with head and features ---------------------------------------------------------------------


def test_sound_head_is_healthy():
    result = solve(layer=sound_layer(), features=relu_features())
    assert names(result) == ["healthy"]
    assert result.remedies == []
    assert [stage.name for stage in result.trace] == ["features", "linear", "activation", "display", "reference"]


def test_tiny_gain_is_flat_and_a_larger_gain_cures_it():
    result = solve(layer=sound_layer(gain=0.005), features=relu_features())
    assert names(result) == ["flat_amplitude"]
    assert result.remedies == ["flat_amplitude"]
    assert result.trace.display.summary.within.std_levels < 1
    assert result.after.display.healthy


def test_untouched_batchnorm_is_named_and_cured_by_training_mode():
    features = relu_features()
    facts = ModuleFacts("eval", untouched=True, rerun=lambda put_right: features)
    result = solve(layer=sound_layer(), features=features * np.float32(0.004), module=facts)
    assert names(result) == ["batchnorm_eval"]
    assert result.findings[0].kind == "flat_amplitude"
    assert "BatchNorm" in result.findings[0].reason
    assert result.after.display.healthy
    # A fact is a finding even where the display is in order.
    assert names(solve(layer=sound_layer(), features=features, module=facts))[0] == "batchnorm_eval"


@pytest.mark.parametrize("noise", [0.0, 0.01])
def test_equal_filters_are_a_fact(noise):
    layer = sound_layer()
    one = layer.weight[:1]
    rng = np.random.default_rng(3)
    weight = (one + noise * one.std() * rng.normal(size=layer.weight.shape)).astype(np.float32)
    result = solve(layer=layer.replace(weight=weight), features=relu_features())
    assert names(result) == ["identical_filters"]
    assert result.trace["linear"].moments.achromatic_share > 0.999
    assert result.after["linear"].moments.achromatic_share < 0.7
    # The remedy changes directions, not norms, and the code does the same.
    told = {"layer": result.evidence.layer, "gch": gch, "np": np}
    exec(result.findings[0].code, told)
    remedied = next(cause for cause in CAUSES if cause.name == "identical_filters").remedy(result.evidence).layer
    assert told["layer"].weight == pytest.approx(remedied.weight, rel=1e-6)  # norms summed in another precision
    assert norms(remedied) == pytest.approx(norms(result.evidence.layer), rel=1e-6)


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("dead", [[0], [1], [0, 2], [1, 2]])
def test_a_filter_of_zeros_is_dead_and_new_weights_revive_it(dead, transposed):
    weight = gch.init.kaiming_uniform((3, 24, 4, 4), a=5**0.5, rng=1)
    sound = gch.OutputLayer(
        np.ascontiguousarray(weight.swapaxes(0, 1)) if transposed else weight,
        np.array([0.2, -0.1, 0.0], np.float32),
        transposed=transposed,
        stride=2 if transposed else 1,
        padding=1,
    )
    assert names(solve(layer=sound, features=relu_features())) == ["healthy"]
    weight[dead] = 0
    layer = sound.replace(weight=np.ascontiguousarray(weight.swapaxes(0, 1)) if transposed else weight)
    result = solve(layer=layer, features=relu_features())
    assert names(result) == result.remedies == ["dead_filter"]  # and no tint, of which two dead ones leave the look
    finding = result.findings[0]
    assert finding.evidence["dead"] == ["RGB"[one] for one in dead]
    assert result.after.display.healthy
    assert result.trace["linear"].moments.std[dead] == pytest.approx(0, abs=1e-12)
    assert result.after["linear"].moments.std.min() > 0.3 * result.after["linear"].moments.std.max()
    # The living keep their weights, the others get their norm, and the code does the same.
    remedied = next(cause for cause in CAUSES if cause.name == "dead_filter").remedy(result.evidence).layer
    living = [one for one in range(3) if one not in dead]
    assert np.array_equal(remedied.filters[living], layer.filters[living])
    assert norms(remedied)[dead] == pytest.approx(norms(layer)[living].mean(), rel=1e-6)
    told = {"layer": layer, "gch": gch, "np": np}
    exec(finding.code, told)
    assert told["layer"].weight == pytest.approx(remedied.weight, rel=1e-6)  # norms summed in another precision


@pytest.mark.parametrize("how", ["dead channels", "cancelling weights"])
def test_a_filter_that_sees_nothing_vary_is_dead_too(how):
    layer, features = sound_layer(), relu_features()
    zeros = np.zeros_like(layer.weight)
    seen = {"dead channels": zeros[1], "cancelling weights": layer.weight[1]}[how]
    extra = {"dead channels": layer.weight[1], "cancelling weights": -layer.weight[1] / np.float32(3)}[how]
    weight = np.concatenate([layer.weight, zeros], axis=1)
    weight[1] = np.concatenate([seen, extra])
    more = 0 * features if how == "dead channels" else 3 * features
    result = solve(layer=layer.replace(weight=weight), features=np.concatenate([features, more], axis=1))
    assert names(result) == result.remedies == ["dead_filter"]
    assert "never varies" in result.findings[0].reason
    assert result.after.display.healthy


@pytest.mark.parametrize("quiet", [0.01, 0.3])
def test_a_quiet_filter_is_not_dead(quiet):
    layer = sound_layer()
    weight = layer.weight.copy()
    weight[1] *= np.float32(quiet)
    assert names(solve(layer=layer.replace(weight=weight), features=relu_features())) == ["healthy"]


def test_equal_filters_with_different_biases_are_a_tint():
    layer = sound_layer()
    weight = np.repeat(layer.weight[:1], 3, axis=0)
    result = solve(
        layer=layer.replace(weight=weight, bias=np.array([0.4, -0.2, 0.0], np.float32)), features=relu_features()
    )
    assert "identical_filters" in names(result)


def test_large_gain_is_saturation():
    result = solve(layer=sound_layer(gain=60), features=relu_features())
    assert names(result) == ["gain"]
    assert result.findings[0].kind == "saturation"
    assert result.after["activation"].details["near_end_share"] < 0.05


def test_rank_one_features_through_a_1x1_head_are_collapsed():
    pattern = np.maximum(smooth_noise((8, 1, 32, 32)), 0)
    features = pattern * np.abs(np.random.default_rng(2).normal(size=(1, 24, 1, 1))).astype(np.float32)
    weight = gch.init.kaiming_uniform((3, 24, 1, 1), a=5**0.5, rng=1)
    result = solve(layer=gch.OutputLayer(weight), features=features)
    assert names(result)[0] == "feature_collapse"
    assert result.trace["features"].details["participation_ratio"] < 1.1


def test_collapse_remedy_keeps_every_channels_values():
    evidence = collect(layer=sound_layer(), features=relu_features())
    remedied = next(cause for cause in CAUSES if cause.name == "feature_collapse").remedy(evidence)
    for channel in range(24):
        before, after = evidence.features[:, channel], remedied.features[:, channel]
        assert np.array_equal(np.sort(before, axis=None), np.sort(after, axis=None))


# -- display faults, proven by comparing with the network's image -----------------------------------------------

PATHS = {
    "display_channel": lambda levels: levels[:, [1, 1, 1]],
    "layout_reshape": channels_as_rows,
    "range_clip": lambda levels: np.where(levels < 128, 0, 2 * (levels.astype(int) - 128)).astype(np.uint8),
}


@pytest.mark.parametrize("cause", PATHS)
def test_display_fault_is_proven_and_undone(cause):
    layer, features = sound_layer(), relu_features()
    network = quantize(layer(features), value_range=layer.value_range)
    result = solve(PATHS[cause](network), layer=layer, features=features)
    assert names(result) == [cause]
    assert result.remedies == [cause]
    assert result.after.display.healthy
    assert np.array_equal(result.after.display.pictures, network.transpose(0, 2, 3, 1))


def test_faithful_pictures_are_recognised_in_every_form():
    layer, features = sound_layer(), relu_features()
    network = layer(features)
    assert collect(network, layer=layer, features=features, value_range=(-1, 1)).path == ()
    scaled = (network + 1) / 2
    assert collect(scaled, layer=layer, features=features, value_range=(0, 1)).path == ()
    last = quantize(network, value_range=(-1, 1)).transpose(0, 2, 3, 1)
    assert collect(last, layer=layer, features=features, layout="NHWC").path == ()
    swapped = collect(network[:, ::-1], layer=layer, features=features, value_range=(-1, 1))
    assert [step.kind for step in swapped.path] == ["order"]
    assert swapped.path[0].detail.endswith("BGR")


def test_pictures_of_something_else_are_judged_by_themselves():
    result = solve(photographs(8, 32), layer=sound_layer(), features=relu_features())
    assert result.evidence.unrelated
    assert names(result) == []
    assert names(result, "possible") == ["healthy"]
    assert any("do not follow" in note for note in result.notes)


def test_a_path_is_not_claimed_for_noise():
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 256, (2, 2, 3, 16, 16), dtype=np.uint8)
    assert find_path(first, second) is None


def test_reading_the_buffer_both_ways_is_an_inverse():
    picture = photographs(2, 12)
    assert np.array_equal(rows_as_channels(channels_as_rows(picture)), picture)


# -- several faults at once -------------------------------------------------------------------------------------


def test_ones_on_relu_features_need_both_remedies():
    layer = sound_layer()
    result = solve(layer=layer.replace(weight=np.ones_like(layer.weight)), features=relu_features())
    assert set(names(result)) == {"saturation", "identical_filters"}
    assert set(result.remedies) == {"saturation", "identical_filters"}
    assert all(finding.badness_after > 0.05 for finding in result.findings)
    assert result.after.display.healthy


def test_equal_filters_at_a_tiny_gain_need_both_remedies():
    layer = sound_layer(gain=0.003)
    result = solve(layer=layer.replace(weight=np.repeat(layer.weight[:1], 3, axis=0)), features=relu_features())
    assert set(names(result)) == {"flat_amplitude", "identical_filters"}
    assert result.after.display.healthy


def test_one_channel_of_a_saturated_image_needs_both_remedies():
    layer, features = sound_layer(gain=60), relu_features()
    network = quantize(layer(features), value_range=layer.value_range)
    result = solve(network[:, [0, 0, 0]], layer=layer, features=features)
    assert set(names(result)) == {"display_channel", "gain"}
    assert result.after.display.healthy


def test_one_channel_of_a_clipped_image_is_two_steps():
    layer, features = sound_layer(), relu_features()
    network = layer(features)
    shown = np.round(255 * np.clip(network, 0, 1)[:, [2, 2, 2]]).astype(np.uint8)
    result = solve(shown, layer=layer, features=features)
    assert set(names(result)) == {"display_channel", "range_clip"}
    assert np.array_equal(result.after.display.pictures, quantize(network, value_range=(-1, 1)).transpose(0, 2, 3, 1))


def test_one_channel_of_a_flat_image_is_told_from_three():
    layer, features = sound_layer(gain=0.01), relu_features()
    network = quantize(layer(features), value_range=layer.value_range)
    result = solve(network[:, [0, 0, 0]], layer=layer, features=features)
    assert set(names(result)) == {"display_channel", "flat_amplitude"}


def test_a_fault_that_another_hides_is_found_behind_it():
    """BatchNorm in evaluation mode and a gain of 60 cancel on the screen; module facts tell them apart."""
    features = relu_features()
    facts = ModuleFacts("eval", untouched=True, rerun=lambda put_right: features)
    result = solve(layer=sound_layer(gain=60), features=features * np.float32(0.02), module=facts)
    assert [(finding.name, finding.masked) for finding in result.findings] == [
        ("batchnorm_eval", False),
        ("gain", True),
    ]
    assert result.after.display.healthy


def test_a_dead_filter_beside_a_large_gain_needs_both_remedies():
    layer = sound_layer(gain=60)
    weight = layer.weight.copy()
    weight[2] = 0
    result = solve(layer=layer.replace(weight=weight), features=relu_features())
    assert set(names(result)) == set(result.remedies) == {"dead_filter", "gain"}
    assert result.after.display.healthy


# -- contracts --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cause", ["flat", "saturated", "dead", "reshaped", "one channel", "cut off", "pictures alone"])
def test_causes_change_nothing(cause):
    gain = {"flat": 0.005, "saturated": 60}.get(cause, 1)
    layer, features = sound_layer(gain=gain), relu_features()
    if cause == "dead":
        layer = layer.replace(weight=layer.weight * np.array([1, 0, 1], np.float32)[:, None, None, None])
    network = quantize(layer(features), value_range=(-1, 1))
    shown = {
        "reshaped": lambda x: channels_as_rows(x),
        "one channel": lambda x: x[:, [0, 0, 0]],
        "cut off": lambda x: np.where(x < 128, 0, x),
        "pictures alone": lambda x: channels_as_rows(photographs(8, 96)),
    }.get(cause, lambda x: x)(network)
    known = {} if cause == "pictures alone" else {"layer": layer, "features": features}
    evidence = collect(shown, **known)
    arrays = [shown, features, layer.weight]
    before = [array.copy() for array in arrays]
    applied = [cause.remedy(evidence) for cause in CAUSES]
    assert any(result is not None for result in applied)
    for array, copy in zip(arrays, before, strict=True):
        assert np.array_equal(array, copy)


def test_participation_ratio_of_known_spectra():
    rng = np.random.default_rng(0)
    layer = gch.OutputLayer(gch.init.normal((3, 16, 1, 1), rng=0))
    white = rng.normal(size=(8, 16, 32, 32)).astype(np.float32)
    # 2048 samples of 16 equal variances: the estimate's own spread is about 1 %.
    assert measure_features(white, layer)["participation_ratio"] == pytest.approx(16, rel=0.05)
    scaled = white * np.where(np.arange(16) < 4, 1, 0).astype(np.float32)[:, None, None]
    assert measure_features(scaled, layer)["participation_ratio"] == pytest.approx(4, rel=0.05)
    assert measure_features(np.ones_like(white), layer)["participation_ratio"] is None


BAD = [
    (dict(), TypeError, "needs images"),
    (dict(images=np.zeros((2, 3, 4, 4))), ValueError, "value_range is required"),
    (dict(images=np.zeros((2, 4, 4, 3), np.uint8)), ValueError, "NHWC"),
    (dict(images=np.zeros((2, 4, 8, 8), np.uint8)), ValueError, "fourth channel"),
    (dict(images=np.zeros((4, 4), np.uint8)), ValueError, "images must have 3 or 4 dimensions"),
    (dict(images=np.zeros((0, 3, 4, 4), np.uint8)), ValueError, "images is empty"),
    (dict(images=np.zeros((1, 3, 4, 4), np.int64)), TypeError, "images has dtype int64"),
    (dict(images=np.zeros((1, 3, 4, 4)), value_range=(1, 0)), ValueError, "value_range"),
    (dict(images=np.zeros((1, 3, 4, 4)), value_range=3), TypeError, "value_range"),
    (dict(images=np.zeros((1, 3, 4, 4), np.uint8), layout="HWC"), ValueError, "layout"),
    (dict(layer=np.zeros((3, 4, 3, 3))), TypeError, "layer must be an OutputLayer"),
    (dict(images=np.zeros((1, 3, 4, 4), np.uint8), module="eval"), TypeError, "module must be a ModuleFacts"),
    (
        dict(images=np.zeros((1, 3, 8, 8), np.uint8), features=np.zeros((1, 4, 8, 8))),
        TypeError,
        "features were given without layer",
    ),
]


@pytest.mark.parametrize(("arguments", "error", "words"), BAD)
def test_bad_input_is_named(arguments, error, words):
    with pytest.raises(error, match=words):
        collect(**arguments)


def test_module_facts_are_checked():
    with pytest.raises(ValueError, match="batchnorm is 'Eval'"):
        ModuleFacts("Eval")
    with pytest.raises(TypeError, match="rerun must be a function"):
        ModuleFacts("eval", True, 3)
    facts = ModuleFacts("eval", untouched=True, rerun=lambda put_right: np.zeros((2, 5, 8, 8), np.float32))
    with pytest.raises(ValueError, match=r"module.rerun\(\) must be \(N, 24, h, w\)"):
        solve(layer=sound_layer(gain=0.001), features=relu_features(), module=facts)


def test_batches_that_do_not_match_are_refused():
    with pytest.raises(ValueError, match="same batch in the same order"):
        collect(photographs(3, 32), layer=sound_layer(), features=relu_features(2))
    with pytest.raises(ValueError, match=r"features must be \(N, 24, h, w\)"):
        collect(layer=sound_layer(), features=relu_features(channels=8))
    with pytest.raises(ValueError, match="3 output channels"):
        collect(layer=gch.OutputLayer(np.zeros((1, 4, 3, 3), np.float32)))


@pytest.mark.parametrize("bias", [None, np.array([3.0, -2.0, 0.5], np.float32)])
@pytest.mark.parametrize("weight", [1.0, 30.0, 1e-4])
def test_the_code_of_the_remedies_does_what_the_remedies_did(weight, bias):
    """Also together: a gain that suits equal filters is wrong for the independent ones that replace them."""
    layer = gch.OutputLayer(np.full((3, 24, 3, 3), weight, np.float32), bias, padding=1)
    features = relu_features()
    result = solve(layer=layer, features=features)
    assert len(result.remedies) == 2
    for order in (result.findings, result.findings[::-1]):
        names = {"gch": gch, "np": np, "layer": layer}
        for finding in order:
            exec(finding.code, names)
        again = solve(layer=names["layer"], features=features)
        promised, kept = (found["linear"].moments.covariance for found in (result.after, again.trace))
        np.testing.assert_allclose(kept, promised, rtol=2e-3)  # the code prints its gain with four digits
        assert again.trace.display.healthy
