"""Names of nodes that are the same in every process.

OpenVINO names what a converter made after a counter of the process (``Multiply_1042``), so that
two conversions of one file differ. Such names are replaced by the type and a count within the
model. Locks, experiments, recipes and workers rely on names.
"""

from __future__ import annotations

import re
from collections import Counter

import openvino as ov

# A counter's name has the form of a type and a number; a reader's name seldom has.
_COUNTED = re.compile(r"[A-Z][A-Za-z0-9]*_\d+")


def give_stable_names(model: ov.Model) -> None:
    """Rename, in place, what has a counter's name or the name of another node.

    Names of inputs and outputs, as tensors have them, stay.
    """
    ordered = model.get_ordered_ops()
    kept: set[str] = set()
    renamed = []
    for node in ordered:
        name = node.get_friendly_name()
        if _COUNTED.fullmatch(name) or name in kept:
            renamed.append(node)
        else:
            kept.add(name)
    counts: Counter[str] = Counter()
    for node in renamed:
        kind = node.get_type_name()
        while (name := f"{kind}_{counts[kind]}") in kept:
            counts[kind] += 1
        kept.add(name)
        node.set_friendly_name(name)
