"""The name of the processor, read from /proc/cpuinfo."""

from __future__ import annotations

from pathlib import Path

import pytest

from mnist_cli import machine as processor
from mnist_cli.machine import cpu_name


@pytest.fixture
def cpuinfo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "cpuinfo"
    monkeypatch.setattr(processor, "_CPUINFO", path)
    return path


def test_the_processor_keeps_its_own_name(cpuinfo: Path) -> None:
    cpuinfo.write_text("processor\t: 0\nmodel name\t: A: B\n\nprocessor\t: 1\nmodel name\t: C\n")
    assert cpu_name() == "A: B"


def test_without_cpuinfo_the_processor_still_has_a_name(cpuinfo: Path) -> None:
    assert not cpuinfo.exists()
    assert cpu_name()
