"""``TorchHost``: a module that PT2E quantizes and Inductor compiles."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
import torchao

from nc_sigopt_strategy.backends.torch import TorchBackend
from nc_sigopt_strategy.backends.torch_model import TorchModel
from nc_sigopt_strategy.errors import ModelError, SettingsError, in_one_line
from nc_sigopt_strategy.hosts.as_given import AsGiven
from nc_sigopt_strategy.hosts.given import Given
from nc_sigopt_strategy.hosts.given_host import GivenHost, HostOfGiven
from nc_sigopt_strategy.hosts.torch.calibrated import Quantizer, batches_through
from nc_sigopt_strategy.hosts.torch.eager import EagerToo
from nc_sigopt_strategy.hosts.torch.exported import export_module, given_module
from nc_sigopt_strategy.hosts.torch.named_ops import keys_of, quantizable_nodes
from nc_sigopt_strategy.hosts.torch.quantizer import prepared
from nc_sigopt_strategy.hosts.torch.reduced_precision import run_in_bf16
from nc_sigopt_strategy.hosts.torch.versions import require_torch
from nc_sigopt_strategy.settings.settings import Settings
from nc_sigopt_strategy.space.ops import Choices, Op, OpKey
from nc_sigopt_strategy.tuning.host import Baseline, Doing, Evaluation, Model

_INT8, _BF16, _FP32 = "int8", "bf16", "fp32"
# Capabilities of a processor, any of which multiplies bf16 in hardware.
_BF16_UNITS = ("avx512_bf16", "amx_bf16", "bf16")


class TorchHost(HostOfGiven):
    """A ``Host`` whose models are ``TorchModel`` objects.

    Every op that multiplies runs in int8, in bf16 where the processor has it, or in fp32. What a
    trial costs is mostly Inductor's compilation.

    Args:
        given: What the user hands over; the model is a ``torch.nn.Module``, or a program of
            ``torch.export`` or its path.
        settings: None of the runtimes' settings is for this host.

    Raises:
        MissingExtraError: PyTorch, torchao or a C++ compiler is missing.
        UnsupportedVersionError: PyTorch or torchao is too old.
        ModelError: The module cannot be exported, or is not one in float32 on the CPU.
        DataError: The first batch cannot be used.
        SettingsError: A setting is for another runtime.
    """

    def __init__(self, given: Given, settings: Settings) -> None:
        require_torch()
        _refuse_others_settings(settings)
        self.backend = TorchBackend()
        module = given_module(given.model)
        exported = export_module(given, module)
        self._original = exported.module
        self._form = exported.form
        self._nodes: Mapping[OpKey, str] = self._found_ops()
        self.fp32: Model = self._model(self._original)
        self.fingerprint = self.backend.fingerprint(self.fp32)
        self.notes: Sequence[str] = ()
        self._shared = GivenHost(given, self.backend, lambda: self._form.inputs, self.users_model)
        self._as_given = AsGiven(
            EagerToo(self._form), module, self._shared.loader, rewriter="torch.export"
        )
        self._quantizer = Quantizer(self._original, self._feed)

    def ops(self) -> Sequence[Op]:
        """See ``Host``; one op for each that multiplies."""
        floats = (_BF16, _FP32) if has_bf16() else (_FP32,)
        return [Op(key, (_INT8, *floats), _INT8) for key in self._nodes]

    def op_graph(self, ops: Sequence[OpKey]) -> dict[str, Any]:
        """See ``Host``."""
        return self.backend.op_graph(self.fp32, ops)

    def users_model(self, model: Model) -> Any:
        """The compiled model: called as the user's module is, with tensors."""
        return model.compiled()

    @contextlib.contextmanager
    def session(self, doing: Doing) -> Iterator[None]:
        """See ``Host``."""
        self._quantizer.doing = doing
        yield

    def check(self) -> None:
        """See ``Host``."""
        self._as_given.compare([self.fp32])

    def baseline(self) -> Baseline:
        """See ``Host``."""
        return self._shared.baseline(self.fp32)

    def quantize(self, choices: Choices) -> Model:
        """See ``Host``."""
        nodes = self._nodes_by_label(choices)
        module = self._original
        if len(nodes[_FP32]) == len(self._nodes):
            return self._model(module)
        floating = nodes[_BF16] + nodes[_FP32]
        module = self._quantizer.quantized(floating, choices.sampling_size)
        if nodes[_BF16]:
            run_in_bf16(module, nodes[_BF16])
        return self._model(module)

    def evaluate(self, model: Model) -> Evaluation:
        """See ``Host``; compiled before, so that what compiling takes is told apart."""
        begun = time.monotonic()
        batches = self.calibration_data().batches
        if batches:
            self.backend.open(model).run(batches[0])
        compiling = time.monotonic() - begun
        found = self._shared.evaluate(model)
        return Evaluation(found.accuracy, found.duration_seconds, compiling)

    def recipe(self, choices: Choices) -> Mapping[str, Any]:
        """What ``examples/recipes/rebuild_torch.py`` builds the same model of.

        Names are those of nodes of the graph that ``torch.export`` makes: ``floating`` of those
        that PT2E is to leave alone, ``bf16`` of those of them that compute in bfloat16.
        ``sampling_size`` inputs calibrate, 0: nothing is quantized.
        """
        nodes = self._nodes_by_label(choices)
        return {
            "floating": sorted(nodes[_BF16] + nodes[_FP32]),
            "bf16": sorted(nodes[_BF16]),
            "sampling_size": choices.sampling_size if nodes[_INT8] else 0,
            "versions": {"torch": torch.__version__, "torchao": torchao.__version__},
        }

    def calibration(self) -> Mapping[str, Any] | None:
        """See ``Host``."""
        return self._quantizer.used.as_dict()

    def reason(self, error: BaseException) -> str:
        """See ``Host``."""
        return self._shared.reason(error)

    def _model(self, module: torch.fx.GraphModule) -> TorchModel:
        return TorchModel(module, self._form, {key[0]: node for key, node in self._nodes.items()})

    def _nodes_by_label(self, choices: Choices) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {_INT8: [], _BF16: [], _FP32: []}
        for key, node in self._nodes.items():
            found[choices.labels[key]].append(node)
        return found

    def _found_ops(self) -> dict[OpKey, str]:
        try:
            found = keys_of(quantizable_nodes(prepared(self._original)))
        except Exception as error:  # torchao raises what it likes
            raise ModelError(f"PT2E cannot prepare the model: {in_one_line(error)}") from error
        if not found:
            kinds = sorted(
                {str(n.target) for n in self._original.graph.nodes if n.op == "call_function"}
            )
            raise ModelError(
                f"The module has no op that PT2E quantizes; its ops are {', '.join(kinds)}.",
                "Convolutions and linear layers are quantized.",
            )
        return found

    def _feed(self, observed: torch.fx.GraphModule, sampling_size: int) -> None:
        batches = self._shared.calibration_batches(sampling_size)
        batches_through(self._form.call, batches, observed)


def has_bf16() -> bool:
    """Whether the processor multiplies bf16 in hardware; ``False`` where torch does not say."""
    told: Mapping[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return any(told.get(unit) for unit in _BF16_UNITS)


def _refuse_others_settings(settings: Settings) -> None:
    for key, title in (
        ("openvino_properties", "OpenVINO"),
        ("onnxruntime_session_options", "ONNX Runtime"),
    ):
        value = getattr(settings, key)
        if value:
            raise SettingsError(
                f"{key} is {dict(value)!r}, and host='torch' compiles with torch.compile: that "
                f"setting is for {title}.",
                "Leave it out; threads are set with torch.set_num_threads.",
            )
