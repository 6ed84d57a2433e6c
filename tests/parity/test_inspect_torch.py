"""`inspect` on faults whose truth is known, on hostile modules, and on what it must not change."""

import itertools
import json
import random
import re
import warnings

import numpy as np
import pytest
from support import ROOT

import ganchroma as gch
from ganchroma.diagnosis import Diagnosis

torch = pytest.importorskip("torch")
from parity.generators import dcgan, latents  # noqa: E402
from torch import nn  # noqa: E402


def examples_dcgan():
    """The generator of the PyTorch examples, as they draw it."""
    layers = []
    for place, (given, made) in enumerate(itertools.pairwise((100, 512, 256, 128, 64))):
        options = (2, 1) if place else (1, 0)
        layers += [nn.ConvTranspose2d(given, made, 4, *options, bias=False), nn.BatchNorm2d(made), nn.ReLU(True)]
    layers += [nn.ConvTranspose2d(64, 3, 4, 2, 1, bias=False), nn.Tanh()]

    class Generator(nn.Module):
        def __init__(self):
            super().__init__()
            self.main = nn.Sequential(*layers)

        def forward(self, z):
            return self.main(z)

    generator = Generator()
    for module in generator.modules():
        if isinstance(module, nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0, 0.02)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1, 0.02)
    return generator


def names(diagnosis):
    return [cause.name for cause in diagnosis.causes if cause.status == "found"]


# -- faults ---------------------------------------------------------------------------------------------------------


class Turned(nn.Module):
    """`scale * activation(x) + offset`: with a scale below 0 as sound as any, since the head learns its weights."""

    def __init__(self, activation, scale, offset=0.0):
        super().__init__()
        self.activation, self.scale, self.offset = activation, scale, offset

    def forward(self, x):
        return self.scale * self.activation(x) + self.offset


@pytest.mark.parametrize(
    ("activation", "scale", "offset", "ends", "bias"),
    [
        (nn.Tanh(), -1, 0, (-1, 1), None),
        (nn.Tanh(), -0.5, 0.5, (0, 1), 0.2),
        (nn.Sigmoid(), -1, 1, (0, 1), None),
        (nn.Sigmoid(), -255, 255, (0, 255), 0.2),
        (nn.Hardtanh(0, 1), -1, 1, (0, 1), 0.6),
        (nn.Hardtanh(-10, 10), -1, 0, (-1, 1), 0.2),
    ],
)
def test_an_image_that_is_turned_over_is_no_fault(activation, scale, offset, ends, bias):
    head = nn.ConvTranspose2d(24, 3, 4, 2, 1, bias=bias is not None)
    generator = dcgan(head=head, activation=Turned(activation, scale, offset))
    with torch.no_grad():
        head.weight.mul_(0.3)
        if bias is not None:
            head.bias.fill_(bias)
        answer, image = gch.torch.inspect(generator, latents()), generator(latents())
    assert names(answer) == ["healthy"]
    assert any("turns light and dark around" in note for note in answer.notes)
    made = answer.trace["activation"].moments.to(ends)
    np.testing.assert_allclose(made.mean, image.mean(dim=(0, 2, 3)), atol=1e-4 * (ends[1] - ends[0]))


def test_a_hardtanh_with_one_usual_end_is_read():
    answer = gch.torch.inspect(dcgan(activation=nn.Hardtanh(0, 1)), latents())
    assert "then ('clamp', 0.0, 1.0)), which explains the whole image" in answer.about
    assert answer.trace["activation"].moments.value_range == (0, 1)


def test_an_untrained_generator_in_training_mode_is_healthy():
    answer = gch.torch.inspect(dcgan(), latents())
    assert isinstance(answer, Diagnosis)
    assert names(answer) == ["healthy"]
    assert answer.head_name == "1"
    assert answer.head_share == pytest.approx(1)
    assert 0.2 < answer.trace["activation"].moments.achromatic_share < 0.5
    assert "BatchNorm is in training mode, over 16 images" in answer.about
    entry = json.loads(json.dumps(answer.to_dict(), allow_nan=False))
    assert (entry["head_name"], entry["learning"]) == ("1", None)


def test_it_says_what_diagnose_says_of_the_pieces():
    generator, z = dcgan(), latents()
    with torch.no_grad():
        features = generator[0](z)
        images = generator[2](generator[1](features))
    layer = gch.torch.output_layer(generator[1])
    pieces = gch.diagnose(images, layer=layer, features=features, value_range=(-1, 1))
    whole = gch.torch.inspect(generator, z)
    for stage in ("linear", "activation", "display"):
        np.testing.assert_allclose(
            whole.trace[stage].moments.covariance, pieces.trace[stage].moments.covariance, rtol=1e-6
        )


