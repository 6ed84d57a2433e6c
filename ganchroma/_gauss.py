"""Gaussian colour through an activation and back: mean and covariance before it <-> mean and covariance after it.

By Gauss-Hermite quadrature, or on a grid where the activation has kinks. Derivatives come from Stein's identity,
E f'(u) = E f(u) x / s for u = m + s x, so that activations need none of their own.
"""

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganchroma.activation import ActivationLike, activate, activation_name

__all__ = ["after", "before", "covariance_before", "positive", "root", "shared_after", "transport"]

Array = NDArray[np.float64]

NODES = 40  # agrees with four million samples to five digits, for tanh at a standard deviation of 1.5
_GRID = np.linspace(-7.5, 7.5, 251)  # for activations with kinks, where a fine grid comes closer: to some 1e-4
_SMOOTH = ("tanh", "sigmoid")
_SHARED = np.linspace(-9, 9, 721)  # of what is tabulated between them, a straight line is .0001 off
_PAIRS = ((0, 1), (0, 2), (1, 2))
_STEPS = 60  # of Newton and of bisection: both are through long before
_LARGEST_STEP = 1.0
_STILL = 1e-6  # standard deviation that stands for none: slopes are quotients by it
_FLAT = 1e-9  # variance of a direction, over the largest, that counts as none


@cache
def _rule(smooth: bool) -> tuple[Array, Array]:
    """Nodes and weights of the standard normal law."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES) if smooth else (_GRID, np.exp(-(_GRID**2) / 2))
    return nodes, weights / weights.sum()


def after(mean: Any, covariance: Any, activation: ActivationLike) -> tuple[Array, Array]:
    """Mean (3,) and covariance (3, 3) of f(u) for u normal with that mean and covariance."""
    mean, covariance = np.asarray(mean, np.float64), np.asarray(covariance, np.float64)
    if activation_name(activation) == "linear":
        return mean, covariance
    std = np.sqrt(np.maximum(np.diag(covariance), 0))
    first, second = _moments(mean, std, activation)[:2]
    result = np.diag(second - first**2)
    for i, j in _PAIRS:
        rho = covariance[i, j] / max(std[i] * std[j], 1e-300)
        result[i, j] = result[j, i] = _product(mean, std, i, j, rho, activation) - first[i] * first[j]
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
    std = np.sqrt(np.maximum(np.diag(shared), 0))
    nodes, weights = _rule(activation_name(activation) in _SMOOTH)
    table = np.zeros((3, len(_SHARED)))  # as functions of m they are smooth, even where f is not
    for weight, mean, variance in parts:
        own = np.sqrt(np.maximum(variance - std**2, 0))
        at = mean[:, np.newaxis] + std[:, np.newaxis] * _SHARED
        table += weight * (activate(at[..., np.newaxis] + own[:, np.newaxis, np.newaxis] * nodes, activation) @ weights)
    nodes, weights = _rule(True)
    result = np.empty((3, 3))
    for i, j in (*_PAIRS, (0, 0), (1, 1), (2, 2)):
        rho = float(np.clip(shared[i, j] / max(std[i] * std[j], 1e-300), -1, 1))
        other = rho * nodes[:, np.newaxis] + np.sqrt(1 - rho**2) * nodes
        left, right = np.interp(nodes, _SHARED, table[i]), np.interp(other, _SHARED, table[j])
        first = weights @ left, weights @ np.interp(nodes, _SHARED, table[j])
        result[i, j] = result[j, i] = (weights * left) @ right @ weights - first[0] * first[1]
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
    nodes, weights = _rule(activation_name(activation) in _SMOOTH)
    std = np.maximum(std, _STILL)
    values = activate(mean[:, np.newaxis] + std[:, np.newaxis] * nodes, activation)
    powers = np.stack([values, values**2], axis=1)  # (3, 2, nodes)
    by_mean = powers @ (weights * nodes) / std[:, np.newaxis]
    by_log_std = powers @ (weights * (nodes**2 - 1))
    first, second = np.asarray(powers @ weights).T
    return first, second, np.stack([by_mean, by_log_std], axis=2)


def _product(mean: Array, std: Array, i: int, j: int, rho: float, activation: ActivationLike) -> float:
    """E f(u_i) f(u_j) for correlation rho."""
    nodes, weights = _rule(activation_name(activation) in _SMOOTH)
    rho = float(np.clip(rho, -1, 1))
    other = rho * nodes[:, np.newaxis] + np.sqrt(1 - rho**2) * nodes
    left = activate(mean[i] + std[i] * nodes, activation)
    right = activate(mean[j] + std[j] * other, activation)
    return float((weights * left) @ right @ weights)


def _correlated(center: Array, std: Array, mean: Array, covariance: Array, activation: ActivationLike) -> Array:
    """The covariance with these standard deviations whose correlations become those of `covariance`."""
    correlation = np.eye(3)
    for i, j in _PAIRS:
        wanted = covariance[i, j] + mean[i] * mean[j]
        low, high = -1.0, 1.0
        for _ in range(_STEPS):  # every activation here rises, so the product rises with the correlation
            middle = (low + high) / 2
            if _product(center, std, i, j, middle, activation) < wanted:
                low = middle
            else:
                high = middle
        correlation[i, j] = correlation[j, i] = (low + high) / 2
    values, vectors = np.linalg.eigh(correlation)
    correlation = (vectors * np.maximum(values, 1e-9)) @ vectors.T  # three right correlations may not fit together
    return np.asarray(correlation * np.outer(std, std))
