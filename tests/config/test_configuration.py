"""pipeline.yaml, --set and the defaults: accepted values, refused values, and the place of each mistake."""

from __future__ import annotations

import contextlib
import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mnist_cli.config.loading import LoadedConfig, read_override
from mnist_cli.config.template import render
from mnist_cli.config.yaml_document import SIZE_LIMIT, read_scalar, read_yaml
from mnist_cli.errors import ConfigError
from mnist_cli.learning.settings import TrainSettings
from mnist_cli.stages import PIPELINE
from mnist_cli.text import lines
from tests.support import ROOT
from tests.support.command_line import mnist
from tests.support.configs import defaults, load_config, parse_override

SHIPPED = ROOT / "pipeline.yaml"


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def load(text: str, *settings: str) -> LoadedConfig:
    Path("pipeline.yaml").write_text(text, encoding="utf-8")
    return load_config(overrides=[parse_override(setting) for setting in settings])


def problems(text: str, *settings: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(text, *settings)
    return list(caught.value.problems)


def test_without_a_file_the_defaults_apply() -> None:
    loaded = load_config()
    assert loaded.config == defaults()
    assert set(loaded.origins.values()) == {"default"}
    assert loaded.file is None


def test_the_shipped_file_is_what_config_init_writes_and_equals_the_defaults() -> None:
    assert SHIPPED.read_text(encoding="utf-8") == render(defaults())
    assert load_config(SHIPPED).config == defaults()


def test_a_configuration_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        defaults().of(TrainSettings).steps = 5  # type: ignore[misc]


def test_every_mistake_is_reported_at_once_with_its_place() -> None:
    text = (
        "dataset: fashion\nseed: -1\nseed: 3\ntrain:\n  epocs: 3\n  steps: '100'\n  learning_rate: -1e-3\n"
        "  batch_size: ful\n  epochs: [1]\neval: 7\nfetch:\n  mirrors: [a, 5]\n  timeout: .nan\n"
    )
    assert problems(text, "tran.steps=3", "train.device=tpu") == [
        "pipeline.yaml:1:10: dataset: expected one of mnist, synthetic, emnist-balanced, emnist-digits, "
        "emnist-letters, fashion-mnist, kmnist, qmnist, a file such as digits.yaml, or files: or images: with a "
        "folder; received 'fashion'; did you mean 'fashion-mnist'?",
        "pipeline.yaml:2:7: seed: expected a whole number from 0 to 2^63 - 1; received -1",
        "pipeline.yaml:3:1: seed: duplicate key; it is already set on line 2",
        "pipeline.yaml:5:3: train.epocs: unknown key; did you mean 'train.epochs'?",
        "pipeline.yaml:6:10: train.steps: expected a whole number from 1 to 10^9; received '100'",
        "pipeline.yaml:7:18: train.learning_rate: expected a finite number above 0, or null; received -0.001",
        "pipeline.yaml:8:15: train.batch_size: expected a whole number from 1 to 10^7, or full; received 'ful'",
        "pipeline.yaml:9:11: train.epochs: expected a whole number from 1 to 10^6, or null; received a list",
        "pipeline.yaml:10:7: eval: expected keys; received 7",
        "pipeline.yaml:12:16: fetch.mirrors[1]: "
        "expected a list of http(s):// or file:// addresses or folders; received 5",
        "pipeline.yaml:13:12: fetch.timeout: expected a number above 0, up to 86400; received nan",
        "--set: tran.steps: unknown key; did you mean 'train.steps'?",
        "--set: train.device: expected auto, cpu, gpu or gpu:N; received 'tpu'",
    ]


@pytest.mark.parametrize(("typed", "meant"), [("steps", "train.steps"), ("train.learning-rate", "train.learning_rate")])
def test_the_message_for_an_unknown_key_suggests_the_nearest_one(typed: str, meant: str) -> None:
    assert f"did you mean '{meant}'?" in problems("", f"{typed}=1")[0]


def test_a_mirror_that_fetch_could_not_use_is_a_mistake_in_the_configuration() -> None:
    found = problems('fetch:\n  mirrors: [ok, "ftp://host/x", ""]\n')
    assert [line.partition(": expected")[0] for line in found] == [
        "pipeline.yaml:2:17: fetch.mirrors[1]",
        "pipeline.yaml:2:33: fetch.mirrors[2]",
    ]


def test_a_section_is_not_a_key() -> None:
    assert problems("", "train=5") == ["--set: train: this is a section; set one of its keys, such as 'train.steps'"]


def test_a_setting_without_a_key_is_explained() -> None:
    assert problems("", "=3") == ["--set =3: expected KEY=VALUE; received no key"]


def test_an_option_of_its_own_is_named_once() -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(overrides=[read_override("train.device", "tpu", "--device")])
    assert caught.value.problems == ("--device: expected auto, cpu, gpu or gpu:N; received 'tpu'",)


def test_only_a_screenful_of_problems_is_reported() -> None:
    found = problems("".join(f"key{number}: 1\n" for number in range(50)))
    assert len(found) == 21
    assert found[-1] == "and 30 more problems"


def test_the_command_line_overrides_the_file_and_the_last_setting_wins() -> None:
    loaded = load("train: {steps: 10, batch_size: 7}", "train.steps=20", "train.steps=30")
    assert (loaded.config.value("train.steps"), loaded.config.value("train.batch_size")) == (30, 7)
    assert loaded.origins["train.steps"] == "--set"
    assert loaded.origins["train.batch_size"] == "pipeline.yaml:1:32"
    assert loaded.overrides == {"train.steps": 30}


def test_kept_overrides_rank_between_the_file_and_the_command_line() -> None:
    Path("pipeline.yaml").write_text("seed: 1\ntrain: {steps: 10}\n", encoding="utf-8")
    loaded = load_config(overrides=[parse_override("seed=3")], kept={"seed": 2, "train.steps": 20})
    assert (loaded.config.value("seed"), loaded.config.value("train.steps")) == (3, 20)
    assert loaded.overrides == {"seed": 3, "train.steps": 20}


def test_typed_steps_override_epochs_in_the_file() -> None:
    loaded = load("train: {epochs: 3}", "train.steps=5")
    assert (loaded.config.value("train.steps"), loaded.config.value("train.epochs")) == (5, None)
    assert load_config(kept={"train.steps": 6}).config.value("train.epochs") is None


def test_steps_and_epochs_typed_together_are_a_mistake() -> None:
    assert problems("", "train.steps=5", "train.epochs=1") == [
        "--set: train.steps and train.epochs: expected one of them; received both"
    ]


def test_a_section_without_keys_has_its_defaults() -> None:
    assert load("train:\n  # steps: 5\n").config == defaults()


def test_folders_of_mirrors_are_relative_to_the_file() -> None:
    Path("sub").mkdir()
    Path("sub/p.yaml").write_text("fetch: {mirrors: [../files, /abs, https://host/m, ~/m]}", encoding="utf-8")
    assert load_config(Path("sub/p.yaml")).config.value("fetch.mirrors") == (
        "sub/../files",
        "/abs",
        "https://host/m",
        "~/m",
    )


def test_a_named_file_that_is_missing_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml: there is no such file"):
        load_config(Path("none.yaml"))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        (".5", 0.5),
        ("5.", 5.0),
        ("1E5", 100000.0),
        ("-7", -7),
        ("007", 7),
        ("true", True),
        ("yes", "yes"),
        ("~", None),
        ("", None),
        ("1_000", "1_000"),
        ("0x10", "0x10"),
        ("12:30", "12:30"),
        ("-.inf", float("-inf")),
    ],
)
def test_plain_words_mean_what_yaml_1_2_says(text: str, value: Any) -> None:
    read = read_scalar(text)
    assert read == value
    assert type(read) is type(value)


