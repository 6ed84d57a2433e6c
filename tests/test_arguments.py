"""Wrong arguments that are no arrays: each error names the argument, what was given and what is accepted."""

import itertools
import operator
import re

import numpy as np
import pytest
from support import run_python

import ganchroma as gch

PICTURE = np.zeros((1, 3, 4, 4), np.uint8)
LONG = "x" * 10**5
X, WEIGHT = np.zeros((1, 2, 4, 4), np.float32), np.zeros((3, 2, 1, 1), np.float32)
LAB = np.zeros((1, 3, 4, 4))

WORDS = {
    "layout": [
        lambda word: gch.conv2d(X, WEIGHT, layout=word),
        lambda word: gch.conv_transpose2d(X, WEIGHT.swapaxes(0, 1), layout=word),
        lambda word: gch.conv2d_backward(np.zeros((1, 3, 4, 4), np.float32), X, WEIGHT, layout=word),
        lambda word: gch.color.rgb_to_lab(PICTURE, layout=word),
        lambda word: gch.color.rgb_to_hsv(PICTURE, layout=word),
        lambda word: gch.color.colorfulness(PICTURE, layout=word),
        lambda word: gch.color.delta_e2000(LAB, LAB, layout=word),
        lambda word: gch.ChromaStats(layout=word),
        lambda word: gch.diagnose(PICTURE, layout=word),
    ],
    "quantize": [lambda word: gch.ChromaStats(quantize=word)],
    "rule": [lambda word: gch.color.quantize(PICTURE, rule=word)],
    "variant": [lambda word: gch.color.colorfulness(PICTURE, variant=word)],
    "padding_mode": [
        lambda word: gch.conv2d(X, WEIGHT, padding_mode=word),
        lambda word: gch.OutputLayer(WEIGHT, padding_mode=word),
    ],
    "activation": [
        lambda word: gch.conv2d(X, WEIGHT, activation=word),
        lambda word: gch.activate(X, word),
    ],
    "flavor": [lambda word: gch.spectral.SpectralNorm(WEIGHT, flavor=word)],
    "capability": [lambda word: gch.TorchGenerator(0, capability=word)],
    "nonlinearity": [
        gch.init.calculate_gain,
        lambda word: gch.init.kaiming_uniform((3, 3), nonlinearity=word),
        lambda word: gch.init.kaiming_normal((3, 3), nonlinearity=word),
    ],
    "mode": [
        lambda word: gch.init.kaiming_uniform((3, 3), mode=word),
        lambda word: gch.init.kaiming_normal((3, 3), mode=word),
    ],
    "batchnorm": [lambda word: gch.ModuleFacts(word)],
    "needs": [lambda word: gch.conv2d_backward(np.zeros((1, 3, 4, 4), np.float32), X, WEIGHT, needs=[word])],
}
CALLS = [
    pytest.param(name, call, id=f"{name}-{place}") for name, calls in WORDS.items() for place, call in enumerate(calls)
]


@pytest.mark.parametrize(("name", "call"), CALLS)
def test_words_are_checked(name, call):
    with pytest.raises(ValueError, match=rf"^{name} (is|has) 'nonsense'; accepted: ") as wrong:
        call("nonsense")
    assert '"' in str(wrong.value)
    for value in (np.array(["NCHW", "tanh"]), ["paper"], None, 3):
        if name == "needs" or not (name == "activation" and value is None):
            with pytest.raises(TypeError, match=rf"^{name} ") as wrong:
                call(value)
            assert len(str(wrong.value)) < 400


FLAGS = {
    "bias": lambda flag: gch.init.conv_default((3, 2, 1, 1), bias=flag),
    "transposed": lambda flag: gch.init.conv_default((3, 2, 1, 1), transposed=flag),
    "training": lambda flag: gch.spectral.SpectralNorm(WEIGHT + 1).weight(training=flag),
    "linear": lambda flag: gch.OutputLayer(WEIGHT).moments(X, linear=flag),
    "untouched": lambda flag: gch.ModuleFacts(untouched=flag),
}


@pytest.mark.parametrize("name", FLAGS)
def test_flags_are_checked(name):
    for value in ("no", np.zeros(3), 1, None):
        with pytest.raises(TypeError, match=rf"^{name} must be True or False, got "):
            FLAGS[name](value)
    FLAGS[name](np.True_)


def test_a_flag_of_the_layer_is_named():
    with pytest.raises(TypeError, match=r"^transposed must be True or False, got 'abc'"):
        gch.OutputLayer(WEIGHT, transposed="abc")


@pytest.mark.parametrize("shape", [(2**40, 2**40), 2**63, (2**63, 0), (1,) * 65])
def test_shapes_that_no_array_can_have_are_named(shape):
    for make in (gch.init.normal, gch.init.uniform, gch.init.zeros, gch.init.xavier_uniform, gch.init.orthogonal):
        with pytest.raises(ValueError, match=rf"^shape is {re.escape(repr(shape))}, which no array can have: "):
            make(shape)


