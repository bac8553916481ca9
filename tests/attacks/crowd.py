"""Many processes in one artifacts folder at once, and a holder of the lock that is killed."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import time
from pathlib import Path

from mnist_cli.stages import PIPELINE
from tests.attacks.scene import Figures, Scene, arguments, leftovers, published
from tests.support.warm import Process

PROCESSES = 8

_LOCKED = re.compile(r"another run is in progress: 'mnist (\w+)', process (\d+), since")


def crowd(scene: Scene, command: str, rounds: int, kill: bool = False) -> Figures:
    """Start eight processes at once, half of them with --wait; with `kill`, end one of them at once by SIGKILL.

    Each must do its work, find it done, or exit with 7 and name a process of the round that holds the lock. Those that
    wait must not be refused. In the end everything is as after one undisturbed run.
    """
    figures = Figures(f"{PROCESSES} processes at once{', the holder killed' if kill else ''}", command)
    for _ in range(rounds):
        figures.attempts += 1
        with scene.copy(command) as folder:
            patient = ((), ("--wait", "60"))
            started = [
                scene.warm.start(*arguments(folder, command), *patient[number % 2], folder=folder)
                for number in range(PROCESSES)
            ]
            victim = _kill_holder(scene, folder, started) if kill else None
            pids = {str(process.pid) for process in started}
            for number, process in enumerate(started):
                scene.warm.wait(process)
                named = _LOCKED.search(process.err)
                if process.code == 7 and number % 2 == 0 and named and named[2] in pids - {str(process.pid)}:
                    figures.refused += 1
                elif process.code == -signal.SIGKILL and process.pid == victim:
                    figures.hits += 1
                elif process.code != 0:
                    figures.violations.append(f"process {number} ended with {process.code}: {process.err}")
            names = list(PIPELINE.stages)
            stages = names[: names.index(command) + 1] if command in PIPELINE.stages else names
            found = published(folder / "artifacts")
            figures.violations += [f"{name} is not the new one" for name in stages if found[name] != scene.new[name]]
            # If the victim was killed when the others had looked, it is the next command that tidies up.
            last = scene.command(folder, command)
            figures.violations += [] if last.code == 0 else [f"the next command ended with {last.code}: {last.err}"]
            figures.violations += [f"{path} was left" for path in leftovers(folder / "artifacts")]
    return figures


def _kill_holder(scene: Scene, folder: Path, started: list[Process]) -> int | None:
    """Wait until one of the processes has the lock, and kill it; None if they were quicker."""
    pids = {process.pid for process in started}
    while not all(map(scene.warm.has_ended, started)):
        for _ in range(50):
            with contextlib.suppress(OSError, ValueError):
                pid = json.loads((folder / "artifacts" / ".lock-holder.json").read_bytes())["pid"]
                if pid in pids:
                    os.kill(pid, signal.SIGKILL)
                    return int(pid)
            time.sleep(0.001)
    return None
