"""Pages in one file: templates, what is inlined into them, and a policy that lets pass nothing else.

A page asks no network for anything, and its Content-Security-Policy names the digest of its one style and of its one
script. Equal data give equal bytes.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from importlib import resources
from typing import TYPE_CHECKING, Any

from mnist_cli.text import signed

if TYPE_CHECKING:
    import jinja2

_COMMON = "mnist_cli.page"


def environment(package: str) -> jinja2.Environment:
    """Return the templates of a room, in which everything is escaped, and of this one.

    Args:
        package: the room, such as `mnist_cli.report`; its templates lie in `templates`.
    """
    import jinja2

    loaders = [jinja2.PackageLoader(name) for name in (package, _COMMON)]
    made = jinja2.Environment(
        loader=jinja2.ChoiceLoader(loaders),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"percent": percent, "short": short, "count": "{:,}".format, "signed": _signed}
    return made


def inlined(package: str, styles: Sequence[str], scripts: Sequence[str]) -> dict[str, Any]:
    """Return the style and the script of a page as its template takes them, with their digests for the policy.

    Args:
        package: the room.
        styles: names of templates, put behind each other.
        scripts: likewise, together in one function, so that nothing of them is global.
    """
    from markupsafe import Markup

    style = "".join(text_of(package, name) for name in styles)
    script = "(() => {\n" + "\n".join(text_of(package, name) for name in scripts) + "\n})();\n"
    # Both are ours; everything else on a page is escaped.
    texts = {"style": Markup(style), "script": Markup(script)}
    return texts | {"style_hash": policy_hash(style), "script_hash": policy_hash(script)}


def text_of(package: str, name: str) -> str:
    """Return a template of the room, or else of this one."""
    places = [resources.files(each) / "templates" / name for each in (package, _COMMON)]
    return next(place for place in places if place.is_file()).read_text(encoding="utf-8")


def policy_hash(text: str) -> str:
    """Return the source that lets a Content-Security-Policy pass exactly this text."""
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


def percent(share: float | None, digits: int = 2) -> str:
    """Return 0.9201 as `92.01 %`, with a space that does not break."""
    if share is None:
        return "–"
    least = 0.1**digits / 100
    if 0 < share < least / 2:
        return f"< {least * 100:.{digits}f}\N{NO-BREAK SPACE}%"
    return f"{100 * share:.{digits}f}\N{NO-BREAK SPACE}%"


def short(value: float | None) -> str:
    """Return a number with four places, or three digits of a large one."""
    return "–" if value is None else f"{value:.4f}" if abs(value) < 1000 else f"{value:.3g}"


def _signed(value: float) -> str:
    return signed(value).replace("-", "−")
