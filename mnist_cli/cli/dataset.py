"""`mnist dataset list|show|check|init`: the shipped data sets, and your own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mnist_cli.cli.command import command
from mnist_cli.cli.help import new_group
from mnist_cli.cli.options import flag
from mnist_cli.cli.session import Session
from mnist_cli.errors import InputError, UsageError
from mnist_cli.text import file_size, plural, printable

if TYPE_CHECKING:
    from mnist_cli.datasets import DataFile, Dataset
    from mnist_cli.sources.inspection import Findings
    from mnist_cli.stages.stage import Pipeline

_FILE_NAME = "dataset.yaml"
_FEW = 20_000  # images; with fewer, a share suits the validation split better

Name = Annotated[
    str, typer.Argument(metavar="NAME", help="A name, or a YAML file that describes a data set.", show_default=False)
]
Folder = Annotated[
    Path,
    typer.Argument(
        metavar="FOLDER", help="IDX files, or pictures in one subfolder for each class.", show_default=False
    ),
]


def register(app: typer.Typer, pipeline: Pipeline) -> None:
    """Add the group and its commands to the application."""
    group = new_group("dataset", "List, show, check and describe data sets.")
    command(group, pipeline, "list")(list_datasets)
    command(group, pipeline, "show")(show)
    command(group, pipeline, "check")(check)
    command(group, pipeline, "init")(init)
    app.add_typer(group)


def list_datasets(session: Session) -> None:
    """List the data sets that need no description of your own.

    Example: mnist dataset list
    """
    from mnist_cli.datasets import DATASETS

    session.output.columns(("name", 16), ("classes", 8), ("download", 10), ("", 0))
    documents = []
    for name, dataset in DATASETS.items():
        downloads = [dataset.archive] if dataset.archive else list(dataset.files.values())
        size = sum(file.size for file in downloads)
        documents.append({"name": name, "title": dataset.title, "classes": len(dataset.classes), "bytes": size})
        shown = file_size(size) if size else "none"
        session.output.columns((name, 16), (str(len(dataset.classes)), 8), (shown, 10), (dataset.title, 0))
    session.output.document(datasets=documents)


def show(session: Session, name: Name) -> None:
    """Show a data set: classes, files, digests, mirrors, licence.

    Example: mnist dataset show emnist-letters
    """
    from mnist_cli.datasets import find_dataset

    content = _document(find_dataset(name))
    session.output.document(**content)
    for key, value in content.items():
        if key == "files":
            session.output.line("files:" if value else "files: none to download")
            for role, file in value.items():
                session.output.columns((f"  {role}", 16), (_shown(file), 0))
        elif value not in (None, "", []):
            session.output.columns((key, 16), (_shown(value), 0))


def check(session: Session, folder: Folder) -> None:
    """Check a folder of data and print what it holds; problems give exit code 5.

    Example: mnist dataset check photos
    """
    from mnist_cli.sources.inspection import inspect_folder

    findings = inspect_folder(folder, session.output.progress())
    session.output.document(**findings.document())
    _print_findings(session, findings)
    if findings.problems:
        raise InputError("\n".join([f"{printable(folder)} cannot be used yet", *findings.problems]))
    session.output.line(f"{printable(folder)}: ok")


def init(
    session: Session,
    folder: Folder,
    *,
    force: Annotated[bool, flag("--force", help="Replace an existing file.")] = False,
) -> None:
    """Check a folder of data and write dataset.yaml into it, for the key `dataset`.

    Example: mnist dataset init photos
    """
    from mnist_cli import files
    from mnist_cli.sources.inspection import inspect_folder

    path = folder / _FILE_NAME
    if path.exists() and not force:
        raise UsageError(f"{printable(path)} exists already", hint="give --force to replace it")
    findings = inspect_folder(folder, session.output.progress())
    session.output.document(**findings.document(), file=str(path))
    if findings.kind is None or not findings.classes:
        raise InputError("\n".join([f"{printable(folder)} cannot be described", *findings.problems]))
    for problem in findings.problems:
        session.output.warn(problem)
    _print_findings(session, findings)
    files.write_bytes(path, findings.description().encode())
    # The default validation split takes 5,000 training images.
    few = " --validation-size 0.1" if sum(findings.classes.values()) < _FEW else ""
    session.output.line(f"wrote {printable(path)}; train on it with 'mnist run --dataset {printable(path)}{few}'")


def _print_findings(session: Session, findings: Findings) -> None:
    if findings.kind is not None:
        kind = "IDX files" if findings.kind == "files" else "pictures by class"
        shape = f", {findings.shape[0]} × {findings.shape[1]} pixels" if findings.shape else ""
        total = plural(sum(findings.classes.values()), "image")
        session.output.line(f"{kind}: {total}{shape}, {len(findings.classes)} classes")
    for name, count in findings.classes.items():
        session.output.columns((f"  {printable(name, 60)}", 16), (f"{count:,}", 0))
    for remark in findings.remarks:
        session.output.note(remark)


def _document(dataset: Dataset) -> dict[str, Any]:
    import dataclasses

    def described(file: DataFile) -> dict[str, Any]:
        document = {name: value or None for name, value in dataclasses.asdict(file).items()}
        return {"name": document.pop("name"), "bytes": document.pop("size"), **document}

    folder = dataset.folder or (dataset.pictures.folder if dataset.pictures else None)
    return {
        "name": dataset.name,
        "title": dataset.title,
        "classes": list(dataset.classes),
        "shape": list(dataset.shape) if dataset.shape else None,
        "folder": None if folder is None else str(folder),
        "licence": dataset.licence,
        "source": dataset.source,
        "mirrors": list(dataset.mirrors),
        "transpose": dataset.transpose,
        "first_label": dataset.first_label,
        "column": dataset.column,
        "archive": described(dataset.archive) if dataset.archive else None,
        "files": {role: described(file) for role, file in dataset.files.items()},
    }


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        size = file_size(value["bytes"]) if value["bytes"] else ""
        digest = f"SHA-256 {value['sha256'][:12]}…" if value["sha256"] else "verified by its archive"
        return printable("  ".join(filter(None, (value["name"], size, digest))))
    if isinstance(value, list):
        return printable(", ".join(map(str, value)), 1000)
    return str(value).lower() if isinstance(value, bool) else printable(value)
