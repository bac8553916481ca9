"""Options given to one stage also apply to the stages after it.

`mnist train --steps 2000` followed by `mnist eval` evaluates that model; without this, `eval` would find the model
stale, as the configuration says 1000 steps. `run` and `status` use the configuration alone.
"""

from __future__ import annotations

import contextlib
from typing import Any

from mnist_cli.errors import MnistError
from mnist_cli.pipeline.artifacts import Artifacts


def kept_overrides(artifacts: Artifacts, stage: str, *, itself: bool = False) -> dict[str, Any]:
    """Return key → value of the command-line overrides of the stages before `stage`, or of `itself` too.

    A manifest that cannot be read says nothing here; the planner says what is wrong with it.
    """
    kept: dict[str, Any] = {}
    known = artifacts.pipeline.declarations.keys
    names = list(artifacts.pipeline.stages)
    for earlier in names[: names.index(stage) + itself]:
        with contextlib.suppress(MnistError, OSError):
            manifest = artifacts.manifest(earlier)
            if manifest is not None:
                kept |= {path: value for path, value in manifest.overrides.items() if path in known}
    return kept
