"""The description of the API at ``/openapi.json``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from nc_sigopt_strategy.engine.documents import CLIENT_ID
from nc_sigopt_strategy.engine.routes.table import TABLE
from nc_sigopt_strategy.server.openapi.objects import ANSWERS, PAGES
from nc_sigopt_strategy.server.openapi.operations import OPERATIONS, Operation
from nc_sigopt_strategy.server.openapi.run_operations import RUN_OPERATIONS
from nc_sigopt_strategy.server.openapi.run_schemas import RUN_ANSWERS, RUN_PAGES, RUN_REQUESTS
from nc_sigopt_strategy.server.openapi.schemas import REQUESTS, ref
from nc_sigopt_strategy.version import __version__

_OPERATIONS = {**OPERATIONS, **RUN_OPERATIONS}
_BODIES = {**REQUESTS, **RUN_REQUESTS}
_DESCRIPTION = (
    "SigOpt's REST API for experiments, as far as this server offers it. Success is status 200 "
    "with a body; the request header `X-Response-Content: skip` makes it 204 without one. Every "
    "answer to GET and POST can be cut down to some of its top-level keys with the query key "
    "`fields` (names with commas between), which is left out below because the answers then no "
    "longer have all keys. The API token is the user name of HTTP Basic authentication, the "
    "password is empty."
)
# What a part of a path is called, by the part before it.
_PATH_NAMES = {
    "organizations": "organization_id",
    "clients": "client_id",
    "projects": "project_id",
    "experiments": "experiment_id",
    "suggestions": "suggestion_id",
    "queued_suggestions": "queued_suggestion_id",
    "observations": "observation_id",
    "aiexperiments": "ai_experiment_id",
    "training_runs": "training_run_id",
    "checkpoints": "checkpoint_id",
    "tags": "tag_id",
    "files": "file_id",
}
_ERRORS = {
    "301": "It is an AI experiment, which stands at another path",
    "400": "The request is wrong",
    "401": "There is no token",
    "403": "The token is unknown, revoked, or may not do this",
    "404": "There is no such object",
    "405": "The path does not offer this verb",
    "408": "The body arrived too slowly",
    "413": "The body is too large",
    "422": "What it names is not there",
    "429": "Too many requests; try again later",
    "500": "The store failed",
}
# Which ids of an answer lead where: schema of the answer -> (links by the value's place).
_LINKS = {
    "Experiment": ("experiments/{int}", {"experiment_id": "$response.body#/id"}),
    "Suggestion": (
        "experiments/{int}/suggestions/{int}",
        {
            "experiment_id": "$response.body#/experiment",
            "suggestion_id": "$response.body#/id",
        },
    ),
    "QueuedSuggestion": (
        "experiments/{int}/queued_suggestions/{int}",
        {
            "experiment_id": "$response.body#/experiment",
            "queued_suggestion_id": "$response.body#/id",
        },
    ),
    "Observation": (
        "experiments/{int}/observations/{int}",
        {
            "experiment_id": "$response.body#/experiment",
            "observation_id": "$response.body#/id",
        },
    ),
    "AiExperiment": ("aiexperiments/{int}", {"ai_experiment_id": "$response.body#/id"}),
    "TrainingRun": ("training_runs/{int}", {"training_run_id": "$response.body#/id"}),
    "Project": (
        "clients/{int}/projects/{text}",
        {"client_id": "$response.body#/client", "project_id": "$response.body#/id"},
    ),
}


def openapi_document() -> dict[str, Any]:
    """The OpenAPI document: what the engine's table of routes holds, nothing else."""
    table = {pattern: tuple(verbs) for pattern, verbs in TABLE.items()}
    paths: dict[str, Any] = {"/health": {"get": _health()}}
    for pattern, verbs in table.items():
        described = _OPERATIONS.get(pattern, {})
        path, names = _readable(pattern)
        item: dict[str, Any] = {"parameters": [_path_parameter(name) for name in names]}
        for verb in verbs:
            if verb in described:
                item[verb.lower()] = _operation(pattern, verb, described[verb], table)
        paths[path] = item
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "nc-sigopt server",
            "version": __version__,
            "description": _DESCRIPTION,
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": {**_BODIES, **ANSWERS, **PAGES, **RUN_ANSWERS, **RUN_PAGES},
            "responses": {status: _error(status) for status in (*_ERRORS, "409")},
            "securitySchemes": {"token": {"type": "http", "scheme": "basic"}},
        },
    }


