"""All targets on the real test images: the answers of `mnist eval`, and sizes, as docs/export.md says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mnist_cli.export.target import missing
from mnist_cli.export.targets import NAMES, find_target
from tests.support.command_line import run_process

# Target → equal answers at least, and bytes of the tutorial's file at most.
PROMISED = {
    "litert": (9_999, 36_000),
    "litert-int8": (9_970, 12_000),
    "onnx": (9_999, 36_000),
    "saved-model": (9_999, None),
    "web": (10_000, 250_000),
    "c": (10_000, None),
}
MAPS = {"pixels": ("--steps", "1000"), "grad8": ("--map", "grad8", "--set", "features.deskew=true", "--steps", "500")}


@pytest.fixture(scope="module", params=MAPS)
def trained(request: Any, real_mnist: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    folder = tmp_path_factory.mktemp(request.param)
    run_process("run", *MAPS[request.param], cwd=folder, variables={"MNIST_MIRRORS": str(real_mnist)})
    return request.param, folder


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", NAMES)
def test_a_target_answers_all_test_images_as_eval_does(trained: tuple[str, Path], name: str) -> None:
    target, (kind, folder) = find_target(name), trained
    if reason := target.runtime() or next(filter(None, map(missing, target.needs)), ""):
        pytest.skip(reason)
    words = ("litert", "--quantize", "int8") if name == "litert-int8" else (name,)
    found = run_process("export", "--to", *words, "--json", cwd=folder).document
    answers, size = PROMISED[name]
    assert found["verified"]["images"] == 10_000
    assert found["verified"]["same"] >= answers
    assert kind != "pixels" or size is None or found["bytes"] <= size
