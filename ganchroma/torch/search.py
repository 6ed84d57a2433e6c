"""The search for the layer that makes the RGB: run, see where the image came from, run again and read it there."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from ganchroma._arrays import copy
from ganchroma.activation import ActivationLike, activation_name, is_bounded
from ganchroma.torch.flow import Step, WeightedSum, watching
from ganchroma.torch.heads import heads
from ganchroma.torch.matching import Match, best_match, known_activations
from ganchroma.torch.ranges import says_the_range
from ganchroma.torch.untouched import untouched

__all__ = ["Found", "Network", "Run", "check_pictures", "find_head", "read_again"]

Array = NDArray[Any]
MOST_NUMBERS = 2**24  # of the head's input that are read (64 MB); images beyond are left out, but never the first
_MOST_TIES = 4
_REARRANGING = ("clone", "_to_copy", "copy")  # views are no steps


@dataclass(frozen=True)
class Run:
    """One forward: what was watched, and the image among what it returned.

    Attributes
    ----------
    sums : dict
        Index -> WeightedSum, of all that ran.
    trails : dict
        Index -> steps, of those that the image comes from.
    kept : dict
        Index -> arguments of the operators that were asked for.
    modules : dict
        Modules that ran -> names.
    image : Tensor (N, C, H, W)
    where : str
        Which output it is; "" where there is no other.
    as_made : callable
        Brings images (n, C, H, W) to the order of dimensions that the generator returns.
    """

    sums: Mapping[int, WeightedSum]
    trails: Mapping[int, tuple[Step, ...]]
    kept: Mapping[int, tuple[Any, ...]]
    modules: Mapping[nn.Module, str]
    image: Tensor
    where: str
    as_made: Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Network:
    """A generator and what it is called with. Running it leaves both as they are."""

    generator: nn.Module
    inputs: tuple[Any, ...]
    keywords: Mapping[str, Any]
    seed: int

    def run(
        self,
        keep: Iterable[int] = (),
        *,
        without: int | None = None,
        train: Sequence[nn.Module] = (),
        warm: Sequence[nn.Module] = (),
    ) -> Run:
        """One watched forward, always from the same seed.

        Parameters
        ----------
        keep : iterable of int
            Operators whose arguments are kept.
        without : int, optional
            An operator whose result is replaced by its mean.
        train : sequence of modules
            In training mode.
        warm : sequence of modules
            In training mode for one forward before it.
        """
        options = frozenset(keep), without, train, warm
        try:
            with torch.no_grad():
                return self._run(*options)
        except RuntimeError as error:
            if "does not require grad" not in str(error):
                raise
        with torch.enable_grad():  # it asks for gradients by itself
            return self._run(*options)

    def _run(
        self, keep: frozenset[int], without: int | None, train: Sequence[nn.Module], warm: Sequence[nn.Module]
    ) -> Run:
        generator = self.generator
        with untouched(generator, seed=self.seed):
            if warm:
                modes = [[part.training for part in module.modules()] for module in warm]
                for module in warm:
                    module.train()
                with untouched(seed=self.seed):
                    generator(*_copies(self.inputs), **_copies(self.keywords))
                for module, flags in zip(warm, modes, strict=True):
                    for part, flag in zip(module.modules(), flags, strict=True):
                        part.training = flag
            for module in train:
                module.train()
            inputs, keywords = _copies(self.inputs), _copies(self.keywords)
            with watching(generator, (inputs, keywords), keep, without) as watch:
                made = generator(*inputs, **keywords)
            image, where, as_made = _image_in(made)
            trails = watch.trails(image)
            return Run(watch.sums, trails, watch.kept, watch.modules, image.detach().clone(), where, as_made)


def _copies(tree: Any) -> Any:
    """The same structure with copies of its tensors: a forward may write into its inputs."""
    return tree_map(lambda item: item.detach().clone() if isinstance(item, Tensor) else item, tree)


# -- the image among the outputs -----------------------------------------------------------------------------------


def _image_in(made: Any) -> tuple[Tensor, str, Callable[[Tensor], Tensor]]:
    """The image as (N, C, H, W), a view, which output it is, and the way back to the order of its dimensions.

    Of three channels before others, then the largest.
    """
    outputs = list(_outputs(made, "output"))
    if not outputs:
        raise TypeError(
            f"the generator returned no tensor but {type(made).__name__}: let it return the tensor that this is made of"
        )
    images = [(*view, where) for tensor, where in outputs if (view := _as_images(tensor)) is not None]
    if not images:
        empty = ("", ", which is empty")
        shapes = ", ".join(f"{where} {tuple(it.shape)}{empty[it.numel() == 0]}{_odd(it)}" for it, where in outputs)
        raise LookupError(
            f"no image came out: {shapes}; an image is (N, C, H, W), (N, H, W, C) or (3, H, W) with 1, 3 or 4 channels"
        )
    image, as_made, where = max(
        images, key=lambda found: ((1, 4, 3).index(found[0].shape[1]), found[0].shape[2:].numel())
    )
    return image, where if len(outputs) > 1 else "", as_made


def _outputs(made: Any, where: str, outer: tuple[Any, ...] = ()) -> Iterator[tuple[Tensor, str]]:
    """Tensors in whatever a forward returns, with the expression that reaches each; `outer` is what it stands in."""
    if isinstance(made, Tensor):
        yield made, where
    elif any(made is other for other in outer):
        return
    elif isinstance(made, Mapping):
        for key, value in made.items():
            yield from _outputs(value, f"{where}[{key!r}]", (*outer, made))
    elif isinstance(made, list | tuple):
        for place, value in enumerate(made):
            yield from _outputs(value, f"{where}[{place}]", (*outer, made))
    elif hasattr(made, "__dict__"):
        for key, value in vars(made).items():
            yield from _outputs(value, f"{where}.{key}", (*outer, made))


def _as_images(tensor: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]] | None:
    """The tensor as (N, C, H, W), and what brings such images to its own order of dimensions; None if it is none."""
    if tensor.dim() == 3 and (tensor.shape[0] == 3 or tensor.shape[2] == 3):
        tensor = tensor[None]
    if tensor.dim() != 4 or _odd(tensor) or not tensor.numel():
        return None
    for channels in ((3,), (1, 4)):
        if tensor.shape[1] in channels:
            return tensor, _same
        if tensor.shape[3] in channels:
            return tensor.permute(0, 3, 1, 2), _channels_last
    return None


def _odd(tensor: Tensor) -> str:
    """What keeps a tensor from being read as numbers; "" if nothing does."""
    if tensor.is_meta or tensor.layout != torch.strided:
        return " on the meta device" if tensor.is_meta else f" of layout {tensor.layout}"
    return f" of dtype {tensor.dtype}" if tensor.is_complex() or tensor.is_quantized else ""


def _same(images: Tensor) -> Tensor:
    return images


def _channels_last(images: Tensor) -> Tensor:
    return images.permute(0, 2, 3, 1)


# -- the head --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Found:
    """The head of a network.

    Attributes
    ----------
    ran : WeightedSum
    order : int
        Its place among the weighted sums: the one thing that stays the same in another mode.
    steps : tuple of Step
        What came after it, up to the image.
    match : Match or None
        How it was read, and how the image follows; None if it is no layer of three filters.
    share : float
        Share of the image's variance that is the head's: what a plain activation and scale explain, if that is all;
        otherwise, unless the activation was stated, what changes when its result is replaced by a constant.
    others : list of str
        Names of other layers that the image comes from, too.
    """

    ran: WeightedSum
    order: int
    steps: tuple[Step, ...]
    match: Match | None
    share: float
    others: list[str]

    @property
    def explained(self) -> Match | None:
        """The match, if the image follows from it, and black and white of the image do."""
        if self.match is None or not self.match.explains:
            return None
        activation, ends = self.match.layer.activation, None if self.match.normalised else self.match.value_range
        return self.match if not is_bounded(activation) or says_the_range(self.steps, activation, ends) else None


def find_head(network: Network, head: str | nn.Module | None, activation: ActivationLike | None) -> tuple[Found, Run]:
    """The head and the run that it was read in.

    Raises
    ------
    LookupError
        If no layer that ran can have made the image.
    ValueError
        If `head` names nothing that ran.
    """
    first = network.run()
    wanted = _ties(first) if head is None else [_named(network.generator, first, head)]
    if not wanted:
        raise LookupError(f"no layer was found that makes the image {_shape(first.image)}; {_candidates(first)}")
    run = network.run(_to_keep(first, wanted))
    matches = {index: _read(run, index, activation) for index in wanted if index in run.sums}
    if not matches:
        raise LookupError(f"the generator ran other layers the second time; {_candidates(run)}")
    index = max(matches, key=lambda index: (round(_share(matches[index]), 3), index))
    match = matches[index]
    ran, steps = run.sums[index], run.trails.get(index, ())
    if match is None and head is not None:
        raise LookupError(
            f"the layer {ran.name!r} can't be read as one that makes the image {_shape(first.image)}; "
            f"{_candidates(first)}"
        )
    share = max(0.0, _share(match))
    if activation is None and index in run.trails and not (match is not None and match.explains):
        lost = _lost(run.image, network.run(without=index).image)
        share = share if lost is None else lost
    others = dict.fromkeys(run.sums[other].name for other in run.trails if run.sums[other].name != ran.name)
    return Found(ran, list(run.sums).index(index), steps, match, share, list(others)), run


def _share(match: Match | None) -> float:
    return -1.0 if match is None else match.share


def _lost(image: Tensor, rest: Tensor) -> float | None:
    """The share of an image's variance, in its channels, that another lacks; None where that is no number."""
    image, rest = image.double(), rest.double()
    whole, lost = (float(values.var((0, 2, 3), correction=0).mean()) for values in (image, image - rest))
    return min(1.0, lost / whole) if whole > 0 and math.isfinite(lost) else None


