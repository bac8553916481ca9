"""Every configuration key, with what it means and what it may be.

This table is the one place that says it. The models in config.py, the command-line options, the comments in
pipeline.yaml and the JSON schema all take their words from here. It imports nothing, so that `mnist --help` can read
it without paying for pydantic.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Key:
    """One configuration key.

    Attributes:
        path: section and name, such as `train.steps`; the two general keys have no section.
        meaning: what it sets, in a sentence without a full stop.
        expected: the values it may take, as an error message says it.
        metavar: the word that stands for the value in `--help`.
        option: its own command-line option, or None where `--set` is enough.
    """

    path: str
    meaning: str
    expected: str
    metavar: str
    option: str | None = None


_ALL = (
    Key(
        "dataset",
        "Which data set: mnist, or synthetic (rendered digits, no network)",
        "mnist or synthetic",
        "NAME",
        "--dataset",
    ),
    Key(
        "seed",
        "Fixes the order of the training examples, and the synthetic digits",
        "a whole number from 0 to 2^63 - 1",
        "N",
        "--seed",
    ),
    Key(
        "fetch.mirrors",
        "Base URLs or folders that are tried before the data set's own mirrors",
        "a list of http(s):// or file:// addresses or folders",
        "URL|FOLDER",
    ),
    Key(
        "fetch.timeout",
        "Seconds to wait for a connection, and for the next bytes",
        "a number above 0, up to 86400",
        "SECONDS",
    ),
    Key(
        "fetch.deadline",
        "Seconds that fetching all four files may take altogether",
        "a number above 0, up to 86400",
        "SECONDS",
    ),
    Key("fetch.min_speed", "Bytes per second below which a mirror is given up", "a whole number from 0 up", "BYTES"),
    Key(
        "preprocess.validation_size",
        "How many training images, from the first on, become the validation split",
        "a whole number from 0 up",
        "N",
        "--validation-size",
    ),
    Key("train.steps", "Optimization steps", "a whole number from 1 to 10^9", "N", "--steps"),
    Key(
        "train.epochs",
        "Passes over the training split; when set, it replaces train.steps",
        "a whole number from 1 to 10^6, or null",
        "N",
        "--epochs",
    ),
    Key(
        "train.batch_size",
        "Examples in each step, or full for all of them",
        "a whole number from 1 to 10^7, or full",
        "N|full",
        "--batch-size",
    ),
    Key("train.learning_rate", "Step size of gradient descent", "a finite number above 0", "RATE", "--learning-rate"),
    Key(
        "train.device",
        "Where to train: auto (a GPU if there is one), cpu or gpu",
        "auto, cpu or gpu",
        "DEVICE",
        "--device",
    ),
    Key("train.validate_every", "Steps between two looks at the validation split", "a whole number from 1 up", "N"),
    Key(
        "train.checkpoint_every",
        "Steps between two checkpoints, or null; fewer where they would take over 3 % of the time",
        "a whole number from 1 up, or null",
        "N",
    ),
    Key(
        "train.checkpoint_seconds",
        "Seconds after which there is a checkpoint all the same, or null",
        "a finite number above 0, or null",
        "SECONDS",
    ),
    Key("train.keep_checkpoints", "How many checkpoints stay, the newest ones", "a whole number from 0 up", "N"),
    Key(
        "eval.split",
        "Which split is evaluated: test, validation or train",
        "test, validation or train",
        "SPLIT",
        "--split",
    ),
    Key(
        "eval.min_accuracy",
        "Exit with 6 when the accuracy is below this fraction",
        "a number from 0 to 1, or null",
        "FRACTION",
        "--min-accuracy",
    ),
)

KEYS = {key.path: key for key in _ALL}
SECTIONS = {
    "fetch": "Download and verify the four files",
    "preprocess": "Turn the four files into one HDF5 store",
    "train": "Train the softmax regression",
    "eval": "Measure the model",
}
