"""The benchmarks by name. A new one is a function from a Setting to a Result, and a line in this table."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.cases import accuracy, command_line, preparation, whole_run
from benchmarks.setting import Result, Setting

BENCHMARKS: dict[str, Callable[[Setting], Result]] = {
    "help": command_line.help_text,
    "status": command_line.nothing_to_do,
    "run": whole_run.from_empty_folder,
    "prepare": preparation.fetch_and_preprocess,
    "memory": preparation.preprocess_memory,
    "accuracy": accuracy.five_seeds,
}
