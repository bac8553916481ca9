"""What is told of the processor, by the words of /proc/cpuinfo."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from mnist_cli import machine as processor
from mnist_cli.machine import cpu_name, vector_instructions

ZEN_4 = "sse sse2 sse4_1 sse4_2 avx avx2 avx512f avx512dq"


@pytest.fixture
def cpuinfo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "cpuinfo"
    monkeypatch.setattr(processor, "_CPUINFO", path)
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    return path


@pytest.mark.parametrize(
    ("flags", "told"),
    [(ZEN_4, "avx512f"), ("sse4_1 avx avx2", "avx2"), ("sse4_1 avx", "avx"), ("sse4_1", "sse4_1")],
)
def test_the_widest_instructions_are_told(cpuinfo: Path, flags: str, told: str) -> None:
    cpuinfo.write_text(f"processor\t: 0\nmodel name\t: A: B\nflags\t\t: {flags}\n\nprocessor\t: 1\nflags\t: none\n")
    assert vector_instructions() == f"x86_64 {told}"
    assert cpu_name() == "A: B"


@pytest.mark.parametrize(
    ("limit", "told"),
    [
        ("SSE41", "sse4_1"),
        ("avx", "avx"),
        ("AVX2", "avx2"),
        ("AVX2_VNNI", "avx2"),
        ("AVX512_CORE_AMX", "avx512f"),
        ("DEFAULT", "avx512f"),
        ("", "avx512f"),
    ],
)
def test_a_limit_for_onednn_counts(cpuinfo: Path, monkeypatch: pytest.MonkeyPatch, limit: str, told: str) -> None:
    cpuinfo.write_text(f"flags : {ZEN_4}\n")
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", limit)
    assert vector_instructions() == f"x86_64 {told}"


def test_a_limit_above_the_processor_changes_nothing(cpuinfo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cpuinfo.write_text("flags : sse4_1 avx\n")
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX512_CORE")
    assert vector_instructions() == "x86_64 avx"


def test_without_such_a_file_the_architecture_is_told(cpuinfo: Path) -> None:
    assert not cpuinfo.exists()
    assert vector_instructions() == "x86_64"
    assert cpu_name()
