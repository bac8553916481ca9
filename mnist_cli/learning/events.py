"""Event files for TensorBoard: loss, validation loss and accuracy over the steps of a run, and W as images.

They are written as `tf.summary` would write them; its own functions for scalars and images need the tensorboard
package, which is not installed with TensorFlow.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from mnist_cli import files
from mnist_cli.formats.history import Record
from mnist_cli.learning.failures import not_written
from mnist_cli.maps.layout import Layout
from mnist_cli.pictures.colours import diverging

# TensorBoard reads the files of a folder in the order of their names; the number is the first step that may be in it.
_NAME = re.compile(r"events\.out\.tfevents\.(\d{10,})\.mnist")
# TensorBoard's event_processing reads it: from version 2 on, a START event drops earlier events of its step and later.
_FILE_VERSION = "brain.Event:2"

_BETWEEN = 200  # the grey between two grids of a feature map

Floats = npt.NDArray[np.float64]
Event, Summary, SessionLog = tf.compat.v1.Event, tf.compat.v1.Summary, tf.compat.v1.SessionLog


class EventFiles:
    """The event files of one run in a folder.

    Args:
        folder: the folder; created when something is written.
        classes: name of each label.
        layout: how the rows of W are laid out as a picture.
    """

    def __init__(self, folder: Path, classes: Sequence[str], layout: Layout) -> None:
        self._folder = folder
        self._classes = classes
        self._places = layout.places()
        self._start = 1
        self._writer: tf.io.TFRecordWriter | None = None

    def begin(self, done: int) -> None:
        """Continue after the record of step `done` (0: from the start), and drop events of later steps."""
        self._start = done + 1
        for path in self._folder.glob("*"):
            name = _NAME.fullmatch(path.name)
            if name and int(name[1]) >= self._start:
                files.remove(path, self._folder)

    def add(self, record: Record, weights: Floats) -> None:
        """Write a record and W, float64 [D, K]: blue is evidence for the class, red against it.

        Raises:
            OSError: they cannot be written.
        """
        scalars = {
            "loss": record.loss,
            "validation/loss": record.validation_loss,
            "validation/accuracy": record.validation_accuracy,
        }
        values = [Summary.Value(tag=tag, simple_value=value) for tag, value in scalars.items() if value is not None]
        height, width = self._places.shape
        colours = diverging(weights.T, float(np.abs(weights).max()))  # one scale for all classes
        colours = np.pad(colours, ((0, 0), (0, 1), (0, 0)), constant_values=_BETWEEN)
        with tf.device("/CPU:0"):
            encoded = tf.io.encode_png(colours[:, self._places]).numpy()  # place −1 is the last colour
        for name, png in zip(self._classes, encoded, strict=True):
            image = Summary.Image(height=height, width=width, colorspace=3, encoded_image_string=png)
            values.append(Summary.Value(tag=f"W/{name}", image=image))
        self._write(Event(wall_time=time.time(), step=record.step, summary=Summary(value=values)))

    def close(self) -> None:
        """Close the file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _write(self, event: Any) -> None:
        try:
            if self._writer is None:
                self._folder.mkdir(parents=True, exist_ok=True)
                self._writer = tf.io.TFRecordWriter(str(self._folder / f"events.out.tfevents.{self._start:010}.mnist"))
                now = time.time()
                self._writer.write(Event(wall_time=now, file_version=_FILE_VERSION).SerializeToString())
                start = SessionLog(status=SessionLog.START)
                self._writer.write(Event(wall_time=now, step=self._start, session_log=start).SerializeToString())
            self._writer.write(event.SerializeToString())
            # TensorBoard sees only events that are on the disk.
            self._writer.flush()
        except tf.errors.OpError as error:
            raise not_written(self._folder, error) from error
