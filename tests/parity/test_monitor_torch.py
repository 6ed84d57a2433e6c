"""gch.torch.ChromaMonitor: the numbers of ChromaStats, nothing changed, and one word when and where colour goes."""

import json
import warnings

import numpy as np
import pytest

import ganchroma as gch

torch = pytest.importorskip("torch")
ChromaMonitor, ColorCollapse = gch.torch.ChromaMonitor, gch.torch.ColorCollapse
from parity.monitored import expected, generator, latents, measures, pictures  # noqa: E402

from ganchroma.diagnosis.words import number  # noqa: E402

nn = torch.nn


# -- what it measures ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, np.uint8])
@pytest.mark.parametrize("make", [np.asarray, torch.tensor])
def test_the_numbers_are_those_of_chroma_stats(rng, dtype, make):
    images = pictures(rng, n=20)
    images = gch.color.quantize(images, value_range=(-1, 1)) if dtype == np.uint8 else images.astype(dtype)
    record = ChromaMonitor(images=12).update(7, make(images))
    assert measures(record) == expected(images[:12])
    assert measures(record) != expected(images)
    assert record.step == 7
    assert record.filter_cosines is None


def test_the_range_is_the_stated_one(rng):
    images = (pictures(rng) + 1) / 2
    assert measures(ChromaMonitor(value_range=(0, 1)).update(0, images)) == expected(images, (0, 1))


def test_tensors_of_any_kind(rng):
    """Requiring grad, in bfloat16, transposed: read as they are."""
    images = torch.tensor(pictures(rng))
    plain = measures(ChromaMonitor().update(0, images))
    assert measures(ChromaMonitor().update(0, images.requires_grad_() * 1)) == plain
    rounded = images.detach().bfloat16()
    assert measures(ChromaMonitor().update(0, rounded)) == expected(rounded.float().numpy())
    flipped = images.detach().transpose(2, 3)
    assert measures(ChromaMonitor().update(0, flipped)) == expected(flipped.numpy())


HEADS = {
    "conv": lambda: nn.Conv2d(16, 3, 3),
    "transposed": lambda: nn.ConvTranspose2d(16, 3, 4, 2, 1),
    "linear": lambda: nn.Linear(16, 3),
    "weight_norm": lambda: nn.utils.parametrizations.weight_norm(nn.Conv2d(16, 3, 3)),
    "spectral_norm": lambda: nn.utils.parametrizations.spectral_norm(nn.Conv2d(16, 3, 3)),
    "legacy weight_norm": lambda: nn.utils.weight_norm(nn.ConvTranspose2d(16, 3, 3)),
    "legacy spectral_norm": lambda: nn.utils.spectral_norm(nn.Conv2d(16, 3, 3)),
}


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("name", HEADS)
def test_filter_cosines(rng, name):
    torch.manual_seed(1)
    head = HEADS[name]()
    before = {key: value.clone() for key, value in head.state_dict().items()}
    cosines = ChromaMonitor(head=head).update(0, pictures(rng)).filter_cosines
    assert all(torch.equal(value, before[key]) for key, value in head.state_dict().items())
    flat = gch.torch.output_layer(head).filters.reshape(3, -1).astype(np.float64)
    flat /= np.linalg.norm(flat, axis=1, keepdims=True)
    wanted = flat @ flat.T
    np.testing.assert_allclose(cosines, [wanted[0, 1], wanted[0, 2], wanted[1, 2]], rtol=0, atol=1e-12)
    assert max(np.abs(cosines)) > 1e-3


class Mixed(nn.Module):
    """Makes the filters from others by a product of matrices, which autocast computes in bfloat16."""

    def forward(self, weight):
        return (torch.tensor([[1.0, 0.3, 0.1], [0.2, 1.0, 0.7], [0.0, 0.1, 1.0]]) @ weight.flatten(1)).view_as(weight)


def test_filter_cosines_under_autocast(rng):
    head = nn.Conv2d(16, 3, 3)
    nn.utils.parametrize.register_parametrization(head, "weight", Mixed())
    monitor = ChromaMonitor(head=head)
    red, green, blue = head.weight.detach().double().flatten(1)
    wanted = [nn.functional.cosine_similarity(a, b, dim=0) for a, b in ((red, green), (red, blue), (green, blue))]
    with torch.autocast("cpu", torch.bfloat16):
        assert head.weight.dtype == torch.bfloat16  # 3 digits
        np.testing.assert_allclose(monitor.update(1, pictures(rng)).filter_cosines, wanted, rtol=0, atol=1e-7)


