"""YAML run configurations: read, checked, and turned into typed values.

Every complaint names the file, the key as a dotted path and the line, because these files are
edited by hand.
"""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Callable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from nc_sigopt_benchmarks.config.run_config import (
    SIGOPT,
    CriterionConfig,
    DataConfig,
    ModelConfig,
    RunConfig,
    SessionConfig,
    StrategyConfig,
    TimingConfig,
    TuningConfig,
)
from nc_sigopt_strategy.errors import ConfigFileError, SettingsError
from nc_sigopt_strategy.hosts.inc.calibration import STOCK
from nc_sigopt_strategy.jobs.sigopt_settings import OWN_KEYS
from nc_sigopt_strategy.settings.settings import Settings

KeyPath = tuple[str | int, ...]
_Section = TypeVar("_Section")


def read_config(path: Path) -> RunConfig:
    """Read and check a run configuration.

    Raises:
        ConfigFileError: The file is missing, is not YAML, or a key or value in it is wrong.
    """
    values, lines = _parse(path)
    _check_schema(path, values, lines)
    return _build(path, values, lines)


def _parse(path: Path) -> tuple[dict[str, Any], Any]:
    """The values as plain Python objects, and the same tree with line numbers."""
    from ruamel.yaml import YAML
    from ruamel.yaml.constructor import DuplicateKeyError
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigFileError(
            f"The run configuration {path} cannot be read: {error}.",
            "Give the path of a YAML file; the ones of this project are in configs/.",
        ) from error
    try:
        lines = YAML(typ="rt").load(text)
        values = YAML(typ="safe", pure=True).load(text)
    except DuplicateKeyError as error:
        # Its own message holds both values, and one of them may be a token.
        found = re.match(r'found duplicate key "(.*?)" with value', str(error.problem))
        key = f"the key {found[1]!r}" if found else "a key"
        line = error.problem_mark.line + 1
        raise ConfigFileError(
            f"{path}, line {line}: not valid YAML: {key} is there twice.",
            "Leave one of the two.",
        ) from None
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f", line {mark.line + 1}" if mark is not None else ""
        raise ConfigFileError(
            f"{path}{where}: not valid YAML: {error.problem}.",
            "Check the indentation, the quotes and the colons around that line.",
        ) from error
    except YAMLError as error:
        raise ConfigFileError(f"{path}: not valid YAML: {error}.") from error
    if values is None:
        raise ConfigFileError(
            f"The run configuration {path} is empty.", "See configs/demo.yaml for a whole example."
        )
    if not isinstance(values, dict):
        raise ConfigFileError(
            f"{path}: the file holds {_kind(values)}, not a mapping of keys to values.",
            "See configs/demo.yaml for a whole example.",
        )
    return values, lines


def _check_schema(path: Path, values: dict[str, Any], lines: Any) -> None:
    from jsonschema import Draft202012Validator
    from jsonschema.validators import extend

    # JSON schema takes 130.0 for a whole number, Neural Compressor does not; and YAML has .nan.
    checker = Draft202012Validator.TYPE_CHECKER.redefine_many(
        {"integer": _is_whole, "number": _is_finite}
    )
    validator = extend(Draft202012Validator, type_checker=checker)
    text = resources.files(__package__).joinpath("config_schema.json").read_text("utf-8")
    problems = []
    for error in validator(json.loads(text)).iter_errors(values):
        key, fact, hint = _explain(error)
        problems.append((_line_of(lines, key), key, fact, hint))
    if problems:
        line, key, fact, hint = min(problems, key=lambda problem: problem[0])
        raise ConfigFileError(f"{path}, line {line}: {_dotted(key)} {fact}.", hint)


