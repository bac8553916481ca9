"""What the recipes reach, how long they take and what memory they need, beside other classifiers."""

from __future__ import annotations

import statistics
import sys

from benchmarks.figures import Row, Spread, Target
from benchmarks.measure import BenchmarkError, Sample
from benchmarks.setting import Result, Setting
from mnist_cli.recipes import RECIPES

SEEDS = range(3)
# Recipe → the lowest mean accuracy in percent, the longest time in seconds, and the most anonymous memory in MB.
_TARGETS = {
    "gradients": (98.7, 10, 900),
    "scattering": (99.2, 20, 900),
    "scattering2": (99.35, 45, 1000),
    "augmented": (99.48, 100, 1000),
    "best": (99.55, 360, 1500),
}
_PEERS = {
    "logistic": "LogisticRegression of scikit-learn on pixels",
    "svc": "SVC (rbf) of scikit-learn on pixels",
    "convolutions": "two convolutional layers in Keras, 2 epochs",
}
_OF_SCIKIT_LEARN = ("logistic", "svc")


def all_recipes(setting: Setting) -> Result:
    """Each recipe with three seeds: the first in an empty folder, which is timed; the others change the order only."""
    rows: list[Row] = []
    for name in RECIPES:
        rows += _recipe(setting, name)
    notes = []
    for name, title in _PEERS.items():
        python = setting.torch_python if name in _OF_SCIKIT_LEARN else sys.executable
        entrant = setting.program(title, "peers.classifiers", name, str(setting.data.folder), python=python)
        assert entrant.folder is not None
        try:
            document = setting.run(entrant.argv, entrant.folder).document()
        except BenchmarkError as error:
            notes.append(f"{title} is left out ({str(error).rpartition(': ')[2]})")
            continue
        rows.append(Row(f"{title}: test accuracy", "%", Spread.of([100 * float(document["accuracy"])])))
        rows.append(Row(f"{title}: time to fit", "s", Spread.of([float(document["seconds"])])))
    return Result(rows, [], tuple(notes))


def _recipe(setting: Setting, name: str) -> list[Row]:
    folder = setting.scratch / name
    folder.mkdir()
    arguments = (str(folder), " ".join(setting.mnist), name)
    documents = []
    for seed in SEEDS:
        entrant = setting.program(name, "programs.recipe", *arguments, str(seed), *setting.data.options)
        assert entrant.folder is not None
        documents.append(_document(setting.run(entrant.argv, entrant.folder)))
    accuracy, seconds, memory = _TARGETS.get(name, (None, None, None))
    percent = [100 * document["accuracy"] for document in documents]
    mean = Spread(statistics.fmean(percent), statistics.fmean(percent), statistics.fmean(percent))
    megabytes = Spread.of([max(document["anonymous"] for document in documents) / 1e6])
    low, slow, large = (
        setting.data.target(Target(**{bound: value})) if value is not None else None
        for bound, value in (("low", accuracy), ("high", seconds), ("high", memory))
    )
    shown = ", ".join(f"{value:.2f}" for value in percent)
    return [
        Row(f"{name}: mean test accuracy, seeds {SEEDS[0]}–{SEEDS[-1]} ({shown})", "%", mean, target=low),
        Row(f"{name}: whole run in an empty folder", "s", Spread.of([documents[0]["seconds"]]), target=slow),
        Row(f"{name}: most anonymous memory", "MB", megabytes, target=large),
    ]


def _document(sample: Sample) -> dict[str, float]:
    document = sample.document()
    try:
        return {key: float(document[key]) for key in ("accuracy", "seconds", "anonymous")}
    except (KeyError, TypeError, ValueError) as error:
        raise BenchmarkError(f"a recipe's figures cannot be read: {error!r}") from error