def test_filter_cosines_of_half_precision(rng):
    head = nn.Conv2d(16, 3, 3).bfloat16()
    with torch.no_grad():
        head.weight[1] = 2 * head.weight[0]
    red_green, red_blue, _ = ChromaMonitor(head=head).update(0, pictures(rng)).filter_cosines
    assert red_green == pytest.approx(1, abs=1e-12)
    assert red_blue < 0.9


def test_a_head_for_one_record(rng):
    monitor = ChromaMonitor()
    assert monitor.update(0, pictures(rng), nn.Conv2d(8, 3, 1)).filter_cosines is not None
    assert monitor.update(1, pictures(rng)).filter_cosines is None
    zero = nn.Conv2d(8, 3, 1)
    nn.init.zeros_(zero.weight[1].data)
    red_green, red_blue, green_blue = monitor.update(2, pictures(rng), zero).filter_cosines
    assert np.isnan([red_green, green_blue]).all()
    assert np.isfinite(red_blue)


# -- history and callback ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [2, 3, 8, 9])
def test_thinning(rng, limit):
    seen = []
    monitor = ChromaMonitor(limit=limit, callback=lambda record: seen.append(record.step))
    images = pictures(rng, n=1, size=4)
    for step in range(70):
        monitor.update(step, images)
        steps = [record.step for record in monitor.history]
        assert len(steps) <= limit
        gap = 1
        while len(range(0, step + 1, gap)) > limit:
            gap *= 2
        assert steps == list(range(0, step + 1, gap))
    assert seen == list(range(70))


def test_history_is_a_copy(rng):
    monitor = ChromaMonitor()
    monitor.update(0, pictures(rng))
    monitor.history.clear()
    assert len(monitor.history) == 1


def test_callback_may_run_the_generator_and_end_the_training():
    net = generator()
    records = []

    def look(record):
        records.append(record)
        net(latents())
        if record.step == 1:
            raise StopIteration("enough")

    monitor = ChromaMonitor(net, callback=look)
    net(latents())
    with pytest.raises(StopIteration, match="enough"):
        net(latents())
    assert records == monitor.history
    assert [record.step for record in records] == [0, 1]
    monitor.callback = None
    net(latents())
    assert len(monitor.history) == 3


# -- the warning ---------------------------------------------------------------------------------------------------


def head_alike():
    head = nn.Conv2d(8, 3, 1)
    with torch.no_grad():
        head.weight.copy_(head.weight[:1].repeat(3, 1, 1, 1))
    return head


def gone(rng):
    """Pictures without colour, head, stage, what the message says."""
    gray = pictures(rng, color=0)
    return {
        "alike": (gray, head_alike(), "linear", "three filters are alike"),
        "alike and saturated": (pictures(rng, color=0, gain=50), head_alike(), "linear", "three filters are alike"),
        "saturated": (pictures(rng, color=0, gain=50), None, "activation", "ends of the range"),
        "white": (np.ones_like(gray), nn.Conv2d(8, 3, 1), "activation", "ends of the range"),
        "faint": (pictures(rng, gain=0.01), nn.Conv2d(8, 3, 1), "linear", "hardly varies"),
        "gray": (
            gray,
            nn.Conv2d(8, 3, 1),
            "features or data",
            "collapsed features, gray data: ganchroma.torch.inspect",
        ),
        "gray, no head": (gray, None, "features or data", "filters that are alike: ganchroma.torch.inspect"),
        "diverged": (np.full_like(gray, np.nan), None, "unknown", "not finite"),
    }


@pytest.mark.parametrize("case", list(gone(np.random.default_rng(0))))
def test_one_warning_with_step_and_stage(rng, case):
    torch.manual_seed(0)
    images, head, stage, said = gone(rng)[case]
    monitor = ChromaMonitor(head=head)
    for step in (0, 10):
        monitor.update(step, pictures(rng), nn.Conv2d(8, 3, 1))
    with pytest.warns(ColorCollapse, match=rf"gone at step 20 \(last seen at step 10\); stage: {stage}\. ") as caught:
        record = monitor.update(20, images)
    assert len(caught) == 1
    text = str(caught[0].message)
    assert said in text
    assert f"Chroma C*ab {number(record.chroma)} (visible from 3)" in text
    assert caught[0].filename == __file__
    monitor.update(30, images)  # an error if it warned again
    monitor.update(40, pictures(rng))
    monitor.update(50, images)


