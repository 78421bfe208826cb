"""One host's run of the tuning loop, and its continuation with a further share of the budget."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Protocol

from nc_sigopt_strategy.autotuning.host_run import HostRun, Runtime
from nc_sigopt_strategy.autotuning.request import Place, Request, Share
from nc_sigopt_strategy.errors import DataError, SettingsError, in_one_line
from nc_sigopt_strategy.hosts.find import INC, KnownHost, open_host
from nc_sigopt_strategy.hosts.given import Given
from nc_sigopt_strategy.measurement.timed_batches import TimedBatches
from nc_sigopt_strategy.settings.settings import Settings
from nc_sigopt_strategy.tuning.budget import Budget
from nc_sigopt_strategy.tuning.host import Host
from nc_sigopt_strategy.tuning.interrupts import InterruptWatch
from nc_sigopt_strategy.tuning.loop import tune
from nc_sigopt_strategy.tuning.preparation import prepare

MakeHost = Callable[[str, Given, Settings], Host]


class Runner(Protocol):
    """Tunes with one host."""

    def check(self) -> None:
        """Load the model and run it on the first batch of the data.

        Raises:
            SigOptStrategyError: Model, data or settings cannot be used.
        """
        ...

    def run(self, share: Share, place: Place, known: HostRun | None = None) -> HostRun:
        """Tune for a share of the budget. Ctrl-C ends it in order.

        Args:
            share: Trials count from the experiment's first, seconds from now.
            place: Where its files are left.
            known: The run whose experiment is continued; ``None`` to begin as the settings say.

        Raises:
            SigOptStrategyError: Model, data or settings cannot be used.
        """
        ...


def runner_for(host: KnownHost, request: Request, make_host: MakeHost = open_host) -> Runner:
    """What tunes with a host.

    Args:
        host: Which.
        request: What is asked.
        make_host: Makes a host of a given model.

    Raises:
        MissingExtraError: The host is not installed.
    """
    if host.name != INC:
        return DirectRunner(host.name, request, make_host)
    host.require()
    # Imported late: Neural Compressor comes with it.
    from nc_sigopt_strategy.autotuning.with_inc import IncRunner

    return IncRunner(request)


def settings_at(request: Request, place: Place, known: HostRun | None) -> Settings:
    """The settings of a run.

    Args:
        request: What is asked.
        place: Where its files are left.
        known: The run whose experiment is continued; ``None`` to begin as the settings say.

    Raises:
        SettingsError: A value cannot be used.
    """
    continued = {} if known is None else {"sigopt_experiment_id": known.outcome.experiment_id}
    return request.checked_settings(**{**place.settings, **continued, "output_dir": place.folder})


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
        self._fp32_accuracy: Any = None
        self._evaluated = False

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

    def run(self, share: Share, place: Place, known: HostRun | None = None) -> HostRun:
        """See ``Runner``."""
        host = self._opened()
        settings = settings_at(self._request, place, known)
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
            self._fp32_accuracy,
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
            given = dataclasses.replace(given, eval_fn=self._evaluate)
            self._host = self._make_host(self._name, given, settings)
        return self._host

    def _evaluate(self, model: Any) -> Any:
        """The user's evaluation; its first call is FP32's."""
        accuracy = self._request.given.eval_fn(model)
        if not self._evaluated:
            self._evaluated, self._fp32_accuracy = True, accuracy
        return accuracy
