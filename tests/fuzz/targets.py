"""What is fuzzed: each target takes any bytes and lets nothing out but a finding.

A target knows the one kind of error that bad input may cause. Everything else that escapes is a finding, and so is an
input that is accepted and means something else than it says.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np

from mnist_cli.config.template import render
from mnist_cli.errors import ConfigError, FormatError
from mnist_cli.maps import description
from mnist_cli.maps.description import find_map
from mnist_cli.maps.feature_map import whole_features
from mnist_cli.maps.ops import Extent, OutOfBounds, bounds
from mnist_cli.maps.programs import make_program
from mnist_cli.pipeline.manifest import Manifest, OutputRecord, read_manifest
from tests.support.configs import defaults, load_config
from tests.support.data import idx_bytes, read_idx, tiny_examples

Target = Callable[[Path, bytes], None]

# A place in a file, and a message of one line without any byte that a terminal would obey.
_PROBLEM = re.compile(r"[^\n]*:\d+:\d+: [^\x00-\x1f\x7f-\x9f]+|and \d+ more problems")


def fuzz_idx(folder: Path, content: bytes) -> None:
    """An IDX file is refused as such, or read as what it says; as it comes, and packed with a right checksum."""
    _read_any_idx(folder / "any-idx", content)
    _read_any_idx(folder / "any-idx.gz", gzip.compress(content, compresslevel=0, mtime=0))


def _read_any_idx(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    try:
        array = read_idx(path)
    except FormatError as error:
        assert str(path) in error.message, "the error must name the file"
        return
    plain = gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content
    assert idx_bytes(array) == plain, "an accepted file must be read as what it says"


def fuzz_configuration(folder: Path, content: bytes) -> None:
    """A configuration is refused with the line and column of each problem, or reads back equal from its own text."""
    path = folder / "pipeline.yaml"
    path.write_bytes(content)
    try:
        config = load_config(path).config
    except ConfigError as error:
        assert error.problems, "a refusal must say why"
        for problem in error.problems:
            assert _PROBLEM.fullmatch(problem), f"not one line with its place: {problem!r}"
        return
    path.write_text(render(config), encoding="utf-8")
    # Folders of mirrors are relative to the file, and were made so already.
    again = load_config(path).config.replaced({"fetch.mirrors": config.value("fetch.mirrors")})
    assert again == config, "an accepted configuration must survive being written"


def fuzz_map(folder: Path, content: bytes) -> None:
    """A map file is refused with the line and column of each problem, or makes a program that is exact or refused."""
    path = folder / "map.yaml"
    path.write_bytes(content)
    try:
        described = find_map(str(path))
    except ConfigError as error:
        assert error.problems, "a refusal must say why"
        for problem in error.problems:
            assert _PROBLEM.fullmatch(problem), f"not one line with its place: {problem!r}"
        return
    with contextlib.suppress(OutOfBounds):
        program = make_program(described, (9, 7))
        images = np.stack([np.zeros((9, 7)), np.full((9, 7), 255)]).astype(np.uint8)
        largest = bounds(program, Extent(9, 7))
        assert (abs(whole_features(program, images)) <= largest).all(), "an accepted program must keep its bounds"


def fuzz_manifest(folder: Path, content: bytes) -> None:
    """A manifest is refused as such, or says what its own digest covers; as it comes, and with that digest mended."""
    _read_any_manifest(folder / "manifest.json", content)
    with contextlib.suppress(ValueError, RecursionError):
        document = json.loads(content)
        if isinstance(document, dict):
            document.pop("sha256", None)
            canonical = json.dumps(document, sort_keys=True, separators=(",", ":"))
            signed = document | {"sha256": hashlib.sha256(canonical.encode()).hexdigest()}
            _read_any_manifest(folder / "manifest.json", json.dumps(signed).encode())


def _read_any_manifest(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with contextlib.suppress(FormatError):
        manifest = read_manifest(path)
        assert manifest is not None
        # The digest is of the text's own numbers: 0 is read as 0.0.
        said, read = json.loads(content) | {"sha256": ""}, manifest.document() | {"sha256": ""}
        assert read == said, "an accepted manifest must be read as what it says"


TARGETS: dict[str, Target] = {
    "idx": fuzz_idx,
    "configuration": fuzz_configuration,
    "map": fuzz_map,
    "manifest": fuzz_manifest,
}


def seeds(target: str) -> list[bytes]:
    """Return good inputs to start from."""
    if target == "idx":
        images, labels = tiny_examples(2, seed=0)
        plain = [idx_bytes(array) for array in (images[:, :3, :3], labels, labels.astype("f4"))]
        return [*plain, *(gzip.compress(content, mtime=0) for content in plain)]
    if target == "configuration":
        return [
            render(defaults()).encode(),
            b"train: {steps: 5, optimizer: adam, beta_1: 0.8, schedule: cosine, warmup_steps: 2}\n",
            b"fetch:\n  mirrors: [a, 'file:///b', https://c/d]\neval: {split: validation, min_accuracy: 9e-1}\n",
        ]
    if target == "map":
        shipped = [(Path(description.__file__).parent / f"{name}.yaml").read_bytes() for name in ("grad8", "scat1")]
        return [
            *shipped,
            b"program: [{shrink: 2}, {deskew: {position: 5, shear: 8}}, {conv: {kernels: [[[-2]]], shift: 1}}]\n",
            b"program: [{pool: {rows: [[1, 2]], columns: [[3, 0]], shift: 3}}]\nexemplars: {directions: 2, count: 9}\n",
        ]
    manifest = Manifest(
        stage="eval",
        key="0" * 64,
        version=1,
        parameters={"eval.split": "test", "eval.min_accuracy": None},
        overrides={},
        inputs={"train/model.h5": "1" * 64},
        outputs={"metrics.json": OutputRecord(sha256="2" * 64, bytes=10)},
        metrics={"accuracy": 0.92},
        runtime={},
        environment={"python": "3.11"},
        seconds=0.5,
    )
    return [json.dumps(manifest.document()).encode()]
