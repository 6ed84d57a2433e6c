"""How a network's image follows from its head: which activation, which scale, and how much of the image that explains.

Nothing is believed because of its name: a reading is run, and the result compared with the image that came out.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import interpolate

from ganchroma.activation import ActivationLike, activation_name, parse_activation
from ganchroma.diagnosis.display import GRAYS, channels_as_rows, rows_as_channels
from ganchroma.layer import OutputLayer
from ganchroma.torch.flow import Step
from ganchroma.torch.heads import Head
from ganchroma.torch.ranges import limits_of

__all__ = ["EXPLAINED", "Match", "best_match", "known_activations"]

Array = NDArray[Any]
# Share of the image's variance from which on the image is the head's: rounding to 8 bits leaves .9999 of a picture with
# two levels of contrast, arithmetic in bfloat16 .9999; the smallest skip connection that was tried took .01.
EXPLAINED = 0.999
_EQUAL = 0.01  # of the image's standard deviation, between channels that bfloat16 has rounded
_USUAL_LIMITS = ((-1.0, 1.0), (0.0, 1.0), (0.0, 255.0))


@dataclass(frozen=True)
class Match:
    """A reading of the head, and how the image follows from it.

    Attributes
    ----------
    layer : OutputLayer
        With its activation, and what stood between the sum and the activation (a bias, a scale) folded in.
    share : float
        Share of the image's variance that ``scale * layer(features) + offset`` explains, at most 1.
    scale, offset : float
        The scale of an explained image is below 0 only where no other weights make the same with one above.
    normalised : bool
        Whether each channel has a scale and offset of its own, as what an image classifier takes; `scale` and `offset`
        are 1 and 0 then.
    reading : Head
        What it was made of.
    remarks : tuple of str
    misshown : bool
        Whether the image is no R, G and B of the layer's but one channel of it, a gray made of it, or its numbers in
        another layout: a fault that follows the head.
    """

    layer: OutputLayer
    share: float
    scale: float
    offset: float
    normalised: bool
    reading: Head
    remarks: tuple[str, ...] = ()
    misshown: bool = False

    @property
    def features(self) -> Array:
        """(N, C, h, w)"""
        return self.reading.features

    @property
    def explains(self) -> bool:
        return self.share >= EXPLAINED

    @property
    def value_range(self) -> tuple[float, float]:
        """What black and white of the activation's own range became."""
        ends = sorted(self.scale * value + self.offset for value in self.layer.value_range)
        return ends[0], ends[1]


def known_activations(steps: Sequence[Step]) -> list[tuple[Step, ActivationLike]]:
    """The activations among the steps after a head, each as `OutputLayer` names it."""
    found: list[tuple[Step, ActivationLike]] = []
    for step in steps:
        numbers = [number for number in step.numbers if number is not None]
        if step.name in ("tanh", "sigmoid", "relu"):
            found.append((step, step.name))
        elif step.name == "leaky_relu":
            found.append((step, ("leaky_relu", float(numbers[0]) if numbers else 0.01)))
        elif step.name in ("hardtanh", "clamp") and np.isfinite(limits := limits_of(step)).all():
            found.append((step, ("clamp", *limits)))
    return found


def best_match(
    readings: Iterable[Head], image: Array, activations: Sequence[tuple[ActivationLike, Array | None]]
) -> Match | None:
    """The reading and activation that explain most of `image`, the first that explains all of it.

    Parameters
    ----------
    readings : iterable of Head
    image : (N, 1, 3 or 4, H, W) array
        What the network made.
    activations : sequence of (activation, array or None)
        Candidates, in order, each with what it was applied to (whatever its shape), where that is known.

    Notes
    -----
    That one channel is shown as R, G and B is believed where it explains the image, or the image's channels are equal:
    where something unknown comes after the head, one channel resembles any picture more than three that are mixed up.
    """
    target = _three(image)
    equal = bool(np.ptp(target, axis=1).max() <= _EQUAL * target.std()) if np.isfinite(target).all() else False
    best, others = None, []
    for reading in readings:
        linear = reading.layer.linear(reading.features)
        for activation, before in activations:
            match = _matched(reading, linear, activation, before, target)
            others.append(match)
            if reading.single and not (equal or match.explains):
                continue
            if best is None or match.share > best.share:
                best = match
            if best is not None and best.explains:
                # One channel of three explains as much, and hides that there are three.
                single = equal and reading.single
                return next(filter(None, (_misshown(other, target) for other in others)), best) if single else best
    # Last: a matrix that makes an image as a whole can be read in either layout.
    return next(filter(None, (_misshown(other, target) for other in others)), best)


