"""One of the processes that `mnist train --workers N` starts: `mnist`, but it does not outlive the process that did.

    … mnist_cli.cli.local_worker WHAT-WAS-TYPED NETWORK ARGUMENT…

Both are JSON: a list of words, and a list of the descriptors of the network that it moves into. Standard input is a
pipe whose other end only the starting process has, so that it closes when that process ends, however it does.
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
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # until there is something to tidy up; see mnist_cli/__main__.py
    from mnist_cli.learning.distributed.own_network import join_network

    typed, network = json.loads(sys.argv.pop(1)), json.loads(sys.argv.pop(1))
    join_network(network)  # before there is a second thread
    from mnist_cli.cli.app import main as run

    threading.Thread(target=_end_with_parent, name="watch-parent", daemon=True).start()
    run(typed)


def _end_with_parent() -> None:
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_GRACE)
    os._exit(128 + signal.SIGTERM)
