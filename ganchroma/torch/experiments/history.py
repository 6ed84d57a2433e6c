"""What a training run leaves: colour at every step, gradients of the head's filters, what the discriminator sees."""

import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ganchroma.moments import json_number
from ganchroma.torch.experiments.config import Config
from ganchroma.torch.records import ChromaRecord, plot_records

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["COLORED_SHARE", "Gradient", "History", "Judgement"]

COLORED_SHARE = 0.95  # achromatic share below which pictures have visibly left gray
_EARLY = 64  # steps, in which filters that start alike part
_WINDOW = 8  # records that a measure is averaged over: one batch of 16 pictures alone is noisy


@dataclass(frozen=True, slots=True)
class Gradient:
    """Of the head's filters at one step: its norm, and the mean cosine between the three."""

    step: int
    norm: float
    cosine: float


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the discriminator makes of colour at one step.

    Attributes
    ----------
    step : int
    prefers_color : float
        Share of real colour crops that it rates above their own gray copies.
    gradient_share : float
        Achromatic share of the loss's gradient with respect to the generator's pictures.
    """

    step: int
    prefers_color: float
    gradient_share: float


@dataclass
class History:
    """A training run, whole or up to where it was interrupted or diverged.

    Attributes
    ----------
    config : Config
    records : list of ChromaRecord
        One a step: of the generator's pictures before the step's update, the last one after all.
    gradients : list of Gradient
    judgements : list of Judgement
        Before the first update and after the last.
    data : ChromaRecord or None
        The real pictures, measured in the same way.
    diverged : int or None
        The step at which pictures, gradients or weights were no longer finite, so that the run ended there; what was
        finite is in the records.
    photographs : str or None
        Checksum of the pictures in the folder that the run trained on; None for those that come with packages.
    """

    config: Config
    records: list[ChromaRecord] = field(default_factory=list)
    gradients: list[Gradient] = field(default_factory=list)
    judgements: list[Judgement] = field(default_factory=list)
    data: ChromaRecord | None = None
    diverged: int | None = None
    photographs: str | None = None

    @property
    def steps(self) -> int:
        """Updates of the generator so far."""
        return len(self.gradients)

    @property
    def complete(self) -> bool:
        """Whether it went to its end: neither an interrupt nor a divergence stopped it."""
        return self.steps == self.config.steps and len(self.judgements) > 1

    @property
    def divergence(self) -> str:
        """Where it diverged, in words; empty if it did not."""
        if self.diverged is None:
            return ""
        return (
            f"diverged at step {self.diverged} of {self.config.steps}: pictures, gradients or weights are no longer "
            f"finite ({self.config.describe()})"
        )

    def check_steps(self) -> None:
        """A ValueError if the parts don't fit together: one update after the other, each with its record."""
        records, updates = [item.step for item in self.records], [item.step for item in self.gradients]
        more = len(records) - len(updates)
        if updates != list(range(self.steps)) or records != list(range(self.steps + more)) or more not in (0, 1):
            raise ValueError(f"{len(records)} records don't fit {len(updates)} updates")
        if self.steps > self.config.steps or (self.steps and not self.judgements):
            raise ValueError(f"{self.steps} updates don't fit {self.config.steps} steps")

    def at(self, step: int, measure: str) -> float:
        """A measure of `ChromaRecord` around a step: the mean of the eight records up to it; at 0 the first alone.

        NaN if the run did not reach that step.
        """
        last = self.records[-1].step if self.records else -1
        near = [record for record in self.records if step - _WINDOW < record.step <= step <= last]
        values = [float(np.mean(getattr(record, measure))) for record in near]
        return float(np.mean(values)) if values else math.nan

    def first_colored(self) -> float:
        """The first step at which the achromatic share is below .95; NaN if there is none."""
        steps = (record.step for record in self.records if record.achromatic_share < COLORED_SHARE)
        return float(next(steps, math.nan))

    def measures(self) -> dict[str, float]:
        """The run in numbers: what a table of runs compares."""
        last = self.records[-1].step if self.records else 0
        found = {f"share_{step}": self.at(step, "achromatic_share") for step in (0, 64)}
        found["share_end"] = self.at(last, "achromatic_share")
        found["chroma_start"] = self.at(0, "chroma")
        for name in ("chroma", "colorfulness", "correlation", "std_levels"):
            found[f"{name}_end"] = self.at(last, name)
        found["colored_at"] = self.first_colored()
        found["cosine_start"], found["cosine_end"] = self.at(0, "filter_cosines"), self.at(last, "filter_cosines")
        early = self.gradients[:_EARLY]
        found["gradient_cosine"] = float(np.mean([item.cosine for item in early])) if early else math.nan
        found["gradient_norm"] = early[0].norm if early else math.nan
        for name, judgement in zip(("start", "end"), self.judgements, strict=False):
            found[f"prefers_color_{name}"] = judgement.prefers_color
            found[f"gradient_share_{name}"] = judgement.gradient_share
        return found

    def plot(self, figure: "Figure | None" = None) -> "Figure":
        """Colour over the steps, as `ChromaMonitor.plot` draws it."""
        return plot_records(self.records, figure, self.config.describe())

    def to_dict(self) -> dict[str, Any]:
        """All of it, as `json.dumps` takes it."""
        return {
            "config": self.config.to_dict(),
            "records": [record.to_dict() for record in self.records],
            "gradients": [[item.step, json_number(item.norm), json_number(item.cosine)] for item in self.gradients],
            "judgements": [
                [item.step, item.prefers_color, json_number(item.gradient_share)] for item in self.judgements
            ],
            "data": None if self.data is None else self.data.to_dict(),
            "diverged": self.diverged,
            "photographs": self.photographs,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """What `to_dict` wrote."""
        return cls(
            Config.from_dict(values["config"]),
            [ChromaRecord.from_dict(record) for record in values["records"]],
            [Gradient(step, _number(norm), _number(cosine)) for step, norm, cosine in values["gradients"]],
            [Judgement(step, prefers, _number(share)) for step, prefers, share in values["judgements"]],
            None if values["data"] is None else ChromaRecord.from_dict(values["data"]),
            values.get("diverged"),
            values.get("photographs"),
        )

    def __repr__(self) -> str:
        end = "" if self.diverged is None else ", diverged"
        return f"History({self.config.describe()!r}, {self.steps} of {self.config.steps} steps{end})"

    def to_json(self) -> str:
        return json.dumps(self.to_dict(), allow_nan=False)


def _number(value: float | None) -> float:
    return math.nan if value is None else value
