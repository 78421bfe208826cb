"""The description of the API says what the engine does: the same routes, and true schemas."""

from __future__ import annotations

import re
from typing import Any

import jsonschema
import pytest
import requests

from nc_sigopt_strategy.engine.routes.table import TABLE
from nc_sigopt_strategy.server.openapi.document import openapi_document
from nc_sigopt_strategy.server.openapi.operations import OPERATIONS
from nc_sigopt_strategy.server.openapi.run_operations import RUN_OPERATIONS
from nc_sigopt_strategy.server.openapi.schemas import REQUESTS

PROJECT = {"id": "ok", "name": "a"}
VERBS = {"get", "post", "put", "delete"}


@pytest.fixture(scope="module")
def document(shared: tuple[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = requests.get(f"{shared[0]}/openapi.json", timeout=30).json()
    assert found == openapi_document()
    return found


def test_it_has_every_route_of_the_engine_and_no_other(document: dict[str, Any]) -> None:
    engine = {
        ("/v1/" + re.sub(r"\{\w+\}", "{}", pattern), verb.lower())
        for pattern, verbs in TABLE.items()
        for verb in verbs
        # OpenAPI has no place for a verb of somebody's own.
        if verb != "MERGE"
    }
    described = {
        (re.sub(r"\{\w+\}", "{}", path), verb)
        for path, item in document["paths"].items()
        for verb in VERBS & set(item)
    }
    assert described == engine | {("/health", "get")}
    assert len(engine) > 30


def test_nothing_is_described_that_is_not_there() -> None:
    table = {(pattern, verb) for pattern, verbs in TABLE.items() for verb in verbs}
    operations = {**OPERATIONS, **RUN_OPERATIONS}
    described = {(pattern, verb) for pattern, verbs in operations.items() for verb in verbs}
    assert described == table - {("training_runs/{int}", "MERGE")}


def test_references_and_links_lead_somewhere(document: dict[str, Any]) -> None:
    ids = [
        item[verb]["operationId"]
        for item in document["paths"].values()
        for verb in VERBS & set(item)
    ]
    assert len(ids) == len(set(ids))

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            reference = value.get("$ref")
            if isinstance(reference, str):
                found: Any = document
                for part in reference.removeprefix("#/").split("/"):
                    found = found[part]
            for link in value.get("links", {}).values():
                assert link["operationId"] in ids
            for entry in value.values():
                walk(entry)
        elif isinstance(value, list):
            for entry in value:
                walk(entry)

    walk(document)


def test_its_schemas_are_json_schemas(document: dict[str, Any]) -> None:
    for schema in document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


def _validator(document: dict[str, Any], name: str) -> Any:
    # As OpenAPI 3.1 has it: references count from the document.
    return jsonschema.Draft202012Validator(
        {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
    )


def _operations(document: dict[str, Any]) -> list[tuple[str, str, Any]]:
    return [
        (path, verb, item[verb])
        for path, item in document["paths"].items()
        for verb in VERBS & set(item)
    ]


def test_examples_are_accepted_and_answers_are_as_described(
    document: dict[str, Any], shared: tuple[str, str]
) -> None:
    """Every operation once, on objects that are there."""
    url, token = shared
    session = requests.Session()
    session.auth = (token, "")

    def call(method: str, path: str, body: Any = None) -> Any:
        answer = session.request(method, f"{url}{path}", json=body, timeout=30)
        assert answer.status_code == 200, f"{method} {path}: {answer.text}"
        return answer.json()

    experiment = OPERATIONS["experiments"]["POST"].example
    observation = OPERATIONS["experiments/{int}/observations"]["POST"].example
    ids = {"client_id": "1", "organization_id": "1", "project_id": "a-project"}
    ids["experiment_id"] = call("POST", "/v1/experiments", experiment)["id"]
    base = f"/v1/experiments/{ids['experiment_id']}"
    in_project = "/v1/clients/1/projects/a-project"
    call("POST", "/v1/clients/1/projects", {"id": "a-project", "name": "A project"})
    ids["tag_id"] = call("POST", "/v1/clients/1/tags", {"name": "T", "color": "#123456"})["id"]
    tagged = RUN_OPERATIONS["training_runs/{int}/tags"]["POST"].example
    assert tagged == {"id": ids["tag_id"]}
    made = call("POST", f"{in_project}/training_runs", {"name": "A run"})
    ids["training_run_id"] = made["id"]
    ai_experiment = RUN_OPERATIONS["clients/{int}/projects/{text}/aiexperiments"]["POST"].example
    ids["ai_experiment_id"] = call("POST", f"{in_project}/aiexperiments", ai_experiment)["id"]
    # Last, what takes things away, and the whole experiment after its parts.
    order = ["post", "get", "put", "delete"]
    for path, verb, operation in sorted(
        _operations(document),
        key=lambda entry: (order.index(entry[1]), -entry[0].count("/"), entry[0]),
    ):
        if "{experiment_id}" in path and verb != "post":
            ids["suggestion_id"] = call("POST", f"{base}/suggestions", {})["id"]
            made = call("POST", f"{base}/queued_suggestions", {
                "assignments": observation["assignments"]})  # fmt: skip
            ids["queued_suggestion_id"] = made["id"]
            ids["observation_id"] = call("POST", f"{base}/observations", observation)["id"]
        if "{file_id}" in path:
            of_run = f"/v1/training_runs/{ids['training_run_id']}"
            described = RUN_OPERATIONS["training_runs/{int}/files"]["POST"].example
            ids["file_id"] = call("POST", f"{of_run}/files", described)["id"]
        if "{checkpoint_id}" in path:
            of_run = f"/v1/training_runs/{ids['training_run_id']}"
            ids["checkpoint_id"] = call("POST", f"{of_run}/checkpoints", {"values": []})["id"]
        body = None
        if "requestBody" in operation:
            content = operation["requestBody"]["content"]["application/json"]
            body = content["examples"]["usual"]["value"]
            name = content["schema"]["$ref"].rpartition("/")[2]
            _validator(document, name).validate(body)
        if operation["operationId"] == "post_clients_one_projects":
            body = {**body, "id": "another-project"}
        answer = call(verb.upper(), path.format(**ids), body)
        schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
        if "$ref" in schema:
            _validator(document, schema["$ref"].rpartition("/")[2]).validate(answer)


@pytest.mark.parametrize(
    ("schema", "path", "body"),
    [
        ("NewExperiment", "experiments", {"name": "a"}),
        ("NewExperiment", "experiments", {"name": "", "parameters": []}),
        ("NewExperiment", "experiments", {"name": " \t", "parameters": [], "unknown": 1}),
        ("NewProject", "clients/1/projects", {"id": "Capital", "name": "a"}),
        ("NewProject", "clients/1/projects", {"id": "x" * 33, "name": "a"}),
        ("NewProject", "clients/1/projects", {"id": "ok", "name": "x" * 101}),
        ("NewProject", "clients/1/projects", {"id": "ok", "name": "a", "metadata": {"k": True}}),
        (
            "NewProject",
            "clients/1/projects",
            {"id": "ok", "name": "a", "metadata": {"k": "x" * 501}},
        ),
        ("NewProject", "clients/1/projects", {"id": "ok", "name": "a", "metadata": {" ": 1}}),
        ("NewTag", "clients/1/tags", {"name": "a", "color": "red"}),
        ("NewTag", "clients/1/tags", {"name": "a"}),
    ],
)
def test_what_it_forbids_is_refused(
    document: dict[str, Any], shared: tuple[str, str], schema: str, path: str, body: Any
) -> None:
    assert not _validator(document, schema).is_valid(body)
    url, token = shared
    answer = requests.post(f"{url}/v1/{path}", json=body, auth=(token, ""), timeout=30)
    assert answer.status_code == 400


@pytest.mark.parametrize(
    ("name", "fits"),
    [
        ("a", True), (" a ", True), ("\na\t", True), ("x" * 100, True), ("é\u3000ü", True),
        (" " * 300 + "a", True), ("", False), ("  ", False), ("a\nb", False), ("x" * 101, False),
        ("\x01", False), ("a\x1fb", False),
    ],
)  # fmt: skip
def test_names_are_the_engines(
    document: dict[str, Any], shared: tuple[str, str], name: str, fits: bool
) -> None:
    body = {"name": name, "color": f"#{abs(hash(name)) % 0x1000000:06x}"}
    assert _validator(document, "NewTag").is_valid(body) is fits
    url, token = shared
    answer = requests.post(f"{url}/v1/clients/1/tags", json=body, auth=(token, ""), timeout=30)
    assert (answer.status_code in (200, 409)) is fits


def test_bodies_are_closed_or_say_why_not() -> None:
    open_ones = {name for name, schema in REQUESTS.items() if "properties" in schema
                 and schema.get("additionalProperties") is not False}  # fmt: skip
    # As on SigOpt's own server these ignore what they do not know.
    assert open_ones == {
        "NewSuggestion", "SuggestionUpdate", "NewQueuedSuggestion", "NewObservations",
    }  # fmt: skip
