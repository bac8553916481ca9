"""The stage functions with their settings as keywords, as tests vary them one by one."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from mnist_cli.config.declarations import Section
from mnist_cli.learning.settings import TrainSettings
from mnist_cli.stages import evaluate as evaluating
from mnist_cli.stages import features as featuring
from mnist_cli.stages import fetch as fetching
from mnist_cli.stages import preprocess as preprocessing
from mnist_cli.stages import train as training


def _apart(kind: type[Section], given: dict[str, Any]) -> dict[str, Any]:
    names = {field.name for field in dataclasses.fields(kind)}
    return {name: given.pop(name) for name in list(given) if name in names}


def fetch(folder: Path | str, **given: Any) -> fetching.FetchResult:
    mirrors = given.pop("mirrors", ())
    settings = fetching.FetchSettings(**_apart(fetching.FetchSettings, given))
    return fetching.fetch(folder, settings, mirrors=mirrors, **given)


def preprocess(sources: Path | str, folder: Path | str, **given: Any) -> preprocessing.PreprocessResult:
    settings = preprocessing.PreprocessSettings(**_apart(preprocessing.PreprocessSettings, given))
    return preprocessing.preprocess(sources, folder, settings, **given)


def features(store: Path | str, folder: Path | str, **given: Any) -> featuring.FeaturesResult:
    settings = featuring.FeaturesSettings(**_apart(featuring.FeaturesSettings, given))
    return featuring.compute_features(store, folder, settings, **given)


def train(store: Path | str, folder: Path | str, **given: Any) -> training.TrainResult:
    events = given.pop("tensorboard", None)  # the folder of the event files, or none
    settings = TrainSettings(**_apart(TrainSettings, given), tensorboard=events is not None)
    return training.train(store, folder, settings, tensorboard=events, **given)


def evaluate(model: Path | str, store: Path | str, folder: Path | str, **given: Any) -> evaluating.EvalResult:
    settings = evaluating.EvalSettings(**_apart(evaluating.EvalSettings, given))
    return evaluating.evaluate(model, store, folder, settings, **given)
