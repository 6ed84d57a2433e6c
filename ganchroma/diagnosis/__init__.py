"""Where the colour went: evidence in, findings out. Data flows evidence -> trace -> causes -> engine -> report."""

from typing import Any

from ganchroma.diagnosis.engine import answer
from ganchroma.diagnosis.evidence import ModuleFacts, Rerun, collect
from ganchroma.diagnosis.report import Diagnosis

__all__ = ["Diagnosis", "ModuleFacts", "Rerun", "diagnose"]


def diagnose(
    images: Any = None,
    *,
    layer: Any = None,
    features: Any = None,
    dataset: Any = None,
    value_range: tuple[float, float] | None = None,
    layout: str = "NCHW",
    module: ModuleFacts | None = None,
) -> Diagnosis:
    """Say at which stage the colour was lost, why, and what brings it back.

    Everything is optional but something must be given; the more is given, the more can be told apart.

    Parameters
    ----------
    images : (N, 3, H, W), (3, H, W) or, with ``layout="NHWC"``, channels last; uint8 or float
        The pictures as you hold them, after whatever displayed them.
    layer : OutputLayer
        The head: the three filters, and the activation after them.
    features : (N, C, h, w)
        The head's input for the same batch in the same order; always channels first.
    dataset : array like `images`, ChromaStats or ColorMoments
        The data the pictures should resemble.
    value_range : (low, high)
        Range of `images` (and of an array `dataset`); required for floats, (0, 255) for uint8. Unless they are uint8 it
        is the range of the network's image, too, where the layer's activation bounds nothing.
    layout : "NCHW" or "NHWC"
        Axes of `images` and `dataset`.
    module : ModuleFacts
        What is known about the network around the head.

    Returns
    -------
    Diagnosis
        `.causes`, `.remedies`, `.trace`, `.notes`; `print` it, `.plot()` it, `.save_html(path)`.

    Raises
    ------
    TypeError, ValueError
        If an argument can't be used; the message names it, what was given and what is accepted.

    Examples
    --------
    >>> import numpy as np
    >>> import ganchroma as gch
    >>> gray = np.repeat(np.random.default_rng(0).integers(0, 256, (4, 1, 32, 32), dtype=np.uint8), 3, axis=1)
    >>> [cause.name for cause in gch.diagnose(gray).causes]
    ['display_channel', 'identical_filters', 'gray_data']
    """
    return Diagnosis(
        answer(
            collect(
                images,
                layer=layer,
                features=features,
                dataset=dataset,
                value_range=value_range,
                layout=layout,
                module=module,
            )
        )
    )
