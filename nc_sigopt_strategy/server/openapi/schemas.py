"""JSON Schemas of what requests bring, as the engine's checks and SigOpt's limits have it."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

# As the engine reads names: outer blanks do not count, 1 to 100 characters, no control ones.
_NAME = r"^\s*[^\s\x00-\x1f]([^\x00-\x1f]{0,%d}[^\s\x00-\x1f])?\s*$"
NAME: Schema = {"type": "string", "pattern": _NAME % 98}
_CATEGORY: Schema = {"type": "string", "pattern": _NAME % 48}
NUMBER: Schema = {"type": "number"}
POSITIVE: Schema = {"type": "integer", "minimum": 1}
BUDGET: Schema = {**POSITIVE, "maximum": 2**31 - 1}
FLAG: Schema = {"type": "boolean"}
# In a query.
QUERY_FLAG: Schema = {"anyOf": [FLAG, {"enum": [0, 1]}]}


def ref(name: str) -> Schema:
    """A reference to a schema of the document."""
    return {"$ref": f"#/components/schemas/{name}"}


def nullable(schema: Schema) -> Schema:
    """The schema, or null."""
    if isinstance(schema.get("type"), str) and "enum" not in schema:
        return {**schema, "type": [schema["type"], "null"]}
    return {"anyOf": [schema, {"type": "null"}]}


def closed(properties: dict[str, Schema], *required: str, **more: Any) -> Schema:
    """An object with no other keys than these."""
    schema = {"type": "object", "properties": properties, "additionalProperties": False, **more}
    if required:
        schema["required"] = list(required)
    return schema


def _parameter(kind: str, value: Schema, **more: Schema) -> Schema:
    bounds = {
        "type": "object",
        "properties": {"min": value, "max": value},
        "required": ["min", "max"],
    }
    common = {"name": NAME, "type": {"const": kind}, "default_value": {}}
    by_bounds = {**common, "bounds": bounds, **more}
    grid = {"type": "array", "items": value, "minItems": 2, "uniqueItems": True}
    by_grid = {**common, "grid": grid, "bounds": {"type": "null"}, **more}
    return {
        "anyOf": [
            {
                "type": "object",
                "properties": by_bounds,
                "required": ["name", "type", "bounds"],
                "not": {"required": ["grid"]},
            },
            {"type": "object", "properties": by_grid, "required": ["name", "type", "grid"]},
        ]
    }


_TRANSFORMATION = {"enum": ["none", "log", None]}
_CATEGORICAL: Schema = {
    "type": "object",
    "properties": {
        "name": NAME,
        "type": {"const": "categorical"},
        "categorical_values": {
            "type": "array",
            "minItems": 2,
            "items": {
                "anyOf": [
                    _CATEGORY,
                    {"type": "object", "properties": {"name": _CATEGORY}, "required": ["name"]},
                ]
            },
        },
        "default_value": {},
    },
    "required": ["name", "type", "categorical_values"],
}
METRIC: Schema = {
    "anyOf": [
        NAME,
        closed(
            {
                "name": nullable(NAME),
                "objective": {"enum": ["maximize", "minimize"]},
                "strategy": {"enum": ["optimize", "store", "constraint"]},
                "threshold": nullable(NUMBER),
            }
        ),
    ]
}
_VALUE: Schema = closed(
    {
        "name": nullable(NAME),
        "value": NUMBER,
        "value_stddev": nullable({"type": "number", "minimum": 0, "maximum": 1e150}),
    },
    "value",
)
_OBSERVATION_KEYS: dict[str, Schema] = {
    "suggestion": {
        "anyOf": [{"type": "string"}, {"type": "integer"}, {"type": "null"}],
        "description": "Id of a suggestion; either this or assignments",
    },
    "assignments": nullable(ref("Assignments")),
    "values": nullable({"type": "array", "items": _VALUE}),
    "failed": nullable(FLAG),
    "metadata": ref("Metadata"),
    "no_optimize": nullable(FLAG),
}

REQUESTS: dict[str, Schema] = {
    "Metadata": {
        "type": ["object", "null"],
        "description": "Kept with the object. Entries that are null are dropped.",
        "maxProperties": 100,
        "propertyNames": {"pattern": _NAME % 98},
        "additionalProperties": {
            "anyOf": [
                {"type": "string", "maxLength": 500},
                {"type": "number"},
                {"type": "null"},
            ]
        },
    },
    "Assignments": {
        "type": "object",
        "description": "A value for every parameter, by its name.",
        "additionalProperties": {"type": ["string", "number"]},
    },
    "NewParameter": {
        "description": "A double or an int with bounds (max above min) or with a grid, or a "
        "categorical. Other keys are ignored.",
        "anyOf": [
            *_parameter("double", NUMBER, transformation=_TRANSFORMATION)["anyOf"],
            *_parameter("int", {"type": "integer"})["anyOf"],
            _CATEGORICAL,
        ],
    },
    "NewExperiment": closed(
        {
            "name": NAME,
            "parameters": {"type": "array", "minItems": 1, "items": ref("NewParameter")},
            "metrics": nullable({"type": "array", "minItems": 1, "maxItems": 50, "items": METRIC}),
            "project": nullable({"type": "string"}),
            "type": {"enum": ["offline", "random", "grid", None]},
            "observation_budget": nullable(BUDGET),
            "parallel_bandwidth": nullable(POSITIVE),
            "num_solutions": {"enum": [1, None]},
            "metadata": ref("Metadata"),
            "runs_only": {"enum": [False, None]},
            "budget": {"type": "null"},
        },
        "name",
        "parameters",
        description="conditionals, linear_constraints and tasks are accepted too while they are "
        "empty: clients send them as defaults. With runs_only true, a project and budget for "
        "observation_budget it makes an AI experiment, see the route of those.",
    ),
    "ExperimentUpdate": closed(
        {
            "name": NAME,
            "state": {"enum": ["active", "deleted"]},
            "project": nullable({"type": "string"}),
            "observation_budget": nullable(BUDGET),
            "parallel_bandwidth": nullable(POSITIVE),
            "metadata": ref("Metadata"),
            "metrics": {
                "type": "array",
                "items": closed(
                    {
                        "name": nullable({"type": "string"}),
                        "objective": {"enum": ["maximize", "minimize"]},
                        "strategy": {"enum": ["optimize", "store", "constraint"]},
                        "threshold": nullable(NUMBER),
                        "object": {},
                    }
                ),
                "description": "All metrics; only thresholds can change.",
            },
            "parameters": {
                "type": "array",
                "items": {"type": "object", "properties": {"name": NAME}, "required": ["name"]},
                "description": "All parameters, as they are: none can change.",
            },
            "no_optimize": nullable(FLAG),
        }
    ),
    "NewProject": closed(
        {
            "id": {"type": "string", "pattern": r"^\s*[a-z0-9\-_.]{1,32}\s*$"},
            "name": NAME,
            "metadata": ref("Metadata"),
        },
        "id",
        "name",
    ),
    "ProjectUpdate": closed({"name": NAME, "metadata": ref("Metadata"), "deleted": FLAG}),
    "NewSuggestion": {
        "type": "object",
        "properties": {
            "assignments": ref("Assignments"),
            "metadata": ref("Metadata"),
            "task": {"type": "null"},
        },
        "description": "Without assignments the oldest queued suggestion, or the sampler's. Other "
        "keys are ignored.",
    },
    "SuggestionUpdate": {"type": "object", "properties": {"metadata": ref("Metadata")}},
    "NewQueuedSuggestion": {
        "type": "object",
        "properties": {"assignments": ref("Assignments"), "task": {"type": "null"}},
        "required": ["assignments"],
    },
    "NewObservation": closed(
        _OBSERVATION_KEYS,
        description="Of a suggestion or of assignments, with a value of every metric or failed.",
    ),
    "ObservationUpdate": closed(
        _OBSERVATION_KEYS,
        description="What is given replaces what was. A failed observation has no values: give "
        "failed false with values, or failed true with values null.",
    ),
    "NewObservations": {
        "type": "object",
        "properties": {
            "observations": {
                "type": "array",
                "maxItems": 2500,
                "items": ref("NewObservation"),
            },
            "dry_run": nullable(FLAG),
            "no_optimize": nullable(FLAG),
        },
        "required": ["observations"],
        "description": "With dry_run all are checked and shown, and none is stored. Other keys "
        "are ignored.",
    },
    "NewTag": closed(
        {"name": NAME, "color": {"type": "string", "pattern": "^#[0-9A-Fa-f]{6}$"}},
        "name",
        "color",
    ),
    "NewRecord": closed({"record": {"type": "object"}}, "record"),
}
