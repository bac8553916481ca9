"""What the last run was given on the command line: it holds until the next `mnist run`.

`mnist run --dataset synthetic` followed by `mnist status` finds nothing stale, and `mnist eval` evaluates the model of
`mnist train --steps 2000`. `mnist run` goes by its own command line alone.
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
    """Return key → value of what the last run was given and counts; nothing where that cannot be read."""
    with contextlib.suppress(OSError, ValueError, RecursionError, Wrong):
        content = json.loads(files.read_regular(artifacts.root / _NAME))
        declared = artifacts.pipeline.declarations.keys
        if isinstance(content, dict):
            return {path: declared[path].kind.check(value) for path, value in content.items() if path in declared}
    return {}


def remember_overrides(artifacts: Artifacts, overrides: Mapping[str, Any]) -> None:
    """Write down what a run was given, where it is not so already; a folder that cannot be written stays as it is."""
    counting = counted_overrides(artifacts.pipeline.declarations, overrides)
    if counting != last_overrides(artifacts):
        with contextlib.suppress(OSError):
            files.write_json(artifacts.root / _NAME, counting)


def counted_overrides(declarations: Declarations, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Return the overrides that can move outputs; the others, such as mirrors with passwords, are nobody's business."""
    return {path: value for path, value in overrides.items() if declarations.keys[path].counts}


def as_typed(declarations: Declarations, overrides: Mapping[str, Any]) -> str:
    """Return the words that set these values on a command line."""
    words = []
    for path, value in overrides.items():
        option, text = declarations.keys[path].option, yaml_value(value)
        if isinstance(value, str) and read_yaml(value.encode()).content == value:
            text = value  # as people type it
        words += ["--set", f"{path}={text}"] if option is None else [option, text]
    return shlex.join(words)
