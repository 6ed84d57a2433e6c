"""Initialisers against torch.nn.init: every name, equal where nothing is random, the same law elsewhere."""

import math

import numpy as np
import pytest

from ganchroma import init

torch = pytest.importorskip("torch")

SHAPES = [(3, 128, 3, 3), (64, 3, 4, 4), (6, 4, 5), (4, 6, 3, 3, 3), (5, 7)]


def test_every_name_is_there():
    names = {name.removesuffix("_") for name in dir(torch.nn.init) if name.endswith("_") and not name.startswith("_")}
    assert names <= set(init.__all__)


@pytest.mark.parametrize("shape", SHAPES)
def test_equal_where_nothing_is_random(shape):
    empty = torch.empty(shape)
    assert np.array_equal(init.constant(shape, 0.3), torch.nn.init.constant_(empty, 0.3).numpy())
    assert init.fan_in_and_fan_out(shape) == torch.nn.init._calculate_fan_in_and_fan_out(empty)
    if len(shape) == 2:
        assert np.array_equal(init.eye(shape), torch.nn.init.eye_(empty).numpy())
    else:
        for groups in (1, 2, 3):
            if shape[0] % groups == 0:
                assert np.array_equal(init.dirac(shape, groups), torch.nn.init.dirac_(empty, groups).numpy())


@pytest.mark.parametrize(
    "name", ["linear", "conv1d", "conv_transpose2d", "sigmoid", "tanh", "relu", "leaky_relu", "selu"]
)
def test_gains(name):
    assert init.calculate_gain(name) == torch.nn.init.calculate_gain(name)


CALLS = {
    "uniform": {"a": -0.2, "b": 0.5},
    "normal": {"mean": 0.1, "std": 0.3},
    "trunc_normal": {"mean": 0.1, "std": 0.5, "a": -0.3, "b": 0.9},
    "xavier_uniform": {"gain": 1.7},
    "xavier_normal": {"gain": 1.7},
    "kaiming_uniform": {"a": 0.2, "mode": "fan_out"},
    "kaiming_normal": {"nonlinearity": "relu"},
    "orthogonal": {"gain": 1.2},
}


@pytest.mark.parametrize("name", CALLS)
def test_same_law(name):
    """Quantiles of 200,000 elements: a quantile's standard error is sqrt(p (1-p) / n) over the density, below .005 of
    the law's standard deviation from 5 to 95 %; two samples and four errors make .03."""
    shape = (200, 50, 4, 5)
    ours = getattr(init, name)(shape, **CALLS[name], rng=0)
    torch.manual_seed(0)
    theirs = getattr(torch.nn.init, f"{name}_")(torch.empty(shape), **CALLS[name]).numpy()
    at = np.linspace(0.05, 0.95, 19)
    assert np.abs(np.quantile(ours, at) - np.quantile(theirs, at)).max() < 0.03 * theirs.std()


def test_sparse_has_the_same_number_of_zeros():
    theirs = torch.nn.init.sparse_(torch.empty(10, 6), 0.25).numpy()
    assert np.array_equal((init.sparse((10, 6), 0.25) == 0).sum(axis=0), (theirs == 0).sum(axis=0))


@pytest.mark.parametrize(
    ("module", "transposed"),
    [
        (lambda: torch.nn.Conv2d(128, 3, 3), False),
        (lambda: torch.nn.ConvTranspose2d(64, 3, 4, 2, 1), True),
    ],
)
def test_conv_default(module, transposed):
    torch.manual_seed(0)
    theirs = module()
    weight, bias = init.conv_default(tuple(theirs.weight.shape), transposed=transposed, rng=0)
    assert bias.shape == tuple(theirs.bias.shape)
    # Some three thousand uniform numbers each: the largest is within .3 % of the bound all but certainly.
    assert math.isclose(np.abs(weight).max(), float(theirs.weight.detach().abs().max()), rel_tol=3e-3)


@pytest.mark.parametrize(
    ("name", "shape", "arguments"),
    [
        ("xavier_uniform", (3,), []),
        ("kaiming_normal", (3,), []),
        ("orthogonal", (3,), []),
        ("eye", (3,), []),
        ("dirac", (3, 3), []),
        ("dirac", (3, 3, 3), [2]),
        ("sparse", (3, 3, 3), [0.1]),
        ("kaiming_uniform", (3, 3), [0, "fan"]),
        ("kaiming_uniform", (3, 3), [0, "fan_in", "gelu"]),
    ],
)
def test_what_torch_refuses_is_refused(name, shape, arguments):
    with pytest.raises(ValueError):  # noqa: PT011  the messages are torch's own
        getattr(torch.nn.init, f"{name}_")(torch.empty(shape), *arguments)
    with pytest.raises(ValueError, match=r"shape|groups|mode|nonlinearity"):
        getattr(init, name)(shape, *arguments)
