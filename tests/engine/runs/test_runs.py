"""Training runs: made, changed by PUT and MERGE, finished, deleted, listed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from nc_sigopt_strategy.engine import EmbeddedDriver
from nc_sigopt_strategy.engine.api_error import ApiError
from nc_sigopt_strategy.engine.database import run_tables
from nc_sigopt_strategy.engine.routes.runs import checkpoints
from nc_sigopt_strategy.engine.routes.runs.rules import MAX_LOG_LENGTH

PROJECT = ["clients", "1", "projects", "p"]


class Api:
    """Requests to an engine as short calls."""

    def __init__(self, driver: EmbeddedDriver) -> None:
        self.driver = driver

    def __call__(self, verb: str, *path: Any, **data: Any) -> Any:
        return self.driver.answer(verb, [str(part) for part in path], data)

    def refused(self, verb: str, *path: Any, **data: Any) -> tuple[int, str]:
        with pytest.raises(ApiError) as caught:
            self(verb, *path, **data)
        return caught.value.status, caught.value.message

    def run(self, **data: Any) -> Any:
        return self("POST", *PROJECT, "training_runs", **{"name": "r", **data})


@pytest.fixture
def api(storage_url: str) -> Iterator[Api]:
    driver = EmbeddedDriver(storage_url, sampler="random", seed=1)
    made = Api(driver)
    made("POST", "clients", 1, "projects", id="p", name="P")
    yield made
    driver.close()


def test_a_new_run_has_all_keys(api: Api) -> None:
    run = api.run(assignments={"a": 3.0, "b": None, "c": "x"}, metadata=None)
    assert run["object"] == "training_run"
    assert (run["state"], run["finished"], run["completed"]) == ("active", False, None)
    assert run["assignments"] == {"a": 3, "c": "x"}
    assert isinstance(run["assignments"]["a"], int)
    assert run["metadata"] is None
    assert run["model"] == {"object": "model", "type": None}
    assert len(run) == 30
    assert api("GET", "training_runs", run["id"]) == run
    assert api("GET", *PROJECT)["training_run_count"] == 1


def test_put_replaces_maps_and_merge_adds_to_them(api: Api) -> None:
    one = {"acc": {"value": 0.5, "value_stddev": 0.1}, "loss": {"value": 2}}
    run = api.run(values=one, metadata={"k": 1})["id"]
    merged = api("MERGE", "training_runs", run, values={"acc": {"value": 0.6}}, metadata={"l": 2})
    assert merged["metadata"] == {"k": 1, "l": 2}
    assert merged["values"]["acc"] == {
        "object": "metric_evaluation", "name": "acc", "value": 0.6, "value_stddev": None,
    }  # fmt: skip
    assert set(merged["values"]) == {"acc", "loss"}
    replaced = api("PUT", "training_runs", run, values={"acc": {"value": 1}})
    assert set(replaced["values"]) == {"acc"}
    assert replaced["metadata"] == {"k": 1, "l": 2}
    kept = api("MERGE", "training_runs", run, assignments={"a": None}, metadata=None)
    assert kept["assignments"] == {}
    assert kept["metadata"] is None
    assert api("MERGE", "training_runs", run, metadata={"n": 3})["metadata"] == {"n": 3}


def test_a_null_in_a_merge_takes_nothing_away(api: Api) -> None:
    run = api.run(assignments={"a": 1})["id"]
    assert api("MERGE", "training_runs", run, assignments={"a": None})["assignments"] == {"a": 1}


def test_the_state_finishes_once(api: Api) -> None:
    run = api.run()["id"]
    done = api("MERGE", "training_runs", run, state="completed")
    assert done["finished"]
    failed = api("MERGE", "training_runs", run, state="failed", values={"m": {"value": 1}})
    assert (failed["state"], failed["completed"]) == ("failed", done["completed"])
    assert failed["values"]["m"]["value"] == 1
    assert api("PUT", "training_runs", run, state="active")["state"] == "failed"


def test_delete_keeps_the_run(api: Api) -> None:
    run = api.run()["id"]
    assert api("DELETE", "training_runs", run)["deleted"]
    assert api("GET", "training_runs", run)["deleted"]
    assert api("GET", *PROJECT)["training_run_count"] == 0
    assert not api("PUT", "training_runs", run, deleted=False)["deleted"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"name": None}, "Missing required param: name"),
        ({"name": " "}, "Invalid name: cannot be empty"),
        ({"foo": 1}, "Unknown parameters: {'foo'}"),
        ({"project": "p"}, "Unknown parameters: {'project'}"),
        ({"state": "foo"}, "Invalid state: foo"),
        ({"state": None}, "state cannot be `null`"),
        ({"metadata": {"a": True}}, "metadata.a"),
        ({"metadata": {f"k{i}": 1 for i in range(101)}}, "at most 100 keys"),
        ({"assignments": {"a": "x" * 501}}, "assignments.a"),
        ({"values": []}, "values"),
        ({"values": {"m": 3}}, "values.m"),
        ({"values": {"m": None}}, "values.m"),
        ({"values": {"m": {"value_stddev": 1}}}, "value"),
        ({"logs": {"out": {}}}, "content"),
        ({"assignments_meta": {"a": {"source": "x"}}}, "no assignment"),
        ({"assignments": {"a": 1}, "assignments_meta": {"a": {"source": "SigOpt"}}}, "SigOpt"),
        ({"assignments_sources": {"s": {"sort": 1}}}, "default_show"),
        ({"assignments_sources": {"s" * 31: {"sort": 1, "default_show": True}}}, "30"),
        ({"sys_metadata": {"other": 1}}, "sys_metadata"),
        ({"favorite": 1}, "favorite"),
    ],
)
def test_what_a_run_cannot_be(api: Api, data: dict[str, Any], message: str) -> None:
    status, said = api.refused("POST", *PROJECT, "training_runs", **{"name": "r", **data})
    assert status == 400
    assert message in said
    assert api("GET", *PROJECT, "training_runs")["count"] == 0


def test_what_a_run_cannot_become(api: Api) -> None:
    run = api.run(metadata={f"k{i}": 1 for i in range(100)})["id"]
    for data, message in (
        ({"state": None}, "Cannot remove state from a run"),
        ({"name": None}, "Cannot remove name from a run"),
        ({"project": "other"}, "Unknown project ID: other"),
        ({"metadata": {"one more": 1}}, "at most 100 keys"),
    ):
        status, said = api.refused("MERGE", "training_runs", run, **data)
        assert status == 400
        assert message in said


def test_what_is_accepted_as_it_is_on_sigopts_server(api: Api) -> None:
    long = api.run(name="n" * 101, logs={"out": {"content": "x" * 2000}})
    assert len(long["name"]) == 101
    assert len(long["logs"]["out"]["content"]) == MAX_LOG_LENGTH
    importances = {"type": "weight", "scores": {"a": 0.5}}
    meta = {"feature_importances": importances}
    assert api.run(sys_metadata=meta)["sys_metadata"] == meta
    assert api.run(datasets={"d": {"any": 1}})["datasets"] == {"d": {"object": "dataset"}}
    api("POST", "clients", 1, "projects", id="q", name="Q")
    assert api("PUT", "training_runs", long["id"], project="q")["project"] == "q"


def test_a_batch_is_made_whole_or_not_at_all(api: Api) -> None:
    batch = (*PROJECT, "training_runs", "batch")
    made = api("POST", *batch, runs=[{"name": "a"}, {"name": "b"}])
    assert [run["name"] for run in made["data"]] == ["a", "b"]
    assert api.refused("POST", *batch, runs=[{"name": "c"}, {}])[0] == 400
    assert api("POST", *batch)["data"] == []
    assert api("GET", *PROJECT, "training_runs")["count"] == 2


def test_no_change_is_lost_where_several_meet(api: Api) -> None:
    run = api.run()["id"]

    def log(number: int) -> None:
        api("MERGE", "training_runs", run, metadata={f"k{number}": number})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(log, range(80)))
    assert len(api("GET", "training_runs", run)["metadata"]) == 80


def found(api: Api, filters: list[dict[str, Any]] | None = None, **query: Any) -> list[str]:
    if filters is not None:
        query["filters"] = json.dumps(filters)
    page = api("GET", *PROJECT, "training_runs", **query)
    return [run["name"] for run in page["data"]]


def test_lists_are_filtered_and_sorted(api: Api) -> None:
    for name, acc in (("a", 0.1), ("b", 0.3), ("c", 0.2), ("d", None)):
        values = {} if acc is None else {"acc": {"value": acc}}
        api.run(name=name, values=values, assignments={"size": len(values)})
    api("MERGE", "training_runs", api("GET", *PROJECT, "training_runs")["data"][0]["id"],
        state="completed")  # fmt: skip

    def where(field: str, operator: str, value: Any = None) -> list[dict[str, Any]]:
        return [{"field": field, "operator": operator, "value": value}]

    assert found(api) == ["d", "c", "b", "a"]
    assert found(api, limit="2") == ["d", "c"]
    assert found(api, search="B") == ["b"]
    assert found(api, sort="values.acc.value") == ["b", "c", "a"]
    assert found(api, sort="values.acc.value", ascending="true") == ["a", "c", "b"]
    assert found(api, where("values.acc.value", ">=", 0.2)) == ["c", "b"]
    assert found(api, [{"field": "values.acc.value", "operator": "isnull"}]) == ["d"]
    assert found(api, where("state", "==", "completed")) == ["d"]
    assert found(api, where("finished", "==", True)) == ["d"]
    assert found(api, where("assignments.size", "!=", 1)) == ["d"]
    assert found(api, where("id", "<", "2")) == ["a"]
    both = where("values.acc.value", ">", 0.1) + where("name", "==", "c")
    assert found(api, both) == ["c"]
    fields = {f["key"]: f for f in api("GET", *PROJECT, "training_runs")["defined_fields"]}
    assert fields["values.acc.value"]["count"] == 3
    assert fields["values.acc.value"]["type"] == "numeric"
    assert fields["created"]["type"] == "timestamp"


@pytest.mark.parametrize(
    "query",
    [
        {"sort": "nothing"},
        {"sort": "values.acc"},
        {"filters": "{"},
        {"filters": "{}"},
        {"filters": '[{"field": "nothing", "operator": "==", "value": 1}]'},
        {"filters": '[{"field": "name", "operator": "~", "value": 1}]'},
        {"filters": '[{"field": "state", "operator": "!=", "value": "active"}]'},
        {"filters": '[{"field": "name", "operator": "=="}]'},
        {"limit": "1001"},
    ],
)
def test_lists_that_cannot_be(api: Api, query: dict[str, Any]) -> None:
    assert api.refused("GET", *PROJECT, "training_runs", **query)[0] == 400


def test_checkpoints(api: Api) -> None:
    run = api.run()["id"]
    path = ("training_runs", run, "checkpoints")
    values = [{"name": "b", "value": 2}, {"name": "a", "value": 1.5, "value_stddev": 0.5}]
    made = api("POST", *path, values=values)
    assert [value["name"] for value in made["values"]] == ["a", "b"]
    api("POST", *path, values=[], metadata={"k": 1})
    assert [one["id"] for one in api("GET", *path)["data"]][-1] == made["id"]
    assert api("GET", *path, made["id"]) == made
    assert api("GET", "training_runs", run)["checkpoint_count"] == 2
    for wrong in ([values[0], values[0]], [{"value": 1}], [{**values[0], "x": 1}]):
        assert api.refused("POST", *path, values=wrong)[0] == 400
    other = api.run()["id"]
    assert api.refused("GET", "training_runs", other, "checkpoints", made["id"])[0] == 404


def test_a_process_that_dies_leaves_no_checkpoint_that_its_run_does_not_count(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = api.run()["id"]
    path = ("training_runs", run, "checkpoints")

    def dies(*args: Any) -> bool:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(run_tables, "_replaced", dies)
        with pytest.raises(KeyboardInterrupt):
            api("POST", *path, values=[])
    assert api("GET", *path)["count"] == api("GET", "training_runs", run)["checkpoint_count"] == 0


def test_of_many_checkpoints_at_once_as_many_are_taken_as_may_be(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "MAX_CHECKPOINTS", 5)
    run = api.run()["id"]
    path = ("training_runs", run, "checkpoints")

    def post(number: int) -> int:
        try:
            api("POST", *path, values=[{"name": "m", "value": number}])
        except ApiError as error:
            return error.status
        return 200

    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(post, range(16)))
    assert sorted(done) == [200] * 5 + [403] * 11
    assert api("GET", *path)["count"] == api("GET", "training_runs", run)["checkpoint_count"] == 5


def test_tags(api: Api) -> None:
    tag = api("POST", "clients", 1, "tags", name="T", color="#000000")
    run = api.run()["id"]
    assert api("POST", "training_runs", run, "tags", id=tag["id"]) == tag
    api("POST", "training_runs", run, "tags", id=tag["id"])
    assert api("GET", "training_runs", run)["tags"] == [tag["id"]]
    assert api.refused("POST", "training_runs", run, "tags", id="99")[0] == 422
    api("DELETE", "training_runs", run, "tags", tag["id"])
    assert api("GET", "training_runs", run)["tags"] == []


def test_what_is_not_there(api: Api) -> None:
    for verb, path in (
        ("GET", ("training_runs", 7)),
        ("MERGE", ("training_runs", 7)),
        ("GET", ("training_runs", 10**18)),
        ("GET", ("training_runs",)),
        ("GET", ("clients", 1, "projects", "q", "training_runs")),
    ):
        assert api.refused(verb, *path)[0] == 404
    assert api.refused("POST", "clients", 1, "projects", "q", "training_runs", name="r")[0] == 404
