"""The errors a user can cause, each with its exit code.

    MnistError                  1  internal
    ├── UsageError              2  usage
    ├── ConfigError             3  config
    ├── WorkNeeded              4  work-needed     (`status --check`)
    │   └── NotAsLocked         4  not-as-locked   something differs from pipeline.lock
    ├── InputError              5  input           missing, stale or corrupt
    │   └── FormatError         5  format          a file that does not say what it should
    ├── GateFailed              6  gate            a measured number misses its bound
    ├── TrainingDiverged        6  diverged        the loss is not a finite number any more
    ├── Locked                  7  locked
    ├── FetchError              8  fetch           network or checksum
    ├── WorkerLost              9  worker-lost     another process of the same training
    └── NothingToTrain          0  nothing-to-do   the chief of a training has told this worker so

    Interrupted       129/130/143  interrupted     a KeyboardInterrupt, so that no `except Exception` keeps it

A message says what happened, what was expected and what was received; `hint` says what to run next.
Anything that is not a MnistError is a bug of ours and ends with exit code 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

from mnist_cli.text import printable, without_secrets


class MnistError(Exception):
    """What went wrong, and what to do next.

    Args:
        message: one to three lines, free of control characters, without a trailing full stop needed.
        hint: the command or change that mends it, or None.
    """

    exit_code: int = 1
    code: ClassVar[str] = "internal"

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        # Whatever quotes an address: see mnist_cli/text.py.
        self.message = without_secrets(message)
        self.hint = None if hint is None else without_secrets(hint)
        super().__init__(self.message)

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message}\nhint: {self.hint}"


class UsageError(MnistError):
    """The command line cannot be understood."""

    exit_code = 2
    code = "usage"


class ConfigError(MnistError):
    """The configuration has problems; all of them are in `problems`, one line each."""

    exit_code = 3
    code = "config"

    def __init__(self, problems: Sequence[str], *, hint: str | None = None) -> None:
        super().__init__("\n".join(problems), hint=hint)
        self.problems = tuple(map(without_secrets, problems))


class WorkNeeded(MnistError):
    """Something is not fresh, and the caller asked to be told."""

    exit_code = 4
    code = "work-needed"


class NotAsLocked(WorkNeeded):
    """Something is not, or would not be, what pipeline.lock promises; each difference is in `differences`."""

    code = "not-as-locked"

    def __init__(self, message: str, *, differences: Sequence[dict[str, object]], hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.differences = tuple(differences)


class InputError(MnistError):
    """An input is missing, stale or corrupt."""

    exit_code = 5
    code = "input"


class FormatError(InputError):
    """A file is not what its format demands.

    Args:
        path: the file.
        offset: byte position in the decompressed content at which it goes wrong, or None.
        problem: what is wrong there.
        expected: what the format or the caller demands.
        received: what stands there.
    """

    code = "format"

    def __init__(
        self,
        path: Path,
        problem: str,
        *,
        expected: object,
        received: object,
        offset: int | None = None,
        hint: str | None = None,
    ) -> None:
        place = printable(path) if offset is None else f"{printable(path)}, byte {offset}"
        super().__init__(
            f"{place}: {printable(problem)}\nexpected {printable(expected)}; received {printable(received)}", hint=hint
        )
        self.path = path
        self.offset = offset
        self.expected = expected
        self.received = received


class GateFailed(MnistError):
    """A measured number misses the bound that was asked for."""

    exit_code = 6
    code = "gate"


class TrainingDiverged(MnistError):
    """The loss became infinite or not a number."""

    exit_code = 6
    code = "diverged"


class Locked(MnistError):
    """Another process is working in the artifacts folder."""

    exit_code = 7
    code = "locked"


class FetchError(MnistError):
    """No mirror gave the right bytes."""

    exit_code = 8
    code = "fetch"


class WorkerLost(MnistError):
    """Another process of the same training ended, or does not answer."""

    exit_code = 9
    code = "worker-lost"


class NothingToTrain(MnistError):
    """The chief has nothing to train, so its workers have not either: no failure, but no result."""

    exit_code = 0
    code = "nothing-to-do"


class Interrupted(KeyboardInterrupt):
    """A signal ended the work; `exit_code` is 128 + its number.

    Args:
        signal_number: the signal, such as `signal.SIGTERM`.
        reached: from where the same call goes on, such as `step 400`; None where it is the beginning.
    """

    code: ClassVar[str] = "interrupted"

    def __init__(self, signal_number: int, *, reached: str | None = None) -> None:
        super().__init__("interrupted" + (f" at {reached}; the same call goes on from there" if reached else ""))
        self.message = "interrupted"
        self.exit_code = 128 + signal_number
        self.reached = reached
        self.hint: str | None = None


def causes(error: BaseException) -> Iterator[BaseException]:
    """Give an error, what caused it, and so on to the first."""
    seen: list[BaseException] = []
    following: BaseException | None = error
    while following is not None and following not in seen:
        seen.append(following)
        yield following
        following = following.__cause__ or following.__context__


def in_one_line(error: MnistError | OSError) -> str:
    """Return what went wrong in one line, without the hint; of an OSError its reason, without the file."""
    return error.message.replace("\n", "; ") if isinstance(error, MnistError) else str(error.strerror)
