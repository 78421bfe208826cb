"""An observation that is refused: whether the suggestion is gone is asked, not read from words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sigopt
from sigopt.exception import ApiException

from nc_sigopt_strategy.engine import EmbeddedDriver
from nc_sigopt_strategy.errors import SuggestionLostError
from nc_sigopt_strategy.experiments.definition import Definition
from nc_sigopt_strategy.experiments.opening import create_on
from nc_sigopt_strategy.experiments.sigopt_experiment import SigOptExperiment
from tests.experiments.measured import measured

Refusal = Callable[[str, str], ApiException | None]


class RefusingDriver:
    """The engine, some of whose answers are refusals in words that are given."""

    def __init__(self, driver: EmbeddedDriver) -> None:
        self.driver = driver
        self.asked: list[str] = []
        self.refusal: Refusal = lambda method, last: None

    def request(self, method: str, path: Any, data: Any, headers: Any) -> Any:
        self.asked.append(f"{method} {path[-1]}")
        refusal = self.refusal(method, str(path[-1]))
        if refusal is not None:
            raise refusal
        return self.driver.request(method, path, data, headers)


@pytest.fixture
def driver() -> Iterator[RefusingDriver]:
    engine = EmbeddedDriver("sqlite://", seed=1, sampler="random")
    yield RefusingDriver(engine)
    engine.close()


@pytest.fixture
def experiment(driver: RefusingDriver) -> SigOptExperiment:
    connection = sigopt.Connection(driver=lambda **_: driver)
    space = {"a": ("int8", "fp32"), "b": ("int8", "fp32")}
    return create_on(connection, Definition("run", None, space, 0.5, True, False, 9))


def refusing(status: int, words: str, *requests: str) -> Refusal:
    """Refuses the requests named, or all."""

    def refuse(method: str, last: str) -> ApiException | None:
        if requests and f"{method} {last}" not in requests:
            return None
        return ApiException({"message": words}, status)

    return refuse


@pytest.mark.parametrize("status", [400, 404])
@pytest.mark.parametrize("words", ["No suggestion: 7", "Diese Suggestion gibt es nicht", ""])
def test_taken_back_is_lost_whatever_the_server_says(
    experiment: SigOptExperiment, driver: RefusingDriver, status: int, words: str
) -> None:
    trial = experiment.suggest(1, origin="t")
    assert experiment.withdraw(trial)
    driver.refusal = refusing(status, words, "POST observations")
    with pytest.raises(SuggestionLostError, match="taken over by another worker") as caught:
        experiment.observe(measured(trial))
    # The client's exception holds the request, and with it the token.
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "words", ["No suggestion is good enough", "Cannot create observations for deleted experiment"]
)
def test_open_is_not_lost_whatever_the_server_says(
    experiment: SigOptExperiment, driver: RefusingDriver, words: str
) -> None:
    trial = experiment.suggest(1, origin="t")
    driver.refusal = refusing(400, words, "POST observations")
    with pytest.raises(ApiException, match=words):
        experiment.observe(measured(trial))
    driver.refusal = lambda method, last: None
    assert experiment.observe(measured(trial))


def test_observed_is_not_lost(experiment: SigOptExperiment, driver: RefusingDriver) -> None:
    trial = experiment.suggest(1, origin="t")
    experiment.observe(measured(trial))
    driver.refusal = refusing(400, "No suggestion", "POST observations")
    with pytest.raises(ApiException):
        experiment.observe(measured(trial))


def test_a_server_that_has_lost_everything_says_nothing_of_the_suggestion(
    experiment: SigOptExperiment, driver: RefusingDriver
) -> None:
    """A proxy without its server answers 404 to all; what waits there must not be given up."""
    trial = experiment.suggest(1, origin="t")
    driver.refusal = refusing(404, "The requested resource could not be found")
    with pytest.raises(ApiException) as caught:
        experiment.observe(measured(trial))
    assert caught.value.status_code == 404


@pytest.mark.parametrize("status", [401, 403, 409, 429, 500, 503])
def test_other_refusals_ask_nothing(
    experiment: SigOptExperiment, driver: RefusingDriver, status: int
) -> None:
    trial = experiment.suggest(1, origin="t")
    driver.refusal = refusing(status, "No suggestion", "POST observations")
    driver.asked.clear()
    with pytest.raises(ApiException):
        experiment.observe(measured(trial))
    assert driver.asked == ["POST observations"]
