"""Landscapes of real models: what was recorded of them, continued by a fitted surrogate."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nc_sigopt_benchmarks.research.landscapes.design import ONLY_INT8
from nc_sigopt_benchmarks.research.landscapes.landscape import (
    Choices,
    Landscape,
    MeasurementError,
    Values,
)
from nc_sigopt_benchmarks.research.landscapes.landscape_file import (
    RecordedFile,
    read_landscape_file,
)
from nc_sigopt_benchmarks.research.landscapes.latency_fit import AdditiveLatency
from nc_sigopt_benchmarks.research.landscapes.profiles import profiled_models
from nc_sigopt_benchmarks.research.landscapes.surrogate import Readings, Surrogate, fit_surrogate
from nc_sigopt_benchmarks.research.landscapes.surrogate_optimum import surrogate_optimum

FAMILY = "recorded"
# Behind an assumed accuracy, as many as in ImageNet's whole validation set.
_ASSUMED_IMAGES = 50000
# What an op takes at least, as a share of an even share of the default int8 model's latency.
_LEAST_SHARE = 0.1


def recorded_landscape(path: Path, batch_size: int) -> Landscape:
    """The landscape of a recorded file at one batch size.

    Latencies are ratios to the default int8 model's. A model that was recorded without accuracy
    has an assumed one, which its name says.

    Raises:
        DataError: There is no such file, it is not a landscape, or the batch size was not
            recorded.
        NoOptimumError: No configuration is accurate enough.
    """
    recorded = read_landscape_file(path)
    readings = Readings.of(recorded, batch_size)
    return landscape_of(recorded, readings, fit_surrogate(recorded, readings), batch_size)


def landscape_of(
    recorded: RecordedFile, readings: Readings, surrogate: Surrogate, batch_size: int
) -> Landscape:
    """The landscape of a surrogate that is fitted already."""
    header, curve = recorded.header, surrogate.accuracy
    parameters = recorded.parameters
    bound = curve.baseline * (1 - float(header["relative_bound"]))
    default = [
        values.index(label)
        for values, label in zip(parameters.values(), header["default"], strict=True)
    ]
    assumed = ", assumed accuracy" if curve.assumed else ""
    error = MeasurementError(latency=readings.latency_error)
    measured = _measured_singles(recorded)
    return Landscape(
        name=f"{header['model']}, {header['framework']}, batch {batch_size}{assumed}",
        family=FAMILY,
        # Ops that only add noise together are what additive models cannot see.
        assumptions_hold=not surrogate.noise.groups,
        parameters=parameters,
        op_graph=header["op_graph"],
        default=np.array(default),
        latency=surrogate.latency,
        output_noise=surrogate.noise,
        accuracy=lambda choices: curve(surrogate.noise(choices)),
        baseline_accuracy=curve.baseline,
        bound=bound,
        images=images_behind(readings, surrogate, bound, int(header["images"]["evaluation"])),
        error=error if measured is None else dataclasses.replace(error, probe=0.0),
        probed_noise=measured,
        noise_limit=curve.noise_at(bound),
        op_latency=_op_latencies(surrogate.latency, header["op_graph"], default, list(parameters)),
        profiles=_measured_profiles(recorded, batch_size),
        optimum=surrogate_optimum(surrogate, bound),
    )


def _measured_profiles(recorded: RecordedFile, batch_size: int) -> dict[tuple[int, ...], Values]:
    """Value positions of whole models to the share of each op; those of a run, or none at all."""
    parameters = recorded.parameters
    wanted = profiled_models(parameters, tuple(recorded.header["default"]))
    found = {
        profile.labels: np.array(profile.shares, float)
        for profile in recorded.profiles
        if profile.batch_size == batch_size
    }
    if any(labels not in found for labels in wanted.values()):
        return {}
    return {
        tuple(row.index(label) for row, label in zip(parameters.values(), labels, strict=True)): (
            found[labels]
        )
        for labels in wanted.values()
    }


def _measured_singles(recorded: RecordedFile) -> Callable[[Choices], Values] | None:
    """The noises of single ops as they were recorded; ``None`` where any is missing.

    Measured ones have the true error of a probe: ops together do not add up to them exactly.
    """
    labels = list(recorded.parameters.values())
    known = {
        tuple(row.index(label) for row, label in zip(labels, found.labels, strict=True)): noise
        for found in recorded.rows
        if found.origin.startswith(ONLY_INT8) and (noise := found.output_noise) is not None
    }
    if len(known) < len(labels):
        return None
    return lambda choices: np.array([known[tuple(choice)] for choice in choices.tolist()])


def _op_latencies(
    latency: AdditiveLatency, op_graph: Mapping[str, Any], default: list[int], names: list[str]
) -> tuple[Values, ...]:
    """What each op takes in each value, shape (values,).

    A surrogate knows differences between values only. What an op takes in its default is put at
    the share of the ratio that its outputs and multiply-adds have.
    """
    rows = {row["name"]: row for row in op_graph["parameters"]}
    shares = np.zeros(len(names))
    for size in ("multiply_adds", "output_elements"):
        known = np.array([float((rows.get(name) or {}).get(size) or 0.0) for name in names])
        shares += 0.5 * known / (known.sum() or 1.0)
    found = []
    for values, v, share in zip(latency.unary, default, shares, strict=True):
        found.append(np.maximum(values - values[v] + share, _LEAST_SHARE / len(names)))
    return tuple(found)


def images_behind(readings: Readings, surrogate: Surrogate, bound: float, evaluated: int) -> int:
    """How many images an accuracy of the landscape is measured on.

    All configurations are evaluated on the same images, so that their accuracies scatter less
    around the curve than independent samples would: it is the number with which those scatter as
    much.
    """
    if readings.accuracies is None:
        return _ASSUMED_IMAGES
    near = np.abs(readings.accuracies - bound) < 0.02
    if not near.any():
        return evaluated
    missed = readings.accuracies[near] - surrogate.accuracy(readings.noises[near])
    variance = max(float(np.mean(missed**2)), 1e-8)
    return max(evaluated, round(bound * (1 - bound) / variance))
