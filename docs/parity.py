"""Writes docs/parity.md: every function that has a counterpart in PyTorch, beside it, on the same data.

Run by ``make parity``. Without PyTorch there is nothing to compare with.
"""

import itertools
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

import ganchroma as gch

BITS = "the same bits"
ENOUGH = 1000  # numbers for a root mean square to mean something
functional = torch.nn.functional
CAPABILITY = "default" if torch.backends.cpu.get_cpu_capability() in ("DEFAULT", "NO AVX") else "avx2"


class Row(NamedTuple):
    """A line of the table."""

    function: str
    peer: str
    data: str
    result: str


def main(target: Path) -> None:
    parts = {
        "Random numbers": random_numbers,
        "Initialisers": initializers,
        "The layer": layers,
        "Activations": activations,
        "Gradients": gradients,
        "Spectral norm": spectral_norms,
        "The generator": generators,
    }
    lines = [HEAD.format(torch=torch.__version__.split("+")[0], capability=torch.backends.cpu.get_cpu_capability())]
    for title, make in parts.items():
        lines += [f"## {title}", "", "| ganchroma | PyTorch | data | result |", "|---|---|---|---|"]
        lines += [f"| {' | '.join(row)} |" for row in make()]
        lines.append("")
    target.write_text("\n".join(lines))


HEAD = """# Parity with PyTorch

Written by `make parity` with PyTorch {torch} (CPU, {capability} kernels); `tests/parity` holds what stands here.
"The same bits" is meant literally. Elsewhere the largest difference is given in parts of the largest value; where
there is a float64 answer to compare both with, "error" is the root mean square distance from it, ours to PyTorch's:
below 1.00x ours is the closer one. Differences come from the order of sums, which no standard fixes and which PyTorch
chooses by the processor: so do the last digits here, and which sums come out as the same bits. Random numbers,
initialisers and activations without an exponential are the same bits on every processor.
"""


def numpy_of(value: Any) -> np.ndarray:
    return value.detach().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)


def compare(ours: Any, theirs: Any, exact: Any = None) -> str:
    ours, theirs = numpy_of(ours), numpy_of(theirs)
    assert ours.shape == theirs.shape, (ours.shape, theirs.shape)
    assert ours.dtype == theirs.dtype, (ours.dtype, theirs.dtype)
    if ours.tobytes() == theirs.tobytes():
        return BITS
    apart = np.abs(ours.astype(np.float64) - theirs).max() / np.abs(theirs).max()
    text = f"largest difference {apart:.1e}"
    if exact is None or ours.size < ENOUGH:
        return text
    own, other = (np.sqrt(np.mean((made - numpy_of(exact)) ** 2)) for made in (ours, theirs))
    return f"{text}; error {own / other:.2f}x"


def worst(results: list[str]) -> str:
    """Of several comparisons the one to be told: all must be the same bits for that to be said."""
    others = [result for result in results if result != BITS]
    return max(others, key=lambda text: float(text.split()[2].rstrip(";"))) if others else BITS


# -- random numbers and initialisers ------------------------------------------------------------------------------


