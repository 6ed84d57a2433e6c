"""Arrays in and out: what is read, what is refused, and whether the message names the fix."""

import math
import re
from collections import UserList, deque
from fractions import Fraction
from pathlib import Path
from unittest.mock import MagicMock

import numpy as np
import pytest
from support import layouts, unaligned

import ganchroma as gch
from ganchroma import _arrays, _core
from ganchroma._arrays import as_array, cast, check_number, check_out, chosen_of, compute_dtype, pieces

FLOAT32 = np.dtype(np.float32)


# -- what is read ---------------------------------------------------------------------------------------------------


def test_numpy_arrays_are_read_where_they_are():
    for dtype in (np.float16, np.float32, np.float64):
        for label, array in layouts(np.arange(24, dtype=dtype).reshape(2, 3, 4)):
            result = as_array(array, "x")
            assert np.shares_memory(result, array), label
            assert result.strides == array.strides


@pytest.mark.parametrize("given", [">f2", "f2", "f8"])
def test_casts_in_pieces_are_those_in_one(given, monkeypatch):
    monkeypatch.setattr(_arrays, "_PIECE", 7)
    for shape in ((24,), (2, 3, 4), (3, 1, 9), (1, 30), (5, 0), ()):
        for label, array in layouts(np.arange(math.prod(shape)).reshape(shape).astype(given)):
            result = cast(array, FLOAT32)
            assert (result.dtype, result.flags.owndata) == (FLOAT32, True), label
            np.testing.assert_array_equal(result, array.astype(np.float32))
            assert cast(array, array.dtype) is array


def test_what_is_chosen_in_pieces_is_what_is_chosen_in_one(monkeypatch):
    monkeypatch.setattr(pieces, "__defaults__", (7,))
    for shape in ((3, 2, 2), (4, 3, 3), (5, 30), (2, 0), (0, 3), (20,)):
        for label, array in layouts(np.arange(math.prod(shape)).reshape(shape)):
            for chosen in (np.arange(shape[0]) % 2 > 0, np.arange(shape[0]) > 0, np.zeros(shape[0], bool)):
                found = chosen_of(array, chosen)
                np.testing.assert_array_equal(found, array[chosen], err_msg=label)
                assert found.size == 0 or found.strides == array[chosen].strides, label
            assert chosen_of(array, np.ones(shape[0], bool)) is array


def test_sequences_and_scalars_are_read():
    assert as_array([[1.0, 2.0]], "x").tolist() == [[1.0, 2.0]]
    assert as_array(2.5, "x", ndim=0) == 2.5
    assert as_array(np.float32(2.5), "x").dtype == np.float32
    assert as_array([], "x").shape == (0,)


def test_subclasses_become_plain_arrays():
    class Named(np.ndarray):
        pass

    assert type(as_array(np.zeros(3).view(Named), "x")) is np.ndarray


def test_no_code_of_a_subclass_runs_while_the_core_takes_its_arrays():
    # It might change an array that has been checked already.
    calls = []

    class Watched(np.ndarray):
        def __array_finalize__(self, source):
            calls.append(source)

    x = np.arange(8, dtype=np.float32)[::2].view(Watched)
    images = np.zeros((1, 3, 2, 2), ">f4").view(Watched)
    calls.clear()
    _core.activate(x, (0, 0.0, 0.0), np.empty(4, np.float32), 1)
    _core.color_quantize(images, np.empty((1, 3, 2, 2), np.uint8), 0.0, 1.0, 0, 1)
    assert calls == []


class OnlyDLPack:
    """An array of another library that speaks DLPack and nothing else."""

    def __init__(self, array):
        self.array = array

    def __dlpack__(self, **options):
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


def test_dlpack_is_read_without_a_copy():
    array = np.arange(6.0)
    result = as_array(OnlyDLPack(array), "x")
    assert np.shares_memory(result, array)


# -- what is refused ------------------------------------------------------------------------------------------------


class _Masked:
    def __array__(self, dtype=None, copy=None):
        return np.ma.masked_all(3)


class _Failing(UserList):
    def __iter__(self):
        raise ValueError("it fails")


