"""The targets by name. Their modules import what is heavy where they need it."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from mnist_cli.errors import UsageError
from mnist_cli.text import printable

if TYPE_CHECKING:
    from mnist_cli.export.target import Target

# Name → module and variable.
_HOMES = {
    "litert": ("litert", "FLOAT"),
    "litert-int8": ("litert", "INT8"),
    "onnx": ("onnx_file", "TARGET"),
    "saved-model": ("saved_model", "TARGET"),
    "web": ("web", "TARGET"),
    "c": ("c", "TARGET"),
}
NAMES = tuple(_HOMES)
EXACT = ("web", "c")  # those whose bytes and answers are the same on every machine; `Target.exact` says so too
TYPED = tuple(name for name in NAMES if name != "litert-int8")  # what --to takes


def find_target(name: str) -> Target:
    """Return a target."""
    module, variable = _HOMES[name]
    found: Target = getattr(importlib.import_module(f"mnist_cli.export.{module}"), variable)
    return found


def named_target(to: str, quantize: str | None) -> Target:
    """Return the target that --to and --quantize name.

    Raises:
        UsageError: there is none.
    """
    if to not in TYPED:
        raise UsageError(f"--to: expected {', '.join(TYPED)}; received '{printable(to)}'")
    if quantize is None:
        return find_target(to)
    if quantize != "int8":
        raise UsageError(f"--quantize: expected int8; received '{printable(quantize)}'")
    if to != "litert":
        raise UsageError(f"--quantize int8: expected --to litert; received --to {to}")
    return find_target("litert-int8")
