"""The results as a JSON document and as Markdown."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.figures import Cost, Row
from benchmarks.setting import Result
from mnist_cli.files import write_bytes, write_json

SCHEMA = 1
JSON_NAME = "results.json"
MARKDOWN_NAME = "results.md"
_VERDICTS = {True: "yes", False: "no", None: "–"}


@dataclasses.dataclass(frozen=True, slots=True)
class Report:
    """One run of the harness.

    Attributes:
        date: when it started, ISO 8601.
        machine: facts about the machine.
        data: "mnist" or "synthetic".
        repeats: measurements of each process.
        results: benchmark → what it found.
        failures: benchmark → why it found nothing.
    """

    date: str
    machine: Mapping[str, object]
    data: str
    repeats: int
    results: Mapping[str, Result]
    failures: Mapping[str, str]

    def document(self) -> dict[str, object]:
        """Return the JSON document."""
        return {
            "schema": SCHEMA,
            "date": self.date,
            "machine": dict(self.machine),
            "data": self.data,
            "repeats": self.repeats,
            "rows": [
                {"benchmark": name, **dataclasses.asdict(row), "met": row.met()}
                for name, result in self.results.items()
                for row in result.rows
            ],
            "processes": [
                {"benchmark": name, **_cost_document(cost)}
                for name, result in self.results.items()
                for cost in result.costs
            ],
            "notes": {name: list(result.notes) for name, result in self.results.items() if result.notes},
            "failures": dict(self.failures),
        }

    def markdown(self) -> str:
        """Return the two tables, with the facts that they depend on below."""
        rows = [row for result in self.results.values() for row in result.rows]
        costs = [cost for result in self.results.values() for cost in result.costs]
        facts = ", ".join(f"{name} {value}" for name, value in self.machine.items() if value is not None)
        parts = [
            _table(("what", "ours", "peer", "ratio", "target", "met?"), [_cells(row) for row in rows]),
            _table(("process", "wall time", "peak memory"), [_cost_cells(cost) for cost in costs]),
            *(f"{name}: {note}" for name, result in self.results.items() for note in result.notes),
            *(f"**{name} failed**: {reason}" for name, reason in self.failures.items()),
            f"Medians of {self.repeats} (lowest–highest), data: {self.data}, {self.date}. {facts}.",
        ]
        return "\n\n".join(part for part in parts if part) + "\n"

    def write(self, folder: Path) -> None:
        """Write both files into `folder`, which is made where needed."""
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / JSON_NAME, self.document())
        write_bytes(folder / MARKDOWN_NAME, self.markdown().encode())


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.what,
        row.ours.text(row.unit),
        "–" if row.peer is None else row.peer.text(row.unit),
        "–" if row.ratio is None else row.ratio.text(""),
        "–" if row.target is None else row.target.text("" if row.ratio is not None else row.unit),
        _VERDICTS[row.met()],
    )


def _cost_document(cost: Cost) -> dict[str, object]:
    # Without the output of each process: what matters of it is in the rows.
    samples = [{"seconds": sample.seconds, "peak": sample.peak} for sample in cost.samples]
    return {**dataclasses.asdict(cost), "samples": samples}


def _cost_cells(cost: Cost) -> tuple[str, ...]:
    return cost.name, cost.seconds.text("s"), cost.megabytes.text("MB")


def _table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    if not lines:
        return ""
    cells = [header, ["---"] * len(header), *lines]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in cells)
