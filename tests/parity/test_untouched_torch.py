"""What `inspect` leaves to a graph that was there before: its backward, its versions, its memory."""

import functools
from array import array
from collections import deque
from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
import pytest

import ganchroma as gch

torch = pytest.importorskip("torch")
from parity.generators import dcgan, latents  # noqa: E402
from torch import nn  # noqa: E402

from ganchroma.torch.learning import _redraw  # noqa: E402
from ganchroma.torch.untouched import modules_of, untouched  # noqa: E402

norms = {
    "none": lambda layer: layer,
    "legacy spectral": nn.utils.spectral_norm,
    "legacy weight": nn.utils.weight_norm,
    "spectral": nn.utils.parametrizations.spectral_norm,
    "weight": nn.utils.parametrizations.weight_norm,
}
pytestmark = pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm` is deprecated:FutureWarning")


def gradients(*modules):
    return [parameter.grad.clone() for module in modules for parameter in module.parameters()]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("norm", norms)
def test_a_discriminator_between_loss_and_backward(norm, training):
    def played(look):
        torch.manual_seed(0)
        generator = dcgan()
        discriminator = nn.Sequential(
            norms[norm](nn.Conv2d(3, 4, 4, 2, 1)), nn.BatchNorm2d(4), nn.LeakyReLU(0.2), norms[norm](nn.Conv2d(4, 1, 8))
        ).train(training)
        lost = discriminator(generator(latents())).square().mean()
        if look:
            assert gch.torch.inspect(generator, latents(), discriminator=discriminator).learning is not None
        lost.backward()
        return gradients(generator, discriminator)

    assert all(map(torch.equal, played(True), played(False)))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("norm", norms)
def test_a_generator_between_loss_and_backward(norm, training):
    def played(look):
        torch.manual_seed(0)
        generator = dcgan(head=norms[norm](nn.Conv2d(24, 3, 3, padding=1))).train(training)
        lost = generator(latents()).square().mean()
        if look:
            gch.torch.inspect(generator, latents())
        lost.backward()
        return gradients(generator)

    assert all(map(torch.equal, played(True), played(False)))


class Busy(nn.Module):
    """Writes into what it holds, and gives it other memory."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3))
        self.register_buffer("average", torch.zeros(3))
        self.register_buffer("frozen", torch.full((3,), float("nan")))
        self.plain = self.weight * 2
        self.table = {"a": torch.ones(2)}
        self.weight.grad = torch.ones(3)

    @torch.no_grad()
    def forward(self):
        self.weight += 1
        self.weight.grad += 1
        self.average.add_(1)
        self.frozen.add_(1)
        self.plain.mul_(2)
        self.table["a"].zero_()

    def moved(self):
        self.forward()
        self.weight.data = torch.zeros(5)
        self.average.data = self.average.half()

    def tensors(self):
        return self.weight, self.weight.grad, self.average, self.frozen, self.plain, self.table["a"]


@pytest.mark.parametrize("method", ["forward", "moved"])
def test_versions_and_memory_stay(method):
    module = Busy()

    def state():
        return [
            (id(tensor), tensor._version, tensor.data_ptr(), tensor.dtype, str(tensor), tensor.grad_fn)
            for tensor in module.tensors()
        ]

    before = state()
    with untouched(module):
        getattr(module, method)()
        assert all(one != other for one, other in zip(before, state(), strict=True))
    assert state() == before


class Memory:
    def __init__(self):
        self.ema, self.me = torch.zeros(2), self


def test_what_is_held_at_any_depth_is_put_back():
    module = nn.Module()
    module.bank = deque([0.0], maxlen=2)
    module.deep = {"a": {"b": torch.zeros(2), "log": []}, "rng": [np.random.default_rng(3)]}
    module.arrays = [(np.zeros(2), {1})]
    module.memory, module.space = Memory(), SimpleNamespace(ema=[torch.zeros(2)])
    expected = np.random.default_rng(3).normal()
    with untouched(module):
        module.bank.extend([1.0, 2.0])
        module.deep["a"]["b"] += 1
        module.deep["a"]["log"].append(1)
        module.deep["rng"][0].normal()
        module.arrays[0][0][:] = 1
        module.arrays[0][1].add(2)
        module.memory.ema += 1
        module.memory.seen = 3
        module.space.ema[0] += 1
    assert list(module.bank) == [0.0]
    assert module.bank.maxlen == 2
    assert module.deep["a"]["log"] == []
    assert module.deep["rng"][0].normal() == expected
    assert module.arrays[0][0].sum() == 0
    assert module.arrays[0][1] == {1}
    assert not hasattr(module.memory, "seen")
    for tensor in (module.deep["a"]["b"], module.memory.ema, module.space.ema[0]):
        assert tensor.sum() == 0


@dataclass(slots=True)
class Slotted:
    ema: torch.Tensor = field(default_factory=lambda: torch.zeros(2))
    steps: int = 0
    seen: int = field(init=False)  # not set yet


class Wrapped(Slotted):  # has a __dict__ besides
    pass


class Table(dict):
    pass


class Sealed(dict):
    __slots__ = ()
    __getattr__ = dict.__getitem__


@pytest.mark.parametrize("kind", [Slotted, Wrapped])
def test_slots_are_put_back(kind):
    module = nn.Module()
    module.held = [kind()]
    (held,) = module.held
    with untouched(module):
        held.ema += 1
        held.ema, held.seen = torch.ones(3), 1
        del held.steps
    assert held.ema.tolist() == [0, 0]
    assert held.steps == 0
    assert not hasattr(held, "seen")


def test_what_arrays_and_own_dictionaries_hold_is_put_back():
    module = nn.Module()
    module.objects = np.array([None, [0]], object)
    module.fields = np.array([(1, [0])], [("number", int), ("log", object)])
    module.masked = np.ma.array([1, 2]), np.ma.array([1, 2], mask=[False, True])
    module.bytes, module.numbers = bytearray(b"ab"), array("d", [0.0])
    module.table, module.sealed = Table(a=1), Sealed(a=[])
    module.frozen = frozenset({Memory()})
    (key,) = module.frozen
    module.table.log = []
    with untouched(module):
        module.objects[1].append(1)
        module.objects[0] = 1
        module.fields["log"][0].append(1)
        module.masked[0][0], module.masked[1][1] = np.ma.masked, 5
        module.bytes += b"c"
        module.numbers.append(1.0)
        module.table.log.append(1)
        module.table.new = 1
        module.sealed.a.append(1)
        key.ema += 1
    assert module.objects.tolist() == [None, [0]]
    assert module.fields.tolist() == [(1, [0])]
    assert [masked.tolist() for masked in module.masked] == [[1, 2], [1, None]]
    assert [masked.data.tolist() for masked in module.masked] == [[1, 2], [1, 2]]
    assert module.bytes == b"ab"
    assert module.numbers.tolist() == [0.0]
    assert vars(module.table) == {"log": []}
    assert module.sealed == {"a": []}
    assert key.ema.tolist() == [0, 0]


random_generators = {
    "ours": (gch.TorchGenerator, lambda stream: stream.randperm(9).tolist()),
    "bits": (np.random.PCG64, lambda stream: stream.random_raw()),
    "old": (np.random.RandomState, lambda stream: stream.normal()),  # it keeps every other number for later
    "old around bits": (lambda seed: np.random.RandomState(np.random.PCG64(seed)), lambda stream: stream.normal()),
}


@pytest.mark.parametrize("kind", random_generators)
def test_random_generators_are_put_back(kind):
    make, draw = random_generators[kind]
    module = nn.Module()
    module.stream, fresh = make(3), make(3)
    with untouched(module):
        draw(module.stream)
    assert [draw(module.stream) for _ in range(2)] == [draw(fresh) for _ in range(2)]


class Trainer:
    def __init__(self):
        torch.manual_seed(1)
        self.D = nn.Sequential(nn.Conv2d(3, 4, 4, 2, 1), nn.BatchNorm2d(4), nn.LeakyReLU(0.2), nn.Conv2d(4, 1, 8))

    def judge(self, images):
        return self.D(images)

    __call__ = judge


@pytest.mark.parametrize("way", ["attribute", "bound method", "object", "loss"])
def test_a_discriminator_that_is_reached_in_any_way(way):
    """Its BatchNorm would count the pictures that only we have shown to it."""
    trainer = Trainer()
    options = {
        "attribute": {"discriminator": lambda images: trainer.D(images)},
        "bound method": {"discriminator": trainer.judge},
        "object": {"discriminator": trainer},
        "loss": {"loss": lambda images: trainer.D(images).mean()},
    }[way]
    before = {name: value.clone() for name, value in trainer.D.state_dict().items()}
    assert gch.torch.inspect(dcgan(), latents(), **options).learning is not None
    for name, value in trainer.D.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert not torch.nn.modules.module._global_forward_pre_hooks


buffers = {
    "sparse": lambda: torch.eye(3).to_sparse(),
    "compressed": lambda: torch.eye(3).to_sparse_csr(),
    "without memory": lambda: torch.empty(3, device="meta"),
}


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support:UserWarning")
@pytest.mark.parametrize("kind", buffers)
def test_tensors_that_are_not_compared_are_put_back(kind):
    module = nn.BatchNorm2d(3)
    module.register_buffer("first", buffers[kind]())
    held = module.first
    with untouched(module):
        module(torch.randn(4, 3, 2, 2))
        if kind == "sparse":
            module.first.mul_(2)
        module.first = None
    assert module.first is held
    assert kind == "without memory" or torch.equal(held.to_dense(), torch.eye(3))
    assert module.num_batches_tracked == 0


def test_a_generator_that_was_made_in_inference_mode():
    with torch.inference_mode():
        generator, z = dcgan().eval(), latents()
        generator[1].weight.fill_(float("nan"))
    assert gch.torch.inspect(generator, z).causes[0].name == "not_finite"


def test_functions_that_lead_back_to_themselves():
    judge = nn.Conv2d(3, 1, 4)

    def score(images, deep=False):
        return judge(images) if deep else again(images)

    again = functools.partial(score, deep=True)
    assert modules_of(score) == [judge]


def test_a_name_that_was_deleted_is_the_functions_own_fault():
    judge = nn.Conv2d(3, 1, 4)

    def score(images):
        return judge(images)  # noqa: F821

    del judge
    with pytest.raises(NameError, match="judge"):
        gch.torch.inspect(dcgan(), latents(), discriminator=score)


@pytest.mark.parametrize("norm", norms)
def test_an_untrained_discriminator_is_drawn_anew_under_every_norm(norm):
    """What a norm makes the weight of is drawn, as PyTorch draws it, and the weight follows."""
    torch.manual_seed(0)
    layer = norms[norm](nn.Conv2d(3, 4, 4, 2, 1))
    with torch.no_grad():
        before = layer.weight.clone()
        torch.manual_seed(1)
        _redraw(layer)
        drawn = layer(torch.ones(1, 3, 4, 4)) if norm.startswith("legacy") else None  # they follow in a forward
        assert not torch.allclose(layer.weight, before)
        assert layer.weight.std() > 0.3 * before.std()
        assert drawn is None or bool(drawn.isfinite().all())
