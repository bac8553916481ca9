"""Waiting for other workers outside TensorFlow, which waits in C++, where Python's signal handlers do not run.

Work that may wait for a worker that is gone runs in its own thread. The main thread waits for it, handles signals, and
goes on without it after a timeout.
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
from tensorflow.python.eager import context  # no public API starts the servers

from mnist_cli.errors import Interrupted, WorkerLost
from mnist_cli.signals import StopRequest, reinstall_signal_handlers

ResultT = TypeVar("ResultT")

_POLL = 0.1  # seconds
# Seconds for the other workers to catch up after a signal; schedulers kill a process 30 s after its SIGTERM.
_GRACE = 10.0


# So long that workers which were stopped together, by Ctrl-Z, can go on together days later.
_PATIENT_HEARTBEAT = 7 * 24 * 3600 * 1000  # milliseconds


def wait_interruptibly(work: Callable[[], ResultT], seconds: float | None, stop: StopRequest) -> ResultT:
    """Return what `work` returns, or raise what it raises; if it does not end, its thread is left behind.

    Args:
        work: a call that may wait.
        seconds: the longest time to wait; None: no limit.
        stop: set by a signal handler that does not raise.

    Raises:
        WorkerLost: the time is up.
        Interrupted: `stop` was set, and `work` did not end within ten seconds.
    """
    answers: queue.SimpleQueue[tuple[ResultT | None, BaseException | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            answers.put((work(), None))
        except BaseException as error:  # noqa: BLE001  # raised again in the main thread
            answers.put((None, error))

    threading.Thread(target=run, name="wait-for-workers", daemon=True).start()
    started, stopped = time.monotonic(), None
    while True:
        with contextlib.suppress(queue.Empty):
            result, error = answers.get(timeout=_POLL)
            if error is not None:
                raise error
            return result  # type: ignore[return-value]  # never None without an error
        reinstall_signal_handlers()
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
    """Make servers started meanwhile tolerate silent workers; for workers that another process watches.

    TensorFlow's strategy has no setting for the heartbeat, so this replaces the function that it calls.
    """
    made = context.context()
    made.configure_coordination_service = functools.partial(
        made.configure_coordination_service, heartbeat_timeout_in_ms=_PATIENT_HEARTBEAT
    )
    try:
        yield
    finally:
        del made.configure_coordination_service  # uncovers the method of the class again


@contextlib.contextmanager
def interruptible_start() -> Iterator[None]:
    """Let other Python threads run during TensorFlow's call that waits for the servers of all workers.

    TensorFlow's own wrapper holds Python's lock meanwhile, so that only SIGKILL could end the process.
    """
    module, name = context.pywrap_tfe, "TFE_EnableCollectiveOps"
    original = getattr(module, name, None)
    library = ctypes.CDLL(None)
    if original is None or not all(hasattr(library, each) for each in (name, "TF_NewStatus", "TF_GetCode")):
        yield  # a version of TensorFlow without these functions; leave its call as it is
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
