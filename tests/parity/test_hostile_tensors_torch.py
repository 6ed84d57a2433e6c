"""Every public function on tensors, with tensors as nobody would bring them; test_hostile_arrays.py has arrays."""

import contextlib
from functools import partial

import numpy as np
import pytest
from hostile import axis_of, changes, check_same, examples, flat
from hypothesis import given
from hypothesis import strategies as st
from support import unaligned

import ganchroma as gch

for name in ("torch", "torchmetrics", "dask.array", "distributed"):
    pytest.importorskip(name)

import torch  # noqa: E402
from parity.torch_calls import torch_calls  # noqa: E402


class Subclass(torch.Tensor):
    pass


# -- what is called, with something to compare ----------------------------------------------------------------------


def gradient(by, **given):
    """The gradient of a layer by one of its tensors, the other as it is given."""
    (leaf,) = by.values()
    return torch.autograd.grad(gch.torch.conv2d(**by, **given).square().sum(), leaf)


def measured(images):
    metric = gch.torch.ChromaMetric()
    metric.update(images)
    return metric.compute()


def watched(images):
    monitor = gch.torch.ChromaMonitor()
    monitor.update(0, images)
    return monitor.to_dict()


def calls():
    """label -> (function, keywords): those of torch_calls.py that take tensors."""
    table = torch_calls()
    (x, weight, _), images = table["conv2d"][1].values(), table["ChromaMetric.update"][1]
    told = {
        "conv2d gradient": (partial(gradient, {"weight": weight}), {"x": x.detach()}),
        "conv2d gradient by x": (partial(gradient, {"x": x}), {"weight": weight.detach()}),
        "ChromaMetric.update": (measured, images),
        "ChromaMonitor.update": (watched, images),
    }
    return {label: (function, given) for label, (function, given) in {**table, **told}.items() if tensors(given)}


def tensors(given):
    return [name for name, value in given.items() if isinstance(value, torch.Tensor)]


PLACES = [(label, name) for label, (_, given) in calls().items() for name in tensors(given)]

# -- the same values in other memory --------------------------------------------------------------------------------


def spread(tensor, axis, step):
    """Every `step`-th element of something larger, along one axis, and not from its first element."""
    shape = list(tensor.shape)
    shape[axis] *= step
    room = torch.full([*shape[:-1], shape[-1] + 1], 99.0, dtype=tensor.dtype)[..., 1:]
    view = room[(slice(None),) * axis + (slice(None, None, step),)]
    return view.copy_(tensor)


SAME = {
    "spread": spread,
    "transposed": lambda tensor, axis, step: tensor.movedim(axis, 0).contiguous().movedim(0, axis),
    "channels last": lambda tensor, axis, step: tensor.contiguous(memory_format=torch.channels_last),
    "misaligned": lambda tensor, axis, step: torch.from_numpy(unaligned(tensor.numpy(), step)),
    "negated twice": lambda tensor, axis, step: torch._neg_view(-tensor),
    "shared": lambda tensor, axis, step: tensor.clone().share_memory_(),
    "a gradient's leaf": lambda tensor, axis, step: tensor.clone().requires_grad_(),
    "a gradient's result": lambda tensor, axis, step: tensor.clone().requires_grad_() * 1,
    "parameter": lambda tensor, axis, step: torch.nn.Parameter(tensor),
    "subclass": lambda tensor, axis, step: tensor.as_subclass(Subclass),
}

# -- other values or kinds: an answer or an error -------------------------------------------------------------------

DTYPES = ("float16", "bfloat16", "float64", "float8_e4m3fn", "int8", "uint8", "uint16", "int64", "bool", "complex64")
OTHER = {
    "repeated": lambda tensor, axis, step: tensor.narrow(axis, 0, 1).expand(tensor.shape),
    "empty": lambda tensor, axis, step: tensor.narrow(axis, 0, 0),
    "one more": lambda tensor, axis, step: torch.cat([tensor, tensor], axis),
    "an axis more": lambda tensor, axis, step: tensor.unsqueeze(axis),
    "an axis less": lambda tensor, axis, step: tensor.select(axis, 0),
    **{
        f"of {value}": lambda tensor, axis, step, value=value: torch.full_like(tensor, float(value))
        for value in ("nan", "inf", "3e38", "1e-40")
    },
    **{f"as {dtype}": lambda tensor, axis, step, dtype=dtype: tensor.to(getattr(torch, dtype)) for dtype in DTYPES},
    "conjugate": lambda tensor, axis, step: torch.complex(tensor, tensor).conj(),
    "imaginary part": lambda tensor, axis, step: torch.complex(tensor, tensor).conj().imag,
    "quantized": lambda tensor, axis, step: torch.quantize_per_tensor(tensor, 0.1, 0, torch.quint8),
    "sparse": lambda tensor, axis, step: tensor.to_sparse(),
    "nested": lambda tensor, axis, step: torch.nested.nested_tensor(list(tensor), layout=torch.jagged),
    "oneDNN's": lambda tensor, axis, step: tensor.to_mkldnn(),
    "without memory": lambda tensor, axis, step: tensor.to("meta"),
    "huge": lambda tensor, axis, step: tensor.narrow(axis, 0, 1).expand(huge(tensor.shape, axis, step)),
    "inference": lambda tensor, axis, step: inference(tensor),
    "array": lambda tensor, axis, step: tensor.numpy(),
    "list": lambda tensor, axis, step: tensor.tolist(),
    "objects": lambda tensor, axis, step: tensor.numpy().astype(object),
}


def huge(shape, axis, step):
    return [2 ** (30 + 8 * step) if i == axis else count for i, count in enumerate(shape)]


@torch.inference_mode()
def inference(tensor):
    return tensor.clone()


def call(label, name=None, change=None):
    function, given = calls()[label]
    if name is not None:
        given = {**given, name: change(given[name].detach())}
    return [np.asarray(part) for part in flat(numbers(function(**given)))]


def numbers(result):
    """Tensors as arrays, wherever they are."""
    if isinstance(result, torch.Tensor):
        return result.detach().resolve_neg().numpy()
    if isinstance(result, dict):
        return numbers(list(result.values()))
    return [numbers(part) for part in result] if isinstance(result, list | tuple) else result


@pytest.mark.filterwarnings("ignore")
@examples
@given(st.sampled_from(PLACES), changes(SAME))
def test_other_memory_the_same_answer(place, made):
    def change(tensor):
        for kind, axis, step in made:
            tensor = SAME[kind](tensor.detach().resolve_neg(), axis_of(tensor, axis), step)
        return tensor

    label, name = place
    check_same(call(label, name, change), call(label))


# What a tensor can't be made into, it is not tried with; what PyTorch itself refuses, it refuses with a RuntimeError.
@pytest.mark.filterwarnings("ignore")
@examples
@given(st.sampled_from(PLACES), st.sampled_from(sorted(OTHER)), st.integers(0, 3), st.integers(1, 3))
def test_other_tensors_an_answer_or_an_error(place, kind, axis, step):
    label, name = place
    if kind == "huge" and label.startswith("Chroma"):
        return  # they would measure for years
    wanted = call(label)
    with contextlib.suppress(TypeError, ValueError, LookupError, RuntimeError, MemoryError):
        call(label, name, lambda tensor: OTHER[kind](tensor, axis_of(tensor, axis), step))
    for a, b in zip(call(label), wanted, strict=True):
        np.testing.assert_array_equal(a, b)
