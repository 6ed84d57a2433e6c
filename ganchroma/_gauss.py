"""Gaussian colour through an activation and back: mean and covariance before it <-> mean and covariance after it.

By sums over nodes: evenly spaced where the activation has kinks, and for smooth ones evenly in arsinh u, close where
they bend however wide the law is. Derivatives come from Stein's identity, E f'(u) = E f(u) x / s for u = m + s x, so
that activations need none of their own.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganchroma.activation import ActivationLike, activate, activation_name

__all__ = ["after", "before", "covariance_before", "positive", "root", "shared_after", "transport"]

Array = NDArray[np.float64]
Function = Callable[[Array], Any]

NODES = 41  # of smooth ones: some 1e-6 of the variance, at a standard deviation of 1000 1e-4
_REACH = 7.5
_GRID = np.linspace(-_REACH, _REACH, 251)  # for activations with kinks, where a fine grid comes closer: to some 1e-4
_SMOOTH = ("tanh", "sigmoid")
_TABLE = 361  # nodes: of what is tabulated between them, a straight line is .0002 off
_PAIRS = ((0, 1), (0, 2), (1, 2))
_STEPS = 40  # of Newton and of bisection: both are through long before
_LARGEST_STEP = 1.0
_STILL = 1e-6  # standard deviation that stands for none: slopes are quotients by it
_FLAT = 1e-9  # variance of a direction, over the largest, that counts as none


def after(mean: Any, covariance: Any, activation: ActivationLike) -> tuple[Array, Array]:
    """Mean (3,) and covariance (3, 3) of f(u) for u normal with that mean and covariance."""
    mean, covariance = np.asarray(mean, np.float64), np.asarray(covariance, np.float64)
    if activation_name(activation) == "linear":
        return mean, covariance
    std = np.sqrt(np.maximum(np.diag(covariance), 0))
    first, second = _moments(mean, std, activation)[:2]
    result = np.diag(second - first**2)
    function, smooth = partial(activate, activation=activation), activation_name(activation) in _SMOOTH
    for i, j in _PAIRS:
        rho = covariance[i, j] / max(std[i] * std[j], 1e-300)
        product = _product([function] * 2, mean[[i, j]], std[[i, j]], rho, smooth)
        result[i, j] = result[j, i] = product - first[i] * first[j]
    return first, result


def before(mean: Any, covariance: Any, activation: ActivationLike) -> tuple[Array, Array]:
    """The mean and covariance that `after` maps to these.

    Raises
    ------
    ValueError
        If none does: the activation does not reach so far.
    """
    mean, covariance = np.asarray(mean, np.float64), np.asarray(covariance, np.float64)
    if activation_name(activation) == "linear":
        return mean, covariance
    center, std = mean.copy(), np.sqrt(np.diag(covariance))
    wanted = np.stack([mean, np.diag(covariance) + mean**2])
    scale = np.sqrt(np.diag(covariance))
    close = np.maximum(1e-10, 1e-14 * np.stack([np.abs(mean) / scale, (mean / scale) ** 2]))  # rounding of E f, E f^2
    for _ in range(_STEPS):
        *values, slopes = _moments(center, std, activation)
        miss = np.stack(values) - wanted
        if (np.abs(miss / np.stack([scale, scale**2])) < close).all():
            return center, _correlated(center, std, mean, covariance, activation)
        step = np.linalg.solve(slopes, miss.T[:, :, np.newaxis])[:, :, 0]
        step = np.clip(step, -_LARGEST_STEP, _LARGEST_STEP)
        center, std = center - step[:, 0], std * np.exp(-step[:, 1])
    raise ValueError(f"no values before {activation!r} have mean {mean.round(3)} and std {scale.round(3)} after it")


def covariance_before(center: Any, covariance: Any, activation: ActivationLike) -> Array:
    """The covariance about a given mean before the activation that makes this covariance after it, or the nearest."""
    center, wanted = np.asarray(center, np.float64), np.array(covariance, np.float64)
    if activation_name(activation) == "linear":
        return wanted
    low, high = np.full(3, -12.0), np.full(3, 12.0)  # log std
    for _ in range(_STEPS):
        middle = (low + high) / 2
        first, second = _moments(center, np.exp(middle), activation)[:2]
        more = second - first**2 < np.diag(wanted)
        low, high = np.where(more, middle, low), np.where(more, high, middle)
    std = np.exp((low + high) / 2)
    return _correlated(center, std, _moments(center, std, activation)[0], wanted, activation)


def shared_after(parts: list[tuple[float, Array, Array]], shared: Array, activation: ActivationLike) -> Array:
    """Covariance (3, 3) of E[f(u) | m], for m normal with covariance `shared`, which all pixels of an image have in
    common, and u = mean + m + what is its own; of one of the parts (weight, mean, variance of u)."""
    if activation_name(activation) == "linear":
        return shared
    smooth = activation_name(activation) in _SMOOTH
    std = np.sqrt(np.maximum(np.diag(shared), 0))
    center = np.average([mean for _, mean, _ in parts], axis=0, weights=[weight for weight, _, _ in parts])
    at = center[:, np.newaxis] + std[:, np.newaxis] * _nodes(center, std, True, _TABLE)[0]
    table = np.zeros_like(at)  # as functions of m they are smooth, even where f is not
    for weight, mean, variance in parts:
        own = np.sqrt(np.maximum(variance - std**2, 0))
        moved = at + (mean - center)[:, np.newaxis]
        table += weight * _expected(partial(activate, activation=activation), moved, own[:, np.newaxis], smooth)
    made = [partial(np.interp, xp=at[i], fp=table[i]) for i in range(3)]
    first = [_expected(made[i], center[i], std[i], True) for i in range(3)]
    result = np.empty((3, 3))
    for i, j in (*_PAIRS, (0, 0), (1, 1), (2, 2)):
        rho = shared[i, j] / max(std[i] * std[j], 1e-300)
        product = _product((made[i], made[j]), center[[i, j]], std[[i, j]], rho, True)
        result[i, j] = result[j, i] = product - first[i] * first[j]
    return result


def transport(source: Array, aim: Array) -> Array:
    """The symmetric matrix A with A source A = aim that is nearest to doing nothing.

    It is the optimal transport between Gaussian laws with these covariances. Where the source has a direction without
    variance, it is that from a source with next to none there.
    """
    values, vectors = np.linalg.eigh(source)
    if not values[-1] > 0:
        return np.eye(3)
    roots = np.sqrt(np.maximum(values, _FLAT * values[-1]))
    half, back = (vectors * roots) @ vectors.T, (vectors / roots) @ vectors.T
    return np.asarray(back @ root(half @ aim @ half) @ back)


def root(matrix: Array) -> Array:
    """The symmetric square root; what rounding made negative counts as zero."""
    values, vectors = np.linalg.eigh(matrix)
    return np.asarray((vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T)


def positive(matrix: Array) -> Array:
    """The nearest covariance: symmetric, without negative variance."""
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    return np.asarray((vectors * np.maximum(values, 0)) @ vectors.T)


def _moments(mean: Array, std: Array, activation: ActivationLike) -> tuple[Array, Array, Array]:
    """E f(u), E f(u)^2, and their derivatives by (mean, log std): (3,), (3,), (3, 2, 2)."""
    std = np.maximum(std, _STILL)
    nodes, weights = _nodes(mean, std, activation_name(activation) in _SMOOTH)
    values = activate(mean[:, np.newaxis] + std[:, np.newaxis] * nodes, activation)
    powers = np.stack([values, values**2], axis=1) * weights[..., np.newaxis, :]  # (3, 2, nodes)
    by_mean = (powers @ nodes[..., np.newaxis])[..., 0] / std[:, np.newaxis]
    by_log_std = (powers @ (nodes**2 - 1)[..., np.newaxis])[..., 0]
    first, second = powers.sum(axis=-1).T
    return first, second, np.stack([by_mean, by_log_std], axis=2)


def _product(functions: Sequence[Function], mean: Array, std: Array, rho: float, smooth: bool) -> float:
    """E f(u) g(v) for correlation rho."""
    rho = float(np.clip(rho, -1, 1))
    wide, other = (0, 1) if std[0] >= std[1] else (1, 0)  # the outer nodes are for the one that bends more sharply
    nodes, weights = _nodes(mean[wide], std[wide], smooth)
    about = mean[other] + rho * std[other] * nodes
    inner = _expected(functions[other], about, np.sqrt(1 - rho**2) * std[other], smooth)
    return float((weights * functions[wide](mean[wide] + std[wide] * nodes)) @ inner)


def _expected(function: Function, mean: Any, std: Any, smooth: bool) -> Array:
    """E f(u) for each mean and standard deviation."""
    nodes, weights = _nodes(mean, std, smooth)
    values = function(np.asarray(mean)[..., np.newaxis] + np.asarray(std)[..., np.newaxis] * nodes)
    return np.asarray(np.einsum("...i,...i->...", values, weights))


def _nodes(mean: Any, std: Any, smooth: bool, count: int = NODES) -> tuple[Array, Array]:
    """Nodes x of the standard normal law for u = mean + std x, and their weights, (..., nodes)."""
    if not smooth:
        weights = np.exp(-(_GRID**2) / 2)
        return np.asarray(_GRID), weights / weights.sum()
    middle = np.arcsinh(mean)
    low, high = (np.arcsinh(mean + reach * std) - middle for reach in (-_REACH, _REACH))
    steps = low[..., np.newaxis] + (high - low)[..., np.newaxis] * np.linspace(0, 1, count)
    middle, std = middle[..., np.newaxis], np.maximum(std, 1e-300)[..., np.newaxis]
    end = np.exp(middle + steps)  # u = (end - 1 / end) / 2; less the mean, without its rounding:
    nodes = np.expm1(steps) * (np.exp(middle) + 1 / end) / 2 / std
    weights = np.exp(-(nodes**2) / 2) * (end + 1 / end)
    return nodes, weights / weights.sum(axis=-1, keepdims=True)


def _correlated(center: Array, std: Array, mean: Array, covariance: Array, activation: ActivationLike) -> Array:
    """The covariance with these standard deviations whose correlations become those of `covariance`."""
    correlation = np.eye(3)
    function, smooth = partial(activate, activation=activation), activation_name(activation) in _SMOOTH
    size = np.sqrt(np.diag(covariance) + mean**2)
    for i, j in _PAIRS:
        product = partial(_product, [function] * 2, center[[i, j]], std[[i, j]], smooth=smooth)
        wanted = covariance[i, j] + mean[i] * mean[j]
        correlation[i, j] = correlation[j, i] = _solved(product, wanted, 1e-15 * size[i] * size[j])
    values, vectors = np.linalg.eigh(correlation)
    correlation = (vectors * np.maximum(values, 1e-9)) @ vectors.T  # three right correlations may not fit together
    return np.asarray(correlation * np.outer(std, std))


def _solved(product: Callable[[float], float], wanted: float, close: float) -> float:
    """The correlation that makes a product the one wanted, or the nearest: as every activation here rises, so does it.

    By the secant between two ends; the miss of one that stays counts half the next time (Illinois).
    """
    ends, misses = [-1.0, 1.0], [product(-1.0) - wanted, product(1.0) - wanted]
    if not misses[0] < 0 < misses[1]:
        return ends[0] if misses[0] >= 0 else ends[1]
    moved, middle = -1, 0.0
    for _ in range(_STEPS):
        middle = (ends[0] * misses[1] - ends[1] * misses[0]) / (misses[1] - misses[0])
        miss = product(middle) - wanted
        if abs(miss) <= close:
            break
        side = int(miss > 0)
        if side == moved:
            misses[1 - side] /= 2
        ends[side], misses[side], moved = middle, miss, side
    return middle
