"""What an experiment varies: one frozen set of settings is one training run."""

import math
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from ganchroma._arrays import check_integer

__all__ = ["Config"]

_CHOICES = {
    "init": ("standard", "identical", "fill", "unit_sigma", "calibrated"),
    "optimizer": ("adam", "sgd"),
    "activation": ("tanh", "sigmoid"),
    "spectral_norm": (None, "parametrization", "legacy"),
}
_LEAST = {"steps": 1, "batch": 2, "width": 1, "discriminator_width": 1, "discriminator_steps": 1, "seed": 0}


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
    photographs : str, optional
        Folder that crops are taken from, instead of the photographs that come with scikit-image and scikit-learn.
    activation : "tanh" or "sigmoid"
        After the head; real pictures are given to the discriminator in the same range.
    spectral_norm : "parametrization" or "legacy", optional
        On the head, in either of PyTorch's ways.
    seed : int
        Of weights, latents and crops.

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
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} is {getattr(self, name)!r}; accepted: {', '.join(map(repr, choices))}")
        for name, least in _LEAST.items():
            if getattr(self, name) is not None:
                check_integer(getattr(self, name), name, least)
        for name, least, most in (("lr", 0, math.inf), ("discriminator_lr", 0, math.inf), ("gray_share", 0, 1)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise TypeError(f"{name} must be a number, got {value!r}")
            if not least <= value <= most or math.isinf(value):
                raise ValueError(f"{name} must be {'in [0, 1]' if most == 1 else 'finite and at least 0'}, got {value}")
        if self.photographs is not None and not isinstance(self.photographs, str):
            raise TypeError(f"photographs must be a string or None, got {type(self.photographs).__name__}")

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
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """The settings that `to_dict` wrote."""
        unknown = set(values) - {field.name for field in fields(cls)}
        if unknown:
            raise ValueError(f"unknown settings {', '.join(sorted(unknown))}")
        return cls(**values)
