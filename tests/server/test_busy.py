"""What others hold or send keeps nobody from being answered, and memory within its limits."""

from __future__ import annotations

import json
import random
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import requests
import sqlalchemy

from nc_sigopt_strategy.engine import EmbeddedDriver
from nc_sigopt_strategy.engine import store as store_module
from nc_sigopt_strategy.engine.database import location
from nc_sigopt_strategy.server import bodies
from nc_sigopt_strategy.server.app import App
from nc_sigopt_strategy.server.bodies import MAX_CONTAINERS, MAX_SEPARATORS, contents_of
from nc_sigopt_strategy.server.options import MIB, ServerOptions
from nc_sigopt_strategy.server.tokens import TokenStore
from tests.engine.examples import discrete, opened
from tests.server.serving import run_app, serve_in_thread


@pytest.mark.parametrize(
    "document",
    [
        [{}] * 50_000,
        [[]] * 50_000,
        [{"a": index} for index in range(20_000)],
        list(range(100_000)),
        ["x" * 9 + str(index) for index in range(50_000)],
        {f"key {index}": index / 7 for index in range(50_000)},
        "\U0001f600" + "x" * 1_000_000,
    ],
    ids=["dicts", "lists", "dicts of one", "integers", "strings", "keys", "wide text"],
)
def test_a_body_is_counted_as_what_it_becomes(document: Any) -> None:
    import tracemalloc

    body = json.dumps({"k": document}, ensure_ascii=False, separators=(",", ":")).encode()
    tracemalloc.start()
    text = body.decode()
    parsed = json.loads(text)
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert parsed
    assert held <= contents_of(body).weight


def _count(value: Any) -> tuple[int, int]:
    """Containers and separators of a parsed body, as its JSON has them."""
    if not isinstance(value, (dict, list)):
        return 0, 0
    inside = [_count(entry) for entry in (value.values() if isinstance(value, dict) else value)]
    own = max(0, len(value) - 1) + (len(value) if isinstance(value, dict) else 0)
    return 1 + sum(one for one, _ in inside), own + sum(other for _, other in inside)


@pytest.mark.parametrize("piece", [1, 2, 3, 7, 64 * 1024])
def test_what_a_body_holds_is_counted_beside_its_texts(
    piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "_COUNTED_BYTES", piece)
    draw = random.Random(piece)

    def text() -> str:
        return "".join(draw.choices('\\\\\\"""{[,:x\n\u20ac', k=draw.randint(0, 12)))

    for _ in range(200):
        document: Any = {text(): [text(), {}, [1, text()], None, {text(): text()}]}
        body = json.dumps(document, ensure_ascii=draw.random() < 0.5).encode()
        found = contents_of(body)
        assert (found.containers, found.separators) == _count(document), body
    for nonsense in (b"", b"\\", b'"', b'\\"\\', b"\\" * 1001):
        assert contents_of(nonsense).containers == 0


@pytest.mark.parametrize(
    "part",
    [b"[" * (MAX_CONTAINERS + 1), b",{}" * MAX_CONTAINERS, b",1" * (MAX_SEPARATORS + 1)],
    ids=["deep", "objects", "numbers"],
)
def test_a_crowd_is_refused_unread(driver: EmbeddedDriver, part: bytes) -> None:
    with serve_in_thread(driver) as (url, token):
        address = f"{url}/v1/experiments/1/observations/batch"
        body = b'{"observations":[0' + part + b"]}"
        answer = requests.post(address, data=body, auth=(token, ""), timeout=60)
        assert answer.status_code == 413
        assert "holds more than" in answer.json()["message"]
        # A text may hold whatever it likes.
        body = json.dumps({"name": part.decode()}).encode()
        answer = requests.post(address, data=body, auth=(token, ""), timeout=60)
        assert answer.status_code == 404


def test_a_body_that_becomes_too_much_is_refused(driver: EmbeddedDriver) -> None:
    options = ServerOptions(max_held_bytes=16 * MIB)
    with serve_in_thread(driver, options=options) as (url, token):
        body = b'{"observations":[' + b",".join([b"{}"] * 90_000) + b"]}"
        assert len(body) < MIB
        address = f"{url}/v1/experiments/1/observations/batch"
        answer = requests.post(address, data=body, auth=(token, ""), timeout=60)
        assert answer.status_code == 413
        assert "values" in answer.json()["message"]
        usual = [{"assignments": {"p0": "v0"}, "values": [{"value": 1.0}]}] * 2500
        made = driver.answer("POST", ["experiments"], discrete(2))["id"]
        address = f"{url}/v1/experiments/{made}/observations/batch"
        answer = requests.post(
            address, json={"observations": usual, "dry_run": True}, auth=(token, ""), timeout=60
        )
        assert answer.status_code == 200, answer.text


def test_a_held_write_lock_keeps_nobody_out(storage_url: str, tmp_path: Path) -> None:
    driver, tokens = EmbeddedDriver(storage_url), TokenStore(storage_url)
    secrets = [tokens.create(f"t{index}") for index in range(4)]
    path = storage_url.removeprefix("sqlite:///")
    holder = sqlite3.connect(path, isolation_level=None)
    with run_app(App(driver, tokens, ServerOptions())) as url:
        holder.execute("BEGIN IMMEDIATE")
        started = time.monotonic()
        for secret in secrets:
            answer = requests.get(f"{url}/v1/tokens/self", auth=(secret, ""), timeout=50)
            assert answer.status_code == 200
        # Each would have waited for the lock, up to a minute.
        assert time.monotonic() - started < 45
        holder.execute("ROLLBACK")
        deadline = time.monotonic() + 60
        while any(token.last_used is None for token in tokens.all()):
            assert time.monotonic() < deadline
            time.sleep(0.05)
    holder.close()
    tokens.close()
    driver.close()


