"""What a run configuration says, as typed values; ``yaml_file`` reads them."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar, get_type_hints

from annotated_types import Ge

from nc_sigopt_benchmarks.config.constraints import (
    A_MAPPING,
    STRICT,
    Counted,
    Flag,
    ListOf,
    Number,
    OneOf,
    OnlyGiven,
    Refined,
    Seed,
    Text,
    Whole,
)
from nc_sigopt_benchmarks.config.paths import FROM_FILE, HOME_ONLY, UNRESOLVED
from nc_sigopt_benchmarks.config.rivals import HOST_RUNTIMES, RIVALS
from nc_sigopt_strategy.hosts.inc.registration import STRATEGY_NAME
from nc_sigopt_strategy.measurement.accuracy import AccuracyBound
from nc_sigopt_strategy.settings.choices import CALIBRATIONS, STOCK
from nc_sigopt_strategy.settings.session_options import LEVELS

# The strategy that this project is about; the others are Neural Compressor's own.
SIGOPT = STRATEGY_NAME
_INC_STRATEGIES = (
    "auto", "basic", "bayesian", "conservative", "exhaustive", "hawq_v2", "mse", "mse_v2",
    "quantize_static", "random", "tpe", "uniform",
)  # fmt: skip
STRATEGIES = (SIGOPT, *_INC_STRATEGIES, *RIVALS)
# It becomes the name of a folder.
_FolderName = Annotated[str, Refined(strict=True, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
_Names = Annotated[tuple[str, ...], ListOf(Text)]
_GIVEN = OnlyGiven()
_Any = TypeVar("_Any")
_NOT_SHOWN = "(not shown)"
_SECRET_WORDS = "token|password|passwd|pwd|secret"
_SECRET_KEY = re.compile(_SECRET_WORDS, re.IGNORECASE)
# Up to the last @, since a password may hold one: rather too much is masked than too little.
_USER_INFO = re.compile(r"://[^/:@\s]*(?::\S*)?@")
_SECRET_PARAMETER = re.compile(
    rf"([?&][^=&\s]*(?:{_SECRET_WORDS})[^=&\s]*=)[^&#\s]*", re.IGNORECASE
)


class _Section:
    # For pydantic: keys that are not fields are mistakes.
    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}


@dataclass(frozen=True)
class SessionConfig(_Section):
    """Options of ONNX Runtime's sessions, in evaluation and timing alike.

    Attributes:
        intra_op_num_threads: Threads within an op; 0: one per core.
        inter_op_num_threads: Threads across ops; 0: one per core.
        graph_optimization_level: ``disable``, ``basic``, ``extended`` or ``all``.
    """

    intra_op_num_threads: Whole = 0
    inter_op_num_threads: Whole = 0
    graph_optimization_level: Annotated[str, OneOf(*LEVELS)] = LEVELS[-1]

    def as_mapping(self) -> dict[str, Any]:
        """As the sigopt strategy's ``onnxruntime_session_options``."""
        return dataclasses.asdict(self)


@dataclass(frozen=True)
class ModelConfig(_Section):
    """Which model is tuned.

    Attributes:
        name: ``mobilenet_v1`` or ``resnet50_v1``; for the source ``package`` one of
            ``packaged_models.PACKAGED_MODELS``; for ``path`` what reports shall call it, which
            is its file's name unless it is given.
        source: ``assets``; ``keras`` (Keras's own ImageNet weights, downloaded); ``digits`` (the
            architecture, trained on scikit-learn's digits); ``package`` (of an installed Python
            package, ONNX); ``path``; or ``auto``: the package that ships a model of that name, the
            assets where NC_SIGOPT_ASSETS is set and has it, else digits. Where a path is given,
            ``path``.
        format: What is tuned: ``frozen`` and ``saved_model`` are TensorFlow's, ``onnx`` runs in
            ONNX Runtime. A source in another format is converted. ``onnx`` of a path that says so.
        path: A frozen graph, a SavedModel, a Keras file (weights or a whole model) or an ONNX
            model; relative paths start at the config file.
        inputs: Tensor or op names; needed for a frozen graph, else those of the model.
        outputs: Tensor or op names; needed for a frozen graph, else those of the model.
        preprocessing: ``tf``, ``caffe``, ``torch`` or ``lite``, see ``preprocessing``; the model's
            own if ``None``.
        label_offset: What is added to an ImageNet class to get the model's; the model's own if
            ``None``.
        quant_format: For ONNX: ``QOperator`` or ``QDQ``.
        session: For ONNX: the sessions that it is evaluated and timed in.
    """

    name: Text = "mobilenet_v1"
    source: Annotated[str, OneOf("auto", "assets", "keras", "digits", "package", "path")] = "auto"
    format: Annotated[str, OneOf("frozen", "saved_model", "onnx")] = "frozen"
    path: Annotated[Path | None, FROM_FILE] = None
    inputs: _Names = ()
    outputs: _Names = ()
    preprocessing: Annotated[str | None, OneOf("tf", "caffe", "torch", "lite")] = None
    label_offset: Annotated[Whole | None, _GIVEN] = None
    quant_format: Annotated[str, OneOf("QOperator", "QDQ")] = "QOperator"
    session: SessionConfig = SessionConfig()


