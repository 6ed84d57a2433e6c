"""`calibrate_` writes into a PyTorch generator what `calibrate` finds, and nothing else."""

import numpy as np
import pytest

import ganchroma as gch

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

NATURAL = gch.color.NATURAL


def generator(head, activation=None, seed=0):
    torch.manual_seed(seed)
    body = nn.Sequential(nn.ConvTranspose2d(8, 24, 4), nn.BatchNorm2d(24), nn.ReLU())
    return nn.Sequential(body, head if isinstance(head, nn.Module) else head(), activation or nn.Tanh())


def latents(count=24):
    return torch.randn(count, 8, 13, 13, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    "head",
    [
        lambda: nn.Conv2d(24, 3, 3, padding=1),
        lambda: nn.Conv2d(24, 3, 1, bias=False),
        lambda: nn.ConvTranspose2d(24, 3, 4, 2, 1, bias=False),
    ],
)
@pytest.mark.parametrize("activation", [nn.Tanh(), nn.Sigmoid()])
def test_the_images_have_natural_colours(head, activation):
    net, z = generator(head, activation), latents()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    random = torch.get_rng_state()
    made = gch.torch.calibrate_(net, z)
    assert torch.equal(random, torch.get_rng_state())
    with torch.no_grad():
        images = net(z)
    stats = gch.ChromaStats(value_range=made.value_range)
    stats.update(images)
    found = stats.summary().within.to((0, 1))
    np.testing.assert_allclose(found.covariance, NATURAL.covariance, atol=0.01 * NATURAL.covariance.max())
    np.testing.assert_allclose(found.mean, NATURAL.mean, atol=0.005)
    changed = {
        name for name, value in net.state_dict().items() if name not in before or not torch.equal(value, before[name])
    }
    assert {"1.weight", "1.bias"} <= changed
    # The forward of this test moves BatchNorm's own statistics; nothing else changed.
    assert all(name in ("1.weight", "1.bias") or name.startswith("0.1.") for name in changed)
    assert isinstance(net[1].bias, nn.Parameter)
    assert gch.torch.inspect(net, z).causes[0].name == "healthy"


def test_a_target_of_ones_own_and_no_bias():
    net, z = generator(nn.Conv2d(24, 3, 1, bias=False)), latents()
    target = gch.ColorMoments(0, [0, 0, 0], np.diag([0.1, 0.2, 0.3]), (-1, 1))
    with pytest.warns(UserWarning, match="without a bias"):
        made = gch.torch.calibrate_(net, z, target=target, bias=False)
    assert net[1].bias is None
    np.testing.assert_allclose(made.weight, net[1].weight.detach().numpy())


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize(
    "options",
    [
        {"kernel_size": 3, "padding": 1, "padding_mode": "reflect"},
        {"kernel_size": 7, "padding": 3, "padding_mode": "reflect"},
        {"kernel_size": 3, "padding": 1, "padding_mode": "circular"},
        {"kernel_size": 5, "padding": 2, "padding_mode": "replicate"},
        {"kernel_size": 4, "padding": "same"},
    ],
)
def test_heads_that_pad_by_themselves(options):
    """PyTorch pads before the convolution that is watched; the layer that is returned pads by itself again."""
    net, z = generator(nn.Conv2d(24, 3, **options)), latents()
    made = gch.torch.calibrate_(net, z)
    with torch.no_grad():
        features, images = net[0](z), net(z)
    np.testing.assert_allclose(made(features.numpy()), images.numpy(), atol=1e-4)
    found = made.moments(features.numpy()).to((0, 1))
    np.testing.assert_allclose(found.covariance, NATURAL.covariance, atol=0.01 * NATURAL.covariance.max())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions(dtype):
    net, z = generator(nn.Conv2d(24, 3, 3, padding=1, bias=False)).to(dtype), latents().to(dtype)
    made = gch.torch.calibrate_(net, z)
    assert net[1].weight.dtype == net[1].bias.dtype == dtype
    with torch.no_grad():
        stats = gch.ChromaStats(value_range=made.value_range)
        stats.update(net(z).double().numpy())
    found = stats.summary().within.to((0, 1)).covariance
    assert np.abs(found - NATURAL.covariance).max() < 0.02 * NATURAL.covariance.max()  # bfloat16 rounds by .4 %


def test_a_new_bias_is_as_frozen_as_the_weight():
    net = generator(nn.Conv2d(24, 3, 1, bias=False)).requires_grad_(False)
    gch.torch.calibrate_(net, latents())
    assert not net[1].bias.requires_grad


def test_a_weight_used_before_the_head_is_left_as_it_was():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.both = nn.Conv2d(8, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1, bias=False)

        def forward(self, x):
            return torch.tanh(self.both(torch.relu(self.both(self.first(x)))))

    torch.manual_seed(0)
    net = Twice()
    before = net.both.weight.detach().clone()
    with pytest.raises(ValueError, match="the weight of 'both' is used before the head, too"):
        gch.torch.calibrate_(net, latents())
    assert torch.equal(net.both.weight, before)
    assert net.both.bias is None


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (lambda: nn.utils.parametrizations.spectral_norm(nn.Conv2d(24, 3, 1)), "whose weight no norm makes can"),
        (lambda: nn.Conv2d(24, 4, 1), "has 4 filters in 1 group.* must have three filters, R, G and B"),
        (lambda: nn.Sequential(nn.Conv2d(24, 6, 1), nn.Conv2d(6, 3, 3, groups=3)), "in 3 group"),
        (lambda: nn.Sequential(nn.Conv2d(24, 3, 1), nn.BatchNorm2d(3)), "alone"),
    ],
)
def test_what_cant_be_changed_in_place(head, words):
    with pytest.raises(ValueError, match=words):
        gch.torch.calibrate_(generator(head), latents())


def test_a_head_whose_image_is_turned_over_is_refused():
    """Its own weights make the opposite of the colours that the image would get."""

    class Minus(nn.Module):
        def forward(self, images):
            return -images

    net = nn.Sequential(generator(nn.Conv2d(24, 3, 1)), Minus())
    with pytest.raises(ValueError, match=r"the weight of '0\.1' and a plain activation alone"):
        gch.torch.calibrate_(net, latents())


def test_a_sum_of_skips_is_refused():
    class Skips(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Conv2d(8, 3, 1), nn.Conv2d(8, 3, 3, padding=1)

        def forward(self, x):
            return torch.tanh(self.first(x) + self.second(x.relu()))

    with pytest.raises(ValueError, match="does not follow from"):
        gch.torch.calibrate_(Skips(), latents())
    with pytest.raises(TypeError, match=r"generator must be a torch.nn.Module"):
        gch.torch.calibrate_("net", latents())
