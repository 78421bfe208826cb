"""The page of a run on the loopback: what is served, to whom, and for how long."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from nc_sigopt_strategy.jobs.watching import watched
from nc_sigopt_strategy.reports.page_server import Page, PageServer, newest_page
from nc_sigopt_strategy.reports.run_page import PAGE_FILE

PAGE = Page(b"<!DOCTYPE html><title>first</title>", "1")


class Served:
    """A server of a page that the test may change."""

    def __init__(self) -> None:
        self.page: Page | None = PAGE
        self.server = PageServer(lambda: self.page)

    def ask(
        self, path: str | None = None, method: str = "GET", **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        return ask(self.server.url, path, method, **headers)


def ask(
    url: str, path: str | None = None, method: str = "GET", **headers: str
) -> tuple[int, dict[str, str], bytes]:
    split = urlsplit(url)
    connection = http.client.HTTPConnection(split.hostname or "", split.port, timeout=30)
    written = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, split.path if path is None else path, headers=written)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, {k.lower(): v for k, v in answer.getheaders()}, content


@pytest.fixture
def served() -> Iterator[Served]:
    made = Served()
    with made.server:
        yield made


def test_the_page_is_served_on_the_loopback(served: Served) -> None:
    assert urlsplit(served.server.url).hostname == "127.0.0.1"
    status, headers, content = served.ask()
    assert (status, content) == (200, PAGE.content)
    assert headers["content-type"] == "text/html; charset=utf-8"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert "access-control-allow-origin" not in headers
    assert "Python" not in headers["server"]


def test_only_a_change_is_sent_again(served: Served) -> None:
    tag = served.ask()[1]["etag"]
    assert served.ask(If_None_Match=tag)[0::2] == (304, b"")
    served.page = Page(b"second", "2")
    status, headers, content = served.ask(If_None_Match=tag)
    assert (status, content) == (200, b"second")
    assert headers["etag"] != tag


@pytest.mark.parametrize("host", ["attacker.example", "127.0.0.1", "127.0.0.1:1", "", "[::1]"])
def test_a_page_of_elsewhere_that_calls_this_machine_by_its_own_name_is_refused(
    host: str, served: Served
) -> None:
    """DNS rebinding: the browser then says that name as the host."""
    status, _, content = served.ask(Host=host)
    assert status == 403
    assert b"first" not in content


def test_localhost_is_a_name_of_this_machine(served: Served) -> None:
    port = urlsplit(served.server.url).port
    assert served.ask(Host=f"localhost:{port}")[0] == 200


@pytest.mark.parametrize(
    "path", ["/", "/report.html", "/../outcome.json", "{}outcome.json", "{}..%2foutcome.json", "*"]
)
def test_nothing_else_is_served(path: str, served: Served) -> None:
    status, _, content = served.ask(path.format(urlsplit(served.server.url).path))
    assert status == 404
    assert b"first" not in content


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_it_can_only_be_read(method: str, served: Served) -> None:
    assert served.ask(method=method)[0] == 501
    assert served.ask(method="HEAD")[0::2] == (200, b"")


def test_before_the_first_page_there_is_one_that_waits(served: Served) -> None:
    served.page = None
    status, headers, content = served.ask()
    assert status == 200
    assert b'http-equiv="refresh"' in content
    assert "etag" not in headers


def test_two_servers_have_addresses_that_nobody_can_guess(served: Served) -> None:
    other = Served()
    with other.server:
        paths = {urlsplit(one.server.url).path for one in (served, other)}
    assert len(paths) == 2
    assert all(len(path) > 20 for path in paths)


def test_the_page_of_the_run_comes_before_those_of_its_runtimes(tmp_path: Path) -> None:
    assert newest_page(tmp_path) is None
    for place, name in enumerate(("onnxruntime", "openvino")):
        path = tmp_path / name / PAGE_FILE
        path.parent.mkdir()
        path.write_text(name)
        os.utime(path, (place, place))
    assert newest_page(tmp_path).content == b"openvino"  # type: ignore[union-attr]
    (tmp_path / PAGE_FILE).write_text("whole")
    first = newest_page(tmp_path)
    assert first is not None
    assert first.content == b"whole"
    (tmp_path / PAGE_FILE).write_text("whole, again")
    assert newest_page(tmp_path).version != first.version  # type: ignore[union-attr]


def test_a_run_is_watched_from_a_process_that_ends_with_it(tmp_path: Path) -> None:
    told: list[str] = []
    with watched(tmp_path, told.append):
        (line,) = told
        url = line.removeprefix("Watch it at ")
        assert b"refresh" in ask(url)[2]
        (tmp_path / PAGE_FILE).write_text("the page")
        assert ask(url)[2] == b"the page"
    with pytest.raises(ConnectionRefusedError):
        ask(url)


def test_it_ends_too_when_the_run_is_killed(tmp_path: Path) -> None:
    program = (
        "import sys, time, pathlib\n"
        "from nc_sigopt_strategy.jobs.watching import watched\n"
        "with watched(pathlib.Path(sys.argv[1]), lambda line: print(line, flush=True)):\n"
        "    time.sleep(600)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None
        url = run.stdout.readline().strip().removeprefix("Watch it at ")
        run.kill()
    ended = time.monotonic() + 300
    while time.monotonic() < ended:
        try:
            ask(url)
        except ConnectionRefusedError:
            return
        except (ConnectionError, http.client.HTTPException):
            pass  # it ends at this moment
        time.sleep(0.2)
    pytest.fail("The server outlived the run.")


def test_a_server_that_cannot_start_costs_the_page_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-python"))
    with watched(tmp_path, told.append):
        pass
    assert "cannot be served" in told[0]
