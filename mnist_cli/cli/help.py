"""Help in the words of this program: Typer's own type names, such as `<bool>` and `<list[str]>`, are left out.

Arguments and options bring their own placeholder and say in their help what they expect.
"""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup


class _PlainHelp:
    """Mixed into a command or group of Typer's."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters, without a type's name for flags and arguments."""
        parameters: list[Any] = super().get_params(ctx)  # type: ignore[misc]
        for parameter in parameters:
            if parameter.param_type_name == "argument":
                parameter.display_type_rich = lambda ctx: None  # noqa: ARG005
            elif getattr(parameter, "is_flag", False) and parameter.metavar is None:
                parameter.metavar = ""  # --help, --version and those of completion, which Typer declares
        return parameters

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return what stands behind the command: `[OPTIONS] WHAT [N]`."""
        pieces = [self.options_metavar] if self.options_metavar else []  # type: ignore[attr-defined]
        return [*pieces, *(argument_name(each) for each in self.get_params(ctx) if each.param_type_name == "argument")]


class Command(_PlainHelp, TyperCommand):
    """One command."""


class Group(_PlainHelp, TyperGroup):
    """A group of commands."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return what stands behind the group: `[OPTIONS] COMMAND [ARGS]...`."""
        return [*super().collect_usage_pieces(ctx), self.subcommand_metavar]


def new_group(name: str, meaning: str) -> typer.Typer:
    """Return a group of commands; without one of them it prints its help."""
    return typer.Typer(cls=Group, name=name, help=meaning, no_args_is_help=True)


def argument_name(argument: Any) -> str:
    """Return how an argument is written in a usage line: `N`, `[N]` where it may be left out, `[FILE…]` for several."""
    name = argument.metavar or argument.name.upper()
    name += "…" if argument.nargs != 1 and not name.endswith("…") else ""
    return name if argument.required else f"[{name}]"
