"""Colour while a generator trains: a few numbers a step, a picture of them, and a word when the colour goes."""

import math
import operator
import sys
import warnings
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch._compile import _disable_dynamo
from torch.utils._python_dispatch import _get_current_dispatch_mode

from ganchroma._arrays import FLOATS, as_array
from ganchroma._images import check_value_range
from ganchroma.diagnosis import thresholds as limits
from ganchroma.diagnosis.plots import FOUND
from ganchroma.diagnosis.signs import far_outside, fitting_range
from ganchroma.diagnosis.words import ANSWERS, number
from ganchroma.stats import ChromaStats
from ganchroma.torch.flow import Watch
from ganchroma.torch.modules import _tensor
from ganchroma.torch.records import ChromaRecord, plot_records
from ganchroma.torch.reduce import all_reduce, check_group
from ganchroma.torch.search import _outputs, check_pictures, to_array

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["ChromaMonitor", "ColorCollapse"]

PATIENCE = 10  # records within which a generator that starts gray should show colour
_HEADS = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)


class ColorCollapse(UserWarning):
    """The pictures of a generator in training have lost their colour, or never had any."""


class ChromaMonitor:
    """Watches the colour of a generator's pictures during training.

    Attach it to a generator, or call `update` in the training loop. It only reads: pictures are detached, no graph is
    kept, no random number is drawn. It gives one warning, `ColorCollapse`, with the step and the stage: when colour
    that was there is gone by the limits of `ganchroma.diagnose`, or has not appeared by the tenth record.

    Parameters
    ----------
    generator : torch.nn.Module, optional
        Attached at once; see `attach`.
    head : str or torch.nn.Conv2d, ConvTranspose2d or Linear, optional
        The layer that makes the RGB, or its name in the attached generator's ``named_modules()``: each record compares
        its filters. Without it filters that are alike can't be told from other causes.
    value_range : (float, float)
        Black and white of float pictures; bytes have 0 and 255. Values far beyond it are worth one warning.
    every, images : int
        An attached monitor records each `every`-th forward. Of a batch the first `images` are measured.
    limit : int
        Records to keep, at least 2. When as many are there, every second one is dropped and from then on only every
        second new one kept, then every fourth, and so on; all are measured, judged and passed to `callback`.
    group : torch.distributed.ProcessGroup, optional
        Each record is of the pictures of all its ranks together, the same on every rank; all of them have to record
        the same number of times, as they do behind ``DistributedDataParallel``. Some may have no pictures. The warning
        comes from the first rank alone. Without it each process watches its own pictures.
    callback : callable, optional
        Called with each `ChromaRecord`, after any warning. What it raises goes through, so it can end the training;
        the generator's forwards in it don't count.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or value, or `head` names nothing in `generator`.

    Examples
    --------
    >>> _ = torch.manual_seed(0)
    >>> generator = nn.Sequential(nn.ConvTranspose2d(8, 16, 4), nn.ReLU(), nn.Conv2d(16, 3, 3), nn.Tanh())
    >>> with ChromaMonitor(generator, head="2") as monitor:
    ...     for _ in range(3):
    ...         pictures = generator(torch.randn(16, 8, 13, 13))
    >>> monitor
    ChromaMonitor(records=3, last_step=2, attached=False)
    >>> record = monitor.update(3, pictures, head=generator[2])
    >>> record.chroma == monitor.history[2].chroma, record.achromatic_share < 0.5
    (True, True)
    """

    def __init__(
        self,
        generator: nn.Module | None = None,
        *,
        head: str | nn.Module | None = None,
        value_range: tuple[float, float] = (-1.0, 1.0),
        every: int = 1,
        images: int = 16,
        limit: int = 4096,
        group: Any = None,
        callback: Callable[[ChromaRecord], object] | None = None,
    ) -> None:
        if callback is not None and not callable(callback):
            raise TypeError(f"callback must be callable or None, got {callback!r}")
        if not isinstance(head, str):
            _find_head(head, None)  # a name has to wait for the generator
        self.group = check_group(group)
        self.head, self.callback, self.value_range = head, callback, check_value_range(value_range)
        self.every, self.images, self.limit = (
            _whole(every, "every"),
            _whole(images, "images"),
            _whole(limit, "limit", 2),
        )
        self._history: list[tuple[int, ChromaRecord]] = []  # with the place among all that were measured
        self._keep_every, self._records, self._forwards, self._last_step = 1, 0, 0, -1
        self._colored_at: int | None = None  # step of the latest record with colour
        self._collapse: tuple[int, str] | None = None  # step and stage that the warning named
        self._recording = False
        self._range_doubted = False
        self._written: list[_Written] = []
        self._generator: nn.Module | None = None
        self._handle: Any = None
        if generator is not None:
            self.attach(generator)

    def attach(self, generator: nn.Module) -> Self:
        """Record what `generator` makes; steps are its forwards in training mode, from 0 or on from the last record.

        Its output is pictures (N, 3, H, W) or holds them, in tuples, lists and dictionaries: the first such tensor
        counts, in any floating dtype or uint8, on any device. A lone tensor may be one picture (3, H, W). An empty
        batch is a step without a record, but with `group`. Runs by `ganchroma.torch.inspect` don't count. Copies of
        the generator are not watched, and a copy of the monitor has its records but is attached to nothing.

        Raises
        ------
        TypeError
            If `generator` is no module; in its forward, if that returns no pictures.
        ValueError
            If one is attached already, or `head` names nothing in it.
        """
        if not isinstance(generator, nn.Module):
            raise TypeError(f"generator must be a torch.nn.Module, got {type(generator).__name__}")
        if self._generator is not None:
            raise ValueError(f"generator: a {type(self._generator).__name__} is attached already; call detach() first")
        _find_head(self.head, generator)
        self._generator, self._handle = generator, generator.register_forward_hook(_Hook(self))
        return self

    def detach(self) -> None:
        """Take the hook off the generator, if there is one; the records stay. Also the end of a ``with`` block."""
        if self._handle is not None:
            self._handle.remove()
        self._generator = self._handle = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.detach()

    def _forwarded(self, module: nn.Module, output: Any) -> None:
        # DataParallel's replicas share the hook; a callback may draw samples; what `inspect` watches is no training.
        watched = isinstance(_get_current_dispatch_mode(), Watch)
        if module.training and module is self._generator and not (watched or self._recording):
            step = max(self._forwards, self._last_step + 1)
            self._forwards = step + 1
            pictures = _pictures_in(output) if step % self.every == 0 else None
            if pictures is not None and (pictures.numel() or self.group is not None):  # ranks record together
                self.update(step, pictures)

    def update(self, step: int, images: Any, head: str | nn.Module | None = None) -> ChromaRecord:
        """Measure the first pictures of a batch.

        Parameters
        ----------
        step : int
            Not negative, not below an earlier record's.
        images : array or tensor (N, 3, H, W) of floats or uint8
            A tensor may require grad and be on any device: it is detached and copied to the CPU.
        head : optional
            In place of the monitor's, for this record.

        Raises
        ------
        TypeError, ValueError
            If an argument has the wrong type, shape or value; nothing is recorded then.
        """
        step = _whole(step, "step", 0)
        if step < self._last_step:
            raise ValueError(f"step is {step}, after step {self._last_step}; accepted: steps that don't decrease")
        layer = _find_head(self.head if head is None else head, self._generator)
        self._recording = True
        try:
            pixels = _pixels(images, self.images, least=0 if self.group is not None else 1)
            record = _measured(step, pixels, self.value_range, layer, self.group)
            self._keep(record)
            self._doubt_range(step, pixels)
            self._judge(record)
            if self.callback is not None:
                self.callback(record)
        finally:
            self._recording = False
        return record

    def _keep(self, record: ChromaRecord) -> None:
        place, self._records, self._last_step = self._records, self._records + 1, record.step
        if place % self._keep_every == 0 and len(self._history) == self.limit:
            del self._history[1::2]
            self._keep_every *= 2
        if place % self._keep_every == 0:
            self._history.append((place, record))

    def _judge(self, record: ChromaRecord) -> None:
        vivid = record.chroma >= limits.VISIBLE_CHROMA and record.std_levels >= limits.VISIBLE_LEVELS
        if vivid and record.achromatic_share <= limits.GRAY_SHARE:
            self._colored_at = record.step
        elif self._collapse is None and (self._colored_at is not None or self._records >= PATIENCE):
            what = f"colour is gone at step {record.step} (last seen at step {self._colored_at})"
            if self._colored_at is None:
                what = f"no colour has appeared in {self._records} records, up to step {record.step}"
            stage, why = _stage(record)
            self._collapse = (record.step, stage)
            if self.group is not None and dist.get_rank(self.group) > 0:
                return
            warnings.warn(f"{what}; stage: {stage}. {why} {_numbers(record)}", ColorCollapse, _level_of_user())

    def _doubt_range(self, step: int, pixels: Any) -> None:
        """Warn, once, of values that the stated range can't be meant for."""
        seen = (
            None
            if self._range_doubted or pixels.dtype == np.uint8 or not len(pixels)
            else far_outside(pixels, self.value_range)
        )
        if seen is not None:
            self._range_doubted = True
            low, high = self.value_range
            fitting = fitting_range(*seen)
            meant = "" if fitting is None else f", for these ({fitting[0]:g}, {fitting[1]:g})"
            warnings.warn(
                f"value_range is ({low:g}, {high:g}), but the pictures of step {step} reach from {seen[0]:.3g} to "
                f"{seen[1]:.3g}: levels and colours of the records are wrong unless value_range= is that of the "
                f"pictures{meant}",
                UserWarning,
                _level_of_user(),
            )

    @property
    def history(self) -> list[ChromaRecord]:
        """The records kept, in the order of steps; see `limit`."""
        return [record for _, record in self._history]

    def to_dict(self) -> dict[str, Any]:
        """Settings and records, as `json.dumps` takes them."""
        records = [record.to_dict() for record in self.history]
        return {"value_range": list(self.value_range), "every": self.every, "records": records}

    def write(self, writer: Any, prefix: str = "chroma") -> int:
        """Give records to TensorBoard's ``SummaryWriter``, or what has its `add_scalar`.

        Of the records kept (see `limit`), those that this writer was not given before under this prefix: another writer
        gets all of them. Tags are the names of `ChromaRecord` under `prefix`, those of three numbers one by one
        ("filter_cosines/RG").

        Returns
        -------
        int
            How many records were written.

        Raises
        ------
        TypeError
            If `writer` has no `add_scalar`.
        """
        if not callable(getattr(writer, "add_scalar", None)):
            raise TypeError(f"writer must have a method add_scalar(tag, value, step), got {type(writer).__name__}")
        self._written = [one for one in self._written if one.writer() is not None]
        own = next((one for one in self._written if one.writer() is writer and one.prefix == prefix), None)
        if own is None:
            own = _Written(_weakly(writer), prefix)
            self._written.append(own)
        new = [(place, record) for place, record in self._history if place > own.last]
        for place, record in new:
            for tag, value in record.scalars().items():
                writer.add_scalar(f"{prefix}/{tag}", value, record.step)
            own.last = place
        return len(new)

    def __getstate__(self) -> dict[str, Any]:
        # A copy, or what is loaded from a file, has given nothing to anyone, is attached to nothing, is in no `update`.
        return {**vars(self), "_written": [], "_generator": None, "_handle": None, "_recording": False}

    def plot(self, figure: "Figure | None" = None) -> "Figure":
        """The history over the steps as a matplotlib figure: a new one, or `figure`. Never touches pyplot.

        Raises
        ------
        ImportError
            If matplotlib is missing.
        """
        title, color = "colour in training", "black"
        if self._collapse is not None:
            title, color = f"{title}: missing at step {self._collapse[0]}, stage: {self._collapse[1]}", FOUND
        elif self._history:
            title += f": steps {self._history[0][1].step} to {self._history[-1][1].step}"
        at = None if self._collapse is None else self._collapse[0]
        return plot_records(self.history, figure, title, color=color, mark=at)

    def __repr__(self) -> str:
        last, attached = self._last_step if self._records else None, self._generator is not None
        return f"ChromaMonitor(records={self._records}, last_step={last}, attached={attached})"


