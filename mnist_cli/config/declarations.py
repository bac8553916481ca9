"""Parameters, declared once: validation, keys, options, the YAML template and the JSON schema follow from that.

    @dataclass(frozen=True, kw_only=True)
    class EvalSettings(Section):
        '''Measure the model'''

        section = "eval"
        split: str = parameter("test", one_of(SPLITS), "Which split is evaluated", option="--split")

A section's settings accept only valid values. `Declarations` holds the general parameters, then the sections of a
pipeline's stages; a `Config` has a value for each parameter.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar, cast

from mnist_cli.config.kinds import KeyPath, Kind, Wrong, dotted, shown
from mnist_cli.errors import ConfigError

SectionT = TypeVar("SectionT", bound="Section")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter.

    Attributes:
        path: its key: section and name, such as `train.steps`; a general parameter has no section.
        default: its value if nobody sets it.
        kind: the values that it accepts.
        meaning: what it sets, in a sentence without a full stop.
        option: its own command-line option, or None if `--set` is enough.
        counts: whether it can change the outputs of a stage, and so belongs in the stage's key.
        late: whether keys omit it at its default, so that artifacts older than the parameter stay up to date.
        replaces: the path of the parameter that it replaces when it is set, or None.
        of: the path of the parameter that decides whether it is used, or None.
        layer: returns, for its value, a YAML file of values that the configuration file overrides.
    """

    path: str
    default: Any
    kind: Kind
    meaning: str
    option: str | None = None
    counts: bool = True
    late: bool = False
    replaces: str | None = None
    of: str | None = None
    layer: Callable[[Any], Path | None] | None = None

    @property
    def name(self) -> str:
        """The path without its section."""
        return self.path.rpartition(".")[2]


@dataclass(frozen=True, slots=True)
class Conflict:
    """A value that is valid by itself but not together with others.

    Attributes:
        path: the parameter that is wrong.
        problem: what is wrong with it.
        owners: the paths of the others; if one of them is invalid by itself, the conflict is not reported.
    """

    path: str
    problem: str
    owners: tuple[str, ...] = ()


def parameter(
    default: Any,
    kind: Kind,
    meaning: str,
    *,
    option: str | None = None,
    counts: bool = True,
    late: bool = False,
    replaces: str | None = None,
    of: str | None = None,
    layer: Callable[[Any], Path | None] | None = None,
) -> Any:
    """Declare a parameter, as the default of a section's field; see `Parameter` for the arguments."""
    declared = Parameter("", kind.check(default), kind, meaning, option, counts, late, replaces, of, layer)
    return dataclasses.field(default=declared.default, metadata={"parameter": declared})


@dataclass(frozen=True, kw_only=True)
class Section:
    """The parameters of one stage, or the general ones; the docstring's first line is the section's meaning.

    Raises:
        ConfigError: values are out of range or do not fit together; it names all of them.
    """

    section: ClassVar[str] = ""

    def __post_init__(self) -> None:
        problems = []
        for declared in self.parameters():
            value = getattr(self, declared.name)
            try:
                object.__setattr__(self, declared.name, declared.kind.check(value))
            except Wrong as wrong:
                found = explained(wrong, declared, value)
                problems += [f"{dotted((declared.path, *place))}: {problem}" for place, problem in found]
        problems = problems or [f"{conflict.path}: {conflict.problem}" for conflict in self.conflicts(None)]
        if problems:
            raise ConfigError(problems)

    @classmethod
    def parameters(cls) -> Iterator[Parameter]:
        """Yield the declarations, in order, with their paths."""
        prefix = f"{cls.section}." if cls.section else ""
        for field in dataclasses.fields(cls):
            yield dataclasses.replace(field.metadata["parameter"], path=prefix + field.name)

    @classmethod
    def meaning(cls) -> str:
        """Return what the section is for, without a full stop."""
        return (cls.__doc__ or "").splitlines()[0].rstrip(".")

    @classmethod
    def of_checked(cls: type[SectionT], values: Mapping[str, Any]) -> SectionT:
        """Make the settings from values that are each valid, whether or not they fit together.

        Args:
            values: name → value; missing ones get their defaults.
        """
        made = object.__new__(cls)
        for declared in cls.parameters():
            object.__setattr__(made, declared.name, values.get(declared.name, declared.default))
        return made

    def conflicts(self, config: Config | None) -> Iterator[Conflict]:  # noqa: ARG002  # some sections check others
        """Yield the values that do not fit together; with a configuration, also those that conflict other sections."""
        yield from ()

    def decisive(self) -> dict[str, Any]:
        """Return key → value of the section's parameters that can change outputs."""
        found = [(declared, getattr(self, declared.name)) for declared in self.parameters() if declared.counts]
        return {declared.path: value for declared, value in found if value != declared.default or not declared.late}

    def counted(self, config: Config) -> dict[str, Any]:  # noqa: ARG002  # some stages count general parameters too
        """Return key → value of everything that can change the outputs of the section's stage."""
        return self.decisive()


# Names from other programs, which many people type.
SHORT_NAMES = {
    "lr": "learning_rate",
    "lr_schedule": "schedule",
    "bs": "batch_size",
    "wd": "weight_decay",
    "opt": "optimizer",
    "data": "dataset",
    "random_state": "seed",
}


