"""What speaks against tuning a PyTorch module, seen before or after it was traced."""

from __future__ import annotations

from typing import Any

import torch

from nc_sigopt_strategy.backends.torch_graph import kind_of_node
from nc_sigopt_strategy.errors import ModelError

_OTHER_FLOATS = (torch.float16, torch.bfloat16, torch.float64)
# Where layers and tensors come from that are quantized, and what their ops are called.
_QUANTIZED_LAYERS = ("torch.ao.nn.quantized.", "torch.ao.nn.intrinsic.quantized.", "torchao.")
_QUANTIZED_OPS = ("quantized_decomposed", "torchao.", "quantized.")
# Ops that do something else in training, and where their arguments say so.
_TRAINS = {torch.ops.aten.batch_norm.default: 5, torch.ops.aten.dropout.default: 2}
_GIVE_FP32 = "Give the FP32 module that it was made from."


def refuse_unsuitable(module: Any, what: str) -> None:
    """Check what a module is made of.

    Args:
        module: The user's.
        what: It in words, as a sentence begins.

    Raises:
        ModelError: It is quantized already, without weights, on another device than the CPU, or
            computes in another type than float32.
    """
    for name, part in module.named_modules():
        if _full_name(type(part)).startswith(_QUANTIZED_LAYERS):
            kind = type(part).__name__
            raise ModelError(
                f"{what} is quantized already: {name or 'it'} is a quantized {kind}.", _GIVE_FP32
            )
    for name, value in (*module.named_parameters(), *module.named_buffers()):
        _refuse_tensor(name, value, what)
    for name, value in module.named_parameters():
        _refuse_type(name, value, what, _OTHER_FLOATS)
    for name, value in module.named_buffers():
        # A table in float64 may be cast before anything multiplies by it.
        _refuse_type(name, value, what, _OTHER_FLOATS[:2])


def refuse_torchscript(module: Any, what: str) -> None:
    """Check that a module is one of Python's, which ``torch.export`` can trace.

    Raises:
        ModelError: It is TorchScript.
    """
    if isinstance(module, torch.jit.ScriptModule):
        raise ModelError(
            f"{what} is TorchScript, which torch.export does not take.",
            "Give the module that it was scripted or traced from; host='openvino' reads it.",
        )


def refuse_unsuitable_graph(graph: torch.fx.GraphModule, what: str) -> None:
    """Check what a module does, traced.

    Raises:
        ModelError: It trains, as a program does for ever that was exported while its module was
            training; or it computes in bf16 by itself, or is quantized already.
    """
    for node in graph.graph.nodes:
        if node.op != "call_function":
            continue
        position = _TRAINS.get(node.target)
        if position is not None and len(node.args) > position and node.args[position] is True:
            raise ModelError(
                f"{what} trains while it evaluates: its {kind_of_node(node)} ({node.name}) does.",
                "A program is to be exported of module.eval(); in a forward, F.dropout and "
                "F.batch_norm take training=self.training.",
            )
        if "autocast" in str(node.target):
            raise ModelError(
                f"{what} uses torch.autocast in its forward, and FP32 is what accuracy is judged "
                "by.",
                "Leave it out; which ops run in bf16 is found by tuning.",
            )
        if str(node.target).startswith(_QUANTIZED_OPS) or "fake_quantize" in str(node.target):
            raise ModelError(f"{what} is quantized already.", _GIVE_FP32)


def _refuse_tensor(name: str, value: Any, what: str) -> None:
    if torch.nn.parameter.is_lazy(value):
        raise ModelError(
            f"{what} does not know the shape of {name} yet: it is lazy.",
            "Call it once on a batch, load its weights, and give it then.",
        )
    if value.device.type == "meta":
        raise ModelError(
            f"{what} has no weights: {name} is on the device meta.",
            "Make it on the CPU, module.to_empty(device='cpu'), and load its weights.",
        )
    if value.device.type != "cpu":
        raise ModelError(
            f"{what} is on the device {value.device} ({name} is), and models are tuned for "
            "the CPU.",
            "Give module.cpu().",
        )
    if value.is_quantized or _full_name(type(value.data)).startswith(_QUANTIZED_LAYERS):
        raise ModelError(
            f"{what} is quantized already: {name} is a {type(value.data).__name__}.", _GIVE_FP32
        )


def _refuse_type(name: str, value: Any, what: str, refused: tuple[Any, ...]) -> None:
    if value.dtype in refused:
        raise ModelError(
            f"{what} computes in {value.dtype} ({name} is of it), and FP32 is what accuracy "
            "is judged by.",
            "Give it in float32 (module.float()); which ops run in bf16 is found by tuning.",
        )


def _full_name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"
