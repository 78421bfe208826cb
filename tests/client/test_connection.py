"""The way to a SigOpt server: where a token may go, and what each failure says."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import trustme

from nc_sigopt_strategy.client.connections import (
    Connections,
    default_storage_url,
    open_connections,
    open_embedded,
    open_http,
)
from nc_sigopt_strategy.client.server import open_server
from nc_sigopt_strategy.client.sigopt_client import (
    client_config,
    failed_status_rate_limit,
    unthrottled,
    without_token,
)
from nc_sigopt_strategy.engine import EmbeddedDriver
from nc_sigopt_strategy.errors import ServerError, SettingsError, SigOptStrategyError, StoreError
from nc_sigopt_strategy.server.tokens import READ, WRITE
from nc_sigopt_strategy.settings.secret import Secret
from nc_sigopt_strategy.settings.settings import Settings
from tests.conftest import logged
from tests.engine.client_programs import QUIET
from tests.faults.broken_server import BrokenServer, Fault
from tests.faults.ways import proxy, silent, tls_front
from tests.server.serving import FixedTokens, serve_in_thread

TOKEN = "SECRETSECRETSECRET0123456789"
READER = "READERREADERREADER0123456789"
PASSWORD = "hunter2+hunter2"


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setattr("nc_sigopt_strategy.hosts.inc.registration.logger.propagate", True)


@pytest.fixture
def driver() -> Iterator[EmbeddedDriver]:
    made = EmbeddedDriver("sqlite://", seed=1)
    yield made
    made.close()


@pytest.fixture
def upstream(driver: EmbeddedDriver) -> Iterator[str]:
    """URL of our server."""
    tokens = FixedTokens({TOKEN: WRITE, READER: READ})
    with serve_in_thread(driver, tokens=tokens, options=QUIET) as (url, _):
        yield url


@pytest.fixture
def server(upstream: str) -> Iterator[BrokenServer]:
    with BrokenServer(upstream) as made:
        yield made


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def bundle(authority: trustme.CA, tmp_path: Path) -> Path:
    path = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


def _settings(url: str | None, **kwargs: Any) -> Settings:
    return Settings.from_kwargs({"sigopt_api_url": url, **kwargs})


def _refused(url: str | None, token: str = TOKEN, **kwargs: Any) -> str:
    """The message of the one error that opening ends in, which holds no secret anywhere."""
    with pytest.raises(SigOptStrategyError) as caught:
        open_http(token, _settings(url, **kwargs))
    error = caught.value
    assert error.__context__ is None
    assert error.__cause__ is None
    assert isinstance(error, (ServerError, SettingsError))
    for secret in (token, PASSWORD):
        assert secret not in str(error) + repr(error)
    assert error.hint
    return str(error)


def _tls(authority: trustme.CA, *names: str, client: trustme.CA | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*(names or ("localhost",))).configure_cert(context)
    if client is not None:
        client.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


# Where a token may go


@pytest.mark.parametrize(
    "url",
    [
        "http://sigopt.example.org",
        "http://localhost.evil.com",
        "http://127.0.0.1.evil.com:80",
        "http://10.0.0.1",
        "http://0.0.0.0",
        "http://[2001:db8::1]:6543",
        "http://2130706433",
        "HTTP://SigOpt.Example.ORG",
    ],
)
def test_token_does_not_go_elsewhere_in_plain(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def send(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError("something was sent")

    monkeypatch.setattr("requests.Session.send", send)
    message = _refused(url)
    assert "without TLS" in message
    assert "sigopt_plain_http_hosts" in message
    # The same from the client's own variable, and with the token of the client's own file.
    monkeypatch.setenv("SIGOPT_API_URL", url)
    assert _refused(None) == message
    monkeypatch.setitem(client_config._configuration, "api_token", TOKEN)
    with pytest.raises(SettingsError, match="without TLS"):
        open_connections(Settings.from_kwargs({}), seed=0)
    with pytest.raises(SettingsError, match="without TLS"):
        open_connections(Settings(), seed=0)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_this_machine_needs_no_tls(upstream: str, host: str) -> None:
    url = upstream.replace("127.0.0.1", host)
    assert open_http(TOKEN, _settings(url)).tokens("self").fetch().token == TOKEN


def test_a_host_may_be_named(upstream: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with proxy(upstream) as way:
        kwargs = {"sigopt_proxy": way.url, "sigopt_plain_http_hosts": ["SigOpt.LAN"]}
        connection = open_http(TOKEN, _settings("http://sigopt.lan:8000", **kwargs))
        assert connection.tokens("self").fetch().token == TOKEN
        assert way.asked[-1] == "GET http://sigopt.lan:8000/v1/tokens/self HTTP/1.1"
        for other in ("sigopt2.lan", "sigopt", "x.sigopt.lan", "sigopt.lan.evil.com"):
            assert "without TLS" in _refused(f"http://{other}:8000", **kwargs)


def test_proxy_must_not_see_the_token_either(monkeypatch: pytest.MonkeyPatch) -> None:
    named = {"sigopt_plain_http_hosts": ("sigopt.lan",)}
    far = f"http://me:{PASSWORD}@proxy.lan:3128"
    assert "to the proxy http://proxy.lan:3128 without TLS" in _refused(
        "http://sigopt.lan", sigopt_proxy=far, **named
    )
    assert "to the proxy" in _refused("http://127.0.0.1:9", sigopt_proxy=far)
    monkeypatch.setenv("HTTP_PROXY", far)
    assert "to the proxy http://proxy.lan:3128 without TLS" in _refused(
        "http://sigopt.lan", **named
    )


def test_environments_proxy_is_not_asked_for_this_machine(
    upstream: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert open_http(TOKEN, _settings(upstream)).tokens("self").fetch().token == TOKEN


@pytest.mark.parametrize("which", ["tokens", "projects$"])
def test_redirects_are_not_followed(server: BrokenServer, upstream: str, which: str) -> None:
    with BrokenServer(upstream) as elsewhere:
        target = f"{elsewhere.url}/v1/tokens/self?secret={TOKEN}"
        server.break_with(Fault.REDIRECT, path=which, location=target)
        message = _refused(server.url)
        assert f"sends requests to {elsewhere.url}" in message
        assert "status 302" in message
        assert elsewhere.requests == []
        assert server.requests[-1].fault is Fault.REDIRECT


# TLS


def test_ca_bundle(upstream: str, authority: trustme.CA, bundle: Path) -> None:
    with tls_front(upstream, _tls(authority)) as url:
        message = _refused(url)
        assert "is not trusted" in message
        assert "sigopt_ca_bundle" in message
        connection = open_http(TOKEN, _settings(url, sigopt_ca_bundle=str(bundle)))
        assert connection.tokens("self").fetch().token == TOKEN


def test_ca_bundle_of_the_clients_variable(
    upstream: str, authority: trustme.CA, bundle: Path, monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path, caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    with tls_front(upstream, _tls(authority)) as url:
        monkeypatch.setenv("SIGOPT_API_VERIFY_SSL_CERTS", str(bundle))
        open_http(TOKEN, _settings(url))
        # A setting is nearer than the environment.
        other = tmp_path / "other.pem"
        trustme.CA().cert_pem.write_to_path(str(other))
        assert "is not trusted" in _refused(url, sigopt_ca_bundle=other)
        monkeypatch.setenv("SIGOPT_API_NO_VERIFY_SSL_CERTS", "1")
        assert "is not trusted" in _refused(url, sigopt_ca_bundle=other)
        assert "is not checked" not in caplog.text
        with pytest.warns(Warning, match="Unverified HTTPS request"):
            open_http(TOKEN, _settings(url))
        assert "is not checked" in caplog.text


def test_certificate_of_another_name(upstream: str, authority: trustme.CA, bundle: Path) -> None:
    with tls_front(upstream, _tls(authority, "sigopt.lan")) as url:
        message = _refused(url, sigopt_ca_bundle=bundle)
    assert "is not trusted" in message
    assert "localhost" in message


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_client_certificate(
    upstream: str, authority: trustme.CA, bundle: Path, tmp_path: Path, version: ssl.TLSVersion
) -> None:
    ours, theirs = tmp_path / "ours.pem", tmp_path / "theirs.pem"
    authority.issue_cert("worker").private_key_and_cert_chain_pem.write_to_path(str(ours))
    trustme.CA().issue_cert("worker").private_key_and_cert_chain_pem.write_to_path(str(theirs))
    context = _tls(authority, client=authority)
    context.minimum_version = context.maximum_version = version
    with tls_front(upstream, context) as url:
        for given in ({}, {"sigopt_client_cert": theirs}):
            message = _refused(url, sigopt_ca_bundle=bundle, **given)
            assert "refuses this side's TLS certificate" in message
            assert "sigopt_client_cert" in message
        for pair in (ours, (ours, ours)):
            settings = _settings(url, sigopt_ca_bundle=bundle, sigopt_client_cert=pair)
            assert open_http(TOKEN, settings).tokens("self").fetch().token == TOKEN


def test_https_at_a_port_without_tls(upstream: str) -> None:
    message = _refused(upstream.replace("http:", "https:"))
    assert "No TLS connection" in message


# Proxies


def test_proxy_with_a_password(upstream: str, authority: trustme.CA, bundle: Path) -> None:
    login = f"me:{PASSWORD}"
    with tls_front(upstream, _tls(authority, "sigopt.lan")) as tls, proxy(tls, login=login) as way:
        address = way.url.replace("//", f"//{login}@")
        settings = _settings("https://sigopt.lan", sigopt_ca_bundle=bundle, sigopt_proxy=address)
        assert PASSWORD not in repr(settings)
        connection = open_http(TOKEN, settings)
        assert connection.tokens("self").fetch().token == TOKEN
        assert way.asked[-1].startswith("CONNECT sigopt.lan:443 ")
        wrong = way.url.replace("//", f"//me:{PASSWORD}x@")
        message = _refused("https://sigopt.lan", sigopt_ca_bundle=bundle, sigopt_proxy=wrong)
        assert "407" in message
        assert "sigopt_proxy" in message
        assert way.refused == 1


def test_proxy_with_a_password_and_no_tls(upstream: str) -> None:
    with proxy(upstream, login=f"me:{PASSWORD}") as way:
        wrong = way.url.replace("//", f"//me:{PASSWORD}x@")
        message = _refused(upstream, sigopt_proxy=wrong)
    assert "407" in message
    assert "sigopt_proxy" in message


def test_no_proxy_there() -> None:
    message = _refused("https://sigopt.lan", sigopt_proxy=f"http://me:{PASSWORD}@127.0.0.1:9")
    assert "proxy on the way" in message
    assert "sigopt_proxy" in message


# What the server says


def test_servers_that_fail(server: BrokenServer) -> None:
    said = {
        Fault.REFUSE: "cannot be reached",
        Fault.RESET: "cannot be reached",
        Fault.INTERNAL_ERROR: "failed (status 500: broken with 500)",
        Fault.UNAVAILABLE: "failed (status 503",
        Fault.HTML: "not like a SigOpt server",
        Fault.EMPTY: "not like a SigOpt server",
        Fault.TRUNCATED: "not like a SigOpt server",
        Fault.NO_CONTENT: "not like a SigOpt server",
    }
    for fault, words in said.items():
        with server.broken(fault):
            assert words in _refused(server.url)
    for fault, words in said.items():
        if fault is not Fault.REFUSE:
            with server.broken(fault, path="projects"):
                assert words in _refused(server.url)


def test_server_that_is_too_busy(server: BrokenServer) -> None:
    server.break_with(Fault.TOO_MANY_REQUESTS)
    assert "status 429" in _refused(server.url, sigopt_timeout_seconds=0.3)


def test_server_that_says_nothing() -> None:
    with silent() as url:
        message = _refused(url, sigopt_timeout_seconds=0.2)
    assert "nothing came for 0.2 s" in message
    assert "sigopt_timeout_seconds" in message


def test_many_failures_do_not_slow_down(
    server: BrokenServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sleep(seconds: float) -> None:
        raise AssertionError(f"slept {seconds} s")

    # Of the client alone: other threads here sleep, too.
    monkeypatch.setattr("sigopt.ratelimit.time", SimpleNamespace(sleep=sleep))
    server.break_with(Fault.INTERNAL_ERROR)
    for _ in range(12):
        _refused(server.url)
    server.mend()
    connection = open_http(TOKEN, _settings(server.url))
    server.break_with(Fault.INTERNAL_ERROR)
    for _ in range(12):
        with pytest.raises(Exception, match="broken with 500"), unthrottled():
            connection.tokens("self").fetch()
    assert failed_status_rate_limit.count == 0


def test_wrong_token(upstream: str) -> None:
    message = _refused(upstream, token="WRONGWRONGWRONG")
    assert "refuses the API token (status 403: Unknown token)" in message


def test_token_that_may_only_read(upstream: str, driver: EmbeddedDriver) -> None:
    message = _refused(upstream, token=READER)
    assert "so no experiment can be recorded" in message
    assert _projects(driver) == []
    driver.request("POST", ["clients", "1", "projects"], {"id": "a", "name": "a"}, None)
    assert "so no experiment can be recorded" in _refused(
        upstream, token=READER, sigopt_project_id="a"
    )


def test_timeout_of_every_request(upstream: str) -> None:
    assert open_http(TOKEN, _settings(upstream)).impl.driver.timeout == 15
    connection = open_http(TOKEN, _settings(upstream, sigopt_timeout_seconds=3))
    assert connection.impl.driver.timeout == 3


# The project


def _projects(driver: EmbeddedDriver) -> list[str]:
    found = driver.request("GET", ["clients", "1", "projects"], None, None)
    return [project["id"] for project in found["data"]]


def test_missing_project_is_created(
    upstream: str, driver: EmbeddedDriver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    settings = _settings(upstream, sigopt_project_id="int8")
    open_http(TOKEN, settings)
    assert _projects(driver) == ["int8"]
    assert sum("Project 'int8' was not on" in message for message in logged(caplog)) == 1
    open_http(TOKEN, settings)
    assert sum("Project 'int8' was not on" in message for message in logged(caplog)) == 1


def test_project_that_another_worker_creates(server: BrokenServer, driver: EmbeddedDriver) -> None:
    driver.request("POST", ["clients", "1", "projects"], {"id": "a", "name": "a"}, None)
    answer, asked = driver.answer, []

    def late(method: str, path: list[str], data: dict[str, Any]) -> dict[str, Any]:
        if method == "GET" and path[-1] == "a" and not asked:
            asked.append(path)
            return answer(method, [*path[:-1], "b"], data)
        return answer(method, path, data)

    driver.answer = late  # type: ignore[method-assign]
    open_http(TOKEN, _settings(server.url, sigopt_project_id="a"))
    assert [r.status for r in server.requests if "projects" in r.path] == [404, 409, 200]


def test_project_that_may_not_be_created(upstream: str, driver: EmbeddedDriver) -> None:
    from nc_sigopt_strategy.engine.api_error import ApiError

    answer = driver.answer

    def forbid(method: str, path: list[str], data: dict[str, Any]) -> dict[str, Any]:
        if method == "POST" and path[-1] == "projects":
            raise ApiError(403, "Not you")
        return answer(method, path, data)

    driver.answer = forbid  # type: ignore[method-assign]
    message = _refused(upstream, sigopt_project_id="int8")
    assert (
        "no project 'int8', and the API token may not create it (status 403: Not you)" in message
    )
    assert "sigopt create project --project int8" in message


def test_deleted_project(upstream: str, driver: EmbeddedDriver) -> None:
    driver.request("POST", ["clients", "1", "projects"], {"id": "a", "name": "a"}, None)
    driver.request("PUT", ["clients", "1", "projects", "a"], {"deleted": True}, None)
    assert "project 'a'" in _refused(upstream, sigopt_project_id="a")
    assert "has been deleted" in _refused(upstream, sigopt_project_id="a")


def test_no_project_for_an_experiment_that_is_there(upstream: str, driver: EmbeddedDriver) -> None:
    open_http(TOKEN, _settings(upstream, sigopt_experiment_id="1"))
    assert _projects(driver) == []


# Whose server it is, and who suggests


def test_whose_server_it_is(
    upstream: str, driver: EmbeddedDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = driver.answer

    def say(engine: str | None) -> None:
        def answering(method: str, path: list[str], data: dict[str, Any]) -> dict[str, Any]:
            found = answer(method, path, data)
            if path == ["tokens", "self"]:
                found = {key: value for key, value in found.items() if key != "engine"}
                found |= {} if engine is None else {"engine": engine}
            return found

        driver.answer = answering  # type: ignore[method-assign]

    for engine, ours in [("nc_sigopt_strategy", True), ("another", False)]:
        say(engine)
        assert open_server(TOKEN, _settings(upstream)).is_ours is ours
    say("nc_sigopt_strategy")
    kwargs = {"sigopt_api_token": TOKEN, "sigopt_api_url": upstream, "storage": "sqlite://"}
    found = open_connections(Settings.from_kwargs(kwargs), seed=0)
    assert found.server is not None
    assert found.server.is_ours
    assert found.server.address.url == upstream


def test_our_server_says_so(upstream: str) -> None:
    assert open_server(TOKEN, _settings(upstream)).is_ours


def test_server_suggestions_need_a_server() -> None:
    with pytest.raises(SettingsError, match="needs a SigOpt server") as caught:
        open_connections(Settings.from_kwargs({"suggestions": "server"}), seed=0)
    assert "sigopt_api_token" in caught.value.hint
    assert Connections(None).server is None


# Secrets in what others say


def test_secrets_are_blotted_out(upstream: str) -> None:
    import base64

    with proxy(upstream, login=f"me:{PASSWORD}") as way:
        settings = _settings(upstream, sigopt_proxy=way.url.replace("//", f"//me:{PASSWORD}@"))
        connection = open_http(TOKEN, settings)
    header = base64.b64encode(f"{TOKEN}:".encode()).decode()
    login = base64.b64encode(f"me:{PASSWORD}".encode()).decode()
    said = f"{TOKEN} Basic {header} {PASSWORD} Basic {login} {settings.sigopt_proxy!r}"
    assert without_token(connection, said) == "*** Basic *** *** Basic *** ***"
    assert isinstance(settings.sigopt_proxy, Secret)


def test_a_page_that_shows_the_request_is_cut_and_blotted(
    server: BrokenServer, driver: EmbeddedDriver
) -> None:
    from nc_sigopt_strategy.engine.api_error import ApiError

    def echo(*args: Any) -> Any:
        raise ApiError(500, f"<pre>{TOKEN}\n" + "x" * 100_000)

    driver.answer = echo  # type: ignore[method-assign]
    message = _refused(server.url)
    assert "<pre>*** x" in message
    assert len(message) < 700


@pytest.mark.parametrize("name", ["who?", "100%", "a b", "%41"])
def test_a_home_of_any_name_holds_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / name))
    connection = open_embedded()
    expected = tmp_path / name / ".local/share/nc-sigopt-strategy/experiments.sqlite3"
    assert expected.is_file()
    shown = connection.impl.driver.storage_url
    connection.impl.driver.close()
    open_embedded(shown).impl.driver.close()
    assert [path.name for path in tmp_path.iterdir() if path.name != "data"] == [name]


def test_no_home_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(*args: object) -> None:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setattr(Path, "expanduser", nobody)
    with pytest.raises(StoreError, match="HOME is not set") as caught:
        default_storage_url()
    assert "storage=sqlite:///" in str(caught.value)


def test_a_question_mark_in_a_storage_url_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="%3F"):
        open_embedded(f"sqlite:///{tmp_path}/a?b/x.db")
