"""A module as it was: everything that a forward pass may change is put back, also when it raises."""

import random
import re
import sys
from array import array
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from inspect import getclosurevars
from types import FunctionType, MemberDescriptorType, MethodType, ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.grad_mode import _unsafe_preserve_version_counter
from torch.nn.modules.module import register_module_forward_pre_hook
from torch.utils._python_dispatch import _disable_current_modes

from ganchroma._torch_stream import TorchGenerator

__all__ = ["SEEDS", "modules_of", "untouched"]

SEEDS = 2**64  # of PyTorch: 0 to one less
_MOST_OBJECTS = 100_000  # of one module's attributes; a table of more is none that a forward pass writes
_SINGLE = (str, bytes, int, float, complex, type(None), type, ModuleType, FunctionType, MethodType, nn.Module)
_INSTALLED = re.compile(r"[/\\](site|dist)-packages[/\\]")


@contextmanager
def untouched(*modules: Any, seed: int | None = None) -> Iterator[None]:
    """Run the body, then put back modules and random states as they were.

    Parameters
    ----------
    modules : torch.nn.Module or callable
        Put back: parameters, buffers, gradients, ``requires_grad``, ``training`` flags, hooks, and all other
        attributes. Of dictionaries, lists, sets, deques, tensors, arrays, byte arrays and plain objects the contents,
        of random generators the state, at any depth. Left out are what classes, functions, data sets and objects of
        Python's own and of installed modules (files, locks, loggers, optimizers) hold, and what lies behind 100,000
        objects. Of a function, the modules that it refers to (`modules_of`). Any other module, one in a plain list too,
        only if it is called in the body and none of the given ones is compiled. A graph that waits for its backward
        still can use them. Without any, random states alone.
    seed : int, optional
        Below `SEEDS`. Of the random numbers of PyTorch, NumPy and Python in the body.

    Notes
    -----
    Nothing is copied by ``copy.deepcopy``, which some modules refuse; the price is a copy of all tensors. A compiled
    module runs as it was written, so that nothing is compiled for a single pass. Autocast keeps no casts of weights:
    those of a pass without gradients would reach the caller's own, and each pass runs the same operators.
    """
    parts = {part for given in modules for module in modules_of(given) for part in module.modules()}
    with ExitStack() as stack:
        stack.enter_context(_random_states())
        stack.enter_context(_no_cached_casts())
        for part in parts:
            stack.enter_context(_one(part))

        def keep(module: nn.Module, inputs: Any) -> None:
            """Of a module that no argument led to, before it runs for the first time."""
            for part in set(module.modules()) - parts:
                parts.add(part)
                with _disable_current_modes():
                    stack.enter_context(_one(part))

        if any(hasattr(part, "_orig_mod") or part._compiled_call_impl is not None for part in parts):
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        elif modules:  # PyTorch warns of compiled modules under a hook for all
            stack.callback(register_module_forward_pre_hook(keep).remove)
        if seed is not None:
            torch.manual_seed(seed)
            np.random.seed(seed % 2**32)  # noqa: NPY002  the global state is what a user's module would draw from
            random.seed(seed)
        yield


def modules_of(function: Any, seen: tuple[Any, ...] = ()) -> list[nn.Module]:
    """The module itself, or those that a function reaches: bound, closed over, global, or as a partial's arguments.

    `seen` are the functions on the way to this one, which may lead back to them.
    """
    if isinstance(function, nn.Module):
        return [function]
    if any(function is other for other in seen):
        return []
    if isinstance(function, partial):
        given = [function.func, *function.args, *function.keywords.values()]
    elif isinstance(function, MethodType):
        given = [function.__self__, function.__func__]
    elif isinstance(function, FunctionType):
        try:
            used = getclosurevars(function)
        except ValueError:  # it closes over a name that was deleted
            return []
        given = [*used.nonlocals.values(), *used.globals.values()]
        given = [item for item in given if isinstance(item, nn.Module | partial | MethodType)]
    else:
        return []
    return [module for item in given for module in modules_of(item, (*seen, function))]


@contextmanager
def _no_cached_casts() -> Iterator[None]:
    cached = torch.is_autocast_cache_enabled()
    torch.set_autocast_cache_enabled(False)
    try:
        yield
    finally:
        torch.set_autocast_cache_enabled(cached)


@contextmanager
def _random_states() -> Iterator[None]:
    everywhere, legacy, plain = torch.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002
    devices = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    try:
        yield
    finally:
        torch.set_rng_state(everywhere)
        if devices:
            torch.cuda.set_rng_state_all(devices)
        np.random.set_state(legacy)  # noqa: NPY002
        random.setstate(plain)


@contextmanager
def _one(module: nn.Module) -> Iterator[None]:
    own = (*module.parameters(recurse=False), *module.buffers(recurse=False))  # TorchScript's are no attributes
    put_back = _snapshot(vars(module), *own)
    try:
        yield
    finally:
        for restore in put_back:
            restore()


