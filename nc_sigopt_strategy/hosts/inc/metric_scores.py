"""What a metric of Neural Compressor's says of single inputs, beside what it says of all.

Neural Compressor evaluates with a dataloader and a metric by ``adaptor.evaluate``, which hands
every batch to ``metric.update`` and asks for one number at the end. Here a second metric of the
same kind is asked about each input alone. Whether the metric is a mean over inputs is not taken
for granted: the mean of the single results has to be the metric's own result, in every evaluation.
Where it is not (F1, mAP), the evaluation is what it was: one number.
"""

from __future__ import annotations

import contextlib
import copy
import logging
import math
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from nc_sigopt_strategy.errors import in_one_line
from nc_sigopt_strategy.hosts.inc.label_order import is_in_blocks, label_key
from nc_sigopt_strategy.measurement.per_input import PerInput, Rule, Scores, listener

logger = logging.getLogger("nc_sigopt_strategy")

# How far the mean of single results may be from the metric's own, relatively: sums are rounded.
SAME = 1e-5


class _NoSingles(Exception):
    """The metric does not speak of single inputs."""


class MetricScores:
    """Hears a metric's results on single inputs, for one run.

    What is found out of a metric once holds for the run: after it has failed to be a mean over
    inputs nobody asks again.
    """

    def __init__(self) -> None:
        self._off = False
        # Of all inputs, in the order of the first evaluation.
        self._order: tuple[int, ...] | None = None

    @contextlib.contextmanager
    def heard(self, adaptor: Any) -> Iterator[None]:
        """Inside, ``adaptor.evaluate`` returns a ``PerInput`` where its metric allows.

        Args:
            adaptor: Neural Compressor's of the framework.
        """
        own = adaptor.evaluate

        def evaluate(model: Any, dataloader: Any, *args: Any, **kwargs: Any) -> Any:
            return self._evaluated(own, model, dataloader, args, kwargs)

        adaptor.evaluate = evaluate
        try:
            yield
        finally:
            del adaptor.evaluate

    def _evaluated(
        self,
        own: Callable[..., Any],
        model: Any,
        dataloader: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        # As create_eval_func passes them: postprocess, metrics, measurer and others.
        metrics: Any = args[1] if len(args) > 1 else None
        if self._off or not _is_one_metric(metrics, dataloader):
            return own(model, dataloader, *args, **kwargs)
        try:
            metric = _HeardMetric(metrics[0], listener(), self._order)
        except _NoSingles as reason:
            self._give_up(metrics[0], reason)
            return own(model, dataloader, *args, **kwargs)
        loader = _EndingLoader(dataloader, metric)
        answer = own(model, loader, args[0], [metric], *args[2:], **kwargs)
        if metric.refusal is not None:
            self._give_up(metrics[0], metric.refusal)
            return answer
        if self._order is None:
            self._order = tuple(metric.keys)
            logger.info(
                "%s is a mean over inputs: models are compared with FP32 input by input.%s",
                _name(metrics[0]),
                " They are sorted by their labels, so no evaluation ends early."
                if is_in_blocks(self._order)
                else "",
            )
        return metric.answer(answer)

    def _give_up(self, metric: Any, reason: object) -> None:
        self._off = True
        logger.warning(
            "%s does not speak of single inputs (%s), so models are compared with FP32 by one "
            "number each, and each evaluation goes to its end.",
            _name(metric),
            reason,
        )


class _HeardMetric:
    """Stands for a metric; asks a second one about each input alone.

    Args:
        metric: Has ``update(predictions, labels)``, ``result()`` and ``reset()``.
        rule: Says when the first inputs say enough; ``None``: never.
        order: ``label_key`` of all inputs as an evaluation before had them; ``None``: there was
            none.

    Attributes:
        keys: ``label_key`` of the inputs so far.
        refusal: Why single results are no scores; ``None`` while they are.

    Raises:
        _NoSingles: There can be no second one.
    """

    def __init__(self, metric: Any, rule: Rule | None, order: tuple[int, ...] | None) -> None:
        self._metric, self._order = metric, order
        self._rule = None if order is None or is_in_blocks(order) else rule
        self.refusal: _NoSingles | None = None
        self.keys: list[int] = []
        self._batches: list[Scores] = []
        try:
            self._single = copy.deepcopy(metric)
        except Exception as error:  # whatever a user's class raises that cannot be copied
            raise _NoSingles(f"it cannot be copied: {in_one_line(error)}") from error

    def __getattr__(self, name: str) -> Any:
        # Not found while this is copied, before there is a metric.
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._metric, name)

    @property
    def scores(self) -> Scores:
        """Of the inputs so far, shape (n,)."""
        return np.concatenate([np.zeros(0), *self._batches])

    def reset(self) -> None:
        """As the metric's."""
        self._metric.reset()
        self._batches, self.keys = [], []

    def update(self, predictions: Any, labels: Any = None, *args: Any, **kwargs: Any) -> None:
        """As the metric's."""
        self._metric.update(predictions, labels, *args, **kwargs)
        if self.refusal is not None:
            return
        try:
            if args or kwargs:
                raise _NoSingles("its inputs have weights")
            self._batches.append(_scores_of(self._single, predictions, labels))
            self._keep_order(labels, len(self._batches[-1]))
        except _NoSingles as reason:
            self.refusal = reason
        except Exception as error:  # a metric may be made for whole batches
            self.refusal = _NoSingles(f"it fails on one input: {in_one_line(error)}")

    def result(self) -> Any:
        """As the metric's; before it is believed the single results have to have the same mean."""
        found = self._metric.result()
        self._prove(found)
        return found

    def is_enough(self) -> bool:
        """Whether the inputs so far say enough, for a metric that is their mean so far."""
        if self._rule is None or self.refusal is not None or not self._batches:
            return False
        if not self._rule.is_enough(self.scores):
            return False
        self._prove(self._metric.result())
        return self.refusal is None

    def answer(self, result: Any) -> PerInput:
        """The metric's result with its scores; what is expected of all where it ended early."""
        scores = self.scores
        if self._rule is not None and self._rule.is_enough(scores):
            return PerInput(scores, self._rule.expected_accuracy(scores))
        return PerInput(scores, float(result))

    def _keep_order(self, labels: Any, count: int) -> None:
        begin = len(self.keys)
        self.keys += [label_key(_one(labels, position, count)) for position in range(count)]
        if self._order is not None and tuple(self.keys[begin:]) != self._order[begin:][:count]:
            raise _NoSingles("the dataloader gives its inputs in another order each time")

    def _prove(self, result: Any) -> None:
        if self.refusal is not None:
            return
        scores = self.scores
        if not len(scores):
            self.refusal = _NoSingles("it was given no inputs")
            return
        try:
            mean, whole = float(scores.mean()), _number(result)
        except _NoSingles as reason:
            self.refusal = reason
            return
        if not math.isclose(mean, whole, rel_tol=SAME, abs_tol=SAME * float(np.ptp(scores))):
            self.refusal = _NoSingles(
                f"it is {whole:.6g} of {len(scores)} inputs, whose single results have the mean "
                f"{mean:.6g}"
            )


