"""Whole processes of `mnist train`: how the time of a long run splits, what checkpoints cost, and the memory."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.figures import Row, Spread, Target, costs_of, extra_memory_row, time_row
from benchmarks.measure import BenchmarkError, Entrant, Sample
from benchmarks.setting import Result, Setting

EPOCHS = 50
_CHECKPOINTS = "checkpoints"
_PARTS = ("import", "load", "compile", "steps", "validation", _CHECKPOINTS)
_NEVER = 1_000_000_000  # steps: more than any run has


def fifty_epochs(setting: Setting) -> Result:
    """`mnist train --epochs 50` against `import tensorflow`, and where its time goes."""
    ours = _train(setting, f"mnist train, {EPOCHS} epochs", setting.prepared_tree(), "--epochs", str(EPOCHS))
    peer = _import_tensorflow(setting)
    samples = setting.race(ours, peer)
    rows = [time_row(f"`{ours.name}` / `import tensorflow`", samples[ours.name], samples[peer.name], None)]
    splits = [_seconds(sample) for sample in samples[ours.name]]
    rows += [Row(f"… of it {part}", "s", Spread.of([split[part] for split in splits])) for part in _PARTS]
    rest = [sample.seconds - sum(split.values()) for sample, split in zip(samples[ours.name], splits, strict=True)]
    rows.append(Row("… of it all else", "s", Spread.of(rest)))
    return Result(rows, costs_of(samples))


def checkpoints(setting: Setting) -> Result:
    """The same run with a checkpoint every 100 steps, against one at the end only."""
    tree = setting.prepared_tree()
    often, never = (
        _train(setting, name, tree, "--epochs", str(EPOCHS), "--set", f"train.checkpoint_every={every}")
        for name, every in (("mnist train, checkpoint every 100 steps", 100), ("mnist train, one checkpoint", _NEVER))
    )
    samples = setting.race(often, never)
    what = f"{EPOCHS} epochs with a checkpoint every 100 steps / one at the end"
    target = setting.data.target(Target(high=1.05))
    taken = Spread.of([_seconds(sample)[_CHECKPOINTS] for sample in samples[often.name]])
    rows = [
        time_row(what, samples[often.name], samples[never.name], target),
        Row("… of it checkpoints, as the run itself counts", "s", taken),
    ]
    return Result(rows, costs_of(samples))


def memory(setting: Setting) -> Result:
    """The peak memory of a default `mnist train` above that of `import tensorflow`."""
    ours, peer = _train(setting, "mnist train, defaults", setting.prepared_tree()), _import_tensorflow(setting)
    samples = setting.race(ours, peer)
    what = "peak memory of `mnist train` above `import tensorflow`"
    target = setting.data.target(Target(high=150))
    return Result([extra_memory_row(what, samples[ours.name], samples[peer.name], target)], costs_of(samples))


def _train(setting: Setting, name: str, tree: Path, *options: str) -> Entrant:
    """Return the entrant that trains in `tree`, each time from the beginning."""

    def forget(folder: Path) -> None:
        shutil.rmtree(folder / "artifacts" / "train", ignore_errors=True)

    return Entrant(name, (*setting.mnist, "train", "--json", *options), tree, forget)


def _import_tensorflow(setting: Setting) -> Entrant:
    return Entrant('python -c "import tensorflow"', setting.python("-c", "import tensorflow"))


def _seconds(sample: Sample) -> Mapping[str, float]:
    """Return the parts of a training run's time, as its document tells.

    Raises:
        BenchmarkError: it does not.
    """
    try:
        stages: Sequence[Mapping[str, Mapping[str, Mapping[str, float]]]] = sample.document()["stages"]
        seconds = stages[0]["metrics"]["seconds"]
        return {part: float(seconds[part]) for part in _PARTS}
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise BenchmarkError(f"mnist train: no seconds can be read: {error!r}") from error
