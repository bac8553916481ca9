"""The stages, one file each, and the pipeline that they form, in order."""

from __future__ import annotations

from mnist_cli.stages.evaluate import EVALUATE
from mnist_cli.stages.features import FEATURES
from mnist_cli.stages.fetch import FETCH
from mnist_cli.stages.general import GeneralSettings
from mnist_cli.stages.preprocess import PREPROCESS
from mnist_cli.stages.stage import Pipeline
from mnist_cli.stages.train import TRAIN

PIPELINE = Pipeline(GeneralSettings, (FETCH, PREPROCESS, FEATURES, TRAIN, EVALUATE))
