"""Power cuts: what a command has not synced is lost, at every moment, and what was good is good afterwards.

The command is traced once, undisturbed. From the trace come all states that a power cut could have left (see disk.py).
In each of them every file is whole, as it was before the command or as the command published it; nothing that was
there before and after is missing. `mnist run` then gives what it gives without a power cut.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from mnist_cli.files import TEMPORARY_PREFIX
from mnist_cli.pipeline.artifacts import Artifacts
from mnist_cli.runs.runs import read_runs
from mnist_cli.stages import PIPELINE
from tests.attacks.disk import Disk, State
from tests.attacks.scene import COMMANDS, Figures, Scene
from tests.attacks.tracing import CHANGES, traced

# Beside those that run stages: what is typed, on a finished run. ID stands for the run that is not published.
OTHERS: dict[str, tuple[str, ...]] = {
    "status": ("status",),
    "verify --repair": ("verify", "--repair"),
    "lock": ("lock",),
    "config init": ("config", "init", "--force"),
    "plot": ("plot", "weights"),
    "report": ("report",),
    "clean": ("clean",),
    "eval --run": ("eval", "--run", "ID", "--split", "validation"),
    "runs restore": ("runs", "restore", "ID"),
    "runs rm": ("runs", "rm", "ID"),
    "runs prune": ("runs", "prune", "--set", "keep_runs=1"),
    "train again": ("train", "--force"),
}
# Of a run at work; `status` and `mnist run` know them, and nobody takes them for what is published.
_HIDDEN = (".new", "partial")
_PASSING = (".lock-holder.json", ".lock")
_FORGOTTEN = (
    "artifacts/.digests.json"  # the memory of digests, which may be lost: whoever wants to be sure throws it away
)


def cut_everywhere(scene: Scene, command: str, every: int = 1) -> Figures:
    """Cut the power at every change that a command makes; run `mnist run` after every n-th state that this leaves."""
    figures = Figures("power cut", command)
    with _stage(scene, command) as (folder, typed):
        disk, seen = Disk(folder), set()
        before, runs = disk.state(), _runs(folder)
        states: list[State] = []
        for possible in disk.replay(_trace(scene, folder, typed)):
            figures.attempts += 1
            for state in possible:
                mark = hash(frozenset(state.items()))
                if mark not in seen:
                    seen.add(mark)
                    states.append(state)
        _compare_with_the_real_one(disk, folder)
        after, versions = disk.state(), disk.versions
    figures.hits = len(states)
    for number, state in enumerate(states):
        wrong = list(_judge(state, before, after, versions))
        if not wrong and number % every == 0:
            with _restored(scene, state) as folder:
                wrong += [f"run {name} is lost" for name in _lost(runs, folder, command)]
                wrong += scene.recover(folder) if command in COMMANDS else _sound(scene, folder)
                figures.refused += 1  # in the table: the states after which a run was tried
        figures.violations += [f"state {number}: {what}" for what in wrong]
    return figures


@contextlib.contextmanager
def _stage(scene: Scene, command: str) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """Give a folder in which a command is ready to be run, and what is typed there."""
    if command in COMMANDS:
        with scene.copy(command) as folder:
            yield folder, (command,)
        return
    with scene.copy_of_both() as folder:
        (other,) = [name for name in _runs(folder) if name != _published(folder)]
        yield folder, tuple(other if word == "ID" else word for word in OTHERS[command])


def _trace(scene: Scene, folder: Path, typed: tuple[str, ...]) -> Path:
    trace = folder.with_name("power-trace")
    process = scene.warm.start(*typed, "--artifacts", str(folder / "artifacts"), folder=folder, gated=True)
    traced(scene.warm, trace, process, (*CHANGES, "lseek"), characters=1 << 24)
    assert process.code == 0, process.err
    return trace


def _compare_with_the_real_one(disk: Disk, folder: Path) -> None:
    """Make sure that the disk in memory did what the kernel did."""
    real = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    held = {path: content for path, content in disk.state().items() if not path.endswith("/")}
    differing = sorted(path for path in {*real, *held} if real.get(path) != held.get(path))
    assert not differing, f"the trace does not explain {differing}"


def _judge(state: State, before: State, after: State, versions: dict[str, set[bytes]]) -> Iterator[str]:
    for path in sorted({*state, *before, *after}):
        if path.endswith("/") or _is_hidden(path):
            continue
        if path not in state:
            if path in before and path in after and path != _FORGOTTEN:
                yield f"{path} is lost"
        elif state[path] not in versions.get(path, ()):
            yield f"{path} is neither the old file nor the new one: {state[path][:40]!r}…, {len(state[path])} bytes"


def _is_hidden(path: str) -> bool:
    parts = path.split("/")
    return parts[-1] in _PASSING or any(part in _HIDDEN or part.startswith(TEMPORARY_PREFIX) for part in parts)


@contextlib.contextmanager
def _restored(scene: Scene, state: State) -> Iterator[Path]:
    """Give the folder as a power cut left it."""
    with scene.empty() as folder:
        for path, content in sorted(state.items()):
            if path.endswith("/"):
                (folder / path).mkdir(parents=True, exist_ok=True)
            else:
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / path).write_bytes(content)
        yield folder


def _runs(folder: Path) -> dict[str, set[str]]:
    """Return id → splits that were evaluated, of the kept runs that are whole."""
    whole, _ = read_runs(Artifacts(folder / "artifacts", PIPELINE))
    return {run.id: set(run.evaluations) for run in whole}


def _published(folder: Path) -> str | None:
    manifest = Artifacts(folder / "artifacts", PIPELINE).manifest("train")
    return manifest.key[:8] if manifest else None


def _lost(before: dict[str, set[str]], folder: Path, command: str) -> list[str]:
    """Return the runs and evaluations that were whole before, and are not now."""
    if command in ("runs rm", "runs prune"):
        return []
    now = _runs(folder)
    return [name for name, splits in before.items() if not splits <= now.get(name, set())]


def _sound(scene: Scene, folder: Path) -> list[str]:
    """Return what is wrong with a folder after `mnist run`, where the command was none that runs stages."""
    for words in (("run",), ("verify",), ("status", "--check")):
        done = scene.warm.run(*words, "--artifacts", str(folder / "artifacts"), folder=folder)
        if done.code != 0:
            return [f"'mnist {' '.join(words)}' ended with {done.code}: {done.err}"]
    return []
