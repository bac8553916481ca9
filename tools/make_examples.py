"""Writes docs/examples/: what commands print with --json, and the JSON files that they leave.

    python -m tools.make_examples

The commands run one after the other on synthetic digits, in a temporary folder and without a network. Times are
those of the machine.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mnist_cli.cli.documents.files import FILES
from mnist_cli.pipeline.mutex import locked
from tools.make_schemas import EXAMPLES, layout

# Command line → name of the example that its document becomes; with "" it only prepares the next one.
STORY = (
    ("config init --set dataset=synthetic", "config-init"),
    ("config check", "config-check"),
    ("config show --set train.steps=2000", "config-show"),
    ("run --set train.epocs=2", "failure"),
    ("dataset list", "dataset-list"),
    ("dataset show emnist-letters", "dataset-show"),
    ("dataset check photos", "dataset-check"),
    ("dataset init photos", "dataset-init"),
    ("run --learning-rate 0.3", ""),
    ("run", "run"),
    ("fetch", "fetch"),
    ("preprocess", "preprocess"),
    ("run --dry-run --steps 2000", "run-dry-run"),
    ("train --steps 2000", "train"),
    ("eval", "eval"),
    ("status --set eval.split=validation", "status"),
    ("lock", "lock"),
    ("verify", "verify"),
    ("show 8", "show"),
    ("predict photo.png", "predict-file"),
    ("predict row.png --several", "predict-several"),
    ("predict --index 8", "predict-index"),
    ("predict broken.png", "predict-failed"),
    ("plot weights", "plot"),
    ("report", "report"),
    ("lesson", "lesson"),
    ("export --to c", "export"),
    ("diff", "diff"),
    ("sweep --set train.learning_rate=0.1,0.3", "sweep"),
    ("runs list", "runs-list"),
    ("runs show latest", "runs-show"),
    ("runs prune --set keep_runs=3", "runs-prune"),
    ("runs restore latest", "runs-restore"),
    ("runs rm previous", "runs-rm"),
    ("recipes", "recipes"),
    ("run --map grad8", ""),
    ("features", "features"),
    ("clean", "clean"),
)
_FAILING = {"failure": 3, "predict-failed": 5}


def examples(folder: Path) -> Iterator[tuple[str, Any]]:
    """Give the name and the content of every example; the commands run in an empty folder."""
    for name in ("a", "b"):
        (folder / "photos" / name).mkdir(parents=True)
        for number in range(5):
            Image.new("L", (4, 6), 20 * number).save(folder / "photos" / name / f"{number}.png")
    (folder / "broken.png").write_bytes(b"no picture")
    for line, name in STORY:
        document = _run(line, folder, _FAILING.get(name, 0))
        if name == "show":
            # As a photo of it: dark on light, four times as large.
            ink = np.kron(255 - np.array(document["image"], np.uint8), np.ones((4, 4), np.uint8))
            for file, shown in (("photo.png", ink), ("row.png", np.hstack([ink, ink]))):
                Image.fromarray(shown).save(folder / file)
        if name:
            yield name, document
    artifacts = folder / "artifacts"
    with locked(artifacts, "mnist run"):
        for name, (_, places) in FILES.items():
            newest = max(artifacts.glob(places[0]), key=lambda path: path.stat().st_mtime_ns)
            text = newest.read_text(encoding="utf-8")
            yield name, json.loads(text.splitlines()[0] if newest.suffix == ".jsonl" else text)


def _run(line: str, folder: Path, code: int) -> Any:
    variables = {"MNIST_MIRRORS": "", "MNIST_ARTIFACTS": "", "PYTHONPATH": str(EXAMPLES.parents[1])}
    words = [sys.executable, "-m", "mnist_cli", *line.split(), "--json"]
    done = subprocess.run(
        words, cwd=folder, env={**os.environ, **variables}, capture_output=True, text=True, check=False
    )
    if done.returncode != code:
        raise RuntimeError(f"mnist {line}: expected exit code {code}; received {done.returncode}\n{done.stderr}")
    # Where the package is installed is this machine's business.
    return json.loads(done.stdout.replace(str(EXAMPLES.parents[1]), "/usr/lib/python3/dist-packages"))


def main() -> None:
    """Write the examples, and remove those of documents that are no more."""
    with tempfile.TemporaryDirectory() as scratch:
        made = dict(examples(Path(scratch)))
        text = {name: layout(content) + "\n" for name, content in made.items()}
        if any(scratch in content for content in text.values()):
            raise RuntimeError(f"an example holds the path {scratch}")
    for path in EXAMPLES.glob("*.json"):
        if path.stem not in text:
            path.unlink()
    for name, content in text.items():
        (EXAMPLES / f"{name}.json").write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main()