_ENDLESS = [1.0]
_ENDLESS.append(_ENDLESS)
REFUSED = {
    "bytes": (np.zeros(3, np.uint8), TypeError, r"x has dtype uint8; accepted: float16, float32, float64; cast it"),
    "integers": ([1, 2], TypeError, r"x has dtype int64; .*\.astype\(np\.float32\)"),
    "truth": (True, TypeError, r"x has dtype bool; .*\.astype"),
    "complex": (np.zeros(3, complex), TypeError, r"x has dtype complex128; .*take \.real or \.abs\(\)"),
    "None": (None, TypeError, r"x must be an array or a tensor of float16, float32, float64; got None$"),
    "text": ("abc.png", TypeError, r"x must be an array .*; got 'abc\.png': a file has to be read first, e\.g\. by"),
    "path": (Path("abc.npy"), TypeError, r"; got PosixPath\('abc\.npy'\): a file .* numpy\.load"),
    "texts": (["a.png", "b.png"], TypeError, r"x must be an array .*; got a list of str$"),
    "holes": ([1.0, None], TypeError, r"x must be an array .*; got a list of NoneType, float$"),
    "object": (object(), TypeError, r"x must be an array .*; got an object of type object"),
    "objects": (np.array([None]), TypeError, r"x has dtype object; accepted: float16"),
    "a list in itself": (_ENDLESS, TypeError, r"x can't be read as an array: .*dimension"),
    "ragged": ([[1.0], [1.0, 2.0]], TypeError, r"x can't be read as an array: .*inhomogeneous"),
    "dates": (np.array(["2020-01-01"], "M8[D]"), TypeError, r"x has dtype datetime64\[D\]"),
    "records": (np.zeros(2, "f4,f4"), TypeError, r"x has dtype \["),
    "long double": (np.zeros(2, np.longdouble), TypeError, r"x has dtype (float128|float96)|$"),
    "masked": (np.ma.masked_invalid([1.0, np.nan]), TypeError, r"x is a masked array; pass x\.filled\(value\)"),
    "a list of masked": ([np.ma.masked_invalid([1.0, np.nan])], TypeError, r"x\[0\] is a masked array"),
    "masked far within": ([[], [[[1.0], (np.ma.masked_all(1),)]]], TypeError, r"x\[1\]\[0\]\[1\]\[0\] is a masked"),
    "masked behind many": ([[1.0]] * 200 + [np.ma.masked_all(1)], TypeError, r"x\[200\] is a masked array"),
    "a deque of masked": (deque([np.ma.masked_all(1)]), TypeError, r"x\[0\] is a masked array"),
    "a sequence in a list": ([UserList([[1.0], np.ma.masked_all(1)])], TypeError, r"x\[0\]\[1\] is a masked array"),
    "a list of what is read as masked": ([_Masked()], TypeError, r"numpy\.asanyarray\(x\[0\]\) is a masked array"),
    "a sequence that fails": (_Failing([1.0]), TypeError, r"x can't be read as an array: it fails"),
    "what is read as masked": (_Masked(), TypeError, r"numpy\.asanyarray\(x\) is a masked array; pass numpy\."),
    "a mock": (MagicMock(), TypeError, r"^(?!.*torch)x "),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case):
    value, error, message = REFUSED[case]
    with pytest.raises(error, match=message):
        as_array(value, "x")


