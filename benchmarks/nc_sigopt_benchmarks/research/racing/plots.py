"""Two kinds of pictures of a race, as PNG files: the way to the end, and the end.

Colours are of Okabe and Ito's palette, which colour-blind readers can tell apart; competitors
have markers of their own besides.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nc_sigopt_benchmarks.extras import needed
from nc_sigopt_benchmarks.research.racing.result import RunResult
from nc_sigopt_benchmarks.research.racing.summary import (
    ALL,
    GROUPS,
    Summary,
    family_of,
    quantile,
    ratio_after,
)

_COLOURS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#555555")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*", "h")
_LINES = ("-", "--")
_SIZE_INCHES = (7.2, 4.6)
_DOTS_PER_INCH = 150


def draw_race(
    runs: Sequence[RunResult], summary: Summary, trials: int, folder: Path
) -> list[Path]:
    """All pictures of a race.

    Args:
        runs: Of the race.
        summary: Of the runs.
        trials: The budget.
        folder: Where the files go.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    runs = [run for run in runs if run.trials]
    styles = {name: style for style, name in enumerate(dict.fromkeys(r.competitor for r in runs))}
    paths = []
    for family in dict.fromkeys(map(family_of, runs)):
        own = [run for run in runs if family_of(run) == family]
        paths.append(_draw_way(family, own, styles, trials, folder))
    for group in GROUPS:
        if summary.families(group):
            paths.append(_draw_end(group, summary, styles, trials, folder))
    return paths


def _draw_way(
    family: str, runs: Sequence[RunResult], styles: dict[str, int], trials: int, folder: Path
) -> Path:
    """Median ratio against trials, with a band between the quartiles."""
    figure, axes = _new_figure()
    steps = np.arange(1, trials + 1)
    top = 1.0
    for name in dict.fromkeys(run.competitor for run in runs):
        ratios = [[ratio_after(r, k) for r in runs if r.competitor == name] for k in steps]
        low, middle, high = (_drawable([quantile(row, q) for row in ratios]) for q in _QUARTILES)
        style = styles[name]
        colour, line = _COLOURS[style % len(_COLOURS)], _LINES[style // len(_COLOURS) % 2]
        axes.plot(
            steps,
            middle,
            drawstyle="steps-post",
            color=colour,
            linestyle=line,
            linewidth=2.2 if style == 0 else 1.4,
            marker=_MARKERS[style % len(_MARKERS)],
            markevery=max(1, trials // 10),
            markersize=4,
            label=name,
        )
        alpha = 0.18 if style == 0 else 0.05
        axes.fill_between(steps, low, high, step="post", color=colour, alpha=alpha, linewidth=0)
        # The first trials are the same for all and would squeeze the rest.
        settled = middle[min(9, trials - 1) :]
        top = max(top, *(value for value in settled if math.isfinite(value)), 1.0)
    axes.axhline(1.0, color="black", linewidth=1, linestyle=":")
    axes.set_ylim(0.9, 1.05 * top)
    axes.set_xlim(1, trials)
    axes.set_xlabel("trials")
    axes.set_ylabel("winner's latency over the optimum's")
    axes.set_title(f"{family}: median and quartiles", fontsize=11)
    axes.legend(fontsize=7, ncols=2, framealpha=0.9)
    return _save(figure, folder / f"trials_{_file_name(family)}.png")


_QUARTILES = (0.25, 0.5, 0.75)


def _draw_end(
    group: str, summary: Summary, styles: dict[str, int], trials: int, folder: Path
) -> Path:
    """Share of wrong verdicts against the median ratio at the end."""
    figure, axes = _new_figure()
    for standing in summary.of(group, ALL, trials):
        if not math.isfinite(standing.median):
            continue
        style = styles[standing.competitor]
        axes.plot(
            [standing.median],
            [100 * standing.wrong],
            marker=_MARKERS[style % len(_MARKERS)],
            color=_COLOURS[style % len(_COLOURS)],
            linestyle="none",
            markersize=8,
            label=standing.competitor,
        )
    axes.axvline(1.0, color="black", linewidth=1, linestyle=":")
    axes.set_xlabel("winner's latency over the optimum's, median")
    axes.set_ylabel("winners that miss the bound (% of runs)")
    axes.set_ylim(bottom=-1)
    axes.set_title(f"{group}: after {trials} trials", fontsize=11)
    axes.legend(fontsize=7, framealpha=0.9)
    return _save(figure, folder / f"verdicts_{_file_name(group)}.png")


def _drawable(values: Sequence[float]) -> list[float]:
    """Without infinities, which a band cannot be filled to."""
    return [value if math.isfinite(value) else math.nan for value in values]


def _file_name(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9.]+", "-", text).strip("-")


def _new_figure() -> tuple[Any, Any]:
    figure = needed("matplotlib.figure", what="A plot").Figure(
        figsize=_SIZE_INCHES, layout="constrained"
    )
    needed("matplotlib.backends.backend_agg", what="A plot").FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.grid(alpha=0.3)
    return figure, axes


def _save(figure: Any, path: Path) -> Path:
    figure.savefig(path, dpi=_DOTS_PER_INCH)
    return path
