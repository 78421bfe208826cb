"""strategy_kwargs, and what of them may be seen."""

from __future__ import annotations

import copy
import pickle
import re
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from nc_sigopt_strategy.errors import SettingsError, SigOptStrategyError
from nc_sigopt_strategy.sampling import DEFAULT_SAMPLER, SAMPLER_NAMES
from nc_sigopt_strategy.settings.address import is_loopback, parse_address
from nc_sigopt_strategy.settings.choices import SAMPLERS
from nc_sigopt_strategy.settings.secret import Secret
from nc_sigopt_strategy.settings.settings import KEYS, Settings

TOKEN = "0123456789SECRET"


def test_defaults() -> None:
    settings = Settings.from_kwargs(None)
    assert settings.sigopt_experiment_name == "nc-tune"
    assert settings.sigopt_api_token is None
    assert settings.search_space == "dtype"


def test_token_precedence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGOPT_API_TOKEN", "from-environment")
    given = Settings.from_kwargs({"sigopt_api_token": TOKEN}).sigopt_api_token
    found = Settings.from_kwargs({}).sigopt_api_token
    assert given is not None
    assert given.reveal() == TOKEN
    assert found is not None
    assert found.reveal() == "from-environment"
    monkeypatch.setenv("SIGOPT_API_TOKEN", "")
    assert Settings.from_kwargs({}).sigopt_api_token is None


def test_server_from_the_clients_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGOPT_API_URL", "https://theirs/")
    assert str(Settings.from_kwargs({}).sigopt_api_url) == "https://theirs"
    monkeypatch.setenv("SIGOPT_API_URL", "https://me:hunter2@theirs")
    with pytest.raises(SettingsError, match="SIGOPT_API_URL holds a user name") as caught:
        Settings.from_kwargs({})
    assert "hunter2" not in str(caught.value)


def test_project_from_the_clients_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGOPT_PROJECT", "theirs")
    assert Settings.from_kwargs({}).sigopt_project_id == "theirs"
    assert Settings.from_kwargs({"sigopt_project_id": "mine"}).sigopt_project_id == "mine"


def test_none_means_default() -> None:
    assert Settings.from_kwargs(dict.fromkeys(KEYS)) == Settings.from_kwargs({})


def test_samplers_are_those_of_the_engine() -> None:
    assert SAMPLERS == SAMPLER_NAMES
    assert Settings().sampler == DEFAULT_SAMPLER
    with pytest.raises(SettingsError, match="Did you mean 'random'") as caught:
        Settings.from_kwargs({"sampler": "randon"})
    assert "one of quantization, tpe, gp, random, grid" in str(caught.value)


def test_errors_are_ours_and_value_errors() -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_kwargs({"nonsense": 1})
    assert isinstance(caught.value, SigOptStrategyError)
    assert isinstance(caught.value, ValueError)
    assert "Known keys: " in str(caught.value)


def test_not_a_dict() -> None:
    with pytest.raises(SettingsError, match="must be a dict, but is a list"):
        Settings.from_kwargs(["sigopt_api_token"])  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [5, b"x", ["x"]])
def test_wrong_token_is_not_shown(value: object) -> None:
    with pytest.raises(SettingsError, match=r"but is \*\*\*"):
        Settings.from_kwargs({"sigopt_api_token": value})


def test_secret_shows_itself_nowhere() -> None:
    secret = Secret(TOKEN)
    shown = [repr(secret), str(secret), f"{secret}", repr(Settings(sigopt_api_token=secret))]
    shown += [str(pickle.dumps(secret)), repr(copy.deepcopy(secret)), repr({"a": [secret]})]
    assert not any(TOKEN in text for text in shown)
    assert secret.reveal() == TOKEN


def test_what_does_not_go_with_a_front_is_refused() -> None:
    assert Settings.from_kwargs({"goal": "pareto", "sampler": "tpe"}).goal == "pareto"
    with pytest.raises(SettingsError, match="'gp' is not offered with goal='pareto'"):
        Settings.from_kwargs({"goal": "pareto", "sampler": "gp"})
    with pytest.raises(SettingsError, match="stop_at_first=True does not go"):
        Settings.from_kwargs({"goal": "pareto", "stop_at_first": True})
    with pytest.raises(SettingsError, match="goal must be one of constraint, pareto"):
        Settings.from_kwargs({"goal": "fastest"})


def test_way_to_a_server_by_default() -> None:
    settings = Settings.from_kwargs(None)
    assert settings.sigopt_timeout_seconds == 15
    assert settings.sigopt_plain_http_hosts == ()
    assert settings.sigopt_ca_bundle is settings.sigopt_client_cert is settings.sigopt_proxy
    assert settings.suggestions == "local"
    assert settings.parallel_bandwidth == 1
    assert settings.lease_seconds == 90


