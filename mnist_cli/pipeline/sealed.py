"""Documents that carry the digest of their own content, so that damage and edits by hand are noticed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from mnist_cli import files
from mnist_cli.errors import FormatError
from mnist_cli.text import printable

_SIZE_LIMIT = 1 << 20  # bytes; a manifest has about 2,000
SealedT = TypeVar("SealedT", bound="Sealed")


class Sealed(BaseModel):
    """A document with a digest.

    Attributes:
        sha256: digest of all other fields, as read; empty in a document that was just made.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    sha256: str = ""

    def content(self) -> dict[str, Any]:
        """Return everything but the digest."""
        return self.model_dump(by_alias=True, exclude={"sha256"})

    def document(self) -> dict[str, Any]:
        """Return the document with its digest, as it is written."""
        content = self.content()
        return {**content, "sha256": files.document_digest(content)}

    @property
    def is_whole(self) -> bool:
        """Whether the digest matches the content."""
        return self.sha256 == files.document_digest(self.content())

    def sealed(self: SealedT) -> SealedT:
        """Return a copy with its digest, as it would be read back."""
        return self.model_copy(update={"sha256": files.document_digest(self.content())})


def read_sealed(path: Path, kind: type[SealedT], expected: str) -> SealedT | None:
    """Read a JSON document and check its digest; return None if there is no file.

    Args:
        path: the file.
        kind: the class of the document.
        expected: what the document should be, for the error.

    Raises:
        FormatError: it is damaged, has another schema, or its digest does not match its content.
        OSError: it cannot be read.
    """
    try:
        with files.open_regular(path) as file:
            text = file.read(_SIZE_LIMIT)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        document = json.loads(text)
        found = kind.model_validate(document)
    except ValidationError as error:
        detail = error.errors(include_url=False)[0]
        place = ".".join(map(str, detail["loc"])) or "the document"
        received = printable(detail["input"], 60)
        raise FormatError(path, f"{printable(place)} is wrong", expected=expected, received=received) from None
    except (ValueError, RecursionError):
        raise FormatError(path, "not JSON", expected=expected, received="something else") from None
    digest = files.document_digest({name: value for name, value in document.items() if name != "sha256"})
    if digest != found.sha256:
        raise FormatError(
            path,
            "its content was changed",
            expected=f"SHA-256 {found.sha256[:12]}…",
            received=f"{digest[:12]}…",
        )
    return found