def _operation(
    pattern: str, verb: str, described: Operation, table: Mapping[str, tuple[str, ...]]
) -> dict[str, Any]:
    success: dict[str, Any] = {
        "description": "Done",
        "content": {"application/json": {"schema": ref(described.answer)}},
    }
    if verb == "POST":
        success["links"] = _links(described.answer, table)
    errors = [*_ERRORS, "409"] if described.conflict else list(_ERRORS)
    operation: dict[str, Any] = {
        "operationId": _operation_id(pattern, verb),
        "summary": described.summary,
        "responses": {
            "200": success,
            "204": {"description": "Done, and no body was wanted"},
            **{status: {"$ref": f"#/components/responses/{status}"} for status in sorted(errors)},
        },
    }
    if described.query:
        operation["parameters"] = [
            {"name": key, "in": "query", "schema": schema}
            for key, schema in described.query.items()
        ]
    if described.body is not None:
        operation["requestBody"] = {
            "content": {
                "application/json": {
                    "schema": ref(described.body),
                    "examples": {"usual": {"value": described.example}},
                }
            },
            "required": "required" in _BODIES[described.body],
        }
    return operation


def _links(answer: str, table: Mapping[str, tuple[str, ...]]) -> dict[str, Any]:
    """From an object that was made to what can be done with it."""
    if answer not in _LINKS:
        return {}
    base, parameters = _LINKS[answer]
    return {
        _operation_id(pattern, verb): {
            "operationId": _operation_id(pattern, verb),
            "parameters": parameters,
        }
        for pattern, verbs in table.items()
        for verb in verbs
        # The object itself and what is directly below it, not what needs another id.
        if (pattern == base or pattern.startswith(f"{base}/"))
        and pattern.count("{") == base.count("{")
        and verb in _OPERATIONS.get(pattern, {})
    }


def _readable(pattern: str) -> tuple[str, list[str]]:
    """A pattern of the engine as a path of the document, and the names in it."""
    parts = pattern.split("/")
    names = []
    for index, part in enumerate(parts):
        if part in ("{int}", "{text}"):
            names.append(_PATH_NAMES[parts[index - 1]])
            parts[index] = f"{{{names[-1]}}}"
    return "/v1/" + "/".join(parts), names


def _path_parameter(name: str) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "integer", "minimum": 1, "maximum": 2**31 - 1}
    if name == "project_id":
        schema = {"type": "string", "pattern": "^[a-z0-9\\-_.]{1,32}$"}
    elif name in ("client_id", "organization_id"):
        schema = {"enum": [int(CLIENT_ID)]}
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _operation_id(pattern: str, verb: str) -> str:
    words = re.sub(r"\{(int|text)\}", "one", pattern).replace("/", "_")
    return f"{verb.lower()}_{words}"


def _error(status: str) -> dict[str, Any]:
    response: dict[str, Any] = {
        "description": _ERRORS.get(status, "There is one of that name already"),
        "content": {"application/json": {"schema": ref("Error")}},
    }
    if status == "429":
        response["headers"] = {
            "Retry-After": {"description": "Seconds", "schema": {"type": "integer"}}
        }
    return response


def _health() -> dict[str, Any]:
    return {
        "operationId": "health",
        "summary": "Whether the server answers",
        "security": [],
        "responses": {
            "200": {
                "description": "It does",
                "content": {
                    "application/json": {
                        "schema": {
                            "type": "object",
                            "properties": {"status": {"const": "ok"}},
                            "required": ["status"],
                            "additionalProperties": False,
                        }
                    }
                },
            }
        },
    }
