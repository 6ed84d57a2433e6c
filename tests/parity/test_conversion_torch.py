"""What becomes of a tensor: read without a copy, read by a copy, or refused with the call that makes it readable."""

import numpy as np
import pytest

import ganchroma as gch
from ganchroma._arrays import as_array

torch = pytest.importorskip("torch")

ANY = ("bool", "uint8", "int64", "float16", "float32", "float64")
PLAIN = torch.arange(24.0).reshape(1, 2, 3, 4) - 12


@pytest.mark.parametrize(
    "tensor",
    [
        PLAIN,
        PLAIN.double(),
        PLAIN.half(),
        PLAIN > 0,
        PLAIN.byte(),
        PLAIN.to(memory_format=torch.channels_last),
        PLAIN[:, :, ::2, 1:],
        PLAIN.expand(5, 2, 3, 4),
        torch.zeros(2, 2, requires_grad=True).detach(),
    ],
)
def test_read_without_a_copy(tensor):
    array = as_array(tensor, "x", dtypes=ANY)
    assert array.ctypes.data == tensor.data_ptr()
    assert array.strides == tuple(step * tensor.element_size() for step in tensor.stride())
    np.testing.assert_array_equal(array, tensor.tolist())


@pytest.mark.filterwarnings(
    "ignore:torch.quantize_per_tensor", "ignore:Sparse CSR", "ignore:The PyTorch API of nested", "ignore:ComplexHalf"
)
@pytest.mark.parametrize(
    ("make", "fix"),
    [
        (lambda x: x.clone().requires_grad_(), r"requires grad; pass x\.detach\(\)"),
        (torch.nn.Parameter, r"requires grad; pass x\.detach\(\)"),
        (lambda x: x.clone().requires_grad_() * 2, r"requires grad; pass x\.detach\(\)"),
        (lambda x: x.bfloat16(), r"bfloat16; pass x\.float\(\)"),
        (lambda x: x.to(torch.float8_e4m3fn), r"float8_e4m3fn; pass x\.float\(\)"),
        (lambda x: x.to(torch.float8_e5m2), r"float8_e5m2; pass x\.float\(\)"),
        (lambda x: x.to_sparse(), r"pass x\.to_dense\(\)"),
        (lambda x: x[0, 0].to_sparse_csr(), r"pass x\.to_dense\(\)"),
        (lambda x: x.to_mkldnn(), r"pass x\.to_dense\(\)"),
        (lambda x: torch.nested.nested_tensor([x[0, 0], x[0, 0, :2]], layout=torch.jagged), r"x\.to_padded_tensor"),
        (lambda x: torch.quantize_per_tensor(x, 0.1, 0, torch.qint8), r"pass x\.dequantize\(\)"),
        (lambda x: x.to("meta"), "meta device and holds no values"),
        (lambda x: torch.complex(x, x).conj(), r"pass x\.resolve_conj\(\)"),
        (torch._neg_view, r"pass x\.resolve_neg\(\)"),
        (lambda x: torch.complex(x, x).conj().imag, r"pass x\.resolve_neg\(\)"),
        (lambda x: torch.complex(x, x), r"take \.real or \.abs\(\)"),
        (lambda x: x.long(), r"int64.*\.float\(\)"),
        (lambda x: [x.clone().requires_grad_()], r"detach\(\)"),
        (lambda x: [x.bfloat16()], r"bfloat16; pass x\[0\]\.float\(\)"),
        (lambda x: [[x[0].bfloat16()]], r"bfloat16; pass x\[0\]\[0\]\.float\(\)"),
        (lambda x: torch.complex(x.half(), x.half()), r"complex32; pass x\.real"),
        (lambda x: torch._efficientzerotensor((2, 3)), r"pass x\.clone\(\)"),
    ],
)
def test_what_cannot_be_read_names_the_fix(make, fix):
    for call in (lambda x: as_array(x, "x"), lambda x: gch.activate(x, "tanh")):
        with pytest.raises(TypeError, match=f"^x .*{fix}"):
            call(make(PLAIN))


@pytest.mark.parametrize(
    ("make", "fix"),
    [
        (lambda x: x.clone().requires_grad_(), lambda x: x.detach()),
        (lambda x: x.bfloat16(), lambda x: x.float()),
        (lambda x: x.to(torch.float8_e4m3fn), lambda x: x.float()),
        (lambda x: x.to_sparse(), lambda x: x.to_dense()),
        (torch._neg_view, lambda x: x.resolve_neg()),
    ],
)
def test_the_fix_works(make, fix):
    tensor = make(PLAIN)
    np.testing.assert_array_equal(as_array(fix(tensor), "x"), fix(tensor).tolist())


