"""The random stream and all that draws from it against PyTorch, with the kernels that this process's PyTorch runs.

test_torch_stream.py runs this file once for each of PyTorch's capabilities: it is chosen when torch is loaded.
"""

import itertools

import numpy as np
import pytest
from support import same_bits

import ganchroma as gch

torch = pytest.importorskip("torch")

CAPABILITY = "default" if torch.backends.cpu.get_cpu_capability() == "DEFAULT" else "avx2"
DTYPES = {torch.float16: np.float16, torch.float32: np.float32, torch.float64: np.float64}
COUNTS = (1, 3, 5, 8, 15, 16, 17, 31, 33, 100, 623, 624, 625, 1000, 4099, 0, 100_003, 3, 7, 20_000)


def generators(seed):
    return torch.Generator().manual_seed(seed), gch.TorchGenerator(seed, CAPABILITY)


def same_state(theirs, ours):
    return same_bits(theirs.get_state().numpy(), ours.get_state())


@pytest.mark.parametrize("seed", [0, -3, 2**40 + 1])
@pytest.mark.parametrize("dtype", DTYPES)
def test_uniform_and_normal(dtype, seed):
    theirs, ours = generators(seed)
    assert ours.initial_seed() == theirs.initial_seed()
    for count, (law, *parameters) in itertools.product(COUNTS, [("uniform", -0.3, 0.75), ("normal", 0.2, 1.3)]):
        tensor, array = torch.empty(count, dtype=dtype), np.empty(count, DTYPES[dtype])
        getattr(tensor, f"{law}_")(*parameters, generator=theirs)
        getattr(ours, law)(array, *parameters)
        assert same_bits(array, tensor.numpy()), (law, count)
    assert same_state(theirs, ours)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_two_million_normals(dtype):
    theirs, ours = generators(1234)
    array = np.empty(2_000_003, DTYPES[dtype])
    ours.normal(array, 0.0, 1.0, threads=2)
    assert same_bits(array, torch.empty(2_000_003, dtype=dtype).normal_(generator=theirs).numpy())


def test_uniform_bounds_that_rounding_reaches():
    theirs, ours = generators(0)
    for low, high in ((1.0, 1.0000001), (-1e-3, 1e-3), (2.0, 2.0), (3e4, 3.1e4), (-2e38, 1e38), (0.0, 1e-44)):
        for dtype in (torch.float32, torch.float64):
            array = np.empty(5000, DTYPES[dtype])
            ours.uniform(array, low, high)
            assert same_bits(array, torch.empty(5000, dtype=dtype).uniform_(low, high, generator=theirs).numpy())


@pytest.mark.parametrize("count", [0, 1, 2, 5, 17, 623, 624, 625, 3000, 100_000])
def test_randperm(count):
    theirs, ours = generators(count)
    assert same_bits(ours.randperm(count), torch.randperm(count, generator=theirs).numpy())
    assert same_state(theirs, ours)


@pytest.mark.slow
def test_randperm_beyond_32_bits():
    """From 2**32 / 20 on PyTorch draws 64 bits a step."""
    count = 214_748_364
    theirs, ours = generators(0)
    assert np.array_equal(ours.randperm(count), torch.randperm(count, generator=theirs).numpy())


def test_states_are_exchanged():
    """Amid a generation of words, with half a pair kept, both ways."""
    theirs, ours = generators(5)
    torch.empty(1001).uniform_(generator=theirs)
    torch.empty(3).normal_(generator=theirs)
    ours.set_state(theirs.get_state())
    assert ours.initial_seed() == 5
    array = np.empty(4, np.float64)
    ours.normal(array, 0.0, 1.0)
    expected = torch.empty(4, dtype=torch.float64).normal_(generator=theirs).numpy()
    assert same_bits(array, expected)
    ours.uniform(np.empty(77, np.float64), 0.0, 1.0)
    theirs.set_state(torch.from_numpy(ours.get_state()))
    array = np.empty(50, np.float32)
    ours.normal(array, 0.0, 1.0)
    assert same_bits(array, torch.empty(50).normal_(generator=theirs).numpy())
    assert same_state(theirs, ours)
    with pytest.raises(RuntimeError, match="Invalid mt19937 state"):
        theirs.set_state(torch.zeros(5056, dtype=torch.uint8))
    with pytest.raises(ValueError, match="state must be that of a CPU generator"):
        ours.set_state(torch.zeros(5056, dtype=torch.uint8))


