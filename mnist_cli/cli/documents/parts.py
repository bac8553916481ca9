"""The base of every JSON document, and the parts that documents share, with meaning, unit and range of each field.

Models are strict: they refuse unknown fields, numbers instead of text, and NaN. A field takes its value from a
dictionary, or from an object's attribute of the same name; `validation_alias` names an attribute of another name.
"""

# No `from __future__ import annotations` here: pydantic would evaluate each annotation, which takes 15 ms.

from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, ValidationInfo, WithJsonSchema, WrapValidator
from pydantic_core import CoreSchema, core_schema

from mnist_cli.errors import Interrupted, MnistError
from mnist_cli.pipeline import plan
from mnist_cli.stages import PIPELINE

# The default of an optional field. Null is allowed only if the type allows it.
ABSENT: Any = None
CHECKED = "checked"
T = TypeVar("T")


class OneOf:
    """A `Literal` whose values are known only when the program runs."""

    def __init__(self, *values: str) -> None:
        self.values = values

    def __get_pydantic_core_schema__(self, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.literal_schema(list(self.values))


def _codes(kind: type[MnistError]) -> Iterator[str]:
    if kind.exit_code:  # 0 is not a failure
        yield kind.code
    for narrower in kind.__subclasses__():
        yield from _codes(narrower)


ErrorCode = Annotated[str, OneOf(*dict.fromkeys([*_codes(MnistError), Interrupted.code]))]
# Another pipeline may have stages that the schema does not list.
StageName = Annotated[str, WithJsonSchema({"enum": [*PIPELINE.stages], "type": "string"})]
State = Annotated[str, OneOf(*map(str, plan.State))]
Split = Literal["test", "validation", "train"]


def recorded(take: Callable[[Any], Any]) -> WrapValidator:
    """Leave what a stage recorded unchecked, because another version of the stage may have recorded it.

    It is validated only with the context CHECKED, as in tests.

    Args:
        take: converts the value instead.
    """

    def choose(value: Any, check: Callable[[Any], Any], info: ValidationInfo) -> Any:
        return check(value) if info.context == CHECKED else take(value)

    return WrapValidator(choose)


Recorded = Annotated[T, recorded(lambda value: value)]
Listed = Annotated[list[T], Field(strict=False)]  # also accepts a tuple
Value = str | int | float | bool | Listed[str] | None
RunId = Annotated[str, Field(pattern=r"^[0-9a-f]{8}$")]
Key = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)?$")]
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Nats = Annotated[float, Field(ge=0)]
Seconds = Annotated[float, Field(ge=0)]
Image = list[list[Annotated[int, Field(ge=0, le=255)]]]


class Document(BaseModel):
    """The base of all models: no unknown fields, no conversions, finite numbers only."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        allow_inf_nan=False,
        from_attributes=True,
        populate_by_name=True,
        defer_build=True,  # a command builds only its own document
    )


class Printed(Document):
    """The base of what a command prints; a field with a default may be absent."""


class Reason(Document):
    """Why something changed: an old and a new value, or a fact."""

    what: str = Field(description="A configuration key, an input, a file or a fact, such as `never run`.")
    old: Value = Field(description='The old value; "(not used)" if it did not matter then. Null for a fact.')
    new: Value = Field(description='The new value; "(not used)" if it does not matter now. Null for a fact.')
    text: str = Field(description="The reason in words, as in the text output; long digests are shortened.")


class _OfStage(Document):
    stage: StageName = Field(description="The stage.")


class PromiseBroken(Reason, _OfStage):  # the fields of the last base come first
    """A difference between a stage and pipeline.lock."""


class Error(Document):
    """What ended a command."""

    code: ErrorCode = Field(description="The kind of failure. Scripts can rely on it, as on the exit code.")
    message: str = Field(description="What happened, what was expected and what was received, in one or more lines.")
    hint: str | None = Field(description="What to run or change next, or null.")
    problems: Listed[str] = Field(
        default=ABSENT, description="With code config: every mistake, with its place in the file if it has one."
    )
    differences: Listed[PromiseBroken] = Field(
        default=ABSENT, description="With code not-as-locked: every difference from the lock file."
    )


class Failed(Document):
    """The document of a command that fails before it has results."""

    error: Error = Field(description="What ended the command.")


class HistoryRecord(Document):
    """The progress of a training after some step."""

    step: Positive = Field(description="Steps done.")
    loss: float = Field(description="Mean training loss, in nats, over the steps since the previous record.")
    validation_loss: Nats | None = Field(
        description="Cross-entropy on the validation split, in nats; null if that is empty."
    )
    validation_accuracy: Share | None = Field(
        description="Share of the validation split that is right; null if that is empty."
    )
