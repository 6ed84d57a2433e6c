"""Signs of how a head learns: what can be read off one gradient, and off what a discriminator prefers.

The achromatic share of the image's gradient is not among them: it is the same whether a discriminator was trained on
colour, on gray, or not at all.
"""

from dataclasses import asdict, dataclass
from typing import Any

from ganchroma.diagnosis.thresholds import STUCK_SLOPE


@dataclass(frozen=True)
class Learning:
    """How the head learns, at one batch.

    Attributes
    ----------
    gradient_norms : (float, float, float)
        Of the loss by the filters of R, G and B.
    gradient_cosines : (float, float, float)
        Between those of R and G, R and B, G and B: equal filters separate where they are below 1.
    slope : float
        Mean slope of the activation over the image, as a share of its largest: what it lets through of the gradient.
    prefers_color : float or None
        Share of colour pictures that the discriminator rates above their own gray copies.
    untrained : (float, float) or None
        Mean and standard deviation of the same figure for the discriminator with newly drawn weights.
    pictures : str
        Which pictures it was asked about.
    score : str
        Which of the discriminator's answers is taken for its score, as an index; "" if it answers only one.
    """

    gradient_norms: tuple[float, float, float]
    gradient_cosines: tuple[float, float, float]
    slope: float
    prefers_color: float | None = None
    untrained: tuple[float, float] | None = None
    pictures: str = ""
    score: str = ""

    @property
    def stuck(self) -> bool:
        """Whether the activation is too saturated for the head to learn."""
        return self.slope < STUCK_SLOPE

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "stuck": self.stuck}

    def lines(self) -> list[str]:
        """Each sign as a sentence with its numbers."""
        norms = ", ".join(f"{value:.3g}" for value in self.gradient_norms)
        cosines = ", ".join(f"{value:.2f}" for value in self.gradient_cosines)
        slope = f"{100 * self.slope:.2g} %"
        found = [
            f"the filters' gradients have norms {norms} (R, G, B) and cosines {cosines} (RG, RB, GB)",
            f"the activation lets {slope} of the gradient through: "
            + ("too little for the head to learn" if self.stuck else "the head can learn"),
        ]
        if self.prefers_color is not None:
            sentence = (
                f"the discriminator rates {100 * self.prefers_color:.0f} % of {self.pictures} above their gray copies"
            )
            if self.untrained is not None:
                mean, spread = self.untrained
                sentence += f"; with new weights {100 * mean:.0f} +- {100 * spread:.0f} %"
            if self.score:
                sentence += f"; of its several answers, output{self.score} is taken for the score"
            found.append(sentence)
        return found
