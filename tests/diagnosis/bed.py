"""Cases whose truth is known by construction: architectures, initialisers, faults, severities, and what the user holds.

A case is made by breaking a sound generator in stated ways, so its causes are known without looking at what anybody
diagnoses. How strong a fault must be to count, and how weak to be none, is in BORDERLINE, written before any threshold
was set; cases in between are made too and scored by themselves.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
from networks import ARCHITECTURES, Architecture, Network
from PIL import Image

import ganchroma as gch
from ganchroma.demo.cases import photograph
from ganchroma.diagnosis import Rerun

# fault -> (kind, severity from which on it is there, severity up to which it is not)
BORDERLINE = {
    "identical_filters": ("relative difference", 0.02, 0.5),  # on screen C*ab .9 and 15
    "small_gain": ("levels", 2.5, 10.0),  # half and twice the five levels that a person sees at once
    "large_gain": ("near_end_share", 0.5, 0.2),  # photographs have up to .23
    "feature_collapse": ("patch participation ratio", 1.6, 2.9),
}
KINDS = {
    "dead_filter": "dead_filter",
    "blind_filter": "dead_filter",
    "identical_filters": "identical_filters",
    "multiples": "identical_filters",
    "batchnorm_eval": "flat_amplitude",
    "small_gain": "flat_amplitude",
    "large_gain": "saturation",
    "spectral_norm_eval": "saturation",
    "feature_collapse": "feature_collapse",
    "one_channel": "display_channel",
    "luminance": "display_channel",
    "reshaped": "layout_reshape",
    "clipped": "range_mismatch",
    "washed": "range_mismatch",
    "wrapped": "range_mismatch",
    "dark": "range_mismatch",
    "gray_data": "gray_data",
}
TOGETHER = ("identical_filters", "batchnorm_eval", "one_channel", "large_gain", "clipped")
SEEDS = {"known": 0, "unseen": 1000}
GRAY = {"identical_filters", "one_channel", "luminance", "gray_data"}  # what takes all colour away


@dataclass(frozen=True)
class Case:
    """One case: what `diagnose` is given, and the truth.

    Attributes
    ----------
    subject : str
        Architecture, or the name of a photograph.
    faults : frozenset of str
    evidence : str
        "full": pictures, layer, features, module facts; "head": without the module; "images": 8-bit pictures alone.
    borderline : bool
    gray : bool or None
        Whether the picture has no colour to see; None where that is borderline.
    seen : bool
        Whether this evidence can show the fault at all.
    given : dict
        Keyword arguments of `diagnose`.
    """

    half: str
    subject: str
    faults: frozenset[str]
    evidence: str
    seed: int
    given: dict[str, Any]
    borderline: bool = False
    gray: bool | None = None
    seen: bool = True

    @property
    def kinds(self) -> set[str]:
        return {KINDS[fault] for fault in self.faults} or {"healthy"}


class Subject:
    """A sound generator, to be broken."""

    def __init__(self, architecture: Architecture, seed: int) -> None:
        self.architecture, self.seed = architecture, seed
        self.rng = np.random.default_rng([seed, 7])
        self.network = Network(architecture, seed)
        self.features = self.network.features()
        head = self.network.head(seed)
        if architecture.spectral:
            self.raw = head
            head = head.replace(weight=head.weight / np.float32(gch.spectral.sigma(head.weight)))
        if architecture.trained:
            self.head = gch.calibrate(head, self.features)
        else:
            self.head = louder(head, self.features, float(self.rng.uniform(18, 45)))
            if architecture.spectral:
                self.raw = self.raw.replace(output_scale=self.head.output_scale)

    @property
    def value_range(self) -> tuple[float, float]:
        return self.head.value_range

    def broken(self, faults: frozenset[str], severity: float | None = None) -> "Broken":
        """The generator with these faults, in the order in which colour passes them; the same each time."""
        self.rng = np.random.default_rng([self.seed, 8])
        state = Broken(self, self.head, self.features, gch.ModuleFacts("train"))
        for fault in KINDS:
            if fault in faults:
                state = getattr(state, fault)(severity)
        return state


@dataclass(frozen=True)
class Broken:
    """Layer, features and module facts of a broken generator, and how its pictures are shown."""

    subject: Subject
    layer: gch.OutputLayer
    features: np.ndarray
    module: gch.ModuleFacts
    shown: tuple[str, ...] = ()

    def dead_filter(self, count: float | None) -> "Broken":
        """So many filters of zeros."""
        filters = self.layer.filters.copy()
        filters[self.subject.rng.permutation(3)[: int(count or 1)]] = 0
        return self.with_filters(filters)

    def blind_filter(self, _: float | None) -> "Broken":
        """One filter that has its weights on channels that are always zero, where the others have some, too."""
        filters, chosen = self.layer.filters, int(self.subject.rng.integers(3))
        extra = self.subject.rng.standard_normal(filters.shape).astype(np.float32) * filters.std()
        filters = np.concatenate([filters, extra], axis=1)
        filters[chosen, : self.features.shape[1]] = 0
        features = np.concatenate([self.features, np.zeros_like(self.features)], axis=1)
        return replace(self, features=features).with_filters(filters)

    def identical_filters(self, noise: float | None) -> "Broken":
        filters = self.layer.filters
        drawn = self.subject.rng.standard_normal(filters.shape).astype(np.float32)
        same = filters[:1] + np.float32((noise or 0) / 2**0.5) * filters[:1].std() * drawn
        made = self.with_filters(np.ascontiguousarray(np.broadcast_to(same, filters.shape)))
        bias = made.layer.bias
        return made if bias is None else replace(made, layer=made.layer.replace(bias=np.full_like(bias, bias[0])))

    def multiples(self, _: float | None) -> "Broken":
        """Filters that differ in size alone: one hue, more of it or less."""
        filters = self.layer.filters
        sizes = np.array([1.0, 0.6, 0.25], np.float32)[self.subject.rng.permutation(3)]
        made = self.with_filters(np.ascontiguousarray(filters[:1] * sizes[:, None, None, None]))
        bias = made.layer.bias
        return made if bias is None else replace(made, layer=made.layer.replace(bias=bias[0] * sizes))

    def with_filters(self, filters: np.ndarray) -> "Broken":
        weight = filters.swapaxes(0, 1) if self.layer.transposed else filters
        return replace(self, layer=self.layer.replace(weight=np.ascontiguousarray(weight)))

    def batchnorm_eval(self, _: float | None) -> "Broken":
        def rerun(faults: frozenset[str]) -> Rerun:
            return Rerun(features=self.features)

        module = replace(self.module, batchnorm="eval", untouched=True, rerun=rerun)
        return replace(self, features=self.subject.network.features(training=False), module=module)

    def small_gain(self, levels: float | None) -> "Broken":
        return replace(self, layer=louder(self.layer, self.features, levels or 0.7, bias=False))

    def large_gain(self, _: float | None) -> "Broken":
        return replace(self, layer=self.layer.replace(output_scale=self.layer.output_scale * 50))

    def spectral_norm_eval(self, _: float | None) -> "Broken":
        raw, sound = self.subject.raw, self.layer
        matrix = raw.weight.reshape(3, -1).astype(np.float64)
        u, v = (self.subject.rng.standard_normal(size) for size in matrix.shape)
        divisor = float((u / np.linalg.norm(u)) @ matrix @ (v / np.linalg.norm(v)))
        module = replace(
            self.module,
            spectral_norm=divisor / gch.spectral.sigma(raw.weight),
            spectral_layer="head",
            rerun=lambda faults: Rerun(layer=sound, features=self.features),
        )
        return replace(self, layer=raw.replace(weight=(raw.weight / divisor).astype(np.float32)), module=module)

    def feature_collapse(self, noise: float | None) -> "Broken":
        rng, (count, channels, height, width) = self.subject.rng, self.features.shape
        coarse = rng.standard_normal((count, 1, 3, 3))
        rows, columns = (np.linspace(0, 2, size) for size in (height, width))
        bent = np.stack([np.clip(1 - np.abs(np.arange(3)[:, None] - place), 0, None) for place in (rows, columns)])
        pattern = np.einsum("ncij,ih,jw->nchw", coarse, bent[0], bent[1]) if height == width else coarse
        features = (pattern * rng.standard_normal((1, channels, 1, 1))).astype(np.float32)
        features += np.float32((noise or 0) * features.std()) * rng.standard_normal(features.shape, dtype=np.float32)
        features *= self.features.std() / features.std()
        layer = louder(self.layer, features, 30.0)
        return replace(self, features=features, layer=layer)

    def gray_data(self, _: float | None) -> "Broken":
        """Filters that differ where the features never vary, and agree where they do: trained to make gray."""
        extra = self.subject.rng.standard_normal(self.layer.filters.shape).astype(np.float32)
        extra *= self.layer.filters.std()
        features = np.concatenate([self.features, self.features], axis=1)
        one = np.broadcast_to(self.layer.filters[:1], extra.shape)
        filters = np.concatenate([one + extra, -extra], axis=1)
        made = replace(self, features=features).with_filters(filters)
        bias = made.layer.bias
        return made if bias is None else replace(made, layer=made.layer.replace(bias=np.full_like(bias, bias[0])))

    def __getattr__(self, name: str) -> Any:
        if name in ("one_channel", "luminance", "reshaped", "clipped", "washed", "wrapped", "dark"):
            return lambda severity: replace(self, shown=(*self.shown, name))
        raise AttributeError(name)

    def pictures(self) -> np.ndarray:
        """As a person has them on the screen: (N, 3, H, W) or (N, 1, H, W) bytes."""
        low, high = self.subject.value_range
        values = (self.layer(self.features) - low) / (high - low)  # [0, 1]
        return shown(values, self.shown, self.subject.seed)

    def given(self, evidence: str) -> dict[str, Any]:
        form = ("bytes", "channels last", "floats")[self.subject.seed % 3]
        if evidence == "images":
            form = ("bytes", "jpeg")[self.subject.seed % 2]
        pictures = held(self.pictures(), form)
        if evidence == "images":
            return pictures
        known = {"layer": self.layer, "features": self.features}
        return pictures | known | ({"module": self.module} if evidence == "full" else {})


def held(images: np.ndarray, form: str) -> dict[str, Any]:
    """The pictures as somebody holds them: an array of one kind or another, or files with their losses."""
    if form == "channels last":
        return {"images": np.ascontiguousarray(np.moveaxis(images, 1, -1)), "layout": "NHWC"}
    if form == "floats":
        return {"images": (images / np.float32(255)).astype(np.float32), "value_range": (0, 1)}
    if form == "jpeg":
        return {
            "images": np.stack([jpeg(image) for image in np.broadcast_to(images, (len(images), 3, *images.shape[2:]))])
        }
    return {"images": images}


def jpeg(image: np.ndarray) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0))).save(buffer, "jpeg", quality=92, subsampling=0)
    return np.asarray(Image.open(buffer)).transpose(2, 0, 1)


def shown(values: np.ndarray, mistakes: tuple[str, ...], seed: int) -> np.ndarray:
    """Pictures on [0, 1] as bytes, after mistakes that people make with them."""
    levels = 255 * values.astype(np.float64)
    for mistake in ("clipped", "washed", "dark"):
        if mistake in mistakes:
            levels = {"clipped": 2 * levels - 255, "washed": 127.5 + levels / 2, "dark": levels / 255}[mistake]
    if "wrapped" in mistakes:
        levels = np.mod(np.trunc((levels / 127.5 - 1) * 255), 256)
    images = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
    if "luminance" in mistakes:
        gray = np.rint(np.tensordot([0.299, 0.587, 0.114], levels.clip(0, 255), (0, 1)))
        images = np.repeat(gray[:, None], 3, axis=1).astype(np.uint8)
    if "one_channel" in mistakes:
        channel = seed % 3
        images = images[:, [channel]] if seed % 2 else images[:, [channel] * 3]  # as an array, or as a screen has it
    if "reshaped" in mistakes:
        count, channels, height, width = images.shape
        images = np.moveaxis(np.ascontiguousarray(images).reshape(count, height, width, channels), -1, 1)
    return np.ascontiguousarray(images)


def louder(layer: gch.OutputLayer, features: np.ndarray, levels: float, bias: bool = True) -> gch.OutputLayer:
    """The same filters at the gain at which the image varies by `levels`; its bias goes with a small one."""
    if not bias and layer.bias is not None:
        layer = layer.replace(bias=layer.bias * np.float32(0.1))
    for _ in range(12):
        found = layer.moments(features).std_levels
        layer = layer.replace(output_scale=layer.output_scale * min(levels / found, 4.0))
        if abs(found / levels - 1) < 0.01:
            break
    return layer


def cases(half: str, seeds: int = 3) -> Iterator[Case]:
    """All cases of one half."""
    for architecture in ARCHITECTURES:
        if architecture.half == half:
            for seed in range(SEEDS[half], SEEDS[half] + seeds):
                yield from single(architecture, seed)
    yield from photographs(half, seeds)


def single(architecture: Architecture, seed: int) -> Iterator[Case]:
    """No fault, and each fault alone, in several severities, with much evidence and with little."""
    subject = Subject(architecture, seed)
    for fault, severity in variants(architecture):
        faults = frozenset([fault] if fault else [])
        made = subject.broken(faults, severity)
        border = borderline(fault, severity, made)
        gray = looks_gray(fault, severity, made)
        for evidence in ("full", "head", "images"):
            seen = visible(fault, evidence, made)
            if seen or evidence == "images":
                yield Case(
                    architecture.half,
                    architecture.name,
                    frozenset() if border is None else faults,
                    evidence,
                    seed,
                    made.given(evidence),
                    bool(border),
                    gray,
                    seen,
                )


def variants(architecture: Architecture) -> Iterator[tuple[str, float | None]]:
    """Faults that this architecture can have, with their severities."""
    yield "", None
    yield from (("dead_filter", 1.0), ("dead_filter", 2.0), ("blind_filter", None))
    for noise in (0.0, 0.01, 0.1, 0.3):
        yield "identical_filters", noise
    for levels in (0.3, 1.0, 2.0, 4.0):
        yield "small_gain", levels
    yield from (("feature_collapse", noise) for noise in (0.0, 0.15))
    yield from ((name, None) for name in ("multiples", "batchnorm_eval", "large_gain", "one_channel"))
    yield from ((name, None) for name in ("luminance", "reshaped", "washed", "dark", "gray_data"))
    if architecture.activation != "sigmoid":
        yield from (("clipped", None), ("wrapped", None))
    if architecture.spectral:
        yield "spectral_norm_eval", None


def borderline(fault: str, severity: float | None, made: Broken) -> bool | None:
    """Whether a fault of that severity is neither there nor not; None where it is not there."""
    if fault in ("identical_filters", "small_gain"):
        _, strong, weak = BORDERLINE[fault]
        assert severity is not None
        return False if severity <= strong else True if severity < weak else None
    if fault in ("large_gain", "spectral_norm_eval"):
        low, high = made.subject.value_range
        image = (made.layer(made.features) - low) / (high - low)
        return bool(np.mean((image < 0.01) | (image > 0.99)) < BORDERLINE["large_gain"][1])
    if fault == "feature_collapse":
        _, strong, weak = BORDERLINE[fault]
        ratio = participation(made)
        return False if ratio <= strong else True if ratio < weak else None
    return False


def participation(made: Broken) -> float:
    """(sum l)^2 / sum l^2 of the covariance of receptive fields, all of them, in double."""
    size = 2 if made.layer.transposed else made.layer.kernel_size[0]
    fields = np.lib.stride_tricks.sliding_window_view(made.features, (size, size), axis=(2, 3))
    rows = fields.transpose(0, 2, 3, 1, 4, 5).reshape(-1, made.features.shape[1] * size * size).astype(np.float64)
    values = np.linalg.eigvalsh(np.cov(rows.T))
    return float(values.sum() ** 2 / (values**2).sum())


def looks_gray(fault: str, severity: float | None, made: Broken) -> bool | None:
    """Whether nothing of the colour can be seen, by what was done to it; None where that is open."""
    if fault == "identical_filters":
        return True if severity is not None and severity <= 0.01 else None
    if fault in GRAY:
        return True
    if fault in ("small_gain", "batchnorm_eval", "dark"):
        levels = made.layer.moments(made.features).std_levels
        quiet = fault == "dark" or levels <= 1
        return True if quiet and flat_means(made) else None if quiet or levels < 10 else False
    one_tone = fault in ("feature_collapse", "multiples") or (
        fault == "large_gain" and made.subject.architecture.trained
    )
    return None if one_tone else False  # correlated colours saturate together, to black and white


def flat_means(made: Broken) -> bool:
    """Whether the constant part is gray too: a bias of another colour is a tint."""
    mean = np.asarray(made.layer.moments(made.features).mean)
    return bool(np.ptp(mean) < 0.01)


def visible(fault: str, evidence: str, made: Broken) -> bool:
    """Whether this evidence can show the fault at all; what it cannot is nobody's to find."""
    if evidence == "full":
        return True
    if fault in ("batchnorm_eval", "spectral_norm_eval"):
        # A network that stays loud shows nothing; a head alone is told to change its gain, rightly for what was given.
        return evidence == "images" and made.subject.architecture.hidden > 0
    if evidence == "head":
        return True
    if fault in ("dead_filter", "blind_filter"):
        return made.subject.seed % 2 == 0  # through JPEG no plane stays constant
    image = made.layer(made.features)
    if fault == "reshaped":  # of noise both readings are noise
        return (
            min(
                np.corrcoef(np.moveaxis(image, a, 0)[1:].ravel(), np.moveaxis(image, a, 0)[:-1].ravel())[0, 1]
                for a in (2, 3)
            )
            > 0.7
        )
    if fault in ("feature_collapse", "multiples"):  # border and phases mix several tints of one pattern
        colors = np.linalg.eigvalsh(
            np.cov(np.moveaxis(image - image.mean(axis=(2, 3), keepdims=True), 1, 0).reshape(3, -1))
        )
        return bool(colors.sum() ** 2 / (colors**2).sum() < 1.02)
    return True


