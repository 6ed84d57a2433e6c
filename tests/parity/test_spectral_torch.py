"""SpectralNorm against both of PyTorch's, over twenty forwards in train and eval mode."""

import numpy as np
import pytest

from ganchroma.rng import Stream
from ganchroma.spectral import SpectralNorm, sigma

torch = pytest.importorskip("torch")

MODULES = {
    "conv": (lambda: torch.nn.Conv2d(16, 3, 3), 0),
    "transposed": (lambda: torch.nn.ConvTranspose2d(16, 3, 4, 2, 1), 1),
    "linear": (lambda: torch.nn.Linear(30, 7), 0),
}
WRAP = {
    "parametrization": torch.nn.utils.parametrizations.spectral_norm,
    "legacy": torch.nn.utils.spectral_norm,
}
# torch warns that the old function will go; it is what is compared here.
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")


def torch_state(module):
    return {key: value.detach().clone() for key, value in module.state_dict().items() if key != "bias"}


@pytest.mark.parametrize("iterations", [1, 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("flavor", WRAP)
@pytest.mark.parametrize("name", MODULES)
def test_follows_torch(name, flavor, dtype, iterations):
    """To 1e-6 in float32: roundings of vectors of norm one, which the power method does not let grow."""
    torch.manual_seed(0)
    make, dim = MODULES[name]
    module = WRAP[flavor](make().to(dtype), n_power_iterations=iterations)
    state = torch_state(module)
    original = next(value for key, value in state.items() if "orig" in key)
    ours = SpectralNorm(original, flavor=flavor, dim=dim, n_power_iterations=iterations)
    assert ours.state_dict().keys() == state.keys()
    ours.load_state_dict(state)
    tolerance = 1e-6 if dtype == torch.float32 else 1e-13
    x = torch.zeros(1, 30, dtype=dtype) if name == "linear" else torch.zeros(1, 16, 8, 8, dtype=dtype)
    for step in range(20):
        training = step % 5 != 3
        module.train(training)
        with torch.no_grad():
            if flavor == "legacy":
                module(x)
            theirs = module.weight.detach().numpy()
        weight = ours.weight(training=training)
        assert np.abs(weight - theirs).max() < tolerance * np.abs(theirs).max()
        for key, value in torch_state(module).items():
            assert np.abs(ours.state_dict()[key] - value.numpy()).max() < tolerance
        assert ours.sigma == pytest.approx(float(original.numpy().flat[0] / theirs.flat[0]), rel=3 * tolerance)


class FromTorch(Stream):
    """Draws from PyTorch's global generator."""

    def normal(self, out, mean, std, *, threads=None):
        out[...] = torch.empty(out.shape, dtype=getattr(torch, out.dtype.name)).normal_(mean, std).numpy()


@pytest.mark.parametrize("iterations", [1, 3])
@pytest.mark.parametrize("flavor", WRAP)
@pytest.mark.parametrize("name", MODULES)
def test_same_from_construction_on(name, flavor, iterations):
    """u, then v drawn; then as many iterations as PyTorch makes until the module is handed over: to 1e-6, as above."""
    make, dim = MODULES[name]
    plain = make()
    torch.manual_seed(4)
    ours = SpectralNorm(plain.weight.detach(), flavor=flavor, dim=dim, n_power_iterations=iterations, rng=FromTorch(0))
    torch.manual_seed(4)
    module = WRAP[flavor](plain, n_power_iterations=iterations)
    for key, value in torch_state(module).items():
        assert np.abs(ours.state_dict()[key] - value.numpy()).max() < 1e-6, key


@pytest.mark.parametrize("flavor", WRAP)
@pytest.mark.parametrize("name", MODULES)
def test_state_goes_back_to_torch(name, flavor):
    """A state of ours, some forwards old, is strictly a module's own; both go on from it alike."""
    torch.manual_seed(0)
    make, dim = MODULES[name]
    module = WRAP[flavor](make())
    ours = SpectralNorm(torch.randn(tuple(make().weight.shape)), flavor=flavor, dim=dim, rng=0)
    for _ in range(3):
        ours.weight()
    bias = {"bias": module.bias.detach().clone()}
    state = bias | {key: torch.from_numpy(value) for key, value in ours.state_dict().items()}
    module.load_state_dict(state, strict=True)
    assert module.state_dict().keys() == state.keys()
    for training in (False, True, True, False):
        theirs = torch_weight(module, training)
        assert np.abs(theirs - ours.weight(training=training)).max() < 1e-6 * np.abs(theirs).max()


@pytest.mark.parametrize("flavor", WRAP)
def test_a_zero_weight_is_not_a_number_there_too(flavor):
    module = torch.nn.Conv2d(16, 3, 3)
    torch.nn.init.zeros_(module.weight)
    module = WRAP[flavor](module)
    with torch.no_grad():
        module(torch.zeros(1, 16, 8, 8))
    theirs = module.weight.detach().numpy()
    ours = SpectralNorm(np.zeros((3, 16, 3, 3), np.float32), flavor=flavor, rng=0)
    np.testing.assert_array_equal(ours.weight(), theirs)
    for key, value in torch_state(module).items():
        np.testing.assert_array_equal(ours.state_dict()[key], value.numpy())


def torch_weight(module, training):
    """What the module's next forward in this mode uses."""
    module.train(training)
    features = getattr(module, "in_features", None)
    with torch.no_grad():
        module(torch.zeros(1, module.in_channels, 8, 8) if features is None else torch.zeros(1, features))
        return module.eval().weight.numpy()


@pytest.mark.parametrize("flavor", WRAP)
def test_both_follow_a_weight_that_is_trained(flavor):
    torch.manual_seed(0)
    module = WRAP[flavor](torch.nn.Conv2d(16, 3, 3))
    state = torch_state(module)
    original = next(value for key, value in module.named_parameters() if "orig" in key)
    ours = SpectralNorm(original.detach(), flavor=flavor)
    ours.load_state_dict(state)
    for _ in range(10):
        step = 0.01 * torch.randn(original.shape)
        with torch.no_grad():
            original += step
        ours.original[...] += step.numpy()
        assert np.abs(torch_weight(module, True) - ours.weight()).max() < 1e-6


def test_the_eval_before_train_trap():
    """``torch.nn.utils.spectral_norm``, eval mode, no training forward yet: u and v are still two random vectors.

    What they see of the weight is a sum of random signs, some 1/sqrt(rows * columns) of its entries' root sum square:
    the divisor is far below the norm, the weight far too loud, and tanh behind it saturates. One training forward ends
    it, and the parametrization, which iterates 15 times at construction, never has it.
    """
    torch.manual_seed(0)
    module = WRAP["legacy"](torch.nn.ConvTranspose2d(64, 3, 4, 2, 1, bias=False))
    exact = sigma(module.weight_orig.detach(), dim=1)
    ours = SpectralNorm(module.weight_orig.detach(), flavor="legacy", dim=1)
    ours.load_state_dict(module.state_dict())  # with its bias: a module has one by default
    trapped = torch_weight(module, False)
    assert abs(ours.sigma) < 0.05 * exact
    assert np.abs(trapped - ours.weight(training=False)).max() < 1e-5 * np.abs(trapped).max()  # a sum nearly cancels
    assert sigma(trapped, dim=1) > 20
    assert saturated_share(module) > 0.5

    cured = torch_weight(module, True)
    assert np.abs(cured - ours.weight(training=True)).max() < 1e-6
    assert sigma(cured, dim=1) == pytest.approx(1, abs=0.2)
    assert saturated_share(module) < 0.01

    sound = WRAP["parametrization"](torch.nn.ConvTranspose2d(64, 3, 4, 2, 1, bias=False)).eval()
    assert sigma(sound.weight.detach(), dim=1) == pytest.approx(1, abs=0.05)


def saturated_share(module):
    """Of an image's values in eval mode, behind ReLU features, within 1 % of an end."""
    features = torch.randn(4, 64, 16, 16, generator=torch.Generator().manual_seed(1)).relu()
    with torch.no_grad():
        return float((module.eval()(features).tanh().abs() > 0.99).float().mean())


def test_sigma_of_a_torch_weight():
    module = torch.nn.ConvTranspose2d(64, 3, 4, 2, 1)
    expected = torch.linalg.matrix_norm(module.weight.detach().double().transpose(0, 1).flatten(1), 2)
    assert sigma(module.weight.detach(), dim=1) == pytest.approx(float(expected), rel=1e-14)
    with pytest.raises(TypeError, match=r"weight can't be read as an array: it requires grad; pass weight.detach"):
        sigma(module.weight)


def test_one_dimensional_weights():
    module = torch.nn.utils.parametrizations.spectral_norm(torch.nn.LayerNorm(9), "weight")
    with torch.no_grad():
        module.parametrizations.weight.original.copy_(torch.randn(9))
    ours = SpectralNorm(module.parametrizations.weight.original.detach())
    assert np.abs(ours.weight() - module.weight.detach().numpy()).max() < 1e-7
