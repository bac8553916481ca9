"""Several processes that train together, and what happens to the rest when one of them is killed, asked to stop, or
configured otherwise."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from mnist_cli.cli import workers as local_workers
from mnist_cli.cli.workers import _free_addresses, run_workers
from mnist_cli.errors import ConfigError, Interrupted, WorkerLost
from mnist_cli.learning.distributed.own_network import make_network
from mnist_cli.learning.distributed.setting import this_worker
from tests.support import ROOT
from tests.support.command_line import environment, start_process
from tests.support.data import write_small_store
from tests.support.hostile import hostile_folder
from tests.support.stages import train
from tests.support.trainings import outputs

WORKER_LOST = 9
PROGRAM = """
import json, sys
from mnist_cli.errors import Interrupted, MnistError
from mnist_cli.signals import raise_on_signals
from tests.support.progress import Speaking
from tests.support.stages import train

raise_on_signals()
try:
    result = train(sys.argv[1], sys.argv[2], device="cpu", strategy="multiworker", progress=Speaking(),
                   **json.loads(sys.argv[3]))
    print("resumed", result.resumed_from)
except (Interrupted, MnistError) as error:
    print(error)
    sys.stdout.flush()
    import os
    os._exit(error.exit_code)
"""


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_store(tmp_path_factory.mktemp("small") / "store.h5")


@contextmanager
def workers(store: Path, folder: Path, *each: dict[str, Any]) -> Iterator[list[subprocess.Popen[str]]]:
    """Run one process for each of the settings; each has a folder of its own, as on machines that share none."""
    addresses = _free_addresses(len(each))
    started = []
    for index, settings in enumerate(each):
        cluster = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        started.append(
            subprocess.Popen(
                [sys.executable, "-W", "ignore", "-c", PROGRAM, str(store), f"{folder}-{index}", json.dumps(settings)],
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                cwd=ROOT,
                env={**os.environ, "TF_CONFIG": json.dumps(cluster)},
            )
        )
    try:
        yield started
    finally:
        for process in started:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()


def run_two(store: Path, folder: Path, **settings: Any) -> list[str]:
    """Train with two workers; return the last line of each."""
    with workers(store, folder, settings, settings) as processes:
        lines = [process.communicate(timeout=100)[0].splitlines()[-1] for process in processes]
        assert [process.returncode for process in processes] == [0, 0], lines
    return lines


def wait_for_step(process: subprocess.Popen[str], step: int) -> None:
    assert process.stdout is not None
    assert any(line.strip().isdigit() and int(line) >= step for line in process.stdout)


def test_two_workers_have_the_bits_of_one_process_also_through_a_resume(small: Path, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"steps": 1000, "batch_size": 33, "validate_every": 150}
    assert run_two(small, tmp_path / "calm", **settings) == ["resumed 0"] * 2
    train(small, tmp_path / "single", **settings)
    assert outputs(tmp_path / "single") == outputs(tmp_path / "calm-0")
    run_two(small, tmp_path / "cut", **settings | {"steps": 500})
    # The chief sends the step to the other worker, which has no checkpoint.
    assert run_two(small, tmp_path / "cut", **settings) == ["resumed 500"] * 2
    assert outputs(tmp_path / "calm-0") == outputs(tmp_path / "cut-0")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["calm-0", "cut-0", "single"]  # the others write nothing


def test_one_process_resumes_from_two_workers_and_the_reverse(small: Path, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"steps": 90, "batch_size": 33, "optimizer": "nesterov", "ema": 0.9, "select": "best"}
    train(small, tmp_path / "cut-0", **settings | {"steps": 30})
    assert run_two(small, tmp_path / "cut", **settings | {"steps": 60}) == ["resumed 30"] * 2
    assert train(small, tmp_path / "cut-0", **settings).resumed_from == 60
    train(small, tmp_path / "calm", **settings)
    assert outputs(tmp_path / "calm") == outputs(tmp_path / "cut-0")


@pytest.mark.exhaustive
@pytest.mark.parametrize("optimizer", ["momentum", "adam"])
def test_an_optimizer_with_slots_resumes_on_all_workers(small: Path, tmp_path: Path, optimizer: str) -> None:
    settings: dict[str, Any] = {"steps": 60, "optimizer": optimizer, "select": "best", "validate_every": 20}
    run_two(small, tmp_path / "cut", **settings | {"steps": 40})
    assert run_two(small, tmp_path / "cut", **settings) == ["resumed 40"] * 2
    train(small, tmp_path / "single", **settings)
    assert outputs(tmp_path / "single") == outputs(tmp_path / "cut-0")


@pytest.mark.exhaustive
def test_killed_workers_resume_as_one_process_to_the_same_bits(small: Path, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"steps": 10**6, "batch_size": 10, "checkpoint_every": 100, "validate_every": 250}
    with workers(small, tmp_path / "run", settings, settings) as processes:
        wait_for_step(processes[0], 600)
    settings["steps"] = 3000
    assert train(small, tmp_path / "run-0", **settings).resumed_from >= 100
    train(small, tmp_path / "calm", **settings)
    assert outputs(tmp_path / "run-0") == outputs(tmp_path / "calm")


@pytest.mark.exhaustive
@pytest.mark.parametrize("killed", [0, 1])
def test_the_others_end_when_a_worker_is_killed_and_all_resume_when_started_again(
    small: Path, tmp_path: Path, killed: int
) -> None:
    settings: dict[str, Any] = {"steps": 10**6, "batch_size": 10, "checkpoint_every": 100}
    with workers(small, tmp_path / "run", settings, settings) as processes:
        wait_for_step(processes[killed], 400)
        processes[killed].kill()
        at = time.monotonic()
        last = processes[1 - killed].communicate(timeout=60)[0]
        assert time.monotonic() - at < 60
        # Where the process that coordinates the others dies, TensorFlow may be the one that ends them.
        assert processes[1 - killed].returncode == WORKER_LOST, last[-2000:]
        assert "start all workers again" in last
    steps = 20_000
    resumed = run_two(small, tmp_path / "run", **settings | {"steps": steps})[0].split()
    assert int(resumed[1]) >= 100


@pytest.mark.exhaustive
def test_a_signal_to_one_worker_ends_all_at_the_same_step(small: Path, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"steps": 10**6, "batch_size": 10}
    with workers(small, tmp_path / "run", settings, settings) as processes:
        wait_for_step(processes[1], 100)
        processes[1].send_signal(signal.SIGTERM)
        said = [process.communicate(timeout=60)[0].splitlines() for process in processes]
        assert [process.returncode for process in processes] == [143, 143], [lines[-3:] for lines in said]
    assert said[0][-1] == said[1][-1]
    reached = re.fullmatch(r"interrupted at step ([\d,]+); the same call resumes from there", said[0][-1])
    assert reached, said[0][-1]
    assert list((tmp_path / "run-0" / "checkpoints").glob(f"*/step-{int(reached[1].replace(',', '')):08}"))


@pytest.mark.exhaustive
def test_a_worker_that_would_train_something_else_says_so(small: Path, tmp_path: Path) -> None:
    with workers(small, tmp_path / "run", {"seed": 0}, {"seed": 7}) as processes:
        said = [process.communicate(timeout=60)[0] for process in processes]
        assert [process.returncode for process in processes] == [WORKER_LOST, 5], said
    assert "worker 1 would train something else than the chief: seed 0 → 7" in said[1]


@pytest.mark.exhaustive
@pytest.mark.parametrize("alone", [0, 1])
def test_a_worker_whose_partner_never_starts_names_it_and_gives_up(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, alone: int
) -> None:
    monkeypatch.setenv("MNIST_WORKERS_PATIENCE", "0.5")
    with workers(small, tmp_path / "run", {}, {}) as processes:
        processes[1 - alone].kill()
        said = processes[alone].communicate(timeout=60)[0]
        assert processes[alone].returncode == WORKER_LOST, said
    assert "expected every worker to start within 0.5 s; no answer from 127.0.0.1:" in said


@pytest.fixture(scope="module")
def prepared(real_mnist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prepared")
    process = start_process("run", "--to", "preprocess", "--mirror", str(real_mnist), cwd=folder)
    said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    return folder


@pytest.mark.exhaustive
def test_local_workers_train_on_real_mnist_and_publish_one_model(prepared: Path, tmp_path: Path) -> None:
    process = start_process("train", "--workers", "2", "--json", cwd=prepared)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert json.loads(out)["stages"][0]["ran"]
    train(prepared / "artifacts" / "preprocess" / "store.h5", tmp_path)
    assert outputs(tmp_path) == outputs(prepared / "artifacts" / "train")
    again = start_process("verify", "--rerun", cwd=prepared)
    assert "; training again gives the same bits" in again.communicate(timeout=120)[0]
    again = start_process("train", "--workers=2", cwd=prepared)
    assert "nothing to do" in again.communicate(timeout=60)[0]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_local_workers_with_a_checkpoint(prepared: Path, number: signal.Signals, code: int) -> None:
    checkpoints = prepared / "artifacts" / "train" / "checkpoints"
    before = set(checkpoints.glob("*/step-*"))
    process = start_process(
        "train", "--workers", "2", "--steps", "5000000", "--set", "train.checkpoint_every=200", cwd=prepared
    )
    end = time.monotonic() + 60
    while set(checkpoints.glob("*/step-*")) <= before and time.monotonic() < end:
        time.sleep(0.05)
    process.send_signal(number)
    said = process.communicate(timeout=60)
    assert process.returncode == code, said
    reached = max(int(path.name.removeprefix("step-")) for path in checkpoints.glob("*/step-*"))
    command = "mnist train --workers 2 --steps 5000000 --set train.checkpoint_every=200"
    assert f"run '{command}' to resume from step {reached:,}" in said[1]


@pytest.mark.exhaustive
@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
def test_local_workers_end_with_a_checkpoint_when_the_process_that_started_them_is_killed(prepared: Path) -> None:
    checkpoints = prepared / "artifacts" / "train" / "checkpoints"
    settings = ("--steps", "5000000", "--seed", "4")
    process = start_process("train", "--workers", "2", *settings, cwd=prepared)
    assert process.stderr is not None
    # It runs as soon as it says so.
    assert any("steps/s" in line or "checkpoints of another run" in line for line in process.stderr)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert len(children) == 2
    process.kill()
    process.wait()
    end = time.monotonic() + 60
    while any(is_running(int(child)) for child in children) and time.monotonic() < end:
        time.sleep(0.05)
    assert not any(is_running(int(child)) for child in children)
    process.communicate()
    assert list(checkpoints.glob("*/step-*"))


def is_running(number: int) -> bool:
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


WITHOUT_NETWORK = """
import mnist_cli.cli.workers
from mnist_cli.__main__ import main

