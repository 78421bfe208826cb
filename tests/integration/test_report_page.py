"""The page of a comparison in a real browser."""

from __future__ import annotations

import html as markup
from pathlib import Path

import pytest

from nc_sigopt_benchmarks.reporting import html, plots
from tests.benchmarks.many_strategies import many_strategies
from tests.browser import needs_chromium, title_of

# The page is in a frame, because a window of Chromium's is never narrower than 500 pixels.
FRAME = """<!DOCTYPE html><title>-</title>
<iframe width="{width}" height="900" srcdoc="{page}" onload="
  const root = this.contentDocument.documentElement;
  this.contentDocument.querySelectorAll('details').forEach(it => it.open = true);
  document.title = root.clientWidth + ' of ' + root.scrollWidth;
"></iframe>"""


@pytest.mark.integration
@needs_chromium
@pytest.mark.parametrize("width", [360, 380, 1200])
def test_the_page_never_scrolls_sideways(width: int, tmp_path: Path) -> None:
    comparison = many_strategies()
    pictures = plots.draw_all(comparison, tmp_path)
    page = html.write_report(comparison, pictures, tmp_path / "report.html").read_text()
    frame = tmp_path / "frame.html"
    frame.write_text(FRAME.format(width=width, page=markup.escape(page)), encoding="utf-8")
    width_of, _, needed = title_of(frame.as_uri(), tmp_path).partition(" of ")
    # A vertical scroll bar may take some of the width.
    assert width - 20 <= int(width_of) <= width
    assert needed == width_of
