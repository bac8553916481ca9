"""One model for each document that a command prints with `--json`; fields are printed in this order."""

from typing import Any, Literal

from pydantic import BaseModel, Field, RootModel

from mnist_cli.cli.documents.models import (
    Diff,
    Export,
    Lesson,
    PictureAnswer,
    PictureFailed,
    Plot,
    Report,
    RowAnswer,
    RunsList,
    RunsRestore,
    RunsRm,
    RunsShow,
    Show,
    StoredAnswer,
    Sweep,
)
from mnist_cli.cli.documents.parts import (
    ABSENT,
    Count,
    Document,
    Key,
    Listed,
    Positive,
    Printed,
    Reason,
    RunId,
    Share,
    StageName,
    State,
    Value,
)
from mnist_cli.cli.documents.stages import STAGE_COMMANDS, AnyResult, StageStatus
from mnist_cli.pipeline.manifest import Digest


class Run(Printed):
    """The result of each stage, in order, and the accuracy of the model."""

    stages: list[AnyResult] = Field(description="The requested stages.")
    accuracy: Share = Field(
        default=ABSENT, description="Accuracy on the evaluated split; absent if the last stage does not measure it."
    )
    model_digest: Digest = Field(default=ABSENT, description="Digest of the evaluated model; absent if accuracy is.")


class RunPlan(Printed):
    """With `--dry-run`: the state of each stage, and what would run."""

    stages: list[StageStatus] = Field(description="The requested stages.")
    would_run: list[StageName] = Field(description="The stages that would run.")
    would_take: dict[StageName, RunId] = Field(
        description="The stages that would be published from a kept run instead → the run's id."
    )


class ExportStatus(Document):
    """The state of an export."""

    export: str = Field(description="Its format.", validation_alias="stage")
    state: State = Field(description="Its state; stale if it was made from another model.")
    reasons: Listed[Reason] = Field(description="Why it is not fresh; empty if it is.")
    key: Digest | None = Field(description="The key in its manifest; null if there is no readable manifest.")


class Status(Printed):
    """The state of every stage."""

    artifacts: str = Field(description="The artifacts folder.")
    config: str | None = Field(description="The configuration file; null if there is none and the defaults apply.")
    stages: list[StageStatus] = Field(description="All stages, in order.")
    exports: list[ExportStatus] = Field(description="The existing exports; they need not be up to date.")
    fresh: bool = Field(description="Whether there is nothing to do.")
    overrides: dict[Key, Any] = Field(
        description="The configuration keys that this command line sets, or that the last run set → values."
    )
    would_take: dict[StageName, RunId] = Field(
        description="The stages that the next run would publish from a kept run instead of running them → its id."
    )


class Check(Document):
    """A file, checkpoint or input that was checked."""

    stage: StageName | Literal["runs", "export"] = Field(
        description="The stage it belongs to; `runs` for a kept run, `export` for exports."
    )
    file: str = Field(
        validation_alias="name", description="A file, checkpoints/KEY/step-N, `input stage/file`, or the id of a run."
    )
    sha256: Digest | None = Field(description="SHA-256 of an output's content as it is now; null for anything else.")
    problem: str | None = Field(
        description="What is wrong with it, or null. For an input: the earlier stage has published another one since."
    )
    removed: bool = Field(description="Whether it was removed, is not needed, and can be made again.")


class Repaired(Document):
    """What was wrong before the repair."""

    found: list[Check] = Field(description="Everything that was wrong.")
    checkpoints: list[str] = Field(description="The damaged checkpoints, which were removed.")


class Verify(Printed):
    """Whether the artifacts are what their manifests say."""

    stages: list[AnyResult] = Field(default=ABSENT, description="With --repair: the stages that ran again.")
    repaired: Repaired = Field(default=ABSENT, description="With --repair, if something was wrong.")
    checks: list[Check] = Field(description="Everything that was checked; after a repair, the new check.")
    ok: bool = Field(description="Whether everything is as published. An input that has changed since is not an error.")
    identical: bool = Field(default=ABSENT, description="With --rerun: whether training again gives the same bits.")
    differences: Listed[Reason] = Field(
        default=ABSENT, description="With --rerun: the parameters, data, runtime, environment and outputs that differ."
    )


class Freed(Document):
    """Removed files of one kind."""

    stage: StageName = Field(description="The stage that made them, and can make them again.")
    kind: str = Field(description="`outputs`, or the name of the folder for unfinished work.")
    files: list[str] = Field(description="Their names, below the stage's folder.")
    bytes: Count = Field(description="Their size.")


class Clean(Printed):
    """What was or would be removed."""

    freed: list[Freed] = Field(description="By stage and kind; empty if there was nothing to remove.")
    bytes: Count = Field(description="Bytes altogether.")
    dry_run: bool = Field(description="Whether nothing was removed.")


class Lock(Printed):
    """The state of pipeline.lock."""

    file: str = Field(description="The lock file.")
    written: bool = Field(description="Whether it was written; false with --check, or if it was already up to date.")
    ok: Literal[True] = Field(description="It describes the artifacts; otherwise the command fails.")


class ConfigInit(Printed):
    """What was written."""

    file: str = Field(description="The configuration file.")


class ConfigCheck(Printed):
    """The configuration is valid; otherwise the command fails, and `error` lists the problems."""

    ok: Literal[True] = Field(description="The configuration is valid.")
    file: str | None = Field(description="The configuration file; null if there is none and the defaults apply.")


