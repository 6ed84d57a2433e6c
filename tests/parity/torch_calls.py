"""Calls, as in calls.py, of what needs PyTorch or Dask."""

import dask
import dask.array
import numpy as np
import torch

import ganchroma as gch


def chroma_stats(images):
    with dask.config.set(scheduler="synchronous"):
        return gch.distributed.chroma_stats(images)


def with_gradient(function, **given):
    function(**given).sum().backward()


def torch_calls():
    """label -> (function, keywords), as `calls.public_calls`."""
    torch.manual_seed(0)
    head = torch.nn.Conv2d(16, 3, 3, padding=1)
    generator = torch.nn.Sequential(torch.nn.ConvTranspose2d(8, 16, 4), torch.nn.ReLU(), head, torch.nn.Tanh())
    latent, pictures = torch.randn(4, 8, 5, 5), torch.rand(2, 3, 16, 16) * 2 - 1
    x, turned = torch.randn(2, 16, 8, 8, requires_grad=True), torch.randn(16, 3, 4, 4)
    layer = gch.torch.output_layer(head)
    monitor, metric = gch.torch.ChromaMonitor(), gch.torch.ChromaMetric()
    monitor.update(0, pictures)
    metric.update(pictures)
    chunks = dask.array.from_array(np.zeros((4, 3, 8, 8), np.uint8), chunks=(2, 3, 8, 8))
    return {
        "conv2d": (gch.torch.conv2d, {"x": x, "weight": head.weight, "padding": 1}),
        "conv2d gradient": (lambda x: with_gradient(gch.torch.conv2d, x=x, weight=head.weight), {"x": x}),
        "conv_transpose2d": (gch.torch.conv_transpose2d, {"x": x, "weight": turned}),
        "output_layer": (gch.torch.output_layer, {"module": head}),
        "to_module": (gch.torch.to_module, {"layer": layer}),
        "inspect": (lambda z: gch.torch.inspect(generator, z), {"z": latent}),
        "calibrate_": (lambda z: gch.torch.calibrate_(generator, z), {"z": torch.randn(4, 8, 13, 13)}),
        "ChromaMonitor": (gch.torch.ChromaMonitor, {}),
        "ChromaMonitor.attach": (
            lambda generator: gch.torch.ChromaMonitor().attach(generator).detach(),
            {"generator": generator},
        ),
        "ChromaMonitor.to_dict": (monitor.to_dict, {}),
        "ChromaMetric": (gch.torch.ChromaMetric, {}),
        "ChromaMetric.update": (metric.update, {"images": pictures}),
        "ChromaMetric.compute": (metric.compute, {}),
        "ChromaMetric.stats": (metric.stats, {}),
        "chroma_stats": (chroma_stats, {"images": chunks}),
    }


# A warning; a program of several ranks or workers; what keeps a record of each step on purpose, draws or writes those.
NOT_CALLED = {"ColorCollapse", "all_reduce", "scan", "ChromaMonitor.detach"}
NOT_CALLED |= {f"ChromaMonitor.{name}" for name in ("update", "write", "plot")}
