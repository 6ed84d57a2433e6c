"""gch.torch.conv2d and conv_transpose2d: values, gradients, and PyTorch's own checks of custom operators."""

import itertools

import numpy as np
import pytest

import ganchroma as gch

torch = pytest.importorskip("torch")
functional = torch.nn.functional

from ganchroma.torch import ops  # noqa: E402  needs PyTorch

CONV = {
    "plain": {},
    "strided": {"stride": (2, 1), "padding": (1, 0), "dilation": (1, 2)},
    "reflect": {"padding": ((1, 2), (2, 0)), "padding_mode": "reflect"},
    "same": {"padding": "same", "padding_mode": "circular"},
    "scaled": {"padding": 1, "output_scale": 0.7},
}
TRANSPOSED = {
    "plain": {},
    "doubling": {"stride": 2, "padding": 1},
    "every option": {"stride": (3, 2), "padding": (0, 1), "output_padding": (2, 1), "dilation": (1, 2)},
    "cropped": {"stride": 2, "padding": ((1, 2), (0, 1)), "output_scale": 1.3},
}
EVERY = [(False, name) for name in CONV] + [(True, name) for name in TRANSPOSED]
ACTIVATIONS = ["linear", "tanh", "sigmoid", "relu", ("leaky_relu", 0.2), "clamp", ("clamp", -0.5, 2.0)]


def make(transposed, dtype=torch.float64, *, grad=True, size=(6, 5), channels=4, scale=None):
    generator = torch.Generator().manual_seed(3)
    kernel = (channels, 3, 3, 2) if transposed else (3, channels, 3, 2)
    shapes = [(2, channels, *size), kernel, (3,), *([scale] if scale else [])]
    made = [torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype) for shape in shapes]
    return [tensor.requires_grad_(grad) for tensor in made]


def ours(transposed):
    return gch.torch.conv_transpose2d if transposed else gch.torch.conv2d


def options_of(transposed, name):
    return (TRANSPOSED if transposed else CONV)[name]


def numbers(transposed, name, weight):
    """The arguments of ganchroma::conv behind the tensors."""
    made = gch.OutputLayer(weight.detach(), transposed=transposed, **options_of(transposed, name))
    return made._head.geometry.core, made.output_scale, None


# -- values -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("transposed", "name"), EVERY)
def test_the_bits_of_the_function_on_arrays(transposed, name, dtype):
    x, weight, bias = make(transposed, dtype)
    arrays = gch.conv_transpose2d if transposed else gch.conv2d
    for activation in ACTIVATIONS:
        options = {**options_of(transposed, name), "activation": activation}
        result = ours(transposed)(x, weight, bias, **options)
        expected = arrays(x.detach(), weight.detach(), bias.detach(), **options)
        assert result.requires_grad
        np.testing.assert_array_equal(result.detach().numpy(), expected)


@pytest.mark.parametrize("transposed", [False, True])
def test_memory_formats(transposed):
    x, weight, bias = make(transposed, torch.float32)
    expected = ours(transposed)(x, weight, bias, activation="tanh")
    last = ours(transposed)(x.to(memory_format=torch.channels_last), weight, bias, activation="tanh")
    assert last.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(last, expected)
    nhwc = ours(transposed)(x.permute(0, 2, 3, 1), weight, bias, activation="tanh", layout="NHWC")
    assert torch.equal(nhwc.permute(0, 3, 1, 2), expected)
    sliced = torch.stack([x, x], dim=-1)[..., 0]
    assert torch.equal(ours(transposed)(sliced, weight, bias, activation="tanh"), expected)


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("last", [False, True])
def test_a_result_may_be_changed_in_place(last, layout):
    x, weight, bias = make(False)
    planes = x.to(memory_format=torch.channels_last) if last else x
    given = planes.permute(0, 2, 3, 1) if layout == "NHWC" else planes
    y = gch.torch.conv2d(given, weight, bias, activation="relu", layout=layout).mul_(2)
    found = torch.autograd.grad(y.sum(), (x, weight, bias))
    wanted = torch.autograd.grad((functional.conv2d(x, weight, bias).relu() * 2).sum(), (x, weight, bias))
    torch.testing.assert_close(found, wanted)


