"""Experiments of a store, for a person at a prompt."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from ..errors import ExperimentError


def print_experiments(connection: Any, console: Console) -> None:
    """List all experiments of a ``sigopt.Connection``."""
    table = Table(box=None)
    for name in ("id", "name", "state", "observations", "budget"):
        table.add_column(name)
    for experiment in connection.experiments().fetch().iterate_pages():
        done = experiment.progress.observation_count if experiment.progress else 0
        budget = experiment.observation_budget
        table.add_row(
            str(experiment.id),
            experiment.name,
            experiment.state,
            str(done),
            "–" if budget is None else str(budget),
        )
    if table.row_count:
        console.print(table)
    else:
        console.print("There are no experiments in this store.")


def print_experiment(connection: Any, experiment_id: str, console: Console) -> None:
    """Show one experiment: settings, best assignments, observations.

    Raises:
        ExperimentError: There is none with that id.
    """
    experiments = connection.experiments().fetch().iterate_pages()
    experiment = next((e for e in experiments if str(e.id) == experiment_id), None)
    if experiment is None:
        raise ExperimentError(
            f"There is no experiment {experiment_id!r} in this store.",
            "`nc-sigopt experiments list` names the ones there; --storage chooses the store.",
        )
    console.print(f"experiment {experiment.id}: {experiment.name} ({experiment.state})")
    for metric in experiment.metrics or ():
        parts = [metric.name, metric.strategy, metric.objective]
        if metric.threshold is not None:
            parts.append(f"threshold {metric.threshold:.6g}")
        console.print("  metric " + ", ".join(str(part) for part in parts if part))
    console.print(f"  {len(experiment.parameters)} parameters")
    best = list(connection.experiments(experiment_id).best_assignments().fetch().iterate_pages())
    if best:
        console.print("best: " + _values(best[0].values))
        for name, value in sorted(dict(best[0].assignments).items()):
            console.print(f"  {name} = {value}", markup=False, highlight=False)
    else:
        console.print("best: none yet")
    table = Table(box=None)
    for name in ("observation", "suggestion", "values"):
        table.add_column(name)
    for observation in (
        connection.experiments(experiment_id).observations().fetch().iterate_pages()
    ):
        shown = "failed" if observation.failed else _values(observation.values)
        table.add_row(str(observation.id), str(observation.suggestion), shown)
    console.print(table)


def _values(values: Any) -> str:
    return ", ".join(f"{value.name} {value.value:.6g}" for value in values or ())
