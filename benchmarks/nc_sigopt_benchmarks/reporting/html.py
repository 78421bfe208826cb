"""One self-contained HTML page about a comparison: opens without a network, reads on a phone."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from urllib.parse import quote

from nc_sigopt_benchmarks.extras import needed
from nc_sigopt_benchmarks.judging.comparison import Comparison
from nc_sigopt_benchmarks.machine.facts import describe_host
from nc_sigopt_benchmarks.reporting.summary import metric_names, stored_metrics, strategy_notes
from nc_sigopt_benchmarks.reporting.tables import report_tables
from nc_sigopt_strategy.console.outcome_table import calibration_text
from nc_sigopt_strategy.files import write_whole
from nc_sigopt_strategy.reports.run_page import PAGE_FILE

REPORT_FILE = "report.html"
_TEMPLATE = "report.html.j2"


def write_report(comparison: Comparison, images: dict[str, Path], path: Path) -> Path:
    """Write the page.

    Args:
        comparison: What it is about.
        images: Caption to PNG file; they are built into the page.
        path: Where the page goes.

    Raises:
        MissingExtraError: jinja2 is not installed.
    """
    jinja2 = needed("jinja2", what="The HTML report")
    # Names of ops and models, and messages of exceptions, are text and never markup.
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("nc_sigopt_benchmarks.reporting", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template(_TEMPLATE).render(
        comparison=comparison,
        tables=report_tables(comparison),
        notes=strategy_notes(comparison),
        metrics=metric_names(comparison),
        stored_metrics=stored_metrics,
        calibration_text=calibration_text,
        pages=_pages_of_runs(comparison, path.parent),
        images={caption: _data_url(file) for caption, file in images.items()},
        host_line=describe_host(dict(comparison.host)) if comparison.host else "",
        settings=json.dumps(comparison.settings, indent=2),
        host=json.dumps(comparison.host, indent=2),
    )
    return write_whole(path, page)


def _pages_of_runs(comparison: Comparison, folder: Path) -> dict[str, str]:
    """Label of a run to the page that it left in its own folder, as an address from here."""
    pages = {s.label: Path(s.label) / PAGE_FILE for s in comparison.strategies}
    return {
        label: quote(page.as_posix()) for label, page in pages.items() if (folder / page).is_file()
    }


def _data_url(path: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode("ascii")
