"""One of the processes that `mnist train --workers N` starts: `mnist`, but it does not outlive the process that did.

    python -m mnist_cli.cli.local_worker WHAT-WAS-TYPED ARGUMENT…

Standard input is a pipe whose other end only that process has, so that it closes when that process ends, however it
does.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from typing import NoReturn

# To write a checkpoint and to hear from the others; then it is enough.
_GRACE = 45.0


def main() -> NoReturn:
    """Run the command line; messages speak of the one that was typed."""
    from mnist_cli.cli.app import main as run

    typed = json.loads(sys.argv.pop(1))
    threading.Thread(target=_end_with_parent, name="watch-parent", daemon=True).start()
    run(typed)


def _end_with_parent() -> None:
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_GRACE)
    os._exit(128 + signal.SIGTERM)


if __name__ == "__main__":
    main()