def test_color_that_never_appears(rng):
    monitor = ChromaMonitor()
    gray = pictures(rng, color=0)
    for step in range(9):
        monitor.update(step * 100, gray)
    with pytest.warns(ColorCollapse, match="no colour has appeared in 10 records, up to step 900; stage: features"):
        monitor.update(900, gray)
    monitor.update(1000, gray)
    late = ChromaMonitor()
    for step in range(9):
        late.update(step, gray)
    for step in range(9, 30):
        late.update(step, pictures(rng))


@pytest.mark.parametrize(
    ("images", "lost"),
    [
        ({"color": 0.25}, False),
        ({"color": 0.12}, True),  # only the achromatic share is beyond its limit
        ({"gain": 0.04}, True),  # only the chroma, 2.2
        ({"gain": 0.1}, False),
        ({"gain": 0.02, "tint": 0.3}, True),  # only the amplitude, 2.8 levels
        ({"gain": 0.05, "tint": 0.3}, False),
    ],
)
def test_the_limits_are_those_of_the_diagnosis(rng, images, lost):
    monitor = ChromaMonitor()
    monitor.update(0, pictures(rng))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        record = monitor.update(1, pictures(rng, **images))
    assert bool(caught) == lost, record


def test_the_warning_points_at_the_forward():
    net = generator()
    monitor = ChromaMonitor(net, head="3")
    net(latents())
    with torch.no_grad():
        net[3].weight.copy_(net[3].weight[:1].repeat(3, 1, 1, 1))
        net[3].bias.zero_()
    with pytest.warns(ColorCollapse, match=r"step 1 .*stage: linear.*cosine 1\.000") as caught:
        net(latents())
    assert caught[0].filename == __file__
    assert monitor.history[-1].achromatic_share == pytest.approx(1)


def test_a_warning_made_an_error_comes_once_and_leaves_the_record(rng):
    monitor = ChromaMonitor()
    monitor.update(0, pictures(rng))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ColorCollapse):
            monitor.update(1, pictures(rng, color=0))
        monitor.update(2, pictures(rng, color=0))
    assert [record.step for record in monitor.history] == [0, 1, 2]


# -- out of it -----------------------------------------------------------------------------------------------------


def test_json(rng):
    head = nn.Conv2d(8, 3, 1)
    monitor = ChromaMonitor(head=head, every=5, value_range=(0, 1))
    monitor.update(np.int64(3), np.full((1, 3, 4, 4), 0.5))
    record = monitor.update(4, pictures(rng))
    told = json.loads(json.dumps(monitor.to_dict(), allow_nan=False))
    assert told["value_range"] == [0, 1]
    assert told["every"] == 5
    flat, full = told["records"]
    assert flat["step"] == 3
    assert flat["achromatic_share"] is None
    assert flat["correlation"] == [None] * 3
    assert full == {
        "step": 4,
        **{key: list(value) if isinstance(value, tuple) else value for key, value in measures(record).items()},
        "filter_cosines": list(record.filter_cosines),
    }
    assert json.dumps(record.to_dict())
    assert ChromaMonitor().to_dict()["records"] == []


def test_repr(rng):
    monitor = ChromaMonitor()
    assert repr(monitor) == "ChromaMonitor(records=0, last_step=None, attached=False)"
    monitor.attach(generator())
    monitor.update(12, pictures(rng))
    assert repr(monitor) == "ChromaMonitor(records=1, last_step=12, attached=True)"


def drawn(axes):
    return [line for line in axes.get_lines() if len(line.get_xdata()) not in (0, 2) or line.get_marker() == "o"]


