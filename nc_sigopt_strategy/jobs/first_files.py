"""The files that somebody who has a model begins with: its data in Python, a run configuration."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from nc_sigopt_strategy.backends.model_inputs import ModelInput
from nc_sigopt_strategy.errors import ConfigFileError
from nc_sigopt_strategy.example.digits import write_example
from nc_sigopt_strategy.files import write_whole
from nc_sigopt_strategy.hosts.file_inputs import file_inputs
from nc_sigopt_strategy.hosts.model_kind import FROZEN, kind_of_model, name_of_model
from nc_sigopt_strategy.jobs.editor_schema import SCHEMA_FILE, pointer_to, schema_text

PIPELINE_FILE = "pipeline.py"
EXAMPLE_FILE = "digits.onnx"
# Where a model leaves the number open.
_BATCH = 20

_PIPELINE = '''"""Data and evaluation of {model}.

    {command}

The model takes:
{inputs}
"""

import numpy as np

from nc_sigopt_strategy import predictor
{imports}
BATCH = {batch}  # {batch_reason}


def load(part):
    """Inputs and labels of one part of your data: "calibration" (100 will do) or "evaluation".

    Inputs that the model's users will send: preprocessed as in deployment, and others for
    evaluation than for calibration. Of n inputs:
{shapes}
    """
{loading}


def batches(part):
    """Batch after batch, as the model takes them."""
    inputs, labels = load(part)
    for start in range(0, {stop}, BATCH):
        chosen = slice(start, start + BATCH)
        yield {sliced}, labels[chosen]


class Loader:
    """Calibrates, and latency is measured on its first batch; starts afresh each time."""

    batch_size = BATCH

    def __iter__(self):
        return batches("calibration")


calib_dataloader = Loader()


def eval_func(model):
    """A score of each input, batch by batch; their mean is the accuracy, higher is better.

    It is called for every model that is tried, and ended once a model cannot meet the bound any
    more: so the inputs have to be in no particular order. A metric that is no mean of scores (F1,
    mAP) is returned as one number instead.
    """
    predict = predictor(model)  # runs models of every runtime; gives a list of outputs
    for inputs, labels in batches("evaluation"):
        answers = predict(inputs)[0]
        yield answers.argmax(axis=-1) == labels{metric}
'''

_TODO = """    raise NotImplementedError("TODO: load your own data here")
    return {example}, labels"""

# What stands in its place for the example, whose data are at hand.
_IMPORT_OF_DIGITS = "from nc_sigopt_strategy.example.digits import digits\n"
_DIGITS = """    images, labels = digits()
    chosen = slice(100) if part == "calibration" else slice(100, None)
    return images[chosen], labels[chosen]"""

_CONFIGURATION = """# A run configuration of {model}, for the harness (pip install ./benchmarks):
#   nc-sigopt tune {file}        the sigopt strategy alone
#   nc-sigopt compare {file}     all strategies listed, side by side, on one page
# Without the harness: {command}
name: {name}

model:
  path: {model}               # where it lies, from this file on
{ends}
data:
  python: pipeline.py       # defines calib_dataloader and eval_func

accuracy_criterion:
  criterion: relative       # or absolute: in units of the metric
  tolerable_loss: 0.01      # 1 % of FP32's accuracy
  higher_is_better: true

tuning:
  timeout: 600              # seconds for each strategy
  max_trials: 500           # whichever is reached first
  seed: 0

strategies:
  - name: sigopt
    # strategy_kwargs:      # any setting, see docs/guide/settings.md
    #   search_space: full
  # - name: basic           # Neural Compressor's own, to compare with

