"""The keys of manifests, frozen: a redesign of the configuration must not make anybody's artifacts stale.

frozen_keys.json holds what some fifty configurations gave before the parameters were declared where they are now, with
no inputs and no runtime. A key that changes on purpose is changed there, in the commit that says why.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mnist_cli.config.loading import NO_FILE
from mnist_cli.pipeline.manifest import stage_key
from mnist_cli.stages import PIPELINE
from tests.support.configs import load_config, parse_override

FROZEN: dict[str, dict[str, str]] = json.loads(Path(__file__).with_name("frozen_keys.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("typed", FROZEN)
def test_a_configuration_keeps_its_keys(typed: str) -> None:
    config = load_config(NO_FILE, [parse_override(text) for text in typed.split()]).config
    stages = {name: PIPELINE.stages[name] for name in FROZEN[typed]}
    keys = {name: stage_key(name, stage.version, stage.parameters(config), {}, {}) for name, stage in stages.items()}
    assert keys == FROZEN[typed]
