"""Which code runs a strategy in this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from nc_sigopt_benchmarks.config.run_config import RunConfig
from nc_sigopt_benchmarks.models.find import BenchmarkModel
from nc_sigopt_benchmarks.running.one_shot import ONE_SHOTS
from nc_sigopt_benchmarks.running.run_plan import PlannedRun
from nc_sigopt_strategy.jobs.run_end import RunEnd


def run_here(
    config: RunConfig,
    run: PlannedRun,
    model: BenchmarkModel,
    folder: Path,
    *,
    progress: bool | None = False,
    on_event: Callable[[dict[str, Any]], None] | None = None,
) -> RunEnd:
    """Run one strategy of a comparison; arguments and errors as for ``run_strategy``."""
    if run.name in ONE_SHOTS:
        from nc_sigopt_benchmarks.running.one_shot_run import run_one_shot

        return run_one_shot(config, run, model, folder, on_event=on_event)
    from nc_sigopt_benchmarks.running.runner import run_strategy

    return run_strategy(config, run, model, folder, progress=progress, on_event=on_event)
