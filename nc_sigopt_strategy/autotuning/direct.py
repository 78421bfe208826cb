"""Tuning with a host that takes the user's model directly."""

from __future__ import annotations

import dataclasses

from nc_sigopt_strategy.autotuning.host_run import HostRun, Runtime
from nc_sigopt_strategy.autotuning.request import Place, Request, Share
from nc_sigopt_strategy.autotuning.runner import UsersEvaluation
from nc_sigopt_strategy.errors import DataError, SettingsError, in_one_line
from nc_sigopt_strategy.hosts.find import MakeHost, open_host
from nc_sigopt_strategy.measurement.timed_batches import TimedBatches
from nc_sigopt_strategy.tuning.budget import Budget
from nc_sigopt_strategy.tuning.host import Host
from nc_sigopt_strategy.tuning.interrupts import InterruptWatch
from nc_sigopt_strategy.tuning.loop import tune
from nc_sigopt_strategy.tuning.preparation import prepare


class DirectRunner:
    """Tunes with a host that takes a ``Given``; see ``Runner``.

    Args:
        name: Of the host.
        request: What is asked.
        make_host: Makes the host; it is made once and serves every share.
    """

    def __init__(self, name: str, request: Request, make_host: MakeHost = open_host) -> None:
        self._name = name
        self._request = request
        self._make_host = make_host
        self._host: Host | None = None
        self._evaluation = UsersEvaluation(request.given.eval_fn)

    def check(self) -> None:
        """See ``Runner``."""
        host = self._opened()
        batches = host.calibration_data().batches
        if not batches:
            return
        session = host.backend.open(host.fp32)
        try:
            session.run(batches[0])
        except Exception as error:  # each runtime has its own way to fail
            raise DataError(
                "The FP32 model cannot run on the first calibration batch: "
                f"{in_one_line(error).rstrip('.')}.",
                "Make calib_dataloader yield inputs of the shape and type that the model takes.",
            ) from error
        finally:
            session.close()

    def run(self, share: Share, place: Place) -> HostRun:
        """See ``Runner``."""
        host = self._opened()
        settings = self._request.settings_at(place)
        prepared = prepare(
            host,
            settings,
            folder=place.folder,
            seed=0 if settings.seed is None else settings.seed,
        )
        budget = Budget(
            share.max_trials,
            share.timeout_seconds,
            settings.stop_at_first,
            clock=self._request.clock,
        )
        with InterruptWatch() as watch:
            ended = tune(prepared, budget)
        batches = host.calibration_data().batches
        runtime = Runtime(
            host.backend,
            host.fp32,
            host.users_model,
            TimedBatches(batches, settings.latency_batch_size) if batches else None,
            settings,
        )
        return HostRun(
            self._name,
            place.folder,
            ended.outcome,
            runtime,
            ended.model,
            self._evaluation.fp32_accuracy,
            watch.by_person,
            ended.stopped,
        )

    def _opened(self) -> Host:
        if self._host is None:
            settings, given = self._request.checked_settings(), self._request.given
            if given.calib_dataloader is None and settings.latency_func is None:
                raise SettingsError(
                    "There is no data to calibrate with and to time a model on: "
                    "calib_dataloader is None.",
                    "Give an object whose __iter__ yields (inputs, labels).",
                )
            given = dataclasses.replace(given, eval_fn=self._evaluation)
            self._host = self._make_host(self._name, given, settings)
        return self._host
