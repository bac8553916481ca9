"""Importing TensorFlow while something else is being done."""

from __future__ import annotations


def warm_up() -> None:
    """Start the import of TensorFlow in the background and return at once; `train` waits for its end.

    Worth it where the program waits, as for a download. Beside work in Python it gains nothing: the two take turns.
    """
    from mnist_cli.learning import tensorflow_setup

    tensorflow_setup.import_in_background()
