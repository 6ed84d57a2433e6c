"""Second-order statistics of colour: what every stage between the features and the screen is compared by."""

import math
import operator
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganchroma._arrays import refuse_masked, shown, tensor_hint
from ganchroma._images import check_value_range

GRAY_AXIS = np.full(3, 1 / math.sqrt(3))
_ROUNDING = 1e-13  # relative to the mean: deviations below it are what is left of a constant after summing it in double
_PAIRS = ((0, 1), (0, 2), (1, 2))
_SCATTER = np.array([[0, 1, 2], [1, 3, 4], [2, 4, 5]])  # where RR, RG, RB, GG, GB, BB stand in the matrix


@dataclass(frozen=True, eq=False, repr=False)
class ColorMoments:
    """Mean and covariance of R, G, B over the pixels of some images.

    Unless it says otherwise the covariance is within-image: each image's own mean is removed before pooling.

    Parameters
    ----------
    count : int
        Pixels measured. 0 for moments that are stated, not measured; only then may the rest be NaN (unknown).
    mean : array-like (3,)
        In units of `value_range`, like `covariance`.
    covariance : array-like (3, 3)
        ddof 0. Symmetric and positive semidefinite.
    value_range : (float, float)
        The values of black and white, e.g. (-1, 1) for tanh and (0, 255) for bytes.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type, shape or value.

    Examples
    --------
    >>> import ganchroma as gch
    >>> m = gch.ColorMoments(4096, [0, 0, 0], [[0.04, 0, 0], [0, 0.04, 0], [0, 0, 0.04]], (-1, 1))
    >>> round(m.std_levels, 1), round(m.achromatic_share, 3), round(m.effective_rank, 3)
    (25.5, 0.333, 3.0)
    """

    count: int
    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]
    value_range: tuple[float, float]

    def __post_init__(self) -> None:
        count = _check_count(self.count)
        mean = _check_floats(self.mean, "mean", (3,), count)
        covariance = _check_floats(self.covariance, "covariance", (3, 3), count)
        if np.isfinite(covariance).all():
            covariance = _check_covariance(covariance)
        for name, array in (("mean", mean), ("covariance", covariance)):
            array.setflags(write=False)
            object.__setattr__(self, name, array)
        object.__setattr__(self, "count", count)
        object.__setattr__(self, "value_range", check_value_range(self.value_range))

    @classmethod
    def empty(cls, value_range: tuple[float, float]) -> "ColorMoments":
        """No pixels: count 0, everything else NaN.

        >>> ColorMoments.empty((0, 1)).count
        0
        """
        return cls(0, np.full(3, np.nan), np.full((3, 3), np.nan), value_range)

    @classmethod
    def from_images_records(cls, records: Any, value_range: tuple[float, float]) -> "ColorMoments":
        """Pool one record an image into within-image moments.

        Parameters
        ----------
        records : array-like (N, 11) of float64
            Columns: count of pixels; mean of R, G, B; sums of products of deviations from it RR, RG, RB, GG, GB, BB;
            count of pixels left out as not finite.
        value_range : (float, float)

        Raises
        ------
        TypeError, ValueError
            If `records` has another shape, can't be read as numbers, or counts what is no whole number.

        Examples
        --------
        >>> record = [2, 0.5, 0.5, 0.5, 0.02, 0, 0, 0.02, 0, 0.02, 0]
        >>> ColorMoments.from_images_records([record, record], (0, 1)).std.round(3)
        array([0.1, 0.1, 0.1])
        """
        table = _as_floats(records, "records")
        if table.size == 0:
            table = table.reshape(0, 11)
        if table.ndim != 2 or table.shape[1] != 11:
            raise ValueError(f"records must have shape (N, 11), got {table.shape}")
        counts = table[:, 0]
        if not (np.isfinite(counts) & (counts >= 0) & (counts == np.floor(counts))).all():
            raise ValueError("records must begin with a count of pixels each, a whole number that is not negative")
        table = table[counts > 0]
        count = table[:, 0].sum()
        if count == 0:
            return cls.empty(value_range)
        mean = table[:, 0] @ table[:, 1:4] / count
        return cls(int(count), mean, table[:, 4:10].sum(axis=0)[_SCATTER] / count, value_range)

    # -- what it says ---------------------------------------------------------------------------------------------

    @property
    def variance(self) -> float:
        """Trace of the covariance: the variances of R, G and B added."""
        return float(np.trace(self.covariance))

    @property
    def std(self) -> NDArray[np.float64]:
        """Standard deviation of R, G, B, (3,), in units of `value_range`."""
        std: NDArray[np.float64] = np.sqrt(np.diagonal(self.covariance))
        return std

    @property
    def std_levels(self) -> float:
        """sqrt(variance / 3) in 8-bit levels of the value range, before rounding."""
        low, high = self.value_range
        return math.sqrt(self.variance / 3) * 255 / (high - low)

    @property
    def achromatic_share(self) -> float:
        """Share of the variance along the gray axis: 1 for gray, 1/3 for independent equal channels; NaN if flat."""
        return float(GRAY_AXIS @ self.covariance @ GRAY_AXIS) / self.variance if self._varies else math.nan

    @property
    def correlation(self) -> NDArray[np.float64]:
        """Correlations [RG, RB, GB], each in [-1, 1]; NaN where a channel is constant."""
        std = np.where(np.diagonal(self.covariance) > _negligible(self.mean), self.std, np.nan)
        pairs = [self.covariance[i, j] / (std[i] * std[j]) for i, j in _PAIRS]
        limited: NDArray[np.float64] = np.clip(np.array(pairs), -1, 1)
        return limited

    @property
    def eigenvalues(self) -> NDArray[np.float64]:
        """Of the covariance, largest first, (3,)."""
        if not np.isfinite(self.covariance).all():
            return np.full(3, np.nan)
        values: NDArray[np.float64] = np.maximum(np.linalg.eigvalsh(self.covariance)[::-1], 0)
        return values

    @property
    def effective_rank(self) -> float:
        """exp(entropy of the eigenvalues' shares), 1 to 3; NaN if flat (Roy and Vetterli 2007)."""
        if not self._varies:
            return math.nan
        share = self.eigenvalues / self.eigenvalues.sum()
        share = share[share > 0]
        return float(np.exp(-(share * np.log(share)).sum()))

    @property
    def participation_ratio(self) -> float:
        """(sum of the eigenvalues)^2 / sum of their squares, 1 to 3; NaN if flat."""
        if not self._varies:
            return math.nan
        values = self.eigenvalues
        values = values / values.max()  # squares of very small ones would be 0
        return float(values.sum() ** 2 / (values**2).sum())

    @property
    def gray_angle_degrees(self) -> float:
        """Angle between the main axis of colour and the gray axis, 0 to 90; NaN if flat."""
        if not self._varies:
            return math.nan
        axis = np.linalg.eigh(self.covariance)[1][:, -1]
        along = abs(float(axis @ GRAY_AXIS))
        across = float(np.linalg.norm(np.cross(axis, GRAY_AXIS)))  # the arc cosine alone is blind below 1e-6 degrees
        return math.degrees(math.atan2(across, along))

    @property
    def _varies(self) -> bool:
        return bool(self.variance > _negligible(self.mean).sum())

    # -- what it becomes ------------------------------------------------------------------------------------------

    def to(self, value_range: tuple[float, float]) -> "ColorMoments":
        """The same colours where black and white have other values.

        >>> ColorMoments(1, [0, 0, 0], np.eye(3), (-1, 1)).to((0, 1)).mean
        array([0.5, 0.5, 0.5])
        """
        low, high = self.value_range
        new_low, new_high = check_value_range(value_range)
        scale = (new_high - new_low) / (high - low)
        mean = new_low + (self.mean - low) * scale
        return ColorMoments(self.count, mean, self.covariance * scale**2, (new_low, new_high))

    def merge(self, other: "ColorMoments") -> "ColorMoments":
        """Within-image moments of both sets of images together; also ``a + b``.

        Raises
        ------
        TypeError, ValueError
            If `other` is no ColorMoments, or has another value range.
        """
        if not isinstance(other, ColorMoments):
            raise TypeError(f"other must be a ColorMoments, got {type(other).__name__}")
        if other.value_range != self.value_range:
            raise ValueError(f"other has value_range {other.value_range}; accepted: {self.value_range} (use other.to)")
        if self.count == 0 or other.count == 0:
            return self if other.count == 0 else other
        count = self.count + other.count
        mine, theirs = self.count / count, other.count / count
        covariance = mine * self.covariance + theirs * other.covariance
        return ColorMoments(count, mine * self.mean + theirs * other.mean, covariance, self.value_range)

    def __add__(self, other: object) -> "ColorMoments":
        return self.merge(other) if isinstance(other, ColorMoments) else NotImplemented

    def allclose(self, other: "ColorMoments", *, rtol: float = 1e-9, atol: float = 1e-12) -> bool:
        """Whether both say the same within tolerances; `atol` is in units of the value range's width."""
        if not isinstance(other, ColorMoments):
            raise TypeError(f"other must be a ColorMoments, got {type(other).__name__}")
        low, high = self.value_range
        span = high - low
        return (
            self.count == other.count
            and self.value_range == other.value_range
            and np.allclose(self.mean, other.mean, rtol, atol * span, equal_nan=True)
            and np.allclose(self.covariance, other.covariance, rtol, atol * span**2, equal_nan=True)
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ColorMoments):
            return NotImplemented
        return (
            self.count == other.count
            and self.value_range == other.value_range
            and np.array_equal(self.mean, other.mean, equal_nan=True)
            and np.array_equal(self.covariance, other.covariance, equal_nan=True)
        )

    def __hash__(self) -> int:
        return hash((self.count, self.value_range))

    def to_dict(self) -> dict[str, Any]:
        """Numbers and lists that `json.dumps` takes; NaN becomes None."""
        return {
            "count": self.count,
            "mean": json_number(self.mean),
            "std": json_number(self.std),
            "covariance": json_number(self.covariance),
            "achromatic_share": json_number(self.achromatic_share),
            "correlation": json_number(self.correlation),
            "effective_rank": json_number(self.effective_rank),
            "gray_angle_degrees": json_number(self.gray_angle_degrees),
            "std_levels": json_number(self.std_levels),
            "value_range": list(self.value_range),
        }

    def __repr__(self) -> str:
        mean, std = (" ".join(f"{value:.4g}" for value in values) for values in (self.mean, self.std))
        return (
            f"ColorMoments(count={self.count}, mean=[{mean}], std=[{std}], "
            f"achromatic_share={self.achromatic_share:.3f}, value_range={self.value_range})"
        )


