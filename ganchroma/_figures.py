"""Figures of matplotlib, which is loaded when the first one is made. Never touches pyplot."""

from io import BytesIO
from typing import TYPE_CHECKING

from ganchroma._files import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def new_figure(width: float, height: float) -> "Figure":
    """A figure that a notebook shows as a picture, and that belongs to no window.

    Raises
    ------
    ImportError
        If matplotlib is missing.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError('plotting needs matplotlib: pip install "ganchroma[report]"') from error

    class NotebookFigure(Figure):
        def _repr_png_(self) -> bytes:
            buffer = BytesIO()
            self.savefig(buffer, format="png")
            return buffer.getvalue()

    figure = NotebookFigure(figsize=(width, height), dpi=110, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def drawable(text: str) -> str:
    """A user's words for matplotlib, which reads a formula between dollars, and fails at what can't be encoded."""
    return "\n".join(map(printable, text.split("\n"))).replace("$", r"\$")