output: runs
"""


def write_example_files(folder: Path, *, overwrite: bool = False) -> list[Path]:
    """Write the example's model, ``digits.onnx``, and the same files for it, complete.

    Args:
        folder: Where they go.
        overwrite: Whether files that are there may be replaced.

    Returns:
        What was written, the model first.

    Raises:
        ConfigFileError: A file is there already, or cannot be written.
        MissingExtraError: A package that the example is made with is not installed.
    """
    model = folder / EXAMPLE_FILE
    others = (folder / PIPELINE_FILE, folder / f"{name_of_model(model)}.yaml")
    _refuse_existing((model, *others), overwrite=overwrite)
    write_example(model)
    return [model, *write_first_files(model, folder, overwrite=overwrite, is_example=True)]


def write_first_files(
    model: Path, folder: Path, *, overwrite: bool = False, is_example: bool = False
) -> list[Path]:
    """Write ``pipeline.py`` and ``<model>.yaml`` with the model's own input names and shapes.

    Where the harness is installed, which reads such YAML files, its JSON schema goes beside them:
    editors complete and check by it.

    Args:
        model: The model.
        folder: Where they go.
        overwrite: Whether files that are there may be replaced.
        is_example: Whether it is ``write_example``'s model, whose data ``pipeline.py`` can load.

    Returns:
        What was written.

    Raises:
        ConfigFileError: A file is there already, or cannot be written.
        ModelError: The model cannot be read.
        MissingExtraError: The framework that reads it is not installed.
    """
    inputs = file_inputs(model)
    name = name_of_model(model)
    texts = {
        folder / PIPELINE_FILE: _pipeline(model, inputs, is_example=is_example),
        folder / f"{name}.yaml": _configuration(model, folder, inputs),
    }
    schema = schema_text()
    if schema is not None:
        texts[folder / f"{name}.yaml"] = pointer_to(SCHEMA_FILE) + texts[folder / f"{name}.yaml"]
    _refuse_existing(texts, overwrite=overwrite)
    if schema is not None:
        # The same for every model, and nobody edits it: an old one may be replaced.
        texts[folder / SCHEMA_FILE] = schema
    try:
        return [write_whole(path, text) for path, text in texts.items()]
    except OSError as error:
        raise ConfigFileError(
            f"The files cannot be written to {folder}: {error}.",
            "Name another folder with --output.",
        ) from error


def _refuse_existing(paths: Iterable[Path], *, overwrite: bool) -> None:
    for path in paths:
        if path.exists() and not overwrite:
            raise ConfigFileError(
                f"{path} is there already.", "Move it away, or let it be replaced with --force."
            )


def _command(model: Path, inputs: Sequence[ModelInput]) -> str:
    ends = ""
    if kind_of_model(model) == FROZEN:
        ends = f" --inputs {','.join(known.name for known in inputs)} --outputs NAMES"
    return f"nc-sigopt tune {model} --data {PIPELINE_FILE} --timeout 10m --loss 1%{ends}"


def _pipeline(model: Path, inputs: Sequence[ModelInput], *, is_example: bool) -> str:
    # An axis of any length in the first place is the batch's.
    first = inputs[0].shape if inputs else None
    fixed = first[0] if first else None
    names = [_variable(known.name, place) for place, known in enumerate(inputs)]
    if len(inputs) == 1:
        example, sliced = names[0], "inputs[chosen]"
    else:
        pairs = zip(inputs, names, strict=True)
        example = "{" + ", ".join(f'"{known.name}": {name}' for known, name in pairs) + "}"
        sliced = "{name: values[chosen] for name, values in inputs.items()}"
    return _PIPELINE.format(
        model=model.name,
        command=_command(model, inputs),
        inputs="\n".join(f"    {known.name}: {known.describe()}" for known in inputs),
        batch=fixed or _BATCH,
        batch_reason="the model's own" if fixed else "inputs in a batch; latency is of one batch",
        # A model with a batch of its own cannot take what is left over at the end.
        stop="len(labels) - BATCH + 1" if fixed else "len(labels)",
        shapes="\n".join(
            f"        {name}: an array, {_of_n(known)}"
            for name, known in zip(names, inputs, strict=True)
        ),
        imports=_IMPORT_OF_DIGITS if is_example else "",
        loading=_DIGITS if is_example else _TODO.format(example=example),
        metric="" if is_example else "  # TODO: your own metric",
        sliced=sliced,
    )


def _configuration(model: Path, folder: Path, inputs: Sequence[ModelInput]) -> str:
    ends = ""
    if kind_of_model(model) == FROZEN:
        listed = ", ".join(known.name for known in inputs)
        ends = f"  inputs: [{listed}]\n  outputs: []               # a frozen graph does not say\n"
    try:
        place = model.absolute().relative_to(folder.absolute())
    except ValueError:
        place = model.absolute()
    name = name_of_model(model)
    return _CONFIGURATION.format(
        model=place, file=f"{name}.yaml", name=name, command=_command(model, inputs), ends=ends
    )


def _of_n(known: ModelInput) -> str:
    if not known.shape:
        return known.describe()
    rest = ("?" if size is None else str(size) for size in known.shape[1:])
    kind = "of any type" if known.dtype is None else known.dtype.name
    return f"{kind} [{', '.join(('n', *rest))}]"


def _variable(name: str, place: int) -> str:
    found = re.sub(r"\W+", "_", name.split(":")[0]).strip("_").lower()
    taken = keyword.iskeyword(found) or found in ("labels", "part", "n")
    return found if found.isidentifier() and not taken else f"input_{place}"
