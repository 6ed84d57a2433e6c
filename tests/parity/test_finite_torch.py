"""`inspect` on networks that make NaN and infinity: an answer that says where they begin."""

import math

import pytest

import ganchroma as gch

torch = pytest.importorskip("torch")
from parity.generators import dcgan, latents  # noqa: E402
from torch import nn  # noqa: E402

from ganchroma.torch.ranges import scaled  # noqa: E402


class Ending(nn.Module):
    """The small DCGAN, and what is done with its pictures."""

    def __init__(self, ending):
        super().__init__()
        torch.manual_seed(0)
        self.made, self.ending = dcgan(), ending

    def forward(self, z):
        return self.ending(self.made(z))


def spoiled(name, place, value=math.nan):
    """A generator with one such weight, or all (place None)."""
    torch.manual_seed(0)
    generator = dcgan()
    with torch.no_grad():
        tensor = generator.get_parameter(name).fill_(value) if place is None else generator.get_parameter(name)
        if place is not None:
            tensor[place] = value
    return generator


def not_finite(generator, z=None, **options):
    """The one cause that is named, whose words are printed by every report."""
    answer = gch.torch.inspect(generator, latents() if z is None else z, **options)
    assert [(cause.name, cause.status) for cause in answer.causes] == [("not_finite", "found")]
    assert answer.causes[0].reason in " ".join(answer.summary().split())
    answer.plot()
    return answer


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_weights_of_the_body(value):
    answer = not_finite(spoiled("0.3.weight", None, value))
    assert answer.headline == "There is nothing to see: every pixel is NaN or infinite."
    reason = answer.causes[0].reason
    assert reason.startswith("100 % of the pixels, 16,384 of 16,384, are NaN or infinite")
    assert "they begin in 0.3, in its weight (" in reason
    assert "no value of the image is finite" in answer.about


def test_one_weight_of_one_filter():
    answer = not_finite(spoiled("1.weight", (0, 0, 0, 0)))
    assert answer.lost_at == {"linear": "found"}
    assert answer.headline == "Lost in the head: its weights or biases are NaN or infinite in part."
    assert "are NaN or infinite in R: they begin in 1, in its weight (1 of 1,152 values)" in answer.causes[0].reason
    assert not any("do not follow" in note for note in answer.notes)


ENDINGS = {
    "times NaN": lambda x: x * math.nan,
    "plus infinity": lambda x: x + math.inf,
    "divided by zero": lambda x: x.abs() / 0.0,
    "overflown": lambda x: (x + 2) * 1e38 * 1e5,
    "logarithm": lambda x: (x.abs() + 1).neg().log(),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_what_the_forward_does_by_itself(ending):
    reason = not_finite(Ending(ENDINGS[ending])).causes[0].reason
    assert reason.endswith("they begin in the generator's own forward, from finite inputs and weights")


def test_latents():
    reason = not_finite(dcgan(), latents() * math.nan).causes[0].reason
    assert reason.endswith("what the generator is called with holds them")


def test_a_normalised_head():
    generator = dcgan(head=nn.utils.parametrizations.weight_norm(nn.Conv2d(24, 3, 3, padding=1)))
    with torch.no_grad():
        generator[1].parametrizations.weight.original1[0] = math.nan
    assert "they begin in 1, in its original1 (216 of 648 values)" in not_finite(generator).causes[0].reason


@pytest.mark.filterwarnings("ignore")  # tracing warns of itself
def test_a_traced_network():
    generator = torch.jit.trace(spoiled("1.weight", (0, 0, 0, 0)), latents())
    assert "1.weight (1 of 1,152 values)" in not_finite(generator).causes[0].reason


def test_signs_of_learning_are_left_out():
    generator = spoiled("1.weight", (0, 0, 0, 0))
    answer = not_finite(generator, discriminator=lambda images: images.mean((1, 2, 3)))
    assert answer.learning is None
    assert any("they need images without NaN and infinity" in note for note in answer.notes)


def test_a_few_pixels_are_a_note():
    def ending(images):
        images[0, 0, 0].fill_(math.nan)  # of a part: the rest is the head's as before
        return images

    answer = gch.torch.inspect(Ending(ending), latents())
    assert (answer.head_name, answer.causes[0].name) == ("made.1", "healthy")
    note = "32 pixels with NaN or infinite values were left out: they begin in the generator's own forward"
    assert any(text.startswith(note) for text in answer.notes)


def test_the_hooks_are_gone():
    generator = spoiled("0.3.weight", None)
    not_finite(generator)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in generator.modules())


def test_scaling_by_what_leaves_no_range():
    from ganchroma.torch.flow import Step

    for name, number in (("mul", 0.0), ("div", 0.0), ("mul", math.nan), ("add", math.inf)):
        assert scaled([Step(0, name, (number,), True)], (-1.0, 1.0)) == (-1.0, 1.0)
