"""`web`: one HTML file with a drawing pad for phones, and the exact model in JavaScript.

On a web server the page can be installed and works offline, for which two small files lie beside it. Opened as a plain
file it needs nothing else.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from mnist_cli import files
from mnist_cli.export.about import About
from mnist_cli.export.browser import run_page, runtime, words
from mnist_cli.export.target import Answers, Bytes, Target
from mnist_cli.formats.model import Model
from mnist_cli.maps.portable import portable_array, portable_document
from mnist_cli.maps.softmax import UNIT
from mnist_cli.page.html import policy_hash, text_of

_ROOM = "mnist_cli.export"
_PAPER, _INK = "#fbfbf9", "#14181f"


def page(model: Model, about: About) -> bytes:
    """Return the page; equal models give equal bytes."""
    data = {
        "shape": model.shape,
        "classes": about.classes,
        "zero": model.zero,
        "step": model.input_step,
        "weights": portable_array(np.rint(model.weights / UNIT)),
        "bias": portable_array(np.rint(model.bias / UNIT)),
        "map": model.feature_map and portable_document(model.feature_map),
        "about": about.facts(),
    }
    # No "<", so that nothing in the data can end the element.
    content = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    scripts = [
        'const data = JSON.parse(document.getElementById("model").textContent);\n',
        text_of(_ROOM, "features.js"),
        "/* answers */\n" + text_of(_ROOM, "answer.js") + "/* end */\n",
        text_of(_ROOM, "model.js"),
        text_of(_ROOM, "screen.js"),
    ]
    script, style = "(() => {\n" + "\n".join(scripts) + "})();\n", text_of(_ROOM, "screen.css")
    parts = {
        "SCRIPT_HASH": policy_hash(script),
        "STYLE_HASH": policy_hash(style),
        "STYLE": style,
        "MODEL": content,
        "SCRIPT": script,
    }
    pattern = re.compile("|".join(parts))
    return pattern.sub(lambda found: parts[found[0]], text_of(_ROOM, "screen.html")).encode()


def _write(model: Model, about: About, folder: Path) -> None:
    content = page(model, about)
    files.write_bytes(folder / TARGET.file, content)
    svg = "svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 100 100'"
    icon = f"data:image/svg+xml,%3C{svg}%3E{_icon()}%3C/svg%3E"
    manifest: dict[str, Any] = {
        "name": "Drawing pad",
        "short_name": "Pad",
        "start_url": TARGET.file,
        "display": "standalone",
        "background_color": _PAPER,
        "theme_color": _INK,
        "icons": [{"src": icon, "sizes": "any", "type": "image/svg+xml"}],
    }
    files.write_json(folder / "mnist.webmanifest", manifest)
    worker = text_of(_ROOM, "worker.js").replace("PAGE", TARGET.file)
    digest = hashlib.sha256(content).hexdigest()[:12]
    files.write_bytes(folder / "mnist-worker.js", worker.replace("DIGEST", digest).encode())


def _icon() -> str:
    paper, ink = (colour.replace("#", "%23") for colour in (_PAPER, _INK))
    stroke = f"stroke='{ink}' stroke-width='12' stroke-linecap='round' stroke-linejoin='round' fill='none'"
    return f"%3Crect width='100' height='100' fill='{paper}'/%3E%3Cpath d='M30 25h40L45 80' {stroke}/%3E"


def _run(path: Path, images: Bytes) -> Answers:
    numbers = run_page(path, images)
    count = (numbers.shape[1] - 2) // 2
    return Answers(
        probabilities=numbers[:, 2 + count :],
        labels=numbers[:, 0].astype(np.int64),
        logits=numbers[:, 2 : 2 + count].astype(np.int64),
        features=numbers[:, 1].astype(np.uint32),
    )


TARGET = Target(name="web", file="mnist.html", write=_write, run=_run, runtime=runtime, words=words, exact=True)
