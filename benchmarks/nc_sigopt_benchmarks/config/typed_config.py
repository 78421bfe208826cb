"""Checked values of a run configuration as typed ones, with the rules that a schema cannot say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from nc_sigopt_benchmarks.config.choices import check_choices
from nc_sigopt_benchmarks.config.places import KeyPath, Places
from nc_sigopt_benchmarks.config.rivals import INC, RIVALS
from nc_sigopt_benchmarks.config.run_config import (
    SIGOPT,
    CriterionConfig,
    DataConfig,
    DeploymentConfig,
    ModelConfig,
    RunConfig,
    SessionConfig,
    StrategyConfig,
    TimingConfig,
    TuningConfig,
)
from nc_sigopt_strategy.errors import SettingsError
from nc_sigopt_strategy.jobs.sigopt_settings import OWN_KEYS
from nc_sigopt_strategy.settings.choices import STOCK
from nc_sigopt_strategy.settings.settings import Settings

# A key, what is wrong with it, and the way out.
Complaint = tuple[KeyPath, str, str]
_Section = TypeVar("_Section")
_SUFFIXES = (".onnx", ".pb", ".keras", ".h5")


def typed_config(values: Mapping[str, Any], places: Places) -> RunConfig:
    """The run configuration.

    Args:
        values: Of the file; they fit the schema.
        places: Where they stand.

    Raises:
        ConfigFileError: Values do not go together, or a strategy's settings are wrong.
    """
    model, data = _inferred(values.get("model", {})), dict(values.get("data", {}))
    for key, fact, hint in _model_and_data_complaints(model, data):
        raise places.wrong(key, fact, hint)
    strategies = _strategies(values["strategies"], places)
    return RunConfig(
        path=places.path,
        strategies=strategies,
        name=values.get("name", places.path.stem),
        model=_model(model, places),
        data=_typed(DataConfig, _located(data, ("python", "path", "labels"), places)),
        accuracy_criterion=_criterion(values.get("accuracy_criterion", {}), places),
        tuning=_typed(TuningConfig, values.get("tuning", {})),
        timing=_typed(TimingConfig, values.get("timing", {})),
        deployment=_deployment(values.get("deployment"), strategies, places),
        output=Path(values.get("output", "runs")).expanduser(),
    )


def _inferred(model: Mapping[str, Any]) -> dict[str, Any]:
    """With what a model's path says: that it is one of the user's own, its name and its format."""
    if "path" not in model or model.get("source", "path") != "path":
        return dict(model)
    path = Path(model["path"])
    # A folder's name may have a dot in it; a SavedModel's is a whole name.
    said = {"source": "path", "name": path.stem if path.suffix in _SUFFIXES else path.name}
    if path.suffix.lower() == ".onnx":
        said["format"] = "onnx"
    return {**said, **model}


def _model(values: Mapping[str, Any], places: Places) -> ModelConfig:
    model = _located(values, ("path",), places)
    model["session"] = SessionConfig(**model.get("session", {}))
    for name in ("inputs", "outputs"):
        model[name] = tuple(model.get(name, ()))
    return _typed(ModelConfig, model)


def _located(values: Mapping[str, Any], names: tuple[str, ...], places: Places) -> dict[str, Any]:
    """With the paths under these names, which start at the configuration's folder."""
    paths = {
        name: (places.path.parent / Path(values[name]).expanduser()).resolve()
        for name in names
        if name in values
    }
    return {**values, **paths}


def _criterion(values: Mapping[str, Any], places: Places) -> CriterionConfig:
    criterion = _typed(CriterionConfig, values)
    if criterion.criterion == "relative" and criterion.tolerable_loss >= 1:
        raise places.wrong(
            ("accuracy_criterion", "tolerable_loss"),
            f"is {criterion.tolerable_loss}, which every model meets",
            "It is a share: write 0.01 for one per cent.",
        )
    return criterion


def _strategies(entries: list[dict[str, Any]], places: Places) -> tuple[StrategyConfig, ...]:
    strategies: list[StrategyConfig] = []
    for position, entry in enumerate(entries):
        label = entry.get("label", entry["name"])
        place: KeyPath = ("strategies", position)
        if any(label == other.label for other in strategies):
            hint = "Give one of the two a label of its own."
            raise places.wrong(place, f"is the second one called {label!r}", hint)
        if label == "fp32":
            hint = "Choose another: the results table has a row of that name for reference."
            raise places.wrong((*place, "label"), "is 'fp32'", hint)
        if entry["name"] == SIGOPT and "calibration" in entry:
            hint = "Write it under strategy_kwargs; exact is the default there."
            raise places.wrong((*place, "calibration"), "is given to sigopt", hint)
        kwargs = entry.get("strategy_kwargs", {})
        _check_strategy_kwargs(entry["name"], kwargs, (*place, "strategy_kwargs"), places)
        if entry["name"] != SIGOPT and "host" in entry:
            hint = "Only sigopt has a choice of hosts: drop the key."
            raise places.wrong((*place, "host"), f"is given to {entry['name']!r}", hint)
        further = {key: entry.get(key) for key in ("timeout", "max_trials", "host")}
        environment = _environment(entry, place, places)
        calibration = entry.get("calibration", STOCK)
        strategies.append(
            StrategyConfig(
                entry["name"], label, kwargs, calibration, environment=environment, **further
            )
        )
    return tuple(strategies)


def _environment(entry: Mapping[str, Any], place: KeyPath, places: Places) -> Path | None:
    """The Python of a strategy; not resolved, since an environment's Python is a link."""
    if "environment" not in entry:
        return None
    if entry["name"] not in RIVALS and entry.get("host") in (None, INC):
        hint = "It is for rivals, and for sigopt with a host of its own: drop the key."
        raise places.wrong((*place, "environment"), f"is given to {entry['name']!r}", hint)
    return places.path.parent.absolute() / Path(entry["environment"]).expanduser()


def _deployment(
    values: Mapping[str, Any] | None, strategies: tuple[StrategyConfig, ...], places: Places
) -> DeploymentConfig:
    """The section, of which a comparison in one framework has none."""
    across = any(s.name in RIVALS or s.host is not None for s in strategies)
    if not across:
        if values is not None:
            hint = "It is for comparisons across runtimes: list a rival or a host, or drop it."
            raise places.wrong(("deployment",), "is given, and there is one framework", hint)
        return DeploymentConfig()
    given: dict[str, Any] = dict(values or {})
    if "latency_batch_sizes" in given:
        given["latency_batch_sizes"] = tuple(given["latency_batch_sizes"])
    deployment = DeploymentConfig(**given)
    models = [s.label for s in strategies if s.name in RIVALS and RIVALS[s.name].fp32]
    if not models:
        hint = f"List one of {', '.join(name for name in RIVALS if RIVALS[name].fp32)}."
        fact = "have no FP32 model that speeds could be relative to"
        raise places.wrong(("strategies",), fact, hint)
    if deployment.reference not in (None, *models):
        hint = f"Name one of the FP32 models listed: {', '.join(models)}."
        key = ("deployment", "reference")
        raise places.wrong(key, f"is {deployment.reference!r}, which is none", hint)
    return deployment


def _model_and_data_complaints(
    model: Mapping[str, Any], data: Mapping[str, Any]
) -> Iterator[Complaint]:
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


def _typed(section: type[_Section], values: Mapping[str, Any]) -> _Section:
    """A section as its dataclass; YAML's ``1`` becomes ``1.0`` where a float is meant."""
    types = get_type_hints(section)
    return section(**{k: float(v) if types[k] is float else v for k, v in values.items()})


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
