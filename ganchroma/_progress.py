"""A progress bar for whatever takes longer than a second."""

from collections.abc import Sequence
from typing import Any, TypeVar

Item = TypeVar("Item")


def progress(items: Sequence[Item], description: str, *, shown: bool = True) -> Any:
    """Iterate over `items` behind a bar on stderr that appears after a second; without tqdm, without a bar."""
    if not shown:
        return items
    try:
        from tqdm import tqdm
    except ImportError:
        return items
    return tqdm(items, desc=description, delay=1, leave=False)
