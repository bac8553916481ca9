"""`python -m tests.check`: everything that has to pass before a commit, in one command.

ruff, ruff format, mypy --strict, an audit of the pinned versions where the network allows one, and pytest, all of them
even if one fails; arguments go to pytest.
"""

from __future__ import annotations

import subprocess
import sys

from tests.support import ROOT

# pytest last: its summary is the last line that is printed.
CHECKS = (
    ("ruff", ["ruff", "check", "."]),
    ("ruff format", ["ruff", "format", "--check", "."]),
    ("mypy", ["mypy"]),
    ("audit", ["tests.support.advisories"]),
    ("pytest", ["pytest"]),
)


def main(arguments: list[str]) -> int:
    """Run every check; return 0 if all passed, else the exit code of the last that failed."""
    code = 0
    for name, (module, *options) in CHECKS:
        extra = arguments if module == "pytest" else []
        print(f"== {name}", flush=True)
        result = subprocess.run([sys.executable, "-m", module, *options, *extra], cwd=ROOT, check=False)
        code = result.returncode or code
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
