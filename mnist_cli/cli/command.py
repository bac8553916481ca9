"""Register a function as a command, and decide how a command ends.

A command declares its own options. `command` adds the options that set configuration keys, from the parameters'
declarations, and the options that all commands share, and passes them on as one `Session`.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import typer

from mnist_cli.cli.help import Command
from mnist_cli.cli.options import common_parameters, key_parameter
from mnist_cli.cli.session import Session, command_line, typed
from mnist_cli.cli.terminal import OutputLost, say
from mnist_cli.errors import Interrupted, MnistError
from mnist_cli.memory import memory_failure
from mnist_cli.text import printable, without_secrets

if TYPE_CHECKING:
    from mnist_cli.stages.stage import Pipeline


def command(
    app: typer.Typer, pipeline: Pipeline, name: str, keys: Sequence[str] = ()
) -> Callable[[Callable[..., int | None]], Callable[..., int | None]]:
    """Register a function as the command `name`.

    Args:
        app: the application or group.
        pipeline: the stages that the command works on.
        name: as it is typed.
        keys: configuration keys with their own option.

    Returns:
        A decorator. The function receives a `Session`, and its own options as keywords. The exit code is 0, or what
        the function returns after reporting everything itself.
    """

    def register(function: Callable[..., int | None]) -> Callable[..., int | None]:
        own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
        declared = pipeline.declarations.keys
        added = [*(key_parameter(declared[path]) for path in keys), *common_parameters(pipeline)]
        words = f"mnist {app.info.name} {name}" if isinstance(app.info.name, str) else f"mnist {name}"

        @functools.wraps(function)
        def run(**values: Any) -> None:
            session = Session(pipeline, values, keys, words)
            code = _run(session, lambda: function(session, **values))
            if code:
                raise typer.Exit(code)

        parameters = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]
        del run.__wrapped__  # or Typer would read the inner function's signature
        run.__signature__ = inspect.Signature([*parameters, *added])  # type: ignore[attr-defined]
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in (*parameters, *added)}
        app.command(name, cls=Command, help=_unwrapped(inspect.getdoc(function) or ""))(run)
        return function

    return register


def _run(session: Session, body: Callable[[], int | None]) -> int:
    """Run a command's body, report errors, print the document, and return the exit code."""
    code = 0
    try:
        code = _run_body(session, body)
        session.output.finish()
    except OutputLost as error:
        code = code or error.exit_code  # a closed terminal is lost output too
        if not error.closed_pipe:
            say("error:", str(error), fg="red")
    return code


def _run_body(session: Session, body: Callable[[], int | None]) -> int:
    try:
        session.check()
        code = body() or 0
        session.output.render()
        return code
    except OutputLost:
        raise
    except (MnistError, Interrupted) as error:
        if isinstance(error, Interrupted):
            error.hint = _how_to_go_on(error)
        elif error.hint:
            error.hint = session.following(error.hint)
        return _report(session, error)
    except Exception as error:  # noqa: BLE001  # the last resort: a bug must not look like a crash
        if failure := memory_failure(error):
            return _report(session, failure)
        if isinstance(error, OSError):
            return _report(session, _storage_error(error))
        message = f"internal error: {type(error).__name__}: {printable(error)}"
        hint = session.following(f"run '{session.command} --debug' and report what it prints")
        return _report(session, MnistError(message, hint=hint))


def _how_to_go_on(error: Interrupted) -> str:
    """Return the command to run again, without options that would discard the work to resume."""
    if error.reached is None:
        return f"run '{command_line(typed)}' to start it again"
    again = [word for word in typed if word not in ("--restart", "--force")]
    return f"run '{command_line(again)}' to resume from {error.reached}"


def _report(session: Session, error: MnistError | Interrupted) -> int:
    """Report the error being handled."""
    session.output.fail(error)
    if session.debug:
        import traceback

        with contextlib.suppress(OSError):  # a closed terminal
            print(without_secrets(traceback.format_exc()), file=sys.stderr, end="")
    return error.exit_code


def _storage_error(error: OSError) -> MnistError:
    name = error.filename2 or error.filename  # for a rename, the target
    place = f"{printable(name)}: " if name else ""
    return MnistError(f"{place}{error.strerror or printable(error)}", hint="what was published before is unchanged")


def _unwrapped(text: str) -> str:
    """Join the lines of each paragraph: help wraps at the terminal's width."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))
