"""`inspect` on what networks do after their head: whose image it is, its range, and what is not claimed."""

import random
import warnings

import numpy as np
import pytest

import ganchroma as gch

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402


class Net(nn.Module):
    """A body, a head, and what is to be seen: a function of both and z."""

    def __init__(self, tail=torch.tanh, run=None, **parts):
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.ConvTranspose2d(8, 16, 4, 2, 1), nn.BatchNorm2d(16), nn.ReLU())
        self.rgb = nn.Conv2d(16, 3, 3, padding=1)
        for name, part in parts.items():
            setattr(self, name, part)
        self._run = run or (lambda net, z: tail(net.rgb(net.body(z))))

    def forward(self, z):
        return self._run(self, z)


def latents(count=16):
    return torch.randn(count, 8, 8, 8, generator=torch.Generator().manual_seed(1))


def first(answer):
    return answer.causes[0].name


ENDS = {"tanh": torch.tanh, "sigmoid": torch.sigmoid, "bytes": lambda x: (torch.tanh(x) + 1) * 127.5}
MOVED = {
    "crop": lambda x: x[..., 2:-2, 2:-2],
    "flip": lambda x: x.flip(-1),
    "transposed": lambda x: x.transpose(-1, -2),
    "blur": lambda x: F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), 3, 1),
}


@pytest.mark.parametrize("moved", MOVED)
@pytest.mark.parametrize("end", ENDS)
def test_the_range_is_followed_through_what_moves_values(end, moved):
    """The image is not the head's, pixel by pixel, so it is judged by itself; its range is known all the same."""
    answer = gch.torch.inspect(Net(lambda x: MOVED[moved](ENDS[end](x))), latents())
    assert answer.head_name == "rgb"
    assert answer.head_share == pytest.approx(1, abs=0.05)
    assert first(answer) == "healthy"
    assert not any("value_range=" in note for note in answer.notes)
    assert "the picture is judged by itself" in answer.about


@pytest.mark.parametrize("order", [[2, 1, 0], [1, 0, 2], [1, 2, 0]])
def test_channels_in_another_order_are_the_heads(order):
    answer = gch.torch.inspect(Net(lambda x: torch.tanh(x)[:, order]), latents())
    assert answer.head_share >= 0.999
    assert f"R, G and B are made by the head's filters {', '.join(str(k + 1) for k in order)}" in answer.notes
    plain = gch.torch.inspect(Net(), latents())
    assert answer.trace["linear"].moments.mean == pytest.approx(plain.trace["linear"].moments.mean[order])


def three_heads(net, z):
    features = net.body(z)
    return torch.tanh(torch.cat([net.r(features), net.g(features), net.b(features)], 1))


def test_three_heads_of_one_channel_are_not_one_gray_head():
    parts = {name: nn.Conv2d(16, 1, 3, padding=1) for name in "rgb"}
    answer = gch.torch.inspect(Net(run=three_heads, **parts), latents())
    assert answer.head_name in parts
    assert 0.15 < answer.head_share < 0.6
    assert first(answer) == "healthy"
    assert "linear" not in answer.trace


def in_another_space(net, z):
    """Luminance and two differences of colour to RGB, as networks that work in YCbCr end."""
    image = torch.tanh(net.rgb(net.body(z)))
    matrix = torch.tensor([[1, 0, 1.402], [1, -0.344, -0.714], [1, 1.772, 0]])
    return torch.einsum("oc,bchw->bohw", matrix, 0.5 * image)


def test_a_change_of_colour_space_is_not_taken_for_one_gray_channel():
    answer = gch.torch.inspect(Net(run=in_another_space), latents())
    assert answer.head_share > 0.9
    assert "identical_filters" not in [cause.name for cause in answer.causes]


@pytest.mark.parametrize(
    ("name", "tail"),
    [
        ("softmax", lambda x: x.softmax(1)),
        ("sin", torch.sin),
        ("premultiplied", lambda x: torch.tanh(x) * torch.sigmoid(x[:, :1])),
        ("softsign", F.softsign),
        ("each picture's own ends", lambda x: (x - x.amin((1, 2, 3), True)) / (x - x.amin((1, 2, 3), True)).amax()),
    ],
)
def test_activations_without_a_name_leave_the_picture_to_itself(name, tail):
    answer = gch.torch.inspect(Net(tail), latents())
    assert answer.head_name == "rgb"
    assert answer.head_share > 0.7, name
    assert first(answer) == "healthy"