def test_quoted_words_are_text() -> None:
    assert read_yaml(b"a: '1'\nb: \"true\"\n").content == {"a": "1", "b": "true"}


@pytest.mark.parametrize(
    ("text", "place", "part"),
    [
        (b"a: &x 1\nb: *x\n", (2, 4), "aliases"),
        (b"a: !!python/object/apply:os.system ['echo']\n", (1, 4), "tags"),
        (b"a: [1, 2\nb: 3\n", (2, 2), "not YAML"),
        (b"a: \xff\n", (1, 4), "expected UTF-8; received the byte 0xff"),
        (b"a: 1\n--- \nb: 2\n", (2, 1), "one document"),
        (b"? [a]\n: 1\n", (1, 3), "a word as a key"),
        (b"a: " + b"[" * 5000, (1, 11), "nested more than 8"),
        (b"a: \x07\n", (1, 4), "not YAML"),
        (b"a" * (SIZE_LIMIT + 1), (1, 1), "at most"),
    ],
)
def test_yaml_features_that_no_configuration_needs_are_refused_with_their_place(
    text: bytes, place: tuple[int, int], part: str
) -> None:
    found = read_yaml(text).problems
    assert found[0][0] == place
    assert part in found[0][1]


def test_a_setting_without_a_value_is_explained() -> None:
    with pytest.raises(ConfigError, match="expected KEY=VALUE; received no '='"):
        parse_override("train.steps")


def test_a_value_that_is_not_yaml_is_refused_with_what_was_typed() -> None:
    with pytest.raises(ConfigError, match=r"--steps train.steps=\[1: not YAML"):
        read_override("train.steps", "[1", "--steps")


PATH_CHARACTERS = st.characters(codec="utf-8", exclude_characters="\0")
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
trees = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode(errors="surrogatepass")))
def test_any_bytes_give_a_document_or_problems(content: bytes) -> None:
    document = read_yaml(content)
    assert all(line >= 1 and column >= 1 and message for (line, column), message in document.problems)