class Setting(Document):
    """The value of a configuration key."""

    value: Value = Field(description="The value; passwords and queries in addresses are hidden.")
    origin: str = Field(description='Its origin: "default", file:line:column, or the option that set it.')


class ConfigShow(RootModel[dict[Key, Setting]]):
    """Every configuration key → its value."""


class ConfigSchema(Printed):
    """The JSON schema of pipeline.yaml, draft 2020-12."""

    type: Literal["object"] = Field(description="The type of the whole file.")
    additional: Literal[False] = Field(alias="additionalProperties", description="Unknown keys are refused.")
    properties: dict[str, Any] = Field(description="The general keys and the sections.")
    title: str = Field(description="The name of the file.")


class ListedDataset(Document):
    """A shipped data set."""

    name: str = Field(description="Its name.")
    title: str = Field(description="A short description.")
    classes: int = Field(description="Number of classes.")
    bytes: int = Field(description="Bytes to download; 0 if it is generated.")


class DatasetList(Printed):
    """The shipped data sets."""

    datasets: list[ListedDataset] = Field(description="All of them, the default first.")


class Recipe(Document):
    """A shipped recipe."""

    name: str = Field(description="Its name, for --recipe.")
    title: str = Field(description="What x is, and how it is trained.")
    accuracy: Share = Field(description="Accuracy on MNIST's test images with seed 0.")
    seconds: Positive = Field(description="Approximate time of the whole pipeline on two quiet cores.")
    why: str = Field(description="What it adds to the one before it.")
    file: str = Field(description="Its file in the folder.")


class Recipes(Printed):
    """The recipes."""

    folder: str = Field(description="The folder of their files.")
    recipes: list[Recipe] = Field(description="All of them, from the simplest to the best.")


class DatasetFile(Document):
    """One file, as its publisher packed it."""

    name: str = Field(description="Its name on the mirrors, or in the archive.")
    bytes: int | None = Field(description="Its size; null if unknown.")
    sha256: str | None = Field(description="SHA-256 of its bytes; null if unknown.")
    content: str | None = Field(description="SHA-256 of its content, unpacked; null if unknown.")


class DatasetShow(Printed):
    """A data set."""

    name: str = Field(description="Its name.")
    title: str = Field(description="A short description.")
    classes: list[str] = Field(description="The name of each label.")
    shape: list[int] | None = Field(description="Height and width of an image; null if only the files tell.")
    folder: str | None = Field(description="The folder of your own data set; else null.")
    licence: str = Field(description="The licence for its use.")
    source: str = Field(description="The page that describes it.")
    mirrors: list[str] = Field(description="The sources of its files, in the order in which they are tried.")
    transpose: bool = Field(description="Whether the files have the rows and columns of the images exchanged.")
    first_label: int = Field(description="The label of the first class in the files.")
    column: int | None = Field(
        description="The column of the label, if the files have several numbers for each image; else null."
    )
    archive: DatasetFile | None = Field(description="The archive that holds the files; null if there is none.")
    files: dict[str, DatasetFile] = Field(description="Role → file; empty if there is nothing to download.")


class DatasetCheck(Printed):
    """The content of a folder of data; with problems the command fails."""

    folder: str = Field(description="The folder.")
    kind: Literal["files", "images"] | None = Field(description="IDX files, or pictures by class; null for neither.")
    classes: dict[str, int] = Field(description="Class → number of images.")
    shape: list[int] | None = Field(description="Height and width of the images; for pictures, the most frequent size.")
    remarks: list[str] = Field(description="What is unusual but may be intended.")
    problems: list[str] = Field(description="What prevents the use of the data; at most 20.")


class DatasetInit(DatasetCheck):
    """The content of a folder of data, and the description that was written."""

    file: str = Field(description="The description.")


# Command → its documents, by the name of their schema. The first is the default; predict prints one in each line.
COMMANDS: dict[str, dict[str, type[BaseModel]]] = {
    "run": {"run": Run, "run-dry-run": RunPlan},
    **{stage: {stage: model} for stage, model in STAGE_COMMANDS.items()},
    "status": {"status": Status},
    "verify": {"verify": Verify},
    "clean": {"clean": Clean},
    "lock": {"lock": Lock},
    "config init": {"config-init": ConfigInit},
    "config check": {"config-check": ConfigCheck},
    "config show": {"config-show": ConfigShow},
    "config schema": {"config-schema": ConfigSchema},
    "recipes": {"recipes": Recipes},
    "dataset list": {"dataset-list": DatasetList},
    "dataset show": {"dataset-show": DatasetShow},
    "dataset check": {"dataset-check": DatasetCheck},
    "dataset init": {"dataset-init": DatasetInit},
    "show": {"show": Show},
    "sweep": {"sweep": Sweep},
    "runs list": {"runs-list": RunsList},
    "runs show": {"runs-show": RunsShow},
    "runs restore": {"runs-restore": RunsRestore},
    "runs rm": {"runs-rm": RunsRm},
    "runs prune": {"runs-prune": RunsRm},
    "diff": {"diff": Diff},
    "predict": {
        "predict-file": PictureAnswer,
        "predict-several": RowAnswer,
        "predict-index": StoredAnswer,
        "predict-failed": PictureFailed,
    },
    "plot": {"plot": Plot},
    "report": {"report": Report},
    "lesson": {"lesson": Lesson},
    "export": {"export": Export},
}
