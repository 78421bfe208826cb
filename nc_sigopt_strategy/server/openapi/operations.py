"""Every route of the engine, described: what it takes, what it answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from nc_sigopt_strategy.server.openapi.schemas import QUERY_FLAG, Schema


@dataclass(frozen=True)
class Operation:
    """One verb of one path.

    Attributes:
        summary: What it does, in a sentence.
        answer: Name of the schema of a successful answer.
        body: Name of the schema of the request's body; ``None`` for GET and DELETE.
        query: Query keys to their schemas.
        example: A body that is accepted by an experiment such as the example of the
            experiment's own route makes.
        conflict: Whether 409 can be the answer.
    """

    summary: str
    answer: str
    body: str | None = None
    query: dict[str, Schema] = field(default_factory=dict)
    example: Any = None
    conflict: bool = False


_TIME: Schema = {"type": "integer"}
_MARKER = _TIME
PAGING: dict[str, Schema] = {
    "limit": {"type": "integer", "minimum": 0, "maximum": 1000},
    "before": {**_MARKER, "description": "A page's paging.before: what follows"},
    "after": {**_MARKER, "description": "A page's paging.after: what is newer"},
}
ASCENDING = {"ascending": QUERY_FLAG}
EXPERIMENT_QUERY: dict[str, Schema] = {
    **PAGING,
    **ASCENDING,
    "state": {"enum": ["active", "deleted", "all"]},
    "search": {"type": "string", "description": "Part of the name"},
    "sort": {"enum": ["id", "recent"]},
    "user": {"type": "string"},
    "development": QUERY_FLAG,
    "include_ai": QUERY_FLAG,
    "period_start": {**_TIME, "description": "Created then or later; unix time in seconds"},
    "period_end": {**_TIME, "description": "Created before; unix time in seconds"},
}
_EXPERIMENT: dict[str, Any] = {
    "name": "An experiment",
    "parameters": [
        {"name": "rate", "type": "double", "bounds": {"min": 0.001, "max": 1.0}},
        {"name": "depth", "type": "int", "bounds": {"min": 1, "max": 9}},
        {"name": "kind", "type": "categorical", "categorical_values": ["a", "b", "c"]},
    ],
    "metrics": [
        {"name": "accuracy", "objective": "maximize", "strategy": "constraint", "threshold": 0.9},
        {"name": "latency", "objective": "minimize", "strategy": "optimize"},
    ],
    "observation_budget": 30,
    "parallel_bandwidth": 2,
    "metadata": {"owner": "somebody", "rank": 1},
}
_ASSIGNMENTS = {"rate": 0.1, "depth": 3, "kind": "b"}
_OBSERVATION: dict[str, Any] = {
    "assignments": _ASSIGNMENTS,
    "values": [
        {"name": "accuracy", "value": 0.91, "value_stddev": 0.01},
        {"name": "latency", "value": 12.5},
    ],
    "metadata": {"host": "a"},
}
_FAILED = {"assignments": _ASSIGNMENTS, "failed": True}

_CREATE_EXPERIMENT = Operation(
    "Create an experiment", "Experiment", "NewExperiment", example=_EXPERIMENT
)
_LIST_EXPERIMENTS = Operation(
    "List experiments, newest first", "ExperimentPage", query=EXPERIMENT_QUERY
)

OPERATIONS: dict[str, dict[str, Operation]] = {
    "tokens/self": {"GET": Operation("The caller's own token", "Token")},
    "organizations/{int}": {"GET": Operation("The organization", "Organization")},
    "clients/{int}": {"GET": Operation("The client", "Client")},
    "clients/{int}/projects": {
        "GET": Operation(
            "List projects",
            "ProjectPage",
            query={
                **PAGING,
                "deleted": QUERY_FLAG,
                "user": {"type": "string"},
                "sort": {"enum": ["created", "updated"]},
            },
        ),
        "POST": Operation(
            "Create a project",
            "Project",
            "NewProject",
            example={"id": "a-project", "name": "A project", "metadata": None},
            conflict=True,
        ),
    },
    "clients/{int}/projects/{text}": {
        "GET": Operation("A project", "Project"),
        "PUT": Operation(
            "Change a project",
            "Project",
            "ProjectUpdate",
            example={"name": "Another name", "metadata": {"owner": "somebody"}},
        ),
    },
    "clients/{int}/projects/{text}/experiments": {
        "GET": Operation(
            "List the experiments of a project", "ExperimentPage", query=EXPERIMENT_QUERY
        )
    },
    "clients/{int}/tags": {
        "GET": Operation("List tags", "TagPage", query=PAGING),
        "POST": Operation(
            "Create a tag",
            "Tag",
            "NewTag",
            example={"name": "A tag", "color": "#00AAFF"},
            conflict=True,
        ),
    },
    "clients/{int}/experiments": {"GET": _LIST_EXPERIMENTS, "POST": _CREATE_EXPERIMENT},
    "experiments": {"GET": _LIST_EXPERIMENTS, "POST": _CREATE_EXPERIMENT},
    "experiments/{int}": {
        "GET": Operation("An experiment, deleted ones too", "Experiment"),
        "PUT": Operation(
            "Change an experiment",
            "Experiment",
            "ExperimentUpdate",
            example={"name": "Another name", "observation_budget": 40, "metadata": {"rank": 2}},
        ),
        "DELETE": Operation(
            "Take an experiment out of the lists; it is kept",
            "Nothing",
            query={"include_runs": QUERY_FLAG},
        ),
    },
    "experiments/{int}/record": {
        "GET": Operation("The document kept with an experiment; not in SigOpt's API", "Record"),
        "PUT": Operation(
            "Replace the document kept with an experiment; not in SigOpt's API",
            "Record",
            "NewRecord",
            example={"record": {"anything": [1, 2, 3]}},
        ),
    },
    "experiments/{int}/tokens": {
        "POST": Operation("Make a token for looking at an experiment and its runs", "Token")
    },
    "experiments/{int}/best_assignments": {
        "GET": Operation("The best observation, or the Pareto set", "BestAssignmentsPage")
    },
    "experiments/{int}/stopping_criteria": {
        "GET": Operation("Whether to go on", "StoppingCriteria")
    },
    "experiments/{int}/suggestions": {
        "GET": Operation(
            "List suggestions, newest first",
            "SuggestionPage",
            query={
                **PAGING,
                "state": {"enum": ["open"]},
                "deleted": QUERY_FLAG,
                "id": {"type": "string", "description": "Ids with commas between"},
            },
        ),
        "POST": Operation(
            "Ask for a suggestion, or open one with given assignments",
            "Suggestion",
            "NewSuggestion",
            example={"assignments": _ASSIGNMENTS, "metadata": {"host": "a"}},
        ),
        "DELETE": Operation(
            "Take all open suggestions back", "Nothing", query={"state": {"enum": ["open"]}}
        ),
    },
    "experiments/{int}/suggestions/{int}": {
        "GET": Operation("A suggestion", "Suggestion"),
        "PUT": Operation(
            "Change a suggestion's metadata",
            "Suggestion",
            "SuggestionUpdate",
            example={"metadata": {"host": "b"}},
        ),
        "DELETE": Operation("Take an open suggestion back", "Nothing"),
    },
    "experiments/{int}/queued_suggestions": {
        "GET": Operation("List queued suggestions", "QueuedSuggestionPage", query=PAGING),
        "POST": Operation(
            "Queue assignments: they are suggested next",
            "QueuedSuggestion",
            "NewQueuedSuggestion",
            example={"assignments": _ASSIGNMENTS},
        ),
    },
    "experiments/{int}/queued_suggestions/{int}": {
        "GET": Operation("A queued suggestion", "QueuedSuggestion"),
        "DELETE": Operation("Take a queued suggestion back", "Nothing"),
    },
    "experiments/{int}/observations": {
        "GET": Operation(
            "List observations, newest first",
            "ObservationPage",
            query={
                **PAGING,
                **ASCENDING,
                "sort": {
                    "type": "string",
                    "pattern": r"^(id|timestamp|(value|value_stddev)(-[\s\S]*)?"
                    r"|parameter-[\s\S]*)$",
                    "description": "id, timestamp, value, value-NAME, value_stddev, "
                    "value_stddev-NAME or parameter-NAME",
                },
            },
        ),
        "POST": Operation(
            "Report an observation", "Observation", "NewObservation", example=_OBSERVATION
        ),
        "DELETE": Operation(
            "Delete all observations; their suggestions are open again",
            "Nothing",
            query={"no_optimize": QUERY_FLAG},
        ),
    },
    "experiments/{int}/observations/batch": {
        "POST": Operation(
            "Report several observations",
            "ObservationPage",
            "NewObservations",
            example={"observations": [_OBSERVATION, _FAILED], "dry_run": False},
        )
    },
    "experiments/{int}/observations/{int}": {
        "GET": Operation("An observation", "Observation"),
        "PUT": Operation(
            "Change an observation",
            "Observation",
            "ObservationUpdate",
            example={"metadata": {"host": "b"}},
        ),
        "DELETE": Operation(
            "Delete an observation; its suggestion is open again",
            "Nothing",
            query={"no_optimize": QUERY_FLAG},
        ),
    },
}
