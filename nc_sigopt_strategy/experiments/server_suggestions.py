"""When a server may be asked to suggest."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from nc_sigopt_strategy.errors import ServerError

# A SigOpt server builds all combinations of an all-categorical experiment for each suggestion;
# around this many it still answers.
MAX_COMBINATIONS = 100_000


def refuse_server_suggestions(
    parameters: Mapping[str, Sequence[str]], *, server_is_ours: bool
) -> None:
    """Refuse to ask a SigOpt server for suggestions that it would never finish.

    Args:
        parameters: Parameter name to its values; all are categorical.
        server_is_ours: Whether ``nc-sigopt serve`` answers, which builds no such product.

    Raises:
        ServerError: It would hang.
    """
    combinations = math.prod(len(values) for values in parameters.values())
    if server_is_ours or combinations <= MAX_COMBINATIONS:
        return
    raise ServerError(
        f"suggestions='server' would hang this server: the experiment has {len(parameters)} "
        f"categorical parameters with {combinations:.3g} combinations, and a SigOpt server builds "
        f"all of them for each suggestion (up to {MAX_COMBINATIONS} are fine).",
        "Leave suggestions out: our sampler proposes and the server records. Or use a server that "
        "was started with nc-sigopt serve.",
    )
