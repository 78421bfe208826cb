"""ONNX Runtime's own static quantization: what its users do without a tuner."""

from __future__ import annotations

import importlib.util
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import onnx
from onnxruntime import quantization
from onnxruntime.quantization.shape_inference import quant_pre_process

from nc_sigopt_benchmarks.running.rivals.task import Built, RivalTask
from nc_sigopt_strategy.backends.backend import feed_by_position

MODEL_FILE = "best_model.onnx"
_METHODS = {"minmax": "MinMax", "entropy": "Entropy", "percentile": "Percentile"}
# The histogram methods hold every activation of every calibration image at once, for MobileNet_v1
# some 10 million numbers an image (microsoft/onnxruntime issue 10503: more than 256 GB).
HISTOGRAM_IMAGES = 64
_CACHE = "calibration_cache_path"


class StaticQuantization:
    """``quantize_static`` of one model, as often as wanted, with a different set of ops.

    It follows https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html; its
    defaults are ONNX Runtime's, but for int8 weights per channel. "percentile" and "entropy" use
    at most ``HISTOGRAM_IMAGES`` inputs.

    Args:
        model: The FP32 model.
        folder: Where intermediate files may lie; it is there.
        kwargs: Of the strategy; see ``config.rivals.STATIC_CHOICES``.
        inputs: Gives single inputs with their batch axis, from the start at each call.
        quant_format: ``QOperator`` or ``QDQ``.

    Attributes:
        prepared: The model after ONNX Runtime's own preparation.
    """

    def __init__(
        self,
        model: Path,
        folder: Path,
        kwargs: Mapping[str, Any],
        inputs: Callable[[], Iterator[Any]],
        *,
        quant_format: str = "QDQ",
    ) -> None:
        self.prepared = folder / "prepared.onnx"
        # An environment of a rival's own may lack it.
        no_sympy = importlib.util.find_spec("sympy") is None
        quant_pre_process(str(model), str(self.prepared), skip_symbolic_shape=no_sympy)
        graph = onnx.load(str(self.prepared), load_external_data=False).graph
        constants = {tensor.name for tensor in graph.initializer}
        self._names = [value.name for value in graph.input if value.name not in constants]
        self._inputs = inputs
        self._method = kwargs.get("calibrate_method", "minmax")
        self._cache = folder / "calibration_cache.json"
        self._arguments = {
            "quant_format": quantization.QuantFormat[quant_format],
            "calibrate_method": quantization.CalibrationMethod[_METHODS[self._method]],
            "per_channel": kwargs.get("per_channel", True),
            "activation_type": quantization.QuantType[kwargs.get("activation_type", "QUInt8")],
            "weight_type": quantization.QuantType[kwargs.get("weight_type", "QInt8")],
        }

    def write(self, path: Path, *, without: Sequence[str] = ()) -> None:
        """Quantize all nodes but some.

        Args:
            path: Of the quantized model.
            without: Names of the nodes that stay in fp32.
        """
        further: dict[str, Any] = {}
        # Newer versions of ONNX Runtime calibrate once for all of these calls.
        if _CACHE in inspect.signature(quantization.quantize_static).parameters:
            further[_CACHE] = str(self._cache)
        quantization.quantize_static(
            str(self.prepared),
            str(path),
            self.reader(),
            nodes_to_exclude=list(without),
            **self._arguments,
            **further,
        )

    def reader(self, count: int | None = None) -> Any:
        """The inputs as ONNX Runtime wants them, cut after ``count``."""
        limit = count
        if limit is None and self._method != "minmax":
            limit = HISTOGRAM_IMAGES
        # One input a feed: the histogram methods cannot take feeds of several sizes, as a shorter
        # last batch makes them. Their option for taking feeds in turn is no way out, since it
        # changes what "entropy" finds: the bins that it adds turn on a search that there is not
        # without it.
        names = self._names
        feeds = (feed_by_position(names, one) for one in islice(self._inputs(), limit))
        return _Reader(feeds)

    def clean(self) -> None:
        """Delete the intermediate files."""
        for path in (self.prepared, self._cache):
            path.unlink(missing_ok=True)


def build_static(task: RivalTask) -> Built:
    """The rival: all int8, whatever comes of the accuracy."""
    static = StaticQuantization(task.model.path, task.folder, task.kwargs, task.data.single_inputs)
    path = task.folder / MODEL_FILE
    static.write(path)
    static.clean()
    return Built((task.made(path, what=in_words(task.kwargs)),))


def in_words(kwargs: Mapping[str, Any]) -> str:
    """A quantization of these settings, for tables."""
    scales = "per channel" if kwargs.get("per_channel", True) else "per tensor"
    return f"quantize_static, {scales}, {kwargs.get('calibrate_method', 'minmax')}"


class _Reader(quantization.CalibrationDataReader):  # type: ignore[misc]  # it ships no types
    def __init__(self, feeds: Iterator[dict[str, Any]]) -> None:
        self._feeds = feeds

    def get_next(self) -> dict[str, Any] | None:
        """The next feed, or ``None`` after the last."""
        return next(self._feeds, None)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return self._feeds
