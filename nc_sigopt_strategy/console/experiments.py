"""Experiments of a store, for a person at a prompt."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from nc_sigopt_strategy.console.cells import accuracy_text
from nc_sigopt_strategy.errors import ExperimentError
from nc_sigopt_strategy.experiments.lease import Lease
from nc_sigopt_strategy.results.metric_names import ACCURACY, LATENCY
from nc_sigopt_strategy.results.run_facts import DIED, RUNNING

FINISHED, PAUSED = "finished", "paused"


def list_rows(connection: Any) -> list[dict[str, Any]]:
    """All experiments of a ``sigopt.Connection`` as JSON-safe data.

    ``begun`` and ``updated`` are local times in ISO 8601; ``state`` is ``state_of``'s. ``best``
    has the values of the best assignments so far by name, in the metrics' own units (latencies in
    seconds); ``None`` while no observation meets all thresholds.
    """
    rows = []
    for experiment in connection.experiments().fetch().iterate_pages():
        best = list(
            connection.experiments(experiment.id).best_assignments().fetch().iterate_pages()
        )
        rows.append(
            {
                "id": str(experiment.id),
                "name": experiment.name,
                "state": state_of(connection, experiment),
                "observations": experiment.progress.observation_count
                if experiment.progress
                else 0,
                "budget": experiment.observation_budget,
                "begun": _local(experiment.created),
                "updated": _local(experiment.updated),
                "best": {value.name: value.value for value in best[0].values} if best else None,
            }
        )
    return rows


def state_of(connection: Any, experiment: Any) -> str:
    """What goes on in an active experiment.

    Returns:
        ``running`` (a worker holds an open suggestion), ``died`` (the worker that held one is
        gone), ``finished`` (its budget is used) or ``paused`` (nobody works on it and some budget
        is left).
    """
    pages = connection.experiments(experiment.id).suggestions().fetch(state="open")
    leases = [Lease.from_metadata(_metadata(open_one)) for open_one in pages.iterate_pages()]
    have_run_out = {lease.has_run_out for lease in leases if lease is not None}
    if False in have_run_out:
        return RUNNING
    if have_run_out:
        return DIED
    done = experiment.progress.observation_count if experiment.progress else 0
    budget = experiment.observation_budget
    return FINISHED if budget is not None and done >= budget else PAUSED


def print_experiments(connection: Any, console: Console) -> None:
    """List all experiments of a ``sigopt.Connection``."""
    _print_store(connection, console)
    table = Table(box=None)
    names = ("id", "name", "state", "observations", "budget", "begun", "accuracy", "ms")
    for name in names:
        table.add_column(name)
    for row in list_rows(connection):
        best = row["best"] or {}
        latency = best.get(LATENCY)
        _add_row(
            table,
            *(row[name] for name in names[:5]),
            _minutes(row["begun"]),
            accuracy_text(best.get(ACCURACY)),
            None if latency is None else f"{1e3 * latency:.3g}",
        )
    if table.row_count:
        console.print(table)
    else:
        _print(console, "There are no experiments in this store.")


def find_experiment(connection: Any, experiment_id: str) -> Any:
    """One experiment of a ``sigopt.Connection``.

    Raises:
        ExperimentError: There is none with that id.
    """
    experiments = connection.experiments().fetch().iterate_pages()
    experiment = next((e for e in experiments if str(e.id) == experiment_id), None)
    if experiment is None:
        raise ExperimentError(
            f"There is no experiment {experiment_id!r} in the store {_store(connection)}.",
            "`nc-sigopt experiments list` names the ones there; --storage chooses the store.",
        )
    return experiment


def experiment_json(connection: Any, experiment_id: str) -> dict[str, Any]:
    """One experiment as SigOpt's API shows it, with ``best_assignments`` and ``observations``.

    Raises:
        ExperimentError: There is none with that id.
    """
    shown: dict[str, Any] = find_experiment(connection, experiment_id).to_json()
    endpoint = connection.experiments(experiment_id)
    for name in ("best_assignments", "observations"):
        pages = getattr(endpoint, name)().fetch().iterate_pages()
        shown[name] = [found.to_json() for found in pages]
    return shown


def print_experiment(connection: Any, experiment_id: str, console: Console) -> None:
    """Show one experiment: settings, best assignments, observations.

    Raises:
        ExperimentError: There is none with that id.
    """
    experiment = find_experiment(connection, experiment_id)
    state = state_of(connection, experiment)
    _print_store(connection, console)
    _print(console, f"experiment {experiment.id}: {experiment.name} ({state})")
    for metric in experiment.metrics or ():
        parts = [metric.name, metric.strategy, metric.objective]
        if metric.threshold is not None:
            parts.append(f"threshold {metric.threshold:.6g}")
        _print(console, "  metric " + ", ".join(str(part) for part in parts if part))
    _print(console, f"  {len(experiment.parameters)} parameters")
    endpoint = connection.experiments(experiment_id)
    best = list(endpoint.best_assignments().fetch().iterate_pages())
    if best:
        _print(console, "best: " + _values(best[0].values))
        for name, value in sorted(dict(best[0].assignments).items()):
            _print(console, f"  {name} = {value}")
    else:
        _print(console, "best: none yet")
    table = Table(box=None)
    for name in ("observation", "suggestion", "proposed by", "measured on", "ratio", "values"):
        table.add_column(name)
    for observation in endpoint.observations().fetch().iterate_pages():
        metadata = _metadata(observation)
        shown = _values(observation.values)
        if observation.failed:
            shown = f"failed: {metadata.get('failure', 'for a reason that was not recorded')}"
        ratio = metadata.get("latency_ratio")
        _add_row(
            table,
            observation.id,
            observation.suggestion,
            metadata.get("origin"),
            metadata.get("machine"),
            None if ratio is None else f"{ratio:.3f}",
            shown,
        )
    console.print(table)


def _local(seconds: float | None) -> str | None:
    if not seconds:
        return None
    return datetime.fromtimestamp(seconds).astimezone().isoformat(timespec="seconds")


def _minutes(moment: str | None) -> str | None:
    return None if moment is None else moment.replace("T", " ")[:16]


def _values(values: Any) -> str:
    return ", ".join(_value(value) for value in values or ())


def _value(value: Any) -> str:
    text = f"{value.name} {value.value:.6g}"
    return text if value.value_stddev is None else f"{text} ± {value.value_stddev:.2g}"


def _metadata(resource: Any) -> Mapping[str, Any]:
    return dict(resource.metadata.to_json()) if resource.metadata is not None else {}


def _store(connection: Any) -> str:
    return str(connection.impl.driver.storage_url)


def _print_store(connection: Any, console: Console) -> None:
    _print(console, f"Store: {_store(connection)}")


def _print(console: Console, line: str) -> None:
    """A line as it is: names and reasons are not markup."""
    console.print(Text(line), soft_wrap=True)


def _add_row(table: Table, *cells: Any) -> None:
    table.add_row(*(Text("–" if cell is None else str(cell)) for cell in cells))
