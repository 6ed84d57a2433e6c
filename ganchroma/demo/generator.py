"""The DCGAN of the PyTorch examples: hidden layers in plain NumPy, the head through ganchroma.

Five transposed convolutions without bias, the first four followed by batch normalisation and ReLU, the last by tanh::

    z (N, 100, 1, 1) -> stage 1 (N, 512, 4, 4) -> stage 2 (N, 256, 8, 8) -> stage 3 (N, 128, 16, 16)
                     -> stage 4 (N, 64, 32, 32) -> head (N, 3, 64, 64)

Inside, activations are held as (N, H, W, C), where a layer is one matrix product.
"""

import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ganchroma._arrays import as_array, check_flag, check_integer
from ganchroma.init import conv_default, normal, ones, zeros
from ganchroma.rng import RNGLike, TorchGenerator, as_stream

if TYPE_CHECKING:
    from ganchroma.layer import OutputLayer

__all__ = ["Generator"]

Array = NDArray[Any]

LATENT = 100
CHANNELS = (512, 256, 128, 64)  # of stages 1 to 4
EPS = 1e-5
MOMENTUM = 0.1
CHUNK = 8  # images expanded at a time: the largest product is then 8 MB


def _keys(stage: int) -> tuple[str, str]:
    """Names of a stage's convolution and normalisation in the examples' ``nn.Sequential`` (the head is stage 5)."""
    return f"main.{3 * (stage - 1)}", f"main.{3 * (stage - 1) + 1}"


