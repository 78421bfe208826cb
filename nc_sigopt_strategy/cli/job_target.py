"""How commands name what is tuned: a model with its data, or a run configuration."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nc_sigopt_strategy.cli.quantities import share

if TYPE_CHECKING:
    from nc_sigopt_strategy.jobs.job import TuningJob

_OPTIONS = (
    click.option(
        "--data",
        type=click.Path(path_type=Path),
        metavar="FILE.py",
        help="For a MODEL: a Python file that defines calib_dataloader and eval_func.",
    ),
    click.option(
        "--host",
        metavar="NAME",
        help="What tunes a MODEL: onnxruntime, openvino, torch, inc, inc3, or auto for all that "
        "are installed and read it.  [default: by the kind of model]",
    ),
    click.option("--inputs", metavar="NAMES", help="Of a frozen graph, with commas between."),
    click.option("--outputs", metavar="NAMES", help="Of a frozen graph, with commas between."),
    click.option(
        "--loss",
        callback=share,
        metavar="SHARE",
        help="Loss of accuracy that is tolerable, as a share of FP32's: 1% or 0.01.  "
        "[default: 1%]",
    ),
    click.option(
        "--set",
        "settings",
        multiple=True,
        metavar="KEY=VALUE",
        help="A setting of the strategy, as in strategy_kwargs; VALUE is JSON or text. "
        "Repeatable.",
    ),
)


def job_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that belong to its target."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def job_of(target: Path, options: dict[str, Any]) -> TuningJob:
    """The job that a target and its options name; a budget and a folder if the command has them.

    Raises:
        SigOptStrategyError: The options do not go together, or nobody reads such a target.
    """
    from nc_sigopt_strategy.jobs.job_options import JobOptions, parsed_settings
    from nc_sigopt_strategy.jobs.opening import open_job

    said = JobOptions(
        output=options.get("output"),
        data=options["data"],
        host=options["host"],
        inputs=_names(options["inputs"]),
        outputs=_names(options["outputs"]),
        loss=options["loss"],
        timeout=options.get("timeout"),
        max_trials=options.get("max_trials"),
        settings=parsed_settings(options["settings"]),
    )
    return open_job(target, said)


def _names(text: str | None) -> tuple[str, ...]:
    return tuple(name.strip() for name in (text or "").split(",") if name.strip())
