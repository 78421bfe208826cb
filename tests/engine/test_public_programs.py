"""Programs of the kinds that SigOpt's users have published, written anew, on our server.

A recommender, a text classifier with parameters that do not go together, training times that are
kept and read back, an evaluation in another language, and a space that is changed on the way.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.engine.client_programs import TOKEN, everything, new_client, served, value_of


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(tmp_path_factory.mktemp("programs")) as address:
        yield address


@pytest.fixture
def conn(url: str) -> Any:
    return new_client(url)


def _log(name: str, low: float, high: float) -> dict[str, Any]:
    bounds = {"min": low, "max": high}
    return {"name": name, "type": "double", "bounds": bounds, "transformation": "log"}


def _error_of_factors(epochs: int, rate: float, penalty: float) -> float:
    """Root mean square error on held-out ratings of a factorization by stochastic descent."""
    draw = np.random.default_rng(0)
    truth = draw.normal(size=(20, 2)) @ draw.normal(size=(2, 15))
    cells = draw.permutation(truth.size)
    known, held_out = cells[:200], cells[200:]
    users, items = draw.normal(scale=0.1, size=(20, 2)), draw.normal(scale=0.1, size=(15, 2))
    for _ in range(epochs):
        for cell in known:
            user, item = divmod(int(cell), 15)
            off = truth[user, item] - users[user] @ items[item]
            users[user] += rate * (off * items[item] - penalty * users[user])
            items[item] += rate * (off * users[user] - penalty * items[item])
    off = (truth - users @ items.T).ravel()[held_out]
    return float(np.sqrt(np.mean(off**2)))


def test_a_recommender(conn: Any) -> None:
    experiment = conn.experiments().create(
        name="ratings",
        parameters=[
            {"name": "epochs", "type": "int", "bounds": {"min": 1, "max": 6}},
            _log("rate", 1e-3, 0.1),
            _log("penalty", 1e-4, 1.0),
        ],
        metrics=[{"name": "error", "objective": "minimize"}],
        observation_budget=12,
    )
    while experiment.progress.observation_count < experiment.observation_budget:
        suggestion = conn.experiments(experiment.id).suggestions().create()
        error = _error_of_factors(**suggestion.assignments.to_json())
        conn.experiments(experiment.id).observations().create(
            suggestion=suggestion.id, values=[{"name": "error", "value": error}]
        )
        experiment = conn.experiments(experiment.id).fetch()
    (best,) = everything(conn.experiments(experiment.id).best_assignments().fetch())
    seen = everything(conn.experiments(experiment.id).observations().fetch())
    assert value_of(best, "error") == min(value_of(one, "error") for one in seen)
    again = _error_of_factors(**best.assignments.to_json())
    assert again == pytest.approx(value_of(best, "error"))


TEXTS = [
    (f"{word} {place}", good)
    for word, good in (("fine", 1), ("good", 1), ("not bad", 1), ("bad", 0), ("not good", 0))
    for place in ("food", "room", "view", "staff", "bar", "price")
]


def test_a_text_classifier_whose_parameters_may_not_go_together(conn: Any) -> None:
    """As in the walkthroughs: what the vectorizer cannot take is reported as failed."""
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import SGDClassifier
    from sklearn.model_selection import cross_val_score
    from sklearn.pipeline import make_pipeline

    texts, labels = zip(*TEXTS, strict=True)
    own = conn.experiments(
        conn.experiments()
        .create(
            name="sentiment",
            parameters=[
                {"name": "shortest", "type": "int", "bounds": {"min": 1, "max": 2}},
                {"name": "longest", "type": "int", "bounds": {"min": 1, "max": 2}},
                _log("alpha", 1e-6, 1e-1),
                {
                    "name": "penalty",
                    "type": "categorical",
                    "categorical_values": ["l1", "l2", "elasticnet"],
                },
            ],
            metrics=[{"name": "accuracy", "objective": "maximize"}],
            observation_budget=10,
        )
        .id
    )
    # One of the kind that fails is asked for, so that there is one.
    own.queued_suggestions().create(
        assignments={"shortest": 2, "longest": 1, "alpha": 1e-3, "penalty": "l1"}
    )
    failed = 0
    for _ in range(10):
        suggestion = own.suggestions().create()
        given = suggestion.assignments
        model = make_pipeline(
            CountVectorizer(ngram_range=(given["shortest"], given["longest"])),
            SGDClassifier(alpha=given["alpha"], penalty=given["penalty"], random_state=0),
        )
        try:
            scores = cross_val_score(model, texts, labels, cv=3, error_score="raise")
        except ValueError:
            failed += 1
            own.observations().create(suggestion=suggestion.id, failed=True)
            continue
        value = {"name": "accuracy", "value": scores.mean(), "value_stddev": scores.std()}
        own.observations().create(suggestion=suggestion.id, values=[value])
    seen = everything(own.observations().fetch())
    assert [one.failed for one in seen].count(True) == failed >= 1
    (best,) = everything(own.best_assignments().fetch())
    assert best.assignments["shortest"] <= best.assignments["longest"]


def test_training_times_are_kept_and_read_back(conn: Any) -> None:
    """Which parameter costs time: the times stand in metadata, and come back page by page."""
    own = conn.experiments(
        conn.experiments()
        .create(
            name="times",
            parameters=[
                {"name": "size", "type": "int", "bounds": {"min": 1, "max": 40}},
                {"name": "idle", "type": "double", "bounds": {"min": 0, "max": 1}},
            ],
            metrics=["score"],
            observation_budget=15,
        )
        .id
    )
    for _ in range(15):
        suggestion = own.suggestions().create()
        size = suggestion.assignments["size"]
        began = time.process_time()
        score = float(np.linalg.norm(np.ones((size, size)) @ np.ones((size, size))))
        took = time.process_time() - began
        own.observations().create(
            suggestion=suggestion.id,
            values=[{"name": "score", "value": score}],
            metadata={"training time": took, "multiplications": size**3},
        )
    rows = everything(own.observations().fetch(limit=4))
    work = np.array([row.metadata["multiplications"] for row in rows])
    sizes = np.array([row.assignments["size"] for row in rows])
    assert len(rows) == 15
    assert (work == sizes**3).all()
    assert all(row.metadata["training time"] >= 0 for row in rows)


def test_an_evaluation_in_another_language(conn: Any, tmp_path: Path) -> None:
    """A program that is called with the assignments as options and prints the value."""
    program = tmp_path / "evaluate.sh"
    program.write_text('for one in "$@"; do echo "${one#*=}"; done | head -n 1\n')
    own = conn.experiments(
        conn.experiments()
        .create(
            name="elsewhere",
            parameters=[
                {"name": "a", "type": "int", "bounds": {"min": 1, "max": 50}},
                {"name": "b", "type": "categorical", "categorical_values": ["on", "off"]},
            ],
            metrics=["value"],
            observation_budget=6,
        )
        .id
    )
    left = own.suggestions().create()
    # Such programs begin by taking back what an earlier start has left.
    own.suggestions().delete(state="open")
    assert left.id not in [one.id for one in everything(own.suggestions().fetch())]
    for _ in range(6):
        suggestion = own.suggestions().create()
        options = [f"--{name}={value}" for name, value in suggestion.assignments.items()]
        done = subprocess.run(
            ["sh", str(program), *options], capture_output=True, text=True, check=True, timeout=60
        )
        value = float(done.stdout)
        assert value == suggestion.assignments["a"]
        own.observations().create(suggestion=suggestion.id, values=[{"value": value}])
    (best,) = everything(own.best_assignments().fetch())
    assert best.values[0].value == max(
        one.values[0].value for one in everything(own.observations().fetch())
    )


def test_a_space_that_is_narrowed_and_widened_on_the_way(conn: Any) -> None:
    """What is fetched is changed and sent back, as the client's users do it."""
    made = conn.experiments().create(
        name="changing",
        parameters=[
            _log("rate", 1e-4, 1.0),
            {"name": "kind", "type": "categorical", "categorical_values": ["sgd", "adam"]},
        ],
        metrics=["score"],
        observation_budget=20,
    )
    own = conn.experiments(made.id)

    def go_on(rounds: int) -> set[str]:
        kinds = set()
        for _ in range(rounds):
            suggestion = own.suggestions().create()
            kinds.add(suggestion.assignments["kind"])
            value = suggestion.assignments["rate"] + len(suggestion.assignments["kind"])
            own.observations().create(suggestion=suggestion.id, values=[{"value": value}])
        return kinds

    go_on(6)
    parameters = own.fetch().parameters
    by_name = {parameter.name: parameter for parameter in parameters}
    by_name["rate"].bounds.max = 0.1
    by_name["kind"].categorical_values = [{"name": "adam"}, {"name": "rmsprop"}]
    own.update(parameters=parameters)
    assert go_on(8) <= {"adam", "rmsprop"}
    assert own.fetch().progress.observation_count == 14
    (best,) = everything(own.best_assignments().fetch())
    assert best.values[0].value == max(
        one.values[0].value for one in everything(own.observations().fetch())
    )