def read_again(
    network: Network, found: Found, *, train: Sequence[nn.Module] = (), warm: Sequence[nn.Module] = ()
) -> tuple[Match | None, Array]:
    """The same head read in another state of the network (see `Network.run`), and the image."""
    first = network.run(train=train, warm=warm)
    if found.match is None or not found.match.explains:
        return None, to_array(first.image)
    index = list(first.sums)[found.order]
    run = network.run(_to_keep(first, [index]), train=train, warm=warm)
    return _read(run, index, found.match.layer.activation), to_array(run.image)


def _to_keep(run: Run, wanted: Sequence[int]) -> set[int]:
    """Places of these weighted sums and of the activations after them."""
    trails = [run.trails.get(index, ()) for index in wanted]
    steps = [step for trail in trails for step, _ in known_activations(trail)]
    return {*wanted, *(step.place for step in steps + [step for trail in trails for step in _bias(trail)])}


def _bias(steps: Sequence[Step]) -> list[Step]:
    """The addition of something constant right after the sum, if there is one."""
    for step in steps:
        if step.name not in _REARRANGING:
            return [step] if step.name == "add" and step.constant and not step.numbers else []
    return []


def _read(run: Run, index: int, activation: ActivationLike | None) -> Match | None:
    """How the image of a run follows from a weighted sum whose arguments it kept; None if it can't be read so."""
    ran, steps, arguments = run.sums[index], run.trails.get(index, ()), run.kept[index]
    image = to_array(run.image)
    count = _images_to_read(len(image), arguments)
    image = image[:count]
    known: list[tuple[ActivationLike, Array | None]] = [
        (name, to_array(run.kept[step.place][0])) for step, name in known_activations(steps) if step.place in run.kept
    ]
    known.append(("linear", image))
    if activation is not None:
        same = [before for name, before in known if activation_name(name) == activation_name(activation)]
        known = [(activation, same[0] if same else None)]
    size = (int(image.shape[1]), int(image.shape[2]), int(image.shape[3]))
    pairs = [run.kept[step.place] for step in _bias(steps) if step.place in run.kept]
    added = min(pairs[0][:2], key=lambda tensor: tensor.numel()) if pairs else None
    return best_match(heads(ran, arguments, added, len(run.image), size, count), image, known)


