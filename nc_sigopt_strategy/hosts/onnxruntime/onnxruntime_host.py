"""``OnnxRuntimeHost``: an ONNX model that ONNX Runtime itself quantizes and runs."""

from __future__ import annotations

import contextlib
import logging
import math
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from nc_sigopt_strategy.backends.backend import Array
from nc_sigopt_strategy.backends.onnx_checks import refuse_without_ops
from nc_sigopt_strategy.backends.onnx_files import fits_one_file, write_model
from nc_sigopt_strategy.backends.onnx_inputs import onnx_inputs
from nc_sigopt_strategy.backends.onnx_model import OnnxModel
from nc_sigopt_strategy.backends.onnx_reading import read_given, working_copy
from nc_sigopt_strategy.backends.onnxruntime import OnnxRuntimeBackend
from nc_sigopt_strategy.backends.op_graph import Shape, elements
from nc_sigopt_strategy.errors import ModelError
from nc_sigopt_strategy.hosts.as_given import AsGiven
from nc_sigopt_strategy.hosts.given import Given
from nc_sigopt_strategy.hosts.given_host import GivenHost, HostOfGiven
from nc_sigopt_strategy.hosts.onnxruntime.calibration import Calibration
from nc_sigopt_strategy.hosts.onnxruntime.graph_view import GraphView
from nc_sigopt_strategy.hosts.onnxruntime.group_graph import group_graph
from nc_sigopt_strategy.hosts.onnxruntime.grouping import Grouping, group_nodes
from nc_sigopt_strategy.hosts.onnxruntime.kept_float import keep_float
from nc_sigopt_strategy.hosts.onnxruntime.options import ops_of
from nc_sigopt_strategy.hosts.onnxruntime.plan import Plan, plan_for
from nc_sigopt_strategy.hosts.onnxruntime.prepared import prepare
from nc_sigopt_strategy.hosts.onnxruntime.quantizer import Quantizer
from nc_sigopt_strategy.hosts.onnxruntime.recipe import recipe
from nc_sigopt_strategy.hosts.onnxruntime.refused import in_words, refused_groups
from nc_sigopt_strategy.hosts.onnxruntime.tensors import float_tensors, measured_shapes
from nc_sigopt_strategy.hosts.onnxruntime.weight_fitting import (
    as_initializers,
    fitted_weights,
    layers_of,
)
from nc_sigopt_strategy.hosts.onnxruntime.weight_steps import packed
from nc_sigopt_strategy.hosts.rounding.layer import Layer
from nc_sigopt_strategy.measurement.batches import batch_length
from nc_sigopt_strategy.settings.settings import Settings
from nc_sigopt_strategy.space.ops import Choices, Op, OpKey
from nc_sigopt_strategy.tuning.host import Baseline, Doing, Evaluation, Model

logger = logging.getLogger("nc_sigopt_strategy")

_TUNER = "ONNX Runtime"
# What stands in for the elements of a tensor whose size is not known: 4 MiB of float32.
_USUAL_ELEMENTS = 2**20


