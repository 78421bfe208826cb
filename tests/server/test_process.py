"""The real command in a process of its own: start, clean end, kill -9, two on one store."""

from __future__ import annotations

import base64
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import sigopt
from click.testing import CliRunner

from nc_sigopt_strategy.cli.main import cli
from tests.server.serving import ServerProcess, make_token
from tests.server.sockets import authorization, open_socket, read_all, status_of

EXPERIMENT: dict[str, Any] = {
    "name": "in a process",
    "parameters": [
        {"name": "x", "type": "double", "bounds": {"min": 0, "max": 1}},
        {"name": "c", "type": "categorical", "categorical_values": ["a", "b"]},
    ],
    "metrics": ["m"],
}


def client(url: str, token: str) -> Any:
    return sigopt.Connection(client_token=token, api_url=url, timeout=60)


@pytest.fixture
def token(storage_url: str) -> str:
    return make_token(storage_url, name="worker-1")


@pytest.fixture
def server(storage_url: str, token: str) -> Iterator[ServerProcess]:
    with ServerProcess(storage_url, "--sampler", "random") as made:
        yield made


def test_the_official_client_works(server: ServerProcess, token: str) -> None:
    connection = client(server.url, token)
    assert connection.tokens("self").fetch().client == "1"
    connection.clients("1").projects().create(id="a-project", name="A project")
    made = connection.experiments().create(**EXPERIMENT, project="a-project")
    endpoint = connection.experiments(made.id)
    for number in range(5):
        suggestion = endpoint.suggestions().create()
        endpoint.observations().create(
            suggestion=suggestion.id, values=[{"name": "m", "value": number}]
        )
    best = next(endpoint.best_assignments().fetch().iterate_pages())
    assert best.values[0].value == 4
    assert len(list(endpoint.observations().fetch(limit=2).iterate_pages())) == 5
    endpoint.delete()
    assert connection.experiments().fetch().count == 0


def test_the_log_tells_who_asked_what_and_never_a_token(server: ServerProcess, token: str) -> None:
    connection = client(server.url, token)
    connection.experiments().create(**EXPERIMENT)
    requests.get(f"{server.url}/v1/tokens/self?token={token}", auth=(token, ""), timeout=30)
    requests.get(f"{server.url}/v1/tokens/self", auth=("wrong-secret", ""), timeout=30)
    requests.get(f"{server.url}/v1/x%0Ay", timeout=30)
    assert server.stop() == 0
    assert re.search(r"POST /v1/experiments 200 \d+\.\d ms worker-1\n", server.log)
    assert re.search(r"GET /v1/tokens/self 403 \d+\.\d ms -\n", server.log)
    assert "/v1/x%0Ay 404" in server.log
    for secret in (token, "wrong-secret", base64.b64encode(f"{token}:".encode()).decode()):
        assert secret not in server.log