def test_negative_and_conjugate_bits_are_resolved():
    """PyTorch hands operators plain memory: a view that only says "minus" comes with its sign."""
    x, weight, _ = make(False, grad=False)
    assert torch.equal(gch.torch.conv2d(torch._neg_view(x), weight), -gch.torch.conv2d(x, weight))


def test_float16():
    """Rounded before the activation and after it, as PyTorch does with two operators; gradients in float32 inside."""
    x, weight, bias = make(False, torch.float16)
    y = gch.torch.conv2d(x, weight, bias, activation="tanh")
    exact = functional.conv2d(x.double(), weight.double(), bias.double()).tanh()
    assert y.dtype == torch.float16
    # The first rounding is of sums of up to 16, by 2^-8 at most, where tanh's slope is far below 1/2.
    assert (y - exact).abs().max() < 2**-9
    found = torch.autograd.grad(y.float().sum(), (x, weight, bias))
    wanted = torch.autograd.grad(exact.sum(), (x, weight, bias))
    for got, expected in zip(found, wanted, strict=True):
        assert got.dtype == torch.float16
        assert (got - expected).abs().max() < 4e-3 * expected.abs().max()  # some roundings of 2^-11 each


# -- gradients ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("transposed", "name"), EVERY)
def test_gradcheck(transposed, name):
    inputs = make(transposed, size=(4, 5), channels=2)
    assert torch.autograd.gradcheck(lambda *args: ours(transposed)(*args, **options_of(transposed, name)), inputs)


@pytest.mark.filterwarnings("ignore:Input #. requires gradient and is not a double")  # which is the point here
@pytest.mark.parametrize(("transposed", "name"), EVERY)
def test_gradcheck_in_single_precision(transposed, name):
    """The layer is linear in each argument: a wide step costs nothing, and divides roundings of 1e-6 by itself."""
    inputs = make(transposed, torch.float32, size=(4, 5), channels=2)
    assert torch.autograd.gradcheck(
        lambda *args: ours(transposed)(*args, **options_of(transposed, name)), inputs, eps=0.25, atol=1e-4, rtol=1e-4
    )


@pytest.mark.parametrize("activation", ACTIVATIONS[1:])
def test_gradcheck_of_activations(activation):
    inputs = make(False, size=(4, 5), channels=2)
    assert torch.autograd.gradcheck(lambda *args: gch.torch.conv2d(*args, activation=activation), inputs)


@pytest.mark.parametrize("scale", [(2,), (2, 2)])
@pytest.mark.parametrize("transposed", [False, True])
def test_gradcheck_of_channel_scale(transposed, scale):
    inputs = make(transposed, size=(4, 5), channels=2, scale=scale)

    def layer(x, weight, bias, factors):
        return ours(transposed)(x, weight, bias, channel_scale=factors, padding=1, output_scale=0.6, activation="tanh")

    assert torch.autograd.gradcheck(layer, inputs)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2e-5), (torch.float64, 1e-13)])
@pytest.mark.parametrize("transposed", [False, True])
def test_gradients_are_torchs(transposed, dtype, tolerance):
    """Sums of up to some thousand products of size one; relative to the largest element of each gradient."""
    inputs = make(transposed, dtype, size=(13, 17), channels=19)
    theirs = functional.conv_transpose2d if transposed else functional.conv2d
    found = torch.autograd.grad(
        ours(transposed)(*inputs, stride=2, padding=1, activation="tanh").square().sum(), inputs
    )
    wanted = torch.autograd.grad(theirs(*inputs, stride=2, padding=1).tanh().square().sum(), inputs)
    for got, expected in zip(found, wanted, strict=True):
        assert (got - expected).abs().max() < tolerance * expected.abs().max()


