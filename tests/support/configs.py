"""Configurations of the pipeline that is shipped."""

from __future__ import annotations

import functools

from mnist_cli.config import loading
from mnist_cli.config.declarations import Config
from mnist_cli.config.loading import Override, read_override, split_setting
from mnist_cli.stages import PIPELINE

load_config = functools.partial(loading.load_config, PIPELINE.declarations)


def defaults() -> Config:
    return PIPELINE.declarations.defaults()


def parse_override(text: str) -> Override:
    """Read `KEY=VALUE` as `--set` does."""
    return read_override(*split_setting(text), "--set")
