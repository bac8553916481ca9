"""The stage `features` on the store in a folder, under a memory limit: prints its anonymous memory, as `sized` does."""

from __future__ import annotations

import json
import os
import resource
import sys

from benchmarks.programs.sized import PeakMemory, anonymous_bytes

_LIMIT = 2_000_000_000  # bytes


def main(folder: str) -> None:
    """Do it."""
    os.chdir(folder)
    import mnist_cli.formats.growing_store
    import mnist_cli.formats.store_writer
    import mnist_cli.stages.fitting  # noqa: F401
    from mnist_cli.stages.features import FeaturesSettings, compute_features

    resource.setrlimit(resource.RLIMIT_DATA, (_LIMIT, _LIMIT))
    before = anonymous_bytes()
    with PeakMemory() as memory:
        result = compute_features("store.h5", "features", FeaturesSettings(map="grad8", deskew=True, copies=1))
    print(json.dumps({"anonymous": memory.peak - before, "images": result.train + result.validation + result.test}))


if __name__ == "__main__":
    main(*sys.argv[1:])
