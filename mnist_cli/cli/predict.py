"""`mnist predict FILE…`: the class of each picture, and how sure the model is."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from mnist_cli.cli.command import command
from mnist_cli.cli.drawing import answer_of, print_answer, print_drawing, screen
from mnist_cli.cli.options import OfRun, flag, option
from mnist_cli.cli.published import Chosen, fitting_store
from mnist_cli.cli.session import Session
from mnist_cli.cli.terminal import say
from mnist_cli.errors import InputError, UsageError
from mnist_cli.text import printable, signed

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from mnist_cli.formats.model import Model
    from mnist_cli.formats.store import Store
    from mnist_cli.pictures.pieces import Doubt
    from mnist_cli.pictures.terminal import Drawing
    from mnist_cli.stages.stage import Pipeline

    Pixels = npt.NDArray[np.uint8]


_WARNINGS: dict[Doubt, str] = {
    "several-pieces": "several pieces side by side were read as one digit; for a row of digits, add --several",
    "ink-all-over": "there is ink all over the picture; crop it to one digit",
    "cut-by-the-edge": "the edge of the picture cuts the ink; leave a margin around the digit",
}


@dataclass(frozen=True, slots=True)
class _How:
    """What to show with an answer: its evidence, perhaps against another class, and the image."""

    explain: bool
    against: int | None
    show: bool


def register(app: typer.Typer, pipeline: Pipeline) -> None:
    """Add the command to the application."""
    command(app, pipeline, "predict")(predict)


def predict(
    session: Session,
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FILE…", help="PNG, JPEG, GIF, BMP, WebP, TIFF or AVIF; - is standard input.", show_default=False
        ),
    ] = None,
    *,
    index: Annotated[
        list[int] | None, option("--index", metavar="N", min=0, help="A stored image; repeatable.")
    ] = None,
    split: Annotated[
        Literal["test", "validation", "train"] | None,
        option("--split", metavar="SPLIT", help="The split of --index: test (if left out), validation or train."),
    ] = None,
    explain: Annotated[
        bool, flag("--explain", help="Draw the evidence for the prediction (blue) and against it (red).")
    ] = False,
    against: Annotated[
        str | None,
        option("--against", metavar="CLASS", help="With --explain: why the prediction and not this class."),
    ] = None,
    show: Annotated[bool, flag("--show", help="Draw the image that the model sees.")] = False,
    several: Annotated[
        bool, flag("--several", help="Read several digits in a row in each FILE, from left to right.")
    ] = False,
    run: OfRun = None,
) -> int:
    """Predict the class of pictures, and say how sure the model is.

    The drawing may be dark on light or light on dark, of any size and anywhere in the picture: it is normalised to the
    model's image shape, as MNIST's images were. A terminal shows a bar for each class; a pipe or file gets one line for
    each picture. A picture that does not seem to show one whole digit gets a warning. An unreadable picture is
    reported, the others are still predicted, and the exit code is 5. With --json each picture is one line of JSON.

    Example: mnist predict three.png photo.jpg --explain
    """
    if not files and not index:
        raise UsageError("expected a FILE or --index N; received neither", hint="run 'mnist predict --help'")
    if split and not index:
        raise UsageError(f"--split {split}: expected --index N too; a FILE belongs to no split")
    if several and not files:
        raise UsageError("--several: expected a FILE; a stored image is one digit")
    if against is not None and not explain:
        raise UsageError("--against needs --explain")
    model = Chosen(session, run).model()
    known = {"model": model.digest}
    other = None if against is None else _class_named(model, against)
    if several and model.fit == "resize":
        raise UsageError("--several: expected a model of single digits; this one reads whole pictures")
    how = _How(explain=explain, against=other, show=show)
    failed = False
    for item, pixels in _stored(fitting_store(session, model), split or "test", index) if index else []:
        _print_prediction(session, model, item | known, pixels, how=how)
    for number, name in enumerate(files or []):
        try:
            if name == "-" and name in (files or [])[:number]:
                raise InputError("standard input has already been read")
            images, doubts = _read(name, model, several=several)
        except InputError as error:
            failed = True
            _print_failure(session, name, error)
            continue
        _warn(session, name, doubts)
        if several:
            _print_row(session, model, {"file": name, "warnings": doubts, **known}, images, how=how)
        else:
            item = {"file": name, "warnings": doubts, **known}
            _print_prediction(session, model, item, images[0], how=how)
    return InputError.exit_code if failed else 0


def _class_named(model: Model, name: str) -> int:
    """Return the label of a class.

    Raises:
        UsageError: no class has this name.
    """
    if name not in model.classes:
        known = ", ".join(printable(each, 40) for each in model.classes[:20])
        raise UsageError(
            f"--against: expected one of the model's classes, such as {known}; received '{printable(name)}'"
        )
    return model.classes.index(name)


def _stored(store: Store, split: str, numbers: list[int]) -> list[tuple[dict[str, Any], Pixels]]:
    """Return split, index and label of each stored image, and its pixels [height, width].

    Raises:
        UsageError: the split has no image of this number.
    """
    examples = getattr(store, split)
    stored = []
    for number in numbers:
        if number >= len(examples):
            expected = f"0 to {len(examples) - 1:,}" if len(examples) else "another split, as it is empty"
            raise UsageError(f"--index of --split {split}: expected {expected}; received {number:,}")
        known = {"split": split, "index": number, "label": int(examples.labels[number])}
        stored.append((known, examples.inputs[number].reshape(store.image_shape)))
    return stored


def _read(name: str, model: Model, *, several: bool) -> tuple[list[Pixels], list[Doubt]]:
    """Return the digits in a picture, one or a row of them, and reasons to doubt the reading."""
    from mnist_cli.pictures.normalize import find_ink, fitted, placed
    from mnist_cli.pictures.opening import open_picture
    from mnist_cli.pictures.pieces import doubts, row_of_digits

    picture = open_picture(name)
    if model.fit == "resize":
        return [fitted(picture, model.shape, model.fit)], []
    ink, in_place = find_ink(picture, model.shape)
    if in_place:
        return [fitted(picture, model.shape, model.fit)], []
    if several:
        rest: list[Doubt] = [doubt for doubt in doubts(ink) if doubt != "several-pieces"]
        return [placed(digit, model.shape) for digit in row_of_digits(ink)], rest
    return [placed(ink, model.shape)], doubts(ink)


def _warn(session: Session, name: str, doubts: list[Doubt]) -> None:
    for doubt in doubts:
        session.output.warn(f"{printable(name)}: {_WARNINGS[doubt]}")


def _print_failure(session: Session, name: str, error: InputError) -> None:
    session.output.record("predict-failed", file=name, error=error)
    if not session.output.as_json:
        say("error:", f"{printable(name)}: {error.message}", fg="red")
        if error.hint:
            say("hint:", error.hint, fg="green")


def _print_prediction(session: Session, model: Model, item: dict[str, Any], pixels: Pixels, *, how: _How) -> None:
    name = printable(item["file"]) if "file" in item else f"{item['split']} image {item['index']:,}"
    answer = _answer(session, model, name, pixels, item.get("label"), how=how)
    session.output.record("predict-file" if "file" in item else "predict-index", **item, **answer)


def _print_row(session: Session, model: Model, item: dict[str, Any], images: list[Pixels], *, how: _How) -> None:
    name = printable(item["file"])
    digits = model.predict([pixels.ravel() for pixels in images])
    names = [model.classes[digit] for digit in digits]
    text = ("" if max(map(len, names)) == 1 else " ").join(names)
    session.output.line(f"{name}: {printable(text)}", bold=True)
    answers = [
        _answer(session, model, f"{name} [{number}]", pixels, None, how=how) for number, pixels in enumerate(images, 1)
    ]
    session.output.record("predict-several", **item, text=text, digits=answers)


def _answer(
    session: Session, model: Model, name: str, pixels: Pixels, label: int | None, *, how: _How
) -> dict[str, Any]:
    """Print what the model makes of one image, and return it for the JSON line."""
    answer = answer_of(model, pixels)
    drawings = [screen().ink(pixels)] if how.show else []
    explained: dict[str, Any] = {}
    sentences: list[str] = []
    if how.explain:
        explained, evidence, sentences = _explain(model, pixels, answer["prediction"], how.against)
        drawings.append(evidence)
    first = drawings[0] if drawings else None
    print_answer(session.output, name, answer, model.classes, label, first, bars=sys.stdout.isatty())
    for drawing in drawings[1:]:
        print_drawing(session.output, drawing.lines)
    for sentence in sentences:
        session.output.line(sentence)
    return answer | ({"image": pixels.tolist()} if drawings else {}) | explained


def _explain(model: Model, pixels: Pixels, label: int, other: int | None) -> tuple[dict[str, Any], Drawing, list[str]]:
    """Return the evidence for a label, or for it against another, for the JSON line, as a drawing, and in words."""
    from mnist_cli.maps.layout import over_image
    from mnist_cli.pictures.predicting import evidence

    terms, bias = evidence(model, pixels.ravel(), label), float(model.bias[label])
    compared = {} if other is None or other == label else {"against": other}
    if compared:
        terms = terms - evidence(model, pixels.ravel(), compared["against"])
        bias -= float(model.bias[compared["against"]])
    cells, seen = model.layout.cells(terms), model.seen(pixels)
    name, speaks_for, against = printable(model.classes[label]), cells[cells > 0].sum(), cells[cells < 0].sum()
    name += f" and not {printable(model.classes[compared['against']])}" if compared else ""
    by_map = model.layout.by_map(terms) if model.feature_map else []
    rest = sum(float(terms[part.numbers].sum()) for part in model.layout.parts if not part.is_local)
    sentences = [
        f"for {name}: {signed(speaks_for)} (blue, +)  against: {signed(against)} (red, -)  "
        + (f"exemplars: {signed(rest)}  " if rest else "")
        + f"bias: {signed(bias)}  together: {signed(speaks_for + against + rest + bias)}"
    ]
    if other == label:
        sentences.append(f"{name} is the prediction, so there is nothing to compare it with")
    sentences += [f"{signed(sums.sum()):<9} from {part}" for part, sums in by_map]
    document = {"evidence": cells.tolist(), "bias": bias}
    if model.feature_map:
        document["evidence_by_map"] = [{"part": part, "evidence": sums.tolist()} for part, sums in by_map]
        document["seen"] = seen.tolist()
    return document | compared, screen().evidence(over_image(cells, seen.shape), seen), sentences
