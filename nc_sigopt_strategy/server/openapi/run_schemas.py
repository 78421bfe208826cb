"""JSON Schemas of runs and AI experiments: what requests bring, and what is answered."""

from __future__ import annotations

from typing import Any

from nc_sigopt_strategy.server.openapi.objects import (
    ANSWERS,
    COUNT,
    ID,
    NULL,
    TEXT,
    TIME,
    document,
    page_of,
)
from nc_sigopt_strategy.server.openapi.schemas import (
    BUDGET,
    FLAG,
    NAME,
    NUMBER,
    POSITIVE,
    REQUESTS,
    Schema,
    closed,
    nullable,
    ref,
)

_SOURCE: Schema = {**NAME, "maxLength": 30, "not": {"pattern": r"^\s*SigOpt\s*$"}}
_STDDEV = nullable({"type": "number", "minimum": 0})
_LIMITED: Schema = {**REQUESTS["Metadata"], "type": "object"}
_STATE: Schema = {"enum": ["active", "completed", "failed"]}


def _map_of(value: Schema, **more: Any) -> Schema:
    return {"type": "object", "additionalProperties": value, **more}


_RUN_KEYS: dict[str, Schema] = {
    "name": {"type": "string", "pattern": r"\S"},
    "state": _STATE,
    "assignments": _LIMITED,
    "assignments_meta": {
        **_map_of(closed({"source": nullable(_SOURCE)})),
        "description": "By the name of an assignment that the run has.",
        "maxProperties": 0,
    },
    "assignments_sources": _map_of(
        closed({"sort": NUMBER, "default_show": FLAG}, "sort", "default_show"),
        propertyNames={"pattern": r"^\s*[^\s\x00-\x1f][^\x00-\x1f]{0,28}\s*$", "maxLength": 30},
    ),
    "values": _map_of(closed({"value": NUMBER, "value_stddev": _STDDEV}, "value")),
    "metadata": ref("Metadata"),
    "dev_metadata": _LIMITED,
    "sys_metadata": closed(
        {
            "feature_importances": closed(
                {
                    "type": TEXT,
                    "scores": _map_of(NUMBER, maxProperties=50, propertyNames=NAME),
                },
                "type",
                "scores",
            )
        }
    ),
    "datasets": _map_of({"type": "object"}),
    "logs": _map_of(closed({"content": TEXT}, "content")),
    "model": closed({"type": nullable(TEXT)}),
    "source_code": closed({"content": nullable(TEXT), "hash": nullable(TEXT)}),
    "favorite": FLAG,
    "deleted": FLAG,
}
# Of these null is as good as an empty object.
for _key in (
    "assignments_meta", "assignments_sources", "values", "sys_metadata", "datasets", "logs",
    "model", "source_code",
):  # fmt: skip
    _RUN_KEYS[_key] = nullable(_RUN_KEYS[_key])
_CHECKPOINT_VALUE = closed(
    {"name": NAME, "value": NUMBER, "value_stddev": nullable(NUMBER)}, "name", "value"
)
_AI_METRIC = closed(
    {
        "name": NAME,
        "objective": {"enum": ["maximize", "minimize"]},
        "strategy": {"enum": ["optimize", "store", "constraint"]},
        "threshold": nullable(NUMBER),
    },
    "name",
)

_CHANGED_AS_ANY = (
    "name", "state", "parallel_bandwidth", "metadata", "metrics", "parameters", "no_optimize",
)  # fmt: skip

