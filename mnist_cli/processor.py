"""Which processor this is, and which of its instructions decide how sums are rounded."""

from __future__ import annotations

import contextlib
import os
import platform
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")
# The widest first, by their name in /proc/cpuinfo and in oneDNN's variable. oneDNN and OpenBLAS choose their loops by
# these, and a wider register adds up in another order.
_VECTORS = {"avx512f": "AVX512", "avx2": "AVX2", "avx": "AVX", "sse4_1": "SSE41"}


def cpu_name() -> str:
    """Return the name that the processor gives itself, or "unknown"."""
    return _first("model name") or platform.processor() or "unknown"


def vector_instructions() -> str:
    """Return the architecture and, on x86, the widest vector instructions, such as `x86_64 avx2`.

    ONEDNN_MAX_CPU_ISA, by which oneDNN is told to do with less, counts.
    """
    machine = platform.machine()
    flags = (_first("flags") or "").split()
    names = list(_VECTORS)
    limit = os.environ.get("ONEDNN_MAX_CPU_ISA", "").upper()
    # AVX512_CORE_AMX and the like: what it has beyond AVX512 is for other types of numbers.
    allowed = next((names[place:] for place, name in enumerate(names) if limit.startswith(_VECTORS[name])), names)
    widest = next((name for name in allowed if name in flags), None)
    return f"{machine} {widest}" if widest else machine


def _first(field: str) -> str | None:
    """Return the value of a field for the first processor, where /proc/cpuinfo has it; reading all of them is slow."""
    with contextlib.suppress(OSError), _CPUINFO.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            name, _, value = line.partition(":")
            if name.strip() == field:
                return value.strip()
    return None
