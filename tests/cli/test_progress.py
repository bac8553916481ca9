"""The progress of long jobs: lines in a log, a bar on a terminal."""

from __future__ import annotations

import contextlib
import io
import re
from itertools import count

import pytest

from mnist_cli.cli.progress import BarProgress, LineProgress


def test_a_log_line_estimates_the_time_left_from_this_run_only(capsys: pytest.CaptureFixture[str]) -> None:
    now = [0.0]
    progress = LineProgress(lambda: now[0])
    progress.start("train", 1000, "steps")
    progress.update(400, "loss 0.5")  # resumed there
    now[0] = 20.0
    progress.update(500, "loss 0.4")
    assert capsys.readouterr().err == "train: 500 of 1,000 steps (1:40 left, loss 0.4)\n"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def last_bar(columns: int, monkeypatch: pytest.MonkeyPatch, unit: str, total: int | None, *done: int) -> str:
    """Return the last line that a bar shows, without colours."""
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm")
    with contextlib.redirect_stderr(Terminal()) as written:
        progress = BarProgress(count(0, 30).__next__)
        progress.start("train", total, unit)
        for number in done:
            progress.update(number, "loss 0.2907, validation 91.62 %, 1,232 steps/s" if unit == "steps" else "")
        progress.finish()
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", written.getvalue())
    return [line for line in re.split(r"[\r\n]+", text) if "train" in line][-1].rstrip()


@pytest.mark.parametrize(("columns", "shown"), [(30, 1), (60, 3), (80, 4), (200, 5)])
def test_the_bar_shows_step_total_time_left_and_loss_whole(
    columns: int, shown: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = last_bar(columns, monkeypatch, "steps", 33_000, 0, 1000, 2000)
    parts = ["2,000 of 33,000 steps", "15:30 left", "loss 0.2907", "validation 91.62 %", "1,232 steps/s"]
    assert line.endswith(", ".join(parts[:shown]))
    assert len(line) <= columns


def test_the_bar_of_a_download_has_sizes_and_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    line = last_bar(80, monkeypatch, "B", 9_000_000, 0, 3_000_000)
    assert line.endswith("3.0 MB of 9.0 MB, 1:00 left, 100.0 kB/s")


def test_a_job_of_unknown_length_shows_what_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    assert last_bar(80, monkeypatch, "images", None, 5, 700).endswith("━ 700 images")
