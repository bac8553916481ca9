"""`mnist diff [A] [B]`: what differs between two runs, and whether it is more than noise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from mnist_cli.cli.command import command
from mnist_cli.cli.options import option, run_argument
from mnist_cli.cli.session import Session
from mnist_cli.errors import GateFailed
from mnist_cli.runs.names import LATEST, PREVIOUS
from mnist_cli.text import percent, plural, printable, short

if TYPE_CHECKING:
    from mnist_cli.runs.comparison import Change, Comparison
    from mnist_cli.runs.conditions import Condition
    from mnist_cli.runs.mcnemar import PairedTest
    from mnist_cli.stages.stage import Pipeline


def register(app: typer.Typer, pipeline: Pipeline) -> None:
    """Add the command to the application."""
    command(app, pipeline, "diff")(diff)


def diff(
    session: Session,
    first: Annotated[str, run_argument("A", "The run to compare with; default: previous.")] = PREVIOUS,
    second: Annotated[str, run_argument("B", "The run to compare; default: latest.")] = LATEST,
    *,
    fail_if: Annotated[
        list[str] | None,
        option(
            "--fail-if",
            metavar="CONDITION",
            help="Exit with 6 if it holds, for example 'accuracy < -0.002' or 'accuracy < 0 and p < 0.05'; repeatable.",
        ),
    ] = None,
) -> None:
    """Compare two runs: parameters, metrics, and a paired test.

    Name a run by its id or the beginning of it, or as latest, previous or published. McNemar's exact test says whether
    the two models differ by more than chance. In --fail-if, accuracy, cross_entropy, loss, validation_loss and
    validation_accuracy are changes from A to B, and p is the p-value of the test.

    Example: mnist diff previous latest --fail-if 'accuracy < -0.002'
    """
    from mnist_cli.runs.comparison import compare
    from mnist_cli.runs.conditions import holds, parse_condition
    from mnist_cli.runs.runs import find_run

    conditions = [parse_condition(text) for text in fail_if or ()]
    comparison = compare(find_run(session.artifacts, first), find_run(session.artifacts, second), session.artifacts)
    session.output.document(
        first=comparison.first.id,
        second=comparison.second.id,
        same_model=comparison.same_model,
        differences=comparison.differences,
        metrics={change.name: change for change in comparison.changes},
        split=comparison.split,
        paired_test=comparison.test,
        no_paired_test=comparison.no_test,
    )
    _print(session, comparison)
    failed = [condition for condition in conditions if holds(condition, comparison)]
    checked = [{"condition": condition.text, "holds": condition in failed} for condition in conditions]
    session.output.document(conditions=checked)
    if failed:
        raise GateFailed("; ".join(_measured(condition, comparison) for condition in failed))


def _print(session: Session, comparison: Comparison) -> None:
    line, columns = session.output.line, session.output.columns
    line(f"{comparison.first.id} → {comparison.second.id}", bold=True)
    for difference in comparison.differences:
        if difference.kind != "environment" or not comparison.same_model:
            values = " → ".join(_value(value) for value in (difference.first, difference.second))
            columns((printable(difference.name), 28), (values, 0))
    if not comparison.differences:
        line("the same parameters, data, runtime and environment")
    measured = [change for change in comparison.changes if (change.first, change.second) != (None, None)]
    for change in measured:
        where = f" ({comparison.split})" if change.name in ("accuracy", "cross_entropy") and comparison.split else ""
        columns((change.name + where, 28), (_change(change), 0))
    if comparison.same_model:
        line("the same model, to the bit", bold=True)
    else:
        line(_sentence(comparison), bold=True)


def _sentence(comparison: Comparison) -> str:
    """Return the result of the paired test."""
    test = comparison.test
    if test is None:
        return printable(f"no paired test: {comparison.no_test}")
    verdict = "a real difference at the 5 % level" if test.significant else "within noise"
    return (
        f"of {plural(test.examples, f'{test.split} image')}, only {comparison.first.id} gets {test.only_first:,} "
        f"right, only {comparison.second.id} {test.only_second:,}; {_p(test)}: {verdict}"
    )


def _p(test: PairedTest) -> str:
    if test.p < 0.0001:
        return "p < 0.0001"
    return f"p = {test.p:.4f}" if test.p < 0.01 else f"p = {test.p:.2f}"


def _change(change: Change) -> str:
    values = [_metric(change.name, value) for value in (change.first, change.second)]
    if change.amount is None:
        return " → ".join(values)
    if change.amount == 0:
        return f"{values[0]}, the same"
    amount = f"{100 * change.amount:+.2f} points" if change.name.endswith("accuracy") else f"{change.amount:+.4g}"
    return f"{' → '.join(values)}  {amount}"


def _metric(name: str, value: float | None) -> str:
    if value is None:
        return "(not measured)"
    return percent(value) if name.endswith("accuracy") else short(value)


def _value(value: Any) -> str:
    text = "(not used)" if value is None else printable(value)
    return f"{text[:12]}…" if len(text) == 64 else text


def _measured(condition: Condition, comparison: Comparison) -> str:
    """Return a condition that holds, with the measured values."""
    amounts: dict[str, float | None] = {change.name: change.amount for change in comparison.changes}
    amounts["p"] = comparison.test.p if comparison.test else None
    values = dict.fromkeys(part.name for part in condition.parts)
    measured = ", ".join(f"{'p is' if name == 'p' else f'{name} changed by'} {amounts[name]:.4g}" for name in values)
    return f"{measured}, and --fail-if says '{printable(condition.text)}'"
