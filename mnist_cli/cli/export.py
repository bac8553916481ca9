"""`mnist export`: the model as one file for phones, browsers, other runtimes and microcontrollers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mnist_cli.cli.command import command
from mnist_cli.cli.completion import beginning
from mnist_cli.cli.options import flag, option
from mnist_cli.cli.running import Frozen, Lock, Wait, check_lock_option
from mnist_cli.cli.session import Session
from mnist_cli.errors import UsageError
from mnist_cli.export.targets import TYPED
from mnist_cli.text import file_size, printable

if TYPE_CHECKING:
    from mnist_cli.export.exporting import Exported
    from mnist_cli.export.target import Target
    from mnist_cli.stages.stage import Pipeline


def register(app: typer.Typer, pipeline: Pipeline) -> None:
    """Add the command to the application."""
    command(app, pipeline, "export")(export)


def export(
    session: Session,
    *,
    to: Annotated[
        str | None,
        option(
            "--to",
            metavar="TARGET",
            help="litert, onnx, saved-model, web or c.",
            autocompletion=lambda incomplete: beginning(incomplete, TYPED),
        ),
    ] = None,
    quantize: Annotated[
        str | None, option("--quantize", metavar="int8", help="Store weights in 8 bits; litert only.")
    ] = None,
    output: Annotated[
        Path | None, option("--output", metavar="FILE", help="Also copy the file here; for saved-model, its folder.")
    ] = None,
    force: Annotated[bool, flag("--force", help="Write it again even if it is up to date.")] = False,
    frozen: Frozen = False,
    lock: Lock = None,
    wait: Wait = 0,
) -> None:
    """Write the model with its feature map as one file that takes the bytes of images and gives probabilities.

    litert: for phones. onnx: for onnxruntime and others. saved-model: for TensorFlow. web: a drawing pad in one HTML
    file. c: a header for microcontrollers. Before the file is published in artifacts/export, it is run on every image
    of the evaluated split; if its answers differ from the model's, the command fails with exit code 6.

    Example: mnist export --to web --output pad.html
    """
    from mnist_cli.export import exporting
    from mnist_cli.export.targets import named_target
    from mnist_cli.pipeline.mutex import locked

    if to is None:
        raise UsageError(f"--to: expected {', '.join(TYPED)}; received nothing")
    check_lock_option(frozen, lock)
    target = named_target(to, quantize)
    if output:
        _check_place(session, output, target)
    config = session.load_as_run().config
    promised = _promised(session, lock) if frozen else None
    progress = session.output.progress()
    with locked(session.artifacts.root, session.command, wait):
        try:
            exported = exporting.export(
                config, session.artifacts, target, force=force, promised=promised, progress=progress
            )
        finally:
            progress.finish()
        if output:
            exporting.copy(exported, target, output)
    _print(session, exported, target, output)


def _promised(session: Session, lock: Path | None) -> dict[str, str]:
    from mnist_cli.audit.lock_file import lock_path, read_lock

    return dict(read_lock(lock or lock_path(session.config_file), session.pipeline).exports)


def _check_place(session: Session, output: Path, target: Target) -> None:
    from mnist_cli.pipeline.output_files import check_output, check_place

    ours = output.is_dir() and (not any(output.iterdir()) or (output / target.file).is_file())
    if target.is_folder and output.exists() and not ours:
        raise UsageError(f"--output {printable(output)}: expected a new folder, or an older SavedModel")
    check_place(output, is_folder=target.is_folder)
    check_output(output, session.artifacts, target.mark)


def _print(session: Session, exported: Exported, target: Target, output: Path | None) -> None:
    record = exported.manifest.outputs[target.file]
    found: dict[str, Any] | None = exported.manifest.metrics["verified"]
    path = output or (exported.path.parent if target.is_folder else exported.path)
    session.output.document(
        target=target.name,
        file=str(path),
        bytes=record.bytes,
        sha256=record.sha256,
        model_digest=exported.manifest.metrics["model_digest"],
        written=exported.made,
        verified=found,
    )
    state = "" if exported.made else ", up to date"
    session.output.line(f"{printable(path)}: {file_size(record.bytes)}{state}")
    if found is None:
        from mnist_cli.export.target import EXTRA

        session.output.note(f"not verified: {exported.unverified}; for the runtimes that pip can install, {EXTRA}")
        return
    bits = "; features and logits equal to the bit" if found["exact"] else ""
    session.output.line(
        f"verified by {found['runtime']}: same answer for {found['same']:,} of {found['images']:,} {found['split']} "
        f"images; probabilities differ by at most {found['largest']:.1g}{bits}"
    )
