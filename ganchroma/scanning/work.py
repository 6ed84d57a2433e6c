"""A scan from its paths to its files, whoever measures the units."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ganchroma._files import TEXT, check_path, check_result
from ganchroma._progress import counter
from ganchroma._state_checks import STATE
from ganchroma.scanning import checkpoint, places
from ganchroma.scanning.checkpoint import Progress
from ganchroma.scanning.engines import Parts, Unit
from ganchroma.scanning.measuring import Part, Settings
from ganchroma.scanning.reading import Reader
from ganchroma.scanning.records import RECORDS, RecordWriter, check_records, is_part, part_of
from ganchroma.scanning.result import Scan

SAVE_EVERY = 30.0  # seconds

KINDS = {"out": STATE, "records": RECORDS, "html": TEXT}
Run = Callable[[Iterator[Unit]], Parts]


class Files:
    """What a scan writes, checked before it begins."""

    def __init__(self, out: Any, records: Any, html: Any, resume: Any) -> None:
        self.out = None if out is None else check_path(out, "out")
        self.records = None if records is None else check_records(records)
        self.html = None if html is None else check_path(html, "html")
        if not isinstance(resume, bool):
            raise TypeError(f"resume must be True or False, got {resume!r}")
        if resume and self.out is None:
            raise ValueError("resume needs out, the file of the scan that was interrupted")
        self.resume = resume
        self.own: dict[str, str] = {}  # real path -> the argument that names it
        for name in KINDS:
            path = getattr(self, name)
            if path is None:
                continue
            folder = os.path.dirname(path) or "."
            if not os.path.isdir(folder):
                raise ValueError(f"{name} is {path}, but there is no folder {folder}; make it first")
            if os.path.isdir(path):
                raise ValueError(f"{name} is {path}, a folder; accepted: a file")
            if os.path.realpath(path) in self.own:
                raise ValueError(f"{name} is {path}, and so is {self.own[os.path.realpath(path)]}; accepted: two files")
            self.own[os.path.realpath(path)] = name
        if self.records is not None and os.path.exists(self.records) and not os.path.isfile(self.records):
            raise ValueError(f"records is {self.records}, no regular file; accepted: a file")
        if self.out is not None:
            _check_free("out", self.out, checkpoint.beside(self.out), checkpoint.is_progress)
        if self.records is not None:
            _check_free("records", self.records, part_of(self.records), is_part)

    def check_apart(self, paths: Sequence[str]) -> None:
        """Refuse to write over what is scanned, or other data; in folders, own files don't count as part of it."""
        for path in paths:
            name = self.own.get(os.path.realpath(path))
            if name is not None:
                raise ValueError(f"{name} is {path}, which is scanned; accepted: another file")
        for name in self.own.values():
            check_result(getattr(self, name), name, KINDS[name])


def _check_free(name: str, path: str, aside: str, is_left: Callable[[str], bool]) -> None:
    """Refuse to write over a file beside a result that no scan left there."""
    if os.path.islink(aside) or (os.path.exists(aside) and not is_left(aside)):
        raise ValueError(f"{name} is {path}, but {aside} is in the way: no scan left it; move it, or take another name")


def drive(paths: list[str], settings: Settings, files: Files, run: Run, show_progress: bool) -> Scan:
    """Find the pictures, have their units measured by `run`, which gives parts in order, and write what came out."""
    files.check_apart(paths)
    told = {"paths": paths, "value_range": settings.value_range, "layout": settings.layout, "records": files.records}
    aside = None if files.out is None else checkpoint.beside(files.out)
    before = checkpoint.load(aside, told) if aside is not None and files.resume else None
    so_far = Progress(Part()) if before is None else before
    found = places.find(paths, files.own, Reader(settings.value_range, settings.layout).check)
    so_far.skip(found)
    begun = time.perf_counter() - so_far.seconds

    def save() -> None:
        so_far.seconds = time.perf_counter() - begun
        if writer is not None:
            so_far.record_bytes = writer.flush()
        if aside is not None:
            checkpoint.save(aside, so_far, told)

    def save_state() -> None:
        if files.out is not None:
            so_far.part.stats.save(files.out)

    complete, saved = False, time.monotonic()
    total = places.count(paths, files.own) if show_progress else None
    bar = counter("scan", "picture", shown=show_progress, total=total, done=so_far.done)
    parts = run(places.units(found))
    # Last of all: an interrupt before leaves nothing behind, one from here on keeps what there is.
    writer = None if files.records is None else RecordWriter(files.records, so_far.record_bytes)
    try:
        for unit, part in parts:
            with _whole():
                so_far.add(unit, part)
                if writer is not None:
                    writer.write(part.rows)
            bar.update(len(unit))
            if time.monotonic() > saved + SAVE_EVERY:
                save()
                saved = time.monotonic()
        if writer is not None:
            writer.make()
        save_state()
        complete = True
    except KeyboardInterrupt:
        save_state()  # the answer is of what there is so far, and says so
    finally:
        bar.close()
        parts.close()
        if not complete:
            try:
                save()
            finally:
                if writer is not None:
                    writer.close()
    result = Scan.of(so_far.part, settings, time.perf_counter() - begun, complete)
    if complete:
        with _whole():
            # Progress first: without it a scan begins anew, without the rows' part it could not.
            if aside is not None and os.path.exists(aside):
                os.unlink(aside)
            if writer is not None:
                writer.finish()
    if files.html is not None:
        result.save_html(files.html)
    return result


@contextmanager
def _whole() -> Iterator[None]:
    """An interrupt in here waits for its end: what was half added would be lost, or be added twice."""
    if threading.current_thread() is not threading.main_thread():
        yield  # interrupts go to the main thread
        return
    heard: list[tuple[Any, ...]] = []
    before = signal.signal(signal.SIGINT, lambda *given: heard.append(given))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if heard and callable(before):
        before(*heard[0])
