"""SIGKILL at random moments of a command, again and again."""

from __future__ import annotations

import random
import time

from tests.attacks.scene import Figures, Scene, arguments


def kill_at_random(scene: Scene, command: str, kills: int, thorough: bool = True) -> Figures:
    """Kill a command at moments that are spread over its time, until `kills` of them have hit it.

    After each, the published files must be old or new, and `mnist run` must give the digests of the undisturbed run:
    all of them if `thorough`, else those up to the killed stage, as those after it then read the same bytes.
    """
    figures = Figures("SIGKILL at a random moment", command)
    chance = random.Random(0)
    up_to = () if thorough or command == "run" else ("--to", command)
    seconds = _duration(scene, command)
    while figures.hits < kills and figures.attempts < 4 * kills:
        figures.attempts += 1
        with scene.copy(command) as folder:
            process = scene.warm.start(*arguments(folder, command), folder=folder)
            time.sleep(chance.uniform(0, seconds))  # this is the attack, not a wait for something
            scene.warm.kill(process)
            hit = scene.warm.wait(process).code == -9
            figures.hits += hit
            # How long the command takes changes with what else the machine does: most kills have to hit it.
            seconds *= 1.05 if hit else 0.8
            figures.violations += scene.judge(folder) + scene.recover(folder, *up_to)
    return figures


def _duration(scene: Scene, command: str) -> float:
    with scene.copy(command) as folder:
        started = time.monotonic()
        scene.command(folder, command)
        return time.monotonic() - started
