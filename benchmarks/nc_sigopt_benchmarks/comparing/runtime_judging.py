"""All models of a comparison across runtimes: opened, evaluated, held out, timed in turn."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from nc_sigopt_benchmarks.comparing.across_runtimes import AcrossRuntimes
from nc_sigopt_benchmarks.comparing.collecting import model_size
from nc_sigopt_benchmarks.config.rivals import RIVALS
from nc_sigopt_benchmarks.config.run_config import SIGOPT
from nc_sigopt_benchmarks.judging.accuracy_statistics import (
    paired_bootstrap_drop,
    sampling_interval,
)
from nc_sigopt_benchmarks.judging.comparison import StrategyResult
from nc_sigopt_benchmarks.judging.runtime_rows import RuntimeRow
from nc_sigopt_benchmarks.judging.runtime_timing import RuntimeSamples, time_served
from nc_sigopt_benchmarks.judging.timed_models import HeldOut
from nc_sigopt_benchmarks.running.rivals.task import Built
from nc_sigopt_benchmarks.running.run_plan import PlannedRun
from nc_sigopt_benchmarks.runtimes.data_files import EVALUATION, HELD_OUT, BoolArray
from nc_sigopt_benchmarks.runtimes.deployed import Deployed
from nc_sigopt_benchmarks.runtimes.served_model import ServedModel
from nc_sigopt_strategy.errors import ModelError
from nc_sigopt_strategy.results.outcome import Outcome
from nc_sigopt_strategy.results.trial_record import TrialRecord, TrialState

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Judged:
    """What the judging gave.

    Attributes:
        rows: One per model and way to run it.
        samples: Their seconds, by batch size.
        results: The runs' results, with what was found of their models.
        reference: Label of the row that speeds are relative to.
    """

    rows: tuple[RuntimeRow, ...]
    samples: tuple[RuntimeSamples, ...]
    results: list[StrategyResult]
    reference: str


def judge_runtimes(
    across: AcrossRuntimes,
    runs: Sequence[PlannedRun],
    results: Sequence[StrategyResult],
    folder: Path,
    tell: Tell,
) -> Judged:
    """Open every model that the runs left, evaluate it and time it beside the others.

    Args:
        across: What all rows share.
        runs: In any order.
        results: Of these runs.
        folder: Run folder.
        tell: Gets lines about what goes on.

    Raises:
        ModelError: A process ended in the middle of the timing.
    """
    by_label = {result.label: result for result in results}
    config = across.config
    rows: list[RuntimeRow] = []
    with ExitStack() as stack:
        served: dict[str, ServedModel] = {}
        held_out: dict[str, BoolArray] = {}
        for run in sorted(runs, key=lambda run: config.strategies.index(run.strategy)):
            result = by_label.get(run.label)
            if result is None:
                continue
            built = across.models(run, result, folder / run.label)
            if not built.models:
                rows.append(_row_without_model(across, run, result))
            for deployed in built.models:
                row = _row(across, run, built, deployed)
                tell(f"Evaluating {row.label}.")
                try:
                    model = stack.enter_context(ServedModel(deployed, across.data, across.log))
                    row = _evaluated(row, model, across)
                    if across.data.has(HELD_OUT):
                        held_out[row.label] = model.right(HELD_OUT)
                    served[row.label] = model
                except ModelError as error:
                    row = dataclasses.replace(row, remarks=(*row.remarks, str(error)))
                rows.append(row)
        samples = []
        for size in config.deployment.latency_batch_sizes:
            tell(
                f"Timing {len(served)} models in turn at batch {size}, "
                f"{config.timing.rounds} rounds."
            )
            samples.append(
                time_served(served, size, rounds=config.timing.rounds, seed=config.tuning.seed)
            )
    reference = _reference_label(across, rows)
    done = tuple(
        _timed(_held_out(row, held_out, reference, across), samples, reference) for row in rows
    )
    return Judged(
        done,
        tuple(samples),
        [_with_rows(result, done, across) for result in results],
        reference,
    )


def _row(across: AcrossRuntimes, run: PlannedRun, built: Built, deployed: Deployed) -> RuntimeRow:
    rival = RIVALS.get(run.name)
    label = f"{run.label}-{deployed.suffix}" if deployed.suffix else run.label
    return RuntimeRow(
        label=label,
        run=run.label,
        runtime=deployed.runtime,
        ours=run.name == SIGOPT,
        fp32=rival is not None and rival.fp32,
        what=deployed.what,
        seconds=built.seconds,
        deployed=deployed.to_json(),
        remarks=(built.note,) if built.note else (),
    )


def _row_without_model(
    across: AcrossRuntimes, run: PlannedRun, result: StrategyResult
) -> RuntimeRow:
    outcome = result.outcome
    why = result.skipped or result.failure or "it left no model"
    if outcome is not None and not result.failure:
        why = outcome.verdict or outcome.stop_reason
    return RuntimeRow(
        label=run.label,
        run=run.label,
        runtime=run.strategy.runtime or across.prepared.model.framework,
        ours=run.name == SIGOPT,
        seconds=outcome.tuning_seconds if outcome is not None else None,
        remarks=(why,),
    )


def _evaluated(row: RuntimeRow, model: ServedModel, across: AcrossRuntimes) -> RuntimeRow:
    interval = None
    if across.data.has(EVALUATION):
        right = model.right(EVALUATION)
        accuracy = float(right.mean())
        interval = sampling_interval(int(right.sum()), len(right))
    else:
        accuracy = model.accuracy()
    met = across.config.accuracy_criterion.met(accuracy, across.baseline)
    return dataclasses.replace(
        row,
        version=model.version,
        precision=model.precision,
        accuracy=accuracy,
        accuracy_interval=interval,
        meets_bound=met,
    )


def _reference_label(across: AcrossRuntimes, rows: Sequence[RuntimeRow]) -> str:
    """With repeats, the first of the reference's runs."""
    label = across.config.reference.label
    return next((r.label for r in rows if r.label in (label, f"{label}-1")), label)