def random_numbers() -> Iterator[Row]:
    def streams() -> tuple[Any, torch.Generator]:
        return gch.TorchGenerator(1234, CAPABILITY), torch.Generator().manual_seed(1234)

    for dtype in (np.float32, np.float64):
        kind = getattr(torch, np.dtype(dtype).name)
        for name, arguments in (("uniform", (-0.3, 0.7)), ("normal", (0.1, 1.7))):
            results = []
            for size in (1, 8, 15, 16, 17, 1000, 200_003):
                ours, theirs = streams()
                for _ in range(2):  # the second draw starts from what the first left behind
                    out = np.empty(size, dtype)
                    getattr(ours, name)(out, *arguments)
                    peer = getattr(torch.empty(size, dtype=kind), f"{name}_")(*arguments, generator=theirs)
                    results.append(compare(out, peer))
            data = f"{np.dtype(dtype).name}, 1 to 200,003 numbers, twice each"
            yield Row(f"`TorchGenerator.{name}`", f"`Tensor.{name}_`", data, worst(results))
    results = []
    for size in (1, 2, 10, 1000):
        ours, theirs = streams()
        results.append(compare(ours.randperm(size), torch.randperm(size, generator=theirs)))
    yield Row("`TorchGenerator.randperm`", "`torch.randperm`", "1 to 1000", worst(results))
    ours, theirs = streams()
    ours.normal(np.empty(3, np.float32), 0.0, 1.0)
    torch.empty(3).normal_(generator=theirs)
    yield Row(
        "`TorchGenerator.get_state`",
        "`Generator.get_state`",
        "after 3 normals",
        compare(ours.get_state(), theirs.get_state()),
    )
    ours.set_state(theirs.get_state())
    result = compare(ours.randperm(1000), torch.randperm(1000, generator=theirs))
    yield Row("`TorchGenerator.set_state`", "`Generator.set_state`", "a state of PyTorch's, then `randperm`", result)
    ours.manual_seed(-5), theirs.manual_seed(-5)
    result = worst(
        [
            compare(ours.randperm(1000), torch.randperm(1000, generator=theirs)),
            compare(ours.get_state(), theirs.get_state()),
        ]
    )
    yield Row("`TorchGenerator.manual_seed`", "`Generator.manual_seed`", "-5, then `randperm`, and the state", result)
    seeds = compare(np.uint64(ours.initial_seed()), torch.tensor(theirs.initial_seed() % 2**64, dtype=torch.uint64))
    yield Row("`TorchGenerator.initial_seed`", "`Generator.initial_seed`", "the same", seeds)


SHAPE = (64, 3, 4, 4)
INITIALIZERS: dict[str, tuple[tuple[int, ...], tuple[Any, ...]]] = {
    "uniform": (SHAPE, (-0.2, 0.5)),
    "normal": (SHAPE, (0.0, 0.02)),
    "trunc_normal": (SHAPE, (0.0, 0.02, -0.04, 0.04)),
    "constant": (SHAPE, (0.3,)),
    "ones": (SHAPE, ()),
    "zeros": (SHAPE, ()),
    "eye": ((5, 7), ()),
    "dirac": ((6, 4, 5), ()),
    "xavier_uniform": (SHAPE, (1.7,)),
    "xavier_normal": (SHAPE, (1.7,)),
    "kaiming_uniform": (SHAPE, (5**0.5,)),
    "kaiming_normal": (SHAPE, (0.2, "fan_out")),
    "orthogonal": (SHAPE, (1.2,)),
    "sparse": ((50, 30), (0.25,)),
}
RANDOM = set(INITIALIZERS) - {"constant", "ones", "zeros", "eye", "dirac"}


def initializers() -> Iterator[Row]:
    for name, (shape, arguments) in INITIALIZERS.items():
        results = []
        for dtype in (np.float32, np.float64):
            torch.manual_seed(7)
            peer = getattr(torch.nn.init, f"{name}_")(
                torch.empty(shape, dtype=getattr(torch, np.dtype(dtype).name)), *arguments
            )
            source = {"rng": gch.TorchGenerator(7, CAPABILITY)} if name in RANDOM else {}
            results.append(compare(getattr(gch.init, name)(shape, *arguments, dtype=dtype, **source), peer))
        note = ", two QR decompositions" if name == "orthogonal" else ""
        yield Row(f"`init.{name}`", f"`nn.init.{name}_`", f"{shape}, float32 and float64{note}", worst(results))
    yield Row("`init.calculate_gain`", "`nn.init.calculate_gain`", "every name", gains())
    fans = compare(gch.init.fan_in_and_fan_out(SHAPE), torch.nn.init._calculate_fan_in_and_fan_out(torch.empty(SHAPE)))
    yield Row("`init.fan_in_and_fan_out`", "`nn.init`'s own", f"{SHAPE}", fans)
    for kind, shape in ((torch.nn.Conv2d, (3, 128, 3, 3)), (torch.nn.ConvTranspose2d, SHAPE)):
        transposed = kind is torch.nn.ConvTranspose2d
        torch.manual_seed(7)
        module = kind(*(shape[:2] if transposed else shape[1::-1]), shape[2])
        pair = gch.init.conv_default(shape, transposed=transposed, rng=gch.TorchGenerator(7, CAPABILITY))
        result = worst([compare(*both) for both in zip(pair, (module.weight, module.bias), strict=True)])
        yield Row("`init.conv_default`", f"a new `nn.{kind.__name__}`", f"{shape}, weight and bias", result)


