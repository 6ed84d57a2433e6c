"""A progress bar for whatever takes longer than a second."""

from collections.abc import Iterable
from typing import Any


def progress(items: Iterable[Any], description: str, *, shown: bool = True, total: int | None = None) -> Any:
    """Iterate over `items` behind a bar on stderr that appears after a second; without tqdm, without a bar.

    `total` is their number, where they have no length.
    """
    if not shown:
        return items
    try:
        from tqdm import tqdm
    except ImportError:
        return items
    return tqdm(items, desc=description, delay=1, leave=False, total=total)
