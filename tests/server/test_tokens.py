"""Tokens: made, listed, revoked; who is let in with which."""

from __future__ import annotations

import base64
import dataclasses
import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
from click.testing import CliRunner, Result

from nc_sigopt_strategy.cli.main import cli
from nc_sigopt_strategy.engine import EmbeddedDriver
from nc_sigopt_strategy.errors import SettingsError, StoreError
from nc_sigopt_strategy.server import access
from nc_sigopt_strategy.server.tokens import Token, TokenStore, digest_of
from tests.server.serving import serve_in_thread


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["token", *arguments])


def ask(url: str, token: str | None, method: str = "GET", path: str = "tokens/self") -> Any:
    auth = None if token is None else (token, "")
    return requests.request(method, f"{url}/v1/{path}", auth=auth, json={}, timeout=30)


def test_the_commands(storage_url: str, tmp_path: Path) -> None:
    made = run("create", "worker-1", "--storage", storage_url)
    assert made.exit_code == 0
    token = made.stdout.strip()
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", token), "stdout is the token and nothing else"
    assert "only its digest is stored" in made.stderr
    assert token not in made.stderr
    reader = run("create", "reader", "--scope", "read", "--storage", storage_url).stdout.strip()
    assert reader != token

    listed = run("list", "--storage", storage_url).output
    assert re.search(r"1\s+worker-1\s+write\s+20\d\d-\d\d-\d\d \d\d:\d\d\s+never\s+no", listed)
    assert re.search(r"2\s+reader\s+read\s", listed)
    for secret in (token, reader, digest_of(token), digest_of(reader)):
        assert secret not in listed

    assert (
        "Token 2 (reader) is revoked" in run("revoke", "reader", "--storage", storage_url).output
    )
    assert "Token 1 (worker-1)" in run("revoke", "1", "--storage", storage_url).output
    assert run("list", "--storage", storage_url).output.count("yes") == 2

    again = run("create", "worker-1", "--storage", storage_url)
    assert again.exit_code == 2
    assert "There is a token 'worker-1' already" in again.stderr
    assert run("revoke", "nobody", "--storage", storage_url).exit_code == 2