@dataclass(frozen=True)
class Config:
    """A value for every parameter of a pipeline.

    Attributes:
        general: the general parameters.
        sections: by name, in the order of the stages.
        digest_of: returns the content digest of a user's file that a value names; None to read each file again.
    """

    general: Section
    sections: Mapping[str, Section]
    digest_of: Callable[[Path], str] | None = dataclasses.field(default=None, compare=False, repr=False)

    def of(self, kind: type[SectionT]) -> SectionT:
        """Return the settings of one section, or the general ones."""
        found = self.general if kind.section == "" else self.sections[kind.section]
        return cast("SectionT", found)

    def value(self, path: str) -> Any:
        """Return the value of a key such as `train.steps`.

        Raises:
            KeyError: the key does not exist.
        """
        section, _, name = path.rpartition(".")
        owner = self.sections[section] if section else self.general
        if not any(field.name == name for field in dataclasses.fields(owner)):
            raise KeyError(path)
        return getattr(owner, name)

    def values(self) -> dict[str, Any]:
        """Return key → value of all parameters, the general ones first."""
        owners = (self.general, *self.sections.values())
        return {found.path: getattr(owner, found.name) for owner in owners for found in owner.parameters()}

    def replaced(self, values: Mapping[str, Any]) -> Config:
        """Return the configuration with other values for some keys.

        Raises:
            ConfigError: a value is out of range, or the values do not fit together.
            KeyError: the key does not exist.
        """
        general, sections = self.general, dict(self.sections)
        for section, of_section in nested(values).items():
            if section == "":
                general = dataclasses.replace(general, **of_section)
            else:
                sections[section] = dataclasses.replace(sections[section], **of_section)
        return dataclasses.replace(self, general=general, sections=sections)


class Declarations:
    """All parameters of a pipeline.

    Attributes:
        general: the class of the general settings.
        sections: name → class of each section's settings, in order.
        keys: path → declaration of every parameter, the general ones first.
    """

    def __init__(self, general: type[Section], sections: Sequence[type[Section]]) -> None:
        self.general = general
        self.sections = {kind.section: kind for kind in sections}
        self.keys = {found.path: found for kind in (general, *sections) for found in kind.parameters()}

    def defaults(self) -> Config:
        """Return the configuration with every parameter at its default."""
        return self.of_checked({})

    def of_checked(self, values: Mapping[str, Any]) -> Config:
        """Make a configuration from values that are each valid, whether or not they fit together."""
        by_section = nested(values)
        made = {name: kind.of_checked(by_section.get(name, {})) for name, kind in self.sections.items()}
        return Config(self.general.of_checked(by_section.get("", {})), made)

    def conflicts(self, config: Config) -> Iterator[Conflict]:
        """Yield every value that does not fit the others."""
        for owner in (config.general, *config.sections.values()):
            yield from owner.conflicts(config)

    def unknown(self, path: str) -> str:
        """Return the message for an unknown key, with the nearest known one."""
        import difflib  # imported only after a mistake

        if path in self.sections:
            first = next(key for key in self.keys if key.startswith(f"{path}."))
            return f"this is a section; set one of its keys, such as '{first}'"
        known = [*self.keys, *self.sections]
        section, _, name = path.rpartition(".")
        usual = [key for key in known if key.rpartition(".")[2] == SHORT_NAMES.get(name) and key.startswith(section)]
        near = usual or difflib.get_close_matches(path, known, n=1, cutoff=0.7)
        if not near:  # `steps` for `train.steps`
            last_names = {name.rpartition(".")[2]: name for name in known}
            near = [last_names[name] for name in difflib.get_close_matches(path, last_names, n=1, cutoff=0.8)]
        return f"unknown key; did you mean '{near[0]}'?" if near else "unknown key; 'mnist config show' lists all keys"

    def schema(self) -> dict[str, Any]:
        """Return the JSON schema of pipeline.yaml."""
        general = _object_schema(self.general)
        sections = {name: _object_schema(kind, kind.meaning()) for name, kind in self.sections.items()}
        return {**general, "title": "pipeline.yaml", "properties": {**general["properties"], **sections}}


def nested(values: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Group key → value by section, as section → name → value; the general parameters' section is ""."""
    result: dict[str, dict[str, Any]] = {}
    for path, value in values.items():
        section, _, name = path.rpartition(".")
        result.setdefault(section, {})[name] = value
    return result


def explained(wrong: Wrong, declared: Parameter, value: Any) -> Iterator[tuple[KeyPath, str]]:
    """Yield the place of each problem within a value, and its text."""
    for path, problem in wrong.problems:
        received = value
        for part in path if problem is None else ():
            received = received[part]
        near = received.lower() if isinstance(received, str) and received.lower() in declared.kind.words else None
        meant = f"; did you mean '{near}'?" if near else ""
        yield path, problem or f"expected {declared.kind.expected}; received {shown(received)}{meant}"


def _object_schema(kind: type[Section], meaning: str | None = None) -> dict[str, Any]:
    properties = {
        found.name: {
            **found.kind.schema,
            "description": found.meaning,
            "default": [*found.default] if isinstance(found.default, tuple) else found.default,
        }
        for found in kind.parameters()
    }
    described = {} if meaning is None else {"description": meaning}
    return {"type": "object", "additionalProperties": False, **described, "properties": properties}
