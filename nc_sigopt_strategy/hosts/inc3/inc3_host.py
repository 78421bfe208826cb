"""``Inc3Host``: a TensorFlow graph that Neural Compressor quantizes by its ``quantize_model``."""

from __future__ import annotations

import contextlib
import logging
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from nc_sigopt_strategy.backends.backend import Backend
from nc_sigopt_strategy.backends.find import backend_for, inputs_of
from nc_sigopt_strategy.errors import DataError, ModelError, TrialError, in_one_line
from nc_sigopt_strategy.hosts.as_given import AsGiven
from nc_sigopt_strategy.hosts.given import Given
from nc_sigopt_strategy.hosts.given_host import GivenHost, HostOfGiven
from nc_sigopt_strategy.hosts.inc.calibration import CalibratedOnce
from nc_sigopt_strategy.hosts.inc.calibration.temp_files import ReclaimedTempFiles
from nc_sigopt_strategy.hosts.inc.calibration.usage import CalibrationUsage
from nc_sigopt_strategy.hosts.inc.finished import finish_in_place, finishes
from nc_sigopt_strategy.hosts.inc.logged_errors import LoggedErrors
from nc_sigopt_strategy.hosts.inc3.options import Options
from nc_sigopt_strategy.hosts.inc3.versions import require_inc3
from nc_sigopt_strategy.settings.choices import FITTED, STOCK
from nc_sigopt_strategy.settings.settings import Settings
from nc_sigopt_strategy.space.ops import Choices, Op, OpKey
from nc_sigopt_strategy.tuning.host import Baseline, Doing, Evaluation, Model

_FRAMEWORK = "tensorflow"
_INC_LOGGER = "neural_compressor"


