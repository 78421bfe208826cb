"""What SigOpt asks of a new experiment: parameters, metrics, budget."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from nc_sigopt_strategy.engine import validation
from nc_sigopt_strategy.engine.api_error import bad_request
from nc_sigopt_strategy.engine.history.description import (
    ExperimentDescription,
    Metric,
    ParameterDomain,
)
from nc_sigopt_strategy.sampling import Enumeration

EXPERIMENT_TYPES = ("offline", "random", "grid")
PARAMETER_TYPES = ("double", "int", "categorical")
OBJECTIVES = ("maximize", "minimize")
STRATEGIES = ("optimize", "store", "constraint")

MAX_OPTIMIZED_METRICS = 2
MAX_CONSTRAINT_METRICS = 4
MAX_METRICS = 50
MAX_CATEGORY_LENGTH = 50
MIN_BOUNDS_WIDTH = 1e-8
# Values are kept as doubles, which hold no larger integers exactly.
MAX_INT = 2**53
# Samplers compute with squares, which must not overflow.
MAX_DOUBLE = 1e150
# SigOpt keeps budgets in 32 bits.
MAX_BUDGET = 2**31 - 1

# Parts of SigOpt that the engine does not have. Empty values are accepted, since clients send
# them as defaults; anything else is refused instead of being ignored.
_NOT_OFFERED = ("conditionals", "linear_constraints", "tasks")
_CREATE_KEYS = (
    "name", "parameters", "metrics", "project", "type", "observation_budget", "runs_only",
    "budget", "parallel_bandwidth", "num_solutions", "metadata", *_NOT_OFFERED,
)  # fmt: skip

_Named = TypeVar("_Named", Metric, ParameterDomain)


def new_experiment(data: dict[str, Any], now: int) -> ExperimentDescription:
    """The experiment that the body of a create request describes.

    Args:
        data: The body.
        now: Unix time in seconds.

    Raises:
        ApiError: 400.
    """
    validation.check_keys(data, _CREATE_KEYS)
    for key in _NOT_OFFERED:
        if data.get(key):
            raise bad_request(f"{key} is not offered by the embedded engine")
    runs_only = _is_of_runs(data)
    solutions = data.get("num_solutions")
    if solutions is not None and validation.integer(solutions, "num_solutions", 1) != 1:
        raise bad_request("num_solutions above 1 is not offered by the embedded engine")
    experiment = ExperimentDescription(
        name=validation.name(validation.required(data, "name"), ".name"),
        type=validation.one_of(
            "offline" if data.get("type") is None else data["type"], EXPERIMENT_TYPES, ".type"
        ),
        state="active",
        created=now,
        updated=now,
        metrics=_metrics(data.get("metrics")),
        parameters=parameters_of(validation.required(data, "parameters")),
        project=project_id(data.get("project")),
        metadata=validation.metadata(data.get("metadata")),
        observation_budget=budget(data.get(budget_key(runs_only)), budget_key(runs_only)),
        parallel_bandwidth=bandwidth(data.get("parallel_bandwidth")),
        num_solutions=None if solutions is None else 1,
        runs_only=runs_only,
    )
    if experiment.type == "grid":
        return _with_grid_budget(experiment)
    return _with_required_budget(experiment)


def budget(value: Any, key: str = "observation_budget") -> int | None:
    """A budget of observations or runs: a positive integer or none."""
    if value is None:
        return None
    checked = validation.integer(value, key, 1)
    if checked > MAX_BUDGET:
        raise bad_request(
            f"{key} must be less than or equal to {MAX_BUDGET}, got {validation.show(checked)}"
        )
    return checked


def budget_key(runs_only: bool) -> str:
    """What an experiment calls its budget."""
    return "budget" if runs_only else "observation_budget"


def bandwidth(value: Any) -> int | None:
    """A parallel bandwidth: a positive integer or none. It is kept, not enforced."""
    return None if value is None else validation.integer(value, "parallel_bandwidth", 1)


def project_id(value: Any) -> str | None:
    """A project reference; whether the project exists is checked by the route."""
    if value is not None and not isinstance(value, str):
        raise bad_request(
            f"Invalid type for project: expected a string, got {validation.show(value)}"
        )
    return value


def check_threshold(metric: Metric, optimized: int) -> None:
    """Check that a metric has a threshold where it must, and none where it cannot.

    Args:
        metric: The metric.
        optimized: How many metrics the experiment optimizes.
    """
    if metric.strategy == "constraint" and metric.threshold is None:
        raise bad_request(f"Constraint metric {metric.name} must have a threshold")
    if metric.threshold is None:
        return
    if metric.strategy == "store":
        raise bad_request(f"Stored metric {metric.name} must not have a threshold")
    if metric.strategy == "optimize" and optimized < MAX_OPTIMIZED_METRICS:
        raise bad_request(
            f"Metric {metric.name} must not have a threshold: with one optimized metric only "
            "constraint metrics have one"
        )


def _is_of_runs(data: dict[str, Any]) -> bool:
    """Whether the body makes an AI experiment, which has a project and a budget of runs."""
    runs_only = data.get("runs_only")
    if runs_only is not None and not isinstance(runs_only, bool):
        raise bad_request(
            f"Invalid type for runs_only: expected a boolean, got {validation.show(runs_only)}"
        )
    if data.get(budget_key(not runs_only)) is not None:
        raise bad_request(
            f"{budget_key(not runs_only)} does not go with runs_only "
            f"{'true' if runs_only else 'false'}; its budget is {budget_key(bool(runs_only))}"
        )
    if not runs_only:
        return False
    if data.get("project") is None:
        raise bad_request("Missing required json key: project, which an AI experiment must have")
    if not data.get("metrics"):
        raise bad_request('Missing required json key "metrics" in an AI experiment')
    for entry in validation.array(data["metrics"], "metrics"):
        validation.required(validation.object_(entry, "metrics[]"), "name")
    return True


def _metrics(value: Any) -> tuple[Metric, ...]:
    if value is None:
        return (Metric(None, "maximize", "optimize", None),)
    raw = validation.array(value, "metrics")
    if not raw:
        raise bad_request("metrics must not be empty")
    if len(raw) > MAX_METRICS:
        raise bad_request(f"An experiment has at most {MAX_METRICS} metrics, got {len(raw)}")
    metrics = _sorted_unique([_metric(entry, len(raw)) for entry in raw], "metric")
    counts = {
        strategy: sum(metric.strategy == strategy for metric in metrics) for strategy in STRATEGIES
    }
    if counts["optimize"] > MAX_OPTIMIZED_METRICS:
        raise bad_request(
            f"An experiment optimizes at most {MAX_OPTIMIZED_METRICS} metrics, "
            f"got {counts['optimize']}"
        )
    if counts["constraint"] > MAX_CONSTRAINT_METRICS:
        raise bad_request(
            f"An experiment has at most {MAX_CONSTRAINT_METRICS} constraint metrics, "
            f"got {counts['constraint']}"
        )
    if counts["optimize"] + counts["constraint"] == 0:
        raise bad_request("At least one metric must be optimized or be a constraint")
    for metric in metrics:
        check_threshold(metric, counts["optimize"])
    return metrics


def _metric(entry: Any, total: int) -> Metric:
    if isinstance(entry, str):
        entry = {"name": entry}
    raw = validation.object_(entry, "metrics[]")
    validation.check_keys(raw, ("name", "objective", "strategy", "threshold"), "metric")
    if raw.get("name") is None and total == 1:
        name = None
    else:
        name = validation.name(validation.required(raw, "name"), "metric name")
    threshold = raw.get("threshold")
    return Metric(
        name=name,
        objective=validation.one_of(raw.get("objective", "maximize"), OBJECTIVES, "objective"),
        strategy=validation.one_of(raw.get("strategy", "optimize"), STRATEGIES, "strategy"),
        threshold=None if threshold is None else validation.number(threshold, "threshold"),
    )


def parameters_of(value: Any) -> tuple[ParameterDomain, ...]:
    """The parameters that a request describes, sorted by name.

    Raises:
        ApiError: 400.
    """
    raw = validation.array(value, "parameters")
    if not raw:
        raise bad_request("An experiment needs at least one parameter")
    return _sorted_unique([_parameter(entry) for entry in raw], "parameter")


def _parameter(entry: Any) -> ParameterDomain:
    # Unknown keys inside a parameter are ignored, as a server does.
    raw = validation.object_(entry, "parameters[]")
    name = validation.name(validation.required(raw, "name"), "parameter name")
    kind = validation.one_of(
        validation.required(raw, "type"), PARAMETER_TYPES, f"type of parameter {name}"
    )
    for key in ("prior", "conditions"):
        if raw.get(key):
            raise bad_request(f"Parameter {name}: {key} is not offered by the embedded engine")
    for key, kinds in _ONLY_FOR.items():
        if raw.get(key) and kind not in kinds:
            raise bad_request(f"Parameter {name}: {key} does not go with type {kind}")
    if kind == "categorical":
        parameter = ParameterDomain(name, kind, categories=_categories(raw, name))
    elif "grid" in raw:
        parameter = _gridded(raw, name, kind)
    else:
        parameter = _bounded(raw, name, kind)
    default = raw.get("default_value")
    if default is None:
        return parameter
    checked = parameter.check(default)
    return dataclasses.replace(parameter, default_value=checked)


_ONLY_FOR = {
    "bounds": ("double", "int"),
    "grid": ("double", "int"),
    "categorical_values": ("categorical",),
    "transformation": ("double",),
}


def _bounded(raw: dict[str, Any], name: str, kind: str) -> ParameterDomain:
    bounds = validation.object_(validation.required(raw, "bounds"), f"bounds of {name}")
    check = _number_check(kind)
    low = check(validation.required(bounds, "min"), f"bounds.min of {name}")
    high = check(validation.required(bounds, "max"), f"bounds.max of {name}")
    if high - low < MIN_BOUNDS_WIDTH:
        raise bad_request(f"Parameter {name}: max must be greater than min, got {low} to {high}")
    return ParameterDomain(name, kind, low=low, high=high, log=_is_log(raw, name, low))


def _is_log(raw: dict[str, Any], name: str, low: float) -> bool:
    transformation = "none" if raw.get("transformation") is None else raw["transformation"]
    log = validation.one_of(transformation, ("none", "log"), f"transformation of {name}") == "log"
    if log and low <= 0:
        raise bad_request(f"Parameter {name}: a log transformation needs min above 0, got {low}")
    return log


def _categories(raw: dict[str, Any], name: str) -> tuple[str, ...]:
    values = validation.array(
        validation.required(raw, "categorical_values"), f"categorical_values of {name}"
    )
    names = tuple(
        validation.name(
            value.get("name") if isinstance(value, dict) else value,
            f"categorical value of {name}",
            MAX_CATEGORY_LENGTH,
        )
        for value in values
    )
    _check_distinct(names, f"categorical values of {name}")
    if len(names) < 2:
        raise bad_request(
            f"Parameter {name} needs at least 2 categorical values, got {len(names)}"
        )
    return names


def _gridded(raw: dict[str, Any], name: str, kind: str) -> ParameterDomain:
    """A parameter with a grid, whose bounds are the least and the largest value of that."""
    values = validation.array(raw["grid"], f"grid of {name}")
    if raw.get("bounds") is not None:
        raise bad_request(f"Parameter {name}: the grid gives the bounds, so leave bounds out")
    check = _number_check(kind)
    numbers = tuple(sorted(check(value, f"grid of {name}") for value in values))
    _check_distinct(numbers, f"grid values of {name}")
    if len(numbers) < 2:
        raise bad_request(
            f"Parameter {name}: the grid needs at least 2 values, got {len(numbers)}"
        )
    return ParameterDomain(name, kind, grid=numbers, log=_is_log(raw, name, numbers[0]))


def _number_check(kind: str) -> Callable[[Any, str], float]:
    """Checks a bound or a grid value of a numeric parameter."""
    limit = MAX_INT if kind == "int" else MAX_DOUBLE

    def check(value: Any, what: str) -> float:
        number = (validation.integer if kind == "int" else validation.number)(value, what)
        if abs(number) > limit:
            raise bad_request(
                f"Invalid value for {what}: {validation.show(value)}, the embedded engine takes "
                f"{kind} values from {-limit:g} to {limit:g}"
            )
        return number

    return check


def _with_required_budget(experiment: ExperimentDescription) -> ExperimentDescription:
    several = len(experiment.optimized) > 1
    if experiment.observation_budget is None and (several or experiment.limited):
        raise bad_request(
            f"{budget_key(experiment.runs_only)} is required for experiments with constraint "
            "metrics or more than one optimized metric"
        )
    return experiment


def _with_grid_budget(experiment: ExperimentDescription) -> ExperimentDescription:
    """A grid's budget is the number of its combinations, and no other can be asked for."""
    without = [p.name for p in experiment.parameters if not (p.grid or p.categories)]
    if without:
        raise bad_request(
            f"The grid of parameter {without[0]} is missing: a grid experiment needs one for "
            "every parameter that is not categorical"
        )
    size = Enumeration(experiment.search_space()).size
    if experiment.observation_budget not in (None, size):
        raise bad_request(
            f"{budget_key(experiment.runs_only)} is {experiment.observation_budget}, but this "
            f"grid has {size} points: leave it out"
        )
    return dataclasses.replace(experiment, observation_budget=size)


def _sorted_unique(items: list[_Named], what: str) -> tuple[_Named, ...]:
    _check_distinct([item.name for item in items], f"{what} names")
    return tuple(sorted(items, key=lambda item: item.name or ""))


def _check_distinct(values: Sequence[Any], what: str) -> None:
    repeated = sorted(str(value) for value, count in Counter(values).items() if count > 1)
    if repeated:
        raise bad_request(f"Duplicate {what}: {', '.join(repeated[:10])}")
