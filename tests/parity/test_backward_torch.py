"""Gradients against PyTorch's autograd: every option, the kinks, places of NaN, and who rounds less."""

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
    {"dilation": 4, "output_padding": 3},
]
EVERY = [(False, case) for case in CONV] + [(True, case) for case in TRANSPOSED]


def tensors(transposed, dtype=torch.float64, *, channels=6, kernel=(4, 3), size=(11, 14), images=2):
    generator = torch.Generator().manual_seed(5)
    shape = (channels, 3, *kernel) if transposed else (3, channels, *kernel)
    x, weight, bias = (
        torch.randn(s, generator=generator, dtype=torch.float64) for s in ((images, channels, *size), shape, 3)
    )
    return x.to(dtype), weight.to(dtype), bias.to(dtype)


def theirs(layer, inputs, grad=None):
    """(the gradient of the output, autograd's gradients of the inputs); a random gradient if none is given."""
    leaves = [value.detach().clone().requires_grad_() for value in inputs]
    output = layer(*leaves)
    if grad is None:
        grad = torch.randn(output.shape, generator=torch.Generator().manual_seed(6), dtype=output.dtype)
    return grad, [g.numpy() for g in torch.autograd.grad(output, leaves, grad)]


def both(transposed):
    if transposed:
        return gch.conv_transpose2d_backward, functional.conv_transpose2d
    return gch.conv2d_backward, functional.conv2d


def assert_close(results, expected, dtype):
    # Up to 300 products of normal values: two orders of summation differ by some ten roundings of a sum of size 20.
    tolerance = 200 * torch.finfo(dtype).eps
    for result, right in zip(results, expected, strict=True):
        assert result.shape == right.shape
        np.testing.assert_allclose(result, right, rtol=tolerance, atol=tolerance)


@pytest.mark.filterwarnings("ignore:Using padding='same'")  # PyTorch's remark on its own copy
@pytest.mark.parametrize(("transposed", "options"), EVERY)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_same_as_autograd(transposed, options, dtype):
    inputs = tensors(transposed, dtype)
    ours, layer = both(transposed)
    grad, expected = theirs(lambda *leaves: layer(*leaves, **options), inputs)
    assert_close(ours(grad, inputs[0], inputs[1], **options), expected, dtype)


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_padding_modes(mode, stride, dtype):
    inputs = tensors(False, dtype)

    def layer(x, weight, bias):
        return functional.conv2d(functional.pad(x, (3, 5, 1, 2), mode=mode), weight, bias, stride)

    grad, expected = theirs(layer, inputs)
    options = {"padding": ((1, 2), (3, 5)), "padding_mode": mode, "stride": stride}
    assert_close(gch.conv2d_backward(grad, *inputs[:2], **options), expected, dtype)


@pytest.mark.parametrize("transposed", [False, True])
def test_scales(transposed):
    inputs = tensors(transposed)
    ours, plain = both(transposed)
    scale = torch.randn(2, 6, generator=torch.Generator().manual_seed(7), dtype=torch.float64)

    def layer(x, weight, bias):
        return -1.5 * plain(x * scale[:, :, None, None], weight) + bias[:, None, None]

    grad, expected = theirs(layer, inputs)
    assert_close(ours(grad, *inputs[:2], channel_scale=scale, output_scale=-1.5), expected, torch.float64)


@pytest.mark.parametrize("transposed", [False, True])
def test_channels_last_is_answered_in_channels_last(transposed):
    x, weight, bias = tensors(transposed)
    ours, layer = both(transposed)
    grad, expected = theirs(lambda *leaves: layer(*leaves, padding=1), (x, weight, bias))
    last = [value.to(memory_format=torch.channels_last) for value in (grad, x, weight)]
    results = ours(*last, padding=1)
    assert torch.from_numpy(results[0]).is_contiguous(memory_format=torch.channels_last)
    assert_close(results, expected, torch.float64)


