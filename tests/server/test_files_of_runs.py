"""Files of runs: described by the API, put and fetched by signed addresses."""

from __future__ import annotations

import base64
import hashlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from nc_sigopt_strategy.engine import EmbeddedDriver
from nc_sigopt_strategy.server.options import ServerOptions
from tests.server.serving import serve_in_thread
from tests.server.sockets import open_socket, read_all, status_of

BYTES = b"<script>alert(1)</script>" * 1000


class Client:
    """Requests with the token."""

    def __init__(self, url: str, token: str) -> None:
        self.url, self._auth = url, (token, "")
        self.run = self("POST", "clients/1/projects/p/training_runs", name="r")["id"]

    def __call__(self, verb: str, path: str, status: int = 200, **body: Any) -> Any:
        answer = requests.request(
            verb, f"{self.url}/v1/{path}", json=body or None, auth=self._auth, timeout=30
        )
        assert answer.status_code == status, answer.text
        return answer.json()

    def describe(self, content: bytes = BYTES, status: int = 200, **more: Any) -> Any:
        body = {
            "name": "a page",
            "content_type": "text/html",
            "content_length": len(content),
            "content_md5": base64.b64encode(hashlib.md5(content).digest()).decode(),
            **more,
        }
        return self("POST", f"training_runs/{self.run}/files", status, **body)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "files"


@pytest.fixture
def client(tmp_path: Path, folder: Path) -> Iterator[Client]:
    driver = EmbeddedDriver(f"sqlite:///{tmp_path / 'e.db'}", seed=1, keeps_files=True)
    options = ServerOptions(
        writes_per_second=0, reads_per_second=0, files=folder, max_file_bytes=100_000
    )
    driver.answer("POST", ["clients", "1", "projects"], {"id": "p", "name": "P"})
    with serve_in_thread(driver, options=options) as (url, token):
        yield Client(url, token)
    driver.close()


def put(upload: Any, content: bytes = BYTES, **headers: str) -> requests.Response:
    return requests.put(
        upload["url"], data=content, headers={**upload["headers"], **headers}, timeout=30
    )


def test_a_file_is_put_and_fetched_by_its_addresses(client: Client, folder: Path) -> None:
    made = client.describe()
    assert put(made["upload"]).status_code == 200
    assert client("GET", f"training_runs/{client.run}")["files"] == [made["id"]]
    fetched = requests.get(client("GET", f"files/{made['id']}")["download"]["url"], timeout=30)
    assert fetched.content == BYTES
    assert fetched.headers["content-disposition"].startswith("attachment")
    assert fetched.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in fetched.headers["content-security-policy"]
    assert sorted(path.name for path in folder.iterdir()) == [".key", made["id"]]
    assert os.stat(folder).st_mode & 0o077 == 0
    for path in folder.iterdir():
        assert path.stat().st_mode & 0o077 == 0, path


def test_an_address_is_good_for_what_it_is_signed_for(client: Client) -> None:
    made, other = client.describe(), client.describe(name="other")
    url = made["upload"]["url"]
    assert requests.get(url, timeout=30).status_code == 403
    assert requests.put(url.replace(f"/{made['id']}?", f"/{other['id']}?"), timeout=30,
                        data=BYTES).status_code == 403  # fmt: skip
    assert requests.put(url.split("?")[0], data=BYTES, timeout=30).status_code == 403
    assert requests.put(url.replace("expires=", "expires=9"), timeout=30).status_code == 403
    assert requests.delete(url, timeout=30).status_code == 405
    download = client("GET", f"files/{made['id']}")["download"]["url"]
    assert requests.get(download, timeout=30).status_code == 404, "nothing was put there"
    for path in ("/files/..%2F..%2Fetc%2Fpasswd", "/files/.key", "/files/"):
        assert requests.get(f"{client.url}{path}", timeout=30).status_code == 403


@pytest.mark.parametrize("content", [BYTES + b"x", BYTES[:-1], b"y" + BYTES[1:]])
def test_other_bytes_than_described_are_refused(
    client: Client, folder: Path, content: bytes
) -> None:
    made = client.describe()
    assert put(made["upload"], content, **{"Content-Length": str(len(content))}).status_code == 400
    in_pieces = (content[i : i + 1000] for i in range(0, len(content), 1000))
    assert requests.put(made["upload"]["url"], data=in_pieces, timeout=30).status_code == 400
    assert [path.name for path in folder.iterdir()] == [".key"]


