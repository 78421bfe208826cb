"""The winner as a recipe: the op-wise config that INC takes as ``op_name_dict``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

# Entries of INC's op state that say what mode an op is in, not how: INC derives them.
_DERIVED = frozenset({"quant_mode"})


def op_name_dict(op_states: Mapping[tuple[str, str], Mapping[str, Any]]) -> dict[str, Any]:
    """Translate a trial's op-wise config.

    Args:
        op_states: ``(op name, op type)`` to the state in INC's ``tune_cfg["op"]``.

    Returns:
        Regular expression that matches one op's name to that op's options, each a list of one.
        With it INC's ``basic`` builds the same graph in its first trial.
    """
    return {
        re.escape(op[0]): {
            part: {
                item: [value]
                for item, value in state[part].items()
                if item not in _DERIVED and value is not None
            }
            for part in ("activation", "weight")
            if part in state
        }
        for op, state in op_states.items()
    }
