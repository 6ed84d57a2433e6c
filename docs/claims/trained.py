"""The claims about training, judged by what the runs measured."""

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import cache

import torch
from claim import Claim, verdict
from runs import SEEDS, STANDARD

from ganchroma.spectral import sigma
from ganchroma.torch.experiments import History, Interval, Sweep
from ganchroma.torch.experiments.networks import generator

Measures = Mapping[str, Mapping[str, Mapping[str, float | None]]]  # configuration -> seed -> measure -> value

_NEAR = 0.1  # of the standard run's achromatic share: within it the two runs are alike


def measured(found: Sweep) -> Measures:
    """Everything that the pages need of the runs, as JSON takes it."""
    return {
        name: {
            str(seed): {
                key: None if math.isnan(value) else round(value, 6)
                for key, value in {
                    **history.measures(),
                    **_meets(history, found.runs["standard"][seed]),
                    **_data(history),
                    "gradient_cosine_first": history.gradients[0].cosine,
                    "standard_sigma": _standard_sigma(seed),
                }.items()
            }
            for seed, history in seeds.items()
        }
        for name, seeds in found.runs.items()
    }


def _meets(run: History, standard: History) -> dict[str, float]:
    """The first step at which the achromatic share is that of the standard run, to a tenth; and how many are."""
    shares = [
        (run.at(step, "achromatic_share"), standard.at(step, "achromatic_share"))
        for step in range(run.config.steps + 1)
    ]
    near = [step for step, (own, other) in enumerate(shares) if abs(own - other) <= _NEAR * other]
    return {"meets_standard": float(near[0]) if near else math.nan, "steps_near_standard": float(len(near))}


def _data(run: History) -> dict[str, float]:
    """The real pictures' own colour."""
    assert run.data is not None
    named = {"share": "achromatic_share", "chroma": "chroma", "colorfulness": "colorfulness"}
    found = {f"data_{name}": float(getattr(run.data, measure)) for name, measure in named.items()}
    return found | {"data_correlation": sum(run.data.correlation) / 3}


@cache
def _standard_sigma(seed: int) -> float:
    """The largest singular value of the standard head, before training: what spectral norm divides it by."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        weight = generator(replace(STANDARD, seed=seed)).head.weight
    return float(sigma(weight.detach().numpy(), dim=1))


class Table:
    """Means and paired differences over the seeds of the runs."""

    def __init__(self, measures: Measures) -> None:
        self.measures = measures

    def values(self, name: str, measure: str) -> dict[str, float]:
        return {
            seed: math.nan if row[measure] is None else float(row[measure])  # type: ignore[arg-type]
            for seed, row in self.measures[name].items()
        }

    def mean(self, name: str, measure: str) -> Interval:
        return Interval.of(self.values(name, measure).values())

    def effect(self, name: str, measure: str, against: str = "standard") -> Interval:
        here, there = self.values(name, measure), self.values(against, measure)
        return Interval.of(here[seed] - there[seed] for seed in here)

    def change(self, name: str, measure: str) -> Interval:
        """From the start to the end of the runs."""
        start, end = self.values(name, f"{measure}_start"), self.values(name, f"{measure}_end")
        return Interval.of(end[seed] - start[seed] for seed in start)

    def near_at_end(self, name: str) -> int:
        """In how many seeds the achromatic share ends within a tenth of the standard run's."""
        own, other = self.values(name, "share_end"), self.values("standard", "share_end")
        return sum(abs(own[seed] - other[seed]) <= _NEAR * other[seed] for seed in own)

    def ends(self, name: str, measure: str) -> str:
        """Mean and range of a step; how often it came, if not always."""
        values = [value for value in self.values(name, measure).values() if not math.isnan(value)]
        if not values:
            return "never"
        text = f"{sum(values) / len(values):.0f} ({min(values):.0f}-{max(values):.0f})"
        return text if len(values) == SEEDS else f"{text} in {len(values)} of {SEEDS}"


def claims(table: Table) -> list[Claim]:
    return [h10(table), h11(table), h12(table), h15(table), h18(table), h19(table)]


def h10(table: Table) -> Claim:
    cosine, first = table.mean("identical", "gradient_cosine"), table.mean("identical", "gradient_cosine_first")
    alike = sum(value > 0 for value in table.values("identical", "gradient_cosine").values())
    weak = table.mean("identical, weak D", "gradient_cosine")
    ratio = table.mean("identical", "gradient_norm").mean / table.mean("fill(1.0)", "gradient_norm").mean
    runs = [name for name in table.measures if name.startswith("identical")]
    broken = all(table.mean(name, "colored_at").seeds == SEEDS for name in runs)
    return Claim(
        "H10",
        "weak gradients can't break the symmetry of equal filters",
        f"the gradients of equal filters have little in common, whatever trains them: cosine {first:+.2f} at the first "
        f"step, {cosine:+.2f} over 64 steps of Adam (above 0 in {alike} of {SEEDS} seeds), {weak:+.2f} with a weak "
        "discriminator; share < .95 after "
        f"{table.ends('identical', 'colored_at')} Adam steps, {table.ends('identical, weak D', 'colored_at')} with a "
        f"weak discriminator, {table.ends('identical, frozen D', 'colored_at')} with a frozen one. Only the saturated "
        f"fill(1.0), whose gradient is {ratio:,.0f} times smaller, stays gray "
        f"({table.ends('fill(1.0)', 'colored_at')})",
        f"share {table.effect('identical', 'share_end'):+.2f} at the end",
        SEEDS,
        verdict(
            holds=not any(table.mean(name, "colored_at").seeds for name in runs),
            fails=broken and table.mean("fill(1.0)", "colored_at").seeds == SEEDS,
        ),
    )


