"""The winner as a recipe: the op-wise config that INC takes as ``op_name_dict``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

# A comment in the language of the keys: a pattern that no op's name matches.
FINISHED_NOTE = (
    "(?#The saved model was finished after this: nc_sigopt_strategy.finish does that to the model "
    "that Neural Compressor builds from here.)"
)
FITTED_NOTE = (
    "(?#Weights and biases were fitted to the calibration data: Neural Compressor builds the same "
    "from here inside of nc_sigopt_strategy.fitted_weights.)"
)
# Entries of INC's op state that say what mode an op is in, not how: INC derives them.
_DERIVED = frozenset({"quant_mode"})


def op_name_dict(
    op_states: Mapping[tuple[str, str], Mapping[str, Any]],
    *,
    finished: bool = False,
    fitted: bool = False,
) -> dict[str, Any]:
    """Translate a trial's op-wise config.

    Args:
        op_states: ``(op name, op type)`` to the state in INC's ``tune_cfg["op"]``.
        finished: Whether the model was finished; then ``FINISHED_NOTE`` is a key, of no options.
        fitted: Whether its weights were fitted; then ``FITTED_NOTE`` is one.

    Returns:
        Regular expression that matches one op's name to that op's options, each a list of one.
        With it INC's ``basic`` builds the same graph in its first trial.
    """
    notes = ((FITTED_NOTE, fitted), (FINISHED_NOTE, finished))
    said: dict[str, Any] = {note: {} for note, holds in notes if holds}
    return said | {
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
