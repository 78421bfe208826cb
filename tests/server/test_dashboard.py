"""``nc-sigopt dashboard`` on a store with an experiment."""

from __future__ import annotations

import re
import signal
import subprocess
import sys

import pytest
import requests

from nc_sigopt_strategy.engine import EmbeddedDriver

EXPERIMENT = {
    "name": "for the eye",
    "parameters": [{"name": "x", "type": "double", "bounds": {"min": 0, "max": 1}}],
    "metrics": [{"name": "m"}],
}


class Dashboard:
    """The command in a process."""

    def __init__(self, storage_url: str, *options: str) -> None:
        self.process = subprocess.Popen(
            [
                sys.executable, "-m", "nc_sigopt_strategy.cli.main", "dashboard",
                "--storage", storage_url, "--port", "0", *options,
            ],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        found = re.match(r"Dashboard (http://\S+) \(storage (\S+)\)", line)
        assert found, line + (self.process.stderr.read() if self.process.stderr else "")
        self.url, self.storage = found.groups()

    def stop(self, number: signal.Signals) -> tuple[int, str]:
        self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=60)
        return self.process.returncode, errors


@pytest.fixture
def store(storage_url: str) -> str:
    driver = EmbeddedDriver(storage_url, sampler="random")
    made = driver.answer("POST", ["experiments"], dict(EXPERIMENT))
    path = ["experiments", made["id"]]
    for value in (1.0, 2.0):
        body = {"assignments": {"x": 0.5}, "values": [{"name": "m", "value": value}]}
        driver.answer("POST", [*path, "observations"], body)
    driver.answer("POST", [*path, "suggestions"], {})
    driver.close()
    return storage_url


def test_it_shows_the_experiments(store: str) -> None:
    dashboard = Dashboard(store)
    assert dashboard.storage == store
    try:
        assert dashboard.url.startswith("http://127.0.0.1:")
        studies = requests.get(f"{dashboard.url}/api/studies", timeout=60).json()
        (study,) = studies["study_summaries"]
        assert study["study_name"] == f"for the eye ({study['study_id']})"
        page = requests.get(f"{dashboard.url}/", timeout=60)
        assert "<html" in page.text.lower()
        detail = requests.get(
            f"{dashboard.url}/api/studies/{study['study_id']}", params={"after": 0}, timeout=60
        ).json()
        states = sorted(trial["state"] for trial in detail["trials"])
        assert states == ["Complete", "Complete", "Running"]
        # Another site's name that leads here is not let in.
        evil = requests.get(
            f"{dashboard.url}/api/studies", headers={"Host": "evil.example"}, timeout=60
        )
        assert evil.status_code == 403
    finally:
        code, errors = dashboard.stop(signal.SIGTERM)
    assert code == 0
    assert "warning" not in errors
    assert "Traceback" not in errors


def test_elsewhere_than_loopback_it_warns(store: str) -> None:
    dashboard = Dashboard(store, "--host", "0.0.0.0")
    code, errors = dashboard.stop(signal.SIGINT)
    assert code == 0
    assert "has no login" in errors


def test_pages_from_elsewhere_neither_show_nor_change_it(store: str) -> None:
    dashboard = Dashboard(store)
    own = dashboard.url

    def send(verb: str, **headers: str) -> int:
        # What a form or a script of another page can send without asking first.
        body = '{"study_name": "from elsewhere", "directions": ["minimize"]}'
        where = f"{own}/api/studies" + ("/1" if verb == "DELETE" else "")
        sent = {"Content-Type": "application/json", **headers}
        return requests.request(verb, where, data=body, headers=sent, timeout=60).status_code

    try:
        for verb in ("POST", "PUT", "DELETE", "PATCH"):
            for kind in ("text/plain", "application/json", "application/x-www-form-urlencoded"):
                for origin in (
                    "http://evil.example",
                    "null",
                    f"{own}.evil.example",
                    "http://[",
                ):
                    status = send(verb, Origin=origin, **{"Content-Type": kind})
                    assert status == 403, (verb, kind, origin)
            assert send(verb, **{"Sec-Fetch-Site": "cross-site"}) == 403
            other_port = own.rpartition(":")[0] + ":1"
            assert send(verb, Origin=other_port) == 403
        studies = requests.get(f"{own}/api/studies", timeout=60)
        assert len(studies.json()["study_summaries"]) == 1
        for path in ("/", "/dashboard", "/api/studies", "/static/no", "/nothing"):
            headers = requests.get(f"{own}{path}", timeout=60).headers
            assert headers["x-frame-options"] == "DENY", path
            assert "frame-ancestors 'none'" in headers["content-security-policy"], path
            assert headers["cross-origin-resource-policy"] == "same-origin", path
            assert "access-control-allow-origin" not in headers, path
        # Its own page may.
        assert send("POST", Origin=own, **{"Sec-Fetch-Site": "same-origin"}) != 403
        assert send("POST") != 403
    finally:
        dashboard.stop(signal.SIGTERM)
