"""Models of the user's own, from a path."""

from __future__ import annotations

from pathlib import Path

from nc_sigopt_benchmarks.config.run_config import ModelConfig
from nc_sigopt_benchmarks.models.benchmark_model import (
    CHANNELS_FIRST,
    CHANNELS_LAST,
    BenchmarkModel,
)
from nc_sigopt_benchmarks.models.frozen_graphs import (
    USUAL_IMAGE_SIZE,
    Shape,
    check_frozen_graph,
    check_has_no_variables,
    op_name,
    static_shape,
)
from nc_sigopt_benchmarks.models.keras_weights import freeze_keras_file
from nc_sigopt_benchmarks.models.model_formats import cached_frozen, onnx_ends
from nc_sigopt_benchmarks.models.model_kinds import FROZEN, KERAS, ONNX, SAVED_MODEL, kind_of
from nc_sigopt_benchmarks.models.saved_models import freeze_saved_model
from nc_sigopt_strategy.errors import ModelError


def given_model(config: ModelConfig) -> BenchmarkModel:
    """The model at ``config.path``: frozen or ONNX; other kinds are frozen first.

    Raises:
        ModelError: No model can be had from that path; the message says what is there instead.
    """
    if config.path is None:
        raise ModelError("The model's source is 'path', but no path is given.", "Set model.path.")
    path = source = config.path
    kind = kind_of(path)
    given_inputs, given_outputs = (
        tuple(map(op_name, names)) for names in (config.inputs, config.outputs)
    )
    if kind == ONNX:
        inputs, outputs, shapes = onnx_ends(path)
        _check_onnx_names(path, config, inputs, outputs)
        return _given(config, path, inputs, outputs, shapes[0], shapes[len(inputs)], ONNX)
    if kind == FROZEN:
        if not given_inputs or not given_outputs:
            raise ModelError(
                f"{path} is a frozen graph, which does not say what its inputs and outputs are.",
                "Set model.inputs and model.outputs.",
            )
        inputs, outputs = given_inputs, given_outputs
    elif kind == SAVED_MODEL:
        path, inputs, outputs = cached_frozen(source, lambda: freeze_saved_model(source))
    elif kind == KERAS:
        path, inputs, outputs = cached_frozen(
            path, lambda: freeze_keras_file(source, config.name), key=config.name
        )
    inputs, outputs = given_inputs or inputs, given_outputs or outputs
    graph_def = check_frozen_graph(path, (*inputs, *outputs))
    check_has_no_variables(graph_def, path)
    ends = static_shape(graph_def, inputs[0]), static_shape(graph_def, outputs[0])
    return _given(config, path, inputs, outputs, *ends, kind)


def _given(
    config: ModelConfig,
    path: Path,
    inputs: tuple[str, ...],
    outputs: tuple[str, ...],
    input_shape: Shape | None,
    output_shape: Shape | None,
    kind: str,
) -> BenchmarkModel:
    classes = output_shape[-1] if output_shape else None
    image = input_shape if input_shape and len(input_shape) == 4 else (None,) * 4
    # (batch, height, width, channels) or, of PyTorch's, (batch, channels, height, width).
    channels_first = image[1] in (1, 3) and image[3] not in (1, 3)
    side = image[2]
    return BenchmarkModel(
        name=config.name,
        source="path",
        description=f"Accuracy is that of the given model {config.path} on the configured data.",
        path=path,
        inputs=inputs,
        outputs=outputs,
        framework="onnxruntime" if kind == ONNX else "tensorflow",
        format=ONNX if kind == ONNX else "frozen",
        preprocessing="caffe" if config.name == "resnet50_v1" else "tf",
        image_size=side or USUAL_IMAGE_SIZE,
        # With a class for the background, as TensorFlow's own models have it.
        label_offset=1 if classes == 1001 else 0,
        classes=classes,
        layout=CHANNELS_FIRST if channels_first else CHANNELS_LAST,
    )


def _check_onnx_names(
    path: Path, config: ModelConfig, inputs: tuple[str, ...], outputs: tuple[str, ...]
) -> None:
    for key, names, there in (
        ("inputs", config.inputs, inputs),
        ("outputs", config.outputs, outputs),
    ):
        for name in names:
            if name not in there:
                raise ModelError(
                    f"The model {path} has no {key[:-1]} {name!r}; it has {', '.join(there)}.",
                    f"Correct model.{key}, or leave it out: an ONNX model says what they are.",
                )
