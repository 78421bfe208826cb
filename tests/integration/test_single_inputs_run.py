"""Evaluations that yield scores, and ``confirm_func``, by way of Neural Compressor."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nc_sigopt_strategy as ncs
from nc_sigopt_strategy.backends.tensorflow import open_frozen_graph
from nc_sigopt_strategy.results.run_files import read_outcome, read_trials
from tests.conftest import INPUT_NAME, OUTPUT_NAME
from tests.integration.fitting import configure, fit
from tests.integration.test_autotune import ENDS, IMAGES, tuned

pytestmark = pytest.mark.integration


def yielded(labels: Any, images: Any) -> Any:
    def evaluate(model: Any) -> Iterator[Any]:
        predict = ncs.predictor(model)
        for start in range(0, len(labels), 8):
            part = slice(start, start + 8)
            yield predict(images[part])[0].argmax(axis=-1) == labels[part]

    return evaluate


def test_fit_hears_scores_and_asks_confirm_func(
    tmp_path: Path,
    small_model: Path,
    small_loader: Any,
    small_accuracy: Any,
    small_data: Any,
    small_labels: Any,
) -> None:
    asked: list[Any] = []

    def confirm(graph: Any) -> float:
        asked.append(graph)
        return float(small_accuracy(graph))

    kwargs = {"confirm_func": confirm, "latency_repeats": 4}
    conf = configure(tmp_path, kwargs, loss=0.5, max_trials=4)
    model = fit(small_model, conf, small_loader, yielded(small_labels, small_data[0]))
    count = len(small_labels)
    trials = [t for t in read_trials(tmp_path / "run") if t.duplicate_of is None]
    for trial in trials:
        assert trial.paired is not None
        assert (trial.paired.inputs, trial.paired.of) == (count, count)
        assert trial.accuracy_stddev
    outcome = read_outcome(tmp_path / "run")
    best = outcome.best_finalist
    assert best is not None
    assert best.confirmed_accuracy == pytest.approx(small_accuracy(model.graph))
    assert best.inputs == count
    assert len(asked) >= 2


def test_autotune_hears_scores_and_asks_confirm_func(tmp_path: Path, small_model: Path) -> None:
    fp32 = open_frozen_graph(small_model, [INPUT_NAME], [OUTPUT_NAME])
    labels = np.asarray(fp32.run(IMAGES)[0]).argmax(axis=-1)

    def confirm(model: Any) -> Any:
        answers = ncs.predictor(model)(IMAGES)[0].argmax(axis=1)
        return ncs.PerInput(answers == labels)

    result = tuned(
        small_model, tmp_path, eval_fn=yielded(labels, IMAGES), confirm_func=confirm, **ENDS
    )
    best = result.outcome.best_finalist
    assert best is not None
    assert best.inputs == len(IMAGES)
    assert best.confirmed_accuracy == pytest.approx(best.accuracy)
