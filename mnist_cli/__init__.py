"""MNIST from four IDX files to a measured accuracy, in stages that are verified, resumed and repeated bit for bit.

The package offers four stages as functions (`fetch`, `preprocess`, `train`, `evaluate`) with their settings
(`TrainSettings`, …), the files between them (`open_store`, `load_model`), predictions for pictures (`predict`,
`normalize`) and the old tutorial's interface (`read_data_sets`). `import mnist_cli` itself imports nothing; each name
imports what it needs when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mnist_cli.formats.model import Model, load_model
    from mnist_cli.formats.store import Store, open_store
    from mnist_cli.learning.settings import TrainSettings
    from mnist_cli.pictures.normalize import normalize
    from mnist_cli.pictures.predicting import Predictions, predict
    from mnist_cli.stages.evaluate import EvalSettings, evaluate
    from mnist_cli.stages.fetch import FetchSettings, fetch
    from mnist_cli.stages.preprocess import PreprocessSettings, preprocess
    from mnist_cli.stages.train import train
    from mnist_cli.tutorial import DataSets, read_data_sets

__version__ = "0.1.0"
__all__ = [
    "DataSets",
    "EvalSettings",
    "FetchSettings",
    "Model",
    "Predictions",
    "PreprocessSettings",
    "Store",
    "TrainSettings",
    "evaluate",
    "fetch",
    "load_model",
    "normalize",
    "open_store",
    "predict",
    "preprocess",
    "read_data_sets",
    "train",
]

_HOMES = {
    "DataSets": "mnist_cli.tutorial",
    "EvalSettings": "mnist_cli.stages.evaluate",
    "FetchSettings": "mnist_cli.stages.fetch",
    "Model": "mnist_cli.formats.model",
    "Predictions": "mnist_cli.pictures.predicting",
    "PreprocessSettings": "mnist_cli.stages.preprocess",
    "Store": "mnist_cli.formats.store",
    "TrainSettings": "mnist_cli.learning.settings",
    "evaluate": "mnist_cli.stages.evaluate",
    "fetch": "mnist_cli.stages.fetch",
    "load_model": "mnist_cli.formats.model",
    "normalize": "mnist_cli.pictures.normalize",
    "open_store": "mnist_cli.formats.store",
    "predict": "mnist_cli.pictures.predicting",
    "preprocess": "mnist_cli.stages.preprocess",
    "read_data_sets": "mnist_cli.tutorial",
    "train": "mnist_cli.stages.train",
}


def __getattr__(name: str) -> Any:
    """Import a public name's module when the name is first used (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'mnist_cli' has no attribute '{name}'")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
