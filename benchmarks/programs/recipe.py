"""One whole run with a recipe, in an empty folder or one where it ran with another seed.

    python -m benchmarks.programs.recipe FOLDER MNIST RECIPE SEED [OPTION …]

Starts `MNIST run` in the folder and prints a JSON document: seconds on the clock, the most anonymous memory
that the process had (RssAnon in proc(5); pages of mapped stores do not count), and the test accuracy.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

_SECONDS_BETWEEN_LOOKS = 0.01


def main(folder: str, mnist: str, recipe: str, seed: str, *options: str) -> None:
    """Run, watch and print."""
    command = [*mnist.split(), "run", "--recipe", recipe, "--set", f"seed={seed}", "--quiet", *options]
    started, peak = time.perf_counter(), 0
    with subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            peak = max(peak, _anonymous_bytes(process.pid))
            time.sleep(_SECONDS_BETWEEN_LOOKS)
    seconds = time.perf_counter() - started
    if process.returncode != 0:
        sys.exit(process.returncode)
    accuracy = json.loads(Path(folder, "artifacts/eval/metrics.json").read_bytes())["accuracy"]
    print(json.dumps({"seconds": seconds, "anonymous": peak, "accuracy": accuracy}))


def _anonymous_bytes(pid: int) -> int:
    try:
        with Path(f"/proc/{pid}/status").open() as status:
            return next((1024 * int(line.split()[1]) for line in status if line.startswith("RssAnon:")), 0)
    except OSError:  # it has just ended
        return 0


if __name__ == "__main__":
    main(*sys.argv[1:])
