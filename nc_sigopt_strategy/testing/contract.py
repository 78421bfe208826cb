"""``HostContract``: what every host keeps to, as tests to inherit.

    class TestMyHost(HostContract):
        @pytest.fixture
        def host(self, ...) -> Host: ...

        @contextmanager
        def broken_quantization(self, host): ...

        def rebuilt(self, host, recipe): ...

Needs pytest, and nothing else that the host does not need.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import random
import weakref
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nc_sigopt_strategy.results.run_files import read_outcome
from nc_sigopt_strategy.results.trial_record import TrialState
from nc_sigopt_strategy.settings.settings import Settings
from nc_sigopt_strategy.space.ops import PRECISIONS, Choices
from nc_sigopt_strategy.space.search_space import SpaceRequest, build_search_space
from nc_sigopt_strategy.tuning.budget import Budget
from nc_sigopt_strategy.tuning.host import Host
from nc_sigopt_strategy.tuning.loop import tune
from nc_sigopt_strategy.tuning.preparation import prepare

_TRIALS = 4


class HostContract:
    """Tests of a host; a subclass brings the fixture ``host`` and the two hooks."""

    @pytest.fixture
    def host(self) -> Host:
        """A host of a small model, new for each test, whose default model meets its bound."""
        raise NotImplementedError

    def broken_quantization(self, host: Host) -> AbstractContextManager[None]:
        """Inside, ``host.quantize`` fails as it would on a real model, deep in what it calls."""
        raise NotImplementedError

    def rebuilt(self, host: Host, recipe: Mapping[str, Any]) -> Any:
        """A model made from a recipe without the host, as a user would make it."""
        raise NotImplementedError

    def budget(self, host: Host, max_trials: int) -> Budget:
        """A budget of trials."""
        return Budget(max_trials, 0, stop_at_first=False)

    def test_ops_have_labels_from_least_to_most_precise(self, host: Host) -> None:
        ops = host.ops()
        assert ops
        assert len({op.key for op in ops}) == len(ops)
        for op in ops:
            assert op.default in op.labels
            assert len(set(op.labels)) == len(op.labels)
            ranks = [1 + PRECISIONS.index(x) if x in PRECISIONS else 0 for x in op.labels]
            assert ranks == sorted(ranks)
        assert [op.key for op in host.ops()] == [op.key for op in ops]
        sizes = host.sampling_sizes()
        assert sizes
        assert all(size > 0 for size in sizes)

    @pytest.mark.parametrize("preset", ["dtype", "int8", "full"])
    def test_labels_round_trip(self, host: Host, preset: str) -> None:
        space = build_search_space(host.ops(), host.sampling_sizes(), SpaceRequest(preset))
        draw = random.Random(0).choice
        for _ in range(20):
            assignments = {p.name: draw(p.values) for p in space.parameters}
            assert space.encode(space.decode(assignments)) == assignments

    def test_the_op_graph_is_of_its_ops(self, host: Host) -> None:
        keys = [op.key for op in host.ops()]
        graph = json.loads(json.dumps(host.op_graph(keys)))
        assert [op["name"] for op in graph["ops"]] == [name for name, _ in keys]
        names = {name for name, _ in keys}
        assert all({producer, consumer} <= names for producer, consumer, _ in graph["edges"])

    def test_fp32_runs_on_the_calibration_data(self, host: Host) -> None:
        batches = host.calibration_data().batches
        assert batches
        session = host.backend.open(host.fp32)
        try:
            assert all(np.isfinite(array).all() for array in session.run(batches[0]))
        finally:
            session.close()

    def test_a_sound_model_passes_the_check(self, host: Host) -> None:
        with self._session(host):
            host.check()
            host.check()

    def test_the_same_choices_give_the_same_model(self, host: Host) -> None:
        default, precise = self._default(host), self._most_precise(host)
        with self._session(host):
            first, other, again = (host.quantize(c) for c in (default, precise, default))
            fingerprint = host.backend.fingerprint
            assert fingerprint(first) == fingerprint(again)
            assert fingerprint(first) != fingerprint(other)

    def test_an_evaluation_says_the_same_again(self, host: Host) -> None:
        with self._session(host):
            bound = host.baseline().bound
            model = host.quantize(self._default(host))
            first, again = host.evaluate(model), host.evaluate(model)
        assert bound.scalar(first.accuracy) == bound.scalar(again.accuracy)
        assert bound.met(bound.scalar(first.accuracy))
        assert first.duration_seconds > 0
        host.users_model(model)

    def test_a_quantization_that_fails_leaves_it_usable(self, host: Host) -> None:
        choices = self._default(host)
        with self._session(host):
            before = host.backend.fingerprint(host.quantize(choices))
            with self.broken_quantization(host), pytest.raises(Exception) as failed:  # noqa: PT011
                host.quantize(choices)
            reason = host.reason(failed.value)
            assert reason
            assert reason == reason.strip()
            assert host.backend.fingerprint(host.quantize(choices)) == before

    def test_a_session_can_begin_again(self, host: Host) -> None:
        fingerprints = []
        for _ in range(2):
            with self._session(host):
                model = host.quantize(self._default(host))
                fingerprints.append(host.backend.fingerprint(model))
        assert fingerprints[0] == fingerprints[1]

    def test_the_recipe_rebuilds_the_model(self, host: Host) -> None:
        for choices in (self._default(host), self._mixed(host)):
            with self._session(host):
                model = host.quantize(choices)
            recipe = json.loads(json.dumps(host.recipe(choices)))
            rebuilt = self.rebuilt(host, recipe)
            assert host.backend.fingerprint(rebuilt) == host.backend.fingerprint(model)

    def test_a_model_is_saved_under_its_suffix(self, host: Host, tmp_path: Path) -> None:
        with self._session(host):
            model = host.quantize(self._default(host))
        path = host.backend.save(model, tmp_path / f"model{host.backend.model_suffix}")
        assert path.stat().st_size > 0

    def test_nothing_leaks(self, host: Host) -> None:
        choices = [self._default(host), self._most_precise(host)]
        kept: list[Any] = []
        with self._session(host):
            host.baseline()
            opened = []
            for round_ in range(4):
                model = host.quantize(choices[round_ % 2])
                host.evaluate(model)
                host.backend.release(model)
                with contextlib.suppress(TypeError):  # a model that cannot be referred to weakly
                    kept.append(weakref.ref(model))
                del model
                opened.append(_open_files())
            gc.collect()
            alive = [position for position, ref in enumerate(kept) if ref() is not None]
            assert alive == [], f"models that are still referred to: {alive}"
        assert opened[-1] <= opened[1], opened

    def test_the_whole_loop(self, host: Host, tmp_path: Path) -> None:
        folder = tmp_path / "run"
        settings = Settings(
            storage=f"sqlite:///{tmp_path / 'store.sqlite3'}",
            output_dir=folder,
            progress=False,
            latency_repeats=4,
        )
        prepared = prepare(host, settings, folder=folder, seed=0)
        ended = tune(prepared, self.budget(host, _TRIALS))
        outcome = ended.outcome
        assert outcome.error is None, outcome.stop_reason
        assert outcome.found
        assert outcome.best is not None
        assert outcome.best.state is TrialState.OBSERVED
        assert outcome.fp32_latency_seconds
        assert read_outcome(folder) == outcome
        choices = prepared.space.decode(outcome.best.assignments)
        with self._session(host):
            again = host.quantize(choices)
        assert host.backend.fingerprint(ended.model) == host.backend.fingerprint(again)

    @contextlib.contextmanager
    def _session(self, host: Host) -> Iterator[None]:
        with host.session(lambda what: None):
            yield

    def _default(self, host: Host) -> Choices:
        return Choices({op.key: op.default for op in host.ops()}, host.sampling_sizes()[0])

    def _most_precise(self, host: Host) -> Choices:
        return Choices({op.key: op.labels[-1] for op in host.ops()}, host.sampling_sizes()[0])

    def _mixed(self, host: Host) -> Choices:
        labels = {
            op.key: op.labels[-1] if position % 2 else op.default
            for position, op in enumerate(host.ops())
        }
        return Choices(labels, host.sampling_sizes()[0])


def _open_files() -> int:
    folder = Path("/proc/self/fd")
    return len(os.listdir(folder)) if folder.is_dir() else 0
