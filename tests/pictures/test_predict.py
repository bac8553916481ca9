"""`mnist predict`: pictures of every kind through the real command, and the same in Python."""

from __future__ import annotations

import io
import os
import re
import struct
import sys
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, features

import mnist_cli
from mnist_cli.errors import InputError
from mnist_cli.formats.model import Model, load_model, save_model
from mnist_cli.formats.store import open_store
from mnist_cli.pictures.opening import open_picture
from mnist_cli.pictures.predicting import evidence
from tests.support.command_line import imported_by, mnist, run_process
from tests.support.data import digit, write_small_store

NAMES = ("zero", "one", "t\x1bwo")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a model of three classes: ink at the top says `one`, at the bottom `two`."""
    weights = np.zeros((784, 3))
    weights[:392, 1] = weights[392:, 2] = 0.1
    (tmp_path / "artifacts/train").mkdir(parents=True)
    model = Model(weights, np.array([0, 0.5, -0.5]), NAMES, 1, 0, "", (28, 28))
    save_model(tmp_path / "artifacts/train/model.h5", model)
    for stage in ("fetch", "preprocess"):
        (tmp_path / "artifacts" / stage).mkdir()
        (tmp_path / "artifacts" / stage / "manifest.json").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def save(name: str, image: Image.Image, **options: Any) -> str:
    image.save(name, **options)
    return name


def grey() -> Image.Image:
    return Image.fromarray(digit())


def picture(kind: str) -> str:
    """Write the seven of `digit` as a file of some kind and return its name."""
    deep = Image.fromarray(digit().astype(np.uint16) * 257)
    clear = Image.fromarray(np.dstack([np.zeros((200, 200, 3), np.uint8), 255 - digit()]))
    palette = clear.quantize()
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter, clockwise
    match kind:
        case "16 bits":
            return save("a.png", deep)
        case "12 bits in 16":
            return save("a.png", Image.fromarray(digit().astype(np.uint16) * 16))
        case "8 bits in 16":
            return save("a.tif", Image.fromarray(digit().astype(np.uint16)), compression="tiff_lzw")
        case "transparent":
            return save("a.png", clear)
        case "palette with transparency":
            return save("a.png", palette)
        case "transparent colour":
            return save("a.png", grey().convert("RGB"), transparency=(255, 255, 255))
        case "1 bit":
            return save("a.png", grey().convert("1"))
        case "CMYK":
            return save("a.jpg", grey().convert("CMYK"))
        case "turned":
            return save("a.jpg", grey().rotate(90), exif=exif)
        case "inverted":
            return save("a.png", Image.fromarray(255 - digit()))
        case _:
            return save(f"a.{kind}", grey())


KINDS = ["png", "jpg", "gif", "bmp", "webp", "tif", "16 bits", "12 bits in 16", "8 bits in 16", "transparent",
         "palette with transparency", "transparent colour",
         "1 bit", "CMYK", "turned", "inverted"]  # fmt: skip


@pytest.mark.parametrize("kind", [*KINDS, *(["avif"] if features.check("avif") else [])])
def test_a_digit_in_any_kind_of_file_is_the_same(folder: Path, kind: str) -> None:
    expected = mnist_cli.predict(grey(), "artifacts/train/model.h5")
    (read,) = mnist("predict", picture(kind), "--json").documents
    assert read["prediction"] == expected.labels[0] == 1
    assert read["probabilities"] == pytest.approx(expected.probabilities[0], abs=0.05)
    assert read["class"] == "one"


def bomb() -> bytes:
    """A PNG whose header declares 60,000 × 60,000 pixels and that holds next to none."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


