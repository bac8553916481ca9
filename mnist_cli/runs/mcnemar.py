"""McNemar's exact test: whether two models differ by more than chance on the same examples.

Q. McNemar, "Note on the sampling error of the difference between correlated proportions or percentages",
Psychometrika 12 (1947), 153–157. Its exact form treats the discordant pairs as a binomial sample, as in F. Mosteller,
"Some statistical problems in measuring the subjective response to drugs", Biometrics 8 (1952), 220–226.
"""

from __future__ import annotations

from dataclasses import dataclass

LEVEL = 0.05  # customary; of twenty comparisons of equal models, about one comes out significant


@dataclass(frozen=True, slots=True)
class PairedTest:
    """Two classifiers on the same examples.

    Attributes:
        split: the split of the examples.
        examples: number of examples.
        only_first: examples that only the first classifier gets right (b in the literature).
        only_second: examples that only the second classifier gets right (c).
        p: probability of a result at least as uneven, if neither is better.
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

    If neither classifier is better, each of the n = b + c examples that only one of them gets right is a fair coin
    toss: p = min(1, 2 · Σ_{k ≤ min(b, c)} C(n, k) / 2ⁿ). Examples that both get right, or both wrong, say nothing about
    the difference.

    Args:
        only_first: b ≥ 0.
        only_second: c ≥ 0.

    Returns:
        The float nearest to the exact value, which is computed in whole numbers.
    """
    discordant = only_first + only_second
    fewer = min(only_first, only_second)
    # C(n, k) from C(n, k−1), exactly, in whole numbers.
    term = tail = 1
    for k in range(1, fewer + 1):
        term = term * (discordant - k + 1) // k
        tail += term
    # If b and c differ by at most one, the two tails meet or share the middle term, and the sum reaches 1 or more.
    return min(1.0, 2 * tail / (1 << discordant))
