"""Rules of a run configuration that a schema cannot say, and what follows from what is given."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from nc_sigopt_benchmarks.config.choices import check_choices
from nc_sigopt_benchmarks.config.places import KeyPath, Places
from nc_sigopt_benchmarks.config.rivals import INC, RIVALS
from nc_sigopt_benchmarks.config.run_config import (
    SIGOPT,
    CriterionConfig,
    RunConfig,
    RunFile,
    StrategyConfig,
)
from nc_sigopt_strategy.errors import SettingsError
from nc_sigopt_strategy.jobs.sigopt_settings import OWN_KEYS
from nc_sigopt_strategy.settings.settings import Settings

# A key, what is wrong with it, and the way out.
Complaint = tuple[KeyPath, str, str]
_SUFFIXES = (".onnx", ".pb", ".keras", ".h5")


def whole_config(file: RunFile, values: Mapping[str, Any], places: Places) -> RunConfig:
    """The run configuration, with what follows from the rest.

    Args:
        file: What it says, each value by itself as it must be.
        values: The same as it is written: what is not there was not given.
        places: Where it stands.

    Raises:
        ConfigFileError: Values do not go together, or a strategy's settings are wrong.
    """
    said = _said_by_path(values.get("model", {}))
    model = {**said, **values.get("model", {})}
    for key, fact, hint in _complaints(model, values.get("data", {})):
        raise places.wrong(key, fact, hint)
    for position in range(len(file.strategies)):
        _check_strategy(file.strategies, position, values["strategies"][position], places)
    _check_criterion(file.accuracy_criterion, places)
    _check_deployment(file, "deployment" in values, places)
    inferred: dict[str, Any] = {key: value for key, value in said.items() if model[key] == value}
    return RunConfig(
        path=places.path, **{**vars(file), "model": dataclasses.replace(file.model, **inferred)}
    )


def _said_by_path(model: Mapping[str, Any]) -> dict[str, str]:
    """What a model's path says: that it is one of the user's own, its name and its format."""
    if "path" not in model or model.get("source", "path") != "path":
        return {}
    path = Path(model["path"])
    # A folder's name may have a dot in it; a SavedModel's is a whole name.
    said = {"source": "path", "name": path.stem if path.suffix in _SUFFIXES else path.name}
    if path.suffix.lower() == ".onnx":
        said["format"] = "onnx"
    return said


def _check_criterion(criterion: CriterionConfig, places: Places) -> None:
    if criterion.criterion == "relative" and criterion.tolerable_loss >= 1:
        raise places.wrong(
            ("accuracy_criterion", "tolerable_loss"),
            f"is {criterion.tolerable_loss}, which every model meets",
            "It is a share: write 0.01 for one per cent.",
        )


def _check_strategy(
    strategies: Sequence[StrategyConfig],
    position: int,
    given: Collection[str],
    places: Places,
) -> None:
    """Refuse what does not go with a strategy, or with those before it."""
    strategy = strategies[position]
    place: KeyPath = ("strategies", position)
    if any(strategy.label == other.label for other in strategies[:position]):
        hint = "Give one of the two a label of its own."
        raise places.wrong(place, f"is the second one called {strategy.label!r}", hint)
    if strategy.label == "fp32":
        hint = "Choose another: the results table has a row of that name for reference."
        raise places.wrong((*place, "label"), "is 'fp32'", hint)
    if strategy.name == SIGOPT and "calibration" in given:
        hint = "Write it under strategy_kwargs; fitted is the default there."
        raise places.wrong((*place, "calibration"), "is given to sigopt", hint)
    kwargs = strategy.strategy_kwargs
    _check_strategy_kwargs(strategy.name, kwargs, (*place, "strategy_kwargs"), places)
    if strategy.name != SIGOPT and strategy.host is not None:
        hint = "Only sigopt has a choice of hosts: drop the key."
        raise places.wrong((*place, "host"), f"is given to {strategy.name!r}", hint)
    at_home = strategy.name not in RIVALS and strategy.host in (None, INC)
    if strategy.environment is not None and at_home:
        hint = "It is for rivals, and for sigopt with a host of its own: drop the key."
        raise places.wrong((*place, "environment"), f"is given to {strategy.name!r}", hint)


def _check_deployment(file: RunFile, given: bool, places: Places) -> None:
    """Refuse the section where there is one framework, and speeds that are relative to nothing."""
    if not file.across_runtimes:
        if given:
            hint = "It is for comparisons across runtimes: list a rival or a host, or drop it."
            raise places.wrong(("deployment",), "is given, and there is one framework", hint)
        return
    models = [s.label for s in file.strategies if s.name in RIVALS and RIVALS[s.name].fp32]
    if not models:
        hint = f"List one of {', '.join(name for name in RIVALS if RIVALS[name].fp32)}."
        fact = "have no FP32 model that speeds could be relative to"
        raise places.wrong(("strategies",), fact, hint)
    reference = file.deployment.reference
    if reference not in (None, *models):
        hint = f"Name one of the FP32 models listed: {', '.join(models)}."
        raise places.wrong(("deployment", "reference"), f"is {reference!r}, which is none", hint)


def _complaints(model: Mapping[str, Any], data: Mapping[str, Any]) -> Iterator[Complaint]:
    """Keys that another key's value makes meaningless, and those that it needs."""
    yield from _model_complaints(model)
    yield from _source_complaints(model, data)
    yield from _image_complaints(data)
    yield from _framework_complaints(model)


