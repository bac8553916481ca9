"""Text from outside, in every place where the command line takes some: no control byte may reach the terminal."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

from mnist_cli.formats.byte_stream import content_digest
from mnist_cli.formats.model import Model, save_model
from mnist_cli.pipeline.manifest import Manifest, OutputRecord, write_manifest
from mnist_cli.stages import PIPELINE
from mnist_cli.stages.stage import Stage
from mnist_cli.text import printable
from tests.corpora.tally import Tally
from tests.support.command_line import run_process
from tests.support.data import write_small_store

# Clear the screen, write the clipboard, C1's forms of both, bidi overrides, forged lines, Rich's markup.
HOSTILE = "\x1b[2J\x1b]52;c;aGk=\x07\x9b31m\x9d52;c;x\x9c\u202egnp\u2066\r\nerror: forged\x00\x7f\u200b[bold red]x[/]"
# What a file name, an argument and a variable can hold.
ARGUMENT = HOSTILE.replace("\0", "")
NAME = ARGUMENT.replace("/", "")


def attack(folder: Path, _count: int) -> Iterator[Tally]:
    """Give the tally of the commands, as text and as JSON."""
    for form in ("text", "json"):
        tally = Tally(f"text from outside, printed as {form}: escapes, OSC 52, C1, bidi, markup, forged lines")
        place = folder / form
        place.mkdir()
        _prepare(place)
        for arguments in _commands(place):
            _attempt(tally, place, arguments, form)
        yield tally


def _prepare(folder: Path) -> None:
    """Fill a folder with artifacts that hold the text wherever they can."""
    classes = tuple(f"{digit}{HOSTILE}" for digit in range(10))
    for root in (folder / "artifacts", folder / NAME):
        for name in PIPELINE.stages:
            (root / name).mkdir(parents=True)
        write_small_store(root / "preprocess" / "store.h5", train=4, validation=2, test=3, classes=classes)
        _write_model(root / "train" / "model.h5", classes)
        for stage in PIPELINE.stages.values():
            _write_manifest(stage, root / stage.name, is_ours=root.name == "artifacts")
    (folder / "hostile.yaml").write_text(
        json.dumps({"dataset": HOSTILE, HOSTILE: 1, "train": {HOSTILE: HOSTILE, "device": HOSTILE}}), encoding="utf-8"
    )
    (folder / "tags.yaml").write_text(f"a: !<{printable(HOSTILE)}> 1\nb: *a\u202eb\n", encoding="utf-8")
    (folder / "raw.yaml").write_bytes(HOSTILE.encode())
    (folder / NAME / f"{NAME}.yaml").write_text("seed: x\n", encoding="utf-8")


def _write_model(path: Path, classes: tuple[str, ...]) -> None:
    import numpy as np

    save_model(path, Model(np.zeros((784, 10)), np.zeros(10), classes, 1, 0, HOSTILE, (28, 28)))


def _write_manifest(stage: Stage, folder: Path, is_ours: bool) -> None:
    """Describe the files of a stage, with the text wherever a manifest has some; if not ours, in file names too."""
    for name in stage.outputs:
        if not (folder / name).exists():
            (folder / name).write_bytes(b"content")
    outputs = {name: OutputRecord(sha256=content_digest(folder / name), bytes=1) for name in stage.outputs}
    manifest = Manifest(
        stage=stage.name,
        key="0" * 64,
        version=stage.version,
        parameters={"dataset": HOSTILE, HOSTILE: HOSTILE},
        overrides={"dataset": HOSTILE, HOSTILE: 1},
        inputs={},
        outputs=outputs,
        metrics={HOSTILE: HOSTILE, "dataset": HOSTILE, "files": HOSTILE, "accuracy": HOSTILE},
        runtime={"device": HOSTILE, HOSTILE: HOSTILE},
        environment={HOSTILE: HOSTILE},
        seconds=1,
    )
    if not is_ours:
        names = {HOSTILE: OutputRecord(sha256="2" * 64, bytes=1)}
        manifest = manifest.model_copy(update={"outputs": names, "inputs": {HOSTILE: "1" * 64}})
    write_manifest(folder / "manifest.json", manifest)


def _commands(folder: Path) -> list[list[str]]:
    web = f"http://127.0.0.1:9/{ARGUMENT}"
    return [
        [ARGUMENT],
        [f"--{ARGUMENT}"],
        ["config", "check", "--set", ARGUMENT],
        ["config", "check", "--set", f"{ARGUMENT}=1"],
        ["config", "check", "--set", f"dataset={ARGUMENT}"],
        ["config", "check", "--set", f'train.device="{ARGUMENT}'],
        ["config", "check", "--config", f"{ARGUMENT}.yaml"],
        ["config", "check", "--config", str(Path(NAME) / f"{NAME}.yaml")],
        *(["config", "check", "--config", f"{name}.yaml"] for name in ("hostile", "tags", "raw")),
        ["config", "show", "--set", f"fetch.mirrors=[{json.dumps('./' + ARGUMENT)}]", "--origin"],
        ["status"],
        ["status", "--artifacts", NAME],
        ["status", "--artifacts", str(folder / NAME / f"{NAME}.yaml")],
        ["verify"],
        ["verify", "--artifacts", NAME],
        ["show", "0"],
        ["show", ARGUMENT],
        ["show", "0", "--artifacts", NAME],
        *(
            ["fetch", "--mirror", mirror, "--set", "fetch.deadline=0.5"]
            for mirror in (ARGUMENT, f"ftp://{ARGUMENT}", f"./{ARGUMENT}", web)
        ),
        ["preprocess"],
        ["eval"],
        ["eval", "--artifacts", NAME],
        ["eval", "--split", ARGUMENT],
    ]


def _attempt(tally: Tally, folder: Path, arguments: list[str], form: str) -> None:
    """Run a command; what it prints must be lines of printable characters, with no trace of a traceback."""
    tally.tried += 1
    # Public mirrors come last in every list: a proxy that is not there keeps the attack on this machine.
    nowhere = "http://127.0.0.1:9"
    variables = {"HTTP_PROXY": nowhere, "HTTPS_PROXY": nowhere, "NO_PROXY": "127.0.0.1", "MNIST_MIRRORS": "./none"}
    form_words = ("--json",) if form == "json" else ()
    started = time.perf_counter()
    result = run_process(*arguments, *form_words, cwd=folder, code=None, variables=variables)
    tally.slowest = max(tally.slowest, time.perf_counter() - started)
    printed = result.out + result.err
    odd = sorted({character for character in printed if character != "\n" and not character.isprintable()})
    forged = any(line.startswith("error: forged") for line in printed.splitlines())
    outcome = "harmless" if result.code == 0 else "refused"
    if odd or forged:
        outcome = "accepted"
    elif "Traceback" in printed or "internal error" in printed:
        outcome = "crashed"
    setattr(tally, outcome, getattr(tally, outcome) + 1)
    if outcome in ("accepted", "crashed"):
        tally.examples.append(f"{outcome}: {printable(arguments)}: {odd} {printed[:600]!r}")
