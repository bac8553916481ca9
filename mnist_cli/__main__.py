"""The console script `mnist`, and `python -m mnist_cli`."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run the command line and exit with its code."""
    # Start-up creates only objects that stay; searching them for garbage takes a tenth of the time of a short command.
    # Commands that work on data turn the collector on again.
    gc.disable()
    _open_standard_streams()
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # nothing to clean up yet: Ctrl-C just ends the process
    from mnist_cli.cli.app import main as run

    run()


def _open_standard_streams() -> None:
    """Open /dev/null for standard streams that a daemon or a shell's `>&-` closed, before a file gets their numbers."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            with contextlib.suppress(OSError):
                os.fstat(number)
                continue
            os.open(os.devnull, os.O_RDWR)
            setattr(sys, name, os.fdopen(number, "r" if number == 0 else "w", closefd=False))


if __name__ == "__main__":
    main()
