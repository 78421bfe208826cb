"""Keep large constants out of a TensorFlow graph while INC rewrites it.

INC's passes copy the whole graph some 80 times a trial and turn each constant into text to find
equal ones; with ResNet50's 100 MB of weights that is most of the time. Here a large constant is
replaced by a tensor of the same type and shape that holds no values but a number, in the field
``version_number`` that TensorFlow carries along and never reads. Whoever asks for its values gets
them (``arrays_of``), and ``restore`` puts them back at the end. Equal constants get equal numbers,
so passes that look for equal constants still find them.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator
from typing import Any

from tensorflow.python.framework import tensor_util

from nc_sigopt_strategy.hosts.statistics_store import Array

# Below this, a constant costs less than its replacement; biases and ranges stay as they are.
_LARGE_BYTES = 16 * 1024
_FIRST_NUMBER = 1_000_000


class LightConstants:
    """The values that were taken out of graphs, by number.

    Attributes:
        read: Whether whoever reads constants now gets the values (``readable``).
    """

    def __init__(self) -> None:
        self._tensors: dict[int, Any] = {}
        self._numbers: dict[bytes, int] = {}
        self._real_make_ndarray: Callable[[Any], Array] = tensor_util.MakeNdarray
        self.read = False

    def lighten(self, node: Any) -> None:
        """Take the values out of a ``Const`` node if they are many."""
        self._lighten(node.attr["value"].tensor)

    def lightened(self, tensor: Any) -> Any:
        """A constant's tensor, without its values if they are many; the given one is changed."""
        self._lighten(tensor)
        return tensor

    def values(self, node: Any) -> Array:
        """The values of a ``Const`` node, taken out or not."""
        tensor = node.attr["value"].tensor
        return self._real_make_ndarray(self._tensors.get(tensor.version_number, tensor))

    def _lighten(self, tensor: Any) -> None:
        if tensor.version_number >= _FIRST_NUMBER or tensor.ByteSize() < _LARGE_BYTES:
            return
        digest = hashlib.sha256(tensor.SerializeToString(deterministic=True)).digest()
        number = self._numbers.setdefault(digest, _FIRST_NUMBER + len(self._numbers))
        if number not in self._tensors:
            kept = type(tensor)()
            kept.CopyFrom(tensor)
            self._tensors[number] = kept
        shape, dtype = self._tensors[number].tensor_shape, tensor.dtype
        tensor.Clear()
        tensor.dtype = dtype
        tensor.tensor_shape.CopyFrom(shape)
        tensor.version_number = number

    def lighten_graph(self, graph_def: Any) -> Any:
        """Lighten every constant of a ``GraphDef`` in place, and return it."""
        for node in graph_def.node:
            if node.op == "Const":
                self.lighten(node)
        return graph_def

    def restore(self, graph_def: Any) -> Any:
        """Put all values back into a ``GraphDef`` in place, and return it."""
        for node in graph_def.node:
            # INC's last step turns some into constants that are kept in host memory.
            if node.op in ("Const", "HostConst"):
                number = node.attr["value"].tensor.version_number
                if number in self._tensors:
                    node.attr["value"].tensor.CopyFrom(self._tensors[number])
        return graph_def

    def is_light(self, node: Any) -> bool:
        """Whether a node's values were taken out."""
        return node.op == "Const" and node.attr["value"].tensor.version_number in self._tensors

    @contextlib.contextmanager
    def readable(self) -> Iterator[None]:
        """Let ``tensor_util.MakeNdarray``, by which INC reads constants, see the values.

        All of INC's passes call it as an attribute of that module (checked in INC 2.6 and 3.7.1:
        adaptor/tf_utils; what they read otherwise are scalars and per-channel ranges).
        """
        real = self._real_make_ndarray = tensor_util.MakeNdarray
        tensor_util.MakeNdarray = self._make_ndarray
        self.read = True
        try:
            yield
        finally:
            self.read = False
            tensor_util.MakeNdarray = real

    def _make_ndarray(self, tensor: Any) -> Array:
        kept = self._tensors.get(tensor.version_number)
        return self._real_make_ndarray(tensor if kept is None else kept)