def test_batchnorm_in_evaluation_mode_is_cured_by_the_network_itself():
    generator = dcgan().eval()
    answer = gch.torch.inspect(generator, latents())
    assert names(answer) == ["batchnorm_eval"]
    assert answer.causes[0].evidence["layers"] == ["0.1", "0.4", "0.7"]
    # The remedy is what the module makes in training mode, to rounding.
    trained = gch.torch.inspect(generator.train(), latents())
    np.testing.assert_allclose(
        answer.after["linear"].moments.covariance, trained.trace["linear"].moments.covariance, rtol=1e-5
    )


def test_batchnorm_of_a_single_value_is_no_crash():
    generator = nn.Sequential(
        nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 3 * 64), nn.Unflatten(1, (3, 8, 8))
    )
    answer = gch.torch.inspect(generator.eval(), torch.randn(1, 8), value_range=(-1, 1))
    assert "batchnorm_eval" in names(answer)


@pytest.mark.parametrize("flavor", ["legacy", "parametrization"])
def test_spectral_norm_never_warmed_up_is_named_and_cured(flavor):
    head = nn.Conv2d(24, 3, 3, padding=1)
    if flavor == "legacy":
        head = nn.utils.spectral_norm(head)
    else:
        head = nn.utils.parametrizations.spectral_norm(head)
        with torch.no_grad():  # as after weights were replaced: u and v are another matrix's
            for part in ("_u", "_v"):
                vector = getattr(head.parametrizations.weight[0], part)
                vector.copy_(nn.functional.normalize(torch.randn(vector.shape), dim=0))
    generator = dcgan(head=head)
    generator.train()
    for module in generator[0].modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_var.fill_(0.9)  # trained, so that this is not the fault
    generator.eval()
    before = {name: value.clone() for name, value in generator.state_dict().items()}
    answer = gch.torch.inspect(generator, latents())
    assert names(answer)[0] == "spectral_norm_eval"
    assert answer.causes[0].kind == "saturation"
    assert answer.causes[0].evidence["u_Wv_over_sigma"] < 0.2
    assert answer.causes[0].evidence["layer"] == "1"
    std = [found["linear"].moments.std.mean() for found in (answer.trace, answer.after)]
    assert std[0] > 5 * std[1]
    assert all(torch.equal(value, before[name]) for name, value in generator.state_dict().items())
    head.train()
    with torch.no_grad():
        generator(latents())
    head.eval()
    assert "spectral_norm_eval" not in names(gch.torch.inspect(generator, latents()))


def test_filters_copied_three_times():
    generator = dcgan()
    with torch.no_grad():
        generator[1].weight[:, 1:] = generator[1].weight[:, :1]
    answer = gch.torch.inspect(generator, latents())
    assert names(answer) == ["identical_filters"]
    assert answer.after.display.healthy


def test_saturation():
    generator = dcgan()
    with torch.no_grad():
        generator[1].weight *= 200
    assert names(gch.torch.inspect(generator, latents())) == ["gain"]


def test_a_wrong_range_is_proven():
    answer = gch.torch.inspect(dcgan(), latents(), value_range=(0, 1))
    assert names(answer) == ["range_clip"]


def test_gray_data_are_seen_in_the_data():
    gray = torch.rand(8, 1, 32, 32).repeat(1, 3, 1, 1) * 2 - 1
    answer = gch.torch.inspect(dcgan(), latents(), dataset=gray)
    assert answer.trace["reference"].moments.achromatic_share == pytest.approx(1)


def test_an_infinite_image_is_an_answer():
    generator = dcgan()
    with torch.no_grad():
        generator[1].weight[0, 0] = float("inf")
    answer = gch.torch.inspect(generator, latents())
    assert any("NaN or infinite" in note for note in answer.notes)


# -- nothing changes ------------------------------------------------------------------------------------------------