def test_counts_are_limited():
    for count in (0, 2**63, 2**31):
        with pytest.raises(ValueError, match=rf"^n_power_iterations must lie in 1\.\.1073741824, got {count}$"):
            gch.spectral.SpectralNorm(np.ones((3, 3)), n_power_iterations=count)


def test_moments_are_real_numbers_within_float64():
    with pytest.raises(ValueError, match=r"^mean is beyond the largest float64"):
        gch.ColorMoments(1, [10**400, 0, 0], np.eye(3), (0, 1))
    for value in ([1j, 0, 0], np.zeros(3, np.complex64), ["0", "1", "2"], "abc"):
        with pytest.raises(TypeError, match=r"^mean can't be read as real numbers: "):
            gch.ColorMoments(1, value, np.eye(3), (0, 1))
    with pytest.raises(TypeError, match=r"^covariance can't be read as real numbers: "):
        gch.ColorMoments(1, [0, 0, 0], np.eye(3) * 1j, (0, 1))
    for low in (np.complex64(0), np.array(0j)):
        with pytest.raises(TypeError, match=r"^value_range\[0\] must be a number, got "):
            gch.ColorMoments(1, [0, 0, 0], np.eye(3), (low, 1))


def test_moments_do_not_read_under_a_mask():
    masked = np.ma.masked_array(np.eye(3), np.eye(3) == 0)
    with pytest.raises(TypeError, match=r"^covariance is a masked array"):
        gch.ColorMoments(1, np.zeros(3), masked, (0, 1))
    for records, name in ((np.ma.zeros((2, 11)), "records"), ([np.zeros(11), np.ma.zeros(11)], r"records\[1\]")):
        with pytest.raises(TypeError, match=f"^{name} is a masked array"):
            gch.ColorMoments.from_images_records(records, (0, 1))
    read = type("", (), {"__array__": lambda self, dtype=None, copy=None: masked})()
    with pytest.raises(TypeError, match=r"^covariance .*: numpy\.asanyarray\(covariance\) is a masked array"):
        gch.ColorMoments(1, np.zeros(3), read, (0, 1))


@pytest.mark.parametrize(
    "call",
    [
        lambda: gch.activate(np.zeros(3), LONG),
        lambda: gch.activate(np.zeros(3), (LONG,)),
        lambda: gch.activate(np.zeros(3), ("clamp", LONG, 1)),
        lambda: gch.activate(LONG, "tanh"),
        lambda: gch.OutputLayer(np.ones((3, 2, 3, 3)), output_scale=LONG),
        lambda: gch.OutputLayer(np.ones((3, 2, 3, 3)), value_range=list(range(10**5))),
        lambda: gch.OutputLayer(np.ones((3, 2, 3, 3)), padding_mode=LONG),
        lambda: gch.OutputLayer(np.ones((3, 2, 3, 3)), padding=LONG),
        lambda: gch.OutputLayer(np.ones((3, 2, 3, 3)), stride=range(10**5)),
        lambda: gch.OutputLayer(np.ones((3, 2, 3, 3)), dilation=(LONG, 1)),
        lambda: gch.init.normal(LONG),
        lambda: gch.ColorMoments(LONG, np.zeros(3), np.eye(3), (0, 1)),
    ],
)
def test_long_arguments_are_not_repeated(call):
    with pytest.raises((TypeError, ValueError)) as caught:
        call()
    assert len(str(caught.value)) < 500


def test_a_range_is_not_read_to_its_end():
    numbers = itertools.repeat(0.0, 10**6)
    with pytest.raises(TypeError, match="value_range must be a pair of numbers"):
        gch.ChromaStats(numbers)
    assert operator.length_hint(numbers) == 10**6 - 3


def test_paths_are_no_numbers(tmp_path):
    stats = gch.ChromaStats().update(PICTURE)
    for path in (None, 1, True, 1.5):
        with pytest.raises(TypeError, match=rf"^path must be a string or a path, got {path}$"):
            stats.save(path)
        with pytest.raises(TypeError, match=rf"^path must be a string or a path, got {path}$"):
            gch.ChromaStats.load(path)
    for call in (stats.save, gch.ChromaStats.load):
        with pytest.raises(ValueError, match=r"^path is 'a\\x00b', which has a NUL character; accepted: "):
            call("a\0b")
    for name in (str(tmp_path / "a.npz"), tmp_path / "b.npz", bytes(tmp_path / "c.npz")):
        stats.save(name)
        assert gch.ChromaStats.load(name) == stats


def test_a_number_for_a_path_leaves_the_output_open():
    code = "import ganchroma as gch\ntry: gch.ChromaStats.load(1)\nexcept TypeError: print('still here')"
    assert run_python(code).stdout == "still here\n"
