"""What `ChromaStats` found, in numbers to read."""

from dataclasses import dataclass, fields
from typing import Any

from ganchroma.moments import ColorMoments, json_number


@dataclass(frozen=True)
class ChromaSummary:
    """Colour of a set of images; NaN wherever there was nothing to measure.

    Where no pixel was finite the measures of the display are NaN too; otherwise NaN counts there as black.

    Attributes
    ----------
    images, pixels : int
        How many were seen.
    nonfinite : int
        Pixels with a NaN or infinite value: left out of the moments and extremes.
    value_range : (float, float)
    within : ColorMoments
        Each image's own mean removed, pooled: what reference values elsewhere mean by colour statistics.
    between : ColorMoments
        Covariance of the images' means (weighted by pixels): total - within.
    total : ColorMoments
        About the mean of all pixels.
    fixed : ColorMoments or None
        The pattern that all images share: covariance over positions of the mean image, without what the finite number
        of images would leave there by chance. None for images of different sizes, of more than 1024 x 1024 pixels, or
        for fewer than two.
    colorfulness, colorfulness_variant : float
        Mean over images of Hasler and Suesstrunk's M3 on 8-bit levels, by the paper and with absolute values.
    chroma : float
        Mean CIELAB C*ab over pixels, on 8-bit levels.
    gray_pixel_share : float
        Share of pixels whose channels differ by at most 1 level.
    gray_pixel_shares : (float, float, float)
        The same for tolerances of 0, 1 and 2 levels.
    gray_images : float
        Share of images with more than 99 % of their pixels gray within 2 levels.
    clipped_share : (float, float)
        Shares of the values that are 0 and 255 on display.
    near_end_share : float
        Share of the values within 1 % of an end of the range or beyond it, before quantisation.
    minimum, maximum : float
        Of all finite values, in units of `value_range`.

    Examples
    --------
    >>> import numpy as np
    >>> import ganchroma as gch
    >>> rng = np.random.default_rng(0)
    >>> print(gch.ChromaStats().update(rng.integers(0, 256, (8, 3, 32, 32), np.uint8)).summary())
    8 images, 8,192 pixels, values 0 to 255 of 0 to 255
    ...
    gray pixels 0.0%, gray images 0.0%, at 0 0.4%, at 255 0.4%, near an end 2.5%
    """

    images: int
    pixels: int
    nonfinite: int
    value_range: tuple[float, float]
    within: ColorMoments
    between: ColorMoments
    total: ColorMoments
    fixed: ColorMoments | None
    colorfulness: float
    colorfulness_variant: float
    chroma: float
    gray_pixel_share: float
    gray_pixel_shares: tuple[float, float, float]
    gray_images: float
    clipped_share: tuple[float, float]
    near_end_share: float
    minimum: float
    maximum: float

    def to_dict(self) -> dict[str, Any]:
        """Numbers, lists and dictionaries that `json.dumps` takes; NaN becomes None."""
        result: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, ColorMoments):
                result[field.name] = value.to_dict()
            elif value is None or isinstance(value, int):
                result[field.name] = value
            else:
                result[field.name] = json_number(value)
        return result

    def __str__(self) -> str:
        low, high = self.value_range
        lines = [
            f"{self.images:,} images, {self.pixels:,} pixels, values {self.minimum:.4g} to {self.maximum:.4g} "
            f"of {low:g} to {high:g}",
            f"{'':16s}{'std (levels)':>14s}{'gray share':>12s}{'corr RG':>9s}{'RB':>7s}{'GB':>7s}{'rank':>7s}"
            f"{'angle':>7s}",
        ]
        for name in ("within", "between", "fixed", "total"):
            moments = getattr(self, name)
            if moments is not None:
                pairs = moments.correlation
                lines.append(
                    f"{name + ('-image' if name == 'within' else ''):16s}{moments.std_levels:14.2f}"
                    f"{moments.achromatic_share:12.3f}{pairs[0]:9.2f}{pairs[1]:7.2f}{pairs[2]:7.2f}"
                    f"{moments.effective_rank:7.2f}{moments.gray_angle_degrees:7.1f}"
                )
        dark, bright = self.clipped_share
        lines += [
            f"colourfulness M3 {self.colorfulness:.1f} (variant {self.colorfulness_variant:.1f}), chroma C*ab "
            f"{self.chroma:.1f}",
            f"gray pixels {self.gray_pixel_share:.1%}, gray images {self.gray_images:.1%}, at 0 {dark:.1%}, at 255 "
            f"{bright:.1%}, near an end {self.near_end_share:.1%}",
        ]
        if self.nonfinite:
            lines.append(f"{self.nonfinite:,} pixels with NaN or infinite values")
        return "\n".join(lines)
