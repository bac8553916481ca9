"""Manifests, cached digests, and how a stage's new files replace its old ones."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnist_cli import files
from mnist_cli.errors import FormatError
from mnist_cli.pipeline.artifacts import Artifacts
from mnist_cli.pipeline.digests import DigestCache
from mnist_cli.pipeline.manifest import Manifest, OutputRecord, read_manifest, stage_key, write_manifest
from mnist_cli.stages import PIPELINE


def make_manifest(**changes: Any) -> Manifest:
    fields: dict[str, Any] = {
        "stage": "eval",
        "key": "0" * 64,
        "version": 1,
        "parameters": {"eval.split": "test"},
        "overrides": {},
        "inputs": {"train/model.h5": "1" * 64},
        "outputs": {"metrics.json": OutputRecord(sha256="2" * 64, bytes=10)},
        "metrics": {"accuracy": 0.92},
        "runtime": {},
        "environment": {"python": "3.11"},
        "seconds": 0.5,
    }
    return Manifest(**(fields | changes))


def test_a_manifest_reads_back_equal(tmp_path: Path) -> None:
    write_manifest(tmp_path / "manifest.json", make_manifest())
    read = read_manifest(tmp_path / "manifest.json")
    assert read is not None
    assert read.document() == make_manifest().document()


def test_no_manifest_is_none(tmp_path: Path) -> None:
    assert read_manifest(tmp_path / "manifest.json") is None


def test_a_flipped_bit_in_any_byte_of_a_manifest_is_noticed_or_changes_no_meaning(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    write_manifest(path, make_manifest())
    good, meaning = path.read_bytes(), json.loads(path.read_bytes())
    accepted = 0
    for position in range(len(good)):
        damaged = bytearray(good)
        damaged[position] ^= 1 << position % 8
        path.write_bytes(damaged)
        try:
            read_manifest(path)
        except FormatError:
            continue
        accepted += 1
        assert json.loads(damaged) == meaning  # white space between the tokens
    assert accepted < len(good) / 8


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100000, b'{"schema": "mnist-manifest/2"}', b"9" * 5000]
)
def test_garbage_is_a_format_error_that_names_the_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "manifest.json"
    path.write_bytes(content)
    with pytest.raises(FormatError, match=r"manifest\.json"):
        read_manifest(path)


@settings(max_examples=50)
@given(
    st.recursive(st.none() | st.integers() | st.text(max_size=5), lambda x: st.dictionaries(st.text(), x, max_size=4))
)
def test_any_json_is_a_manifest_or_a_format_error(tmp_path_factory: pytest.TempPathFactory, document: Any) -> None:
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(FormatError):
        read_manifest(path)


@pytest.mark.parametrize(
    "name", ["../../passwd", "/etc/passwd", "..", ".hidden", "a/../b", "a/b/c", "\x1b[2J", "a\0", "", "a\n"]
)
def test_a_name_that_leads_out_of_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "manifest.json"
    document = make_manifest().document()
    document["outputs"] = {name: document["outputs"]["metrics.json"]}
    path.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(FormatError, match=r"outputs\..* is wrong"):
        read_manifest(path)


def test_a_key_depends_on_each_of_its_parts() -> None:
    parts: list[dict[str, Any]] = [
        {},
        {"stage": "eval"},
        {"version": 2},
        {"parameters": {"a": 2}},
        {"inputs": {"x": "1"}},
        {"runtime": {"device": "gpu"}},
    ]
    base: dict[str, Any] = {"stage": "train", "version": 1, "parameters": {"a": 1}, "inputs": {}, "runtime": {}}
    assert len({stage_key(**(base | part)) for part in parts}) == len(parts)


def test_a_key_does_not_depend_on_the_order_of_parameters() -> None:
    assert stage_key("s", 1, {"a": 1, "b": 2}, {}, {}) == stage_key("s", 1, {"b": 2, "a": 1}, {}, {})


def test_a_remembered_digest_is_used_until_the_file_changes(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"one")
    cache = DigestCache(tmp_path)
    cache.remember(path, "remembered")
    cache.save()
    assert DigestCache(tmp_path).digest(path) == "remembered"
    files.write_bytes(path, b"two")
    assert DigestCache(tmp_path).digest(path) == files.sha256_of(path)


def test_what_is_gone_is_not_remembered_for_ever(tmp_path: Path) -> None:
    cache = DigestCache(tmp_path)
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(b"one")
        cache.remember(tmp_path / name, "remembered")
    (tmp_path / "a").unlink()
    cache.save()
    assert list(json.loads((tmp_path / ".digests.json").read_bytes())) == ["b"]


def test_a_changed_time_makes_a_file_be_read_again(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"one")
    cache = DigestCache(tmp_path)
    cache.remember(path, "remembered")
    os.utime(path, ns=(1, 1))
    assert cache.digest(path) == files.sha256_of(path)


@pytest.mark.parametrize("memory", [b"{", b"[1]", b'{"a": 5}', b'{"a": [1, 2, 3, 4]}', b'{"a": []}'])
def test_a_damaged_memory_of_digests_costs_a_reading_only(tmp_path: Path, memory: bytes) -> None:
    (tmp_path / "a").write_bytes(b"one")
    (tmp_path / ".digests.json").write_bytes(memory)
    assert DigestCache(tmp_path).digest(tmp_path / "a") == files.sha256_of(tmp_path / "a")


def test_files_are_published_together_with_their_manifest(tmp_path: Path) -> None:
    artifacts = Artifacts(tmp_path, PIPELINE)
    files.write_bytes(artifacts.begin("eval") / "metrics.json", b"new")
    write_manifest(tmp_path / "eval" / ".new" / "manifest.json", make_manifest())
    artifacts.commit("eval")
    assert sorted(path.name for path in (tmp_path / "eval").iterdir()) == ["manifest.json", "metrics.json"]


def test_a_run_that_died_before_its_manifest_is_undone(tmp_path: Path) -> None:
    artifacts = Artifacts(tmp_path, PIPELINE)
    (tmp_path / "eval").mkdir()
    (tmp_path / "eval" / "metrics.json").write_bytes(b"old")
    files.write_bytes(artifacts.begin("eval") / "metrics.json", b"new")
    artifacts.recover("eval")
    assert (tmp_path / "eval" / "metrics.json").read_bytes() == b"old"
    assert [path.name for path in (tmp_path / "eval").iterdir()] == ["metrics.json"]


@pytest.mark.parametrize("moved", [0, 1, 2])
def test_a_run_that_died_after_its_manifest_is_finished(tmp_path: Path, moved: int) -> None:
    artifacts = Artifacts(tmp_path, PIPELINE)
    new = artifacts.begin("train")
    for name in ("history.jsonl", "model.h5"):
        files.write_bytes(new / name, b"new")
        (tmp_path / "train" / name).write_bytes(b"old")
    write_manifest(new / "manifest.json", make_manifest())
    for name in ("history.jsonl", "model.h5")[:moved]:
        (new / name).replace(tmp_path / "train" / name)
    artifacts.recover("train")
    assert (tmp_path / "train" / "model.h5").read_bytes() == b"new"
    assert (tmp_path / "train" / "history.jsonl").read_bytes() == b"new"
    assert not new.exists()
    assert artifacts.manifest("train") is not None
