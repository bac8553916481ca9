"""Where training runs."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from mnist_cli.errors import ConfigError
from mnist_cli.learning.distributed.setting import CPU_DEVICES_VARIABLE

# TensorFlow demands this of memory that it takes over instead of copying it (the width of Eigen's widest vectors).
_ALIGNMENT = 64


@dataclass(frozen=True)
class Device:
    """A device, by its kind (`cpu` or `gpu`) and its name in TensorFlow."""

    kind: str
    name: str


def available_devices(wanted: str) -> tuple[Device, ...]:
    """Return the devices of this machine that `auto`, `cpu`, `gpu` or `gpu:N` allows, in TensorFlow's order.

    Raises:
        ConfigError: a GPU is wanted that TensorFlow does not see.
    """
    gpus = [] if wanted == "cpu" else tf.config.list_logical_devices("GPU")
    if gpus:
        number = wanted.removeprefix("gpu:") if wanted.startswith("gpu:") else None
        if number is not None and int(number) >= len(gpus):
            raise ConfigError(
                [f"train.device: expected gpu:0 to gpu:{len(gpus) - 1}, as TensorFlow counts; received {wanted}"]
            )
        numbers = range(len(gpus)) if number is None else [int(number)]
        return tuple(Device("gpu", f"/GPU:{number}") for number in numbers)
    if wanted.startswith("gpu"):
        raise ConfigError(
            ["train.device: expected a GPU that TensorFlow can use; received none"],
            hint="use --device cpu, or install TensorFlow with CUDA: pip install 'tensorflow[and-cuda]'",
        )
    return tuple(Device("cpu", f"/CPU:{number}") for number in range(len(tf.config.list_logical_devices("CPU"))))


def split_cpu(count: int) -> None:
    """Let TensorFlow see the processor as so many devices; to be called before it does anything.

    Raises:
        ConfigError: it has done something already.
    """
    (cpu,) = tf.config.list_physical_devices("CPU")
    try:
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * count)
    except RuntimeError as error:
        raise ConfigError(
            [f"{CPU_DEVICES_VARIABLE}: expected a process in which TensorFlow has not done anything yet"]
        ) from error


def resident(array: npt.NDArray[np.uint8], device: Device) -> tf.Tensor:
    """Return the array as a tensor on `device`; on a CPU it is not copied if its memory is aligned.

    The array may be a read-only map; its bytes must not change any more.
    """
    with tf.device(device.name):
        if array.size and array.ctypes.data % _ALIGNMENT == 0:
            return tf.identity(tf.experimental.dlpack.from_dlpack(_as_writable(array).__dlpack__()))
        return tf.constant(array)


def _as_writable(array: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return the same memory as an array that NumPy believes to be writable, as DLPack demands; nobody writes to it.

    A map that is writable and private would count against a limit on memory, written to or not.
    """
    memory = (ctypes.c_uint8 * array.nbytes).from_address(array.ctypes.data)
    memory.array = array  # type: ignore[attr-defined]  # the memory lasts as long as somebody uses it
    return np.ctypeslib.as_array(memory).reshape(array.shape)
