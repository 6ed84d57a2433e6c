"""What a person gets: the diagnosis as text, dictionary, page and picture."""

import json
import math
import os
from dataclasses import dataclass, replace
from functools import cached_property
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np

from ganchroma._files import Result, check_result, open_regular, write_bytes, write_text
from ganchroma.diagnosis import page, plots, words
from ganchroma.diagnosis.engine import Answer, Finding, answer
from ganchroma.diagnosis.evidence import to_levels
from ganchroma.diagnosis.learning import Learning
from ganchroma.diagnosis.pictures import SHOWN, Panels, stretched
from ganchroma.diagnosis.what_if import changed
from ganchroma.stages import Trace

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, repr=False, eq=False)
class Diagnosis:
    """Where the colour went, why, and what brings it back.

    Attributes
    ----------
    causes : list of Finding
        Most important first; the single finding `healthy` where nothing is wrong.
    notes : list of str
        Remarks that are no cause of gray.
    trace : Trace
        Colour at every stage that could be measured.
    looks_gray : bool
        Whether the pictures have no colour to see.
    remedies : list of str
        The smallest set of causes to put right so that the display is healthy.
    alternatives : list of list of str
        Other sets of that size.
    after : Trace or None
        The trace with `remedies` applied.
    settle : list of str
        What further input would settle.
    name : str
        What was diagnosed, for headings.
    about : str
        A sentence on what that is.
    head_name : str or None
        Of a whole network: which layer makes the RGB, as in ``named_modules()``.
    head_share : float or None
        Share of the image's variance that this layer explains; what is missing was made elsewhere.
    learning : Learning or None
        Signs of how the head learns, where they were asked for.
    before : Diagnosis or None
        Of a what-if: what it was compared with.
    change : str
        Of a what-if: what was changed.

    Examples
    --------
    >>> import ganchroma as gch
    >>> weight = gch.init.normal((1, 8, 3, 3), rng=0).repeat(3, axis=0)
    >>> found = gch.diagnose(layer=gch.OutputLayer(weight), features=gch.init.normal((2, 8, 16, 16), rng=1))
    >>> found.headline, found.lost_at
    ('Lost in the head: its three filters are alike, so R, G and B are too. It needs both: identical_filters and gain.',
     {'linear': 'found', 'activation': 'found'})
    >>> found.remedies, found.after.display.healthy
    (['identical_filters', 'gain'], True)
    """

    answer: Answer
    name: str = "images"
    about: str = ""
    head_name: str | None = None
    head_share: float | None = None
    learning: Learning | None = None
    before: "Diagnosis | None" = None
    change: str = ""

    @property
    def causes(self) -> list[Finding]:
        """What was found, most important first."""
        return self.answer.findings

    @property
    def notes(self) -> list[str]:
        """Remarks that are no cause of gray."""
        return self.answer.notes

    @property
    def trace(self) -> Trace:
        """Colour at every stage that could be measured."""
        return self.answer.trace

    @property
    def remedies(self) -> list[str]:
        """Names of the smallest set of causes to put right so that the display is healthy."""
        return self.answer.remedies

    @property
    def alternatives(self) -> list[list[str]]:
        """Other sets of that size that suffice as well."""
        return self.answer.alternatives

    @property
    def after(self) -> Trace | None:
        """The trace with the remedies applied; None where nothing has to change or nothing suffices."""
        return self.answer.after

    @property
    def settle(self) -> list[str]:
        """What further input would settle."""
        return self.answer.settle

    @property
    def looks_gray(self) -> bool:
        """Whether the pictures have no colour to see, whatever the cause; False where there are none."""
        display = self.trace.display
        return display is not None and display.gray

    @property
    def headline(self) -> str:
        """One sentence that answers "where did the colour go?"."""
        found = [finding for finding in self.causes if finding.status == "found"]
        if not found:
            return words.unsettled(self.causes, self.looks_gray)
        first, *others = found
        sentence = words.sentence(first)
        display = self.trace.display
        if (
            first.kind in ("flat_amplitude", "identical_filters", "saturation")
            and display is not None
            and display.healthy
        ):
            sentence = f"The picture has its colour, but the network has a fault: {first.name}."
        if len(self.remedies) > 1:
            return f"{sentence} {words.needs(self.remedies)}"
        if others:
            sentence += f" Also: {', '.join(finding.name for finding in others)}."
        return sentence

    @property
    def lost_at(self) -> dict[str, str]:
        """Stage -> "found" or "possible", where a cause acts."""
        places: dict[str, str] = {}
        for finding in self.causes:
            stage = words.place(finding)
            if finding.status == "found" and stage and stage not in self.trace:
                stage = "display"  # seen in the pictures; what lies before them was not given
            if stage and places.get(stage) != "found":
                places[stage] = finding.status
        return places

    @property
    def compared(self) -> tuple[Trace, Trace | None]:
        """What a picture of this diagnosis compares: now and with the remedies, or of a what-if before and after it."""
        return (self.trace, self.after) if self.before is None else (self.before.trace, self.trace)

    def what_if(
        self,
        *,
        activation: Any = None,
        weight: Any = None,
        bias: Any = None,
        gain: float | None = None,
        batchnorm: str | None = None,
        spectral_norm: str | None = None,
    ) -> "Diagnosis":
        """The diagnosis of the same features with something changed; its `plot` shows before and after.

        Parameters
        ----------
        activation : as `OutputLayer` takes it, optional
        weight : array of the layer's shape, optional
        bias : array (3,), number or "none", optional
        gain : float, optional
            Factor of the head's output before bias and activation.
        batchnorm : "train", optional
            Statistics of the batch, where the network can be run again: after `ganchroma.torch.inspect`, or with
            ``ModuleFacts(rerun=...)``.
        spectral_norm : "warm", optional
            Its vectors after one training forward; likewise.

        Returns
        -------
        Diagnosis
            With `before`, this one, and `change`, in words.

        Raises
        ------
        TypeError
            If nothing is changed.
        ValueError
            If layer and features were not given, the network can't be run again, or a value is not accepted.

        Examples
        --------
        >>> import ganchroma as gch
        >>> G = gch.demo.Generator(rng=0)
        >>> found = gch.diagnose(layer=G.head, features=G.features(G.sample_latent(16, rng=1)))
        >>> half = found.what_if(activation="sigmoid")
        >>> [round(one.trace.display.summary.chroma) for one in (found, half)]
        [21, 11]
        """
        evidence, change = changed(
            self.answer.evidence,
            activation=activation,
            weight=weight,
            bias=bias,
            gain=gain,
            batchnorm=batchnorm,
            spectral_norm=spectral_norm,
        )
        return replace(self, answer=answer(evidence), learning=None, before=self, change=change)

    @cached_property
    def panels(self) -> Panels | None:
        """The pictures of a report; None where nothing can be drawn."""
        own = self._own_panels()
        old = None if self.before is None else self.before._own_panels()
        if own is None or old is None:
            return own
        return Panels(old.seen, old.stretched, old.factor, own.seen, own.stretched, own.factor)

    def _own_panels(self) -> Panels | None:
        display = self.trace.display
        if display is None:
            return None
        pictures, (low, high) = self.answer.evidence.picture
        with np.errstate(over="ignore", invalid="ignore"):  # what is too large for a float32 is so for a screen
            levels = to_levels(np.asarray(pictures[:SHOWN]), (low, high))
        raised, factor = stretched(np.moveaxis(levels, 1, -1))
        seen = display.pictures[:SHOWN]
        if self.after is None or self.after.display is None:
            return Panels(seen, raised, factor)
        after = self.after.display.pictures[:SHOWN]
        after_raised, after_factor = stretched(after)
        return Panels(seen, raised, factor, after, after_raised, after_factor)

    def summary(self) -> str:
        """The whole answer as readable text, at most 100 columns wide.

        Returns
        -------
        str
            The answer in one sentence, colour at every stage, causes with reasons and remedies, notes.

        Examples
        --------
        >>> import ganchroma as gch
        >>> gray = np.broadcast_to(np.random.default_rng(0).integers(0, 256, (4, 1, 16, 16), np.uint8), (4, 3, 16, 16))
        >>> print(gch.diagnose(gray).summary())
        images: where did the colour go?
        ...
        """
        return words.summary(self)

    def __str__(self) -> str:
        return self.summary()

    def __repr__(self) -> str:
        return f"<Diagnosis of {self.name}: {', '.join(finding.name for finding in self.causes)}>"

    def to_dict(self) -> dict[str, Any]:
        """The answer as plain lists and dictionaries that JSON can hold: numbers that are not finite become None."""
        display = self.trace.display
        after = self.after.display if self.after is not None else None
        entry: dict[str, Any] = json_safe(
            {
                "name": self.name,
                "about": self.about,
                "answer": self.headline,
                "looks_gray": self.looks_gray,
                "stages": [stage.to_dict() for stage in self.trace.stages],
                "display": display.to_dict() if display is not None else None,
                "causes": [_finding_dict(finding) for finding in self.causes],
                "remedies": self.remedies,
                "alternatives": self.alternatives,
                "after": after.to_dict() if after is not None else None,
                "notes": self.notes,
                "settle": self.settle,
                "head_name": self.head_name,
                "head_share": self.head_share,
                "what_if": self.change or None,
                "learning": self.learning.to_dict() if self.learning is not None else None,
            }
        )
        return entry

    def save_json(self, path: str | os.PathLike[str]) -> None:
        """Write `to_dict` to a file; one that stands there is replaced as by `ChromaStats.save`."""
        write_text(path, json.dumps(self.to_dict(), indent=2, allow_nan=False) + "\n")

    def _repr_html_(self) -> str:
        return page.fragment(self)

    def save_html(self, path: str | os.PathLike[str]) -> None:
        """Write a page that needs nothing else: pictures inside, no scripts.

        A file that stands there is replaced as by `ChromaStats.save`.
        """
        write_text(path, page.whole(f"ganchroma: {self.name}", [self._repr_html_()]))

    def plot(self, figure: "Figure | None" = None) -> "Figure":
        """Pictures before and after, colour from stage to stage, and the pixels on the plane of hues.

        Parameters
        ----------
        figure : matplotlib.figure.Figure, optional
            Drawn into; a new one if not given. Nothing touches ``pyplot``: no window opens, and a notebook shows the
            returned figure once.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        ImportError
            If matplotlib is missing: ``pip install "ganchroma[report]"``.
        """
        return plots.plot(self, figure)