@pytest.mark.parametrize(
    ("ndim", "shape", "message"),
    [
        (4, (2, 3), r"images must have 4 dimensions, got 2 (shape (2, 3))"),
        ((3, 4), (), r"images must have 3 or 4 dimensions, got 0 (shape ())"),
        (0, (1,), r"images must have 0 dimensions, got 1 (shape (1,))"),
    ],
)
def test_refused_dimensions(ndim, shape, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        as_array(np.zeros(shape), "images", ndim=ndim)


def test_accepted_dtypes_can_be_chosen():
    assert as_array(np.zeros(3, np.uint8), "images", dtypes=("uint8",)).dtype == np.uint8
    with pytest.raises(TypeError, match=r"images has dtype float64; accepted: uint8$"):
        as_array(np.zeros(3), "images", dtypes=("uint8",))


class Broken:
    """Its conversion fails as PyTorch's do."""

    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("the values are on the moon")


def test_a_failed_conversion_names_the_argument_and_the_cause():
    with pytest.raises(TypeError, match=r"weight can't be read as an array: the values are on the moon") as caught:
        as_array(Broken(), "weight")
    assert isinstance(caught.value.__cause__, RuntimeError)


# -- PyTorch --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch")


def test_torch_tensors_are_read_without_a_copy(torch):
    values = torch.arange(24, dtype=torch.float32).reshape(1, 2, 3, 4)
    for tensor in (values, values.double(), values.half(), values.contiguous(memory_format=torch.channels_last)):
        result = as_array(tensor, "x", ndim=4)
        assert result.shape == (1, 2, 3, 4)
        assert result.ctypes.data == tensor.data_ptr()
        assert [step // result.itemsize for step in result.strides] == list(tensor.stride())


TORCH_REFUSED = {
    "requires grad": (lambda t: t.ones(2, requires_grad=True), r"it requires grad; pass x\.detach\(\)"),
    "parameter": (lambda t: t.nn.Parameter(t.ones(2)), r"it requires grad; pass x\.detach\(\)"),
    "bfloat16": (lambda t: t.ones(2, dtype=t.bfloat16), r"NumPy has no bfloat16; pass x\.float\(\)"),
    "float8": (lambda t: t.ones(2).to(t.float8_e4m3fn), r"NumPy has no float8_e4m3fn; pass x\.float\(\)"),
    "sparse": (lambda t: t.ones(2, 2).to_sparse(), r"its layout is torch\.sparse_coo; pass x\.to_dense\(\)"),
    "meta": (lambda t: t.ones(2, device="meta"), r"it is on the meta device and holds no values"),
    "conjugate": (lambda t: t.ones(2, dtype=t.complex64).conj(), r"its conjugate bit is set; pass x\.resolve_conj\(\)"),
    "negative": (lambda t: t._neg_view(t.ones(2)), r"its negative bit is set; pass x\.resolve_neg\(\)"),
    "integers": (lambda t: t.ones(2, dtype=t.int32), r"x has dtype int32; .*\.float\(\)"),
    "list of tensors": (lambda t: [t.ones(2, requires_grad=True)], r"x can't be read as an array"),
}


@pytest.mark.parametrize("case", TORCH_REFUSED)
def test_torch_tensors_that_are_refused_name_the_fix(torch, case):
    make, message = TORCH_REFUSED[case]
    with pytest.raises(TypeError, match=message):
        as_array(make(torch), "x")


def test_a_torch_module_is_named_and_its_weight_proposed(torch):
    head = torch.nn.Conv2d(8, 3, 3)
    with pytest.raises(TypeError, match=r"the torch module Conv2d: pass weight\.weight\.detach\(\), or .*output_layer"):
        gch.OutputLayer(head)
    with pytest.raises(TypeError, match=r"x must be .* the torch module Sequential: pass an array"):
        gch.conv2d(torch.nn.Sequential(head), np.zeros((3, 8, 3, 3)))


class OnTheGraphicsCard:
    """What a CUDA tensor shows of itself; none is needed for the message."""

    class device:
        type = "cuda"

        def __str__(self):
            return "cuda:0"

    device = device()

    def __array__(self, dtype=None, copy=None):
        raise TypeError("can't convert cuda:0 device type tensor to numpy")


def test_a_tensor_on_another_device_is_never_moved():
    with pytest.raises(TypeError, match=r"it is on cuda:0; pass x\.detach\(\)\.cpu\(\)"):
        as_array(OnTheGraphicsCard(), "x")


# -- out ------------------------------------------------------------------------------------------------------------


def read_only(array):
    array.flags.writeable = False
    return array


OUT_REFUSED = {
    "a list": ([0.0] * 6, TypeError, "out must be a NumPy array, got list"),
    "masked": (
        np.ma.zeros((2, 3), np.float32),
        TypeError,
        "out is a masked array, and results know no mask; pass out.data",
    ),
    "dtype": (np.zeros((2, 3)), TypeError, "out has dtype float64; the result has float32"),
    "shape": (np.zeros((3, 2), np.float32), ValueError, "out has shape (3, 2); the result has (2, 3)"),
    "more dimensions": (np.zeros((1, 2, 3), np.float32), ValueError, "out has shape (1, 2, 3); the result has (2, 3)"),
    "read-only": (read_only(np.zeros((2, 3), np.float32)), ValueError, "out is read-only"),
    "fortran": (np.zeros((3, 2), np.float32).T, ValueError, "out must be C-contiguous"),
    "strided": (np.zeros((2, 6), np.float32)[:, ::2], ValueError, "out must be C-contiguous"),
    "unaligned": (unaligned(np.zeros((2, 3), np.float32)), ValueError, "out must be C-contiguous, aligned"),
    "swapped": (np.zeros((2, 3), FLOAT32.newbyteorder()), TypeError, "out has dtype >f4"),
}


@pytest.mark.parametrize("case", OUT_REFUSED)
def test_out_refused(case):
    out, error, message = OUT_REFUSED[case]
    with pytest.raises(error, match=re.escape(message)):
        check_out(out, (2, 3), FLOAT32, [])


def test_out_is_returned_itself():
    out = np.zeros((2, 3), np.float32)
    assert check_out(out, (2, 3), FLOAT32, [np.zeros(5)]) is out


def test_out_may_not_overlap_an_input():
    memory = np.zeros(12, np.float32)
    with pytest.raises(ValueError, match="out overlaps an input"):
        check_out(memory[:6].reshape(2, 3), (2, 3), FLOAT32, [np.zeros(3), memory[5:8]])
    out = memory[:6].reshape(2, 3)
    assert check_out(out, (2, 3), FLOAT32, [memory[6:]]) is out


def test_half_precision_is_computed_in_single():
    dtypes = {np.float16: np.float32, np.float32: np.float32, np.float64: np.float64}
    assert {given: compute_dtype(np.zeros(1, given)).type for given in dtypes} == dtypes
    assert compute_dtype(np.zeros(1, np.dtype(np.float64).newbyteorder())).isnative


# -- the private functions can't crash, whatever they are given ----------------------------------------------------

ANYTHING = (
    None,
    0,
    -1,
    2**80,
    1.5,
    float("nan"),
    "tanh",
    b"",
    (),
    (1, 0.0, 0.0),
    (9, 0.0, 0.0),
    (1, "a", 0.0),
    np.zeros(3, np.float32),
    np.zeros(4),
    np.zeros(3, np.int8),
    np.zeros((2, 2), np.float32).T,
    np.zeros(0, np.float32),
    np.array(1.0),
    np.array(None),
)


@pytest.mark.parametrize("name", [n for n in dir(_core) if not n.startswith("_") and n != "select_isa"])
def test_private_functions_survive_anything(name, rng):
    function = getattr(_core, name)
    for count in range(8):
        for _ in range(100):
            arguments = [ANYTHING[index] for index in rng.integers(len(ANYTHING), size=count)]
            try:
                function(*arguments)
            except (TypeError, ValueError, OverflowError):
                continue  # refused: that is the point; a crash ends the whole run


def test_out_may_lie_between_the_parts_of_an_input():
    big = np.zeros((6, 3, 5, 5), np.float32)
    x, weight = big[::3], np.ones((3, 3, 1, 1), np.float32)
    x[...] = 1
    out = big[1:3]
    assert gch.conv2d(x, weight, out=out) is out
    np.testing.assert_array_equal(out, np.float32(3))
    for overlap in (big[0:2], big[2:4], big[3:5]):
        with pytest.raises(ValueError, match="out overlaps an input"):
            gch.conv2d(x, weight, out=overlap)


def test_overlap_that_is_hard_to_tell_is_refused(monkeypatch):
    def too_hard(*_, **__):
        raise np.exceptions.TooHardError

    monkeypatch.setattr(np, "shares_memory", too_hard)
    big = np.zeros((6, 2, 3), np.float32)
    with pytest.raises(ValueError, match="out overlaps an input"):
        check_out(big[1], (2, 3), FLOAT32, [big[::3]])
    check_out(big[5], (2, 3), FLOAT32, [big[::3]])  # beyond the bounds: nothing hard to tell


# -- numbers --------------------------------------------------------------------------------------------------------

HUGE = 10**400
TOO_LARGE = {
    "output_scale": lambda: gch.conv2d(np.ones((1, 1, 2, 2)), np.ones((1, 1, 1, 1)), output_scale=HUGE),
    "a parameter of activation 'clamp'": lambda: gch.activate(np.ones(2), ("clamp", 0, HUGE)),
    "a parameter of activation 'leaky_relu'": lambda: gch.activate(np.ones(2), ("leaky_relu", -HUGE)),
    "value_range[1]": lambda: gch.ChromaStats(value_range=(0, HUGE)),
    "gain": lambda: gch.init.xavier_uniform((3, 3), gain=HUGE),
    "eps": lambda: gch.spectral.SpectralNorm(np.ones((3, 3)), eps=HUGE),
}


@pytest.mark.parametrize("name", TOO_LARGE)
def test_an_integer_beyond_float64_is_a_value_error_that_names_its_argument(name):
    with pytest.raises(ValueError, match=re.escape(f"{name} is beyond the largest float64")):
        TOO_LARGE[name]()


@pytest.mark.parametrize("value", ["1", b"1", True, np.True_, 1j, None, [1.0]])
def test_what_is_no_number(value):
    with pytest.raises(TypeError, match="gain must be a number, got"):
        check_number(value, "gain")


def test_what_is_a_number():
    for value in (2, 2.0, np.float32(2), np.int8(2), Fraction(2), np.array(2.0)):
        assert check_number(value, "gain") == 2.0
    assert check_number(np.inf, "gain", infinite=True) == np.inf


@pytest.mark.parametrize("shape", [(), (0,), (7,), (3, 0), (1, 30), (5, 4, 3), (2, 11, 1)])
def test_pieces_cover_an_array_once(shape):
    seen = np.zeros(shape, int)
    for piece in pieces(shape, 10):
        assert seen[piece].size <= 10
        seen[piece] += 1
    assert (seen == 1).all()
