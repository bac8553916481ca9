"""`c`: writes the header, and runs it if there is a compiler."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mnist_cli import files
from mnist_cli.children import run_other
from mnist_cli.errors import InputError
from mnist_cli.export.about import About
from mnist_cli.export.c_source import header, template
from mnist_cli.export.target import Answers, Bytes, Target
from mnist_cli.formats.model import Model

_COMPILERS = ("cc", "gcc", "clang")
FLAGS = ("-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror")


def _compiler() -> str | None:
    return next(filter(None, map(shutil.which, _COMPILERS)), None)


def _write(model: Model, about: About, folder: Path) -> None:
    files.write_bytes(folder / TARGET.file, header(model, about).encode())


def compile_runner(path: Path, folder: Path, flags: Sequence[str] = ("-O3",)) -> Path:
    """Compile a program that classifies images from standard input.

    Args:
        path: the header.
        folder: an empty folder for the program.
        flags: flags of the compiler, besides FLAGS.

    Raises:
        InputError: the compiler rejects the header.
    """
    (folder / "run.c").write_text(template("run.c"), encoding="utf-8")
    (folder / "mnist.h").write_bytes(path.read_bytes())
    program = folder / "run"
    command = [_compiler() or "cc", *FLAGS, *flags, str(folder / "run.c"), "-o", str(program)]
    done = run_other(command)
    if done.returncode:
        raise InputError(f"the compiler rejects {path.name}: {done.stderr.decode(errors='replace').strip()[:500]}")
    return program


def answers_of(program: Path, images: Bytes, classes: int) -> Answers:
    """Return the answers of a compiled program to images uint8 [n, h, w].

    Raises:
        InputError: the program failed.
    """
    done = run_other([str(program)], images.tobytes())
    if done.returncode:
        raise InputError(f"the compiled header failed with exit code {done.returncode}: {done.stderr.decode()[:500]}")
    kind = np.dtype(
        [("features", "<u4"), ("logits", "<i8", classes), ("label", "<u4"), ("probabilities", "<f4", classes)]
    )
    found = np.frombuffer(done.stdout, kind)
    return Answers(found["probabilities"], found["label"].astype(np.int64), found["logits"], found["features"])


def _run(path: Path, images: Bytes) -> Answers:
    classes = int(path.read_text(encoding="utf-8").partition("#define MNIST_CLASSES ")[2].split()[0])
    with tempfile.TemporaryDirectory(prefix="mnist-export-") as folder:
        return answers_of(compile_runner(path, Path(folder)), images, classes)


TARGET = Target(
    name="c",
    file="mnist.h",
    write=_write,
    run=_run,
    runtime=lambda: "" if _compiler() else "no C compiler is installed (Debian: apt-get install gcc)",
    words=lambda: Path(_compiler() or "cc").name,
    exact=True,
)
