"""What every command prints with `--json`, one model each; the fields are printed in their order here."""

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
    """What became of each stage, in order, and how good the model is."""

    stages: list[AnyResult] = Field(description="The stages that were asked for.")
    accuracy: Share = Field(
        default=ABSENT, description="Accuracy on the evaluated split; absent if the last stage measures none."
    )
    model_digest: Digest = Field(default=ABSENT, description="Digest of the evaluated model; absent as accuracy is.")


class RunPlan(Printed):
    """With `--dry-run`: the state of each stage, and what would run."""

    stages: list[StageStatus] = Field(description="The stages that were asked for.")
    would_run: list[StageName] = Field(description="The stages that would run.")
    would_take: dict[StageName, RunId] = Field(
        description="The stages that would be published from a kept run instead → its id."
    )


class ExportStatus(Document):
    """The state of an export."""

    export: str = Field(description="Its format.", validation_alias="stage")
    state: State = Field(description="Its state; stale when it was made from another model than the present one.")
    reasons: Listed[Reason] = Field(description="Why it is not fresh; empty if it is.")
    key: Digest | None = Field(description="The key in its manifest; null if there is no readable manifest.")


class Status(Printed):
    """The state of every stage."""

    artifacts: str = Field(description="The artifacts folder that was looked at.")
    config: str | None = Field(description="The configuration file; null if there is none and the defaults apply.")
    stages: list[StageStatus] = Field(description="All stages, in order.")
    exports: list[ExportStatus] = Field(description="The exports that there are; they are not needed to be fresh.")
    fresh: bool = Field(description="Whether there is nothing to do.")
    overrides: dict[Key, Any] = Field(
        description="The configuration keys that this command line sets, or that the last run set → values."
    )
    would_take: dict[StageName, RunId] = Field(
        description="The stages that the next run would publish from a kept run instead of running them → its id."
    )


class Check(Document):
    """A file, checkpoint or input that was read again."""

    stage: StageName | Literal["runs", "export"] = Field(
        description="The stage it belongs to; `runs` for a kept run, `export` for exports."
    )
    file: str = Field(
        validation_alias="name", description="A file, checkpoints/KEY/step-N, `input stage/file`, or the id of a run."
    )
    sha256: Digest | None = Field(description="SHA-256 of an output's content as it is now; null for anything else.")
    problem: str | None = Field(
        description="What is wrong with it, or null. For an input: the stage before has published another one since."
    )
    removed: bool = Field(description="Whether it was removed, can be made again, and is not needed meanwhile.")


class Repaired(Document):
    """What a repair started from."""

    found: list[Check] = Field(description="Everything that was wrong.")
    checkpoints: list[str] = Field(description="The damaged checkpoints, which were removed.")


class Verify(Printed):
    """Whether the artifacts are what their manifests say."""

    stages: list[AnyResult] = Field(default=ABSENT, description="With --repair: the stages that ran again.")
    repaired: Repaired = Field(default=ABSENT, description="With --repair, if something was wrong.")
    checks: list[Check] = Field(description="Everything that was read; after a repair, read again.")
    ok: bool = Field(description="Whether all is as published. An input that changed since is not an error.")
    identical: bool = Field(default=ABSENT, description="With --rerun: whether training again gives the same bits.")
    differences: Listed[Reason] = Field(
        default=ABSENT, description="With --rerun: the parameters, data, runtime, environment and outputs that differ."
    )


class Freed(Document):
    """Files of one kind that were removed."""

    stage: StageName = Field(description="The stage that made them, and can make them again.")
    kind: str = Field(description="`outputs`, or the name of the folder for unfinished work.")
    files: list[str] = Field(description="Their names, below the stage's folder.")
    bytes: Count = Field(description="Bytes that they took up.")


class Clean(Printed):
    """What was removed, or would be."""

    freed: list[Freed] = Field(description="By stage and kind; empty if there was nothing to remove.")
    bytes: Count = Field(description="Bytes altogether.")
    dry_run: bool = Field(description="Whether nothing was removed.")


