"""Writes docs/scale.md: what a scan costs, and how long a hundred million pictures take. `make scale`."""

import argparse
import os
import platform
from pathlib import Path

from scale import measure
from scale.dataset import make

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CPU = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if "model name" in line), platform.machine())
DATA_SETS = (("ImageNet", 1.28e6, 400 * 350), ("LAION-400M at 256x256", 4e8, 256 * 256))
MACHINES = (1, 16, 128)  # of 64 processors


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


def page(data: measure.DataSet, root: Path, count: int) -> str:
    """The whole document."""
    lines = [
        "# Scale\n",
        f"Written by `make scale` on {CPU}, {os.cpu_count()} processors: {count:,} JPEGs of 128 to 256 pixels a side, "
        "cut from the photographs that come with scikit-image and scikit-learn, a tenth turned gray, 50 cut off.\n",
    ]
    lines += _speed(data)
    lines += _exactness(data, root, count)
    seconds = measure.per_picture(data)
    lines += _streams()
    lines += _plan(seconds)
    return "\n".join(lines) + "\n"


def _speed(data: measure.DataSet) -> list[str]:
    one, two = measure.per_picture(data), measure.whole(data, 2)
    few, all_of = measure.memory(data, 2000), measure.memory(data, None)
    decoders = measure.decoders(data)
    rows = [f"| {name} | {1e6 * seconds:.0f} | {what} |" for name, (seconds, what) in decoders.items()]
    return [
        "## Beside decoding\n",
        "Decoding alone is `numpy.asarray(Image.open(path).convert(\"RGB\"))`, in the same units over the same processes.\n",
        "| | decoding alone | scanning | speed of decoding |",
        "|---|---:|---:|---:|",
        f"| one process, processor time a picture | {1e6 * one['decode']:.0f} us | {1e6 * one['scan']:.0f} us "
        f"| {one['decode'] / one['scan']:.1%} |",
        f"| two processes, whole folder | {two['decode']:,.0f} a second | {two['scan']:,.0f} a second "
        f"| {two['scan'] / two['decode']:.1%} |",
        "",
        f"Memory at most, parent and worker: {few['parent']:.0f} and {few['worker']:.0f} MiB for 2,000 pictures, "
        f"{all_of['parent']:.0f} and {all_of['worker']:.0f} MiB for all.\n",
        "Which library decodes: from memory to an RGB array, one process.\n",
        "| library | us a picture | one that is cut off |",
        "|---|---:|---|",
        *rows,
        "",
        "Pillow was chosen: one library for every format that data sets come in, transparency, palettes and CMYK "
        "included, already here for reports, and it says of a truncated file that it is one. Those that take half the "
        "time read JPEG alone, or need a library that pip does not bring; all give the same pixels.\n",
    ]


def _exactness(data: measure.DataSet, root: Path, count: int) -> list[str]:
    rows, first = [], None
    for name, state, found in measure.states(data, root):
        first = state if first is None else first
        broken = {os.path.join(*Path(path).parts[-2:]) for path, _ in found.unreadable}
        right = found.gray == len(data.gray) and broken == data.broken and found.images == count - len(data.broken)
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


def _streams() -> list[str]:
    rows = [f"| {name} | {ns:.2f} | {rate:.1f} |" for name, (ns, rate) in measure.streams().items()]
    cost = measure.merging()
    return [
        "## Without files\n",
        "One thread; images of 64x64 in memory. The last row never forms an image.\n",
        "| | ns a pixel | GB/s read |",
        "|---|---:|---:|",
        *rows,
        "",
        f"A state takes {cost['bytes'] / 1e3:.1f} kB, whatever it has seen; with the fixed pattern of 64x64 images "
        f"{cost['positions'] / 1e3:.0f} kB more or less. Two merge in {1e6 * cost['merge']:.0f} us.\n",
    ]


def _plan(seconds: dict[str, float]) -> list[str]:
    pixels = sum(side**2 for side in (128, 192, 256)) / 3
    per_pixel = {name: value / pixels for name, value in seconds.items()}
    heads = " | ".join(f"{machines} machine{'s' if machines > 1 else ''}" for machines in MACHINES)
    rows = []
    for name, count, size in DATA_SETS:
        work = count * size * per_pixel["scan"]
        cells = " | ".join(_time(work / (64 * machines)) for machines in MACHINES)
        rows.append(f"| {name}, decoded and measured | {cells} |")
    work = 1e8 * 64 * 64 * measure.streams()["ChromaStats.update, bytes, chroma_samples=512"][0] * 1e-9
    cells = " | ".join(_time(work / (64 * machines)) for machines in MACHINES)
    rows.append(f"| 100 M samples of 64x64, measured | {cells} |")
    units = 4e8 / 64
    return [
        "## A hundred million\n",
        "From these figures, with 64 processors a machine, every processor as fast as this one and none waiting for "
        "storage:\n",
        f"| | {heads} |",
        f"|---|{'---:|' * len(MACHINES)}",
        *rows,
        "",
        f"Statistics are {1 - per_pixel['decode'] / per_pixel['scan']:.0%} of a scan; decoding is the rest, so a faster "
        "decoder is what would help most. Past one machine storage comes first: at this rate 64 processors read "
        f"{64 / seconds['scan'] * 15e3 / 1e9:.1f} GB/s of JPEG. The one process that lists the files and adds up the parts "
        f"takes about .4 ms for a unit of 64 pictures: {units * 4e-4 / 3600:.1f} h for LAION-400M, which bounds a single "
        "`scan` to some 150,000 pictures a second; beyond that, scan parts of the data set one by one and merge the "
        "states, which costs nothing. Samples of a generator are bounded by the generator: the DCGAN's hidden layers "
        "take a hundred times what measuring its images takes.\n",
    ]


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.2g} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


if __name__ == "__main__":
    main()