@dataclass
class _Written:
    """The last record, by its place, that a writer was given under a prefix."""

    writer: Callable[[], Any]
    prefix: str
    last: int = -1


def _weakly(writer: Any) -> Callable[[], Any]:
    """What leads to the writer as long as somebody else holds it; where that can't be known, always."""
    try:
        return weakref.ref(writer)
    except TypeError:
        return lambda: writer


class _Hook:
    """Of one generator: with a copy of it, or a file, goes a hook that does nothing."""

    def __init__(self, monitor: ChromaMonitor | None = None) -> None:
        self.monitor = monitor

    @_disable_dynamo  # type: ignore[untyped-decorator]  # the monitor is no part of a compiled generator
    def __call__(self, module: nn.Module, inputs: Any, output: Any) -> None:
        if self.monitor is not None:
            self.monitor._forwarded(module, output)

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return _Hook, ()


class _Stats(ChromaStats):
    """Without the fixed pattern, which no record shows and which is half the time of a summary."""

    def _fixed(self, value_range: tuple[float, float]) -> None:
        return None


def _measured(
    step: int, pixels: Any, value_range: tuple[float, float], head: nn.Module | None, group: Any
) -> ChromaRecord:
    stats = _Stats(None if pixels.dtype == np.uint8 else value_range).update(pixels)
    seen = (stats if group is None else all_reduce(stats, group)).summary()
    now, pairs = seen.within, tuple(seen.within.correlation.tolist())
    measures = now.achromatic_share, pairs, seen.colorfulness, seen.chroma, now.std_levels, seen.near_end_share
    return ChromaRecord(step, *measures, None if head is None else _filter_cosines(head))


