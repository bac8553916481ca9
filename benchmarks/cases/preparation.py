"""Everything before training: from the four files to the verified store."""

from __future__ import annotations

from pathlib import Path

from benchmarks.figures import Target, costs_of, memory_row, time_row
from benchmarks.measure import Entrant
from benchmarks.setting import Result, Setting


def fetch_and_preprocess(setting: Setting) -> Result:
    """Fetching from a folder and preprocessing, against unpacking the same files."""
    ours = Entrant(
        "mnist run --to preprocess, empty folder",
        (*setting.mnist, "run", "--to", "preprocess", *setting.data.options),
    )
    # To /dev/null, as a file would cost gzip the writing.
    unpack = ("sh", "-c", 'exec gzip -dc "$@" > /dev/null', "sh", *setting.data.files)
    peer = Entrant("gzip -dc of the four files", unpack)
    samples = setting.race(ours, peer)
    target = setting.data.target(Target(high=4))
    return Result(
        [time_row(f"fetch + preprocess / {peer.name}", samples[ours.name], samples[peer.name], target)],
        costs_of(samples),
    )


def preprocess_memory(setting: Setting) -> Result:
    """Peak memory of `mnist preprocess` on files that are already fetched."""

    def fetch(folder: Path) -> None:
        setting.run((*setting.mnist, "fetch", *setting.data.options), folder)

    ours = Entrant("mnist preprocess", (*setting.mnist, "preprocess"), prepare=fetch)
    samples = setting.race(ours)
    return Result(
        [memory_row(f"peak memory of `{ours.name}`", samples[ours.name], Target(high=200))], costs_of(samples)
    )