def _held_out(
    row: RuntimeRow, right: Mapping[str, BoolArray], reference: str, across: AcrossRuntimes
) -> RuntimeRow:
    if row.label not in right or reference not in right:
        return row
    own, fp32 = right[row.label], right[reference]
    baseline = float(fp32.mean())
    held = HeldOut(
        images=len(own),
        accuracy=float(own.mean()),
        baseline_accuracy=baseline,
        drop=paired_bootstrap_drop([fp32], [own]),
        allowed_drop=baseline - across.config.accuracy_criterion.target(baseline),
    )
    return dataclasses.replace(row, held_out=held)


def _timed(row: RuntimeRow, samples: Sequence[RuntimeSamples], reference: str) -> RuntimeRow:
    timings = [one.timing(row.label, reference) for one in samples]
    why = [
        f"It cannot run batch {one.batch_size}: {one.failures[row.label].rstrip('.')}."
        for one in samples
        if row.label in one.failures
    ]
    return dataclasses.replace(
        row,
        timings=tuple(timing for timing in timings if timing is not None),
        remarks=(*row.remarks, *why),
    )


def _with_rows(
    result: StrategyResult, rows: Sequence[RuntimeRow], across: AcrossRuntimes
) -> StrategyResult:
    """A run's result with the timing of its first row, and for a rival an outcome."""
    row = next((row for row in rows if row.run == result.label), None)
    if row is None:
        return result
    timed = row.timings[0].wall if row.timings else None
    result = dataclasses.replace(result, timed=timed)
    if not result.is_rival or row.accuracy is None:
        return result
    path = Path(row.deployed["path"])
    kept = path.name if path.parent.name == result.label else None
    trial = TrialRecord(
        number=1,
        state=TrialState.OBSERVED,
        origin=result.name,
        accuracy=row.accuracy,
        meets_bound=row.meets_bound,
        ended_seconds=row.seconds or 0.0,
        model_path=kept,
    )
    met = bool(row.meets_bound)
    outcome = Outcome(
        strategy=result.name,
        found=met,
        stop_reason=f"{row.what}; made in {row.seconds or 0.0:.0f} s.",
        baseline_accuracy=across.baseline,
        accuracy_target=across.target,
        higher_is_better=across.config.accuracy_criterion.higher_is_better,
        best=trial if met else None,
        nearest_miss=None if met else trial,
        trials=1,
        tuning_seconds=row.seconds or 0.0,
        files={"model": kept} if kept else {},
    )
    return dataclasses.replace(result, outcome=outcome, model_bytes=model_size(path))
