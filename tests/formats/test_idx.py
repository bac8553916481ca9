"""The IDX reader: valid files are read exactly, all others are refused with the place of the error."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import os
import struct
import subprocess
import sys
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mnist_cli.errors import FormatError, InputError
from mnist_cli.formats.idx import IdxHeader, IdxReader
from tests.support.data import TYPE_CODES, idx_bytes, read_idx, tiny_examples, write_idx

# The folder is shared by the examples of one test: each overwrites the file of the one before.
QUICK = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

ARRAYS = st.sampled_from(sorted(TYPE_CODES)).flatmap(
    lambda code: hnp.arrays(np.dtype(f"={code}"), hnp.array_shapes(min_dims=1, max_dims=5, min_side=0, max_side=6))
)
SMALL = np.arange(24, dtype=np.uint8).reshape(4, 3, 2)


def refused(path: Path, content: bytes) -> FormatError:
    path.write_bytes(content)
    with pytest.raises(FormatError) as caught:
        read_idx(path)
    assert str(path) in caught.value.message
    assert "expected" in caught.value.message
    assert "received" in caught.value.message
    assert caught.value.message.count("\n") <= 2
    return caught.value


def same(left: npt.NDArray[Any], right: npt.NDArray[Any]) -> bool:
    return left.dtype == right.dtype and left.shape == right.shape and left.tobytes() == right.tobytes()


class TestWhatIsValid:
    @QUICK
    @given(array=ARRAYS, compress=st.booleans())
    def test_an_array_comes_back_bit_for_bit(self, tmp_path: Path, array: npt.NDArray[Any], compress: bool) -> None:
        path = tmp_path / "array"
        write_idx(path, array, compress=compress)
        assert same(read_idx(path), array)

    @QUICK
    @given(array=ARRAYS, data=st.data())
    def test_blocks_of_rows_of_any_size_join_to_the_whole(
        self, tmp_path: Path, array: npt.NDArray[Any], data: st.DataObject
    ) -> None:
        path = tmp_path / "array"
        write_idx(path, array)
        blocks = [np.empty((0, *array.shape[1:]), array.dtype)]
        with IdxReader(path) as reader:
            while reader.rows_left:
                blocks.append(reader.read_rows(data.draw(st.integers(1, 4))))
        assert same(np.concatenate(blocks), array)

    def test_content_larger_than_any_buffer_comes_back(self, tmp_path: Path) -> None:
        array = np.random.default_rng(0).integers(0, 256, (3000, 784), dtype=np.uint8)
        write_idx(tmp_path / "noise.gz", array)
        assert same(read_idx(tmp_path / "noise.gz"), array)

    def test_content_that_compresses_best_comes_back(self, tmp_path: Path) -> None:
        array = np.zeros((5000, 784), np.uint8)
        write_idx(tmp_path / "zeros.gz", array)
        assert same(read_idx(tmp_path / "zeros.gz"), array)

    def test_the_name_does_not_decide_whether_it_is_gzip(self, tmp_path: Path) -> None:
        write_idx(tmp_path / "plain.gz", SMALL, compress=False)
        write_idx(tmp_path / "packed", SMALL, compress=True)
        assert same(read_idx(tmp_path / "plain.gz"), read_idx(tmp_path / "packed"))

    def test_the_header_gives_type_and_shape(self, tmp_path: Path) -> None:
        write_idx(tmp_path / "file.gz", SMALL)
        with IdxReader(tmp_path / "file.gz") as reader:
            header = reader.header
        assert header == IdxHeader(np.dtype(np.uint8), (4, 3, 2))
        assert (header.size, header.row_bytes, header.data_bytes) == (16, 6, 24)

    @pytest.mark.parametrize("shape", [(0,), (0, 28, 28), (5, 0)])
    def test_a_file_without_elements_is_valid(self, tmp_path: Path, shape: tuple[int, ...]) -> None:
        write_idx(tmp_path / "none.gz", np.empty(shape, np.uint8))
        assert read_idx(tmp_path / "none.gz").shape == shape

    def test_the_sha256_is_that_of_the_content(self, tmp_path: Path) -> None:
        path = tmp_path / "file.gz"
        write_idx(path, np.random.default_rng(0).integers(0, 256, (2000, 100), dtype=np.uint8))
        with IdxReader(path) as reader:
            reader.read_rows(2000)
            assert reader.sha256 == hashlib.sha256(gzip.decompress(path.read_bytes())).hexdigest()

    def test_the_real_files_are_read_as_gzip_and_numpy_read_them(self, real_mnist: Path) -> None:
        for path in real_mnist.glob("*.gz"):
            content = gzip.decompress(path.read_bytes())
            start = 4 + 4 * content[3]
            assert read_idx(path).tobytes() == content[start:]


class TestHeader:
    def test_an_empty_file(self, tmp_path: Path) -> None:
        assert "the file is empty" in refused(tmp_path / "file", b"").message

    def test_no_content_in_a_gzip_file(self, tmp_path: Path) -> None:
        assert "too short for IDX" in refused(tmp_path / "file", gzip.compress(b"")).message

    def test_too_short_for_the_magic_number(self, tmp_path: Path) -> None:
        error = refused(tmp_path / "file", b"\0\0\x08")
        assert "too short for IDX" in error.message
        assert error.received == "3 bytes"

    def test_a_web_page(self, tmp_path: Path) -> None:
        error = refused(tmp_path / "file", b"<!DOCTYPE html>")
        assert "not an IDX file" in error.message
        assert error.offset == 0

    def test_an_unknown_type(self, tmp_path: Path) -> None:
        error = refused(tmp_path / "file", b"\0\0\x0a\x01\0\0\0\0")
        assert "unknown IDX type" in error.message
        assert (error.offset, error.received) == (2, "0x0a")

    @pytest.mark.parametrize("count", [0, 33, 255])
    def test_a_number_of_dimensions_that_no_array_has(self, tmp_path: Path, count: int) -> None:
        error = refused(tmp_path / "file", bytes([0, 0, 8, count]) + bytes(4 * count))
        assert "number of IDX dimensions" in error.message
        assert (error.offset, error.received) == (3, count)

    def test_a_header_that_ends_too_early(self, tmp_path: Path) -> None:
        error = refused(tmp_path / "file", idx_bytes(SMALL)[:13])
        assert "header ends too early" in error.message
        assert error.offset == 13

    @pytest.mark.parametrize("compress", [False, True])
    @pytest.mark.parametrize("shape", [(2**32 - 1,) * 3, (2**32 - 1, 2**32 - 1, 0), (2**31, 2**32 - 1)])
    def test_dimensions_whose_product_overflows(self, tmp_path: Path, shape: tuple[int, ...], compress: bool) -> None:
        content = struct.pack(f">HBB{len(shape)}I", 0, 0x0E, len(shape), *shape)
        error = refused(tmp_path / "file", gzip.compress(content) if compress else content)
        assert "too large" in error.message

    def test_more_than_a_gzip_file_of_this_size_can_hold(self, tmp_path: Path) -> None:
        content = gzip.compress(struct.pack(">HBBI", 0, 0x08, 1, 2**32 - 1) + bytes(100))
        error = refused(tmp_path / "file", content)
        assert f"too large for a gzip file of {len(content)} bytes" in error.message

    @pytest.mark.parametrize("compress", [False, True])
    def test_every_flipped_bit_is_refused_or_only_changes_the_sign(self, tmp_path: Path, compress: bool) -> None:
        array = np.arange(24, dtype=np.uint8).reshape(4, 3, 2)
        content = idx_bytes(array)
        path = tmp_path / "file"
        accepted = []
        for bit in range(16 * 8):
            flipped = bytearray(content)
            flipped[bit // 8] ^= 1 << bit % 8
            path.write_bytes(gzip.compress(bytes(flipped)) if compress else bytes(flipped))
            try:
                accepted.append(str(read_idx(path).dtype))
            except FormatError:
                continue
        # ubyte and byte differ in one bit and have the same length: whoever wants bytes has to ask for the type.
        assert accepted == ["int8"]

    @pytest.mark.parametrize("compress", [False, True])
    def test_every_truncation_is_refused(self, tmp_path: Path, compress: bool) -> None:
        write_idx(tmp_path / "whole", SMALL, compress=compress)
        whole = (tmp_path / "whole").read_bytes()
        for length in range(len(whole)):
            refused(tmp_path / "cut", whole[:length])

    @QUICK
    @given(content=st.binary(max_size=80), compress=st.booleans())
    def test_random_bytes_end_in_an_error_of_ours_or_an_array(
        self, tmp_path: Path, content: bytes, compress: bool
    ) -> None:
        path = tmp_path / "file"
        path.write_bytes(gzip.compress(content) if compress else content)
        with contextlib.suppress(FormatError):
            assert same(np.frombuffer(idx_bytes(read_idx(path)), np.uint8), np.frombuffer(content, np.uint8))


class TestLength:
    def test_data_that_end_too_early(self, tmp_path: Path) -> None:
        for pack in (bytes, gzip.compress):
            error = refused(tmp_path / "file", pack(idx_bytes(SMALL)[:-5]))
            assert "data end too early" in error.message
            assert (error.offset, error.received) == (16 + 19, "19")

    def test_bytes_after_the_data_of_a_plain_file(self, tmp_path: Path) -> None:
        error = refused(tmp_path / "file", idx_bytes(SMALL) + b"\0")
        assert "extra bytes after the IDX data" in error.message
        assert error.offset == 16 + 24

    def test_more_content_than_declared_in_a_gzip_file(self, tmp_path: Path) -> None:
        error = refused(tmp_path / "file", gzip.compress(idx_bytes(SMALL) + b"\0"))
        assert "more content than the header declares" in error.message
        assert error.offset == 16 + 24

    def test_content_after_an_array_without_elements(self, tmp_path: Path) -> None:
        content = idx_bytes(np.empty((0, 28, 28), np.uint8)) + b"\0"
        assert "more content" in refused(tmp_path / "file", gzip.compress(content)).message

    def test_the_last_row_is_returned_only_after_the_end_was_verified(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(gzip.compress(idx_bytes(SMALL) + b"\0"))
        with IdxReader(tmp_path / "file") as reader:
            reader.read_rows(3)
            with pytest.raises(FormatError):
                reader.read_rows(1)


class TestGzip:
    WHOLE = gzip.compress(idx_bytes(SMALL), mtime=0)

    def test_trailing_zeros(self, tmp_path: Path) -> None:
        error = refused(tmp_path / "file", self.WHOLE + bytes(512))
        assert f"at byte {len(self.WHOLE)} of the file" in error.message
        assert error.received == "512 more bytes: zeros"

    def test_a_second_member(self, tmp_path: Path) -> None:
        error = refused(tmp_path / "file", self.WHOLE + gzip.compress(b""))
        assert "a second gzip member" in error.message

    def test_an_array_spread_over_two_members(self, tmp_path: Path) -> None:
        content = idx_bytes(SMALL)
        refused(tmp_path / "file", gzip.compress(content[:20]) + gzip.compress(content[20:]))

    def test_trailing_garbage(self, tmp_path: Path) -> None:
        assert "5 more bytes: 0x67617262…" in refused(tmp_path / "file", self.WHOLE + b"garba").message

    def test_something_far_after_the_end(self, tmp_path: Path) -> None:
        error = refused(tmp_path / "file", self.WHOLE + bytes(1 << 20) + b"x")
        assert f"{(1 << 20) + 1} more" in error.message

    def test_an_end_within_the_stream(self, tmp_path: Path) -> None:
        error = refused(tmp_path / "file", self.WHOLE[:-8])
        assert f"the gzip data end too early, at byte {len(self.WHOLE) - 8} of the file" in error.message

    def test_a_wrong_checksum(self, tmp_path: Path) -> None:
        broken = bytearray(self.WHOLE)
        broken[-8] ^= 1
        assert refused(tmp_path / "file", bytes(broken)).received == "incorrect data check"

    def test_a_wrong_length(self, tmp_path: Path) -> None:
        broken = bytearray(self.WHOLE)
        broken[-1] ^= 1
        assert refused(tmp_path / "file", bytes(broken)).received == "incorrect length check"

    def test_another_compression_method(self, tmp_path: Path) -> None:
        broken = bytearray(self.WHOLE)
        broken[2] = 9
        assert refused(tmp_path / "file", bytes(broken)).received == "unknown compression method"

    def test_no_flipped_bit_changes_the_array_unnoticed(self, tmp_path: Path) -> None:
        images, _ = tiny_examples(3, seed=0)
        write_idx(tmp_path / "whole", images)
        whole = (tmp_path / "whole").read_bytes()
        path = tmp_path / "file"
        random = np.random.default_rng(0)
        bits = [
            *range(20 * 8),
            *random.integers(0, len(whole) * 8, 600).tolist(),
            *range(len(whole) * 8 - 64, len(whole) * 8),
        ]
        for bit in bits:
            flipped = bytearray(whole)
            flipped[bit // 8] ^= 1 << bit % 8
            path.write_bytes(flipped)
            try:
                # Time, system and such in the gzip header say nothing about the content.
                assert same(read_idx(path), images)
                assert bit // 8 < 10
            except FormatError:
                continue


class TestResources:
    def test_a_bomb_behind_a_small_header_costs_no_memory(self, tmp_path: Path) -> None:
        packer = zlib.compressobj(9, wbits=31)
        block = bytes(1 << 20)
        with (tmp_path / "bomb.gz").open("wb") as file:
            file.write(packer.compress(idx_bytes(SMALL)))
            # 256 MiB: nothing of what follows depends on how many there are.
            for _ in range(256):
                file.write(packer.compress(block))
            file.write(packer.flush())
        tracemalloc.start()
        with pytest.raises(FormatError, match="more content than the header declares"):
            read_idx(tmp_path / "bomb.gz")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 2 << 20

    def test_rows_are_read_in_memory_that_does_not_grow_with_the_file(self, tmp_path: Path) -> None:
        peaks = []
        for count in (2_000, 20_000):
            write_idx(tmp_path / "file.gz", np.zeros((count, 784), np.uint8))
            tracemalloc.start()
            with IdxReader(tmp_path / "file.gz") as reader:
                while reader.rows_left:
                    reader.read_rows(500)
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
        assert peaks[1] < 1.2 * peaks[0]

    def test_a_refused_file_is_closed(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"no IDX")
        before = len(list(Path("/proc/self/fd").iterdir()))
        with pytest.raises(FormatError):
            IdxReader(tmp_path / "file")
        assert len(list(Path("/proc/self/fd").iterdir())) == before


class TestWhatIsNoFile:
    def test_nothing(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="No such file"):
            read_idx(tmp_path / "none.gz")

    def test_a_folder(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="not a regular file"):
            read_idx(tmp_path)

    def test_a_named_pipe_is_refused_without_waiting(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(InputError, match="not a regular file"):
            read_idx(tmp_path / "pipe")

    def test_a_name_with_escape_sequences_is_made_printable(self, tmp_path: Path) -> None:
        path = tmp_path / "\x1b[2Jfile"
        path.write_bytes(b"")
        with pytest.raises(FormatError) as caught:
            read_idx(path)
        assert "\x1b" not in caught.value.message


def test_reading_imports_no_tensorflow() -> None:
    code = "import sys, mnist_cli.formats.idx; sys.exit('tensorflow' in sys.modules or 'h5py' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
