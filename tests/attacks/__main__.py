"""The long version: every attack on every command, and a table of what came of it.

`python -m tests.attacks --kills 200 --rounds 20` prints Markdown and exits with 1 if anything was violated.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.attacks import tracing
from tests.attacks.crowd import crowd
from tests.attacks.kills import kill_at_random
from tests.attacks.limits import full_output, limit_sizes
from tests.attacks.operations import fail_everywhere, kill_everywhere
from tests.attacks.order import check_order
from tests.attacks.power import OTHERS, cut_everywhere
from tests.attacks.scene import COMMANDS, Figures, Scene, scene
from tests.support.warm import warm_process

Attack = Callable[[Scene, str], Figures]


def attacks(kills: int, rounds: int, every: int) -> dict[str, Attack]:
    """Return the attacks by name."""
    found: dict[str, Attack] = {
        "kills": partial(kill_at_random, kills=kills),
        "crowd": partial(crowd, rounds=rounds),
        "crowd-killed": partial(crowd, rounds=rounds, kill=True),
        "sizes": limit_sizes,
        "output": full_output,
    }
    if tracing.why_not() is None:
        found |= {
            "order": check_order,
            "power": partial(cut_everywhere, every=every),
            "operations": partial(kill_everywhere, every=every),
            "enospc": partial(fail_everywhere, error="ENOSPC", every=every),
            "eio": partial(fail_everywhere, error="EIO", every=every),
        }
    return found


def main(arguments: list[str]) -> int:
    """Run the attacks and print the table; return 1 if there are violations."""
    parser = argparse.ArgumentParser(prog="python -m tests.attacks", description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="random kills of each command")
    parser.add_argument("--rounds", type=int, default=20, help="rounds of eight processes for each command")
    parser.add_argument("--every", type=int, default=1, help="take each n-th operation only")
    parser.add_argument("--commands", nargs="*", default=(*COMMANDS, *OTHERS), choices=(*COMMANDS, *OTHERS))
    parser.add_argument("--attacks", nargs="*", default=None, help="names of attacks; all of them without it")
    given = parser.parse_args(arguments)
    known = attacks(given.kills, given.rounds, given.every)
    if (reason := tracing.why_not()) is not None:
        print(f"without tracing: {reason}", file=sys.stderr)
    print("| attack | command | attempts | hits | refused in words | violations | seconds |")
    print("|---|---|---:|---:|---:|---:|---:|", flush=True)
    violations = 0
    with tempfile.TemporaryDirectory() as base, warm_process(Path(base) / "warm") as warm:
        actors = scene(Path(base), warm)
        for attack in given.attacks or known:
            # Every command meets power cuts, those that run stages all the others too.
            for command in [name for name in given.commands if name in COMMANDS or attack == "power"]:
                started = time.monotonic()
                figures = known[attack](actors, command)
                print(_row(figures, time.monotonic() - started), flush=True)
                violations += len(figures.violations)
                for what in figures.violations:
                    print(f"{figures.attack}, {command}: {what}", file=sys.stderr, flush=True)
    return 1 if violations else 0


def _row(figures: Figures, seconds: float) -> str:
    numbers = (figures.attempts, figures.hits, figures.refused, len(figures.violations), f"{seconds:.0f}")
    return f"| {figures.attack} | {figures.command} | {' | '.join(map(str, numbers))} |"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
