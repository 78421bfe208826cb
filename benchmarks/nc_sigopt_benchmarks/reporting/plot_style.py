"""What all pictures share: size, colours, legend, file.

Colours are of Okabe and Ito's palette, which colour-blind readers can tell apart; every strategy
has a marker of its own besides, and its repeats share both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nc_sigopt_benchmarks.extras import needed
from nc_sigopt_benchmarks.judging.comparison import Comparison

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
REFERENCE_COLOUR = "#555555"
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "h", "*")
# From the seventh strategy on a colour comes again, with another line.
_LINES = ("-", "--", "-.", ":")
# So narrow that the words can still be read where a phone shows the whole picture.
_WIDTH_INCHES = 5.6
_HEIGHT_INCHES = 3.9
_LEGEND_LINE_INCHES = 0.19
# Most columns of a legend for labels of so many characters: what the width has room for.
_LEGEND_COLUMNS = ((30, 3), (48, 2))
_DOTS_PER_INCH = 190


@dataclass(frozen=True)
class Style:
    """How a strategy is drawn; ``marker`` and ``line`` as matplotlib names them."""

    colour: str
    marker: str
    line: str


def strategy_styles(comparison: Comparison) -> dict[str, Style]:
    """Group of repeats to style, in the order of the comparison."""
    groups = dict.fromkeys(strategy.group for strategy in comparison.strategies)
    return {
        group: Style(
            COLOURS[place % len(COLOURS)],
            _MARKERS[place % len(_MARKERS)],
            _LINES[place // len(COLOURS) % len(_LINES)],
        )
        for place, group in enumerate(groups)
    }


def group_name(comparison: Comparison, group: str) -> str:
    """A group as the legend names it: marked if one of its runs was on another machine."""
    elsewhere = any(s.host is not None for s in comparison.strategies if s.group == group)
    return f"{group} *" if elsewhere else group


def bare_figure(**options: Any) -> Any:
    """A figure that can be saved, and nothing on it; options as for matplotlib's ``Figure``.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    # Not pyplot: it looks for a display and keeps every figure alive.
    figure = needed("matplotlib.figure", what="A plot").Figure(layout="constrained", **options)
    needed("matplotlib.backends.backend_agg", what="A plot").FigureCanvasAgg(figure)
    return figure


def new_figure(height: float = _HEIGHT_INCHES, panels: int = 1) -> tuple[Any, list[Any]]:
    """A figure, and axes side by side on it that share the vertical scale.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    figure = bare_figure(figsize=(_WIDTH_INCHES, height), dpi=_DOTS_PER_INCH)
    all_axes = list(figure.subplots(1, panels, sharey=True, squeeze=False)[0])
    for axes in all_axes:
        axes.grid(color="#dddddd", linewidth=0.6)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    return figure, all_axes


def key(label: str, **style: Any) -> Any:
    """An entry of a legend: a line or a marker that is drawn nowhere else."""
    from matplotlib.lines import Line2D

    return Line2D([], [], label=plain(label), **style)


def strategy_keys(
    comparison: Comparison, styles: Mapping[str, Style], *, lines: bool
) -> dict[str, Any]:
    """A legend entry for each group of repeats."""
    return {
        group: key(
            group_name(comparison, group),
            color=style.colour,
            marker=style.marker,
            linestyle=style.line if lines else "none",
            linewidth=2,
            markersize=6,
        )
        for group, style in styles.items()
    }


def legend_below(figure: Any, handles: Sequence[Any]) -> None:
    """A legend under the axes, where it covers nothing; the figure grows by its height."""
    if not handles:
        return
    longest = max(len(handle.get_label()) for handle in handles)
    columns = next((columns for room, columns in _LEGEND_COLUMNS if longest <= room), 1)
    lines = -(-len(handles) // columns)
    width, height = figure.get_size_inches()
    figure.set_size_inches(width, height + lines * _LEGEND_LINE_INCHES)
    figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=min(columns, len(handles)),
        fontsize=8.5,
        frameon=False,
    )


def plain(text: str) -> str:
    """Text that matplotlib takes as it is: a pair of dollar signs would begin a formula."""
    return text.replace("$", r"\$")


def save(figure: Any, path: Path) -> Path:
    """Write a PNG file."""
    figure.savefig(path, format="png")
    return path
