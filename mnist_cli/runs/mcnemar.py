"""Whether two models that were asked the same questions differ by more than chance: McNemar's exact test.

Q. McNemar, "Note on the sampling error of the difference between correlated proportions or percentages",
Psychometrika 12 (1947), 153–157; in its exact form the discordant pairs are a binomial sample, as in F. Mosteller,
"Some statistical problems in measuring the subjective response to drugs", Biometrics 8 (1952), 220–226.
"""

from __future__ import annotations

from dataclasses import dataclass

LEVEL = 0.05  # the customary one: of twenty comparisons of equals, about one looks like a difference


@dataclass(frozen=True, slots=True)
class PairedTest:
    """Two classifiers on the same examples.

    Attributes:
        split: where they are from.
        examples: how many there are.
        only_first: examples that only the first one gets right (b in the literature).
        only_second: examples that only the second one gets right (c).
        p: probability of a split at least as uneven, if neither is better.
    """

    split: str
    examples: int
    only_first: int
    only_second: int
    p: float

    @property
    def significant(self) -> bool:
        """Whether the difference is more than noise, at the 5 % level."""
        return self.p < LEVEL


def mcnemar(only_first: int, only_second: int) -> float:
    """Return the two-sided p-value of McNemar's exact test.

    If neither classifier is better, each of the n = b + c examples that one gets right and the other wrong falls to
    either side like a fair coin: p = min(1, 2 · Σ_{k ≤ min(b, c)} C(n, k) / 2ⁿ). Examples that both get right, or
    both wrong, say nothing about the difference.

    Args:
        only_first: b, from 0 on.
        only_second: c, from 0 on.

    Returns:
        The float next to the exact value, which is computed in whole numbers.
    """
    discordant = only_first + only_second
    fewer = min(only_first, only_second)
    # C(n, k) grows from C(n, k−1); in whole numbers, so that nothing is lost.
    term = tail = 1
    for k in range(1, fewer + 1):
        term = term * (discordant - k + 1) // k
        tail += term
    # Where both sides are as even as can be, the two tails meet, or have the middle in common.
    return min(1.0, 2 * tail / (1 << discordant))
