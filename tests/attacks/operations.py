"""SIGKILL or an error at every operation on the artifacts folder, one after the other, and the order of publishing."""

from __future__ import annotations

import re
import signal
from pathlib import Path

from tests.attacks.scene import Figures, Scene, arguments, leftovers, published
from tests.attacks.tracing import CHANGES, READS, Call, touching, traced
from tests.support.warm import Process

Point = tuple[str, int]  # a call's name, and the how-many-th of that name in its thread


def undisturbed(scene: Scene, command: str, names: tuple[str, ...] = CHANGES) -> tuple[list[Call], Path]:
    """Trace a command that nobody disturbs; return its calls on the artifacts folder, and that folder."""
    with scene.copy(command) as folder:
        process = scene.warm.start(*arguments(folder, command), folder=folder, gated=True)
        calls = traced(scene.warm, folder / "trace", process, names)
        assert process.code == 0, process.err
        return touching(calls, folder / "artifacts"), folder / "artifacts"


def points(calls: list[Call], opened_to_read: bool) -> list[Point]:
    """Return where to strike, in the order of time.

    A process that is killed when it opens a file to read leaves what it would leave if killed at the next change; so
    these are left out, unless `opened_to_read`, for errors.
    """
    changes = [call for call in calls if opened_to_read or not _only_reads(call)]
    return list(dict.fromkeys((call.name, call.number) for call in changes))


def kill_everywhere(scene: Scene, command: str, every: int = 1, thorough: bool = True) -> Figures:
    """Kill a command at each change that it makes to the artifacts folder, or at every n-th.

    After each, the published files must be old or new, and `mnist run` must give the digests of the undisturbed run:
    all of them if `thorough`, else those up to the killed stage, as those after it then read the same bytes.
    """
    figures = Figures("SIGKILL at an operation", command)
    calls, _ = undisturbed(scene, command)
    up_to = () if thorough or command == "run" else ("--to", command)
    for name, number in points(calls, opened_to_read=False)[::every]:
        with scene.copy(command) as folder:
            process = _strike(scene, command, folder, CHANGES, f"{name}:signal=KILL:when={number}")[0]
            figures.attempts += 1
            figures.hits += process.code == -signal.SIGKILL
            wrong = scene.judge(folder) + scene.recover(folder, *up_to)
            figures.violations += [f"killed at {name} {number}: {what}" for what in wrong]
    return figures


def fail_everywhere(scene: Scene, command: str, error: str, every: int = 1) -> Figures:
    """Let each operation on the artifacts folder, or every n-th, fail with an error such as ENOSPC.

    The command must say so in words and leave what was published, or, where the operation does not matter (the memory
    of digests, a file to be removed), end with everything new. A failure while files are moved into place leaves each
    old or new, and the next run finishes that.
    """
    figures = Figures(f"{error} at an operation", command)
    names = CHANGES + (READS if error == "EIO" else ())
    calls, _ = undisturbed(scene, command, names)
    for name, number in points(calls, opened_to_read=error == "EIO")[::every]:
        with scene.copy(command) as folder:
            before = published(folder / "artifacts")
            process, calls = _strike(scene, command, folder, names, f"{name}:error={error}:when={number}")
            figures.attempts += 1
            figures.hits += any(call.injected for call in calls)
            figures.refused += process.code != 0
            wrong = scene.judge(folder)
            if process.code != 0 and not _met_a_device(calls):
                wrong += complaints(process)
            if process.code == 0 or published(folder / "artifacts") != before or leftovers(folder / "artifacts"):
                wrong += scene.recover(folder)
            hit = next((call.text[:160] for call in calls if call.injected), "nothing")
            figures.violations += [f"{name} {number} ({hit}): {what}" for what in wrong]
    return figures


def _met_a_device(calls: list[Call]) -> bool:
    """Tell whether a device was struck, too: strace counts K in each thread by itself.

    No disk error ever comes from there. TensorFlow names its temporary files by /dev/urandom, and where that fails, it
    crashes (SIGSEGV): what the command says then is not its own. What it leaves is judged all the same.
    """
    return any(path.startswith("/dev/") for call in calls if call.injected for path in call.paths())


# A path, or the name of one of the files that pass between stages.
_FILE = re.compile(r"^error: \S+: |\S+/\S+: |\S+\.(gz|h5|json|jsonl)\b")


def complaints(process: Process) -> list[str]:
    """Return what is wrong with the way in which a command failed: it should be a code and one error in words."""
    errors = [line for line in process.err.splitlines() if line.startswith("error: ")]
    wrong = []
    if process.code is None or not 0 < process.code < 99:
        wrong.append(f"ended with {process.code}")
    if len(errors) != 1 or "internal" in errors[0] or "Traceback" in process.err:
        wrong.append(f"said {process.err!r}")
    elif not _FILE.search(errors[0]):
        wrong.append(f"named no file: {errors[0]}")
    return wrong


def _strike(
    scene: Scene, command: str, folder: Path, names: tuple[str, ...], inject: str
) -> tuple[Process, list[Call]]:
    process = scene.warm.start(*arguments(folder, command), folder=folder, gated=True)
    calls = traced(scene.warm, folder / "trace", process, names, inject)
    return process, calls


def _only_reads(call: Call) -> bool:
    return call.name in READS or (call.name in ("open", "openat") and "O_RDONLY" in call.text)