@dataclass(frozen=True)
class DataConfig(_Section):
    """What calibrates and what evaluates.

    Attributes:
        python: A module that defines ``calib_dataloader`` and ``eval_func``; in its absence the
            images of ``source``.
        source: ``imagenet``, ``imagenette``, ``assets``, ``digits``, or ``auto``: those that
            belong to the model's source.
        path: For ``imagenet`` the folder (a folder per class, a flat folder with a map file, or
            TFRecords); for ``imagenette`` the unpacked folder or the archive.
        labels: The map file of a flat folder, a line per image; ``None``: ``val_map.txt`` or
            ``val.txt`` in the folder or beside it.
        calibration_images: How many images calibrate.
        evaluation_images: How many others evaluate.
        held_out_images: How many more judge the models found, after the tuning; no trial sees
            them.
        batch_size: Images per batch, in calibration, evaluation and timing.
        seed: Of the choice of the images.
    """

    python: Annotated[Path | None, FROM_FILE] = None
    source: Annotated[str, OneOf("auto", "imagenet", "imagenette", "assets", "digits")] = "auto"
    path: Annotated[Path | None, FROM_FILE] = None
    labels: Annotated[Path | None, FROM_FILE] = None
    calibration_images: Counted = 100
    evaluation_images: Counted = 400
    held_out_images: Whole = 0
    batch_size: Counted = 20
    seed: Seed = 0


@dataclass(frozen=True)
class CriterionConfig(_Section):
    """Neural Compressor's ``AccuracyCriterion``.

    Attributes:
        criterion: ``relative``: the loss is a share of FP32's accuracy; ``absolute``: it is in the
            metric's own units.
        tolerable_loss: How much of it may be lost; 0.01 is one per cent where it is a share.
        higher_is_better: Whether a better model has the higher metric.
    """

    criterion: Annotated[str, OneOf("relative", "absolute")] = "relative"
    tolerable_loss: Number = 0.01
    higher_is_better: Flag = True

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
class TuningConfig(_Section):
    """The budget that each strategy gets.

    Attributes:
        timeout: Seconds; 0 leaves the end to ``max_trials``.
        max_trials: Observation budget.
        seed: Of the strategies' own random choices; a repeat adds its number.
        repeats: How often each strategy runs.
        shuffle: Whether the runs come in an order drawn by ``seed``; else as listed.
    """

    timeout: Whole = 130
    max_trials: Counted = 500
    seed: Seed = 0
    repeats: Counted = 1
    shuffle: Flag = True


@dataclass(frozen=True)
class StrategyConfig(_Section):
    """One strategy to run.

    Attributes:
        name: Neural Compressor's name of it; ``auto`` is what runs when none is chosen.
        label: How the run names it; tells two entries of one strategy apart. The name unless it is
            given.
        strategy_kwargs: Passed on as they are.
        calibration: ``stock``, in every trial; once for all trials: ``exact``, ``fitted``
            or ``as_printed``, see ``Settings.calibration``.
            For Neural Compressor's own strategies; sigopt has a setting for it.
        timeout: Instead of the ``tuning``'s.
        max_trials: Instead of the ``tuning``'s.
        host: What sigopt tunes with: ``inc``, ``inc3``, ``onnxruntime`` or ``openvino``; ``None``:
            Neural Compressor, on the model as the configuration has it.
        environment: The Python that makes and runs its models; ``None``: this one.
    """

    name: Annotated[str, OneOf(*STRATEGIES)]
    label: _FolderName = ""
    strategy_kwargs: Annotated[Mapping[str, Any], A_MAPPING] = field(default_factory=dict)
    calibration: Annotated[str, OneOf(*CALIBRATIONS)] = STOCK
    timeout: Annotated[Whole | None, _GIVEN] = None
    max_trials: Annotated[Counted | None, _GIVEN] = None
    host: Annotated[str | None, OneOf(*HOST_RUNTIMES)] = None
    environment: Annotated[Path | None, UNRESOLVED] = None

    def __post_init__(self) -> None:
        if not self.label:
            object.__setattr__(self, "label", self.name)

    @property
    def runtime(self) -> str | None:
        """Where its models run; ``None``: in the framework of the configuration's model."""
        if self.name in RIVALS:
            return RIVALS[self.name].runtime
        return None if self.host is None else HOST_RUNTIMES[self.host]


