"""Experiments: what is refused before anything runs, what fails on the way, and what is left then."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")
from ganchroma.torch.experiments import Config, run, training  # noqa: E402

SMALL = Config(steps=3, batch=4, width=4)


@pytest.fixture(autouse=True)
def few_crops(monkeypatch):
    """Cutting them is most of the time of a run as short as these."""
    monkeypatch.setattr(training, "_POOL", 16)
    monkeypatch.setattr(training, "_ASKED", 4)


# -- arguments ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"save_every": 0}, ValueError, "save_every must be at least 1, got 0"),
        ({"save_every": -1}, ValueError, "save_every must be at least 1, got -1"),
        ({"save_every": "x"}, TypeError, "save_every must be an integer, got 'x'"),
        ({"save_every": 2.5}, TypeError, "save_every must be an integer, got 2.5"),
        ({"shown": 1}, TypeError, "shown must be True or False, got 1"),
        ({"out": 3}, TypeError, "out must be a string or a path, got 3"),
        ({"out": __file__}, NotADirectoryError, "out: .* is a file; accepted: a folder"),
        ({"config": "standard"}, TypeError, "config must be a Config or None, got 'standard'"),
        ({"config": {}}, TypeError, "config must be a Config or None, got {}"),
        ({"config": Config}, TypeError, "config must be a Config or None, got <class"),
        ({"stepz": 3}, TypeError, "there is no setting 'stepz'; accepted: steps, batch"),
        ({"seed": 2**64}, ValueError, r"seed must be below 2\*\*64, got 18446744073709551616"),
        ({"steps": None}, TypeError, "steps must be an integer, got None"),
        ({"seed": np.float64(3)}, TypeError, "seed must be an integer"),
        ({"init": 3}, TypeError, "init must be one of 'standard'.*; got 3"),
        ({"spectral_norm": np.ones(2)}, TypeError, "spectral_norm must be one of None, 'param.*; got array"),
        ({"gray_share": np.ones(2)}, TypeError, "gray_share must be a number"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_runs(given, error, words, monkeypatch):
    monkeypatch.setattr(training, "_Training", None)
    with pytest.raises(error, match=words):
        run(**{"shown": False} | given)


def test_numbers_of_numpy_are_welcome(tmp_path):
    given = {"steps": np.int32(3), "seed": np.int64(5), "lr": np.float32(0.5), "discriminator_width": np.uint8(3)}
    config = Config(batch=4, width=4, photographs=tmp_path, **given)
    assert config == Config(batch=4, width=4, photographs=str(tmp_path), steps=3, seed=5, lr=0.5, discriminator_width=3)
    assert [type(value) for value in config.to_dict().values()] == [
        *(int, int, int, str, str, float, int, float, int, float, str, str, type(None), int)
    ]
    made = run(SMALL, out=tmp_path / "out", save_every=np.int64(2), shown=np.False_, seed=np.uint64(2**64 - 1))
    assert made.complete
    assert (tmp_path / "out" / "run.json").is_file()
    with pytest.raises(TypeError, match="values must be a dictionary of settings"):
        Config.from_dict([])
