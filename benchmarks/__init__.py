"""Is it fast? `python -m benchmarks` verifies every case, then times it beside every peer and the machine's limits.

`python -m benchmarks.instructions` counts instructions instead, which repeat where times do not.

======================  =========================================================================================
`__main__`              the command line: which cases run, where the results go
`case`                  what a case is; `measurement` verifies and times one
`owed`                  what each case must reach, all in one table
`roofs`, `roofs.c`      what the machine can do: multiply-adds, reading and writing an array
`turns`                 contenders take turns, and turns in which the machine did something else do not count
`peers`, `engines`      the programs compared with; the layer built in those that run networks
`heads`                 the layers that they run
`layers` to `calls`     the cases, a file for each family
`tables`, `chart`       what is printed and drawn; `page` makes docs/performance.md of it
`instructions`          `make perf-check`
======================  =========================================================================================
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent / "tests"))  # the float64 definitions: `import oracle`
