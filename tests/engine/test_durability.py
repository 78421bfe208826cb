"""What a store keeps: across drivers, killed processes and processes at the same time."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import RDBStorage
from optuna.trial import TrialState

from nc_sigopt_strategy.engine.database.location import Location
from nc_sigopt_strategy.engine.database.opening import open_storage
from nc_sigopt_strategy.engine.history.history import History
from nc_sigopt_strategy.engine.store import Store, StoredExperiment
from tests.engine.examples import ASSIGNMENTS, body, discrete, refused, values
from tests.engine.processes import Child, Journal, connect, die_at

SPACE = (6, 6, 6)
WORKERS, STEPS = 2, 15


def _score(value: float) -> list[dict[str, Any]]:
    return [{"name": "score", "value": value}]


def _new_experiment(url: str, request: dict[str, Any]) -> str:
    client, driver = connect(url)
    experiment = str(client.experiments().create(**request).id)
    driver.close()
    return experiment


def test_everything_is_there_for_the_next_driver(any_storage_url: str) -> None:
    client, driver = connect(any_storage_url, seed=1)
    client.clients(1).projects().create(id="p", name="Project")
    made = client.experiments().create(**body(project="p", metadata={"k": "v"}))
    endpoint = client.experiments(made.id)
    client.impl.request("PUT", ["experiments", made.id, "record"], {"record": {"a": [1]}}, None)
    observed = endpoint.suggestions().create(metadata={"n": 1})
    endpoint.observations().create(suggestion=observed.id, values=values(2.0))
    failed = endpoint.suggestions().create()
    endpoint.observations().create(suggestion=failed.id, failed=True, metadata={"reason": "x"})
    left_open = endpoint.suggestions().create(assignments=ASSIGNMENTS)
    endpoint.suggestions(left_open.id).update(metadata={"reruns": 1})
    endpoint.suggestions(endpoint.suggestions().create().id).delete()
    paths = [
        ["clients", 1, "projects"],
        ["experiments"],
        ["experiments", made.id],
        ["experiments", made.id, "record"],
        *(
            ["experiments", made.id, kind]
            for kind in ("suggestions", "observations", "best_assignments")
        ),
    ]
    before = [client.impl.request("GET", path, {}, None) for path in paths]
    driver.close()

    again, driver = connect(any_storage_url, seed=1)
    assert [again.impl.request("GET", path, {}, None) for path in paths] == before
    (open_one,) = again.experiments(made.id).suggestions().fetch(state="open").iterate_pages()
    assert (open_one.id, open_one.metadata.to_json()) == (left_open.id, {"reruns": 1})
    driver.close()


def test_two_drivers_see_each_other(any_storage_url: str) -> None:
    one, first = connect(any_storage_url)
    other, second = connect(any_storage_url)
    experiment = one.experiments().create(**discrete(5)).id
    suggestion = other.experiments(experiment).suggestions().create().id
    assert one.experiments(experiment).suggestions(suggestion).fetch().state == "open"
    one.experiments(experiment).observations().create(suggestion=suggestion, values=_score(1))
    assert other.experiments(experiment).suggestions(suggestion).fetch().state == "closed"
    assert other.experiments(experiment).fetch().progress.observation_count == 1
    first.close()
    second.close()


def test_optuna_reads_the_store(storage_url: str) -> None:
    """What is written past Optuna's own calls must be what those calls would have written."""
    client, driver = connect(storage_url)
    endpoint = client.experiments(client.experiments().create(**body()).id)
    suggestion = endpoint.suggestions().create(assignments=ASSIGNMENTS)
    endpoint.observations().create(suggestion=suggestion.id, values=values(2.0, accuracy=0.7))
    endpoint.observations().create(assignments=ASSIGNMENTS, values=values(3.0, accuracy=0.9))
    endpoint.observations().create(assignments=ASSIGNMENTS, failed=True)
    endpoint.suggestions().create()
    driver.close()

    storage = RDBStorage(storage_url)
    (name,) = optuna.get_all_study_names(storage)
    study = optuna.load_study(study_name=name, storage=storage)
    trials = study.trials
    assert [trial.number for trial in trials] == [0, 1, 2, 3]
    assert [trial.state for trial in trials] == [
        TrialState.COMPLETE,
        TrialState.COMPLETE,
        TrialState.FAIL,
        TrialState.RUNNING,
    ]
    assert [trial.values for trial in trials] == [[2.0], [3.0], None, None]
    assert trials[0].params == ASSIGNMENTS
    assert trials[0].system_attrs["constraints"] == pytest.approx([0.2])
    assert trials[1].system_attrs["constraints"] == [0.0]
    # What adds a trial to a study checks it first.
    optuna.create_study(directions=study.directions).add_trials(trials)
    storage.engine.dispose()


