"""What a metric says of single inputs, where it is a mean over them, and where it is not."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from nc_sigopt_strategy.hosts.inc.label_order import is_in_blocks, label_key
from nc_sigopt_strategy.hosts.inc.metric_scores import MetricScores
from nc_sigopt_strategy.measurement.accuracy import AccuracyBound
from nc_sigopt_strategy.measurement.paired import BesideFp32
from nc_sigopt_strategy.measurement.per_input import PerInput, listening

INPUTS, CLASSES, BATCH = 600, 4, 20


class Share:
    """A user's metric: the share of right answers."""

    def __init__(self) -> None:
        self.right: list[Any] = []

    def reset(self) -> None:
        self.right = []

    def update(self, preds: Any, labels: Any) -> None:
        self.right += list(self.judged(preds, labels))

    def judged(self, preds: Any, labels: Any) -> Any:
        return np.asarray(preds).argmax(axis=1) == np.asarray(labels)

    def result(self) -> float:
        return float(np.mean(self.right))


class F1(Share):
    """Of the first class, so of all inputs together."""

    def judged(self, preds: Any, labels: Any) -> Any:
        return zip(np.asarray(preds).argmax(axis=1) == 0, np.asarray(labels) == 0, strict=True)

    def result(self) -> float:
        said, true = np.array(self.right).T
        return float(2 * (said & true).sum() / max((said.sum() + true.sum()), 1))


class WholeBatches(Share):
    def update(self, preds: Any, labels: Any) -> None:
        if len(preds) == 1:
            raise ValueError("a batch has two rows at least")
        super().update(preds, labels)


class Locked(Share):
    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.Lock()


class OfNoLabels(Share):
    compare_label = False


class Loader:
    batch_size = BATCH

    def __init__(self, labels: Any, seed: int | None = None) -> None:
        self.labels = labels
        self.rng = None if seed is None else np.random.default_rng(seed)

    def __iter__(self) -> Iterator[Any]:
        order = np.arange(len(self.labels))
        if self.rng is not None:
            self.rng.shuffle(order)
        for start in range(0, len(order), BATCH):
            chosen = order[start : start + BATCH]
            yield chosen, self.labels[chosen]


class Adaptor:
    """Evaluates as Neural Compressor's do; a model is its logits."""

    def __init__(self) -> None:
        self.batches = 0

    def evaluate(
        self, model: Any, dataloader: Any, postprocess: Any = None, metrics: Any = None, *_: Any
    ) -> Any:
        for metric in metrics:
            metric.reset()
        for inputs, labels in dataloader:
            self.batches += 1
            for metric in metrics:
                metric.update(model[inputs], labels)
        found = [metric.result() for metric in metrics]
        return found if len(found) > 1 else found[0]


@pytest.fixture
def labels() -> Any:
    return np.random.default_rng(0).integers(0, CLASSES, INPUTS)


def model_of(labels: Any, wrong: float, seed: int = 1) -> Any:
    rng = np.random.default_rng(seed)
    said = np.where(rng.random(len(labels)) < wrong, (labels + 1) % CLASSES, labels)
    return np.eye(CLASSES)[said] + 0.1 * rng.random((len(labels), CLASSES))


def evaluated(
    scores: MetricScores, model: Any, loader: Any, *metrics: Any, rule: Any = None
) -> Any:
    """The answer, and how many batches it took."""
    adaptor = Adaptor()
    with scores.heard(adaptor), listening(rule):
        answer = adaptor.evaluate(model, loader, None, list(metrics), None, -1, False, True)
    assert "evaluate" not in vars(adaptor)
    return answer, adaptor.batches


def beside(fp32: PerInput) -> BesideFp32:
    return BesideFp32(
        fp32.scores,
        AccuracyBound.of(float(fp32), relative=True, tolerable_loss=0.01, higher_is_better=True),
    )


def test_a_mean_over_inputs_is_heard_and_a_bad_model_is_given_up(labels: Any) -> None:
    scores, loader = MetricScores(), Loader(labels)
    model = model_of(labels, 0.05)
    fp32, batches = evaluated(scores, model, loader, Share())
    assert isinstance(fp32, PerInput)
    assert fp32.scores.tolist() == (model.argmax(axis=1) == labels).tolist()
    assert batches == INPUTS / BATCH
    bad, early = evaluated(scores, model_of(labels, 0.4, 2), loader, Share(), rule=beside(fp32))
    assert isinstance(bad, PerInput)
    assert early < batches
    assert len(bad.scores) == early * BATCH
    assert not beside(fp32).bound.met(float(bad))
    same, whole = evaluated(scores, model, loader, Share(), rule=beside(fp32))
    assert (same, whole) == (fp32, batches)


