"""The programs that ganchroma is compared with: those that are installed and wanted."""

import re
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from typing import Any

import numpy as np

PYTORCH, CHANNELS_LAST, ONNXRUNTIME, OPENVINO = "PyTorch", "PyTorch channels_last", "onnxruntime", "OpenVINO"
OPENCV, SCIKIT_IMAGE, NUMPY = "OpenCV", "scikit-image", "NumPy"

# What each is imported as. onnxruntime and OpenVINO are given networks in the format of the package onnx.
MODULES = {
    PYTORCH: ("torch",),
    ONNXRUNTIME: ("onnxruntime", "onnx"),
    OPENVINO: ("openvino", "onnx"),
    OPENCV: ("cv2",),
    SCIKIT_IMAGE: ("skimage", "skimage.color"),
    NUMPY: ("numpy",),
}


class Peers:
    """Modules by the names above; None for those that are missing or not wanted."""

    def __init__(self, wanted: Sequence[str] = tuple(MODULES)) -> None:
        self.missing: dict[str, str] = {}
        self._modules: dict[str, Any] = {}
        for name in wanted:
            try:
                self._modules[name], *_ = [import_module(module) for module in MODULES[name]]
            except ImportError as error:
                self.missing[name] = str(error)

    def __getitem__(self, name: str) -> Any:
        return self._modules.get(name)

    @property
    def versions(self) -> dict[str, str]:
        """Their numbers, without what some add for the build."""
        return {name: re.split("[-+]", module.__version__)[0] for name, module in self._modules.items()}

    def limited(self, threads: int) -> AbstractContextManager[Any]:
        """For a ``with`` block, NumPy's linear algebra too; engines are told when their networks are made."""
        if torch := self[PYTORCH]:
            torch.set_num_threads(threads)
        if cv2 := self[OPENCV]:
            cv2.setNumThreads(threads)
        try:
            from threadpoolctl import threadpool_limits
        except ImportError:
            return nullcontext()
        return threadpool_limits(threads, user_api="blas")

    def capability(self) -> str:
        """Which of PyTorch's kernels this processor gets, in the words of `ganchroma.TorchGenerator`."""
        torch = self[PYTORCH]
        return "default" if torch and torch.backends.cpu.get_cpu_capability() == "DEFAULT" else "avx2"


def tensor(torch: Any, array: np.ndarray, channels_last: bool = False) -> Any:
    """The same (N, C, H, W) or weight, in PyTorch's memory."""
    memory = torch.channels_last if channels_last else torch.contiguous_format
    return torch.tensor(array).to(memory_format=memory)