RUN_REQUESTS: dict[str, Schema] = {
    "NewTrainingRun": closed(_RUN_KEYS, "name"),
    "TrainingRunUpdate": closed(
        {**_RUN_KEYS, "project": {"type": "string"}},
        description="A map that is given replaces the map. The verb MERGE, which OpenAPI has no "
        "place for, takes the same and adds to the maps.",
    ),
    "NewTrainingRuns": closed(
        {"runs": {"type": "array", "maxItems": 10_000, "items": ref("NewTrainingRun")}}
    ),
    "NewCheckpoint": closed(
        {
            "values": {"type": "array", "items": _CHECKPOINT_VALUE},
            "metadata": ref("Metadata"),
        },
        "values",
    ),
    "NewFile": closed(
        {
            "name": {**NAME, "type": ["string", "null"]},
            "filename": {**NAME, "type": ["string", "null"]},
            "content_length": POSITIVE,
            "content_type": NAME,
            "content_md5": {"type": "string", "pattern": "^[A-Za-z0-9+/]{21}[AQgw]==$"},
        },
        "content_length",
        "content_type",
        "content_md5",
        description="name or filename must be given. Refused (404) where the server keeps none.",
        anyOf=[{"required": ["name"]}, {"required": ["filename"]}],
    ),
    "TagOfRun": closed({"id": {"type": ["string", "integer"]}}, "id"),
    "NewAiExperiment": closed(
        {
            "name": NAME,
            "parameters": {"type": "array", "minItems": 1, "items": ref("NewParameter")},
            "metrics": {"type": "array", "minItems": 1, "maxItems": 50, "items": _AI_METRIC},
            "type": {"enum": ["offline", "random", "grid", None]},
            "budget": nullable(BUDGET),
            "parallel_bandwidth": nullable(POSITIVE),
            "num_solutions": {"enum": [1, None]},
            "metadata": ref("Metadata"),
        },
        "name",
        "parameters",
        "metrics",
        description="conditionals and linear_constraints are accepted too while they are empty.",
    ),
    "AiExperimentUpdate": closed(
        {
            **{key: REQUESTS["ExperimentUpdate"]["properties"][key] for key in _CHANGED_AS_ANY},
            "budget": nullable(BUDGET),
        }
    ),
}

_CORE = {
    key: schema
    for key, schema in ANSWERS["Experiment"]["properties"].items()
    if key not in ("object", "development", "observation_budget", "progress")
}
RUN_ANSWERS: dict[str, Schema] = {
    "TrainingRun": document(
        "training_run",
        id=ID,
        client=ID,
        project=TEXT,
        experiment=nullable(ID),
        suggestion=nullable(ID),
        observation=nullable(ID),
        user=NULL,
        name=TEXT,
        state=_STATE,
        finished=FLAG,
        created=TIME,
        updated=TIME,
        completed=nullable(TIME),
        deleted=FLAG,
        favorite=FLAG,
        assignments=ref("Metadata"),
        assignments_meta=_map_of(document("assignments_meta", source=nullable(TEXT))),
        assignments_sources=_map_of(
            document("assignments_sources", sort=NUMBER, default_show=FLAG)
        ),
        values=_map_of(ref("MetricEvaluation")),
        metadata=ref("Metadata"),
        dev_metadata=ref("Metadata"),
        sys_metadata={"type": "object"},
        datasets=_map_of(document("dataset")),
        logs=_map_of(document("log", content=TEXT)),
        model=document("model", type=nullable(TEXT)),
        source_code=document("source_code", content=nullable(TEXT), hash=nullable(TEXT)),
        checkpoint_count=COUNT,
        tags={"type": "array", "items": ID},
        files={"type": "array", "items": ID},
    ),
    "File": document(
        "file",
        ("upload", "download"),
        id=ID,
        client=ID,
        user=NULL,
        training_run=ID,
        created=TIME,
        name=nullable(TEXT),
        filename=nullable(TEXT),
        content_length=COUNT,
        content_type=TEXT,
        content_md5=TEXT,
        upload=document("s3_upload", url=TEXT, method={"const": "PUT"}, headers=_map_of(TEXT)),
        download=document("s3_download", url=TEXT),
    ),
    "Checkpoint": document(
        "checkpoint",
        id=ID,
        training_run=ID,
        created=TIME,
        metadata=ref("Metadata"),
        values={"type": "array", "items": ref("MetricEvaluation")},
    ),
    "AiExperiment": document(
        "aiexperiment",
        **{**_CORE, "project": TEXT, "runs_only": {"const": True}},
        progress=document(
            "progress",
            finished_run_count=COUNT,
            active_run_count=COUNT,
            total_run_count=COUNT,
            remaining_budget=nullable({"type": "integer"}),
        ),
    ),
}


def _page_of_runs() -> Schema:
    page = page_of("TrainingRun")
    field = document(
        "field",
        key=TEXT,
        name=TEXT,
        type={"enum": ["id", "string", "timestamp", "boolean", "numeric", "unknown"]},
        sortable=FLAG,
        count=COUNT,
    )
    items = {"type": "array", "items": field}
    properties = {**page["properties"], "defined_fields": items}
    properties["data"] = {**properties["data"], "maxItems": 10_000}
    return {**page, "properties": properties}


RUN_PAGES: dict[str, Schema] = {
    "TrainingRunPage": _page_of_runs(),
    "CheckpointPage": page_of("Checkpoint"),
    "AiExperimentPage": page_of("AiExperiment"),
}
