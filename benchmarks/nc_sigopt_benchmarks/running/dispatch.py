"""Which code runs a strategy in this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from nc_sigopt_benchmarks.config.rivals import INC, RIVALS
from nc_sigopt_benchmarks.config.run_config import RunConfig
from nc_sigopt_benchmarks.models.find import BenchmarkModel
from nc_sigopt_benchmarks.running.one_shot import ONE_SHOTS
from nc_sigopt_benchmarks.running.run_plan import PlannedRun
from nc_sigopt_strategy.errors import ConfigFileError
from nc_sigopt_strategy.jobs.run_end import RunEnd
from nc_sigopt_strategy.tuning.users_code import count_as_ours


def run_here(
    config: RunConfig,
    run: PlannedRun,
    model: BenchmarkModel,
    folder: Path,
    *,
    progress: bool | None = False,
    on_event: Callable[[dict[str, Any]], None] | None = None,
) -> RunEnd:
    """Run one strategy of a comparison; arguments and errors as for ``run_strategy``.

    Raises:
        ConfigFileError: It is a rival, which a process of its own makes.
    """
    count_as_ours(Path(__file__).parents[1])
    if run.name in RIVALS:
        raise ConfigFileError(
            f"{config.path}: {run.name} is there to be compared with, and not tuned.",
            f"Run it beside others: nc-sigopt compare {config.path}",
        )
    if run.strategy.host not in (None, INC):
        from nc_sigopt_benchmarks.running.hosted_run import run_hosted

        return run_hosted(config, run, model, folder, progress=progress, on_event=on_event)
    if run.name in ONE_SHOTS:
        from nc_sigopt_benchmarks.running.one_shot_run import run_one_shot

        return run_one_shot(config, run, model, folder, on_event=on_event)
    from nc_sigopt_benchmarks.running.runner import run_strategy

    return run_strategy(config, run, model, folder, progress=progress, on_event=on_event)