def test_a_blend_says_how_much_of_it_is_the_heads():
    def blended(net, z):
        features = net.body(z)
        mask = torch.sigmoid(net.mask(features) - 3)
        return mask * torch.tanh(net.rgb(features)) + (1 - mask) * F.interpolate(torch.tanh(z[:, :3]), scale_factor=2)

    answer = gch.torch.inspect(Net(run=blended, mask=nn.Conv2d(16, 1, 1)), latents(), head="rgb")
    assert 0 < answer.head_share < 0.2
    assert f"{100 * answer.head_share:.0f} % of the image's variance, beside mask" in answer.about


@pytest.mark.parametrize(
    ("tail", "ends"),
    [
        (lambda x: x, "[-1, 1]"),
        (lambda x: 0.5 + 0.1 * x + 1e-9 * x.abs(), "[0, 1]"),
        (lambda x: 128 + 30 * x + 1e-9 * x.abs(), "[0, 255]"),
        (lambda x: x + 0.3 * F.avg_pool2d(x, 3, 1, 1), "[-1, 1]"),
    ],
)
def test_a_range_that_nothing_states_is_the_likely_one_and_that_is_said(tail, ends):
    answer = gch.torch.inspect(Net(tail), latents())
    assert any(f"{ends} is taken for black and white" in note for note in answer.notes)
    assert first(answer) == "healthy"
    stated = gch.torch.inspect(Net(tail), latents(), value_range=(-1000, 1000))
    assert first(stated) != "healthy"
    assert not any("is taken for black and white" in note for note in stated.notes)


def between(x, low, high):
    return (x - low) / (high - low)


FAINT = {  # what makes a faint tanh visible -> the range of what comes out, and whether it is a guess
    "limits": (lambda t: (t * 30 + 0.5).clamp(0, 1), (0, 1), False),
    "limits one by one": (lambda t: (t * 30 + 0.5).clamp(min=0).clamp(max=1), (0, 1), False),
    "limits, then bytes": (lambda t: (t * 50).clamp(-1, 1).add(1).mul(127.5), (0, 255), False),
    "limits after std": (lambda t: (t / t.std() / 4).clamp(-1, 1), (-1, 1), False),
    "std": (lambda t: 0.3 * (t - t.mean()) / t.std(), (-1, 1), True),
    "its own ends": (lambda t: between(t, t.amin(), t.amax()), (0, 1), True),
    "its own ends as numbers": (lambda t: between(t, t.amin().item(), t.amax().item()), (0, 1), True),
    "ends of each channel": (lambda t: between(t, t.amin((0, 2, 3), True), t.amax((0, 2, 3), True)), (0, 1), True),
    "learned": (lambda t: t * nn.Parameter(torch.tensor(30.0)), (-1, 1), True),
}


@pytest.mark.parametrize("way", FAINT)
def test_what_makes_a_faint_activation_visible_is_seen(way):
    stretched, value_range, guessed = FAINT[way]
    net = Net(lambda x: stretched(torch.tanh(0.01 * x)))
    answer = gch.torch.inspect(net, latents())
    display = answer.trace["display"].moments
    assert display.value_range == value_range
    assert first(answer) == "healthy"
    stated = gch.torch.inspect(net, latents(), value_range=value_range).trace["display"].moments
    assert display.std_levels == pytest.approx(stated.std_levels, rel=0.02)
    assert any("pass value_range=" in note for note in answer.notes) == guessed


@pytest.mark.parametrize("limits", [(0, 1), (-0.5, 1.5), (-1, 1)])
def test_limits_that_change_nothing_leave_a_faint_picture_faint(limits):
    def tail(x):
        image = torch.tanh(0.01 * x)
        assert image.mean().item() < 1  # a number that is looked at scales nothing
        return ((image + 1) / 2).clamp(*limits)

    answer = gch.torch.inspect(Net(tail), latents())
    assert first(answer) == "flat_amplitude"
    assert answer.trace["display"].moments.value_range == pytest.approx((0, 1), abs=1e-3)
    assert "which explains the whole image" in answer.about
    assert not any("value_range=" in note for note in answer.notes)


