"""The model that a user gives, as ``openvino.Model``, and what speaks against quantizing it."""

from __future__ import annotations

import dataclasses
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov

from nc_sigopt_strategy.backends.openvino_core import the_core
from nc_sigopt_strategy.backends.openvino_properties import plain_words, version
from nc_sigopt_strategy.errors import DataError, MissingExtraError, ModelError, needed
from nc_sigopt_strategy.hosts.given import Given
from nc_sigopt_strategy.hosts.model_kind import IR, ONNX, PROGRAM, TORCH, kind_of_model
from nc_sigopt_strategy.hosts.openvino.names import give_stable_names
from nc_sigopt_strategy.hosts.openvino.onnx_copy import readable_copy
from nc_sigopt_strategy.hosts.openvino.quantized_already import refuse_quantized

logger = logging.getLogger("nc_sigopt_strategy")

_HALF = (ov.Type.f16, ov.Type.bf16)


@dataclass(frozen=True)
class Loaded:
    """A user's model as OpenVINO has it.

    Attributes:
        model: With names that are the same in every process.
        notes: What was changed before it was read, in sentences.
    """

    model: ov.Model
    notes: tuple[str, ...] = ()


def load_model(given: Given) -> Loaded:
    """The user's model; of an ONNX model that OpenVINO does not take as it is, a copy.

    Args:
        given: Holds it; PyTorch's modules are traced with the first batch of its data.

    Raises:
        ModelError: It cannot be read or converted, or is quantized already.
        DataError: There is no data to trace a PyTorch module with.
    """
    kind, what = kind_of_model(given.model), _named(given.model)
    try:
        return Loaded(_read(given, kind, what))
    except ModelError:
        copy = readable_copy(given.model) if kind == ONNX else None
        if copy is None:
            raise
    for note in copy.notes:
        logger.info("%s", note)
    return Loaded(_read(dataclasses.replace(given, model=copy.model), kind, what), copy.notes)


def _read(given: Given, kind: str, what: str) -> ov.Model:
    try:
        model = _converted(given, kind)
    except (ModelError, DataError, MissingExtraError):
        raise
    except Exception as error:  # each frontend has its own classes
        raise ModelError(
            f"OpenVINO {version()} cannot read {what}: {plain_words(error)}",
            "An op that it does not know, or a file that is incomplete, are the usual reasons; "
            "export the model anew, or choose another host.",
        ) from error
    refuse_quantized(model, what)
    _widen_weights(model)
    _refuse_half(model, what)
    give_stable_names(model)
    return model


def _converted(given: Given, kind: str) -> ov.Model:
    model = given.model
    if isinstance(model, ov.Model):
        return model.clone()
    if isinstance(model, (str, os.PathLike)):
        path = Path(model).expanduser()
        if kind in (IR, ONNX):
            return the_core().read_model(str(path))
        if kind == PROGRAM:
            return ov.convert_model(_program(path))
        return ov.convert_model(str(path), **_ends(given))
    if kind == ONNX:
        return the_core().read_model(_serialized(model))
    if kind == TORCH:
        # Imported late: PyTorch comes with it.
        from nc_sigopt_strategy.hosts.openvino.traced_module import traced_module

        return traced_module(model, given.calib_dataloader)
    return ov.convert_model(model, **_ends(given))


def _program(path: Path) -> Any:
    needed(
        "torch", "nc_sigopt_strategy[torch]", what="Reading a program of torch.export for OpenVINO"
    )
    # Imported late: PyTorch comes with it.
    from nc_sigopt_strategy.backends.torch_files import read_program

    return read_program(path)


def _ends(given: Given) -> dict[str, Any]:
    """Inputs and outputs, where a graph does not say which of its ops they are."""
    found: dict[str, Any] = {}
    if given.inputs:
        found["input"] = [_tensor(name) for name in given.inputs]
    if given.outputs:
        found["output"] = [_tensor(name) for name in given.outputs]
    return found


def _tensor(name: str) -> str:
    """OpenVINO wants tensors of a graph, where others are told the op."""
    return name if ":" in name else f"{name}:0"


def _serialized(model: Any) -> bytes:
    """An ONNX model that is in memory, whole."""
    if isinstance(model, (bytes, bytearray, memoryview)):
        return bytes(model)
    from nc_sigopt_strategy.backends.onnx_files import lacks_weights, load_weights

    if lacks_weights(model):
        load_weights(model, None, "The ONNX model")
    return bytes(model.SerializeToString())


def _widen_weights(model: ov.Model) -> None:
    """Put float32 in the place of weights that are kept in half precision to save space.

    OpenVINO would run an op that reads them in half precision, whatever it is told to keep.
    """
    for node in model.get_ops():
        if node.get_type_name() != "Convert" or node.get_element_type() != ov.Type.f32:
            continue
        source = node.input_value(0).get_node()
        if source.get_type_name() == "Constant" and source.get_element_type() in _HALF:
            wide = np.asarray(source.get_data(dtype=np.float32))
            constant = ov.op.Constant(wide, shared_memory=False)
            constant.set_friendly_name(node.get_friendly_name())
            node.output(0).replace(constant.output(0))


def _refuse_half(model: ov.Model, what: str) -> None:
    """Weights in half precision are widened as they are read; computing in it is refused."""
    for node in model.get_ops():
        if node.get_type_name() in ("Constant", "Convert", "Result", "Parameter"):
            continue
        if any(output.get_element_type() in _HALF for output in node.outputs()) and not (
            _constant_only(node)
        ):
            raise ModelError(
                f"{what} computes in {node.output(0).get_element_type().get_type_name()} (the "
                f"first op that does is {node.get_friendly_name()!r}), and FP32 is what accuracy "
                "is judged by.",
                "Export it in float32; OpenVINO chooses the types that it runs in.",
            )


def _constant_only(node: Any) -> bool:
    return all(v.get_node().get_type_name() == "Constant" for v in node.input_values())


def _named(model: Any) -> str:
    if isinstance(model, (str, os.PathLike)):
        return os.fspath(model)
    return f"The given {type(model).__name__}"