def gains() -> str:
    names = ("linear", "conv2d", "conv_transpose2d", "sigmoid", "tanh", "relu", "leaky_relu", "selu")
    ours, theirs = (np.array([module.calculate_gain(name) for name in names]) for module in (gch.init, torch.nn.init))
    return compare(ours, theirs)


# -- the layer ----------------------------------------------------------------------------------------------------

HEADS = [  # transposed, channels, kernel, size, options, what it is
    (False, 128, 3, 128, {"padding": 1}, "3x3, 128 channels"),
    (False, 64, 7, 128, {"padding": 3}, "7x7, 64 channels"),
    (False, 512, 1, 192, {}, "1x1, 512 channels"),
    (False, 32, 5, 192, {"padding": 4, "stride": 2, "dilation": 2}, "5x5, 32 channels, stride 2, dilation 2"),
    (True, 64, 4, 64, {"stride": 2, "padding": 1}, "4x4, 64 channels, stride 2"),
    (True, 16, 3, 64, {"stride": 3, "padding": 2, "output_padding": 1, "dilation": 2}, "3x3, every option"),
]


def drawn(transposed: bool, channels: int, kernel: int, size: int, images: int = 2) -> list[torch.Tensor]:
    source = torch.Generator().manual_seed(5)
    weight = (channels, 3, kernel, kernel) if transposed else (3, channels, kernel, kernel)
    shapes = ((images, channels, size, size), weight, (3,))
    return [torch.randn(shape, generator=source, dtype=torch.float64) for shape in shapes]


def pair(transposed: bool) -> tuple[str, Any, Any]:
    name = "conv_transpose2d" if transposed else "conv2d"
    return name, getattr(gch, name), getattr(functional, name)


def layers() -> Iterator[Row]:
    for dtype, (transposed, *sizes, options, what) in itertools.product((torch.float32, torch.float64), HEADS):
        name, ours, theirs = pair(transposed)
        exact = drawn(transposed, *sizes)
        inputs = [tensor.to(dtype) for tensor in exact]
        answer = theirs(*exact, **options) if dtype == torch.float32 else None
        result = compare(ours(*inputs, **options), theirs(*inputs, **options), answer)
        yield Row(f"`{name}`", f"`functional.{name}`", f"{what}, {str(dtype)[6:]}", result)
    x, weight, bias = drawn(False, 64, 7, 96)
    for mode in ("reflect", "replicate", "circular"):
        padded = functional.pad(x, (3, 3, 3, 3), mode=mode)
        result = compare(
            gch.conv2d(x, weight, bias, padding=3, padding_mode=mode), functional.conv2d(padded, weight, bias)
        )
        yield Row("`conv2d`", "`functional.pad`, `conv2d`", f"7x7, {mode}, float64", result)
    last = x.to(memory_format=torch.channels_last)
    result = compare(gch.conv2d(last, weight, bias).copy(), functional.conv2d(last, weight, bias).contiguous())
    yield Row("`conv2d`", "`functional.conv2d`", "7x7, channels-last, float64", result)
    module = torch.nn.ConvTranspose2d(64, 3, 4, 2, 1)
    x = torch.randn(4, 64, 32, 32, generator=torch.Generator().manual_seed(2))
    layer = gch.torch.output_layer(module, activation="tanh")
    yield Row(
        "`torch.output_layer`",
        "the module, `tanh`",
        "`ConvTranspose2d(64, 3, 4, 2, 1)`",
        compare(layer(x), module(x).tanh()),
    )
    back = gch.torch.to_module(layer)
    yield Row("`torch.to_module`", "the module", "there and back", compare(back(x), module(x)))
    moments = layer.moments(x)
    image = module(x).detach().double().tanh()
    within = (image - image.mean((2, 3), keepdim=True)).transpose(0, 1).flatten(1)
    result = compare(moments.covariance, torch.cov(within, correction=0))
    yield Row("`OutputLayer.moments`", "`torch.cov` of its image", "the same layer, float32", result)


