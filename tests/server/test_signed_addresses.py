"""Attacks on the addresses of files, over a real socket."""

from __future__ import annotations

import os
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from nc_sigopt_strategy.engine import EmbeddedDriver
from nc_sigopt_strategy.server import shelf
from nc_sigopt_strategy.server.options import ServerOptions
from nc_sigopt_strategy.server.shelf import Shelf
from tests.server.serving import serve_in_thread
from tests.server.sockets import send, status_of
from tests.server.test_files_of_runs import BYTES, Client, client, folder, put

__all__ = ["client", "folder"]  # fixtures
OTHER = b"a file that is not shared"


def raw(client: Client, target: str, verb: str = "GET", head: str = "") -> tuple[int, bytes]:
    """Status and body for a request line as it stands here, which no library would send."""
    request = f"{verb} {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{head}\r\n"
    answer = send(client.url, request.encode("latin-1"))
    return status_of(answer), answer.partition(b"\r\n\r\n")[2]


@pytest.fixture
def files(client: Client) -> tuple[str, str]:
    """Where one file is fetched, and the id of another one, which is there too."""
    first, second = client.describe(), client.describe(OTHER)
    assert put(first["upload"]).status_code == put(second["upload"], OTHER).status_code == 200
    address = client("GET", f"files/{first['id']}")["download"]["url"]
    return address.removeprefix(client.url), second["id"]


def test_no_character_of_it_can_be_another(client: Client, files: tuple[str, str]) -> None:
    address, _ = files
    start = address.index("?")
    for place in range(start + 1, len(address)):
        if address[place] in "=&":
            continue
        changed = "1" if address[place] != "1" else "2"
        status, body = raw(client, address[:place] + changed + address[place + 1 :])
        assert status == 403, (address, place)
        assert BYTES not in body


def test_it_leads_to_no_other_file(client: Client, files: tuple[str, str]) -> None:
    address, other = files
    path, query = address.split("?")
    expires, signature = (pair.split("=")[1] for pair in query.split("&"))
    targets = [
        f"/files/{other}?{query}",
        f"{path}/../{other}?{query}",
        f"{path}%2f..%2f{other}?{query}",
        f"{path}\\..\\{other}?{query}",
        f"/files/{other}/../../{path.removeprefix('/')}?{query}",
        f"{path}%0a{expires}?expires=&signature={signature}",
        f"{path}%00?{query}",
        f"{path};{other}?{query}",
        f"/files/0{path.removeprefix('/files/')}?{query}",
        f"{path}/?{query}",
        f"/files/.key?{query}",
        f"/files/%2e%2e/e.db?{query}",
        f"{path}?expires={expires}&expires=9{expires}&signature=&signature={signature}",
        f"{path}?signature={signature.upper()}&expires={expires}",
        f"{path}?expires={expires}&signature={signature[:32]}",
        f"{path}?expires=%2B{expires}&signature={signature}",
        f"{path}?expires={expires}.0&signature={signature}",
        f"{path}?{query.replace('&', ';')}",
        path,
        f"{path}?",
    ]
    for target in targets:
        status, body = raw(client, target)
        assert status in (400, 403, 404), (target, status)
        assert OTHER not in body, target
        assert BYTES not in body, target
    # Another way to write the same address is the same address.
    digits = path.removeprefix("/files/")
    same = "/files/" + "".join(f"%{ord(digit):02x}" for digit in digits)
    assert raw(client, f"{same}?{query}") == (200, BYTES)
    status, _ = raw(client, f"/{path}?{query}")
    assert status == 308


@pytest.mark.parametrize("verb", ["PUT", "POST", "DELETE", "MERGE", "PATCH", "TRACE", "OPTIONS"])
def test_what_fetches_a_file_does_nothing_else(
    client: Client, files: tuple[str, str], verb: str
) -> None:
    status, _ = raw(client, files[0], verb, "Content-Length: 0\r\n")
    assert status in (403, 405)
    assert raw(client, files[0]) == (200, BYTES)


