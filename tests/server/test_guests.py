"""Guest tokens: made over the API, and what they let their holder see."""

from __future__ import annotations

import base64
import hashlib
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from click.testing import CliRunner

from nc_sigopt_strategy.cli.main import cli
from nc_sigopt_strategy.engine import EmbeddedDriver
from nc_sigopt_strategy.errors import SettingsError
from nc_sigopt_strategy.server.options import ServerOptions
from nc_sigopt_strategy.server.tokens import READ, TokenStore, digest_of
from tests.server.serving import serve_in_thread

X = {"name": "x", "type": "double", "bounds": {"min": 0, "max": 1}}
MONTH = 30 * 24 * 3600


class Api:
    """Requests with one token; ``self(...)`` is status and JSON."""

    def __init__(self, url: str, token: str) -> None:
        self.url, self.token = url, token

    def __call__(self, verb: str, path: str, body: Any = None, **query: str) -> tuple[int, Any]:
        answer = requests.request(
            verb,
            f"{self.url}/v1/{path}",
            json=body,
            params=query,
            auth=(self.token, ""),
            timeout=60,
        )
        return answer.status_code, answer.json()

    def made(self, path: str, **body: Any) -> Any:
        status, document = self("POST", path, body)
        assert status == 200, document
        return document

    def guest(self, path: str) -> Api:
        """Who holds a new guest token."""
        return Api(self.url, self.made(f"{path}/tokens")["token"])


@pytest.fixture
def store(storage_url: str) -> Iterator[TokenStore]:
    made = TokenStore(storage_url)
    yield made
    made.close()


@pytest.fixture
def api(driver: EmbeddedDriver, store: TokenStore) -> Iterator[Api]:
    with serve_in_thread(driver, tokens=store) as (url, _):
        yield Api(url, store.create("owner"))


class World:
    """Two projects, each with an AI experiment of two runs, a core experiment and a run."""

    def __init__(self, api: Api) -> None:
        self.ids: dict[str, dict[str, str]] = {}
        for name in ("mine", "other"):
            api.made("clients/1/projects", id=name, name=name)
            place = f"clients/1/projects/{name}"
            metrics = [{"name": "m"}]
            ai = api.made(f"{place}/aiexperiments", name="ai", parameters=[X], metrics=metrics)[
                "id"
            ]
            core = api.made(
                "experiments", name="core", parameters=[X], metrics=metrics, project=name
            )
            runs = [api.made(f"aiexperiments/{ai}/training_runs", name="r")["id"] for _ in "ab"]
            single = api.made(f"{place}/training_runs", name="alone", metadata={name: 1})["id"]
            api.made(f"training_runs/{single}/checkpoints", values=[{"name": "m", "value": 1}])
            self.ids[name] = {"ai": ai, "core": core["id"], "run": runs[0], "single": single}

    def __getitem__(self, name: str) -> dict[str, str]:
        return self.ids[name]


def test_the_token_of_an_experiment(api: Api) -> None:
    mine = World(api)["mine"]
    made = api.made(f"experiments/{mine['core']}/tokens")
    assert (made["token_type"], made["permissions"], made["scope"]) == (
        "guest", "read", "shared_experiment",
    )  # fmt: skip
    assert (made["experiment"], made["training_run"]) == (mine["core"], None)
    assert made["lease_length"] == MONTH
    assert made["all_experiments"] is False
    assert Api(api.url, made["token"])("GET", "tokens/self") == (200, made)
    run = api.made(f"training_runs/{mine['run']}/tokens")
    assert (run["experiment"], run["training_run"]) == (mine["ai"], mine["run"])
    assert api("GET", "tokens/self")[1]["token_type"] == "client-api"
    assert api("POST", "experiments/999/tokens", {})[0] == 404
    assert api("POST", "training_runs/999/tokens", {})[0] == 404


def test_a_token_is_handed_over_also_where_no_answer_is_wanted(api: Api) -> None:
    mine = World(api)["mine"]
    answer = requests.post(
        f"{api.url}/v1/experiments/{mine['core']}/tokens", auth=(api.token, ""), timeout=60,
        headers={"x-response-content": "skip"},
    )  # fmt: skip
    assert answer.status_code == 200
    assert Api(api.url, answer.json()["token"])("GET", "tokens/self")[0] == 200


def test_fields_of_a_token(api: Api) -> None:
    """Some are the server's own, and a new token is shown whatever is asked for."""
    mine = World(api)["mine"]
    assert api("GET", "tokens/self", fields="client") == (200, {"object": "token", "client": "1"})
    assert api("GET", "tokens/self", fields="permissions")[1]["permissions"] == "write"
    made = api.made(f"experiments/{mine['core']}/tokens", fields="experiment")
    assert made.keys() == {"object", "token", "experiment"}
    assert Api(api.url, made["token"])("GET", f"experiments/{mine['core']}")[0] == 200
    assert api("GET", "tokens/self", fields="nothing")[0] == 400