def check_pictures(images: Tensor) -> None:
    """That the numbers can be pixels: integers and complex numbers have no black and white."""
    if not (images.is_floating_point() or images.dtype == torch.uint8):
        raise TypeError(f"images has dtype {images.dtype}; accepted: floating point, or uint8")
    if _odd(images):
        raise TypeError(f"images is a tensor{_odd(images)}; accepted: dense ones that hold numbers")


def to_array(tensor: Tensor) -> Array:
    """A tensor's numbers, on the CPU: float64 as it is, bytes as they are, all else as float32."""
    tensor = tensor.detach().cpu()
    kept = tensor if tensor.dtype in (torch.float64, torch.uint8) else tensor.float()
    array: Array = kept.resolve_conj().resolve_neg().numpy()
    if array.flags.c_contiguous:
        return array
    made = np.empty(array.shape, array.dtype)
    copy(array, made)
    return made


def _images_to_read(images: int, arguments: tuple[Any, ...]) -> int:
    largest: int = max(item.numel() for item in arguments[:3] if isinstance(item, Tensor))
    return max(1, min(images, MOST_NUMBERS * images // max(largest, 1)))


def _ties(run: Run) -> list[int]:
    """The layers that made as much of the image as any, in numbers; the latest few, in order of execution."""

    def made(index: int) -> int:
        return int(min(math.prod(run.sums[index].shapes[2]), run.image.numel()))

    most = max((made(index) for index in run.trails), default=0)
    return sorted(index for index in run.trails if made(index) == most)[-_MOST_TIES:]


def _named(generator: nn.Module, run: Run, head: Any) -> int:
    """The last layer that ran under that name; of those that the image comes from, if one does."""
    if isinstance(head, nn.Module):
        names = [name for name, module in generator.named_modules() if module is head]
        if not names:
            raise ValueError(f"head is a {type(head).__name__} that is no part of the generator; {_candidates(run)}")
        head = names[0]
    if not isinstance(head, str):
        raise TypeError(f"head must be a name or a module, got {type(head).__name__}")
    fitting = [
        index
        for index, ran in run.sums.items()
        if head in (ran.name, ran.module, *ran.parameters) or ran.name.startswith(f"{head}.")
    ]
    if not fitting:
        raise ValueError(f"head is {head!r}, and no weighted sum of that name ran; {_candidates(run)}")
    return max(fitting, key=lambda index: (index in run.trails, index))


def _candidates(run: Run) -> str:
    """What ran, latest first, and how to name one."""
    if not run.sums:
        return "no convolution and no matrix product with learned weights ran"
    lines = [
        f"{ran.name or ', '.join(ran.parameters) or '(unnamed)'}: {_list(ran.shapes[0])} -> {_list(ran.shapes[2])}, "
        f"weight {_list(ran.shapes[1])}"
        for ran in list(run.sums.values())[:-9:-1]
    ]
    return "latest candidates, to be named as head=...:\n  " + "\n  ".join(lines)


def _shape(tensor: Tensor) -> str:
    return _list(tuple(tensor.shape))


def _list(shape: tuple[int, ...]) -> str:
    return f"({', '.join(map(str, shape))})"
