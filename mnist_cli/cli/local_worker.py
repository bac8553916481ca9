"""A process that `mnist train --workers N` starts: it runs `mnist` and ends with the process that started it.

    … mnist_cli.cli.local_worker WHAT-WAS-TYPED NETWORK ARGUMENT…

The first two are JSON: the typed words, and the file descriptors of the network to join. Standard input is a pipe whose
other end only the starting process has, so it closes when that process ends, in whatever way.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from typing import NoReturn

# Seconds to write a checkpoint and to hear from the other workers.
_GRACE = 45.0


def main() -> NoReturn:
    """Run the command line; messages quote the one that was typed."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # until there is something to clean up; see mnist_cli/__main__.py
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
