"""A page that follows a run, in a real browser: what the reader has opened stays open."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nc_sigopt_strategy.reports import run_page
from nc_sigopt_strategy.reports.page_server import Page, PageServer
from nc_sigopt_strategy.reports.run_page import PAGE_FILE
from nc_sigopt_strategy.testing.fake_host import FakeHost
from nc_sigopt_strategy.tuning import live_page
from tests.browser import needs_chromium, title_of
from tests.tuning.test_loop import run

pytestmark = [pytest.mark.integration, needs_chromium]
# A reader who opens things, waits for the run to get further, and looks whether they are open.
READER = """<script>
addEventListener("load", () => {
  const all = selector => [...document.querySelectorAll(selector)];
  const rows = () => all('#trials tbody tr').filter(row => !row.hidden);
  const numbers = () => rows().map(row => Number(row.dataset.trial));
  const found = {before: all('#trials tbody tr').length};
  found.said = document.querySelector('#live').textContent;
  found.title = document.title;
  const list = () => document.querySelector('#details .scroll');
  const isLong = row => { row.click(); return list().scrollHeight > list().clientHeight + 9; };
  found.clicked = Number(rows().find(isLong).dataset.trial);
  all('#details button')[0].click();
  all('#trials thead button')[0].click();
  all('#trials thead button')[0].click();
  const filter = document.querySelector('#filter');
  filter.value = 'm'; filter.dispatchEvent(new Event('input')); filter.focus();
  const fold = document.querySelector('[data-part=others] details');
  if (fold) fold.open = true;
  list().scrollTop = 5;
  const until = (holds, then) => holds() ? then() : setTimeout(() => until(holds, then), 100);
  until(() => all('#trials tbody tr').length > found.before, () => {
    found.after = all('#trials tbody tr').length;
    found.chosen = document.querySelector('#details h3').textContent;
    found.marked = all('#trials tr.chosen').map(row => Number(row.dataset.trial));
    found.filter = document.activeElement === filter && filter.value;
    found.shown = rows().length;
    const words = row => `${row.textContent} ${row.className}`.toLowerCase();
    found.matching = all('#trials tbody tr').filter(row => words(row).includes('m')).length;
    found.numbers = numbers();
    found.open = fold ? document.querySelector('[data-part=others] details').open : null;
    found.scrolled = list().scrollTop;
    found.room = list().scrollHeight - list().clientHeight;
    found.points = all('#scatter-plot [role=button]').length;
    until(() => document.querySelector('#live').hidden, () => {
      found.ended = document.querySelector('.verdict').textContent;
      found.last = document.title;
      document.title = JSON.stringify(found);
    });
  });
});
</script></body>"""


@pytest.fixture
def pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The pages of a run, the last of them from its end."""
    found: list[str] = []

    def write(*arguments: Any) -> Path:
        path = run_page.write_page(*arguments)
        found.append(path.read_text())
        return path

    monkeypatch.setattr(live_page, "write_page", write)
    monkeypatch.setattr(live_page, "SHARE", float("inf"))
    host = FakeHost(ops=40, seed=1, tolerable_loss=0.02, jitter=0.01)
    run(host, tmp_path / "run", max_trials=14, live_page=True)
    return [*found, (tmp_path / "run" / PAGE_FILE).read_text()]


def test_what_is_open_stays_open_while_the_run_goes_on(pages: list[str], tmp_path: Path) -> None:
    trials = [page.count("data-trial=") for page in pages]
    early = next(place for place, count in enumerate(trials) if count >= 4)
    middle = next(place for place, count in enumerate(trials) if count > trials[early] + 2)
    # The reader's script is on the page that is opened; what comes later is looked at as text.
    opened = pages[early].replace("</body>", READER)
    shown = [
        Page(opened.encode(), "a"),
        *(Page(pages[place].encode(), f"{place}") for place in (middle, -1)),
    ]
    asked = iter([shown[0], shown[0], shown[1], shown[1]])
    with PageServer(lambda: next(asked, shown[2])) as server:
        found = json.loads(title_of(server.url, tmp_path, 60_000))
    assert found["before"] == trials[early]
    assert found["said"] == "This page follows the run by itself."
    assert found["title"].endswith("being tuned")
    assert found["after"] == trials[middle]
    assert found["chosen"].startswith(f"Trial {found['clicked']}")
    assert found["marked"] == [found["clicked"]]
    assert found["filter"] == "m"
    assert found["shown"] == found["matching"]
    assert found["numbers"] == sorted(found["numbers"], reverse=True)
    assert found["open"] is not False
    # Of another best one fewer ops may differ, so that there is nothing left to scroll.
    assert found["scrolled"] == min(5, found["room"])
    assert found["points"] >= found["after"] // 2
    assert found["last"].endswith(": tuned")
    assert "so far" not in found["ended"]