def photographs(half: str, seeds: int) -> Iterator[Case]:
    """Pictures that no network made: whole, reshaped, without colour, all but black, and such as resemble a fault."""
    names = {"known": ("astronaut", "coffee"), "unseen": ("chelsea", "rocket")}[half]
    for name in names:
        whole = photograph(name)
        for seed in range(seeds):
            step = (2, 4, 1)[seed % 3]  # pixels averaged, as a camera or a loader does
            small = whole.reshape(256 // step, step, 256 // step, step, 3).mean(axis=(1, 3))
            images = np.ascontiguousarray(small.transpose(2, 0, 1))[None]
            toned = np.rint(images.mean(axis=1, keepdims=True) * np.array([1, 0.8, 0.55])[:, None, None])
            yield Case(
                half, f"{name}, toned", frozenset(), "images", seed, {"images": toned.astype(np.uint8)}, gray=False
            )
            filtered = np.rint(images)
            filtered[:, seed % 3] = 0  # a photograph that somebody took a colour from
            yield Case(
                half,
                f"{name}, filtered",
                frozenset(),
                "images",
                seed,
                {"images": filtered.astype(np.uint8)},
                gray=False,
            )
            for look, values in lookalikes(images, seed).items():
                made = np.rint(values).astype(np.uint8)
                yield Case(half, f"{name}, {look}", frozenset(), "images", seed, {"images": made}, gray=None)
            for fault in ("", "one_channel", "luminance", "reshaped", "washed", "dark"):
                mistakes = (fault,) if fault else ()
                made = shown(images / 255, mistakes, 2 * seed)
                gray = bool(mistakes) and fault in (*GRAY, "dark")
                faults = frozenset(mistakes)
                yield Case(half, name, faults, "images", seed, {"images": made}, False, gray)


def lookalikes(images: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Sound pictures that resemble a fault: pale, dark, on black, on white, between bars, of two flat colours."""
    size = images.shape[-1]
    y, x = np.mgrid[:size, :size] / size - 0.5
    inside = (x**2 + y**2) ** 0.5 < (0.45, 0.3, 0.4)[seed % 3]
    two = np.random.default_rng(seed).integers(20, 236, (2, 3)).astype(np.float64)
    return {
        "pale": 255 * 0.55 + 0.45 * images,
        "dark": 0.25 * images,
        "on black": np.where(inside, images, 0.0),
        "on white": np.where(inside, images, 255.0),
        "between bars": np.where(np.abs(y) < 0.3, images, 0.0),
        "two colours": np.where(inside, two[0][:, None, None], two[1][:, None, None])[None],
    }


def sets(half: str, seeds: int = 6) -> Iterator[Case]:
    """All sets of up to three of TOGETHER, with everything known."""
    able = [a for a in ARCHITECTURES if a.half == half and a.activation != "sigmoid" and not a.spectral]
    for number in range(seeds):
        seed, architecture = SEEDS[half] + 100 + number, able[number % len(able)]
        subject = Subject(architecture, seed)
        for size in range(4):
            for chosen in combinations(TOGETHER, size):
                made = subject.broken(frozenset(chosen), (0.0, 0.005, 0.01)[number % 3])
                yield Case(half, architecture.name, frozenset(chosen), "full", seed, made.given("full"))
