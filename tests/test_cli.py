"""The command line: answers, exit status, and files of every sort of wrong."""

import json
import os
import shlex
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from support import run_python, smooth_picture

import ganchroma as gch
from ganchroma import cli

Image = pytest.importorskip("PIL.Image")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def save(name, array, **options):
    Image.fromarray(array).save(name, **options)
    return str(name)


def run(capsys, *arguments):
    status = cli.main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


# -- answers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["astronaut", "coffee", "chelsea", "rocket"])
def test_photographs_are_healthy(folder, capsys, name):
    data = pytest.importorskip("skimage.data")
    status, out, _ = run(capsys, "diagnose", save("photo.png", getattr(data, name)()))
    assert status == 0
    assert "1. healthy" in out
    assert "Nowhere: the colour is there." in out


def test_a_gray_photograph_may_be_gray_data(folder, capsys):
    data = pytest.importorskip("skimage.data")
    gray = Image.fromarray(data.astronaut()).convert("L")
    gray.save("gray.png")
    status, out, _ = run(capsys, "diagnose", "gray.png", "--json")
    causes = {cause["name"]: cause["status"] for cause in json.loads(out)["cases"][0]["causes"]}
    assert status == 0
    assert causes["gray_data"] == "possible"


def test_each_file_gets_its_own_answer(folder, capsys):
    names = [save(f"{place}.png", smooth_picture(seed=place)) for place in range(3)]
    status, out, _ = run(capsys, "diagnose", *names, "--json", "--html", "page.html")
    report = json.loads(out)
    assert status == 0
    assert [case["name"] for case in report["cases"]] == names
    assert report["version"] == gch.__version__
    assert report["errors"] == []
    page = (folder / "page.html").read_text(encoding="utf-8")
    assert page.count("<section") == 4
    assert "<script" not in page


def test_arrays_need_their_range_and_layout(folder, capsys):
    channels_last = smooth_picture()[np.newaxis].astype(np.float32) / 255
    np.save("nhwc.npy", channels_last)
    np.savez("nchw.npz", images=channels_last.transpose(0, 3, 1, 2))
    status, _, err = run(capsys, "diagnose", "nchw.npz")
    assert status == 2
    assert "nchw.npz" in err
    assert ": --value-range is required for" in err
    assert "-1 1 after tanh, 0 1 after sigmoid" in err
    assert run(capsys, "diagnose", "nchw.npz", "--value-range", 0, 1)[0] == 0
    status, _, err = run(capsys, "diagnose", "nhwc.npy", "--value-range", 0, 1)
    assert status == 2
    assert "; pass --layout NHWC\n" in err
    status, _, err = run(capsys, "diagnose", "nchw.npz", "--value-range", 0, 1, "--layout", "NHWC")
    assert status == 2
    assert "; pass --layout NCHW\n" in err
    status, _, err = run(capsys, "diagnose", "nchw.npz", "--value-range", 1, 0)
    assert status == 2
    assert "--value-range must be finite" in err
    status, _, err = run(capsys, "diagnose", "nchw.npz", "--value-range", 0, 1e200)
    assert (status, err.count("\n")) == (2, 1)
    assert run(capsys, "diagnose", "nhwc.npy", "--value-range", 0, 1, "--layout", "NHWC")[0] == 0


@pytest.mark.parametrize("numbers", [("-1.", "1."), ("-1e0", "1"), ("-.5E+1", "-1e-3")])
def test_negative_numbers_may_be_written_in_any_way(folder, capsys, numbers):
    np.save("a.npy", smooth_picture().transpose(2, 0, 1) / 255)
    status, out, _ = run(capsys, "diagnose", "a.npy", "--value-range", *numbers, "--json")
    assert status == 0
    display = next(stage for stage in json.loads(out)["cases"][0]["stages"] if stage["name"] == "display")
    assert display["value_range"] == [float(number) for number in numbers]


# -- what can't be read -------------------------------------------------------------------------------------------


