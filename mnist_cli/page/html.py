"""Pages in one file: templates, the style and script inlined into them, and a policy that allows nothing else.

A page needs no network, and its Content-Security-Policy names the digests of its one style and its one script. Equal
data give equal bytes.
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
    """Return an environment with the templates of a package and of this one, which escapes all values.

    Args:
        package: the package, such as `mnist_cli.report`; its templates are in `templates`.
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
    """Return the style and the script of a page for its template, with their digests for the policy.

    Args:
        package: the package.
        styles: names of templates, which are concatenated.
        scripts: likewise; they are wrapped in one function, so that none of their names is global.
    """
    from markupsafe import Markup

    style = "".join(text_of(package, name) for name in styles)
    script = "(() => {\n" + "\n".join(text_of(package, name) for name in scripts) + "\n})();\n"
    # Both are ours; everything else on a page is escaped.
    texts = {"style": Markup(style), "script": Markup(script)}
    return texts | {"style_hash": policy_hash(style), "script_hash": policy_hash(script)}


def text_of(package: str, name: str) -> str:
    """Return a template of the package or, if it has none of that name, of this one."""
    places = [resources.files(each) / "templates" / name for each in (package, _COMMON)]
    return next(place for place in places if place.is_file()).read_text(encoding="utf-8")


def policy_hash(text: str) -> str:
    """Return the Content-Security-Policy source that allows exactly this text."""
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


def percent(share: float | None, digits: int = 2) -> str:
    """Return 0.9201 as `92.01 %`, with a no-break space."""
    if share is None:
        return "–"
    least = 0.1**digits / 100
    if 0 < share < least / 2:
        return f"< {least * 100:.{digits}f}\N{NO-BREAK SPACE}%"
    return f"{100 * share:.{digits}f}\N{NO-BREAK SPACE}%"


def short(value: float | None) -> str:
    """Return a number with four decimal places, or a large one with three significant digits."""
    return "–" if value is None else f"{value:.4f}" if abs(value) < 1000 else f"{value:.3g}"


def _signed(value: float) -> str:
    return signed(value).replace("-", "−")