@pytest.mark.parametrize(
    "more",
    [
        {"name": None},
        {"content_length": 0},
        {"content_md5": "not base64"},
        {"content_md5": "YQ=="},
        {"content_type": None},
        {"unknown": 1},
    ],
)
def test_what_a_file_cannot_be(client: Client, more: dict[str, Any]) -> None:
    client.describe(status=400, **more)


def test_a_file_that_is_too_large(client: Client) -> None:
    client.describe(content_length=100_001, status=413)
    assert client("GET", f"training_runs/{client.run}")["files"] == []


def test_fields_of_a_file(client: Client) -> None:
    made = client.describe(fields="id,upload")
    assert made.keys() == {"object", "id", "upload"}
    assert put(made["upload"]).status_code == 200
    found = client("GET", f"files/{made['id']}?fields=download")
    assert found.keys() == {"object", "download"}


def test_a_server_without_a_folder_keeps_none(tmp_path: Path) -> None:
    driver = EmbeddedDriver(f"sqlite:///{tmp_path / 'e.db'}", seed=1)
    driver.answer("POST", ["clients", "1", "projects"], {"id": "p", "name": "P"})
    with serve_in_thread(driver) as (url, token):
        Client(url, token).describe(status=404)
    driver.close()


def test_an_address_with_too_much_in_it_is_refused(client: Client) -> None:
    address = client.describe()["upload"]["url"]
    many = "&".join(f"k{number}=1" for number in range(50))
    for url in (
        f"{address}&{many}",
        address.replace("signature=", "signature=%ff%00"),
        f"{client.url}/files/%0a",
    ):
        assert requests.put(url, data=b"", timeout=30).status_code == 403


def test_a_kind_that_no_header_holds(client: Client) -> None:
    made = client.describe(
        content_type="text/\u0442\u0435\u043a\u0441\u0442", filename="\u202e.txt"
    )
    upload = made["upload"]
    answer = requests.put(upload["url"], data=BYTES, timeout=30)
    assert answer.status_code == 200
    fetched = requests.get(client("GET", f"files/{made['id']}")["download"]["url"], timeout=30)
    assert fetched.content == BYTES
    assert fetched.headers["content-type"] == "application/octet-stream"
    assert fetched.headers["content-disposition"].isascii()


def test_a_full_disk_is_told_and_leaves_nothing(
    client: Client, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = client.describe()

    def full(*args: Any, **options: Any) -> Any:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", full)
        assert put(made["upload"]).status_code == 503
    assert [path.name for path in folder.iterdir()] == [".key"]
    assert put(made["upload"]).status_code == 200


def test_a_file_that_stops_to_come_is_given_up(tmp_path: Path) -> None:
    driver = EmbeddedDriver(f"sqlite:///{tmp_path / 'e.db'}", seed=1, keeps_files=True)
    driver.answer("POST", ["clients", "1", "projects"], {"id": "p", "name": "P"})
    options = ServerOptions(files=tmp_path / "files", max_file_bytes=100_000, body_seconds=0.5)
    with serve_in_thread(driver, options=options) as (url, token):
        address = Client(url, token).describe()["upload"]["url"].removeprefix(url)
        with open_socket(url) as connection:
            head = f"PUT {address} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(BYTES)}\r\n\r\n"
            connection.sendall(head.encode() + BYTES[:10])
            assert status_of(read_all(connection)) == 408
    assert [path.name for path in (tmp_path / "files").iterdir()] == [".key"]
    driver.close()


def test_a_store_that_does_not_answer_keeps_nobody_but_the_file_waiting(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = client.describe()["upload"]
    go_on, asked = threading.Event(), threading.Event()
    original = EmbeddedDriver.answer

    def answer(driver: EmbeddedDriver, verb: str, path: Any, data: Any) -> Any:
        asked.set()
        go_on.wait(60)
        return original(driver, verb, path, data)

    monkeypatch.setattr(EmbeddedDriver, "answer", answer)
    sender = threading.Thread(target=put, args=(address,))
    sender.start()
    assert asked.wait(60)
    assert requests.get(f"{client.url}/openapi.json", timeout=30).status_code == 200
    assert not go_on.is_set()
    go_on.set()
    sender.join()
