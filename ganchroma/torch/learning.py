"""Signs of how the head learns, measured at one batch. See `ganchroma.diagnosis.learning` for what they mean."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import softplus
from torch.nn.utils import parametrize

from ganchroma.activation import activate_backward, activation_name
from ganchroma.conv_backward import conv2d_backward, conv_transpose2d_backward
from ganchroma.diagnosis.learning import Learning
from ganchroma.torch.matching import Match
from ganchroma.torch.search import Run, to_array
from ganchroma.torch.untouched import SEEDS, modules_of, untouched

__all__ = ["color_preference", "learning_signs"]

Array = NDArray[Any]
Triple = tuple[float, float, float]
Score = Callable[[Tensor], Any]
_REDRAWS = 5


def learning_signs(
    match: Match | None,
    run: Run,
    discriminator: Score | None,
    loss: Score | None,
    dataset: Any,
    value_range: tuple[float, float],
    seed: int,
) -> Learning | None:
    """The signs at the images that a generator made; None where they are more than the head's, scaled by one number.

    Parameters
    ----------
    match : Match or None
        Of a head that makes the whole image.
    run : Run
    discriminator : callable, optional
        Images, in the generator's own order of dimensions, to scores; without it, and with a loss, there is no
        preference to ask for.
    loss : callable, optional
        Images to a scalar; by default softplus(-score), averaged.
    dataset : tensor or array (n, C, H', W'), optional
        Real pictures, at least as large as the images; by default the images themselves are shown to it.
    value_range : (low, high)
        Black and white of the images, which bytes are brought to.
    seed : int
    """
    image = run.image
    if match is None or match.normalised or match.misshown:
        return None
    if match.layer.output_size(_size(match.features)) != tuple(image.shape[2:]):
        return None
    if not image.is_floating_point():
        raise ValueError(
            f"signs of learning need a gradient, and the generator's images are {image.dtype}: let it return them "
            "before they are rounded"
        )
    score = None if discriminator is None else _Scored(discriminator, run.as_made)
    with untouched(discriminator, loss, seed=seed), torch.enable_grad():
        shown = image.detach().clone().requires_grad_()
        lost = _lost(loss, run.as_made(shown)) if loss is not None else _lost_to(score, shown)
        (gradient,) = torch.autograd.grad(lost, shown)
    if not bool(gradient.isfinite().all()):
        raise ValueError(
            f"the {'discriminator' if loss is None else 'loss'} has no finite gradient at the generator's images: NaN "
            "or infinite values came out of it"
        )
    norms, cosines, slope = _head_gradient(match, to_array(gradient))
    if score is None:
        return Learning(norms, cosines, slope)
    real = image.detach() if dataset is None else _cropped(dataset, image, value_range)
    with untouched(discriminator, seed=seed), torch.no_grad():
        prefers = _preference(score, real)
    return Learning(
        norms,
        cosines,
        slope,
        prefers,
        _untrained(score, real, seed),
        "the generator's own pictures" if dataset is None else "the data set's pictures",
        score.where,
    )


def _size(features: Array) -> tuple[int, int]:
    return features.shape[2], features.shape[3]


@dataclass
class _Scored:
    """A discriminator, and where among its answers the scores are: the first tensor."""

    discriminator: Score
    as_made: Callable[[Tensor], Tensor]
    where: str = ""

    def of_patches(self, images: Tensor) -> Tensor:
        """What it answers for (n, C, H, W): (n, patches)."""
        try:
            made = self.discriminator(self.as_made(images))
        except (TypeError, RuntimeError) as error:
            error.add_note(
                f"discriminator is called with the images alone, {tuple(images.shape)} of {images.dtype}: wrap one "
                "that needs more, or other images, in a function of them"
            )
            raise
        self.where = ""
        while isinstance(made, list | tuple) and made and made[0] is not made:
            self.where += "[0]" if len(made) > 1 else ""
            made = made[0]
        if not isinstance(made, Tensor) or made.shape[:1] != images.shape[:1] or not made.numel():
            got = f"shape {tuple(made.shape)}" if isinstance(made, Tensor) else type(made).__name__
            raise ValueError(f"discriminator must answer one score for each of {len(images)} images, got {got}")
        return made.reshape(len(images), -1).double()

    def __call__(self, images: Tensor) -> Tensor:
        """One score an image: the mean over patches."""
        return self.of_patches(images).mean(dim=1)


def _lost(loss: Score, images: Tensor) -> Tensor:
    lost = loss(images)
    if not isinstance(lost, Tensor) or lost.numel() != 1 or not lost.requires_grad:
        got = f"shape {tuple(lost.shape)}" if isinstance(lost, Tensor) else type(lost).__name__
        raise ValueError(
            f"loss must answer one number that follows from the images, a tensor with a gradient, got {got}"
        )
    return lost.reshape(())


def _lost_to(score: _Scored | None, images: Tensor) -> Tensor:
    assert score is not None
    lost = softplus(-score.of_patches(images)).mean()
    if not lost.requires_grad:
        raise ValueError("the discriminator's scores have no gradient: it must not detach, round or compare them")
    return lost


def _head_gradient(
    match: Match, gradient: Array
) -> tuple[tuple[float, float, float], tuple[float, float, float], float]:
    """Norms and cosines of the loss's gradient by the three filters, and the activation's mean slope."""
    layer, features = match.layer, match.features
    gradient = np.ascontiguousarray(gradient[: len(features), :3] * match.scale).astype(layer.weight.dtype)
    if gradient.shape[1] == 1:
        gradient = np.repeat(gradient, 3, axis=1)
    before = layer.linear(features)
    slopes = activate_backward(np.ones_like(before), before, layer.activation)
    steepest = 0.25 if activation_name(layer.activation) == "sigmoid" else 1.0
    options: dict[str, Any] = {
        "stride": layer.stride,
        "padding": layer.padding,
        "dilation": layer.dilation,
        "channel_scale": layer.channel_scale,
        "output_scale": layer.output_scale,
        "needs": ("weight",),
    }
    backward: Callable[..., Any] = conv_transpose2d_backward if layer.transposed else conv2d_backward
    options |= {"output_padding": layer.output_padding} if layer.transposed else {}
    by_weight = backward(activate_backward(gradient, before, layer.activation), features, layer.weight, **options)[1]
    by_filter = by_weight.swapaxes(0, 1) if layer.transposed else by_weight
    if match.reading.pixel_bias:
        by_filter = by_filter[:, :-1]
    flat = by_filter.reshape(3, -1).astype(np.float64)
    norms = np.linalg.norm(flat, axis=1)
    unit = flat / np.maximum(norms, 1e-300)[:, None]
    cosines = unit @ unit.T
    return (
        (float(norms[0]), float(norms[1]), float(norms[2])),
        (float(cosines[0, 1]), float(cosines[0, 2]), float(cosines[1, 2])),
        float(np.mean(slopes, dtype=np.float64)) / steepest,
    )


def _cropped(dataset: Any, image: Tensor, value_range: tuple[float, float]) -> Tensor:
    """The middle of real pictures, at the size, in the type and in the range of the images."""
    real = dataset if isinstance(dataset, Tensor) else np.asarray(dataset)
    tall, wide = image.shape[2:]
    if real.ndim != 4 or real.shape[1] != image.shape[1] or real.shape[2] < tall or real.shape[3] < wide:
        raise ValueError(
            f"dataset must be (n, {image.shape[1]}, at least {tall}, at least {wide}) to be shown to the "
            f"discriminator, got shape {tuple(real.shape)}"
        )
    top, left = (real.shape[2] - tall) // 2, (real.shape[3] - wide) // 2
    cropped = real[:, :, top : top + tall, left : left + wide]
    if not isinstance(cropped, Tensor):  # PyTorch takes no bytes in another order, and no negative strides
        cropped = torch.from_numpy(np.array(cropped, cropped.dtype.newbyteorder("="), order="C"))
    low, high = value_range
    return low + cropped.to(image) * ((high - low) / 255) if cropped.dtype == torch.uint8 else cropped.to(image)


def color_preference(discriminator: Score, pictures: Tensor) -> float:
    """Share of pictures (N, 3, H, W) that a discriminator rates above their own gray copies; it stays as it is."""
    with untouched(discriminator), torch.no_grad():
        return _preference(_Scored(discriminator, lambda images: images), pictures)


def _preference(score: _Scored, pictures: Tensor) -> float:
    """Share of pictures that are rated above their own gray copies."""
    gray = pictures.mean(dim=1, keepdim=True).expand_as(pictures).contiguous()
    return float((score(pictures) > score(gray)).double().mean())


def _untrained(score: _Scored, pictures: Tensor, seed: int) -> tuple[float, float] | None:
    """Mean and standard deviation of the same figure over newly drawn weights; None if they can't be drawn."""
    modules = [part for module in modules_of(score.discriminator) for part in module.modules()]
    if not modules or not all(map(_redrawable, modules)):
        return None
    shares = []
    for attempt in range(_REDRAWS):
        with untouched(score.discriminator, seed=(seed + attempt) % SEEDS), torch.no_grad():
            for module in modules:
                _redraw(module)
            shares.append(_preference(score, pictures))
    return float(np.mean(shares)), float(np.std(shares))


def _redrawable(module: nn.Module) -> bool:
    inside_parametrization = isinstance(module, parametrize.ParametrizationList)
    return inside_parametrization or not module._parameters or hasattr(module, "reset_parameters")


def _redraw(module: nn.Module) -> None:
    """PyTorch's default for this layer; where a norm makes the weight from another, of that one."""
    if hasattr(module, "reset_parameters"):
        module.reset_parameters()
    if parametrize.is_parametrized(module, "weight"):
        if module.weight.dim() > 1:
            module.weight = nn.init.kaiming_uniform_(torch.empty_like(module.weight), a=math.sqrt(5))
        return
    for name in ("weight_orig", "weight_v"):  # of the older spectral and weight norm
        original = getattr(module, name, None)
        if isinstance(original, Tensor) and original.dim() > 1:
            nn.init.kaiming_uniform_(original, a=math.sqrt(5))
            length = getattr(module, "weight_g", None)
            if name == "weight_v" and isinstance(length, Tensor):
                over = [axis for axis, size in enumerate(length.shape) if size == 1 != original.shape[axis]]
                length.copy_(torch.linalg.vector_norm(original, dim=over or None, keepdim=True))
