"""Experiments: what is refused before anything runs, what fails on the way, and what is left then."""

import json
import os
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")
from ganchroma.torch.experiments import Config, History, crops, run, training  # noqa: E402
from ganchroma.torch.experiments.photographs import photographs  # noqa: E402

SMALL = Config(steps=3, batch=4, width=4)
DIVERGES = replace(SMALL, optimizer="sgd", lr=1e30)


@pytest.fixture(autouse=True)
def few_crops(monkeypatch):
    """Reading and cutting photographs is most of the time of a run as short as these."""
    noise = np.random.default_rng(0).integers(0, 256, (70, 80, 3), np.uint8)
    monkeypatch.setattr(training, "photographs", lambda folder: photographs(folder) if folder else ([noise], None))
    monkeypatch.setattr(training, "_POOL", 16)
    monkeypatch.setattr(training, "_ASKED", 4)


def quiet(config, **given):
    """A run without a bar."""
    return run(config, shown=False, **given)


def picture(path, size=(80, 70), color=(200, 100, 50), mode="RGB"):
    from PIL import Image

    Image.new(mode, size, color).save(path)


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
        ({"lr": 1e300}, ValueError, r"lr must be at most 1e\+38, got 1e\+300"),
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


# -- divergence -----------------------------------------------------------------------------------------------------


def test_a_run_that_diverges_ends_there_and_says_so(tmp_path, monkeypatch):
    with pytest.warns(RuntimeWarning, match=r"diverged at step 1 of 3: .* no longer finite \(.*lr=1e\+30"):
        found = quiet(DIVERGES, out=tmp_path)
    assert (found.diverged, found.steps, found.complete) == (1, 1, False)
    assert [record.step for record in found.records] == [0]
    assert all(np.isfinite(list(record.scalars().values())).all() for record in found.records)
    assert found.measures()["share_end"] == found.at(0, "achromatic_share")
    assert "diverged" in repr(found)
    kept = History.from_dict(json.loads((tmp_path / "run.json").read_text()))
    assert kept.to_dict() == found.to_dict()
    monkeypatch.setattr(training._Training, "step", None)  # the same settings would diverge again
    with pytest.warns(RuntimeWarning, match="diverged at step 1"):
        assert quiet(DIVERGES, out=tmp_path).to_dict() == found.to_dict()


@pytest.mark.parametrize(
    ("changes", "step", "records"),
    [
        ({"steps": 1}, 1, 1),  # only after the last update
        ({"optimizer": "adam", "lr": 2e-4, "discriminator_lr": 1e30}, 0, 1),  # the loss's gradient, no picture
    ],
)
def test_where_else_it_may_diverge(changes, step, records, tmp_path):
    with pytest.warns(RuntimeWarning, match=f"diverged at step {step}"):
        found = quiet(replace(DIVERGES, **changes), out=tmp_path)
    assert (found.diverged, found.complete, len(found.records)) == (step, False, records)
    with pytest.warns(RuntimeWarning, match=f"diverged at step {step}"):
        assert quiet(replace(DIVERGES, **changes), out=tmp_path).to_dict() == found.to_dict()


# -- files ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """Tensors and metadata that a run of two steps saved."""
    from safetensors import safe_open

    folder = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        few_crops.__wrapped__(patch)
        quiet(SMALL, out=folder)
    with safe_open(folder / "state.safetensors", "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata()["run"]  # noqa: SIM118


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("generator.", "state_dict for Generator"),
        ("discriminator.", "state_dict for Sequential"),
        ("random", "no 'random'"),
        ("optimizer.generator.0.exp_avg", "no 'exp_avg'"),
        ("optimizer.discriminator.", "no 0"),
    ],
)
def test_a_checkpoint_that_lacks_something(what, words, checkpoint, tmp_path):
    from safetensors.torch import save_file

    tensors, text = checkpoint
    left = {name: value for name, value in tensors.items() if not name.startswith(what)}
    save_file(left, tmp_path / "state.safetensors", {"run": text})
    with pytest.raises(ValueError, match=rf"state.safetensors can't be read \(.*{words}.*delete it to start anew"):
        quiet(SMALL, out=tmp_path)


