"""Writes docs/scale.md: what a scan costs, and how long a hundred million pictures take. `make scale`."""

import argparse
import math
import os
import platform
from pathlib import Path

from scale import measure
from scale.dataset import SIDES, DataSet, make, short

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
DATA_SETS = (("ImageNet", 1.28e6, 400 * 350), ("LAION-400M at 256x256", 4e8, 256 * 256))
MACHINES, PROCESSORS = (1, 16, 128), 64
SAMPLES = 1e8


def processor() -> str:
    """Its name, where the system tells."""
    told = Path("/proc/cpuinfo")
    lines = told.read_text().splitlines() if told.exists() else []
    return next((line.split(":")[1].strip() for line in lines if "model name" in line), platform.machine())


def main() -> None:
    """Measure, then write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=20_000)
    options = parser.parse_args()
    root = ROOT / "build" / "scale" / str(options.images)
    root.mkdir(parents=True, exist_ok=True)
    data = make(root, options.images)
    text = page(data, root, options.images)
    (ROOT / "docs" / "scale.md").write_text(text)
    print(text)
    if "| NO |" in text:
        raise SystemExit("a way of splitting the work gave another answer")


def page(data: DataSet, root: Path, count: int) -> str:
    """The whole document."""
    lines = [
        "# Scale\n",
        f"Written by `make scale` on {processor()}, {os.cpu_count()} processors: {count:,} JPEGs of 128 to 256 pixels "
        "a side, cut from the photographs that come with scikit-image and scikit-learn, a tenth turned gray, 50 cut "
        "off.\n",
    ]
    one, two, streams = measure.per_picture(data), measure.whole(data, 2), measure.streams()
    lines += _speed(data, one, two)
    lines += _exactness(data, root, count)
    lines += _streams(streams)
    lines += _plan(one, two["parent"], streams)
    return "\n".join(lines) + "\n"


def _speed(data: DataSet, one: dict[str, float], two: dict[str, float]) -> list[str]:
    few, every = measure.memory(data, 2000), measure.memory(data, None)
    rows = [f"| {name} | {1e6 * seconds:.0f} | {what} |" for name, (seconds, what) in measure.decoders(data).items()]
    return [
        "## Beside decoding\n",
        'Decoding alone is `numpy.asarray(Image.open(path).convert("RGB"))`, in the same units and processes.\n',
        "| | decoding alone | scanning | speed of decoding |",
        "|---|---:|---:|---:|",
        f"| one process, processor time a picture | {1e6 * one['decode']:.0f} us | {1e6 * one['scan']:.0f} us "
        f"| {one['decode'] / one['scan']:.1%} |",
        f"| two processes, whole folder | {two['decode']:,.0f} a second | {two['scan']:,.0f} a second "
        f"| {two['scan'] / two['decode']:.1%} |",
        "",
        f"Memory at most, parent and worker: {few['parent']:.0f} and {few['worker']:.0f} MiB for 2,000 pictures, "
        f"{every['parent']:.0f} and {every['worker']:.0f} MiB for all.\n",
        "Which library decodes: from memory to an RGB array, one process.\n",
        "| library | us a picture | one that is cut off |",
        "|---|---:|---|",
        *rows,
        "",
        "Pillow was chosen: one library for every format that data sets come in, transparency, palettes and CMYK "
        "included, already here for reports, and it says of a truncated file that it is one. "
        "The decoders that read JPEG alone, simplejpeg and PyTurboJPEG, are timed where they are installed; OpenCV is "
        "faster, and would be a second large dependency.\n",
    ]


def _exactness(data: DataSet, root: Path, count: int) -> list[str]:
    rows, first = [], None
    for name, state, found, gray in measure.states(data, root):
        first = state if first is None else first
        right = found.images == count - len(data.broken) and gray == data.gray
        right = right and {short(path) for path, _ in found.unreadable} == data.broken
        rows.append(
            f"| {name} | {found.images:,} | {found.gray:,} | {len(found.unreadable)} | {'yes' if right else 'NO'} "
            f"| {'yes' if state == first else 'NO'} |"
        )
    return [
        "## However it is split\n",
        "| | measured | gray | unreadable | exactly those | state file the same, byte for byte |",
        "|---|---:|---:|---:|---|---|",
        *rows,
        "",
    ]


def _streams(streams: dict[str, tuple[float, float]]) -> list[str]:
    rows = [
        f"| {name} | {ns:.2f} | {'' if math.isnan(rate) else f'{rate:.1f}'} |" for name, (ns, rate) in streams.items()
    ]
    cost = measure.merging()
    return [
        "## Without files\n",
        "One thread; images of 64x64 in memory. `OutputLayer.moments` never forms an image.\n",
        "| | ns a pixel | GB/s read |",
        "|---|---:|---:|",
        *rows,
        "",
        f"A state takes {cost['bytes'] / 1e3:.1f} kB, whatever it has seen; with the fixed pattern of 64x64 images "
        f"{cost['positions'] / 1e3:.0f} kB. Two merge in {1e6 * cost['merge']:.0f} us.\n",
    ]


def _plan(one: dict[str, float], parent: float, streams: dict[str, tuple[float, float]]) -> list[str]:
    a_pixel = one["scan"] / (sum(side**2 for side in SIDES) / len(SIDES))
    rows = [f"| {name}, decoded and measured | {_cells(count * size * a_pixel)} |" for name, count, size in DATA_SETS]
    measured, made = (
        streams[name][0] * 1e-9 * SAMPLES * 64 * 64
        for name in ("ChromaStats.update, float32, chroma_samples=512", "the DCGAN's hidden layers, to compare with")
    )
    rows.append(f"| 100 M samples of 64x64, measured | {_cells(measured)} |")
    rows.append(f"| 100 M samples of 64x64, made by the DCGAN in NumPy | {_cells(made)} |")
    heads = " | ".join(f"{machines} machine{'s' if machines > 1 else ''}" for machines in MACHINES)
    return [
        "## A hundred million\n",
        f"From these figures, with {PROCESSORS} processors a machine, each as fast as one here, none waiting for "
        "storage:\n",
        f"| | {heads} |",
        f"|---|{'---:|' * len(MACHINES)}",
        *rows,
        "",
        f"Statistics are {1 - one['decode'] / one['scan']:.0%} of a scan: a faster decoder is what would help most. "
        f"The process that lists the files, hands them out and adds up takes {1e6 * parent:.1f} us a picture, so one "
        f"`scan` ends at {1 / parent:,.0f} pictures a second, {one['scan'] / parent:.0f} processors' worth, and "
        f"LAION-400M takes {_time(4e8 * parent)} at least; past that, scan parts of the data set one by one and merge "
        f"their states. There storage has to give {15e3 / parent / 1e9:.1f} GB/s of JPEGs of 15 kB. Samples of a "
        "generator are bounded by the generator.\n",
    ]


def _cells(work: float) -> str:
    return " | ".join(_time(work / (PROCESSORS * machines)) for machines in MACHINES)


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.2g} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


if __name__ == "__main__":
    main()
