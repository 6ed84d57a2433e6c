"""Causes that are a wrong range: values decoded, scaled or cast otherwise than the network meant them.

One rule serves all of them. Where the network's image is at hand, the mistake is read off the way from it to the
screen; from pictures alone, off what each mistake leaves in the values.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ganchroma.diagnosis import thresholds as limits
from ganchroma.diagnosis.evidence import Evidence, Range, to_levels
from ganchroma.diagnosis.signs import finite_range, fitting_range, outside_share, stretches, tones, wrapped_gain
from ganchroma.diagnosis.suspicion import FACT, POSSIBLE, Cause, Suspicion, proven
from ganchroma.stages import Trace

NAMES = ("range_clip", "range_wash", "range_wrap", "range_dark", "range_twice", "range_mismatch")
_WORDS = "decode with the range the network makes"
_SETTLE = "layer= and features= show the values before they were drawn"


def range_causes() -> list[Cause]:
    """One cause for each mistake with ranges that has a name, and one for all others."""
    remarks = {"range_mismatch": overshoot_remark}
    return [Cause(name, "range_mismatch", _suspect(name), _remedy(name), remarks.get(name)) for name in NAMES]


def decoded(evidence: Evidence, name: str) -> str:
    """Python that brings the network's image to [0, 1]."""
    low, high = evidence.network_range
    shifted = name if low == 0 else f"({name} {'+' if low < 0 else '-'} {abs(low):g})"
    return shifted if high - low == 1 else f"{shifted} / {high - low:g}"


def _drawn(evidence: Evidence) -> str:
    return f"made = layer(features)  # by the network, before it was drawn\nshown = {decoded(evidence, 'made')}"


def _suspect(name: str) -> Callable[[Evidence, Trace], Suspicion | None]:
    def suspect(evidence: Evidence, trace: Trace) -> Suspicion | None:
        step = evidence.step("range")
        if step is not None:
            return proven(step, _WORDS, _drawn(evidence)) if step.name == name else None
        sign = _seen(evidence, trace)
        return sign.suspicion if sign is not None and sign.name == name else None

    return suspect


def _remedy(name: str) -> Callable[[Evidence], Evidence | None]:
    def remedy(evidence: Evidence) -> Evidence | None:
        step = evidence.step("range")
        if step is not None:
            return evidence.without_step("range") if step.name == name else None
        sign = _seen(evidence)
        return sign.remedied(evidence) if sign is not None and sign.name == name else None

    return remedy


@dataclass(frozen=True)
class _Sign:
    """What pictures alone show of a wrong range; `fitting`: the range that they should be read in, if that helps."""

    name: str
    suspicion: Suspicion
    fitting: Range | None = None

    def remedied(self, evidence: Evidence) -> Evidence | None:
        if self.fitting is None or evidence.images is None:
            return None  # what was cut off is lost
        if self.name != "range_wash":
            return evidence.with_images(evidence.images, self.fitting)
        levels = to_levels(evidence.images, evidence.value_range)
        return evidence.with_images(np.where(np.isfinite(levels), levels, np.float32(127.5)), self.fitting)