def test_files_of_tls(tmp_path: Path) -> None:
    authority = trustme.CA()
    leaf = authority.issue_cert("worker")
    bundle, both, cert, key = (tmp_path / name for name in ("ca", "both", "cert", "key"))
    authority.cert_pem.write_to_path(str(bundle))
    leaf.private_key_and_cert_chain_pem.write_to_path(str(both))
    leaf.cert_chain_pems[0].write_to_path(str(cert))
    leaf.private_key_pem.write_to_path(str(key))
    settings = Settings.from_kwargs(
        {"sigopt_ca_bundle": str(bundle), "sigopt_client_cert": [str(cert), key]}
    )
    assert settings.sigopt_ca_bundle == bundle
    assert settings.sigopt_client_cert == (cert, key)
    assert Settings.from_kwargs({"sigopt_client_cert": both}).sigopt_client_cert == both
    nothing = tmp_path / "nothing"
    nothing.write_text("no PEM")
    locked = tmp_path / "locked"
    locked.write_bytes(cert.read_bytes() + _encrypted(key.read_bytes()))
    for kwargs, words in [
        ({"sigopt_ca_bundle": str(tmp_path / "gone")}, "gone' is not a file"),
        ({"sigopt_ca_bundle": str(tmp_path)}, "is not a file"),
        ({"sigopt_ca_bundle": True}, "must be the path of a file, but is True"),
        ({"sigopt_ca_bundle": nothing}, "holds no certificates"),
        ({"sigopt_client_cert": tmp_path / "gone"}, "gone' is not a file"),
        ({"sigopt_client_cert": cert}, "sigopt_client_cert cannot be used"),
        ({"sigopt_client_cert": (cert, bundle)}, "sigopt_client_cert cannot be used"),
        ({"sigopt_client_cert": (cert, key, key)}, "holds 3 items"),
        ({"sigopt_client_cert": locked}, "a key that is not encrypted"),
    ]:
        with pytest.raises(SettingsError, match=words):
            Settings.from_kwargs(kwargs)


def _encrypted(pem: bytes) -> bytes:
    key = serialization.load_pem_private_key(pem, None)
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"hunter2"),
    )


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("sigopt_proxy", "socks5://proxy.lan", "is not a URL of an http or https proxy"),
        ("sigopt_proxy", "http://proxy.lan/path", "is not a URL of an http or https proxy"),
        ("sigopt_proxy", 3128, "must be the URL of a proxy, but is a int"),
        ("sigopt_timeout_seconds", 0, "a number of seconds above 0, but is 0"),
        ("sigopt_timeout_seconds", -1, "at least 0"),
        ("sigopt_timeout_seconds", float("inf"), "above 0, but is inf"),
        ("sigopt_timeout_seconds", float("nan"), "but is nan"),
        ("sigopt_timeout_seconds", "15", "but is '15'"),
        ("sigopt_plain_http_hosts", "sigopt.lan", "must be a list of host names"),
        ("sigopt_plain_http_hosts", ["http://sigopt.lan"], "'http://sigopt.lan', which is not"),
        ("sigopt_plain_http_hosts", ["sigopt.lan:80"], "without a port"),
        ("sigopt_plain_http_hosts", ["*.lan"], "is not a host name"),
        ("sigopt_plain_http_hosts", [5], "holds 5"),
        ("suggestions", "remote", "suggestions must be one of local, server"),
        ("parallel_bandwidth", 0, "at least 1"),
        ("parallel_bandwidth", 2.0, "a whole number"),
        ("worker", "a b", "is not a name of a worker"),
        ("worker", "a" * 65, "1 to 64 characters"),
        ("lease_seconds", 0, "above 0"),
        ("one_trial_per_machine", "yes", "True or False"),
        ("sigopt_api_url", "sigopt.lan", "is not a URL of a server"),
        ("sigopt_api_url", "ftp://sigopt.lan", "is not a URL of a server"),
        ("sigopt_api_url", "http://sigopt.lan:99999", "is not a URL of a server"),
        ("sigopt_api_url", "http://127.0.0.1\\.evil.com", "is not a URL of a server"),
        ("sigopt_api_url", "http://sigopt.lan/?a=b", "is not a URL of a server"),
        ("sigopt_api_url", "http://127.0.0.1:80\\@evil.com", "holds a user name"),
        ("sigopt_api_url", "me:hunter2@theirs", "holds a user name"),
    ],
)
def test_wrong_values_of_the_way_to_a_server(key: str, value: object, words: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(words)) as caught:
        Settings.from_kwargs({key: value})
    assert str(caught.value).startswith(key)
    assert "hunter2" not in str(caught.value)


def test_values_of_the_way_to_a_server() -> None:
    settings = Settings.from_kwargs(
        {
            "sigopt_api_url": "HTTPS://SigOpt.LAN:4433/api//",
            "sigopt_plain_http_hosts": ["SigOpt.LAN", "10.0.0.7", "2001:db8::1", "[::2]"],
            "worker": "host-1:/runs/a_1.b",
            "one_trial_per_machine": False,
            "sigopt_timeout_seconds": 3,
        }
    )
    assert str(settings.sigopt_api_url) == "https://sigopt.lan:4433/api"
    assert "https://sigopt.lan:4433/api" in repr(settings)
    assert settings.sigopt_plain_http_hosts == ("sigopt.lan", "10.0.0.7", "2001:db8::1", "::2")
    assert settings.worker == "host-1:/runs/a_1.b"
    assert settings.one_trial_per_machine is False


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.255.3.9", True),
        ("::1", True),
        ("0:0:0:0:0:0:0:1", True),
        ("localhost.evil.com", False),
        ("127.0.0.1.evil.com", False),
        ("127.1", False),
        ("0127.0.0.1", False),
        ("128.0.0.1", False),
        ("::", False),
        ("0.0.0.0", False),
    ],
)
def test_loopback(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback
    url = f"http://[{host}]:80" if ":" in host else f"http://{host}:80"
    address = parse_address(url)
    assert address is not None
    assert address.host == host
    assert address.may_see_token(()) is loopback
    assert address.may_see_token((host,))