def test_quiet(storage_url: str, token: str) -> None:
    with ServerProcess(storage_url, "--quiet") as server:
        client(server.url, token).tokens("self").fetch()
        assert server.stop() == 0
        assert server.log.splitlines() == [f"Serving {server.url} (storage {storage_url})"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_clean_end_lets_requests_finish(
    server: ServerProcess, token: str, number: signal.Signals
) -> None:
    body = b'{"name": "slow", "parameters": []}'
    request = (
        f"POST /v1/experiments HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n"
        f"{authorization(token)}\r\n"
    ).encode()
    assert server.process is not None
    with open_socket(server.url) as idle, open_socket(server.url) as running:
        running.sendall(request)
        # The request has begun once the server has read its head; /health comes after it.
        requests.get(f"{server.url}/health", timeout=30)
        server.process.send_signal(number)
        assert read_all(idle) == b"", "an idle connection is closed"
        running.sendall(body)
        assert status_of(read_all(running)) == 400, "and this one is answered first"
    assert server.process.wait(300) == 0
    assert "Traceback" not in server.log


def test_what_was_answered_survives_kill_9(server: ServerProcess, token: str) -> None:
    experiment = client(server.url, token).experiments().create(**EXPERIMENT).id
    answered: list[str] = []
    stop = threading.Event()

    def work() -> None:
        endpoint = client(server.url, token).experiments(experiment)
        while not stop.is_set():
            try:
                made = endpoint.observations().create(
                    assignments={"x": 0.5, "c": "a"}, values=[{"name": "m", "value": 1}]
                )
            except sigopt.exception.SigOptException:
                return
            if made.id:
                answered.append(made.id)

    url = server.url
    for _ in range(2):
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        before = len(answered)
        while len(answered) < before + 40:
            threading.Event().wait(0.005)
        server.kill()
        for thread in threads:
            thread.join()
        server.start()
        assert server.url == url, "again on the same port"
    pages = client(url, token).experiments(experiment).observations().fetch().iterate_pages()
    kept = [observation.id for observation in pages]
    assert set(answered) <= set(kept)
    assert len(kept) == len(set(kept))


def test_two_servers_on_one_store_see_each_other(
    server: ServerProcess, storage_url: str, token: str
) -> None:
    with ServerProcess(storage_url, "--sampler", "random") as other:
        one, two = client(server.url, token), client(other.url, token)
        experiment = one.experiments().create(**EXPERIMENT).id
        for number in range(10):
            giver, taker = (one, two) if number % 2 else (two, one)
            made = giver.experiments(experiment).suggestions().create()
            taker.experiments(experiment).observations().create(
                suggestion=made.id, values=[{"name": "m", "value": number}]
            )
            assert giver.experiments(experiment).fetch().progress.observation_count == number + 1
        late = make_token(storage_url, name="late")
        assert client(other.url, late).tokens("self").fetch().client == "1"


def test_a_store_without_tokens_says_how_to_make_one(storage_url: str) -> None:
    with ServerProcess(storage_url) as server:
        server.stop()
        assert "nc-sigopt token create NAME" in server.log


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--storage", "nonsense"), "not a database URL"),
        (("--storage", "sqlite://"), "in memory"),
        (("--host", "192.0.2.1"), "cannot listen on 192.0.2.1 port"),
        (("--host", "no such host"), "cannot listen on no such host"),
        (("--sampler", "nothing"), "nothing"),
        (("--tls-cert", __file__), "Of --tls-cert and --tls-key only one"),
        (("--tls-cert", __file__, "--tls-key", __file__), "TLS certificate"),
    ],
)
def test_mistakes_are_one_clear_line(
    storage_url: str, options: tuple[str, ...], said: str
) -> None:
    arguments = ["serve", "--storage", storage_url, "--port", "0", *options]
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == 2
    assert done.stdout == ""
    errors = [line for line in done.stderr.splitlines() if "no token yet" not in line]
    assert len(errors) == 1
    assert errors[0].startswith("nc-sigopt: error: ")
    assert said in errors[0]


def test_a_taken_port(server: ServerProcess, storage_url: str) -> None:
    port = server.url.rpartition(":")[2]
    done = CliRunner().invoke(cli, ["serve", "--storage", storage_url, "--port", port])
    assert done.exit_code == 2
    assert f"cannot listen on 127.0.0.1 port {port}" in done.stderr


def test_elsewhere_than_loopback_it_warns(storage_url: str, token: str) -> None:
    with ServerProcess(storage_url, "--host", "0.0.0.0") as server:
        port = server.url.rpartition(":")[2]
        answer = requests.get(f"http://127.0.0.1:{port}/health", timeout=30)
        assert answer.status_code == 200
    # Once it has ended all of it is read: the warning comes by another pipe than the address.
    assert "unencrypted" in server.log


def test_limits_from_the_command_line(storage_url: str, token: str) -> None:
    with ServerProcess(
        storage_url, "--rate-reads", "1", "--rate-writes", "0", "--max-body-mib", "0.001",
        "--concurrency", "3", "--dashboard-url", "http://127.0.0.1:9/?a=\"b",
    ) as server:  # fmt: skip
        statuses = set()
        # On a busy machine a request may take so long that the next one is within the rate.
        for _ in range(400):
            answer = requests.get(f"{server.url}/v1/experiments", auth=(token, ""), timeout=30)
            statuses.add(answer.status_code)
            if 429 in statuses:
                break
        assert statuses == {200, 429}
        large = requests.post(
            f"{server.url}/v1/experiments", data=b" " * 1100, auth=(token, ""), timeout=30
        )
        assert large.status_code == 413
        page = requests.get(server.url, timeout=30).text
        assert '<a href="http://127.0.0.1:9/?a=&quot;b">dashboard</a>' in page


def test_the_store_may_be_named_in_the_environment(storage_url: str) -> None:
    environment = {"NC_SIGOPT_STORAGE": storage_url}
    made = CliRunner(env=environment).invoke(cli, ["token", "create", "one"])
    assert made.exit_code == 0
    listed = CliRunner().invoke(cli, ["token", "list", "--storage", storage_url])
    assert "one" in listed.output


def test_without_the_extra_it_says_which(storage_url: str, tmp_path: Path) -> None:
    for command, missing, extra in (
        ("serve", "starlette", "server"),
        ("dashboard", "optuna_dashboard", "dashboard"),
    ):
        code = (
            f"import sys; sys.modules[{missing!r}] = None\n"
            "from nc_sigopt_strategy.cli.main import cli\n"
            f"cli([{command!r}, '--storage', {storage_url!r}])"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 2
        assert f"pip install 'nc_sigopt_strategy[{extra}]'" in done.stderr
        assert "Traceback" not in done.stderr