def _work(url: str, experiment: str, journal: Journal, step: int) -> None:
    """Suggest and observe once, noting what was confirmed; die at the given SQL statement."""
    client, _ = connect(url, seed=1)
    endpoint = client.experiments(experiment)
    die_at(step)
    suggestion = endpoint.suggestions().create()
    journal.note(f"suggested {suggestion.id}")
    endpoint.observations().create(suggestion=suggestion.id, values=_score(step))
    journal.note(f"observed {suggestion.id} {step}")


def test_killed_at_every_statement(any_storage_url: str, tmp_path: Path) -> None:
    experiment = _new_experiment(any_storage_url, discrete(*SPACE))
    journal = Journal(tmp_path / "journal")
    for step in itertools.count(1):
        code = Child(lambda step=step: _work(any_storage_url, experiment, journal, step)).wait()
        if code == 0:
            break
        assert code == -signal.SIGKILL
    assert step > 15  # it did die at many points

    client, driver = connect(any_storage_url, seed=1)
    endpoint = client.experiments(experiment)
    observations = {
        item.suggestion: item for item in endpoint.observations().fetch().iterate_pages()
    }
    suggestions = {item.id: item for item in endpoint.suggestions().fetch().iterate_pages()}
    assert len(observations) == endpoint.observations().fetch().count
    for line in journal.lines():
        what, suggestion, *value = line.split()
        assert suggestion in suggestions
        if what == "observed":
            assert observations[suggestion].values[0].value == float(value[0])
    for suggestion, document in suggestions.items():
        # Open or whole, never in between.
        assert document.state == ("closed" if suggestion in observations else "open")
        assert set(document.assignments) == {"p0", "p1", "p2"}
    for observation in observations.values():
        assert len(observation.values) == 1
    endpoint.suggestions().create()
    driver.close()


def test_killed_while_the_store_is_created(tmp_path: Path) -> None:
    step = 0
    code = -signal.SIGKILL
    while code != 0:
        step += 4
        url = f"sqlite:///{tmp_path / f'{step}.db'}"

        def open_and_die(url: str = url, step: int = step) -> None:
            die_at(step)
            connect(url)

        code = Child(open_and_die).wait()
        assert code in (0, -signal.SIGKILL)
        assert _new_experiment(url, discrete(2)).isdigit()
    assert step > 20


def test_killed_while_a_project_is_created(storage_url: str) -> None:
    _new_experiment(storage_url, discrete(2))
    for step in itertools.count(1):

        def create_and_die(step: int = step) -> None:
            client, _ = connect(storage_url)
            die_at(step)
            client.clients(1).projects().create(id=f"p{step}", name="Project")

        code = Child(create_and_die).wait()
        client, driver = connect(storage_url)
        projects = client.clients(1).projects
        if code != 0 and projects().fetch(deleted=False).count < step:
            projects().create(id=f"p{step}", name="Project")
        assert projects(f"p{step}").fetch().name == "Project"
        driver.close()
        if code == 0:
            break
    assert step > 3


_SCRIPT = """
import sys
from pathlib import Path
from store_processes import Journal, connect
url, experiment, journal = sys.argv[1], sys.argv[2], Journal(Path(sys.argv[3]))
client, driver = connect(url, seed=1)
endpoint = client.experiments(experiment)
print("ready", flush=True)
while True:
    suggestion = endpoint.suggestions().create()
    score = [{"name": "score", "value": float(suggestion.id)}]
    endpoint.observations().create(suggestion=suggestion.id, values=score)
    journal.note(suggestion.id)
"""