@given(path=st.sampled_from(sorted(PIPELINE.declarations.keys)), value=trees)
def test_any_value_for_any_key_is_accepted_or_a_configuration_error(path: str, value: Any) -> None:
    with contextlib.suppress(ConfigError):
        load_config(kept={path: value})


@given(
    steps=st.integers(1, 10**9),
    rate=st.floats(min_value=1e-300, allow_infinity=False, allow_nan=False),
    split=st.sampled_from(["test", "validation", "train"]),
    mirrors=st.lists(
        st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20).map("./{}".format), max_size=3
    ),
)
def test_a_rendered_configuration_reads_back_equal(steps: int, rate: float, split: str, mirrors: list[str]) -> None:
    config = defaults().replaced(
        {"train.steps": steps, "train.learning_rate": rate, "eval.split": split, "fetch.mirrors": tuple(mirrors)}
    )
    Path("pipeline.yaml").write_bytes(render(config).encode())
    assert load_config().config == config


def test_a_wrong_value_and_one_that_does_not_fit_the_others_are_reported_together() -> None:
    text = "seed: -1\ntrain:\n  momentum: 0.9\n  schedule: cosine\n  warmup_steps: 2000\n"
    assert problems(text, "preprocess.validation_size=0", "train.select=best") == [
        "pipeline.yaml:1:7: seed: expected a whole number from 0 to 2^63 - 1; received -1",
        "pipeline.yaml:3:13: train.momentum: the optimizer sgd has no such parameter; it belongs to "
        "momentum and nesterov and rmsprop; expected null",
        "pipeline.yaml:5:17: train.warmup_steps: expected at most the 1,000 steps of the run; received 2,000",
        "--set: train.select: needs preprocess.validation_size above 0",
    ]


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("train: {optimizer: adm, momentum: 0.9}", 1),
        ("train: {schedule: cosin, warmup_steps: 2000}", 1),
        ("train: {schedule: cosine, warmup_steps: 2000, steps: many}", 1),
        ("train: {early_stopping: 3}\npreprocess: {validation_size: x}", 1),
    ],
)
def test_nothing_is_reported_that_depends_on_a_wrong_value(text: str, count: int) -> None:
    assert len(problems(text)) == count


def test_a_warm_up_as_long_as_the_run_is_accepted_and_one_over_epochs_left_to_training() -> None:
    assert load("train: {schedule: cosine, warmup_steps: 1000}").config.value("train.warmup_steps") == 1000
    assert load("train: {schedule: cosine, warmup_steps: 5000, epochs: 9}").config.value("train.epochs") == 9


def test_settings_that_cannot_be_read_are_reported_with_all_the_others() -> None:
    Path("pipeline.yaml").write_text("seed: -1\n", encoding="utf-8")
    settings = ("train.steps=[1", "train.epochs", "eval.split=all")
    told = mnist(
        "config", "check", *(word for setting in settings for word in ("--set", setting)), code=3
    ).err.splitlines()
    assert [line.split(": expected")[0].split(": not YAML")[0] for line in told[:4]] == [
        "error: pipeline.yaml:1:7: seed",
        "--set: eval.split",
        "--set train.steps=[1",
        "--set train.epochs",
    ]


def test_a_file_has_no_keys_with_their_section_in_front() -> None:
    assert problems("train.steps: 3\n") == [
        "pipeline.yaml:1:1: train.steps: unknown key; write 'steps:' under 'train:'"
    ]


KEY_NAMES = st.sampled_from([*PIPELINE.declarations.keys, *PIPELINE.declarations.sections, "tran", "<<", ""]).map(
    lambda path: path.rpartition(".")[2]
)
documents = st.dictionaries(
    st.sampled_from([*PIPELINE.declarations.sections, "dataset", "seed", "tran"]),
    trees | st.dictionaries(KEY_NAMES, trees, max_size=4),
    max_size=5,
)


@given(document=documents, flow=st.sampled_from([None, True, False]), tail=st.sampled_from(["", "x: *a", "? [", "\0"]))
def test_any_document_is_accepted_or_refused_with_the_place_of_each_problem(
    document: dict[str, Any], flow: bool | None, tail: str
) -> None:
    text = yaml.safe_dump(document, default_flow_style=flow, allow_unicode=True) + tail
    Path("pipeline.yaml").write_bytes(text.encode(errors="surrogatepass"))
    try:
        load_config()
    except ConfigError as error:
        for problem in error.problems:
            assert re.fullmatch(r"pipeline\.yaml:\d+:\d+: .+|and \d+ more problems", problem)
            assert lines(problem) == problem


def test_dev_null_means_no_file() -> None:
    assert load_config(Path("/dev/null")).config == defaults()