class Generator:
    """The PyTorch examples' DCGAN generator with their initialisation: N(0, .02), batch norm scales N(1, .02).

    Parameters
    ----------
    rng : None, int, numpy.random.Generator, Stream or TorchGenerator
        Where the weights come from; see `ganchroma.rng`. ``TorchGenerator(0)`` gives the very weights of the examples'
        generator after ``torch.manual_seed(0)``, its construction and ``apply(weights_init)``.

    Examples
    --------
    >>> import ganchroma as gch
    >>> G = gch.demo.Generator(rng=0)
    >>> z = G.sample_latent(2, rng=1)
    >>> G.features(z).shape
    (2, 64, 32, 32)
    """

    def __init__(self, rng: RNGLike = None) -> None:
        stream = as_stream(rng)
        self._state: dict[str, Array] = {}
        sizes = list(itertools.pairwise((LATENT, *CHANNELS, 3)))
        if isinstance(stream, TorchGenerator):
            for given, made in sizes:  # PyTorch draws every layer's default first, and the examples then draw again
                conv_default((given, made, 4, 4), transposed=True, bias=False, rng=stream)
        for stage, (given, made) in enumerate(sizes, start=1):
            conv, norm = _keys(stage)
            self._state[f"{conv}.weight"] = normal((given, made, 4, 4), std=0.02, rng=stream)
            if stage <= len(CHANNELS):
                self._state[f"{norm}.weight"] = normal(made, mean=1.0, std=0.02, rng=stream)
                self._state[f"{norm}.bias"] = zeros(made)
                self._state[f"{norm}.running_mean"] = zeros(made)
                self._state[f"{norm}.running_var"] = ones(made)
                self._state[f"{norm}.num_batches_tracked"] = np.zeros((), np.int64)

    def __repr__(self) -> str:
        return f"Generator(latent={LATENT}, channels={CHANNELS}, size=64)"

    @property
    def head(self) -> "OutputLayer":
        """The last layer, ``ConvTranspose2d(64, 3, 4, 2, 1, bias=False)`` and tanh."""
        from ganchroma.layer import OutputLayer

        weight = self._state[f"{_keys(5)[0]}.weight"]
        return OutputLayer(weight, transposed=True, stride=2, padding=1, activation="tanh")

    def sample_latent(self, n: int, rng: RNGLike = None) -> Array:
        """Latent vectors (n, 100), float32, standard normal."""
        return normal((check_integer(n, "n", 1), LATENT), rng=rng)

    def __call__(self, z: Any, training: bool = True) -> Array:
        """Images (N, 3, 64, 64), float32 in [-1, 1], of latent vectors (N, 100) or (N, 100, 1, 1).

        Parameters
        ----------
        z : array of float16, float32 or float64
            Computed in float32.
        training : bool
            Whether batch normalisation uses the batch's own statistics, and moves its running ones, as a module in
            train mode does; otherwise it uses the running ones.
        """
        images: Array = self.head(self.features(z, training))
        return images

    def features(self, z: Any, training: bool = True, *, stage: int = 4) -> Array:
        """What `stage` makes: by default the head's input (N, 64, 32, 32), float32, after ReLU.

        Parameters
        ----------
        z, training
            As for the call itself. Only the stages up to `stage` run, and only their running statistics move.
        stage : int
            1 (512 channels, 4x4), 2 (256, 8x8), 3 (128, 16x16) or 4 (64, 32x32).

        Raises
        ------
        TypeError, ValueError
            For latent vectors of another dtype or shape, or an unknown stage.
        """
        if isinstance(stage, bool) or not isinstance(stage, int | np.integer):
            raise TypeError(f"stage must be an integer, got {stage!r}")
        if not 1 <= stage <= len(CHANNELS):
            raise ValueError(f"stage must be 1, 2, 3 or 4, got {stage}")
        check_flag(training, "training")
        latent = as_array(z, "z", ndim=(2, 4))
        if latent.shape[1:] not in ((LATENT,), (LATENT, 1, 1)) or not len(latent):
            raise ValueError(f"z must have shape (N, {LATENT}) or (N, {LATENT}, 1, 1), N > 0, got {latent.shape}")
        x: Array = latent.reshape(len(latent), 1, 1, LATENT).astype(np.float32)
        for number in range(1, int(stage) + 1):
            conv, norm = _keys(number)
            weight = self._state[f"{conv}.weight"]
            x = _project(x, weight) if number == 1 else _double(x, weight)
            self._normalize(x, norm, training)
            np.maximum(x, 0, out=x)
        return np.ascontiguousarray(x.transpose(0, 3, 1, 2))

    def _normalize(self, x: Array, norm: str, training: bool) -> None:
        """Batch normalisation of (N, H, W, C) in place, with PyTorch's running statistics."""
        state, count = self._state, x.size // x.shape[-1]
        if training:
            mean = x.mean(axis=(0, 1, 2), dtype=np.float64)
            variance = np.zeros_like(mean)
            for image in x:
                variance += np.square(image - mean).sum(axis=(0, 1))
            variance /= count
            for name, value in (("running_mean", mean), ("running_var", variance * (count / (count - 1)))):
                running = state[f"{norm}.{name}"]
                running += (MOMENTUM * (value - running)).astype(np.float32)
            state[f"{norm}.num_batches_tracked"] += 1
        else:
            mean = state[f"{norm}.running_mean"].astype(np.float64)
            variance = state[f"{norm}.running_var"].astype(np.float64)
        scale = state[f"{norm}.weight"] / np.sqrt(variance + EPS)
        shift = state[f"{norm}.bias"] - mean * scale
        x *= scale.astype(np.float32)
        x += shift.astype(np.float32)

    def state_dict(self) -> dict[str, Array]:
        """Copies of all weights and statistics under the keys of the examples' ``nn.Sequential`` named "main"."""
        return {key: value.copy() for key, value in self._state.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over weights and statistics: a mapping of arrays or CPU tensors with exactly the keys of `state_dict`.

        Raises
        ------
        ValueError
            If keys are missing or unknown, or a shape differs; nothing is taken over then.
        """
        if not isinstance(state, Mapping):
            raise TypeError(f"state must be a mapping of names to arrays, got {type(state).__name__}")
        missing, unknown = sorted(self._state.keys() - state.keys()), sorted(state.keys() - self._state.keys())
        if missing or unknown:
            raise ValueError(f"state does not match: missing keys {missing}, unknown keys {unknown}")
        loaded = {}
        for key, own in self._state.items():
            accepted = ("int64",) if own.dtype == np.int64 else ("float16", "float32", "float64")
            value = as_array(state[key], f"state[{key!r}]", dtypes=accepted)
            if value.shape != own.shape:
                raise ValueError(f"state[{key!r}] must have shape {own.shape}, got {value.shape}")
            loaded[key] = np.array(value, own.dtype)
        self._state = loaded


def _project(x: Array, weight: Array) -> Array:
    """Transposed convolution 4x4 of one pixel, stride 1, no padding: (N, 1, 1, in) -> (N, 4, 4, out)."""
    given, made = weight.shape[:2]
    matrix = np.ascontiguousarray(weight.transpose(0, 2, 3, 1)).reshape(given, 16 * made)
    pixels: Array = x.reshape(len(x), given) @ matrix
    return pixels.reshape(len(x), 4, 4, made)


def _double(x: Array, weight: Array) -> Array:
    """Transposed convolution 4x4, stride 2, padding 1: (N, H, W, in) -> (N, 2H, 2W, out).

    Every pixel makes a 4x4 patch of the output; overlapping patches are added. A border of one pixel around the result
    catches what the padding crops.
    """
    count, height, width, given = x.shape
    made = weight.shape[1]
    matrix = np.ascontiguousarray(weight.transpose(0, 2, 3, 1)).reshape(given, 16 * made)
    result = np.empty((count, 2 * height, 2 * width, made), np.float32)
    for start in range(0, count, CHUNK):
        part = x[start : start + CHUNK]
        patches = (part.reshape(-1, given) @ matrix).reshape(len(part), height, width, 4, 4, made)
        whole = np.zeros((len(part), 2 * height + 2, 2 * width + 2, made), np.float32)
        for ky in range(4):
            for kx in range(4):
                whole[:, ky : ky + 2 * height : 2, kx : kx + 2 * width : 2] += patches[:, :, :, ky, kx]
        result[start : start + CHUNK] = whole[:, 1:-1, 1:-1]
    return result