@pytest.mark.parametrize("observations", [1, 4, 9])
def test_killed_from_outside(storage_url: str, tmp_path: Path, observations: int) -> None:
    experiment = _new_experiment(storage_url, discrete(*SPACE))
    journal = Journal(tmp_path / "journal")
    helpers = tmp_path / "store_processes.py"
    helpers.write_text(Path(__file__).with_name("processes.py").read_text())
    root = Path(__file__).resolve().parents[2]
    worker = subprocess.Popen(
        [sys.executable, "-c", _SCRIPT, storage_url, experiment, str(tmp_path / "journal")],
        env={**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{tmp_path}"},
        stdout=subprocess.PIPE,
        cwd=root,
    )
    assert worker.stdout is not None
    assert worker.stdout.readline() == b"ready\n"
    while len(journal.lines()) < observations:
        assert worker.poll() is None
    worker.send_signal(signal.SIGKILL)
    assert worker.wait() == -signal.SIGKILL
    worker.stdout.close()

    client, driver = connect(storage_url, seed=1)
    endpoint = client.experiments(experiment)
    stored = {
        item.suggestion: item.values[0].value
        for item in endpoint.observations().fetch().iterate_pages()
    }
    confirmed = journal.lines()
    assert len(confirmed) >= observations
    assert set(confirmed) <= stored.keys()
    assert len(stored) <= len(confirmed) + 1
    assert all(value == float(suggestion) for suggestion, value in stored.items())
    assert endpoint.suggestions().fetch(state="open").count <= 1
    driver.close()


def _run_together(tasks: list[Any]) -> None:
    """Start one process per task, let all go at the same moment, and wait for success."""
    read, write = os.pipe()

    def gated(task: Any) -> None:
        os.close(write)
        os.read(read, 1)  # returns when the parent closes its end
        task()

    children = [Child(lambda task=task: gated(task)) for task in tasks]
    os.close(write)
    os.close(read)
    assert [child.wait() for child in children] == [0] * len(children)


def test_processes_at_the_same_time(any_storage_url: str) -> None:
    experiment = _new_experiment(any_storage_url, discrete(*SPACE))

    def work(worker: int) -> None:
        client, _ = connect(any_storage_url, seed=1)  # the same seed: they do collide
        endpoint = client.experiments(experiment)
        for step in range(STEPS):
            made = endpoint.suggestions().create(metadata={"worker": worker})
            endpoint.observations().create(
                suggestion=made.id, values=_score(worker), metadata={"step": step}
            )

    _run_together([lambda worker=worker: work(worker) for worker in range(WORKERS)])
    client, driver = connect(any_storage_url)
    endpoint = client.experiments(experiment)
    observations = list(endpoint.observations().fetch().iterate_pages())
    assert len(observations) == WORKERS * STEPS
    assert len({item.suggestion for item in observations}) == WORKERS * STEPS
    assert len({tuple(item.assignments.items()) for item in observations}) == WORKERS * STEPS
    seen = {(item.values[0].value, item.metadata.to_json()["step"]) for item in observations}
    assert seen == {(worker, step) for worker in range(WORKERS) for step in range(STEPS)}
    assert endpoint.suggestions().fetch(state="open").count == 0
    driver.close()


def test_two_processes_observe_the_same_suggestions(any_storage_url: str) -> None:
    client, driver = connect(any_storage_url)
    experiment = str(client.experiments().create(**discrete(*SPACE)).id)
    endpoint = client.experiments(experiment)
    ids = [endpoint.suggestions().create().id for _ in range(STEPS)]
    driver.close()

    def work(worker: int) -> None:
        mine, _ = connect(any_storage_url)
        for suggestion in ids:
            mine.experiments(experiment).observations().create(
                suggestion=suggestion, values=_score(worker), metadata={"worker": worker}
            )

    _run_together([lambda worker=worker: work(worker) for worker in range(WORKERS)])
    client, driver = connect(any_storage_url)
    observations = list(client.experiments(experiment).observations().fetch().iterate_pages())
    # Nothing is lost and nothing mixed: each report is there once, with its own metadata.
    found = sorted((item.suggestion, item.values[0].value) for item in observations)
    assert found == sorted((item, worker) for item in ids for worker in range(WORKERS))
    for item in observations:
        assert item.values[0].value == item.metadata.to_json()["worker"]
    driver.close()


class _OvertakenStore(Store):
    """Lets something happen just after a history was read, once."""

    meanwhile: Callable[[], None] | None = None

    def history(self, stored: StoredExperiment, *, refresh: bool = True) -> History:
        found = super().history(stored, refresh=refresh)
        happens, self.meanwhile = self.meanwhile, None
        if happens is not None:
            happens()
        return found


@pytest.mark.parametrize("other_does", ["observe", "delete"])
def test_another_driver_is_faster(any_storage_url: str, other_does: str) -> None:
    """It finishes the suggestion just after this one has seen that it is open."""
    location = Location(any_storage_url)
    store = _OvertakenStore(location, open_storage(location))
    client, driver = connect(store)
    other, faster = connect(any_storage_url)
    experiment = client.experiments().create(**discrete(3)).id
    suggestion = client.experiments(experiment).suggestions().create().id
    theirs = other.experiments(experiment)

    def meanwhile() -> None:
        if other_does == "observe":
            theirs.observations().create(suggestion=suggestion, values=_score(1))
        else:
            theirs.suggestions(suggestion).delete()

    store.meanwhile = meanwhile
    observe = client.experiments(experiment).observations().create
    if other_does == "observe":
        observe(suggestion=suggestion, values=_score(2))
    else:
        refused(lambda: observe(suggestion=suggestion, values=_score(2)), 400, "No suggestion")
    found = sorted(
        (item.suggestion, item.values[0].value)
        for item in theirs.observations().fetch().iterate_pages()
    )
    expected = [(suggestion, 1.0), (suggestion, 2.0)] if other_does == "observe" else []
    assert found == expected
    driver.close()
    faster.close()


def test_processes_create_one_store_together(any_storage_url: str) -> None:
    def work() -> None:
        client, _ = connect(any_storage_url)
        client.experiments().create(**discrete(2))

    _run_together([work] * 4)
    client, driver = connect(any_storage_url)
    assert client.experiments().fetch().count == 4
    driver.close()