@pytest.mark.parametrize("leads", ["/dev/full", "closed"])
def test_a_token_that_cannot_be_handed_over_is_none(storage_url: str, leads: str) -> None:
    command = [sys.executable, "-m", "nc_sigopt_strategy.cli.main", "token", "create", "lost"]
    where = ">&-" if leads == "closed" else f"> {leads}"
    done = subprocess.run(
        ["bash", "-c", f'exec "$0" "$@" {where}', *command, "--storage", storage_url],
        stderr=subprocess.PIPE, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith("nc-sigopt: error: No token was made"), done.stderr
    assert done.stderr.count("\n") == 1
    store = TokenStore(storage_url)
    assert store.all() == []
    # The name is free for the next attempt.
    store.create("lost")
    store.close()


def test_a_token_is_let_in_only_once_it_is_handed_over(storage_url: str) -> None:
    store = TokenStore(storage_url)
    with store.handing_out("one") as token:
        found = store.find(digest_of(token))
        assert found is not None
        assert found.revoked
    found = store.find(digest_of(token))
    assert found is not None
    assert not found.revoked
    with pytest.raises(KeyboardInterrupt), store.handing_out("two") as token:
        raise KeyboardInterrupt
    assert store.find(digest_of(token)) is None
    store.close()


def test_no_file_of_the_store_holds_a_token(storage_url: str, tmp_path: Path) -> None:
    store = TokenStore(storage_url)
    token = store.create("one")
    driver = EmbeddedDriver(storage_url)
    with serve_in_thread(driver, tokens=store) as (url, _):
        assert ask(url, token).json()["token"] == token
        assert ask(url, token, "POST", "experiments").status_code == 400
        files = [path for path in (tmp_path / "store").iterdir() if path.is_file()]
        assert {path.name for path in files} == {"engine.db", "engine.db-wal", "engine.db-shm"}
        written = b"".join(path.read_bytes() for path in files)
        for secret in (token, base64.b64encode(f"{token}:".encode()).decode()):
            assert secret.encode() not in written
        assert digest_of(token).encode() in written
    driver.close()
    store.close()


@pytest.mark.parametrize("name", ["", "x" * 101, "a\nb", "\x1b[31m", "12"])
def test_unusable_names(storage_url: str, name: str) -> None:
    with pytest.raises(SettingsError, match="The name is"):
        TokenStore(storage_url).create(name)


def test_unusable_scope(storage_url: str) -> None:
    with pytest.raises(SettingsError, match=r"'admin'.*read or write"):
        TokenStore(storage_url).create("a", "admin")


def test_a_store_in_memory_has_no_tokens() -> None:
    with pytest.raises(StoreError, match="in memory"):
        TokenStore("sqlite://")


def test_an_unusable_store_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no database " * 100)
    result = run("list", "--storage", f"sqlite:///{tmp_path / 'text'}")
    assert result.exit_code == 2
    assert "is not a database" in result.stderr


def test_many_open_the_new_store_at_once(storage_url: str) -> None:
    def work(number: int) -> str:
        store = TokenStore(storage_url)
        token = store.create(f"t{number}")
        store.close()
        return token

    with ThreadPoolExecutor(8) as pool:
        tokens = list(pool.map(work, range(8)))
    store = TokenStore(storage_url)
    assert len(store.all()) == len(set(tokens)) == 8
    store.close()


def test_who_is_let_in(driver: EmbeddedDriver, storage_url: str) -> None:
    store = TokenStore(storage_url)
    writer, reader = store.create("writer"), store.create("reader", "read")
    with serve_in_thread(driver, tokens=store) as (url, _):
        missing = ask(url, None)
        assert missing.status_code == 401
        assert missing.headers["www-authenticate"].startswith("Basic ")
        assert missing.json()["status"] == 401
        for unknown in ("nonsense", writer[:-1], writer + "a", writer.swapcase(), "ü" * 3000):
            wrong = requests.get(f"{url}/v1/tokens/self", auth=(unknown.encode(), b""), timeout=30)
            assert wrong.status_code == 403, unknown
            assert wrong.json() == {"message": "Unknown token", "status": 403}
        mine = ask(url, reader).json()
        assert (mine["token"], mine["permissions"]) == (reader, "read")
        assert ask(url, writer).json()["permissions"] == "write"
        for method, path in (
            ("POST", "experiments"),
            ("PUT", "experiments/1"),
            ("DELETE", "experiments/1"),
        ):
            refused = ask(url, reader, method, path)
            assert refused.status_code == 403
            assert refused.json()["token_status"] == "invalid_permissions"
            assert ask(url, writer, method, path).status_code in (400, 404)
        assert ask(url, reader, "GET", "experiments").json()["count"] == 0
    store.close()


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("Bearer abc", 400),
        ("Basic", 400),
        ("Basic !!!", 400),
        ("Basic YWJj", 403),  # no colon: all of it is the user name
        ("Basic //79Og==", 400),  # not UTF-8
        ("Basic Og==", 400),  # an empty user name
        ("basic YTo=", 403),
        ("", 400),
    ],
)
def test_authorization_headers(shared: tuple[str, str], header: str, status: int) -> None:
    answer = requests.get(
        f"{shared[0]}/v1/tokens/self", headers={"Authorization": header}, timeout=30
    )
    assert answer.status_code == status
    assert answer.json()["status"] == status


def test_health_and_the_description_need_no_token(shared: tuple[str, str]) -> None:
    for path in ("health", "openapi.json", ""):
        assert requests.get(f"{shared[0]}/{path}", timeout=30).status_code == 200


def test_a_revoked_token_is_let_in_no_longer_than_the_cache_keeps_it(
    driver: EmbeddedDriver, storage_url: str
) -> None:
    assert access.CACHE_SECONDS == 5.0, "docs/guide/server.md says so"
    now = 1000.0
    store = TokenStore(storage_url)
    token = store.create("one")
    with serve_in_thread(driver, tokens=store, clock=lambda: now) as (url, _):
        assert ask(url, token).status_code == 200
        store.revoke("one")
        now += 4.9
        assert ask(url, token).status_code == 200, "remembered"
        now += 0.2
        refused = ask(url, token)
        assert refused.status_code == 403
        assert refused.json()["token_status"] == "revoked"
        assert store.all()[0].revoked
    store.close()


