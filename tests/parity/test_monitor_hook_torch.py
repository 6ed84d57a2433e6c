"""An attached ChromaMonitor: it changes nothing in training, and costs next to nothing."""

import copy
import gc
import pickle
import time
import warnings
import weakref

import numpy as np
import pytest

import ganchroma as gch

torch = pytest.importorskip("torch")
ChromaMonitor, ColorCollapse = gch.torch.ChromaMonitor, gch.torch.ColorCollapse
from parity.monitored import expected, generator, latents, measures, pictures  # noqa: E402

nn = torch.nn


# -- attached ------------------------------------------------------------------------------------------------------


def train(g, steps=3):
    """Outputs, gradients, weights and the random state after some steps."""
    torch.manual_seed(3)
    np.random.seed(3)  # noqa: NPY002  what a careless hook would move
    optimizer = torch.optim.Adam(g.parameters(), 1e-2)
    trail = []
    for _ in range(steps):
        out = g(torch.randn(4, 8, 9, 9))
        optimizer.zero_grad()
        (out * torch.randn_like(out)).square().mean().backward()
        trail += [out.detach().clone(), *(p.grad.clone() for p in g.parameters())]
        optimizer.step()
    trail += [value.clone() for value in g.state_dict().values()]
    return [*trail, torch.get_rng_state(), torch.tensor(np.random.get_state()[1].astype(np.int64))]  # noqa: NPY002


def test_the_hook_leaves_training_as_it_was():
    alone = train(generator())
    watched = generator()
    with ChromaMonitor(watched, head="3") as monitor:
        seen = train(watched)
    assert len(monitor.history) == 3
    assert len(alone) == len(seen)
    assert all(torch.equal(a, b) for a, b in zip(alone, seen, strict=True))


def test_the_hook_returns_the_output_itself_and_keeps_no_graph():
    class Same(nn.Module):
        def forward(self, x):
            return x

    same = Same()
    x = (torch.rand(2, 3, 8, 8, requires_grad=True) * 1.5) - 0.5
    with ChromaMonitor(same):
        version = x._version
        assert same(x) is x
        assert x._version == version
    net = generator()
    monitor = ChromaMonitor(net, head="3")
    out = net(latents())
    reference = weakref.ref(out)
    del out
    gc.collect()
    assert reference() is None
    assert len(monitor.history) == 1


def test_detach_takes_the_hook_off():
    net = generator()
    monitor = ChromaMonitor(net)
    net(latents())
    monitor.detach()
    monitor.detach()
    net(latents())
    assert len(monitor.history) == 1
    assert not net._forward_hooks
    with monitor.attach(net):
        net(latents())
    assert not net._forward_hooks
    assert [record.step for record in monitor.history] == [0, 1]  # it goes on counting


def test_steps_go_on_after_those_of_updates():
    net, monitor = generator(), ChromaMonitor()
    monitor.update(100, net(latents()))
    with monitor.attach(net):
        net(latents())
        monitor.update(200, net(latents()))
        net(latents())
    with monitor.attach(net):
        net(latents())
    assert [record.step for record in monitor.history] == [100, 101, 102, 200, 201, 202]


def test_every_and_eval_mode():
    net = generator()
    monitor = ChromaMonitor(net, every=3)
    kept = {}
    for step in range(8):
        kept[step] = net(latents() * (1 + step)).detach().numpy()
        net.eval()
        net(latents())
        net.train()
    assert [record.step for record in monitor.history] == [0, 3, 6]
    assert [measures(record) for record in monitor.history] == [expected(kept[step]) for step in (0, 3, 6)]


class Returns(nn.Module):
    def __init__(self, wrap):
        super().__init__()
        self.wrap = wrap

    def forward(self, x):
        return self.wrap(x)


def test_outputs_that_hold_pictures(rng):
    images = torch.tensor(pictures(rng))
    mask = torch.rand(16, 1, 16, 16)
    wanted = expected(images.numpy())
    wraps = [
        lambda x: (mask, x),
        lambda x: [x, x * 0],
        lambda x: {"mask": mask, "out": {"image": x}},
        lambda x: (torch.rand(16, 100), [None, 3, x]),
    ]
    for wrap in wraps:
        net = Returns(wrap)
        with ChromaMonitor(net) as monitor:
            net(images)
        assert measures(monitor.history[0]) == wanted


def test_outputs_of_no_pictures_and_of_one(rng):
    """A batch may be empty, and layers take one picture without the axis of them: a watched forward does, too."""
    net = Returns(lambda x: x)
    image = torch.tensor(pictures(rng, n=1))
    with ChromaMonitor(net) as monitor:
        net(image[:0])
        net(image[0].requires_grad_())
        net(image[..., :0])
    assert [(record.step, measures(record)) for record in monitor.history] == [(1, expected(image.detach().numpy()))]


