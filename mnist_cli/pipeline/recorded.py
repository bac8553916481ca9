"""The configuration that a stage was run with, from its manifest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mnist_cli.config.declarations import Config
from mnist_cli.stages.stage import Stage


def recorded_config(stage: Stage, config: Config, parameters: Mapping[str, Any]) -> Config:
    """Return the configuration that a stage was run with, from the parameters in its manifest.

    Args:
        stage: the stage.
        config: gives the parameters that do not count, which no manifest records. A parameter that counts but is not
            recorded had its default.
        parameters: key → value, from the manifest.
    """
    values = {declared.path: declared.default for declared in stage.settings.parameters() if declared.counts}
    known = config.values()
    for path, value in parameters.items():
        if path in known:
            values[path] = value
    for declared in stage.settings.parameters():
        if declared.replaces in parameters:
            values[declared.path] = None  # a manifest records one of the two, never both
    return config.replaced(values)
