"""pipeline.yaml: documents that are bombs, that would run code, or that are simply wrong."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from pathlib import Path

import yaml

from mnist_cli.errors import ConfigError
from mnist_cli.stages import PIPELINE
from tests.corpora.tally import Tally
from tests.support.configs import load_config

_PLACE = re.compile(r"[^\n]*pipeline\.yaml:\d+:\d+: [^\n]+|and \d+ more problems")
_PLACE_OF_NAMED = re.compile(r"[^\n]*named\.yaml:\d+:\d+: [^\n]+|and \d+ more problems")
_LAUGHS = "".join(f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]\n" for level in range(1, 10))

BOMBS: dict[str, str] = {
    "a billion laughs": f"a0: &a0 lol\n{_LAUGHS}",
    "an alias to itself": "train: &t {steps: *t}\n",
    "a merge key": "train: &t {steps: 3}\neval:\n  <<: *t\n",
    "python/object/apply": "dataset: !!python/object/apply:os.system ['touch executed']\n",
    "python/object/new": "train: !!python/object/new:subprocess.Popen [[touch, executed]]\n",
    "python/name": "seed: !!python/name:os.system\n",
    "a tag of one's own": "train: !run\n  steps: 3\n",
    "binary": "dataset: !!binary gIGC\n",
    "a set": "fetch: {mirrors: !!set {a, b}}\n",
    "a timestamp": "seed: 2026-01-01\n",
    "duplicate keys": "seed: 1\nseed: 2\ntrain: {steps: 3}\ntrain: {steps: 4}\n",
    "40,000 duplicate keys": "seed: 1\n" * 28_000,
    "a number of 100,000 digits": f"seed: {'9' * 100_000}\n",
    "an exponent without end": "train: {learning_rate: 1e999999999}\n",
    "NaN": "train: {learning_rate: .nan}\n",
    "infinity": "fetch: {timeout: .inf, deadline: -.inf}\n",
    "nested sequences": "[" * 100_000,
    "nested mappings": "{a: " * 60_000,
    "nested by indentation": "".join(" " * depth + "a:\n" for depth in range(600)),
    "megabytes of text": "#" * (4 << 20),
    "a scalar of megabytes": f"dataset: {'x' * (4 << 20)}\n",
    "a scalar just within the limit": f"dataset: {'x' * 250_000}\n",
    "a block just within the limit": "dataset: |\n" + "  x\n" * 60_000,
    "60,000 unknown keys": "".join(f"k{number}:\n" for number in range(30_000)),
    "40,000 items": f"fetch: {{mirrors: [{'5, ' * 40_000}]}}\n",
    "a list": "- train\n- eval\n",
    "a scalar": "train\n",
    "two documents": "seed: 1\n---\nseed: 2\n",
    "a directive": "%YAML 9.9\n---\nseed: x\n",
    "a NUL": "seed: 1\0\n",
    "escapes": "seed: '\x1b[2J'\n",
    "escapes in quotes": 'seed: "\\e]52;c;aGk=\\a"\n',
    "C1": 'dataset: "\\x9b31m"\n',
    "bidi": "dataset: a\u202eb\n",
    "a lone surrogate": 'dataset: "\\ud800"\n',
    "markup": "dataset: '[bold]x[/] [/y]'\n",
    "no end of a quote": "dataset: 'mnist\n",
    "a tab": "train:\n\tsteps: 3\n",
    "a key that is a list": "? [a, b]\n: 1\n",
    "empty keys": "'': 1\n~: 2\n",
    "dots in keys": "train.steps: 3\n",
    "UTF-16": "\ufeffseed: x\n",
}

# Files of a feature map.
MAP_BOMBS: dict[str, str] = {
    "cat in cat": "program: " + "[{cat: [" * 40_000,
    "60,000 operations": f"program: [{'relu2, ' * 35_000}relu2]\n",
    "60,000 unknown operations": f"program: [{'x, ' * 60_000}x]\n",
    "50,000 programs": f"program: [{{cat: [{'[7], ' * 50_000}]}}]\n",
    "30,000 kernels": f"program: [{{conv: {{shift: 0, kernels: [{'[[1]], ' * 30_000}]}}}}]\n",
    "100,000 weights": f"program: [{{pool: {{shift: 0, columns: [[-1]], rows: [[{'1, ' * 100_000}]]}}}}]\n",
    "a weight of 100,000 digits": f"program: [{{conv: {{shift: 0, kernels: [[[{'9' * 100_000}]]]}}}}]\n",
    "a weight of 399 digits": f"program: [{{conv: {{shift: 0, kernels: [[[{'9' * 399}]]]}}}}]\n",
    "a weight of NaN": "program: [{conv: {shift: 0, kernels: [[[.nan]]]}}]\n",
    "an exemplar less than none": "program: [relu2]\nexemplars: {directions: 1, count: -1}\n",
}


def attack(folder: Path, count: int) -> Iterator[Tally]:
    """Give the tally of each attack, with `count` random documents."""
    path = folder / "pipeline.yaml"
    bombs = Tally("pipeline.yaml: alias bombs, tags, duplicates, huge numbers, nesting, megabytes, control characters")
    for what, text in BOMBS.items():
        path.write_bytes(text.encode("utf-8", errors="surrogatepass"))
        bombs.attempt(what, path.name, lambda: _refused_with_places(path))
    assert not (folder / "executed").exists() and not Path("executed").exists()
    yield bombs
    yield from _map_files(folder)
    documents = Tally("pipeline.yaml: random documents with at least one value of a wrong kind")
    dice = random.Random(0)
    for number in range(count):
        path.write_text(_random_document(dice), encoding="utf-8")
        documents.attempt(f"document {number}", path.name, lambda: _refused_with_places(path))
    yield documents


def _map_files(folder: Path) -> Iterator[Tally]:
    """Give the tally of wrong files of a feature map, and of a recipe, that a configuration names."""
    path = folder / "named.yaml"
    for name, text in (("map", "features: {map: named.yaml}\n"), ("recipe", "recipe: named.yaml\n")):
        (folder / "pipeline.yaml").write_text(text)
        tally = Tally(f"a file of a {name}: the same, and lists and numbers without end")
        for what, content in (BOMBS | MAP_BOMBS).items():
            path.write_bytes(content.encode("utf-8", errors="surrogatepass"))
            tally.attempt(what, path.name, lambda: _refused_with_places(folder / "pipeline.yaml", _PLACE_OF_NAMED))
        yield tally
    path.unlink()


def _refused_with_places(path: Path, place: re.Pattern[str] = _PLACE) -> bool:
    try:
        load_config(path)
    except ConfigError as error:
        assert all(place.fullmatch(problem) for problem in error.problems), error.problems
        raise
    return False


_WRONG: tuple[object, ...] = ({"a": 1}, [[1]], {"x": {"y": []}}, "no such value", -7.5, float("nan"), [True])


def _random_document(dice: random.Random) -> str:
    """Return a document with keys that there are and values that none of them takes, beside keys that there are not."""
    document: dict[str, object] = {}
    for path in dice.sample([*PIPELINE.declarations.keys, "train.epocs", "tran", "eval.splt"], dice.randint(1, 12)):
        section, _, name = path.rpartition(".")
        value = dice.choice([value for value in _WRONG if path != "fetch.mirrors" or not isinstance(value, str)])
        place = document.setdefault(section, {}) if section else document
        if isinstance(place, dict):
            place[name] = value
    return yaml.safe_dump(document, default_flow_style=dice.choice([None, True, False]), allow_unicode=True)
