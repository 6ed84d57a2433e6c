"""The layer against torch.nn.functional: the same numbers, places of NaN, memory formats, and refusals."""

import numpy as np
import pytest

import ganchroma as gch

torch = pytest.importorskip("torch")
functional = torch.nn.functional

CONV = [
    {},
    {"padding": 1},
    {"padding": (2, 0), "stride": (2, 1)},
    {"padding": "same"},
    {"padding": "same", "dilation": (2, 3)},
    {"padding": "valid", "stride": 3, "dilation": 2},
]
TRANSPOSED = [
    {},
    {"stride": 2, "padding": 1},
    {"stride": 2, "padding": 1, "output_padding": 1},
    {"stride": (3, 1), "padding": (0, 2), "output_padding": (2, 0)},
    {"stride": 2, "dilation": 3, "output_padding": 2, "padding": 2},
]
EVERY = [(False, case) for case in CONV] + [(True, case) for case in TRANSPOSED]


def tensors(transposed, dtype=torch.float64, *, channels=6, kernel=(4, 3), size=(11, 14), images=2):
    generator = torch.Generator().manual_seed(5)
    shape = (channels, 3, *kernel) if transposed else (3, channels, *kernel)
    x, weight, bias = (
        torch.randn(s, generator=generator, dtype=torch.float64) for s in ((images, channels, *size), shape, 3)
    )
    return x.to(dtype), weight.to(dtype), bias.to(dtype)


def both(transposed):
    return (gch.conv_transpose2d, functional.conv_transpose2d) if transposed else (gch.conv2d, functional.conv2d)


@pytest.mark.filterwarnings("ignore:Using padding='same'")  # PyTorch's remark on its own copy
@pytest.mark.parametrize(("transposed", "options"), EVERY)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_same_as_torch(transposed, options, dtype):
    x, weight, bias = tensors(transposed, dtype)
    ours, theirs = both(transposed)
    result, expected = ours(x, weight, bias, **options), theirs(x, weight, bias, **options)
    assert result.shape == tuple(expected.shape)
    # 72 products of normal values: two orders of summation differ by some ten roundings of a sum of size 8.
    tolerance = 80 * torch.finfo(dtype).eps
    np.testing.assert_allclose(result, expected.numpy(), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_padding_modes(mode):
    x, weight, bias = tensors(False)
    padded = functional.pad(x, (3, 5, 1, 2), mode=mode)
    result = gch.conv2d(x, weight, bias, padding=((1, 2), (3, 5)), padding_mode=mode)
    np.testing.assert_allclose(result, functional.conv2d(padded, weight, bias).numpy(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("mode", "most"), [("reflect", 10), ("replicate", 40), ("circular", 11)])
def test_padding_is_refused_where_torch_refuses_it(mode, most):
    x, weight, _ = tensors(False)
    for rows in (most, most + 1):
        try:
            functional.pad(x, (0, 0, rows, 0), mode=mode)
            refused = False
        except RuntimeError:
            refused = True
        assert refused == (rows > most and mode != "replicate")
        options = {"padding": ((rows, 0), (0, 0)), "padding_mode": mode}
        if refused:
            with pytest.raises(ValueError, match=f"padding.*{mode}"):
                gch.conv2d(x, weight, **options)
        else:
            assert gch.conv2d(x, weight, **options).shape[2] == 11 + rows - 3


@pytest.mark.parametrize(
    ("transposed", "options"),
    [
        (False, {"stride": 0}),
        (False, {"padding": -1}),
        (False, {"dilation": 4}),
        (False, {"padding": "same", "stride": 2}),
        (True, {"output_padding": 1}),
        (True, {"output_padding": 2, "stride": 2}),
        (True, {"padding": 9}),
    ],
)
def test_what_torch_refuses_is_refused(transposed, options):
    x, weight, bias = tensors(transposed)
    ours, theirs = both(transposed)
    with pytest.raises((RuntimeError, ValueError)):
        theirs(x, weight, bias, **options)
    with pytest.raises(ValueError, match=next(iter(options)) if "dilation" not in options else "kernel"):
        ours(x, weight, bias, **options)


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "relu", "leaky_relu", "clamp"])
@pytest.mark.parametrize("transposed", [False, True])
def test_nan_and_infinity_lie_where_torch_has_them(transposed, activation):
    x, weight, bias = tensors(transposed, torch.float32, size=(12, 40))
    x[0, 1, 3, 5], x[0, 2, 8, 33], x[1, 0, 2, 20], x[1, 4, 3, 21] = np.nan, np.inf, np.inf, -np.inf
    ours, theirs = both(transposed)
    apply = {"clamp": lambda y: y.clamp(-1, 1), "leaky_relu": functional.leaky_relu}
    expected = apply.get(activation, getattr(torch, activation, None))(theirs(x, weight, bias)).numpy()
    assert np.isnan(expected).any()
    np.testing.assert_allclose(ours(x, weight, bias, activation=activation), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("value", [np.inf, np.nan])
@pytest.mark.parametrize("channels", [2, 19])
def test_nonfinite_weights_make_nan_where_torch_makes_it(transposed, stride, value, channels):
    """Against PyTorch's own loops: its oneDNN leaves the padding of a convolution out, so there 0 inf is no NaN."""
    ours, theirs = both(transposed)
    for tap in ((0, 0), (0, 3), (3, 0), (3, 3)):
        x, weight, bias = tensors(transposed, torch.float32, channels=channels, kernel=(4, 4))
        weight[(0, 0, *tap)] = value
        result = ours(x, weight, bias, stride=stride, padding=1)
        with torch.backends.mkldnn.flags(enabled=False, allow_tf32=None):
            expected = theirs(x, weight, bias, stride=stride, padding=1).numpy()
        np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-4)  # two orders of 304 float32 terms of size 1


