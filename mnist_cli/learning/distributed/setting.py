"""The devices and strategies to choose from, and this process's place among the workers."""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass

from mnist_cli.errors import ConfigError
from mnist_cli.text import printable

STRATEGIES = ("single", "mirrored", "multiworker")
DEVICE_PATTERN = "auto|cpu|gpu(:(0|[1-9][0-9]{0,3}))?"
PATIENCE_VARIABLE = "MNIST_WORKERS_PATIENCE"
_PATIENCE = 300.0  # seconds; in a cluster, machines and container images start one after the other
TOKEN_VARIABLE = "MNIST_WORKERS_TOKEN"
CPU_DEVICES_VARIABLE = "MNIST_CPU_DEVICES"
_ADDRESS = re.compile(r"\S+:\d{1,5}")
_JOBS = ("chief", "worker")  # in the order in which tf.distribute numbers them


@dataclass(frozen=True)
class Worker:
    """This process among those that train together.

    Attributes:
        index: its number; 0 is the chief, the one that writes.
        count: number of processes.
        source: where this comes from: TF_CONFIG or Slurm.
        addresses: `host:port` of each, in order, if TF_CONFIG gives them.
        is_private: whether they have a private network, as those of `mnist train --workers` have.
    """

    index: int
    count: int
    source: str
    addresses: tuple[str, ...] = ()
    is_private: bool = False

    @property
    def is_chief(self) -> bool:
        """Whether this process writes checkpoints and artifacts."""
        return self.index == 0


def unusable_device(device: str, strategy: str) -> str | None:
    """Return what is wrong with a device under a strategy, or None."""
    if device.startswith("gpu:") and strategy != "single":
        return f"{strategy} takes every GPU, and {device} is one; expected auto, cpu or gpu"
    return None


def patience() -> float:
    """Return the seconds that workers wait for each other: MNIST_WORKERS_PATIENCE, else 300.

    Raises:
        ConfigError: it is not a number above 0.
    """
    text = os.environ.get(PATIENCE_VARIABLE, "")
    with contextlib.suppress(ValueError):
        if not text or 0 < float(text) < float("inf"):
            return float(text or _PATIENCE)
    raise ConfigError([f"{PATIENCE_VARIABLE}: expected seconds above 0; received {text!r:.40}"])


def shared_secret(addresses: Sequence[str]) -> bytes:
    """Return the secret of the workers of one training: MNIST_WORKERS_TOKEN, else just the list of their addresses."""
    return (os.environ.get(TOKEN_VARIABLE) or "\n".join(addresses)).encode()


def cpu_devices() -> int:
    """Return the number of devices to split the processor into: MNIST_CPU_DEVICES, else 1.

    Raises:
        ConfigError: it is not a number from 1 to 64.
    """
    text = os.environ.get(CPU_DEVICES_VARIABLE) or "1"
    if not re.fullmatch("[0-9]{1,2}", text) or not 1 <= int(text) <= 64:
        raise ConfigError([f"{CPU_DEVICES_VARIABLE}: expected a number from 1 to 64; received {text!r:.40}"])
    return int(text)


def this_worker() -> Worker:
    """Return which worker this process is, from TF_CONFIG or, without that, from Slurm's variables.

    Raises:
        ConfigError: both are missing, or TF_CONFIG is not in TensorFlow's format.
    """
    if os.environ.get("TF_CONFIG"):
        return _by_tf_config(os.environ["TF_CONFIG"])
    if "SLURM_PROCID" in os.environ and "SLURM_STEP_NUM_TASKS" in os.environ:
        task, tasks = os.environ["SLURM_PROCID"], os.environ["SLURM_STEP_NUM_TASKS"]
        if not (task.isdecimal() and tasks.isdecimal() and int(task) < int(tasks)):
            raise ConfigError(
                [
                    "SLURM_PROCID and SLURM_STEP_NUM_TASKS: expected a task and a larger number of tasks; "
                    f"received '{printable(task, 40)}' and '{printable(tasks, 40)}'"
                ]
            )
        return Worker(int(task), int(tasks), "Slurm")
    raise ConfigError(
        ["train.strategy: multiworker: expected TF_CONFIG, or Slurm's variables under srun; received neither"],
        hint="run 'mnist train --workers 2' to try it on this machine; see docs/training.md",
    )


def _by_tf_config(text: str) -> Worker:
    try:
        content = json.loads(text)
        named = {job: list(content["cluster"].get(job, ())) for job in _JOBS}
        job, index = content["task"]["type"], int(content["task"]["index"])
        if not 0 <= index < len(named[job]):
            raise ValueError(f"there is no {job} {index}")
        addresses = tuple(address for job in _JOBS for address in named[job])
        if wrong := [address for address in addresses if not _ADDRESS.fullmatch(address)]:
            raise ValueError(f"{printable(wrong[0], 40)} is not host:port")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            [
                'TF_CONFIG: expected {"cluster": {"worker": ["host:port", …]}, "task": {"type": "worker", "index": 0}} '
                f"with workers and at most a chief; received something else ({type(error).__name__}: {error})"
            ]
        ) from None
    number = index + (len(named["chief"]) if job == "worker" else 0)
    return Worker(number, len(addresses), "TF_CONFIG", addresses, content.get("private") is True)