mnist_cli.cli.workers.make_network = lambda: None
main()
"""


def test_without_a_network_of_their_own_workers_are_replicas_of_one_process_with_the_same_bits(
    prepared: Path, tmp_path: Path
) -> None:
    shutil.copytree(prepared / "artifacts" / "preprocess", tmp_path / "artifacts" / "preprocess")
    shutil.copytree(prepared / "artifacts" / "fetch", tmp_path / "artifacts" / "fetch")
    command = [sys.executable, "-c", WITHOUT_NETWORK, "train", "--workers", "3", "--steps", "60"]
    # A TF_CONFIG is none of its business.
    variables = environment({"TF_CONFIG": json.dumps(TF_CONFIG)})
    done = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    notes = [line for line in done.stderr.splitlines() if line.startswith("note: ")]
    assert notes == [
        "note: this system allows no private network: one process trains as 3 replicas, with the same bits"
    ]
    train(prepared / "artifacts" / "preprocess" / "store.h5", tmp_path / "single", steps=60)
    assert outputs(tmp_path / "single") == outputs(tmp_path / "artifacts" / "train")


def children_of(process: subprocess.Popen[str], count: int) -> list[int]:
    """Wait until a process has started a number of processes, and return them."""
    path = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if len(found := path.read_text().split()) == count:
            return [int(number) for number in found]
        time.sleep(0.02)
    raise AssertionError(f"expected {count} children of {process.pid}; received {found}")


def state_of(number: int) -> str:
    return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.05)


# TensorFlow would take workers that were silent for so long for lost.
@pytest.mark.parametrize("seconds", [0, pytest.param(45, marks=pytest.mark.exhaustive)])
@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
def test_local_workers_are_stopped_and_go_on_together_in_a_network_that_nobody_else_is_in(
    prepared: Path, seconds: float
) -> None:
    checkpoints = prepared / "artifacts" / "train" / "checkpoints"
    settings = ("--steps", "5000000", "--set", "train.checkpoint_every=200", "--seed", "5")
    process = start_process("train", "--workers", "2", *settings, cwd=prepared)
    try:
        before = set(checkpoints.glob("*/step-*"))
        wait_until(lambda: not set(checkpoints.glob("*/step-*")) <= before)
        workers = children_of(process, 2) if make_network() else children_of(process, 1)
        networks = {Path(f"/proc/{number}/ns/net").readlink() for number in workers}
        assert len(networks) == 1
        assert len(workers) == 1 or networks != {Path("/proc/self/ns/net").readlink()}
        process.send_signal(signal.SIGTSTP)  # as Ctrl-Z does
        wait_until(lambda: [state_of(number) for number in (process.pid, *workers)] == ["T"] * (1 + len(workers)))
        time.sleep(seconds)
        process.send_signal(signal.SIGCONT)  # as fg does
        stopped = set(checkpoints.glob("*/step-*"))
        wait_until(lambda: not set(checkpoints.glob("*/step-*")) <= stopped)
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=60)[1]
        assert process.returncode == 130, said
        assert said.count("error: interrupted") == 1, said
    finally:
        process.kill()
        process.communicate()


def test_local_workers_run_no_file_of_the_current_folder(prepared: Path, tmp_path: Path) -> None:
    marker = hostile_folder(tmp_path)
    command = [sys.executable, "-P", "-m", "mnist_cli", "train", "--workers", "2", "--steps", "20"]
    command += ["--artifacts", str(prepared / "artifacts")]
    # What they read by themselves is hostile too.
    variables = dict.fromkeys(("http_proxy", "https_proxy", "grpc_proxy"), "http://127.0.0.1:9")
    done = subprocess.run(
        command, cwd=tmp_path, env=environment(variables), capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert not marker.exists(), marker.read_text()


LOST_AT_THE_START = """
import sys
from mnist_cli.learning.distributed.rendezvous import listen
from mnist_cli.learning.distributed.setting import shared_secret

