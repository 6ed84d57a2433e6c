"""gch.torch.output_layer and to_module: the module's next forward, in either mode, and no trace of looking."""

import pickle

import numpy as np
import pytest

import ganchroma as gch

torch = pytest.importorskip("torch")
pytest.importorskip("torch.nn.utils.prune")  # loaded on request alone
nn = torch.nn

# torch warns that weight_norm and spectral_norm of nn.utils will go; they are what people have.
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")

MODULES = {
    "conv": lambda: nn.Conv2d(8, 3, 3, stride=2, padding=(1, 0), dilation=(1, 2)),
    "no bias": lambda: nn.Conv2d(8, 3, 1, bias=False),
    "reflect": lambda: nn.Conv2d(8, 3, 7, padding=3, padding_mode="reflect"),
    "same": lambda: nn.Conv2d(8, 3, (4, 2), padding="same", padding_mode="circular"),
    "valid": lambda: nn.Conv2d(8, 3, 3, padding="valid"),
    "transposed": lambda: nn.ConvTranspose2d(8, 3, 4, 2, 1),
    "every option": lambda: nn.ConvTranspose2d(8, 3, (3, 5), (3, 2), (0, 2), (2, 1), dilation=(1, 2)),
    "linear": lambda: nn.Linear(8, 3),
}
UTILITIES = nn.utils
WRAPS = {
    "plain": lambda module: module,
    "weight_norm, legacy": UTILITIES.weight_norm,
    "weight_norm": UTILITIES.parametrizations.weight_norm,
    "spectral_norm, legacy": UTILITIES.spectral_norm,
    "spectral_norm": UTILITIES.parametrizations.spectral_norm,
    "orthogonal": UTILITIES.parametrizations.orthogonal,
}


class Doubled(nn.Module):
    def forward(self, weight):
        return 2 * weight