def json_number(value: Any) -> Any:
    """A number, or nested lists of numbers from an array, with None for what is not finite."""
    if isinstance(value, Iterable):
        return [json_number(item) for item in value]
    number = float(value)
    return number if math.isfinite(number) else None


def _negligible(mean: NDArray[np.float64]) -> NDArray[np.float64]:
    return (_ROUNDING * np.abs(mean)) ** 2


def _check_count(count: Any) -> int:
    try:
        number = (
            operator.index(int(count)) if isinstance(count, float) and count.is_integer() else operator.index(count)
        )
    except TypeError:
        raise TypeError(f"count must be an integer, got {shown(count)}") from None
    if not 0 <= number < 2**63:
        raise ValueError(f"count must be at least 0 and below 2**63, got {shown(number)}")
    return number


def _as_floats(value: Any, name: str) -> NDArray[np.float64]:
    """A new array of `value`, which must be made of real numbers."""
    refuse_masked(value, name)
    try:
        given = np.asanyarray(value)  # what it makes of itself may be masked
        refuse_masked(given, f"numpy.asanyarray({name})")
        if given.dtype.kind not in "biufO":
            raise TypeError(f"they are {given.dtype}")
        return np.asarray(given).astype(np.float64)
    except OverflowError:
        raise ValueError(f"{name} is beyond the largest float64, {sys.float_info.max:.4g}") from None
    except (TypeError, ValueError, RuntimeError) as error:
        hint = tensor_hint(value, name)
        raise TypeError(f"{name} can't be read as real numbers: {hint or error}") from None


def _check_floats(value: Any, name: str, shape: tuple[int, ...], count: int) -> NDArray[np.float64]:
    array = _as_floats(value, name)
    if array.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, got {array.shape}")
    if count and not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite where count is not 0, got {array.tolist()}")
    return array


def _check_covariance(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Symmetric to the bit; an error if it's not a covariance within rounding."""
    size = float(np.abs(covariance).max())
    if not np.allclose(covariance, covariance.T, rtol=0, atol=1e-6 * size):
        raise ValueError(f"covariance must be symmetric, got {covariance.tolist()}")
    covariance = covariance / 2 + covariance.T / 2  # the sum of large ones would be infinite
    least = float(np.linalg.eigvalsh(covariance)[0])
    if least < -1e-6 * size:
        raise ValueError(f"covariance must be positive semidefinite, got the eigenvalue {least:g}")
    diagonal = np.diagonal(covariance)
    if (diagonal < 0).any():
        covariance[np.diag_indices(3)] = np.maximum(diagonal, 0)
    return covariance