def activations() -> Iterator[Row]:
    x = torch.linspace(-12, 12, 1_000_003, dtype=torch.float64)
    peers = {
        "tanh": torch.tanh,
        "sigmoid": torch.sigmoid,
        "relu": torch.relu,
        "leaky_relu": functional.leaky_relu,
        "clamp": lambda values: values.clamp(-1, 1),
    }
    for dtype, (name, peer) in itertools.product((torch.float32, torch.float64), peers.items()):
        given = x.to(dtype)
        exact = peer(given.double()) if dtype == torch.float32 else None
        result = compare(gch.activate(given, name), peer(given), exact)
        yield Row("`activate`", f"`{name}`", f"-12 to 12, 1,000,003 values, {str(dtype)[6:]}", result)


def gradients() -> Iterator[Row]:
    for dtype, (transposed, *sizes, options, what) in itertools.product((torch.float32, torch.float64), HEADS[::2]):
        name, _, theirs = pair(transposed)
        exact = [tensor.requires_grad_() for tensor in drawn(transposed, *sizes)]
        inputs = [tensor.detach().to(dtype).requires_grad_() for tensor in exact]
        output = theirs(*inputs, **options)
        grad = torch.randn(output.shape, generator=torch.Generator().manual_seed(6), dtype=torch.float64)
        peers = torch.autograd.grad(output, inputs, grad.to(dtype))
        answers = torch.autograd.grad(theirs(*exact, **options), exact, grad.to(dtype).double())
        ours = getattr(gch, f"{name}_backward")(grad.to(dtype), *(t.detach() for t in inputs[:2]), **options)
        for label, mine, peer, answer in zip(("input", "weight", "bias"), ours, peers, answers, strict=True):
            result = compare(mine, peer, answer if dtype == torch.float32 else None)
            yield Row(f"`{name}_backward`", "autograd", f"{label}; {what}, {str(dtype)[6:]}", result)
    yield from gradients_of_every_option()
    yield from gradients_of_activations()
    for transposed, dtype in itertools.product((False, True), (torch.float32, torch.float64)):
        name, _, theirs = pair(transposed)
        inputs = [(tensor * 0.2).to(dtype).requires_grad_() for tensor in drawn(transposed, 64, 4, 24)]
        values = getattr(gch.torch, name)(*inputs, activation="tanh"), theirs(*inputs).tanh()
        found = [torch.autograd.grad(value.square().sum(), inputs) for value in values]
        result = worst([compare(*values), *(compare(*both) for both in zip(*found, strict=True))])
        data = f"4x4, 64 channels, tanh: image and all gradients, {str(dtype)[6:]}"
        yield Row(f"`torch.{name}`", "autograd", data, result)


def gradients_of_every_option() -> Iterator[Row]:
    """Paddings, dilations, scales, memory: in float64, where nothing but the order of sums can differ."""
    x, weight, bias = (tensor.requires_grad_() for tensor in drawn(False, 8, 3, 12))
    for mode in ("reflect", "replicate", "circular"):
        y = functional.conv2d(functional.pad(x, (1, 1, 1, 1), mode=mode), weight, bias)
        yield gradient("conv2d", y, (x, weight, bias), f"3x3, {mode}", padding=1, padding_mode=mode)
    scale = torch.linspace(0.5, 1.5, 8, dtype=torch.float64)
    options: dict[str, Any] = {"stride": 2, "dilation": 2, "padding": 2}
    y = 0.7 * functional.conv2d(x * scale[:, None, None], weight, **options) + bias[:, None, None]
    what = "3x3, stride, dilation, channel and output scale"
    yield gradient("conv2d", y, (x, weight, bias), what, channel_scale=scale, output_scale=0.7, **options)
    last = x.detach().to(memory_format=torch.channels_last).requires_grad_()
    y = functional.conv2d(last, weight, bias, padding=1)
    yield gradient("conv2d", y, (last, weight, bias), "3x3, channels-last", padding=1)
    y = functional.conv2d(x, weight, bias, padding=1)
    yield gradient("conv2d", y, (x, weight, bias), "3x3, NHWC", padding=1, layout="NHWC")
    x, weight, bias = (tensor.requires_grad_() for tensor in drawn(True, 8, 3, 12))
    options = {"stride": 3, "padding": 2, "output_padding": 1, "dilation": 2}
    y = functional.conv_transpose2d(x, weight, bias, **options)
    yield gradient("conv_transpose2d", y, (x, weight, bias), "3x3, stride, dilation, output_padding", **options)


