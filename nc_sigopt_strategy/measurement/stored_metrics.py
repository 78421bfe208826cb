"""Further metrics of a model, from a function of the user's; they are kept and no more."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from nc_sigopt_strategy.errors import SettingsError, TrialError, named, shown
from nc_sigopt_strategy.measurement.copies import copies_end
from nc_sigopt_strategy.measurement.finite import as_finite
from nc_sigopt_strategy.results.metric_names import MAX_METRICS, MAX_NAME_LENGTH, OWN

KEY = "stored_metrics_func"
StoredMetricsFunc = Callable[[Any], Mapping[str, float]]


class StoredMetrics:
    """What the user's function says of each model.

    Args:
        function: ``stored_metrics_func(model) -> {name: value}``; gets what an ``eval_func``
            gets. ``None``: there are no further metrics.
        fp32: The FP32 model, as the function gets it, or what returns it. The function is called
            on it once: the names that it returns are those of the run.

    Raises:
        SettingsError: The function raised, returned no mapping of names to finite numbers, or
            names that an experiment cannot have.
    """

    def __init__(self, function: StoredMetricsFunc | None, fp32: Callable[[], Any]) -> None:
        self._function = function
        self.names: tuple[str, ...] = ()
        self.fp32: dict[str, float] = {}
        if function is None:
            return
        try:
            self.fp32 = _called(function, fp32())
        except TrialError as error:
            raise SettingsError(
                f"{error.fact} That was for the FP32 model.", error.hint
            ) from error
        _check_names(self.fp32)
        self.names = tuple(self.fp32)

    def of(self, model: Any) -> dict[str, float]:
        """The metrics of a quantized model, in the order that FP32's came in.

        Args:
            model: As an ``eval_func`` gets it.

        Raises:
            TrialError: The function raised, or returned other names than for the FP32 model or a
                value that is not a finite number.
        """
        if self._function is None:
            return {}
        found = _called(self._function, model)
        if found.keys() != self.fp32.keys():
            raise TrialError(
                f"{KEY} returned {_listed(found)}, and for the FP32 model {_listed(self.fp32)}.",
                "It must return the same names for every model.",
            )
        return {name: found[name] for name in self.names}


def _called(function: StoredMetricsFunc, model: Any) -> dict[str, float]:
    try:
        with copies_end(KEY):
            found = function(model)
    except Exception as error:
        raise TrialError(f"{KEY} raised {named(error)}.") from error
    if not isinstance(found, Mapping):
        raise TrialError(
            f"{KEY} returned {shown(found)} ({type(found).__name__}), which is not a mapping.",
            'It must return names and numbers, for instance {"f1": 0.81}.',
        )
    return {name: _finite(name, value) for name, value in found.items()}


def _finite(name: object, value: Any) -> float:
    found = None if isinstance(value, (bool, np.bool_)) else as_finite(value)
    if found is None:
        raise TrialError(
            f"{KEY} returned {shown(value)} for {shown(name)}, which is not a finite number."
        )
    return found


def _check_names(found: Mapping[str, float]) -> None:
    if not found:
        raise SettingsError(
            f"{KEY} returned no metrics for the FP32 model.", "Leave it out if there are none."
        )
    for name in found:
        usable = isinstance(name, str) and name == name.strip() and name.isprintable()
        if not usable or not 1 <= len(name) <= MAX_NAME_LENGTH:
            raise SettingsError(
                f"{KEY} returned the name {shown(name)}, which SigOpt does not allow.",
                f"Use a string of 1 to {MAX_NAME_LENGTH} printable characters, without blanks "
                "around it.",
            )
    taken = [name for name in found if name in OWN]
    if taken:
        raise SettingsError(
            f"{KEY} returned the name {taken[0]!r}, which is a metric of every experiment.",
            f"Use other names than {', '.join(OWN)}.",
        )
    allowed = MAX_METRICS - len(OWN)
    if len(found) > allowed:
        raise SettingsError(
            f"{KEY} returned {len(found)} metrics.",
            f"SigOpt allows {MAX_METRICS} in an experiment, {len(OWN)} of which are taken: "
            f"return at most {allowed}.",
        )


def _listed(found: Mapping[str, float]) -> str:
    return ", ".join(map(shown, found)) or "no names"
