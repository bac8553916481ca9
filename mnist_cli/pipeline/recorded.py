"""The configuration that something was made with, from what its manifest records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mnist_cli.config.declarations import Config
from mnist_cli.stages.stage import Stage


def recorded_config(stage: Stage, config: Config, parameters: Mapping[str, Any]) -> Config:
    """Return the configuration that a stage was run with, from the parameters in its manifest.

    Args:
        stage: the stage.
        config: what its manifest does not record, as it does not count, is as here; a parameter that counts and is
            not recorded was as by default.
        parameters: key → value.
    """
    values = {declared.path: declared.default for declared in stage.settings.parameters() if declared.counts}
    known = config.values()
    for path, value in parameters.items():
        if path in known:
            values[path] = value
    for declared in stage.settings.parameters():
        if declared.replaces in parameters:
            values[declared.path] = None  # either is recorded, never both
    return config.replaced(values)
