"""What a sampler and whoever stores the trials agree on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from optuna.trial import FrozenTrial

# User attribute of a trial that was taken back before it was run. Its state is FAIL, which
# Optuna's own samplers skip; a sampler that counts used points must skip it too, so that the
# point can be suggested again.
WITHDRAWN_ATTR = "withdrawn"

# Maps a finished trial to one number per constraint; above zero means violated.
Constraints = Callable[[FrozenTrial], Sequence[float]]
