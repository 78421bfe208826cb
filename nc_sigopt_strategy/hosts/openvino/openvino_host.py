"""``OpenVinoHost``: a model that NNCF quantizes and OpenVINO runs."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from nc_sigopt_strategy.backends.backend import Array
from nc_sigopt_strategy.backends.openvino import OpenVinoBackend, OpenVinoModel
from nc_sigopt_strategy.backends.openvino_graph import (
    graph_nodes,
    inferred_shapes,
    openvino_inputs,
)
from nc_sigopt_strategy.backends.openvino_ir import Ir
from nc_sigopt_strategy.backends.openvino_properties import BF16, F16, F32
from nc_sigopt_strategy.errors import ModelError
from nc_sigopt_strategy.hosts.as_given import AsGiven
from nc_sigopt_strategy.hosts.given import Given
from nc_sigopt_strategy.hosts.given_host import GivenHost, HostOfGiven
from nc_sigopt_strategy.hosts.openvino.calibrated import Quantizer
from nc_sigopt_strategy.hosts.openvino.choosing import restored_nodes, with_restored
from nc_sigopt_strategy.hosts.openvino.float_types import FloatTypes
from nc_sigopt_strategy.hosts.openvino.given_model import load_model
from nc_sigopt_strategy.hosts.openvino.group_graph import group_graph
from nc_sigopt_strategy.hosts.openvino.groups import Group, find_groups
from nc_sigopt_strategy.hosts.openvino.single_inputs import are_single_inputs, row_of
from nc_sigopt_strategy.hosts.openvino.versions import require_openvino
from nc_sigopt_strategy.measurement.batches import batch_length
from nc_sigopt_strategy.settings.settings import Settings
from nc_sigopt_strategy.space.ops import Choices, Op, OpKey
from nc_sigopt_strategy.tuning.host import Baseline, Doing, Evaluation, Model

_INT8 = "int8"
# OpenVINO's words for types to the labels of choices.
_LABELS = {BF16: "bf16", F16: "fp16", F32: "fp32"}


class OpenVinoHost(HostOfGiven):
    """A ``Host`` whose models are ``OpenVinoModel`` objects.

    Every op runs in int8 or as a float. The float is bf16 or fp32, op by op: the model is compiled
    for bf16, and ops in fp32 are marked to keep their type. Ops that OpenVINO does not let keep it
    (MatMul with constant weights, as of 2026.4) are offered bf16 only. Where the user's properties
    fix the precision, or the processor has no bf16, there is one float type.

    Args:
        given: What the user hands over.
        settings: Of these the field ``openvino_properties`` counts.

    Raises:
        MissingExtraError: OpenVINO or NNCF is not installed.
        UnsupportedVersionError: One of them is too old.
        ModelError: The model cannot be read or converted, or is quantized already.
        SettingsError: OpenVINO does not know a property, or refuses its value.
    """

    def __init__(self, given: Given, settings: Settings) -> None:
        require_openvino()
        self.backend = OpenVinoBackend(settings.openvino_properties)
        loaded = load_model(given)
        self._original = loaded.model
        # Filled when groups are found, for the models that are there by then as well.
        self._parts: dict[str, str] = {}
        self.fp32: Model = OpenVinoModel(self._original, F32, self._parts)
        self.fingerprint = self.backend.fingerprint(self.fp32)
        self.notes: Sequence[str] = loaded.notes
        self._inputs = openvino_inputs(self._original)
        self._shared = GivenHost(given, self.backend, lambda: self._inputs, self.users_model)
        self._as_given = AsGiven(self.backend, self.fp32, self._shared.loader, rewriter="OpenVINO")
        self._quantizer = Quantizer(self._original, self._items)

    def ops(self) -> Sequence[Op]:
        """See ``Host``; one op for each group that is int8 or float together.

        Raises:
            ModelError: There is nothing to quantize, or NNCF cannot do it.
        """
        return self._ops

    def op_graph(self, ops: Sequence[OpKey]) -> dict[str, Any]:
        """See ``Host``; of groups."""
        nodes = graph_nodes(self._original)
        return group_graph(nodes, inferred_shapes(self._original), self._groups, ops)

    def users_model(self, model: Model) -> Any:
        """The model compiled with the properties of the run, an ``openvino.CompiledModel``."""
        return model.compiled(self.backend.properties)

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
        labels = {name: label for (name, _), label in choices.labels.items()}
        if set(labels.values()) == {_LABELS[F32]}:
            return OpenVinoModel(self._original.clone(), F32, self._parts)
        quantized = self._original
        if _INT8 in labels.values():
            quantized = self._quantizer.quantized(choices.sampling_size)
        names = restored_nodes(self._original, self._floating(labels))
        ir = Ir.of(with_restored(quantized, self._original, names))
        if len(self._floats) > 1:
            ir = ir.keeping_precision(self._float_types.in_f32(labels))
        return OpenVinoModel(ir.model(), self._floats[0], self._parts)

    def evaluate(self, model: Model) -> Evaluation:
        """See ``Host``."""
        return self._shared.evaluate(model)

    def recipe(self, choices: Choices) -> Mapping[str, Any]:
        """What ``examples/recipes/rebuild_openvino.py`` builds the same model of.

        Names are those of the model after ``hosts.openvino.names.give_stable_names``:
        ``ignored_scope`` of the ops that are float, ``restored`` of the nodes that read again what
        they read before, ``keep_precision`` of the ops that keep f32. ``nncf`` and ``subset_size``
        (0: nothing is quantized) are for ``nncf.quantize``, ``items`` says whether single
        ``inputs`` or ``batches`` calibrate, and ``properties`` are for ``compile_model``.
        """
        labels = {name: label for (name, _), label in choices.labels.items()}
        all_fp32 = set(labels.values()) == {_LABELS[F32]}
        floating = self._floating(labels)
        marked = len(self._floats) > 1 and not all_fp32
        count = self._item_count(choices.sampling_size) if _INT8 in labels.values() else 0
        return {
            "ignored_scope": [name for group in floating for name in group.ops],
            "restored": restored_nodes(self._original, floating),
            "keep_precision": sorted(self._float_types.in_f32(labels)) if marked else [],
            "nncf": self._quantizer.options,
            "subset_size": count,
            "items": "inputs" if self._is_split else "batches",
            "properties": self.backend.properties.of(F32 if all_fp32 else self._floats[0]),
        }

    def calibration(self) -> Mapping[str, Any] | None:
        """See ``Host``."""
        return self._quantizer.used.as_dict()

    def reason(self, error: BaseException) -> str:
        """See ``Host``."""
        return self._shared.reason(error)

    def _floating(self, labels: Mapping[str, str]) -> list[Group]:
        return [group for group in self._groups if labels[group.key[0]] != _INT8]

    @cached_property
    def _groups(self) -> Sequence[Group]:
        self.calibration_data()  # which says what is wrong with the data
        structure = self._quantizer.structure(max(self.sampling_sizes()))
        groups = find_groups(structure, self._original)
        if not groups:
            kinds = sorted({node.get_type_name() for node in self._original.get_ops()})
            raise ModelError(
                "The model has no op that NNCF quantizes; its ops are of the types "
                f"{', '.join(kinds)}.",
                "Convolutions and multiplications of matrices by constant weights are quantized.",
            )
        self._parts |= {name: group.key[0] for group in groups for name in group.members}
        return groups

    @cached_property
    def _ops(self) -> Sequence[Op]:
        floats = {_LABELS[word] for word in self._floats if word in _LABELS}
        return [self._op(group, floats) for group in self._groups]

    def _op(self, group: Group, floats: set[str]) -> Op:
        labels = [_INT8, *(label for label in _LABELS.values() if label in floats)]
        if len(floats) > 1 and group.key[0] not in self._keep_f32:
            labels.remove(_LABELS[F32])
        return Op(group.key, tuple(labels), _INT8)

    @cached_property
    def _floats(self) -> Sequence[str]:
        return self.backend.properties.floats

    @cached_property
    def _float_types(self) -> FloatTypes:
        return FloatTypes(self._original, self._groups)

    @cached_property
    def _keep_f32(self) -> set[str]:
        """Main ops of groups that run in f32 in a model for bf16 if they are marked."""
        every = dict.fromkeys((group.key[0] for group in self._groups), _LABELS[F32])
        ir = Ir.of(self._original).keeping_precision(self._float_types.in_f32(every))
        marked = OpenVinoModel(ir.model(), self._floats[0])
        ran = self.backend.ran_as(marked, [name for group in self._groups for name in group.ops])
        return {
            group.key[0]
            for group in self._groups
            if all(ran.get(name) in (None, _LABELS[F32]) for name in group.ops)
        }

    @cached_property
    def _is_split(self) -> bool:
        """Whether inputs can be fed one by one, which gives NNCF the ranges of each."""
        free = all(
            known.shape is not None and known.shape[:1] == (None,) for known in self._inputs
        )
        first = next(iter(self._shared.calibration_batches(1)), None) if free else None
        if first is None:
            return free
        # Compiled for this alone: where a run fails, OpenVINO's next one may get its shapes.
        tried = OpenVinoModel(self._original, F32)
        session = self.backend.open(tried)
        try:
            return are_single_inputs(session, first)
        finally:
            session.close()
            tried.release()

    def _items(self, sampling_size: int) -> Iterator[Mapping[str, Array]]:
        """What the model takes at once, for so many inputs: one input, or a batch of its size."""
        left = sampling_size
        for batch in self._shared.calibration_batches(sampling_size):
            if not self._is_split:
                yield batch
                continue
            for row in range(min(batch_length(batch), left)):
                yield row_of(batch, row)
                left -= 1

    def _item_count(self, sampling_size: int) -> int:
        if self._is_split:
            return sampling_size
        first = next(iter(self._shared.calibration_batches(1)), None)
        return math.ceil(sampling_size / (batch_length(first) if first else 1))