def test_a_foreign_lock_on_postgresql_is_busy_not_silence(
    postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(location, "LOCK_SECONDS", 1)
    storage, driver = opened(postgresql_url)
    made = driver.answer("POST", ["experiments"], discrete(9))["id"]
    with serve_in_thread(driver) as (url, token):
        address = f"{url}/v1/experiments/{made}/suggestions"
        with storage.engine.begin() as connection:
            connection.execute(sqlalchemy.text("SELECT * FROM studies FOR UPDATE"))
            answer = requests.post(address, json={}, auth=(token, ""), timeout=60)
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
            assert "busy" in answer.json()["message"]
        assert requests.post(address, json={}, auth=(token, ""), timeout=60).status_code == 200
    driver.close()


def test_histories_are_kept_by_what_they_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many small experiments are read once; large ones make room for each other."""
    _, driver = opened("sqlite://", sampler="random")
    ids = [driver.answer("POST", ["experiments"], discrete(2))["id"] for _ in range(60)]
    for known in ids:
        report = {"assignments": {"p0": "v0"}, "values": [{"value": 1.0}]}
        batch = {"observations": [report] * 5}
        driver.answer("POST", ["experiments", known, "observations", "batch"], batch)
    driver.answer("GET", ["experiments"], {"limit": "60"})
    kept = driver._store._histories
    assert len(kept) == 60
    monkeypatch.setattr(store_module, "_VALUES_KEPT", 50)
    driver.answer("GET", ["experiments", ids[0]], {})
    assert sum(history.size for history in kept.values()) <= 50
    assert len(kept) == 10
    monkeypatch.setattr(store_module, "_DESCRIPTIONS_KEPT", 7)
    answer = driver.answer("GET", ["experiments"], {"limit": "60"})
    assert [item["progress"]["observation_count"] for item in answer["data"]] == [5] * 60
    assert len(driver._store._parsed) <= 60
    driver.close()


def test_others_are_answered_while_large_bodies_are_parsed(driver: EmbeddedDriver) -> None:
    made = driver.answer("POST", ["experiments"], discrete(2))["id"]
    reports = [{"assignments": {"p0": "v0"}, "values": [{"value": 1.0}]}] * 20_000
    body = json.dumps({"observations": reports})
    with serve_in_thread(driver) as (url, token):
        address = f"{url}/v1/experiments/{made}/observations/batch"
        done: list[int] = []

        def send() -> None:
            answer = requests.post(address, data=body, auth=(token, ""), timeout=120)
            done.append(answer.status_code)

        senders = [threading.Thread(target=send) for _ in range(4)]
        for sender in senders:
            sender.start()
        while len(done) < 4:
            answer = requests.get(f"{url}/v1/experiments/{made}", auth=(token, ""), timeout=120)
            assert answer.status_code in (200, 429)
        for sender in senders:
            sender.join()
    # More than a batch may have, or no room at that moment; nobody waited for ever.
    assert set(done) <= {400, 429}


def test_suggestions_of_one_experiment_leave_threads_to_others(storage_url: str) -> None:
    """Forty wait for a sampler that does not answer; who asks for something else is answered."""

    class Thinking:
        def __init__(self) -> None:
            self.done = threading.Event()

        def propose(self, *args: Any) -> dict[str, Any]:
            assert self.done.wait(100)
            return {"p0": "v0"}

    proposer = Thinking()
    driver = EmbeddedDriver(storage_url, proposer=proposer)  # type: ignore[arg-type]
    ids = [driver.answer("POST", ["experiments"], discrete(2))["id"] for _ in range(2)]
    options = ServerOptions(concurrency=8)
    with serve_in_thread(driver, options=options) as (url, token):
        statuses: list[int] = []

        def ask() -> None:
            address = f"{url}/v1/experiments/{ids[0]}/suggestions"
            answer = requests.post(address, json={}, auth=(token, ""), timeout=120)
            statuses.append(answer.status_code)

        askers = [threading.Thread(target=ask) for _ in range(30)]
        for asker in askers:
            asker.start()
        time.sleep(1.0)
        other = requests.get(f"{url}/v1/experiments/{ids[1]}", auth=(token, ""), timeout=30)
        assert other.status_code == 200
        assert statuses == []
        proposer.done.set()
        for asker in askers:
            asker.join()
        assert statuses == [200] * 30
    driver.close()


def test_nothing_is_confirmed_when_the_file_is_gone(
    storage_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    driver, tokens = EmbeddedDriver(storage_url), TokenStore(storage_url)
    token = tokens.create("one")
    made = driver.answer("POST", ["experiments"], discrete(9))["id"]
    path = Path(storage_url.removeprefix("sqlite:///"))
    now = [0.0]
    with run_app(App(driver, tokens, ServerOptions(), lambda: now[0])) as url:
        address = f"{url}/v1/experiments/{made}"

        def ask(verb: str, *parts: str) -> int:
            where = "/".join([address, *parts])
            answer = requests.request(verb, where, json={}, auth=(token, ""), timeout=60)
            return answer.status_code

        assert ask("POST", "suggestions") == 200
        aside = path.with_name("aside.db")
        path.rename(aside)
        assert ask("POST", "suggestions") == ask("GET") == ask("PUT") == 503
        assert "was deleted or replaced" in caplog.text
        # Another file of that name is another store.
        path.write_bytes(b"")
        assert ask("GET") == 503
        # The token is not let in either, once it is looked up again.
        now[0] = 60.0
        assert ask("GET") == 503
        aside.replace(path)
        assert ask("POST", "suggestions") == 200
    tokens.close()
    driver.close()