def _model_complaints(model: Mapping[str, Any]) -> Iterator[Complaint]:
    source = model.get("source", "auto")
    if source == "path" and "path" not in model:
        hint = "Name the file or the folder of the model."
        yield ("model", "path"), "is missing", hint
    if source == "path" and str(model["path"]).endswith(".pb"):
        for needed in ("inputs", "outputs"):
            if needed not in model:
                hint = "A frozen graph does not say which of its ops they are: list them."
                yield ("model", needed), "is missing", hint
    for key in ("path", "inputs", "outputs"):
        if source != "path" and key in model:
            hint = "Set model.source to 'path' to tune a model of your own, or drop the key."
            yield ("model", key), f"is given although model.source is {source!r}", hint


def _source_complaints(model: Mapping[str, Any], data: Mapping[str, Any]) -> Iterator[Complaint]:
    source, own_data = model.get("source", "auto"), data.get("source", "auto")
    if source in ("keras", "path") and own_data == "auto" and "python" not in data:
        hint = "Set it to imagenet or imagenette, or name your own Python file in data.python."
        yield ("data", "source"), f"is missing, and model.source is {source!r}", hint
    if own_data != "auto" and "python" in data:
        hint = "Your Python file brings its own data: leave one of the two out."
        yield ("data", "source"), "is given beside data.python", hint
    if data.get("held_out_images") and "python" in data:
        hint = "Only the images that nc-sigopt loads itself can be held out: drop one of the two."
        yield ("data", "held_out_images"), "is given beside data.python", hint


def _image_complaints(data: Mapping[str, Any]) -> Iterator[Complaint]:
    own_data = data.get("source", "auto")
    if own_data == "imagenet" and "path" not in data:
        hint = "Name the folder of the images; ImageNet cannot be downloaded without an account."
        yield ("data", "path"), "is missing", hint
    for key in ("path", "labels"):
        if key in data and own_data not in ("imagenet", "imagenette"):
            hint = "It is for data.source imagenet (or imagenette): set that, or drop the key."
            yield ("data", key), f"is given although data.source is {own_data!r}", hint


def _framework_complaints(model: Mapping[str, Any]) -> Iterator[Complaint]:
    if model.get("format") == "onnx" or str(model.get("path", "")).endswith(".onnx"):
        return
    for key in ("quant_format", "session"):
        if key in model:
            hint = "Set model.format to onnx, or drop the key."
            yield ("model", key), "is given for a TensorFlow model", hint


def _check_strategy_kwargs(
    name: str, kwargs: Mapping[str, Any], place: KeyPath, places: Places
) -> None:
    for key in map(str, kwargs):
        if key in OWN_KEYS:
            hint = "Leave it out: the run folder and the terminal decide it."
            raise places.wrong((*place, key), "is set by nc-sigopt itself", hint)
        # Neural Compressor prints and keeps the strategy_kwargs of its own strategies.
        if name != SIGOPT and (key.startswith("sigopt_") or key == "storage"):
            hint = "Only the sigopt strategy takes it: leave it out here, or correct the name."
            raise places.wrong((*place, key), f"is given to the strategy {name!r}", hint)
    if name != SIGOPT and name not in RIVALS:
        return
    try:
        if name in RIVALS:
            check_choices(name, kwargs, RIVALS[name].choices)
            return
        settings = Settings.from_kwargs(kwargs)
    except SettingsError as error:
        place = place if error.key is None else (*place, str(error.key))
        raise places.wrong(
            place, f"cannot be used: {error.fact.rstrip('.')}", error.hint
        ) from error
    # Imported only here: with the engine comes Optuna, which is slow to import and has to say
    # something in a notebook.
    if settings.sigopt_experiment_id is None:
        return
    from nc_sigopt_strategy.client.connections import names_no_store

    if names_no_store(settings):
        hint = "Add storage: each run has a store of its own unless told otherwise."
        key = "sigopt_experiment_id"
        raise places.wrong((*place, key), "is given without the store that it is in", hint)