def gradient(name: str, y: torch.Tensor, inputs: Sequence[torch.Tensor], what: str, **options: Any) -> Row:
    """All three gradients of a function beside autograd's, for one random gradient of its result."""
    grad = torch.randn(y.shape, generator=torch.Generator().manual_seed(6), dtype=y.dtype)
    peers = list(torch.autograd.grad(y, inputs, grad))
    x = inputs[0].detach()
    if options.get("layout") == "NHWC":
        x, grad, peers[0] = (tensor.permute(0, 2, 3, 1) for tensor in (x, grad, peers[0]))
    ours = getattr(gch, f"{name}_backward")(grad, x, inputs[1].detach(), **options)
    results = [compare(np.array(mine), peer.contiguous()) for mine, peer in zip(ours, peers, strict=True)]
    return Row(f"`{name}_backward`", "autograd", f"all; {what}, float64", worst(results))


def gradients_of_activations() -> Iterator[Row]:
    peers: dict[str, Any] = {
        "tanh": torch.tanh,
        "sigmoid": torch.sigmoid,
        "relu": torch.relu,
        "leaky_relu": functional.leaky_relu,
        "clamp": lambda values: values.clamp(-1, 1),
    }
    kinks = torch.tensor([0.0, -0.0, 1.0, -1.0], dtype=torch.float64)
    for dtype, (name, peer) in itertools.product((torch.float32, torch.float64), peers.items()):
        for limit in (4, 20):  # beyond 9 tanh's derivative is 0 in PyTorch's float32, and ours what it is
            x = (
                torch.cat([torch.linspace(-limit, limit, 100_001, dtype=torch.float64), kinks])
                .to(dtype)
                .requires_grad_()
            )
            grad = torch.randn(x.shape, generator=torch.Generator().manual_seed(6), dtype=torch.float64).to(dtype)
            (wanted,) = torch.autograd.grad(peer(x), x, grad)
            result = compare(gch.activate_backward(grad, x.detach(), name), wanted)
            data = f"-{limit} to {limit} and the kinks, {str(dtype)[6:]}"
            yield Row("`activate_backward`", f"autograd of `{name}`", data, result)


# -- spectral norm and the generator ------------------------------------------------------------------------------


