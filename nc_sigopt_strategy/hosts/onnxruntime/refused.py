"""Which groups this ONNX Runtime really runs in int8, found out by trying.

What its kernels and its optimizer take differs between versions and builds. So a model with
everything in int8 is made once, before there are any ranges, and the graph that a session makes of
it tells the rest.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from nc_sigopt_strategy.backends.onnx_model import OnnxModel
from nc_sigopt_strategy.backends.onnx_ran_as import INT8 as RAN_INT8
from nc_sigopt_strategy.backends.onnxruntime import OnnxRuntimeBackend
from nc_sigopt_strategy.errors import in_one_line
from nc_sigopt_strategy.hosts.onnxruntime.graph_view import GraphView
from nc_sigopt_strategy.hosts.onnxruntime.grouping import Group, Grouping
from nc_sigopt_strategy.hosts.onnxruntime.plan import INT8, plan_for
from nc_sigopt_strategy.hosts.onnxruntime.quantizer import Quantizer

logger = logging.getLogger("nc_sigopt_strategy")

# Any will do: which kernel is taken does not depend on it.
_SOME_RANGE = (-1.0, 1.0)
_NAMED = 5


def refused_groups(
    view: GraphView, grouping: Grouping, quantizer: Quantizer, backend: OnnxRuntimeBackend
) -> dict[str, str]:
    """Name of each group that cannot run in int8 to why."""
    trier = _Trier(view, grouping, quantizer, backend)
    return trier.refused(grouping.groups)


def in_words(refused: dict[str, str], total: int) -> str:
    """One sentence on groups that stay float."""
    named = [f"{name} ({why})" for name, why in list(refused.items())[:_NAMED]]
    more = ", ..." if len(refused) > _NAMED else ""
    return (
        f"ONNX Runtime runs {len(refused)} of {total} ops in float whatever is chosen, and they "
        f"are left in it: {', '.join(named)}{more}."
    )


class _Trier:
    def __init__(
        self,
        view: GraphView,
        grouping: Grouping,
        quantizer: Quantizer,
        backend: OnnxRuntimeBackend,
    ) -> None:
        self._view = view
        self._grouping = grouping
        self._quantizer = quantizer
        self._backend = backend

    def refused(self, groups: Sequence[Group]) -> dict[str, str]:
        if not groups:
            return {}
        try:
            return self._tried(groups)
        except Exception as error:  # the quantizer's and ONNX Runtime's own, of any class
            if len(groups) == 1:
                return {groups[0].key[0]: in_one_line(error)}
            logger.debug("Tried %d ops in int8 together: %s", len(groups), error)
        half = len(groups) // 2
        return {**self.refused(groups[:half]), **self.refused(groups[half:])}

    def _tried(self, groups: Sequence[Group]) -> dict[str, str]:
        plan = plan_for(self._view, self._grouping, {group.key: INT8 for group in groups})
        ranges = dict.fromkeys(plan.methods, _SOME_RANGE)
        model = OnnxModel(self._quantizer.quantize(plan, ranges))
        self._backend.open(model).close()
        mains = {main: group for group in groups for main in group.mains}
        found: dict[str, str] = {}
        for main, how in self._backend.ran_as(model, list(mains)).items():
            if how != RAN_INT8:
                found.setdefault(mains[main].key[0], f"it ran as {how}")
        return found
