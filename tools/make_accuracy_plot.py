"""Draws docs/accuracy.png, accuracy against seconds, from the table between the marks in docs/benchmarks.md.

python -m tools.make_accuracy_plot
"""

from __future__ import annotations

from matplotlib.figure import Figure

from tools import DOCS

_BEGIN, _END = "<!-- recipes: begin -->", "<!-- recipes: end -->"


def rows(page: str) -> list[tuple[str, float, float]]:
    """Return (name, percent right, seconds) of each row of the table."""
    table = page.partition(_BEGIN)[2].partition(_END)[0]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if "|" in line]
    return [(row[0].strip("`"), float(row[1]), float(row[2])) for row in cells[2:]]


def draw(points: list[tuple[str, float, float]]) -> Figure:
    """Return the plot; mistakes are on a scale of powers, so that halving them is a step of one size."""
    figure = Figure(figsize=(7.2, 4.2), layout="constrained")
    axes = figure.subplots()
    for name, percent, seconds in points:
        is_ours = " " not in name
        axes.plot(seconds, 100 - percent, "o", color="#2166ac" if is_ours else "#999999")
        axes.annotate(name, (seconds, 100 - percent), xytext=(6, 4), textcoords="offset points", size=8)
    axes.set(xscale="log", yscale="log", xlabel="seconds", ylabel="test images read wrong, %")
    axes.set_yticks([0.5, 1, 2, 5, 10], ["0.5", "1", "2", "5", "10"])
    axes.set_xticks([3, 10, 30, 100, 300], ["3", "10", "30", "100", "300"])
    axes.minorticks_off()
    axes.margins(x=0.25, y=0.12)
    axes.grid(color="#eeeeee")
    return figure


if __name__ == "__main__":
    found = rows((DOCS / "benchmarks.md").read_text(encoding="utf-8"))
    draw(found).savefig(DOCS / "accuracy.png", dpi=130, metadata={"Software": None})
