"""Too little memory is named as the cause, whatever the message of the library."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mnist_cli import system
from mnist_cli.cli import status
from mnist_cli.memory import memory_failure, require_memory
from tests.support.command_line import environment, mnist
from tests.support.data import write_small_store


def import_error() -> Exception:
    """NumPy wraps the loader's message in advice about installations."""
    try:
        try:
            raise ImportError("libopenblas.so: failed to map segment from shared object")
        except ImportError as error:
            raise ImportError("IMPORTANT: PLEASE READ THIS FOR ADVICE") from error
    except ImportError as error:
        return error


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)),
        import_error(),
        ImportError("libtensorflow_cc.so.2: cannot allocate memory in static TLS block"),
        RuntimeError("std::bad_alloc"),
        RuntimeError("can't start new thread"),
        type("ResourceExhaustedError", (Exception,), {})("OOM when allocating tensor"),
    ],
    ids=repr,
)
def test_memory_is_the_cause(error: Exception) -> None:
    failure = memory_failure(error)
    assert failure is not None
    assert failure.message.startswith("not enough memory")
    assert "pip install" not in str(failure)
    assert "more memory" in str(failure.hint)


@pytest.mark.parametrize("error", [ImportError("No module named 'x'"), OSError(errno.EIO, ""), ValueError("bad_alloc")])
def test_memory_is_not_the_cause(error: Exception) -> None:
    assert memory_failure(error) is None


def test_a_command_without_memory_says_so(empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: object, **_more: object) -> None:
        raise MemoryError

    monkeypatch.setattr(status, "print_statuses", fail)
    told = mnist("status", code=1).err
    assert told.startswith("error: not enough memory\n")
    assert "internal error" not in told


def test_work_that_would_crash_is_refused_with_both_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "address_space_limit", lambda: 1_500_000_000)
    with pytest.raises(Exception, match=r"TensorFlow needs about 2\.0 GB; this process may use 1\.5 GB") as caught:
        require_memory(2_000_000_000, "TensorFlow")
    assert "ulimit -v" in str(caught.value)
    require_memory(1_000_000_000, "less")
    monkeypatch.setattr(system, "address_space_limit", lambda: None)
    require_memory(2_000_000_000, "TensorFlow")


LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[1]) * 1000_000,) * 2)
from mnist_cli.errors import MnistError
from mnist_cli.stages.train import train
try:
    train(sys.argv[2], sys.argv[3])
except MnistError as error:
    print(error)
"""


@pytest.mark.parametrize("megabytes", [400, 1000, 1500, 1900])
def test_training_under_a_limit_names_memory_and_no_installation(tmp_path: Path, megabytes: int) -> None:
    pytest.importorskip("resource")
    store = write_small_store(tmp_path / "store.h5")
    program = [sys.executable, "-c", LIMITED, str(megabytes), str(store), str(tmp_path / "train")]
    # OpenBLAS reserves addresses for each of its threads.
    done = subprocess.run(
        program, env=environment({"OPENBLAS_NUM_THREADS": "1"}), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.startswith("not enough memory: TensorFlow needs about 2.0 GB; this process may use ")
    assert "pip install" not in done.stdout