@pytest.mark.parametrize(("transposed", "options"), [(False, {"padding": 1}), (True, {"stride": 2, "padding": 1})])
def test_nan_and_infinity_lie_where_torch_has_them(transposed, options):
    """In float64: PyTorch's float32 convolutions skip the zeros of the padding, its float64 ones multiply by them."""
    x, weight, bias = tensors(transposed)
    x[0, 1, 3, 5], x[1, 0, 2, -1] = np.inf, np.nan
    ours, layer = both(transposed)
    grad, _ = theirs(lambda *leaves: layer(*leaves, **options), (x, weight, bias))
    grad[0, 1, 2, 3], grad[0, 2, 0, 0], grad[1, 2, 4, 4] = np.inf, -np.inf, np.nan
    _, expected = theirs(lambda *leaves: layer(*leaves, **options), (x, weight, bias), grad)
    assert all(np.isnan(value).any() for value in expected)
    results = ours(grad, x, weight, **options)
    for result, right in zip(results, expected, strict=True):
        np.testing.assert_allclose(result, right, rtol=1e-12, atol=1e-12)


# -- activations ------------------------------------------------------------------------------------------------

ACTIVATIONS = [
    ("linear", lambda x: x * 1),
    ("tanh", torch.tanh),
    ("sigmoid", torch.sigmoid),
    ("relu", torch.relu),
    ("leaky_relu", functional.leaky_relu),
    (("leaky_relu", -0.5), lambda x: functional.leaky_relu(x, -0.5)),
    ("clamp", lambda x: x.clamp(-1, 1)),
    (("clamp", 0.0, 0.5), lambda x: x.clamp(0, 0.5)),
]


def special(dtype):
    tiny = torch.finfo(dtype).smallest_normal / 4
    return [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, tiny, -tiny, np.inf, -np.inf, np.nan]


@pytest.mark.parametrize(("activation", "function"), ACTIVATIONS, ids=[str(name) for name, _ in ACTIVATIONS])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_activation_gradients_at_the_kinks(activation, function, dtype):
    x, grad = (v.reshape(-1) for v in torch.meshgrid(*[torch.tensor(special(dtype), dtype=dtype)] * 2, indexing="ij"))
    _, (expected,) = theirs(function, [x], grad)
    result = gch.activate_backward(grad, x, activation)
    # tanh and sigmoid: 4.4 ulp of ours, and PyTorch's cancellation next to 1.
    np.testing.assert_allclose(result, expected, rtol=16 * torch.finfo(dtype).eps)
    exact = activation not in ("tanh", "sigmoid")
    if exact:
        np.testing.assert_array_equal(np.signbit(result[expected == 0]), np.signbit(expected[expected == 0]))


@pytest.mark.parametrize(
    ("activation", "dtype", "last", "first"),
    [
        ("tanh", torch.float32, 9.0, 9.1),
        ("tanh", torch.float64, 18.9, 19.1),
        ("sigmoid", torch.float32, 16.6, 16.7),
        ("sigmoid", torch.float64, 36.6, 36.8),
    ],
)
def test_an_infinite_gradient_in_the_tails(activation, dtype, last, first):
    """Ours stays infinite, as the derivative is not 0; PyTorch's is NaN from where its derivative is rounded to 0."""
    x = torch.tensor([1.0, last, first, 40.0], dtype=dtype, requires_grad=True)
    grad = torch.full_like(x, torch.inf)
    (theirs,) = torch.autograd.grad(getattr(torch, activation)(x), x, grad)
    assert theirs.isinf().tolist() == [True, True, False, False]
    assert theirs.isnan().tolist() == [False, False, True, True]
    assert np.isposinf(gch.activate_backward(grad, x.detach(), activation)).all()


