"""Waiting for other workers beside TensorFlow, which waits in C++, where no signal handler of Python's runs.

Work that may wait for somebody who is gone is done in a thread of its own; the main thread waits for it, hears signals,
and goes on without it when its time is over.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import tensorflow as tf
from tensorflow.python.eager import context  # nothing public starts the servers

from mnist_cli.errors import Interrupted, WorkerLost
from mnist_cli.signals import StopRequest, take_signals_back

ResultT = TypeVar("ResultT")

_LOOK = 0.1  # seconds
# For the others to come as far as this worker, after a signal; schedulers end a process 30 s after its SIGTERM.
_GRACE = 10.0


# With this, workers that were stopped together, by Ctrl-Z, go on together days later.
_PATIENT_HEARTBEAT = 7 * 24 * 3600 * 1000  # milliseconds


def wait_beside(work: Callable[[], ResultT], seconds: float | None, stop: StopRequest) -> ResultT:
    """Return what `work` returns, or raise what it raises; where it does not end, the thread stays behind.

    Args:
        work: what may wait.
        seconds: for how long at most.
        stop: set by a signal handler that does not raise anything.

    Raises:
        WorkerLost: the time is over.
        Interrupted: `stop` was set, and nothing came of `work` for ten seconds.
    """
    answers: queue.SimpleQueue[tuple[ResultT | None, BaseException | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            answers.put((work(), None))
        except BaseException as error:  # noqa: BLE001  # whatever it is, the main thread raises it
            answers.put((None, error))

    threading.Thread(target=run, name="wait-for-workers", daemon=True).start()
    started, stopped = time.monotonic(), None
    while True:
        with contextlib.suppress(queue.Empty):
            result, error = answers.get(timeout=_LOOK)
            if error is not None:
                raise error
            return result  # type: ignore[return-value]  # there is one where there is no error
        take_signals_back()
        now = time.monotonic()
        if seconds is not None and now - started > seconds:
            raise WorkerLost(
                f"expected TensorFlow to start in every worker within {seconds:g} s; not all of them did",
                hint="start all workers again",
            )
        if stop.signal_number is not None:
            stopped = stopped or now
            if now - stopped > _GRACE:
                raise Interrupted(stop.signal_number)


@contextlib.contextmanager
def patient_heartbeat() -> Iterator[None]:
    """Let the servers that start meanwhile take nobody who is silent for lost; for workers that somebody else watches.

    TensorFlow's strategy has no setting for it, and leaves it to what it calls here.
    """
    made = context.context()
    made.configure_coordination_service = functools.partial(
        made.configure_coordination_service, heartbeat_timeout_in_ms=_PATIENT_HEARTBEAT
    )
    try:
        yield
    finally:
        del made.configure_coordination_service  # the method of its class is there again


@contextlib.contextmanager
def collective_start_beside() -> Iterator[None]:
    """Let TensorFlow's call that waits for the servers of all workers leave the other threads of Python running.

    Its own wrapper holds Python's lock meanwhile, so that nothing could end the process but SIGKILL.
    """
    module, name = context.pywrap_tfe, "TFE_EnableCollectiveOps"
    original = getattr(module, name, None)
    library = ctypes.CDLL(None)
    if original is None or not all(hasattr(library, each) for each in (name, "TF_NewStatus", "TF_GetCode")):
        yield  # another TensorFlow, which waits as it does
        return

    def enable(handle: Any, cluster: bytes) -> None:
        pointer = ctypes.pythonapi.PyCapsule_GetPointer
        pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
        library.TF_NewStatus.restype = ctypes.c_void_p
        library.TF_Message.restype = ctypes.c_char_p
        status = ctypes.c_void_p(library.TF_NewStatus())
        call = library.TFE_EnableCollectiveOps  # ctypes releases the lock
        call(ctypes.c_void_p(pointer(handle, None)), cluster, ctypes.c_size_t(len(cluster)), status)
        if code := library.TF_GetCode(status):
            message = library.TF_Message(status).decode(errors="replace")
            raise tf.errors.exception_type_from_error_code(code)(None, None, message)
        library.TF_DeleteStatus(status)

    setattr(module, name, enable)
    try:
        yield
    finally:
        setattr(module, name, original)
