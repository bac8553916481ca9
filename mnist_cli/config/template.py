"""A configuration written out as the commented pipeline.yaml that people edit."""

from __future__ import annotations

import json
from typing import Any

from mnist_cli.config.config import Config
from mnist_cli.config.keys import KEYS, SECTIONS

_HEADER = """\
# Every parameter of every stage. A key that is left out has the value shown by `mnist config init`;
# `mnist config check` finds mistakes, `--set train.learning_rate=0.3` overrides a value for one command.
"""


def render(config: Config) -> str:
    """Return `config` as YAML with a comment for each key; reading it again gives an equal configuration."""
    lines = [_HEADER]
    for path, key in KEYS.items():
        if "." not in path:
            lines.append(_line(path, config.value(path), key.meaning, indent=""))
    for section, meaning in SECTIONS.items():
        lines.append(f"\n# {meaning}.\n{section}:")
        for path, key in KEYS.items():
            if path.startswith(f"{section}."):
                name = path.partition(".")[2]
                lines.append(_line(name, config.value(path), key.meaning, indent="  "))
    return "\n".join(lines) + "\n"


def _line(name: str, value: Any, meaning: str, indent: str) -> str:
    return f"{indent}{name}: {yaml_value(value)}".ljust(28) + f"  # {meaning}"


def yaml_value(value: Any) -> str:
    """Return one value as YAML in one line; JSON is YAML, so strings and lists are written as JSON where needed."""
    if isinstance(value, str) and value.isalpha():
        return value
    if isinstance(value, float):
        # 600.0 and 30.0 are typed as whole numbers; both read back as the same number.
        return repr(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    text = json.dumps(value, ensure_ascii=False)
    # JSON lets some control characters stand that YAML does not.
    return "".join(character if character.isprintable() else f"\\U{ord(character):08x}" for character in text)
