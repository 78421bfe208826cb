"""ONNX Runtime: quantize each weight once per granularity and type, not in every trial.

INC turns every weight into a Python list and back in each trial (adaptor/ox_utils/quantizer.py,
INC 2.6 and 3.7.1), which is most of what a trial of ResNet50 costs once calibration is paid for.
What it leaves behind are a few tensors in the model and a note in a table; both are kept and put
there again.
"""

from __future__ import annotations

import copy
import hashlib
from dataclasses import dataclass
from typing import Any

from nc_sigopt_strategy.hosts.inc.calibration.reaches import Reach


@dataclass(frozen=True)
class _Quantized:
    """What quantizing one weight adds to INC's quantizer."""

    tensors: list[Any]
    value: Any
    names: tuple[str, str, str]


class QuantizedWeights:
    """The weights that were quantized so far, by content and by how they were quantized."""

    def __init__(self) -> None:
        self._per_channel: dict[tuple[Any, ...], _Quantized] = {}
        self._per_tensor: dict[tuple[Any, ...], Any] = {}
        # By identity of the objects in `_per_tensor`, which live as long as this.
        self._tensors_of: dict[int, list[Any]] = {}

    def reaches(self, quantizer: Any) -> list[Reach]:
        """What to replace in INC's class ``Quantizer``, each by a method of this object."""
        return [
            Reach(quantizer, "quantize_weight_per_channel", self.per_channel),
            Reach(quantizer, "_get_quantized_weight", self.per_tensor),
            Reach(quantizer, "_update_weight", self.update),
        ]

    def per_channel(
        self, real: Any, quantizer: Any, weight_name: str, qtype: Any, scheme: str, axis: int
    ) -> tuple[str, str, str]:
        """Quantize per channel; the names of the quantized weight, zero point and scale."""
        initializer = quantizer.model.get_initializer(weight_name)
        entry = None if initializer is None else _table_entry(quantizer, weight_name, qtype)
        if entry is None or entry in quantizer.quantized_value_map:
            return _names(real(quantizer, weight_name, qtype, scheme, axis))
        key = (*_key(quantizer, entry, initializer, qtype, scheme), axis)
        known = self._per_channel.get(key)
        if known is None:
            before = len(quantizer.model.initializer())
            names = _names(real(quantizer, weight_name, qtype, scheme, axis))
            tensors = _copies(quantizer.model.initializer()[before:])
            value = copy.copy(quantizer.quantized_value_map[entry])
            self._per_channel[key] = _Quantized(tensors, value, names)
            return names
        quantizer.model.initializer().extend(known.tensors)
        quantizer.quantized_value_map[entry] = copy.copy(known.value)
        return known.names

    def per_tensor(
        self, real: Any, quantizer: Any, initializer: Any, qtype: Any, scheme: str
    ) -> Any:
        """Quantize a whole weight with one scale; INC's object that describes the result."""
        entry = _table_entry(quantizer, initializer.name, qtype)
        if entry in quantizer.quantized_value_map:
            return real(quantizer, initializer, qtype, scheme)
        key = _key(quantizer, entry, initializer, qtype, scheme)
        if key not in self._per_tensor:
            weight = self._per_tensor[key] = real(quantizer, initializer, qtype, scheme)
            before = len(quantizer.model.initializer())
            quantizer._update_weight(weight)
            added = quantizer.model.initializer()[before:]
            self._tensors_of[id(weight)] = _copies(added)
            del quantizer.model.initializer()[before:]
            # From here on only the tensors are used. As lists, values take eight times their
            # size, and the initializer keeps the whole model alive.
            weight.data, weight.quantized_data, weight.initializer = [], [], None
        return self._per_tensor[key]

    def update(self, real: Any, quantizer: Any, weight: Any) -> None:
        """Add a quantized weight's tensors to the model."""
        tensors = self._tensors_of.get(id(weight))
        if tensors is None:
            real(quantizer, weight)
        elif weight.name not in quantizer.quantized_value_map:
            quantizer.model.initializer().extend(tensors)


def _key(quantizer: Any, entry: str, initializer: Any, qtype: Any, scheme: str) -> tuple[Any, ...]:
    return (
        entry,
        hashlib.sha256(initializer.SerializeToString(deterministic=True)).digest(),
        str(qtype),
        scheme,
        quantizer.reduce_range,
        quantizer.mode,
        quantizer.add_qdq_pair_to_weight,
    )


def _table_entry(quantizer: Any, weight_name: str, qtype: Any) -> str:
    """Under which name INC's quantizer notes a weight, so as not to quantize it twice."""
    shared = quantizer.model.get_initializer_share_num(weight_name) > 1
    return f"{weight_name}_{qtype}" if shared else weight_name


def _names(found: Any) -> tuple[str, str, str]:
    quantized, zero_point, scale = found
    return quantized, zero_point, scale


def _copies(tensors: Any) -> list[Any]:
    return [copy.deepcopy(tensor) for tensor in tensors]