def _three(image: Array) -> Array:
    return np.repeat(image, 3, axis=1) if image.shape[1] == 1 else image[:, :3]


def _matched(reading: Head, linear: Array, activation: ActivationLike, before: Array | None, target: Array) -> Match:
    layer, remarks = reading.layer, reading.remarks
    if before is not None:
        layer, linear = _folded(layer, linear, before)
    if _idle(activation, linear):
        activation = "linear"
    layer = layer.replace(activation=activation)
    made = _resampled(layer.activate(linear), target)
    scale, offset, share = _fitted(made, target)
    if share < EXPLAINED:
        if all(_fitted(made[:, channel], target[:, channel])[2] >= EXPLAINED for channel in range(3)):
            return Match(layer, 1.0, 1.0, 0.0, True, reading, remarks)
        for order in list(permutations(range(3)))[1:]:
            fit = _fitted(made[:, order], target)
            if fit[2] >= EXPLAINED:
                remarks += (f"R, G and B are made by the head's filters {', '.join(str(k + 1) for k in order)}",)
                layer, (scale, offset, share) = _reordered(layer, order), fit
                break
    return _upright(Match(layer, share, scale, offset, False, reading, remarks))


def _upright(match: Match) -> Match:
    """The same image with a positive scale: ``1 - sigmoid(x)`` is ``sigmoid(-x)``, of weights of the other sign.

    A head learns its weights: which end of the activation is white is no fault.
    """
    layer, kind = match.layer, activation_name(match.layer.activation)
    clamped = parse_activation(layer.activation)[1:] == layer.value_range
    if match.scale >= 0 or not match.explains or not (clamped or kind in ("linear", "tanh", "sigmoid")):
        return match
    ends = sum(layer.value_range)  # activation(x) = ends - activation(shift - x)
    layer = _rescaled(layer, -np.ones(3), np.full(3, ends if clamped else 0.0))
    remark = "the network turns light and dark around after the head, whose weights are shown with the other sign"
    return replace(
        match,
        layer=layer,
        scale=-match.scale,
        offset=match.offset + match.scale * ends,
        remarks=(*match.remarks, remark),
    )


def _misshown(match: Match, target: Array) -> Match | None:
    """The match as one of a network that loses what its head made; None if it does not explain the image so."""
    if match.reading.single:
        return None
    made = _resampled(match.layer(match.features), target)
    for words, other in _mistaken(made):
        scale, offset, share = _fitted(other, target)
        if share >= EXPLAINED:
            remark = f"what comes out is {words}, by the network's own forward"
            remarks = (*match.reading.remarks, remark)
            return _upright(Match(match.layer, share, scale, offset, False, match.reading, remarks, True))
    return None


def _mistaken(made: Array) -> Iterator[tuple[str, Array]]:
    """What a network makes of its three channels by mistake, in words and as pictures."""
    for channel in range(3):
        yield f"channel {channel} of the head's three, as R, G and B", np.repeat(made[:, channel, None], 3, axis=1)
    for name, weights in GRAYS.items():
        gray = np.tensordot(np.asarray(weights, made.dtype), made, (0, 1))
        yield f"the head's three channels converted to {name}", np.repeat(gray[:, None], 3, axis=1)
    yield "the head's (3, H, W) reshaped, not transposed, to (H, W, 3)", channels_as_rows(made)
    yield "the head's (H, W, 3) reshaped, not transposed, to (3, H, W)", rows_as_channels(made)


def _reordered(layer: OutputLayer, order: Sequence[int]) -> OutputLayer:
    chosen = list(order)
    weight = layer.weight[:, chosen] if layer.transposed else layer.weight[chosen]
    return layer.replace(weight=weight, bias=None if layer.bias is None else layer.bias[chosen])


def _idle(activation: ActivationLike, linear: Array) -> bool:
    """Whether it is a safety clamp far out that no value reaches."""
    if activation_name(activation) != "clamp":
        return False
    low, high = (
        (-1.0, 1.0)
        if isinstance(activation, str) or len(activation) == 1
        else (float(activation[1]), float(activation[2]))
    )
    return (low, high) not in _USUAL_LIMITS and bool(linear.min() > low and linear.max() < high)


