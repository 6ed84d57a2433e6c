"""The program `ganchroma`. It stands beside the package, whose import ends where the environment asks for an
instruction set that is not there: here that is wrong usage, said in a line."""

import sys


def main() -> int:
    """Run the command line; returns the exit status."""
    try:
        from ganchroma.cli import main as run

        return run()
    except KeyboardInterrupt:  # the command line says it itself, once it is there
        print("interrupted", file=sys.stderr)
        return 130
    except ImportError as error:
        print(f"ganchroma: {error}", file=sys.stderr)
        return 2
