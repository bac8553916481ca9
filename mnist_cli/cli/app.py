"""The application: its commands, and the one place where exit codes are decided."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from itertools import pairwise
from typing import Annotated, NoReturn

import typer

from mnist_cli import __version__
from mnist_cli.cli import session
from mnist_cli.cli.help import Group
from mnist_cli.cli.output import Output
from mnist_cli.cli.refusal import refusal
from mnist_cli.cli.terminal import OutputLost, say, shows_colour, write
from mnist_cli.environment import prepare
from mnist_cli.errors import Interrupted, UsageError
from mnist_cli.signals import raise_on_signals, received_signal
from mnist_cli.stages import PIPELINE
from mnist_cli.stages.stage import Pipeline
from mnist_cli.text import printable

_TYPER_INTERRUPTED = 130  # what Typer makes of any KeyboardInterrupt

# The commands besides those of the stages, each in a module of the same name, in the order of the help.
_BEFORE = ("run",)
_AFTER = (
    "status",
    "clean",
    "sweep",
    "show",
    "predict",
    "plot",
    "report",
    "lesson",
    "export",
    "runs",
    "diff",
    "verify",
    "lock",
    "recipes",
    "config",
    "dataset",
)
# The panel of the help that lists each; the others, such as the stages, are in Pipeline.
_PANELS = {
    "Look": ("show", "predict", "plot", "report", "lesson", "export", "runs", "diff"),
    "Trust": ("verify", "lock"),
    "Configuration": ("config", "recipes", "dataset"),
}
_NAMES = {"help_option_names": ["-h", "--help"]}
_EPILOG = "Start with: mnist run --dataset synthetic (no network), or mnist run. Then: mnist show 0"


def application(command: str | None = None, pipeline: Pipeline = PIPELINE) -> typer.Typer:
    """Return the application with all commands, or, which is faster, with one and its neighbours.

    Args:
        command: the one to run; with an unknown name the application has all commands.
        pipeline: the stages that the commands work on.
    """
    app = typer.Typer(cls=Group, context_settings=_NAMES, no_args_is_help=True, pretty_exceptions_enable=False)
    app.callback(epilog=_EPILOG)(_root)
    homes = dict.fromkeys(_BEFORE) | dict.fromkeys(pipeline.stages, "stages") | dict.fromkeys(_AFTER)
    homes = {name: home or name for name, home in homes.items()}
    for home in [homes[command]] if command in homes else dict.fromkeys(homes.values()):
        importlib.import_module(f"mnist_cli.cli.{home}").register(app, pipeline)
    panels = {name: panel for panel, names in _PANELS.items() for name in names}
    for entry in app.registered_commands:
        entry.rich_help_panel = panels.get(str(entry.name), "Pipeline")
    for group in app.registered_groups:
        name = group.name or (group.typer_instance.info.name if group.typer_instance else None)
        group.rich_help_panel = panels.get(str(name), "Pipeline")
    return app


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"mnist-cli {__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version.", show_default=False
        ),
    ] = False,
) -> None:
    """MNIST from four files to a measured accuracy, in stages that are verified, resumed and repeated bit for bit."""


def main(typed: list[str] | None = None) -> NoReturn:
    """Run the command line and exit with its code; messages quote `typed` if that differs from `sys.argv`."""
    raise_on_signals()
    prepare()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # characters that the encoding lacks must not fail the command
            stream.reconfigure(errors="backslashreplace")
    code = run_command_line(sys.argv[1:], typed)
    _leave(code)


def run_command_line(arguments: list[str], typed: list[str] | None = None, pipeline: Pipeline = PIPELINE) -> int:
    """Run one command.

    Args:
        arguments: the words after `mnist`.
        typed: what the person typed, if that is something else.
        pipeline: the stages that the command works on.

    Returns:
        The exit code.
    """
    # Not every version of Typer exports Click's exceptions, but all export the class of bad parameters.
    usage_error: type[Exception] = typer.BadParameter.__mro__[1]
    try:
        session.typed[:] = arguments if typed is None else typed
        if not shows_colour(sys.stdout):
            # On GitHub and with PY_COLORS, Typer colours its help even in a pipe, and `grep -- --frozen` finds nothing.
            os.environ["_TYPER_FORCE_DISABLE_TERMINAL"] = "1"
        app = application(next(iter(arguments), None), pipeline)
        code = app(arguments, prog_name="mnist", standalone_mode=False)
        if code == _TYPER_INTERRUPTED and (number := received_signal()):  # while Typer read the command line
            return 128 + number
        return code if isinstance(code, int) else 0
    except usage_error as error:
        return _refuse(arguments, error, pipeline)
    except Interrupted as error:
        return error.exit_code
    except (OSError, RuntimeError) as error:
        if "--install-completion" in arguments:
            return _not_installed(error)
        if isinstance(error, OSError):  # only the help is printed by Typer itself
            return _lost(OutputLost(error))
        raise


def _refuse(arguments: list[str], error: Exception, pipeline: Pipeline) -> int:
    """Report a command line that cannot be understood."""
    refused = refusal(error, arguments, lambda: typer.main.get_command(application(pipeline=pipeline)))
    if not refused.message:  # without a command, Typer has printed the help
        return UsageError.exit_code
    wants_json = "--json" in arguments or "--format=json" in arguments or ("--format", "json") in pairwise(arguments)
    output = Output(as_json=wants_json)
    output.fail(refused)
    output.finish()
    return UsageError.exit_code


def _not_installed(error: Exception) -> int:
    """Report that the shell's files in the home folder cannot be written, or that there is no home folder."""
    place = f"{printable(error.filename)}: " if isinstance(error, OSError) and error.filename else ""
    reason = error.strerror if isinstance(error, OSError) else "there is no home folder"
    say("error:", f"completion cannot be installed: {place}{reason}", fg="red")
    say("hint:", "save the output of 'mnist --show-completion' in a file that your shell reads", fg="green")
    return 1


def _lost(error: OutputLost) -> int:
    if not error.closed_pipe:
        say("error:", str(error), fg="red")
    return error.exit_code


def _leave(code: int) -> NoReturn:
    try:
        write("", flush=True)
    except OutputLost as error:
        code = code or _lost(error)
    with contextlib.suppress(OSError):
        sys.stderr.flush()
    # Everything is published and flushed. Tearing down the interpreter would save nothing, take a sixth of a short
    # command's time, and is not safe while a thread is still importing TensorFlow.
    os._exit(code)
