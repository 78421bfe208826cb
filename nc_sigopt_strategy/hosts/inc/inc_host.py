"""``IncHost``: a model that Neural Compressor 2.6 to 3.7 owns and quantizes.

It does what one trial of INC's ``traverse`` does, and nothing around it. Facts of INC's base class
that this rests on (checked in 2.6 and 3.7.1): ``set_param_for_pre_quantization_algos`` only sets
fields, since smooth quant runs once, in the set-up; what goes wrong in a converter is logged, and
``None`` comes back; the adaptor rewrites the graph in place when it is asked what it can do.
"""

from __future__ import annotations

import contextlib
import copy
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from nc_sigopt_strategy.backends.backend import Backend
from nc_sigopt_strategy.backends.find import backend_for
from nc_sigopt_strategy.backends.onnx_fused import fused_into
from nc_sigopt_strategy.backends.op_graph import as_groups
from nc_sigopt_strategy.errors import TrialError
from nc_sigopt_strategy.hosts.as_given import AsGiven
from nc_sigopt_strategy.hosts.inc.calibration import CalibratedOnce
from nc_sigopt_strategy.hosts.inc.calibration.temp_files import ReclaimedTempFiles
from nc_sigopt_strategy.hosts.inc.calibration.usage import CalibrationUsage
from nc_sigopt_strategy.hosts.inc.finished import finish_in_place, finishes
from nc_sigopt_strategy.hosts.inc.given_graph import graph_of, refuse_quantized_graph
from nc_sigopt_strategy.hosts.inc.keras_models import evaluating_now
from nc_sigopt_strategy.hosts.inc.logged_errors import LoggedErrors
from nc_sigopt_strategy.hosts.inc.metric_scores import MetricScores
from nc_sigopt_strategy.hosts.inc.model_name import name_of
from nc_sigopt_strategy.hosts.inc.options import IncOptions
from nc_sigopt_strategy.hosts.inc.overflow import quiet_overflow
from nc_sigopt_strategy.hosts.inc.recipe import op_name_dict
from nc_sigopt_strategy.hosts.inc.users_model import evaluated_object, users_object
from nc_sigopt_strategy.hosts.predictor import evaluating
from nc_sigopt_strategy.measurement.accuracy import AccuracyBound, finite_values
from nc_sigopt_strategy.measurement.batches import CalibrationData, read_calibration_data
from nc_sigopt_strategy.measurement.per_input import PerInput
from nc_sigopt_strategy.settings.choices import FITTED, STOCK
from nc_sigopt_strategy.settings.settings import Settings
from nc_sigopt_strategy.space.ops import Choices, Op, OpKey
from nc_sigopt_strategy.tuning.host import Baseline, Doing, Evaluation, Model

logger = logging.getLogger("nc_sigopt_strategy")