class OnnxRuntimeHost(HostOfGiven):
    """A ``Host`` whose models are ``OnnxModel`` objects.

    Args:
        given: Model, data, evaluation and criterion.
        settings: How it calibrates, and the options of its sessions.

    Raises:
        ModelError: The model cannot be read, run or quantized.
        DataError: The dataloader cannot be iterated, or only once.
        SettingsError: Session options that ONNX Runtime does not have.
    """

    def __init__(self, given: Given, settings: Settings) -> None:
        read = read_given(given.model)
        if read is None:
            raise ModelError(
                f"What was given is no ONNX model but a {type(given.model).__name__}: "
                f"{str(given.model)[:200]!r}.",
                "Give the path of an .onnx file, or an onnx.ModelProto.",
            )
        self._settings = settings
        self.backend = OnnxRuntimeBackend(settings.onnxruntime_session_options)
        copy = working_copy(*read, _TUNER)
        self._prepared = prepare(copy.working)
        self._view = GraphView(self._prepared.model, float_tensors(self._prepared.model))
        self._all_groups = group_nodes(self._view)
        if not self._all_groups.groups:
            refuse_without_ops(copy.working, ())
        self._quantizer = Quantizer(self._view, settings.activation_type)
        self._notes = [*copy.notes, *self._prepared.notes]
        self._parts = {name: group.key[0] for name, group in self._all_groups.group_of.items()}
        self.fp32 = OnnxModel(copy.users, self._parts)
        self.fingerprint = self.backend.fingerprint(self.fp32)
        self._shared = GivenHost(
            given, self.backend, lambda: onnx_inputs(copy.users), self.users_model
        )
        self._folder: Path | None = None
        self._doing: Doing = _nothing
        self._moved: dict[str, Array] | None = None

    @property
    def notes(self) -> Sequence[str]:
        """See ``Host``."""
        self._grouping  # noqa: B018  # what is found out on the way is noted
        return tuple(self._notes)

    def ops(self) -> Sequence[Op]:
        """See ``Host``; one for each group of nodes that ONNX Runtime runs as one.

        Raises:
            ModelError: It runs none of them in int8.
        """
        return ops_of(self._grouping.groups)

    def op_graph(self, ops: Sequence[OpKey]) -> dict[str, Any]:
        """See ``Host``."""
        return group_graph(self._view, self._grouping, self._shapes, ops)

    def users_model(self, model: Model) -> Any:
        """A ``ModelProto``; the path of a file if that is larger than protobuf writes."""
        if fits_one_file(model.model):
            return model.model
        folder = self._folder or Path(tempfile.mkdtemp(prefix="nc-sigopt-"))
        return str(write_model(model.model, folder / "large" / "model.onnx"))

    @contextlib.contextmanager
    def session(self, doing: Doing) -> Iterator[None]:
        """See ``Host``."""
        with tempfile.TemporaryDirectory(prefix="nc-sigopt-") as folder:
            self._folder, self._doing = Path(folder), doing
            try:
                yield
            finally:
                self._folder, self._doing = None, _nothing

    def check(self) -> None:
        """See ``Host``."""
        as_given = AsGiven(self.backend, self.fp32, self._shared.loader, rewriter=_TUNER)
        as_given.compare([OnnxModel(self._prepared.model)])

    def baseline(self) -> Baseline:
        """See ``Host``."""
        return self._shared.baseline(self.fp32)

    def quantize(self, choices: Choices) -> OnnxModel:
        """See ``Host``."""
        plan, ranges = self._planned(choices)
        self._fitted()
        model = self._quantizer.quantize(plan, ranges)
        keep_float(model, self._view, plan)
        self._calibration.usage.fed += 1
        return OnnxModel(model, self._parts)

    def evaluate(self, model: Model) -> Evaluation:
        """See ``Host``."""
        return self._shared.evaluate(model)

    def recipe(self, choices: Choices) -> Mapping[str, Any]:
        """See ``recipe.recipe``; with the session options of the run."""
        plan, ranges = self._planned(choices)
        moved = self._fitted()
        made = recipe(self._prepared, self._view, self._quantizer, plan, ranges)
        made["weights"] = {
            name: {"axis": self._layers[name].axis, "moved": packed(moved[name])}
            for name in plan.fitted
            if name in moved and moved[name].any()
        }
        return {**made, "session_options": dict(self._settings.onnxruntime_session_options or {})}

    def calibration(self) -> Mapping[str, Any]:
        """See ``Host``."""
        return self._calibration.usage.as_dict()

    def reason(self, error: BaseException) -> str:
        """See ``Host``."""
        return self._shared.reason(error)

    def _planned(self, choices: Choices) -> tuple[Plan, dict[str, tuple[float, float]]]:
        unusable = self._calibration.without_range(choices.sampling_size)
        plan = plan_for(self._view, self._grouping, choices.labels, without=unusable)
        return plan, self._calibration.ranges(plan.methods, choices.sampling_size)

    @cached_property
    def _grouping(self) -> Grouping:
        groups = self._all_groups.groups
        refused = refused_groups(self._view, self._all_groups, self._quantizer, self.backend)
        if not refused:
            return self._all_groups
        said = in_words(refused, len(groups))
        if len(refused) == len(groups):
            raise ModelError(
                f"No op of the model runs in int8 in this ONNX Runtime. {said}",
                "Leave the model as it is, or try another host.",
            )
        logger.info("%s", said)
        self._notes.append(said)
        return self._all_groups.without(refused)

    def _fitted(self) -> dict[str, Array]:
        """How the weights are rounded; found out before the first model is made."""
        if self._moved is None:
            size = max(self.sampling_sizes())
            self._moved = fitted_weights(self._view, self._layers, self._calibration, size)
            self._quantizer.fit(as_initializers(self._view, self._layers, self._moved))
        return self._moved

    @cached_property
    def _layers(self) -> dict[str, Layer]:
        return layers_of(self._view, self._grouping.groups)

    @cached_property
    def _shapes(self) -> dict[str, Shape]:
        batch = next(iter(self._shared.calibration_batches(1)), None)
        length = 1 if batch is None else batch_length(batch)
        return measured_shapes(self._prepared.model, self._view.floats, batch, length)

    @cached_property
    def _calibration(self) -> Calibration:
        batch = next(iter(self._shared.calibration_batches(1)), None)
        length = 1 if batch is None else batch_length(batch)
        return Calibration(
            self._prepared.model,
            {name: self._elements(name, length) for name in self._tensors_with_range()},
            self._shared.calibration_batches,
            self._settings.calibration_cache,
            lambda: self.calibration_data().digest,
            histograms=self._settings.search_space != "dtype",
            doing=lambda what: self._doing(what),
        )

    def _tensors_with_range(self) -> list[str]:
        labels = {op.key: op.labels[0] for op in self.ops()}
        return list(plan_for(self._view, self._grouping, labels).methods)

    def _elements(self, name: str, length: int) -> int:
        found = elements(self._shapes.get(name))
        return _USUAL_ELEMENTS if found is None else math.ceil(found) * length


def _nothing(what: str) -> None:
    """What is done outside of a session is told to nobody."""