@pytest.mark.parametrize(
    ("metric", "why"),
    [
        (F1(), "single results have the mean"),
        (WholeBatches(), "a batch has two rows at least"),
        (Locked(), "cannot be copied"),
    ],
)
def test_other_metrics_stay_one_number_and_that_is_said_once(
    metric: Any, why: str, labels: Any, caplog: pytest.LogCaptureFixture
) -> None:
    scores, loader = MetricScores(), Loader(labels)
    model = model_of(labels, 0.3)
    plain = Adaptor().evaluate(model, loader, None, [metric])
    for _ in range(2):
        found, batches = evaluated(scores, model, loader, metric)
        assert not isinstance(found, PerInput)
        assert (found, batches) == (plain, INPUTS / BATCH)
    said = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert len(said) == 1
    assert why in said[0]


def test_a_metric_that_was_a_mean_by_chance_is_found_out_before_an_evaluation_ends(
    labels: Any,
) -> None:
    """All right: F1 is 1, and so is that of each input of the first class."""
    first = np.zeros(INPUTS, int)
    scores, loader = MetricScores(), Loader(first)
    fp32, _ = evaluated(scores, model_of(first, 0.0), loader, F1())
    assert isinstance(fp32, PerInput)
    found, batches = evaluated(scores, model_of(first, 0.5), loader, F1(), rule=beside(fp32))
    assert not isinstance(found, PerInput)
    assert batches == INPUTS / BATCH


@pytest.mark.parametrize("metrics", [(Share(), Share()), (OfNoLabels(),)])
def test_several_metrics_and_those_that_judge_no_labels_are_left_alone(
    metrics: Any, labels: Any
) -> None:
    found, _ = evaluated(MetricScores(), model_of(labels, 0.1), Loader(labels), *metrics)
    assert not isinstance(found, PerInput)


def test_a_loader_that_shuffles_is_not_compared_input_by_input(
    labels: Any, caplog: pytest.LogCaptureFixture
) -> None:
    scores, loader = MetricScores(), Loader(labels, seed=3)
    evaluated(scores, model_of(labels, 0.1), loader, Share())
    found, batches = evaluated(scores, model_of(labels, 0.1), loader, Share())
    assert not isinstance(found, PerInput)
    assert batches == INPUTS / BATCH
    assert "another order each time" in caplog.text


def test_inputs_sorted_by_label_are_evaluated_to_the_end(labels: Any) -> None:
    scores, loader = MetricScores(), Loader(np.sort(labels))
    fp32, _ = evaluated(scores, model_of(loader.labels, 0.05), loader, Share())
    found, batches = evaluated(
        scores, model_of(loader.labels, 0.4), loader, Share(), rule=beside(fp32)
    )
    assert isinstance(found, PerInput)
    assert batches == INPUTS / BATCH


def test_blocks_are_told_from_a_random_order(labels: Any) -> None:
    assert not is_in_blocks(labels.tolist())
    assert is_in_blocks(np.sort(labels).tolist())
    assert not is_in_blocks([7] * 50)
    assert not is_in_blocks(list(range(50)))
    assert not is_in_blocks([1])


def test_equal_labels_have_equal_keys() -> None:
    assert label_key(np.array([1, 2])) == label_key(np.array([1, 2]))
    assert label_key([np.array([1]), "a"]) == label_key([np.array([1]), "a"])
    assert label_key("a") != label_key("b")


@pytest.mark.parametrize("form", ["column", "flat", "one-hot"])
@pytest.mark.parametrize("k", [1, 2])
def test_neural_compressors_topk_is_counted_at_once(
    form: str, k: int, labels: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    metrics = pytest.importorskip("neural_compressor.metric.metric")
    shaped = {"column": labels[:, None], "flat": labels, "one-hot": np.eye(CLASSES)[labels]}

    metric = metrics.GeneralTopK(k)
    model = model_of(labels, 0.3)
    plain = Adaptor().evaluate(model, Loader(shaped[form]), None, [metric])
    calls = []
    update = metrics.GeneralTopK.update

    def counted(*given: Any) -> None:
        calls.append(1)
        update(*given)

    monkeypatch.setattr(metrics.GeneralTopK, "update", counted)
    found, batches = evaluated(MetricScores(), model, Loader(shaped[form]), metric)
    assert isinstance(found, PerInput)
    assert found == pytest.approx(plain)
    assert found.scores.mean() == pytest.approx(plain)
    assert len(calls) == 2 * batches
