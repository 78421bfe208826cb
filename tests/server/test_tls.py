"""TLS, with a certificate authority of the test's own."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import sigopt
import trustme

from nc_sigopt_strategy.engine import EmbeddedDriver
from nc_sigopt_strategy.server.options import ServerOptions
from tests.server.serving import ServerProcess, make_token, serve_in_thread
from tests.server.sockets import closed_by_peer, open_socket


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1", "localhost")
    paths = {name: folder / f"{name}.pem" for name in ("ca", "certificate", "key")}
    authority.cert_pem.write_to_path(str(paths["ca"]))
    certificate.private_key_pem.write_to_path(str(paths["key"]))
    for number, part in enumerate(certificate.cert_chain_pems):
        part.write_to_path(str(paths["certificate"]), append=number > 0)
    return paths


@pytest.fixture
def server(storage_url: str, files: dict[str, Path]) -> Iterator[ServerProcess]:
    options = ("--tls-cert", str(files["certificate"]), "--tls-key", str(files["key"]))
    with ServerProcess(storage_url, *options) as made:
        yield made


def test_the_official_client_over_tls(
    server: ServerProcess, storage_url: str, files: dict[str, Path]
) -> None:
    assert server.url.startswith("https://127.0.0.1:")
    connection: Any = sigopt.Connection(
        client_token=make_token(storage_url), api_url=server.url, timeout=30
    )
    with pytest.raises(sigopt.exception.ConnectionException, match="certificate verify failed"):
        connection.tokens("self").fetch()
    connection.set_verify_ssl_certs(str(files["ca"]))
    assert connection.tokens("self").fetch().client == "1"


def test_plain_http_gets_nowhere_and_stops_nobody(
    server: ServerProcess, files: dict[str, Path]
) -> None:
    with pytest.raises(requests.exceptions.ConnectionError):
        requests.get(server.url.replace("https", "http") + "/health", timeout=30)
    answer = requests.get(f"{server.url}/health", verify=str(files["ca"]), timeout=30)
    assert answer.status_code == 200
    assert server.stop() == 0
    assert "Traceback" not in server.log


def test_handshakes_that_never_end(driver: EmbeddedDriver, files: dict[str, Path]) -> None:
    options = dataclasses.replace(ServerOptions(), handshake_seconds=1.0, head_seconds=1.0)
    with serve_in_thread(
        driver, options=options, certificate=files["certificate"], key=files["key"]
    ) as (url, _):
        silent = [open_socket(url) for _ in range(100)]
        answer = requests.get(f"{url}/health", verify=str(files["ca"]), timeout=30)
        assert answer.status_code == 200
        for connection in silent:
            assert closed_by_peer(connection)
            connection.close()
