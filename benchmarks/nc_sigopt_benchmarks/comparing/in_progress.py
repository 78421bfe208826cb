"""A comparison in the making."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from nc_sigopt_benchmarks.comparing.across_runtimes import AcrossRuntimes
from nc_sigopt_benchmarks.comparing.runtime_judging import Judged
from nc_sigopt_benchmarks.config.run_config import RunConfig
from nc_sigopt_benchmarks.judging.comparison import StrategyResult
from nc_sigopt_benchmarks.judging.timing import Samples
from nc_sigopt_benchmarks.running.prepared import Prepared
from nc_sigopt_benchmarks.running.run_plan import PlannedRun
from nc_sigopt_strategy.results.trial_record import TrialRecord


@dataclass
class InProgress:
    """How far a comparison is.

    Attributes:
        config: What is compared.
        prepared: Model and data.
        folder: Run folder.
        host: Machine and versions.
        runs: Which runs it is made of.
        started: When it began.
        results: Of the runs that are over.
        samples: Latencies, once the models found were timed side by side.
        default_trial: The trial that the default int8 model among them is of.
        noise: How quiet the machine was.
        notes: Sentences that a reader should know.
        interrupted: Whether Ctrl-C ended it.
        across: Where it goes across runtimes: what all rows share.
        judged: Likewise: the rows, once the models were timed.
        show_log: Gets what the runs log, line by line; ``None`` leaves that in their files.
    """

    config: RunConfig
    prepared: Prepared
    folder: Path
    host: dict[str, Any]
    runs: list[PlannedRun]
    started: datetime = field(default_factory=datetime.now)
    results: list[StrategyResult] = field(default_factory=list)
    samples: Samples | None = None
    default_trial: TrialRecord | None = None
    noise: Mapping[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    interrupted: bool = False
    across: AcrossRuntimes | None = None
    judged: Judged | None = None
    show_log: Callable[[str], None] | None = None
