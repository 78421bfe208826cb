"""Optimizers of others that keep their trials with SigOpt's API: Optuna and Hyperopt."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import optuna
import pytest
from sigopt.factory import SigOptFactory

from tests.engine.client_programs import everything, new_client, served, value_of

TRIALS = 8
PARAMETERS = [
    {"name": "x", "type": "double", "bounds": {"min": -2, "max": 2}},
    {"name": "n", "type": "int", "bounds": {"min": 1, "max": 4}},
    {"name": "kind", "type": "categorical", "categorical_values": ["a", "b"]},
]


@pytest.fixture
def url(tmp_path: Any) -> Iterator[str]:
    with served(tmp_path) as address:
        yield address


@pytest.fixture
def conn(url: str) -> Any:
    return new_client(url)


def loss(given: Any) -> float:
    """The least is -1, at x = 0, n = 1, kind b."""
    return float(given["x"] ** 2 + given["n"] - 1 - (given["kind"] == "b"))


class Kept:
    """An experiment that keeps what somebody else suggests.

    Args:
        conn: SigOpt's client.
    """

    def __init__(self, conn: Any) -> None:
        made = conn.experiments().create(
            name="custom",
            parameters=PARAMETERS,
            metrics=[{"name": "loss", "objective": "minimize"}],
            observation_budget=TRIALS,
        )
        self.id = made.id
        self.api = conn.experiments(made.id)

    def evaluated(self, given: dict[str, Any]) -> float:
        """Keep a suggestion and its observation; the loss."""
        suggestion = self.api.suggestions().create(assignments=given)
        assert dict(suggestion.assignments) == given
        value = loss(given)
        self.api.observations().create(
            suggestion=suggestion.id, values=[{"name": "loss", "value": value}]
        )
        return value

    def check(self, best: float) -> None:
        """All trials are there, and the best one is theirs."""
        observed = everything(self.api.observations().fetch())
        assert len(observed) == TRIALS
        (found,) = everything(self.api.best_assignments().fetch())
        assert value_of(found, "loss") == best == min(value_of(o, "loss") for o in observed)
        assert self.api.stopping_criteria().fetch().should_stop


def test_optuna(conn: Any) -> None:
    kept = Kept(conn)

    def objective(trial: optuna.Trial) -> float:
        return kept.evaluated(
            {
                "x": trial.suggest_float("x", -2, 2),
                "n": trial.suggest_int("n", 1, 4),
                "kind": trial.suggest_categorical("kind", ["a", "b"]),
            }
        )

    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=1))
    study.optimize(objective, n_trials=TRIALS)
    kept.check(study.best_value)


def test_optuna_takes_over_what_others_observed(conn: Any) -> None:
    """Ask and tell: a study that begins with the observations of an experiment."""
    kept = Kept(conn)
    for x in (-1.0, 0.25, 1.5):
        kept.evaluated({"x": x, "n": 2, "kind": "a"})
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=1))
    distributions: dict[str, Any] = {
        "x": optuna.distributions.FloatDistribution(-2, 2),
        "n": optuna.distributions.IntDistribution(1, 4),
        "kind": optuna.distributions.CategoricalDistribution(["a", "b"]),
    }
    for observation in everything(kept.api.observations().fetch()):
        study.add_trial(
            optuna.trial.create_trial(
                params=dict(observation.assignments),
                distributions=distributions,
                value=value_of(observation, "loss"),
            )
        )
    for _ in range(TRIALS - 3):
        trial = study.ask(distributions)
        study.tell(trial, kept.evaluated(trial.params))
    kept.check(study.best_value)


def test_hyperopt(conn: Any) -> None:
    hyperopt = pytest.importorskip("hyperopt")
    kept = Kept(conn)
    space = {
        "x": hyperopt.hp.uniform("x", -2, 2),
        "n": hyperopt.hp.uniformint("n", 1, 4),
        "kind": hyperopt.hp.choice("kind", ["a", "b"]),
    }

    def objective(given: dict[str, Any]) -> float:
        return kept.evaluated({**given, "x": float(given["x"]), "n": int(given["n"])})

    trials = _minimize(hyperopt, objective, space, hyperopt.Trials())
    kept.check(min(trials.losses()))


def test_hyperopt_by_the_clients_own_bridge(conn: Any) -> None:
    hyperopt = pytest.importorskip("hyperopt")
    from sigopt.hyperopt import SigOptTrials

    factory = SigOptFactory("hyperopt", conn)
    factory.create_project()
    trials = SigOptTrials("hyperopt")
    trials.factory = factory
    space = {"x": hyperopt.hp.uniform("x", -2, 2)}

    def objective(given: dict[str, Any]) -> dict[str, Any]:
        failed = given["x"] > 1.5
        status = hyperopt.STATUS_FAIL if failed else hyperopt.STATUS_OK
        return {"loss": given["x"] ** 2, "extra": 3, "status": status}

    _minimize(hyperopt, objective, space, trials)
    client = conn.clients(conn.tokens("self").fetch().client)
    runs = [
        run.to_json() for run in everything(client.projects("hyperopt").training_runs().fetch())
    ]
    assert len(runs) == TRIALS
    for run in runs:
        assert run["metadata"] == {"optimizer": "hyperopt"}
        assert run["assignments_meta"]["x"]["source"] == "Hyperopt"
        if run["state"] == "completed":
            assert run["values"]["loss"]["value"] == pytest.approx(run["assignments"]["x"] ** 2)


def _minimize(hyperopt: Any, objective: Any, space: Any, trials: Any) -> Any:
    import numpy as np

    hyperopt.fmin(
        objective,
        space,
        algo=hyperopt.tpe.suggest,
        max_evals=TRIALS,
        trials=trials,
        rstate=np.random.default_rng(1),
        show_progressbar=False,
    )
    return trials