def run(module, x):
    """The module's forward on (N, C, H, W)."""
    with torch.no_grad():
        if isinstance(module, nn.Linear):
            return module(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return module(x)


@pytest.mark.parametrize("wrap", WRAPS)
@pytest.mark.parametrize("name", MODULES)
def test_the_next_forward(name, wrap):
    """In the order eval, train, train, eval, so that the legacy norm is met before it has iterated, too."""
    torch.manual_seed(0)
    module = WRAPS[wrap](MODULES[name]())
    x = torch.randn(2, 8, 9, 11)
    for training in (False, True, True, False):
        module.train(training)
        before = pickle.dumps({key: value.numpy() for key, value in module.state_dict().items()})
        layer = gch.torch.output_layer(module, activation="sigmoid")
        assert pickle.dumps({key: value.numpy() for key, value in module.state_dict().items()}) == before
        expected = run(module, x).sigmoid().numpy()
        # Two orders of summation; where the legacy norm has not iterated, its divisor is a sum that nearly cancels.
        tolerance = 2e-4 if "legacy" in wrap and "spectral" in wrap else 2e-6
        np.testing.assert_allclose(layer(x), expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("name", MODULES)
def test_there_and_back(name):
    module = MODULES[name]()
    layer = gch.torch.output_layer(module, activation="tanh")
    back = gch.torch.to_module(layer)
    assert isinstance(back, nn.ConvTranspose2d if layer.transposed else nn.Conv2d)
    x = torch.randn(2, 8, 9, 11)
    assert torch.equal(run(back, x), run(module, x)) or isinstance(module, nn.Linear)
    again = gch.torch.output_layer(back, activation="tanh")
    assert repr(again) == repr(layer)
    assert np.array_equal(again.weight, layer.weight)
    assert all(parameter.requires_grad for parameter in back.parameters())
    if not isinstance(module, nn.Linear):
        module.load_state_dict(back.state_dict(), strict=True)


@pytest.mark.parametrize("bias", [True, False])
def test_a_linear_there_and_back(bias):
    module, x = nn.Linear(8, 3, bias=bias), torch.randn(5, 8)
    back = gch.torch.to_module(gch.torch.output_layer(module), linear=True)
    assert isinstance(back, nn.Linear)
    assert torch.equal(back(x), module(x))
    nn.Linear(8, 3, bias=bias).load_state_dict(back.state_dict(), strict=True)
    with pytest.raises(ValueError, match="a Linear sees one pixel"):
        gch.torch.to_module(gch.torch.output_layer(nn.Conv2d(8, 3, 3)), linear=True)


def test_altered_modules_are_refused():
    own = nn.Conv2d(8, 3, 3)
    own.forward = lambda x: nn.functional.conv2d(x, own.weight * 0.1)
    with pytest.raises(TypeError, match="computes something else than Conv2d"):
        gch.torch.output_layer(own)
    for register in ("register_forward_hook", "register_forward_pre_hook"):
        hooked = nn.Conv2d(8, 3, 3)
        handle = getattr(hooked, register)(lambda module, *args: None)
        with pytest.raises(ValueError, match="forward hooks"):
            gch.torch.output_layer(hooked)
        handle.remove()
        gch.torch.output_layer(hooked)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_dtypes(dtype):
    layer = gch.torch.output_layer(nn.Conv2d(8, 3, 3).to(dtype), activation="linear")
    assert str(layer.weight.dtype) == str(dtype).removeprefix("torch.")
    assert gch.torch.to_module(layer).weight.dtype == dtype


def test_arrays_are_copies():
    module = nn.Conv2d(8, 3, 3)
    layer = gch.torch.output_layer(module)
    back = gch.torch.to_module(layer)
    kept = layer.weight.copy()
    with torch.no_grad():
        module.weight.zero_()
        back.weight.zero_()
    assert np.array_equal(layer.weight, kept)
    assert layer.activation == "tanh"


def test_any_parametrization_of_weight_and_bias():
    module = nn.Conv2d(8, 3, 3)
    weight, bias = module.weight.detach().clone(), module.bias.detach().clone()
    UTILITIES.parametrize.register_parametrization(module, "weight", Doubled())
    UTILITIES.parametrize.register_parametrization(module, "weight", Doubled())
    UTILITIES.parametrize.register_parametrization(module, "bias", Doubled())
    layer = gch.torch.output_layer(module)
    assert np.array_equal(layer.weight, 4 * weight)
    assert np.array_equal(layer.bias, 2 * bias)


def test_a_legacy_weight_that_is_stale():
    """The hook leaves ``module.weight`` as the last forward made it; the layer has the one of the next."""
    module = UTILITIES.weight_norm(nn.Conv2d(8, 3, 3))
    with torch.no_grad():
        module.weight_g *= 3
    layer = gch.torch.output_layer(module)
    np.testing.assert_allclose(layer.weight, 3 * module.weight.detach(), rtol=1e-6)


def test_the_random_stream_stays_where_it_is():
    layer = gch.OutputLayer(np.ones((3, 8, 3, 3), np.float32), np.zeros(3, np.float32))
    torch.manual_seed(0)
    wanted = torch.rand(3)
    torch.manual_seed(0)
    gch.torch.to_module(layer)
    assert torch.equal(torch.rand(3), wanted)


@pytest.mark.parametrize("transposed", [False, True])
def test_scales_go_into_the_weight(transposed, rng):
    weight = rng.standard_normal((8, 3, 3, 3) if transposed else (3, 8, 3, 3))
    layer = gch.OutputLayer(
        weight, rng.standard_normal(3), transposed=transposed, channel_scale=rng.standard_normal(8), output_scale=0.3
    )
    x = torch.from_numpy(rng.standard_normal((2, 8, 6, 6)))
    with torch.no_grad():
        np.testing.assert_allclose(gch.torch.to_module(layer)(x), layer.linear(x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("padding", "output_padding", "module_padding", "module_extra"),
    [
        (((1, 2), (1, 2)), 1, (1, 1), (0, 0)),  # TensorFlow's 5x5 with stride 2 and "same", made even
        (((2, 1), (1, 1)), 0, (2, 1), (1, 0)),
        (((1, 1), (0, 0)), (0, 1), (1, 0), (0, 1)),
    ],
)
def test_uneven_crops(padding, output_padding, module_padding, module_extra, rng):
    layer = gch.OutputLayer(
        rng.standard_normal((8, 3, 5, 5)), transposed=True, stride=2, padding=padding, output_padding=output_padding
    )
    module = gch.torch.to_module(layer)
    assert (module.padding, module.output_padding) == (module_padding, module_extra)
    x = torch.from_numpy(rng.standard_normal((2, 8, 6, 6)))
    with torch.no_grad():
        np.testing.assert_allclose(module(x), layer.linear(x), rtol=1e-12, atol=1e-12)


WEIGHT = np.ones((3, 8, 3, 3), np.float32)


@pytest.mark.parametrize(
    ("layer", "error", "message"),
    [
        (nn.Conv2d(8, 3, 3), TypeError, "layer must be an OutputLayer, got Conv2d"),
        (gch.OutputLayer(WEIGHT, padding=((1, 2), (0, 0))), ValueError, r"pads both sides.*pad\(x, \(0, 0, 1, 2\)\)"),
        (
            gch.OutputLayer(WEIGHT.swapaxes(0, 1), transposed=True, padding=((0, 1), (0, 0))),
            ValueError,
            "crops both sides alike",
        ),
        (gch.OutputLayer(WEIGHT, channel_scale=np.ones((2, 8), np.float32)), ValueError, r"channel_scale .*\(2, 8\)"),
    ],
)
def test_layers_that_no_module_is(layer, error, message):
    with pytest.raises(error, match=message):
        gch.torch.to_module(layer)


class Equalized(nn.Conv2d):
    """As in the progressive GANs: the weight is scaled at run time."""

    def forward(self, x):
        return nn.functional.conv2d(x, self.weight * 0.1, self.bias)


def pruned():
    module = nn.Conv2d(8, 3, 3)
    torch.nn.utils.prune.random_unstructured(module, "weight", amount=0.5)
    return module


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: nn.Conv2d(8, 4, 3, groups=2), ValueError, "groups=2"),
        (lambda: nn.Conv1d(8, 3, 3), TypeError, "must be a Conv2d, ConvTranspose2d or Linear, got Conv1d"),
        (lambda: nn.Sequential(nn.Conv2d(8, 3, 3), nn.Tanh()), TypeError, r"got Sequential; pass the layer in it"),
        (lambda: np.ones(3), TypeError, "got ndarray"),
        (lambda: Equalized(8, 3, 3), TypeError, "Equalized, which computes something else than Conv2d"),
        (lambda: nn.LazyConv2d(3, 3), ValueError, "weight is not initialised"),
        (lambda: nn.Conv2d(8, 3, 3, device="meta"), TypeError, "weight is on meta"),
        (lambda: nn.Conv2d(8, 3, 3).bfloat16(), TypeError, r"weight is torch\.bfloat16; .*\.float\(\)"),
        (pruned, ValueError, "weight is not a parameter, and what makes it is not known"),
    ],
)
def test_modules_that_are_refused(make, error, message):
    with pytest.raises(error, match=message):
        gch.torch.output_layer(make())


def test_an_activation_that_is_refused():
    with pytest.raises(ValueError, match="activation"):
        gch.torch.output_layer(nn.Conv2d(8, 3, 3), activation="gelu")
