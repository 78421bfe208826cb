"""The page of a run in a real browser: its script draws, and answers clicks."""

from __future__ import annotations

import html as markup
import json
from pathlib import Path
from typing import Any

import pytest

from nc_sigopt_strategy.reports.run_page import PAGE_FILE
from nc_sigopt_strategy.results.run_files import read_trials
from nc_sigopt_strategy.testing.fake_host import FakeHost
from tests.browser import needs_chromium, title_of
from tests.tuning.test_loop import run

# The page is in a frame, because a window of Chromium's is never narrower than 500 pixels.
FRAME = """<!DOCTYPE html><title>-</title><script>
function look(frame) {
  const page = frame.contentDocument, all = selector => [...page.querySelectorAll(selector)];
  const root = page.documentElement, found = {width: root.clientWidth, needs: root.scrollWidth};
  found.points = all('#scatter-plot [role=button]').length;
  found.columns = all('#heat-plot rect').length;
  found.bars = all('#cost-plot rect').length;
  found.steps = all('#bound-plot circle').length;
  found.contents = all('nav a').map(link => link.textContent);
  const rows = () => all('#trials tbody tr').filter(row => !row.hidden);
  const numbers = () => rows().map(row => Number(row.dataset.trial));
  found.rows = rows().length;
  rows()[2].click();
  found.clicked = page.querySelector('#details h3').textContent;
  found.marked = all('#trials tr.chosen').map(row => Number(row.dataset.trial));
  all('#trials thead button')[1].click();
  found.sorted = rows().map(row => row.cells[1].textContent).map(Number).filter(n => !isNaN(n));
  const filter = page.querySelector('#filter');
  filter.value = 'seed'; filter.dispatchEvent(new Event('input'));
  found.filtered = numbers();
  document.title = JSON.stringify(found);
}
</script>
<iframe width="{width}" height="900" srcdoc="{page}" onload="look(this)"></iframe>"""


def seen(page: str, width: int, folder: Path) -> dict[str, Any]:
    frame = folder / "frame.html"
    text = FRAME.replace("{width}", str(width)).replace("{page}", markup.escape(page))
    frame.write_text(text, encoding="utf-8")
    title = title_of(frame.as_uri(), folder)
    assert title != "-", "the page's script did not run"
    return dict(json.loads(title))


@pytest.mark.integration
@needs_chromium
@pytest.mark.parametrize("width", [360, 1200])
def test_the_script_draws_and_answers(width: int, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    run(FakeHost(ops=6, seed=1, tolerable_loss=0.02, jitter=0.01), folder, max_trials=14)
    trials = read_trials(folder)
    models = [trial for trial in trials if trial.duplicate_of is None]
    found = seen((folder / PAGE_FILE).read_text(), width, tmp_path)
    assert found["needs"] == found["width"], "it scrolls sideways"
    assert found["points"] == len(models)
    assert found["columns"] >= len(models)
    assert found["bars"] >= 6
    assert found["steps"] >= 2
    assert found["contents"][:2] == ["Accuracy and latency", "Ops by trials"]
    assert found["rows"] == len(trials)
    assert found["clicked"].startswith("Trial 3")
    assert found["marked"] == [3]
    assert found["sorted"] == sorted(found["sorted"])
    seeds = {trial.number for trial in trials if "seed" in trial.origin}
    assert seeds
    assert set(found["filtered"]) == seeds
