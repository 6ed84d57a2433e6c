"""Experiments: what is refused before anything runs, what fails on the way, and what is left then."""

import contextlib
import csv
import json
import multiprocessing
import os
import warnings
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace

import numpy as np
import pytest
from support import run_python

from ganchroma._files import FORMATS

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")
from ganchroma.torch.experiments import Config, History, crops, processes, run, sweep, training  # noqa: E402

SMALL = Config(steps=3, batch=4, width=4)
DIVERGES = replace(SMALL, optimizer="sgd", lr=1e30)


@pytest.fixture(autouse=True)
def few_crops(monkeypatch):
    """Cutting photographs is most of the time of a run as short as these."""
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
        f"half.jpg (not a picture of a kind that is opened: {', '.join(FORMATS)})"
    ]


def test_folders_without_photographs(tmp_path):
    with pytest.raises(ValueError, match="folder of photographs '/nonexistent' is not there: no such folder"):
        quiet(SMALL, photographs="/nonexistent")
    with pytest.raises(ValueError, match=r"photographs .*\.py' is a file, no folder"):
        crops(1, folder=__file__)
    for number in range(7):
        (tmp_path / f"{number}.png").write_bytes(b"")
    with pytest.raises(ValueError, match=r"7 pictures .*; unreadable are 0.png \(.*, 4.png \([^)]*\) and 2 more$"):
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


# -- sweeps ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        (([SMALL],), TypeError, "configs must map names to Config, at least one; got an object of type list"),
        (({3: SMALL},), TypeError, "configs must map names to Config; got the name 3, which is no string"),
        (({"a": "b"},), TypeError, "configs must map names to Config; 'a' is 'b'"),
        (({"a": SMALL}, []), ValueError, "seeds holds none; accepted: an integer, how many, or at least one"),
        (({"a": SMALL}, "12"), TypeError, "seeds must be an integer, how many, or several, which; got '12'"),
        (({"a": SMALL}, 2.5), TypeError, "seeds must be an integer, how many, or several, which; got 2.5"),
        (({"a": SMALL}, True), TypeError, "seeds must be an integer, got True"),
        (({"a": SMALL}, [2**64]), ValueError, r"seeds must be below 2\*\*64"),
    ],
)
def test_wrong_sweeps_are_refused_before_anything_runs(given, error, words, monkeypatch, tmp_path):
    monkeypatch.setattr(processes, "train", None)
    with pytest.raises(error, match=words):
        sweep(*given, out=tmp_path)
    with pytest.raises(TypeError, match="shown must be True or False, got 'no'"):
        sweep({"a": SMALL}, shown="no")
    with pytest.raises(NotADirectoryError, match=r"out: .* is a file"):
        sweep({"a": SMALL}, out=__file__)
    assert not list(tmp_path.iterdir())


def test_seeds_of_numpy_and_of_generators():
    found = sweep({"a": SMALL, "b": SMALL}, np.int64(1), workers=1, shown=False)
    assert [(row["name"], row["seed"]) for row in found.rows()] == [("a", 0), ("b", 0)]
    found = sweep({"a": SMALL, "b": SMALL}, (np.uint8(seed) for seed in (2,)), workers=1, shown=False)
    assert [(row["name"], row["seed"]) for row in found.rows()] == [("a", 2), ("b", 2)]
    assert repr(found) == "Sweep('a', 'b': 2 runs, complete=True)"


