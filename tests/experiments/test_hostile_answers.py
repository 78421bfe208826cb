"""Answers with a field that is something else: a run goes on, and none is a traceback."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sigopt

from nc_sigopt_strategy.client.checked_driver import CheckedDriver
from nc_sigopt_strategy.client.sigopt_client import SigOptException
from nc_sigopt_strategy.errors import SigOptStrategyError
from nc_sigopt_strategy.experiments.experiment import Experiment
from nc_sigopt_strategy.experiments.lease import Worker
from nc_sigopt_strategy.experiments.opening import join_experiment
from nc_sigopt_strategy.results.trial_record import TrialState
from nc_sigopt_strategy.transfer.fetching import fetch
from tests.experiments.test_mirrored import Rig, measured

WRONG: tuple[Any, ...] = (
    None, True, -1, 0, 2**52, 1e308, -1e308, 0.5, "", "x", "7", "\x1b[2J", [], {}, [{}], [None],
    {"a": {}}, {"name": "p0", "value": 1},
)  # fmt: skip


def _leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where everything in an answer stands, containers too."""
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else ()
    items = enumerate(value) if isinstance(value, list) else items
    for key, entry in items:
        yield from _leaves(entry, (*path, key))


class Liar:
    """A server's engine; of some of its answers one thing is wrong."""

    def __init__(self, driver: Any, draw: random.Random) -> None:
        self.driver = driver
        self.draw = draw
        self.lies = False
        self.told: list[Any] = []

    def request(self, method: str, path: Any, data: Any, headers: Any) -> Any:
        found = copy.deepcopy(self.driver.request(method, path, data, headers))
        if not self.lies or not isinstance(found, dict) or self.draw.random() < 0.5:
            return found
        places = list(_leaves(found))
        *way, last = self.draw.choice(places)
        inside: Any = found
        for key in way:
            inside = inside[key]
        inside[last] = copy.deepcopy(self.draw.choice(WRONG))
        if self.draw.random() < 0.2:
            del inside[last]
        self.told.append((method, path, [*way, last]))
        return found


def _work(experiment: Experiment) -> None:
    """What a run does, over and over; none of it may fail for what a server says."""
    experiment.share_among(3)
    record = experiment.read_record()
    experiment.write_record(record)
    for number in range(1, 3):
        suggestion = experiment.suggest(number, origin="sampler: x", assignments=None)
        experiment.renew(suggestion.suggestion_id)
        experiment.place_of(suggestion)
        for other in experiment.open_suggestions():
            if other.suggestion_id != suggestion.suggestion_id:
                experiment.reclaim(other)
        experiment.observe(measured(suggestion, 0.6 + number / 100), "f")
        for trial, _ in experiment.news([]):
            assert trial.to_json()
            if trial.state is not TrialState.FAILED:
                assert trial.in_words()
    experiment.best()
    experiment.flush(0.0)


class Rush:
    """A clock by which every pause is over when it is looked at next."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        self.seconds += 100.0
        return self.seconds


@pytest.mark.parametrize("seed", range(5))
def test_a_run_goes_on(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(tmp_path)
    honest = rig.create("other", server_suggests=True)
    honest.observe(measured(honest.suggest(1, origin="seed: a"), 0.7), "f")
    honest.suggest(2, origin="seed: b")
    liar = Liar(rig.server, random.Random(seed))
    remote = sigopt.Connection(driver=lambda **_: CheckedDriver(liar))
    monkeypatch.setattr(rig, "remote", lambda: remote)

    def join(name: str) -> Experiment:
        return join_experiment(
            rig.connections(name), honest.shown_id, Worker(name), server_suggests=True,
            clock=Rush(),
        )  # fmt: skip

    for name in ("me", "me", "you"):
        liar.lies = True
        try:
            experiment = join(name)
        except SigOptStrategyError:
            liar.lies = False
            experiment = join(name)
        liar.lies = True
        _work(experiment)
    assert len(liar.told) > 8


@pytest.mark.parametrize("seed", range(2))
def test_what_is_carried_over_is_read_or_refused(seed: int, tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    honest = rig.create("other")
    honest.observe(measured(honest.suggest(1, origin="seed: a"), 0.7), "f")
    liar = Liar(rig.server, random.Random(seed))
    connection = sigopt.Connection(driver=lambda **_: CheckedDriver(liar))
    refused = 0
    liar.lies = True
    for _ in range(30):
        try:
            document = fetch(connection, honest.shown_id, ours=True)
        except (SigOptStrategyError, SigOptException):
            refused += 1
        else:
            json.dumps(document.to_json(), allow_nan=False)
    assert 3 < refused < 30
