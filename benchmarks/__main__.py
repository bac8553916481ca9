"""`python -m benchmarks`: measure, print the table, keep the figures."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.cases import BENCHMARKS, GROUPS, ON_DEMAND
from benchmarks.machine import machine_facts
from benchmarks.measure import BenchmarkError, run_child
from benchmarks.report import Report
from benchmarks.setting import Data, Result, Setting, compile_package, draw_data, find_data, mnist_command

_RESULTS = Path(__file__).parent / "results"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmarks that the arguments choose; return 0 when all of them could be measured, else 1."""
    parser = _parser()
    chosen = parser.parse_args(arguments)
    try:
        data = find_data(chosen.mirror, os.environ.get("MNIST_MIRRORS", ""))
        with tempfile.TemporaryDirectory(prefix="benchmarks-") as name:
            names = [name for word in chosen.only or default_names() for name in GROUPS.get(word, (word,))]
            report = _measure(names, data, chosen.repeats, Path(name), chosen.torch_python)
    except BenchmarkError as error:
        parser.error(str(error))
    report.write(chosen.output)
    print(report.markdown(), end="")
    return 1 if report.failures else 0


def default_names() -> list[str]:
    """Return what is measured where nothing is chosen."""
    return [name for name in BENCHMARKS if name not in ON_DEMAND]


def _measure(names: Sequence[str], data: Data | None, repeats: int, scratch: Path, torch_python: str) -> Report:
    date, machine = datetime.now(UTC).isoformat(timespec="seconds"), machine_facts()
    results: dict[str, Result] = {}
    failures: dict[str, str] = {}
    compile_package(run_child, scratch)
    if data is None:
        _say("no MNIST files (--mirror, MNIST_MIRRORS): generated digits instead, without the targets set for MNIST")
        data = draw_data(run_child, scratch)
    for name in dict.fromkeys(names):
        _say(f"{name} …")
        own = scratch / name
        own.mkdir()
        try:
            results[name] = BENCHMARKS[name](Setting(data, mnist_command(), repeats, own, run_child, torch_python))
        except BenchmarkError as error:  # the others are still worth measuring
            failures[name] = str(error)
            _say(f"{name} failed: {error}")
    return Report(date, machine, "mnist" if data.real else "synthetic", repeats, results, failures)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure whole processes side by side.")
    parser.add_argument("--repeats", type=_positive, default=7, metavar="N", help="measurements of each (default: 7)")
    parser.add_argument(
        "--only",
        action="append",
        choices=[*BENCHMARKS, *GROUPS],
        metavar="NAME",
        help=f"one of {', '.join(BENCHMARKS)}, or all whose name begins with {', '.join(GROUPS)}",
    )
    parser.add_argument(
        "--mirror",
        type=Path,
        metavar="FOLDER",
        help="the four MNIST files (default: the first folder in MNIST_MIRRORS, else generated digits)",
    )
    parser.add_argument(
        "--torch-python",
        default=sys.executable,
        metavar="PATH",
        help="a Python interpreter that has PyTorch, scikit-learn and NumPy (default: this one)",
    )
    parser.add_argument(
        "--output", type=Path, default=_RESULTS, metavar="FOLDER", help="for results.json and results.md"
    )
    return parser


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of 1 or more; received {text!r}")
    return int(text)


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