def test_a_tensor_on_a_device_is_not_fetched():
    class Elsewhere:
        device = type("device", (), {"type": "cuda", "__str__": lambda self: "cuda:0"})()

        def __array__(self, dtype=None, copy=None):
            raise TypeError("can't convert cuda:0 device type tensor to numpy")

    with pytest.raises(TypeError, match=r"x .*it is on cuda:0; pass x\.detach\(\)\.cpu\(\)"):
        gch.activate(Elsewhere(), "tanh")


class OnlyDLPack:
    """What other libraries hand over: no ``__array__``, DLPack alone."""

    def __init__(self, tensor):
        self.tensor = tensor

    def __dlpack__(self, **options):
        return self.tensor.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.tensor.__dlpack_device__()


def test_dlpack_serves_what_has_no_array():
    array = as_array(OnlyDLPack(PLAIN), "x")
    assert array.ctypes.data == PLAIN.data_ptr()
    with pytest.raises(TypeError, match=r"^x .*detach"):
        as_array(OnlyDLPack(PLAIN.clone().requires_grad_()), "x")


def test_a_negative_bit_never_loses_its_sign():
    """DLPack hands such memory over with the wrong sign: a tensor must go through ``__array__``, which refuses it."""
    negative = torch._neg_view(PLAIN)
    assert np.from_dlpack(negative).flat[0] == PLAIN.flatten()[0] == -negative.flatten()[0]
    for function in (
        lambda x: gch.conv2d(x, np.ones((3, 2, 1, 1), np.float32)),
        lambda x: gch.OutputLayer(x),
        lambda x: gch.spectral.sigma(x),
        lambda x: gch.ChromaStats((-1, 1)).update(x),
    ):
        with pytest.raises(TypeError, match="resolve_neg"):
            function(negative)


def test_negative_strides_in_and_positive_ones_out(rng):
    """PyTorch takes no negative strides (its DLPack import ends the process): no result has any."""
    x = rng.standard_normal((2, 5, 6, 7)).astype(np.float32)
    weight = rng.standard_normal((3, 5, 3, 3)).astype(np.float32)
    backwards = x[::-1, :, ::-1, ::-1], weight[:, ::-1, :, ::-1]
    straight = tuple(np.ascontiguousarray(array) for array in backwards)
    calls = {
        "conv2d": lambda x, w: gch.conv2d(x, w, padding=1),
        "conv2d NHWC": lambda x, w: gch.conv2d(x.transpose(0, 2, 3, 1), w, layout="NHWC"),
        "conv_transpose2d": lambda x, w: gch.conv_transpose2d(x, w.swapaxes(0, 1), stride=2),
        "activate": lambda x, w: gch.activate(x, "sigmoid"),
        "layer": lambda x, w: gch.OutputLayer(w)(x),
        "filters": lambda x, w: gch.OutputLayer(w).weight,
        "spectral": lambda x, w: gch.spectral.SpectralNorm(w, rng=0).weight(),
        "lab": lambda x, w: gch.color.rgb_to_lab(x[:, :3], value_range=(-3, 3)),
    }
    for name, call in calls.items():
        result = call(*backwards)
        assert all(step > 0 for step in result.strides), name
        np.testing.assert_array_equal(result, call(*straight), err_msg=name)
        if result.flags.writeable:
            assert torch.from_dlpack(result).shape == result.shape


def test_results_are_tensors_without_a_copy():
    result = gch.activate(PLAIN, "tanh")
    assert result.flags.c_contiguous
    assert result.flags.writeable
    assert result.dtype.isnative
    assert torch.from_numpy(result).data_ptr() == result.ctypes.data


