"""The colours of types, the same in every picture and on every page.

They are of Okabe and Ito's palette, which colour-blind readers can tell apart, and stand out from
a white and from a dark ground.
"""

from __future__ import annotations

from collections.abc import Iterable

from nc_sigopt_strategy.space.ops import type_of

_OF_TYPE = {"int8": "#0072B2", "bf16": "#E69F00", "fp16": "#CC79A7", "fp32": "#8A8F98"}
# Other ways to int8 (another range method, say) stay on the blue and green side.
_FURTHER = ("#56B4E9", "#009E73", "#5E60CE", "#48BFE3", "#2A9D8F", "#3D405B")


def type_colours(labels: Iterable[str]) -> dict[str, str]:
    """Label to colour as ``#RRGGBB``, in the order given; each label once.

    Args:
        labels: Labels of types, such as ``int8``, ``int8-kl`` and ``fp32``.
    """
    found: dict[str, str] = {}
    further = 0
    for label in dict.fromkeys(labels):
        if label in _OF_TYPE:
            found[label] = _OF_TYPE[label]
        elif type_of(label) in _OF_TYPE and type_of(label) != "int8":
            found[label] = _OF_TYPE[type_of(label)]
        else:
            found[label] = _FURTHER[further % len(_FURTHER)]
            further += 1
    return found
