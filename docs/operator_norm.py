"""Writes docs/operator_norm.md and its picture: the norm that PyTorch divides by beside that of the convolution.

Run by ``make operator-norm``.
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import ganchroma as gch

FOLDER = Path(__file__).parent
SIZE = 32
COUNTED_AS_ZERO = 1e12  # a condition number beyond which the smallest gain is rounding


class Head(NamedTuple):
    name: str
    weight: np.ndarray
    options: dict[str, Any]


def heads() -> list[Head]:
    one_third = gch.init.normal((1, 128, 3, 3), std=1152**-0.5, rng=0)
    up = {"transposed": True, "stride": 2}
    return [
        Head("3x3 from 128, N(0, 1/fan_in)", gch.init.normal((3, 128, 3, 3), std=1152**-0.5, rng=0), {}),
        Head("7x7 from 64, N(0, .02)", gch.init.normal((3, 64, 7, 7), std=0.02, rng=0), {}),
        Head("1x1 from 512, N(0, 1/fan_in)", gch.init.normal((3, 512, 1, 1), std=512**-0.5, rng=0), {}),
        Head("3x3 from 128, mean .03", gch.init.normal((3, 128, 3, 3), mean=0.03, std=1152**-0.5, rng=0), {}),
        Head("3x3 from 128, one filter three times", np.repeat(one_third, 3, axis=0), {}),
        Head("3x3 from 128, all weights 1", np.ones((3, 128, 3, 3), np.float32), {}),
        Head("DCGAN: 4x4 up 2 from 64, N(0, .02)", gch.init.normal((64, 3, 4, 4), std=0.02, rng=0), up),
    ]


def row(head: Head) -> str:
    reshaped = gch.spectral.sigma(head.weight, dim=int(bool(head.options)))
    true = gch.spectral.operator_norm(head.weight, **head.options)
    padded = gch.spectral.operator_norm(head.weight, size=SIZE, **head.options)
    condition = gch.spectral.frequency_response(head.weight, SIZE, **head.options).condition
    spread = f"{condition:.2f}" if condition < COUNTED_AS_ZERO else "no inverse"
    return f"| {head.name} | {reshaped:.4f} | {true:.4f} | {padded:.4f} | {true / reshaped:.2f} | {spread} |"


def text() -> str:
    table = "\n".join(row(head) for head in heads())
    return f"""# What a convolution really does to an image

Written by `make operator-norm`.

Spectral normalisation divides a weight by the largest singular value of the weight *reshaped* to a matrix, one row
an output channel (`ganchroma.spectral.sigma`). That is the gain for one patch of the input, seen alone. In an image
patches overlap: each pixel is part of as many patches as the kernel has taps, and what the filters answer to
neighbouring patches can add up or cancel. The gain of the convolution itself is `ganchroma.spectral.operator_norm`.

| head | reshaped | convolution, any size | zero padding, {SIZE}x{SIZE} | ratio | condition |
|---|---|---|---|---|---|
{table}

- With stride 1 the convolution is never weaker than the reshaped norm says, and at most the square root of the
  number of taps stronger (3 times for 3x3): the square of the reshaped norm is that of the largest mean, over all
  frequencies, of the squared gain for a colour. For 1x1 they are the same number.
- Independent random filters are near the lower end: no wave suits all taps. Filters whose weights have one sign or
  a common mean are near the upper end: a constant image suits them all, and such a layer stays up to 3 times
  stronger after the division than it promises.
- A transposed layer with a stride shares its taps out among the pixels that one input becomes. PyTorch's matrix has
  one row an output channel and counts all taps as if they fell on one pixel: there the reshaped norm is the larger.
- Neither says anything about colour: dividing by one number leaves every ratio between channels, and so hue and
  share, as they were. The colour is in the directions: the third panel.

![Gains of an untrained DCGAN's last layer at every spatial frequency](frequency_response.png)

`ganchroma.spectral.frequency_response(weight, 64, transposed=True, stride=2).plot()`: the largest and the smallest
gain of each spatial frequency, the output colour that the largest belongs to (a direction: its complement is the
same one), and how all gains are distributed, with the norms. Of a layer with stride 2 there are 12 gains a
frequency: three colours in four phases.

The norms are exact: circular ones agree with FFT and SVD within 1e-12, zero-padded ones with the SVD of the dense
matrix within 1e-10 (`tests/test_frequency.py`, `tests/test_operator_norm.py`); the one for any size comes with an
upper bound, `.upper`. How fast they are beside FFT and SVD in NumPy and PyTorch: `make bench
BENCH="--only spectral"`. On one thread the norm of a 3x3 head from 128 channels takes .05 ms at 32x32 and .24
ms at 128x128, 190 and 1,100 times less than the faster of the two; of 7x7 from 64 .1 and .3 ms, 52 and 500 times;
of DCGAN's .5 and 6.6 ms, 64 and 100 times. Of three channels from three it takes .04 ms
at 32x32, 35 times less: there the call itself costs most.
"""


def main() -> None:
    page = text()
    print(page)
    (FOLDER / "operator_norm.md").write_text(page, encoding="utf-8")
    weight = gch.init.normal((64, 3, 4, 4), std=0.02, rng=0)
    response = gch.spectral.frequency_response(weight, 64, transposed=True, stride=2)
    response.plot().savefig(FOLDER / "frequency_response.png", dpi=80)


if __name__ == "__main__":
    main()
