"""What this process runs on: the processor, its vector instructions, the packages that compute."""

from __future__ import annotations

import contextlib
import os
import platform
import re
from importlib import metadata
from pathlib import Path
from typing import Any

from mnist_cli import __version__
from mnist_cli.files import naming

_PACKAGES = ("tensorflow", "keras", "numpy", "h5py", "pillow")
_CPUINFO = Path("/proc/cpuinfo")
_VERSION = re.compile(r"^Version: *(\S+)", re.MULTILINE)
# The widest first, by their name in /proc/cpuinfo and in oneDNN's variable. oneDNN and OpenBLAS choose their loops by
# these, and a wider register adds up in another order.
_VECTORS = {"avx512f": "AVX512", "avx2": "AVX2", "avx": "AVX", "sse4_1": "SSE41"}


def environment() -> dict[str, Any]:
    """Return versions and machine facts; no host name, no user name, no paths."""
    return {
        "mnist-cli": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
        **{name: installed_version(name) for name in _PACKAGES},
    }


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


def onednn_setting() -> str:
    """Return "1" where TensorFlow computes with oneDNN, as it does unless TF_ENABLE_ONEDNN_OPTS is off, else "0"."""
    return "0" if os.environ.get("TF_ENABLE_ONEDNN_OPTS", "1").lower() in ("0", "false") else "1"


def installed_version(package: str) -> str | None:
    """Return the version of an installed package, or None where none is found; the package is not imported."""
    try:
        with naming(Path(f"{package}.dist-info/METADATA")):
            described = metadata.distribution(package).read_text("METADATA") or ""
    except metadata.PackageNotFoundError:
        return None
    # `metadata.version` has the whole file parsed as an e-mail, which takes 10 ms and comes to the same line.
    found = _VERSION.search(described)
    return found[1] if found else metadata.version(package)


def _first(field: str) -> str | None:
    """Return the value of a field for the first processor, where /proc/cpuinfo has it; reading all of them is slow."""
    with contextlib.suppress(OSError), _CPUINFO.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            name, _, value = line.partition(":")
            if name.strip() == field:
                return value.strip()
    return None