def test_last_use_is_noted_but_not_at_every_request(
    driver: EmbeddedDriver, storage_url: str
) -> None:
    store = TokenStore(storage_url)
    token = store.create("one")
    unused = store.create("two")
    with serve_in_thread(driver, tokens=store) as (url, _):
        ask(url, token)
        _until(lambda: store.all()[0].last_used is not None)
        used, other = store.all()
        assert used.last_used is not None
        assert used.last_used >= used.created
        assert other.last_used is None
    assert unused not in repr(store.all())
    # An hour ago is long enough to be noted again, by a server that starts now.
    path = storage_url.removeprefix("sqlite:///")
    with sqlite3.connect(path) as database:
        database.execute("UPDATE nc_sigopt_tokens SET last_used = last_used - 3600")
    database.close()
    with serve_in_thread(driver, tokens=store) as (url, _):
        ask(url, token)
        _until(lambda: (store.all()[0].last_used or 0) >= used.last_used)
    store.close()


def _until(true: Callable[[], bool]) -> None:
    """Wait: the use is noted beside the answer."""
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


class _Failing:
    """A token store whose database is gone."""

    def find(self, digest: str) -> None:
        raise StoreError("The store postgresql://u:***@h/d failed: connection refused.")

    def touch(self, token: object, now: int) -> None:
        raise AssertionError

    def share(self, share: object, by: object, expires: int) -> str:
        raise AssertionError


def test_a_store_that_fails_is_status_500(
    driver: EmbeddedDriver, caplog: pytest.LogCaptureFixture
) -> None:
    with serve_in_thread(driver, tokens=_Failing()) as (url, _):
        answer = ask(url, "any")
        assert answer.status_code == 500
        assert "postgresql" not in answer.text, "where the store is concerns no client"
        assert "the server's log tells why" in answer.json()["message"]
        assert "The store postgresql://u:***@h/d failed" in caplog.text


class _ReadOnly(TokenStore):
    """A token store that cannot be written any more."""

    def touch(self, token: Token, now: int) -> None:
        raise StoreError("read-only")


def test_a_use_that_cannot_be_noted_does_not_matter(
    driver: EmbeddedDriver, storage_url: str
) -> None:
    store = _ReadOnly(storage_url)
    token = store.create("one")
    with serve_in_thread(driver, tokens=store) as (url, _):
        assert ask(url, token).status_code == 200
    store.close()


def test_what_is_known_of_a_token_is_not_the_token(storage_url: str) -> None:
    store = TokenStore(storage_url)
    token = store.create("one")
    found = store.find(digest_of(token))
    assert found is not None
    assert token not in repr(dataclasses.asdict(found))
    assert digest_of(token) not in repr(found)
    store.close()


def test_on_postgresql(postgresql_url: str) -> None:
    """Several processes' worth of stores opened at once, and the password never shown."""

    def work(number: int) -> str:
        store = TokenStore(postgresql_url)
        token = store.create(f"t{number}", "read" if number % 2 else "write")
        store.close()
        return token

    with ThreadPoolExecutor(6) as pool:
        tokens = list(pool.map(work, range(6)))
    store = TokenStore(postgresql_url)
    assert len(store.all()) == len(set(tokens)) == 6
    found = store.find(digest_of(tokens[1]))
    assert found is not None
    assert found.scope == "read"
    assert store.revoke(str(found.id)).revoked
    with pytest.raises(SettingsError, match="already"):
        store.create("t0")
    store.close()
    wrong = re.sub(r":[^:@/]+@", ":a-wrong-password@", postgresql_url)
    with pytest.raises(StoreError) as caught:
        TokenStore(wrong)
    assert "a-wrong-password" not in str(caught.value)