INITIALISERS = [
    ("uniform", (-0.2, 0.5)),
    ("normal", (0.1, 0.3)),
    ("trunc_normal", (0.1, 0.5, -0.3, 0.9)),
    ("trunc_normal", (0.0, 1.0, 1.0, 3.0)),
    ("trunc_normal", (0.3, 2.0, -5.0, -2.5)),
    ("xavier_uniform", (1.7,)),
    ("xavier_normal", (1.7,)),
    ("kaiming_uniform", (0.2, "fan_out")),
    ("kaiming_uniform", (5**0.5,)),
    ("kaiming_normal", (0.0, "fan_in", "relu")),
]
SHAPES = [(3, 128, 3, 3), (64, 3, 4, 4), (3, 5), (5, 7), (6, 4, 5)]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("name", "arguments"), INITIALISERS)
def test_initialisers(name, arguments, dtype):
    theirs, ours = generators(11)
    for shape in SHAPES:
        tensor = getattr(torch.nn.init, f"{name}_")(torch.empty(shape, dtype=dtype), *arguments, generator=theirs)
        array = getattr(gch.init, name)(shape, *arguments, rng=ours, dtype=DTYPES[dtype])
        assert same_bits(array, tensor.numpy()), shape
    assert same_state(theirs, ours)


@pytest.mark.parametrize("shape", [(30, 8), (8, 30), (3, 16, 3, 3), (9, 9)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_orthogonal(dtype, shape):
    """The same normal numbers; the QR decompositions are PyTorch's LAPACK's and our Gram-Schmidt's, each correct to
    about the size of the matrix (30) times the unit of rounding, times the condition of a random matrix, below 300."""
    theirs, ours = generators(3)
    tensor = torch.nn.init.orthogonal_(torch.empty(shape, dtype=dtype), 1.2, generator=theirs).numpy()
    array = gch.init.orthogonal(shape, 1.2, rng=ours, dtype=DTYPES[dtype])
    assert np.abs(array - tensor).max() < 30 * 300 * np.finfo(array.dtype).eps / 2
    assert same_state(theirs, ours)


@pytest.mark.parametrize("dtype", DTYPES)
def test_sparse(dtype):
    """torch.nn.init.sparse_ takes its permutations from the default generator, whatever it is given."""
    torch.manual_seed(2)
    tensor = torch.nn.init.sparse_(torch.empty((40, 25), dtype=dtype), 0.3, 0.5)
    array = gch.init.sparse((40, 25), 0.3, 0.5, rng=gch.TorchGenerator(2, CAPABILITY), dtype=DTYPES[dtype])
    assert same_bits(array, tensor.numpy())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("module", "transposed"),
    [
        (lambda dtype: torch.nn.Conv2d(128, 3, 3, padding=1, dtype=dtype), False),
        (lambda dtype: torch.nn.Conv2d(512, 3, 1, dtype=dtype), False),
        (lambda dtype: torch.nn.Conv2d(6, 17, (3, 5), dtype=dtype), False),
        (lambda dtype: torch.nn.ConvTranspose2d(64, 3, 4, 2, 1, dtype=dtype), True),
        (lambda dtype: torch.nn.ConvTranspose2d(7, 19, 2, dtype=dtype), True),
    ],
)
def test_fresh_layers(module, transposed, dtype):
    torch.manual_seed(8)
    stream = gch.TorchGenerator(8, CAPABILITY)
    for _ in range(2):
        theirs = module(dtype)
        shape = tuple(theirs.weight.shape)
        weight, bias = gch.init.conv_default(shape, transposed=transposed, rng=stream, dtype=DTYPES[dtype])
        assert same_bits(weight, theirs.weight.detach().numpy())
        assert same_bits(bias, theirs.bias.detach().numpy())


# torch warns that the old function will go; it is what is compared here.
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("flavor", ["legacy", "parametrization"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("transposed", "channels"), [(False, (16, 3)), (True, (16, 3)), (False, (5, 18))])
def test_spectral_norm_draws(transposed, channels, dtype, flavor):
    """u and v are the same draws; their norms are two libraries' sums, in float32 good to 1e-6 of a unit vector."""
    wrap = torch.nn.utils.spectral_norm if flavor == "legacy" else torch.nn.utils.parametrizations.spectral_norm
    make = torch.nn.ConvTranspose2d if transposed else torch.nn.Conv2d
    torch.manual_seed(21)
    module = wrap(make(*channels, 3, dtype=dtype))
    state = {key: value.detach().numpy() for key, value in module.state_dict().items() if key != "bias"}
    stream = gch.TorchGenerator(21, CAPABILITY)
    shape = next(value.shape for key, value in state.items() if "orig" in key)
    weight, _ = gch.init.conv_default(shape, transposed=transposed, rng=stream, dtype=DTYPES[dtype])
    ours = gch.spectral.SpectralNorm(weight, flavor=flavor, dim=int(transposed), rng=stream).state_dict()
    assert ours.keys() == state.keys()
    for key, value in state.items():
        assert np.abs(ours[key] - value).max() < (1e-6 if dtype == torch.float32 else 1e-13), key
    assert same_bits(torch.get_rng_state().numpy(), stream.get_state())  # half a pair of normals included


class Examples(torch.nn.Module):
    """The generator of the PyTorch examples' DCGAN."""

    def __init__(self):
        super().__init__()
        layers, channels = [], [100, 512, 256, 128, 64]
        for i, (given, made) in enumerate(itertools.pairwise(channels)):
            stride, padding = (1, 0) if i == 0 else (2, 1)
            layers.append(torch.nn.ConvTranspose2d(given, made, 4, stride, padding, bias=False))
            layers += [torch.nn.BatchNorm2d(made), torch.nn.ReLU(True)]
        layers += [torch.nn.ConvTranspose2d(64, 3, 4, 2, 1, bias=False), torch.nn.Tanh()]
        self.main = torch.nn.Sequential(*layers)


def weights_init(module):
    name = type(module).__name__
    if "Conv" in name:
        torch.nn.init.normal_(module.weight, 0.0, 0.02)
    elif "BatchNorm" in name:
        torch.nn.init.normal_(module.weight, 1.0, 0.02)
        torch.nn.init.zeros_(module.bias)


@pytest.mark.parametrize("seed", [0, 999])
def test_the_dcgan_without_pytorch(seed):
    """Weights and latent vectors to the bit; images to 1e-5, as sums of up to 4096 float32 products allow."""
    torch.manual_seed(seed)
    theirs = Examples()
    theirs.apply(weights_init)
    z = torch.randn(8, 100, 1, 1)
    stream = gch.TorchGenerator(seed, CAPABILITY)
    ours = gch.demo.Generator(rng=stream)
    state = ours.state_dict()
    assert list(state) == list(theirs.state_dict())
    for key, value in theirs.state_dict().items():
        assert same_bits(state[key], value.numpy()), key
    latent = ours.sample_latent(8, rng=stream)
    assert same_bits(latent, z.numpy().reshape(8, 100))
    for training in (True, False):
        with torch.no_grad():
            images = theirs.train(training).main(z).numpy()
        assert np.abs(ours(latent, training) - images).max() < 1e-5
    assert same_bits(torch.get_rng_state().numpy(), stream.get_state())
