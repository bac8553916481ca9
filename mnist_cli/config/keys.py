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
        path: section and name, such as `train.steps`; the general keys have no section.
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
        "keep_runs",
        "How many runs stay in artifacts/runs, the newest ones",
        "a whole number from 1 up",
        "N",
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
    Key(
        "train.learning_rate",
        "Step size; null takes what suits the optimizer, 0.5 for sgd",
        "a finite number above 0, or null",
        "RATE",
        "--learning-rate",
    ),
    Key(
        "train.optimizer",
        "What turns gradients into steps: sgd, momentum, nesterov, adam, adamw, adamax, nadam, lion, rmsprop, adagrad",
        "sgd, momentum, nesterov, adam, adamw, adamax, nadam, lion, rmsprop or adagrad",
        "NAME",
        "--optimizer",
    ),
    Key(
        "train.momentum",
        "Share of the step before that is added (momentum, nesterov: 0.9; rmsprop: 0)",
        "a number from 0 to below 1, or null",
        "FRACTION",
    ),
    Key(
        "train.beta_1",
        "Decay of the average gradient (adam, adamw, adamax, nadam, lion: 0.9)",
        "a number from 0 to below 1, or null",
        "FRACTION",
    ),
    Key(
        "train.beta_2",
        "Decay of the average squared gradient (adam, adamw, adamax, nadam: 0.999; lion: 0.99)",
        "a number from 0 to below 1, or null",
        "FRACTION",
    ),
    Key(
        "train.rho",
        "Decay of the average squared gradient (rmsprop: 0.9)",
        "a number from 0 to below 1, or null",
        "FRACTION",
    ),
    Key(
        "train.epsilon",
        "Keeps divisions from zero (adam, adamw, adamax, nadam, rmsprop, adagrad: 1e-7)",
        "a finite number from 0 up, or null",
        "NUMBER",
    ),
    Key(
        "train.weight_decay",
        "Share of W that a step at learning rate 1 takes away (adamw: 0.004; others: 0)",
        "a finite number from 0 up, or null",
        "NUMBER",
    ),
    Key(
        "train.schedule",
        "How the learning rate falls: constant, cosine, exponential, inverse_time or polynomial",
        "constant, cosine, exponential, inverse_time or polynomial",
        "NAME",
        "--schedule",
    ),
    Key(
        "train.decay_steps",
        "Steps in which it falls; null: all of the run, so that a longer run is another run",
        "a whole number from 1 to 10^9, or null",
        "N",
    ),
    Key(
        "train.decay_rate",
        "What is left after them (exponential: 0.1), or how strongly it falls (inverse_time: 1)",
        "a finite number from 0 up, or null",
        "NUMBER",
    ),
    Key(
        "train.end_fraction",
        "Share of the learning rate that it falls to (cosine, polynomial: 0)",
        "a finite number from 0 up, or null",
        "FRACTION",
    ),
    Key(
        "train.power",
        "Of the polynomial; 1 is a straight line (polynomial: 1)",
        "a finite number from 0 up, or null",
        "NUMBER",
    ),
    Key(
        "train.warmup_steps",
        "Steps in which it rises from zero first (cosine: 0)",
        "a whole number from 0 to 10^9, or null",
        "N",
    ),
    Key(
        "train.l2",
        "Adds this many times the sum of W² to the loss; null: nothing",
        "a finite number from 0 up, or null",
        "NUMBER",
    ),
    Key(
        "train.ema",
        "Publish and validate the moving average of W and b with this decay; null: W and b",
        "a number from 0 to below 1, or null",
        "DECAY",
    ),
    Key(
        "train.early_stopping",
        "End after so many looks at the validation split without a lower loss; null: never",
        "a whole number from 1 up, or null",
        "N",
    ),
    Key(
        "train.select",
        "Publish the model of the last step, or of the lowest validation loss: last or best",
        "last or best",
        "last|best",
    ),
    Key(
        "train.device",
        "Where to train: auto (a GPU if there is one), cpu, gpu, or gpu:N for a certain one",
        "auto, cpu, gpu or gpu:N",
        "DEVICE",
        "--device",
    ),
    Key(
        "train.strategy",
        "Who computes a step: single (one device), mirrored (all GPUs of a machine), or multiworker (of many)",
        "single, mirrored or multiworker",
        "NAME",
        "--strategy",
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
        "train.tensorboard",
        "Write event files for TensorBoard to artifacts/train/tensorboard",
        "true or false",
        "BOOL",
    ),
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