def bad_file(kind: str) -> str:
    png = Path(save("whole.png", grey())).read_bytes()
    name = "bad.png"
    match kind:
        case "missing":
            return "nothing.png"
        case "folder":
            Path(name).mkdir()
        case "pipe":
            os.mkfifo(name)
        case "device":
            return "/dev/zero"
        case "blank":
            return save(name, Image.new("L", (50, 50), 255))
        case "one pixel":
            return save(name, Image.new("L", (1, 1), 0))
        case "animated GIF" | "animated PNG":
            name = "bad.gif" if "GIF" in kind else name
            return save(name, grey(), save_all=True, append_images=[grey().rotate(5)])
        case "zero byte":
            return "a\0b"
        case _:
            contents = {"empty": b"", "text": b"seven", "cut": png[: len(png) // 2], "bomb": bomb(),
                        "damaged": png[:60] + bytes(20) + png[80:], "ICO": icon(),
                        "HEIC": isobmff(b"heic", b"mif1"), "HEIF": isobmff(b"mif1", b"heic")}  # fmt: skip
            Path(name).write_bytes(contents[kind])
    return name


def isobmff(brand: bytes, *compatible: bytes) -> bytes:
    """Return how a file of the kind that HEIC and AVIF are begins."""
    content = b"ftyp" + brand + bytes(4) + b"".join(compatible)
    return struct.pack(">I", 4 + len(content)) + content + bytes(100)


def icon() -> bytes:
    content = io.BytesIO()
    grey().save(content, "ICO")
    return content.getvalue()


FAILURES = {
    "missing": "no such file",
    "folder": "received a folder",
    "pipe": "received a pipe or device",
    "device": "received a pipe or device",
    "blank": "blank",
    "one pixel": "blank",
    "animated GIF": "an animation",
    "animated PNG": "an animation",
    "zero byte": "null byte",
    "empty": "received nothing (0 bytes)",
    "text": "another kind of file",
    "ICO": "another kind of file",
    "HEIC": "received HEIC",
    "HEIF": "received HEIC",
    "cut": "damaged",
    "damaged": "damaged",
    "bomb": "too large",
}


@pytest.mark.parametrize("kind", FAILURES)
def test_an_unreadable_picture_is_reported_and_the_others_go_on(folder: Path, kind: str) -> None:
    bad, good = bad_file(kind), save("good.png", grey())
    done = mnist("predict", good, bad, good, code=5)
    assert done.out.count("good.png: one") == 2
    assert FAILURES[kind] in done.err
    failed, predicted = mnist("predict", bad, good, "--json", code=5).documents
    assert failed["file"] == bad
    assert FAILURES[kind] in failed["error"]["message"]
    assert predicted["prediction"] == 1


def test_for_a_format_that_cannot_be_read_there_is_a_way_out(folder: Path) -> None:
    Path("photo.heic").write_bytes(isobmff(b"heic", b"mif1"))
    assert "hint: save it as JPEG" in mnist("predict", "photo.heic", code=5).err
    (failed,) = mnist("predict", "photo.heic", "--json", code=5).documents
    assert failed["error"]["hint"].startswith("save it as JPEG")


@pytest.mark.parametrize("kind", ["webp", "avif"])
def test_where_pillow_was_built_without_a_format_the_error_names_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    Path("a").write_bytes(isobmff(b"avif") if kind == "avif" else b"RIFF\0\0\0\0WEBPVP8 ")
    monkeypatch.setattr(features, "check", lambda feature: feature != kind)
    done = mnist("predict", "a", code=5)
    assert f"received {'AVIF' if kind == 'avif' else 'WebP'}" in done.err
    assert "hint: run 'pip install --upgrade pillow'" in done.err


def test_pages_of_a_scan_are_not_read_as_one_picture(folder: Path) -> None:
    save("pages.tif", grey(), save_all=True, append_images=[grey()])
    assert "several pages" in mnist("predict", "pages.tif", code=5).err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_reported(folder: Path) -> None:
    Path(save("closed.png", grey())).chmod(0)
    done = mnist("predict", "closed.png", code=5)
    assert "closed.png: Permission denied" in done.err


def test_standard_input_is_read_in_a_process_of_its_own(folder: Path) -> None:
    content = Path(save("a.png", grey())).read_bytes()
    (read,) = run_process("predict", "-", "--json", cwd=folder, given=content).documents
    assert (read["file"], read["prediction"]) == ("-", 1)


def test_standard_input_is_read_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = Path(save("a.png", grey())).read_bytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    first, second = mnist("predict", "-", "-", "--json", code=5).documents
    assert first["class"] == "one"
    assert second["error"]["message"] == "standard input has already been read"


def test_predicting_imports_neither_tensorflow_nor_matplotlib(folder: Path) -> None:
    names = imported_by(["predict", save("a.png", grey()), "--explain", "-q"], folder)
    assert names.isdisjoint({"tensorflow", "matplotlib", "requests"})


def test_without_a_model_there_is_one_error_document(folder: Path) -> None:
    (folder / "artifacts/train/model.h5").unlink()
    read = mnist("predict", save("a.png", grey()), "--json", code=5).document
    assert list(read) == ["error"]
    assert read["error"]["hint"] == "run 'mnist train'"


@pytest.mark.parametrize("command", [["predict", "a.png"], ["plot", "weights"], ["plot", "mistakes"],
                                     ["plot", "history"], ["plot", "confusion"]], ids=" ".join)  # fmt: skip
def test_where_nothing_was_run_the_whole_pipeline_is_the_hint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    done = mnist(*command, code=5)
    assert "hint: run 'mnist run'" in done.err


@pytest.mark.parametrize("arguments", [[], ["--index", "-1"], ["--index", "99"], ["a.png", "--split", "test"]])
def test_what_cannot_be_asked_exits_with_2(folder: Path, arguments: list[str]) -> None:
    store_of_the_models_shape(folder)
    mnist("predict", *arguments, code=2)


def store_of_the_models_shape(folder: Path) -> Path:
    """A store of 50 test images that have the sides of the tiny ones, and a model that takes them."""
    path = folder / "artifacts/preprocess/store.h5"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_small_store(path)
    pixels = open_store(path).test.inputs.shape[1]
    weights = np.random.default_rng(0).normal(0, 1, (pixels, 10))
    model = Model(weights, np.zeros(10), tuple("0123456789"), 1, 0, "", (28, 28))
    save_model(folder / "artifacts/train/model.h5", model)
    return path


def test_stored_images_are_predicted_as_they_are(folder: Path) -> None:
    store = open_store(store_of_the_models_shape(folder))
    read = mnist("predict", "--index", "3", "--index", "0", "--json").documents
    expected = mnist_cli.load_model("artifacts/train/model.h5").predict(store.test.inputs[[3, 0]])
    assert [line["prediction"] for line in read] == expected.tolist()
    assert [(line["split"], line["index"], line["label"]) for line in read] == [
        ("test", 3, store.test.labels[3]),
        ("test", 0, store.test.labels[0]),
    ]


def test_a_stored_image_needs_a_store(folder: Path) -> None:
    done = mnist("predict", "--index", "0", code=5)
    assert "run 'mnist preprocess'" in done.err


def test_a_store_that_does_not_fit_the_model_is_an_error_only_where_it_is_needed(folder: Path) -> None:
    model = (folder / "artifacts/train/model.h5").read_bytes()
    store_of_the_models_shape(folder)
    (folder / "artifacts/train/model.h5").write_bytes(model)
    mnist("predict", save("a.png", grey()))
    done = mnist("predict", "--index", "0", code=5)
    assert "the model was trained on other data" in done.err


def test_in_a_pipe_each_picture_is_one_line(folder: Path) -> None:
    store_of_the_models_shape(folder)
    told = mnist("predict", "--index", "3", "--index", "0").out.splitlines()
    assert len(told) == 2
    assert re.fullmatch(r"test image 3: \d \(label \d\), \d+\.\d\d %", told[0])


def test_on_a_terminal_there_is_a_bar_for_each_class_and_no_escape_of_a_name(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    name = save("se\x1bven.png", grey())
    done = mnist("predict", name, "gone\x1b", code=5, terminal=True)
    assert done.out.splitlines()[0].startswith("se\\u001bven.png: one, ")
    assert len(re.findall(r"^ *\S+ +\d+\.\d\d %", done.out, re.MULTILINE)) == 3
    assert "\x1b" not in done.out + done.err


def test_evidence_against_another_class_is_the_difference_of_both(folder: Path) -> None:
    (plain,) = mnist("predict", save("a.png", grey()), "--explain", "--json").documents
    model = load_model("artifacts/train/model.h5")
    other = (plain["prediction"] + 1) % 2
    name = model.classes[other]
    (read,) = mnist("predict", "a.png", "--explain", "--against", name, "--json").documents
    pixels = np.array(read["image"], np.uint8).ravel()
    logits = model.logits(pixels)[0]
    assert np.sum(read["evidence"]) + read["bias"] == pytest.approx(logits[read["prediction"]] - logits[other])
    assert read["against"] == other
    assert f"for {plain['class']} and not {name}: " in mnist("predict", "a.png", "--explain", "--against", name).out
    (same,) = mnist("predict", "a.png", "--explain", "--against", plain["class"], "--json").documents
    assert same == plain


@pytest.mark.parametrize("words", [["--against", "3"], ["--explain", "--against", "ten"]])
def test_a_class_to_compare_with_has_to_be_one_and_explained(folder: Path, words: list[str]) -> None:
    assert "--against" in mnist("predict", save("a.png", grey()), *words, code=2).err


def test_the_evidence_and_the_bias_add_up_to_the_logit(folder: Path) -> None:
    model = mnist_cli.load_model("artifacts/train/model.h5")
    (read,) = mnist("predict", save("a.png", grey()), "--explain", "--json").documents
    logits = model.logits(np.array(read["image"], np.uint8))[0]
    assert np.sum(read["evidence"]) + read["bias"] == pytest.approx(logits[read["prediction"]], rel=1e-4)


def test_without_colours_the_evidence_is_plus_and_minus_over_the_drawing(folder: Path) -> None:
    model = mnist_cli.load_model("artifacts/train/model.h5")
    weights = model.weights.copy()
    weights[392:] = 0, -0.1, 0
    save_model(folder / "artifacts/train/model.h5", Model(weights, model.bias, ("0", "1", "2"), 1, 0, "", (28, 28)))
    text = mnist("predict", save("a.png", grey()), "--explain").out.splitlines()
    drawing, total = text[1:29], text[-1]
    assert any("++" in line for line in drawing[:14])
    assert not any("-" in line for line in drawing[:14])
    assert any("--" in line for line in drawing[14:])
    assert not any("+" in line for line in drawing[14:])
    assert "bias: +0.50" in total


def test_evidence_is_the_terms_of_the_sum() -> None:
    model = Model(np.array([[1, -2], [3, 4]]), np.zeros(2), ("a", "b"), 1, 0, "", (1, 2))
    assert evidence(model, np.array([255, 51], np.uint8), 1) == pytest.approx([-2, 0.8])


def test_in_python_arrays_pictures_and_names_are_predicted(folder: Path) -> None:
    model = mnist_cli.load_model("artifacts/train/model.h5")
    name = save("a.png", grey())
    image = mnist_cli.normalize(grey(), model.shape)
    by_array, by_picture = mnist_cli.predict(image, model), mnist_cli.predict(grey(), model)
    by_names, by_path = mnist_cli.predict([name, name], model), mnist_cli.predict(Path(name), model)
    for answer in (by_array, by_picture, by_names, by_path):
        assert answer.probabilities[-1] == pytest.approx(model.probabilities(image)[0])
        assert answer.labels.dtype == np.uint8
        assert answer.classes == NAMES
    assert by_names.labels.shape == (2,)


def test_in_python_a_bad_file_is_named(folder: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.png: no such file"):
        mnist_cli.predict("gone.png")


def test_a_photograph_for_three_dimensions_is_its_first_picture(folder: Path) -> None:
    grey().convert("RGB").save("a.mpo", append_images=[Image.new("RGB", (200, 200))], save_all=True)
    with open_picture("a.mpo") as opened:
        assert (mnist_cli.normalize(opened, (28, 28)) > 0).any()


def test_a_picture_is_resized_where_the_data_set_was_made_so(tmp_path: Path) -> None:
    pixels = np.zeros((6, 4), np.uint8)
    pixels[0, 0] = 200  # in a corner, from where normalising would move it
    Image.fromarray(pixels).save(tmp_path / "a.png")
    weights = np.arange(48.0).reshape(24, 2) * 0.01
    made = Model(weights, np.zeros(2), ("a", "b"), 1, 0, "0" * 64, (6, 4), "resize")
    save_model(tmp_path / "model.h5", made)
    model = load_model(tmp_path / "model.h5")
    assert model.fit == "resize"
    resized = mnist_cli.predict(tmp_path / "a.png", model).probabilities
    assert np.array_equal(resized, model.probabilities(pixels))
    normalised = mnist_cli.predict(tmp_path / "a.png", replace(model, fit="normalise")).probabilities
    assert not np.array_equal(resized, normalised)