UNREADABLE = [
    (lambda x: x.clone().requires_grad_(), r"detach\(\)"),
    (lambda x: x.bfloat16(), r"\.float\(\)"),
    (lambda x: x.to("meta"), "holds no values"),
    (torch._neg_view, r"resolve_neg\(\)"),
]
IMAGES, WEIGHT = torch.rand(2, 3, 9, 9), torch.rand(3, 3, 3, 3)
LAYER = gch.OutputLayer(np.ones((3, 3, 3, 3), np.float32))
CALLS = {
    "conv2d": (IMAGES, lambda x: gch.conv2d(x, WEIGHT)),
    "conv2d weight": (WEIGHT, lambda x: gch.conv2d(IMAGES, x)),
    "conv2d bias": (torch.rand(3), lambda x: gch.conv2d(IMAGES, WEIGHT, x)),
    "conv2d channel_scale": (torch.rand(3), lambda x: gch.conv2d(IMAGES, WEIGHT, channel_scale=x)),
    "conv_transpose2d": (IMAGES, lambda x: gch.conv_transpose2d(x, WEIGHT)),
    "conv2d_backward": (torch.rand(2, 3, 7, 7), lambda x: gch.conv2d_backward(x, IMAGES, WEIGHT)),
    "conv_transpose2d_backward": (torch.rand(2, 3, 11, 11), lambda x: gch.conv_transpose2d_backward(x, IMAGES, WEIGHT)),
    "activate": (IMAGES, lambda x: gch.activate(x, "tanh")),
    "activate_backward": (IMAGES, lambda x: gch.activate_backward(x, IMAGES, "tanh")),
    "OutputLayer": (WEIGHT, gch.OutputLayer),
    "OutputLayer()": (IMAGES, LAYER),
    "OutputLayer.moments": (IMAGES, LAYER.moments),
    "sigma": (WEIGHT, gch.spectral.sigma),
    "operator_norm": (WEIGHT, gch.spectral.operator_norm),
    "frequency_response": (WEIGHT, lambda x: gch.spectral.frequency_response(x, 8)),
    "SpectralNorm": (WEIGHT, gch.spectral.SpectralNorm),
    "rgb_to_lab": (IMAGES, lambda x: gch.color.rgb_to_lab(x, value_range=(0, 1))),
    "rgb_to_hsv": (IMAGES, lambda x: gch.color.rgb_to_hsv(x, value_range=(0, 1))),
    "colorfulness": (IMAGES, lambda x: gch.color.colorfulness(x, value_range=(0, 1))),
    "delta_e2000": (IMAGES, lambda x: gch.color.delta_e2000(x, IMAGES)),
    "ColorMoments mean": (torch.zeros(3), lambda x: gch.ColorMoments(1, x, np.eye(3), (0, 1))),
    "ColorMoments covariance": (torch.eye(3), lambda x: gch.ColorMoments(1, np.zeros(3), x, (0, 1))),
    "ColorMoments list": (torch.zeros(3), lambda x: gch.ColorMoments(1, list(x), np.eye(3), (0, 1))),
    "ChromaStats.update": (IMAGES, lambda x: gch.ChromaStats((0, 1)).update(x)),
    "diagnose": (IMAGES, lambda x: gch.diagnose(x, value_range=(0, 1))),
    "diagnose features": (IMAGES, lambda x: gch.diagnose(layer=LAYER, features=x)),
    "diagnose dataset": (IMAGES, lambda x: gch.diagnose(dataset=x, value_range=(0, 1))),
    "FeatureMoments": (IMAGES, lambda x: gch.FeatureMoments.from_features(x, LAYER)),
    "calibrate": (IMAGES, lambda x: gch.calibrate(LAYER, x)),
    "demo.Generator": (torch.rand(2, 100), gch.demo.Generator(rng=0)),
}


@pytest.mark.parametrize(("make", "fix"), UNREADABLE)
@pytest.mark.parametrize("name", CALLS)
def test_every_function_names_the_fix(name, make, fix):
    given, call = CALLS[name]
    with pytest.raises(TypeError, match=fix):
        call(make(given))


@pytest.mark.parametrize("number", [torch.tensor(1.0).to("meta"), torch.tensor(1j), torch.tensor([1.0, 2.0])])
@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("output_scale", lambda x: gch.conv2d(IMAGES, WEIGHT, output_scale=x)),
        ("leaky_relu", lambda x: gch.activate(IMAGES, ("leaky_relu", x))),
        ("gain", lambda x: gch.init.xavier_normal((3, 3), gain=x)),
        ("std", lambda x: gch.init.normal((3, 3), std=x)),
        ("value_range", lambda x: gch.ChromaStats((0, x))),
    ],
)
def test_a_number_that_is_none(name, call, number):
    with pytest.raises(TypeError, match=name):
        call(number)
