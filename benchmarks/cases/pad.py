"""How many drawings on the pad of the report the default model reads right."""

from __future__ import annotations

from benchmarks.drawings import SMALL
from benchmarks.figures import Row, Spread, Target
from benchmarks.measure import BenchmarkError
from benchmarks.setting import Result, Setting


def drawings(setting: Setting) -> Result:
    """180 drawings made with the mouse in Chromium: the share that is right, of all and of the small ones."""
    tree = setting.finished_tree()
    setting.run((*setting.mnist, "report", *setting.data.dataset), tree)
    artifacts = tree / "artifacts"
    program = setting.program("pad", "programs.pad", str(artifacts / "report.html"), str(artifacts / "train/model.h5"))
    document = setting.run(program.argv, program.folder or tree).document()
    try:
        right, drawn = document["right"], document["drawn"]
        shares = {
            what: (100 * sum(right.get(manner, 0) for manner in manners) / sum(drawn[manner] for manner in manners))
            for what, manners in (("all", tuple(drawn)), ("small ones", SMALL))
        }
        alike, total = int(document["as_predict"]), sum(drawn.values())
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise BenchmarkError(f"the drawings of the pad cannot be counted: {error!r}") from error
    targets = {"all": Target(low=95), "small ones": Target(low=90)}
    rows = [
        Row(
            f"drawings on the pad read right, {what}",
            "%",
            Spread.of([share]),
            target=setting.data.target(targets[what]),
        )
        for what, share in shares.items()
    ]
    same = Row(
        "drawings that `predict` reads as the pad does", "%", Spread.of([100 * alike / total]), target=Target(low=100)
    )
    by_manner = ", ".join(f"{manner} {right.get(manner, 0)} of {count}" for manner, count in drawn.items())
    return Result([*rows, same], [], (f"Drawings read right: {by_manner}.",))
