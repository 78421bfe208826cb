"""Which trials are on the Pareto front, which of their models is returned, what is on disk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nc_sigopt_strategy.hosts.inc.recipe import op_name_dict
from nc_sigopt_strategy.results.trial_record import TrialRecord, TrialState
from nc_sigopt_strategy.winners.front import by_preference, pareto_front
from nc_sigopt_strategy.winners.front_files import FrontFiles


def trial(number: int, latency: float, accuracy: float, **more: Any) -> TrialRecord:
    return TrialRecord(
        number, TrialState.OBSERVED, accuracy=accuracy, latency_seconds=latency, **more
    )


def numbers(trials: Any) -> list[int]:
    return [t.number for t in trials]


def test_the_front_is_what_nothing_dominates_fastest_first() -> None:
    trials = [
        trial(1, 2.0, 0.8),
        trial(2, 1.0, 0.5),
        trial(3, 3.0, 0.8),  # as accurate as the first and slower
        trial(4, 4.0, 0.9),
        trial(5, 4.0, 0.85),  # as fast as the fourth and less accurate
        trial(6, 1.0, 0.5, duplicate_of=2),
        trial(7, 2.0, 0.8),  # as good as the first, and later
        TrialRecord(8, TrialState.FAILED, failure="no kernel"),
    ]
    assert numbers(pareto_front(trials, maximize=True)) == [2, 1, 4]
    assert numbers(pareto_front(reversed(trials), maximize=True)) == [2, 1, 4]


def test_lower_accuracy_may_be_better() -> None:
    trials = [trial(1, 2.0, 0.3), trial(2, 1.0, 0.5), trial(3, 3.0, 0.4)]
    assert numbers(pareto_front(trials, maximize=False)) == [2, 1]


def test_the_fastest_that_meets_the_criterion_is_returned_else_the_most_accurate() -> None:
    front = [
        trial(1, 1.0, 0.5, meets_bound=False),
        trial(2, 2.0, 0.8, meets_bound=True),
        trial(3, 3.0, 0.9, meets_bound=True),
    ]
    assert numbers(by_preference(front)) == [2, 3, 1]
    none_met = [trial(t.number, 1.0, t.accuracy or 0, meets_bound=False) for t in front]
    assert numbers(by_preference(none_met)) == [3, 2, 1]


class Backend:
    """Writes a model, which is text here, as it is."""

    model_suffix = ".pb"

    def save(self, model: str, path: Path) -> Path:
        path.parent.mkdir(exist_ok=True)
        path.write_text(model)
        return path


def test_files_follow_the_front(tmp_path: Path) -> None:
    backend: Any = Backend()
    files = FrontFiles(backend, tmp_path)
    files.save(7, "seven")
    files.save(12, "twelve")
    states = {("conv.0", "conv2d"): {"weight": {"dtype": "int8"}}}
    files.write_recipes([trial(7, 1.0, 0.5)], lambda t: op_name_dict(states))
    (tmp_path / "front" / "trial_of_mine.txt").write_text("stays")
    assert files.model_path(7) == "front/trial_0007.pb"
    recipe = json.loads((tmp_path / "front" / "trial_0007.json").read_text())
    assert recipe == {r"conv\.0": {"weight": {"dtype": ["int8"]}}}
    files.remove_others([12])
    assert sorted(p.name for p in (tmp_path / "front").iterdir()) == [
        "trial_0012.pb",
        "trial_of_mine.txt",
    ]
    assert files.model_path(7) is None


def test_a_full_disk_costs_the_file_only(tmp_path: Path) -> None:
    backend: Any = Backend()
    (tmp_path / "front").write_text("a file where the folder should be")
    files = FrontFiles(backend, tmp_path)
    files.save(1, "model")
    assert files.save_error is not None
    assert "trial 1" in files.save_error
    assert files.model_path(1) is None
