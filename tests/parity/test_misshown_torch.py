"""`inspect` on networks whose own forward loses the colour that the head made."""

import pytest

import ganchroma as gch

torch = pytest.importorskip("torch")
from parity.generators import dcgan, latents  # noqa: E402
from torch import nn  # noqa: E402


class Ending(nn.Module):
    """The small DCGAN, and what is done with its pictures."""

    def __init__(self, ending):
        super().__init__()
        torch.manual_seed(0)
        self.made, self.ending = dcgan(), ending

    def forward(self, z):
        return self.ending(self.made(z))


def channels_last(images):
    return images.permute(0, 2, 3, 1)


ENDINGS = {
    "first channel": (lambda x: x[:, :1].repeat(1, 3, 1, 1), "display_channel", "channel 0"),
    "last channel, in [0, 255]": (
        lambda x: (x[:, 2:].expand(-1, 3, -1, -1) + 1) * 127.5,
        "display_channel",
        "channel 2",
    ),
    "one channel alone": (lambda x: x[:, 1:2], "display_channel", "channel 1"),
    "mean": (lambda x: x.mean(1, keepdim=True).repeat(1, 3, 1, 1), "display_channel", "the mean"),
    "reshaped": (lambda x: x.reshape(len(x), *x.shape[2:], 3), "layout_reshape", "to (H, W, 3)"),
    "reshaped back": (lambda x: channels_last(x).reshape(x.shape), "layout_reshape", "to (3, H, W)"),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_what_the_forward_does_after_the_head_is_a_fact(ending):
    apply, cause, words = ENDINGS[ending]
    answer = gch.torch.inspect(Ending(apply), latents())
    assert [(found.name, found.status) for found in answer.causes] == [(cause, "found")]
    assert (answer.head_name, answer.head_share) == ("made.1", pytest.approx(1, abs=1e-3))
    assert answer.remedies == [cause]
    assert answer.after.display.healthy
    assert any(words in note and "the network's own forward" in note for note in answer.notes)


@pytest.mark.parametrize("ending", [lambda x: x, channels_last, lambda x: x.flip(1), lambda x: (x + 1) / 2])
def test_what_loses_nothing_is_healthy(ending):
    answer = gch.torch.inspect(Ending(ending), latents())
    assert [found.name for found in answer.causes] == ["healthy"]
    assert not any("own forward" in note for note in answer.notes)


def test_equal_filters_are_so_whatever_is_shown_of_them():
    generator = Ending(ENDINGS["first channel"][0])
    with torch.no_grad():
        generator.made[1].weight[:, 1:] = generator.made[1].weight[:, :1]
    assert gch.torch.inspect(generator, latents()).causes[0].name == "identical_filters"


def test_one_filter_drawn_three_times_is_one_filter():
    generator = Ending(lambda x: x.repeat(1, 3, 1, 1))
    generator.made[1] = nn.Conv2d(24, 1, 3, padding=1)
    answer = gch.torch.inspect(generator, latents())
    assert [found.name for found in answer.causes] == ["identical_filters"]


def test_no_signs_of_learning_of_a_head_whose_pictures_are_not_shown():
    answer = gch.torch.inspect(Ending(ENDINGS["first channel"][0]), latents(), loss=lambda images: images.mean())
    assert answer.learning is None
    assert any("signs of learning were left out" in note for note in answer.notes)
