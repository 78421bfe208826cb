"""Labels of points that lie together do not lie on each other."""

from __future__ import annotations

import itertools

import pytest

from nc_sigopt_benchmarks.reporting.plot_style import new_figure
from nc_sigopt_benchmarks.reporting.point_labels import PointLabel, label_points


@pytest.mark.parametrize("spread", [0.0, 0.01, 1.0])
def test_no_two_labels_overlap(spread: float) -> None:
    figure, (axes,) = new_figure(4.6)
    labels = [PointLabel(f"onnxruntime_static_{i}", 1 + i * spread, 0.93) for i in range(8)]
    axes.plot([label.x for label in labels], [label.y for label in labels], "o")
    label_points(figure, axes, labels)
    renderer = figure.canvas.get_renderer()
    boxes = [note.get_window_extent(renderer) for note in axes.texts if note.get_text()]
    assert len(boxes) == len(labels)
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))
