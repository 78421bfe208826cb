"""Pages in headless Chromium, which tell by their title what was to be seen."""

from __future__ import annotations

import html as markup
import re
import shutil
import subprocess
from pathlib import Path

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")


def title_of(url: str, folder: Path, virtual_milliseconds: int = 10_000) -> str:
    """The title of a page once its scripts have run."""
    command = (
        f"{CHROMIUM} --headless --no-sandbox --disable-gpu --disable-quic --no-first-run "
        "--disable-background-networking --disable-component-update --disable-sync "
        f"--user-data-dir={folder / 'profile'} --window-size=1300,1000 "
        f"--virtual-time-budget={virtual_milliseconds} --dump-dom {url}"
    )
    done = subprocess.run(command.split(), capture_output=True, text=True, timeout=120, check=True)
    found = re.search(r"<title>(.*?)</title>", done.stdout)
    assert found is not None, done.stderr
    return markup.unescape(found[1])
