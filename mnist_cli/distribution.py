"""Which devices and strategies there are to train on, by name."""

from __future__ import annotations

STRATEGIES = ("single", "mirrored")
DEVICE_PATTERN = "auto|cpu|gpu(:(0|[1-9][0-9]{0,3}))?"


def unusable_device(device: str, strategy: str) -> str | None:
    """Return what is wrong with a device under a strategy, or None."""
    if device.startswith("gpu:") and strategy == "mirrored":
        return f"mirrored takes every GPU, and {device} is one; expected auto, cpu or gpu"
    return None
