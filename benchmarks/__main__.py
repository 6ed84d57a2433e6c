"""Runs every benchmark: python -m benchmarks [--json]."""

import importlib
import sys
from pathlib import Path

folder = Path(__file__).resolve().parent
sys.path.insert(0, str(folder))  # benchmarks are scripts, and import each other as such
for script in sorted(folder.glob("bench_*.py")):
    importlib.import_module(script.stem).main()