def spectral_norms() -> Iterator[Row]:
    wraps = {"parametrization": torch.nn.utils.parametrizations.spectral_norm, "legacy": torch.nn.utils.spectral_norm}
    for flavor, wrap in wraps.items():
        for kind, arguments, dim in (
            (torch.nn.Conv2d, (128, 3, 3), 0),
            (torch.nn.ConvTranspose2d, (64, 3, 4), 1),
            (torch.nn.Linear, (64, 3), 0),
        ):
            torch.manual_seed(3)
            module = wrap(kind(*arguments, bias=False))
            original = next(value for key, value in module.state_dict().items() if "orig" in key)
            x = torch.zeros(1, arguments[0], *(() if kind is torch.nn.Linear else (8, 8)))
            source = gch.TorchGenerator(3, CAPABILITY)
            source.uniform(np.empty(original.numel(), np.float32), 0.0, 1.0)  # what the weight took
            norm = gch.spectral.SpectralNorm(original, flavor=flavor, dim=dim, rng=source)
            results = []
            for step in range(20):
                training = step % 5 != 3
                with torch.no_grad():
                    module.train(training)(x)
                results.append(compare(norm.weight(training=training), module.eval().weight))
                state = module.state_dict()
                results += [compare(value, state[key]) for key, value in norm.state_dict().items()]
            data = f"{kind.__name__}, u, v and weight over 20 forwards from the seed on, float32"
            yield Row("`spectral.SpectralNorm`", f"`spectral_norm`, {flavor}", data, worst(results))
    for flavor, wrap in wraps.items():
        torch.manual_seed(3)
        module = wrap(torch.nn.Conv2d(16, 3, 3).double())
        state = module.state_dict()
        norm = gch.spectral.SpectralNorm(np.ones((3, 16, 3, 3)), flavor=flavor, rng=0)
        norm.load_state_dict(state)
        again = wrap(torch.nn.Conv2d(16, 3, 3).double())
        again.load_state_dict(
            {**{key: torch.from_numpy(v) for key, v in norm.state_dict().items()}, "bias": state["bias"]}
        )
        results = [compare(value, state[key]) for key, value in norm.state_dict().items()]
        results += [compare(value.numpy(), state[key]) for key, value in again.state_dict().items()]
        for name in ("load_state_dict", "state_dict"):
            data = f"{flavor}: a module's own, and back into a module, float64"
            yield Row(f"`spectral.SpectralNorm.{name}`", f"`Module.{name}`", data, worst(results))
        results = []
        for _ in range(20):
            with torch.no_grad():
                module.train()(torch.zeros(1, 16, 4, 4, dtype=torch.float64))
            results.append(compare(norm.weight(training=True), module.eval().weight))
        yield Row(
            "`spectral.SpectralNorm`", f"`spectral_norm`, {flavor}", "Conv2d, 20 forwards, float64", worst(results)
        )
    weight = torch.randn(64, 3, 4, 4, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    expected = torch.linalg.matrix_norm(weight.transpose(0, 1).flatten(1), 2)
    result = compare(np.float64(gch.spectral.sigma(weight, dim=1)), expected)
    yield Row("`spectral.sigma`", "`linalg.matrix_norm(2)`", "(64, 3, 4, 4), float64", result)


def examples_generator() -> torch.nn.Sequential:
    """The generator of PyTorch's DCGAN example, drawn as that example draws it."""
    layers: list[torch.nn.Module] = []
    for i, (given, made) in enumerate(itertools.pairwise((100, 512, 256, 128, 64))):
        layers.append(torch.nn.ConvTranspose2d(given, made, 4, *((1, 0) if i == 0 else (2, 1)), bias=False))
        layers += [torch.nn.BatchNorm2d(made), torch.nn.ReLU()]
    model = torch.nn.Sequential(*layers, torch.nn.ConvTranspose2d(64, 3, 4, 2, 1, bias=False), torch.nn.Tanh())
    for layer in model:
        if isinstance(layer, torch.nn.ConvTranspose2d):
            torch.nn.init.normal_(layer.weight, 0.0, 0.02)
        elif isinstance(layer, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(layer.weight, 1.0, 0.02)
            torch.nn.init.zeros_(layer.bias)
    return model


def generators() -> Iterator[Row]:
    torch.manual_seed(0)
    model = examples_generator()
    source = gch.TorchGenerator(0, CAPABILITY)
    generator = gch.demo.Generator(rng=source)
    state = model.state_dict()
    result = worst([compare(value, state[key.removeprefix("main.")]) for key, value in generator.state_dict().items()])
    yield Row("`demo.Generator`", "the DCGAN example's generator", "`manual_seed(0)`: state", result)
    other = gch.demo.Generator(rng=1)
    other.load_state_dict({f"main.{key}": value for key, value in state.items()})
    result = worst([compare(value, state[key.removeprefix("main.")]) for key, value in other.state_dict().items()])
    yield Row("`demo.Generator.load_state_dict`", "the module's own state", "and `state_dict` back", result)
    z = torch.randn(8, 100, 1, 1)
    ours = generator.sample_latent(8, rng=source)
    yield Row("`demo.Generator.sample_latent`", "`torch.randn`", "drawn next", compare(ours.reshape(8, 100, 1, 1), z))
    for training in (True, False):
        with torch.no_grad():
            images = model.train(training)(z)
        mode = "train" if training else "eval"
        yield Row(
            "`demo.Generator`",
            "the DCGAN example's generator",
            f"8 images, {mode}",
            compare(generator(ours, training), images),
        )


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_suffix(".md"))
