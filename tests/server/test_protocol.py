"""What goes over the wire: status codes, headers, malformed requests of every kind."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import requests

from nc_sigopt_strategy.errors import StoreError
from tests.server.serving import serve_in_thread
from tests.server.sockets import authorization, send, status_of

EXPERIMENT = {
    "name": "on the wire",
    "parameters": [{"name": "x", "type": "double", "bounds": {"min": 0, "max": 1}}],
    "metrics": [{"name": "m"}],
}


def call(server: tuple[str, str], method: str, path: str, **options: Any) -> requests.Response:
    url, token = server
    options.setdefault("auth", (token, ""))
    return requests.request(method, f"{url}{path}", timeout=30, **options)


def raw(server: tuple[str, str], request: str, body: bytes = b"", *, auth: bool = True) -> bytes:
    """Send a request line by hand; the connection is closed after it."""
    url, token = server
    head = request + "\r\nHost: localhost\r\nConnection: close\r\n"
    head += authorization(token) if auth else ""
    if body and "Transfer-Encoding" not in request:
        head += f"Content-Length: {len(body)}\r\n"
    return send(url, head.encode("latin-1") + b"\r\n" + body)


def document(answer: bytes) -> dict[str, Any]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"content-type: application/json" in head.lower()
    found: dict[str, Any] = json.loads(body)
    return found


@pytest.fixture(scope="module")
def experiment(shared: tuple[str, str]) -> str:
    return str(call(shared, "POST", "/v1/experiments", json=EXPERIMENT).json()["id"])


def test_success_is_200_with_a_body(shared: tuple[str, str], experiment: str) -> None:
    path = f"/v1/experiments/{experiment}"
    made = call(shared, "POST", f"{path}/suggestions", json={})
    assert made.status_code == 200
    assert made.json()["object"] == "suggestion"
    gone = call(shared, "DELETE", f"{path}/suggestions/{made.json()['id']}")
    assert (gone.status_code, gone.json()) == (200, {})


def test_answer_can_be_skipped(shared: tuple[str, str], experiment: str) -> None:
    path = f"/v1/experiments/{experiment}/suggestions"
    before = call(shared, "GET", path).json()["count"]
    answer = call(shared, "POST", path, json={}, headers={"X-Response-Content": "skip"})
    assert (answer.status_code, answer.content) == (204, b"")
    assert call(shared, "GET", path).json()["count"] == before + 1
    refused = call(
        shared, "POST", path, json={"task": "a"}, headers={"X-Response-Content": "skip"}
    )
    assert refused.status_code == 400
    assert "task" in refused.json()["message"]


def test_empty_body_is_an_empty_object(shared: tuple[str, str], experiment: str) -> None:
    answer = call(shared, "POST", f"/v1/experiments/{experiment}/suggestions")
    assert answer.status_code == 200


def test_every_answer_carries_the_security_headers(shared: tuple[str, str]) -> None:
    for path in ("/v1/tokens/self", "/v1/nothing", "/health", "/openapi.json", "/", "/nothing"):
        headers = call(shared, "GET", path).headers
        assert headers["x-content-type-options"] == "nosniff", path
        assert "default-src 'none'" in headers["content-security-policy"], path
        assert "server" not in headers, path
    assert call(shared, "GET", "/v1/tokens/self").headers["cache-control"] == "no-store"


def test_timing_header(shared: tuple[str, str], experiment: str) -> None:
    answer = call(shared, "POST", f"/v1/experiments/{experiment}/suggestions", json={})
    parts = dict(part.split(";dur=") for part in answer.headers["server-timing"].split(", "))
    assert set(parts) == {"sampler", "store"}
    assert all(float(part) >= 0 for part in parts.values())


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"name": "a", "name": "b"}', "Duplicate key: name"),
        (b'{"metadata": {"k": 1, "k": 2}}', "Duplicate key: k"),
        (b'{"name": NaN}', "NaN is not JSON"),
        (b'{"name": -Infinity}', "-Infinity is not JSON"),
        (b'{"name": 1e999}', "not a finite number"),
        (b'{"name": "a\\u0000b"}', "NUL"),
        (b"{", "not JSON"),
        (b"[1]", "must be a JSON object"),
        (b'"text"', "must be a JSON object"),
        (b"null", "must be a JSON object"),
        (b"\xff\xfe{\x00}\x00", "not UTF-8"),
        (b'{"name": "\xff"}', "not UTF-8"),
        (b"\xef\xbb\xbf{}", "not JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a":' * 100_000, "nested too deeply"),
        (b'{"a": ' + b"9" * 5000 + b"}", "a number is too long"),
        (b'{"a": ' + b"9" * 4000 + b"}", "beyond a double"),
        (b"name=a&type=b", "not JSON"),
    ],
    ids=range(18),
)
def test_malformed_bodies(shared: tuple[str, str], body: bytes, said: str) -> None:
    answer = call(shared, "POST", "/v1/experiments", data=body)
    assert answer.status_code == 400
    assert answer.json()["status"] == 400
    assert said in answer.json()["message"]


def test_nesting_that_the_parser_takes_is_refused_too(shared: tuple[str, str]) -> None:
    for depth in (100, 300, 500, 900, 950, 990):
        body = b'{"metadata":' + b'{"a":' * depth + b"1" + b"}" * depth + b"}"
        assert call(shared, "POST", "/v1/experiments", data=body).status_code == 400, depth


def test_strings_that_no_database_stores(shared: tuple[str, str]) -> None:
    body = json.dumps({**EXPERIMENT, "name": "\ud800"}).encode("ascii")
    answer = call(shared, "POST", "/v1/experiments", data=body)
    assert answer.status_code == 400


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("limit=1&limit=2", "Duplicate key: limit"),
        ("search=%ff", "cannot be read"),
        ("search=%00", "NUL"),
        ("limit=x", "limit"),
        ("&".join(f"k{number}=1" for number in range(60)), "cannot be read"),
    ],
)
def test_malformed_queries(shared: tuple[str, str], query: str, said: str) -> None:
    answer = call(shared, "GET", f"/v1/experiments?{query}")
    assert answer.status_code == 400
    assert said in answer.json()["message"]


def test_query_is_unquoted_once(shared: tuple[str, str]) -> None:
    name = "100% of a+b & c"
    call(shared, "POST", "/v1/experiments", json={**EXPERIMENT, "name": name})
    found = call(shared, "GET", "/v1/experiments", params={"search": name}).json()
    assert [item["name"] for item in found["data"]] == [name]


def test_a_get_takes_no_body_and_a_post_no_query(shared: tuple[str, str], experiment: str) -> None:
    listed = call(shared, "GET", "/v1/experiments?limit=0", json={"limit": "nonsense"})
    assert listed.status_code == 200
    made = call(shared, "POST", f"/v1/experiments/{experiment}/suggestions?nonsense=1", json={})
    assert made.status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/v1/nothing", "/v1/", "/v1", "/v2/experiments", "/v1/experiments/",
        "/v1/experiments/1/nothing", "/v1/experiments/x", "/v1/experiments/-1",
        "/v1/experiments/9999999999999999999999", "/v1/experiments/1%2Fsuggestions",
        "/v1/experiments/%ff", "/v1/experiments/%00", "/v1/clients/2",
        "/v1/experiments/%F0%9F%98%80",
        "/v1/../v1/tokens/self", "/v1/experiments/1/suggestions/1/2",
    ],
)  # fmt: skip
def test_unknown_paths(shared: tuple[str, str], path: str) -> None:
    answer = raw(shared, f"GET {path} HTTP/1.1")
    assert status_of(answer) == 404
    assert document(answer)["status"] == 404


@pytest.mark.parametrize(
    ("path", "leads"),
    [
        ("//v1/tokens/self", "/v1/tokens/self"),
        ("/v1//tokens///self?a=//b", "/v1/tokens/self?a=//b"),
        ("//evil.example/%2f%2f", "/evil.example/%2f%2f"),
        ("///", "/"),
    ],
)
def test_empty_parts_of_a_path_lead_to_the_one_without(
    shared: tuple[str, str], path: str, leads: str
) -> None:
    answer = raw(shared, f"POST {path} HTTP/1.1", b"{}")
    assert status_of(answer) == 308
    assert f"\r\nlocation: {leads}\r\n".encode() in answer
    assert status_of(raw(shared, "GET http://a//v1/tokens/self HTTP/1.1")) == 404
    assert status_of(raw(shared, "GET /%2f%2fv1 HTTP/1.1")) == 404


def test_an_address_that_ends_with_a_slash(shared: tuple[str, str]) -> None:
    """As programs give it to the client; verb, body and token go along."""
    url, token = shared
    made = requests.post(f"{url}//v1/experiments", json=EXPERIMENT, auth=(token, ""), timeout=30)
    assert made.json()["object"] == "experiment"


def test_parts_of_a_path_are_unquoted(shared: tuple[str, str]) -> None:
    call(shared, "POST", "/v1/clients/1/projects", json={"id": "a.b-c_d", "name": "p"})
    found = raw(shared, "GET /v1/clients/%31/projects/a%2Eb-c%5fd HTTP/1.1")
    assert document(found)["id"] == "a.b-c_d"


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PATCH", "TRACE", "BREW", "PUT"])
def test_verbs_that_are_not_offered(shared: tuple[str, str], method: str) -> None:
    answer = call(shared, method, "/v1/experiments")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, POST"
    if method == "HEAD":
        assert answer.content == b""
    else:
        assert answer.json()["status"] == 405


def test_an_observation_is_changed_and_deleted(shared: tuple[str, str], experiment: str) -> None:
    path = f"/v1/experiments/{experiment}/observations"
    made = call(shared, "POST", path, json={"assignments": {"x": 0.5}, "failed": True}).json()
    one = f"{path}/{made['id']}"
    changed = call(shared, "PUT", one, json={"metadata": {"a": 1}})
    assert (changed.status_code, changed.json()["metadata"]) == (200, {"a": 1})
    deleted = call(shared, "DELETE", one)
    assert (deleted.status_code, deleted.json()) == (200, {})
    assert call(shared, "GET", one).status_code == 404


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET /health\r\n\r\n", 400),
        (b"GET /health HTTP/1.1\r\n\r\n", 400),  # no Host
        (b"GET /health HTTP/1.1\r\nHost: a\r\nBad Header: b\r\n\r\n", 400),
        (b"GET /health HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", 400),
        (
            b"GET /health HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            400,
        ),
        (b"POST /v1/experiments HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),  # TLS to a plain port
        # More than is read at once: what came in one piece was held already.
        (b"GET /" + b"a" * 600_000, 431),
        (b"GET /health HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 600_000, 431),
    ],
    ids=range(10),
)
def test_what_is_not_http(shared: tuple[str, str], request_bytes: bytes, status: int) -> None:
    answer = send(shared[0], request_bytes)
    assert status_of(answer) == status
    assert document(answer)["status"] == status
    assert call(shared, "GET", "/health").json() == {"status": "ok"}


def test_a_broken_chunk_ends_only_its_own_connection(shared: tuple[str, str]) -> None:
    url, token = shared
    head = "POST /v1/experiments HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
    send(url, f"{head}{authorization(token)}\r\nnot a size\r\n".encode())
    send(url, f"{head}{authorization(token)}\r\n5\r\nab".encode()[:-1] + b"\xff" * 10)
    assert call(shared, "GET", "/health").status_code == 200


def test_chunked_body(shared: tuple[str, str]) -> None:
    body = json.dumps({**EXPERIMENT, "name": "in pieces"}).encode()
    pieces = (body[start : start + 7] for start in range(0, len(body), 7))
    assert call(shared, "POST", "/v1/experiments", data=pieces).json()["name"] == "in pieces"


def test_several_requests_at_once_on_one_connection(shared: tuple[str, str]) -> None:
    url, token = shared
    one = f"GET /v1/tokens/self HTTP/1.1\r\nHost: a\r\n{authorization(token)}\r\n"
    last = "GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    answer = send(url, (one * 3 + last).encode())
    assert answer.count(b"HTTP/1.1 200") == 4
    assert answer.count(b'"permissions":"write"') == 3


def test_expect_continue(shared: tuple[str, str]) -> None:
    url, token = shared
    body = json.dumps(EXPERIMENT).encode()
    head = (
        f"POST /v1/experiments HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{authorization(token)}"
        f"Expect: 100-continue\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    answer = send(url, head.encode() + body)
    assert b'"object":"experiment"' in answer


def test_websocket_upgrade_is_not_followed(shared: tuple[str, str]) -> None:
    answer = raw(
        shared,
        "GET /v1/tokens/self HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade",
    )
    assert status_of(answer) == 200


def test_the_page(shared: tuple[str, str]) -> None:
    answer = call(shared, "GET", "/", auth=None)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "/openapi.json" in answer.text
    loaded = re.findall(r'(?:src|<link[^>]* href)="([^"]+)"', answer.text)
    assert loaded == ["/page.css", "/page.js"], "nothing is loaded from elsewhere"
    for path in loaded:
        part = call(shared, "GET", path, auth=None)
        assert part.status_code == 200
        assert "default-src 'none'" in part.headers["content-security-policy"]
        assert "http" not in part.text.replace("http://www.w3.org/2000/svg", "")
    assert call(shared, "HEAD", "/", auth=None).status_code == 200
    assert call(shared, "POST", "/", auth=None).status_code == 405


class _Broken:
    """An engine that fails, and knows things that nobody should read."""

    sampler_seconds = 0.0

    def __init__(self, error: Exception) -> None:
        self._error = error

    def check(self) -> None:
        """It has no store."""

    def answer(self, method: str, path: Any, data: Any) -> dict[str, Any]:
        raise self._error


@pytest.mark.parametrize(
    "error",
    [RuntimeError("boom at /secret/place"), StoreError("The disk of /secret/place is full.")],
)
def test_a_failure_is_told_to_the_log_and_not_to_the_client(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    engine: Any = _Broken(error)
    with serve_in_thread(engine, "the-token") as server:
        answer = call(server, "POST", "/v1/experiments?token=the-token", json={"a": "the-body"})
        assert answer.status_code == 500
        assert answer.json()["status"] == 500
        assert "log tells why" in answer.json()["message"]
        assert "/secret/place" not in answer.text
        assert call(server, "GET", "/health").status_code == 200
    assert "/secret/place" in caplog.text
    assert ("Traceback" in caplog.text) is isinstance(error, RuntimeError)
    assert "the-token" not in caplog.text
    assert "the-body" not in caplog.text
