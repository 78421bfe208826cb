"""Each fault, as SigOpt's own client sees it on a real socket."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import sigopt
from sigopt.exception import ApiException, ConnectionException

from nc_sigopt_strategy.engine import EmbeddedDriver
from nc_sigopt_strategy.server.options import ServerOptions
from tests.engine.examples import discrete
from tests.faults.broken_server import BrokenServer, Fault
from tests.server.serving import serve_in_thread

QUIET = ServerOptions(writes_per_second=0, reads_per_second=0, access_log=False)
UNNOTICED = (Fault.HTML, Fault.NO_ID, Fault.EMPTY, Fault.TRUNCATED)
SCORE = [{"name": "score", "value": 1.0}]


@pytest.fixture(scope="module")
def upstream() -> Iterator[tuple[str, str]]:
    driver = EmbeddedDriver("sqlite://", seed=1)
    with serve_in_thread(driver, options=QUIET) as served:
        yield served
    driver.close()


@pytest.fixture
def server(upstream: tuple[str, str]) -> Iterator[BrokenServer]:
    with BrokenServer(upstream[0]) as made:
        yield made


@pytest.fixture
def client(server: BrokenServer, upstream: tuple[str, str]) -> Any:
    return sigopt.Connection(client_token=upstream[1], api_url=server.url, timeout=60)


@pytest.fixture
def experiment(client: Any) -> Any:
    """Endpoint of a new experiment, reached through the broken server."""
    return client.experiments(client.experiments().create(**discrete(5, 5)).id)


def _observe(experiment: Any) -> Any:
    assignments = {"p0": "v1", "p1": "v2"}
    return experiment.observations().create(assignments=assignments, values=SCORE)


def _observed(experiment: Any) -> int:
    return int(experiment.fetch().progress.observation_count)


def test_nothing_broken(server: BrokenServer, experiment: Any) -> None:
    assert _observe(experiment).id is not None
    assert [(r.method, r.status, r.fault, r.passed) for r in server.requests] == [
        ("POST", 200, None, True),
        ("POST", 200, None, True),
    ]
    assert server.count("POST", "observations$") == 1


@pytest.mark.parametrize("fault", [Fault.RESET, Fault.HANG])
@pytest.mark.parametrize("stored", [False, True], ids=["lost", "stored"])
def test_connection_that_breaks(
    server: BrokenServer, client: Any, experiment: Any, fault: Fault, stored: bool
) -> None:
    server.break_with(fault, path="observations", count=1, stored=stored)
    client.set_timeout(1.5 if fault is Fault.HANG else 60)
    with pytest.raises(ConnectionException) as caught:
        _observe(experiment)
    client.set_timeout(60)
    if fault is Fault.HANG:
        assert isinstance(caught.value.__cause__, requests.exceptions.ReadTimeout)
    else:
        assert "Connection reset by peer" in str(caught.value)
    # On a busy machine it may be stored only after the client's time is up.
    for _ in range(600 if stored else 0):
        if _observed(experiment):
            break
        time.sleep(0.1)
    assert _observed(experiment) == stored
    assert _observe(experiment).id is not None


def test_refused_and_open_again_on_the_same_port(server: BrokenServer, experiment: Any) -> None:
    with server.broken(Fault.REFUSE):
        for _ in range(2):
            with pytest.raises(ConnectionException, match="refused"):
                _observe(experiment)
    assert _observe(experiment).id is not None
    assert _observed(experiment) == 1


@pytest.mark.parametrize("status", [429, 500, 502, 503])
@pytest.mark.parametrize("stored", [False, True], ids=["lost", "stored"])
def test_error_status(
    server: BrokenServer, client: Any, experiment: Any, status: int, stored: bool
) -> None:
    # For so long the client asks again after a 429.
    client.set_timeout(5 if status == 429 else 60)
    server.break_with(Fault(status), method="POST", path="observations", stored=stored)
    with pytest.raises(ApiException, match=f"broken with {status}") as caught:
        _observe(experiment)
    assert caught.value.status_code == status
    sent = [r for r in server.requests if r.path.endswith("observations")]
    client.set_timeout(60)
    assert (len(sent) > 1) == (status == 429)
    server.mend()
    assert _observed(experiment) == (len(sent) if stored else 0)


@pytest.mark.parametrize("fault", list(UNNOTICED))
def test_success_without_an_id(server: BrokenServer, experiment: Any, fault: Fault) -> None:
    """The client raises nothing, not even for half an answer."""
    server.break_with(fault, count=1, stored=True)
    assert _observe(experiment).id is None
    assert _observed(experiment) == 1


def test_no_content(server: BrokenServer, experiment: Any) -> None:
    server.break_with(Fault.NO_CONTENT, count=1)
    assert not _observe(experiment)
    assert _observed(experiment) == 0


def test_redirect_turns_a_post_into_a_get(server: BrokenServer, experiment: Any) -> None:
    server.break_with(Fault.REDIRECT, count=1)
    with pytest.raises(ApiException, match="404"):
        _observe(experiment)
    assert [(r.method, r.path) for r in server.requests[-2:]][1] == ("GET", "/elsewhere")


def test_which_requests_break(server: BrokenServer, experiment: Any) -> None:
    server.break_with(Fault.UNAVAILABLE, method="POST", path="observations$", count=2)
    for _ in range(2):
        with pytest.raises(ApiException):
            _observe(experiment)
        assert experiment.observations().fetch().count == 0
    assert _observe(experiment).id is not None
    server.break_with(Fault.UNAVAILABLE)
    with pytest.raises(ApiException):
        experiment.fetch()
    server.mend()
    assert _observed(experiment) == 1


def test_a_closed_port_knows_no_request(server: BrokenServer) -> None:
    with pytest.raises(ValueError, match="closed port"):
        server.break_with(Fault.REFUSE, count=1)