def _pictures_in(output: Any) -> Tensor:
    found = [tensor for tensor, _ in _outputs(output, "")]
    for tensor in found:
        if tensor.dim() == 4 and tensor.shape[1] == 3:
            return tensor
    if len(found) == 1 and found[0].dim() == 3 and len(found[0]) == 3:
        return found[0].detach()[None]
    shapes = ", ".join(str(tuple(tensor.shape)) for tensor in found)
    given = f"{type(output).__name__}{f' with tensors of shape {shapes}' if shapes else ' without tensors'}"
    raise TypeError(f"generator returned {given}; accepted: a tensor (N, 3, H, W), or tuple, list or dict with one")


def _pixels(images: Any, count: int, least: int) -> Any:
    """The first pictures as an array; only they are copied from a device."""
    if isinstance(images, Tensor):
        check_pictures(images)
    batch = images if isinstance(images, Tensor) else as_array(images, "images", dtypes=("uint8", *FLOATS))
    shape = tuple(batch.shape)
    if len(shape) != 4 or shape[1] != 3 or 0 in shape[2:] or shape[0] < least:
        raise ValueError(f"images has shape {shape}; accepted: (N, 3, H, W) with at least one pixel")
    return to_array(batch.detach()[:count]) if isinstance(batch, Tensor) else batch[:count]


