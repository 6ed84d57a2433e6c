"""Scan a folder of pictures, on all processors of this machine.

    python examples/scan_folder.py PHOTOS

writes state.npz, rows.csv and page.html into the working folder. Ctrl-C keeps what there is; run it again to go on.
"""

import argparse
import csv

import ganchroma as gch


def main() -> None:
    """Scan, then list the gray pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("paths", nargs="+", help="folders, archives, arrays")
    options = parser.parse_args()
    found = gch.scan(options.paths, out="state.npz", records="rows.csv", html="page.html", resume=True)
    print(found)
    if not found.complete:
        return
    with open("rows.csv", newline="") as file:
        gray = [row["path"] for row in csv.DictReader(file) if row["gray"] == "true"]
    print(f"\n{len(gray)} gray pictures:", *gray[:10], sep="\n  ")

    # States add up: a scan of the pictures of today, of another machine, of another shard.
    total = gch.ChromaStats.load("state.npz") + found.stats
    print(f"\nscanned twice: {total.summary().images} pictures, gray share {total.summary().gray_images:.3f}")


if __name__ == "__main__":
    main()
