"""What `make valgrind` runs, and how it reads what was found: errors and leaks with a frame of ours are findings.

Python and the libraries below it have reports of their own, which are theirs; suppressions would hide ours too.
"""

import sys
import xml.etree.ElementTree as ET

OURS = "/_core."


def run():
    """Every function of the core and every public one, right and wrong."""
    import contextlib

    from calls import core_calls, public_calls

    for _, function, arguments in core_calls():
        function(*arguments)
        for i in range(len(arguments)):
            with contextlib.suppress(TypeError, ValueError):
                function(*arguments[:i], object(), *arguments[i + 1 :])
    for function, given in public_calls().values():
        function(**given)


def findings(path):
    """Errors with a frame of ours, in words; None where the program did not end."""
    root = ET.parse(path).getroot()
    if root.findtext("status[last()]/state") != "FINISHED":
        return None
    found = []
    for error in root.iter("error"):
        if error.findtext("kind") in ("Leak_PossiblyLost", "Leak_StillReachable"):
            continue  # threads that wait for the next region, and what lives as long as the program
        frames = list(error.iter("frame"))
        if any(OURS in frame.findtext("obj", "") for frame in frames):
            what = error.findtext("what") or error.findtext("xwhat/text")
            places = [f"{f.findtext('fn', '?')} ({f.findtext('file', '?')}:{f.findtext('line', '?')})" for f in frames]
            found.append("\n    ".join([what, *places[:12]]))
    return found


def main():
    if len(sys.argv) == 1:
        return run()
    found = findings(sys.argv[1])
    if found is None:
        sys.exit("valgrind: the program did not end as it should")
    print("\n".join(found))
    print(f"valgrind: {len(found)} findings in ganchroma")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
