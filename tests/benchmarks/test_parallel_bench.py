"""The benchmarks of parallel workers: they measure what they say, in small."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from optuna.samplers import BaseSampler, RandomSampler

from nc_sigopt_benchmarks.research.parallel import worse_search
from nc_sigopt_benchmarks.research.parallel.server_tables import (
    growth_table,
    percentile_table,
    share_names,
)
from nc_sigopt_benchmarks.research.parallel.server_visits import Cell, Plan, Visit, visits
from nc_sigopt_benchmarks.research.parallel.sleeping_worker import Cost
from nc_sigopt_benchmarks.research.parallel.stores import SQLITE, Stores
from nc_sigopt_benchmarks.research.parallel.timed_client import OBSERVE, REST, SUGGEST, Sample
from nc_sigopt_benchmarks.research.parallel.virtual_workers import Together, work_together
from nc_sigopt_benchmarks.research.parallel.worker_runs import Run, Setting
from nc_sigopt_benchmarks.research.parallel.worker_tables import (
    blind_table,
    complete,
    lost_table,
    paired_table,
    search_table,
)
from nc_sigopt_benchmarks.research.parallel.workload import BASELINE, BOUND, VALUES, Workload
from nc_sigopt_benchmarks.research.parallel.worse_search import Case, Found, cases_of, run_cases
from nc_sigopt_benchmarks.research.racing.optuna_sampler import Asking
from nc_sigopt_benchmarks.research.racing.run import play
from nc_sigopt_benchmarks.research.racing.samplers import own
from nc_sigopt_benchmarks.research.racing.sources import Source
from nc_sigopt_benchmarks.research.racing.trial import choice_key
from nc_sigopt_strategy.client.connections import open_embedded
from nc_sigopt_strategy.errors import SettingsError
from tests.benchmarks.race_landscapes import small_landscape

CHAIN = Source("chain")


def together(workers: int, trials: int, *, blind: bool = False) -> Together:
    landscape = CHAIN.load(0, 5000)
    build = own("quantization")
    return work_together(landscape, 0, build, workers=workers, trials=trials, blind=blind)


class TestVirtualWorkers:
    @pytest.mark.parametrize("blind", [False, True])
    def test_one_worker_makes_the_trials_of_the_race(self, blind: bool) -> None:
        race = play(CHAIN.load(0, 5000), 0, "quantization", 12)
        run = together(1, 12, blind=blind)
        assert [choice_key(t.choice) for t in run.trials] == [
            choice_key(t.choice) for t in race.trials
        ]
        assert [t.look for t in run.trials] == [t.look for t in race.trials]
        assert run.begun[1:] == run.ended[:-1]

    @pytest.mark.parametrize("blind", [False, True])
    def test_no_two_workers_measure_the_same(self, blind: bool) -> None:
        run = together(6, 20, blind=blind)
        assert len({choice_key(trial.choice) for trial in run.trials}) == 20

    def test_never_more_are_at_work_than_there_are_workers(self) -> None:
        run = together(4, 16)
        for moment in run.begun:
            busy = [b <= moment < e for b, e in zip(run.begun, run.ended, strict=True)]
            assert 1 <= sum(busy) <= 4
        at_work = [sum(b <= moment for b in run.begun[1:]) for moment in run.ended[:1]]
        assert at_work == [4], "everybody begins when the reference is there"
        assert min(run.begun[1:]) == run.ended[0]

    def test_a_budget_is_the_beginning_of_a_larger_one(self) -> None:
        small, large = together(3, 8), together(3, 12)
        assert small.begun == large.begun[:8]
        assert small.seconds(8) == large.seconds(8) == max(large.ended[:8])

    def test_the_sampler_is_told_what_is_open_and_what_was_found(self) -> None:
        seen: list[tuple[int, int]] = []

        def build(asking: Asking) -> BaseSampler:
            return _Watching(asking.seed, seen)

        work_together(small_landscape(), 0, build, workers=3, trials=10)
        # Two of the three are at work whenever the third asks.
        assert [running for running, _ in seen][-3:] == [2, 2, 2]
        assert sorted(done for _, done in seen) == [done for _, done in seen]

    def test_blind_samplers_see_no_open_trials(self) -> None:
        seen: list[tuple[int, int]] = []

        def build(asking: Asking) -> BaseSampler:
            return _Watching(asking.seed, seen)

        run = work_together(small_landscape(), 0, build, workers=3, trials=10, blind=True)
        assert {running for running, _ in seen} == {0}
        # Three trials come from the strategy: with three ops, "last layers" are all of them.
        assert len(seen) == len(run.trials) - 3 + run.taken_back


class _Watching(RandomSampler):
    def __init__(self, seed: int, seen: list[tuple[int, int]]) -> None:
        super().__init__(seed)
        self._seen = seen

    def sample_relative(self, study, trial, search_space):  # type: ignore[no-untyped-def]
        others = [t for t in study.get_trials(deepcopy=False) if t.number != trial.number]
        states = [t.state.name for t in others]
        self._seen.append((states.count("RUNNING"), states.count("COMPLETE")))
        return super().sample_relative(study, trial, search_space)


class TestSearchRuns:
    def test_a_folder_is_continued(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = tmp_path / "search.jsonl"
        first = cases_of([CHAIN], 1, (1,), 6)
        done = dict(run_cases(first, (5, 6), path, 1))
        path.write_text(path.read_text() + '{"key": "half a li')
        monkeypatch.setattr(worse_search, "ProcessPoolExecutor", _NoProcesses)
        assert dict(run_cases(first, (5, 6), path, 1)) == done
        assert [item.trials for item in worse_search.read_found(path)] == [5, 6]

    def test_blind_runs_are_others(self) -> None:
        assert Case(CHAIN, 0, 4, 20).key != Case(CHAIN, 0, 4, 20, blind=True).key


class _NoProcesses:
    def __init__(self, *_: object) -> None:
        pass

    def __enter__(self) -> _NoProcesses:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def submit(self, *_: object) -> None:
        raise AssertionError("It was run before.")


class TestWorkload:
    @pytest.mark.parametrize("size", [30, 60])
    def test_int8_is_fast_and_misses_the_bound_and_fp32_meets_it(self, size: int) -> None:
        workload = Workload(size)
        assert len(workload.names) == size
        int8 = workload.record(1, workload.default, "x")
        fp32 = workload.record(2, dict.fromkeys(workload.names, "fp32"), "x")
        assert int8.meets_bound is False
        assert fp32.accuracy == pytest.approx(BASELINE)
        assert BOUND < BASELINE
        assert (int8.latency_seconds or 0) < (fp32.latency_seconds or 0)

    def test_values_are_the_same_whoever_asks(self) -> None:
        assignments = next(Workload(30).batches(1))[0]["assignments"]
        assert Workload(30).values(assignments) == Workload(30).values(assignments)

    def test_batches_are_what_the_engine_takes(self) -> None:
        workload = Workload(30)
        batches = list(workload.batches(150))
        assert [len(batch) for batch in batches] == [100, 50]
        assert set(batches[0][0]["assignments"].values()) <= set(VALUES)

    def test_other_sizes_are_refused(self) -> None:
        with pytest.raises(SettingsError, match="31 ops"):
            Workload(31)


class TestServerSpeed:
    def test_a_filled_store_is_copied_and_not_changed(self, tmp_path: Path) -> None:
        workload = Workload(30)
        stores = Stores(tmp_path, None, workload)
        stores.fill(SQLITE, 120)
        for _ in range(2):
            copy = stores.copy(SQLITE, 120)
            connection = open_embedded(copy.url)
            endpoint = connection.experiments(copy.experiment)
            assert endpoint.fetch().progress.observation_count == 120
            suggestion = endpoint.suggestions().create()
            values = workload.values(dict(suggestion.assignments))
            endpoint.observations().create(suggestion=suggestion.id, values=values)
            assert endpoint.fetch().progress.observation_count == 121
            connection.impl.driver.close()

    def test_clients_measure_a_real_server(self, tmp_path: Path) -> None:
        stores = Stores(tmp_path, None, Workload(30))
        stores.fill(SQLITE, 5)
        plan = Plan([SQLITE], ["random"], [5], [1, 2], 30, repeats=1, rounds=4, seconds=30.0)
        found = list(visits(plan, stores))
        assert [visit.cell.clients for visit in found] == [1, 2]
        for visit in found:
            assert [s.verb for s in visit.samples].count(SUGGEST) == 4
            assert [s.verb for s in visit.samples].count(OBSERVE) == 4
            for sample in visit.samples:
                assert {"sampler", "store", REST} == set(sample.shares)
                assert sum(sample.shares.values()) == pytest.approx(sample.total)
            assert Visit.from_json(visit.to_json()) == visit
        copy = tmp_path / "visit.db"
        connection = open_embedded(f"sqlite:///{copy}")
        endpoint = connection.experiments(_only(connection))
        # 5 that were there, one round to begin with, and four of each visit.
        assert endpoint.fetch().progress.observation_count == 5 + 1 + 4 + 4

    def test_tables_show_percentiles_and_growth(self) -> None:
        found = [
            _visit(held, repeat, [store + repeat for store in range(100)])
            for held in (0, 10)
            for repeat in (0, 1)
        ]
        found[2:] = [_visit(10, repeat, [4 * s for s in range(100)]) for repeat in (0, 1)]
        assert share_names(found) == ["sampler", "store", REST, "total"]
        assert "50 / 95 / 99" in percentile_table([_visit(0, 0, list(range(101)))], SUGGEST)
        row = growth_table(found).splitlines()[2]
        p95 = np.percentile([s + r for r in (0, 1) for s in range(100)], 95)
        ratio = np.percentile([4 * s for s in range(100)] * 2, 95) / p95
        assert row.endswith(f"/ {ratio:.2f} |")


def _only(connection: object) -> str:
    (experiment,) = connection.experiments().fetch().iterate_pages()  # type: ignore[attr-defined]
    return str(experiment.id)


def _visit(held: int, repeat: int, store: list[float]) -> Visit:
    samples = [
        Sample(verb, 2.0 + value, {"sampler": 1.0, "store": value, REST: 1.0})
        for verb in (SUGGEST, OBSERVE)
        for value in store
    ]
    cell = Cell(SQLITE, "random", held, 1)
    return Visit(cell, repeat, 5.0, 1.0, 0.5, 0.1, tuple(samples))


class TestWorkerTables:
    def test_what_is_lost_is_all_but_the_trial(self) -> None:
        cost = Cost(
            ask=200.0, observe=80.0, late=20.0, tries=2, cpu=90.0, shared=150.0, requests=9
        )
        assert cost.lost == 300.0
        run = Run(Setting("PostgreSQL", 30, 4, 3.0), 0, 40, 0.25, 1.0, (cost, cost))
        assert Run.from_json(run.to_json()) == run
        row = lost_table([run]).splitlines()[2]
        assert "| 300 (300 to 300) | 300 | 10.0 % |" in row
        assert "| 90 | 9 | 150 | 2.00 | 25% |" in row

    def test_runs_are_compared_with_the_sequential_one_of_their_seed(self) -> None:
        found = [
            Found("chain", seed, workers, 20, ratio, wrong, 60.0 / workers)
            for seed, workers, ratio, wrong in [
                (0, 1, 1.0, False), (0, 4, 1.5, False), (1, 1, 2.0, True), (1, 4, 2.2, False),
                (2, 1, None, False), (2, 4, 9.0, False),
            ]
        ]  # fmt: skip
        assert "1.300 (1.200 to 1.400)" in paired_table(found)
        table = search_table(found)
        assert "33%" in table
        assert "2.000" in table

    def test_only_what_every_number_of_workers_had_is_compared(self) -> None:
        found = [
            Found("chain", seed, workers, 20, 1.0, False, 1.0, blind)
            for seed, workers, blind in [
                (0, 1, False), (0, 4, False), (1, 1, False), (1, 4, True), (2, 4, False),
            ]
        ]  # fmt: skip
        assert complete(found) == found[:2]
        assert blind_table(found).count("\n") == 1, "no blind run has its counterpart"
        seeing = dataclasses.replace(found[3], blind=False, ratio=2.0)
        row = blind_table([*found, seeing]).splitlines()[2]
        assert row.startswith("| 4 | 20 | 1 | 2.000 (2.000 to 2.000; 0%) | 1.000")
