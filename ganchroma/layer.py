"""The output layer of a generator as one immutable object: what turns features into R, G, B."""

from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from ganchroma._arrays import as_array, check_flag
from ganchroma._geometry import Geometry, IntPair, PaddingLike, Pads, Pair, check_pair
from ganchroma._images import is_value_range
from ganchroma.activation import ActivationLike, activate, activation_name, parse_activation
from ganchroma.conv import Array, Head, forward, make_head, records
from ganchroma.stats import ColorMoments

LINEAR = parse_activation("linear")


class OutputLayer:
    """The last layer: ``activation(output_scale * conv(x * channel_scale, weight) + bias)``.

    Checked when it is made and immutable from then on; the arrays are read-only copies. `replace` makes another one.

    Parameters
    ----------
    weight : array (O, C, kh, kw) of float16, float32 or float64; transposed: (C, O, kh, kw)
    bias : array (O,), optional
    transposed : bool
        Whether it is a transposed convolution.
    stride, padding, padding_mode, dilation, activation, channel_scale, output_scale
        As in `conv2d`; for a transposed layer, and `output_padding`, as in `conv_transpose2d`.

    Attributes
    ----------
    weight, bias, channel_scale : array or None
        Read-only.
    stride, dilation, output_padding, kernel_size : (int, int)
        Height and width.
    padding : ((int, int), (int, int))
        (top, bottom), (left, right).

    Raises
    ------
    TypeError, ValueError
        As `conv2d` and `conv_transpose2d`.

    Examples
    --------
    >>> import ganchroma as gch
    >>> layer = gch.OutputLayer(np.full((3, 8, 3, 3), 0.01), padding=1)
    >>> layer
    OutputLayer(8, 3, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1), bias=False, activation='tanh')
    >>> x = np.ones((2, 8, 16, 16))
    >>> layer(x).shape
    (2, 3, 16, 16)
    >>> layer.moments(x).mean.round(3)
    array([0.575, 0.575, 0.575])
    >>> layer.replace(activation="sigmoid").value_range
    (0.0, 1.0)
    """

    __slots__ = (
        "_given",
        "_head",
        "activation",
        "bias",
        "channel_scale",
        "dilation",
        "kernel_size",
        "output_padding",
        "output_scale",
        "padding",
        "padding_mode",
        "stride",
        "transposed",
        "weight",
    )

    weight: Array
    bias: Array | None
    transposed: bool
    stride: Pair
    padding: Pads
    output_padding: Pair
    padding_mode: str
    dilation: Pair
    activation: ActivationLike
    channel_scale: Array | None
    output_scale: float
    kernel_size: Pair
    _head: Head
    _given: dict[str, Any]

    def __init__(
        self,
        weight: Any,
        bias: Any = None,
        *,
        transposed: bool = False,
        stride: IntPair = 1,
        padding: PaddingLike = 0,
        output_padding: IntPair = 0,
        padding_mode: str = "zeros",
        dilation: IntPair = 1,
        activation: ActivationLike = "tanh",
        channel_scale: Any = None,
        output_scale: float = 1.0,
    ) -> None:
        checked = make_head(
            weight,
            bias,
            check_flag(transposed, "transposed"),
            stride,
            padding,
            output_padding,
            padding_mode,
            dilation,
            activation,
            channel_scale,
            output_scale,
        )
        head = checked._replace(
            weight=_frozen(checked.weight), bias=_frozen(checked.bias), channel_scale=_frozen(checked.channel_scale)
        )
        geometry = head.geometry
        values = {
            "weight": head.weight,
            "bias": head.bias,
            "transposed": geometry.transposed,
            "stride": geometry.stride,
            "padding": geometry.padding,
            "output_padding": geometry.output_padding,
            "padding_mode": geometry.padding_mode,
            "dilation": geometry.dilation,
            "activation": activation,
            "channel_scale": head.channel_scale,
            "output_scale": head.output_scale,
        }
        # "same" stays a word for `replace`: a layer with another kernel is to keep the size too.
        given = {**values, "padding": padding} if isinstance(padding, str) else values
        for name, value in {**values, "kernel_size": geometry.kernel, "_head": head, "_given": given}.items():
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        raise AttributeError(f"an OutputLayer is immutable; make another with layer.replace({name}=...)")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"an OutputLayer is immutable; {name} can't be deleted")

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return _rebuild, (self._given,)

    # -- what it computes -----------------------------------------------------------------------------------------

    def __call__(self, x: Any, *, out: Array | None = None, threads: int | None = None) -> Array:
        """The image, (N, O, H', W'), of features `x`, (N, C, H, W); see `conv2d`."""
        return forward(self._head, x, out=out, threads=threads)

    def linear(self, x: Any, *, out: Array | None = None, threads: int | None = None) -> Array:
        """The same before the activation."""
        return forward(self._linear, x, out=out, threads=threads)

    def activate(self, linear_output: Any, *, threads: int | None = None) -> Array:
        """The activation alone, elementwise.

        ``layer.activate(layer.linear(x))`` is ``layer(x)`` to the bit in float32 and float64. In float16 it is rounded
        once more, between the two steps.
        """
        return activate(as_array(linear_output, "linear_output"), self.activation, threads=threads)

    def moments(self, x: Any, linear: bool = False, *, threads: int | None = None) -> ColorMoments:
        """Within-image colour moments of the image of `x`, measured while it is computed; it is never stored.

        Parameters
        ----------
        x : array (N, C, H, W)
        linear : bool
            Measure before the activation.
        threads : int, optional

        Returns
        -------
        ColorMoments
            Of all pixels whose three values are finite: their count, their mean, and the covariance (ddof 0) about
            each image's own mean, in units of `value_range`. A float16 layer is measured in float32, unrounded.

        Raises
        ------
        ValueError
            If the layer has other than 3 filters, `x` does not fit it, or squares of the result overflow float64.
        """
        records = self.image_moments(x, linear, threads=threads)
        if not np.isfinite(records[records[:, 0] > 0]).all():
            raise ValueError(
                "x gives values whose squares overflow float64 (beyond about 1e150): scale x or the weight"
            )
        return ColorMoments.from_images_records(records, self.value_range)

    def image_moments(self, x: Any, linear: bool = False, *, threads: int | None = None) -> NDArray[np.float64]:
        """One record an image, (N, 11), of the same measurement.

        Columns: count of finite pixels; mean of R, G, B; sums of products of deviations from it RR, RG, RB, GG, GB,
        BB; count of pixels left out because a value is NaN or infinite.
        """
        return records(self._linear if check_flag(linear, "linear") else self._head, x, threads=threads)

    def replace(self, **changes: Any) -> "OutputLayer":
        """A copy with other arguments, named as when the layer is made.

        Examples
        --------
        >>> layer = OutputLayer(np.zeros((3, 8, 5, 5)), padding="same")
        >>> layer.replace(weight=np.zeros((3, 8, 7, 7))).padding
        ((3, 3), (3, 3))
        """
        unknown = [name for name in changes if name not in self._given]
        if unknown:
            raise TypeError(f"replace() got {unknown[0]!r}; accepted: {', '.join(self._given)}")
        return OutputLayer(**{**self._given, **changes})

    # -- what it is -----------------------------------------------------------------------------------------------

    @property
    def _linear(self) -> Head:
        return self._head._replace(activation=LINEAR)

    @property
    def geometry(self) -> Geometry:
        """Where the taps lie: kernel, stride, padding and so on as one tuple."""
        return self._head.geometry

    @property
    def in_channels(self) -> int:
        """Channels of the features."""
        return self._head.in_channels

    @property
    def out_channels(self) -> int:
        """Filters: 3 for R, G, B."""
        return self._head.out_channels

    def output_size(self, size: Pair) -> Pair:
        """Height and width of the image of features with that height and width."""
        return self.geometry.output_size(check_pair(size, "size", 1))

    @property
    def filters(self) -> Array:
        """The weight as (O, C, kh, kw), whether `transposed` or not; read-only."""
        return self.weight.swapaxes(0, 1) if self.transposed else self.weight

    @property
    def value_range(self) -> tuple[float, float]:
        """The values of black and white: of a sigmoid (0, 1), of a clamp its limits if they are a range, or (-1, 1)."""
        name = activation_name(self.activation)
        if name == "sigmoid":
            return 0.0, 1.0
        low, high = self._head.activation[1:] if name == "clamp" else (-1.0, 1.0)
        return (low, high) if is_value_range(low, high) else (-1.0, 1.0)

    def __repr__(self) -> str:
        symmetric = all(before == after for before, after in self.padding)
        padding = tuple(before for before, _ in self.padding) if symmetric else self.padding
        parts = [
            f"{self.in_channels}, {self.out_channels}",
            f"kernel_size={self.kernel_size}",
            f"stride={self.stride}",
        ]
        parts += [f"padding={padding}"] if any(map(any, self.padding)) else []
        parts += [f"output_padding={self.output_padding}"] if any(self.output_padding) else []
        parts += [f"dilation={self.dilation}"] if self.dilation != (1, 1) else []
        parts += ["bias=False"] if self.bias is None else []
        parts += [f"padding_mode={self.padding_mode!r}"] if self.padding_mode != "zeros" else []
        parts += ["transposed=True"] if self.transposed else []
        parts += [f"channel_scale={self.channel_scale.shape}"] if self.channel_scale is not None else []
        parts += [f"output_scale={self.output_scale:g}"] if self.output_scale != 1 else []
        return f"OutputLayer({', '.join(parts)}, activation={self.activation!r})"


def _rebuild(given: dict[str, Any]) -> OutputLayer:
    return OutputLayer(**given)


def _frozen(array: Array | None) -> Any:
    """A read-only copy in native byte order and C order."""
    if array is None:
        return None
    copy = np.array(array, array.dtype.newbyteorder("="), order="C")
    copy.setflags(write=False)
    return copy
