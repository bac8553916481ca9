"""Programs that write pages of docs/ from the code, from runs and from measurements."""

from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"