class _EndingLoader:
    """Stands for the dataloader of an evaluation; has no more batches once a metric knows enough.

    Args:
        loader: Whichever Neural Compressor was given.
        metric: Gets what the batches give.
    """

    def __init__(self, loader: Any, metric: _HeardMetric) -> None:
        self._loader, self._metric = loader, metric

    @property  # type: ignore[misc]  # nothing else lets isinstance see through
    def __class__(self) -> Any:
        # INC evaluates by single inputs what a loader of its own class gives in too large batches.
        return self._loader.__class__

    def __iter__(self) -> Iterator[Any]:
        # INC's second attempt is the first one of the metric as well.
        self._metric.reset()
        for batch in self._loader:
            yield batch
            if self._metric.is_enough():
                return

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._loader, name)


def _is_one_metric(metrics: Any, dataloader: Any) -> bool:
    """Whether it is one metric that judges labels, on data that this process reads alone."""
    return (
        isinstance(metrics, list)
        and len(metrics) == 1
        and getattr(metrics[0], "compare_label", True)
        and not getattr(dataloader, "distributed", False)
    )


def _scores_of(metric: Any, predictions: Any, labels: Any) -> Scores:
    """A metric's results on each input of a batch alone, shape (inputs,)."""
    count = _count(predictions)
    correct = _top_k(metric, predictions, labels, count)
    if correct is not None and _agrees(metric, predictions, labels, correct):
        return correct
    scores = np.zeros(count)
    for position in range(count):
        metric.reset()
        metric.update(_one(predictions, position, count), _one(labels, position, count))
        scores[position] = _number(metric.result())
    return scores


