"""OpenVINO's IR in memory: a model as a document and its weights.

What is measured is read from here, so that it is what a file of it gives; and the one thing that
cannot be said to an ``openvino.Model`` in Python is written here: which ops keep their precision.
"""

from __future__ import annotations

import hashlib
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Container, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import openvino as ov

from nc_sigopt_strategy.backends.openvino_core import the_core
from nc_sigopt_strategy.files import staged

WEIGHTS_SUFFIX = ".bin"
# Attribute of an op that the CPU device computes in the type that the model says, whatever the
# hint on precision is (OpenVINO: src/core/.../rt_info, read by every version as "precise").
_KEEP = {"name": "precise", "version": "0"}
_KEEP_NAMES = ("precise", "DisablePrecisionConversion")
_NO_OPS = ("Const", "Parameter", "Result")


@dataclass(frozen=True)
class Ir:
    """A model in OpenVINO's IR.

    Attributes:
        document: The XML.
        weights: What the file beside it holds.
    """

    document: bytes
    weights: bytes

    @classmethod
    def of(cls, model: ov.Model) -> Ir:
        """The IR of a model."""
        with tempfile.TemporaryDirectory(prefix="nc-sigopt-") as folder:
            path = Path(folder) / "model.xml"
            ov.serialize(model, str(path), str(path.with_suffix(WEIGHTS_SUFFIX)))
            return cls(path.read_bytes(), path.with_suffix(WEIGHTS_SUFFIX).read_bytes())

    def model(self) -> ov.Model:
        """The model, which keeps the weights alive."""
        weights = np.frombuffer(self.weights, np.uint8) if self.weights else np.zeros(1, np.uint8)
        return the_core().read_model(self.document, ov.Tensor(weights, shared_memory=False))

    def keeping_precision(self, ops: Container[str]) -> Ir:
        """The same model, where ops of these names keep the precision that the model says.

        Args:
            ops: Friendly names.
        """
        root = ElementTree.fromstring(self.document)
        for layer in _layers(root):
            if layer.get("type") in _NO_OPS or layer.get("name") not in ops:
                continue
            info = layer.find("rt_info")
            if info is None:
                info = ElementTree.Element("rt_info")
                layer.insert(0 if layer.find("data") is None else 1, info)
            if not any(one.get("name") in _KEEP_NAMES for one in info):
                ElementTree.SubElement(info, "attribute", _KEEP)
        return Ir(ElementTree.tostring(root), self.weights)

    def digest(self) -> str:
        """A hash that two models share exactly when their graphs and constants are the same.

        Names, and what tools noted of themselves, do not count.
        """
        root = ElementTree.fromstring(self.document)
        root.attrib.clear()
        for noted in root.findall("rt_info") + root.findall("meta_data"):
            root.remove(noted)
        for layer in root.iter("layer"):
            for name in ("name", "output_names"):
                layer.attrib.pop(name, None)
            info = layer.find("rt_info")
            keeps = info is not None and any(one.get("name") in _KEEP_NAMES for one in info)
            if info is not None:
                layer.remove(info)
            layer.set("keeps_precision", str(int(keeps)))
            for port in layer.iter("port"):
                port.attrib.pop("names", None)
                for noted in port.findall("rt_info"):
                    port.remove(noted)
        document = ElementTree.canonicalize(ElementTree.tostring(root), strip_text=True)
        digest = hashlib.sha256(document.encode())
        digest.update(self.weights)
        return digest.hexdigest()

    def write(self, path: Path) -> Path:
        """Write it to a file, with the weights beside it.

        Raises:
            OSError: The disk is full or the folder cannot be written.
        """
        beside = path.with_suffix(WEIGHTS_SUFFIX)
        with staged(beside, path) as (weights, document):
            weights.write_bytes(self.weights)
            document.write_bytes(self.document)
        return path


def _layers(root: ElementTree.Element) -> Iterable[ElementTree.Element]:
    """The layers of the model itself, not of bodies of loops and branches."""
    found = root.find("layers")
    return () if found is None else list(found)