@pytest.mark.parametrize(
    ("wrap", "said"),
    [
        (lambda x: (x[:, :1], x[:, 0]), r"tuple with tensors of shape \(16, 1, 16, 16\), \(16, 16, 16\)"),
        (lambda x: "picture", "str without tensors"),
        (lambda x: None, "NoneType"),
    ],
)
def test_outputs_without_pictures(rng, wrap, said):
    net = Returns(wrap)
    with ChromaMonitor(net) as monitor, pytest.raises(TypeError, match=f"returned {said}.*accepted"):
        net(torch.tensor(pictures(rng)))
    assert monitor.history == []


def test_half_precision_outputs():
    net = generator()
    with ChromaMonitor(net, head="3") as monitor, torch.autocast("cpu", torch.bfloat16):
        out = net(latents())
    assert out.dtype == torch.bfloat16
    assert measures(monitor.history[0]) == expected(out.detach().float().numpy())
    half = Returns(lambda x: x.half())
    with ChromaMonitor(half) as monitor:
        half(out.detach().float())
    assert measures(monitor.history[0]) == expected(out.detach().half().float().numpy())


def test_copies_are_not_watched():
    """An averaged copy of the generator is common; it must not double the records, nor carry the monitor along."""
    net = generator()
    monitor = ChromaMonitor(net, callback=lambda record: None)  # which can't be pickled
    twins = [copy.copy(net), copy.deepcopy(net), pickle.loads(pickle.dumps(net))]
    for twin in twins:
        assert twin.training
        twin(latents())
    assert monitor.history == []
    net(latents())
    assert len(monitor.history) == 1


def test_copies_of_a_monitor_are_not_attached():
    net = generator()
    copies = []
    monitor = ChromaMonitor(net, head="3", callback=lambda record: copies.append(copy.deepcopy(monitor)))
    net(latents())
    monitor.callback = None
    for twin, other in (copy.deepcopy((net, monitor)), pickle.loads(pickle.dumps((net, monitor))), (net, copies[0])):
        assert repr(other) == "ChromaMonitor(records=1, last_step=0, attached=False)"
        with other.attach(twin):
            twin(latents())
        assert [record.step for record in other.history] == [0, 1]
    assert [record.step for record in monitor.history] == [0, 1]  # the original is attached as it was
    net = generator()
    monitor = ChromaMonitor(net, head="3")
    net(latents())
    assert gch.torch.inspect(net, latents()).head_name == "3"
    assert len(monitor.history) == 1
    net(latents())
    assert [record.step for record in monitor.history] == [0, 1]


@pytest.mark.filterwarnings("ignore")  # the compiler's own
def test_compiled():
    net = generator()
    monitor = ChromaMonitor(net)
    compiled = torch.compile(net, backend="eager")
    out = compiled(latents())
    assert measures(monitor.history[0]) == expected(out.detach().numpy())


# -- cost ----------------------------------------------------------------------------------------------------------


def dcgan(width=64):
    """G and D of the PyTorch examples, 64x64."""
    torch.manual_seed(0)
    g, d, last = [], [nn.Conv2d(3, width, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, inplace=True)], 100
    for times, stride, padding in ((8, 1, 0), (4, 2, 1), (2, 2, 1), (1, 2, 1)):
        g += [nn.ConvTranspose2d(last, times * width, 4, stride, padding, bias=False)]
        g += [nn.BatchNorm2d(times * width), nn.ReLU(inplace=True)]
        last = times * width
    g += [nn.ConvTranspose2d(width, 3, 4, 2, 1, bias=False), nn.Tanh()]
    for times in (1, 2, 4):
        d += [nn.Conv2d(times * width, 2 * times * width, 4, 2, 1, bias=False)]
        d += [nn.BatchNorm2d(2 * times * width), nn.LeakyReLU(0.2, inplace=True)]
    d += [nn.Conv2d(8 * width, 1, 4, 1, 0, bias=False), nn.Sigmoid(), nn.Flatten(0)]
    return nn.Sequential(*g), nn.Sequential(*d)


@pytest.mark.slow
def test_an_update_costs_at_most_a_hundredth_of_a_training_step():
    """Some 3 s on two cores of their own."""
    g, d = dcgan()
    monitor = ChromaMonitor()
    optimize_g, optimize_d = (torch.optim.Adam(net.parameters(), 2e-4, (0.5, 0.999)) for net in (g, d))
    loss, real, ones, zeros = nn.BCELoss(), torch.rand(16, 3, 64, 64) * 2 - 1, torch.ones(16), torch.zeros(16)
    times = []
    for step in range(7):
        start = time.perf_counter()
        optimize_d.zero_grad()
        loss(d(real), ones).backward()
        fake = g(torch.randn(16, 100, 1, 1))
        loss(d(fake.detach()), zeros).backward()
        optimize_d.step()
        optimize_g.zero_grad()
        loss(d(fake), ones).backward()
        optimize_g.step()
        between = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ColorCollapse)  # so few steps from nowhere may well be gray
            monitor.update(step, fake, g[-2])
        times.append((between - start, time.perf_counter() - between))
    training, update = np.min(times, axis=0)
    print(f"training step {1e3 * training:.1f} ms, update {1e3 * update:.2f} ms: {update / training:.2%}")
    assert update / training <= 0.01
