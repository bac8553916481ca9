"""The data sets by name: where their four files come from and what their bytes are."""

from __future__ import annotations

from dataclasses import dataclass

ROLES = ("train-images", "train-labels", "test-images", "test-labels")


@dataclass(frozen=True, slots=True)
class DataFile:
    """One downloadable file: its name, its size in bytes and the SHA-256 of its bytes."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Dataset:
    """A named data set.

    Attributes:
        name: what `dataset:` in the configuration says.
        files: role (one of ROLES) → the pinned file; empty for a data set that is generated.
        mirrors: base URLs, tried in order; each ends with a slash.
        classes: the name of each label, by index.
    """

    name: str
    files: dict[str, DataFile]
    mirrors: tuple[str, ...]
    classes: tuple[str, ...]


# The names that the four files have on every mirror, and that a generated data set is written under.
FILE_NAMES = {
    "train-images": "train-images-idx3-ubyte.gz",
    "train-labels": "train-labels-idx1-ubyte.gz",
    "test-images": "t10k-images-idx3-ubyte.gz",
    "test-labels": "t10k-labels-idx1-ubyte.gz",
}
_DIGITS = tuple("0123456789")

# Sizes and digests of the files that Yann LeCun's page served; equal on all three mirrors.
_MNIST_FILES = {
    "train-images": (9912422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"),
    "train-labels": (28881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
    "test-images": (1648877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"),
    "test-labels": (4542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
}

MNIST = Dataset(
    name="mnist",
    files={role: DataFile(FILE_NAMES[role], size, sha256) for role, (size, sha256) in _MNIST_FILES.items()},
    # yann.lecun.com is left out on purpose: it answers with an HTML page, or not at all.
    mirrors=(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        "https://raw.githubusercontent.com/fgnt/mnist/master/",
    ),
    classes=_DIGITS,
)

# Which bytes a seed gives in `synthetic`; part of the key of fetch. Bump it with every change of them.
GENERATOR = 2

SYNTHETIC = Dataset(name="synthetic", files={}, mirrors=(), classes=_DIGITS)

DATASETS = {dataset.name: dataset for dataset in (MNIST, SYNTHETIC)}
