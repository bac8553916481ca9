"""Where training runs, and what of that can move the bits."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from mnist_cli.errors import ConfigError
from mnist_cli.learning.data import ALIGNMENT


@dataclass(frozen=True)
class Device:
    """A device, by its kind (`cpu` or `gpu`) and its name in TensorFlow."""

    kind: str
    name: str


def choose_device(wanted: str) -> Device:
    """Return the device for `auto`, `cpu` or `gpu`; on a GPU, TensorFlow is made deterministic.

    Raises:
        ConfigError: a GPU is wanted, and TensorFlow sees none.
    """
    if wanted == "cpu":
        return Device("cpu", "/CPU:0")
    if tf.config.list_physical_devices("GPU"):
        # Its sums are done in no fixed order otherwise. On a CPU they are, and the switch, which holds for the
        # whole process and cannot be turned back, would change nothing.
        tf.config.experimental.enable_op_determinism()
        return Device("gpu", "/GPU:0")
    if wanted == "gpu":
        raise ConfigError(
            ["train.device: expected a GPU that TensorFlow can use; received none"],
            hint="use --device cpu, or install TensorFlow with CUDA: pip install 'tensorflow[and-cuda]'",
        )
    return Device("cpu", "/CPU:0")


def runtime(device: Device) -> dict[str, object]:
    """Return what can move the bits of a run on `device`; the keys are those of `expected_runtime`."""
    return {
        "device": device.kind,
        "tensorflow": tf.__version__,
        "determinism": device.kind == "gpu",
        "onednn": "0" if os.environ.get("TF_ENABLE_ONEDNN_OPTS", "1").lower() in ("0", "false") else "1",
        "replicas": 1,
    }


def resident(array: npt.NDArray[np.uint8], device: Device) -> tf.Tensor:
    """Return the array as a tensor on `device`; on a CPU it is not copied if its memory is aligned.

    The array must not change any more.
    """
    with tf.device(device.name):
        if array.size and array.ctypes.data % ALIGNMENT == 0 and array.flags.writeable:
            return tf.identity(tf.experimental.dlpack.from_dlpack(array.__dlpack__()))
        return tf.constant(array)
