"""Experiments: the same run for the same settings, whatever stops it in between; and what a sweep makes of many."""

import csv
import math
import os
import signal
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")
from ganchroma.torch.experiments import Config, History, Interval, Sweep, crops, run, sweep, training  # noqa: E402
from ganchroma.torch.records import ChromaRecord  # noqa: E402

SMALL = Config(steps=6, batch=4, width=4)


# -- settings -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "error", "words"),
    [
        ({"init": "xavier"}, ValueError, "init is 'xavier'; accepted: 'standard', 'identical'"),
        ({"steps": 0}, ValueError, "steps must be at least 1, got 0"),
        ({"steps": 2.0}, TypeError, "steps must be an integer"),
        ({"gray_share": 1.5}, ValueError, r"gray_share must be in \[0, 1\], got 1.5"),
        ({"lr": math.nan}, ValueError, "lr must be finite"),
        ({"lr": "fast"}, TypeError, "lr must be a number, got 'fast'"),
        ({"photographs": 3}, TypeError, "photographs must be a string or a path, got 3"),
    ],
)
def test_wrong_settings(setting, error, words):
    with pytest.raises(error, match=words):
        Config(**setting)


def test_settings_go_through_json():
    config = Config(init="identical", lr=0.1, discriminator_width=3)
    assert Config.from_dict(config.to_dict()) == config
    assert config.describe() == "discriminator_width=3, init=identical, lr=0.1"
    with pytest.raises(ValueError, match="unknown settings depth"):
        Config.from_dict({"depth": 3})


# -- pictures -------------------------------------------------------------------------------------------------------


def test_crops_are_photographs_in_the_share_of_gray_asked_for():
    made = crops(40, gray_share=0.25, seed=3)
    assert made.shape == (40, 3, 32, 32)
    assert 0 <= made.min() < 0.1
    assert 0.9 < made.max() <= 1
    spread = (made - made.mean(dim=1, keepdim=True)).abs().amax(dim=(1, 2, 3))
    assert (spread < 1e-6).sum() == 10
    assert torch.equal(made, crops(40, gray_share=0.25, seed=3))
    assert not torch.equal(made, crops(40, gray_share=0.25, seed=4))


def test_photographs_of_a_folder(tmp_path):
    from PIL import Image

    with pytest.raises(ValueError, match="holds 0 pictures"):
        crops(1, folder=str(tmp_path))
    Image.new("RGB", (80, 70), (200, 100, 50)).save(tmp_path / "one.png")
    Image.new("RGB", (20, 20)).save(tmp_path / "small.png")
    made = crops(3, folder=str(tmp_path))
    expected = torch.tensor([200, 100, 50]).view(1, 3, 1, 1) / 255
    torch.testing.assert_close(made, expected.expand_as(made), rtol=0, atol=1e-6)  # the small one is left out


# -- one run --------------------------------------------------------------------------------------------------------


def test_the_same_settings_are_the_same_run_and_nothing_outside_changes():
    torch.manual_seed(5)
    state, count = torch.get_rng_state(), torch.get_num_threads()
    first = run(SMALL, shown=False)
    torch.set_num_threads(2)
    torch.manual_seed(6)
    second = run(SMALL, shown=False)
    assert torch.get_num_threads() == 2
    torch.set_num_threads(count)
    assert first.to_dict() == second.to_dict()
    assert first.complete
    assert [record.step for record in first.records] == list(range(7))
    assert [judgement.step for judgement in first.judgements] == [0, 6]
    torch.manual_seed(5)
    assert torch.equal(state, torch.get_rng_state())
    assert run(SMALL, seed=1, shown=False).to_dict()["records"] != first.to_dict()["records"]


