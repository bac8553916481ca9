"""How long an export takes without its verification, and how long one image takes in what it runs in."""

from __future__ import annotations

from benchmarks.figures import Row, Spread, Target, costs_of, ratio_row
from benchmarks.measure import BenchmarkError, Entrant, Sample
from benchmarks.setting import Result, Setting

# Target of `mnist export` → the words behind --to.
_WITHOUT_TENSORFLOW = ("onnx", "web", "c")
_MAPS = {"pixels": (), "scat1": ("--map", "scat1", "--set", "features.deskew=true")}


def whole_process(setting: Setting) -> Result:
    """`mnist export` of the tutorial's model, whole processes; what the verification took is taken off."""
    tree = setting.finished_tree()
    names = (*_WITHOUT_TENSORFLOW, "litert")
    given = ("--force", "--json", *setting.data.dataset)
    commands = [
        Entrant(f"mnist export --to {to}", (*setting.mnist, "export", "--to", to, *given), tree) for to in names
    ]
    peer = Entrant("import tensorflow", setting.python("-c", "import tensorflow"), tree)
    samples = setting.race(*commands, peer)
    seconds = {each.name: [_without_verification(each.name, one) for one in samples[each.name]] for each in commands}
    rows = [
        Row(f"`{each.name}`, without verifying", "s", Spread.of(seconds[each.name]), target=Target(high=1.0))
        for each in commands[:-1]
    ]
    imported = [sample.seconds for sample in samples[peer.name]]
    what = f"`{commands[-1].name}`, without verifying / `{peer.name}`"
    rows.append(ratio_row(what, "s", seconds[commands[-1].name], imported, Target(high=2.0)))
    return Result(rows, costs_of(samples))


def one_image(setting: Setting) -> Result:
    """One image on one core: C, onnxruntime and LiteRT, of pixels and of scattering."""
    rows, costs = [], []
    for name, options in _MAPS.items():
        tree = setting.scratch / name
        tree.mkdir()
        setting.run((*setting.mnist, "run", *options, *setting.data.options), tree)
        for to in ("c", "onnx", "litert"):
            setting.run((*setting.mnist, "export", "--to", to, *setting.data.dataset), tree)
        program = setting.program(f"one image, {name}", "programs.exported", str(tree / "artifacts"))
        samples = setting.race(program)
        found = [_microseconds(program.name, sample) for sample in samples[program.name]]
        rows += [Row(f"one image, {name}: {to}", "µs", Spread.of([one[to] for one in found])) for to in found[0]]
        costs += costs_of(samples)
    return Result(rows, costs)


def _without_verification(name: str, sample: Sample) -> float:
    """Return the seconds of a process less those that it verified for.

    Raises:
        BenchmarkError: it did not tell, or could not verify.
    """
    try:
        return sample.seconds - float(sample.document()["verified"]["seconds"])
    except (KeyError, TypeError, ValueError) as error:
        raise BenchmarkError(f"{name}: it was not verified: {error!r}") from error


def _microseconds(name: str, sample: Sample) -> dict[str, float]:
    try:
        return {to: float(value) for to, value in sample.document()["microseconds"].items()}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BenchmarkError(f"{name}: no times can be read: {error!r}") from error