@dataclass(frozen=True)
class TimingConfig(_Section):
    """How the models found are timed, after the tuning.

    Attributes:
        rounds: Samples of each model, taken in turn.
        trial_rounds: Samples, at most, of each trial of a strategy that times none itself.
        trial_seconds: Limit on the time that those trials may take altogether.
    """

    rounds: Annotated[int, STRICT, Ge(3)] = 30
    trial_rounds: Annotated[int, STRICT, Ge(2)] = 15
    trial_seconds: Number = 30.0


@dataclass(frozen=True)
class DeploymentConfig(_Section):
    """How the models of several runtimes are run, when they are compared with each other.

    Attributes:
        latency_batch_sizes: Inputs per inference; each model is timed at each of them.
        threads: Of every runtime; 0: as many as each takes by itself.
        reference: Label of the strategy that all speeds are relative to, one of the FP32 models;
            ``None``: the first of them that is listed.
    """

    latency_batch_sizes: Annotated[tuple[int, ...], ListOf(Counted)] = (20, 1)
    threads: Whole = 0
    reference: Annotated[Text | None, _GIVEN] = None


@dataclass(frozen=True)
class RunFile(_Section):
    """What a run configuration's file may say.

    Attributes:
        strategies: What is run, side by side.
        name: What run folders and reports are called by; the file's name unless it is given.
        model: Which model is tuned.
        data: What calibrates and what evaluates.
        accuracy_criterion: The bound that every model has to keep.
        tuning: The budget that each strategy gets.
        timing: How the models found are timed, after the tuning.
        deployment: How models of several runtimes are run, when they are compared.
        output: Folder of the run folders, from where the command runs.
    """

    strategies: Annotated[tuple[StrategyConfig, ...], ListOf(StrategyConfig)]
    name: _FolderName = ""
    model: ModelConfig = ModelConfig()
    data: DataConfig = DataConfig()
    accuracy_criterion: CriterionConfig = CriterionConfig()
    tuning: TuningConfig = TuningConfig()
    timing: TimingConfig = TimingConfig()
    deployment: DeploymentConfig = DeploymentConfig()
    output: Annotated[Path, HOME_ONLY] = Path("runs")

    @property
    def across_runtimes(self) -> bool:
        """Whether its models run in several runtimes, or in one that is no tuner's."""
        return any(s.name in RIVALS or s.host is not None for s in self.strategies)


@dataclass(frozen=True)
class RunConfig(RunFile):
    """A whole run configuration. ``path`` is the file that it came from."""

    path: Path = field(kw_only=True)

    def __post_init__(self) -> None:
        if not self.name:
            object.__setattr__(self, "name", self.path.stem)

    @property
    def reference(self) -> StrategyConfig:
        """The FP32 model that all speeds are relative to; there is one across runtimes."""
        named = self.deployment.reference
        models = [s for s in self.strategies if s.name in RIVALS and RIVALS[s.name].fp32]
        return next(s for s in models if named in (None, s.label))

    def to_json(self) -> dict[str, Any]:
        """Plain data for the record: paths as strings, and no token or password."""
        plain: dict[str, Any] = _plain(dataclasses.asdict(self))
        for strategy in plain["strategies"]:
            strategy["strategy_kwargs"] = {
                key: _NOT_SHOWN if _SECRET_KEY.search(key) else value
                for key, value in strategy["strategy_kwargs"].items()
            }
        return plain

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> RunConfig:
        """A configuration from a record; keys of other versions are dropped, secrets masked."""
        strategies = [_from_plain(StrategyConfig, entry) for entry in raw["strategies"]]
        config = _from_plain(cls, {**raw, "strategies": ()})
        return dataclasses.replace(config, strategies=tuple(strategies))

    def strategy(self, label: str) -> StrategyConfig:
        """The strategy called ``label``."""
        return next(strategy for strategy in self.strategies if strategy.label == label)


def _from_plain(section: type[_Any], raw: Mapping[str, Any]) -> _Any:
    """A dataclass of this module from plain data, its defaults where a key is missing."""
    types = get_type_hints(section)
    values: dict[str, Any] = {}
    for name, value in raw.items():
        kind = types.get(name)
        if kind is None:
            continue
        if dataclasses.is_dataclass(kind) and isinstance(kind, type):
            value = _from_plain(kind, value)
        elif kind in (Path, Path | None) and value is not None:
            value = Path(value)
        elif isinstance(value, list):
            value = tuple(value)
        values[name] = value
    return section(**values)


def _plain(value: Any) -> Any:
    """As JSON has it, with the users, passwords and tokens of URLs masked."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return _SECRET_PARAMETER.sub(r"\1***", _USER_INFO.sub("://***@", str(value)))
