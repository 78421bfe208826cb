"""The server's pages in a real browser, where everything that can be named is an attack."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests

from nc_sigopt_strategy.engine import EmbeddedDriver
from nc_sigopt_strategy.server import home
from nc_sigopt_strategy.server.options import ServerOptions
from tests.browser import needs_chromium, title_of
from tests.server.serving import serve_in_thread

ATTACKS = [
    "<script>window.broken = 1</script>",
    "</script><script>window.broken = 1</script>",
    '<img src=x onerror="window.broken=1">',
    "javascript:window.broken=1",
    "\"><svg onload='window.broken=1'>",
    "{{constructor.constructor('broken=1')()}}",
    "${window.broken=1}",
    "\u202e\u2028\u2066&lt;b&gt;]]>",
    "__proto__",
    "constructor",
]
# Goes through the pages named in the query and tells what is there that should not be.
VISITOR = """
addEventListener("load", async () => {
  const moment = () => new Promise(go => setTimeout(go, 20));
  const main = document.getElementById("main"), places = ["href", "src", "action", "xlink:href"];
  const query = new URLSearchParams(location.search), wrong = [], titles = [];
  let texts = "";
  addEventListener("unhandledrejection", event => wrong.push("rejected: " + event.reason));
  addEventListener("error", event => wrong.push("error: " + event.message));
  addEventListener("securitypolicyviolation", event => wrong.push("policy: " + event.blockedURI));
  document.getElementById("token").value = query.get("type");
  document.getElementById("enter").requestSubmit();
  for (const hash of JSON.parse(query.get("visit"))) {
    location.hash = hash;
    await moment();
    for (let i = 0; i < 300 && main.hasAttribute("aria-busy"); i++) await moment();
    for (const button of main.querySelectorAll("th button")) button.click();
    texts += main.textContent.includes("native code") ? "native code" : "";
    titles.push((main.querySelector("h1, [role=alert]") || main).textContent);
    for (const one of document.querySelectorAll("*")) {
      if (["IMG", "IFRAME", "OBJECT", "EMBED", "BASE", "FORM", "STYLE"].includes(one.tagName)
          || (one.tagName === "SCRIPT" && one.src !== location.origin + "/page.js"))
        wrong.push(hash + " has " + one.outerHTML.slice(0, 80));
      for (const attribute of one.attributes)
        if (attribute.name.startsWith("on") || (places.includes(attribute.name)
            && /^\\s*(javascript|data):/i.test(attribute.value)))
          wrong.push(hash + " has " + attribute.name + "=" + attribute.value.slice(0, 80));
    }
  }
  if (window.broken !== undefined || ({}).broken !== undefined) wrong.push("a script ran");
  document.title = JSON.stringify({wrong, titles, texts});
});
"""


class World:
    """Requests to a server, and ids of what was made on it."""

    def __init__(self, url: str, token: str) -> None:
        self.url, self.token = url, token
        self.hashes = ["#/", "#/projects/1/p"]
        self._post("clients/1/projects", id="p", name=ATTACKS[1])
        self._experiments()
        self._run()

    def _post(self, path: str, **body: Any) -> Any:
        answer = requests.post(
            f"{self.url}/v1/{path}", json=body, auth=(self.token, ""), timeout=60
        )
        assert answer.status_code == 200, answer.text
        return answer.json()

    def _experiments(self) -> None:
        parameters = [
            {"name": attack, "type": "double", "bounds": {"min": 0, "max": 1}}
            for attack in ATTACKS[:5]
        ]
        names = [attack[:50] for attack in ATTACKS]
        kinds = {"name": ATTACKS[8], "type": "categorical", "categorical_values": names}
        body: dict[str, Any] = {
            "name": ATTACKS[2],
            "parameters": [*parameters, kinds],
            "metrics": [{"name": ATTACKS[9]}],
            "metadata": {attack: attack for attack in ATTACKS},
        }
        core = self._post("experiments", **body, project="p")["id"]
        for number in range(10):
            given = {one["name"]: number / 10 for one in parameters}
            self._post(
                f"experiments/{core}/observations",
                assignments={**given, kinds["name"]: names[number]},
                values=[{"name": ATTACKS[9], "value": number}],
                metadata={ATTACKS[0]: ATTACKS[2]},
            )
        record = {
            "search_space": {"a": 1},
            "model": ATTACKS[2],
            "baseline_accuracy": ATTACKS[2],
            "accuracy_target": ATTACKS[0],
            "reference": {"fp32_seconds": ATTACKS[2]},
        }
        put = f"{self.url}/v1/experiments/{core}/record"
        requests.put(put, json={"record": record}, auth=(self.token, ""), timeout=60)
        ai = self._post("clients/1/projects/p/aiexperiments", **body)["id"]
        self._post(f"aiexperiments/{ai}/training_runs", name=ATTACKS[2])
        self.hashes += [f"#/experiments/{core}", f"#/experiments/{ai}"]

    def _run(self) -> None:
        texts = {attack: attack for attack in ATTACKS}
        run = self._post(
            "clients/1/projects/p/training_runs",
            name=ATTACKS[0],
            assignments=texts,
            assignments_meta={ATTACKS[2]: {"source": ATTACKS[3]}},
            values={attack: {"value": 1} for attack in ATTACKS},
            metadata=texts,
            dev_metadata=texts,
            datasets={attack: {} for attack in ATTACKS},
            logs={attack: {"content": attack} for attack in ATTACKS},
            model={"type": ATTACKS[2]},
            source_code={"content": ATTACKS[1], "hash": ATTACKS[2]},
        )["id"]
        for number in range(3):
            values = [{"name": attack, "value": number} for attack in ATTACKS]
            self._post(f"training_runs/{run}/checkpoints", values=values)
        for attack in ATTACKS:
            self._post(
                f"training_runs/{run}/files",
                name=attack,
                filename=attack,
                content_type=attack,
                content_length=1,
                content_md5=base64.b64encode(hashlib.md5(b"x").digest()).decode(),
            )
        # Beside one of whose entries the others have none.
        self._post("clients/1/projects/p/training_runs", name="plain", assignments={"a": 1})
        self.hashes.append(f"#/runs/{run}")


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    made = home.pages(None)
    script = made["/page.js"]
    script.body = bytes(script.body) + VISITOR.encode()
    script.headers["content-length"] = str(len(script.body))
    monkeypatch.setattr("nc_sigopt_strategy.server.app.pages", lambda url: made)
    storage = f"sqlite:///{tmp_path / 'engine.db'}"
    driver = EmbeddedDriver(storage, sampler="random", seed=1, keeps_files=True)
    options = ServerOptions(reads_per_second=0, writes_per_second=0, files=tmp_path / "files")
    with serve_in_thread(driver, options=options) as (url, token):
        yield World(url, token)
    driver.close()


@pytest.mark.integration
@needs_chromium
def test_nothing_that_is_named_does_anything(world: World, tmp_path: Path) -> None:
    lost = [
        f"#/{quote(attack, safe='')}" for attack in ("__proto__/1", "constructor/1", "toString")
    ]
    lost += [f"#/{kind}/{quote(a, safe='')}" for kind in ("runs", "experiments") for a in ATTACKS]
    lost += ["#/runs/..%2f..%2fopenapi.json", "#/runs///evil.example", "#/runs/%", "#/%ff"]
    visit = quote(json.dumps([*world.hashes, *lost]))
    address = f"{world.url}/?type={quote(world.token)}&visit={visit}"
    found = json.loads(title_of(address, tmp_path, 60_000))
    assert found["wrong"] == []
    # What every object answers to is no value of a run's that has none.
    assert "native code" not in found["texts"]
    shown = found["titles"][: len(world.hashes)]
    assert shown == ["Experiments", "Project p", ATTACKS[2], ATTACKS[2], ATTACKS[0]]
    # What is not there is said, also where an address cannot be read.
    unread, home_page = found["titles"][-2:]
    assert "no route training_runs/%" in unread
    assert home_page == "Experiments"


def test_the_pages_scripts_make_no_markup_of_text() -> None:
    """What the policy of the page would not stop: elements and links that look like the page's."""
    for name, page in home.pages("https://a/?\"'<b>").items():
        text = bytes(page.body).decode()
        for word in (
            "innerHTML", "outerHTML", "insertAdjacent", "document.write", "DOMParser", "eval(",
            "Function(", "srcdoc", "createContextualFragment", "setTimeout(\"",
        ):  # fmt: skip
            assert word not in text, name
        policy = page.headers["content-security-policy"]
        for rule in ("default-src 'none'", "script-src 'self'", "base-uri 'none'",
                     "frame-ancestors 'none'", "form-action 'none'"):  # fmt: skip
            assert rule in policy
        assert "unsafe" not in policy
        assert "<b>" not in text or name != "/" or "?\"'<b>" not in text
