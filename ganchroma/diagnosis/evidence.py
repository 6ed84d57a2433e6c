"""What the user holds: checked once, never changed. A remedy answers with new evidence."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganchroma._arrays import FLOATS, as_array, check_flag, check_number, check_word
from ganchroma._images import check_layout, check_value_range, read_images
from ganchroma.activation import activation_name, is_bounded
from ganchroma.color import quantize
from ganchroma.diagnosis.display import Path, Step, find_path, follow, some
from ganchroma.layer import OutputLayer
from ganchroma.stats import ChromaStats, ColorMoments

Array = NDArray[Any]
Range = tuple[float, float]


@dataclass(frozen=True)
class Rerun:
    """What a network makes with faults of its modules put right: whatever of it a diagnosis can follow."""

    layer: OutputLayer | None = None
    features: Any = None
    images: Any = None


@dataclass(frozen=True)
class ModuleFacts:
    """What is known about the network around the head.

    Attributes
    ----------
    batchnorm : str
        "train", "eval" or "none": where the hidden layers take their statistics from.
    untouched : bool
        Whether BatchNorm's running statistics are still the initial zeros and ones.
    rerun : callable, optional
        Takes the set of faults to put right, of "batchnorm" (training mode) and "spectral_norm" (one training forward),
        and returns the head's features for the same latents, or a `Rerun`.
    untouched_layers : tuple of str
        Names of the layers with such statistics.
    spectral_norm : float, optional
        Smallest u.Wv / sigma of the spectrally normalised layers in evaluation mode: what is divided by, over the norm.
    spectral_layer : str
        Name of the layer that has it.
    not_finite : str
        Where NaN or infinite values begin, if such came out: the rest of a sentence about them.

    Raises
    ------
    TypeError, ValueError
        If one of them is something else.

    Examples
    --------
    >>> import ganchroma as gch
    >>> G, z = gch.demo.Generator(rng=0), gch.init.normal((2, 100), rng=1)
    >>> facts = gch.ModuleFacts("eval", untouched=True, rerun=lambda faults: G.features(z, training=True))
    >>> found = gch.diagnose(layer=G.head, features=G.features(z, training=False), module=facts)
    >>> found.remedies, found.after.display.healthy
    (['batchnorm_eval'], True)
    """

    batchnorm: str = "none"
    untouched: bool = False
    rerun: Callable[[frozenset[str]], Any] | None = None
    untouched_layers: tuple[str, ...] = ()
    spectral_norm: float | None = None
    spectral_layer: str = ""
    not_finite: str = ""

    def __post_init__(self) -> None:
        check_word(self.batchnorm, "batchnorm", ("train", "eval", "none"))
        check_flag(self.untouched, "untouched")
        if self.spectral_norm is not None:
            check_number(self.spectral_norm, "spectral_norm", infinite=True)
        if not (self.rerun is None or callable(self.rerun)):
            raise TypeError(
                f"rerun must be a function of the set of faults to put right, got {type(self.rerun).__name__}"
            )


@dataclass(frozen=True)
class Evidence:
    """Pictures, the head that made them, its features, and the data they should resemble; each may be missing.

    Attributes
    ----------
    images : (N, 3, H, W) array or None
        The pictures as the user holds them. None in evidence that a remedy changed before the display: the pictures
        then follow from the network's image and the path.
    value_range : (low, high)
        Range of `images`.
    open_range : (low, high)
        Range in which values are read that no activation bounds: see `_open_range`.
    layer : OutputLayer or None
    features : (N, C, h, w) array or None
    reference : ColorMoments or None
        The user's data set.
    reference_gray : float or None
        Share of its pictures that is gray, where they were given.
    module : ModuleFacts
    put_right : frozenset of str
        Faults of the modules that were put right by running the network again.
    path : tuple of Step
        How the pictures follow from the network's image.
    unrelated : bool
        Whether pictures were given that do not follow from the features by any path known.
    apart : array, optional
        Those features: what they show is no matter of these pictures.
    single : bool
        Whether the pictures were given as one channel.
    """

    images: Array | None = None
    value_range: Range = (-1.0, 1.0)
    open_range: Range = (-1.0, 1.0)
    layer: OutputLayer | None = None
    features: Array | None = None
    reference: ColorMoments | None = None
    reference_gray: float | None = None
    module: ModuleFacts = ModuleFacts()
    put_right: frozenset[str] = frozenset()
    path: Path = ()
    unrelated: bool = False
    apart: Array | None = None
    single: bool = False

    @cached_property
    def network(self) -> Array | None:
        """activation(head(features)), in the activation's own range; None if it can't be computed."""
        if self.layer is None or self.features is None:
            return None
        return self.layer(self.features)

    @property
    def network_range(self) -> Range:
        """Range of `network`: the activation's own, or where that has none (linear, relu) `open_range`."""
        assert self.layer is not None
        return self.layer.value_range if is_bounded(self.layer.activation) else self.open_range

    @property
    def linear_range(self) -> Range:
        """What the head has to reach before the activation for black and white; a sigmoid bends about 0, at 2."""
        assert self.layer is not None
        return (-2.0, 2.0) if activation_name(self.layer.activation) == "sigmoid" else self.network_range

    def run_again(self, fault: str) -> "Evidence | None":
        """What the network makes with one more fault of its modules put right; None if it can't be run."""
        if self.module.rerun is None or fault in self.put_right:
            return None
        faults = self.put_right | {fault}
        made = self.module.rerun(faults)
        made = made if isinstance(made, Rerun) else Rerun(features=made)
        again = replace(self, put_right=faults)
        if self.computed and made.features is not None:
            layer = self.layer if made.layer is None or fault != "spectral_norm" else made.layer
            assert layer is not None
            return again.with_head(layer=layer, features=_check_features(made.features, layer, "module.rerun()"))
        if self.images is not None and made.images is not None:
            return again.with_images(read_pictures(made.images, self.value_range, "NCHW")[0], self.value_range)
        return None

    @property
    def computed(self) -> bool:
        """Whether head and features are at hand, so that a change in them can be followed to the screen."""
        return self.layer is not None and self.features is not None

    @cached_property
    def picture(self) -> tuple[Array, Range]:
        """What is on the screen, (N, 3, H, W), and its range.

        Raises
        ------
        LookupError
            If neither pictures nor both head and features are at hand.
        """
        if self.images is not None:
            return self.images, self.value_range
        network = self.network
        if network is None or self.layer is None:
            raise LookupError("no picture: neither images nor head and features")
        if not self.path:
            return network, self.network_range
        return follow(self.path, to_levels(network, self.network_range)), (0.0, 255.0)

    @property
    def has_picture(self) -> bool:
        return self.images is not None or self.computed

    @property
    def network_alone(self) -> "Evidence | None":
        """Layer and features without pictures that do not follow from them; None where there are no such pictures."""
        if self.apart is None:
            return None
        return replace(self, images=None, features=self.apart, apart=None, unrelated=False, single=False)

    def with_head(self, *, layer: OutputLayer | None = None, features: Array | None = None) -> "Evidence":
        """The same display path behind another head or other features."""
        return replace(
            self, images=None, layer=layer or self.layer, features=self.features if features is None else features
        )

    def step(self, kind: str) -> Step | None:
        """The step of that kind on the way to the screen, if there is one."""
        return next((step for step in self.path if step.kind == kind), None)

    def without_step(self, kind: str) -> "Evidence":
        """The same network, shown without the step of that kind."""
        return replace(self, images=None, path=tuple(step for step in self.path if step.kind != kind))

    def with_images(self, images: Array, value_range: Range) -> "Evidence":
        """Other pictures; for when nothing but pictures is known."""
        return replace(self, images=images, value_range=value_range)


