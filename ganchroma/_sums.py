"""Sums that come out the same in any order: fixed-point numbers in integer limbs.

A number is the sum of limb[k] * 2^(32 k - FRACTION_BITS) over `LIMBS` signed 64-bit limbs, so two numbers are added
limb by limb (a plain sum over processes is right too) and rounding happens once, when a number is read.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

LIMBS = 8
FRACTION_BITS = 96
_WORD = 32
LARGEST = 2**180  # a sum of 2^11 of these still fits; nothing an image can mean is larger


def zeros(count: int) -> NDArray[np.int64]:
    """`count` numbers, all 0: (count, LIMBS)."""
    return np.zeros((count, LIMBS), np.int64)


def from_floats(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """The exact sum over axis 0 of finite float64 (N, Q), as (Q, LIMBS); what lies below 2^-96 is cut off.

    Not normalized.
    """
    rest = np.clip(values, -float(LARGEST), float(LARGEST))
    result = zeros(values.shape[1])
    for k in reversed(range(LIMBS)):
        unit = 2.0 ** (_WORD * k - FRACTION_BITS)
        digits = np.trunc(rest / unit)
        rest = rest - digits * unit
        result[:, k] = digits.astype(np.int64).sum(axis=0)
    return result


def product(a: NDArray[np.float64], b: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """a * b rounded, and what rounding left out: their sum is exact (Dekker 1971), up to about 1e150."""
    split = 2.0**27 + 1
    a_high, b_high = split * a - (split * a - a), split * b - (split * b - b)
    a_low, b_low, rounded = a - a_high, b - b_high, a * b
    return rounded, a_low * b_low - (((rounded - a_high * b_high) - a_low * b_high) - a_high * b_low)


def from_integers(values: NDArray[np.int64], fraction_bits: ArrayLike = 0) -> NDArray[np.int64]:
    """The exact sum over axis 0 of values * 2^-fraction_bits, (N, Q) int64 with 0 to 32 such bits, as (Q, LIMBS).

    Not normalized: several are added first.
    """
    result = zeros(values.shape[1])
    first, shift = np.divmod(FRACTION_BITS - np.broadcast_to(fraction_bits, values.shape[1:]), _WORD)
    numbers, mask = np.arange(values.shape[1]), (1 << (_WORD - shift)) - 1
    for limb, half in ((first, values & 0xFFFFFFFF), (first + 1, values >> _WORD)):
        total = half.sum(axis=0)
        result[numbers, limb] += (total & mask) << shift
        result[numbers, limb + 1] += total >> (_WORD - shift)
    return result


def normalized(limbs: NDArray[np.int64]) -> NDArray[np.int64]:
    """The same numbers with every limb but the last in 0..2^32: equal numbers then have equal limbs."""
    result = limbs.copy()
    while (carried := result[:, :-1] >> _WORD).any():
        result[:, :-1] &= 0xFFFFFFFF
        result[:, 1:] += carried
    return result


def to_integers(limbs: NDArray[np.int64]) -> list[int]:
    """Each number times 2^96, exactly."""
    return [sum(int(limb) << (_WORD * k) for k, limb in enumerate(row)) for row in limbs]
