"""Small layers of plain arguments go a short way: the same bits, and everything else the long one."""

import numpy as np
import pytest

import ganchroma as gch
from ganchroma import _core

X, WEIGHT, OUT = (np.ones(shape, np.float32) for shape in ((1, 2, 5, 6), (3, 2, 3, 3), (1, 3, 5, 6)))
PLAIN = {
    "transposed": False,
    "x": X,
    "weight": WEIGHT,
    "bias": np.ones(3, np.float32),
    "out": OUT,
    "stride": 1,
    "padding": 1,
    "output_padding": 0,
    "dilation": 1,
    "padding_mode": "zeros",
    "activation": "linear",
    "output_scale": 1.0,
    "layout": "NCHW",
}


def short(**changed):
    return _core.conv_plain(*{**PLAIN, **changed}.values())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("activation", ["linear", "tanh", "sigmoid", "relu"])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "dilation"), [(3, 1, 1, 1), (1, 1, 0, 1), (4, 2, 1, 1), (2, 3, 2, 2), (5, 1, 0, 1)]
)
def test_the_same_bits(isa, rng, dtype, activation, bias, kernel, stride, padding, dilation):
    x = rng.standard_normal((2, 5, 7, 9)).astype(dtype)
    offsets = rng.standard_normal(3).astype(dtype) if bias else None
    options = {"stride": stride, "padding": padding, "dilation": dilation, "activation": activation}
    for function, shape in ((gch.conv2d, (3, 5, kernel, kernel)), (gch.conv_transpose2d, (5, 3, kernel, kernel))):
        weight = rng.standard_normal(shape).astype(dtype)
        long = function(x, weight, offsets, **options, output_scale=0.5, threads=1)
        given = function(x, weight, offsets, **options, output_scale=0.5)
        out = np.full_like(long, np.nan)
        assert function(x, weight, offsets, **options, output_scale=0.5, out=out) is out
        assert given.dtype == dtype
        assert given.flags.c_contiguous
        assert np.array_equal(given, long)
        assert np.array_equal(out, long)
    assert short() is OUT
    assert short(out=None).shape == OUT.shape
    assert short(bias=None, out=None) is not None


class Array(np.ndarray):
    """Of a class of its own."""


@pytest.mark.parametrize(
    "changed",
    [
        {"x": X.tolist()},
        {"x": X.view(Array)},
        {"x": X.astype(np.float16)},
        {"x": X.astype(np.float64)},
        {"x": X.astype(np.int32)},
        {"x": X.astype(">f4")},
        {"x": X[0]},
        {"x": X[:0]},
        {"x": X[:, :1]},
        {"x": X[..., ::-1]},
        {"x": X.transpose(0, 1, 3, 2)},
        {"x": np.ones((1, 2, 400, 400), np.float32), "out": None},
        {"x": None},
        {"weight": WEIGHT[0]},
        {"weight": WEIGHT[..., ::2]},
        {"weight": np.ones((3, 2, 9, 9), np.float32)},
        {"bias": np.ones(4, np.float32)},
        {"bias": np.ones(3)},
        {"bias": 1.0},
        {"out": np.ones((1, 3, 5, 5), np.float32)},
        {"out": np.ones((1, 3, 5, 6))},
        {"out": np.ones((1, 3, 5, 12), np.float32)[..., ::2]},
        {"out": "out"},
        {"stride": 0},
        {"stride": True},
        {"stride": (1, 1)},
        {"stride": 10**30},
        {"stride": 1.0},
        {"padding": -1},
        {"padding": "same"},
        {"padding": 30000, "out": None},
        {"dilation": 0},
        {"dilation": np.int64(1)},
        {"output_padding": 1},
        {"padding_mode": "reflect"},
        {"padding_mode": None},
        {"activation": "clamp"},
        {"activation": ("linear",)},
        {"output_scale": 1},
        {"output_scale": float("nan")},
        {"layout": "NHWC"},
    ],
)
def test_everything_else_is_left_to_the_long_way(changed):
    assert short(**changed) is None


def test_out_is_refused_where_it_must_not_be_written():
    memory = np.ones(500, np.float32)
    out = memory[:90].reshape(OUT.shape)
    assert short(out=out, x=memory[90:150].reshape(X.shape)) is out
    assert short(out=out, x=memory[89:149].reshape(X.shape)) is None
    assert short(out=out, weight=memory[60:114].reshape(WEIGHT.shape)) is None
    assert short(out=out, bias=memory[:3]) is None
    out.flags.writeable = False
    assert short(out=out) is None
