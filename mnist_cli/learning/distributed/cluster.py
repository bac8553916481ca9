"""Training together with other processes: joining them, telling them something, and hearing that one is gone.

The chief alone reads and writes files. What it knows when training starts, and how many steps to do next, it tells the
others by the same sums that add up the gradients.
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
from mnist_cli.learning.distributed.beside import collective_start_beside, patient_heartbeat, wait_beside
from mnist_cli.learning.distributed.rendezvous import listen, tell
from mnist_cli.learning.distributed.replicas import Replicas
from mnist_cli.learning.distributed.setting import Worker, patience, shared_secret, this_worker
from mnist_cli.signals import StopRequest
from mnist_cli.text import printable

ResultT = TypeVar("ResultT")

# From the rendezvous on, for TensorFlow to start in all workers, if they have that much patience.
_START = 60.0
# What TensorFlow says when a process is gone, or was started again, or when the others gave up.
_LOST = (
    tf.errors.UnavailableError,
    tf.errors.FailedPreconditionError,
    tf.errors.DeadlineExceededError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.InternalError,
)


@contextlib.contextmanager
def losses_told() -> Iterator[None]:
    """Turn what TensorFlow raises when it cannot reach another worker into `WorkerLost`."""
    try:
        yield
    except _LOST as error:
        first = printable(_reason(error.message or "no message"), 160)
        raise WorkerLost(
            f"another worker ended or does not answer any more\nTensorFlow: {first}",
            hint="start all workers again: they go on from the newest checkpoint, unless one says what to mend first",
        ) from error


def _reason(message: str) -> str:
    """Return the first line of TensorFlow's message that says what happened, rather than where in its graph."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    places = ("Graph execution error", "Detected at", "File ", "<stack", "[[{{")
    return next((line for line in lines if not line.startswith(places)), lines[0])