class Inc3Host(HostOfGiven):
    """A ``Host`` whose models are Neural Compressor's model objects of TensorFlow graphs.

    Args:
        given: What the user hands over.
        settings: How it calibrates, and whether models are finished.

    Raises:
        MissingExtraError: Neural Compressor or TensorFlow is not installed.
        UnsupportedVersionError: Neural Compressor is too old, or setuptools too new for it.
        ModelError: The model cannot be read, or is quantized already.
        SettingsError: Names of a graph's ends are missing, or session options were given.
        DataError: The dataloader cannot be iterated, or only once.
    """

    def __init__(self, given: Given, settings: Settings) -> None:
        require_inc3()
        # They import Neural Compressor, which is known to be there only now.
        from nc_sigopt_strategy.hosts.inc3.given_model import load_model, with_folded_weights

        self._settings = settings
        self.backend: Backend = backend_for(_FRAMEWORK, settings.onnxruntime_session_options)
        users_own = load_model(given)
        self.fingerprint = self.backend.fingerprint(users_own)
        self._inputs = inputs_of(_FRAMEWORK, users_own)
        self._shared = GivenHost(given, self.backend, lambda: self._inputs, self.users_model)
        self._as_given = AsGiven(self.backend, users_own, self._shared.loader)
        self._model = with_folded_weights(users_own)
        self._usage = CalibrationUsage()
        self._logged = LoggedErrors()
        self._temp_files = ReclaimedTempFiles()
        self._calibrating = None if self._shared.loader is None else _Calibrating(self._shared)

    @property
    def fp32(self) -> Model:
        """As Neural Compressor optimizes it before it quantizes, like the host ``inc``."""
        self._known_ops  # noqa: B018  # asking for them is what optimizes it
        return self._model

    def ops(self) -> Sequence[Op]:
        """See ``Host``.

        Raises:
            ModelError: Neural Compressor cannot read the model, or quantizes none of its ops.
        """
        return self._options.ops

    def op_graph(self, ops: Sequence[OpKey]) -> dict[str, Any]:
        """See ``Host``."""
        return self.backend.op_graph(self.fp32, ops)

    def users_model(self, model: Model) -> Any:
        """A ``tf.Graph``."""
        return model.graph

    @contextlib.contextmanager
    def session(self, doing: Doing) -> Iterator[None]:
        """See ``Host``; Neural Compressor's errors are heard inside."""
        self._usage.doing = doing
        with (
            self._logged,
            self._temp_files,
            _errors_only_on_screen(),
            self._known_ops.served(),
            CalibratedOnce(
                _FRAMEWORK,
                self._usage,
                mode=self._settings.calibration,
                folder=self._settings.calibration_cache,
                data_digest=self.calibration_data().digest,
            ),
        ):
            yield

    def check(self) -> None:
        """See ``Host``."""
        self._as_given.compare([self.fp32])

    def baseline(self) -> Baseline:
        """See ``Host``."""
        return self._shared.baseline(self.fp32)

    def quantize(self, choices: Choices) -> Model:
        """See ``Host``.

        Raises:
            DataError: There is nothing to calibrate with.
            TrialError: Neural Compressor made no model; ``reason`` says what it logged.
        """
        from nc_sigopt_strategy.hosts.inc3.inc_parts import StaticQuantConfig, quantize_model
        from nc_sigopt_strategy.hosts.inc3.known_ops import own_workspace

        self._temp_files.reclaim()
        self._logged.last = None
        config = StaticQuantConfig.from_dict(self._options.quant_config(choices))
        with own_workspace():
            made = quantize_model(
                self.fp32, config, self._loader, self._calib_iteration(choices.sampling_size)
            )
        if made is None:
            raise TrialError("Neural Compressor made no model.")
        if self._finishes:
            finish_in_place(made)
        return made

    def evaluate(self, model: Model) -> Evaluation:
        """See ``Host``."""
        return self._shared.evaluate(model)

    def recipe(self, choices: Choices) -> Mapping[str, Any]:
        """What ``examples/recipes/rebuild_inc3.py`` builds the same model of.

        ``quant_config`` is for ``StaticQuantConfig.from_dict``, ``calib_iteration`` how many
        batches calibrate, ``fitted`` whether that is done inside of
        ``nc_sigopt_strategy.fitted_weights``, ``finished`` whether ``nc_sigopt_strategy.finish``
        comes after.
        """
        return {
            "quant_config": self._options.quant_config(choices),
            "calib_iteration": self._calib_iteration(choices.sampling_size),
            "fitted": self._settings.calibration == FITTED,
            "finished": self._finishes,
        }

    def calibration(self) -> Mapping[str, Any] | None:
        """How often statistics served; ``None`` where each trial calibrates."""
        return None if self._settings.calibration == STOCK else self._usage.as_dict()

    def reason(self, error: BaseException) -> str:
        """See ``Host``: the exception's text, and what Neural Compressor logged."""
        return self._logged.reason(error)

    @property
    def notes(self) -> Sequence[str]:
        """What is kept from int8."""
        return tuple(self._known_ops.notes)

    @cached_property
    def _known_ops(self) -> Any:
        from nc_sigopt_strategy.hosts.inc3.known_ops import KnownOps

        try:
            with _errors_only_on_screen():
                return KnownOps(self._model, fits=self._settings.calibration == FITTED)
        except Exception as error:  # its optimizer raises whatever a graph makes it stumble over
            raise ModelError(
                f"Neural Compressor cannot read the model: {in_one_line(error)}",
                "Simplify it before, or take it from another export.",
            ) from error

    @cached_property
    def _options(self) -> Options:
        options = Options(self._known_ops.by_op, self.backend.graph_order(self.fp32))
        if not options.ops:
            kinds = sorted({node.op for node in self.fp32.graph_def.node} - {"Const"})
            raise ModelError(
                "The model has no op that Neural Compressor quantizes; its ops are of the types "
                f"{', '.join(kinds)}.",
                "Convolutions and multiplications of matrices by constant weights are quantized.",
            )
        return options

    @cached_property
    def _finishes(self) -> bool:
        return finishes(self._settings)

    @property
    def _loader(self) -> _Calibrating:
        if self._calibrating is None:
            raise DataError(
                "There is no data to calibrate with: calib_dataloader is None.",
                "Give an object whose __iter__ yields (inputs, labels).",
            )
        return self._calibrating

    def _calib_iteration(self, sampling_size: int) -> int:
        return math.ceil(sampling_size / self._loader.batch_size)


class _Calibrating:
    """The user's batches as Neural Compressor reads them; one object for all trials.

    A class of its own: what looks like Neural Compressor's own loader gets its batch size changed.
    """

    def __init__(self, shared: GivenHost) -> None:
        self._loader = shared.loader
        self.batch_size = int(shared.loader.batch_size)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._loader)


@contextlib.contextmanager
def _errors_only_on_screen() -> Iterator[None]:
    """Not show what Neural Compressor logs of each pass; files and ``LOGLEVEL`` get all of it.

    The configuration of every op is among it, in each trial.
    """
    own = [
        handler
        for handler in logging.getLogger(_INC_LOGGER).handlers
        if type(handler) is logging.StreamHandler and "LOGLEVEL" not in os.environ
    ]
    levels = [handler.level for handler in own]
    for handler in own:
        handler.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for handler, level in zip(own, levels, strict=True):
            handler.setLevel(level)
