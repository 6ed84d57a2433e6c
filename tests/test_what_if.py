"""What-if answers: the same features, one thing changed, before and after side by side."""

import json

import numpy as np
import pytest
from diagnosis_cases import relu_features, sound_layer

import ganchroma as gch
from ganchroma.color import quantize
from ganchroma.diagnosis import ModuleFacts, Rerun


@pytest.fixture(scope="module")
def found():
    return gch.diagnose(layer=sound_layer(), features=relu_features())


def test_sigmoid_halves_the_contrast_and_leaves_the_hues(found):
    half = found.what_if(activation="sigmoid")
    now, then = (one.trace.display.summary for one in (found, half))
    # sigmoid x = (1 + tanh(x / 2)) / 2: half the contrast where tanh is straight, more where it bends already.
    assert 0.48 < then.within.std_levels / now.within.std_levels < 0.62
    assert then.within.achromatic_share == pytest.approx(now.within.achromatic_share, abs=0.02)
    assert half.before is found
    assert half.change == "sigmoid"
    assert "What if: sigmoid (badness" in half.summary()
    assert json.loads(json.dumps(half.to_dict()))["what_if"] == "sigmoid"
    assert found.to_dict()["what_if"] is None


@pytest.mark.parametrize("activation", ["linear", "relu", ("leaky_relu", 0.2)])
def test_without_bounds_the_network_keeps_the_range_it_has(activation):
    """The range stated is that of the pictures, which what the head makes is scaled to."""
    layer, features = sound_layer(), relu_features()
    made = layer(features)
    given = [(made, (-1, 1)), ((made + 1) / 2, (0, 1)), (quantize(made, value_range=(-1, 1)), None), (None, (0, 255))]
    shown = [
        gch.diagnose(images, layer=layer, features=features, value_range=stated).what_if(activation=activation)
        for images, stated in given
    ]
    expected = quantize(layer.replace(activation=activation)(features), value_range=(-1, 1)).transpose(0, 2, 3, 1)
    for one in shown:
        assert one.trace["activation"].moments.value_range == (-1, 1)
        assert np.array_equal(one.trace.display.pictures, expected)


def test_a_stated_range_of_a_linear_head_comes_back():
    layer, features = sound_layer(gain=0.3, activation="linear", bias=np.full(3, 0.5, np.float32)), relu_features()
    found = gch.diagnose(layer=layer, features=features, value_range=(0, 1))
    bounded = found.what_if(activation="tanh")
    again = bounded.what_if(activation="linear")
    ranges = [one.trace["linear"].moments.value_range for one in (found, bounded, again)]
    assert ranges == [(0, 1), (-1, 1), (0, 1)]


def test_what_is_changed_is_that_and_nothing_else(found):
    weight = gch.init.normal(found.answer.evidence.layer.weight.shape, std=0.1, rng=3)
    other = found.what_if(weight=weight, bias=0.25, gain=2)
    layer = other.answer.evidence.layer
    assert np.array_equal(layer.weight, weight)
    assert (layer.bias == 0.25).all()
    assert layer.output_scale == 2
    assert layer.activation == "tanh"
    same = gch.diagnose(layer=layer, features=relu_features())
    assert np.array_equal(same.trace.display.pictures, other.trace.display.pictures)
    assert other.what_if(bias="none").answer.evidence.layer.bias is None
    assert (found.answer.evidence.layer.weight == sound_layer().weight).all()


def test_the_display_path_stays(found):
    """What one channel shows of another network is one channel."""
    layer, features = sound_layer(), relu_features()
    shown = np.rint(127.5 * (1 + layer(features))).astype(np.uint8)[:, :1]
    drawn = gch.diagnose(shown, layer=layer, features=features)
    assert [cause.name for cause in drawn.causes] == ["display_channel"]
    louder = drawn.what_if(gain=1.5)
    assert (louder.trace.display.pictures == louder.trace.display.pictures[..., :1]).all()
    assert [cause.name for cause in louder.causes] == ["display_channel"]


def test_the_network_is_run_again_where_it_can_be():
    features = relu_features()
    facts = ModuleFacts("eval", untouched=True, rerun=lambda faults: Rerun(features=features))
    quiet = gch.diagnose(layer=sound_layer(), features=features * np.float32(0.01), module=facts)
    assert [cause.name for cause in quiet.causes] == ["batchnorm_eval"]
    trained = quiet.what_if(batchnorm="train")
    assert [cause.name for cause in trained.causes] == ["healthy"]
    assert trained.compared == (quiet.trace, trained.trace)


def test_the_plot_shows_before_and_after(found):
    pytest.importorskip("matplotlib")
    figure = found.what_if(gain=0.01).plot()
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles[0] == "as it is"
    assert any(title.startswith("what if: 0.01 times") for title in titles)
    labels = [text.get_text() for axes in figure.axes if axes.get_legend() for text in axes.get_legend().get_texts()]
    assert labels == ["natural images", "now", "what if"]


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({}, TypeError, "what_if needs a change; accepted: activation, weight"),
        ({"activation": "softmax"}, ValueError, "activation is 'softmax'"),
        (
            {"weight": np.zeros((3, 2, 3, 3), np.float32)},
            ValueError,
            r"weight has shape \(3, 2, 3, 3\); the layer",
        ),
        ({"gain": "loud"}, TypeError, "gain must be a number"),
        ({"bias": "foo"}, TypeError, "bias is .foo.; accepted: numbers of shape"),
        ({"bias": {}}, TypeError, "bias is"),
        ({"bias": False}, TypeError, "bias is False"),
        ({"bias": [1, 2]}, ValueError, "bias has shape"),
        ({"batchnorm": "eval"}, ValueError, "batchnorm is 'eval'; accepted: \"train\""),
        ({"batchnorm": "train"}, ValueError, "can't be run again: use ganchroma.torch.inspect"),
        ({"spectral_norm": "warm"}, ValueError, "can't be run again"),
    ],
)
def test_wrong_changes(found, change, error, words):
    with pytest.raises(error, match=words):
        found.what_if(**change)


def test_pictures_alone_have_no_what_if():
    with pytest.raises(ValueError, match="what_if needs the layer and its features"):
        gch.diagnose(np.zeros((1, 3, 8, 8), np.uint8)).what_if(gain=2)


def test_numbers_of_any_type_become_the_layers_own(found):
    weight = gch.init.normal(found.answer.evidence.layer.weight.shape, std=0.1, rng=3)
    for given in (weight.tolist(), weight.astype(np.float64)):
        layer = found.what_if(weight=given, bias=[0, 0, 0]).answer.evidence.layer
        assert np.array_equal(layer.weight, weight)
        assert layer.bias.dtype == np.float32


def test_what_is_so_already_is_said():
    facts = ModuleFacts("train", rerun=lambda faults: Rerun(features=relu_features()))
    found = gch.diagnose(layer=sound_layer(), features=relu_features(), module=facts)
    with pytest.raises(ValueError, match="batchnorm is 'train', and so it is already"):
        found.what_if(batchnorm="train")
