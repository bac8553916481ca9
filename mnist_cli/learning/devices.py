"""The devices that training runs on."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from mnist_cli.errors import ConfigError
from mnist_cli.learning.distributed.setting import CPU_DEVICES_VARIABLE

# Bytes; TensorFlow demands this alignment of memory that it uses without copying (the width of Eigen's widest vectors).
_ALIGNMENT = 64


@dataclass(frozen=True)
class Device:
    """A device, by its kind (`cpu` or `gpu`) and its name in TensorFlow."""

    kind: str
    name: str


def available_devices(wanted: str) -> tuple[Device, ...]:
    """Return the devices of this machine that `auto`, `cpu`, `gpu` or `gpu:N` allows, in TensorFlow's order.

    Raises:
        ConfigError: TensorFlow does not find the requested GPU.
    """
    gpus = [] if wanted == "cpu" else tf.config.list_logical_devices("GPU")
    if gpus:
        number = wanted.removeprefix("gpu:") if wanted.startswith("gpu:") else None
        if number is not None and int(number) >= len(gpus):
            raise ConfigError(
                [f"train.device: expected gpu:0 to gpu:{len(gpus) - 1}, as TensorFlow numbers them; received {wanted}"]
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
    """Make TensorFlow treat the processor as `count` devices; call it before TensorFlow does anything else.

    Raises:
        ConfigError: TensorFlow is already in use.
    """
    (cpu,) = tf.config.list_physical_devices("CPU")
    try:
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * count)
    except RuntimeError as error:
        raise ConfigError(
            [f"{CPU_DEVICES_VARIABLE}: expected a process that has not used TensorFlow yet; received one that has"]
        ) from error


def resident(array: npt.NDArray[np.uint8], device: Device) -> tf.Tensor:
    """Return the array as a tensor on `device`; on a CPU it is not copied if its memory is aligned.

    The array may be a read-only map; its bytes must not change afterwards.
    """
    with tf.device(device.name):
        if array.size and array.ctypes.data % _ALIGNMENT == 0:
            return tf.identity(tf.experimental.dlpack.from_dlpack(_as_writable(array).__dlpack__()))
        return tf.constant(array)


def _as_writable(array: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return the same memory as an array that NumPy takes for writable, as DLPack demands; nothing writes to it.

    A writable private map would count against a memory limit even if nothing is written to it.
    """
    memory = (ctypes.c_uint8 * array.nbytes).from_address(array.ctypes.data)
    memory.array = array  # type: ignore[attr-defined]  # keeps the memory alive while it is used
    return np.ctypeslib.as_array(memory).reshape(array.shape)
