"""What every command prints with `--json`, one class for each document.

A command that fails prints `error`, and beside it whatever it had found out by then: `adapter` allows for both.
`python -m docs.make_schemas` writes the page and the JSON schemas from these classes and those of the files.
"""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, RootModel, TypeAdapter, create_model

from docs.document_models import (
    Diff,
    PictureAnswer,
    PictureFailed,
    Plot,
    Report,
    RunsList,
    RunsRm,
    RunsShow,
    Show,
    StoredAnswer,
    Sweep,
)
from docs.document_parts import (
    ABSENT,
    AnyResult,
    Digest,
    Document,
    Error,
    EvalResult,
    Failed,
    FetchResult,
    Key,
    PreprocessResult,
    Printed,
    Reason,
    Share,
    StageName,
    State,
    TrainResult,
    Value,
)


class StageStatus(Document):
    """How one stage stands."""

    stage: StageName = Field(description="Which stage.")
    state: State = Field(description="How its artifacts stand.")
    reasons: list[Reason] = Field(description="Why it is not fresh; empty when it is.")
    key: Digest | None = Field(description="The key in its manifest; null when there is none that can be read.")


class Run(Printed):
    """What became of each stage, in order, and how good the model is."""

    stages: list[AnyResult] = Field(description="The stages that were asked for.")
    accuracy: Share = Field(default=ABSENT, description="On the split of eval; absent when eval was not asked for.")
    model_digest: Digest = Field(default=ABSENT, description="Of the evaluated model; absent together with accuracy.")


class RunPlan(Printed):
    """With `--dry-run`: how each stage stands, and what would run."""

    stages: list[StageStatus] = Field(description="The stages that were asked for.")
    would_run: list[StageName] = Field(description="Those of them that would run.")


class Fetch(Printed):
    """What became of the stage."""

    stages: list[FetchResult] = Field(description="The one stage.", min_length=1, max_length=1)


class Preprocess(Printed):
    """What became of the stage."""

    stages: list[PreprocessResult] = Field(description="The one stage.", min_length=1, max_length=1)


class Train(Printed):
    """What became of the stage."""

    stages: list[TrainResult] = Field(
        default=ABSENT,
        description="The one stage; absent on a worker that is not the chief.",
        min_length=1,
        max_length=1,
    )


class Evaluate(Printed):
    """What became of the stage, and how good the model is."""

    stages: list[EvalResult] = Field(description="The one stage.", min_length=1, max_length=1)
    accuracy: Share = Field(description="On the split that it was measured on.")
    model_digest: Digest = Field(description="Of the evaluated model.")


class Status(Printed):
    """How every stage stands."""

    stages: list[StageStatus] = Field(description="All stages, in order.")
    fresh: bool = Field(description="Whether there is nothing to do.")


class Check(Document):
    """One file, checkpoint or input that was read again."""

    stage: StageName | Literal["runs"] = Field(description="Whose it is; `runs` for the record of a run.")
    file: str = Field(description="A file, checkpoints/step-N, or `input stage/file`.")
    sha256: Digest | None = Field(description="Of an output's content as it is now; null for anything else.")
    problem: str | None = Field(
        description="What is wrong with it, or null; of an input: that the stage before has published another since."
    )


class Repaired(Document):
    """What a repair began with."""

    found: list[Check] = Field(description="What was wrong.")
    checkpoints: list[str] = Field(description="Those of it that were checkpoints, and are removed.")


class Verify(Printed):
    """Whether the artifacts are what they claim to be."""

    checks: list[Check] = Field(description="All that was read; after a repair, as it is then.")
    ok: bool = Field(description="Whether all is as published; an input that has changed since is no fault.")
    repaired: Repaired = Field(default=ABSENT, description="With --repair, when something was wrong.")
    stages: list[AnyResult] = Field(default=ABSENT, description="With --repair: the stages that were run again.")
    identical: bool = Field(default=ABSENT, description="With --rerun: whether training again gives the same bits.")
    differences: list[Reason] = Field(
        default=ABSENT, description="With --rerun: the parameters, data, runtime, environment and outputs that differ."
    )


