"""The client's HTTP driver against the engine behind a real socket."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import requests
import sigopt
from sigopt.exception import ApiException, ConnectionException

from nc_sigopt_strategy.engine import EmbeddedDriver
from tests.engine.examples import ASSIGNMENTS, body, discrete, refused, values
from tests.engine.http_server import serve_driver

TOKEN = "secret-token"


def _client(url: str, token: str = TOKEN) -> Any:
    return sigopt.Connection(client_token=token, api_url=url, timeout=60)


def test_same_answers_as_in_process(driver: EmbeddedDriver) -> None:
    local = sigopt.Connection(driver=lambda **_: driver)
    with serve_driver(driver, "embedded") as url:  # its own name for the token: it is answered
        remote = _client(url, "embedded")
        experiment = remote.experiments().create(**body(metadata={"k": 1})).id
        endpoint = remote.experiments(experiment)
        suggestion = endpoint.suggestions().create(assignments=ASSIGNMENTS)
        endpoint.observations().create(suggestion=suggestion.id, values=values())
        endpoint.suggestions().create()
        for path, query in [
            (["experiments", experiment], {}),
            (["experiments"], {"limit": 1, "state": "all"}),
            (["experiments", experiment, "suggestions"], {"state": "open", "deleted": False}),
            (["experiments", experiment, "observations"], {"before": None}),
            (["experiments", experiment, "best_assignments"], {}),
            (["tokens", "self"], {}),
        ]:
            assert remote.impl.request("GET", path, query, None) == local.impl.request(
                "GET", path, query, None
            )


def test_token(driver: EmbeddedDriver) -> None:
    with serve_driver(driver, TOKEN) as url:
        refused(_client(url, "wrong").tokens("self").fetch, 403, "Unknown token")
        assert requests.get(f"{url}/v1/tokens/self", timeout=60).status_code == 401
        assert requests.get(f"{url}/v2/tokens/self", timeout=60).status_code == 404


def test_malformed_bodies(driver: EmbeddedDriver) -> None:
    with serve_driver(driver, TOKEN) as url:
        for text in ('{"name": "a", "name": "b"}', "{", "[1]", '{"name": NaN}'):
            answer = requests.post(
                f"{url}/v1/experiments", data=text, auth=(TOKEN, ""), timeout=60
            )
            assert answer.status_code == 400, text
            assert answer.json()["status"] == 400


@pytest.mark.parametrize("status", [403, 500, 503])
def test_server_that_fails(driver: EmbeddedDriver, status: int) -> None:
    with serve_driver(driver, TOKEN, fail_with=status) as url:
        refused(_client(url).tokens("self").fetch, status, f"made to fail with {status}")


def test_server_that_sends_a_web_page(driver: EmbeddedDriver) -> None:
    with serve_driver(driver, TOKEN, html=True) as url:
        assert _client(url).tokens("self").fetch().client is None


def test_no_server(driver: EmbeddedDriver) -> None:
    with serve_driver(driver, TOKEN) as url:
        pass
    with pytest.raises(ConnectionException):
        _client(url).tokens("self").fetch()


def test_threads_at_the_same_time() -> None:
    """Every thread's requests are answered, and no suggestion is given out twice.

    In memory all threads share one database connection, which they must take in turns.
    """
    driver = EmbeddedDriver("sqlite://", seed=1)
    found: list[str] = []
    with serve_driver(driver, TOKEN) as url:
        experiment = _client(url).experiments().create(**discrete(6, 6)).id

        def work() -> None:
            endpoint = _client(url).experiments(experiment)
            for _ in range(6):
                made = endpoint.suggestions().create()
                endpoint.observations().create(
                    suggestion=made.id, values=[{"name": "score", "value": 1}]
                )
                found.append("-".join(made.assignments.values()))

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(set(found)) == 24
        progress = _client(url).experiments(experiment).fetch().progress
        assert progress.observation_count == 24
    driver.close()


def test_refusals_reach_the_user_as_api_exceptions(embedded: Any) -> None:
    with pytest.raises(ApiException) as caught:
        embedded.experiments(5).fetch()
    assert str(caught.value) == "ApiException (404): No experiment 5"
    assert caught.value.to_json() == {"message": "No experiment 5", "status": 404}