@pytest.mark.parametrize("transposed", [False, True])
def test_channels_last_is_answered_in_channels_last(transposed):
    x, weight, bias = tensors(transposed)
    ours, theirs = both(transposed)
    last = x.to(memory_format=torch.channels_last)
    expected = theirs(last, weight, bias, padding=1)
    assert expected.is_contiguous(memory_format=torch.channels_last)
    result = ours(last, weight.to(memory_format=torch.channels_last), bias, padding=1)
    assert torch.from_numpy(result).is_contiguous(memory_format=torch.channels_last)
    np.testing.assert_array_equal(result, ours(x, weight, bias, padding=1))


@pytest.mark.parametrize("transposed", [False, True])
def test_float16(transposed):
    x, weight, bias = tensors(transposed, torch.float16)
    result = both(transposed)[0](x, weight, bias)
    assert result.dtype == np.float16
    exact = both(transposed)[1](x.double(), weight.double(), bias.double()).numpy()
    # One rounding of a result that float32 has to some 1e-6.
    np.testing.assert_allclose(result, exact, rtol=2**-11 * 1.01, atol=2e-5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda x: x.requires_grad_(), r"x .*requires grad; pass x\.detach\(\)"),
        (lambda x: x.bfloat16(), r"x .*bfloat16; pass x\.float\(\)"),
        (lambda x: x.to("meta"), "x .*meta"),
        (lambda x: x.to_sparse(), r"x .*pass x\.to_dense\(\)"),
        (torch._neg_view, r"x .*resolve_neg\(\)"),  # DLPack would hand it over with the wrong sign
        (lambda x: x.long(), r"x has dtype int64.*\.float\(\)"),
        (lambda x: x.float(), r"x has dtype float32, weight has float64.*x\.double\(\)"),
    ],
)
def test_tensors_that_cannot_be_read(make, message):
    x, weight, bias = tensors(False)
    with pytest.raises(TypeError, match=message):
        gch.conv2d(make(x), weight, bias)


@pytest.mark.parametrize(
    ("transposed", "kernel", "channels", "options"),
    [
        (False, (3, 3), 128, {"padding": 1}),
        (False, (7, 7), 64, {"padding": 3}),
        (False, (1, 1), 512, {}),
        (False, (5, 5), 64, {"padding": 2}),
        (True, (4, 4), 64, {"stride": 2, "padding": 1}),
    ],
)
def test_rounding_is_no_worse_than_torchs(transposed, kernel, channels, options):
    """Root mean square over at least 10^5 outputs, normal features and weights, against float64."""
    size = (96, 96) if transposed else (192, 192)
    x, weight, bias = tensors(transposed, torch.float32, channels=channels, kernel=kernel, size=size, images=1)
    ours, theirs = both(transposed)
    exact = theirs(x.double(), weight.double(), bias.double(), **options).numpy()
    assert exact.size >= 1e5
    error = np.abs(ours(x, weight, bias, **options) - exact)
    peer = np.abs(theirs(x, weight, bias, **options).numpy() - exact)
    assert np.sqrt(np.mean(error**2)) <= 1.2 * np.sqrt(np.mean(peer**2))
    assert error.max() <= 2 * peer.max()


def test_layer_is_the_module():
    torch.manual_seed(1)
    module = torch.nn.ConvTranspose2d(64, 3, 4, 2, 1)
    layer = gch.OutputLayer(module.weight.detach(), module.bias.detach(), transposed=True, stride=2, padding=1)
    x = torch.randn(2, 64, 16, 16)
    with torch.no_grad():
        expected = torch.tanh(module(x)).numpy()
    np.testing.assert_allclose(layer(x), expected, atol=2e-6)  # 256 products, sums of size 1
    assert repr(layer).startswith(repr(module).removeprefix("ConvTranspose2d").join(["OutputLayer", ""])[:-1])
