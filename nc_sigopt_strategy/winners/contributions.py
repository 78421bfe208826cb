"""Why this configuration: what each op's type in the winner saves, and what it costs.

Nothing is measured for it. The models of the "quantization" sampler are fitted to the trials of
the run once more, and the winner is compared with itself, one op in its most precise type.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from nc_sigopt_strategy.measurement.accuracy import AccuracyBound
from nc_sigopt_strategy.results.outcome import OpContribution
from nc_sigopt_strategy.results.trial_record import TrialRecord
from nc_sigopt_strategy.sampling.quantization.accuracy_model import AccuracyModel
from nc_sigopt_strategy.sampling.quantization.latency_model import LatencyModel
from nc_sigopt_strategy.sampling.quantization.noise_model import NoiseModel
from nc_sigopt_strategy.sampling.quantization.op_space import Floats, Integers, OpSpace
from nc_sigopt_strategy.sampling.quantization.trial_arrays import USUAL_ERROR
from nc_sigopt_strategy.space.search_space import Parameter

logger = logging.getLogger("nc_sigopt_strategy")

# With fewer trials the figures would be the priors'.
MINIMUM_TRIALS = 8
_DRAWS = 256
_SEED = 0


def contributions_to(
    winner: TrialRecord | None,
    records: Sequence[TrialRecord],
    parameters: Sequence[Parameter],
    op_graph: Callable[[], Mapping[str, Any] | None],
    bound: AccuracyBound,
) -> tuple[OpContribution, ...]:
    """As ``op_contributions``; none without a winner, and none where they cannot be estimated."""
    if winner is None:
        return ()
    try:
        return op_contributions(records, parameters, op_graph(), winner, bound)
    except (Exception, KeyboardInterrupt) as error:
        logger.warning("What each op of the winner contributes could not be estimated: %s", error)
        logger.debug("Where that failed", exc_info=True)
        return ()


def op_contributions(
    records: Sequence[TrialRecord],
    parameters: Sequence[Parameter],
    op_graph: Mapping[str, Any] | None,
    winner: TrialRecord,
    bound: AccuracyBound,
) -> tuple[OpContribution, ...]:
    """What each parameter's value in the winner saves and costs, in graph order.

    Args:
        records: All trials of the run.
        parameters: Of the search space.
        op_graph: See ``parameter_graph``.
        winner: One of the records.
        bound: The accuracy bound.

    Returns:
        One contribution per parameter that stands for ops; none where fewer than
        ``MINIMUM_TRIALS`` different models were measured.
    """
    values = {p.name: p.values for p in parameters if p.ops}
    measured = [
        r for r in records if r.latency_seconds and r.assignments and r.duplicate_of is None
    ]
    if len(measured) < MINIMUM_TRIALS or not values:
        return ()
    space = OpSpace.of_values(values, op_graph)
    choices = np.array([_positions(space, r.assignments) for r in measured], np.int64)
    chosen = _positions(space, winner.assignments)
    precise = space.sizes - 1
    without = np.repeat(chosen[None], len(chosen), axis=0)
    np.fill_diagonal(without, precise)
    compared = np.concatenate([chosen[None], without])
    rng = np.random.default_rng(_SEED)
    saved = _latency_differences(space, choices, measured, compared, rng)
    noise = _noise(space, choices, measured, compared, rng)
    cost = None if noise is None else _accuracy_differences(measured, noise, bound)
    names = {p.name: ", ".join(op for op, _ in p.ops) for p in parameters}
    changed = chosen != precise
    return tuple(
        OpContribution(
            op=names[name],
            value=str(space.labels[position][chosen[position]]),
            milliseconds_saved=1e3 * float(saved[:, position].mean()),
            milliseconds_stderr=1e3 * float(saved[:, position].std()),
            accuracy_cost=None if cost is None else float(cost[:, position].mean()),
            accuracy_cost_stderr=None if cost is None else float(cost[:, position].std()),
            noise=None if noise is None else float((noise[:, 0] - noise[:, 1 + position]).mean()),
        )
        if changed[position]
        else OpContribution(names[name], str(space.labels[position][-1]), 0.0, 0.0, 0.0, 0.0, 0.0)
        for position, name in enumerate(space.names)
    )


def _positions(space: OpSpace, assignments: Mapping[str, str]) -> Integers:
    pairs = zip(space.names, space.labels, strict=True)
    return np.array([labels.index(assignments[name]) for name, labels in pairs], np.int64)


def _latency_differences(
    space: OpSpace,
    choices: Integers,
    measured: Sequence[TrialRecord],
    compared: Integers,
    rng: np.random.Generator,
) -> Floats:
    """Seconds that the winner takes less than each other of ``compared``; (draws, parameters)."""
    latency = np.array([r.latency_seconds for r in measured], float)
    stderr = np.array(
        [r.latency_stddev or USUAL_ERROR * (r.latency_seconds or 0.0) for r in measured], float
    )
    model = LatencyModel(space, choices, latency, np.maximum(stderr, 1e-4 * latency))
    found = model.latencies(model.draws(rng, _DRAWS), space.types_of(compared))
    differences: Floats = found[:, 1:] - found[:, :1]
    return differences


def _noise(
    space: OpSpace,
    choices: Integers,
    measured: Sequence[TrialRecord],
    compared: Integers,
    rng: np.random.Generator,
) -> Floats | None:
    """Output noise of each of ``compared``, shape (draws, 1 + parameters), if measured."""
    if any(r.output_noise is None for r in measured):
        return None
    noise = np.array([r.output_noise for r in measured], float)
    tables = NoiseModel(space, choices, noise).draws(rng, _DRAWS)
    rows = np.arange(len(space.names))
    result: Floats = tables[:, rows, compared].sum(axis=-1)
    return result


def _accuracy_differences(
    measured: Sequence[TrialRecord], noise: Floats, bound: AccuracyBound
) -> Floats | None:
    """Accuracy that the winner's noise costs more than that of the others."""
    known = [r for r in measured if r.accuracy is not None]
    if not known:
        return None
    sign = 1.0 if bound.maximize else -1.0
    model = AccuracyModel(
        np.array([r.output_noise for r in known], float),
        sign * np.array([r.accuracy for r in known], float),
        sign * bound.target,
        sign * bound.baseline_scalar,
    )
    lost = model.expected_loss(noise)
    differences: Floats = lost[:, :1] - lost[:, 1:]
    return differences
