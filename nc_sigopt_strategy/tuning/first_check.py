"""What is looked at before anything is spent: data, model and evaluation, on FP32.

The first trial, the default int8 model, is the same look at a quantized one.
"""

from __future__ import annotations

from nc_sigopt_strategy.errors import SettingsError
from nc_sigopt_strategy.measurement.accuracy import AccuracyBound
from nc_sigopt_strategy.settings.choices import PARETO
from nc_sigopt_strategy.tuning.host import Baseline, Host

_IN_OWN_UNITS = (
    "with relative=False to autotune, with "
    'AccuracyCriterion(criterion="absolute", tolerable_loss=...) to Neural Compressor'
)


def first_check(host: Host, goal: str) -> Baseline:
    """Run FP32 on one batch and through the user's evaluation.

    Args:
        host: In its session.
        goal: See ``Settings``.

    Raises:
        DataError: The data do not fit the model.
        ModelError: The model cannot be run, or is not what the user gave.
        SettingsError: FP32 itself misses the bound.
        TrialError: The evaluation returned no finite number.
    """
    host.check()
    baseline = host.baseline()
    if goal != PARETO:
        refuse_bound_that_fp32_misses(baseline.bound)
    return baseline


def refuse_bound_that_fp32_misses(bound: AccuracyBound) -> None:
    """Refuse an accuracy criterion that no quantized model is meant to meet, or that all do.

    A share of a negative number is on the other side of it, and a share of 0 is 0. Whoever asks
    for an improvement, with a negative ``tolerable_loss``, gets to try.

    Raises:
        SettingsError: FP32 misses it, meets it with nothing to lose, or is right on nothing.
    """
    if bound.tolerable_loss < 0 or not bound.relative:
        return
    for value, target, higher in bound.judged():
        if higher and value == 0:
            raise SettingsError(
                "FP32's own metric is 0, higher is better: any model would meet a relative bound.",
                "See what the evaluation of the FP32 model compares: labels that are shifted or "
                "one-hot, other preprocessing, another output. Where 0 is right, give the loss in "
                f"the metric's own units: {_IN_OWN_UNITS}.",
            )
        missed = value < target if higher else value > target
        if not missed and (higher or value != 0 or bound.tolerable_loss == 0):
            continue
        better = "higher" if higher else "lower"
        raise SettingsError(
            f"FP32 itself {'misses the accuracy bound' if missed else 'has nothing to lose'}: its "
            f"metric is {value:g}, {better} is better, and a relative tolerable_loss of "
            f"{bound.tolerable_loss:g} puts the bound at {target:g}, because a share of "
            f"{'a negative number lies on its other side' if missed else '0 is 0'}.",
            f"Give the loss in the metric's own units: {_IN_OWN_UNITS}.",
        )