def test_a_run_that_fails_does_not_stop_the_others(tmp_path, monkeypatch):
    train = processes.train

    def damaged(config, out, **given):
        if config.init == "fill":
            raise OSError("no space left")
        return train(config, out, **given)

    monkeypatch.setattr(processes, "train", damaged)
    configs = {"diverges": DIVERGES, "broken": replace(SMALL, init="fill"), "sound": SMALL}
    with pytest.warns(
        RuntimeWarning, match="4 of 6 runs failed:\n  diverges, seed 0: diverged at step 1 of 3"
    ) as caught:
        found = sweep(configs, 2, workers=1, out=tmp_path, shown=False)
    assert len(caught) == 1
    assert not found.complete
    assert [(failure.name, failure.seed) for failure in found.failures] == [
        ("diverges", 0),
        ("diverges", 1),
        ("broken", 0),
        ("broken", 1),
    ]
    assert found.failures[2].reason == "OSError: no space left"
    assert found.failures[0].history.diverged == 1
    assert repr(found) == "Sweep('diverges', 'broken', 'sound': 2 runs, 4 failed, complete=False)"
    with open(tmp_path / "runs.csv") as file:
        assert [(row["name"], row["seed"]) for row in csv.DictReader(file)] == [("sound", "0"), ("sound", "1")]
    table = (tmp_path / "runs.csv").read_text()
    for folder, text in ((tmp_path, table), (tmp_path / "new", "name,seed\n")):
        with pytest.warns(RuntimeWarning, match="1 of 1 runs failed"):
            sweep({"broken": configs["broken"]}, 1, workers=1, out=folder, shown=False)
        assert (folder / "runs.csv").read_text() == text


def test_a_folder_has_one_table_of_all_its_runs(tmp_path):
    configs = {"a": SMALL, "caf\udce9\r": replace(SMALL, init="identical")}
    sweep(configs, 2, workers=1, out=tmp_path, shown=False)
    table = (tmp_path / "runs.csv").read_bytes().splitlines()
    sweep({"a": SMALL}, 1, workers=1, out=tmp_path, shown=False)
    assert sorted((tmp_path / "runs.csv").read_bytes().splitlines()) == sorted(table)
    sweep(configs, 2, workers=1, out=tmp_path, shown=False)
    assert (tmp_path / "runs.csv").read_bytes().splitlines() == table


@pytest.mark.parametrize("text", [b"mine,1\n2,3\n", b"name,seed\na,0,1\n", b'name,seed\n"a', b"name,seed\n\xe9,0\n"])
def test_no_other_table_is_taken_for_that_of_the_runs(tmp_path, text):
    (tmp_path / "runs.csv").write_bytes(text)
    with pytest.raises(ValueError, match=r"out: .*runs\.csv is no table of runs; move it, or take another folder"):
        sweep({"a": SMALL}, 1, workers=1, out=tmp_path, shown=False)
    assert os.listdir(tmp_path) == ["runs.csv"]


def test_a_missing_package_is_no_failure_of_one_run(monkeypatch):
    def train(config, out, **given):
        raise ImportError("the photographs need skimage")

    monkeypatch.setattr(processes, "train", train)
    with pytest.raises(ImportError, match="photographs need skimage"):
        sweep({"a": SMALL}, 2, workers=1, shown=False)


def test_warnings_of_the_runs_are_given_once(monkeypatch):
    train = processes.train

    def warned(config, out, **given):
        warnings.warn("left out", UserWarning, stacklevel=2)
        return train(config, out, **given)

    monkeypatch.setattr(processes, "train", warned)
    monkeypatch.setattr(warnings, "filters", [])
    with warnings.catch_warnings(record=True) as caught:
        assert sweep({"a": SMALL}, 2, workers=1, shown=False).complete
    assert [str(warning.message) for warning in caught] == ["left out"]


def test_every_run_has_a_folder_of_its_own(tmp_path):
    names = ["a b", "A-b", "赤", "青", "x" * 300, "../plain"]
    configs = {name: replace(SMALL, steps=1, lr=2.0**-place) for place, name in enumerate(names)}
    found = sweep(configs, 1, workers=1, out=tmp_path, shown=False)
    assert found.complete
    folders = [path.name for path in tmp_path.iterdir() if path.is_dir()]
    assert len({folder.lower() for folder in folders}) == len(names)
    assert "..-plain-0" in folders
    assert max(map(len, folders)) < 240
    from ganchroma.torch.experiments.sweep import _folder_names

    taken = _folder_names(["a b", "a-b"])["a b"]
    with pytest.raises(ValueError, match="would share a folder; rename one"):
        sweep(dict.fromkeys(["a b", "a-b", taken], SMALL), 1, out=tmp_path)