def test_a_head_is_shown_without_the_bytes(client: Client, files: tuple[str, str]) -> None:
    assert raw(client, files[0], "HEAD") == (200, b"")


def test_an_address_of_yesterday(
    client: Client, files: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = client.describe()
    now = time.time()
    monkeypatch.setattr(shelf.time, "time", lambda: now + 16 * 60)
    assert raw(client, files[0])[0] == 403
    late = put(made["upload"])
    assert (late.status_code, "expired" in late.text) == (403, True)
    fresh = client("GET", f"files/{files[1]}")["download"]["url"]
    assert requests.get(fresh, timeout=30).content == OTHER


def test_an_address_to_put_a_file_changes_nothing_when_it_is_used_again(client: Client) -> None:
    made = client.describe()
    assert put(made["upload"]).status_code == 200
    address = client("GET", f"files/{made['id']}")["download"]["url"]
    for content, status in ((b"y" + BYTES[1:], 400), (b"", 400), (BYTES, 200)):
        sent = put(made["upload"], content, **{"Content-Length": str(len(content))})
        assert sent.status_code == status
        assert requests.get(address, timeout=30).content == BYTES
    client("DELETE", f"training_runs/{client.run}")
    # A run that was deleted can be undeleted: its files stay.
    assert requests.get(address, timeout=30).content == BYTES


def test_a_server_with_another_key_takes_none_of_it(
    client: Client, files: tuple[str, str], tmp_path: Path
) -> None:
    driver = EmbeddedDriver(f"sqlite:///{tmp_path / 'e.db'}", seed=1, keeps_files=True)
    options = ServerOptions(files=tmp_path / "other", reads_per_second=0, writes_per_second=0)
    with serve_in_thread(driver, options=options) as (url, _):
        assert requests.get(url + files[0], timeout=30).status_code == 403
    driver.close()


@pytest.mark.parametrize("kind", ["text/\x7fhtml", "text/html\x85x", 'a"b', "a, b", "a/b;"])
def test_kinds_that_would_break_a_head(client: Client, kind: str) -> None:
    made = client.describe(content_type=kind, filename='a"; filename=b\u202e\x7f.html')
    assert put({**made["upload"], "headers": {}}).status_code == 200
    target = client("GET", f"files/{made['id']}")["download"]["url"].removeprefix(client.url)
    status, body = raw(client, target)
    assert (status, body) == (200, BYTES)


def test_many_parts_at_once_are_the_whole(client: Client, files: tuple[str, str]) -> None:
    """Ordering them took some versions of Starlette time that grows with their square."""
    parts = ",".join(f"{2 * start}-{2 * start}" for start in range(1000))
    assert raw(client, files[0], head=f"Range: bytes={parts}\r\n") == (200, BYTES)
    assert raw(client, files[0], head="Range: bytes=3-5\r\n") == (206, BYTES[3:6])


def test_the_address_says_the_host_that_was_asked_and_no_other(client: Client) -> None:
    made = client.describe()
    for host in ("evil.example", "a:1@b", "[::1]:80"):
        found = requests.get(
            f"{client.url}/v1/files/{made['id']}", auth=client.auth, headers={"Host": host},
            timeout=30,
        )  # fmt: skip
        assert urlsplit(found.json()["download"]["url"]).path == f"/files/{made['id']}"
    # Of a signature nothing depends on the host, so none can be had by asking with another one.
    assert raw(client, f"/files/{made['id']}?expires=99999999999&signature=")[0] == 403


def test_what_a_killed_server_had_received_half_is_removed(tmp_path: Path) -> None:
    def none(file_id: str) -> None:
        return None

    kept = tmp_path / "files"
    Shelf(kept, 1000, none).close(0.0)
    old, new, whole = (kept / name for name in ("1.aa.partial", "2.bb.partial", "3"))
    for path in (old, new, whole):
        path.write_bytes(b"x")
    for path in (old, whole):
        os.utime(path, (time.time() - 7200,) * 2)
    Shelf(kept, 1000, none).close(0.0)
    assert [path.name for path in sorted(kept.iterdir())] == [".key", "2.bb.partial", "3"]