class Restless(nn.Module):
    """Changes everything that a forward can change."""

    def __init__(self):
        super().__init__()
        self.body = nn.Conv2d(4, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.drop = nn.Dropout(0.1)
        self.head = nn.utils.spectral_norm(nn.Conv2d(8, 3, 3, padding=1))
        self.register_buffer("average", torch.zeros(4))
        self.plain = torch.zeros(3)
        self.calls = 0
        self.log = []
        self.table = {"a": torch.ones(2)}
        self.numbers = np.zeros(3)
        self.fail = False

    def __deepcopy__(self, memo):
        raise TypeError("no copies")

    def forward(self, x):
        x.mul_(0.5)
        self.average.lerp_(x.mean(dim=(0, 2, 3)), 0.5)
        self.plain += 1
        self.calls += 1
        self.log.append(self.calls)
        self.table["a"].add_(1)
        self.table["b"] = self.calls
        self.numbers += 1
        self.extra = self.calls
        np.random.rand()  # noqa: NPY002
        random.random()
        self.head.bias.data += 0.01
        self.body.weight.requires_grad_(False)
        x = self.drop(torch.relu(self.norm(self.body(x + 0.1 * torch.randn_like(x)))))
        if self.fail:
            raise RuntimeError("half way")
        self.eval()
        return torch.tanh(self.head(x))


def fingerprint(module):
    """Everything that must be the same afterwards, as comparable values."""
    tensors = {f"state {name}": value.clone() for name, value in module.state_dict().items()}
    tensors |= {f"grad {name}": value.grad for name, value in module.named_parameters()}
    tensors |= {"plain": module.plain.clone(), "table": module.table["a"].clone(), "rng": torch.get_rng_state()}
    values = {
        "identity": [id(value) for value in (*module.parameters(), *module.buffers(), module.plain)],
        "needs": [value.requires_grad for value in module.parameters()],
        "modes": [part.training for part in module.modules()],
        "hooks": [list(part._forward_hooks) + list(part._forward_pre_hooks) for part in module.modules()],
        "attributes": [sorted(vars(part)) for part in module.modules()],
        "own": (module.calls, list(module.log), sorted(module.table), module.numbers.tolist()),
        "python": random.getstate(),
        "numpy": np.random.get_state()[1].tolist(),  # noqa: NPY002
    }
    return tensors, values


@pytest.mark.parametrize("fail", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_nothing_changes(fail, training):
    torch.manual_seed(0)
    generator, x = Restless().train(training), torch.randn(6, 4, 16, 16)
    generator.fail = fail
    hook = generator.body.register_forward_hook(lambda module, args, output: None)
    generator.body.weight.grad = torch.ones_like(generator.body.weight)
    tensors, values = fingerprint(generator)
    given = x.clone()
    if fail:
        with pytest.raises(RuntimeError, match="half way"):
            gch.torch.inspect(generator, x)
    else:
        assert gch.torch.inspect(generator, x).head_name == "head"
    tensors_after, values_after = fingerprint(generator)
    assert values_after == values
    assert tensors_after.keys() == tensors.keys()
    for name, value in tensors.items():
        assert (value is None and tensors_after[name] is None) or torch.equal(tensors_after[name], value), name
    assert torch.equal(x, given)
    hook.remove()
    assert not torch.nn.modules.module._global_forward_hooks
    assert not torch.nn.modules.module._global_forward_pre_hooks


def test_a_graph_that_waits_for_its_backward_still_can():
    generator, z = dcgan(), latents()
    lost = generator(z).square().mean()
    gch.torch.inspect(generator, z)
    gch.torch.inspect(generator.eval(), z)
    lost.backward()
    assert generator[1].weight.grad.abs().sum() > 0


def test_the_same_seed_is_the_same_answer():
    torch.manual_seed(0)
    generator, x = Restless(), torch.randn(6, 4, 16, 16)
    first, second, other = (gch.torch.inspect(generator, x, seed=seed).to_dict() for seed in (0, 0, 1))
    assert first == second
    assert first["stages"] != other["stages"]


# -- naming the head ------------------------------------------------------------------------------------------------


def test_the_head_can_be_named():
    generator, z = dcgan(), latents()
    automatic = gch.torch.inspect(generator, z).to_dict()
    for head in ("1", generator[1], "1.weight"):
        assert gch.torch.inspect(generator, z, head=head).to_dict() == automatic
    with_activation = gch.torch.inspect(generator, z, activation="tanh").to_dict()
    assert with_activation == automatic
    wrong = gch.torch.inspect(generator, z, activation="relu")
    assert wrong.head_share < 0.999


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        (dict(head="nothing"), ValueError, "'nothing'"),
        (dict(head=nn.Conv2d(3, 3, 1)), ValueError, "no part of the generator"),
        (dict(head=3), TypeError, "head must be a name or a module"),
        (dict(activation="softsign"), ValueError, "activation is 'softsign'"),
        (dict(value_range=(1, -1)), ValueError, "value_range"),
        (dict(dataset=np.zeros(3)), ValueError, "dataset"),
        (dict(seed=-1), ValueError, "seed must be at least 0"),
        (dict(seed=2**64), ValueError, "seed must be below 2"),
        (dict(kwargs=[1]), TypeError, "kwargs must be a dictionary of names and values"),
        (dict(kwargs={1: 2}), TypeError, "kwargs must be a dictionary of names and values"),
    ],
)
def test_wrong_options(options, error, words):
    with pytest.raises(error, match=words):
        gch.torch.inspect(dcgan(), latents(), **options)


