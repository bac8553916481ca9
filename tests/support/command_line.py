"""The two ways in which tests run `mnist`: in this process, and in one of its own.

In this process (the fixture `mnist`) a command takes milliseconds and sees what the test has patched. A process of its
own (`run_process`, `start_process`) starts as slowly as a user's, and is for start-up, signals, streams and real data.
`tests.support.warm` starts real processes in milliseconds.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mnist_cli.cli.app import run_command_line
from tests.support import ROOT

COMMAND = (sys.executable, "-m", "mnist_cli")
HEAVY = ("tensorflow", "keras", "h5py", "numpy", "requests", "PIL", "matplotlib", "filelock")


@dataclass(frozen=True)
class Result:
    """What a command gave.

    Attributes:
        code: exit code, or minus the number of the signal that ended it.
        out: what it printed.
        err: what it reported.
    """

    code: int
    out: str
    err: str

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


class Mnist:
    """`mnist ARGUMENTS` in this process; `common` is typed behind the arguments of every command."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.common: tuple[str, ...] = ()

    def __call__(self, *arguments: str, code: int | None = 0) -> Result:
        """Run a command that must end with `code`; None accepts every exit code."""
        self._capsys.readouterr()
        received = run_command_line([*arguments, *self.common])
        result = Result(received, *self._capsys.readouterr())
        assert code in (None, received), f"expected exit code {code}; received {received}\n{result.err}{result.out}"
        return result


@pytest.fixture
def mnist(capsys: pytest.CaptureFixture[str]) -> Mnist:
    return Mnist(capsys)


def environment(**variables: str) -> dict[str, str]:
    """Return the variables of a process: no mirrors, no colours, this package, and what is given."""
    paths = (str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")]))
    ours = {"NO_COLOR": "1", "MNIST_MIRRORS": "", "PYTHONPATH": os.pathsep.join(paths)}
    return {**os.environ, **ours, **variables}


def run_process(
    *arguments: str, cwd: Path, code: int | None = 0, text: str | None = None, timeout: float = 120, **variables: str
) -> Result:
    """Run a command in a process of its own; `text` is its standard input, `variables` its environment.

    Raises:
        AssertionError: it ended with another exit code than `code`; None accepts every one.
    """
    done = subprocess.run(
        [*COMMAND, *arguments],
        cwd=cwd,
        env=environment(**variables),
        input=text,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert code in (None, done.returncode), f"expected exit code {code}; received {done.returncode}\n{done.stderr}"
    return Result(done.returncode, done.stdout, done.stderr)


def start_process(*arguments: str, cwd: Path, **variables: str) -> subprocess.Popen[str]:
    """Start a command in a process of its own, to be signalled or fed."""
    return subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=cwd,
        env=environment(**variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def imported_by(arguments: list[str], folder: Path) -> set[str]:
    """Return the names in sys.modules after a command has run in a process of its own."""
    program = (
        "import sys\nfrom mnist_cli.cli.app import run_command_line\n"
        "code = run_command_line(sys.argv[1:])\n"
        "print(code, *sorted(name for name in sys.modules if '.' not in name), file=sys.stderr)"
    )
    command = [sys.executable, "-c", program, *arguments]
    result = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, check=True)
    code, *names = result.stderr.splitlines()[-1].split()
    assert code == "0", result.stderr
    return set(names)
