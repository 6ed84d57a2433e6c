"""Where an interrupted scan stopped: written beside its state, read to go on."""

import json
import math
import os
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ganchroma._files import npz_bytes, open_regular, read_npz, write_bytes
from ganchroma.scanning.containers import Found, Place
from ganchroma.scanning.measuring import BINS, Extreme, Part
from ganchroma.stats import ChromaStats

VERSION = 1


@dataclass
class Progress:
    """How far a scan has come.

    Attributes
    ----------
    part : Part
        Of everything so far.
    done : int
        Pictures, those that can't be read among them.
    checksum : int
        Of their names in order.
    record_bytes : int
        Of the rows' file.
    seconds : float
        That it took.
    """

    part: Part
    done: int = 0
    checksum: int = 0
    record_bytes: int = 0
    seconds: float = 0.0

    def add(self, unit: Iterable[Found], part: Part) -> None:
        """What was found in one more unit."""
        self.part.merge(part)
        for found in unit:
            self.done += 1
            self.checksum = _checksum(found, self.checksum)

    def skip(self, found: Iterator[Found]) -> None:
        """Pass over what is done.

        Raises
        ------
        ValueError
            If it is not what was there before.
        """
        checksum = 0
        for _ in range(self.done):
            item = next(found, None)
            if item is None:
                break
            checksum = _checksum(item, checksum)
        if checksum != self.checksum:
            raise ValueError("the pictures are not those of the interrupted scan; start anew without resume")


def _checksum(found: Found, before: int) -> int:
    return zlib.crc32(found.place.name.encode(errors="surrogateescape") + b"\n", before)


def beside(state: str) -> str:
    """The file of the progress towards a state."""
    return f"{state}.progress"


def is_progress(path: str) -> bool:
    """Whether a scan may have left this file, as far as its beginning tells."""
    with open_regular(path) as file:
        head = file.read(42)
    return head.startswith(b"PK\3\4") and head.endswith(b"progress.npy")  # the name of what `save` writes first


def save(path: str, progress: Progress, settings: dict[str, Any]) -> None:
    """Write progress in one piece: a reader meets the old or the new, nothing between."""
    part = progress.part
    told = {
        "version": VERSION,
        "settings": settings,
        "done": progress.done,
        "checksum": progress.checksum,
        "record_bytes": progress.record_bytes,
        "seconds": progress.seconds,
        "histogram": part.histogram.tolist(),
        "grayest": part.grayest,
        "most_colorful": part.most_colorful,
        "unreadable": part.unreadable,
    }
    text = np.frombuffer(json.dumps(told).encode(), np.uint8)
    write_bytes(path, npz_bytes({"progress": text, **part.stats.state()}))


def load(path: str, settings: dict[str, Any]) -> Progress | None:
    """Read what `save` wrote; None where there is nothing.

    Raises
    ------
    ValueError
        If the file is damaged, or the scan had other settings.
    """
    if not os.path.exists(path):
        return None
    try:
        with open(path, "rb") as file:
            arrays = read_npz(file)
        told = json.loads(arrays.pop("progress").tobytes())
        if told["version"] != VERSION:
            raise ValueError(f"it has version {told['version']}, this program reads version {VERSION}")
        before = dict(told["settings"])
        part = Part(
            stats=ChromaStats.from_state(arrays),
            histogram=np.array(told["histogram"], np.int64),
            grayest=[_extreme(*entry) for entry in told["grayest"]],
            most_colorful=[_extreme(*entry) for entry in told["most_colorful"]],
            unreadable=[(str(name), str(reason)) for name, reason in told["unreadable"]],
        )
        if part.histogram.shape != (BINS,):
            raise ValueError(f"its histogram has shape {part.histogram.shape}")
        numbers = (int(told["done"]), int(told["checksum"]), int(told["record_bytes"]), float(told["seconds"]))
        progress = Progress(part, *numbers)
        images = progress.done - len(part.unreadable)
        bins = part.histogram.tolist()
        if not images == part.stats.count("images") == sum(bins) or min(bins) < 0:
            raise ValueError("its counts contradict each other")
        if progress.record_bytes < 0 or not 0 <= progress.seconds < math.inf:
            raise ValueError(f"{progress.record_bytes} bytes of records in {progress.seconds} seconds can't be")
    except Exception as error:  # a damaged file can fail anywhere in what reads it
        reason = f"no entry {error}" if isinstance(error, KeyError) else str(error)
        raise ValueError(f"{path}: it can't be gone on from: {reason}; start anew without resume") from None
    settings = json.loads(json.dumps(settings))
    if before != settings:
        changed = [name for name, value in settings.items() if before.get(name) != value]
        raise ValueError(f"{path}: the interrupted scan had other {', '.join(changed)}; start anew without resume")
    return progress


def _extreme(rank: float, tie: int, place: list[Any]) -> Extreme:
    path, member, *numbers = place
    return Extreme(float(rank), int(tie), Place(str(path), str(member), *map(int, numbers)))