def test_every_setting_changes_what_it_says():
    identical = run(SMALL, init="identical", shown=False)
    assert identical.at(0, "achromatic_share") == pytest.approx(1, abs=1e-6)
    assert identical.at(0, "filter_cosines") == pytest.approx(1)
    assert identical.at(6, "filter_cosines") < 1
    assert run(SMALL, init="fill", shown=False).gradients[0].norm < 0.01 * identical.gradients[0].norm
    natural = run(SMALL, init="calibrated", shown=False)
    assert natural.at(0, "achromatic_share") > 0.8
    assert run(SMALL, gray_share=1.0, shown=False).data.achromatic_share == pytest.approx(1, abs=1e-4)
    frozen = run(SMALL, discriminator_lr=0, shown=False)
    assert frozen.judgements[0].prefers_color == frozen.judgements[1].prefers_color
    for changes in (
        {"optimizer": "sgd"},
        {"lr": 1e-2},
        {"discriminator_width": 8},
        {"discriminator_steps": 2},
        {"activation": "sigmoid"},
        {"spectral_norm": "legacy"},
        {"spectral_norm": "parametrization"},
    ):
        changed = run(SMALL, shown=False, **changes)
        assert changed.complete
        assert changed.records != natural.records, changes


def test_sgd_moves_the_head_by_its_rate_times_the_gradient():
    """The gradient recorded is the one that the update used."""
    config = replace(SMALL, steps=1, optimizer="sgd", lr=0.5)
    with training._alone():
        state = training._Training(config)
        before = state.generator.head.weight.detach().clone()
        state.step(0)
    moved = (state.generator.head.weight.detach() - before).double().norm()
    assert state.history.gradients[0].norm == pytest.approx(float(moved) / 0.5, rel=1e-4)


def test_ctrl_c_leaves_a_whole_step_and_the_run_goes_on_to_the_bit(tmp_path, monkeypatch):
    expected = run(SMALL, shown=False)
    gradient = training._Training._gradient

    def interrupted(self, step):
        if step == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return gradient(self, step)

    monkeypatch.setattr(training._Training, "_gradient", interrupted)
    partial = run(SMALL, out=tmp_path / "run", shown=False)
    assert not partial.complete
    assert [record.step for record in partial.records] == [0, 1, 2, 3]
    assert partial.measures()["share_0"] == expected.measures()["share_0"]
    monkeypatch.undo()
    resumed = run(SMALL, out=tmp_path / "run", shown=False)
    assert resumed.to_dict() == expected.to_dict()
    assert History.from_dict(resumed.to_dict()).to_dict() == expected.to_dict()


def test_a_second_ctrl_c_is_an_interrupt(monkeypatch):
    def stuck(self, step):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(training._Training, "_gradient", stuck)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        run(SMALL, shown=False)
    assert signal.getsignal(signal.SIGINT) is before


def test_a_complete_run_is_read_not_repeated(tmp_path, monkeypatch):
    first = run(SMALL, out=tmp_path, shown=False)
    monkeypatch.setattr(training._Training, "step", None)
    assert run(SMALL, out=tmp_path, shown=False).to_dict() == first.to_dict()


def test_files_that_do_not_fit(tmp_path):
    run(SMALL, out=tmp_path, shown=False)
    with pytest.raises(ValueError, match="holds the run of other settings") as caught:
        run(SMALL, lr=1e-3, out=tmp_path, shown=False)
    assert "lr=0.001" in str(caught.value)
    (tmp_path / "state.safetensors").write_bytes(b"\x80\x04pickle?")
    with pytest.raises(ValueError, match="delete it to start anew"):
        run(SMALL, out=tmp_path, shown=False)


def record(step, share):
    return ChromaRecord(step, share, (0.1, 0.2, 0.3), 10.0 + step, 5.0, 20.0, 0.0, (0.5, 0.5, 0.5))


def test_measures_of_a_run_that_was_made_up():
    history = History(Config(steps=20), [record(step, 1 - 0.01 * step) for step in range(21)])
    found = history.measures()
    assert found["share_0"] == 1
    assert found["share_end"] == pytest.approx(1 - 0.01 * np.mean(range(13, 21)))
    assert found["colored_at"] == 6  # .94: the first below .95
    assert found["correlation_end"] == pytest.approx(0.2)
    assert math.isnan(found["share_64"])
    assert math.isnan(History(Config()).measures()["share_0"])
    for last in (60, 63, 64):
        reached = History(Config(steps=last), [record(step, 1.0) for step in range(last + 1)])
        assert math.isnan(reached.measures()["share_64"]) == (last < 64)
    assert len(history.plot().axes) == 4


# -- many runs ------------------------------------------------------------------------------------------------------


