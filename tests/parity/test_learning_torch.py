"""The signs of learning: autograd's own gradients, any discriminator, and that all of them stay as they are."""

import functools

import numpy as np
import pytest

import ganchroma as gch

torch = pytest.importorskip("torch")
from parity.generators import dcgan, latents  # noqa: E402
from torch import nn  # noqa: E402


def discriminator(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, 8, 4, 2, 1), nn.LeakyReLU(0.2), nn.BatchNorm2d(8), nn.LeakyReLU(0.2), nn.Conv2d(8, 1, 16)
    )


def test_gradients_are_autograds():
    generator, z, judge = dcgan(), latents(), discriminator()
    answer = gch.torch.inspect(generator, z, discriminator=judge)
    images = generator(z)
    lost = nn.functional.softplus(-judge(images).reshape(len(z))).mean()
    (expected,) = torch.autograd.grad(lost, generator[1].weight)
    flat = expected.transpose(0, 1).reshape(3, -1).double()
    np.testing.assert_allclose(answer.learning.gradient_norms, flat.norm(dim=1).numpy(), rtol=1e-4)
    unit = flat / flat.norm(dim=1, keepdim=True)
    cosines = [(unit[i] @ unit[j]).item() for i, j in ((0, 1), (0, 2), (1, 2))]
    np.testing.assert_allclose(answer.learning.gradient_cosines, cosines, atol=1e-4)
    assert 0.5 < answer.learning.slope <= 1
    assert not answer.learning.stuck
    assert "Learning: " in answer.summary()
    assert "rates" in answer._repr_html_()
    assert answer.to_dict()["learning"]["untrained"][1] >= 0


def gradients(generator, z, score):
    """Norms of the head's three filters under softplus(-score), by autograd."""
    lost = nn.functional.softplus(-score(generator(z))).mean()
    (expected,) = torch.autograd.grad(lost, generator[1].weight)
    return expected.transpose(0, 1).reshape(3, -1).double().norm(dim=1).numpy()


def test_the_loss_of_patches_is_the_mean_of_their_losses():
    generator, z = dcgan(), latents()
    judge = nn.Sequential(nn.Conv2d(3, 8, 4, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(8, 1, 4, 4))
    answer = gch.torch.inspect(generator, z, discriminator=judge)
    np.testing.assert_allclose(answer.learning.gradient_norms, gradients(generator, z, judge), rtol=1e-4)


def test_of_several_answers_the_first_is_the_score_and_that_is_said():
    judge = discriminator()
    answer = gch.torch.inspect(dcgan(), latents(), discriminator=lambda images: [[judge(images), 5 * judge(images)]])
    alone = gch.torch.inspect(dcgan(), latents(), discriminator=judge)
    assert answer.learning.gradient_norms == alone.learning.gradient_norms
    assert answer.learning.score == "[0]"
    assert "of its several answers, output[0] is taken for the score" in answer.summary().replace("\n      ", " ")
    assert alone.learning.score == ""


def test_the_discriminator_sees_the_order_of_dimensions_that_the_generator_makes():
    class ChannelsLast(nn.Module):
        def __init__(self):
            super().__init__()
            self.inside = dcgan()

        def forward(self, z):
            return self.inside(z).permute(0, 2, 3, 1)

    judge = discriminator()
    answer = gch.torch.inspect(
        ChannelsLast(), latents(), discriminator=lambda images: judge(images.permute(0, 3, 1, 2))
    )
    plain = gch.torch.inspect(dcgan(), latents(), discriminator=judge)
    np.testing.assert_allclose(answer.learning.gradient_norms, plain.learning.gradient_norms, rtol=1e-5)


def test_the_bias_of_single_pixels_is_no_part_of_a_filters_gradient():
    torch.manual_seed(0)
    last = nn.Linear(12, 3 * 8 * 8)
    generator = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), last, nn.Unflatten(1, (3, 8, 8)), nn.Tanh())
    z, judge = torch.randn(16, 6), lambda images: images.square().mean(dim=(1, 2, 3))
    answer = gch.torch.inspect(generator, z, discriminator=judge)
    lost = nn.functional.softplus(-judge(generator(z))).mean()
    (expected,) = torch.autograd.grad(lost, last.weight)
    np.testing.assert_allclose(
        answer.learning.gradient_norms, expected.reshape(3, -1).double().norm(dim=1).numpy(), rtol=1e-4
    )


def test_a_saturated_head_is_stuck():
    generator = dcgan()
    nn.init.constant_(generator[1].weight, 1.0)
    answer = gch.torch.inspect(generator, latents(), loss=lambda images: images.square().mean())
    assert answer.learning.stuck
    assert answer.learning.prefers_color is None


def test_a_discriminator_that_loves_colour():
    class Colour(nn.Module):
        def __init__(self, sign):
            super().__init__()
            self.sign = nn.Parameter(torch.tensor(float(sign)))

        def forward(self, images):
            return self.sign * (images - images.mean(dim=1, keepdim=True)).square().mean(dim=(1, 2, 3))

    for sign, expected in ((1, 1.0), (-1, 0.0)):
        answer = gch.torch.inspect(dcgan(), latents(), discriminator=Colour(sign))
        assert answer.learning.prefers_color == expected
        assert answer.learning.untrained is None  # its weight can't be drawn anew
    real = torch.rand(5, 3, 40, 48)
    answer = gch.torch.inspect(dcgan(), latents(), discriminator=Colour(1), dataset=real)
    assert answer.learning.pictures == "the data set's pictures"
    with pytest.raises(ValueError, match="dataset must be"):
        gch.torch.inspect(dcgan(), latents(), discriminator=Colour(1), dataset=real[:, :, :8])
    with pytest.raises(ValueError, match="one score for each of 16 images"):
        gch.torch.inspect(dcgan(), latents(), discriminator=lambda images: images.sum())


