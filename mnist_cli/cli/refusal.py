"""Say in plain words why Typer refuses a command line: what was expected, what was received.

Typer checks values with Pydantic or, in earlier versions, with Click, and passes on messages meant for programmers.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Sequence
from typing import Any

from mnist_cli.config.declarations import SHORT_NAMES
from mnist_cli.errors import UsageError
from mnist_cli.text import listed, printable

# Pydantic's error type, or a pattern for Click's message, and what was expected; {} is the bound.
_EXPECTED = {
    "int_": "a whole number",
    "float_": "a number",
    "greater_than_equal": "{ge} or more",
    "less_than_equal": "{le} or less",
}
_CHOICE = re.compile(r"(?:Value error, )?(?P<received>.*) is not one of (?P<choices>.*?)\.?\Z", re.DOTALL)
_CLICK = (
    (re.compile(r"(?P<received>.*) is not a valid integer\.?\Z", re.DOTALL), "a whole number"),
    (re.compile(r"(?P<received>.*) is not a valid float\.?\Z", re.DOTALL), "a number"),
    (re.compile(r"(?P<received>.*) is not in the range (?P<range>.*?)\.?\Z", re.DOTALL), "a number in {range}"),
)


def refusal(error: Exception, arguments: Sequence[str], everything: Callable[[], Any]) -> UsageError:
    """Return the error to report for a usage error of Typer's.

    Args:
        error: what Typer raised.
        arguments: the words after `mnist`.
        everything: returns the group of all commands; called if an option may belong to another command.
    """
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "mnist"
    message, hint = _message(error).rstrip("."), f"run '{path} --help'"
    if option := getattr(error, "option_name", None):
        message, hint = _unknown_option(error, str(option), arguments, everything(), hint)
    elif arguments and context is not None and f"--{arguments[0]}" in _options(context.command):
        message, hint = message.partition(". ")[0], f"run 'mnist --{arguments[0]}'"
    return UsageError(message, hint=hint)


def _unknown_option(error: Any, option: str, arguments: Sequence[str], group: Any, usual_hint: str) -> tuple[str, str]:
    """Return message and hint for an option that the command does not have."""
    message = printable(f"No such option: {option}")
    if (meant := SHORT_NAMES.get(option.lstrip("-"))) and (full := f"--{meant.replace('_', '-')}") in _options(
        error.ctx.command
    ):
        return f"{message}; did you mean '{full}'?", usual_hint
    takers = [name for name, command in group.commands.items() if option in _options(command)]
    if error.ctx.parent is None:  # the option stands before the command
        for at, word in enumerate(arguments):
            if word in takers:
                again = [word, *arguments[:at], *arguments[at + 1 :]]
                return message, f"options go after the command: 'mnist {printable(shlex.join(again), 1000)}'"
    elif takers:
        named = " and ".join(f"'mnist {name}'" for name in takers)
        return f"{message}; {named} {'take' if takers[1:] else 'takes'} it", f"run 'mnist {takers[0]} --help'"
    near = [name for name in getattr(error, "possibilities", None) or () if name != "--help"]
    return (f"{message}; did you mean '{near[0]}'?" if near else message), usual_hint


def _options(command: Any) -> set[str]:
    return {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}


def _message(error: Any) -> str:
    message = error.format_message() if hasattr(error, "format_message") else str(error)
    parameter = getattr(error, "param", None)
    if parameter is None:
        return printable(message)
    name = _name(parameter)
    if type(error).__name__ == "MissingParameter":
        choices = re.search(r"Choose from:\s*(.*)", message, re.DOTALL)
        expected = listed(re.split(r",\s*", choices[1].strip().rstrip(".")), "or") if choices else "a value"
        return f"{name}: expected {expected}; received none"
    words = _words(str(getattr(error, "message", message)), error.__cause__)
    return printable(f"{name}: {words}")


def _words(message: str, cause: Any) -> str:
    """Return what was expected and received; an unknown message is returned unchanged."""
    if match := _CHOICE.match(message):
        choices = [choice.strip("'") for choice in match["choices"].split(", ")]
        return f"expected {listed(choices, 'or')}; received {match['received']}"
    for pattern, expected in _CLICK:
        if match := pattern.match(message):
            return f"expected {expected.format(**match.groupdict())}; received {match['received']}"
    for problem in cause.errors() if hasattr(cause, "errors") else ():
        for kind, expected in _EXPECTED.items():
            if problem["type"].startswith(kind):
                received = problem["input"]
                shown = f"'{received}'" if isinstance(received, str) else received
                return f"expected {expected.format(**problem.get('ctx', {}))}; received {shown}"
    return message.removeprefix("Value error, ")


def _name(parameter: Any) -> str:
    """Return a parameter's name on the command line: `--index`, or `N` for an argument."""
    if parameter.param_type_name == "option":
        return str(max(parameter.opts, key=len))
    return str(parameter.metavar or parameter.name.upper())
