"""Colour statistics as a metric of TorchMetrics, for those whose training loop collects metrics."""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import numpy as np
import torch
from torch import Tensor

try:
    from torchmetrics import Metric
except ImportError as error:
    raise ImportError("ganchroma.torch.ChromaMetric needs TorchMetrics: pip install torchmetrics") from error

from ganchroma import _sums
from ganchroma._arrays import chosen_of
from ganchroma._images import check_value_range
from ganchroma.color import Rule, parse_rule
from ganchroma.stats import _MIXED_SIZES, ChromaStats
from ganchroma.torch.search import check_pictures, to_array

__all__ = ["ChromaMetric"]

_BYTES, _FLOATS = 0, 1


class ChromaMetric(Metric):  # type: ignore[misc]
    """`ganchroma.ChromaStats` as a ``torchmetrics.Metric``: over batches, epochs and processes the same exact sums.

    Parameters
    ----------
    value_range : (float, float)
        Black and white of float pictures; bytes have 0 and 255.
    quantize : {"round", "floor", "truncate"}
        How floats become 8-bit levels.
    **options
        Of ``torchmetrics.Metric``.

    Notes
    -----
    `compute` gives a dictionary of scalars, with the names of `ChromaRecord` and `ChromaSummary`: ``achromatic_share``,
    ``correlation_rg``, ``correlation_rb``, ``correlation_gb``, ``colorfulness``, ``chroma``, ``std_levels``,
    ``near_end_share``, ``gray_images``. Of no pictures each is NaN. Pictures without a single finite pixel, which would
    be drawn black, are left out. The states are integers and float64 on any device, also after ``set_dtype``.

    Raises
    ------
    TypeError, ValueError
        If an option or a batch is wrong, or bytes and floats were mixed.

    Examples
    --------
    >>> metric = ChromaMetric()
    >>> _ = torch.manual_seed(0)
    >>> for _ in range(3):
    ...     metric.update(torch.rand(8, 3, 16, 16) * 2 - 1)
    >>> round(metric.compute()["achromatic_share"].item(), 1)
    0.3
    """

    is_differentiable = False
    higher_is_better = None
    full_state_update = False

    counts: Tensor
    sums: Tensor
    kinds: Tensor
    least: Tensor
    most: Tensor

    def __init__(
        self, value_range: tuple[float, float] = (-1.0, 1.0), quantize: Rule = "round", **options: Any
    ) -> None:
        super().__init__(**options)
        parse_rule(quantize, "quantize")
        low, high = check_value_range(value_range)
        self.value_range, self.quantize = (low + 0.0, high + 0.0), quantize  # -0.0 would be named otherwise than 0.0
        empty = ChromaStats(self.value_range).state()
        self.add_state("counts", torch.from_numpy(empty["counts"]), dist_reduce_fx="sum")
        self.add_state("sums", torch.from_numpy(empty["sums"]), dist_reduce_fx="sum")
        self.add_state("kinds", torch.zeros(2, dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("least", torch.tensor(torch.inf, dtype=torch.float64), dist_reduce_fx="min")
        self.add_state("most", torch.tensor(-torch.inf, dtype=torch.float64), dist_reduce_fx="max")
        # A MetricCollection updates one metric for all whose states have the same names and the same numbers, which
        # those of black pictures have for any settings: a name tells them apart, in a checkpoint too.
        self.add_state(f"{quantize} in {self.value_range}", torch.tensor(0), dist_reduce_fx="max")

    def update(self, images: Tensor) -> None:
        """Add pictures (N, 3, H, W), floats or uint8, on any device."""
        if not isinstance(images, Tensor):
            raise TypeError(f"images must be a tensor, got {type(images).__name__}")
        check_pictures(images)
        pixels = to_array(images)
        is_bytes = images.dtype == torch.uint8
        if not is_bytes and pixels.ndim == 4:
            seen = [np.isfinite(picture).all(axis=0).any() for picture in pixels]
            pixels = chosen_of(pixels, np.array(seen, np.bool_))
        state = ChromaStats(None if is_bytes else self.value_range, quantize=self.quantize).update(pixels).state()
        device = self.counts.device
        self.counts += torch.from_numpy(state["counts"]).to(device)
        self.sums = torch.from_numpy(_sums.normalized(self.sums.cpu().numpy() + state["sums"])).to(device)
        self.kinds[_BYTES if is_bytes else _FLOATS] += len(pixels)
        least, most = (torch.tensor(value, dtype=torch.float64, device=device) for value in state["extremes"])
        self.least, self.most = torch.minimum(self.least, least), torch.maximum(self.most, most)

    def _apply(self, fn: Callable[[Tensor], Tensor], exclude_state: Sequence[str] = "") -> torch.nn.Module:
        """Move the states where `fn` does, in the dtypes they have: exact sums are sums of integers."""

        @wraps(fn)  # TorchMetrics looks at its name
        def moved(tensor: Tensor) -> Tensor:
            made = fn(tensor)
            return made if made.dtype == tensor.dtype else tensor.to(made.device)

        this: torch.nn.Module = super()._apply(moved, exclude_state)
        return this

    def compute(self) -> dict[str, Tensor]:
        """The measures of everything added; see the class."""
        summary = self.stats().summary()
        red_green, red_blue, green_blue = summary.within.correlation.tolist()
        measures = {
            "achromatic_share": summary.within.achromatic_share,
            "correlation_rg": red_green,
            "correlation_rb": red_blue,
            "correlation_gb": green_blue,
            "colorfulness": summary.colorfulness,
            "chroma": summary.chroma,
            "std_levels": summary.within.std_levels,
            "near_end_share": summary.near_end_share,
            "gray_images": summary.gray_images,
        }
        return {name: torch.tensor(value, device=self.counts.device) for name, value in measures.items()}

    def stats(self) -> ChromaStats:
        """The same sums as a `ChromaStats`, without the fixed pattern."""
        seen = [int(count) for count in self.kinds]
        if all(seen):
            raise ValueError(f"{seen[_BYTES]} pictures of bytes and {seen[_FLOATS]} of floats: they don't merge")
        made = ChromaStats((0.0, 255.0) if seen[_BYTES] else self.value_range, quantize=self.quantize)
        state = made.state()
        state["counts"] = self.counts.cpu().numpy()
        state["sums"] = _sums.normalized(self.sums.cpu().numpy())
        state["extremes"] = np.array([self.least.item(), self.most.item()])
        if any(seen):
            state["kind"] = np.array("bytes" if seen[_BYTES] else "floats")
            state["size"] = np.array(_MIXED_SIZES)
        return ChromaStats.from_state(state)
