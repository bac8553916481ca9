"""What became of the inputs of one attack."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from mnist_cli.errors import MnistError
from mnist_cli.learning.checkpoint_state import Damaged


@dataclass
class Tally:
    """The counts of one attack.

    Attributes:
        attack: what was done to what.
        tried: inputs.
        refused: ended in an error of ours that names what is wrong, in words that a terminal may print.
        harmless: accepted, and read as what was written: the change was in bytes that say nothing.
        accepted: accepted, and read as something else. Must be 0.
        crashed: ended in another exception. Must be 0.
        unclear: ended in an error of ours without the name that it must have. Must be 0.
        slowest: seconds that the slowest took.
        examples: a few of those that must not be.
    """

    attack: str
    tried: int = 0
    refused: int = 0
    harmless: int = 0
    accepted: int = 0
    crashed: int = 0
    unclear: int = 0
    slowest: float = 0.0
    examples: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether everything came out as it must."""
        return self.tried > 0 and not (self.accepted or self.crashed or self.unclear)

    def attempt(self, what: str, named: str, use: Callable[[], bool]) -> None:
        """Let one wrong input be used.

        Args:
            what: it, for the examples.
            named: what an error has to name, such as the file.
            use: reads the input; returns whether what it read is what was written before the attack.
        """
        self.tried += 1
        started = time.perf_counter()
        try:
            same = use()
        except (MnistError, Damaged) as error:
            clear = named in str(error) and str(error).replace("\n", "").isprintable()
            self._count("refused" if clear else "unclear", f"{what}: {error}")
        except Exception as error:  # noqa: BLE001  # what is looked for
            self._count("crashed", f"{what}: {type(error).__name__}: {error}")
        else:
            self._count("harmless" if same else "accepted", what)
        self.slowest = max(self.slowest, time.perf_counter() - started)

    def _count(self, outcome: str, example: str) -> None:
        setattr(self, outcome, getattr(self, outcome) + 1)
        if outcome not in ("refused", "harmless") and len(self.examples) < 5:
            self.examples.append(f"{outcome}: {example}")


def flipped(content: bytes, bit: int) -> bytes:
    """Return the content with one bit changed."""
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)