def to_levels(images: Array, value_range: Range) -> NDArray[np.float32]:
    """Values of a range as 8-bit levels, neither rounded nor clipped."""
    low, high = value_range
    return ((images - np.float32(low)) * np.float32(255 / (high - low))).astype(np.float32)


def collect(
    images: Any = None,
    *,
    layer: Any = None,
    features: Any = None,
    dataset: Any = None,
    value_range: Any = None,
    layout: str = "NCHW",
    module: ModuleFacts | None = None,
) -> Evidence:
    """Check what was given and find out how the pictures follow from the network's image. See `diagnose`."""
    if images is None and layer is None and dataset is None:
        raise TypeError(
            "diagnose needs images, or layer (with features for a full answer), or dataset; got none of them"
        )
    if features is not None and layer is None:
        raise TypeError("features were given without layer; pass layer=OutputLayer(weight, bias, ...) too")
    if layer is not None:
        _check_layer(layer)
    if not isinstance(module, ModuleFacts | None):
        raise TypeError(f"module must be a ModuleFacts, got {type(module).__name__}")
    reference, gray_share = _reference(dataset, value_range, layout)
    stated = None if value_range is None else check_value_range(value_range)
    evidence = Evidence(
        layer=layer,
        module=module or ModuleFacts(),
        reference=reference,
        reference_gray=gray_share,
        open_range=_open_range(layer, stated),
    )
    if features is not None:
        evidence = replace(evidence, features=_check_features(features, layer))
    if images is None:
        return evidence
    pictures, shown_in = read_pictures(images, value_range, layout)
    if pictures.dtype == np.uint8:
        evidence = replace(evidence, open_range=_open_range(layer))
    if evidence.features is not None and len(evidence.features) != len(pictures):
        raise ValueError(
            f"images has {len(pictures)} pictures and features has {len(evidence.features)}; "
            "pass the same batch in the same order"
        )
    single = np.shape(images)[-3 if layout == "NCHW" else -1] == 1
    evidence = replace(evidence, images=pictures, value_range=shown_in, single=single)
    if evidence.network is None:
        return evidence
    network = np.clip(to_levels(some(evidence.network), evidence.network_range), 0, 255)
    levels = quantize(some(pictures), value_range=shown_in)
    made = np.isfinite(some(evidence.network))
    if not made.all():
        network, levels = _numbers_of_both(network, levels, made, np.isfinite(some(pictures)))
    path = find_path(levels, network, single)
    if path is None:
        return replace(evidence, features=None, apart=evidence.features, unrelated=True)
    return replace(evidence, path=path)


