"""The training loop by itself, and how soon it runs."""

from __future__ import annotations

import statistics
import sys

from benchmarks.figures import Row, Spread, Target, costs_of, ratio_row
from benchmarks.measure import BenchmarkError, Sample
from benchmarks.setting import Result, Setting

_OURS = "training loop of mnist"
_TORCH = "PyTorch eager loop, one thread"
# name → module in benchmarks/peers, and the least that the ratio of examples per second has to be.
_PEERS = {
    "NumPy float32 loop": ("loop_numpy", 0.33),
    "tutorial's loop on tf.compat.v1": ("loop_compat_v1", 1.5),
    "model.fit with a Dense(10) layer": ("loop_keras", 4.0),
    "TensorFlow eager loop": ("loop_tensorflow", 6.0),
    _TORCH: ("loop_torch", 1.2),
}
_TORCH_PROBE = "import numpy, torch; print(torch.__version__)"
# What a softmax regression reaches on MNIST after 1000 steps, and one that is wrong does not.
_LEARNED = 0.9


def examples_per_second(setting: Setting) -> Result:
    """1000 steps of 100 images: the compiled loop against those that people write."""
    store = setting.prepared_tree() / "artifacts" / "preprocess" / "store.h5"
    folder = str(setting.data.folder)
    note, has_torch = _find_torch(setting)
    pythons = {_TORCH: setting.torch_python}
    peers = [
        setting.program(name, f"peers.{module}", folder, python=pythons.get(name, sys.executable))
        for name, (module, _) in _PEERS.items()
        if has_torch or name != _TORCH
    ]
    samples = setting.race(setting.program(_OURS, "programs.training_loop", str(store), folder), *peers)
    rates = {name: [_rate(name, sample, real=setting.data.real) for sample in taken] for name, taken in samples.items()}
    rows = [
        ratio_row(
            f"training loop, 1000×100 / {peer.name}",
            "examples/s",
            rates[_OURS],
            rates[peer.name],
            setting.data.target(Target(low=_PEERS[peer.name][1])),
        )
        for peer in peers
    ]
    return Result(rows, costs_of(samples), (note,))


def time_to_first_step(setting: Setting) -> Result:
    """From the end of TensorFlow's import to the end of the first step, in the train stage."""
    store = setting.prepared_tree() / "artifacts" / "preprocess" / "store.h5"
    ours = setting.program("one step of the train stage", "programs.first_step", str(store))
    samples = setting.race(ours)
    seconds = [_number(ours.name, sample, "seconds") for sample in samples[ours.name]]
    what = "from the end of `import tensorflow` to the end of the first step"
    target = setting.data.target(Target(high=0.5))
    return Result([Row(what, "s", Spread.of(seconds), target=target)], costs_of(samples))


def _find_torch(setting: Setting) -> tuple[str, bool]:
    try:
        version = setting.run((setting.torch_python, "-c", _TORCH_PROBE), setting.scratch).output.strip()
    except BenchmarkError as error:
        reason = str(error).rpartition(": ")[2]
        return f"the loop in PyTorch is left out ({reason}); --torch-python names an interpreter that has it", False
    return f"PyTorch {version}", True


def _rate(name: str, sample: Sample, *, real: bool) -> float:
    """Return the examples per second of the median loop in one process.

    Raises:
        BenchmarkError: the process did not tell, or its loop learned nothing.
    """
    document = sample.document()
    try:
        rate = document["examples"] / statistics.median(document["seconds"])
        accuracy = float(document["accuracy"])
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise BenchmarkError(f"{name}: no examples per second can be read: {error!r}") from error
    if real and not accuracy >= _LEARNED:
        raise BenchmarkError(f"{name}: expected a test accuracy from {_LEARNED:.0%} on; received {accuracy:.2%}")
    return float(rate)


def _number(name: str, sample: Sample, key: str) -> float:
    try:
        return float(sample.document()[key])
    except (KeyError, TypeError, ValueError) as error:
        raise BenchmarkError(f"{name}: no {key} can be read: {error!r}") from error
