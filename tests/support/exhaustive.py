"""Tests marked `exhaustive` are left out unless `--exhaustive` asks for all of them or for a share.

A share such as 2/5 takes the tests whose id falls into the second of five parts by its digest: the same ones on every
machine, and after a test was added or removed.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter

import pytest

_left_out = pytest.StashKey[Counter[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--exhaustive",
        type=read_share,
        default=(0, 1),
        metavar="none|all|K/N",
        help="run the slow tests too: all of them, or the K-th of N parts",
    )


def read_share(text: str) -> tuple[int, int]:
    """Return K and N, where 0 of 1 is none and 1 of 1 is all.

    Raises:
        ValueError: it is neither none, nor all, nor K/N with 1 ≤ K ≤ N.
    """
    if text in ("none", "all"):
        return int(text == "all"), 1
    match = re.fullmatch(r"([1-9]\d*)/([1-9]\d*)", text)
    if match is None or int(match[1]) > int(match[2]):
        raise ValueError(f"expected none, all or a share such as 1/4; received {text}")
    return int(match[1]), int(match[2])


def belongs(test: str, share: tuple[int, int]) -> bool:
    """Tell whether the test of this id is in the share."""
    part, parts = share
    return int.from_bytes(hashlib.sha256(test.encode()).digest()[:8]) % parts == part - 1


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    share = config.getoption("exhaustive")
    left_out = [
        item for item in items if item.get_closest_marker("exhaustive") is not None and not belongs(item.nodeid, share)
    ]
    config.stash[_left_out] = Counter(item.nodeid.split("::")[0] for item in left_out)
    if left_out:
        items[:] = [item for item in items if item not in set(left_out)]
        config.hook.pytest_deselected(items=left_out)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Name what was skipped and left out; pytest's own summary line follows."""
    if skipped := terminalreporter.stats.get("skipped"):
        terminalreporter.section("skipped")
        for report in skipped:
            terminalreporter.write_line(f"  {report.nodeid}")
    if left_out := config.stash.get(_left_out, None):
        terminalreporter.section("left out")
        for module, count in left_out.items():
            terminalreporter.write_line(f"{count:4} of {module}")
        terminalreporter.write_line("'python -m tests.check --all' runs these too, 'pytest --exhaustive=1/4' a quarter")
