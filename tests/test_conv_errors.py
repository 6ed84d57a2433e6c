"""Wrong input of every kind to conv2d and conv_transpose2d: the type of the error, and what its message names."""

import numpy as np
import pytest

import ganchroma as gch
from ganchroma._geometry import make_geometry

X = np.ones((2, 5, 8, 9), np.float32)
W = np.ones((3, 5, 3, 3), np.float32)
TALL = np.ones((3, 5, 5, 3), np.float32)
B = np.ones(3, np.float32)

WRONG = [
    (TypeError, "x", {"x": "an image"}),
    (TypeError, "x has dtype int64.*float", {"x": X.astype(np.int64)}),
    (TypeError, "x has dtype uint8.*float", {"x": X.astype(np.uint8)}),
    (TypeError, "x has dtype complex64.*real", {"x": X.astype(np.complex64)}),
    (
        TypeError,
        r"x has dtype float64, weight has float32.*astype\(np\.float32\).*x\.float\(\)",
        {"x": X.astype("f8")},
    ),
    (TypeError, r"x has dtype float32, weight has float64.*x\.double\(\)", {"weight": W.astype("f8"), "bias": None}),
    (TypeError, r"x has dtype float32, weight has float16.*x\.half\(\)", {"weight": W.astype("f2"), "bias": None}),
    (TypeError, "bias has dtype float64", {"bias": B.astype("f8")}),
    (TypeError, "channel_scale has dtype float64", {"channel_scale": np.ones(5)}),
    (ValueError, "x must have 4 dimensions, got 3", {"x": X[0]}),
    (ValueError, "x has shape .*4 channels.* takes 5", {"x": X[:, :4]}),
    (ValueError, "x has shape .*at least 1", {"x": X[:, :, :0]}),
    (ValueError, "weight must have 4 dimensions", {"weight": W[0]}),
    (ValueError, "weight has shape .*at least 1", {"weight": W[:, :, :0]}),
    (ValueError, "weight has shape .*at least 1", {"weight": W[:0]}),
    (ValueError, "bias must have 1 dim", {"bias": B[None]}),
    (ValueError, "bias has shape .*3 filters", {"bias": B[:2]}),
    (ValueError, "channel_scale has shape .*5 input channels", {"channel_scale": B}),
    (ValueError, "channel_scale has shape .*x has 2 images", {"channel_scale": np.ones((3, 5), np.float32)}),
    (ValueError, "channel_scale must have", {"channel_scale": np.ones((1, 2, 5), np.float32)}),
    (TypeError, "stride.*1.0", {"stride": 1.0}),
    (TypeError, "stride.*True", {"stride": True}),
    (TypeError, "stride.*'11'", {"stride": "11"}),
    (TypeError, "stride.*None", {"stride": None}),
    (ValueError, "stride.*0", {"stride": 0}),
    (ValueError, "stride", {"stride": (1, 2, 3)}),
    (ValueError, "stride", {"stride": 2**70}),
    (TypeError, "dilation", {"dilation": (1, 1.5)}),
    (ValueError, "dilation.*-1", {"dilation": -1}),
    (TypeError, "padding", {"padding": 0.5}),
    (TypeError, "padding", {"padding": None}),
    (TypeError, "padding", {"padding": ("a", "b")}),
    (TypeError, "padding", {"padding": ((1, 1), (1, "1"))}),
    (ValueError, "padding.*-1", {"padding": -1}),
    (ValueError, "padding is 'full'.*same", {"padding": "full"}),
    (ValueError, "padding", {"padding": (1, (1, 1))}),
    (ValueError, "padding", {"padding": ((1, 1, 1), (1, 1))}),
    (ValueError, "padding", {"padding": (1, 2, 3, 4)}),
    (TypeError, "output_scale.*'2'", {"output_scale": "2"}),
    (TypeError, "output_scale", {"output_scale": True}),
    (TypeError, "output_scale", {"output_scale": 1j}),
    (ValueError, "output_scale.*nan", {"output_scale": float("nan")}),
    (ValueError, "activation is 'softmax'.*tanh", {"activation": "softmax"}),
    (TypeError, "activation", {"activation": 3}),
    (ValueError, "layout is 'CHW'.*NCHW", {"layout": "CHW"}),
    (TypeError, "layout", {"layout": 1}),
    (ValueError, "x has shape .*NHWC.* channels", {"layout": "NHWC"}),
    (TypeError, "threads", {"threads": 1.5}),
    (ValueError, "threads", {"threads": 0}),
    (TypeError, "out must be a NumPy array", {"out": [1]}),
    (TypeError, "out has dtype", {"out": np.empty((2, 3, 6, 7))}),
    (ValueError, "out has shape", {"out": np.empty((2, 3, 6, 8), np.float32)}),
    (ValueError, "out must be C-cont", {"out": np.empty((2, 3, 7, 6), np.float32).swapaxes(2, 3)}),
    (ValueError, "out overlaps", {"out": X.reshape(-1)[: 2 * 3 * 6 * 7].reshape(2, 3, 6, 7)}),
]


