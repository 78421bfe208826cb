"""What ``autotune`` returns: a model, how it is run, and what is known of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from nc_sigopt_strategy.autotuning.host_run import HostRun, Runtime
from nc_sigopt_strategy.autotuning.report import RuntimeRow
from nc_sigopt_strategy.console.outcome_table import outcome_text
from nc_sigopt_strategy.errors import ModelError, SettingsError
from nc_sigopt_strategy.files import read_json, write_whole
from nc_sigopt_strategy.reports.run_page import write_page
from nc_sigopt_strategy.reports.run_record import run_record
from nc_sigopt_strategy.results.outcome import Outcome
from nc_sigopt_strategy.results.run_files import (
    RECIPE_FILE,
    TRIALS_FILE,
    read_trials,
    write_outcome,
    write_recipe,
)

REPORT_FILE = "report.txt"


@dataclass(frozen=True)
class TuningResult:
    """What came of tuning a model.

    Attributes:
        run: Of the host whose model is returned.
        outcome: Of that run: accuracies, latencies, why it ended.
        recipe: What rebuilds the model without us; ``None`` without a model, and for FP32 as it
            was given.
        runtimes: With ``host="auto"`` a row for each model that was timed beside the others.
        own_model: The model as the host has it; ``None`` if none met the bound.
    """

    run: HostRun
    outcome: Outcome
    recipe: Mapping[str, Any] | None = None
    runtimes: Sequence[RuntimeRow] = ()
    own_model: Any = field(default=None, repr=False)

    @property
    def found(self) -> bool:
        """Whether there is a model that meets the bound; it may be FP32 where nothing is faster:
        ``outcome.faster_than_fp32`` says so.
        """
        return self.own_model is not None

    @property
    def runtime(self) -> str:
        """Name of the host whose model it is, such as ``onnxruntime`` or ``inc3``."""
        return self.run.host

    @property
    def folder(self) -> Path:
        """Where outcome, trials, recipe and model were written."""
        return self.run.folder

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C ended it."""
        return self.run.interrupted

    @cached_property
    def model(self) -> Any:
        """The model as ``eval_fn`` gets it; ``None`` if none met the bound."""
        return None if self.own_model is None else self._runtime.users_model(self.own_model)

    def save(self, path: str | Path) -> Path:
        """Write the model, and beside it ``recipe.json``, ``outcome.json`` and the reports.

        Args:
            path: Of the model; gets its runtime's suffix if it has another one.

        Returns:
            The model's path. Weights that do not fit into the one file lie beside it.

        Raises:
            ModelError: No model met the bound, or the file cannot be written.
        """
        if self.own_model is None:
            raise ModelError(
                f"There is no model to save: {self._why_nothing()}",
                "Look at result.outcome; a larger tolerable_loss or a longer search may help.",
            )
        backend = self._runtime.backend
        target = Path(path).expanduser().absolute()
        if target.suffix.lower() != backend.model_suffix:
            target = target.with_name(f"{target.name}{backend.model_suffix}")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            written = backend.save(self.own_model, target)
            if self.recipe is not None:
                write_recipe(self.recipe, target.parent)
            else:
                # One of another model must not be taken for this one's.
                (target.parent / RECIPE_FILE).unlink(missing_ok=True)
            self.save_report(target.parent)
        except OSError as error:
            raise ModelError(
                f"The model cannot be saved as {target}: {error}.", "Name another place."
            ) from error
        return written

    def save_report(self, folder: Path) -> None:
        """Write ``outcome.json``, ``report.txt`` and the page ``report.html`` into a folder.

        Raises:
            OSError: The disk is full or the folder cannot be written.
        """
        write_outcome(self.outcome, folder)
        write_whole(folder / REPORT_FILE, f"{self.report()}\n")
        trials = read_trials(self.folder) if (self.folder / TRIALS_FILE).is_file() else []
        rows = tuple(row.in_words() for row in self.runtimes)
        record = run_record(self.folder, self.outcome, trials)
        write_page(dataclasses.replace(record, folder=folder, runtimes=rows))

    def session_options(self) -> Any:
        """The ``onnxruntime.SessionOptions`` that the model was timed and evaluated with.

        Raises:
            SettingsError: The model is not one of ONNX Runtime.
        """
        if not self._backend_is("onnxruntime"):
            raise SettingsError(
                f"session_options() is for ONNX Runtime, and this model is of {self._title()}.",
                "Use properties()." if self._backend_is("openvino") else "It needs none.",
            )
        from nc_sigopt_strategy.backends.onnxruntime import session_options

        return session_options(self._settings_value("onnxruntime_session_options"))

    def properties(self) -> dict[str, Any]:
        """The properties that OpenVINO compiled the model with, for ``compile_model``.

        Raises:
            SettingsError: The model is not one of OpenVINO.
        """
        if not self._backend_is("openvino"):
            raise SettingsError(
                f"properties() is for OpenVINO, and this model is of {self._title()}.",
                "Use session_options()." if self._backend_is("onnxruntime") else "It needs none.",
            )
        deployed = self._runtime.backend.deployment(self.own_model or self._runtime.fp32)
        return dict(
            deployed.get("properties") or self._settings_value("openvino_properties") or {}
        )

    def report(self) -> str:
        """What came of it, as text for a person."""
        lines = [outcome_text(self.outcome)]
        if self.runtimes:
            lines += ["", "Timed in turn, as a multiple of the speed of the first FP32:"]
            lines += [f"  {row.in_words()}" for row in self.runtimes]
        return "\n".join(lines)

    def __repr__(self) -> str:
        outcome = self.outcome
        spent = f"{outcome.trials} trials, {outcome.tuning_seconds:.0f} s"
        if not self.found:
            said = f"nothing found on {self.runtime}: {self._why_nothing()}"
            return f"TuningResult({said} {spent}; {self.folder})"
        best, target = outcome.best, outcome.accuracy_target
        accuracy = ""
        if best is not None and best.accuracy is not None and target is not None:
            accuracy = f", accuracy {best.accuracy:.4f} (bound {target:.4f})"
        return f"TuningResult({self.runtime}: {self._speed()}{accuracy}; {spent}; {self.folder})"

    def _speed(self) -> str:
        speedup = self.outcome.speedup
        if self.outcome.faster_than_fp32 is False:
            return "nothing faster than FP32 met the bound"
        if speedup is None:
            return "a model that meets the bound"
        return f"{speedup.value:.2f} ({speedup.low:.2f} to {speedup.high:.2f}) times FP32's speed"

    def _why_nothing(self) -> str:
        # A verdict of a run that ended in an error says less than the error.
        if self.outcome.error:
            return self.outcome.stop_reason
        return " ".join(filter(None, (self.outcome.verdict, self.outcome.stop_reason)))

    @property
    def _runtime(self) -> Runtime:
        if self.run.runtime is None:
            raise ModelError(f"There is no model: {self._why_nothing()}")
        return self.run.runtime

    def _backend_is(self, name: str) -> bool:
        return self.run.runtime is not None and self.run.runtime.backend.name == name

    def _title(self) -> str:
        return self.runtime if self.run.runtime is None else self.run.runtime.backend.name

    def _settings_value(self, key: str) -> Any:
        return getattr(self._runtime.settings, key, None)


def result_of(run: HostRun) -> TuningResult:
    """The result of a run with one host."""
    return TuningResult(run, run.outcome, recipe_of(run), own_model=run.model)


def recipe_of(run: HostRun) -> Mapping[str, Any] | None:
    """The recipe that a run wrote; ``None`` if it wrote none that can be read."""
    if run.model is None:
        return None
    try:
        found: Mapping[str, Any] = read_json(run.folder / RECIPE_FILE)
    except (OSError, ValueError):
        return None
    return found
