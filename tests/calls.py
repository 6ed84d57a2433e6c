"""Calls of everything there is: each function of the core, and each public function, small and valid.

What tests of memory, leaks and hostile arrays go through. Whoever adds a function is told by test_memory.py or
test_leaks.py to add it, here or in file_calls.py.
"""

from functools import partial

import numpy as np

import ganchroma as gch
from ganchroma import _core

rng = np.random.default_rng(20180807)


def reseed():
    global rng
    rng = np.random.default_rng(20180807)


def floats(*shape, dtype=np.float32):
    return rng.uniform(-1, 1, shape).astype(dtype)


def core_calls():
    """(label, function, arguments) for each function of the core, in the forms that allocate differently."""
    reseed()
    linear, tanh = (0, 0.0, 0.0), (1, 0.0, 0.0)
    plain = (0, 1, 1, 1, 1, 1, 1, 0, 1, 1, 0, 0)  # transposed, stride, padding, its mode, dilation, output padding
    reflect = (*plain[:7], 1, *plain[8:])
    strided = (0, 2, 2, *plain[3:])
    transposed = (1, 2, 2, *plain[3:])
    x, weight, bias = floats(2, 20, 18, 20), floats(3, 20, 3, 3), floats(3)
    turned, scale = floats(20, 3, 3, 3), floats(2, 20)
    last = np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)
    same, half, double = (np.empty((2, 3, *size), np.float32) for size in ((18, 20), (9, 10), (35, 39)))
    moments = np.empty((2, 11))
    yield "isa", _core.isa, ()
    yield "available_isas", _core.available_isas, ()
    yield "select_isa", _core.select_isa, (_core.isa(),)
    yield "default_threads", _core.default_threads, ()
    yield "has_openmp", _core.has_openmp, ()
    flat = floats(1000)
    yield "activate", _core.activate, (flat, tanh, np.empty_like(flat), 2)
    yield "activate swapped", _core.activate, (flat.astype(">f4"), tanh, np.empty_like(flat), 2)
    yield "activate_backward", _core.activate_backward, (flat[::2], flat[1::2], tanh, np.empty(500, np.float32), 2)
    yield "rng_uniform", _core.rng_uniform, (2**64 - 1, 3, -1.0, 1.0, np.empty(1000), 2)
    yield "rng_normal", _core.rng_normal, (5, 2**63, 0.0, 1.0, np.empty(1000, np.float32), 2)
    yield "rng_words", _core.rng_words, (5, 3, 2**40, np.empty((4, 16), np.uint32))
    state = np.zeros(5056, np.uint8)
    _core.rng_torch_seed(state, 1)
    yield "rng_torch_seed", _core.rng_torch_seed, (np.zeros(5056, np.uint8), 2**64 - 1)
    yield "rng_torch_uniform", _core.rng_torch_uniform, (state, 1, 0.0, 1.0, np.empty(1000))
    yield "rng_torch_normal", _core.rng_torch_normal, (state, 0, 0.0, 1.0, np.empty(1000), 2)
    yield "rng_torch_shuffle", _core.rng_torch_shuffle, (state, np.empty(1000, np.int64))
    matrix = floats(3, 50, dtype=np.float64)
    yield "orthonormalize", _core.orthonormalize, (matrix.copy(),)
    yield "spectral_sigma", _core.spectral_sigma, (matrix[:, ::2],)
    yield "spectral_sigma_of_plain", _core.spectral_sigma_of_plain, (matrix, 0)
    yield "spectral_power", _core.spectral_power, (matrix, np.ones(3), np.ones(50), 5, 0, 1e-12, 2)
    filters, gram = floats(3, 3, 3, 4, dtype=np.float64), np.zeros((3, 5, 3, 3))
    _core.frequency_gram(filters, gram, 1)
    turns = (gram, np.linspace(0, 0.5, 9), np.linspace(0, 1, 16)[None])
    values, vectors = np.empty((16, 16, 3)), np.empty((16, 16, 3), np.complex128)
    yield "frequency_gram", _core.frequency_gram, (filters, np.empty((3, 5, 3, 3)), 2)
    yield "frequency_values", _core.frequency_values, (*turns, values, vectors, 16, 2)
    yield "frequency_peaks", _core.frequency_peaks, (*turns, np.empty((9, 2)), 2)
    for label, source, layer, geometry, out in (
        ("conv", x, weight, plain, same),
        ("conv reflect", x, weight, reflect, same),
        ("conv strided", x, weight, strided, half),
        ("conv channels last", last, weight, plain, same),
        ("conv swapped", x.astype(">f4"), weight, plain, same),
        ("conv transposed", x, turned, transposed, double),
    ):
        yield label, _core.conv, (source, layer, bias, scale, out, moments, geometry, tanh, 1.0, 2)
    small = (False, x[:1, :2, :5, :5].copy(), weight[:, :2].copy(), bias, np.empty((1, 3, 5, 5), np.float32))
    yield "conv_plain", _core.conv_plain, (*small, 1, 1, 0, 1, "zeros", "tanh", 1.0, "NCHW")
    yield "conv moments", _core.conv, (x, weight, None, None, None, moments, plain, linear, 1.0, 2)
    for label, grad, layer, geometry in (
        ("conv_backward", same, weight, plain),
        ("conv_backward reflect", same, weight, reflect),
        ("conv_backward transposed", double, turned, transposed),
    ):
        results = (np.empty_like(x), np.empty_like(layer), np.empty(3, np.float32))
        yield label, _core.conv_backward, (grad, x, layer, scale, *results, geometry, 1.0, 2)
    pictures, pixels = floats(2, 3, 70, 75), rng.integers(0, 256, (2, 70, 75, 3)).astype(np.uint8).transpose(0, 3, 1, 2)
    yield "color_convert", _core.color_convert, (pictures, np.empty_like(pictures), 0, -1.0, 1.0, 2)
    yield "color_quantize", _core.color_quantize, (pictures, np.empty(pictures.shape, np.uint8), -1.0, 1.0, 0, 2)
    yield "color_moments", _core.color_moments, (pixels, np.empty((2, 11)), 1, 2)
    for label, images in (("stats_levels", pixels), ("stats_levels floats", pictures)):
        records = (np.empty((2, 31), np.int64), np.empty((2, 4)))
        yield label, _core.stats_levels, (images, *records, -1.0, 1.0, 0, 1, 2)
    sums = np.zeros((3, 70, 75), np.int64)
    yield "stats_positions", _core.stats_positions, (pictures, np.ones(2, np.uint8), sums, -1.0, 1.0, 2)