def test_a_sweep_is_the_same_over_processes_and_goes_on(tmp_path, monkeypatch):
    configs = {"standard": SMALL, "one filter": replace(SMALL, init="identical")}
    here = sweep(configs, 2, workers=1, shown=False)
    there = sweep(configs, 2, workers=2, out=tmp_path, shown=False)
    assert here.complete
    assert here.rows() == there.rows()
    with open(tmp_path / "runs.csv") as file:
        table = list(csv.DictReader(file))
    assert [(row["name"], row["seed"]) for row in table] == [(row["name"], str(row["seed"])) for row in here.rows()]
    assert float(table[2]["share_0"]) == here.rows()[2]["share_0"]
    (tmp_path / "one-filter-1" / "state.safetensors").unlink()
    steps = []
    step = training._Training.step
    monkeypatch.setattr(training._Training, "step", lambda self, at: (steps.append(at), step(self, at))[1])
    again = sweep(configs, 2, workers=1, out=tmp_path, shown=False)
    assert again.rows() == here.rows()
    assert steps == list(range(6))  # of the one that was missing


def test_any_name_of_a_configuration_is_one_field(tmp_path):
    names = ["plain", "a\rb", 'a,"b"\n']
    Sweep({name: {0: History(Config())} for name in names}, complete=True).to_csv(tmp_path / "runs.csv")
    with open(tmp_path / "runs.csv", newline="") as file:
        rows = list(csv.reader(file))
    assert [row[:3] for row in rows] == [["name", "seed", "share_0"], *([name, "0", "nan"] for name in names)]


def test_every_name_of_a_run_can_be_drawn():
    name = "cost $\\frac$"
    history = History(Config(photographs=name), [record(0, 1.0)])
    assert history.plot()._repr_png_()
    assert Sweep({name: {0: history}}, complete=True).plot()._repr_png_()


def test_an_interrupted_sweep_holds_what_was_done(monkeypatch):
    gradient = training._Training._gradient

    def interrupted(self, step):
        if self.config.seed == 1:
            os.kill(os.getpid(), signal.SIGINT)
        return gradient(self, step)

    monkeypatch.setattr(training._Training, "_gradient", interrupted)
    found = sweep({"standard": SMALL}, 3, workers=1, shown=False)
    assert not found.complete
    assert [row["seed"] for row in found.rows()] == [0]


def test_intervals_are_students():
    found = Interval.of([1.0, 2.0, 3.0, math.nan])
    assert (found.mean, found.seeds) == (2, 3)
    assert found.high - found.mean == pytest.approx(4.302653 / math.sqrt(3), rel=1e-4)  # t of 2 degrees, 97.5 %
    assert f"{found:.1f}" == "2.0 +- 2.5"
    assert f"{found:+.1f}" == "+2.0 +- 2.5"
    assert f"{Interval.of([3.0])}" == "3.00"
    assert f"{Interval.of([math.nan])}" == "never"


def test_effects_are_paired_by_seed():
    found = sweep({"a": SMALL, "b": replace(SMALL, init="identical")}, [0, 3], workers=1, shown=False)
    shares = found.values("b", "share_0"), found.values("a", "share_0")
    effect = found.effect("b", "share_0", against="a")
    assert effect.mean == pytest.approx(np.mean([shares[0][seed] - shares[1][seed] for seed in (0, 3)]))
    assert effect.seeds == 2
    with pytest.raises(KeyError, match="no configuration 'c'; there are a, b"):
        found.mean("c", "share_0")
    with pytest.raises(KeyError, match="no measure 'gray'"):
        found.mean("a", "gray")


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        (({}, 2), TypeError, "configs must map names to Config"),
        (({"a": 3}, 2), TypeError, "configs must map names to Config"),
        (({"a": SMALL}, 0), ValueError, "seeds must be at least 1"),
        (({"a": SMALL}, [-1]), ValueError, "seeds must be at least 0"),
    ],
)
def test_wrong_sweeps(given, error, words):
    with pytest.raises(error, match=words):
        sweep(*given)
    with pytest.raises(ValueError, match="workers must be at least 1"):
        sweep({"a": SMALL}, workers=0)
