"""Writes docs/reference.md from the code: every command, option, configuration key and variable of a library.

    python -m tools.make_reference

A test compares the page with what this gives.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer.main

from mnist_cli.cli.app import application
from mnist_cli.cli.help import argument_name
from mnist_cli.cli.options import common_parameters
from mnist_cli.config.template import yaml_value
from mnist_cli.environment import TABLE
from mnist_cli.stages import PIPELINE
from tools import DOCS

PAGE = DOCS / "reference.md"

_INTRODUCTION = """\
# Reference

Every command, every configuration key, and every variable that a library reads from the environment. `python -m
tools.make_reference` writes this page from the code that reads them. [Exit codes](automation.md#exit-codes) and the
[variables of `mnist`](automation.md#variables) itself are on another page.

## Commands
"""
_COMMON = """
### Options of every command

| option | meaning |
|---|---|
"""
_KEYS = """
## Configuration keys

`pipeline.yaml` in the current folder, or the file that `--config` names; `--set KEY=VALUE` goes before both. The
commands that use a key often have an option of its own for it.
"""
_VARIABLES = """
## Variables that libraries read

The libraries below `mnist` read variables by themselves. A variable that could change bits, break a command or let
workers wait for ever is cleared or set in the process of the command; the rest is respected. If you call `mnist` from
Python, training prepares what TensorFlow and Keras read, and leaves the rest of your process alone. The first line that
names a variable counts; a `*` stands for any characters. The table is that of `mnist_cli/environment.py`. A test trains
with a value for every variable that would do harm, and expects the bits of a run without any. Proxies and certificates
for downloads are in the [other table](automation.md#variables).

| read by | variables | treatment | reason |
|---|---|---|---|
"""
_KEY_TABLE = "| key | default | expected | meaning |\n|---|---|---|---|\n"


def reference() -> str:
    """Return the page."""
    root: Any = typer.main.get_command(application())
    common = {parameter.name for parameter in common_parameters(PIPELINE)}
    parts = [_INTRODUCTION]
    first = True
    for words, command in _commands(root, "mnist"):
        parts.append(_command(words, command, common))
        if first:
            options = [parameter for parameter in command.params if parameter.name in common]
            shared, first = _COMMON + "".join(map(_option, options)), False
    return "".join([*parts, shared, _KEYS, *_sections(), _VARIABLES, *_variables()])


def _commands(group: Any, words: str) -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, f"{words} {name}")
        elif not command.hidden:
            yield f"{words} {name}", command


def _command(words: str, command: Any, common: set[str]) -> str:
    own = [parameter for parameter in command.params if parameter.name not in common]
    arguments = [parameter for parameter in own if parameter.param_type_name == "argument"]
    usage = " ".join([words, *(argument_name(argument) for argument in arguments), "[options]"])
    *paragraphs, example = command.help.split("\n\n")
    assert example.startswith("Example: "), f"{words}: the help ends without an example"
    text = "\n\n".join(paragraphs)
    lines = f"\n### `{words}`\n\n```text\n{usage}\n```\n\n{text}\n\nExample: `{example.removeprefix('Example: ')}`\n"
    options = [parameter for parameter in own if parameter.help]
    if options:
        lines += "\n| option | meaning |\n|---|---|\n" + "".join(map(_option, options))
    return lines


def _option(option: Any) -> str:
    if option.param_type_name == "argument":
        names = argument_name(option)
    else:
        names = ", ".join([*option.opts, *option.secondary_opts])
        names += f" {option.metavar}" if option.metavar else ""
    return f"| `{names.replace('|', chr(92) + '|')}` | {_cell(option.help)} |\n"


def _sections() -> Iterator[str]:
    declared = PIPELINE.declarations
    for settings in (declared.general, *declared.sections.values()):
        yield f"\n### {settings.section or 'General'}\n\n{settings.meaning()}.\n\n{_KEY_TABLE}"
        for key in settings.parameters():
            option = f"; `{key.option}`" if key.option else ""
            default, expected = yaml_value(key.default), _cell(key.kind.expected)
            yield f"| `{key.path}`{option} | `{default}` | {expected} | {_cell(key.meaning)} |\n"


def _variables() -> Iterator[str]:
    for line in TABLE:
        names = ", ".join(f"`{name}`" for name in line.names)
        value = f": `{line.value}`" if line.value else ""
        yield f"| {line.reader} | {names} | {line.treatment}{value} | {_cell(line.reason)} |\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


if __name__ == "__main__":
    PAGE.write_text(reference(), encoding="utf-8")