def test_what_is_shared_is_seen(api: Api) -> None:
    mine = World(api)["mine"]
    guest = api.guest(f"experiments/{mine['ai']}")
    seen = [
        "tokens/self", "clients/1", "organizations/1", "clients/1/projects/mine",
        *(f"experiments/{mine['ai']}/{part}" for part in (
            "observations", "suggestions", "best_assignments", "stopping_criteria", "record",
        )),
        f"aiexperiments/{mine['ai']}", f"aiexperiments/{mine['ai']}/best_training_runs",
        f"training_runs/{mine['run']}", f"training_runs/{mine['run']}/checkpoints",
    ]  # fmt: skip
    for path in seen:
        assert guest("GET", path) == (api("GET", path) if path != seen[0] else guest("GET", path))
        assert guest("GET", path)[0] == 200, path
    alone = api.guest(f"training_runs/{mine['single']}")
    assert alone("GET", f"training_runs/{mine['single']}/checkpoints")[1]["count"] == 1
    assert alone("GET", "clients/1/projects/mine")[0] == 200


@pytest.mark.parametrize("kind", ["ai", "core", "run", "single"])
def test_nothing_else_is_seen(api: Api, kind: str) -> None:
    world = World(api)
    mine, other = world["mine"], world["other"]
    what = "training_runs" if kind in ("run", "single") else "experiments"
    guest = api.guest(f"{what}/{mine[kind]}")
    own = {"run": {"ai"}}.get(kind, set()) | {kind} | ({"run"} if kind == "ai" else set())
    for others, kinds in ((other, {"ai", "core", "run", "single"}), (mine, set(mine) - own)):
        for name in kinds:
            place = "training_runs" if name in ("run", "single") else "experiments"
            for path in (f"{place}/{others[name]}", f"{place}/0{others[name]}"):
                assert guest("GET", path)[0] == 404, path
    assert guest("GET", "clients/1/projects/other")[0] == 404
    assert guest("GET", "clients/1/projects/other/training_runs")[0] == 404
    for path in (
        "experiments", "aiexperiments", "clients/1/experiments", "clients/1/projects",
        "clients/1/projects/mine/experiments", "clients/1/projects/mine/aiexperiments",
        "clients/1/training_runs", "organizations/1/training_runs", "clients/1/tags",
    ):  # fmt: skip
        status, answer = guest("GET", path)
        assert (status, answer["token_status"]) == (403, "invalid_permissions"), path


def test_files_of_what_is_shared(
    storage_url: str, store: TokenStore, tmp_path: Path, driver: EmbeddedDriver
) -> None:
    """SigOpt's own server refuses them, so that a shared run lacks its pictures."""
    keeping = EmbeddedDriver(storage_url, seed=1, keeps_files=True)
    options = ServerOptions(writes_per_second=0, reads_per_second=0, files=tmp_path / "files")
    with serve_in_thread(keeping, tokens=store, options=options) as (url, _):
        api = Api(url, store.create("owner"))
        world = World(api)
        mine, other = world["mine"], world["other"]
        files = {run: _file(api, run) for run in (mine["run"], mine["single"], other["run"])}
        for shared, runs in (
            (f"experiments/{mine['ai']}", {mine["run"]}),
            (f"training_runs/{mine['run']}", {mine["run"]}),
            (f"training_runs/{mine['single']}", {mine["single"]}),
            (f"experiments/{mine['core']}", set()),
        ):
            guest = api.guest(shared)
            for run, file in files.items():
                status, answer = guest("GET", f"files/{file}")
                assert status == (200 if run in runs else 404), (shared, run)
                if status == 200:
                    fetched = requests.get(answer["download"]["url"], timeout=60)
                    assert fetched.content == f"of run {run}".encode()
                else:
                    assert answer == guest("GET", "files/999")[1] | {"message": f"No file {file}"}
            assert guest("POST", f"training_runs/{mine['run']}/files", {})[0] == 403
        # What one may fetch is not what one may put.
        reading = api("GET", f"files/{files[mine['run']]}")[1]["download"]["url"]
        assert requests.put(reading, data=b"x", timeout=60).status_code == 403
    keeping.close()
    # Where no bytes are kept there are no files.
    with serve_in_thread(driver, tokens=store) as (url, _):
        assert Api(url, api.token)("GET", f"files/{files[mine['run']]}")[0] == 404


def _file(api: Api, run: str) -> str:
    """The id of a file of a run that says whose it is."""
    content = f"of run {run}".encode()
    made = api.made(
        f"training_runs/{run}/files",
        name="a file",
        content_length=len(content),
        content_md5=base64.b64encode(hashlib.md5(content).digest()).decode(),
        content_type="text/plain",
    )
    assert made["training_run"] == run
    upload = made["upload"]
    sent = requests.put(upload["url"], data=content, headers=upload["headers"], timeout=60)
    assert sent.status_code == 200
    return str(made["id"])


