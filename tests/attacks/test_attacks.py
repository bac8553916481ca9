"""Whatever is killed, fails or happens at once: every published file is the old one or the new one, whole.

A short version of `python -m tests.attacks`, for `--exhaustive=all` and shares; MNIST_ATTACKS=all strikes at every
operation, and MNIST_KILLS=200 kills each command that often.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.attacks import limits, tracing
from tests.attacks.crowd import crowd
from tests.attacks.kills import kill_at_random
from tests.attacks.operations import complaints, fail_everywhere, kill_everywhere
from tests.attacks.order import check_order, disorder
from tests.attacks.power import OTHERS, cut_everywhere
from tests.attacks.scene import COMMANDS, Figures, Scene
from tests.attacks.tracing import Call
from tests.support.command_line import mnist
from tests.support.warm import Order, Process

ALL = os.environ.get("MNIST_ATTACKS") == "all"
KILLS = int(os.environ.get("MNIST_KILLS", "20"))

pytestmark = pytest.mark.timeout(3600 if ALL or KILLS > 20 else 300)


@pytest.fixture
def traceable() -> None:
    """Skips where nothing can be traced."""
    if (reason := tracing.why_not()) is not None:
        pytest.skip(reason)


def nothing_violated(figures: Figures) -> None:
    assert figures.attempts > 0
    assert figures.violations == []


@pytest.mark.exhaustive
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_that_is_killed_at_any_moment_leaves_the_old_files_or_the_new_ones(
    actors: Scene, command: str
) -> None:
    figures = kill_at_random(actors, command, KILLS, thorough=ALL)
    nothing_violated(figures)
    assert figures.hits >= KILLS


@pytest.mark.exhaustive
@pytest.mark.usefixtures("traceable")
@pytest.mark.parametrize(
    ("command", "every"), [("fetch", 4), ("preprocess", 4), ("features", 5), ("train", 8), ("eval", 2), ("run", 12)]
)
def test_a_command_that_is_killed_at_an_operation_leaves_the_old_files_or_the_new_ones(
    actors: Scene, command: str, every: int
) -> None:
    figures = kill_everywhere(actors, command, 1 if ALL else every, thorough=ALL)
    nothing_violated(figures)
    assert figures.hits > figures.attempts / 2


@pytest.mark.exhaustive
@pytest.mark.usefixtures("traceable")
@pytest.mark.parametrize("error", ["ENOSPC", "EIO"])
@pytest.mark.parametrize(
    ("command", "every"), [("fetch", 6), ("preprocess", 5), ("features", 6), ("train", 12), ("eval", 4)]
)
def test_an_operation_that_fails_is_told_of_and_leaves_what_was_published(
    actors: Scene, command: str, error: str, every: int
) -> None:
    figures = fail_everywhere(actors, command, error, 1 if ALL else every)
    nothing_violated(figures)
    assert figures.refused > 0


@pytest.mark.exhaustive
@pytest.mark.usefixtures("traceable")
@pytest.mark.parametrize("command", COMMANDS)
def test_what_is_published_is_synced_renamed_and_synced(actors: Scene, command: str) -> None:
    nothing_violated(check_order(actors, command))


@pytest.mark.exhaustive
@pytest.mark.usefixtures("traceable")
@pytest.mark.parametrize("command", [*COMMANDS, *OTHERS])
def test_what_was_good_is_good_after_a_power_cut(actors: Scene, command: str) -> None:
    figures = cut_everywhere(actors, command, 1 if ALL else 40)
    nothing_violated(figures)
    assert figures.hits > 1


@pytest.mark.exhaustive
@pytest.mark.parametrize("command", COMMANDS)
def test_a_limit_on_the_size_of_files_is_told_of(actors: Scene, command: str) -> None:
    figures = limits.limit_sizes(actors, command)
    nothing_violated(figures)
    assert figures.refused > 0


@pytest.mark.parametrize("command", COMMANDS)
def test_results_that_cannot_be_printed_are_told_of(actors: Scene, command: str) -> None:
    nothing_violated(limits.full_output(actors, command))


@pytest.mark.exhaustive
@pytest.mark.parametrize("kill", [False, True], ids=["", "holder killed"])
@pytest.mark.parametrize("command", COMMANDS)
def test_many_at_once_wait_or_are_told_who_is_at_work(actors: Scene, command: str, kill: bool) -> None:
    nothing_violated(crowd(actors, command, 20 if ALL else 4, kill))


def test_a_full_disk_is_told_of(tmp_path: Path) -> None:
    if (reason := limits.why_no_mount()) is not None:
        pytest.skip(reason)
    # A folder of 64 kB that the child alone can see; the synthetic files take 20 MB.
    program = (
        'mount -t tmpfs -o size=64k tmpfs . && cd . && cd "$PWD" && exec "$0" -m mnist_cli fetch --dataset synthetic'
    )
    command = ["unshare", "--mount", "sh", "-c", program, sys.executable]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert re.search(r"^error: artifacts/fetch\S*: No space left on device$", done.stderr, re.MULTILINE), done.stderr
    assert "Traceback" not in done.stderr


FILLED = """
mount -t tmpfs -o size=8m,nr_inodes=400 tmpfs . && cd "$PWD" && cp -r ../finished/. . || exit 9
[ "$1" = lock ] || rm artifacts/.lock
if [ "$2" = inodes ]; then i=0; while touch filler$i 2>/dev/null; do i=$((i+1)); done
else dd if=/dev/zero of=filler bs=4k 2>/dev/null; fi
echo x 2>/dev/null >one-more && [ -s one-more ] && exit 8
for command in "verify" "runs list" "status" "runs rm $3" "runs list" "verify"; do
    echo "$ mnist $command"
    "$0" -m mnist_cli $command || exit 7
