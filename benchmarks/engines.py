"""The output layer in the programs that run networks: PyTorch in both memory layouts, onnxruntime, OpenVINO."""

from typing import Any

import numpy as np

import ganchroma as gch
from benchmarks.case import Call, Setting
from benchmarks.heads import Head
from benchmarks.peers import CHANNELS_LAST, ONNXRUNTIME, OPENVINO, PYTORCH, tensor

OPSET = 17
ACTIVATIONS = {"tanh": "Tanh", "sigmoid": "Sigmoid"}


def engines(head: Head, layer: gch.OutputLayer, x: np.ndarray, setting: Setting) -> dict[str, Call]:
    """The same result from everybody who is there."""
    peers, found = setting.peers, {}
    if torch := peers[PYTORCH]:
        found[PYTORCH] = in_torch(torch, head, layer, x, channels_last=False)
        found[CHANNELS_LAST] = in_torch(torch, head, layer, x, channels_last=True)
    if onnxruntime := peers[ONNXRUNTIME]:
        found[ONNXRUNTIME] = in_onnxruntime(onnxruntime, model(head, layer, x), x, setting.threads)
    if openvino := peers[OPENVINO]:
        found[OPENVINO] = in_openvino(openvino, model(head, layer, x), x, setting.threads)
    return found


def in_torch(torch: Any, head: Head, layer: gch.OutputLayer, x: np.ndarray, channels_last: bool) -> Call:
    features, weight = tensor(torch, x, channels_last), tensor(torch, layer.weight, channels_last)
    bias = torch.tensor(layer.bias)
    linear = torch_linear(torch, head, features, weight, bias)
    activate = {"tanh": torch.tanh_, "sigmoid": torch.sigmoid_, "linear": lambda y: y}[head.activation]
    return lambda: activate(linear())


def torch_linear(torch: Any, head: Head, features: Any, weight: Any, bias: Any) -> Call:
    """The layer without its activation, on tensors as they are."""
    functional = torch.nn.functional
    (top, bottom), (left, right) = head.pads
    if head.transposed:
        more = (bottom - top, right - left)  # PyTorch crops both sides alike; a slice takes the rest

        def transposed() -> Any:
            y = functional.conv_transpose2d(features, weight, bias, head.stride, (top, left))
            return y[:, :, : y.shape[2] - more[0], : y.shape[3] - more[1]] if any(more) else y

        return transposed
    if head.mode == "zeros":
        return lambda: functional.conv2d(features, weight, bias, head.stride, (top, left))
    padding = (left, right, top, bottom)
    return lambda: functional.conv2d(functional.pad(features, padding, head.mode), weight, bias, head.stride)


def model(head: Head, layer: gch.OutputLayer, x: np.ndarray) -> bytes:
    """The layer as an ONNX network from "x" to "y"."""
    from onnx import TensorProto, helper, numpy_helper

    (top, bottom), (left, right) = head.pads
    constants = {"weight": np.asarray(layer.weight), "bias": np.asarray(layer.bias)}
    nodes, source, pads = [], "x", [top, left, bottom, right]
    if head.mode != "zeros":
        constants["pads"] = np.array([0, 0, top, left, 0, 0, bottom, right], np.int64)
        nodes.append(helper.make_node("Pad", ["x", "pads"], ["padded"], mode=head.mode))
        source, pads = "padded", [0, 0, 0, 0]
    kind, activation = "ConvTranspose" if head.transposed else "Conv", ACTIVATIONS.get(head.activation)
    target = "linear" if activation else "y"
    strides = [head.stride, head.stride]
    nodes.append(helper.make_node(kind, [source, "weight", "bias"], [target], pads=pads, strides=strides))
    if activation:
        nodes.append(helper.make_node(activation, ["linear"], ["y"]))
    graph = helper.make_graph(
        nodes,
        "head",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    opset = helper.make_opsetid("", OPSET)
    made: bytes = helper.make_model(graph, opset_imports=[opset], ir_version=8).SerializeToString()
    return made


def in_onnxruntime(onnxruntime: Any, network: bytes, x: np.ndarray, threads: int) -> Call:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # between its calls others are timed
    session = onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {"x": x})[0]


def in_openvino(openvino: Any, network: bytes, x: np.ndarray, threads: int) -> Call:
    core = openvino.Core()
    settings = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": "f32"}
    compiled = core.compile_model(core.read_model(network), "CPU", settings)
    return lambda: compiled({"x": x}, share_inputs=True, share_outputs=True)[0]
