"""What a sampler and whoever stores the trials agree on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optuna.trial import FrozenTrial

from nc_sigopt_strategy.sampling.probes import Probe
from nc_sigopt_strategy.settings.choices import EVEN_ODDS

# User attribute of a trial that was taken back before it was run. Its state is FAIL, which
# Optuna's own samplers skip; a sampler that counts used points must skip it too, so that the
# point can be suggested again.
WITHDRAWN_ATTR = "withdrawn"

# Maps a finished trial to one number per constraint; above zero means violated.
Constraints = Callable[[FrozenTrial], Sequence[float]]
# The system attribute under which Optuna's samplers look for those numbers.
CONSTRAINTS_ATTR = "constraints"


def read_constraints(trial: FrozenTrial) -> Sequence[float]:
    """The numbers kept with a trial; empty before it was measured."""
    values: Sequence[float] = trial.system_attrs.get(CONSTRAINTS_ATTR, ())
    return values


@dataclass(frozen=True)
class Reading:
    """What a measured trial found.

    Attributes:
        latency: The objective, to be minimized; any unit, above 0.
        latency_stderr: Its standard error, same unit; ``None`` where unknown.
        accuracy: The metric that is constrained, or optimized beside latency; ``None`` without
            one.
        accuracy_stderr: Standard error of its difference from the baseline's on the same inputs;
            ``None`` where unknown.
        turned: On how many of these inputs it differs from the baseline; ``None`` where unknown.
        output_noise: Power of the output's error over the output's variance, at least 0; ``None``
            where it is not measured.
    """

    latency: float
    latency_stderr: float | None = None
    accuracy: float | None = None
    accuracy_stderr: float | None = None
    output_noise: float | None = None
    turned: int | None = None


@dataclass(frozen=True)
class TuningExperiment:
    """What an experiment tells a sampler of itself.

    Attributes:
        read: Maps a COMPLETE trial to what it found.
        accuracy_threshold: Bound on the accuracy, equality included; ``None`` without one.
        maximize_accuracy: Whether accuracy must reach the bound from below.
        baseline_accuracy: Accuracy of the FP32 model; ``None`` where unknown.
        op_graph: Ops and edges as the experiment's record keeps them (see
            ``quantization.op_space``); ``None`` where there is none.
        wants_front: Whether accuracy is optimized too, without a threshold.
        probes: What was measured outside of trials.
        expected_noise_limit: The output noise that the bound is expected to allow, before any
            trial; ``None`` where nobody expects anything.
        bound_confidence: How probable it must be that the winner keeps the bound on other data,
            above 0 and below 1.
    """

    read: Callable[[FrozenTrial], Reading]
    accuracy_threshold: float | None = None
    maximize_accuracy: bool = True
    baseline_accuracy: float | None = None
    op_graph: Mapping[str, Any] | None = None
    wants_front: bool = False
    probes: Sequence[Probe] = ()
    expected_noise_limit: float | None = None
    bound_confidence: float = EVEN_ODDS
