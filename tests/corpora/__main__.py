"""`python -m tests.corpora`: every corpus at full count, each in a process of its own, as a table in Markdown.

`python -m tests.corpora idx --count 1000` runs one of them, with another count. Exit code 0: everything holds.
"""

from __future__ import annotations

import argparse
import importlib
import json
import resource
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

# Corpus → random inputs where they are random.
COUNTS = {"idx": 10_000, "hdf5": 1000, "records": 1000, "configuration": 2000, "mirrors": 500, "text": 1}
# These start whole processes, or wait for mirrors that are silent.
UNLIMITED = ("text", "mirrors")
COLUMNS = ("tried", "refused", "harmless", "accepted", "crashed", "unclear")


def main() -> int:
    """Run what was asked for; return 0 if everything holds."""
    parser = argparse.ArgumentParser(prog="python -m tests.corpora", description=__doc__)
    parser.add_argument("corpora", nargs="*", choices=[*COUNTS, []], default=[])  # argparse checks the default too
    parser.add_argument("--count", type=int)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        return _child(options.corpora[0], options.count)
    print(f"| attack | {' | '.join(COLUMNS)} | slowest, s | peak memory, MB |")
    print(f"|---|{'---:|' * (len(COLUMNS) + 2)}")
    holds = True
    for name in options.corpora or COUNTS:
        count = str(options.count or COUNTS[name])
        command = [sys.executable, "-m", "tests.corpora", name, "--count", count, "--child"]
        result = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
        holds &= result["holds"] and (name in UNLIMITED or _is_within_limits(result))
        for row in result["tallies"]:
            numbers = " | ".join(f"{row[column]:,}" for column in COLUMNS)
            print(f"| {row['attack']} | {numbers} | {row['slowest']:.2f} | {result['megabytes']:.0f} |", flush=True)
            for example in row["examples"]:
                print(example, file=sys.stderr)
    return 0 if holds else 1


def _is_within_limits(result: dict[str, Any]) -> bool:
    """Tell whether each input took less than a second, and the process less than 200 MB."""
    return result["megabytes"] < 200 and all(row["slowest"] < 1 for row in result["tallies"])


def _child(name: str, count: int) -> int:
    with tempfile.TemporaryDirectory(prefix="mnist-corpora-") as folder:
        tallies = list(importlib.import_module(f"tests.corpora.{name}").attack(Path(folder), count))
    # Linux gives kB; the attack's own memory is in it too.
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    rows: list[dict[str, Any]] = [asdict(tally) for tally in tallies]
    print(json.dumps({"holds": all(tally.holds for tally in tallies), "tallies": rows, "megabytes": megabytes}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
