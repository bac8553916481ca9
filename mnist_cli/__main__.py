"""The console script `mnist`, and `python -m mnist_cli`."""

from __future__ import annotations

import gc
from typing import NoReturn


def main() -> NoReturn:
    """Run the command line and leave with its exit code."""
    # Start-up only makes objects that stay; looking through them for garbage costs a tenth of the time of a short
    # command. Commands that work on data switch the collector on again.
    gc.disable()
    from mnist_cli.cli.app import main as run

    run()


if __name__ == "__main__":
    main()