own, chief = sys.argv[1:]
print(listen(own, chief, shared_secret([chief, own]), 100))
"""


@pytest.mark.parametrize(
    ("number", "code"),
    [pytest.param(None, WORKER_LOST, marks=pytest.mark.exhaustive), (signal.SIGTERM, 143), (signal.SIGINT, 130)],
)
def test_a_chief_whose_partner_is_lost_before_tensorflow_starts_ends_in_time_and_at_a_signal(
    synthetic: Path, number: signal.Signals | None, code: int
) -> None:
    addresses = _free_addresses(2)
    cluster = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": 0}}
    variables = {"TF_CONFIG": json.dumps(cluster), "MNIST_WORKERS_PATIENCE": "30"}
    chief = start_process("train", "--force", cwd=synthetic, variables=variables)
    try:
        command = [sys.executable, "-c", LOST_AT_THE_START, addresses[1], addresses[0]]
        met = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=120)
        assert met.stdout == "train\n", met.stderr
        at = time.monotonic()
        if number is not None:
            time.sleep(2)  # it waits in TensorFlow, or soon will
            chief.send_signal(number)
        said = chief.communicate(timeout=60)
        assert chief.returncode == code, said
        assert time.monotonic() - at < (45 if number is None else 10)
        word = "expected TensorFlow to start in every worker within 30 s" if number is None else "interrupted"
        assert word in said[1]
        assert "in a network that you trust" in said[1]
    finally:
        chief.kill()
        chief.communicate()


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder where synthetic digits are ready, with a configuration that says so."""
    folder = tmp_path_factory.mktemp("synthetic")
    (folder / "pipeline.yaml").write_text(
        "dataset: synthetic\ntrain: {steps: 20, strategy: multiworker, device: cpu}\n"
    )
    process = start_process("run", "--to", "preprocess", "--set", "train.strategy=single", cwd=folder)
    said = process.communicate(timeout=100)
    assert process.returncode == 0, said
    return folder