@pytest.mark.parametrize("wanted", list(itertools.product([False, True], repeat=4)))
def test_only_what_requires_grad_gets_one(wanted):
    inputs = make(False, scale=(4,))
    for tensor, want in zip(inputs, wanted, strict=True):
        tensor.requires_grad_(want)
    x, weight, bias, factors = inputs
    y = gch.torch.conv2d(x, weight, bias, channel_scale=factors, activation="sigmoid")
    assert y.requires_grad == any(wanted)
    if any(wanted):
        y.sum().backward()
    assert [tensor.grad is not None for tensor in inputs] == list(wanted)
    assert all(tensor.grad is None or tensor.grad.shape == tensor.shape for tensor in inputs)


def test_without_grad_nothing_is_recorded():
    inputs = make(False)
    with torch.no_grad():
        assert gch.torch.conv2d(*inputs, activation="tanh").grad_fn is None


def test_a_second_derivative_is_refused():
    inputs = make(False)
    (gradient,) = torch.autograd.grad(gch.torch.conv2d(*inputs).square().sum(), inputs[:1], create_graph=True)
    with pytest.raises(NotImplementedError, match=r"first derivatives only.*torch\.nn\.functional"):
        gradient.square().sum().backward()


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")  # PyTorch's own
@pytest.mark.parametrize("wanted", ["x", "weight"])
def test_a_forward_derivative_is_refused(wanted):
    """PyTorch would answer zeros."""
    given = {"x": torch.randn(1, 4, 5, 5), "weight": torch.randn(3, 4, 3, 3)}
    value = given.pop(wanted)

    def layer(value):
        return gch.torch.conv2d(**given, **{wanted: value})

    with pytest.raises(NotImplementedError, match=f"{wanted} has a forward-mode tangent"):
        torch.func.jvp(layer, (value,), (value,))
    with pytest.raises(NotImplementedError, match="reverse mode only"):
        torch.func.jacfwd(layer)(value)


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")  # PyTorch's own
@pytest.mark.parametrize("wanted", ["x", "weight", "bias"])
def test_gradients_of_functions_are_refused(wanted):
    """PyTorch would speak of staticmethods that its own wrapping of operators lacks."""
    given = dict(zip(("x", "weight", "bias"), make(False, grad=False), strict=True))
    value = given.pop(wanted)

    def loss(value):
        return gch.torch.conv2d(**given, **{wanted: value}, activation="tanh").sum()

    for derivative in (torch.func.grad, torch.func.jacrev, torch.func.hessian):
        with pytest.raises(NotImplementedError, match=r"torch\.func.*torch\.autograd\.grad.*torch\.nn\.functional"):
            derivative(loss)(value)
    assert torch.func.grad(lambda other: other.sum() + loss(value))(value).eq(1).all()


def test_more_threads_than_pytorch_counts():
    x, weight = torch.randn(1, 4, 5, 5), torch.randn(3, 4, 3, 3)
    assert torch.equal(gch.torch.conv2d(x, weight, threads=10**30), gch.torch.conv2d(x, weight))


def test_a_step_of_training():
    """A head through ganchroma and one through PyTorch stay together over 20 steps of Adam."""
    torch.manual_seed(0)
    x, target = torch.randn(4, 16, 12, 12), torch.rand(4, 3, 24, 24) * 2 - 1
    heads = [torch.nn.ConvTranspose2d(16, 3, 4, 2, 1) for _ in range(2)]
    heads[1].load_state_dict(heads[0].state_dict())
    optimizers = [torch.optim.Adam(head.parameters(), 1e-2) for head in heads]
    for _ in range(20):
        mine = gch.torch.conv_transpose2d(x, *heads[0].parameters(), stride=2, padding=1, activation="tanh")
        for image, optimizer in zip((mine, heads[1](x).tanh()), optimizers, strict=True):
            optimizer.zero_grad()
            (image - target).square().mean().backward()
            optimizer.step()
    # Adam divides by the gradient's own size: roundings of 1e-7 of it are steps of 1e-9 at most, but for the first.
    for mine, theirs in zip(*(head.parameters() for head in heads), strict=True):
        assert (mine - theirs).abs().max() < 1e-5


