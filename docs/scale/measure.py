"""What a scan costs beside decoding, what it holds in memory, and whether every way gives the same state."""

import contextlib
import csv
import importlib
import io
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import ganchroma as gch
from ganchroma.scanning import places
from ganchroma.scanning.engines import Measuring, Unit, over_processes
from ganchroma.scanning.measuring import Part, Settings
from scale.dataset import DataSet, short

ROUNDS = 5
LARGE = 1 << 28  # bytes that no cache holds


def decode(unit: Unit) -> Part:
    """What everybody does to get the pixels, and nothing else."""
    from PIL import Image

    for found in unit:
        with contextlib.suppress(OSError, SyntaxError), Image.open(found.place.path) as image:
            np.asarray(image.convert("RGB"))
    return Part()


def per_picture(data: DataSet, units: int = 40) -> dict[str, float]:
    """Seconds of processor time a picture in one process, decoding alone and scanning: of each unit the least."""
    some = [unit for unit, _ in zip(places.units(places.find([str(data.folder)])), range(units), strict=False)]
    ways: dict[str, Callable[[Unit], Any]] = {"decode": decode, "scan": Measuring(Settings())}
    least: dict[tuple[str, int], float] = {}
    for _ in range(ROUNDS):
        for number, unit in enumerate(some):
            for name, way in ways.items():
                begun = time.process_time()
                way(unit)
                spent = time.process_time() - begun
                least[name, number] = min(spent, least.get((name, number), spent))
    pictures = sum(len(unit) for unit in some)
    return {name: sum(value for (way, _), value in least.items() if way == name) / pictures for name in ways}


def whole(data: DataSet, workers: int, rounds: int = 3) -> dict[str, float]:
    """Pictures a second over processes, whole folder: decoding alone and scanning, in turns; the best of each.

    And the least seconds of processor time that the process which hands out the units takes for a picture.
    """
    best, parent = {"decode": 0.0, "scan": 0.0}, np.inf
    for _ in range(rounds):
        for name, way in (("decode", decode), ("scan", Measuring(Settings()))):
            total, count = Part(), 0
            begun, busy = time.perf_counter(), time.process_time()
            for unit, part in over_processes(places.units(places.find([str(data.folder)])), way, workers):
                total.merge(part)
                count += len(unit)
            best[name] = max(best[name], count / (time.perf_counter() - begun))
            if name == "scan":
                parent = min(parent, (time.process_time() - busy) / count)
    return best | {"parent": float(parent)}


def memory(data: DataSet, pictures: int | None) -> dict[str, float]:
    """MiB at most of the parent and of its largest worker, in a process of its own; of all pictures or of the first."""
    program = (
        "import json, resource, sys, itertools\n"
        "import ganchroma as gch\n"
        "from ganchroma.scanning import places\n"
        "find, most = places.find, json.loads(sys.argv[2])\n"
        "places.find = lambda *given: itertools.islice(find(*given), most)\n"
        "gch.scan(sys.argv[1], workers=2, show_progress=False)\n"
        "who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)\n"
        "print(json.dumps([resource.getrusage(one).ru_maxrss / 1024 for one in who]))\n"
    )
    command = [sys.executable, "-c", program, str(data.folder), json.dumps(pictures)]
    parent, worker = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return {"parent": parent, "worker": worker}


def states(data: DataSet, folder: Path, dask: bool = True) -> Iterator[tuple[str, bytes, gch.Scan, set[str]]]:
    """(way, bytes of the state's file, what was found, the names of those that are gray) of the same pictures."""
    out, rows = folder / "state.npz", folder / "rows.csv"
    ways: dict[str, Callable[[], gch.Scan]] = {
        "one process": lambda: gch.scan(data.folder, workers=1, out=out, records=rows),
        "two processes": lambda: gch.scan(data.folder, workers=2, out=out, records=rows),
        "tar shards, two processes": lambda: gch.scan(data.shards, workers=2, out=out, records=rows),
    }
    if dask:
        ways["Dask, three workers, one killed"] = lambda: _dask(data, out, rows)
    for name, way in ways.items():
        found = way()
        with open(rows, newline="") as file:
            gray = {short(row["path"]) for row in csv.DictReader(file) if row["gray"] == "true"}
        yield name, out.read_bytes(), found, gray


def _dask(data: DataSet, out: Path, rows: Path) -> gch.Scan:
    import logging

    from distributed import Client, LocalCluster

    options = {"n_workers": 3, "threads_per_worker": 1, "dashboard_address": None, "silence_logs": logging.CRITICAL}
    submitted = []
    with LocalCluster(**options) as cluster, Client(cluster) as client:
        submit = client.submit

        def submit_and_kill(*what: Any, **how: Any) -> Any:
            submitted.append(what)
            if len(submitted) == 60:
                os.kill(next(iter(client.run(os.getpid).values())), signal.SIGKILL)
            return submit(*what, **how)

        client.submit = submit_and_kill
        return gch.distributed.scan(data.folder, client, out=out, records=rows)


