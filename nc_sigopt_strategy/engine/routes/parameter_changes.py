"""What of an experiment's parameters can be changed while it runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from nc_sigopt_strategy.engine import validation
from nc_sigopt_strategy.engine.api_error import ApiError
from nc_sigopt_strategy.engine.history.description import ParameterDomain
from nc_sigopt_strategy.engine.routes.experiment_rules import parameters_of


def changed_parameters(
    parameters: Sequence[ParameterDomain], value: Any
) -> tuple[ParameterDomain, ...]:
    """The parameters after an update: the bounds of numbers and defaults may be others.

    What was suggested and observed outside of the new bounds is kept, and samplers learn from
    the rest.

    Args:
        parameters: Those of the experiment.
        value: What was sent: all parameters, each with its name and what of it may have changed.

    Raises:
        ApiError: 400, it describes no parameters; 405, it changes what stays as it is.
    """
    known = {parameter.name: _as_request(parameter) for parameter in parameters}
    entries = [
        validation.object_(e, "parameters[]") for e in validation.array(value, "parameters")
    ]
    changed = parameters_of([_merged(known, entry) for entry in entries])
    if [_fixed(parameter) for parameter in changed] != [_fixed(p) for p in parameters]:
        raise ApiError(
            405,
            "Of parameters only bounds and default_value can be changed, and all must be listed: "
            "observations are compared with each other. Create a new experiment.",
        )
    return changed


def _merged(known: dict[str, dict[str, Any]], entry: dict[str, Any]) -> dict[str, Any]:
    """What was sent of a parameter, over what it is."""
    name = entry.get("name")
    before = known.get(name, {}) if isinstance(name, str) else {}
    given = {key: said for key, said in entry.items() if said is not None}
    if "grid" in before:  # what an answer says of its bounds follows from the grid
        given.pop("bounds", None)
    elif before.get("type") == "categorical":
        given.pop("grid", None)
    return {**before, **given}


def _fixed(parameter: ParameterDomain) -> ParameterDomain:
    """What of a parameter stays as it is."""
    return dataclasses.replace(
        parameter,
        low=None if parameter.low is None else 0.0,
        high=None if parameter.high is None else 0.0,
        default_value=None,
    )


def _as_request(parameter: ParameterDomain) -> dict[str, Any]:
    """A parameter as the body of a create request has it."""
    raw: dict[str, Any] = {"name": parameter.name, "type": parameter.type}
    if parameter.type == "categorical":
        raw["categorical_values"] = list(parameter.categories)
    elif parameter.grid:
        raw["grid"] = list(parameter.grid)
    else:
        raw["bounds"] = {"min": parameter.low, "max": parameter.high}
    if parameter.log:
        raw["transformation"] = "log"
    if parameter.default_value is not None:
        raw["default_value"] = parameter.default_value
    return raw
