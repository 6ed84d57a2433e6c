"""The output layer, on the heads of real generators."""

from functools import partial

import numpy as np
import oracle

import ganchroma as gch
from benchmarks.case import Case, Flops, Limit, Reading, Setting, Work
from benchmarks.engines import engines
from benchmarks.heads import HEADS, Head
from benchmarks.peers import CHANNELS_LAST, PYTORCH

EVERY = 7  # rows apart are those that are checked inside an image
CHANNELS_LAST_HEAD = HEADS[0]


def cases() -> list[Case]:
    last = Case("output layer", f"NHWC, {CHANNELS_LAST_HEAD.name}", partial(prepare_channels_last, CHANNELS_LAST_HEAD))
    return [*(Case("output layer", head.name, partial(prepare, head)) for head in HEADS), last]


def prepare(head: Head, setting: Setting) -> Work:
    x, layer = head.draw()
    rows = checked_rows(head)
    return Work(
        ours=lambda: layer(x),
        exact=lambda: exact_rows(head, layer, x, rows),
        compared=lambda y: np.asarray(y)[:, :, rows],
        # Float32 sums of up to 6272 products, a block of channels at a time: some 5e-7 of the largest.
        tolerance=5e-6,
        peers=engines(head, layer, x, setting),
        limit=limit(head, x, setting.lanes),
    )


def prepare_channels_last(head: Head, setting: Setting) -> Work:
    plain = prepare(head, setting)
    x, layer = head.draw()
    memory = np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    return Work(
        ours=lambda: layer(memory),
        exact=plain.exact,
        compared=plain.compared,
        tolerance=plain.tolerance,
        peers={name: call for name, call in plain.peers.items() if name in (PYTORCH, CHANNELS_LAST)},
        limit=plain.limit,
    )


def limit(head: Head, x: np.ndarray, lanes: int) -> Limit:
    """1x1 kernels have so little to do with each value that reading it takes longer."""
    if head.kernel == 1:
        return Reading(x)
    width = head.features[3] if head.transposed else head.output_size[1]
    return Flops(head.flops, cap=width / (-(-width // lanes) * lanes))


def checked_rows(head: Head) -> np.ndarray:
    """Of a transposed layer all; else the edges and every seventh, as windows in float64 take their time."""
    height = head.output_size[0]
    rows = np.arange(height)
    edge = head.kernel
    return rows if head.transposed else rows[(rows < edge) | (rows >= height - edge) | (rows % EVERY == 0)]


def exact_rows(head: Head, layer: gch.OutputLayer, x: np.ndarray, rows: np.ndarray) -> np.ndarray:
    if head.transposed:
        answer: np.ndarray = oracle.conv_transpose2d(
            x, layer.weight, layer.bias, activation=head.activation, **head.options
        )
        return answer
    around = ((0, 0), (0, 0), *head.pads)
    padded = np.pad(x, around) if head.mode == "zeros" else np.pad(x, around, "reflect")
    options = {"stride": (1, head.stride), "activation": head.activation}
    windows = (padded[:, :, y * head.stride : y * head.stride + head.kernel] for y in rows)
    return np.concatenate([oracle.conv2d(window, layer.weight, layer.bias, **options) for window in windows], axis=2)
