"""The errors a user can cause, each with its exit code.

    MnistError                  1  internal
    ├── UsageError              2  usage
    ├── ConfigError             3  config
    ├── WorkNeeded              4  work-needed     (`status --check`)
    │   └── NotAsLocked         4  not-as-locked   something differs from pipeline.lock
    ├── InputError              5  input           missing, stale or corrupt
    │   └── FormatError         5  format          a file that violates its format
    ├── GateFailed              6  gate            a measured number misses its bound
    ├── TrainingDiverged        6  diverged        the loss is no longer finite
    ├── Locked                  7  locked
    ├── FetchError              8  fetch           network or checksum
    ├── WorkerLost              9  worker-lost     another process of the same training
    └── NothingToTrain          0  nothing-to-do   the chief told this worker so

    Interrupted       129/130/143  interrupted     a KeyboardInterrupt, so that no `except Exception` catches it

A message says what happened, what was expected and what was received; `hint` says what to run next.
Any other exception is a bug of ours and ends with exit code 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

from mnist_cli.text import printable, without_secrets


class MnistError(Exception):
    """What went wrong, and what to do next.

    Args:
        message: one to three lines without control characters and without a final full stop.
        hint: the command or change that fixes it, or None.
    """

    exit_code: int = 1
    code: ClassVar[str] = "internal"

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        # A message may quote an address: see mnist_cli/text.py.
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
    """Something is not up to date, and the caller asked for an error in that case."""

    exit_code = 4
    code = "work-needed"


class NotAsLocked(WorkNeeded):
    """Something differs, or would differ, from pipeline.lock; `differences` lists how."""

    code = "not-as-locked"

    def __init__(self, message: str, *, differences: Sequence[dict[str, object]], hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.differences = tuple(differences)


class InputError(MnistError):
    """An input is missing, stale or corrupt."""

    exit_code = 5
    code = "input"


class FormatError(InputError):
    """A file violates its format.

    Args:
        path: the file.
        offset: byte position of the error in the decompressed content, or None.
        problem: what is wrong there.
        expected: what the format or the caller requires.
        received: what was found.
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
    """A measured number misses the required bound."""

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
    """The chief has nothing to train, so neither have its workers: not a failure, but there is no result."""

    exit_code = 0
    code = "nothing-to-do"


class Interrupted(KeyboardInterrupt):
    """A signal ended the work; `exit_code` is 128 + its number.

    Args:
        signal_number: the signal, such as `signal.SIGTERM`.
        reached: where the same call resumes, such as `step 400`; None if it starts over.
    """

    code: ClassVar[str] = "interrupted"

    def __init__(self, signal_number: int, *, reached: str | None = None) -> None:
        super().__init__("interrupted" + (f" at {reached}; the same call resumes from there" if reached else ""))
        self.message = "interrupted"
        self.exit_code = 128 + signal_number
        self.reached = reached
        self.hint: str | None = None


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error, its cause, the cause of that, and so on."""
    seen: list[BaseException] = []
    following: BaseException | None = error
    while following is not None and following not in seen:
        seen.append(following)
        yield following
        following = following.__cause__ or following.__context__


def in_one_line(error: MnistError | OSError) -> str:
    """Return an error in one line, without its hint; for an OSError, the reason without the file name."""
    return error.message.replace("\n", "; ") if isinstance(error, MnistError) else str(error.strerror)