@pytest.mark.parametrize("kind", ["ai", "core", "run", "single"])
def test_a_list_of_runs_holds_the_guests_own_only(api: Api, kind: str) -> None:
    mine = World(api)["mine"]
    what = "training_runs" if kind in ("run", "single") else "experiments"
    guest = api.guest(f"{what}/{mine[kind]}")
    place = "clients/1/projects/mine/training_runs"
    expected = {"ai": 2, "run": 2, "single": 1, "core": 0}[kind]
    status, page = guest("GET", place)
    assert (status, page["count"]) == (200, expected)
    keys = {field["key"] for field in page["defined_fields"]}
    assert ("metadata.mine" in keys) == (kind == "single")
    everything = json.dumps([{"field": "id", "operator": ">=", "value": 0}])
    assert guest("GET", place, filters=everything)[1]["count"] == expected
    none = json.dumps([{"field": "id", "operator": "<", "value": 0}])
    assert guest("GET", place, filters=none)[1]["count"] == 0
    for wrong in ("{}", "[", "null", '"x"', "[" * 3000, ""):
        assert guest("GET", place, filters=wrong)[0] == 400, wrong


@pytest.mark.parametrize(
    ("verb", "path"),
    [
        ("POST", "experiments/{ai}/suggestions"),
        ("PUT", "experiments/{ai}"),
        ("DELETE", "experiments/{ai}"),
        ("POST", "experiments/{ai}/tokens"),
        ("POST", "aiexperiments/{ai}/training_runs"),
        ("MERGE", "training_runs/{run}"),
        ("POST", "experiments"),
    ],
)
def test_a_guest_changes_nothing(api: Api, verb: str, path: str) -> None:
    mine = World(api)["mine"]
    guest = api.guest(f"experiments/{mine['ai']}")
    status, answer = guest(verb, path.format(**mine), {})
    assert (status, answer["token_status"]) == (403, "invalid_permissions")


def test_it_ends_with_its_month_or_with_its_maker(
    driver: EmbeddedDriver, store: TokenStore, storage_url: str
) -> None:
    now = [0.0]
    with serve_in_thread(driver, tokens=store, clock=lambda: now[0]) as (url, _):
        api = Api(url, store.create("owner"))
        mine = World(api)["mine"]
        first, second = (api.guest(f"experiments/{mine['core']}") for _ in "ab")
        made = store.find(digest_of(first.token))
        assert made is not None
        assert (made.name, made.scope, made.share and made.share.experiment) == (
            "guest-1", READ, int(mine["core"]),
        )  # fmt: skip
        store.revoke("guest-1")
        now[0] += 60
        status, answer = first("GET", "tokens/self")
        assert (status, answer["token_status"]) == (403, "revoked")
        assert second("GET", "tokens/self")[0] == 200
        store.revoke("owner")
        now[0] += 60
        status, answer = second("GET", "tokens/self")
        assert (status, answer["token_status"]) == (403, "revoked")
        third = Api(url, store.create("another")).guest(f"experiments/{mine['core']}")
        database = storage_url.removeprefix("sqlite:///")
        with sqlite3.connect(database) as connection:
            connection.execute("UPDATE nc_sigopt_guest_tokens SET expires = 1000 WHERE id = 3")
        status, answer = third("GET", "tokens/self")
        assert (status, answer["token_status"]) == (403, "expired")
    assert [token.name for token in store.guests()] == ["guest-1", "guest-2"]


def test_the_commands_show_and_revoke_guests(
    api: Api, storage_url: str, store: TokenStore, tmp_path: Path
) -> None:
    mine = World(api)["mine"]
    guest = api.guest(f"experiments/{mine['core']}")
    run = CliRunner().invoke
    listed = run(cli, ["token", "list", "--storage", storage_url]).output
    assert f"read experiment {mine['core']} until 20" in " ".join(listed.split())
    assert guest.token not in listed
    told = run(cli, ["token", "revoke", "guest-1", "--storage", storage_url]).output
    assert told == "Token (guest-1) is revoked.\n"
    assert run(cli, ["token", "revoke", "guest-9", "--storage", storage_url]).exit_code == 2
    with pytest.raises(SettingsError, match="guest tokens are called so"):
        store.create("guest-7")
    files = [path for path in (tmp_path / "store").iterdir() if path.is_file()]
    assert guest.token.encode() not in b"".join(path.read_bytes() for path in files)


def test_in_a_process_of_ones_own(driver: EmbeddedDriver) -> None:
    made = driver.answer("POST", ["experiments"], {"name": "e", "parameters": [X]})
    token = driver.answer("POST", ["experiments", made["id"], "tokens"], {})
    assert (token["token"], token["token_type"], token["experiment"]) == (
        "embedded", "guest", made["id"],
    )  # fmt: skip