class Lock(Printed):
    """What became of pipeline.lock."""

    file: str = Field(description="The lock.")
    written: bool = Field(description="Whether it is new; false with --check, and when it said the same before.")
    ok: Literal[True] = Field(description="That it says what is there.")


class ConfigInit(Printed):
    """What was written."""

    file: str = Field(description="The configuration file.")


class ConfigCheck(Printed):
    """That the configuration is right; otherwise there is an error with its problems."""

    ok: Literal[True] = Field(description="That nothing is wrong with it.")
    file: str | None = Field(description="The configuration file; null when there is none, and the defaults hold.")


class Setting(Document):
    """The value of one configuration key."""

    value: Value = Field(description="As it holds; passwords and queries in addresses are hidden.")
    origin: str = Field(description='"default", file:line:column, or the option that set it.')


class ConfigShow(RootModel[dict[Key, Setting]]):
    """Every configuration key → its value."""


class ConfigSchema(Printed):
    """The JSON schema of pipeline.yaml, draft 2020-12."""

    defs: dict[str, Any] = Field(alias="$defs", description="The sections.")
    additional: Literal[False] = Field(alias="additionalProperties", description="Unknown keys are mistakes.")
    description: str = Field(description="What it is about.")
    properties: dict[str, Any] = Field(description="The general keys and the sections.")
    title: str = Field(description="Its name.")
    type: Literal["object"] = Field(description="What pipeline.yaml is.")


# Command → what it may print, by name of the schema. All but predict, which prints lines, print one of them.
COMMANDS: dict[str, dict[str, type[BaseModel]]] = {
    "run": {"run": Run, "run-dry-run": RunPlan},
    "fetch": {"fetch": Fetch},
    "preprocess": {"preprocess": Preprocess},
    "train": {"train": Train},
    "eval": {"eval": Evaluate},
    "status": {"status": Status},
    "verify": {"verify": Verify},
    "lock": {"lock": Lock},
    "config init": {"config-init": ConfigInit},
    "config check": {"config-check": ConfigCheck},
    "config show": {"config-show": ConfigShow},
    "config schema": {"config-schema": ConfigSchema},
    "show": {"show": Show},
    "sweep": {"sweep": Sweep},
    "runs list": {"runs-list": RunsList},
    "runs show": {"runs-show": RunsShow},
    "runs rm": {"runs-rm": RunsRm},
    "diff": {"diff": Diff},
    "predict": {"predict-file": PictureAnswer, "predict-index": StoredAnswer, "predict-failed": PictureFailed},
    "plot": {"plot": Plot},
    "report": {"report": Report},
}


@cache
def adapter(model: type[BaseModel]) -> TypeAdapter[Any]:
    """Return what reads a document: as the model says; of a command, also with an error and any of its fields.

    Of a model that is no `Printed`, nothing is left out when the command fails: there is an error and nothing else.
    """
    kinds: Any = model
    if issubclass(model, Printed):
        kinds = model | _failed(model)
    elif model is ConfigShow:
        kinds = model | Failed
    return TypeAdapter(kinds)


def _failed(model: type[Printed]) -> type[Document]:
    """Return the model of what a command prints when it fails: an error, and any of its fields."""
    fields: dict[str, Any] = {}
    # As "Dynamic model creation" in pydantic's documentation makes the fields of a model optional.
    for name, field in model.model_fields.items():
        parts = field.asdict()
        kept = Field(**parts["attributes"] | {"default": ABSENT})
        fields[name] = (Annotated[(parts["annotation"], *parts["metadata"], kept)], ABSENT)  # noqa: F821  # keys of a dictionary, no forward references
    about = f"{(model.__doc__ or '').splitlines()[0]} Here the command failed: what it had by then, and why."
    error = (Error, Field(description="What ended the command."))
    return create_model(f"{model.__name__}Failed", __base__=Document, __doc__=about, **fields, error=error)
