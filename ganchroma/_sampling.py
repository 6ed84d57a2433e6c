"""Which pixels of an image are measured where some will do: every n-th, row by row, with an n that spreads them.

Pixels whose numbers are multiples of n form a lattice. Where n is near a multiple of the width, or shares a factor with
it, that is a few columns or diagonals; another n nearby leaves about as many pixels, as far apart across as down.
"""

import math
from functools import lru_cache

_TRIED = 17  # either way, at distances that are squares: those keep step with no width
_ENOUGH = 0.8  # of the spread of a square lattice


@lru_cache(1024)
def sampling_step(height: int, width: int, samples: int) -> int:
    """The step that leaves about `samples` pixels: two thirds to four thirds, in small images up to twice as many.

    Of the steps that are odd and have no factor in common with the width (if there are any), so that they visit every
    column and both colours of a chessboard, it's the nearest that spreads the pixels enough, or the one that does best.
    """
    wanted = max(1, height * width // samples)
    nearby = (wanted + away for root in range(_TRIED) for away in (root * root, -root * root))
    steps = [step for step in nearby if 3 * wanted <= 4 * step <= 6 * wanted]
    steps = [step for step in steps if math.gcd(step, 2 * width) == 1] or steps
    best = (0.0, wanted)
    for step in steps:
        best = max(best, (_spread(step, height, width), step))
        if best[0] > _ENOUGH:
            break
    return best[1]


def _spread(step: int, height: int, width: int) -> float:
    """The square of the least distance in the lattice, relative to a square one's; both sides of the image count as 1.

    By Gauss's reduction of two vectors that span the lattice, in exact integers.
    """
    x, y, u, v = step * height, 0, -width % step * height, width
    before, now = x * x, u * u + v * v
    while now < before:
        turns = (2 * (x * u + y * v) + now) // (2 * now)
        x, y, u, v = u, v, x - turns * u, y - turns * v
        before, now = now, u * u + v * v
    return before / (step * height * width)
