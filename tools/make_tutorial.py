"""Writes docs/tutorial.md and the drawing in it: the text of the lesson as Markdown.

    python -m tools.make_tutorial

The page that `mnist lesson` writes is made from the same text, mnist_cli/lesson/text/lesson.md; its figures are live,
these are pictures. docs/lesson-*.png were taken of the page of the tutorial's run on MNIST, in Chromium.
"""

from __future__ import annotations

from importlib import resources

from mnist_cli.lesson.text import as_document
from tools import DOCS

PAGE = DOCS / "tutorial.md"
NETWORK = DOCS / "network.svg"
_PICTURES = {
    "data": "![Digits to choose from, the numbers of one, and the same digit pixel by pixel](lesson-data.png)",
    "one-hot": "![The label 0 as ten cells: a one and nine zeros](lesson-one-hot.png)",
    "evidence": "![The weights of the ten digits, a digit, the answer and its evidence](lesson-evidence.png)",
    "network": "![Weights join every pixel to every sum; the sums go through softmax; also as matrices](network.svg)",
    "training": "![The training figure at step 60: weights, loss, the gradient of one digit](lesson-training.png)",
    "evaluation": "![Accuracy on unseen digits, its curve and the confusion matrix](lesson-evaluation.png)",
}
# The page of the lesson has formulas as plain text; GitHub and the site set these. Text there → LaTeX here.
_FORMULAS = {
    "    logits = xW + b        x [784], W [784, 10], b [10]\n": r"""$$
\text{logits} = x W + b \qquad x [784], \quad W [784, 10], \quad b [10]
$$
""",
    "    y = softmax(logits),     softmax(z)_i = exp(z_i) / Σ_j exp(z_j)\n": r"""$$
y = \text{softmax}(\text{logits}), \qquad \text{softmax}(z)_i = \frac{\exp(z_i)}{\sum_j \exp(z_j)}
$$
""",
    "    H(y′, y) = − Σ_i y′_i ln y_i\n": r"""$$
H(y', y) = -\sum_i y'_i \ln y_i
$$
""",
    "    −ln softmax(z)_k = ln Σ_j exp(z_j − max z) − (z_k − max z)\n": r"""$$
-\ln \text{softmax}(z)_k = \ln \sum_j \exp(z_j - \max z) - (z_k - \max z)
$$
""",
    "For one example it is xᵀ(y − y′): for each": r"For one example it is $x^\top (y - y')$: for each",
}


def tutorial() -> str:
    """Return the page.

    Raises:
        LookupError: the text of the lesson has another formula by now.
    """
    page = as_document(_PICTURES)
    for plain, latex in _FORMULAS.items():
        if page.count(plain) != 1:
            raise LookupError(f"mnist_cli/lesson/text/lesson.md: expected once: {plain}")
        page = page.replace(plain, latex)
    return page


def network() -> str:
    """Return the drawing of the network as a file of its own, which is black or white as the reader's page."""
    figure = resources.files("mnist_cli.lesson") / "templates" / "figures" / "network.html.j2"
    style = "<style>svg { color: #1b1d21 } @media (prefers-color-scheme: dark) { svg { color: #e6e8eb } }</style>"
    return figure.read_text(encoding="utf-8").replace(">\n", f">\n  {style}\n", 1)


def main() -> None:
    """Write both."""
    PAGE.write_text(tutorial(), encoding="utf-8")
    NETWORK.write_text(network(), encoding="utf-8")


if __name__ == "__main__":
    main()