# -- processes ------------------------------------------------------------------------------------------------------


class Pool:
    """In place of the executor: in this process, and a run of the init "fill" kills it."""

    starts = True

    def __init__(self, workers, context, initializer, initargs):
        self.broken = not self.starts
        if self.starts:
            initializer(*initargs)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        pass

    def submit(self, function, config, out):
        future = Future()
        self.broken |= config.init == "fill"
        if self.broken:
            future.set_exception(BrokenProcessPool("terminated abruptly"))
        else:
            future.set_result(function(config, out))
        return future

    def shutdown(self, wait, cancel_futures):
        assert wait
        assert cancel_futures


@pytest.fixture
def pool(monkeypatch):
    monkeypatch.setattr(processes, "ProcessPoolExecutor", Pool)
    monkeypatch.setattr(processes, "_stop", None)


def test_a_process_that_is_killed_takes_one_run_with_it(pool):
    configs = {"a": SMALL, "killed": replace(SMALL, init="fill"), "b": replace(SMALL, lr=1e-3)}
    with pytest.warns(
        RuntimeWarning, match="2 of 6 runs failed:\n  killed, seed 0: its process was ended from outside"
    ):
        found = sweep(configs, 2, workers=2, shown=False)
    assert [(row["name"], row["seed"]) for row in found.rows()] == [("a", 0), ("a", 1), ("b", 0), ("b", 1)]


def test_processes_that_do_not_start(pool, monkeypatch):
    monkeypatch.setattr(Pool, "starts", False)
    with pytest.raises(RuntimeError, match=r'belongs under `if __name__ == "__main__":`.*; or pass workers=1'):
        sweep({"a": SMALL}, 2, workers=2, shown=False)
    monkeypatch.setattr(multiprocessing.current_process(), "_inheriting", True, raising=False)
    with pytest.raises(SystemExit, match='belongs under `if __name__ == "__main__":`'):
        sweep({"a": SMALL}, 2, workers=2, shown=False)


def test_ctrl_c_stops_the_processes_and_leaves_what_was_done(pool, monkeypatch, tmp_path):
    def interrupted(futures):
        yield next(iter(futures))
        raise KeyboardInterrupt

    monkeypatch.setattr(processes, "as_completed", interrupted)
    train = processes.train

    def stopped_in_the_second(config, out, stopped):
        assert not stopped()
        if config.seed == 1:
            processes._stop.set()  # as the interrupt does, while this run goes on
        return train(config, out, stopped=stopped)

    monkeypatch.setattr(processes, "train", stopped_in_the_second)
    found = sweep({"a": SMALL}, 4, workers=2, out=tmp_path, shown=False)
    assert (found.complete, found.failures) == (False, ())
    assert [row["seed"] for row in found.rows()] == [0]
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["a-0", "a-1", "runs.csv"]
    assert json.loads((tmp_path / "a-1" / "run.json").read_text())["gradients"][-1][0] == 0  # it ended after a step


@pytest.mark.slow
def test_a_script_without_the_guard_says_what_to_do(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "from ganchroma.torch.experiments import Config, sweep\n"
        "sweep({'a': Config(steps=1, batch=4, width=4)}, 2, workers=2, shown=False)\n"
    )
    found = run_python(f"import runpy; runpy.run_path({str(script)!r}, run_name='__main__')")
    assert found.returncode == 1
    assert "RuntimeError: no process of the sweep could start" in found.stderr


@contextlib.contextmanager
def default_dtype(dtype):
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@pytest.mark.parametrize(
    "way",
    [
        torch.no_grad,
        torch.inference_mode,
        lambda: torch.autocast("cpu", torch.bfloat16),
        lambda: default_dtype(torch.float64),
    ],
    ids=["no_grad", "inference_mode", "autocast", "float64"],
)
def test_a_run_is_the_same_however_pytorch_is_set(way):
    expected = run(SMALL, shown=False).to_dict()
    with way():
        assert run(SMALL, shown=False).to_dict() == expected
