"""Neural Compressor as one of several hosts: its ``fit``, called as users call it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nc_sigopt_strategy.autotuning.host_run import HostRun, Runtime
from nc_sigopt_strategy.autotuning.request import Place, Request, Share
from nc_sigopt_strategy.autotuning.run_folder import WORKSPACE_FOLDER
from nc_sigopt_strategy.autotuning.runner import UsersEvaluation
from nc_sigopt_strategy.backends.find import inputs_of
from nc_sigopt_strategy.errors import DataError, SettingsError, in_one_line
from nc_sigopt_strategy.files import make_private
from nc_sigopt_strategy.hosts.fed_loader import fed
from nc_sigopt_strategy.hosts.find import INC
from nc_sigopt_strategy.hosts.inc.fitting import fit
from nc_sigopt_strategy.hosts.inc.given_model import GivenModel, Tuning, given_model
from nc_sigopt_strategy.hosts.inc.model_name import called
from nc_sigopt_strategy.hosts.inc.registration import STRATEGY_NAME, register
from nc_sigopt_strategy.hosts.inc.users_model import users_object
from nc_sigopt_strategy.hosts.model_kind import FROZEN, kind_of_model, name_of_model
from nc_sigopt_strategy.measurement.batches import read_calibration_data
from nc_sigopt_strategy.measurement.feeding import Feeder
from nc_sigopt_strategy.measurement.timed_batches import TimedBatches
from nc_sigopt_strategy.results.outcome import Outcome
from nc_sigopt_strategy.results.run_files import OUTCOME_FILE, publish, read_outcome
from nc_sigopt_strategy.settings.settings import Settings
from nc_sigopt_strategy.tuning.interrupts import InterruptWatch


class IncRunner:
    """Tunes with Neural Compressor; see ``Runner``.

    Args:
        request: What is asked.

    Raises:
        UnsupportedVersionError: The installed Neural Compressor has no tuning strategies.
    """

    def __init__(self, request: Request) -> None:
        register()
        self._request = request
        self._model: GivenModel | None = None
        self._evaluation = UsersEvaluation(request.given.eval_fn)

    def check(self) -> None:
        """See ``Runner``."""
        model, batch = self._loaded(), self._first_batches()
        if not batch:
            return
        session = model.open()
        try:
            session.run(batch[0])
        except Exception as error:  # ONNX Runtime has a class of its own for each way to fail
            shape = getattr(batch[0], "shape", None)
            shown = f" of shape {tuple(shape)}" if shape is not None else ""
            raise DataError(
                f"The model {model.name} cannot run on the first calibration batch{shown}: "
                f"{in_one_line(error).rstrip('.')}.",
                "Make calib_dataloader yield inputs of the shape and type that the model takes.",
            ) from error
        finally:
            session.close()

    def run(self, share: Share, place: Place) -> HostRun:
        """See ``Runner``."""
        request, given, folder = self._request, self._request.given, place.folder
        settings = request.settings_at(place)
        model = self._loaded()
        kwargs: Mapping[str, Any] = {**request.settings, **place.settings, "output_dir": folder}
        tuning = Tuning(
            kwargs,
            given.criterion,
            # INC takes whole seconds.
            round(share.timeout_seconds) or (1 if share.timeout_seconds else 0),
            share.max_trials,
            given.sampling_sizes,
        )
        make_private(folder)
        conf = tuning.config(model, folder / WORKSPACE_FOLDER)
        # What an earlier run left there must not be taken for this one's.
        (folder / OUTCOME_FILE).unlink(missing_ok=True)
        watch = InterruptWatch(share.timeout_seconds)
        evaluation = _Watched(self._evaluation, watch)
        with watch, called(name_of_model(given.model)):
            fitted = fit(model.source, conf, given.calib_dataloader, evaluation)
        outcome = _outcome_of(folder, fitted.error)
        return HostRun(
            INC,
            folder,
            outcome,
            self._runtime(model, settings),
            fitted.model,
            self._evaluation.fp32_accuracy,
            watch.by_person,
            fitted.error,
        )

    def _runtime(self, model: GivenModel, settings: Settings) -> Runtime:
        batches = self._first_batches()
        return Runtime(
            model.backend,
            model.model,
            lambda found: users_object(model.framework, found, model.model),
            TimedBatches(batches, settings.latency_batch_size) if batches else None,
            settings,
        )

    def _first_batches(self) -> list[Any]:
        model, given = self._loaded(), self._request.given
        loader = fed(
            given.calib_dataloader, lambda: Feeder(inputs_of(model.framework, model.model))
        )
        return read_calibration_data(loader, 1).batches

    def _loaded(self) -> GivenModel:
        if self._model is None:
            self._model = self._load()
        return self._model

    def _load(self) -> GivenModel:
        given, request = self._request.given, self._request
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        options = request.checked_settings().onnxruntime_session_options
        if kind_of_model(given.model) == FROZEN and not (given.inputs and given.outputs):
            raise SettingsError(
                "A frozen graph does not say which of its ops are inputs and outputs, and one of "
                "inputs and outputs is missing.",
                'List them: inputs=["input"], outputs=["logits"].',
            )
        return given_model(given.model, given.inputs, given.outputs, options)


class _Watched:
    """A callable object and not a function: INC 3.7 reads the source of plain functions for words
    that it finds suspicious.
    """

    def __init__(self, evaluation: UsersEvaluation, watch: InterruptWatch) -> None:
        self._evaluation = evaluation
        self._watch = watch

    def __call__(self, model: Any) -> Any:
        self._watch.check()
        return self._evaluation(model)


def _outcome_of(folder: Path, error: BaseException | None) -> Outcome:
    if (folder / OUTCOME_FILE).exists():
        return read_outcome(folder)
    why = repr(error) if error else "the strategy left no outcome.json"
    nothing = Outcome(
        strategy=STRATEGY_NAME, found=False, stop_reason=f"It failed: {why}", error=why
    )
    return publish(nothing, folder, {})