@pytest.mark.parametrize(("activation", "function"), ACTIVATIONS, ids=[str(name) for name, _ in ACTIVATIONS])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_signed_zeros_and_subnormals_forward(activation, function, dtype):
    x = torch.tensor(special(dtype), dtype=dtype)
    expected, result = function(x).numpy(), gch.activate(x, activation)
    np.testing.assert_allclose(result, expected, rtol=4 * torch.finfo(dtype).eps)
    np.testing.assert_array_equal(np.signbit(result[expected == 0]), np.signbit(expected[expected == 0]))


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_signed_zeros_and_subnormals_through_the_layer(transposed, dtype):
    ours, layer = both(transposed)[0], both(transposed)[1]
    forward = gch.conv_transpose2d if transposed else gch.conv2d
    tiny = torch.finfo(dtype).smallest_normal
    for value in (-0.0, tiny / 4, tiny):
        x, weight = torch.full((1, 3, 5, 6), value, dtype=dtype), torch.full((3, 3, 3, 3), 0.25, dtype=dtype)
        bias = torch.zeros(3, dtype=dtype)
        result, expected = forward(x, weight, bias, padding=1), layer(x, weight, bias, padding=1).numpy()
        np.testing.assert_array_equal(result, expected)  # exact: multiples of the smallest subnormal
        np.testing.assert_array_equal(np.signbit(result), np.signbit(expected))
        grad, expected = theirs(lambda *leaves: layer(*leaves, padding=1), (x, weight, bias), torch.from_numpy(result))
        for mine, right in zip(ours(grad, x, weight, padding=1), expected, strict=True):
            np.testing.assert_array_equal(mine, right)


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_sum_of_negative_zeros_is_positive(transposed, dtype):
    """Ours starts from +0 and adds the bias last. PyTorch's convolution starts from the bias on some processors and not
    on others, so that for a bias of -0.0 the sign of its zero is no fact about PyTorch; the value is."""
    layer = both(transposed)[1]
    forward = gch.conv_transpose2d if transposed else gch.conv2d
    x, weight = torch.full((1, 3, 5, 6), -0.0, dtype=dtype), torch.full((3, 3, 3, 3), 0.25, dtype=dtype)
    for bias in (None, torch.full((3,), -0.0, dtype=dtype)):
        result = forward(x, weight, bias, padding=1)
        np.testing.assert_array_equal(result, layer(x, weight, bias, padding=1).numpy())
        assert not np.signbit(result).any()


# -- rounding ---------------------------------------------------------------------------------------------------

HEADS = [
    pytest.param(False, (3, 3), 128, 48, {"padding": 1}, id="3x3"),
    pytest.param(False, (7, 7), 64, 48, {"padding": 3}, id="7x7"),
    pytest.param(False, (1, 1), 512, 24, {}, id="1x1"),
    pytest.param(True, (4, 4), 64, 32, {"stride": 2, "padding": 1}, id="4x4/2 transposed"),
    pytest.param(True, (5, 5), 64, 32, {"stride": 2, "padding": 2, "output_padding": 1}, id="5x5/2 transposed"),
]


@pytest.mark.parametrize(("transposed", "kernel", "channels", "size", "options"), HEADS)
def test_rounding_is_no_worse_than_torchs(transposed, kernel, channels, size, options):
    """Float32 against float64, over at least 10^5 values of the input's gradient and all of the weight's and bias's.

    At most 1.2 times PyTorch's root mean square and 2 times its maximum. Measured: input .97 to 1.02 and .7 to 1.3,
    weight .05 to .4, bias .05 to .9 of PyTorch's.
    """
    inputs = tensors(transposed, torch.float32, channels=channels, kernel=kernel, size=(size, size), images=2)
    ours, layer = both(transposed)
    grad, peers = theirs(lambda *leaves: layer(*leaves, **options), inputs)
    _, exact = theirs(lambda *leaves: layer(*leaves, **options), [v.double() for v in inputs], grad.double())
    assert exact[0].size >= 1e5
    for result, peer, true in zip(ours(grad, *inputs[:2], **options), peers, exact, strict=True):
        error, bound = np.abs(result - true), np.abs(peer - true)
        if true.size > 3:  # of three biases PyTorch may hit one by chance
            assert np.sqrt(np.mean(error**2)) <= 1.2 * np.sqrt(np.mean(bound**2))
            assert error.max() <= 2 * bound.max()
        else:
            # A chain of 64, a few blocks and two trees: some ten roundings of a sum of a few thousand normal values.
            np.testing.assert_allclose(result, true, atol=10 * 2.0**-24 * np.sqrt(grad[:, 0].numel()))
