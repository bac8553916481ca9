"""Training together with other processes: joining them, sending them data, and noticing that one is gone.

Only the chief reads and writes files. It sends the others its state at the start of training, and the number of steps
to do next, by the same sums that add up the gradients.
"""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from mnist_cli.differences import in_words
from mnist_cli.errors import ConfigError, InputError, NothingToTrain, WorkerLost
from mnist_cli.formats.history import history_line, parse_history
from mnist_cli.learning.checkpoint_state import State
from mnist_cli.learning.devices import available_devices
from mnist_cli.learning.distributed.rendezvous import announce, listen
from mnist_cli.learning.distributed.replicas import Replicas
from mnist_cli.learning.distributed.setting import Worker, patience, shared_secret, this_worker
from mnist_cli.learning.distributed.waiting import interruptible_start, patient_heartbeat, wait_interruptibly
from mnist_cli.signals import StopRequest
from mnist_cli.text import printable

ResultT = TypeVar("ResultT")

# Seconds after the rendezvous for TensorFlow to start in all workers; MNIST_WORKERS_PATIENCE can only make it less.
_START = 60.0
# What TensorFlow raises when a process is gone or was restarted, or when the others gave up.
_LOST = (
    tf.errors.UnavailableError,
    tf.errors.FailedPreconditionError,
    tf.errors.DeadlineExceededError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.InternalError,
)


@contextlib.contextmanager
def reporting_losses() -> Iterator[None]:
    """Turn TensorFlow's errors about unreachable workers into `WorkerLost`."""
    try:
        yield
    except _LOST as error:
        first = printable(_reason(error.message or "no message"), 160)
        raise WorkerLost(
            f"another worker ended or stopped answering\nTensorFlow: {first}",
            hint="start all workers again to resume from the newest checkpoint; fix errors that a worker shows first",
        ) from error


def _reason(message: str) -> str:
    """Return the first line of TensorFlow's message that says what happened, not where in its graph."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    places = ("Graph execution error", "Detected at", "File ", "<stack", "[[{{")
    return next((line for line in lines if not line.startswith(places)), lines[0])


class Cluster:
    """The processes that train together; created once in a process, before TensorFlow does anything else.

    Args:
        device: `auto`, `cpu` or `gpu`.

    Attributes:
        worker: this process among them.
        stop: whether a signal has asked this process to stop, for `wait`; set by the code that handles signals.

    Raises:
        ConfigError: neither TF_CONFIG nor Slurm names the workers, or TensorFlow does not find the requested GPU.
        WorkerLost: other workers cannot be reached.
        NothingToTrain: the chief has nothing to train.
    """

    def __init__(self, device: str) -> None:
        self.worker = this_worker()
        self.stop = StopRequest()
        _meet(self.worker)
        if device == "cpu":
            tf.config.set_visible_devices([], "GPU")
        self._strategy = self.wait(self._start, min(_START, patience()))
        count = self._strategy.num_replicas_in_sync
        # By now TensorFlow lists the devices of all workers; each worker has the same number.
        devices = available_devices(device)[: count // self.worker.count]
        self.replicas = Replicas(devices, count, self._strategy)
        signature = [tf.TensorSpec([None], tf.float64)]
        self._compiled = tf.function(self._sum, input_signature=signature, autograph=False)

    def wait(self, work: Callable[[], ResultT], seconds: float | None = None) -> ResultT:
        """Return what TensorFlow computes with the other workers, and handle signals meanwhile.

        Args:
            work: a call that waits for the other workers.
            seconds: the longest time to wait; None: no limit.

        Raises:
            WorkerLost: a worker is gone, or does not answer in time.
            Interrupted: a signal asked to stop, and the other workers did not catch up.
        """
        with reporting_losses():
            return wait_interruptibly(work, seconds, self.stop)

    def _start(self) -> Any:
        options = tf.distribute.experimental.CommunicationOptions(
            implementation=tf.distribute.experimental.CommunicationImplementation.RING
        )
        # The process that started private workers notices itself when one ends.
        with interruptible_start(), patient_heartbeat() if self.worker.is_private else contextlib.nullcontext():
            return tf.distribute.MultiWorkerMirroredStrategy(_resolver(self.worker), options)

    def sum(self, values: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return the sum of all workers' float64 [n], once all of them have called this.

        Raises:
            WorkerLost: a worker is gone.
        """
        return self.wait(lambda: self._compiled(tf.constant(values, tf.float64)).numpy())

    def leave(self) -> None:
        """Wait until every worker has called this; then each may end without being taken for lost.

        Raises:
            WorkerLost: a worker ended before.
        """
        self.sum([])
        # A worker that has its result may end before another one has received its own from it. The second sum begins
        # only when every worker has the result of the first.
        with contextlib.suppress(WorkerLost):
            self.sum([])

    def broadcast(self, content: bytes) -> bytes:
        """Return the chief's content on every worker; that of the others is ignored; raises as `sum`."""
        own = np.frombuffer(content if self.worker.is_chief else b"", np.uint8)
        length = int(self.sum([len(own)])[0])
        return self.sum(own if self.worker.is_chief else np.zeros(length)).astype(np.uint8).tobytes()

    def share_state(
        self, run: Mapping[str, object], state: State | None, variables: Mapping[str, tf.Variable]
    ) -> State | None:
        """Copy the chief's state and variables to every worker.

        Args:
            run: what decides the run's bits; it must be the same as the chief's.
            state: the state that the chief resumes from; that of the others is ignored.
            variables: variables with the same names and shapes on all workers; they are assigned.

        Raises:
            InputError: this worker's run differs from the chief's.
            WorkerLost: a worker is gone.
        """
        own = dict(run)
        document = {"run": own, "state": None if state is None else _state_document(state, variables)}
        received = json.loads(self.broadcast(json.dumps(document).encode()))
        if received["run"] != json.loads(json.dumps(own)):
            differences = in_words(received["run"], own)
            raise InputError(
                f"worker {self.worker.index} would train something else than the chief: {differences}",
                hint="give all workers the same configuration and store",
            )
        shared = received["state"]
        if shared is None or self.worker.is_chief:
            return state
        for name, variable in variables.items():
            values = np.frombuffer(base64.b64decode(shared["variables"][name]), variable.dtype.as_numpy_dtype)
            variable.assign(values.reshape(variable.shape))
        return State(shared["step"], shared["pending"], parse_history(base64.b64decode(shared["history"])))

    def _sum(self, values: tf.Tensor) -> tf.Tensor:
        def own(values: tf.Tensor) -> tf.Tensor:
            number = int(tf.get_static_value(tf.distribute.get_replica_context().replica_id_in_sync_group))
            # Only the first replica of a worker contributes its values.
            return values if number % len(self.replicas.devices) == 0 else tf.zeros_like(values)

        shares = self._strategy.run(own, args=(values,))
        return self._strategy.reduce(tf.distribute.ReduceOp.SUM, shares, axis=None)


