"""Write a configuration as the commented pipeline.yaml that people edit."""

from __future__ import annotations

import json
from typing import Any

from mnist_cli.config.declarations import Config, Parameter, Section
from mnist_cli.config.yaml_document import read_scalar

_HEADER = """\
# Every parameter of every stage, with its default. To set one, remove the '#' before it and change the value.
# `mnist config check` finds mistakes, `--set train.learning_rate=0.3` overrides a value for one command.
"""


def render(config: Config, *, all_set: bool = False) -> str:
    """Return a configuration as YAML with a comment for each key; reading it again gives an equal configuration.

    Args:
        config: the values.
        all_set: whether keys at their default are set too; otherwise they are commented out.
    """
    lines = [_HEADER]
    for name, section in {"": config.general, **config.sections}.items():
        if name:
            lines.append(f"\n# {section.meaning()}.\n{name}:")
        lines += [_line(declared, section, all_set=all_set) for declared in section.parameters()]
    return "\n".join(lines) + "\n"


def _line(declared: Parameter, section: Section, *, all_set: bool) -> str:
    value = getattr(section, declared.name)
    sign = "" if all_set or value != declared.default else "# "
    indent = "  " if section.section else ""
    return f"{indent}{sign}{declared.name}: {yaml_value(value)}".ljust(30) + f"  # {declared.meaning}"


def yaml_value(value: Any) -> str:
    """Return one value as YAML in one line. JSON is YAML, so strings and lists are written as JSON where needed."""
    if isinstance(value, str) and value.isalpha() and read_scalar(value) == value:
        return value
    if isinstance(value, float):
        # 600.0 is written as 600, which reads back as the same number.
        return repr(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    text = json.dumps(value, ensure_ascii=False)
    # JSON allows some control characters that YAML does not.
    return "".join(character if character.isprintable() else f"\\U{ord(character):08x}" for character in text)
