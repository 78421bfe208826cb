"""Many client processes on one experiment, disturbed on purpose, and what must hold afterwards."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import TrialState

from tests.engine.processes import connect
from tests.proofs.client import Task

TYPES = ["int8", "bf16", "fp32"]
_ROOT = Path(__file__).parents[2]
# Without any client getting on for so long, something hangs.
_STALL_SECONDS = 240.0

Note = dict[str, Any]


@dataclass(frozen=True)
class Proof:
    """Sizes of a proof.

    Attributes:
        clients: Processes.
        budget: Observations of all together.
        parameters: Of the experiment, each one of three data types.
        disturbances: How often a server or the database is broken meanwhile.
        work_ms: Longest time of one measurement.
        sampler: Of the server.
    """

    clients: int
    budget: int
    parameters: int
    disturbances: int
    work_ms: float
    sampler: str

    def experiment(self) -> dict[str, Any]:
        """The request that creates the experiment: a tuning of data types."""
        parameters = [
            {"name": f"op{index:02d}", "type": "categorical", "categorical_values": TYPES}
            for index in range(self.parameters)
        ]
        return {
            "name": "many clients",
            "parameters": parameters,
            "metrics": [
                {"name": "latency", "objective": "minimize", "strategy": "optimize"},
                {"name": "accuracy", "strategy": "constraint", "threshold": 0.75},
            ],
            "observation_budget": self.budget,
            "parallel_bandwidth": self.clients,
        }


# In the small space several clients soon draw the same point, so a server that lets it pass fails.
SMALL = Proof(clients=4, budget=60, parameters=5, disturbances=1, work_ms=20, sampler="random")
FULL = Proof(
    clients=16, budget=2000, parameters=60, disturbances=5, work_ms=20, sampler="quantization"
)


def run_clients(
    proof: Proof,
    experiment: str,
    urls: Sequence[str],
    token: str,
    folder: Path,
    disturb: Callable[[], None] | None = None,
) -> tuple[list[Note], float]:
    """Run all clients to the end, breaking things in between.

    Args:
        proof: Sizes.
        experiment: Id.
        urls: The servers.
        token: Of the clients.
        folder: For their journals.
        disturb: Breaks something and mends it; called while the clients work.

    Returns:
        All that the clients noted, in each one's order; and the seconds it took.

    Raises:
        AssertionError: A client failed, or none got on.
    """
    journals = [folder / f"client-{number}.jsonl" for number in range(proof.clients)]
    started = time.monotonic()
    processes = [
        _start(
            Task(
                name=f"client-{number}",
                experiment=experiment,
                budget=proof.budget,
                urls=list(urls),
                journal=str(journal),
                work_ms=proof.work_ms,
                seed=number,
            ),
            token,
        )
        for number, journal in enumerate(journals)
    ]
    try:
        times = proof.disturbances if disturb else 0
        for time_ in range(1, times + 1):
            _wait_for(journals, proof.budget * time_ // (times + 1), processes)
            if disturb:
                disturb()
        _wait_for(journals, proof.budget, processes)
        for process in processes:
            _, errors = process.communicate(timeout=_STALL_SECONDS)
            assert process.returncode == 0, errors
    finally:
        for process in processes:
            process.kill()
            process.wait()
    seconds = time.monotonic() - started
    return [note for journal in journals for note in _read(journal)], seconds


def check(proof: Proof, storage_url: str, experiment: str, notes: Sequence[Note]) -> None:
    """Compare what the clients noted with what the store holds, without a server.

    Raises:
        AssertionError: Something is lost, doubled or wrong.
    """
    client, driver = connect(storage_url)
    endpoint = client.experiments(experiment)
    observations = [item.to_json() for item in endpoint.observations().fetch().iterate_pages()]
    suggestions = [item.to_json() for item in endpoint.suggestions().fetch().iterate_pages()]
    deleted = {item.id for item in endpoint.suggestions().fetch(deleted=True).iterate_pages()}
    progress = endpoint.fetch().progress
    driver.close()

    told = {note["suggestion"]: note for note in notes if note["what"] == "suggested"}
    reports = {note["suggestion"]: note for note in notes if note["what"] == "reports"}
    confirmed = [note["suggestion"] for note in notes if note["what"] == "observed"]

    # The budget is used, to the last one.
    assert len(observations) == proof.budget
    assert progress.observation_count == proof.budget
    # No suggestion went to two clients, and none is like another.
    assert _doubled(note["suggestion"] for note in notes if note["what"] == "suggested") == []
    assert _doubled(str(item["assignments"]) for item in suggestions) == []
    assert _doubled(item["number"] for item in suggestions) == []
    # Each is observed once.
    assert _doubled(item["suggestion"] for item in observations) == []
    assert {item["suggestion"] for item in observations} == {item["id"] for item in suggestions}
    assert {item["state"] for item in suggestions} == {"closed"}
    # What was confirmed to a client is what is stored, and the other way round.
    assert _doubled(confirmed) == []
    assert set(confirmed) == set(reports) == {item["suggestion"] for item in observations}
    assert deleted.isdisjoint(reports)
    for item in observations:
        reported = reports[item["suggestion"]]
        assert item["metadata"] == {"client": reported["client"]}
        assert item["failed"] == (not reported["values"])
        assert [_value(value) for value in item["values"]] == [
            _value(value) for value in reported["values"]
        ]
        assert item["assignments"] == told[item["suggestion"]]["assignments"]
    _check_trials(proof, storage_url, experiment)


def summary(notes: Sequence[Note], seconds: float) -> str:
    """What happened, in a line: for the report of a run."""
    count = Counter(note["what"] for note in notes)
    again = [note for note in notes if note["what"] == "observed" and not note["observation"]]
    return (
        f"{count['observed']} observations in {seconds:.0f} s; {count['lost']} answers lost, "
        f"{count['found']} suggestions and {len(again)} observations found again; "
        f"{count['gives back']} suggestions given back at the end"
    )


def _check_trials(proof: Proof, storage_url: str, experiment: str) -> None:
    """What Optuna itself reads: nothing left open, no number missing or twice."""
    storage = optuna.storages.RDBStorage(storage_url)
    trials = storage.get_all_trials(int(experiment))
    storage.engine.dispose()
    assert sorted(trial.number for trial in trials) == list(range(len(trials)))
    assert {trial.state for trial in trials} <= {TrialState.COMPLETE, TrialState.FAIL}
    assert len(trials) >= proof.budget
    for trial in trials:
        assert trial.datetime_start
        assert trial.datetime_complete
        # Made again of its parts it is checked: values, parameters, distributions.
        optuna.trial.create_trial(
            state=trial.state,
            values=trial.values,
            params=trial.params,
            distributions=trial.distributions,
        )


def _start(task: Task, token: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.proofs.client", json.dumps(dataclasses.asdict(task))],
        cwd=_ROOT,
        # SigOpt's client takes the folder's name for a project unless told otherwise.
        env={**os.environ, "SIGOPT_API_TOKEN": token, "SIGOPT_PROJECT": "proofs"},
        stderr=subprocess.PIPE,
        text=True,
    )


def _wait_for(
    journals: Sequence[Path], observed: int, processes: Sequence[subprocess.Popen[str]]
) -> None:
    """Wait until so many observations are confirmed to the clients."""
    last, since = -1, time.monotonic()
    while True:
        for process in processes:
            if process.poll():
                _, errors = process.communicate()
                raise AssertionError(f"A client failed:\n{errors}")
        done = sum(_observed(journal) for journal in journals)
        if done >= observed:
            return
        if done > last:
            last, since = done, time.monotonic()
        if time.monotonic() - since > _STALL_SECONDS:
            notes = [note for journal in journals for note in _read(journal)[-2:]]
            raise AssertionError(f"No observation for {_STALL_SECONDS:.0f} s; last: {notes}")
        if all(process.poll() == 0 for process in processes):
            raise AssertionError(f"All clients ended with {done} of {observed} observations")
        time.sleep(0.1)


def _observed(journal: Path) -> int:
    # Counted, not parsed: this is done ten times a second.
    return journal.read_bytes().count(b'"what": "observed"') if journal.exists() else 0


def _read(journal: Path) -> list[Note]:
    if not journal.exists():
        return []
    # A line is complete once its line end is there.
    text = journal.read_text()
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]


def _doubled(things: Any) -> list[Any]:
    return [thing for thing, count in Counter(things).items() if count > 1]


def _value(value: Note) -> tuple[Any, ...]:
    return value["name"], value["value"], value.get("value_stddev")