done
"""


@pytest.mark.parametrize("full", ["blocks", "inodes"])
@pytest.mark.parametrize("lock", ["lock", "no lock"])
def test_on_a_full_disk_artifacts_are_verified_and_runs_removed(
    finished: Path, tmp_path: Path, lock: str, full: str
) -> None:
    if (reason := limits.why_no_mount()) is not None:
        pytest.skip(reason)
    published = mnist("runs", "list", "--json").document["runs"]
    [old] = [run["id"] for run in published if not run["published"]]
    (finished / "pipeline.yaml").unlink()  # it names a data set of this process
    place = tmp_path / "full"
    place.mkdir()
    command = ["unshare", "--mount", "sh", "-c", FILLED, sys.executable]
    done = subprocess.run([*command, lock, full, old], cwd=place, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"removed 1 run: {old}" in done.stdout
    assert old not in done.stdout.rpartition("$ mnist runs list")[2]


def call(name: str, text: str) -> Call:
    return Call(1, name, 1, text)


GOOD = (
    call("write", '4</a/fetch/.tmp-x>, "content", 7) = 7'),
    call("fsync", "4</a/fetch/.tmp-x>) = 0"),
    call("rename", '"/a/fetch/.tmp-x", "/a/fetch/x") = 0'),
    call("fsync", "5</a/fetch>) = 0"),
)


def test_the_judge_of_the_order_accepts_the_right_one() -> None:
    assert disorder(list(GOOD), Path("/a")) == (1, [])


@pytest.mark.parametrize("missing", [1, 3])
def test_the_judge_of_the_order_misses_no_fsync(missing: int) -> None:
    calls = [made for number, made in enumerate(GOOD) if number != missing]
    assert len(disorder(calls, Path("/a"))[1]) == 1


def test_the_judge_of_the_order_sees_bytes_written_after_the_fsync() -> None:
    calls = [GOOD[1], GOOD[0], *GOOD[2:]]
    assert disorder(calls, Path("/a"))[1] == ["/a/fetch/x was renamed before fsync of .tmp-x"]


@pytest.mark.parametrize("damage", [b"", b"half", None])
def test_the_judge_of_the_files_sees_a_damaged_or_lost_one(actors: Scene, damage: bytes | None) -> None:
    with actors.copy("run") as folder:
        assert actors.judge(folder) == []
        path = folder / "artifacts/train/model.h5"
        path.unlink()
        if damage is not None:
            path.write_bytes(damage)
        assert len(actors.judge(folder)) == 1


@pytest.mark.parametrize(
    ("code", "text", "wrong"),
    [
        (1, "error: /a/b: Input/output error\nhint: x\n", 0),
        (-11, "error: /a/b: Input/output error\n", 1),
        (1, "error: Input/output error\n", 1),
        (1, "Traceback (most recent call last)\nerror: /a: b\n", 1),
        (1, "error: internal error: KeyError: 'x'\n", 1),
    ],
)
def test_the_judge_of_messages_wants_one_error_that_names_its_place(
    tmp_path: Path, code: int, text: str, wrong: int
) -> None:
    (tmp_path / "err").write_text(text, encoding="utf-8")
    process = Process(1, Order((), "", "", str(tmp_path / "err")), code)
    assert len(complaints(process)) == wrong
