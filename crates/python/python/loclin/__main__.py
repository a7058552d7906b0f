"""The program ``loclin``: ``python -m loclin ...``, and the script of that name."""

from __future__ import annotations

import signal
import sys

from ._native import main as _main


def main() -> int:
    """Runs the program with the arguments of this process, and returns its exit code."""
    # The program stops at once, as it does where it is a process of its own.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    return _main(["loclin", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
