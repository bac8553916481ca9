"""The C header: compiled strictly and with sanitizers, it gives the features and logits of Python to the bit."""

from __future__ import annotations

import math
import random
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from mnist_cli.export import c
from mnist_cli.export.c_source import header, template
from mnist_cli.maps import feature_map
from mnist_cli.maps.description import DescribedOp
from tests.support.exports import SHAPE, about, assert_exact, drawn_model, images_for, like_the_tutorial, model_of
from tests.support.feature_maps import made_map

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="there is no gcc")
STRICT = ("gcc", *c.FLAGS, "-O1", "-fsanitize=undefined,address", "-fno-sanitize-recover=all")


def compiled(folder: Path, program: str, *flags: str) -> subprocess.CompletedProcess[str]:
    (folder / "program.c").write_text(program, encoding="utf-8")
    command = [*STRICT, *flags, "program.c", "-lm", "-o", "program"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def written(folder: Path, name: str = "pixels") -> Path:
    model = drawn_model(name)
    (folder / "mnist.h").write_text(header(model, about(model)), encoding="utf-8")
    return folder / "mnist.h"


@pytest.mark.parametrize(
    ("name", "shape", "deskew"),
    [
        ("pixels", SHAPE, False),
        ("grad8", (28, 28), True),
        ("scat1", (28, 28), True),
        ("scat1", (15, 23), False),
        ("scat2", (16, 16), True),
        ("grad8", (70, 40), True),
    ],
)
def test_features_and_logits_are_those_of_python(
    tmp_path: Path, name: str, shape: tuple[int, int], deskew: bool
) -> None:
    model = drawn_model(name, shape, deskew=deskew)
    path = tmp_path / "exported.h"
    path.write_text(header(model, about(model)), encoding="utf-8")
    program = c.compile_runner(path, tmp_path, STRICT[len(c.FLAGS) + 1 :])
    images = images_for(model)
    assert_exact(model, images, c.answers_of(program, images, 4))


def test_programs_in_programs_do_not_write_over_each_other(tmp_path: Path) -> None:
    small: DescribedOp = ("pool", {"box": 4, "shift": 4})
    conv: DescribedOp = ("conv", {"kernels": "differences", "shift": 7})
    relu: DescribedOp = ("relu2", {})
    inner: DescribedOp = ("cat", {"programs": ((relu,), (small,))})
    model = model_of(made_map("own", SHAPE, program=[[conv, inner], [small, conv, relu]]), SHAPE)
    path = tmp_path / "exported.h"
    path.write_text(header(model, about(model)), encoding="utf-8")
    images = images_for(model)
    assert_exact(model, images, c.answers_of(c.compile_runner(path, tmp_path), images, 4))


def test_predict_gives_label_and_probabilities(tmp_path: Path) -> None:
    model = drawn_model("grad8")
    path = written(tmp_path, "grad8")
    image = images_for(model)[5]
    values = ", ".join(map(str, image.ravel().tolist()))
    program = (
        f'#include <stdio.h>\n#include "{path.name}"\nint main(void) {{ uint8_t pixels[MNIST_PIXELS] = {{{values}}};\n'
        "float shares[MNIST_CLASSES]; int label = mnist_predict(pixels, shares);\n"
        'printf("%s\\n", mnist_class_names[label]);\n'
        'for (int k = 0; k < MNIST_CLASSES; k++) { printf("%.9g\\n", shares[k]); }\nreturn 0; }'
    )
    assert compiled(tmp_path, program).stderr == ""
    name, *shares = subprocess.run([tmp_path / "program"], capture_output=True, text=True, check=True).stdout.split(
        "\n"
    )
    assert name == model.classes[int(model.predict(image)[0])]
    assert np.allclose([float(share) for share in shares[:4]], model.probabilities(image)[0], atol=2e-6)


@pytest.mark.parametrize(
    ("declaration", "message"),
    [("uint8_t pixels[100] = {0};", "MNIST_PIXELS|192"), ("float pixels[192] = {0};", "incompatible pointer")],
)
def test_an_image_of_another_shape_or_type_does_not_compile(tmp_path: Path, declaration: str, message: str) -> None:
    path = written(tmp_path)
    program = (
        f'#include "{path.name}"\n'
        f"int main(void) {{ {declaration} float shares[MNIST_CLASSES]; return mnist_predict(pixels, shares); }}"
    )
    done = compiled(tmp_path, program)
    assert done.returncode != 0
    assert any(part in done.stderr for part in message.split("|")), done.stderr


def test_the_header_holds_no_heap_no_library_and_its_facts(tmp_path: Path) -> None:
    model = drawn_model("scat1")
    text = header(model, about(model))
    assert [line for line in text.splitlines() if line.startswith("#include")] == ["#include <stdint.h>"]
    assert "malloc" not in text and "double" not in text
    comment = text.partition("#ifndef")[0]
    assert comment.count("*/") == 1, "the facts do not end the comment"
    assert model.digest in comment and "CC0" in comment and "bytes of constant tables" in comment
    assert text == header(model, about(model))


def test_quotients_are_rounded_as_float64_rounds_them(tmp_path: Path) -> None:
    """Also where the exact quotient is so near to a half that float64 rounds it up to one."""
    draw = random.Random(0)
    cases = [(0, 1, 10), (1, 2, 0), (-1, 2, 0), (-3, 2, 0), (1 << 35, 1, 10), (-(1 << 35), 3, 10)]
    for _ in range(4000):
        under = draw.randrange(1, 1 << draw.randrange(1, 47))
        near = draw.randrange(-(1 << 12), 1 << 12) * 2 + 1  # halves of 2^-10, and their neighbours
        over = near * under // 2048 + draw.choice((-1, 0, 1))
        reach = min(under << 30, 1 << 52)  # of a shear: its square is a quotient of variances
        cases += [(over, under, 10), (draw.randrange(-reach, reach), under, draw.choice((0, 6, 10, 16)))]
    rows = "".join(f"{{{over}LL, {under}LL, {bits}}},\n" for over, under, bits in cases)
    operations = template("operations.h").replace("/* always */", "#include <stdint.h>")
    program = (
        f"{operations}\n#include <stdio.h>\nstatic const int64_t cases[][3] = {{\n{rows}}};\n"
        f"int main(void) {{\nfor (int i = 0; i < {len(cases)}; i++) {{\n"
        'printf("%lld\\n", (long long)mnist_quotient(cases[i][0], cases[i][1], (int)cases[i][2]));\n}\nreturn 0; }'
    )
    assert compiled(tmp_path, program).stderr == ""
    printed = subprocess.run([tmp_path / "program"], capture_output=True, text=True, check=True).stdout.split()
    expected = [math.floor(float(over) / float(under) * 2.0**bits + 0.5) for over, under, bits in cases]
    assert [int(text) for text in printed] == expected


def test_the_size_of_the_tutorials_tables() -> None:
    tutorial = like_the_tutorial(drawn_model(shape=(28, 28)))
    comment = header(tutorial, about(tutorial)).partition("bytes of constant tables")[0]
    assert int(comment.split()[-1].replace(",", "")) <= 35_000


def test_every_operation_of_a_map_can_be_written() -> None:
    """A new operation of the maps has to be added here too."""
    sections = template("operations.h")
    for name in feature_map._OPS:
        assert f"/* {name} */\n" in sections, name