def test_the_last_seed_is_one():
    assert gch.torch.inspect(
        dcgan(), latents(), discriminator=nn.Sequential(nn.Flatten(), nn.Linear(3072, 1)), seed=2**64 - 1
    )


def test_an_unknown_head_lists_the_candidates():
    first = r"head=\.\.\.:\n  1: \(16, 24, 16, 16\) -> \(16, 3, 32, 32\), weight \(24, 3, 4, 4\)\n"
    with pytest.raises(ValueError, match=first):
        gch.torch.inspect(dcgan(), latents(), head="nothing")


class Detached(nn.Module):
    """Its image comes from outside: no layer made it."""

    def __init__(self):
        super().__init__()
        self.body = nn.Conv2d(3, 3, 1)

    def forward(self, x):
        self.body(x)
        return torch.from_numpy(np.ones((2, 3, 8, 8), np.float32))


def test_no_head_lists_the_candidates():
    with pytest.raises(LookupError, match=r"no layer was found that makes the image \(2, 3, 8, 8\).*\n  body: "):
        gch.torch.inspect(Detached(), torch.randn(2, 3, 8, 8))
    with pytest.raises(LookupError, match="no convolution and no matrix product"):
        gch.torch.inspect(nn.Identity(), torch.randn(2, 3, 8, 8))


def test_what_is_no_generator():
    with pytest.raises(TypeError, match=r"generator must be a torch.nn.Module, got function"):
        gch.torch.inspect(lambda z: z, latents())
    with pytest.raises(LookupError, match=r"no image came out: output \(16, 5\);"):
        gch.torch.inspect(nn.Sequential(nn.Flatten(), nn.Linear(20, 5)), latents())
    with pytest.raises(LookupError, match=r"output \(0, 3, 8, 8\), which is empty; an image is"):
        gch.torch.inspect(nn.Conv2d(2, 3, 1), torch.randn(0, 2, 8, 8))
    lazy = nn.Sequential(nn.LazyConv2d(3, 1))
    with pytest.raises(ValueError, match="not initialised yet"):
        gch.torch.inspect(lazy, torch.randn(2, 3, 8, 8))


def test_memory_is_bounded(monkeypatch):
    from ganchroma.torch import search

    monkeypatch.setattr(search, "MOST_NUMBERS", 5 * 24 * 16 * 16)
    answer = gch.torch.inspect(dcgan(), latents())
    assert any("the first 5 of 16 images were read" in note for note in answer.notes)
    assert answer.head_share == pytest.approx(1)


# -- what is given wrongly -----------------------------------------------------------------------------------------


def test_warnings_are_none():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gch.torch.inspect(dcgan(), latents())


def test_no_memory_no_answer():
    with pytest.raises(ValueError, match="generator is on the meta device"):
        gch.torch.inspect(dcgan().to("meta"), latents())


# -- the README -----------------------------------------------------------------------------------------------------


def test_the_readme_prints_what_it_says(capsys):
    """Word for word; the numbers to the digits that do not depend on the processor."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    section = text.split("A whole PyTorch generator goes in", 1)[1]
    code, printed = re.findall(r"```(?:python|text)\n(.*?)```", section, re.DOTALL)[:2]
    torch.manual_seed(0)
    exec(code, {"gch": gch, "torch": torch, "generator": examples_dcgan().eval()})
    number = re.compile(r"-?\d+\.?\d*")
    said = capsys.readouterr().out
    assert number.sub("", said).split() == number.sub("", printed).split()
    np.testing.assert_allclose(*([float(n) for n in number.findall(part)] for part in (said, printed)), atol=0.1)


class Returning(nn.Module):
    def __init__(self, made):
        super().__init__()
        self.generator, self.made = dcgan(), made

    def forward(self, z):
        return self.made(self.generator(z))


def test_an_output_that_holds_itself():
    def made(images):
        found = [images]
        found.append(found)
        return found

    assert gch.torch.inspect(Returning(made), latents()).head_name.startswith("generator.")


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (lambda images: images.to_sparse(), "of layout torch.sparse_coo"),
        (lambda images: images.to("meta"), "on the meta device"),
        (lambda images: images.to(torch.complex64), "of dtype torch.complex64"),
    ],
)
def test_outputs_that_are_no_numbers_are_named(made, words):
    with pytest.raises(LookupError, match=words):
        gch.torch.inspect(Returning(made), latents())


def test_a_clamp_with_its_usual_limits():
    assert gch.torch.inspect(dcgan(), latents(), activation=("clamp",)).head_name == "1"
