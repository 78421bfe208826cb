"""What a run configuration says, as typed values; ``config_file`` reads them from YAML."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nc_sigopt_strategy.calibration import STOCK
from nc_sigopt_strategy.measurement.accuracy import AccuracyBound

# The strategy that this project is about; the others are Neural Compressor's own.
SIGOPT = "sigopt"
_NOT_SHOWN = "(not shown)"
_SECRET_WORDS = "token|password|passwd|pwd|secret"
_SECRET_KEY = re.compile(_SECRET_WORDS, re.IGNORECASE)
# Up to the last @, since a password may hold one: rather too much is masked than too little.
_USER_INFO = re.compile(r"://[^/:@\s]*(?::\S*)?@")
_SECRET_PARAMETER = re.compile(
    rf"([?&][^=&\s]*(?:{_SECRET_WORDS})[^=&\s]*=)[^&#\s]*", re.IGNORECASE
)


@dataclass(frozen=True)
class ModelConfig:
    """Which model is tuned.

    Attributes:
        name: Shown in tables and reports.
        source: ``assets``, ``digits``, ``path``, or ``auto`` (assets where NC_SIGOPT_ASSETS is
            set, else digits).
        path: Frozen graph, for the source ``path``; relative paths start at the config file.
        inputs: Tensor or op names, for the source ``path``.
        outputs: Tensor or op names, for the source ``path``.
    """

    name: str = "mobilenet_v1"
    source: str = "auto"
    path: Path | None = None
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()


@dataclass(frozen=True)
class DataConfig:
    """What calibrates and what evaluates.

    Attributes:
        python: A module that defines ``calib_dataloader`` and ``eval_func``; in its absence the
            images that belong to the model's source are used.
        calibration_images: How many images calibrate.
        evaluation_images: How many others evaluate.
        batch_size: Images per batch, in calibration, evaluation and timing.
        seed: Of the split between the two.
    """

    python: Path | None = None
    calibration_images: int = 100
    evaluation_images: int = 400
    batch_size: int = 20
    seed: int = 0


@dataclass(frozen=True)
class CriterionConfig:
    """Neural Compressor's ``AccuracyCriterion``."""

    criterion: str = "relative"
    tolerable_loss: float = 0.01
    higher_is_better: bool = True

    def bound(self, baseline: float) -> AccuracyBound:
        """The bound that a baseline gives, as the sigopt strategy reckons it."""
        return AccuracyBound.of(
            baseline,
            relative=self.criterion == "relative",
            tolerable_loss=self.tolerable_loss,
            higher_is_better=self.higher_is_better,
        )

    def target(self, baseline: float) -> float:
        """The accuracy that must be met, in the metric's own units."""
        return self.bound(baseline).target

    def met(self, accuracy: float, baseline: float) -> bool:
        """Whether ``accuracy`` meets the bound; equality counts."""
        return self.bound(baseline).met(accuracy)


@dataclass(frozen=True)
class TuningConfig:
    """The budget that each strategy gets.

    Attributes:
        timeout: Seconds; 0 leaves the end to ``max_trials``.
        max_trials: Observation budget.
        seed: Of the strategies' own random choices.
    """

    timeout: int = 130
    max_trials: int = 500
    seed: int = 0


@dataclass(frozen=True)
class StrategyConfig:
    """One strategy to run.

    Attributes:
        name: Neural Compressor's name of it; ``auto`` is what runs when none is chosen.
        label: How the run names it; tells two entries of one strategy apart.
        strategy_kwargs: Passed on as they are.
        calibration: ``stock``, in every trial; ``exact`` or ``as_printed``, once for all trials.
            For Neural Compressor's own strategies; sigopt has a setting for it.
    """

    name: str
    label: str
    strategy_kwargs: Mapping[str, Any] = field(default_factory=dict)
    calibration: str = STOCK


@dataclass(frozen=True)
class TimingConfig:
    """How the models found are timed, after the tuning.

    Attributes:
        rounds: Samples of each model, taken in turn.
        trial_rounds: Samples, at most, of each trial of a strategy that times none itself.
        trial_seconds: Limit on the time that those trials may take altogether.
    """

    rounds: int = 30
    trial_rounds: int = 15
    trial_seconds: float = 30.0


@dataclass(frozen=True)
class RunConfig:
    """A whole run configuration. ``path`` is the file that it came from."""

    path: Path
    strategies: tuple[StrategyConfig, ...]
    name: str = "run"
    model: ModelConfig = ModelConfig()
    data: DataConfig = DataConfig()
    accuracy_criterion: CriterionConfig = CriterionConfig()
    tuning: TuningConfig = TuningConfig()
    timing: TimingConfig = TimingConfig()
    output: Path = Path("runs")

    def to_json(self) -> dict[str, Any]:
        """Plain data for the record: paths as strings, and no token or password."""
        plain: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(self), default=str))
        for strategy in plain["strategies"]:
            strategy["strategy_kwargs"] = {
                key: _NOT_SHOWN if _SECRET_KEY.search(key) else _without_credentials(value)
                for key, value in strategy["strategy_kwargs"].items()
            }
        return plain

    def strategy(self, label: str) -> StrategyConfig:
        """The strategy called ``label``."""
        return next(strategy for strategy in self.strategies if strategy.label == label)


def _without_credentials(value: Any) -> Any:
    """Plain data with the users, passwords and tokens of its URLs masked."""
    if isinstance(value, dict):
        return {key: _without_credentials(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_credentials(item) for item in value]
    if isinstance(value, str):
        return _SECRET_PARAMETER.sub(r"\1***", _USER_INFO.sub("://***@", value))
    return value
