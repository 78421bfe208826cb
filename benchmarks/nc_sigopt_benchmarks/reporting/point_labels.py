"""Labels of points that do not lie on each other."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nc_sigopt_benchmarks.reporting.plot_style import plain

FONT_SIZE = 7
_STEP = 9  # points from one line of labels to the next
_LINES = 12


@dataclass(frozen=True)
class PointLabel:
    """The words at a point, in the units of the axes."""

    words: str
    x: float
    y: float


def label_points(figure: Any, axes: Any, labels: Sequence[PointLabel]) -> None:
    """Write labels beside their points, each as near as those before leave room.

    To be called when the limits of the axes are what they will be. A label that had to move away
    has a thin line to its point.
    """
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    taken: list[Any] = []
    for label in sorted(labels, key=lambda each: (-each.y, each.x)):
        note = axes.annotate(
            plain(label.words),
            (label.x, label.y),
            xytext=(6, 5),
            textcoords="offset points",
            fontsize=FONT_SIZE,
        )
        for line, side in itertools.product(range(_LINES), (-1, 1)):
            note.set_position((6, 5 + side * line * _STEP))
            # A little more than it takes: saving the figure may move the axes.
            box = note.get_window_extent(renderer).expanded(1.12, 1.0)
            if not any(box.overlaps(other) for other in taken):
                break
        taken.append(box)
        if line > 1:
            axes.annotate(
                "",
                (label.x, label.y),
                xytext=note.get_position(),
                textcoords="offset points",
                arrowprops={"arrowstyle": "-", "linewidth": 0.4, "color": "grey"},
            )
