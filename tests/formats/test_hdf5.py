"""The HDF5 helpers: written whole or not at all, equal bytes for equal content, and nothing accepted on trust."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from mnist_cli.errors import FormatError, InputError
from mnist_cli.formats.hdf5 import content_digest, data_sha256, digest_of, open_hdf5, read_text, walk
from mnist_cli.formats.hdf5_writing import create_group, safe_hdf5_file, write_text

NUMBERS = np.arange(6000, dtype=np.uint8).reshape(300, 20)


def fill(file: h5py.File, numbers: np.ndarray[tuple[int, int], np.dtype[np.uint8]] = NUMBERS) -> None:
    group = create_group(file, "train")
    group.create_dataset("images", data=numbers, chunks=(128, 20), fletcher32=True)
    file.create_dataset("b", data=np.array([1.5, -2], "<f4"))
    write_text(file, "schema", "Grüße/1")


def write(path: Path) -> bytes:
    with safe_hdf5_file(path) as file:
        fill(file)
    return path.read_bytes()


class TestWriting:
    def test_what_was_written_is_read(self, tmp_path: Path) -> None:
        write(tmp_path / "a.h5")
        with h5py.File(tmp_path / "a.h5") as file:
            assert np.array_equal(file["train/images"], NUMBERS)
            assert file.attrs["schema"].decode() == "Grüße/1"

    def test_equal_content_gives_equal_bytes_in_another_second(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first = write(tmp_path / "a.h5")
        # HDF5 asks the system for the time, in C: another process with a shifted clock is not to be had without
        # root, so the two writes have to lie on two sides of a full second.
        second = int(time.time())
        while int(time.time()) == second:
            pass
        assert write(tmp_path / "b.h5") == first

    def test_equal_content_gives_equal_bytes_in_another_process(self, tmp_path: Path) -> None:
        code = "import sys, pathlib, tests.formats.test_hdf5 as t; t.write(pathlib.Path(sys.argv[1]))"
        subprocess.run([sys.executable, "-c", code, str(tmp_path / "b.h5")], check=True)
        assert (tmp_path / "b.h5").read_bytes() == write(tmp_path / "a.h5")

    def test_an_error_in_the_block_leaves_the_old_file_and_nothing_else(self, tmp_path: Path) -> None:
        old = write(tmp_path / "a.h5")
        with pytest.raises(ZeroDivisionError), safe_hdf5_file(tmp_path / "a.h5") as file:
            fill(file)
            raise ZeroDivisionError
        assert (tmp_path / "a.h5").read_bytes() == old
        assert [path.name for path in tmp_path.iterdir()] == ["a.h5"]

    def test_a_missing_folder_is_an_os_error(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError), safe_hdf5_file(tmp_path / "none" / "a.h5"):
            pass

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_a_signal_is_delivered_once_the_file_is_closed(self, tmp_path: Path, number: signal.Signals) -> None:
        received: list[int] = []
        previous = signal.signal(number, lambda number, frame: received.append(number))
        try:
            with safe_hdf5_file(tmp_path / "a.h5") as file:
                signal.raise_signal(number)
                fill(file)
                assert not received
        finally:
            signal.signal(number, previous)
        assert received == [number]
        content_digest(tmp_path / "a.h5")


class TestFailingDisk:
    def failing(self, allowed: int, error: int, calls: list[str]) -> Callable[[int, bytes, int], int]:
        real = os.pwrite

        def pwrite(descriptor: int, content: bytes, position: int) -> int:
            calls.append("pwrite")
            if len(calls) > allowed:
                raise OSError(error, os.strerror(error))
            # Half of it first, as a disk does that is about to be full.
            return real(descriptor, content[: max(1, len(content) // 2)], position)

        return pwrite

    @pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO])
    def test_every_write_that_fails_is_one_error_and_leaves_the_old_file(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int
    ) -> None:
        old = write(tmp_path / "a.h5")
        allowed, failed = 0, True
        while failed:
            with monkeypatch.context() as patch:
                patch.setattr(os, "pwrite", self.failing(allowed, error, []))
                try:
                    write(tmp_path / "a.h5")
                    failed = False
                except OSError as received:
                    assert (received.errno, received.filename) == (error, str(tmp_path / "a.h5"))
            assert (tmp_path / "a.h5").read_bytes() == old
            assert len(list(tmp_path.iterdir())) == 1
            allowed += 1
        assert allowed > 20

    def test_a_process_that_hits_a_size_limit_ends_without_a_crash(self, tmp_path: Path) -> None:
        code = (
            "import pathlib, resource, signal, sys, tests.formats.test_hdf5 as t\n"
            "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)\n"
            "try: t.write(pathlib.Path(sys.argv[1]))\n"
            "except OSError as error: sys.exit(error.errno)\n"
        )
        for limit in (0, 100, 3000, 7000):
            done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.h5"), str(limit)], capture_output=True)
            assert (done.returncode, done.stderr) == (errno.EFBIG, b"")
        assert list(tmp_path.iterdir()) == []


class TestContentDigest:
    def digest(self, path: Path, change: Callable[[h5py.File], object] = lambda file: None) -> str:
        with safe_hdf5_file(path) as file:
            fill(file)
            change(file)
        return content_digest(path)

    def test_it_does_not_depend_on_layout_or_byte_order(self, tmp_path: Path) -> None:
        def rewritten(file: h5py.File) -> None:
            del file["train/images"], file["b"]
            file["train"].create_dataset("images", data=NUMBERS)
            file.create_dataset("b", data=np.array([1.5, -2], ">f4"))

        assert self.digest(tmp_path / "a.h5") == self.digest(tmp_path / "b.h5", rewritten)

    @pytest.mark.parametrize(
        "change",
        [
            lambda file: file["train/images"].write_direct(NUMBERS + 1),
            lambda file: file.move("b", "c"),
            lambda file: file.create_dataset("c", data=np.zeros(2)),
            lambda file: create_group(file, "test"),
            lambda file: write_text(file, "schema", "Grüße/2"),
            lambda file: write_text(file["train"], "more", ""),
            lambda file: file["train/images"].attrs.create("scale", np.float32(255)),
        ],
    )
    def test_every_change_of_content_changes_it(self, tmp_path: Path, change: Callable[[h5py.File], object]) -> None:
        assert self.digest(tmp_path / "a.h5") != self.digest(tmp_path / "b.h5", change)

    @pytest.mark.parametrize(("left", "right"), [("<i4", "<u4"), ("<f4", "<i4")])
    def test_the_type_counts_where_the_bytes_are_equal(self, tmp_path: Path, left: str, right: str) -> None:
        digests = []
        for dtype in (left, right):
            with safe_hdf5_file(tmp_path / "a.h5") as file:
                file.create_dataset("x", data=np.zeros(4, dtype))
            digests.append(content_digest(tmp_path / "a.h5"))
        assert digests[0] != digests[1]

    def test_known_array_digests_save_reading_and_change_nothing(self, tmp_path: Path) -> None:
        write(tmp_path / "a.h5")
        with open_hdf5(tmp_path / "a.h5") as file:
            known = {name: data_sha256(file[name]) for name in ("/b", "/train/images")}
            assert digest_of(tmp_path / "a.h5", file, known) == content_digest(tmp_path / "a.h5")

    def test_it_can_be_computed_before_the_file_is_closed(self, tmp_path: Path) -> None:
        with safe_hdf5_file(tmp_path / "a.h5") as file:
            fill(file)
            early = digest_of(tmp_path / "a.h5", file)
        assert content_digest(tmp_path / "a.h5") == early


class TestTrust:
    def refused(self, path: Path, what: str) -> None:
        with pytest.raises(FormatError, match=what):
            content_digest(path)

    @pytest.mark.parametrize("link", [h5py.SoftLink("/b"), h5py.ExternalLink("other.h5", "/b"), h5py.SoftLink("/none")])
    def test_links_that_are_not_hard_are_refused(self, tmp_path: Path, link: object) -> None:
        with h5py.File(tmp_path / "a.h5", "w") as file:
            file["b"] = 1
            file["c"] = link
        self.refused(tmp_path / "a.h5", "symbolic or external link")

    def test_a_group_that_contains_itself_is_refused(self, tmp_path: Path) -> None:
        with h5py.File(tmp_path / "a.h5", "w") as file:
            file.create_group("x")["again"] = file["/"]
        self.refused(tmp_path / "a.h5", "a second name")

    def test_a_virtual_data_set_is_refused(self, tmp_path: Path) -> None:
        layout = h5py.VirtualLayout((4,), "u1")
        layout[:] = h5py.VirtualSource("/etc/hostname", "x", (4,))
        with h5py.File(tmp_path / "a.h5", "w") as file:
            file.create_virtual_dataset("x", layout)
        self.refused(tmp_path / "a.h5", "data in other files")

    def test_data_in_an_external_file_are_refused(self, tmp_path: Path) -> None:
        with h5py.File(tmp_path / "a.h5", "w") as file:
            file.create_dataset("x", (4,), "u1", external=[("/etc/hostname", 0, 4)])
        self.refused(tmp_path / "a.h5", "data in other files")

    def test_a_shape_beyond_the_file_is_refused(self, tmp_path: Path) -> None:
        with h5py.File(tmp_path / "a.h5", "w") as file:
            file.create_dataset("x", (1 << 40,), "f8", chunks=(1000,))
        self.refused(tmp_path / "a.h5", "8796093022208 bytes")

    def test_compressed_data_are_refused(self, tmp_path: Path) -> None:
        with h5py.File(tmp_path / "a.h5", "w") as file:
            file.create_dataset("x", data=np.zeros(100), compression="gzip")
        self.refused(tmp_path / "a.h5", "HDF5 filters")

    @pytest.mark.parametrize("value", ["text of any length", [("a", 1)]])
    def test_types_without_plain_bytes_are_refused(self, tmp_path: Path, value: object) -> None:
        data = np.array(value, "S1,i4") if isinstance(value, list) else value
        with h5py.File(tmp_path / "a.h5", "w") as file:
            file.create_dataset("x", data=data)
        self.refused(tmp_path / "a.h5", "strings of fixed length")

    def test_attributes_of_variable_length_are_refused(self, tmp_path: Path) -> None:
        with h5py.File(tmp_path / "a.h5", "w") as file:
            file.attrs["schema"] = "variable"
        self.refused(tmp_path / "a.h5", "attribute 'schema' of / is not accepted")

    def test_a_data_set_without_a_shape_is_refused(self, tmp_path: Path) -> None:
        with h5py.File(tmp_path / "a.h5", "w") as file:
            file["x"] = h5py.Empty("f4")
        self.refused(tmp_path / "a.h5", "not accepted")

    def test_a_named_type_is_refused(self, tmp_path: Path) -> None:
        with h5py.File(tmp_path / "a.h5", "w") as file:
            file["x"] = np.dtype("f4")
        self.refused(tmp_path / "a.h5", "a group or a data set")

    def test_every_flipped_bit_of_a_file_is_found_or_harmless(self, tmp_path: Path) -> None:
        content = write(tmp_path / "a.h5")
        digest = content_digest(tmp_path / "a.h5")
        random = np.random.default_rng(0)
        found = 0
        for bit in random.integers(0, len(content) * 8, 400):
            flipped = bytearray(content)
            flipped[bit // 8] ^= 1 << bit % 8
            (tmp_path / "b.h5").write_bytes(flipped)
            try:
                assert content_digest(tmp_path / "b.h5") == digest or bit // 8 in self.contiguous(tmp_path)
            except FormatError:
                found += 1
        assert found > 350

    def contiguous(self, folder: Path) -> range:
        """Where the array without a checksum lies."""
        with h5py.File(folder / "a.h5") as file:
            start = file["b"].id.get_offset()
            return range(start, start + file["b"].nbytes)

    def test_every_truncation_is_refused(self, tmp_path: Path) -> None:
        content = write(tmp_path / "a.h5")
        for length in range(0, len(content), 97):
            (tmp_path / "b.h5").write_bytes(content[:length])
            with pytest.raises(FormatError):
                content_digest(tmp_path / "b.h5")


class TestReading:
    def test_a_missing_file_is_an_input_error_with_the_hint(self, tmp_path: Path) -> None:
        with pytest.raises(InputError) as caught, open_hdf5(tmp_path / "none.h5", hint="run 'mnist train'"):
            pass
        assert not isinstance(caught.value, FormatError)
        assert caught.value.hint == "run 'mnist train'"

    def test_a_folder_is_an_input_error(self, tmp_path: Path) -> None:
        with pytest.raises(InputError), open_hdf5(tmp_path):
            pass

    def test_a_file_that_is_not_hdf5_is_a_format_error_with_the_hint(self, tmp_path: Path) -> None:
        (tmp_path / "a.h5").write_bytes(b"\x89PNG" * 100)
        with pytest.raises(FormatError) as caught, open_hdf5(tmp_path / "a.h5", hint="run 'mnist train'"):
            pass
        assert caught.value.hint == "run 'mnist train'"
        assert caught.value.message.count("\n") <= 2

    @pytest.mark.parametrize("text", ["", "Grüße", "x" * 5000])
    def test_a_text_comes_back(self, tmp_path: Path, text: str) -> None:
        with safe_hdf5_file(tmp_path / "a.h5") as file:
            write_text(file, "text", text)
        with open_hdf5(tmp_path / "a.h5") as file:
            assert read_text(tmp_path / "a.h5", file, "text") == text

    def test_a_missing_or_numeric_text_is_a_format_error(self, tmp_path: Path) -> None:
        with safe_hdf5_file(tmp_path / "a.h5") as file:
            file.attrs["number"] = 1
        for name in ("none", "number"):
            with pytest.raises(FormatError, match=name), open_hdf5(tmp_path / "a.h5") as file:
                read_text(tmp_path / "a.h5", file, name)

    def test_walk_names_everything_in_sorted_order(self, tmp_path: Path) -> None:
        write(tmp_path / "a.h5")
        with open_hdf5(tmp_path / "a.h5") as file:
            assert list(walk(tmp_path / "a.h5", file)) == ["/", "/b", "/train", "/train/images"]
