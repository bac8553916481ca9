"""Importing TensorFlow: once, quietly, and in less time.

Two shortcuts save processor time, measured with `mnist train` (3.5 s in all) on two cores (TensorFlow 2.21, Python
3.11), as medians of six alternating runs. The garbage collector keeps examining a million objects that all stay, and
frees them one by one at exit; switching it off during the import and calling `gc.freeze` after it saves 0.36 s. Keras
imports matplotlib.pyplot if it is installed, for two functions that draw galleries; preventing that saves 0.45 s.
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

# Held while TensorFlow is being imported: `sys.modules` lists a module as soon as its import begins.
_LOCK = threading.Lock()
# Lines that TensorFlow's libraries log before they read TF_CPP_MIN_LOG_LEVEL: `I0000 00:00:1795326215.607872 …`.
_LOG_LINE = re.compile(
    rb"[IWEF]\d{4} |\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+: [IWEF] |WARNING: All log messages before absl"
    rb"|INFO: Created TensorFlow Lite "
)


def import_tensorflow() -> None:
    """Import TensorFlow, or wait for an import that is under way.

    The variables that TensorFlow and Keras read from the environment are set or cleared; see mnist_cli/environment.py.

    Raises:
        InputError: TensorFlow is not installed, or does not run here.
        MnistError: there is too little memory for it.
    """
    with _LOCK:
        logging.getLogger("tensorflow").addFilter(_is_news)  # adding it again changes nothing
        environment.prepare(environment.TENSORFLOW, environment.KERAS)  # some variables are read after the import
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
    """Tell whether to pass on a log line of TensorFlow.

    Each training in a process traces its own functions; after five, TensorFlow warns about retracing.
    """
    message = str(record.getMessage())
    return not ("retracing" in message and "mnist_cli." in message)


def import_in_background() -> None:
    """Start `import_tensorflow` in a thread, unless TensorFlow is imported or about to be.

    Errors are dropped: the code that needs TensorFlow imports it again and gets the error.
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
        # Entered before the caller goes on, so that no progress bar picks up the redirected stderr.
        stack.enter_context(quiet())
        cleanup = stack.pop_all()
    threading.Thread(target=work, name="import-tensorflow", daemon=True).start()


def _import() -> None:
    environment.prepare(environment.TENSORFLOW, environment.KERAS)
    with _without_matplotlib(), _without_collection():
        importlib.import_module("tensorflow")


@contextlib.contextmanager
def _without_collection() -> Iterator[None]:
    """Switch the garbage collector off, and freeze the objects that exist at the end, since they stay anyway."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_on:
            gc.enable()


class _NoMatplotlib(importlib.abc.MetaPathFinder):
    """Makes Matplotlib look uninstalled to one thread only."""

    def __init__(self) -> None:
        self._thread = threading.get_ident()

    def find_spec(self, fullname: str, *_: object) -> None:
        if fullname == "matplotlib" and threading.get_ident() == self._thread:
            raise ModuleNotFoundError("Matplotlib is left out of this import", name=fullname)


@contextlib.contextmanager
def _without_matplotlib() -> Iterator[None]:
    """Keep Keras, which works without it, from importing Matplotlib.

    As a result, `keras.visualization` reports in this process that Matplotlib is missing. Other code can import
    Matplotlib as usual.
    """
    finder = _NoMatplotlib()
    # New lists instead of insert and remove: another thread may be iterating over the old one.
    sys.meta_path = [finder, *sys.meta_path]
    try:
        yield
    finally:
        sys.meta_path = [other for other in sys.meta_path if other is not finder]


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep the log lines of TensorFlow and LiteRT, and nothing else, from the process's stderr.

    No setting silences them, and they do not pass through Python, so descriptor 2 is redirected to a temporary file.
    Python's `sys.stderr` meanwhile writes to the real stderr. Other lines written to the descriptor are passed on at
    the end.
    """
    try:
        real = os.dup(2)
    except OSError:  # the process has no stderr
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
    """Make `sys.stderr` write to `descriptor`, if it writes to descriptor 2."""
    before = sys.stderr
    if before is None or _descriptor_of(before) != 2:
        yield
        return
    # Neither this file nor the descriptor is closed: a logger that is set up meanwhile keeps writing to it.
    other = open(descriptor, "w", 1, encoding=before.encoding, errors=before.errors, closefd=False)  # noqa: SIM115
    before.flush()
    sys.stderr = other
    try:
        yield
    finally:
        # Other code may have replaced it meanwhile; its stream stays.
        if sys.stderr is other:
            sys.stderr = before


def _descriptor_of(stream: TextIO) -> int | None:
    try:
        return stream.fileno()
    except (OSError, ValueError, AttributeError):
        return None