# -- PyTorch's checks of operators --------------------------------------------------------------------------------


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("transposed", [False, True])
def test_opcheck(transposed, dtype, last):
    name = "every option" if transposed else "strided"
    x, weight, bias, factors = make(transposed, dtype, scale=(2, 4))
    if last:
        x = x.detach().to(memory_format=torch.channels_last).requires_grad_()
    geometry, scale, threads = numbers(transposed, name, weight)
    torch.library.opcheck(ops.conv, (x, weight, bias, factors, geometry, scale, threads))
    torch.library.opcheck(ops.activate, (x, "leaky_relu", [0.2], None))


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("transposed", [False, True])
def test_opcheck_of_the_gradients(transposed, last):
    """Without the check that autograd is registered: a second derivative is refused, which is registered too."""
    x, weight, bias, factors = make(transposed, grad=False, scale=(4,))
    if last:
        x = x.to(memory_format=torch.channels_last)
    geometry, scale, _ = numbers(transposed, "plain", weight)
    grad = ops.conv(x, weight, bias, None, geometry, scale, None).cos()
    utilities = ("test_schema", "test_faketensor")
    for wanted in ([True, True, True, True], [False, True, False, False], [False, False, False, True]):
        arguments = (grad, x, weight, factors, geometry, scale, wanted, None)
        torch.library.opcheck(ops.conv_backward, arguments, test_utils=utilities)
    torch.library.opcheck(ops.activate_backward, (grad, grad, "tanh", [], None), test_utils=utilities)


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
@pytest.mark.parametrize("transposed", [False, True])
def test_under_compile(transposed, backend):
    inputs = make(transposed)

    def loss(x, weight, bias):
        return ours(transposed)(x * 2, weight, bias, padding=1, activation=("leaky_relu", 0.2)).square().sum()

    compiled = torch.compile(loss, backend=backend, fullgraph=True)
    assert torch.equal(compiled(*inputs), loss(*inputs))
    for got, expected in zip(
        torch.autograd.grad(compiled(*inputs), inputs), torch.autograd.grad(loss(*inputs), inputs), strict=True
    ):
        assert torch.equal(got, expected)


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
@pytest.mark.parametrize("dynamic", [None, True])
def test_compiled_for_other_sizes_and_numbers(backend, dynamic):
    torch._dynamo.reset()
    _, weight, bias = make(False, grad=False)

    def layer(x, scale, slope):
        return gch.torch.conv2d(x, weight, bias, output_scale=scale, activation=("leaky_relu", slope))

    compiled = torch.compile(layer, backend=backend, dynamic=dynamic, fullgraph=True)
    for number, size in enumerate((6, 7, 9, 12)):
        x = torch.randn(2, 4, size, 5, dtype=torch.float64)
        assert torch.equal(compiled(x, 1.0 + number, 0.1 * number), layer(x, 1.0 + number, 0.1 * number))