def _seen(evidence: Evidence, trace: Trace | None = None) -> _Sign | None:
    """The mistake that the values of pictures alone show, the surest first."""
    seen = None if evidence.images is None or evidence.computed else finite_range(evidence.images)
    if evidence.images is None or seen is None:
        return None
    (low, high), (least, most) = evidence.value_range, seen
    outside, fitting = outside_share(evidence), fitting_range(least, most)
    if outside > limits.OUTSIDE_SHARE and _contradicts(evidence.value_range, seen, outside, fitting):
        numbers = {"outside_share": outside, "minimum": least, "maximum": most, "fitting_range": list(fitting or ())}
        reason = (
            f"{100 * outside:.2g} % of the values lie outside the stated range [{low:g}, {high:g}]: "
            f"they span {least:.3g} to {most:.3g}"
        )
        code = None if fitting is None else f"gch.diagnose(images, value_range={fitting})"
        return _Sign("range_mismatch", Suspicion(FACT, numbers, reason, _WORDS, code), fitting)
    tone = tones(evidence)
    numbers = {"percentile_0.5": tone.lowest, "share_of_0": tone.black, "share_of_255": tone.white}
    if tone.highest <= limits.DARK_LEVELS and tone.black > 0:
        reason = f"nothing is brighter than {tone.highest:.0f} of 255: [0, 1] taken for 8-bit levels looks like this"
        return _Sign("range_dark", _possible(numbers | {"percentile_99.5": tone.highest}, reason))
    varies = trace is None or trace.display is None or trace.display.summary.within.std_levels >= 1
    if tone.lowest >= limits.WASHED_PERCENTILE and tone.white < 0.5 and varies:
        reason = (
            f"nothing is darker than mid-gray (0.5-percentile {tone.lowest:.0f} of 255): [0, 1] read as [-1, 1] looks "
            "like this, and so do pale pictures"
        )
        if evidence.images.dtype == np.uint8 or not 0 <= least - (low + high) / 2 <= limits.STARTS_AT * (high - low):
            return _Sign("range_wash", _possible(numbers, reason), (127.5, 255.0))
        reason = f"the values begin at the middle of the stated range, {least:.3g}: [0, 1] read as [-1, 1]"
        code = f"gch.diagnose(images, value_range=({(low + high) / 2:g}, {high:g}))"
        return _Sign("range_wash", Suspicion(FACT, numbers, reason, _WORDS, code), (127.5, 255.0))
    if tone.black > limits.CUT_AT_ZERO and tone.white < limits.CUT_AT_FULL and tone.black_beside > limits.CUT_BESIDE:
        reason = (
            f"{100 * tone.black:.0f} % of the values are 0 and {100 * tone.white:.1f} % 255, and not in black pixels "
            f"alone: [-1, 1] cut off to [0, 1] looks like this"
        )
        return _Sign("range_clip", _possible(numbers, reason))
    gain = wrapped_gain(evidence)
    if gain >= limits.WRAPPED_GAIN and tone.near_ends <= limits.NEAR_END_SHARE:
        reason = (
            f"with 0 and 255 joined to a ring, neighbours agree {gain:.1f} times better: values beyond the range "
            "wrapped around as unsigned bytes look like this"
        )
        return _Sign("range_wrap", _possible({"smoother_on_a_ring": gain}, reason))
    return None


def _contradicts(stated: Range, seen: Range, outside: float, fitting: Range | None) -> bool:
    """Whether values outside the stated range contradict it, or are what filters and heads without bounds overshoot."""
    reach = max(stated[0] - seen[0], seen[1] - stated[1]) / (stated[1] - stated[0])
    if reach > limits.FAR_OUTSIDE:
        return True
    meant = fitting is not None and (fitting[1] <= 1 or seen[1] > limits.BYTES_REACH)
    return meant and (reach > limits.NEAR_OUTSIDE or outside > limits.MANY_OUTSIDE)


def overshoot_remark(evidence: Evidence) -> str | None:
    """What of float pictures a screen cuts off, where that is no sign of another range."""
    share = 0.0 if evidence.computed else outside_share(evidence)
    if share <= limits.OUTSIDE_SHARE:
        return None
    low, high = evidence.value_range
    return f"{100 * share:.2g} % of the values lie outside the stated range [{low:g}, {high:g}]: a screen cuts them off"


def _possible(numbers: dict[str, Any], reason: str) -> Suspicion:
    return Suspicion(POSSIBLE, numbers, reason, _WORDS, settle=_SETTLE, stands_alone=True)


# -- contrast stretched on the way to the screen ----------------------------------------------------------------


def suspect_stretch(evidence: Evidence, trace: Trace) -> Suspicion | None:
    """Only where it hides something: a display that stretches a sound image is no fault."""
    step, activation = evidence.step("stretch"), trace["activation"].moments if "activation" in trace else None
    if step is None or activation is None or not activation.std_levels < limits.VISIBLE_LEVELS:
        return None
    return Suspicion(
        FACT,
        {"std_levels": activation.std_levels, "display_path": step.detail},
        f"{step.detail}: it looks visible, but the network's image varies by {activation.std_levels:.2g} of 255 levels",
        "draw the image in the network's range: imshow without vmin and vmax of its own, save_image(normalize=False)",
        _drawn(evidence),
    )


def remedy_stretch(evidence: Evidence) -> Evidence | None:
    return evidence.without_step("stretch") if evidence.step("stretch") is not None else None


def stretch_remark(evidence: Evidence) -> str | None:
    """What a display that stretches contrast means for the reader, or may mean."""
    step = evidence.step("stretch")
    if step is not None:
        return f"{step.detail}: the amplitude on the screen is not the network's"
    if evidence.images is not None and not evidence.computed and stretches(evidence):
        return (
            "every picture reaches from exactly 0 to exactly 255: a display that stretches contrast would hide how "
            "faint the network's image is"
        )
    return None
