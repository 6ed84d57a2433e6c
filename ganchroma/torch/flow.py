"""Which weighted sums make an image: every operator of a forward pass is watched, and memory carries its origin.

A convolution or matrix product with learned weights starts a trail; everything elementwise, every view, every
resampling hands it on; the next weighted sum ends it and starts its own. What the image's memory carries at the end are
the sums that made it, in order of execution, each with the steps that came after it. It does not matter whether the
network is written in modules or in functions.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

__all__ = ["Step", "Watch", "WeightedSum", "watching"]

# Operators that leave nothing of what their output held before.
_OVERWRITING = ("zero", "fill", "lift_fresh", "empty_like", "zeros_like", "ones_like", "full_like")
_CONVOLUTIONS = ("convolution", "_convolution")
_PRODUCTS = {"mm": 0, "bmm": 0, "addmm": 1, "baddbmm": 1}  # -> where the two matrices stand among the arguments
_MOST_STEPS = 64


class Step(NamedTuple):
    """One operator after a weighted sum.

    Attributes
    ----------
    place : int
        In the order of execution.
    name : str
    numbers : tuple
        The plain numbers among its arguments; None where one was left out.
    constant : bool
        Whether its other arguments are the same for any input: a bias, say. Numbers are not taken for it once the
        network has read some of what it makes (``.item()``).
    """

    place: int
    name: str
    numbers: tuple[float | None, ...]
    constant: bool


@dataclass(frozen=True)
class WeightedSum:
    """A convolution or matrix product with learned weights, as it ran.

    Attributes
    ----------
    index : int
        Place in the order of execution.
    module : str
        Innermost module, by ``named_modules()``; "" for the root or where modules can't be told (traced code).
    parameters : frozenset of str
        The parameters that its weight was made of.
    operator : str
    weight_first : bool
        Of a matrix product: whether the weight is the first of the two.
    shapes : tuple
        Of the features, the weight, the output.
    """

    index: int
    module: str
    parameters: frozenset[str]
    operator: str
    weight_first: bool
    shapes: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]

    @property
    def name(self) -> str:
        """What a reader calls it: its module; without one the module, or the name, of its parameter."""
        if self.module or not self.parameters:
            return self.module
        parameter = max(self.parameters, key=lambda text: (text.endswith("weight"), text))
        return parameter.rpartition(".")[0] or parameter


@dataclass(frozen=True)
class _Origin:
    """Where the numbers in a piece of memory come from."""

    sums: Mapping[int, tuple[Step, ...]] = field(default_factory=dict)
    fixed: bool = True  # the same for any input
    learned: bool = False  # made of parameters, by no weighted sum
    frozen: bool = True  # none of these parameters asks for a gradient
    parameters: frozenset[str] = frozenset()


_CONSTANT = _Origin()


class Watch(TorchDispatchMode):  # type: ignore[misc]
    """See the module's docstring.

    Attributes
    ----------
    sums : dict
        Index -> WeightedSum, in order of execution.
    kept : dict
        Index -> arguments of the operators that were asked for, as they were before it ran.
    modules : dict
        Modules that ran -> their names, in order of execution.
    """

    def __init__(
        self, root: nn.Module, inputs: Any, keep: frozenset[int] = frozenset(), without: int | None = None
    ) -> None:
        super().__init__()
        self.keep = keep
        self.without = without
        self.kept: dict[int, tuple[Any, ...]] = {}
        self.sums: dict[int, WeightedSum] = {}
        self.modules: dict[nn.Module, str] = {}
        self.stack: list[str] = []
        self._index = 0
        self._told: set[int] = set()  # sums that plain numbers were read from
        self._origins: dict[int, _Origin] = {}
        for name, parameter in root.named_parameters():
            self._origins[_memory(parameter)] = _Origin(
                learned=True, frozen=not parameter.requires_grad, parameters=frozenset({name})
            )
        for tensor in _tensors(inputs):
            self._origins[_memory(tensor)] = _Origin(fixed=False)

    def trails(self, tensor: Tensor) -> Mapping[int, tuple[Step, ...]]:
        """The sums that `tensor` comes from, with the steps after each."""
        return self._origins.get(_memory(tensor), _CONSTANT).sums

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if torch.is_inference_mode_enabled():  # operators come whole there, as they were called
            with self:
                result = func.decompose(*args, **(kwargs or {}))
            if result is not NotImplemented:
                return result
        if self._index in self.keep:
            self.kept[self._index] = tree_map(lambda item: item.clone() if isinstance(item, Tensor) else item, args)
        result = func(*args, **(kwargs or {}))
        if self._index == self.without:
            result = torch.full_like(result, float(result.nanmean()))
        self._follow(func, args, kwargs or {}, result)
        self._index += 1
        return result

    def _follow(self, func: Any, args: Any, kwargs: dict[str, Any], result: Any) -> None:
        name = func._schema.name.partition("::")[2]
        given = _tensors((args, kwargs))
        if name == "_local_scalar_dense" and given[0].dtype != torch.bool:
            self._told.update(self.trails(given[0]))
        made = _tensors(result)
        started = self._started(name, args, made)
        if started is not None:
            self.sums[self._index] = started
            origin = _Origin({self._index: ()}, fixed=False)
        elif name.rstrip("_") in _OVERWRITING and not (func._schema.is_mutable and _is_part(given[0])):
            origin = _CONSTANT
        else:
            origin = self._joined(given, name.rstrip("_"), _numbers(args, kwargs))
            if torch.Tag.nondeterministic_seeded in func.tags:
                origin = replace(origin, fixed=False)
        before = {_memory(tensor) for tensor in given}
        for tensor in made:
            # A view shares the memory, and with it the trail, of what it is a view of.
            if _memory(tensor) not in before or func._schema.is_mutable or name == "lift_fresh":
                self._origins[_memory(tensor)] = origin

    def _joined(self, given: list[Tensor], name: str, numbers: tuple[float | None, ...]) -> _Origin:
        origins = [self._origins.get(_memory(tensor), _CONSTANT) for tensor in given]
        sums: dict[int, tuple[Step, ...]] = {}
        for origin in origins:
            for index, steps in origin.sums.items():
                if len(steps) >= len(sums.get(index, ())):
                    sums[index] = steps
        told = bool(numbers) and not self._told.isdisjoint(sums)
        step = Step(self._index, name, numbers, sum(not origin.fixed for origin in origins) == 1 and not told)
        fixed = all(origin.fixed for origin in origins)
        return _Origin(
            {index: (*steps, step)[:_MOST_STEPS] for index, steps in sorted(sums.items())},
            fixed,
            any(origin.learned for origin in origins),
            all(origin.frozen for origin in origins),
            frozenset().union(*(origin.parameters for origin in origins)),
        )

    def _started(self, name: str, args: Any, made: list[Tensor]) -> WeightedSum | None:
        """The weighted sum that this operator is, if its weights were learned.

        A convolution of each channel by itself is none: that is how fixed filters blur an image. Nor is a matrix of few
        channels that is fixed or frozen: that is how colours are shifted or changed into another space. Nor a product
        of parameters, or inside a parametrization: that is how a weight is made.
        """
        if name in _CONVOLUTIONS:
            features, weight, groups = args[0], args[1], args[8]
            first, width = False, (weight.shape[0] // groups if args[6] else weight.shape[1])
            depthwise, pointwise = width == 1 and groups > 1, weight.shape[2:].numel() == 1
        elif name in _PRODUCTS:
            pair = args[_PRODUCTS[name] :][:2]
            first = self._weight_first(*pair)
            weight, features = pair if first else pair[::-1]
            width, depthwise, pointwise = pair[1].shape[-2], False, True
            given = self._origins.get(_memory(features), _CONSTANT)
            if (given.fixed and given.learned) or (self.stack and ".parametrizations." in f".{self.stack[-1]}"):
                return None
        else:
            return None
        origin = self._origins.get(_memory(weight), _CONSTANT)
        narrow = width <= 4 and (origin.frozen or not origin.learned) and (pointwise or not origin.learned)
        if depthwise or narrow or not (origin.learned or origin.fixed):
            return None
        return WeightedSum(
            self._index,
            self.stack[-1] if self.stack else "",
            origin.parameters,
            name,
            first,
            (tuple(features.shape), tuple(weight.shape), tuple(made[0].shape)),
        )

    def _weight_first(self, left: Tensor, right: Tensor) -> bool:
        a, b = (self._origins.get(_memory(tensor), _CONSTANT) for tensor in (left, right))
        if a.learned != b.learned:
            return a.learned
        if a.fixed != b.fixed:
            return a.fixed
        return bool(
            left.shape[-2] < right.shape[-1]
        )  # weights modulated by the input: there are fewer colours than pixels


@contextmanager
def watching(
    root: nn.Module, inputs: Any, keep: frozenset[int] = frozenset(), without: int | None = None
) -> Iterator[Watch]:
    """Watch what runs in the body, and in which of the modules of `root`.

    `keep` are the operators whose arguments are kept; `without` is one whose result is replaced by its mean.
    """
    named = {module: name for name, module in root.named_modules()}
    names = {module: name for module, name in named.items() if not isinstance(module, torch.jit.RecursiveScriptModule)}
    watch = Watch(root, inputs, keep, without)

    def enter(module: nn.Module, args: Any) -> None:
        if module in names:
            watch.stack.append(names[module])
            watch.modules[module] = names[module]

    def leave(module: nn.Module, args: Any, output: Any) -> None:
        if module in names and watch.stack:
            watch.stack.pop()

    hooks = [module.register_forward_pre_hook(enter) for module in names]
    hooks += [module.register_forward_hook(leave, always_call=True) for module in names]
    try:
        with watch:
            yield watch
    finally:
        for hook in hooks:
            hook.remove()


def _tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


def _memory(tensor: Tensor) -> int:
    """What tells one piece of memory from another; views of it share it."""
    try:
        return tensor.untyped_storage().data_ptr() or id(tensor)
    except (NotImplementedError, RuntimeError):  # sparse and other tensors without memory of their own
        return id(tensor)


def _is_part(tensor: Tensor) -> bool:
    """Whether a tensor is a view of some of its memory's numbers only."""
    if tensor.layout != torch.strided:
        return False
    return bool(tensor.numel() * tensor.itemsize < tensor.untyped_storage().nbytes())


def _numbers(args: Any, kwargs: Mapping[str, Any]) -> tuple[float | None, ...]:
    """The plain numbers among an operator's arguments, in its own order; None where one was left out."""
    values = [*args[1:], *kwargs.values()]
    return tuple(value for value in values if value is None or isinstance(value, int | float))