def test_plot(rng):
    pytest.importorskip("matplotlib")
    from matplotlib.figure import Figure

    monitor = ChromaMonitor()
    for step in range(0, 50, 10):
        monitor.update(step, pictures(rng, color=0.5 + step / 50))
    figure = monitor.plot()
    share, color, levels = figure.axes
    assert [record.achromatic_share for record in monitor.history] == drawn(share)[0].get_ydata().tolist()
    assert [len(drawn(axes)) for axes in (share, color, levels)] == [1, 2, 1]
    assert list(drawn(levels)[0].get_xdata()) == [0, 10, 20, 30, 40]
    heights = {round(line.get_ydata()[0], 3) for line in share.get_lines() if line.get_linestyle() == "--"}
    assert heights == {round(gch.color.NATURAL.achromatic_share, 3), 0.98}
    assert figure._repr_png_().startswith(b"\x89PNG")

    monitor.update(60, pictures(rng), nn.Conv2d(8, 3, 1))
    with pytest.warns(ColorCollapse):
        monitor.update(70, np.zeros((4, 3, 8, 8)), head_alike())
    own = Figure()
    assert monitor.plot(own) is own
    assert len(own.axes) == 4
    assert [len(drawn(axes)) for axes in own.axes] == [1, 2, 1, 3]
    assert own._suptitle.get_text() == "colour in training: missing at step 70, stage: linear"

    empty = ChromaMonitor().plot()
    assert empty.axes == []
    assert "no records" in empty.texts[0].get_text()


# -- errors --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "kind", "said"),
    [
        ({"generator": 3}, TypeError, "generator must be a torch.nn.Module, got int"),
        ({"head": 3}, TypeError, "head must be a name.*got int"),
        ({"head": nn.Sequential()}, TypeError, "head must be .*got Sequential"),
        ({"generator": nn.Sequential(nn.Conv2d(3, 3, 1)), "head": "9"}, ValueError, "head is '9'; accepted.*0"),
        ({"generator": nn.Sequential(nn.ReLU()), "head": "0"}, ValueError, "head is '0'; accepted"),
        ({"value_range": (1, -1)}, ValueError, "value_range must be"),
        ({"value_range": 1}, TypeError, "value_range must be"),
        ({"every": 0}, ValueError, "every must be at least 1, got 0"),
        ({"every": True}, TypeError, "every must be an integer, got True"),
        ({"images": 2.5}, TypeError, "images must be an integer"),
        ({"limit": 1}, ValueError, "limit must be at least 2"),
        ({"callback": "print"}, TypeError, "callback must be callable"),
    ],
)
def test_wrong_settings(options, kind, said):
    with pytest.raises(kind, match=said):
        ChromaMonitor(**options)


@pytest.mark.parametrize(
    ("change", "kind", "said"),
    [
        ({"step": -1}, ValueError, "step must be at least 0, got -1"),
        ({"step": 1.0}, TypeError, "step must be an integer, got 1.0"),
        ({"step": 4}, ValueError, "step is 4, after step 5"),
        ({"images": np.zeros((3, 8, 8))}, ValueError, r"images has shape \(3, 8, 8\); accepted: \(N, 3, H, W\)"),
        ({"images": np.zeros((2, 8, 8, 3))}, ValueError, "images has shape"),
        ({"images": torch.zeros(0, 3, 8, 8)}, ValueError, "images has shape"),
        ({"images": torch.zeros(2, 3, 8, 8, dtype=torch.int64)}, TypeError, "images has dtype torch.int64"),
        ({"images": np.zeros((2, 3, 8, 8), np.int32)}, TypeError, "images has dtype int32"),
        ({"images": "picture.png"}, TypeError, "images must be an array or a tensor"),
        ({"head": "3"}, ValueError, "head is '3', the name of a module, but no generator is attached"),
        ({"head": nn.Conv2d(8, 4, 1)}, ValueError, "head has 4 filters; accepted: 3"),
        ({"head": nn.ReLU()}, TypeError, "head must be"),
    ],
)
def test_wrong_updates_leave_the_monitor_as_it_was(rng, change, kind, said):
    monitor = ChromaMonitor()
    monitor.update(5, pictures(rng))
    with pytest.raises(kind, match=said):
        monitor.update(**{"step": 6, "images": pictures(rng), **change})
    assert [record.step for record in monitor.history] == [5]
    monitor.update(5, pictures(rng))  # the same step may come twice


def test_one_generator_at_a_time():
    net = generator()
    monitor = ChromaMonitor(net)
    with pytest.raises(ValueError, match=r"a Sequential is attached already; call detach\(\)"):
        monitor.attach(generator())
    assert len(net._forward_hooks) == 1
