"""The console script `mnist`, and `python -m mnist_cli`."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run the command line and leave with its exit code."""
    # Start-up only makes objects that stay; looking through them for garbage costs a tenth of the time of a short
    # command. Commands that work on data switch the collector on again.
    gc.disable()
    _open_standard_streams()
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # until there is something to tidy up, it simply ends the process
    from mnist_cli.cli.app import main as run

    run()


def _open_standard_streams() -> None:
    """Put /dev/null where a daemon or a shell's `>&-` left no standard stream, before a file gets its number."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            with contextlib.suppress(OSError):
                os.fstat(number)
                continue
            os.open(os.devnull, os.O_RDWR)
            setattr(sys, name, os.fdopen(number, "r" if number == 0 else "w", closefd=False))


if __name__ == "__main__":
    main()