def public_calls():
    """label -> (function, keywords): every public function and method, with the arrays that it takes; the same ones
    each time, and nothing is shared between the results."""
    reseed()
    x, weight, bias = floats(2, 5, 8, 9), floats(3, 5, 3, 3), floats(3)
    grad, turned = floats(2, 3, 8, 9), floats(5, 3, 4, 4)
    images = rng.integers(0, 256, (2, 3, 8, 9)).astype(np.uint8)
    pictures, lab = floats(2, 3, 8, 9), 50 * floats(2, 3, 8, 9)
    layer = gch.OutputLayer(weight, bias, padding=1, activation="tanh")
    moments = gch.FeatureMoments.from_features(x, layer)
    norm, torch_stream = gch.spectral.SpectralNorm(weight, rng=1), gch.TorchGenerator(0)
    stats, other = gch.ChromaStats().update(images), gch.ChromaStats().update(images)
    summary, records = gch.color.NATURAL, [[2, 0.5, 0.5, 0.5, 0.02, 0, 0, 0.02, 0, 0.02, 0]]
    out = np.empty((2, 3, 8, 9), np.float32)
    span = {"value_range": (-1, 1)}
    calls = {
        "conv2d": (gch.conv2d, {"x": x, "weight": weight, "bias": bias, "channel_scale": x[0, :, 0, 0]}),
        "conv2d out": (gch.conv2d, {"x": x, "weight": weight, "padding": 1, "out": out}),
        "conv_transpose2d": (gch.conv_transpose2d, {"x": x, "weight": turned, "stride": 2, "padding": 1}),
        "conv2d_backward": (gch.conv2d_backward, {"grad_output": grad, "x": x, "weight": weight, "padding": 1}),
        "conv_transpose2d_backward": (
            gch.conv_transpose2d_backward,
            {"grad_output": floats(2, 3, 16, 18), "x": x, "weight": turned, "stride": 2, "padding": 1},
        ),
        "activate": (gch.activate, {"x": x, "activation": "sigmoid"}),
        "activate_backward": (gch.activate_backward, {"grad": x, "x": x, "activation": "tanh"}),
        "OutputLayer": (gch.OutputLayer, {"weight": weight, "bias": bias}),
        "OutputLayer()": (layer, {"x": x}),
        "OutputLayer.linear": (layer.linear, {"x": x}),
        "OutputLayer.activate": (layer.activate, {"linear_output": grad}),
        "OutputLayer.moments": (layer.moments, {"x": x}),
        "OutputLayer.image_moments": (layer.image_moments, {"x": x}),
        "OutputLayer.output_size": (layer.output_size, {"size": (8, 9)}),
        "OutputLayer.replace": (layer.replace, {"weight": weight}),
        "sigma": (gch.spectral.sigma, {"weight": weight}),
        "SpectralNorm": (gch.spectral.SpectralNorm, {"weight": weight, "rng": 1}),
        "SpectralNorm.weight": (norm.weight, {}),
        "SpectralNorm.load_state_dict": (norm.load_state_dict, {"state": norm.state_dict()}),
        "operator_norm": (gch.spectral.operator_norm, {"weight": weight}),
        "frequency_response": (gch.spectral.frequency_response, {"weight": weight, "size": 8}),
        "rgb_to_lab": (gch.color.rgb_to_lab, {"images": pictures, **span}),
        "rgb_to_hsv": (gch.color.rgb_to_hsv, {"images": pictures, **span}),
        "quantize": (gch.color.quantize, {"images": pictures, **span}),
        "colorfulness": (gch.color.colorfulness, {"images": images}),
        "chroma": (gch.color.chroma, {"images": images}),
        "gray_pixel_share": (gch.color.gray_pixel_share, {"images": images}),
        "delta_e2000": (gch.color.delta_e2000, {"lab1": lab, "lab2": lab[::-1]}),
        "ColorMoments": (gch.ColorMoments, {"count": 5, "mean": floats(3), "covariance": np.eye(3), **span}),
        "ColorMoments.from_images_records": (gch.ColorMoments.from_images_records, {"records": records, **span}),
        "ColorMoments.merge": (summary.merge, {"other": summary.merge(summary)}),
        "ColorMoments.to": (summary.to, {"value_range": (0, 255)}),
        "ChromaStats": (gch.ChromaStats, span),
        "ChromaStats.update": (gch.ChromaStats(value_range=(-1, 1)).update, {"images": pictures}),
        "ChromaStats.update bytes": (gch.ChromaStats().update, {"images": images}),
        "ChromaStats.update mask": (gch.ChromaStats().update, {"images": images, "mask": np.array([True, False])}),
        "ChromaStats.merge": (stats.merge, {"other": other}),
        "ChromaStats.summary": (stats.summary, {}),
        "ChromaStats.from_state": (gch.ChromaStats.from_state, {"state": stats.state()}),
        "ChromaStats.count": (stats.count, {"name": "images"}),
        "FeatureMoments.from_features": (gch.FeatureMoments.from_features, {"x": x, "layer": layer}),
        "FeatureMoments.linear": (moments.linear, {"filters": weight, "bias": floats(3)}),
        "FeatureMoments.fixed": (moments.fixed, {"filters": weight}),
        "FeatureMoments.phase_colors": (moments.phase_colors, {"filters": weight}),
        "predict": (gch.predict, {"layer": layer, "feature_moments": moments, "features": x}),
        "predict_many": (gch.predict_many, {"weights": floats(4, 3, 5, 3, 3), "feature_moments": moments}),
        "calibrate": (gch.calibrate, {"layer": layer, "features": x}),
        "diagnose": (gch.diagnose, {"images": pictures, "layer": layer, "features": x, **span}),
        "factors": (gch.factors, {"layer": layer, "features": x, "seeds": 2}),
        "ModuleFacts": (gch.ModuleFacts, {"batchnorm": "eval"}),
        "threads": (gch.threads, {"n": 1}),
        "TorchGenerator": (gch.TorchGenerator, {"seed": 1}),
        "TorchGenerator.uniform": (torch_stream.uniform, {"out": floats(100), "low": 0.0, "high": 1.0}),
        "TorchGenerator.normal": (torch_stream.normal, {"out": floats(100), "mean": 0.0, "std": 1.0}),
        "TorchGenerator.randperm": (torch_stream.randperm, {"n": 100}),
        "TorchGenerator.orders": (torch_stream.orders, {"rows": 3, "columns": 5}),
        "Stream.uniform": (gch.rng.as_stream(1).uniform, {"out": floats(100), "low": 0.0, "high": 1.0}),
        "Stream.normal": (gch.rng.as_stream(1).normal, {"out": floats(100), "mean": 0.0, "std": 1.0}),
        "Stream.orders": (gch.rng.as_stream(1).orders, {"rows": 3, "columns": 5}),
        "TorchGenerator.set_state": (torch_stream.set_state, {"state": torch_stream.get_state()}),
        "fan_in_and_fan_out": (gch.init.fan_in_and_fan_out, {"shape": (3, 5, 3, 3)}),
        "calculate_gain": (gch.init.calculate_gain, {"nonlinearity": "tanh"}),
        "init.constant": (gch.init.constant, {"shape": (3, 5), "val": 1.0}),
        "init.dirac": (gch.init.dirac, {"shape": (3, 5, 3, 3)}),
        "init.sparse": (gch.init.sparse, {"shape": (30, 5), "sparsity": 0.5, "rng": 1}),
        "init.conv_default": (gch.init.conv_default, {"shape": (3, 5, 3, 3), "rng": 1}),
    }
    for name in ("ones", "zeros", "eye"):
        calls[f"init.{name}"] = (getattr(gch.init, name), {"shape": (3, 5)})
    for name in INITIALISERS:
        function = partial(getattr(gch.init, name), rng=1)
        calls[f"init.{name}"] = (function, {"shape": (3, 5, 3, 3)})
        calls[f"init.{name} out"] = (function, {"shape": None, "out": floats(3, 5, 3, 3)})
    return calls


INITIALISERS = ("uniform", "normal", "trunc_normal", "orthogonal", "xavier_uniform", "xavier_normal")
INITIALISERS += ("kaiming_uniform", "kaiming_normal")
# Constants, what others in these lists return, and steps inside of other calls.
NOT_CALLED = {"__version__", "NATURAL", "OPPONENT_AXES", "RNGLike"}
NOT_CALLED |= {"ChromaSummary", "Diagnosis", "Expectation", "Factors", "FrequencyResponse", "OperatorNorm", "Scan"}
NOT_CALLED |= {"ChromaStats.update_from", "ColorMoments.empty", "Scan.of"}
