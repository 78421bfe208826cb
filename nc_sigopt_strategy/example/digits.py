"""``write_example``: a convolutional ONNX model that is made in a second, and its data.

Four convolutions with random filters, and a last layer that is fitted to what they make of 1,000
of scikit-learn's handwritten digits: random features serve well there (Saxe and others, On Random
Weights and Unsupervised Feature Learning, 2011). So nothing is downloaded, the accuracy is a real
one, and the convolutions are large enough for int8 to pay.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nc_sigopt_strategy.errors import ConfigFileError, needed
from nc_sigopt_strategy.files import write_whole

Array = npt.NDArray[Any]

SIDE = 16
# (filters, stride) of each convolution.
_CONVOLUTIONS = ((64, 1), (64, 1), (64, 1), (128, 2))
_FITTED_TO = 1000
# Of the ridge regression, for features of a variance near 1.
_RIDGE = 100.0
_FEATURES, _LOGITS = "features", "logits"


def write_example(path: str | os.PathLike[str]) -> tuple[Array, Array]:
    """Write a model that reads digits, and return digits that it was not fitted to.

    Args:
        path: Where the ONNX model goes; a file that is there is replaced.

    Returns:
        Images ``[797, 1, 16, 16]``, float32 from 0 to 1, and labels ``[797]`` from 0 to 9.

    Raises:
        ConfigFileError: The file cannot be written.
        MissingExtraError: onnx, onnxruntime or scikit-learn is not installed.
    """
    file = Path(path).expanduser()
    content = _model().SerializeToString()
    try:
        write_whole(file, content)
    except OSError as error:
        raise ConfigFileError(
            f"The example cannot be written to {file}: {error}.", "Name another place."
        ) from error
    return digits()


def digits() -> tuple[Array, Array]:
    """The digits that the model was not fitted to; see ``write_example``.

    Raises:
        MissingExtraError: scikit-learn is not installed.
    """
    images, labels = _all_digits()
    return images[_FITTED_TO:], labels[_FITTED_TO:]


def _all_digits() -> tuple[Array, Array]:
    datasets = needed("sklearn.datasets", "scikit-learn", what="The example")
    images, labels = datasets.load_digits(return_X_y=True)
    small = (images / 16).reshape(-1, 1, 8, 8).astype(np.float32)
    return np.kron(small, np.ones((SIDE // 8, SIDE // 8), np.float32)), labels


def _model() -> Any:
    """The ``ModelProto``, with its last layer."""
    images, labels = (values[:_FITTED_TO] for values in _all_digits())
    return _network(_ridge(_features(images), labels))


def _features(images: Array) -> Array:
    onnxruntime = needed(
        "onnxruntime", "nc_sigopt_strategy[onnxruntime]", what="Making the example"
    )
    session = onnxruntime.InferenceSession(
        _network().SerializeToString(), providers=["CPUExecutionProvider"]
    )
    found: Array = session.run(None, {"images": images})[0]
    return found.astype(np.float64)


def _ridge(features: Array, labels: Array) -> tuple[Array, Array]:
    """Weights ``[features, 10]`` and bias ``[10]`` of a ridge regression to one-hot labels."""
    centre, scale = features.mean(axis=0), features.std()
    inputs = (features - centre) / scale
    targets = np.eye(10)[labels] - 0.1
    # In its dual form: there are fewer images than features.
    kernel = inputs @ inputs.T + _RIDGE * np.eye(len(inputs))
    weights = inputs.T @ np.linalg.solve(kernel, targets) / scale
    return weights, 0.1 - centre @ weights


def _network(last: tuple[Array, Array] | None = None) -> Any:
    """The model; without its last layer it gives the features that this is fitted to."""
    onnx: Any = needed("onnx", "nc_sigopt_strategy[onnxruntime]", what="Making the example")
    make, rng = onnx.helper, np.random.default_rng(0)
    nodes, weights, value, channels = [], {}, "images", 1
    for place, (filters, stride) in enumerate(_CONVOLUTIONS):
        name, made = f"conv{place}", f"sums{place}"
        drawn = rng.normal(size=(filters, channels, 3, 3))
        # As large as keeps the variance behind a Relu (He and others, 2015).
        weights[f"{name}/filters"] = drawn * np.sqrt(2 / (9 * channels))
        fed = [value, f"{name}/filters"]
        nodes.append(make.make_node("Conv", fed, [made], name, pads=[1] * 4, strides=[stride] * 2))
        value, channels = f"active{place}", filters
        nodes.append(make.make_node("Relu", [made], [value], f"relu{place}"))
    halved = {"kernel_shape": [2, 2], "strides": [2, 2]}
    nodes.append(make.make_node("MaxPool", [value], ["pooled"], "pool", **halved))
    nodes.append(make.make_node("Flatten", ["pooled"], [_FEATURES], "flatten"))
    output = _FEATURES
    if last is not None:
        weights["last/weights"], weights["last/bias"] = last
        fed, output = [_FEATURES, "last/weights", "last/bias"], _LOGITS
        nodes.append(make.make_node("Gemm", fed, [_LOGITS], "last"))
    float32, tensor = onnx.TensorProto.FLOAT, make.make_tensor_value_info
    graph = make.make_graph(
        nodes,
        "digits",
        [tensor("images", float32, ["batch", 1, SIDE, SIDE])],
        [tensor(output, float32, ["batch", None if last is None else 10])],
        [
            onnx.numpy_helper.from_array(values.astype(np.float32), name)
            for name, values in weights.items()
        ],
    )
    # Old enough for every ONNX Runtime that this package works with.
    return make.make_model(graph, opset_imports=[make.make_opsetid("", 17)], ir_version=8)
