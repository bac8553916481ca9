"""A pipe, folder or device in place of a file is refused at once, without waiting."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from mnist_cli.errors import ConfigError, InputError, Locked, MnistError
from mnist_cli.files import sha256_of
from mnist_cli.formats.byte_stream import content_digest
from mnist_cli.formats.model import load_model
from mnist_cli.formats.store import open_store
from mnist_cli.learning.checkpoint_state import STATE_NAME, Damaged, check_files, read_state
from mnist_cli.pipeline.digests import DigestCache
from mnist_cli.pipeline.manifest import read_manifest
from mnist_cli.pipeline.mutex import locked
from tests.support.configs import load_config
from tests.support.data import read_idx

pytestmark = pytest.mark.timeout(30)


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as unix:
        # The path itself may be longer than an address of a socket can be.
        before = Path.cwd()
        os.chdir(path.parent)
        unix.bind(path.name)
        os.chdir(before)


KINDS: dict[str, Callable[[Path], object]] = {
    "pipe": os.mkfifo,
    "folder": Path.mkdir,
    "socket": make_socket,
    "device": lambda path: path.symlink_to("/dev/zero"),
    "loop": lambda path: path.symlink_to(path.name),
}
READERS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "IDX": ("train-images-idx3-ubyte.gz", read_idx),
    "store": ("store.h5", open_store),
    "model": ("model.h5", load_model),
    "content of HDF5": ("other.h5", content_digest),
    "content": ("history.jsonl", sha256_of),
    "manifest": ("manifest.json", read_manifest),
    "configuration": ("pipeline.yaml", load_config),
    "checkpoint": (STATE_NAME, lambda path: read_state(path.parent)),
    "file of a checkpoint": ("weights.index", lambda path: check_files(path.parent, {path.name: "0" * 64})),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("reader", READERS)
def test_anything_but_a_regular_file_is_refused_at_once(tmp_path: Path, kind: str, reader: str) -> None:
    name, read = READERS[reader]
    KINDS[kind](tmp_path / name)
    with pytest.raises((MnistError, Damaged, OSError)) as caught:
        read(tmp_path / name)
    assert name in str(caught.value)


def test_a_pipe_for_a_configuration_is_a_mistake_in_the_configuration(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipeline.yaml")
    with pytest.raises(ConfigError, match="cannot be read: not a regular file"):
        load_config(tmp_path / "pipeline.yaml")


@pytest.mark.parametrize("kind", KINDS)
def test_a_digest_cache_that_is_not_a_file_only_costs_time(tmp_path: Path, kind: str) -> None:
    (tmp_path / "a").write_bytes(b"one")
    KINDS[kind](tmp_path / ".digests.json")
    assert DigestCache(tmp_path).digest(tmp_path / "a") == sha256_of(tmp_path / "a")


@pytest.mark.parametrize("kind", KINDS)
def test_a_lock_that_is_not_a_regular_file_is_refused_and_named(tmp_path: Path, kind: str) -> None:
    KINDS[kind](tmp_path / ".lock")
    with pytest.raises(InputError, match=r"\.lock: cannot be the lock"), locked(tmp_path, "mnist run"):
        pass


def test_a_lock_that_is_a_link_does_not_change_its_target(tmp_path: Path) -> None:
    (tmp_path / "victim").write_bytes(b"precious")
    (tmp_path / "artifacts").mkdir()
    (tmp_path / "artifacts" / ".lock").symlink_to(tmp_path / "victim")
    with pytest.raises(InputError, match="received a link"), locked(tmp_path / "artifacts", "mnist run"):
        pass
    assert (tmp_path / "victim").read_bytes() == b"precious"


@pytest.mark.parametrize("content", [b"garbage", bytes(1 << 20), b"\xff" * 100])
def test_the_content_of_the_lock_file_does_not_matter(tmp_path: Path, content: bytes) -> None:
    (tmp_path / ".lock").write_bytes(content)
    with locked(tmp_path, "mnist run"):
        assert (tmp_path / ".lock-holder.json").is_file()


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff", b"[" * 100_000, b'{"pid": 1}', b"9" * (1 << 20)])
def test_a_holder_that_cannot_be_read_is_unknown(tmp_path: Path, content: bytes) -> None:
    with locked(tmp_path, "mnist run"):
        (tmp_path / ".lock-holder.json").write_bytes(content)
        with pytest.raises(Locked, match="another run is in progress: unknown"), locked(tmp_path, "mnist train"):
            pass


def test_a_holder_that_is_a_pipe_is_unknown(tmp_path: Path) -> None:
    with locked(tmp_path, "mnist run"):
        (tmp_path / ".lock-holder.json").unlink()
        os.mkfifo(tmp_path / ".lock-holder.json")
        with pytest.raises(Locked, match="unknown"), locked(tmp_path, "mnist train"):
            pass
