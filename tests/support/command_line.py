"""The two ways in which tests run `mnist`: in this process, and in one of its own.

In this process (`mnist`) a command takes milliseconds and sees what the test has patched. A process of its
own (`run_process`, `start_process`) starts as slowly as a user's, and is for start-up, signals, streams and real data.
`tests.support.warm` starts real processes in milliseconds.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from mnist_cli.cli.app import run_command_line
from mnist_cli.stages import PIPELINE
from mnist_cli.stages.stage import Pipeline
from tests.support import ROOT

COMMAND = (sys.executable, "-m", "mnist_cli")
HEAVY = ("tensorflow", "keras", "h5py", "numpy", "requests", "PIL", "matplotlib", "filelock")


class Printed:
    """What reads a command's output as JSON; `out` is that output."""

    out: Any

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON document that was printed."""
        document = json.loads(self.out)
        assert isinstance(document, dict)
        return document

    @property
    def documents(self) -> list[dict[str, Any]]:
        """The JSON documents of which each line of the output is one."""
        return [json.loads(line) for line in self.out.splitlines()]


@dataclass(frozen=True)
class Result(Printed):
    """What a command gave.

    Attributes:
        code: exit code, or minus the number of the signal that ended it.
        out: what it printed.
        err: what it reported.
    """

    code: int
    out: str
    err: str


class Command(Protocol):
    """A way to run `mnist`, such as the function of that name."""

    def __call__(self, *arguments: str, code: int | None = 0) -> Result:
        """Run a command that must end with `code`; None accepts every exit code."""


def mnist(*arguments: str, code: int | None = 0, terminal: bool = False, pipeline: Pipeline = PIPELINE) -> Result:
    """Run a command in this process, with standard streams that look like a terminal or not.

    Raises:
        AssertionError: it ended with another exit code than `code`; None accepts every one.
    """
    with Stream(terminal) as out, Stream(terminal) as err, redirect_stdout(out), redirect_stderr(err):
        received = run_command_line([*arguments], pipeline=pipeline)
        return _checked(Result(received, out.text, err.text), code)


class Stream(io.TextIOWrapper):
    """A standard stream that is kept in memory."""

    def __init__(self, terminal: bool) -> None:
        super().__init__(io.BytesIO(), encoding="utf-8", newline="", write_through=True)
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal

    @property
    def text(self) -> str:
        self.flush()
        buffer = self.buffer
        assert isinstance(buffer, io.BytesIO)
        return buffer.getvalue().decode("utf-8", errors="surrogateescape")


def _checked(result: Result, code: int | None) -> Result:
    assert code in (None, result.code), f"expected exit code {code}; received {result.code}\n{result.err}{result.out}"
    return result


def environment(variables: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the variables of a process: no mirrors, no colours, this package, and what is given."""
    paths = (str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")]))
    ours = {"NO_COLOR": "1", "MNIST_MIRRORS": "", "PYTHONPATH": os.pathsep.join(paths)}
    return {**os.environ, **ours, **(variables or {})}


def run_process(
    *arguments: str,
    cwd: Path,
    code: int | None = 0,
    given: bytes | None = None,
    output: Path | None = None,
    variables: Mapping[str, str] | None = None,
) -> Result:
    """Run a command in a process of its own.

    Args:
        arguments: what is typed behind `mnist`.
        cwd: the current folder.
        code: the exit code that it must end with; None accepts every one.
        given: standard input.
        output: where standard output goes instead of into the result, such as /dev/full.
        variables: of the environment.

    Raises:
        AssertionError: it ended with another exit code.
    """
    with contextlib.nullcontext(subprocess.PIPE) if output is None else output.open("wb") as stdout:
        done = subprocess.run(
            [*COMMAND, *arguments],
            cwd=cwd,
            env=environment(variables),
            input=given,
            stdout=stdout,
            stderr=subprocess.PIPE,
            timeout=120,
            check=False,
        )
    out, err = (written.decode(errors="surrogateescape") for written in (done.stdout or b"", done.stderr))
    return _checked(Result(done.returncode, out, err), code)


def start_process(*arguments: str, cwd: Path, variables: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    """Start a command in a process of its own, to be signalled or fed."""
    return subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=cwd,
        env=environment(variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def imported_by(arguments: list[str], folder: Path) -> set[str]:
    """Return the names in sys.modules after a command has run in a process of its own."""
    program = (
        "import sys\nfrom mnist_cli.cli.app import run_command_line\n"
        "code = run_command_line(sys.argv[1:])\n"
        "print(code, *sys.modules, file=sys.stderr)"
    )
    command = [sys.executable, "-c", program, *arguments]
    result = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, check=True)
    code, *names = result.stderr.splitlines()[-1].split()
    assert code == "0", result.stderr
    return set(names)
