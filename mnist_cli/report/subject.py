"""What a report is about, as the pipeline hands it over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mnist_cli.formats.history import Record
from mnist_cli.formats.model import Model
from mnist_cli.formats.store import Store


@dataclass(frozen=True)
class Provenance:
    """How to get the same result again.

    Attributes:
        command: runs the pipeline with the parameters that are not the defaults.
        configuration: YAML with every parameter that counts.
        digests: (what, SHA-256) of what went in and came out.
        runtime: (what, value) that can move the bits, and where it ran.
    """

    command: str
    configuration: str
    digests: tuple[tuple[str, str], ...]
    runtime: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Subject:
    """What a report is about.

    Attributes:
        model: what was trained.
        store: the examples that it was trained and measured on.
        metrics: the content of metrics.json, measured of this model on this store.
        history: the course of the training.
        provenance: how to get the same again.
    """

    model: Model
    store: Store
    metrics: Mapping[str, Any]
    history: tuple[Record, ...]
    provenance: Provenance