def dismiss_workers() -> None:
    """As the chief, tell the other workers that there is nothing to train; raises as `rendezvous.announce`."""
    addresses = _addresses(this_worker())
    announce("idle", addresses[1:], shared_secret(addresses), patience())


def _meet(worker: Worker) -> None:
    addresses = _addresses(worker)
    secret = shared_secret(addresses)
    if worker.is_chief:
        announce("train", addresses[1:], secret, patience())
    elif listen(addresses[worker.index], addresses[0], secret, patience()) == "idle":
        raise NothingToTrain("nothing to do: the chief's model is up to date")


def _addresses(worker: Worker) -> tuple[str, ...]:
    if worker.addresses:
        return worker.addresses
    cluster = _resolver(worker).cluster_spec()
    return tuple(cluster.job_tasks("worker"))


def _resolver(worker: Worker) -> Any:
    resolvers = tf.distribute.cluster_resolver
    if worker.source == "TF_CONFIG":
        return resolvers.TFConfigClusterResolver()
    # srun has already given each task its GPUs; this number must only be at least the number of tasks on a node.
    resolver = resolvers.SlurmClusterResolver(gpus_per_node=worker.count, gpus_per_task=1, auto_set_gpu=False)
    try:
        resolver.cluster_spec()  # after this call the resolver knows its task
    except (RuntimeError, ValueError, KeyError) as error:
        raise ConfigError(
            [f"Slurm's variables: expected those of a task under srun; {printable(error, 160)}"],
            hint="start it with srun; see docs/training.md",
        ) from error
    return resolver


def _state_document(state: State, variables: Mapping[str, tf.Variable]) -> dict[str, Any]:
    def text(content: bytes) -> str:
        return base64.b64encode(content).decode()

    return {
        "step": state.step,
        "pending": state.pending,
        "history": text(b"".join(map(history_line, state.history))),
        "variables": {name: text(variable.numpy().tobytes()) for name, variable in variables.items()},
    }
