"""The page of a comparison in a real browser."""

from __future__ import annotations

import html as markup
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from nc_sigopt_benchmarks.reporting import html, plots
from tests.benchmarks.many_strategies import many_strategies

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
# The page is in a frame, because a window of Chromium's is never narrower than 500 pixels.
FRAME = """<!DOCTYPE html><title>-</title>
<iframe width="{width}" height="900" srcdoc="{page}" onload="
  const root = this.contentDocument.documentElement;
  this.contentDocument.querySelectorAll('details').forEach(it => it.open = true);
  document.title = root.clientWidth + ' of ' + root.scrollWidth;
"></iframe>"""


@pytest.mark.integration
@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
@pytest.mark.parametrize("width", [360, 380, 1200])
def test_the_page_never_scrolls_sideways(width: int, tmp_path: Path) -> None:
    comparison = many_strategies()
    pictures = plots.draw_all(comparison, tmp_path)
    page = html.write_report(comparison, pictures, tmp_path / "report.html").read_text()
    frame = tmp_path / "frame.html"
    frame.write_text(FRAME.format(width=width, page=markup.escape(page)), encoding="utf-8")
    command = (
        f"{CHROMIUM} --headless --no-sandbox --disable-gpu --disable-quic --no-first-run "
        "--disable-background-networking --disable-component-update --disable-sync "
        f"--user-data-dir={tmp_path / 'profile'} --window-size=1300,1000 "
        f"--virtual-time-budget=10000 --dump-dom {frame.as_uri()}"
    )
    done = subprocess.run(command.split(), capture_output=True, text=True, timeout=120, check=True)
    found = re.search(r"<title>(\d+) of (\d+)</title>", done.stdout)
    assert found is not None, done.stderr
    # A vertical scroll bar may take some of the width.
    assert width - 20 <= int(found[1]) <= width
    assert int(found[2]) == int(found[1])
