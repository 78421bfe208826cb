"""JSON Schemas of what the API answers."""

from __future__ import annotations

from typing import Any

from nc_sigopt_strategy.server.openapi.schemas import FLAG, NUMBER, Schema, closed, nullable, ref

TEXT: Schema = {"type": "string"}
ID: Schema = {"type": "string", "pattern": "^[0-9]+$"}
COUNT: Schema = {"type": "integer", "minimum": 0}
TIME: Schema = {"type": "integer", "minimum": 0, "description": "Unix time in seconds"}
NULL: Schema = {"type": "null"}
_EMPTY_LIST: Schema = {"type": "array", "maxItems": 0}


def document(kind: str | None, optional: tuple[str, ...] = (), **properties: Schema) -> Schema:
    """An object whose keys are all there, except for the optional ones."""
    if kind is not None:
        properties = {"object": {"const": kind}, **properties}
    return closed(properties, *(key for key in properties if key not in optional))


def page_of(name: str) -> Schema:
    """A list of objects, or the part of it that was asked for."""
    return document(
        "pagination",
        count={**COUNT, "description": "Of all there are"},
        data={"type": "array", "items": ref(name), "maxItems": 2500},
        paging=closed({"before": nullable(TEXT), "after": nullable(TEXT)}, "before", "after"),
    )


_VALUES: Schema = {"type": "array", "items": ref("MetricEvaluation")}

ANSWERS: dict[str, Schema] = {
    "Error": {
        "type": "object",
        "properties": {
            "message": {"type": "string"},
            "status": {"type": "integer", "minimum": 301, "maximum": 599},
            "location": {"type": "string", "description": "With 301: where it stands"},
            "token_status": {"enum": ["revoked", "expired", "invalid_permissions"]},
        },
        "required": ["message", "status"],
        "additionalProperties": False,
    },
    "Nothing": closed({}),
    "Token": document(
        "token",
        token=TEXT,
        token_type={"enum": ["client-api", "guest"]},
        client=ID,
        organization=ID,
        user=NULL,
        all_experiments={"type": "boolean"},
        development={"const": False},
        experiment=nullable(ID),
        training_run=nullable(ID),
        permissions={"enum": ["read", "write"]},
        scope={"enum": ["all_endpoints", "shared_experiment"]},
        expires=nullable(TIME),
        lease_length=nullable(COUNT),
        engine={"const": "nc_sigopt_strategy"},
    ),
    "Client": document(
        "client",
        id=ID,
        name=TEXT,
        organization=ID,
        created=TIME,
        client_security={"type": "object"},
    ),
    "Organization": document(
        "organization",
        id=ID,
        name=TEXT,
        created=TIME,
        academic=FLAG,
        email_domains=_EMPTY_LIST,
    ),
    "Project": document(
        "project",
        id=TEXT,
        name=TEXT,
        client=ID,
        user=NULL,
        created=TIME,
        updated=TIME,
        metadata=ref("Metadata"),
        experiment_count=COUNT,
        training_run_count=COUNT,
        deleted=FLAG,
    ),
    "Tag": document("tag", id=ID, name=TEXT, color=TEXT, client=ID),
    "Metric": document(
        "metric",
        name=nullable(TEXT),
        objective={"enum": ["maximize", "minimize"]},
        strategy={"enum": ["optimize", "store", "constraint"]},
        threshold=nullable(NUMBER),
    ),
    "Parameter": document(
        "parameter",
        ("grid",),
        name=TEXT,
        type={"enum": ["double", "int", "categorical"]},
        bounds=nullable(document("bounds", min=NUMBER, max=NUMBER)),
        categorical_values=nullable(
            {
                "type": "array",
                "minItems": 2,
                "items": document(
                    "categorical_value", name=TEXT, enum_index={"type": "integer", "minimum": 1}
                ),
            }
        ),
        conditions=closed({}),
        default_value={"type": ["string", "number", "null"]},
        prior=NULL,
        transformation={"enum": ["log", None]},
        grid={"type": "array", "minItems": 1, "items": {"type": ["number", "string"]}},
    ),
    "Progress": document(
        "progress",
        observation_count=COUNT,
        observation_budget_consumed=NUMBER,
        first_observation=nullable(ref("Observation")),
        last_observation=nullable(ref("Observation")),
        best_observation=nullable(ref("Observation")),
    ),
    "Experiment": document(
        "experiment",
        # One of runs has budget, every other one observation_budget.
        ("budget", "observation_budget"),
        id=ID,
        client=ID,
        name=TEXT,
        type={"enum": ["offline", "random", "grid"]},
        state={"enum": ["active", "deleted"]},
        created=TIME,
        updated=TIME,
        user=NULL,
        development={"const": False},
        runs_only=FLAG,
        project=nullable(TEXT),
        metadata=ref("Metadata"),
        observation_budget=nullable(COUNT),
        budget=nullable(COUNT),
        parallel_bandwidth=nullable(COUNT),
        num_solutions={"enum": [1, None]},
        metrics={"type": "array", "minItems": 1, "items": ref("Metric")},
        parameters={"type": "array", "minItems": 1, "items": ref("Parameter")},
        conditionals=_EMPTY_LIST,
        linear_constraints=_EMPTY_LIST,
        progress=ref("Progress"),
    ),
    "Suggestion": document(
        "suggestion",
        id=ID,
        experiment=ID,
        state={"enum": ["open", "closed"]},
        created=TIME,
        deleted=FLAG,
        assignments=ref("Assignments"),
        metadata=ref("Metadata"),
        number={"type": "integer", "minimum": 1, "description": "Position in the experiment"},
    ),
    "QueuedSuggestion": document(
        "queued_suggestion",
        id=ID,
        experiment=ID,
        created=TIME,
        assignments=ref("Assignments"),
    ),
    "MetricEvaluation": document(
        "metric_evaluation",
        name=nullable(TEXT),
        value=NUMBER,
        value_stddev=nullable({"type": "number", "minimum": 0}),
    ),
    "Observation": document(
        "observation",
        # Without one it was only tried (dry_run).
        id=nullable(ID),
        experiment=ID,
        created=TIME,
        assignments=ref("Assignments"),
        suggestion=nullable(ID),
        failed=FLAG,
        metadata=ref("Metadata"),
        values=_VALUES,
    ),
    "BestAssignments": document(
        "best_assignments",
        id=ID,
        assignments=ref("Assignments"),
        metadata=ref("Metadata"),
        values=_VALUES,
    ),
    "StoppingCriteria": document(
        "stopping_criteria",
        should_stop=FLAG,
        reasons={
            "type": "array",
            "items": {"enum": ["possible_stagnation", "observation_budget_reached"]},
        },
    ),
    "Record": document("record", experiment=ID, record={"type": ["object", "null"]}),
}

_PAGED = (
    "Project", "Tag", "Experiment", "Suggestion", "QueuedSuggestion", "Observation",
    "BestAssignments",
)  # fmt: skip
PAGES: dict[str, Any] = {f"{name}Page": page_of(name) for name in _PAGED}
