"""strategy_kwargs in INC's configuration: what is printed, pickled and copied holds no secret."""

from __future__ import annotations

import copy
import pickle

import pytest

from nc_sigopt_strategy.errors import SettingsError
from nc_sigopt_strategy.hosts.inc.sealed_kwargs import SealedKwargs, revealed
from nc_sigopt_strategy.settings.settings import Settings

TOKEN = "0123456789SECRET"


def test_sealed_kwargs() -> None:
    def latency(model: object) -> float:
        return 1.0

    kwargs = {"sigopt_api_token": TOKEN, "latency_func": latency, "seed": 7}
    sealed = SealedKwargs(kwargs)
    assert Settings.from_kwargs(revealed(sealed)).seed == 7
    assert sealed.reveal() == kwargs
    for copied in (copy.deepcopy(sealed), pickle.loads(pickle.dumps(sealed))):
        assert TOKEN not in repr(copied.__dict__)
        assert TOKEN not in repr(copied)
        with pytest.raises(SettingsError, match="latency_func, sigopt_api_token"):
            revealed(copied)
        with pytest.raises(SettingsError, match="are a copy"):
            revealed(copy.deepcopy(copied))


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
    assert Settings.from_kwargs(revealed(copy.deepcopy(sealed))).seed == 7


@pytest.mark.parametrize(
    "url", ["http://me:hunter2@proxy.lan:3128", "https://hunter2@proxy.lan", "me:hunter2@proxy"]
)
def test_proxys_password_is_private(url: str) -> None:
    sealed = SealedKwargs({"sigopt_proxy": url, "seed": 7})
    copied = copy.deepcopy(sealed)
    assert "hunter2" not in repr(sealed) + repr(copied) + str(pickle.dumps(sealed))
    assert copied.left_out == ("sigopt_proxy",)
    with pytest.raises(SettingsError, match="never holds sigopt_proxy"):
        revealed(copied)
    if url.startswith("http"):
        settings = Settings.from_kwargs(revealed(sealed))
        assert "hunter2" not in repr(settings)
        assert settings.sigopt_proxy is not None
        assert settings.sigopt_proxy.reveal() == url
    else:
        with pytest.raises(SettingsError, match=r"sigopt_proxy \*\*\* is not a URL") as caught:
            Settings.from_kwargs(revealed(sealed))
        assert "hunter2" not in str(caught.value)


def test_proxy_without_a_password_can_be_shown() -> None:
    sealed = SealedKwargs({"sigopt_proxy": "http://proxy.lan:3128"})
    assert copy.deepcopy(sealed).left_out == ()
    assert "proxy.lan" in repr(sealed)