class Lock(Printed):
    """What became of pipeline.lock."""

    file: str = Field(description="The lock file.")
    written: bool = Field(description="Whether it was written; false with --check, and if it was up to date already.")
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
    origin: str = Field(description='Where it is from: "default", file:line:column, or the option that set it.')


class ConfigShow(RootModel[dict[Key, Setting]]):
    """Every configuration key → its value."""


class ConfigSchema(Printed):
    """The JSON schema of pipeline.yaml, draft 2020-12."""

    type: Literal["object"] = Field(description="The type of the whole file.")
    additional: Literal[False] = Field(alias="additionalProperties", description="Unknown keys are refused.")
    properties: dict[str, Any] = Field(description="The general keys and the sections.")
    title: str = Field(description="The name of the file.")


class ListedDataset(Document):
    """A data set that can be named."""

    name: str = Field(description="Its name.")
    title: str = Field(description="What it is.")
    classes: int = Field(description="How many classes it has.")
    bytes: int = Field(description="Bytes to download; 0 if it is generated.")


class DatasetList(Printed):
    """The shipped data sets."""

    datasets: list[ListedDataset] = Field(description="All of them, the default first.")


class Recipe(Document):
    """A recipe that the package brings."""

    name: str = Field(description="What --recipe takes.")
    title: str = Field(description="What x is, and how it is trained.")
    accuracy: Share = Field(description="What it reaches on MNIST's test images with seed 0.")
    seconds: Positive = Field(description="How long the whole pipeline takes on two quiet cores, about.")
    why: str = Field(description="What it adds to the one before it.")
    file: str = Field(description="Its file in the folder.")


class Recipes(Printed):
    """The recipes."""

    folder: str = Field(description="Where their files are.")
    recipes: list[Recipe] = Field(description="All of them, from the simplest to the best.")


class DatasetFile(Document):
    """One file as its publisher packed it."""

    name: str = Field(description="Its name on the mirrors, or in the archive.")
    bytes: int | None = Field(description="Its size; null if it is not known.")
    sha256: str | None = Field(description="SHA-256 of its bytes; null if it is not known.")
    content: str | None = Field(description="SHA-256 of its content, unpacked; null if it is not known.")


class DatasetShow(Printed):
    """What is known of a data set."""

    name: str = Field(description="Its name.")
    title: str = Field(description="What it is.")
    classes: list[str] = Field(description="The name of each label.")
    shape: list[int] | None = Field(description="Height and width of an image; null if its files alone say so.")
    folder: str | None = Field(description="The folder of a data set of one's own; else null.")
    licence: str = Field(description="Under which it may be used.")
    source: str = Field(description="The page that describes it.")
    mirrors: list[str] = Field(description="Where its files are, in the order in which they are tried.")
    transpose: bool = Field(description="Whether rows and columns of the images are exchanged in the files.")
    first_label: int = Field(description="The label of the first class in the files.")
    column: int | None = Field(description="Which of several numbers for each image is the label; else null.")
    archive: DatasetFile | None = Field(description="The archive that holds the files; null if there is none.")
    files: dict[str, DatasetFile] = Field(description="Role → file; empty if nothing is downloaded.")


class DatasetCheck(Printed):
    """What a folder of data holds; with problems the command fails."""

    folder: str = Field(description="The folder.")
    kind: Literal["files", "images"] | None = Field(description="IDX files, or pictures by class; null for neither.")
    classes: dict[str, int] = Field(description="Class → how many images there are.")
    shape: list[int] | None = Field(description="Height and width of the images; of pictures the most frequent size.")
    remarks: list[str] = Field(description="What is odd and may be meant.")
    problems: list[str] = Field(description="What keeps the data from being used; 20 at most.")


class DatasetInit(DatasetCheck):
    """What a folder of data holds, and the description that was written."""

    file: str = Field(description="The description.")


# Command → what it may print, by name of the schema. The first is what it prints unless it names another one; predict
# prints lines.
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
