"""strace: what a command does to the artifacts folder, and a signal or an error in the place of one such call.

Which calls to disturb is found from a trace of the undisturbed command: those that name something in the artifacts
folder, or a descriptor that leads there. The thousands of others cannot change the folder, so a process killed at one
of them leaves what it would leave if killed at the next call that can. strace counts calls by name and by thread; so a
point is (name, K), and it is hit by the first thread that makes its K-th call of that name.
"""

from __future__ import annotations

import functools
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.warm import Process, Warm

# Every call that changes a file, a name or a folder. strace passes over a name with '?' that the processor lacks.
CHANGES = (
    *("open", "openat", "creat", "write", "pwrite64", "writev", "pwritev", "sendfile", "copy_file_range"),
    *("truncate", "ftruncate", "fallocate", "fsync", "fdatasync", "sync_file_range"),
    *("rename", "renameat", "renameat2", "link", "linkat", "symlink", "mkdir", "mkdirat"),
    *("unlink", "unlinkat", "rmdir"),
)
READS = ("read", "pread64", "getdents64")

# Calls that begin with a descriptor and name no file beside it; what is in quotes is content.
_BY_DESCRIPTOR = frozenset(
    (
        *("write", "pwrite64", "writev", "pwritev", "sendfile", "copy_file_range", "ftruncate", "fallocate"),
        *("fsync", "fdatasync", "sync_file_range"),
        *READS,
    )
)

_CALL = re.compile(r"^(\d+) +(\w+)\((.*)$")


@dataclass(frozen=True)
class Call:
    """One system call that began.

    Attributes:
        thread: who made it.
        name: such as `openat`.
        number: it was this thread's K-th call of that name.
        text: arguments and result, as strace shows them.
    """

    thread: int
    name: str
    number: int
    text: str

    @property
    def injected(self) -> bool:
        """Whether an error was put in its place."""
        return "(INJECTED)" in self.text

    def paths(self) -> list[str]:
        """Return the files that it names, or that its descriptors lead to; one at a descriptor is joined to it."""
        if self.name in _BY_DESCRIPTOR:
            return re.findall(r"^\d+<([^<>]*)>", self.text)
        found: list[str] = []
        for descriptor, quoted in re.findall(r'<([^<>]*)>|"([^"]*)"', self.text):
            if quoted and not quoted.startswith("/") and found:
                found[-1] = f"{found[-1]}/{quoted}"
            else:
                found.append(descriptor or quoted)
        return found


@functools.cache
def why_not() -> str | None:
    """Return the reason why nothing can be traced here, or None."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    probe = ["strace", "-f", "-e", "trace=?fsync", "-e", "inject=?fsync:error=EIO", "true"]
    result = subprocess.run(probe, capture_output=True, text=True, check=False)
    return None if result.returncode == 0 else f"strace does not work here: {result.stderr.strip()[-200:]}"


def traced(
    warm: Warm,
    trace: Path,
    process: Process,
    names: tuple[str, ...] = CHANGES,
    inject: str | None = None,
    characters: int = 4096,
) -> list[Call]:
    """Trace a gated process from its first call to its end.

    Args:
        warm: whose process it is.
        trace: a file for what strace writes.
        process: it waits at its gate.
        names: the calls to look at.
        inject: what strace is to do to one of them, such as `fsync:signal=KILL:when=3`.
        characters: how much of what is written is shown.

    Returns:
        The calls in the order in which they began; the process has ended.
    """
    command = ["strace", "-f", "-y", "-s", str(characters), "-o", str(trace), "-p", str(process.pid)]
    command += ["-e", f"trace={','.join(f'?{name}' for name in names)}", "-e", "signal=none"]
    if inject is not None:
        command += ["-e", f"inject={inject}"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as strace:
        assert strace.stderr is not None
        try:
            told = strace.stderr.readline()
            assert "attached" in told, told
            warm.open_gate(process)
            warm.wait(process)
        except BaseException:
            strace.kill()
            raise
        strace.stderr.read()
    return list(read_trace(trace))


def read_trace(trace: Path) -> Iterator[Call]:
    """Give the calls in a file that strace wrote."""
    counts: Counter[tuple[str, str]] = Counter()
    for line in trace.read_text(encoding="utf-8", errors="replace").splitlines():
        if match := _CALL.match(line):
            thread, name, text = match.groups()
            counts[thread, name] += 1
            yield Call(int(thread), name, counts[thread, name], text)


def touching(calls: list[Call], folder: Path) -> list[Call]:
    """Return the calls that name something in a folder, or the folder."""
    root = str(folder)
    return [call for call in calls if any(path == root or path.startswith(f"{root}/") for path in call.paths())]