def test_compiled_as_one_opaque_call():
    graphs = []

    def look(module, _):
        graphs.append([str(node.target) for node in module.graph.nodes if node.op == "call_function"])
        return module.forward

    _, weight, bias = make(False)
    compiled = torch.compile(lambda x: gch.torch.conv2d(x, weight, bias, activation="tanh"), backend=look)
    for size in (6, 7, 9):  # another size is another graph, or one with sizes left open
        again = torch.randn(2, 4, size, 5, dtype=torch.float64)
        assert torch.equal(compiled(again), gch.torch.conv2d(again, weight, bias, activation="tanh"))
    for targets in graphs:
        assert targets == ["ganchroma.conv.default", "ganchroma.activate.default"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # the compiler's own
def test_under_inductor():
    inputs = make(False)

    def loss(x, weight, bias):
        return gch.torch.conv2d(x * 2, weight, bias, padding="same", activation="tanh").square().sum()

    try:
        compiled = torch.compile(loss, fullgraph=True)(*inputs)
    except torch._inductor.exc.InductorError as error:
        pytest.skip(f"no compiler for inductor: {error}")
    assert compiled.item() == pytest.approx(loss(*inputs).item(), rel=1e-12)
    compiled.backward()
    assert all(tensor.grad is not None for tensor in inputs)


# -- what is refused ----------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:Sparse CSR")
@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda x, w, b: (x.numpy(), w, b), TypeError, r"x must be a tensor, got ndarray; ganchroma\.conv2d"),
        (lambda x, w, b: (x, None, b), TypeError, "weight must be a tensor, got NoneType"),
        (lambda x, w, b: (x, w, 0.0), TypeError, "bias must be a tensor, got float"),
        (lambda x, w, b: (x.to_sparse(), w, b), TypeError, r"x has layout torch\.sparse_coo; pass x\.to_dense\(\)"),
        (lambda x, w, b: (x.bfloat16(), w, b), TypeError, r"x .*bfloat16; pass x\.float\(\)"),
        (lambda x, w, b: (x, w.bfloat16(), b), TypeError, r"weight .*bfloat16; pass weight\.float\(\)"),
        (lambda x, w, b: (x.long(), w, b), TypeError, "x has dtype int64"),
        (lambda x, w, b: (x.float(), w, b), TypeError, r"x has dtype float32, weight has float64.*x\.double\(\)"),
        (lambda x, w, b: (x, w, b.float()), TypeError, "bias has dtype float32, weight has float64"),
        (lambda x, w, b: (x[0], w, b), ValueError, "x must have 4 dimensions, got 3"),
        (lambda x, w, b: (x, w[0], b), ValueError, "weight must have 4 dimensions, got 3"),
        (lambda x, w, b: (x[:, :2], w, b), ValueError, "x has shape .* 2 channels"),
        (lambda x, w, b: (x[:, :, :2], w, b), ValueError, "x has height 2"),
        (lambda x, w, b: (x, w, b[:2]), ValueError, "bias has shape"),
    ],
)
@pytest.mark.parametrize("grad", [False, True])
def test_tensors_that_are_refused(change, error, message, grad):
    inputs = change(*make(False, grad=False))
    if grad:
        for tensor in inputs:
            if isinstance(tensor, torch.Tensor) and tensor.is_floating_point() and tensor.is_leaf:
                tensor.requires_grad_()
    with pytest.raises(error, match=message):
        gch.torch.conv2d(*inputs)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"stride": 0}, ValueError, "stride"),
        ({"padding": "some"}, ValueError, "padding"),
        ({"padding_mode": 3}, TypeError, "padding_mode"),
        ({"dilation": 1.5}, TypeError, "dilation"),
        ({"activation": "gelu"}, ValueError, "activation"),
        ({"output_scale": np.inf}, ValueError, "output_scale"),
        ({"output_scale": "1"}, TypeError, "output_scale"),
        ({"layout": "HWC"}, ValueError, "layout"),
        ({"layout": 3}, TypeError, "layout"),
        ({"threads": 0}, ValueError, "threads"),
        ({"threads": "1"}, TypeError, "threads"),
        ({"channel_scale": 2.0}, TypeError, "channel_scale"),
    ],
)
def test_options_that_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        gch.torch.conv2d(*make(False), **options)


def test_another_device_is_named():
    x, weight, _ = make(False, torch.float32, grad=False)

    class OnGPU(torch.Tensor):
        device = torch.device("cuda:0")

    with pytest.raises(TypeError, match=r"x is on cuda:0; ganchroma computes on the CPU: pass x\.cpu\(\)"):
        gch.torch.conv2d(x.as_subclass(OnGPU), weight)


def test_the_meta_device_has_shapes():
    x, weight, bias = (tensor.to("meta") for tensor in make(False))
    y = gch.torch.conv2d(x, weight, bias, padding=1, activation="tanh")
    assert y.is_meta
    assert y.shape == (2, 3, 6, 6)