def _snapshot(*roots: Any) -> list[Callable[[], Any]]:
    """What puts back everything that these hold, however deep; each object once, so that cycles end."""
    waiting, seen, put_back = list(roots), dict[int, Any](), list[Callable[[], Any]]()
    while waiting and len(seen) < _MOST_OBJECTS:
        value = waiting.pop()
        if id(value) in seen or isinstance(value, _SINGLE):
            continue
        seen[id(value)] = value
        if isinstance(value, Tensor):
            put_back.append(_Kept(value).put_back)
        elif isinstance(value, np.ndarray):
            if value.flags.writeable:
                put_back.append(partial(np.copyto, value, value.copy()))
            if value.dtype.hasobject:
                waiting += np.asarray(value).ravel().tolist()
            if isinstance(value, np.ma.MaskedArray):
                waiting.append(vars(value))  # there its mask is
        elif (rewind := _rewind(value)) is not None:
            put_back.append(rewind)
        elif isinstance(value, dict | list | set | deque):
            put_back.append(partial(_refill, value, dict(value) if isinstance(value, dict) else list(value)))
            waiting += (*value, *value.values()) if isinstance(value, dict) else value
        elif isinstance(value, bytearray | array):
            put_back.append(partial(value.__setitem__, slice(None), value[:]))
        elif isinstance(value, tuple | frozenset):
            waiting += value
        if _is_own(value):
            if type(value).__dictoffset__:  # it has a __dict__; its own __getattr__ is not asked
                waiting.append(vars(value))
            put_back.append(partial(_set_slots, value, held := _slots(value)))
            waiting += held.values()
    return put_back


def _is_own(value: Any) -> bool:
    """Whether an object is a namespace, or of a class in files of the user's own, and no data set."""
    if isinstance(value, SimpleNamespace):
        return True
    maker = type(value).__module__
    package, file = maker.partition(".")[0], getattr(sys.modules.get(maker), "__file__", None) or ""
    own = package == "__main__" or not (package in sys.stdlib_module_names or _INSTALLED.search(file))
    return own and not isinstance(value, torch.utils.data.Dataset)


def _slots(value: Any) -> dict[MemberDescriptorType, Any]:
    """What an object holds in ``__slots__``, but for those that are not set."""
    held = dict[MemberDescriptorType, Any]()
    for slot in _slots_of(type(value)):
        with suppress(AttributeError):
            held[slot] = slot.__get__(value)
    return held


def _slots_of(maker: type) -> list[MemberDescriptorType]:
    written = [vars(part) for part in maker.__mro__ if "__slots__" in vars(part)]  # in Python: C's may refuse to be set
    return [slot for part in written for slot in part.values() if isinstance(slot, MemberDescriptorType)]


def _set_slots(value: Any, held: dict[MemberDescriptorType, Any]) -> None:
    for slot in _slots_of(type(value)):
        slot.__set__(value, held.get(slot))
        if slot not in held:
            slot.__delete__(value)


def _rewind(generator: Any) -> Callable[[], Any] | None:
    """What brings a generator of random numbers back to where it is; None if it is none."""
    if isinstance(generator, torch.Generator | TorchGenerator):
        return partial(generator.set_state, generator.get_state())
    if isinstance(generator, np.random.RandomState):
        return partial(generator.set_state, generator.get_state(legacy=False))
    if isinstance(generator, random.Random):
        return partial(generator.setstate, generator.getstate())
    bits = generator.bit_generator if isinstance(generator, np.random.Generator) else generator
    return partial(setattr, bits, "state", bits.state) if isinstance(bits, np.random.BitGenerator) else None


def _refill(container: Any, copy: Any) -> None:
    if isinstance(container, list):
        container[:] = copy
        return
    container.clear()
    (container.extend if isinstance(container, deque) else container.update)(copy)


class _Kept:
    """One tensor: its memory, its numbers, its gradient, and whether it asks for one."""

    def __init__(self, tensor: Tensor) -> None:
        if isinstance(tensor, nn.parameter.UninitializedTensorMixin):
            raise ValueError(
                "a layer is not initialised yet (a lazy module): run its network once, then call this again"
            )
        self.tensor = tensor
        self.memory = tensor.data
        self.values = tensor.detach().clone()
        self.needs = tensor.requires_grad
        self.grad = _Kept(tensor.grad) if tensor.is_leaf and tensor.grad is not None else None
        # A graph that still needs the tensor tells by its version whether it changed.
        self.version = None if tensor.is_inference() else _unsafe_preserve_version_counter(tensor)

    def put_back(self) -> None:
        if not _equal(self.memory, self.values):
            with torch.inference_mode(self.memory.is_inference()):
                self.memory.copy_(self.values)
        if _elsewhere(self.tensor, self.memory):
            self.tensor.data = self.memory
        if self.tensor.is_leaf:
            if self.tensor.requires_grad != self.needs:  # an inference tensor refuses to be asked
                self.tensor.requires_grad_(self.needs)
            if self.grad is not None:
                self.grad.put_back()
            self.tensor.grad = None if self.grad is None else self.grad.tensor
        if self.version is not None:
            self.version.__exit__()


def _equal(one: Tensor, other: Tensor) -> bool:
    """False for tensors that PyTorch does not compare, too: sparse ones, those without memory."""
    return one.layout == torch.strided and not one.is_meta and torch.equal(one, other)


def _elsewhere(tensor: Tensor, memory: Tensor) -> bool:
    """Whether a tensor was given other memory, or another shape or type, than it had."""
    same = (tensor.shape, tensor.dtype, tensor.device) == (memory.shape, memory.dtype, memory.device)
    return not (same and tensor.layout == torch.strided and tensor.data_ptr() == memory.data_ptr())