# -- how it is run --------------------------------------------------------------------------------------------------


def test_weights_made_by_another_network_are_no_head_of_their_own():
    def run(net, z):
        weight = net.hyper(z.mean((2, 3))).view(-1, 3, 16)
        features = net.body(z)
        return torch.tanh(torch.bmm(weight, features.flatten(2)).view(-1, 3, *features.shape[2:]))

    answer = gch.torch.inspect(Net(run=run, hyper=nn.Linear(8, 48)), latents())
    assert answer.head_share >= 0
    assert first(answer) == "healthy"


def test_autocast_around_it_changes_nothing_and_is_left_as_it_was():
    net = Net()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        answer = gch.torch.inspect(net, latents())
        net(latents()).float().mean().backward()  # no cast of the weights was kept from a pass without gradients
        assert torch.is_autocast_cache_enabled()
    assert answer.head_share >= 0.999
    assert net.rgb.weight.grad is not None


def test_a_forward_that_differentiates_itself():
    def run(net, z):
        image = torch.tanh(net.rgb(net.body(z)))
        image.square().mean().backward()
        return image

    net = Net(run=run)
    answer = gch.torch.inspect(net, latents())
    assert answer.head_share >= 0.999
    assert all(parameter.grad is None for parameter in net.parameters())


def test_random_generators_of_its_own_are_rewound():
    own = {
        "torch_own": torch.Generator().manual_seed(3),
        "numpy_own": np.random.default_rng(3),
        "legacy_own": np.random.RandomState(3),
        "python_own": random.Random(3),
    }

    def run(net, z):
        noise = torch.randn(z.shape, generator=net.torch_own) + net.numpy_own.normal() + net.legacy_own.rand()
        return torch.tanh(net.rgb(net.body(z + noise + net.python_own.random())))

    net = Net(run=run, **own)
    before = net(latents())
    for name, seeded in {
        "torch_own": lambda: torch.Generator().manual_seed(3),
        "numpy_own": lambda: np.random.default_rng(3),
        "legacy_own": lambda: np.random.RandomState(3),
        "python_own": lambda: random.Random(3),
    }.items():
        setattr(net, name, seeded())
    gch.torch.inspect(net, latents())
    torch.testing.assert_close(net(latents()), before)


def test_a_remedy_that_can_not_be_tried_is_said_once():
    class Mapped(nn.Module):
        def __init__(self):
            super().__init__()
            self.inside = Net()

        def forward(self, z):  # BatchNorm can't update its statistics under vmap
            return torch.func.vmap(lambda one: self.inside(one[None])[0])(z)

    answer = gch.torch.inspect(Mapped().eval(), latents())
    assert first(answer) == "batchnorm_eval"
    said = [note for note in answer.notes if note.startswith("a remedy could not be tried")]
    assert len(said) == 1
    assert "can't be run in training mode" in said[0]


@pytest.mark.parametrize("seed", [-1, 1.5, "0", True])
def test_a_seed_is_a_whole_number(seed):
    with pytest.raises((TypeError, ValueError), match="seed must be"):
        gch.torch.inspect(Net(), latents(), seed=seed)
    with pytest.raises((TypeError, ValueError), match="seed must be"):
        gch.torch.calibrate_(Net(), latents(), seed=seed)


def test_no_warning_is_let_out():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gch.torch.inspect(Net(run=in_another_space), latents())


@pytest.mark.parametrize(("scale", "told"), [(30.0, True), (0.5, True), (1.0, False), (127.5, False)])
def test_an_unusual_black_and_white_is_told(scale, told):
    """Numbers of the network's own make it: they may be meant, and what is shown may be seen otherwise."""
    shift = 127.5 if scale == 127.5 else 0.0
    answer = gch.torch.inspect(Net(lambda x: torch.tanh(x) * scale + shift), latents())
    assert answer.trace["display"].moments.value_range == pytest.approx(
        (shift - scale, shift + scale), abs=1e-3 * scale
    )
    assert any("pass value_range=" in note for note in answer.notes) == told