def _is_whole(checker: Any, value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_finite(checker: Any, value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer that no float can hold
        return False


def _explain(error: Any) -> tuple[KeyPath, str, str]:
    """Which key is wrong, what is wrong with it, and the way out."""
    key: KeyPath = tuple(error.absolute_path)
    rule, limit = error.validator, error.validator_value
    shown = _describe(error.instance)
    if rule == "additionalProperties":
        known = sorted(error.schema["properties"])
        unknown = next(name for name in error.instance if name not in known)
        return (*key, str(unknown)), "is not a known key", _suggest(str(unknown), known)
    if rule == "required":
        missing = next(name for name in limit if name not in error.instance)
        return (*key, missing), "is missing", "Add it; see configs/demo.yaml for an example."
    if rule == "enum":
        return key, f"is {shown}, which is not known", _suggest(str(error.instance), limit)
    if rule == "type":
        # A mapping that was written as text may hold a token.
        shown = _kind(error.instance) if limit in ("object", "array") else shown
        return key, f"is {shown}", f"It must be {_TYPE_NAMES[limit]}."
    if rule == "minimum":
        return key, f"is {shown}", f"The least that makes sense is {limit}."
    if rule == "pattern":
        hint = "Use letters, digits, dots, dashes and underscores: it becomes a folder's name."
        return key, f"is {shown}", hint
    return key, f"is {shown}", "It must not be empty."


_TYPE_NAMES = {
    "object": "a mapping of keys to values",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "number": "a finite number",
    "boolean": "true or false",
}


def _suggest(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    start = f"Did you mean {near[0]!r}? " if near else ""
    return f"{start}Known here: {', '.join(known)}."


def _describe(value: Any) -> str:
    kind = _kind(value)
    return kind if value is None or isinstance(value, (dict, list)) else f"{value!r} ({kind})"


def _kind(value: Any) -> str:
    if value is None:
        return "empty"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    kind = {bool: "true or false", int: "a number", float: "a number", str: "text"}
    return kind.get(type(value), type(value).__name__)


def _dotted(key: KeyPath) -> str:
    return ".".join(str(part) for part in key) or "the file"


def _line_of(lines: Any, key: KeyPath) -> int:
    """Line of a key, from 1; of the innermost part of the path that is there, if it is not."""
    line, node = 0, lines
    for part in key:
        try:
            line = (node.lc.item(part) if isinstance(part, int) else node.lc.key(part))[0]
            node = node[part]
        except (AttributeError, KeyError, IndexError, TypeError):
            break
    return line + 1


def _build(path: Path, values: dict[str, Any], lines: Any) -> RunConfig:
    """Typed values, with the rules that a schema cannot say."""

    def wrong(key: KeyPath, fact: str, hint: str) -> ConfigFileError:
        return ConfigFileError(
            f"{path}, line {_line_of(lines, key)}: {_dotted(key)} {fact}.", hint
        )

    def relative(text: str) -> Path:
        return (path.parent / Path(text).expanduser()).resolve()

    model, data = dict(values.get("model", {})), dict(values.get("data", {}))
    _check_model_and_data(model, data, wrong)
    criterion = _typed(CriterionConfig, values.get("accuracy_criterion", {}))
    if criterion.criterion == "relative" and criterion.tolerable_loss >= 1:
        hint = "It is a share: write 0.01 for one per cent."
        key: KeyPath = ("accuracy_criterion", "tolerable_loss")
        raise wrong(key, f"is {criterion.tolerable_loss}, which every model meets", hint)
    strategies: list[StrategyConfig] = []
    for position, entry in enumerate(values["strategies"]):
        label = entry.get("label", entry["name"])
        if any(label == other.label for other in strategies):
            hint = "Give one of the two a label of its own."
            raise wrong(("strategies", position), f"is the second one called {label!r}", hint)
        if label == "fp32":
            hint = "Choose another: the results table has a row of that name for reference."
            raise wrong(("strategies", position, "label"), "is 'fp32'", hint)
        kwargs = entry.get("strategy_kwargs", {})
        if entry["name"] == SIGOPT and "calibration" in entry:
            hint = "Write it under strategy_kwargs; exact is the default there."
            raise wrong(("strategies", position, "calibration"), "is given to sigopt", hint)
        _check_strategy_kwargs(entry["name"], kwargs, position, wrong)
        calibration = entry.get("calibration", STOCK)
        budget = {key: entry.get(key) for key in ("timeout", "max_trials")}
        strategies.append(StrategyConfig(entry["name"], label, kwargs, calibration, **budget))
    for mapping, name in ((model, "path"), (data, "python"), (data, "path"), (data, "labels")):
        if name in mapping:
            mapping[name] = relative(mapping[name])
    model["session"] = SessionConfig(**model.get("session", {}))
    for name in ("inputs", "outputs"):
        model[name] = tuple(model.get(name, ()))
    return RunConfig(
        path=path,
        strategies=tuple(strategies),
        name=values.get("name", path.stem),
        model=_typed(ModelConfig, model),
        data=_typed(DataConfig, data),
        accuracy_criterion=criterion,
        tuning=_typed(TuningConfig, values.get("tuning", {})),
        timing=_typed(TimingConfig, values.get("timing", {})),
        output=Path(values.get("output", "runs")).expanduser(),
    )


def _check_model_and_data(
    model: Mapping[str, Any],
    data: Mapping[str, Any],
    wrong: Callable[[KeyPath, str, str], ConfigFileError],
) -> None:
    """Refuse keys that another key's value makes meaningless, and miss those that it needs."""
    source, own_data = model.get("source", "auto"), data.get("source", "auto")
    if source == "path" and "path" not in model:
        hint = "Name the file or the folder of the model."
        raise wrong(("model", "path"), "is missing", hint)
    if source == "path" and str(model["path"]).endswith(".pb"):
        for needed in ("inputs", "outputs"):
            if needed not in model:
                hint = "A frozen graph does not say which of its ops they are: list them."
                raise wrong(("model", needed), "is missing", hint)
    for key in ("path", "inputs", "outputs"):
        if source != "path" and key in model:
            hint = "Set model.source to 'path' to tune a model of your own, or drop the key."
            raise wrong(("model", key), f"is given although model.source is {source!r}", hint)
    if source in ("keras", "path") and own_data == "auto" and "python" not in data:
        hint = "Set it to imagenet or imagenette, or name your own Python file in data.python."
        raise wrong(("data", "source"), f"is missing, and model.source is {source!r}", hint)
    if own_data != "auto" and "python" in data:
        hint = "Your Python file brings its own data: leave one of the two out."
        raise wrong(("data", "source"), "is given beside data.python", hint)
    if data.get("held_out_images") and "python" in data:
        hint = "Only the images that nc-sigopt loads itself can be held out: drop one of the two."
        raise wrong(("data", "held_out_images"), "is given beside data.python", hint)
    if own_data == "imagenet" and "path" not in data:
        hint = "Name the folder of the images; ImageNet cannot be downloaded without an account."
        raise wrong(("data", "path"), "is missing", hint)
    for key in ("path", "labels"):
        if key in data and own_data not in ("imagenet", "imagenette"):
            hint = "It is for data.source imagenet (or imagenette): set that, or drop the key."
            raise wrong(("data", key), f"is given although data.source is {own_data!r}", hint)
    if model.get("format") != "onnx" and not str(model.get("path", "")).endswith(".onnx"):
        for key in ("quant_format", "session"):
            if key in model:
                hint = "Set model.format to onnx, or drop the key."
                raise wrong(("model", key), "is given for a TensorFlow model", hint)


def _typed(section: type[_Section], values: Mapping[str, Any]) -> _Section:
    """A section as its dataclass; YAML's ``1`` becomes ``1.0`` where a float is meant."""
    types = get_type_hints(section)
    return section(**{k: float(v) if types[k] is float else v for k, v in values.items()})


def _check_strategy_kwargs(
    name: str,
    kwargs: Mapping[str, Any],
    position: int,
    wrong: Callable[[KeyPath, str, str], ConfigFileError],
) -> None:
    place: KeyPath = ("strategies", position, "strategy_kwargs")
    for key in map(str, kwargs):
        if key in OWN_KEYS:
            hint = "Leave it out: the run folder and the terminal decide it."
            raise wrong((*place, key), "is set by nc-sigopt itself", hint)
        # Neural Compressor prints and keeps the strategy_kwargs of its own strategies.
        if name != SIGOPT and (key.startswith("sigopt_") or key == "storage"):
            hint = "Only the sigopt strategy takes it: leave it out here, or correct the name."
            raise wrong((*place, key), f"is given to the strategy {name!r}", hint)
    if name != SIGOPT:
        return
    try:
        settings = Settings.from_kwargs(kwargs)
    except SettingsError as error:
        raise wrong(place, f"cannot be used: {error.fact.rstrip('.')}", error.hint) from error
    # Imported only here: with the engine comes Optuna, which is slow to import and has to say
    # something in a notebook.
    if settings.sigopt_experiment_id is None:
        return
    from nc_sigopt_strategy.client.connections import names_no_store

    if names_no_store(settings):
        hint = "Add storage: each run has a store of its own unless told otherwise."
        key = "sigopt_experiment_id"
        raise wrong((*place, key), "is given without the store that it is in", hint)