@pytest.mark.parametrize(
    "damage",
    [
        lambda values: values["records"].clear(),
        lambda values: values["records"].insert(0, 3),
        lambda values: values["gradients"].pop(0),
        lambda values: values["judgements"].clear(),
        lambda values: values["gradients"].extend(values["gradients"]),
        lambda values: values.pop("gradients"),
        lambda values: values.update(config=[]),
    ],
)
def test_a_checkpoint_whose_history_is_damaged(damage, checkpoint, tmp_path):
    from safetensors.torch import save_file

    tensors, text = checkpoint
    values = json.loads(text)
    damage(values)
    save_file(tensors, tmp_path / "state.safetensors", {"run": json.dumps(values)})
    with pytest.raises(ValueError, match=r"state.safetensors can't be read \(.*delete it to start anew"):
        quiet(SMALL, out=tmp_path)


def test_a_checkpoint_from_before_these_fields_is_read(checkpoint, tmp_path):
    from safetensors.torch import save_file

    tensors, text = checkpoint
    values = json.loads(text)
    del values["diverged"], values["photographs"]
    save_file(tensors, tmp_path / "state.safetensors", {"run": json.dumps(values)})
    assert quiet(SMALL, out=tmp_path).complete


# -- photographs ----------------------------------------------------------------------------------------------------


def test_what_is_no_picture_is_left_out_with_one_warning(tmp_path):
    picture(tmp_path / "one.png")
    (tmp_path / "folder.png").mkdir()
    expected = crops(3, folder=tmp_path)  # the folder is no picture, and none that is missing
    (tmp_path / "broken.png").symlink_to(tmp_path / "nowhere")
    (tmp_path / "half.jpg").write_bytes(b"nonsense")
    picture(tmp_path / "float.tiff", mode="F", color=0.5)
    with pytest.warns(UserWarning, match="left out of the photographs in .*, unreadable: broken.png") as caught:
        assert torch.equal(crops(3, folder=tmp_path), expected)
    with pytest.warns(UserWarning, match="unreadable") as again:
        assert quiet(SMALL, photographs=tmp_path).complete
    assert [str(warning.message) for warning in [*caught, *again]] == 2 * [
        f"left out of the photographs in {str(tmp_path)!r}, unreadable: broken.png (No such file or directory), "
        "float.tiff (float pixels have no stated range; save them as .npy and state the range), "
        "half.jpg (not an image that Pillow can read)"
    ]


def test_folders_without_photographs(tmp_path):
    with pytest.raises(ValueError, match="folder of photographs '/nonexistent' is not there: no such folder"):
        quiet(SMALL, photographs="/nonexistent")
    with pytest.raises(ValueError, match=r"photographs .*\.py' is a file, no folder"):
        crops(1, folder=__file__)
    for number in range(7):
        (tmp_path / f"{number}.png").write_bytes(b"")
    with pytest.raises(ValueError, match=r"holds 7 pictures .*; unreadable are 0.png \(.*4.png \([^,]*\) and 2 more$"):
        crops(1, folder=tmp_path)


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"count": 0}, ValueError, "count must be at least 1, got 0"),
        ({"count": 1, "gray_share": 2}, ValueError, r"gray_share must be in \[0, 1\], got 2"),
        ({"count": 1, "seed": -1}, ValueError, "seed must be at least 0, got -1"),
        ({"count": 1, "folder": 3}, TypeError, "folder must be a string or a path, got 3"),
    ],
)
def test_wrong_crops(given, error, words):
    with pytest.raises(error, match=words):
        crops(**given)


def test_a_run_does_not_go_on_with_other_pictures(tmp_path):
    folder, out = tmp_path / "pictures", tmp_path / "out"
    folder.mkdir()
    picture(folder / "a.png")
    picture(folder / "small.png", size=(8, 8))
    first = quiet(SMALL, photographs=folder, out=out)
    os.rename(folder / "a.png", folder / "b.png")  # the same pictures in the same order
    picture(folder / "small.png", size=(9, 9))  # none that crops are taken from
    assert quiet(SMALL, photographs=folder, out=out).to_dict() == first.to_dict()
    picture(folder / "b.png", color=(200, 100, 51))
    with pytest.raises(ValueError, match=r"holds a run on other pictures: those in .* have changed since. Bring them"):
        quiet(SMALL, photographs=folder, out=out)
