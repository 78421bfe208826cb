"""The server's pages in a real browser: a token, an experiment whose names are hostile."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from nc_sigopt_strategy.client.sigopt_client import Connection
from nc_sigopt_strategy.engine import EmbeddedDriver
from nc_sigopt_strategy.server import home
from tests.browser import needs_chromium, title_of
from tests.server.serving import serve_in_thread

HOSTILE = "<img src=x onerror=\"document.title='broken in'\">"
# Stands in for a person: types the token, follows a link, tells what is to be seen in the title.
PERSON = """
addEventListener("load", async () => {
  const moment = () => new Promise(go => setTimeout(go, 20));
  const wait = async selector => {
    for (let i = 0; i < 200 && !document.querySelector(selector); i++) await moment();
    return document.querySelector(selector);
  };
  const query = new URLSearchParams(location.search), found = {};
  document.getElementById("token").value = query.get("type");
  document.getElementById("enter").requestSubmit();
  if (query.has("refused")) {
    while (!document.getElementById("refused").textContent) await moment();
    found.refused = document.getElementById("refused").textContent;
  } else {
    if (query.has("run")) {
      if (query.get("run") !== "guest") {
        (await wait("#main td a[href^='#/projects']")).click();
        (await wait("#main td a[href^='#/runs']")).click();
      }
      while (!document.querySelector("pre")) await moment();
      const every = selector => [...document.querySelectorAll(selector)];
      const texts = selector => every(selector).map(one => one.textContent);
      found.headings = texts("h1, h2, h3");
      found.cells = texts("tbody td, dd, pre, li a");
      found.points = every(".curve circle").length;
      found.images = every("img").length;
      found.wide = document.documentElement.scrollWidth <= document.documentElement.clientWidth;
      document.title = JSON.stringify(found);
      return;
    }
    if (query.has("runs")) {
      (await wait("#main td a[href^='#/projects']")).click();
      while (document.querySelector("h1").textContent !== "Project p") await moment();
      found.headings = [...document.querySelectorAll("h1, h2")].map(one => one.textContent);
      found.cells = [...document.querySelectorAll("tbody td")].map(cell => cell.textContent);
      document.title = JSON.stringify(found);
      return;
    }
    (await wait("#main td a[href^='#/experiments']")).click();
    await wait("#history");
    await moment();
    const all = selector => [...document.querySelectorAll(selector)];
    found.title = document.querySelector("h1").textContent;
    found.points = all("#history circle").length;
    found.missed = all("#history .missed").length;
    found.lines = all("#parallel polyline").length;
    found.first = document.querySelector("#importance text").textContent;
    found.rows = all("tbody tr").length;
    found.best = all("tr.best").length;
    found.failed = all("tr.failed").length;
    all("th button").find(button => button.textContent === "speed").click();
    const speeds = all("tbody tr").map(row => row.cells[2].textContent);
    found.sorted = speeds.filter(text => text !== "–").map(Number);
    found.images = all("img").length;
    found.wide = document.documentElement.scrollWidth <= document.documentElement.clientWidth;
  }
  document.title = JSON.stringify(found);
});
"""


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, str]]:
    made = home.pages(None)
    script = made["/page.js"]
    script.body = bytes(script.body) + PERSON.encode()
    script.headers["content-length"] = str(len(script.body))
    monkeypatch.setattr("nc_sigopt_strategy.server.app.pages", lambda url: made)
    driver = EmbeddedDriver(f"sqlite:///{tmp_path / 'engine.db'}", sampler="random", seed=1)
    with serve_in_thread(driver) as found:
        yield found
    driver.close()


def seen(url: str, folder: Path) -> dict[str, Any]:
    return dict(json.loads(title_of(url, folder, 20_000)))


def experiment_on(server: tuple[str, str]) -> None:
    connection = Connection(client_token=server[1])
    connection.set_api_url(server[0])
    experiment = connection.experiments().create(
        name=HOSTILE,
        parameters=[
            {"name": HOSTILE, "type": "double", "bounds": {"min": 0, "max": 1}},
            {"name": "idle", "type": "categorical", "categorical_values": ["a", HOSTILE[:40]]},
        ],
        metrics=[
            {"name": "speed", "objective": "maximize"},
            {"name": "loss", "objective": "minimize", "strategy": "constraint", "threshold": 0.7},
        ],
        observation_budget=30,
    )
    endpoint = connection.experiments(experiment.id).observations()
    for number in range(20):
        x = number / 19
        endpoint.create(
            assignments={HOSTILE: x, "idle": "a" if number % 3 else HOSTILE[:40]},
            values=[{"name": "speed", "value": x * x}, {"name": "loss", "value": x}],
        )
    endpoint.create(assignments={HOSTILE: 0.5, "idle": "a"}, failed=True)


@pytest.mark.integration
@needs_chromium
def test_a_person_looks_at_an_experiment(server: tuple[str, str], tmp_path: Path) -> None:
    experiment_on(server)
    found = seen(f"{server[0]}/?type={quote(server[1])}", tmp_path)
    assert found["title"] == HOSTILE
    assert found["points"] == 20
    assert found["missed"] == 6
    assert found["lines"] == 20
    assert HOSTILE.endswith(found["first"].removeprefix("…"))
    assert (found["rows"], found["best"], found["failed"]) == (21, 1, 1)
    assert found["sorted"] == sorted(found["sorted"])
    assert found["images"] == 0
    assert found["wide"]


@pytest.mark.integration
@needs_chromium
def test_a_wrong_token_is_refused(server: tuple[str, str], tmp_path: Path) -> None:
    found = seen(f"{server[0]}/?type=nobodys&refused=1", tmp_path)
    assert found["refused"]


@pytest.mark.integration
@needs_chromium
@pytest.mark.parametrize("who", ["owner", "guest"])
def test_a_person_looks_at_a_run(server: tuple[str, str], tmp_path: Path, who: str) -> None:
    connection = Connection(client_token=server[1])
    connection.set_api_url(server[0])
    connection.clients("1").projects().create(id="p", name="P")
    run = connection.clients("1").projects("p").training_runs().create(
        name=HOSTILE, assignments={"depth": 3}, values={"acc": {"value": 0.25}},
        metadata={"host": HOSTILE}, logs={"stdout": {"content": HOSTILE}},
        source_code={"content": "x = 1", "hash": "abc"}, model={"type": "tree"},
    )  # fmt: skip
    for epoch in range(5):
        values = [{"name": "loss", "value": 1 / (1 + epoch)}, {"name": "acc", "value": epoch}]
        connection.training_runs(run.id).checkpoints().create(values=values[: 1 + epoch % 2])
    token = server[1]
    if who == "guest":
        path = ["training_runs", run.id, "tokens"]
        token = connection.impl.driver.request("POST", path, {}, None)["token"]
    found = seen(f"{server[0]}/?type={quote(token)}&run={who}", tmp_path)
    assert found["headings"] == [
        HOSTILE, "Metrics", "Parameters", "Checkpoints", "loss", "acc", "Metadata",
        "Log: stdout", "Source code",
    ]  # fmt: skip
    assert {"acc", "0.25", "depth", "3", "tree", "abc", HOSTILE, "x = 1"} <= set(found["cells"])
    assert (found["points"], found["images"], found["wide"]) == (5 + 2, 0, True)


@pytest.mark.integration
@needs_chromium
def test_the_runs_of_a_project(server: tuple[str, str], tmp_path: Path) -> None:
    connection = Connection(client_token=server[1])
    connection.set_api_url(server[0])
    connection.clients("1").projects().create(id="p", name="P")
    project = connection.clients("1").projects("p")
    parameters = [{"name": "x", "type": "double", "bounds": {"min": 0, "max": 1}}]
    project.aiexperiments().create(name="of runs", parameters=parameters, metrics=[{"name": "m"}])
    project.training_runs().create(name=HOSTILE, values={"m": {"value": 0.25}}, state="completed")
    found = seen(f"{server[0]}/?type={quote(server[1])}&runs=1", tmp_path)
    assert found["headings"] == ["Project p", "Runs"]
    assert {"of runs", HOSTILE, "completed", "0.25"} <= set(found["cells"])
