"""strategy_kwargs, and what of them may be seen."""

from __future__ import annotations

import copy
import pickle

import pytest

from nc_sigopt_strategy.errors import SettingsError, SigOptStrategyError
from nc_sigopt_strategy.secrets import SealedKwargs, Secret
from nc_sigopt_strategy.settings import KEYS, Settings

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
    assert Settings.from_kwargs({}).sigopt_api_url == "https://theirs"
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


def test_sealed_kwargs() -> None:
    def latency(model: object) -> float:
        return 1.0

    kwargs = {"sigopt_api_token": TOKEN, "latency_func": latency, "seed": 7}
    sealed = SealedKwargs(kwargs)
    assert Settings.from_kwargs(sealed).seed == 7
    assert sealed.reveal() == kwargs
    for copied in (copy.deepcopy(sealed), pickle.loads(pickle.dumps(sealed))):
        assert TOKEN not in repr(copied.__dict__)
        assert TOKEN not in repr(copied)
        with pytest.raises(SettingsError, match="latency_func, sigopt_api_token"):
            Settings.from_kwargs(copied)
        with pytest.raises(SettingsError, match="are a copy"):
            Settings.from_kwargs(copy.deepcopy(copied))


@pytest.mark.parametrize(
    ("url", "hidden"),
    [
        ("postgresql://user:hunter2@db/x", True),
        ("mysql://db/x?ssl_password=hunter2", True),
        ("sqlite:////data/store.sqlite3", False),
        ("https://sigopt.example.org:4433", False),
    ],
)
def test_credentials_in_urls_are_sealed_too(url: str, hidden: bool) -> None:
    for key in ("storage", "sigopt_api_url"):
        sealed = SealedKwargs({key: url})
        assert ("hunter2" in repr(sealed)) is False
        assert (url not in repr(sealed)) is hidden
        assert (copy.deepcopy(sealed).left_out == (key,)) is hidden
        assert sealed.reveal() == {key: url}


def test_copy_that_lost_nothing_still_works() -> None:
    sealed = SealedKwargs({"seed": 7, "sigopt_api_token": None})
    assert Settings.from_kwargs(copy.deepcopy(sealed)).seed == 7


def test_what_does_not_go_with_a_front_is_refused() -> None:
    assert Settings.from_kwargs({"goal": "pareto", "sampler": "tpe"}).goal == "pareto"
    with pytest.raises(SettingsError, match="'gp' is not offered with goal='pareto'"):
        Settings.from_kwargs({"goal": "pareto", "sampler": "gp"})
    with pytest.raises(SettingsError, match="stop_at_first=True does not go"):
        Settings.from_kwargs({"goal": "pareto", "stop_at_first": True})
    with pytest.raises(SettingsError, match="goal must be one of constraint, pareto"):
        Settings.from_kwargs({"goal": "fastest"})