@pytest.mark.parametrize(("kind", "message", "given"), WRONG)
def test_wrong_input(kind, message, given):
    with pytest.raises(kind, match=message):
        gch.conv2d(**{"x": X, "weight": W, "bias": B, **given})


WRONG_CONV = [
    (ValueError, "kernel reaches over 11", {"dilation": 5}),
    (ValueError, "padding_mode is 'constant'.*reflect", {"padding_mode": "constant"}),
    (TypeError, "padding_mode", {"padding_mode": None}),
    (ValueError, r"padding.*reflect.*less than 8", {"padding": 8, "padding_mode": "reflect"}),
    (ValueError, r"padding.*circular.*at most 8", {"padding": 9, "padding_mode": "circular"}),
    (ValueError, r"same.*padding=\(\(1, 1\), \(1, 1\)\)", {"padding": "same", "stride": 2}),
    (ValueError, "result of shape .*too large", {"padding": 2**30}),
    (ValueError, "stride must lie in 1..1073741824, got 1073741825", {"stride": (1, 2**30 + 1)}),
    (ValueError, "dilation must lie in 1..1073741824, got 1073741825", {"dilation": 2**30 + 1}),
    (ValueError, "padding must lie in 0..1073741824, got 1073741825", {"padding": 2**30 + 1}),
    (ValueError, "padding 'same' comes to .*1073741824", {"padding": "same", "dilation": 2**30, "weight": TALL}),
]
WRONG_TRANSPOSED = [
    (ValueError, "output_padding is .*smaller", {"output_padding": 1}),
    (ValueError, "output_padding is .*smaller", {"output_padding": (1, 2), "stride": 2}),
    (ValueError, "output_padding.*-1", {"output_padding": -1}),
    (TypeError, "output_padding", {"output_padding": 0.0}),
    (ValueError, "padding .*leaves nothing", {"padding": 6}),
    (ValueError, r"same.*padding=\(\(0, 1\), \(0, 1\)\)", {"padding": "same", "stride": 2}),
    (ValueError, r"same.*output_padding=\(1, 1\)", {"padding": "same", "stride": 4}),
    (ValueError, r"weight .*takes 3", {"weight": W}),
]


@pytest.mark.parametrize(("kind", "message", "given"), WRONG_CONV)
def test_wrong_geometry(kind, message, given):
    with pytest.raises(kind, match=message):
        gch.conv2d(X, **{"weight": W, **given})


@pytest.mark.parametrize(("kind", "message", "given"), WRONG_TRANSPOSED)
def test_wrong_transposed_geometry(kind, message, given):
    with pytest.raises(kind, match=message):
        gch.conv_transpose2d(**{"x": X, "weight": W.swapaxes(0, 1), **given})


def test_sizes_beyond_the_limit_are_named():
    """Without the arrays: they would take gigabytes."""
    plain = (1, 0, 0, "zeros", 1)
    for transposed in (False, True):
        with pytest.raises(ValueError, match="x has width 1073741825"):
            make_geometry(transposed, (3, 3), *plain).output_size((8, 2**30 + 1))
        with pytest.raises(ValueError, match=r"weight has a kernel of \(1073741825, 1\)"):
            make_geometry(transposed, (2**30 + 1, 1), *plain)


def test_explicit_numbers_for_same_with_a_stride_are_right():
    turned = W.swapaxes(0, 1)
    assert gch.conv2d(X, W, stride=2, padding=((1, 1), (1, 1))).shape[2:] == (4, 5)
    assert gch.conv_transpose2d(X, turned, stride=2, padding=((0, 1), (0, 1))).shape[2:] == (16, 18)
    assert gch.conv_transpose2d(X, turned, stride=4, output_padding=1).shape[2:] == (32, 36)


def test_read_only_out():
    out = np.empty((2, 3, 6, 7), np.float32)
    out.setflags(write=False)
    with pytest.raises(ValueError, match="out is read-only"):
        gch.conv2d(X, W, out=out)
