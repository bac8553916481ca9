"""The replicas that share the work of a step: one device, or several under a strategy of tf.distribute.

Each replica sums up the loss and the gradients of its share of the batch, and the sums of all replicas are added. The
update is then done once, with W and b as ordinary variables. So every optimizer works as it does on one device, and a
step sends only the sums (63 KB for MNIST), and W and b to each device. The sums are of whole numbers, so any number of
replicas, adding in any order, gives the bits of one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from mnist_cli.learning.devices import Device, available_devices, split_cpu
from mnist_cli.learning.distributed.setting import cpu_devices

Tensors = tuple[tf.Tensor, ...]
# Called with the index of a device in `Replicas.devices`, rows, W and b.
Compute = Callable[[int, tf.Tensor, tf.Tensor, tf.Tensor], Tensors]


@dataclass(frozen=True)
class Replicas:
    """The replicas.

    Attributes:
        devices: the devices of this process; W and b are on the first one.
        count: number of replicas in all processes.
        strategy: the strategy of tf.distribute, or None for a single replica.
    """

    devices: tuple[Device, ...]
    count: int = 1
    strategy: Any = None

    def sums(self, compute: Compute, rows: tf.Tensor, weights: tf.Tensor, bias: tf.Tensor) -> Tensors:
        """Sum up what `compute` returns for each replica's share of the rows; for use in a compiled function.

        Args:
            compute: returns float64 [1], [K, D] and [K, 1], sums over the examples at the given rows.
            rows: int32 [batch].
            weights: float64 [K, D].
            bias: float64 [K, 1].
        """
        if self.strategy is None:
            return compute(0, rows, weights, bias)
        shapes = (tf.TensorShape([1]), weights.shape, bias.shape)
        sizes = [shape.num_elements() for shape in shapes]

        def share(rows: tf.Tensor, weights: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
            number = int(tf.get_static_value(tf.distribute.get_replica_context().replica_id_in_sync_group))
            own = rows[
                share_start(rows.shape[0], number, self.count) : share_start(rows.shape[0], number + 1, self.count)
            ]
            if not own.shape[0]:
                return tf.zeros([sum(sizes)], tf.float64)
            sums = compute(number % len(self.devices), own, weights, bias)
            # One vector, because the cost of a reduction hardly depends on its size.
            return tf.concat([tf.reshape(part, [-1]) for part in sums], axis=0)

        shares = self.strategy.run(share, args=(rows, weights, bias))
        total = self.strategy.reduce(tf.distribute.ReduceOp.SUM, shares, axis=None)
        parts = tf.split(total, sizes)
        return tuple(tf.reshape(part, shape) for part, shape in zip(parts, shapes, strict=True))


def share_start(batch: int, number: int, count: int) -> int:
    """Return where the share of replica `number` of `count` begins; shares differ by one example at most."""
    return number * batch // count


def make_replicas(strategy: str, device: str) -> Replicas:
    """Return the replicas for `single` or `mirrored`, on `auto`, `cpu`, `gpu` or `gpu:N`.

    Raises:
        ConfigError: TensorFlow does not find the requested GPU, or MNIST_CPU_DEVICES is invalid or comes too late.
    """
    if strategy == "mirrored" and (count := cpu_devices()) > 1:
        split_cpu(count)
    devices = available_devices(device)
    if strategy == "single":
        return Replicas(devices[:1])
    # Added up on the first device, where W and b are.
    reduction = tf.distribute.ReductionToOneDevice(reduce_to_device=devices[0].name)
    mirrored = tf.distribute.MirroredStrategy([device.name for device in devices], cross_device_ops=reduction)
    return Replicas(devices, len(devices), mirrored)
