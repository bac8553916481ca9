"""The targets by name. Their modules do heavy imports inside functions."""

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
EXACT = ("web", "c")  # targets whose bytes and answers are the same on every machine, as in `Target.exact`
TYPED = tuple(name for name in NAMES if name != "litert-int8")  # the values of --to


def find_target(name: str) -> Target:
    """Return the target of a name in NAMES."""
    module, variable = _HOMES[name]
    found: Target = getattr(importlib.import_module(f"mnist_cli.export.{module}"), variable)
    return found


def named_target(to: str, quantize: str | None) -> Target:
    """Return the target for the values of --to and --quantize.

    Raises:
        UsageError: there is no such target.
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