@pytest.mark.parametrize("wrap", [lambda x: x, nn.utils.spectral_norm, nn.utils.parametrizations.spectral_norm])
def test_the_discriminator_stays_as_it_is_and_is_drawn_anew(wrap):
    judge, generator, z = discriminator(), dcgan(), latents()
    judge[0], judge[4] = wrap(judge[0]), wrap(judge[4])
    before = {name: value.clone() for name, value in judge.state_dict().items()}
    state = torch.get_rng_state()
    answer = gch.torch.inspect(generator, z, discriminator=judge)
    assert answer.learning.untrained[1] > 0  # five drawings differ
    assert all(torch.equal(value, before[name]) for name, value in judge.state_dict().items())
    assert all(parameter.grad is None for parameter in judge.parameters())
    assert torch.equal(state, torch.get_rng_state())


def closed_over(judge):
    return lambda images: judge(images)


@pytest.mark.parametrize(
    "wrapped",
    [closed_over, lambda judge: judge.forward, functools.partial, lambda judge: functools.partial(closed_over(judge))],
    ids=["closure", "method", "partial", "partial of a closure"],
)
def test_a_discriminator_inside_a_function_stays_as_it_is(wrapped):
    judge, generator = discriminator(), dcgan()
    waiting = judge(generator(latents())).mean()  # a graph that needs the weights as they are
    before = {name: value.clone() for name, value in judge.state_dict().items()}  # running statistics among them
    for given in ({"discriminator": wrapped(judge)}, {"loss": lambda images: wrapped(judge)(images).mean()}):
        answer = gch.torch.inspect(generator, latents(), **given)
        assert answer.learning is not None
    assert all(torch.equal(value, before[name]) for name, value in judge.state_dict().items())
    assert all(parameter.grad is None for parameter in judge.parameters())
    waiting.backward()


# -- what is given wrongly -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"loss": "bce"}, TypeError, "loss must be a function of the images, got str"),
        ({"loss": lambda images: images}, ValueError, "loss must answer one number that follows from the images"),
        ({"loss": lambda images: 3.0}, ValueError, "got float"),
        ({"discriminator": 3}, TypeError, "discriminator must be a function of the images, got int"),
        ({"discriminator": lambda images: images.mean((1, 2, 3)).detach()}, ValueError, "scores have no gradient"),
        ({"discriminator": lambda images: images.mean((1, 2, 3)) * np.nan}, ValueError, "no finite gradient"),
        ({"discriminator": lambda images: images.mean((1, 2, 3)) > 0}, ValueError, "scores have no gradient"),
        ({"discriminator": lambda images: []}, ValueError, "one score for each of 16 images, got list"),
    ],
)
def test_signs_of_learning_need_what_can_be_asked(given, error, words):
    with pytest.raises(error, match=words):
        gch.torch.inspect(dcgan(), latents(), **given)


def test_a_discriminator_that_needs_labels_is_told_how():
    with pytest.raises(TypeError) as caught:
        gch.torch.inspect(dcgan(), latents(), discriminator=lambda images, labels: images.mean(dim=(1, 2, 3)))
    assert any("wrap one that needs more, or other images" in note for note in caught.value.__notes__)


def test_bytes_have_no_gradient():
    generator = nn.Sequential(dcgan(), Bytes())
    with pytest.raises(ValueError, match="images are torch\\.uint8: let it return them before they are rounded"):
        gch.torch.inspect(generator, latents(), discriminator=lambda images: images.float().mean((1, 2, 3)))


class Bytes(nn.Module):
    def forward(self, images):
        return ((images + 1) * 127.5).to(torch.uint8)


@pytest.mark.parametrize("shift", [lambda data: data.astype(">f4"), lambda data: data[..., ::-1]])
def test_a_data_set_in_any_layout(shift):
    data = np.random.default_rng(0).uniform(-1, 1, (8, 3, 32, 32)).astype(np.float32)
    given = shift(data)
    answers = [
        gch.torch.inspect(dcgan(), latents(), discriminator=discriminator(), dataset=pictures)
        for pictures in (given, np.ascontiguousarray(given, np.float32))
    ]
    assert answers[0].learning == answers[1].learning


@pytest.mark.parametrize("value_range", [(-1, 1), (0, 1)])
def test_bytes_are_shown_to_the_discriminator_in_the_images_range(value_range):
    """A data set of bytes is the same pictures as in floats, for the score of each and for the untrained ones."""
    low, high = value_range
    data = np.random.default_rng(0).integers(0, 256, (8, 3, 32, 32), np.uint8)
    scaled = (low + data * ((high - low) / 255)).astype(np.float32)
    generator, shown = dcgan(activation=nn.Tanh() if low else nn.Sigmoid()), []

    def judge(images):
        shown.append(images.detach().clone())
        return images.square().mean(dim=(1, 2, 3))

    for pictures in (data, scaled):
        gch.torch.inspect(generator, latents(), discriminator=judge, dataset=pictures)
    half = len(shown) // 2
    for of_bytes, of_floats in zip(shown[:half], shown[half:], strict=True):
        torch.testing.assert_close(of_bytes, of_floats)


def test_answers_without_a_score():
    endless = []
    endless.append(endless)
    for made in (endless, torch.zeros(len(latents()), 1, 0)):
        with pytest.raises(ValueError, match="must answer one score for each"):
            gch.torch.inspect(dcgan(), latents(), loss=torch.mean, discriminator=lambda images, made=made: made)
