"""What every command has in common: its options, its configuration, and how it ends.

A command declares its own options. `command` adds those that set configuration keys, from the declarations of the
parameters, and those that all commands share, and hands them over as one `Session`.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import os
import re
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from mnist_cli.cli.help import Command
from mnist_cli.cli.options import common_parameters, key_name, key_parameter
from mnist_cli.cli.output import Output
from mnist_cli.cli.project import ARTIFACTS, Project, find_project
from mnist_cli.cli.terminal import OutputLost, say
from mnist_cli.errors import ConfigError, Interrupted, MnistError, UsageError
from mnist_cli.memory import memory_failure
from mnist_cli.text import printable, without_secrets

if TYPE_CHECKING:
    from mnist_cli.config.declarations import Parameter
    from mnist_cli.config.loading import LoadedConfig, Override
    from mnist_cli.pipeline.artifacts import Artifacts
    from mnist_cli.runs.grid import Axis
    from mnist_cli.stages.stage import Pipeline

SettingT = TypeVar("SettingT")

_WRITES_CONFIG = "mnist config init"  # to the file that --config names
_LINE = 2000  # characters of a command line in a hint; cut in its middle it could not be followed

# What stands behind `mnist` on the command line, for messages that say what to type; set by the application.
typed: list[str] = []


class Session:
    """One command's common options, and what follows from them.

    Attributes:
        pipeline: the stages, and the parameters that there are.
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
        self._kept: dict[str, Any] = {}  # what an earlier command was given, and holds for this one

    @functools.cached_property
    def project(self) -> Project:
        """The project of the current folder; where --config names a file, that folder itself."""
        if self._config_file is not None:
            return Project(Path())
        found = find_project()
        if found.foreign:
            self.output.note(f"{printable(found.foreign)} is not read: it belongs to another user")
        return found

    @functools.cached_property
    def artifacts(self) -> Artifacts:
        """The artifacts folder: --artifacts, else MNIST_ARTIFACTS, else artifacts in the project.

        Raises:
            UsageError: it is a file, or its name is not UTF-8.
            InputError: it is a link to something that is not there, or lies behind one.
        """
        from mnist_cli.files import refuse_dangling
        from mnist_cli.pipeline.artifacts import Artifacts

        named = os.environ.get("MNIST_ARTIFACTS")
        root = self._artifacts or (Path(named) if named else self.project.folder / ARTIFACTS)
        try:
            str(root).encode()
        except UnicodeEncodeError:  # TensorFlow writes checkpoints below it
            raise UsageError(f"{printable(root)}: expected a name in UTF-8 for the artifacts folder") from None
        if root.exists() and not root.is_dir():
            raise UsageError(f"{printable(root)}: expected a folder for the artifacts; received a file")
        refuse_dangling(root)
        return Artifacts(root, self.pipeline)

    def digest_of(self, path: Path) -> str:
        """Return the content digest of a file, which the artifacts folder remembers; errors as `DigestCache.digest`."""
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
        """The file that --config names, or that of the project where it is above the current folder."""
        return self._config_file or (self.project.configuration if self.project.folder != Path() else None)

    def check(self) -> None:
        """Refuse what Typer does not check.

        Raises:
            UsageError: --format is neither text nor json.
            ConfigError: the file that --config names is not there, whether the command would read it or not.
        """
        if self._format not in ("text", "json"):
            raise UsageError(f"--format: expected text or json; received '{printable(self._format)}'")
        file = self._config_file
        # Path.exists would raise an OSError for a name that is too long.
        if file is not None and not os.path.exists(file) and self.command != _WRITES_CONFIG:  # noqa: PTH110
            raise ConfigError([f"{printable(file)}: there is no such file"], hint="run 'mnist config init'")

    def overrides(self) -> tuple[list[Override], list[ConfigError]]:
        """Return what the command line sets, --set first, and what of it cannot be read."""
        from mnist_cli.config.loading import read_override

        overrides, mistakes = self._read_settings(read_override)
        if self.project.folder != Path():  # what is remembered of them holds in the other folders too
            here, keys = Path.cwd(), self.pipeline.declarations.keys
            overrides = [replace(one, value=_located(keys.get(one.path), one.value, here)) for one in overrides]
        return overrides, mistakes

    def axes(self) -> tuple[list[Axis], list[ConfigError]]:
        """Return the same, each key with all the values that it is to take."""
        from mnist_cli.runs.grid import read_axis

        return self._read_settings(read_axis)

    def _read_settings(self, read: Callable[[str, str, str], SettingT]) -> tuple[list[SettingT], list[ConfigError]]:
        """Read key, text and option of all that the command line sets."""
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
        """Read the configuration as `load`, with what the last run was given between the file and the command line.

        Args:
            say: says so where it makes a difference; by default a note.
        """
        from mnist_cli.pipeline.overrides import as_typed, last_overrides

        typed = {override.path for override in self.overrides()[0]}
        kept = {path: value for path, value in last_overrides(self.artifacts).items() if path not in typed}
        loaded, plain = self.load(kept), self.load()
        if other := {path: value for path, value in kept.items() if plain.config.value(path) != value}:
            (say or self.output.note)(f"as run with {as_typed(self.pipeline.declarations, other)}")
        return loaded

    def load(self, kept: dict[str, Any] | None = None) -> LoadedConfig:
        """Read the configuration with what the command line sets; errors as `load_config`."""
        from mnist_cli.config.loading import load_config

        self._kept = kept or self._kept
        other = Path("pipeline.yml")
        if self._config_file is None and other.is_file() and not other.with_suffix(".yaml").exists():
            self.output.note(f"{other} is not read: expected pipeline.yaml, or --config {other}")
        overrides, mistakes = self.overrides()
        keys, project = self.pipeline.declarations.keys, self.project.folder
        kept = {path: _located(keys.get(path), value, project) for path, value in (kept or {}).items()}
        loaded = load_config(self.pipeline.declarations, self.config_file, overrides, kept, mistakes, self.digest_of)
        self._note_what_the_file_overrides(loaded)
        return loaded

    def _note_what_the_file_overrides(self, loaded: LoadedConfig) -> None:
        """Say once where the configuration file does not do what the recipe says."""
        if not loaded.overridden or self._has_noted:
            return
        from mnist_cli.config.template import yaml_value

        self._has_noted = True
        values = ", ".join(f"{path} {yaml_value(value)}" for path, value in loaded.overridden.items())
        self.output.note(f"{printable(loaded.file)} overrides of the recipe {loaded.config.value('recipe')}: {values}")

    def following(self, text: str) -> str:
        """Let every command that a text quotes repeat what was typed and matters to it.

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
        return _as_typed(again)

    def _settings_for(self, name: str) -> list[str]:
        """Return the words that set, for another command, what was set for this one and can make a difference there."""
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

        # The other commands go by what the last run was given anyway.
        kept = {path: value for path, value in self._kept.items() if path not in dict(found)}
        words = shlex.split(as_typed(self.pipeline.declarations, kept))
        for path, text in found:
            declared = self.pipeline.declarations.keys.get(path)
            words += [declared.option, text] if declared and declared.option else ["--set", f"{path}={text}"]
        return words


def _located(declared: Parameter | None, value: Any, folder: Path) -> Any:
    """Return a value whose paths are relative to a folder, as it is from the current one."""
    resolve = declared.kind.resolve if declared else None
    return resolve(value, folder) if resolve and folder != Path() else value


def command(
    app: typer.Typer, pipeline: Pipeline, name: str, keys: Sequence[str] = ()
) -> Callable[[Callable[..., int | None]], Callable[..., int | None]]:
    """Register a function as the command `name`.

    Args:
        app: the application or group.
        pipeline: the stages that the command works on.
        name: what is typed.
        keys: configuration keys that get an option of their own.

    Returns:
        A decorator; the function gets a `Session` and its own options as keywords. It ends with 0, or with the exit
        code that it returns after it has reported everything itself.
    """

    def register(function: Callable[..., int | None]) -> Callable[..., int | None]:
        own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
        declared = pipeline.declarations.keys
        added = [*(key_parameter(declared[path]) for path in keys), *common_parameters(pipeline)]
        words = f"mnist {app.info.name} {name}" if isinstance(app.info.name, str) else f"mnist {name}"

        @functools.wraps(function)
        def run(**values: Any) -> None:
            session = Session(pipeline, values, keys, words)
            code = _run(session, lambda: function(session, **values))
            if code:
                raise typer.Exit(code)

        parameters = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]
        del run.__wrapped__  # else Typer reads the inner function's signature
        run.__signature__ = inspect.Signature([*parameters, *added])  # type: ignore[attr-defined]
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in (*parameters, *added)}
        app.command(name, cls=Command, help=_unwrapped(inspect.getdoc(function) or ""))(run)
        return function

    return register


def _run(session: Session, body: Callable[[], int | None]) -> int:
    """Run a command's body; report what went wrong; print the document; return the exit code."""
    code = 0
    try:
        code = _run_body(session, body)
        session.output.finish()
    except OutputLost as error:
        code = code or error.exit_code  # a terminal that was closed is lost as well
        if not error.closed_pipe:
            say("error:", str(error), fg="red")
    return code


