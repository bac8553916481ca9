"""What one command was given: its common options, its project, its configuration, and hints that repeat them."""

from __future__ import annotations

import functools
import os
import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from mnist_cli.cli.options import key_name
from mnist_cli.cli.output import Output
from mnist_cli.cli.project import ARTIFACTS, Project, find_project
from mnist_cli.errors import ConfigError, UsageError
from mnist_cli.text import printable, without_secrets

if TYPE_CHECKING:
    from mnist_cli.config.declarations import Parameter
    from mnist_cli.config.loading import LoadedConfig, Override
    from mnist_cli.pipeline.artifacts import Artifacts
    from mnist_cli.runs.grid import Axis
    from mnist_cli.stages.stage import Pipeline

SettingT = TypeVar("SettingT")

_WRITES_CONFIG = "mnist config init"  # writes the file that --config names
_LINE = 2000  # characters of a command line in a hint; a shorter limit would cut commands that should be copied

# The words after `mnist` on the command line, for messages that say what to type; set by the application.
typed: list[str] = []


class Session:
    """One command's common options, and what they lead to.

    Attributes:
        pipeline: the stages and their parameters.
        output: where it prints.
        artifacts: the artifacts folder.
        debug: whether errors show their traceback.
        command: what was typed, such as `mnist train`.
    """

    def __init__(self, pipeline: Pipeline, values: dict[str, Any], keys: Sequence[str], command: str) -> None:
        self.pipeline = pipeline
        self.command = command
        self.debug: bool = values.pop("debug")
        format_, as_json = values.pop("format"), values.pop("json")
        document = "-".join(command.split()[1:])
        self.output = Output(as_json=as_json or format_ == "json", quiet=values.pop("quiet"), name=document)
        self._format: str = format_
        self._artifacts: Path | None = values.pop("artifacts")
        self._config_file: Path | None = values.pop("config")
        self._set: list[str] = values.pop("settings") or []
        self._key_options = {path: values.pop(key_name(path)) for path in keys}
        self._has_noted = False
        self._kept: dict[str, Any] = {}  # overrides of an earlier command that also apply to this one

    @functools.cached_property
    def project(self) -> Project:
        """The project of the current folder; with --config, the current folder itself."""
        if self._config_file is not None:
            return Project(Path())
        found = find_project()
        if found.foreign:
            self.output.note(f"{printable(found.foreign)} was not read: it belongs to another user")
        return found

    @functools.cached_property
    def artifacts(self) -> Artifacts:
        """The artifacts folder: --artifacts, else MNIST_ARTIFACTS, else artifacts in the project.

        Raises:
            UsageError: it is a file, or its name is not UTF-8.
            InputError: it is a dangling link, or its path goes through one.
        """
        from mnist_cli.files import check_no_dangling_link
        from mnist_cli.pipeline.artifacts import Artifacts

        named = os.environ.get("MNIST_ARTIFACTS")
        root = self._artifacts or (Path(named) if named else self.project.folder / ARTIFACTS)
        try:
            str(root).encode()
        except UnicodeEncodeError:  # TensorFlow cannot write checkpoints below such a folder
            raise UsageError(f"{printable(root)}: expected a name in UTF-8 for the artifacts folder") from None
        if root.exists() and not root.is_dir():
            raise UsageError(f"{printable(root)}: expected a folder for the artifacts; received a file")
        check_no_dangling_link(root)
        return Artifacts(root, self.pipeline)

    def digest_of(self, path: Path) -> str:
        """Return a file's content digest, cached in the artifacts folder; errors as `DigestCache.digest`."""
        return self.artifacts.digests.digest(path)

    @property
    def names_artifacts(self) -> bool:
        """Whether --artifacts was given."""
        return self._artifacts is not None

    @property
    def named_config(self) -> Path | None:
        """The file that --config names."""
        return self._config_file

    @property
    def config_file(self) -> Path | None:
        """The file that --config names, or the project's file if the project is above the current folder."""
        return self._config_file or (self.project.configuration if self.project.folder != Path() else None)

    def check(self) -> None:
        """Check what Typer does not check.

        Raises:
            UsageError: --format is neither text nor json.
            ConfigError: the file that --config names does not exist, even if the command would not read it.
        """
        if self._format not in ("text", "json"):
            raise UsageError(f"--format: expected text or json; received '{printable(self._format)}'")
        file = self._config_file
        # Path.exists would raise an OSError for a name that is too long.
        if file is not None and not os.path.exists(file) and self.command != _WRITES_CONFIG:  # noqa: PTH110
            raise ConfigError([f"{printable(file)}: no such file"], hint="run 'mnist config init'")

    def overrides(self) -> tuple[list[Override], list[ConfigError]]:
        """Return the settings of the command line, --set first, and the mistakes in them."""
        from mnist_cli.config.loading import read_override

        overrides, mistakes = self._read_settings(read_override)
        if self.project.folder != Path():  # they are remembered, and must hold in other folders too
            here, keys = Path.cwd(), self.pipeline.declarations.keys
            overrides = [replace(one, value=_located(keys.get(one.path), one.value, here)) for one in overrides]
        return overrides, mistakes

    def axes(self) -> tuple[list[Axis], list[ConfigError]]:
        """Return the same, with all the values of each key."""
        from mnist_cli.runs.grid import read_axis

        return self._read_settings(read_axis)

    def _read_settings(self, read: Callable[[str, str, str], SettingT]) -> tuple[list[SettingT], list[ConfigError]]:
        """Read key, text and option of every setting on the command line."""
        from mnist_cli.config.loading import split_setting

        options = [(path, text) for path, text in self._key_options.items() if text is not None]
        typed: list[SettingT] = []
        mistakes: list[ConfigError] = []
        for path, text in [*((None, text) for text in self._set), *options]:
            try:
                _refuse_empty(str(self.pipeline.declarations.keys[path].option) if path else "--set", text)
                typed.append(
                    read(path, text, str(self.pipeline.declarations.keys[path].option))
                    if path
                    else read(*split_setting(text), "--set")
                )
            except ConfigError as mistake:
                mistakes.append(mistake)
        return typed, mistakes

    def load_as_run(self, say: Callable[[str], None] | None = None) -> LoadedConfig:
        """Read the configuration as `load` does, with the last run's overrides between file and command line.

        Args:
            say: reports overrides that make a difference; by default a note.
        """
        from mnist_cli.pipeline.overrides import as_typed, last_overrides

        typed = {override.path for override in self.overrides()[0]}
        kept = {path: value for path, value in last_overrides(self.artifacts).items() if path not in typed}
        loaded, plain = self.load(kept), self.load()
        if other := {path: value for path, value in kept.items() if plain.config.value(path) != value}:
            words = as_typed(self.pipeline.declarations, other)
            (say or self.output.note)(f"using the options of the last run: {words}")
        return loaded

    def load(self, kept: dict[str, Any] | None = None) -> LoadedConfig:
        """Read the configuration with the settings of the command line; errors as `load_config`."""
        from mnist_cli.config.loading import load_config

        self._kept = kept or self._kept
        other = Path("pipeline.yml")
        if self._config_file is None and other.is_file() and not other.with_suffix(".yaml").exists():
            self.output.note(f"{other} was not read: rename it to pipeline.yaml, or give --config {other}")
        overrides, mistakes = self.overrides()
        keys, project = self.pipeline.declarations.keys, self.project.folder
        kept = {path: _located(keys.get(path), value, project) for path, value in (kept or {}).items()}
        loaded = load_config(self.pipeline.declarations, self.config_file, overrides, kept, mistakes, self.digest_of)
        self._note_what_the_file_overrides(loaded)
        return loaded

    def _note_what_the_file_overrides(self, loaded: LoadedConfig) -> None:
        """Say once which values of the recipe the configuration file replaces."""
        if not loaded.overridden or self._has_noted:
            return
        from mnist_cli.config.template import yaml_value

        self._has_noted = True
        values = ", ".join(f"{path} {yaml_value(value)}" for path, value in loaded.overridden.items())
        self.output.note(f"{printable(loaded.file)} overrides of the recipe {loaded.config.value('recipe')}: {values}")

    def following(self, text: str) -> str:
        """Add the options that were typed, and matter, to every command that a text quotes.

        Args:
            text: such as "run 'mnist run'".

        Returns:
            Such as "run 'mnist run --artifacts here --learning-rate 0.3'".
        """
        return re.sub(r"'mnist ([^']*)'", lambda quoted: f"'{self._repeated(quoted[1].split())}'", text)

    def _repeated(self, words: list[str]) -> str:
        own = self.command.split()[1:]
        if "--help" in words:
            again = words
        elif words[: len(own)] == own and words != own:  # the same command with one more option
            again = [*typed, *(word for word in words[len(own) :] if word not in typed)]
        else:
            named = [("--artifacts", self._artifacts), ("--config", self._config_file)]
            named = {"dataset": [], "config": named[1:]}.get(words[0], named)
            common = [word for option, value in named if value is not None for word in (option, str(value))]
            again = [*words, *common, *self._settings_for(words[0])]
        return command_line(again)

    def _settings_for(self, name: str) -> list[str]:
        """Return the words that give another command those settings of this one that matter to it."""
        if self.command == "mnist sweep" or name not in ("run", "status", "lock", *self.pipeline.stages):
            return []
        stages = list(self.pipeline.stages)
        until = stages.index(name) + 1 if name in stages else len(stages)
        sections = {"", *(self.pipeline.stages[stage].settings.section for stage in stages[:until])}
        given = [setting.partition("=")[::2] for setting in self._set]
        given += [(path, text) for path, text in self._key_options.items() if text is not None]
        found = [(path, text) for path, text in given if path.rpartition(".")[0] in sections]
        if name != "run":
            return [word for path, text in found for word in ("--set", f"{path}={text}")]
        from mnist_cli.pipeline.overrides import as_typed

        # The other commands use the overrides of the last run anyway.
        kept = {path: value for path, value in self._kept.items() if path not in dict(found)}
        words = shlex.split(as_typed(self.pipeline.declarations, kept))
        for path, text in found:
            declared = self.pipeline.declarations.keys.get(path)
            words += [declared.option, text] if declared and declared.option else ["--set", f"{path}={text}"]
        return words


def _located(declared: Parameter | None, value: Any, folder: Path) -> Any:
    """Return a value with its paths, which are relative to `folder`, made relative to the current folder."""
    resolve = declared.kind.resolve if declared else None
    return resolve(value, folder) if resolve and folder != Path() else value


def _refuse_empty(option: str, text: str) -> None:
    """Refuse an empty value, such as `--steps "$STEPS"` with the variable unset: it would mean the default."""
    key, equals, value = text.partition("=") if option == "--set" else ("", "=", text)
    if equals and not value.strip():
        place = f"{option} {printable(key)}" if key else option
        raise ConfigError([f"{place}: expected a value; received an empty one"], hint="for no value, give null")


def command_line(words: Sequence[str]) -> str:
    """Return a command line with these words after `mnist`, without passwords."""
    shown = [without_secrets(word, is_address=True) if "://" in word else word for word in words]
    return printable(shlex.join(["mnist", *shown]), _LINE)
