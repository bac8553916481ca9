"""The benchmarks by name. A new one is a function from a Setting to a Result, and a line in this table."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.cases import (
    accuracy,
    answers,
    command_line,
    exports,
    pad,
    preparation,
    recipes,
    sizes,
    training_loop,
    training_runs,
    training_workers,
    whole_run,
)
from benchmarks.setting import Result, Setting

BENCHMARKS: dict[str, Callable[[Setting], Result]] = {
    "help": command_line.help_text,
    "status": command_line.nothing_to_do,
    "run": whole_run.from_empty_folder,
    "prepare": preparation.fetch_and_preprocess,
    "memory": preparation.preprocess_memory,
    "size": sizes.two_sizes,
    "size-largest": sizes.largest,
    "accuracy": accuracy.five_seeds,
    "recipes": recipes.all_recipes,
    "predict": answers.one_prediction,
    "report": answers.report,
    "pad": pad.drawings,
    "export": exports.whole_process,
    "export-image": exports.one_image,
    "training-loop": training_loop.examples_per_second,
    "training-first-step": training_loop.time_to_first_step,
    "training-epochs": training_runs.fifty_epochs,
    "training-checkpoints": training_runs.checkpoints,
    "training-memory": training_runs.memory,
    "training-workers": training_workers.two_workers,
}

# What is only measured when it is asked for by its name.
ON_DEMAND = ("size-largest", "recipes", "pad")

# What is measured together by one name.
GROUPS = {"training": tuple(name for name in BENCHMARKS if name.startswith("training-"))}