def _top_k(metric: Any, predictions: Any, labels: Any, count: int) -> Scores | None:
    """Which inputs Neural Compressor's own ``topk`` takes for right, shape (inputs,).

    Asked one by one it builds a TensorFlow session for each. ``None`` where it is another metric,
    or predictions or labels are of another form than one row of classes for each input.
    """
    own = sys.modules.get("neural_compressor.metric.metric")
    kinds = [getattr(own, name, None) for name in ("TensorflowTopK", "GeneralTopK")]
    if own is None or type(metric) not in kinds:
        return None
    rows = _only(predictions).reshape(count, -1)
    right = _only(labels).reshape(count, -1)
    chosen = right.argmax(axis=1) if right.shape[1] > 1 else right[:, 0].astype(int)
    if not ((chosen >= 0) & (chosen < rows.shape[1])).all():
        return None
    own_logit = rows[np.arange(count), chosen][:, None]
    found: Scores = ((rows > own_logit).sum(axis=1) < metric.k).astype(float)
    return found


def _agrees(metric: Any, predictions: Any, labels: Any, scores: Scores) -> bool:
    """Whether the metric says the same of the batch; of ties it may think otherwise."""
    metric.reset()
    metric.update(predictions, labels)
    return math.isclose(_number(metric.result()), float(scores.mean()), rel_tol=SAME)


def _only(value: Any) -> Any:
    while isinstance(value, (list, tuple)) and len(value) == 1:
        value = value[0]
    return np.asarray(value)


def _count(predictions: Any) -> int:
    """How many inputs a batch of predictions is of: one array, or one for each output."""
    first = predictions[0] if isinstance(predictions, (list, tuple)) else predictions
    if not isinstance(first, np.ndarray) or not first.ndim or not len(first):
        raise _NoSingles("predictions are no arrays with one row for each input")
    return len(first)


def _one(value: Any, position: int, count: int) -> Any:
    """What is of one input, as a batch of one; the metric may change it.

    Args:
        value: Arrays of ``count`` rows: one, or one for each output in a list or tuple.
        position: Of the input.
        count: How many inputs there are.
    """
    if isinstance(value, np.ndarray) and value.ndim and len(value) == count:
        return value[position : position + 1].copy()
    if isinstance(value, (list, tuple)) and value:
        if all(isinstance(part, np.ndarray) and part.ndim for part in value):
            return type(value)([_one(part, position, count) for part in value])
        if len(value) == count:
            return value[position : position + 1]
    raise _NoSingles("its predictions or labels have no row for each input")


def _number(result: Any) -> float:
    try:
        value = float(result)
    except (TypeError, ValueError):
        value = math.nan
    if not math.isfinite(value):
        raise _NoSingles(f"it is {in_one_line(repr(result))}, which is no finite number")
    return value


def _name(metric: Any) -> str:
    return f"The metric {type(metric).__name__}"
