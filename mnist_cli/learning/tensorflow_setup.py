"""Importing TensorFlow: once, quietly, and in less time.

Two shortcuts, measured on two cores (TensorFlow 2.21, Python 3.11) as the processor time that `mnist train` takes
longer without them, medians of six runs in turns, of 3.5 s in all. The garbage collector looks again and again at a
million objects that all stay, and takes them apart one by one at exit: to switch it off during the import and
`gc.freeze` them after it saves 0.36 s. Keras imports matplotlib.pyplot where it is installed, for two functions that
draw galleries: 0.45 s.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import importlib.abc
import logging
import os
import re
import sys
import tempfile
import threading
from collections.abc import Iterator
from typing import TextIO

from mnist_cli import environment
from mnist_cli.errors import InputError
from mnist_cli.memory import TENSORFLOW_NEEDS, memory_failure, require_memory
from mnist_cli.text import printable

# Held while TensorFlow is being imported: `sys.modules` has a module from its first line on.
_LOCK = threading.Lock()
# What the libraries in TensorFlow log before they read TF_CPP_MIN_LOG_LEVEL: `I0000 00:00:1795326215.607872 …`.
_LOG_LINE = re.compile(
    rb"[IWEF]\d{4} |\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+: [IWEF] |WARNING: All log messages before absl"
    rb"|INFO: Created TensorFlow Lite "
)


def import_tensorflow() -> None:
    """Import TensorFlow, or wait until an import that is under way is done.

    What TensorFlow and Keras read from the environment is set and cleared; see mnist_cli/environment.py.

    Raises:
        InputError: TensorFlow is not installed, or does not run here.
        MnistError: memory is not enough for it.
    """
    with _LOCK:
        logging.getLogger("tensorflow").addFilter(_is_news)  # a second time it changes nothing
        environment.prepare(environment.TENSORFLOW, environment.KERAS)  # some are read later than at the import
        if "tensorflow" in sys.modules:
            return
        require_memory(TENSORFLOW_NEEDS, "TensorFlow")
        try:
            with quiet():
                _import()
        except ImportError as error:
            if failure := memory_failure(error):
                raise failure from error
            raise InputError(
                f"TensorFlow cannot be imported: {printable(error)}", hint="run 'pip install --upgrade tensorflow'"
            ) from error


def _is_news(record: logging.LogRecord) -> bool:
    """Tell whether a log line of TensorFlow is worth passing on.

    Each training in a process traces functions of its own; after five, TensorFlow takes that for an oversight.
    """
    message = str(record.getMessage())
    return not ("retracing" in message and "mnist_cli." in message)


def import_in_background() -> None:
    """Start `import_tensorflow` in a thread, unless TensorFlow is imported or about to be.

    An error is not reported: whoever needs TensorFlow imports it again, and gets the error.
    """
    if "tensorflow" in sys.modules or not _LOCK.acquire(blocking=False):
        return

    def work() -> None:
        try:
            with contextlib.suppress(Exception), cleanup:
                require_memory(TENSORFLOW_NEEDS, "TensorFlow")
                _import()
        finally:
            _LOCK.release()

    with contextlib.ExitStack() as stack:
        # Entered before the caller goes on, so that no progress bar takes hold of the stderr that is turned away.
        stack.enter_context(quiet())
        cleanup = stack.pop_all()
    threading.Thread(target=work, name="import-tensorflow", daemon=True).start()


def _import() -> None:
    environment.prepare(environment.TENSORFLOW, environment.KERAS)
    with _without_matplotlib(), _without_collection():
        importlib.import_module("tensorflow")


@contextlib.contextmanager
def _without_collection() -> Iterator[None]:
    """Let the garbage collector rest; what exists at the end is never looked at again, as it stays anyway."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_on:
            gc.enable()


class _NoMatplotlib(importlib.abc.MetaPathFinder):
    """Makes one thread, and no other, find that Matplotlib is not installed."""

    def __init__(self) -> None:
        self._thread = threading.get_ident()

    def find_spec(self, fullname: str, *_: object) -> None:
        if fullname == "matplotlib" and threading.get_ident() == self._thread:
            raise ModuleNotFoundError("Matplotlib is left out of this import", name=fullname)


@contextlib.contextmanager
def _without_matplotlib() -> Iterator[None]:
    """Keep Keras, which copes without, from importing Matplotlib.

    The price: in this process `keras.visualization` says that Matplotlib is missing. Whatever else uses Matplotlib
    imports it as ever.
    """
    finder = _NoMatplotlib()
    # New lists instead of insert and remove: another thread may be walking through the old one.
    sys.meta_path = [finder, *sys.meta_path]
    try:
        yield
    finally:
        sys.meta_path = [other for other in sys.meta_path if other is not finder]


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep TensorFlow's log lines, and LiteRT's, from the process's stderr, and nothing else.

    No setting silences them, and they do not pass through Python, so descriptor 2 is turned to a temporary file.
    Python's `sys.stderr` meanwhile writes to the true one; what others wrote to the descriptor comes out at the end.
    """
    try:
        real = os.dup(2)
    except OSError:  # There is no stderr.
        yield
        return
    with tempfile.TemporaryFile() as captured:
        os.dup2(captured.fileno(), 2)
        try:
            with _python_stderr_on(real):
                yield
        finally:
            os.dup2(real, 2)
            captured.seek(0)
            os.write(2, b"".join(line for line in captured if not _LOG_LINE.match(line)))


@contextlib.contextmanager
def _python_stderr_on(descriptor: int) -> Iterator[None]:
    """Let `sys.stderr` write to `descriptor`, if it writes to descriptor 2."""
    before = sys.stderr
    if before is None or _descriptor_of(before) != 2:
        yield
        return
    # Not closed at the end, and neither is the descriptor: a logger that was set up meanwhile writes to it for ever.
    other = open(descriptor, "w", 1, encoding=before.encoding, errors=before.errors, closefd=False)  # noqa: SIM115
    before.flush()
    sys.stderr = other
    try:
        yield
    finally:
        # Someone may have put a stream of his own in its place; it stays.
        if sys.stderr is other:
            sys.stderr = before


def _descriptor_of(stream: TextIO) -> int | None:
    try:
        return stream.fileno()
    except (OSError, ValueError, AttributeError):
        return None