def _open_range(layer: OutputLayer | None, stated: Range | None = None) -> Range:
    """The range of values that no activation bounds: the stated one, where the given layer makes such values.

    Otherwise it is the layer's own: what is stated is the range of the pictures then, to which a bounded image may have
    been scaled, and bytes have but one.
    """
    if layer is None:
        return -1.0, 1.0
    return layer.value_range if stated is None or is_bounded(layer.activation) else stated


def _numbers_of_both(network: Array, levels: Array, made: Array, shown: Array) -> tuple[Array, Array]:
    """The network's image and the pictures with 0 where one of them is no number, if all that is none in the pictures
    is none in the network's image, too: the rest shows the way. A padded sum of NaN is NaN here; other programs leave
    the padding out."""
    if made.shape != shown.shape or not (made & shown).any() or shown.all() or (made & ~shown).any():
        return np.where(made, network, np.nan), levels
    return np.where(made & shown, network, 0), np.where(made & shown, levels, 0)


def read_pictures(images: Any, value_range: Any, layout: Any, name: str = "images") -> tuple[Array, Range]:
    """Pictures as (N, 3, H, W) and their range; a single channel is drawn three times, as on the screen."""
    array = as_array(images, name, ndim=(3, 4), dtypes=("uint8", *FLOATS))
    channels = -3 if check_layout(layout) == "NCHW" else -1
    if array.shape[channels] == 1:
        array = np.repeat(array, 3, axis=channels)
    read = read_images(array, value_range, layout, name)
    if not len(read.pixels):
        raise ValueError(f"{name} is empty: shape {array.shape}")
    return read.pixels, read.value_range


def _check_layer(layer: Any) -> None:
    if not isinstance(layer, OutputLayer):
        raise TypeError(
            f"layer must be an OutputLayer, got {type(layer).__name__}; make one: OutputLayer(weight, bias, ...)"
        )
    if layer.out_channels != 3:
        raise ValueError(f"layer must have 3 output channels (R, G, B), got {layer.out_channels}")


def _check_features(features: Any, layer: OutputLayer, name: str = "features") -> Array:
    array = as_array(features, name, ndim=4)
    if array.shape[1] != layer.in_channels:
        raise ValueError(f"{name} must be (N, {layer.in_channels}, h, w) for this layer, got shape {array.shape}")
    if 0 in array.shape:
        raise ValueError(f"{name} is empty: shape {array.shape}")
    dtype = layer.weight.dtype
    return array if array.dtype == dtype else array.astype(dtype)


def _reference(dataset: Any, value_range: Any, layout: str) -> tuple[ColorMoments | None, float | None]:
    """Moments of the data set, and the share of its pictures that is gray, as far as it tells."""
    if dataset is None or isinstance(dataset, ColorMoments):
        return dataset, None
    if isinstance(dataset, ChromaStats):
        summary = dataset.summary()
        return summary.within, summary.gray_images
    array = as_array(dataset, "dataset", ndim=(3, 4), dtypes=("uint8", *FLOATS))
    given = None if array.dtype == np.uint8 else value_range  # bytes beside floats
    pictures, stated = read_pictures(array, given, layout, "dataset")
    stats = ChromaStats(value_range=stated)
    summary = stats.update(pictures).summary()
    return summary.within, summary.gray_images