def decoders(data: DataSet, pictures: int = 300) -> dict[str, tuple[float, str]]:
    """Library -> (seconds a JPEG, from memory to an RGB array; what it does with one that is cut off)."""
    names = (
        name for name in sorted(data.folder.rglob("*.jpg")) if f"{name.parent.name}/{name.name}" not in data.broken
    )
    files = [name.read_bytes() for name in itertools.islice(names, pictures)]
    cut = files[0][: 2 * len(files[0]) // 3]
    found = {}
    for name, way in _ways().items():
        least = np.full(len(files), np.inf)
        for _ in range(ROUNDS):
            for place, file in enumerate(files):
                begun = time.process_time()
                way(file)
                least[place] = min(least[place], time.process_time() - begun)
        try:
            answer = way(cut)
            what = "gives a picture" if isinstance(answer, np.ndarray) else f"gives {answer}"
        except Exception as error:  # each library has its own
            what = f"raises {type(error).__name__}"
        found[name] = (float(least.mean()), what)
    return found


def _ways() -> dict[str, Callable[[bytes], Any]]:
    from PIL import Image

    ways: dict[str, Callable[[bytes], Any]] = {
        "Pillow": lambda file: np.asarray(Image.open(io.BytesIO(file)).convert("RGB"))
    }
    for name, module in (("imageio", "imageio.v3"), ("OpenCV", "cv2"), ("simplejpeg", "simplejpeg")):
        try:
            library = importlib.import_module(module)
        except ImportError:
            continue
        if name == "imageio":
            ways[name] = lambda file, library=library: library.imread(file)
        elif name == "OpenCV":
            ways[name] = lambda file, library=library: _opencv(file, library)
        else:
            ways[name] = lambda file, library=library: library.decode_jpeg(file)
    try:
        turbo = importlib.import_module("turbojpeg")
        decoder = turbo.TurboJPEG()
        ways["PyTurboJPEG"] = lambda file: decoder.decode(file, pixel_format=turbo.TJPF_RGB)
    except (ImportError, RuntimeError):  # its library is not there, or too old
        pass
    return ways


def _opencv(file: bytes, library: Any) -> Any:
    picture = library.imdecode(np.frombuffer(file, np.uint8), library.IMREAD_COLOR)
    return picture if picture is None else library.cvtColor(picture, library.COLOR_BGR2RGB)


def streams() -> dict[str, tuple[float, float]]:
    """What is measured -> (nanoseconds a pixel, GB/s of what is read), one thread.

    256 pictures of 64x64; moments alone of as many as do not stay in any cache, beside nothing but reading them.
    """
    levels = np.random.default_rng(0).integers(0, 256, (256, 3, 64, 64), np.uint8)
    floats = (levels / 127.5 - 1).astype(np.float32)
    found = {}
    with gch.threads(1):
        for name, few, value_range in (("bytes", levels, None), ("float32", floats, (-1, 1))):
            many = np.tile(few, (LARGE // few.nbytes, 1, 1, 1))
            pixels = many.size / 3
            total = gch.ChromaStats(value_range, moments_only=True)
            ways = {
                f"reading {name}, by numpy.max of whole words": lambda many=many: many.view(np.uint64).max(),
                f"ChromaStats.update, {name}, moments_only": lambda many=many, total=total: total.update(many),
            }
            for way, seconds in _in_turns(ways).items():
                found[way] = (seconds * 1e9 / pixels, many.nbytes / seconds / 1e9)
        for name, images, options in (
            ("bytes", levels, {}),
            ("bytes, chroma_samples=512", levels, {"chroma_samples": 512}),
            ("float32", floats, {"value_range": (-1, 1)}),
            ("float32, chroma_samples=512", floats, {"value_range": (-1, 1), "chroma_samples": 512}),
        ):
            seconds = _least(lambda images=images, options=options: gch.ChromaStats(**options).update(images))
            found[f"ChromaStats.update, {name}"] = (seconds * 1e9 / (256 * 64 * 64), images.nbytes / seconds / 1e9)
        generator = gch.demo.Generator(rng=0)
        features = generator.features(generator.sample_latent(64, rng=0), training=True)
        seconds = _least(lambda: generator.head.moments(features))
        pixels = 64 * 64 * 64
        found["OutputLayer.moments of the DCGAN's head"] = (seconds * 1e9 / pixels, features.nbytes / seconds / 1e9)
        seconds = _least(lambda: generator.features(generator.sample_latent(64, rng=0), training=True), 5)
        found["the DCGAN's hidden layers, to compare with"] = (seconds * 1e9 / pixels, np.nan)
    return found


def merging() -> dict[str, float]:
    """Bytes of a state, seconds to merge two and to save one."""
    levels = np.random.default_rng(0).integers(0, 256, (8, 3, 64, 64), np.uint8)
    mixed = gch.ChromaStats().update(levels).update(levels[:, :, :32])
    fixed = gch.ChromaStats().update(levels)
    buffer = io.BytesIO()
    np.savez(buffer, **mixed.state())
    total = mixed.empty_like()
    return {
        "bytes": float(buffer.tell()),
        "positions": float(sum(array.nbytes for array in fixed.state().values())),
        "merge": _least(lambda: total.merge(mixed), 200),
    }


def _in_turns(ways: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """Seconds of each, one after the other many times: of each the least."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(25):
        for name, work in ways.items():
            times[name].append(_least(work, 1))
    return {name: min(each) for name, each in times.items()}


def _least(work: Callable[[], Any], rounds: int = 25) -> float:
    times = []
    for _ in range(rounds):
        begun = time.process_time()
        work()
        times.append(time.process_time() - begun)
    return min(times)