def h11(table: Table) -> Claim:
    weak, strong = table.effect("weak D", "chroma_end"), table.effect("strong D", "chroma_end")
    standard = table.mean("standard", "chroma_end")
    data = {name: table.mean("standard", f"data_{name}").mean for name in ("share", "chroma", "colorfulness")}
    return Claim(
        "H11",
        "a discriminator that is poor, or converges too fast, limits colour",
        f"poor (learning rate / 100): share {table.mean('weak D', 'share_end'):.2f} where the data have "
        f"{data['share']:.2f}, so less gray than photographs by the share alone: chroma "
        f"{table.mean('weak D', 'chroma_end').mean:.1f} and colourfulness M3 "
        f"{table.mean('weak D', 'colorfulness_end').mean:.0f} lie under the data's {data['chroma']:.1f} and "
        f"{data['colorfulness']:.0f}, as the standard run's do ({standard.mean:.1f}, "
        f"{table.mean('standard', 'colorfulness_end').mean:.0f}); too fast (x 10): chroma "
        f"{table.mean('strong D', 'chroma_end'):.1f} instead of {standard:.1f}",
        f"chroma {weak:+.1f} (poor), {strong:+.1f} (fast)",
        SEEDS,
        verdict(
            holds=weak.high < 0 and strong.high < 0,
            fails=weak.mean > -0.2 * standard.mean and strong.mean > -0.2 * standard.mean,
        ),
    )


def h12(table: Table) -> Claim:
    half, full = table.effect("data half gray", "chroma_end"), table.effect("data all gray", "chroma_end")
    early = table.effect("data all gray", "share_64")
    return Claim(
        "H12",
        "a data set without colour gives gray",
        f"chroma {table.mean('standard', 'chroma_end'):.1f} with colour, "
        f"{table.mean('data half gray', 'chroma_end'):.1f} with half of the pictures gray, "
        f"{table.mean('data all gray', 'chroma_end'):.1f} with all; at step 64 the share differs by {early:+.2f}: so "
        "early the data have not been met",
        f"chroma {half:+.1f} (half), {full:+.1f} (all)",
        SEEDS,
        verdict(holds=full.high < 0, fails=full.low > 0),
    )


def h15(table: Table) -> Claim:
    normed, loud, norm = "spectral norm", "as loud as spectral norm", "gradient_norm"
    ratios = [mine / table.values(loud, norm)[seed] for seed, mine in table.values(normed, norm).items()]
    gain = Interval.of(map(math.log, ratios))
    sigmas = table.mean("standard", "standard_sigma").mean
    share, chroma = table.effect(normed, "share_end", loud), table.effect(normed, "chroma_end", loud)
    symmetry = table.effect("identical, spectral norm", "colored_at", "identical")
    better = share.high < 0 or chroma.low > 0 or symmetry.high < 0  # a significant harm is no support
    beyond = gain.low > -math.log(sigmas)
    return Claim(
        "H15",
        "spectral norm promotes better gradient flow",
        f"at the first step the head's gradient is {math.exp(gain.mean):.1f} ({min(ratios):.1f}-{max(ratios):.1f}) "
        f"times that of a head without it that is as loud: the division's own factor 1/sigma, {1 / sigmas:.1f}, and no "
        f"more than a standard head has ({table.mean(normed, norm):.1f} and {table.mean('standard', norm):.1f}). "
        f"Training gains {'by' if better else 'nothing by'} it: against the equally loud head it ends at share "
        f"{share:+.2f}{', grayer,' if share.low > 0 else ''} and chroma {chroma:+.1f}, and identical filters "
        f"part {symmetry:+.0f} steps later",
        f"gradient x {math.exp(gain.mean) * sigmas:.1f} beyond 1/sigma; share {share:+.2f}, chroma {chroma:+.1f} "
        "beyond loudness",
        SEEDS,
        verdict(holds=beyond and better, fails=not beyond and not better),
    )


def h18(table: Table) -> Claim:
    end, data = table.mean("standard", "correlation_end"), table.mean("standard", "data_correlation")
    start = table.mean("standard", "share_0")
    return Claim(
        "H18",
        "the generator must learn independent channels",
        f"the reverse: the data's channels are correlated ({data:.2f}), the untrained generator's are not (share "
        f"{start:.2f}), and training raises the correlation to {end:.2f}",
        f"correlation {end.mean:+.2f} by training",
        SEEDS,
        verdict(holds=end.high < 0.1, fails=end.low > 0.1),
    )


def h19(table: Table) -> Claim:
    start, end = table.mean("standard", "cosine_start"), table.mean("standard", "cosine_end")
    identical = table.mean("identical", "cosine_end")
    return Claim(
        "H19",
        "in practice the filters' weights become similar",
        f"mean cosine of the filters {start:.2f} -> {end:.2f} in 400 steps from a standard start, 1.00 -> "
        f"{identical:.2f} from identical filters: towards what the data ask for, from both sides",
        f"cosine {end.mean - start.mean:+.2f}",
        SEEDS,
        verdict(holds=end.low > 0.77, fails=end.high < start.mean + 0.05),
    )
