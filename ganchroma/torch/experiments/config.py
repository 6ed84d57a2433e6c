"""What an experiment varies: one frozen set of settings is one training run."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from ganchroma._arrays import check_integer, check_number, shown
from ganchroma._files import check_path

__all__ = ["Config", "check_seed", "check_share"]

_CHOICES = {
    "init": ("standard", "identical", "fill", "unit_sigma", "calibrated"),
    "optimizer": ("adam", "sgd"),
    "activation": ("tanh", "sigmoid"),
    "spectral_norm": (None, "parametrization", "legacy"),
}
_LEAST = {"steps": 1, "batch": 2, "width": 1, "discriminator_width": 1, "discriminator_steps": 1}
_FASTEST = 1e38  # twice this is still a float32: Adam's first step
_SEEDS = 2**64  # PyTorch's generators take seeds below this


def check_seed(value: Any, name: str = "seed") -> int:
    """An integer that PyTorch takes as a seed, or an error that names it."""
    seed = check_integer(value, name, 0)
    if seed >= _SEEDS:
        raise ValueError(f"{name} must be below 2**64, got {shown(seed)}")
    return seed


def check_share(value: Any, name: str) -> float:
    """A number from 0 to 1, or an error that names it."""
    share = check_number(value, name)
    if not 0 <= share <= 1:
        raise ValueError(f"{name} must be in [0, 1], got {value}")
    return share


@dataclass(frozen=True, kw_only=True)
class Config:
    """One training run of a small DCGAN on 32x32 crops of photographs.

    Parameters
    ----------
    steps : int
        Updates of the generator.
    batch : int
        Pictures an update.
    width : int
        Channels before the generator's head, and after the discriminator's first layer.
    init : "standard", "identical", "fill", "unit_sigma" or "calibrated"
        Of the head: N(0, .02); one such filter three times; every weight 1.0; N(0, .02) divided by its largest singular
        value, as loud as spectral norm makes it; as `ganchroma.torch.calibrate_` makes it, with the colours of
        photographs.
    optimizer : "adam" or "sgd"
        Of the generator: Adam with betas (.5, .999), or plain SGD. The discriminator's is Adam.
    lr : float
        The generator's learning rate.
    discriminator_width : int, optional
        Channels after the discriminator's first layer, if not `width`.
    discriminator_lr : float
        0 freezes it.
    discriminator_steps : int
        Its updates for each of the generator's.
    gray_share : float
        Share of the training pictures that are gray: 0 colour, 1 gray, anything between mixed.
    photographs : str or path, optional
        Folder that crops are taken from, instead of the photographs that come with scikit-image and scikit-learn.
    activation : "tanh" or "sigmoid"
        After the head; real pictures are given to the discriminator in the same range.
    spectral_norm : "parametrization" or "legacy", optional
        On the head, in either of PyTorch's ways.
    seed : int
        Of weights, latents and crops; from 0 to 2**64 - 1.

    Raises
    ------
    TypeError, ValueError
        If a setting has the wrong type or is none of what is accepted.

    Examples
    --------
    >>> Config(init="identical", steps=64).describe()
    'init=identical, steps=64'
    """

    steps: int = 400
    batch: int = 32
    width: int = 16
    init: str = "standard"
    optimizer: str = "adam"
    lr: float = 2e-4
    discriminator_width: int | None = None
    discriminator_lr: float = 2e-4
    discriminator_steps: int = 1
    gray_share: float = 0.0
    photographs: str | None = None
    activation: str = "tanh"
    spectral_norm: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            value = getattr(self, name)
            accepted = ", ".join(map(repr, choices))
            if not isinstance(value, str) and not (value is None and None in choices):
                raise TypeError(f"{name} must be one of {accepted}; got {shown(value)}")
            if value not in choices:
                raise ValueError(f"{name} is {value!r}; accepted: {accepted}")
        for name, least in _LEAST.items():
            if getattr(self, name) is not None or name != "discriminator_width":
                self._set(name, check_integer(getattr(self, name), name, least))
        for name in ("lr", "discriminator_lr"):
            rate = check_number(getattr(self, name), name, low=0)
            if rate > _FASTEST:
                raise ValueError(f"{name} must be at most {_FASTEST:g}, got {rate:g}")
            self._set(name, rate)
        self._set("gray_share", check_share(self.gray_share, "gray_share"))
        self._set("seed", check_seed(self.seed))
        if self.photographs is not None:
            self._set("photographs", check_path(self.photographs, "photographs"))

    def _set(self, name: str, value: Any) -> None:
        """Python's own numbers in place of NumPy's, which JSON and PyTorch don't take."""
        object.__setattr__(self, name, value)

    def describe(self, *, without: tuple[str, ...] = ()) -> str:
        """The settings that are not the default, as text; "standard" if all are."""
        changed = [
            f"{field.name}={getattr(self, field.name)}"
            for field in sorted(fields(self), key=lambda field: field.name)
            if field.name not in without and getattr(self, field.name) != field.default
        ]
        return ", ".join(changed) or "standard"

    def to_dict(self) -> dict[str, Any]:
        """All settings, as `json.dumps` takes them."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The settings that `to_dict` wrote."""
        if not isinstance(values, Mapping):
            raise TypeError(f"values must be a dictionary of settings, got {shown(values)}")
        unknown = set(values) - {field.name for field in fields(cls)}
        if unknown:
            raise ValueError(f"unknown settings {', '.join(sorted(unknown))}")
        return cls(**values)
