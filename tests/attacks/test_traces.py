"""What a whole run leaves behind and whom it speaks to, asked of the kernel: nothing outside, and nobody else."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mnist_cli.datasets import FILE_NAMES
from mnist_cli.files import sha256_of
from tests.support.data import write_tiny_dataset
from tests.support.mirror_server import MirrorServer

CALLS = (
    "openat,open,creat,mkdir,mkdirat,rename,renameat,renameat2,unlink,unlinkat,rmdir,link,linkat,symlink,symlinkat,"
    "truncate,mknod,mknodat,chmod,fchmodat,connect,sendto,sendmsg"
)
NETWORK = ("connect", "sendto", "sendmsg")
# A call with what it names; one that another thread broke in two is put together before.
CALL = re.compile(r"^\d+ +(\w+)\((.*)\) += (-?\d+)")
PATH = re.compile(r'(?:AT_FDCWD|\d+)?(?:<([^>]*)>, )?"((?:[^"\\]|\\.)*)"')
WRITES = re.compile(r"O_WRONLY|O_RDWR|O_CREAT|O_TRUNC|O_APPEND")
ADDRESS = re.compile(r'sin6?_port=htons\((\d+)\).*?"([^"]+)"')

# A data set that is known in this process only, so that a mirror of a test can serve it.
PROGRAM = """
import json, sys
from mnist_cli.datasets import DATASETS, DataFile, Dataset
pinned = {role: DataFile(*file) for role, file in json.loads(sys.argv[1]).items()}
DATASETS["tiny"] = Dataset("tiny", pinned, (), tuple("0123456789"))
from mnist_cli.cli.app import run_command_line
sys.exit(run_command_line(sys.argv[2:]))
"""


class Traced:
    """A command in folders of its own, and the calls that it made."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.artifacts, self.temporary = root / "artifacts", root / "tmp"
        self.folders = {name: root / name for name in ("tmp", "home", "work", "cache", "config")}
        for folder in self.folders.values():
            folder.mkdir()
        self.calls: list[tuple[str, str]] = []

    def run(self, *command: str) -> None:
        environment = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()} | {
            "HOME": str(self.folders["home"]),
            "TMPDIR": str(self.temporary),
            "XDG_CACHE_HOME": str(self.folders["cache"]),
            "XDG_CONFIG_HOME": str(self.folders["config"]),
            "MNIST_MIRRORS": "",
            "MNIST_ARTIFACTS": str(self.artifacts),
            # Compiled modules are Python's business; what is installed has them already.
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        environment.pop("KERAS_HOME", None)
        trace = self.root / "trace"
        strace = ["strace", "-f", "-y", "-qq", "--seccomp-bpf", "-s", "4096", "-e", f"trace={CALLS}", "-o", str(trace)]
        subprocess.run(
            [*strace, sys.executable, *command],
            cwd=self.folders["work"],
            env=environment,
            check=True,
            timeout=240,
            stdout=subprocess.DEVNULL,
        )
        calls = [match for line in _whole(trace) if (match := CALL.match(line))]
        # An attempt to speak to somebody counts too; a connection with a time-out always begins as one.
        self.calls = [(match[1], match[2]) for match in calls if int(match[3]) >= 0 or match[1] in NETWORK]

    def written(self) -> set[Path]:
        """Every path that was opened for writing, made, renamed or removed, but for devices and /proc."""
        found = set()
        for name, arguments in self.calls:
            if name in NETWORK or (name.startswith("open") and not WRITES.search(arguments)):
                continue
            for folder, path in PATH.findall(arguments):
                found.add(Path(folder or self.folders["work"]) / path)
        return {path for path in found if not str(path).startswith(("/dev/", "/proc/self/"))}

    def outside(self) -> set[Path]:
        """What of `written` is neither an artifact nor temporary."""
        inside = (self.artifacts, self.temporary)
        return {path for path in self.written() if not any(path.is_relative_to(folder) for folder in inside)}

    def addresses(self) -> set[tuple[str, int]]:
        """Whom it connected or sent to over the network, name servers too."""
        spoken = " ".join(arguments for name, arguments in self.calls if name in NETWORK)
        return {(host, int(port)) for port, host in ADDRESS.findall(spoken)}


def _whole(trace: Path) -> list[str]:
    begun: dict[str, str] = {}
    lines = []
    for line in trace.read_text(encoding="utf-8", errors="replace").splitlines():
        process = line.split(" ", 1)[0]
        if line.endswith("<unfinished ...>"):
            begun[process] = line.removesuffix("<unfinished ...>")
        elif " resumed>" in line and process in begun:
            lines.append(begun.pop(process) + line.split(" resumed>", 1)[1])
        else:
            lines.append(line)
    return lines


@pytest.fixture
def traced(tmp_path: Path) -> Traced:
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    probe = subprocess.run(
        ["strace", "-f", "--seccomp-bpf", "-o", os.devnull, "true"], capture_output=True, check=False
    )
    if probe.returncode:
        pytest.skip(f"strace cannot trace here: {probe.stderr.decode(errors='replace').strip()[:100]}")
    return Traced(tmp_path)


def test_the_trace_shows_what_is_written_elsewhere_and_who_is_spoken_to(traced: Traced) -> None:
    with MirrorServer({}) as mirror:
        port = int(mirror.url.split(":")[2].split("/")[0])
        program = "import os, socket, sys; open('a', 'w'); os.mkdir('b'); os.rename('a', 'c'); "
        traced.run("-c", f"{program} socket.create_connection(('127.0.0.1', {port}))")
    work = traced.folders["work"]
    assert traced.outside() == {work / "a", work / "b", work / "c"}
    assert traced.addresses() == {("127.0.0.1", port)}


@pytest.mark.exhaustive
def test_a_run_writes_below_its_folders_and_speaks_to_nobody(traced: Traced) -> None:
    traced.run("-m", "mnist_cli", "run", "--dataset", "synthetic", "--set", "train.steps=20")
    assert (traced.artifacts / "eval" / "manifest.json").is_file()
    assert any(path.is_relative_to(traced.artifacts / "train") for path in traced.written())
    assert traced.outside() == set()
    assert traced.addresses() == set()


@pytest.mark.exhaustive
def test_a_run_speaks_to_the_mirror_that_it_is_given_and_to_nobody_else(traced: Traced, tmp_path: Path) -> None:
    folder = tmp_path / "files"
    write_tiny_dataset(folder)
    pinned = {
        role: (name, (folder / name).stat().st_size, sha256_of(folder / name)) for role, name in FILE_NAMES.items()
    }
    with MirrorServer({name: (folder / name).read_bytes() for name in FILE_NAMES.values()}) as mirror:
        settings = ["--set", "preprocess.validation_size=10", "--set", "train.steps=20", "--set", "train.batch_size=10"]
        command = ["run", "--set", "dataset=tiny", "--mirror", mirror.url, *settings]
        traced.run("-c", PROGRAM, json.dumps(pinned), *command)
        port = int(mirror.url.split(":")[2].split("/")[0])
    assert traced.outside() == set()
    assert traced.addresses() == {("127.0.0.1", port)}
