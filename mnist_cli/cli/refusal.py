"""A command line that Typer refuses, in our words: what was expected, what was received.

Typer checks values with Pydantic or, in earlier versions, with Click, and passes on what these say to programmers.
"""

from __future__ import annotations

import re
from typing import Any

from mnist_cli.errors import UsageError
from mnist_cli.text import printable

# Pydantic's type of error, or what Click's message matches, and what was expected then; {} is the bound that it names.
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


def refusal(error: Exception) -> UsageError:
    """Return the error to report for a usage error of Typer's."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "mnist"
    return UsageError(_message(error).rstrip("."), hint=f"run '{path} --help'")


def _message(error: Any) -> str:
    told = error.format_message() if hasattr(error, "format_message") else str(error)
    parameter = getattr(error, "param", None)
    if parameter is None:
        return printable(told)
    name = _name(parameter)
    if type(error).__name__ == "MissingParameter":
        choices = re.search(r"Choose from:\s*(.*)", told, re.DOTALL)
        expected = _listed(re.split(r",\s*", choices[1].strip().rstrip("."))) if choices else "a value"
        return f"{name}: expected {expected}; received none"
    words = _words(str(getattr(error, "message", told)), error.__cause__)
    return printable(f"{name}: {words}")


def _words(message: str, cause: Any) -> str:
    """Say what was expected and received; what is unknown here is said as it came."""
    if match := _CHOICE.match(message):
        choices = [choice.strip("'") for choice in match["choices"].split(", ")]
        return f"expected {_listed(choices)}; received {match['received']}"
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
    """Return what a parameter is called on the command line: `--index`, or `N` of an argument."""
    if parameter.param_type_name == "option":
        return str(max(parameter.opts, key=len))
    return str(parameter.metavar or parameter.name.upper())


def _listed(choices: list[str]) -> str:
    """Return 'a, b or c'."""
    return " or ".join(filter(None, [", ".join(choices[:-1]), choices[-1]]))