class Cluster:
    """The other processes of a training; made once in a process, before TensorFlow does anything else.

    Args:
        device: `auto`, `cpu` or `gpu`.

    Attributes:
        worker: which of them this is.
        stop: whether a signal has asked this one to stop, for `wait`; whoever handles signals sets it.

    Raises:
        ConfigError: nobody says who the workers are, or a GPU is wanted that TensorFlow does not see.
        WorkerLost: they cannot be reached.
        NothingToTrain: the chief says so.
    """

    def __init__(self, device: str) -> None:
        self.worker = this_worker()
        self.stop = StopRequest()
        _meet(self.worker)
        if device == "cpu":
            tf.config.set_visible_devices([], "GPU")
        self._strategy = self.wait(self._start, min(_START, patience()))
        count = self._strategy.num_replicas_in_sync
        # TensorFlow lists the devices of all workers by now; every worker has as many.
        devices = available_devices(device)[: count // self.worker.count]
        self.replicas = Replicas(devices, count, self._strategy)
        signature = [tf.TensorSpec([None], tf.float64)]
        self._compiled = tf.function(self._sum, input_signature=signature, autograph=False)

    def wait(self, work: Callable[[], ResultT], seconds: float | None = None) -> ResultT:
        """Return what TensorFlow computes with the others; signals are heeded meanwhile.

        Args:
            work: the call that waits for the others.
            seconds: for how long at most.

        Raises:
            WorkerLost: one of them is gone, or does not answer in time.
            Interrupted: a signal asked to stop, and the others did not come that far.
        """
        with losses_told():
            return wait_beside(work, seconds, self.stop)

    def _start(self) -> Any:
        options = tf.distribute.experimental.CommunicationOptions(
            implementation=tf.distribute.experimental.CommunicationImplementation.RING
        )
        # The process that started private workers sees their ends itself.
        with collective_start_beside(), patient_heartbeat() if self.worker.is_private else contextlib.nullcontext():
            return tf.distribute.MultiWorkerMirroredStrategy(_resolver(self.worker), options)

    def sum(self, values: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return the sum of every worker's float64 [n]; it returns when all have called it.

        Raises:
            WorkerLost: one does not.
        """
        return self.wait(lambda: self._compiled(tf.constant(values, tf.float64)).numpy())

    def part(self) -> None:
        """Return when every worker has called it; then each may leave, and no other takes that for a loss.

        Raises:
            WorkerLost: one left before.
        """
        self.sum([])
        # Who has its part of a sum may be gone before another one has got it from there. This sum only tells that
        # everybody has that of the one before.
        with contextlib.suppress(WorkerLost):
            self.sum([])

    def tell(self, content: bytes) -> bytes:
        """Return the chief's content, on every worker; the others' is not looked at; errors as `sum`."""
        own = np.frombuffer(content if self.worker.is_chief else b"", np.uint8)
        length = int(self.sum([len(own)])[0])
        return self.sum(own if self.worker.is_chief else np.zeros(length)).astype(np.uint8).tobytes()

    def share_state(
        self, run: Mapping[str, object], state: State | None, variables: Mapping[str, tf.Variable]
    ) -> State | None:
        """Give every worker the chief's state and variables.

        Args:
            run: what decides the run's bits; it has to be the chief's.
            state: what the chief goes on from; the others' is not looked at.
            variables: of the same names and shapes on all workers; assigned.

        Raises:
            InputError: this worker's run is not the chief's.
            WorkerLost: a worker is gone.
        """
        own = dict(run)
        document = {"run": own, "state": None if state is None else _state_document(state, variables)}
        received = json.loads(self.tell(json.dumps(document).encode()))
        if received["run"] != json.loads(json.dumps(own)):
            differences = in_words(received["run"], own)
            raise InputError(
                f"worker {self.worker.index} would train something else than the chief: {differences}",
                hint="give all workers the same configuration and store",
            )
        told = received["state"]
        if told is None or self.worker.is_chief:
            return state
        for name, variable in variables.items():
            values = np.frombuffer(base64.b64decode(told["variables"][name]), variable.dtype.as_numpy_dtype)
            variable.assign(values.reshape(variable.shape))
        return State(told["step"], told["pending"], parse_history(base64.b64decode(told["history"])))

    def _sum(self, values: tf.Tensor) -> tf.Tensor:
        def own(values: tf.Tensor) -> tf.Tensor:
            number = int(tf.get_static_value(tf.distribute.get_replica_context().replica_id_in_sync_group))
            # One replica speaks for a worker that has several.
            return values if number % len(self.replicas.devices) == 0 else tf.zeros_like(values)

        shares = self._strategy.run(own, args=(values,))
        return self._strategy.reduce(tf.distribute.ReduceOp.SUM, shares, axis=None)


def dismiss_workers() -> None:
    """As the chief, tell the others that there is nothing to train; errors as `rendezvous.tell`."""
    addresses = _addresses(this_worker())
    tell("rest", addresses[1:], shared_secret(addresses), patience())


def _meet(worker: Worker) -> None:
    addresses = _addresses(worker)
    secret = shared_secret(addresses)
    if worker.is_chief:
        tell("train", addresses[1:], secret, patience())
    elif listen(addresses[worker.index], addresses[0], secret, patience()) == "rest":
        raise NothingToTrain("nothing to do: the chief's model is fresh")


def _addresses(worker: Worker) -> tuple[str, ...]:
    if worker.addresses:
        return worker.addresses
    cluster = _resolver(worker).cluster_spec()
    return tuple(cluster.job_tasks("worker"))


def _resolver(worker: Worker) -> Any:
    resolvers = tf.distribute.cluster_resolver
    if worker.source == "TF_CONFIG":
        return resolvers.TFConfigClusterResolver()
    # srun has given each task its GPUs already; the number only has to be one for each task of a node, or more.
    resolver = resolvers.SlurmClusterResolver(gpus_per_node=worker.count, gpus_per_task=1, auto_set_gpu=False)
    try:
        resolver.cluster_spec()  # only then does it know its task
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
