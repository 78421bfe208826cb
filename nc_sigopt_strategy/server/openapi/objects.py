"""JSON Schemas of what the API answers."""

from __future__ import annotations

from typing import Any

from nc_sigopt_strategy.server.openapi.schemas import FLAG, NUMBER, Schema, closed, nullable, ref

_TEXT: Schema = {"type": "string"}
_ID: Schema = {"type": "string", "pattern": "^[0-9]+$"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_TIME: Schema = {"type": "integer", "minimum": 0, "description": "Unix time in seconds"}
_NULL: Schema = {"type": "null"}
_EMPTY_LIST: Schema = {"type": "array", "maxItems": 0}


def _document(kind: str | None, optional: tuple[str, ...] = (), **properties: Schema) -> Schema:
    """An object whose keys are all there, except for the optional ones."""
    if kind is not None:
        properties = {"object": {"const": kind}, **properties}
    return closed(properties, *(key for key in properties if key not in optional))


def page_of(name: str) -> Schema:
    """A list of objects, or the part of it that was asked for."""
    return _document(
        "pagination",
        count={**_COUNT, "description": "Of all there are"},
        data={"type": "array", "items": ref(name), "maxItems": 2500},
        paging=closed({"before": nullable(_TEXT), "after": nullable(_TEXT)}, "before", "after"),
    )


_VALUES: Schema = {"type": "array", "items": ref("MetricEvaluation")}

ANSWERS: dict[str, Schema] = {
    "Error": {
        "type": "object",
        "properties": {
            "message": {"type": "string"},
            "status": {"type": "integer", "minimum": 400, "maximum": 599},
            "token_status": {"enum": ["revoked", "invalid_permissions"]},
        },
        "required": ["message", "status"],
        "additionalProperties": False,
    },
    "Nothing": closed({}),
    "Token": _document(
        "token",
        token=_TEXT,
        token_type={"const": "client-api"},
        client=_ID,
        organization=_ID,
        user=_NULL,
        all_experiments={"const": True},
        development={"const": False},
        experiment=_NULL,
        training_run=_NULL,
        permissions={"enum": ["read", "write"]},
        scope=_TEXT,
        expires=_NULL,
        lease_length=_NULL,
        engine={"const": "nc_sigopt_strategy"},
    ),
    "Client": _document(
        "client",
        id=_ID,
        name=_TEXT,
        organization=_ID,
        created=_TIME,
        client_security={"type": "object"},
    ),
    "Organization": _document(
        "organization",
        id=_ID,
        name=_TEXT,
        created=_TIME,
        academic=FLAG,
        email_domains=_EMPTY_LIST,
    ),
    "Project": _document(
        "project",
        id=_TEXT,
        name=_TEXT,
        client=_ID,
        user=_NULL,
        created=_TIME,
        updated=_TIME,
        metadata=ref("Metadata"),
        experiment_count=_COUNT,
        training_run_count={"const": 0},
        deleted=FLAG,
    ),
    "Tag": _document("tag", id=_ID, name=_TEXT, color=_TEXT, client=_ID),
    "Metric": _document(
        "metric",
        name=nullable(_TEXT),
        objective={"enum": ["maximize", "minimize"]},
        strategy={"enum": ["optimize", "store", "constraint"]},
        threshold=nullable(NUMBER),
    ),
    "Parameter": _document(
        "parameter",
        ("grid",),
        name=_TEXT,
        type={"enum": ["double", "int", "categorical"]},
        bounds=nullable(_document("bounds", min=NUMBER, max=NUMBER)),
        categorical_values=nullable(
            {
                "type": "array",
                "minItems": 2,
                "items": _document(
                    "categorical_value", name=_TEXT, enum_index={"type": "integer", "minimum": 1}
                ),
            }
        ),
        conditions=closed({}),
        default_value={"type": ["string", "number", "null"]},
        prior=_NULL,
        transformation={"enum": ["log", None]},
        grid={"type": "array", "minItems": 1, "items": {"type": ["number", "string"]}},
    ),
    "Progress": _document(
        "progress",
        observation_count=_COUNT,
        observation_budget_consumed=NUMBER,
        first_observation=nullable(ref("Observation")),
        last_observation=nullable(ref("Observation")),
        best_observation=nullable(ref("Observation")),
    ),
    "Experiment": _document(
        "experiment",
        id=_ID,
        client=_ID,
        name=_TEXT,
        type={"enum": ["offline", "random", "grid"]},
        state={"enum": ["active", "deleted"]},
        created=_TIME,
        updated=_TIME,
        user=_NULL,
        development={"const": False},
        runs_only={"const": False},
        project=nullable(_TEXT),
        metadata=ref("Metadata"),
        observation_budget=nullable(_COUNT),
        parallel_bandwidth=nullable(_COUNT),
        num_solutions={"enum": [1, None]},
        metrics={"type": "array", "minItems": 1, "items": ref("Metric")},
        parameters={"type": "array", "minItems": 1, "items": ref("Parameter")},
        conditionals=_EMPTY_LIST,
        linear_constraints=_EMPTY_LIST,
        progress=ref("Progress"),
    ),
    "Suggestion": _document(
        "suggestion",
        id=_ID,
        experiment=_ID,
        state={"enum": ["open", "closed"]},
        created=_TIME,
        deleted=FLAG,
        assignments=ref("Assignments"),
        metadata=ref("Metadata"),
        number={"type": "integer", "minimum": 1, "description": "Position in the experiment"},
    ),
    "QueuedSuggestion": _document(
        "queued_suggestion",
        id=_ID,
        experiment=_ID,
        created=_TIME,
        assignments=ref("Assignments"),
    ),
    "MetricEvaluation": _document(
        "metric_evaluation",
        name=nullable(_TEXT),
        value=NUMBER,
        value_stddev=nullable({"type": "number", "minimum": 0}),
    ),
    "Observation": _document(
        "observation",
        # Without one it was only tried (dry_run).
        id=nullable(_ID),
        experiment=_ID,
        created=_TIME,
        assignments=ref("Assignments"),
        suggestion=nullable(_ID),
        failed=FLAG,
        metadata=ref("Metadata"),
        values=_VALUES,
    ),
    "BestAssignments": _document(
        "best_assignments",
        id=_ID,
        assignments=ref("Assignments"),
        metadata=ref("Metadata"),
        values=_VALUES,
    ),
    "StoppingCriteria": _document(
        "stopping_criteria",
        should_stop=FLAG,
        reasons={
            "type": "array",
            "items": {"enum": ["possible_stagnation", "observation_budget_reached"]},
        },
    ),
    "Record": _document("record", experiment=_ID, record={"type": ["object", "null"]}),
}

_PAGED = (
    "Project", "Tag", "Experiment", "Suggestion", "QueuedSuggestion", "Observation",
    "BestAssignments",
)  # fmt: skip
PAGES: dict[str, Any] = {f"{name}Page": page_of(name) for name in _PAGED}
