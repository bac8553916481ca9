"""`python -m tests.check`: everything that has to pass before a commit, in one command.

ruff, ruff format, mypy --strict, an audit of the pinned versions where the network allows one, and pytest, all of them
even if one fails. pytest says at the end which tests it left out because they are slow: `--all` runs every test,
`--share 1/4` (or the variable MNIST_CHECK_SHARE) a fixed quarter of the slow ones. Other arguments go to pytest.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys

from tests.support import ROOT
from tests.support.exhaustive import read_share

# pytest last: its summary is the last line that is printed.
CHECKS = (
    ("ruff", ["ruff", "check", "."]),
    ("ruff format", ["ruff", "format", "--check", "."]),
    ("mypy", ["mypy"]),
    ("audit", ["tests.support.advisories"]),
    # By file, as modules share what they made; more processes than four need more memory than they save time.
    ("pytest", ["pytest", "-n", str(min(4, os.cpu_count() or 1)), "--dist", "loadfile"]),
)


def main(arguments: list[str]) -> int:
    """Run every check; return 0 if all passed, else the exit code of the last that failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.check", description=__doc__, allow_abbrev=False)
    given = os.environ.get("MNIST_CHECK_SHARE", "none")
    parser.add_argument("--share", type=read_share, default=given, help="the share of the slow tests, such as 1/4")
    parser.add_argument("--all", action="store_const", dest="share", const=(1, 1), help="run every test")
    options, others = parser.parse_known_args(arguments)
    part, parts = options.share
    code = 0
    for name, (module, *words) in CHECKS:
        extra = [f"--exhaustive={part}/{parts}" if part else "--exhaustive=none", *others] if module == "pytest" else []
        print(f"== {name}", flush=True)
        result = subprocess.run([sys.executable, "-m", module, *words, *extra], cwd=ROOT, check=False)
        code = result.returncode or code
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