def _run_body(session: Session, body: Callable[[], int | None]) -> int:
    try:
        session.check()
        code = body() or 0
        session.output.render()
        return code
    except OutputLost:
        raise
    except (MnistError, Interrupted) as error:
        if isinstance(error, Interrupted):
            error.hint = _how_to_go_on(error)
        elif error.hint:
            error.hint = session.following(error.hint)
        return _report(session, error)
    except Exception as error:  # noqa: BLE001  # the last resort: a bug of ours must not look like a crash
        if failure := memory_failure(error):
            return _report(session, failure)
        if isinstance(error, OSError):
            return _report(session, _storage_error(error))
        message = f"internal error: {type(error).__name__}: {printable(error)}"
        hint = session.following(f"run '{session.command} --debug' and report what it prints")
        return _report(session, MnistError(message, hint=hint))


def _how_to_go_on(error: Interrupted) -> str:
    """Return the command that was typed; where there is work to go on from, without what would throw that away."""
    if error.reached is None:
        return f"run '{_as_typed(typed)}' to start it again"
    again = [word for word in typed if word not in ("--restart", "--force")]
    return f"run '{_as_typed(again)}' to go on from {error.reached}"


def _refuse_empty(option: str, text: str) -> None:
    """Refuse what an unset variable of a shell leaves of `--steps "$STEPS"`: nothing would mean the default."""
    key, equals, value = text.partition("=") if option == "--set" else ("", "=", text)
    if equals and not value.strip():
        place = f"{option} {printable(key)}" if key else option
        raise ConfigError([f"{place}: expected a value; received an empty one"], hint="null stands for no value")


def _as_typed(words: Sequence[str]) -> str:
    """Return a command line with these words behind `mnist`, without passwords."""
    shown = [without_secrets(word, is_address=True) if "://" in word else word for word in words]
    return printable(shlex.join(["mnist", *shown]), _LINE)


def _report(session: Session, error: MnistError | Interrupted) -> int:
    """Report the error that is being handled."""
    session.output.fail(error)
    if session.debug:
        import traceback

        with contextlib.suppress(OSError):  # a closed terminal
            print(without_secrets(traceback.format_exc()), file=sys.stderr, end="")
    return error.exit_code


def _storage_error(error: OSError) -> MnistError:
    name = error.filename2 or error.filename  # of a rename it is the place that matters
    place = f"{printable(name)}: " if name else ""
    return MnistError(f"{place}{error.strerror or printable(error)}", hint="what was published before is as it was")


def _unwrapped(text: str) -> str:
    """Join the lines of each paragraph, as the terminal's width decides where help wraps."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))