class IncHost:
    """A ``Host`` whose models are INC's model objects.

    Args:
        strategy: INC's strategy object, whichever: it holds model, data, adaptor and criterion.
        settings: How it calibrates, and the options of its sessions.

    Raises:
        ModelError: No backend times models of this framework.
        SettingsError: Session options for a framework that has none.
    """

    def __init__(self, strategy: Any, settings: Settings) -> None:
        self._strategy = strategy
        self._settings = settings
        self._usage = CalibrationUsage()
        self._logged = LoggedErrors()
        self._temp_files = ReclaimedTempFiles()
        self._metric_scores = MetricScores()
        self._quantized: tuple[Model, dict[str, Any]] | None = None
        self._users_own = strategy.model
        self.model_name = name_of(strategy.model)
        self.framework = str(strategy.framework)
        self.backend: Backend = backend_for(self.framework, settings.onnxruntime_session_options)
        self._given_onnx: Any = None
        self._widened_notes: tuple[str, ...] = ()
        self._kept_notes: tuple[str, ...] = ()
        if self.backend.name == "tensorflow":
            refuse_quantized_graph(graph_of(strategy.model))
            # Imported late: it needs TensorFlow.
            from nc_sigopt_strategy.hosts.inc.widened import widen_in_model

            self._widened_notes = widen_in_model(strategy.model)
        else:
            self._given_onnx = _onnx_as_given(strategy)
        self.fingerprint = self.backend.fingerprint(self.fp32)
        self._as_given = AsGiven(self.backend, self.fp32, self._loader)
        if self.backend.name == "tensorflow":
            # Imported late: it needs TensorFlow.
            from nc_sigopt_strategy.hosts.inc.computed_weights import fold_in_model

            fold_in_model(strategy.model)

    @property
    def fp32(self) -> Model:
        """The user's own ONNX model; INC's of TensorFlow, after smooth quant if it is in use."""
        return self._strategy.model if self._given_onnx is None else self._given_onnx.model

    @property
    def notes(self) -> Sequence[str]:
        """What was changed in the model that INC works on, and what is kept from int8."""
        if self._given_onnx is not None:
            return tuple(self._given_onnx.notes)
        return (*self._widened_notes, *self._kept_notes)

    @property
    def criterion(self) -> str:
        """INC's accuracy criterion in words."""
        criterion = self._strategy.config.accuracy_criterion
        return (
            f"{criterion.criterion} {criterion.tolerable_loss}, higher is better: "
            f"{self._directions()}, weights: {self._strategy.metric_weight}"
        )

    def ops(self) -> Sequence[Op]:
        """See ``Host``."""
        return self._options.ops

    def sampling_sizes(self) -> Sequence[int]:
        """See ``Host``."""
        return tuple(self._strategy.calib_sampling_size_lst)

    def op_graph(self, ops: Sequence[OpKey]) -> dict[str, Any]:
        """See ``Host``; what reads a fused op reads the one that stands for it."""
        groups = self._options.groups()
        wanted = set(ops)
        every = [key for op in self.ops() for key in (op.key, *op.members) if op.key in wanted]
        return as_groups(self.backend.op_graph(self._optimized_model, every), groups)

    def calibration_data(self) -> CalibrationData:
        """See ``Host``."""
        return self._calibration_data

    def users_model(self, model: Model) -> Any:
        """See ``Host``."""
        return users_object(self.framework, model, self._users_own)

    @contextlib.contextmanager
    def session(self, doing: Doing) -> Iterator[None]:
        """See ``Host``; INC's errors are heard inside."""
        self._usage.doing = doing
        with (
            self._logged,
            self._temp_files,
            quiet_overflow(),
            CalibratedOnce(
                self.framework,
                self._usage,
                mode=self._settings.calibration,
                folder=self._settings.calibration_cache,
                data_digest=self._calibration_data.digest,
            ),
        ):
            self._strategy._setup_pre_tuning_algo_scheduler()
            yield

    def check(self) -> None:
        """See ``Host``."""
        # The two that trials are made from and judged by; often they are one.
        models = {id(model): model for model in (self._strategy.model, self._optimized_model)}
        if getattr(self._strategy.model, "is_large_model", False):
            # INC's rewrite of it lies in files that are gone by now; only trials read them again.
            models = {}
        self._as_given.compare(models.values())

    def baseline(self) -> Baseline:
        """See ``Host``."""
        strategy = self._strategy
        value, seconds, accuracy = self._evaluated(self.fp32)
        # Before INC prints it, which fails on what is no number.
        finite_values(value[0])
        # What INC's `_eval_baseline` does around its evaluation.
        strategy._fp32_model = strategy.model
        strategy.baseline = strategy.objectives.baseline = value
        strategy._add_tuning_history()
        strategy._prepare_tuning()
        criterion = strategy.config.accuracy_criterion
        bound = AccuracyBound.of(
            value[0],
            relative=criterion.criterion == "relative",
            tolerable_loss=criterion.tolerable_loss,
            higher_is_better=self._directions(),
            weights=strategy.metric_weight,
        )
        return Baseline(bound, seconds, accuracy)

    def quantize(self, choices: Choices) -> Model:
        """See ``Host``.

        Raises:
            TrialError: INC made no model; ``reason`` says what it logged.
        """
        self._temp_files.reclaim()
        self._logged.last = None
        strategy, scheduler = self._strategy, self._scheduler
        strategy.trials_count += 1
        config = self._tune_cfg(choices)
        strategy.set_param_for_pre_quantization_algos(scheduler, config, strategy.model)
        strategy.model = scheduler("pre_quantization")
        model = strategy.adaptor.quantize(
            copy.deepcopy(config), strategy.model, strategy.calib_dataloader, strategy.q_func
        )
        if model is None:
            raise TrialError("Neural Compressor made no model.")
        strategy.set_param_for_post_quantization_algos(
            scheduler, config, strategy.adaptor.pre_optimized_model, model
        )
        final = scheduler("post_quantization")
        scheduler.reset_exec_algorithms()
        # It would hold the model until the next one is made.
        scheduler.q_model = strategy.model
        if self._given_onnx is not None:
            self._given_onnx.keep_weights(final)
        if self._finishes:
            finish_in_place(final)
        self.backend.keep_choices(final)
        self._quantized = (final, config)
        return final

    def evaluate(self, model: Model) -> Evaluation:
        """See ``Host``; written to INC's history.snapshot too."""
        value, seconds, accuracy = self._evaluated(model)
        strategy, quantized = self._strategy, self._quantized
        if quantized is not None and quantized[0] is model:
            strategy.last_tune_result = value
            strategy._add_tuning_history(
                copy.deepcopy(quantized[1]), copy.deepcopy(value), q_config=model.q_config
            )
        self._quantized = None
        return Evaluation(accuracy, seconds)

    def recipe(self, choices: Choices) -> Mapping[str, Any]:
        """INC's ``op_name_dict``: its ``basic`` builds the same graph, not yet finished.

        Where weights were fitted it does so inside of ``calibration.fitted_weights``.
        """
        return op_name_dict(
            self._tune_cfg(choices)["op"],
            finished=self._finishes,
            fitted=self._fits,
        )

    def calibration(self) -> Mapping[str, Any] | None:
        """How often statistics served; ``None`` where INC calibrates in every trial."""
        return None if self._settings.calibration == STOCK else self._usage.as_dict()

    def reason(self, error: BaseException) -> str:
        """See ``Host``: the exception's text, and what INC logged."""
        return self._logged.reason(error)

    @cached_property
    def _options(self) -> IncOptions:
        strategy = self._strategy
        # `_prepare_tuning` finds these set and does not make them again.
        with self._optimized():
            strategy.capability = strategy.capability or strategy.adaptor.query_fw_capability(
                strategy.model
            )
        if self.backend.name == "tensorflow":
            self._kept_notes = _keep_from_int8(strategy.capability, self._optimized_model)
        strategy.tuning_space = strategy.tuning_space or strategy.build_tuning_space(
            strategy.config
        )
        _, _, default = strategy.initial_tuning_cfg()
        without = self._integer_ops()
        return IncOptions(
            strategy.tuning_space,
            {key: chosen for key, chosen in default.items() if key[0] not in without},
            approach=strategy.config.approach,
            framework=self.framework,
            graph_order=self.backend.graph_order(self._optimized_model),
            excluded_precisions=getattr(strategy.config, "excluded_precisions", None) or (),
            fused=self._fused,
        )

    def _optimized(self) -> contextlib.AbstractContextManager[None]:
        """Inside, INC optimizes the FP32 graph as the models are made that ``session`` makes."""
        if not self._fits:
            return contextlib.nullcontext()
        # Imported late: it needs TensorFlow.
        from nc_sigopt_strategy.hosts.inc.calibration.tensorflow_biases import biases_added

        return biases_added()

    @cached_property
    def _fits(self) -> bool:
        return self.backend.name == "tensorflow" and self._settings.calibration == FITTED

    @cached_property
    def _finishes(self) -> bool:
        return self.backend.name == "tensorflow" and finishes(self._settings)

    def _integer_ops(self) -> frozenset[str]:
        """Ops that INC lists by their type and leaves as they are, for they compute shapes."""
        if self._given_onnx is None:
            return frozenset()
        from nc_sigopt_strategy.backends.onnx_graph import integer_ops

        return integer_ops(self._optimized_model.model)

    def _fused(
        self, ops: Sequence[OpKey], may_follow: Callable[[OpKey, OpKey], bool]
    ) -> Mapping[OpKey, OpKey]:
        """INC's TensorFlow adaptor lists what is fused as one op, that of ONNX each by itself."""
        if self._given_onnx is None:
            return {}
        # Imported late: it needs ONNX.
        from nc_sigopt_strategy.backends.onnx_graph import known_shapes

        model = self._optimized_model.model
        return fused_into(model.graph, known_shapes(model), ops, may_follow)

    @cached_property
    def _calibration_data(self) -> CalibrationData:
        return read_calibration_data(self._loader, max(self.sampling_sizes()))

    @property
    def _loader(self) -> Any:
        # Compared with None: an empty dataloader of length 0 is false.
        loader = self._strategy.calib_dataloader
        return self._strategy.eval_dataloader if loader is None else loader

    @property
    def _scheduler(self) -> Any:
        strategy = self._strategy
        strategy.algo_scheduler = strategy.algo_scheduler or strategy._initialize_algo_scheduler()
        return strategy.algo_scheduler

    @property
    def _optimized_model(self) -> Any:
        # The adaptor's own fp32 rewrite is what carries the names of the quantizable ops.
        strategy = self._strategy
        return getattr(strategy.adaptor, "pre_optimized_model", None) or strategy.model

    def _tune_cfg(self, choices: Choices) -> dict[str, Any]:
        config = self._options.configuration(choices)
        return dict(self._strategy._tune_cfg_converter(config))

    def _evaluated(self, model: Model) -> tuple[Any, float, Any]:
        """INC's result, seconds (INC's own figure where it has one, else the wall time), accuracy.

        INC's result holds a plain number, which it writes to its own files.
        """
        begun = time.monotonic()
        users = evaluated_object(self.framework, model)
        with (
            evaluating(users, lambda: self.backend.open(model)),
            evaluating_now(model),
            self._metric_scores.heard(self._strategy.adaptor),
        ):
            value = self._strategy._evaluate(model)
        seconds = time.monotonic() - begun
        accuracy = value[0]
        if isinstance(accuracy, PerInput):
            value = (float(accuracy), *value[1:])
        names = self._strategy.objectives.representation
        for name, result in zip(names, value[1], strict=True):
            if name.lower().startswith("duration"):
                return value, float(result), accuracy
        return value, seconds, accuracy

    def _directions(self) -> bool | list[bool]:
        """Per metric where INC judges each by itself, else the criterion's own."""
        strategy = self._strategy
        if strategy.metric_weight is not None or len(strategy.metric_criterion) < 2:
            return bool(strategy.higher_is_better)
        # INC repeats the user's list once per metric (strategy.py `_set_objectives`).
        first = strategy.metric_criterion[0]
        return list(first if isinstance(first, (list, tuple)) else strategy.metric_criterion)


def _keep_from_int8(capability: dict[str, Any], optimized: Any) -> tuple[str, ...]:
    """Take away what would end the process, and say so."""
    # Imported late: it needs TensorFlow.
    from nc_sigopt_strategy.hosts.inc.calibration.tensorflow_own_sums import (
        without_int8_of_own_sums,
    )

    capability["opwise"], notes = without_int8_of_own_sums(
        capability["opwise"], optimized.graph_def
    )
    return notes


def _onnx_as_given(strategy: Any) -> Any:
    # Imported late: it needs ONNX.
    from nc_sigopt_strategy.hosts.inc.onnx_given import given_model, without_shared_weights

    adaptor = strategy.adaptor
    given = given_model(strategy.model)
    given.check_ops(adaptor.quantizable_op_types)
    adaptor._replace_gemm_with_matmul = without_shared_weights(
        type(adaptor)._replace_gemm_with_matmul
    )
    return given
