"""Frozen TensorFlow graphs as files: read, checked, and asked for the shape of what they take."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nc_sigopt_strategy.errors import ModelError, needed

Shape = tuple[int | None, ...]

# Where a model does not say how large its images are.
USUAL_IMAGE_SIZE = 224
_WANTED = (
    "Give a frozen TensorFlow graph (.pb), the folder of a SavedModel, a Keras file (.h5, .keras) "
    "or an ONNX model (.onnx)."
)


def op_name(tensor_or_op: str) -> str:
    """The op of a tensor name: ``input:0`` and ``input`` both give ``input``."""
    return tensor_or_op.split(":", 1)[0]


def check_frozen_graph(path: Path, needed: Sequence[str] = ()) -> Any:
    """Make sure that ``path`` holds a frozen TensorFlow graph with the ops ``needed``.

    Returns:
        The graph, as a ``GraphDef``.

    Raises:
        ModelError: It does not; the message says what is there instead.
        MissingExtraError: TensorFlow is not installed.
    """
    graph_def = _read(path)
    check_has_ops(graph_def, needed, path)
    return graph_def


def check_has_ops(graph_def: Any, needed: Iterable[str], path: Path) -> None:
    """Make sure that a graph has these ops.

    Raises:
        ModelError: It lacks one; the message names its placeholders and its last op.
    """
    names = {node.name for node in graph_def.node}
    for name in map(op_name, needed):
        if name not in names:
            ends = [node.name for node in graph_def.node if node.op == "Placeholder"]
            raise ModelError(
                f"The model {path} has no op {name!r}.",
                f"Its placeholders are {', '.join(ends) or 'none'} and its last op is "
                f"{graph_def.node[-1].name!r}; correct model.inputs or model.outputs.",
            )


def check_has_no_variables(graph_def: Any, path: Path) -> None:
    """Make sure that the weights are in the graph itself.

    Raises:
        ModelError: It reads variables, whose values are in another file.
    """
    for node in graph_def.node:
        if node.op in ("VarHandleOp", "VariableV2", "Variable"):
            raise ModelError(
                f"The graph {path} is not frozen: {node.name!r} is a variable, whose value is in "
                "another file.",
                "Freeze it, or give the folder of the SavedModel that it belongs to.",
            )


def static_shape(graph_def: Any, op: str) -> Shape | None:
    """Shape of an op's first output, as TensorFlow infers it; ``None`` where it cannot."""
    import tensorflow as tf

    graph = tf.Graph()
    with graph.as_default():
        tf.import_graph_def(graph_def, name="")
    shape = graph.get_tensor_by_name(f"{op_name(op)}:0").shape
    return None if shape.rank is None else tuple(shape.as_list())


def sample_batch(graph_def: Any, op: str, images: int = 4) -> npt.NDArray[Any]:
    """A batch of noise that a placeholder takes, the same each time.

    Floats are in [-1, 1], integers in 0..255; unknown sides of images are 224.
    """
    import tensorflow as tf

    node = next(node for node in graph_def.node if node.name == op_name(op))
    shape = static_shape(graph_def, op) or (None, None, None, 3)
    sizes = (shape[0] or images, *(size or USUAL_IMAGE_SIZE for size in shape[1:]))
    dtype = tf.as_dtype(node.attr["dtype"].type).as_numpy_dtype
    rng = np.random.default_rng(0)
    if np.issubdtype(dtype, np.floating):
        return rng.uniform(-1, 1, sizes).astype(dtype)
    return rng.integers(0, 256, sizes).astype(dtype)


def _read(path: Path) -> Any:
    # Before TensorFlow is imported, which takes seconds.
    if not path.exists():
        raise ModelError(f"The model {path} does not exist.", "Correct the path of the model.")
    if path.is_dir():
        raise ModelError(f"The model {path} is a folder.", _WANTED)
    tensorflow = needed(
        "nc_sigopt_strategy.backends.tensorflow",
        "nc_sigopt_strategy[tensorflow]",
        what="A frozen graph",
    )
    try:
        return tensorflow.read_graph_def(path)
    except ModelError as error:
        raise ModelError(error.fact, error.hint or _WANTED) from error
