"""`inspect` on every generator of the zoo: the right head, nothing changed, an answer that can be believed."""

import random
import warnings

import numpy as np
import pytest

import ganchroma as gch

torch = pytest.importorskip("torch")
from parity.zoo import ZOO  # noqa: E402

from ganchroma.activation import activation_name  # noqa: E402

# What an untrained network may be told: nothing is wrong, or what its construction says.
EXPECTED = {
    "weight-norm-old": "flat_amplitude",  # an image of 5 levels and less
    "weight-norm": "flat_amplitude",
    "diffusion-zero": "identical_filters",  # a head of zeros is flat, and its filters are equal
    "gray": "identical_filters",  # one channel, drawn three times
    "stylegan2": "saturation",  # a sum of skips that nothing bounds: values lie beyond the range
    "stylegan2-whole": "saturation",
    "stylegan2-scaled": "saturation",
    "stylegan2-einsum": "saturation",
    "orthogonal": "gain",  # three filters of length one on 144 values: three times too loud for tanh
}


def state(module):
    """Tensors and plain facts that must be the same afterwards."""
    tensors = {name: value.clone() for name, value in module.state_dict().items()}
    tensors["random"] = torch.get_rng_state()
    parts = list(module.modules())
    facts = {
        "training": [part.training for part in parts],
        "needs": [value.requires_grad for value in module.parameters()],
        "gradients": [value.grad is None for value in module.parameters()],
        "hooks": [(len(part._forward_hooks), len(part._forward_pre_hooks)) for part in parts],
        "attributes": [sorted(vars(part)) for part in parts],
        "calls": [(getattr(part, "calls", None), list(getattr(part, "seen", []))) for part in parts],
        "python": random.getstate(),
    }
    return tensors, facts


def specimen(kind):
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch's, of old norms and tracing
        generator = kind.make()
    return generator, kind.inputs()


@pytest.mark.parametrize("kind", ZOO, ids=lambda kind: kind.name)
def test_the_right_head_and_nothing_changed(kind):
    generator, inputs = specimen(kind)
    tensors, facts = state(generator)
    given = [value.clone() for value in inputs]
    answer = gch.torch.inspect(generator, *inputs)
    tensors_after, facts_after = state(generator)
    assert facts_after == facts
    assert tensors_after.keys() == tensors.keys()
    assert all(torch.equal(tensors_after[name], value) for name, value in tensors.items())
    assert all(torch.equal(value, before) for value, before in zip(inputs, given, strict=True))

    assert answer.head_name == kind.head
    names = {**dict(generator.named_modules()), **dict(generator.named_parameters())}
    assert answer.head_name in names
    low, high = kind.explained
    assert low <= answer.head_share <= high + 1e-9
    found = [cause.name for cause in answer.causes]
    assert found[0] == EXPECTED.get(kind.name, "healthy")
    assert ("linear" in answer.trace) == (answer.head_share >= 0.999)
    assert activation_name(kind.activation) in answer.about


WHOLE = [kind for kind in ZOO if kind.explained[0] >= 0.999 and kind.activation != "linear"]


@pytest.mark.parametrize("kind", WHOLE, ids=lambda kind: kind.name)
def test_the_networks_image_is_the_image(kind):
    """Colour at the stage `activation`, computed from head and features, is that of what came out. (What nothing bounds
    is clipped on the screen.)"""
    generator, inputs = specimen(kind)
    answer = gch.torch.inspect(generator, *inputs)
    made, shown = answer.trace["activation"].moments, answer.trace["display"].moments
    # 8 bits on the screen add a twelfth of a level squared; images of the zoo have 4 levels and more.
    np.testing.assert_allclose(shown.std_levels, made.std_levels, rtol=0.02)
    np.testing.assert_allclose(shown.achromatic_share, made.achromatic_share, atol=0.01)


def test_the_head_of_a_skip_sum_is_the_finest():
    kind = next(kind for kind in ZOO if kind.name == "stylegan2-whole")
    generator, inputs = specimen(kind)
    answer = gch.torch.inspect(generator, *inputs)
    assert "beside to_rgbs.0, to_rgbs.1" in answer.about
    coarse = gch.torch.inspect(generator, *inputs, head="to_rgbs.1")
    assert coarse.head_name == "to_rgbs.1"
    assert 0 < coarse.head_share < 0.9
