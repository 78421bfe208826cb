"""What workers who know nothing of each other's open trials' results find, run by run."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from nc_sigopt_benchmarks.research.parallel.virtual_workers import work_together
from nc_sigopt_benchmarks.research.racing.measuring import Measuring
from nc_sigopt_benchmarks.research.racing.samplers import own
from nc_sigopt_benchmarks.research.racing.sources import Source
from nc_sigopt_benchmarks.research.racing.winner import judged_on, winner_changes

IMAGES = 5000
SAMPLER = "quantization"


@dataclass(frozen=True)
class Case:
    """One run to be made.

    Attributes:
        source: Of the landscape.
        seed: Of the instance and of the run.
        workers: How many ask at the same time.
        trials: Budget of all of them together.
        blind: See ``SharedStudy``.
    """

    source: Source
    seed: int
    workers: int
    trials: int
    blind: bool = False

    @property
    def key(self) -> str:
        """What tells it from others in a file of results."""
        blind = "|blind" if self.blind else ""
        return f"{self.source.key}|{self.seed}|{self.workers}|{self.trials}{blind}"


@dataclass(frozen=True)
class Found:
    """What a run had found after so many trials.

    Attributes:
        landscape: Key of the landscape's source.
        seed: Of the run.
        workers: How many asked at the same time.
        trials: Budget so far.
        ratio: The winner's true latency over the optimum's; ``None`` if no trial met the bound.
        wrong: Whether the winner truly misses the bound by more than one sampling error.
        seconds: Virtual seconds that a run with this budget takes.
        blind: See ``SharedStudy``.
        taken_back: Suggestions of the whole run that were made before, or that another worker
            had open.
    """

    landscape: str
    seed: int
    workers: int
    trials: int
    ratio: float | None
    wrong: bool
    seconds: float
    blind: bool = False
    taken_back: int = 0


def run_case(case: Case, marks: Sequence[int]) -> list[Found]:
    """Make one run, and judge it by the truth after each of ``marks`` trials."""
    landscape = case.source.load(case.seed, IMAGES)
    run = work_together(
        landscape,
        case.seed,
        own(SAMPLER),
        workers=case.workers,
        trials=case.trials,
        blind=case.blind,
    )
    changes = list(
        winner_changes(
            run.trials,
            Measuring(landscape, case.seed),
            judged_on(landscape),
            landscape.bound_confidence,
        )
    )
    found = []
    for mark in marks:
        winner = next((trial for after, trial in reversed(changes) if after <= mark), None)
        ratio, wrong = None, False
        if winner is not None:
            row = winner.choice[None]
            ratio = float(landscape.latency(row)[0]) / landscape.optimal_latency
            shortfall = landscape.bound - float(landscape.accuracy(row)[0])
            wrong = shortfall > landscape.sampling_error
        found.append(
            Found(
                landscape=case.source.key,
                seed=case.seed,
                workers=case.workers,
                trials=mark,
                ratio=ratio,
                wrong=wrong,
                seconds=run.seconds(mark),
                blind=case.blind,
                taken_back=run.taken_back,
            )
        )
    return found


def run_cases(
    cases: Sequence[Case], marks: Sequence[int], path: Path, jobs: int
) -> Iterator[tuple[Case, list[Found]]]:
    """Make the runs that a file does not have yet, and add each to it as soon as it is done.

    Args:
        cases: What to run.
        marks: After how many trials to look; none above a case's budget.
        path: JSON lines. What an earlier call left there is not run again.
        jobs: Processes.

    Yields:
        Every run that was asked for, those of the file first.
    """
    known = _read(path)
    missing = [case for case in cases if case.key not in known]
    yield from ((case, known[case.key]) for case in cases if case.key in known)
    path.parent.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool, path.open("a") as file:
        futures = {pool.submit(run_case, case, marks): case for case in missing}
        for future in as_completed(futures):
            case, found = futures[future], future.result()
            plain = [dataclasses.asdict(item) for item in found]
            file.write(json.dumps({"key": case.key, "found": plain}) + "\n")
            file.flush()
            yield case, found


def cases_of(
    sources: Sequence[Source],
    seeds: int,
    workers: Sequence[int],
    trials: int,
    *,
    blind: Sequence[int] = (),
) -> list[Case]:
    """All runs, those of one seed together, so that an interrupted benchmark is a smaller one.

    Args:
        sources: Of the landscapes.
        seeds: How many, from 0.
        workers: Numbers of workers.
        trials: Budget of a run.
        blind: Numbers of workers that are run blind as well; see ``SharedStudy``.
    """
    kinds = [*((count, False) for count in workers), *((count, True) for count in blind)]
    return [
        Case(source, seed, count, trials, is_blind)
        for seed, source, (count, is_blind) in itertools.product(range(seeds), sources, kinds)
    ]


def read_found(path: Path) -> list[Found]:
    """All that a file has of ``run_cases``."""
    return [found for case in _read(path).values() for found in case]


def _read(path: Path) -> dict[str, list[Found]]:
    if not path.exists():
        return {}
    text = path.read_text()
    # A line is whole once its line end is there.
    whole = text[: text.rfind("\n") + 1].splitlines()
    lines: list[dict[str, Any]] = [json.loads(line) for line in whole]
    return {line["key"]: [Found(**item) for item in line["found"]] for line in lines}
