"""What of an experiment's parameters can be changed while it runs."""

from __future__ import annotations

import dataclasses
from typing import Any

from nc_sigopt_strategy.engine import validation
from nc_sigopt_strategy.engine.api_error import ApiError, bad_request
from nc_sigopt_strategy.engine.history.description import ExperimentDescription, ParameterDomain
from nc_sigopt_strategy.engine.routes.experiment_rules import parameters_of


def changed_parameters(
    experiment: ExperimentDescription, value: Any
) -> tuple[ParameterDomain, ...]:
    """The parameters after an update: bounds, categories, grids and defaults may be others.

    What was suggested and observed outside of the new domain is kept, and samplers learn from
    the rest.

    Args:
        experiment: The experiment as it is.
        value: What was sent: all parameters, each with its name and what of it may have changed.

    Raises:
        ApiError: 400, it describes no parameters, or changes a type or scale, which no server
            changes; 405, it changes what SigOpt's own server would.
    """
    if experiment.type == "grid":
        raise bad_request("The parameters of a grid experiment cannot be changed")
    before = {parameter.name: parameter for parameter in experiment.parameters}
    entries = [
        validation.object_(e, "parameters[]") for e in validation.array(value, "parameters")
    ]
    changed = parameters_of([_merged(before, entry) for entry in entries])
    if [parameter.name for parameter in changed] != list(before):
        raise ApiError(
            405,
            "All parameters must be listed, and none can be added or taken away: observations "
            "are compared with each other. Create a new experiment.",
        )
    return tuple(_replaced(before[parameter.name], parameter) for parameter in changed)


def _merged(known: dict[str, ParameterDomain], entry: dict[str, Any]) -> dict[str, Any]:
    """What was sent of a parameter, over what it is."""
    name = entry.get("name")
    parameter = known.get(name) if isinstance(name, str) else None
    given = {key: said for key, said in entry.items() if said is not None}
    if parameter is None:
        return given
    grid = given.get("grid", parameter.grid)
    if grid and isinstance(given.get("bounds"), dict) and _are_ends(given["bounds"], grid):
        del given["bounds"]  # an answer has both, the one following from the other
    present = _as_request(parameter)
    if "grid" in given:
        present.pop("bounds", None)
    return {**present, **given}


def _are_ends(bounds: dict[str, Any], grid: Any) -> bool:
    """Whether these bounds are the least and the largest value of a grid."""
    try:
        return bool(bounds.get("min") == min(grid) and bounds.get("max") == max(grid))
    except TypeError:  # no grid of numbers, which is for others to say
        return False


def _replaced(before: ParameterDomain, after: ParameterDomain) -> ParameterDomain:
    """A parameter after its change, its values at the places where the store knows them."""
    for what, was, now in (
        ("type", before.type, after.type),
        ("transformation", before.log, after.log),
    ):
        if was != now:
            raise bad_request(f"The {what} of parameter {before.name} cannot be changed")
    if bool(before.grid) != bool(after.grid):
        raise ApiError(
            405,
            f"Parameter {before.name} has {'a grid' if before.grid else 'bounds'}, and keeps "
            "that: only the values can be changed. Create a new experiment.",
        )
    if not before.values:
        return after
    new = tuple(value for value in after.values if value not in before.codes)
    if not (new or before.coded or set(after.values) != set(before.values)):
        # In whatever order they are listed.
        return dataclasses.replace(after, categories=before.categories)
    codes = before.codes + new
    present = tuple(value for value in codes if value in after.values)
    return dataclasses.replace(after, categories=present if before.categories else (), coded=codes)


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
