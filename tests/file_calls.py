"""Calls, as in calls.py, of what reads and writes files, draws, takes milliseconds."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from calls import floats, reseed

import ganchroma as gch
from ganchroma._files import read_arrays, read_picture
from ganchroma.runtime import runtime_info
from ganchroma.scanning import places
from ganchroma.scanning.engines import Measuring
from ganchroma.scanning.measuring import Settings


def refused(function, **given):
    """The call as one that passes when it is refused for a reason."""
    try:
        function(**given)
    except (ValueError, OSError):
        return
    raise AssertionError(f"{function} took {given}")


def in_a_thread(function, **given):
    """The call in a thread that ends, as Dask's do."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function, **given).result()


def file_calls():
    """label -> (function, keywords), with files in the current directory."""
    from PIL import Image
    from safetensors.numpy import save_file

    reseed()
    images = np.random.default_rng(0).integers(0, 256, (3, 3, 16, 16)).astype(np.uint8)
    layer = gch.OutputLayer(floats(3, 5, 3, 3), padding=1, activation="tanh")
    stats = gch.ChromaStats().update(images)
    stats.save("state.npz")
    Path("set").mkdir(exist_ok=True)
    Image.fromarray(images[0].transpose(1, 2, 0)).save("set/picture.png")
    np.save("set/arrays.npy", images)
    save_file({"weight": layer.weight}, "weight.safetensors")
    files = [(read_picture, "set/picture.png"), (gch.ChromaStats.load, "state.npz")]
    files += [(read_arrays, name) for name in ("set/arrays.npy", "state.npz", "weight.safetensors")]
    calls = {}
    for function, name in files:
        cut = Path(name).with_stem("cut")
        cut.write_bytes(Path(name).read_bytes()[:-60])
        label = f"{function.__qualname__} {name}"
        calls[label] = (function, {"path": name})
        calls[f"{label} cut off"] = (partial(refused, function), {"path": cut})
        calls[f"{label} missing"] = (partial(refused, function), {"path": f"no/{name}"})
    scan = partial(gch.scan, workers=1, show_progress=False)
    scanned = scan("set")
    (unit,) = places.units(places.find(["set/arrays.npy"], {}, None))
    diagnosis = gch.diagnose(layer=layer, features=floats(2, 5, 16, 16))
    factors = gch.factors(layer, floats(2, 5, 16, 16), seeds=2)
    moments = gch.FeatureMoments.from_features(floats(2, 5, 8, 9), layer)
    response = gch.spectral.frequency_response(layer.weight, size=8)
    norm, generator = gch.spectral.SpectralNorm(layer.weight, rng=1), gch.demo.Generator(rng=1)
    torch_stream = gch.TorchGenerator(0)
    latent, natural = generator.sample_latent(1, rng=1), gch.color.NATURAL
    return calls | {
        "ChromaStats.state": (stats.state, {}),
        "ChromaStats.save": (stats.save, {"path": "saved.npz"}),
        "ChromaStats.save nowhere": (partial(refused, stats.save), {"path": "no/saved.npz"}),
        "ChromaStats.empty_like": (stats.empty_like, {}),
        "ChromaStats +": (lambda other: stats + other, {"other": stats}),
        "ChromaSummary.to_dict": (stats.summary().to_dict, {}),
        "ColorMoments.allclose": (natural.allclose, {"other": natural}),
        "ColorMoments.to_dict": (natural.to_dict, {}),
        "scan": (scan, {"paths": "set"}),
        "scan files": (scan, {"paths": "set", "out": "out.npz", "records": "rows.csv", "html": "page.html"}),
        "measure in a thread": (partial(in_a_thread, Measuring(Settings.of(None, "NCHW", False))), {"unit": unit}),
        "Scan.summary": (scanned.summary, {}),
        "Scan.to_dict": (scanned.to_dict, {}),
        "Scan.save_html": (scanned.save_html, {"path": "page.html"}),
        "Diagnosis.what_if": (diagnosis.what_if, {"activation": "sigmoid"}),
        "Diagnosis.summary": (diagnosis.summary, {}),
        "Diagnosis.to_dict": (diagnosis.to_dict, {}),
        "Diagnosis.save_json": (diagnosis.save_json, {"path": "told.json"}),
        "Diagnosis.save_html": (diagnosis.save_html, {"path": "page.html"}),
        "Diagnosis.plot": (diagnosis.plot, {}),
        "Factors.table": (factors.table, {}),
        "Factors.to_dict": (factors.to_dict, {}),
        "Factors.plot": (factors.plot, {}),
        "FeatureMoments +": (lambda other: moments + other, {"other": moments}),
        "FrequencyResponse.to_dict": (response.to_dict, {}),
        "FrequencyResponse.plot": (response.plot, {}),
        "OperatorNorm.to_dict": (gch.spectral.operator_norm(layer.weight).to_dict, {}),
        "SpectralNorm.state_dict": (norm.state_dict, {}),
        "Generator": (gch.demo.Generator, {"rng": 1}),
        "Generator()": (generator, {"z": latent}),
        "Generator.features": (generator.features, {"z": latent}),
        "Generator.sample_latent": (generator.sample_latent, {"n": 2, "rng": 1}),
        "Generator.state_dict": (generator.state_dict, {}),
        "Generator.load_state_dict": (generator.load_state_dict, {"state": generator.state_dict()}),
        "expect": (gch.prediction.expect, {"shape": (3, 5, 3, 3), "participation_ratio": 2.0}),
        "as_stream": (gch.rng.as_stream, {"rng": 1}),
        "Stream": (gch.rng.Stream, {"key": 1}),
        "TorchGenerator.initial_seed": (torch_stream.initial_seed, {}),
        "TorchGenerator.manual_seed": (torch_stream.manual_seed, {"seed": 1}),
        "TorchGenerator.get_state": (torch_stream.get_state, {}),
        "show_runtime": (runtime_info, {}),  # what it prints
    }
