"""From one picture to a hundred million: the colour of every picture of a data set, wherever it lies.

containers -> places, reading -> measuring -> engines, checkpoint, records, result -> work -> local: data flows in this
order.
"""

from ganchroma.scanning.local import scan
from ganchroma.scanning.result import Scan

__all__ = ["Scan", "scan"]