def _folded(layer: OutputLayer, linear: Array, before: Array) -> tuple[OutputLayer, Array]:
    """The layer that makes what the activation was applied to, if that is the sum scaled and shifted per channel."""
    arranged = _arranged(before, linear.shape)
    if arranged is None:
        return layer, linear
    scales, offsets = np.ones(3), np.zeros(3)
    for channel in range(3):
        scale, offset, share = _fitted(linear[:, channel], arranged[:, channel])
        if share < 1 - 1e-4:
            return layer, linear
        scales[channel], offsets[channel] = scale, offset
    if np.allclose(scales, 1, rtol=1e-4) and np.allclose(
        offsets, 0, atol=1e-5 * float(np.abs(linear[np.isfinite(linear)]).max(initial=1e-30))
    ):
        return layer, linear
    made = (linear * scales[:, None, None] + offsets[:, None, None]).astype(linear.dtype)
    return _rescaled(layer, scales, offsets), made


def _rescaled(layer: OutputLayer, scales: Array, offsets: Array) -> OutputLayer:
    """The layer whose three sums are scaled and shifted so."""
    dtype = layer.weight.dtype
    bias = np.zeros(3) if layer.bias is None else layer.bias.astype(np.float64)
    channels = (1, 3, 1, 1) if layer.transposed else (3, 1, 1, 1)
    return layer.replace(
        weight=(layer.weight * scales.reshape(channels)).astype(dtype), bias=(scales * bias + offsets).astype(dtype)
    )


def _arranged(values: Array, shape: tuple[int, ...]) -> Array | None:
    """Values in any order that networks use, as (N, 3, H, W); None if they do not fit."""
    count, channels, height, width = shape
    if values.ndim == 3 and count == 1:
        values = values[np.newaxis]
    if values.ndim == 4 and values.shape[0] >= count:
        for axis in (1, 3):
            size = [length for place, length in enumerate(values.shape[1:], 1) if place != axis]
            if values.shape[axis] in (1, 3, 4) and size == [height, width]:
                return _three(np.moveaxis(values[:count], axis, 1))
    if values.ndim == 2 and values.shape[0] >= count and values.shape[1] == channels * height * width:
        return values[:count].reshape(shape)
    return None


def _resampled(image: Array, target: Array) -> Array:
    """The image at the target's size, by the interpolation that comes closest."""
    if image.shape == target.shape:
        return image
    size, tensor = target.shape[2:], torch.from_numpy(np.ascontiguousarray(image))
    if size[0] < image.shape[2] or size[1] < image.shape[3]:
        smaller: Array = interpolate(tensor, size, mode="area").numpy()
        return smaller
    tries = [interpolate(tensor, size, mode=mode).numpy() for mode in ("nearest", "bilinear", "bicubic")]
    return max(tries, key=lambda image: _fitted(image, target)[2])


def _fitted(values: Array, target: Array) -> tuple[float, float, float]:
    """Scale and offset that bring values closest to the target, and the share of its variance that this explains.

    Scales and offsets that rounding has moved off 1 and 0 are taken for those.
    """
    finite = np.isfinite(values) & np.isfinite(target)
    x, y = values[finite].astype(np.float64), target[finite].astype(np.float64)
    if not x.size:
        return 1.0, 0.0, 0.0
    middle_x, middle_y = x.mean(), y.mean()
    x, y = x - middle_x, y - middle_y
    squares, total = float(x @ x), float(y @ y)
    tiny = 1e-12 * x.size
    if total <= tiny * max(middle_y**2, 1e-12):  # a constant image
        return 1.0, 0.0, float(squares <= tiny * max(middle_x**2, 1e-12) and abs(middle_x - middle_y) <= 1e-5)
    if squares == 0:
        return 1.0, 0.0, 0.0
    scale = float(x @ y) / squares
    offset = middle_y - scale * middle_x
    rest = y - scale * x
    share = max(0.0, 1 - float(rest @ rest) / total)
    if abs(scale - 1) < 2e-3 and abs(offset) < 2e-3 * np.sqrt(total / y.size) + 1e-6:
        return 1.0, 0.0, share
    return scale, offset, share
