"""The page of one run as HTML: text from here, pictures by a small script inside it.

No plotting library stands behind it: Plotly's smallest bundle has 1.1 MB and Vega-Lite's three
0.9 MB, in every page and in the package, for four pictures that SVG draws itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape
from importlib import resources
from pathlib import Path

from nc_sigopt_strategy.errors import ReportError
from nc_sigopt_strategy.files import write_whole
from nc_sigopt_strategy.reports import page_parts as parts
from nc_sigopt_strategy.reports.other_data import other_data
from nc_sigopt_strategy.reports.page_data import as_script, page_data
from nc_sigopt_strategy.reports.run_record import RunRecord, read_run
from nc_sigopt_strategy.reports.two_runs import differences
from nc_sigopt_strategy.results.trial_record import json_safe
from nc_sigopt_strategy.version import __version__

PAGE_FILE = "report.html"
_PLACE = re.compile(r"\{\{(\w+)\}\}")


def page_of(run: RunRecord, beside: RunRecord | None = None) -> str:
    """The page.

    Args:
        run: What it is about.
        beside: An earlier run that it is compared with.
    """
    outcome = run.outcome
    values = {
        "title": escape(run.title),
        "state": "being tuned" if run.running else "tuned",
        "shown": "best so far" if run.running else "winner",
        "style": _text("page.css"),
        "script": _text("page.js"),
        "data": as_script(json_safe(page_data(run))),
        "about": escape(_about(run)),
        "headline": parts.headline(run),
        "tiles": parts.tiles(run),
        "types": parts.types_bar(outcome),
        "runtimes": _runtimes(run),
        "otherdata": other_data(outcome),
        "beside": "" if beside is None else differences(run, beside),
        "legend": parts.legend(run.labels),
        "trials": parts.trials_table(run),
        "others": parts.other_bounds_table(outcome),
        "files": parts.files_list(run),
        "reproduce": parts.reproduce(run),
        "conditions": parts.conditions(run),
        "version": __version__,
    }
    return _filled(_text("page.html"), values)


def write_page(run: RunRecord, path: Path | None = None, beside: RunRecord | None = None) -> Path:
    """Write the page of a run and return its path.

    Args:
        run: What it is about.
        path: Where it goes; ``None``: ``report.html`` in the run folder.
        beside: An earlier run that it is compared with.

    Raises:
        OSError: It cannot be written.
    """
    return write_whole(path or run.folder / PAGE_FILE, page_of(run, beside))


def written_page(folder: Path, beside: Path | None = None, path: Path | None = None) -> Path:
    """The page of a run folder, written anew.

    Args:
        folder: The run's.
        beside: Folder of an earlier run that it is compared with.
        path: Where the page goes; ``None``: ``report.html`` in the run folder.

    Raises:
        ReportError: There is no such run, or the page cannot be written.
    """
    run = read_run(folder)
    other = None if beside is None else read_run(beside)
    try:
        return write_page(run, path, other)
    except OSError as error:
        raise ReportError(
            f"The page of {folder} cannot be written: {error}.", "Name another file with --output."
        ) from error


def _filled(template: str, values: Mapping[str, str]) -> str:
    """A template with its places filled, once: what is put in is not looked at again."""
    return _PLACE.sub(lambda match: values[match[1]], template)


def _about(run: RunRecord) -> str:
    facts = run.facts
    said = [f"strategy {run.outcome.strategy}"]
    if facts is not None:
        said = [facts.started.replace("T", " ")[:16], *said, f"on {facts.machine}"]
    return ", ".join(said)


def _runtimes(run: RunRecord) -> str:
    if not run.runtimes:
        return ""
    rows = "".join(f"<li>{escape(line)}</li>" for line in run.runtimes)
    return f"<h2 id=runtimes>Runtimes, timed in turn</h2><ul>{rows}</ul>"


def _text(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text("utf-8")