def _whole(value: Any, name: str, least: int = 1) -> int:
    try:
        whole = operator.index(value) if not isinstance(value, bool) else None
    except TypeError:
        whole = None
    if whole is None:
        raise TypeError(f"{name} must be an integer, got {value!r}")
    if whole < least:
        raise ValueError(f"{name} must be at least {least}, got {whole}")
    return whole


def _find_head(head: Any, generator: nn.Module | None) -> nn.Module | None:
    if head is None or isinstance(head, _HEADS):
        return head
    if not isinstance(head, str):
        raise TypeError(f"head must be a name, a Conv2d, ConvTranspose2d or Linear, or None; got {type(head).__name__}")
    if generator is None:
        raise ValueError(f"head is {head!r}, the name of a module, but no generator is attached; pass the module")
    layers = {name: module for name, module in generator.named_modules() if isinstance(module, _HEADS)}
    if head not in layers:
        raise ValueError(f"head is {head!r}; accepted: a Conv2d, ConvTranspose2d or Linear of {', '.join(layers)}")
    return layers[head]


def _filter_cosines(head: nn.Module) -> tuple[float, ...]:
    """Of RG, RB, GB, on any device; NaN where a filter is zero or not finite."""
    # Autocast would give the weights of some parametrizations in bfloat16.
    with torch.autocast(next(head.parameters()).device.type, enabled=False):
        weight = to_array(_tensor(head, "weight")).astype(np.float64)
    filters = weight.swapaxes(0, 1) if isinstance(head, nn.ConvTranspose2d) else weight
    if len(filters) != 3:
        raise ValueError(f"head has {len(filters)} filters; accepted: 3, for R, G and B")
    red, green, blue = (flat / (np.linalg.norm(flat) or math.nan) for flat in filters.reshape(3, -1))
    return tuple(np.clip([red @ green, red @ blue, green @ blue], -1, 1).tolist())


def _stage(record: ChromaRecord) -> tuple[str, str]:
    """Where the colour goes, as far as a record shows, and the sentence that says so."""
    if math.isnan(record.std_levels):
        return "unknown", "The pictures are not finite: the training has diverged."
    if record.filter_cosines is not None and min(record.filter_cosines) >= limits.FILTERS_COLLINEAR:
        return next(iter(ANSWERS["identical_filters"].items()))
    if record.near_end_share > limits.NEAR_END_SHARE:
        return next(iter(ANSWERS["saturation"].items()))
    if record.std_levels < limits.VISIBLE_LEVELS:
        return next(iter(ANSWERS["flat_amplitude"].items()))
    left = "collapsed features, gray data" + (", filters that are alike" if record.filter_cosines is None else "")
    return "features or data", f"Left are {left}: ganchroma.torch.inspect(generator, latents) tells them apart."


def _numbers(record: ChromaRecord) -> str:
    cosines = "-" if record.filter_cosines is None else number(min(record.filter_cosines), 3)
    return (
        f"Chroma C*ab {number(record.chroma)} (visible from {limits.VISIBLE_CHROMA:g}), "
        f"achromatic share {number(record.achromatic_share, 3)} (gray above {limits.GRAY_SHARE:g}), "
        f"std {number(record.std_levels)} levels (visible from {limits.VISIBLE_LEVELS:g}), "
        f"share near an end {number(record.near_end_share)} (saturated above {limits.NEAR_END_SHARE:g}), "
        f"smallest filter cosine {cosines} (alike from {limits.FILTERS_COLLINEAR:g})."
    )


def _level_of_user() -> int:
    """For a warning that the caller gives: the first frame that is neither ours nor PyTorch's, which runs the hook."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").split(".")[0] in ("ganchroma", "torch"):
        level, frame = level + 1, frame.f_back
    return level
