"""The C core. Private: positional arguments, prepared arrays."""

from typing import Any

from numpy.typing import NDArray

Activation = tuple[int, float, float]

# runtime
def isa() -> str: ...
def available_isas() -> tuple[str, ...]: ...
def select_isa(name: str, /) -> None: ...
def default_threads() -> int: ...
def has_openmp() -> bool: ...

# activation
def activate(x: NDArray[Any], activation: Activation, out: NDArray[Any], threads: int, /) -> None: ...
def activate_backward(
    grad: NDArray[Any], x: NDArray[Any], activation: Activation, out: NDArray[Any], threads: int, /
) -> None: ...

# rng
def rng_uniform(key: int, draw: int, low: float, high: float, out: NDArray[Any], threads: int, /) -> None: ...
def rng_normal(key: int, draw: int, mean: float, std: float, out: NDArray[Any], threads: int, /) -> None: ...
def rng_words(key: int, draw: int, group: int, out: NDArray[Any], /) -> None: ...

# rng, PyTorch's
def rng_torch_seed(state: NDArray[Any], seed: int, /) -> None: ...
def rng_torch_uniform(state: NDArray[Any], capability: int, low: float, high: float, out: NDArray[Any], /) -> None: ...
def rng_torch_normal(
    state: NDArray[Any], capability: int, mean: float, std: float, out: NDArray[Any], threads: int, /
) -> None: ...
def rng_torch_shuffle(state: NDArray[Any], order: NDArray[Any], /) -> None: ...

# spectral
def orthonormalize(matrix: NDArray[Any], /) -> float: ...
def spectral_sigma(matrix: NDArray[Any], /) -> float: ...
def spectral_sigma_of_plain(array: Any, dim: Any, /) -> float | None: ...
def spectral_power(
    matrix: NDArray[Any], u: NDArray[Any], v: NDArray[Any], steps: int, u_first: int, eps: float, threads: int, /
) -> float: ...

# frequency response
def frequency_gram(filters: NDArray[Any], gram: NDArray[Any], threads: int, /) -> None: ...
def frequency_values(
    gram: NDArray[Any],
    lines: NDArray[Any],
    columns: NDArray[Any],
    values: NDArray[Any],
    vectors: NDArray[Any] | None,
    height: int,
    threads: int,
    /,
) -> None: ...
def frequency_peaks(
    gram: NDArray[Any], lines: NDArray[Any], columns: NDArray[Any], peaks: NDArray[Any], threads: int, /
) -> None: ...

# convolutions
Geometry = tuple[int, int, int, int, int, int, int, int, int, int, int, int]

def conv(
    x: NDArray[Any],
    weight: NDArray[Any],
    bias: NDArray[Any] | None,
    channel_scale: NDArray[Any] | None,
    out: NDArray[Any] | None,
    moments: NDArray[Any] | None,
    geometry: Geometry,
    activation: Activation,
    output_scale: float,
    threads: int,
    /,
) -> None: ...
def conv_plain(
    transposed: bool,
    x: Any,
    weight: Any,
    bias: Any,
    out: Any,
    stride: Any,
    padding: Any,
    output_padding: Any,
    dilation: Any,
    padding_mode: Any,
    activation: Any,
    output_scale: Any,
    layout: Any,
    /,
) -> NDArray[Any] | None: ...
def conv_backward(
    grad_output: NDArray[Any],
    x: NDArray[Any],
    weight: NDArray[Any],
    channel_scale: NDArray[Any] | None,
    grad_input: NDArray[Any] | None,
    grad_weight: NDArray[Any] | None,
    grad_bias: NDArray[Any] | None,
    geometry: Geometry,
    output_scale: float,
    threads: int,
    /,
) -> None: ...

# color
def color_convert(
    images: NDArray[Any], out: NDArray[Any], space: int, low: float, high: float, threads: int, /
) -> None: ...
def color_quantize(
    images: NDArray[Any], out: NDArray[Any], low: float, high: float, rule: int, threads: int, /
) -> None: ...
def color_moments(images: NDArray[Any], records: NDArray[Any], opponent: int, threads: int, /) -> None: ...

# stats
def stats_levels(
    images: NDArray[Any],
    records: NDArray[Any],
    extremes: NDArray[Any],
    low: float,
    high: float,
    rule: int,
    every: int,
    threads: int,
    /,
) -> None: ...
def stats_positions(
    images: NDArray[Any], use: NDArray[Any], sums: NDArray[Any], low: float, high: float, threads: int, /
) -> None: ...