def mnist_pair(folder: Path, *artifacts: str) -> list[tuple[int, str]]:
    """Run `mnist train` as two workers, each on its artifacts; return the exit code and the last line of each."""
    addresses = _free_addresses(2)
    processes = []
    for index, name in enumerate(artifacts):
        cluster = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        variables = {"TF_CONFIG": json.dumps(cluster), "MNIST_WORKERS_PATIENCE": "50"}
        processes.append(start_process("train", "--artifacts", name, cwd=folder, variables=variables))
    try:
        said = [process.communicate(timeout=100) for process in processes]
    finally:
        for process in processes:
            process.kill()
    codes = [process.returncode for process in processes]
    return [(code, out.splitlines()[-1] if out else err) for code, (out, err) in zip(codes, said, strict=True)]


@pytest.mark.exhaustive
def test_workers_of_a_chief_that_has_nothing_to_do_end_too(synthetic: Path) -> None:
    shutil.copytree(synthetic / "artifacts", synthetic / "other")
    done = (0, "done: this worker's share; the chief publishes the model")
    assert mnist_pair(synthetic, "artifacts", "other")[1] == done
    ours = (0, "nothing to do: up to date (--force runs it anyway)")
    theirs = (0, "nothing to do: the chief's model is up to date")
    assert mnist_pair(synthetic, "artifacts", "other") == [ours, theirs]
    # What lies in a worker's own folder does not matter.
    assert mnist_pair(synthetic, "artifacts", "artifacts") == [ours, theirs]
    assert mnist_pair(synthetic, "other", "artifacts")[1] == done


