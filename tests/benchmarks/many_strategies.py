"""A made-up comparison of many strategies, for tests of what a report shows of one."""

from __future__ import annotations

import random
from typing import Any

from nc_sigopt_benchmarks.judging.comparison import Comparison, StrategyResult
from nc_sigopt_benchmarks.judging.timed_models import HeldOut, PairedComparison, TimedModel
from nc_sigopt_strategy.results.interval import Interval
from nc_sigopt_strategy.results.outcome import OpContribution, OpCost, Outcome
from nc_sigopt_strategy.results.trial_record import TrialRecord, TrialState

BASELINE, TARGET, FP32_SECONDS = 0.93, 0.9207, 0.2
HOST = {
    "cpu": "A CPU",
    "cores": 2,
    "cpu_flags": {"avx512_vnni": True, "amx_int8": False},
    "governor": "performance",
    "versions": {"tensorflow": "2.18.1"},
    "environment": {"TF_ENABLE_ONEDNN_OPTS": "1"},
}
OTHER_HOST = {**HOST, "cpu": "Another CPU", "cores": 8}


def around(value: float, share: float = 0.02) -> Interval:
    """An interval of plus and minus a share of the value."""
    return Interval(value, value * (1 - share), value * (1 + share))


def timed(milliseconds: float) -> TimedModel:
    seconds = milliseconds / 1e3
    return TimedModel(around(seconds), around(FP32_SECONDS / seconds), (seconds,) * 5)


def trials(count: int, fastest: float, meets: bool, seed: int) -> tuple[TrialRecord, ...]:
    """Trials that come nearer to ``fastest`` milliseconds; every third meets the bound."""
    rng = random.Random(seed)
    made = []
    for number in range(1, count + 1):
        met = meets and (number % 3 == 0 or number == count)
        accuracy = TARGET + rng.uniform(0, 0.01) if met else TARGET - rng.uniform(0.001, 0.03)
        milliseconds = fastest * (1 + 0.8 * (count - number) / count * rng.random())
        made.append(
            TrialRecord(
                number=number,
                state=TrialState.OBSERVED,
                origin="sampler: quantization",
                accuracy=round(accuracy, 4),
                meets_bound=met,
                latency_seconds=milliseconds / 1e3,
                duration_seconds=1.1,
                phase_seconds={"quantize": 2.5, "evaluate": 1.2, "latency": 0.8, "suggest": 0.02},
                started_seconds=4.6 * (number - 1) + 5,
                ended_seconds=4.6 * number + 5,
                stored_metrics={"F1 (macro)": 0.9 - 0.001 * number, "size <MB>": 4.0 + number / 9},
            )
        )
    return tuple(made)


def result(label: str, strategy: str = "", **given: Any) -> StrategyResult:
    """A run that found a model of 90 ms in 9 trials, but for what is given."""
    fastest, count = given.pop("milliseconds", 90.0), given.pop("count", 9)
    meets = given.pop("meets", True)
    tried = trials(count, fastest, meets, seed=len(label) + count)
    outcome = Outcome(
        strategy=strategy or label,
        found=meets,
        stop_reason="The time of 130 s is up.",
        baseline_accuracy=BASELINE,
        accuracy_target=TARGET,
        best=tried[-1] if meets else None,
        nearest_miss=None if meets else max(tried, key=lambda trial: trial.accuracy or 0),
        costliest_ops=() if meets else (OpCost("conv_1", 0.0125, 4),),
        trials=count,
        tuning_seconds=131.0,
        **given.pop("outcome", {}),
    )
    values: dict[str, Any] = {
        "timed": timed(fastest) if meets else None,
        "strategy": strategy or label,
        "accuracy_interval": Interval(0.9225, 0.892, 0.9451),
        "peak_memory_bytes": 2_345_678_901,
        "model_bytes": 4_700_000 if meets else None,
        **given,
    }
    return StrategyResult(label, outcome, tried, **values)


def contributions(count: int) -> tuple[OpContribution, ...]:
    """One per op, of every kind: complete, without an error, without any figure."""
    rng = random.Random(5)
    kinds = ("int8", "bf16", "fp32")
    return tuple(
        OpContribution(
            op=f"MobilenetV1/MobilenetV1/Conv2d_{number}_pointwise/convolution",
            value=kinds[number % 3],
            milliseconds_saved=None if number % 9 == 5 else rng.uniform(-0.2, 3),
            milliseconds_stderr=None if number % 4 == 1 else 0.1,
            accuracy_cost=None if number % 7 == 3 else rng.uniform(-0.001, 0.004),
            accuracy_cost_stderr=0.0005,
            noise=0.01,
        )
        for number in range(count)
    )


def many_strategies() -> Comparison:
    """Twelve runs: repeats, a skipped one, a crash, none found, a timed miss, another host."""
    won = {"op_contributions": contributions(29)}
    drop = Interval(0.0051, -0.0012, 0.0113)
    strategies = (
        result("auto", milliseconds=150, count=4),
        result("basic", milliseconds=110, count=5),
        result("basic_once", meets=False, count=1, timed=timed(50)),
        result("mse_v2", meets=False, count=12, note="It needs its own order <of ops>."),
        result(
            "sigopt-1",
            "sigopt",
            milliseconds=82,
            count=28,
            outcome=won,
            over_basic=PairedComparison(around(1.34), Interval(-0.028, -0.03, -0.026)),
            held_out=HeldOut(400, 0.9225, 0.9275, drop, 0.0093),
            note="Searched <twice>.",
        ),
        result("sigopt-2", "sigopt", milliseconds=88, count=26, note="Searched <twice>."),
        result("sigopt-3", "sigopt", meets=False, count=25, note="Searched <twice>."),
        result(
            "uniform",
            milliseconds=109,
            count=27,
            over_basic=PairedComparison(around(1.01), Interval(-0.001, -0.003, 0.001)),
        ),
        result("quantize_static", milliseconds=95, count=1, host=OTHER_HOST),
        StrategyResult("mse", None, failure="ValueError: <no> kernel", strategy="mse"),
        StrategyResult("tpe", None, skipped="hyperopt is <not> installed", strategy="tpe"),
        result("random", milliseconds=180, count=20),
    )
    tried = strategies[1].trials
    return Comparison(
        name="many",
        started="2026-01-01T00:00:00",
        model="mobilenet_v1",
        accuracy_note="Accuracy is top-1.",
        bound="accuracy at least 0.9207 (1 % relative loss on FP32's 0.9300)",
        baseline_accuracy=BASELINE,
        accuracy_target=TARGET,
        higher_is_better=True,
        batch_size=20,
        strategies=strategies,
        fp32=TimedModel(Interval(0.2, 0.2, 0.2), Interval(1, 1, 1), (FP32_SECONDS,) * 5),
        default_int8=timed(50),
        default_int8_trial=tried[0],
        verdicts=("mse_v2 found no model.", "mse crashed: ValueError: <no> kernel."),
        best_label="sigopt-1",
        settings={"name": "<many>"},
        host=HOST,
        evaluation_images=400,
        noise={"verdict": "noisy", "sentence": "The machine was noisy: <so> it seems."},
        model_bytes=17_000_000,
    )
