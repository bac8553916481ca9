"""The command-line overrides of the last run, which hold until the next `mnist run`.

After `mnist run --dataset synthetic`, `mnist status` finds nothing stale, and `mnist eval` evaluates the model of
`mnist train --steps 2000`. `mnist run` uses only its own command line.
"""

from __future__ import annotations

import contextlib
import json
import shlex
from collections.abc import Mapping
from typing import Any

from mnist_cli import files
from mnist_cli.config.declarations import Declarations
from mnist_cli.config.kinds import Wrong
from mnist_cli.config.template import yaml_value
from mnist_cli.config.yaml_document import read_yaml
from mnist_cli.pipeline.artifacts import Artifacts

_NAME = ".overrides.json"


def last_overrides(artifacts: Artifacts) -> dict[str, Any]:
    """Return key → value of the last run's overrides that count; empty if their file cannot be read."""
    with contextlib.suppress(OSError, ValueError, RecursionError, Wrong):
        content = json.loads(files.read_regular(artifacts.root / _NAME))
        declared = artifacts.pipeline.declarations.keys
        if isinstance(content, dict):
            return {path: declared[path].kind.check(value) for path, value in content.items() if path in declared}
    return {}


def remember_overrides(artifacts: Artifacts, overrides: Mapping[str, Any]) -> None:
    """Save a run's overrides if they differ from the saved ones; in a read-only folder, do nothing."""
    counting = counted_overrides(artifacts.pipeline.declarations, overrides)
    if counting != last_overrides(artifacts):
        with contextlib.suppress(OSError):
            files.write_json(artifacts.root / _NAME, counting)


def counted_overrides(declarations: Declarations, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Return the overrides that can change outputs; others, such as mirrors with passwords, must not be stored."""
    return {path: value for path, value in overrides.items() if declarations.keys[path].counts}


def as_typed(declarations: Declarations, overrides: Mapping[str, Any]) -> str:
    """Return the command-line options that set these values, as one would type them."""
    words = []
    for path, value in overrides.items():
        option, text = declarations.keys[path].option, yaml_value(value)
        if isinstance(value, str) and read_yaml(value.encode()).content == value:
            text = value  # without the quotes of YAML
        words += ["--set", f"{path}={text}"] if option is None else [option, text]
    return shlex.join(words)
