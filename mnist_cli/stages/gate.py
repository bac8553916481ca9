"""The gate after evaluation: an accuracy that must be reached."""

from __future__ import annotations

from collections.abc import Sequence

from mnist_cli.errors import GateFailed


def check_gate(accuracy: float, interval: Sequence[float], minimum: float) -> None:
    """Compare a measured accuracy to the lowest one that is accepted.

    Args:
        accuracy: share of the examples that were predicted right, 0 to 1.
        interval: its 95 % interval, low and high.
        minimum: the bound, 0 to 1; an accuracy that equals it passes.

    Raises:
        GateFailed: the accuracy is below.
    """
    if accuracy < minimum:
        low, high = interval
        raise GateFailed(
            f"the accuracy is too low: expected at least {minimum:g}; "
            f"received {accuracy:.4f} (95 % interval {low:.4f} to {high:.4f})"
        )