def json_safe(value: Any) -> Any:
    """NumPy scalars and arrays as Python's own; what is not finite as None."""
    if isinstance(value, dict):
        return {str(key): json_safe(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return json_safe(value.tolist())
    if isinstance(value, list | tuple):
        return [json_safe(item) for item in value]
    if isinstance(value, np.generic):
        return json_safe(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _finding_dict(finding: Finding) -> dict[str, Any]:
    return {
        "name": finding.name,
        "kind": finding.kind,
        "status": finding.status,
        "masked": finding.masked,
        "confidence": finding.confidence,
        "stage": words.place(finding) or None,
        "reason": finding.reason,
        "evidence": finding.evidence,
        "remedy": finding.remedy,
        "code": finding.code,
        "badness_after": finding.badness_after,
        "after": finding.after.to_dict() if finding.after is not None else None,
    }


def _is_figure(path: str) -> bool:
    """Whether matplotlib wrote a file, which says so in the first thousand bytes."""
    with open_regular(path) as file:
        return b"\0Matplotlib" in file.read(1000)


SHEET = Result("figure of matplotlib", _is_figure, ".png")


class Book:
    """Several answers for one page, one sheet and one JSON file: keeps their pictures and words, not their features."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.cases: list[dict[str, Any]] = []
        self._rows: list[str] = []
        self._fragments: list[str] = []
        self._sheet: list[plots.SheetRow] = []

    def add(self, diagnosis: Diagnosis) -> None:
        """Take in one more answer."""
        anchor = f"case-{len(self._fragments)}"
        self.cases.append(diagnosis.to_dict())
        self._rows.append(page.index_row(diagnosis, anchor))
        self._fragments.append(page.anchored(diagnosis, anchor))
        self._sheet.append(plots.SheetRow(diagnosis))

    def add_missing(self, name: str, about: str, reason: str) -> None:
        """Take in a case that could not be run, and why."""
        nothing: dict[str, Any] = {
            "stages": [],
            "display": None,
            "causes": [],
            "remedies": [],
            "alternatives": [],
            "after": None,
        }
        self.cases.append({"name": name, "about": about, "answer": reason, **nothing, "notes": [reason], "settle": []})
        self.add_failure(name, reason)

    def add_failure(self, name: str, reason: str) -> None:
        """Take in, for the page alone, what could not be read, and why."""
        anchor = f"case-{len(self._fragments)}"
        self._rows.append(page.missing_row(name, reason, anchor))
        self._fragments.append(page.missing(name, reason, anchor))

    def to_dict(self, **extra: Any) -> dict[str, Any]:
        """The version, whatever else is given, and one entry for each answer."""
        from ganchroma import __version__

        return {"version": __version__, **extra, "cases": self.cases}

    def save_html(self, path: str | os.PathLike[str]) -> None:
        """One page; with several answers it opens with a table of contents."""
        contents = [page.index(self._rows)] if len(self._rows) > 1 else []
        write_text(path, page.whole(self.title, contents + self._fragments))

    def save_sheet(self, path: str | os.PathLike[str]) -> None:
        """One picture with a line for each answer."""
        buffer = BytesIO()
        plots.sheet(self._sheet, self.title).savefig(buffer, format="png")
        write_bytes(check_result(path, "path", SHEET), buffer.getvalue())
