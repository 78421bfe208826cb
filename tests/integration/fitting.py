"""Run INC's ``fit`` with the sigopt strategy on the small model, as a user's script would."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from neural_compressor import config, quantization

import nc_sigopt_strategy
from tests.conftest import INPUT_NAME, OUTPUT_NAME


def configure(
    folder: Path,
    strategy_kwargs: dict[str, Any] | None = None,
    *,
    strategy: str = "sigopt",
    loss: float = 0.2,
    criterion: str = "relative",
    higher_is_better: bool = True,
    max_trials: int = 4,
    timeout: float = 0,
    **more: Any,
) -> Any:
    """INC's configuration; everything that a run writes goes to ``folder``."""
    config.options.workspace = str(folder / "workspace")
    kwargs = strategy_kwargs
    if strategy == "sigopt":
        kwargs = {"progress": False, "output_dir": str(folder / "run"), **(strategy_kwargs or {})}
    return config.PostTrainingQuantConfig(
        inputs=[INPUT_NAME],
        outputs=[OUTPUT_NAME],
        calibration_sampling_size=[32],
        accuracy_criterion=config.AccuracyCriterion(
            criterion=criterion, tolerable_loss=loss, higher_is_better=higher_is_better
        ),
        tuning_criterion=config.TuningCriterion(
            strategy=strategy, strategy_kwargs=kwargs, max_trials=max_trials, timeout=timeout
        ),
        **more,
    )


def fit(model: Path, conf: Any, loader: Any, eval_func: Any, **more: Any) -> Any:
    return quantization.fit(str(model), conf, calib_dataloader=loader, eval_func=eval_func, **more)


def outcome() -> nc_sigopt_strategy.Outcome:
    found = nc_sigopt_strategy.last_outcome()
    assert found is not None
    return found