@pytest.mark.parametrize(("device", "hidden"), [("cpu", [([], "GPU")]), ("auto", [])])
def test_on_the_cpu_tensorflow_is_told_to_see_no_gpu_before_it_looks_for_devices(
    monkeypatch: pytest.MonkeyPatch, device: str, hidden: list[Any]
) -> None:
    import tensorflow as tf

    from mnist_cli.learning.distributed.cluster import Cluster

    class Looked(Exception):
        pass

    def look(*_: object) -> None:
        raise Looked

    calls: list[Any] = []
    monkeypatch.setenv(
        "TF_CONFIG", json.dumps({"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 0}})
    )
    monkeypatch.setattr(tf.config, "set_visible_devices", lambda *arguments: calls.append(arguments))
    monkeypatch.setattr(tf.distribute, "MultiWorkerMirroredStrategy", look)
    with pytest.raises(Looked):
        Cluster(device)
    assert calls == hidden


TF_CONFIG = {"cluster": {"chief": ["a:1"], "worker": ["b:1", "c:1"]}, "task": {"type": "worker", "index": 1}}


def test_tf_config_says_which_worker_this_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_CONFIG", json.dumps(TF_CONFIG))
    worker = this_worker()
    assert (worker.index, worker.count, worker.is_chief) == (2, 3, False)
    monkeypatch.setenv("TF_CONFIG", json.dumps(TF_CONFIG | {"task": {"type": "chief", "index": 0}}))
    assert this_worker().is_chief


def test_slurm_says_which_worker_this_is_where_tf_config_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TF_CONFIG", raising=False)
    slurm = {"PROCID": "3", "STEP_NUM_TASKS": "4", "STEP_NODELIST": "n[1-2]", "STEP_TASKS_PER_NODE": "2(x2)"}
    for name, value in slurm.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    worker = this_worker()
    assert (worker.index, worker.count, worker.source) == (3, 4, "Slurm")
    from mnist_cli.learning.distributed.cluster import _resolver

    resolver = _resolver(worker)
    assert (resolver.task_type, resolver.task_id) == ("worker", 3)
    assert resolver.cluster_spec().as_dict() == {"worker": ["n1:8888", "n1:8889", "n2:8888", "n2:8889"]}


@pytest.mark.parametrize(
    "text", ["{", "[]", "{}", json.dumps(TF_CONFIG | {"task": {"type": "ps", "index": 0}}), '{"cluster": 3}']
)
def test_an_invalid_tf_config_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ConfigError, match="TF_CONFIG: expected"):
        this_worker()


def test_without_a_word_on_the_workers_training_is_refused(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TF_CONFIG", "SLURM_PROCID"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigError, match="expected TF_CONFIG, or Slurm"):
        train(small, tmp_path, strategy="multiworker")


def test_several_stages_at_once_are_refused_under_multiworker(prepared: Path) -> None:
    process = start_process("run", "--strategy", "multiworker", cwd=prepared)
    assert "several processes share 'train'" in process.communicate(timeout=60)[1]
    assert process.returncode == 3


CHIEF = """
import pathlib, signal, sys, time

def stop(*_):
    print('{"error": "interrupted"}', flush=True)
    sys.exit(143)

signal.signal(signal.SIGTERM, stop)
pathlib.Path("ready").touch()
while pathlib.Path("wait").exists():
    time.sleep(0.01)
print('{"stages": []}')
"""
LOST = """
import os, pathlib, signal, time

while not pathlib.Path("ready").exists():
    time.sleep(0.01)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def stand_ins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[int, str]:
    """Programs, by number, that are started in the place of the workers."""
    programs = {0: CHIEF, 1: ""}
    started = iter(range(len(programs)))

    def start(
        _options: object, _variables: object, _network: object, output: Any, errors: Any
    ) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", programs[next(started)]]
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=errors)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(local_workers, "_start", start)
    monkeypatch.setattr(local_workers, "_NOTICE", 0.1)
    monkeypatch.setattr(local_workers, "_GRACE", 5)
    monkeypatch.setattr(local_workers, "make_network", list)
    return programs


def unexpected(text: str) -> None:
    pytest.fail(f"there is nothing to say; received {text}")


def test_the_document_of_local_workers_is_the_chiefs(
    stand_ins: dict[int, str], capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="0"):
        run_workers(2, unexpected, as_json=True)
    assert json.loads(capfd.readouterr().out) == {"stages": []}


def test_a_chief_that_is_ended_for_a_lost_worker_prints_no_document_of_its_own(
    stand_ins: dict[int, str], capfd: pytest.CaptureFixture[str]
) -> None:
    stand_ins[1] = LOST
    Path("wait").touch()
    with pytest.raises(WorkerLost, match="worker 1 of 2 ended with signal SIGKILL"):
        run_workers(2, unexpected, as_json=True)
    assert capfd.readouterr().out == ""


def test_a_lost_worker_is_named_even_if_the_chief_only_reports_a_loss(
    stand_ins: dict[int, str], capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_workers, "_NOTICE", 10)
    stand_ins[0] = "import pathlib, sys, time\npathlib.Path('ready').touch()\ntime.sleep(0.5)\nsys.exit(9)"
    stand_ins[1] = LOST
    with pytest.raises(SystemExit, match="9"):
        run_workers(2, unexpected)
    assert "note: worker 1 of 2 ended with signal SIGKILL" in capfd.readouterr().err


SAYS = (
    "import sys, time; sys.stderr.write('error: {text}\\n'); sys.stderr.flush(); time.sleep({wait}); sys.exit({code})"
)


@pytest.mark.parametrize(
    ("chief", "other", "said"),
    [
        ((5, "no store", 0.3), (5, "no store", 0), ["error: no store"]),
        ((9, "another worker ended", 0.3), (9, "another worker ended", 0), ["error: another worker ended"]),
        # The chief only knows that somebody is gone; the one that is gone knows why.
        ((9, "another worker ended", 1), (5, "no memory", 0), ["error: another worker ended", "error: no memory"]),
        ((0, "", 0), (5, "no memory", 0), ["error: no memory"]),
    ],
    ids=["the-same", "a-loss", "a-reason", "only-the-other"],
)
def test_workers_report_an_error_once(
    stand_ins: dict[int, str],
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    chief: tuple[int, str, float],
    other: tuple[int, str, float],
    said: list[str],
) -> None:
    monkeypatch.setattr(local_workers, "_NOTICE", 5)
    for number, (code, text, wait) in enumerate((chief, other)):
        stand_ins[number] = SAYS.format(text=text, wait=wait, code=code) if text else ""
    with pytest.raises((SystemExit, WorkerLost)):
        run_workers(2, unexpected)
    assert sorted(capfd.readouterr().err.splitlines()) == sorted(said)


@pytest.mark.parametrize("chief_reports", [True, False])
def test_one_process_reports_a_signal(
    stand_ins: dict[int, str], capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, chief_reports: bool
) -> None:
    waits = "import pathlib, time; pathlib.Path('ready').touch(); time.sleep(60)"
    stand_ins |= {0: CHIEF if chief_reports else waits, 1: "import time; time.sleep(60)"}
    Path("wait").touch()

    def signalled(_workers: object) -> None:
        end = time.monotonic() + 30
        while not Path("ready").exists() and time.monotonic() < end:
            time.sleep(0.01)
        raise Interrupted(signal.SIGTERM)

    monkeypatch.setattr(local_workers, "_watch", signalled)
    # If the chief reports the signal, the command just ends; else it reports the signal itself.
    with pytest.raises(SystemExit if chief_reports else Interrupted):
        run_workers(2, unexpected)
    assert ("interrupted" in capfd.readouterr().out) == chief_reports


@pytest.mark.parametrize(("task", "tasks"), [("x", "2"), ("2", "2"), ("-1", "2"), ("0", "")])
def test_senseless_variables_of_slurm_are_a_mistake_of_the_configuration(
    monkeypatch: pytest.MonkeyPatch, task: str, tasks: str
) -> None:
    monkeypatch.delenv("TF_CONFIG", raising=False)
    monkeypatch.setenv("SLURM_PROCID", task)
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", tasks)
    with pytest.raises(ConfigError, match="SLURM_PROCID and SLURM_STEP_NUM_TASKS"):
        this_worker()