def test_the_interpreter_is_not_needed_by_the_server(url: str) -> None:
    """What programs in other languages than Python send: HTTP Basic and JSON, nothing else."""
    script = (
        "import base64, json, sys, urllib.request as r\n"
        "url, token = sys.argv[1:]\n"
        "head = {'Authorization': 'Basic ' + base64.b64encode((token + ':').encode()).decode()}\n"
        "def ask(verb, path, body=None):\n"
        "    data = None if body is None else json.dumps(body).encode()\n"
        "    sent = r.Request(url + '/v1/' + path, data, head, method=verb)\n"
        "    return json.load(r.urlopen(sent, timeout=60))\n"
        "x = {'name': 'x', 'type': 'double', 'bounds': {'min': 0, 'max': 1}}\n"
        "e = ask('POST', 'experiments', {'name': 'plain', 'parameters': [x]})['id']\n"
        "s = ask('POST', f'experiments/{e}/suggestions', {})\n"
        "ask('POST', f'experiments/{e}/observations',\n"
        "    {'suggestion': s['id'], 'values': [{'value': s['assignments']['x']}]})\n"
        "best = ask('GET', f'experiments/{e}/best_assignments')['data'][0]\n"
        "print(best['values'][0]['value'] == s['assignments']['x'])\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", script, url, TOKEN],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    assert done.stdout == "True\n"
