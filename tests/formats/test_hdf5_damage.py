"""Errors for a damaged HDF5 file: what is wrong, and in which part."""

from __future__ import annotations

from pathlib import Path

import pytest

from mnist_cli.errors import FormatError
from mnist_cli.formats.store import open_store
from tests.support.data import write_small_store

HDF5_WORDS = ("Unable to", "Can't", "synchronously", "eof")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_small_store(tmp_path / "store.h5")


def refused(path: Path) -> str:
    with pytest.raises(FormatError) as caught:
        store = open_store(path)
        for split in (store.train, store.validation, store.test):
            assert split.inputs.size
    assert not any(word in caught.value.message for word in HDF5_WORDS)
    assert caught.value.hint == "run 'mnist preprocess'"
    return caught.value.message


def flip(path: Path, position: int) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


def test_a_file_that_ends_too_early_says_how_much_is_there(path: Path) -> None:
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[:1000])
    assert refused(path).endswith(f"expected a complete HDF5 file; received 1,000 of {size:,} bytes")


@pytest.mark.parametrize("content", [b"", b"\0" * 5000, b"<!DOCTYPE html>" * 100])
def test_a_file_that_is_not_hdf5_is_recognised_by_its_beginning(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    assert "a file that does not begin as HDF5 files do" in refused(path)


def test_the_error_for_damaged_data_names_the_array(path: Path) -> None:
    content = path.read_bytes()
    flip(path, content.index(open_store(path).train.inputs[0].tobytes()))
    assert "/train/inputs does not match its digest\nexpected SHA-256" in refused(path)


def test_the_error_for_damaged_metadata_names_the_object(path: Path) -> None:
    # Every object's header begins with these letters; the first is that of the file's root.
    content = path.read_bytes()
    flip(path, content.index(b"OHDR", content.index(b"OHDR") + 1) + 6)
    assert refused(path).startswith(f"{path}: /t")


def test_text_in_a_file_cannot_control_a_terminal(tmp_path: Path) -> None:
    error = FormatError(tmp_path / "\x1b]52;c;x\x07", "/\x9b2J is odd", expected="\u202eabc", received="\x1b[2J")
    assert error.message.replace("\n", "").isprintable()