def test_unreadable_files_are_named_and_the_others_answered(folder, capsys):
    good = save("good.png", smooth_picture(64))
    whole = (folder / "good.png").read_bytes()
    (folder / "truncated.png").write_bytes(whole[: len(whole) // 2])
    (folder / "text.png").write_text("no image")
    (folder / "empty.png").write_bytes(b"")
    (folder / "folder.png").mkdir()
    bad = ["missing.png", "truncated.png", "text.png", "empty.png", "folder.png"]
    status, out, err = run(capsys, "diagnose", bad[0], good, *bad[1:], "--json")
    report = json.loads(out)
    assert status == 2
    assert [case["name"] for case in report["cases"]] == ["good.png"]
    assert [error["file"] for error in report["errors"]] == bad
    assert all(error["reason"] and error["file"] not in error["reason"] for error in report["errors"])
    assert all(f"ganchroma: {name}: " in err for name in bad)


def test_a_name_is_said_once(folder, capsys):
    status, _, err = run(capsys, "diagnose", "./missing.png")
    assert (status, err) == (2, "ganchroma: ./missing.png: no such file\n")


def test_decompression_bombs_are_a_message(folder, capsys, monkeypatch):
    name = save("large.png", smooth_picture(64))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    status, _, err = run(capsys, "diagnose", name)
    assert status == 2
    assert "large.png" in err
    assert "bomb" in err


@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
def test_damaged_arrays_are_named(folder, capsys, name):
    (np.save if name.endswith("npy") else np.savez)(name, np.zeros((1, 3, 8, 8), np.uint8))
    whole = (folder / name).read_bytes()
    for damage in (whole[: len(whole) // 2], b"", b"nonsense"):
        (folder / name).write_bytes(damage)
        status, _, err = run(capsys, "diagnose", name)
        assert status == 2
        assert err.startswith(f"ganchroma: {name}: ")


def huge_header(path):
    """An array of 8e13 bytes by its header, of 100 by its length."""
    with open(path, "wb") as stream:
        np.lib.format.write_array_header_1_0(stream, {"descr": "<f8", "fortran_order": False, "shape": (10**13,)})
        stream.write(bytes(100))


def test_a_header_that_promises_too_much_is_a_message(folder, capsys):
    good = save("good.png", smooth_picture())
    huge_header("bomb.npy")
    with zipfile.ZipFile("bomb.npz", "w") as archive:
        archive.write("bomb.npy", "weight.npy")
    status, out, err = run(capsys, "diagnose", "bomb.npy", "bomb.npz", good, "--json")
    report = json.loads(out)
    assert status == 2
    assert [case["name"] for case in report["cases"]] == [good]
    assert [error["file"] for error in report["errors"]] == ["bomb.npy", "bomb.npz"]
    assert err.count("80000000000000 bytes, 100 follow") == 2
    for name in ("bomb.npy", "bomb.npz"):
        status, _, err = run(capsys, "diagnose", good, "--weights", name)
        assert status == 2
        assert err.startswith(f"ganchroma: {name}: ")


def test_lack_of_memory_is_a_message_about_one_file(folder, capsys, monkeypatch):
    names = [save("a.png", smooth_picture()), save("b.png", smooth_picture())]
    real = cli.read_picture

    def read_but_one(path):
        if path.name == "a.png":
            raise MemoryError
        return real(path)

    monkeypatch.setattr(cli, "read_picture", read_but_one)
    status, out, err = run(capsys, "diagnose", *names)
    assert status == 2
    assert err == "ganchroma: a.png: not enough memory\n"
    assert out.startswith("b.png")


def test_nothing_is_unpickled(folder, capsys):
    np.save("objects.npy", np.array([{"a": 1}], object), allow_pickle=True)
    status, _, err = run(capsys, "diagnose", "objects.npy")
    assert status == 2
    assert "objects.npy" in err
    assert "allow_pickle" not in err
    (folder / "text.npy").write_text("0.1 0.2 0.3")
    status, _, err = run(capsys, "diagnose", save("a.png", smooth_picture()), "--weights", "text.npy")
    assert (status, err) == (2, "ganchroma: text.npy: it does not begin as a .npy file does\n")
    (folder / "model.pth").write_bytes(b"\x80\x04.")
    status, _, err = run(capsys, "diagnose", save("a.png", smooth_picture()), "--weights", "model.pth")
    assert status == 2
    assert "model.pth" in err
    assert "safetensors" in err


def test_an_archive_of_several_arrays_is_refused(folder, capsys):
    np.savez("two.npz", a=np.zeros(1), b=np.zeros(1))
    status, _, err = run(capsys, "diagnose", "two.npz")
    assert status == 2
    assert "a, b" in err


# -- weights ------------------------------------------------------------------------------------------------------


@pytest.fixture
def head():
    weight = np.repeat(np.random.default_rng(0).standard_normal((1, 8, 3, 3)).astype(np.float32), 3, axis=0)
    return {"weight": weight, "bias": np.zeros(3, np.float32)}


def store(name, arrays):
    if name.endswith(".npz"):
        np.savez(name, **arrays)
    elif name.endswith(".npy"):
        np.save(name, arrays["weight"])
    else:
        pytest.importorskip("safetensors.numpy").save_file(arrays, name)


@pytest.mark.parametrize("name", ["head.npz", "head.npy", "head.safetensors"])
def test_equal_filters_are_found_in_the_weights(folder, capsys, head, name):
    store(name, head)
    array = smooth_picture()
    gray = array[..., :1].repeat(3, axis=-1)
    status, out, _ = run(capsys, "diagnose", save("gray.png", gray), "--weights", name, "--padding", 1, "--json")
    causes = {cause["name"]: cause["status"] for cause in json.loads(out)["cases"][0]["causes"]}
    assert status == 0
    assert causes["identical_filters"] == "found"


def test_weights_under_other_names(folder, capsys, head):
    store("head.npz", {"main.weight": head["weight"], "main.bias": head["bias"]})
    image = save("a.png", smooth_picture())
    status, _, err = run(capsys, "diagnose", image, "--weights", "head.npz")
    assert status == 2
    assert "main.weight (3, 8, 3, 3)" in err
    assert "--weight-key" in err
    assert (
        run(
            capsys, "diagnose", image, "--weights", "head.npz", "--weight-key", "main.weight", "--bias-key", "main.bias"
        )[0]
        == 0
    )
    status, _, err = run(
        capsys, "diagnose", image, "--weights", "head.npz", "--weight-key", "main.weight", "--bias-key", "b"
    )
    assert status == 2
    assert "--bias-key" in err


def test_weights_that_are_no_head_are_named(folder, capsys):
    image = save("a.png", smooth_picture())
    np.save("flat.npy", np.zeros((3, 8), np.float32))
    status, _, err = run(capsys, "diagnose", image, "--weights", "flat.npy")
    assert status == 2
    assert "flat.npy" in err
    assert "weight" in err
    np.save("wide.npy", np.zeros((4, 8, 1, 1), np.float32))
    status, _, err = run(capsys, "diagnose", image, "--weights", "wide.npy")
    assert status == 2
    assert err.startswith("ganchroma: wide.npy: weight (4, 8, 1, 1) has 4 filters; a head has 3")
    assert "a.png" not in err
    status, _, err = run(capsys, "diagnose", image, "--weights", "missing.npz")
    assert status == 2
    assert "missing.npz: no such file" in err


def test_a_forgotten_flag_of_transposed_weights_is_proposed(folder, capsys, head):
    image, turned = save("a.png", smooth_picture()), head["weight"].swapaxes(0, 1).copy()
    np.savez("up.npz", weight=turned, bias=head["bias"])
    np.save("up.npy", turned)
    for name in ("up.npz", "up.npy"):  # the bias does not fit; three filters are wanted
        status, _, err = run(capsys, "diagnose", image, "--weights", name)
        assert status == 2
        assert err.startswith(f"ganchroma: {name}: ")
        assert err.endswith("pass --transposed\n")
        assert run(capsys, "diagnose", image, "--weights", name, "--transposed")[0] == 0
    store("head.npz", head)
    status, _, err = run(capsys, "diagnose", image, "--weights", "head.npz", "--transposed")
    assert status == 2
    assert "without --transposed it has 3 filters" in err


@pytest.mark.parametrize(
    ("options", "flags"),
    [
        (["--stride", "2"], "--stride"),
        (["--bias-key", "b"], "--bias-key"),
        (["--transposed"], "--transposed"),
        (["--padding", "0", "--weight-key", "w", "--activation", "tanh"], "--weight-key, --padding, --activation"),
    ],
)
def test_what_describes_the_weights_needs_them(folder, capsys, options, flags):
    status, out, err = run(capsys, "diagnose", save("a.png", smooth_picture()), *options)
    assert (status, out) == (2, "")
    assert err.startswith(f"ganchroma: {flags}: only with --weights")


def test_names_of_arrays_mean_nothing_to_a_file_of_one(folder, capsys, head):
    store("head.npy", head)
    image = save("a.png", smooth_picture())
    for flag in ("--weight-key", "--bias-key"):
        status, _, err = run(capsys, "diagnose", image, "--weights", "head.npy", flag, "a")
        assert status == 2
        assert f"leave {flag} out" in err


@pytest.mark.parametrize(("kind", "name"), [("bfloat16", "bfloat16"), ("float8_e4m3fn", "float8")])
def test_weights_of_a_dtype_that_numpy_has_not_name_the_fix(folder, capsys, kind, name):
    torch, files = pytest.importorskip("torch"), pytest.importorskip("safetensors.torch")
    files.save_file({"weight": torch.zeros(3, 8, 1, 1).to(getattr(torch, kind))}, "a.safetensors")
    status, _, err = run(capsys, "diagnose", save("a.png", smooth_picture()), "--weights", "a.safetensors")
    assert status == 2
    assert err.startswith(f"ganchroma: a.safetensors: it holds {name}, which NumPy has not; ")
    assert "tensor.float()" in err


def test_truncated_weights_are_named(folder, capsys, head):
    image = save("a.png", smooth_picture())
    store("head.npz", head)
    whole = (folder / "head.npz").read_bytes()
    (folder / "head.npz").write_bytes(whole[:200])
    status, _, err = run(capsys, "diagnose", image, "--weights", "head.npz")
    assert status == 2
    assert "head.npz" in err
    with zipfile.ZipFile("empty.npz", "w"):
        pass
    status, _, err = run(capsys, "diagnose", image, "--weights", "empty.npz")
    assert status == 2
    assert "empty" in err


def test_geometry_and_activation_reach_the_layer(folder, capsys, head, monkeypatch):
    made = {}
    real = cli.OutputLayer

    def record(weight, bias, **options):
        made.update(options)
        return real(weight, bias, **options)

    monkeypatch.setattr(cli, "OutputLayer", record)
    store("head.npz", {"weight": head["weight"].swapaxes(0, 1).copy()})
    options = ["--transposed", "--stride", 2, "--padding", "1,0", "--activation", "clamp=0,1"]
    assert run(capsys, "diagnose", save("a.png", smooth_picture()), "--weights", "head.npz", *options)[0] == 0
    assert made == {"transposed": True, "stride": 2, "padding": (1, 0), "activation": ("clamp", 0.0, 1.0)}


# -- usage --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["paint"],
        ["diagnose"],
        ["diagnose", "a.png", "--stride", "0"],
        ["diagnose", "a.png", "--stride", "x"],
        ["diagnose", "a.png", "--padding", "1,2,3"],
        ["diagnose", "a.png", "--padding", "-1"],
        ["diagnose", "a.png", "--activation", "swish"],
        ["diagnose", "a.png", "--activation", "clamp=a,b"],
        ["diagnose", "a.png", "--value-range", "0"],
        ["diagnose", "a.png", "--value-range", "-1", "--json"],
        ["diagnose", "a.png", "--layout", "HWC"],
        ["demo", "--seed", "-1"],
    ],
)
def test_wrong_usage_exits_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as exit_:
        cli.main(arguments)
    assert exit_.value.code == 2
    assert "usage: ganchroma" in capsys.readouterr().err


def test_version_and_help(capsys):
    for arguments in (["--version"], ["--help"], ["diagnose", "--help"], ["demo", "--help"], ["info", "--help"]):
        with pytest.raises(SystemExit) as exit_:
            cli.main(arguments)
        assert exit_.value.code == 0
    assert f"ganchroma {gch.__version__}" in capsys.readouterr().out


def test_info(capsys):
    status, out, _ = run(capsys, "info", "--json")
    assert status == 0
    assert json.loads(out)["ganchroma"] == gch.__version__
    status, out, _ = run(capsys, "info")
    assert status == 0
    assert "isa" in out


@pytest.mark.scenario("interrupts")
def test_interruption_ends_quietly_with_130(folder, capsys, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "diagnose", interrupt)
    status, _, err = run(capsys, "diagnose", save("a.png", smooth_picture()))
    assert status == 130
    assert err == "interrupted\n"


@pytest.mark.skipif(sys.platform == "win32", reason="it has another shell")
def test_a_closed_output_is_no_fault():
    result = subprocess.run(
        ["sh", "-c", f"{shlex.quote(sys.executable)} -m ganchroma.cli info >&-"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, "")


def test_an_unwritable_page_is_a_message(folder, capsys):
    status, _, err = run(capsys, "diagnose", save("a.png", smooth_picture()), "--html", "missing/page.html")
    assert status == 2
    assert err == "ganchroma: missing/page.html: No such file or directory\n"
    (folder / "folder.html").mkdir()
    status, _, err = run(capsys, "diagnose", "a.png", "--html", "folder.html")
    assert (status, err) == (2, "ganchroma: folder.html: Is a directory\n")


def test_the_page_lists_what_could_not_be_read(folder, capsys):
    (folder / "text.png").write_text("no image")
    status, *_ = run(capsys, "diagnose", "text.png", save("a.png", smooth_picture()), "--html", "page.html")
    page = (folder / "page.html").read_text(encoding="utf-8")
    assert status == 2
    assert page.count("not a picture of a kind that is opened") == 2  # in the table of contents and in its place
    assert '<a href="#case-0">text.png</a>' in page
    assert '<section class="gch" id="case-0"><h2>text.png</h2>' in page
    assert '<a href="#case-1">a.png</a>' in page


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_file_names_of_another_encoding_are_printed_and_written(folder):
    save("a.png", smooth_picture())
    os.rename(b"a.png", b"caf\xe9.png")
    code = (
        "import os, sys; from ganchroma import cli; sys.exit(cli.main(['diagnose', os.fsdecode(b'caf\\xe9.png'), {}]))"
    )
    result = run_python(code.format("'--html', 'page.html'"), cwd=folder, environment={"PYTHONUTF8": "1"})
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("caf\\udce9.png: ")
    assert "caf\\udce9.png" in (folder / "page.html").read_text(encoding="utf-8")
    assert run_python(code.format("'--json'"), cwd=folder).returncode == 0


# -- the environment ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [["info"], ["diagnose", "a.png"]])
def test_a_wrong_number_of_threads_is_one_line(folder, arguments):
    code = f"import sys; from ganchroma import cli; sys.exit(cli.main({arguments}))"
    result = run_python(code, cwd=folder, environment={"GANCHROMA_NUM_THREADS": "abc"})
    assert result.returncode == 2
    assert result.stderr == "ganchroma: GANCHROMA_NUM_THREADS must be a positive integer, got 'abc'\n"


def test_an_instruction_set_that_is_not_there_is_one_line():
    code = "import sys; from ganchroma_program import main; sys.exit(main())"
    result = run_python(code, environment={"GANCHROMA_MAX_ISA": "foo"})
    assert result.returncode == 2
    assert result.stderr.startswith("ganchroma: GANCHROMA_MAX_ISA=foo is not available here; available: scalar")
    assert result.stderr.count("\n") == 1


def test_without_pillow_arrays_are_answered_and_images_name_the_extra(folder, capsys, monkeypatch):
    name = save("a.png", smooth_picture())
    np.save("a.npy", smooth_picture().transpose(2, 0, 1))
    monkeypatch.setitem(sys.modules, "PIL", None)
    status, out, err = run(capsys, "diagnose", name, "a.npy", "--json")
    report = json.loads(out)
    assert status == 2
    assert [case["name"] for case in report["cases"]] == ["a.npy"]
    assert [error["file"] for error in report["errors"]] == [name]
    assert err == 'ganchroma: a.png: reading image files needs Pillow: pip install "ganchroma[report]"\n'
