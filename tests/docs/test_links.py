"""The pages: their links lead somewhere, what they name is there, the README stays short."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from nc_sigopt_strategy.settings.schema import settings_schema
from nc_sigopt_strategy.settings.settings import KEYS

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
PAGES += sorted((ROOT / "docs").rglob("*.md"))
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
MAX_README_LINES = 150

_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
_BLOCK = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
# Files and folders of the repository that a page names in code.
_PATH = re.compile(
    r"(?<![\w./-])(?:nc_sigopt_strategy|benchmarks|configs|constraints|docs|examples|tests)/[\w./-]*[\w/]"
)


def links(page: Path) -> Iterator[str]:
    """Targets of a page's links, without those to other sites."""
    for target in _LINK.findall(_BLOCK.sub("", page.read_text(encoding="utf-8"))):
        if not re.match(r"[a-z]+:", target):
            yield target


def anchors(page: Path) -> set[str]:
    """What the headings of a page are called in links, by GitHub's rule."""
    headings = _HEADING.findall(_BLOCK.sub("", page.read_text(encoding="utf-8")))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_links_lead_somewhere(page: Path) -> None:
    for target in links(page):
        file, _, anchor = target.partition("#")
        linked = (page.parent / file).resolve() if file else page
        assert linked.exists(), f"{target}: there is no such file"
        assert linked.is_relative_to(ROOT), f"{target} leads out of the repository"
        if anchor:
            assert anchor in anchors(linked), f"{target}: the page has no such heading"


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_files_that_are_named_are_there(page: Path) -> None:
    if page.name == "CHANGELOG.md":
        return  # it names what is gone, too
    for name in _PATH.findall(page.read_text(encoding="utf-8")):
        assert (ROOT / name).exists(), f"{name} is named and is not there"


NAMING = [*(ROOT / "configs").glob("*.yaml"), *(ROOT / "benchmarks" / "notebooks").glob("*.ipynb")]


@pytest.mark.parametrize("path", sorted(NAMING), ids=lambda path: path.name)
def test_pages_that_configurations_and_notebooks_name_are_there(path: Path) -> None:
    for name in re.findall(r"docs/[\w/]+\.md", path.read_text(encoding="utf-8")):
        assert (ROOT / name).is_file(), f"{name} is named and is not there"


def test_every_page_is_in_the_index() -> None:
    index = ROOT / "docs" / "index.md"
    linked = {(index.parent / target).resolve() for target in links(index)}
    assert linked == set((ROOT / "docs").rglob("*.md")) - {index}


def test_every_setting_is_documented_once() -> None:
    page = ROOT / "docs" / "guide" / "settings.md"
    rows = re.findall(r"^\| `(\w+)` \|", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(rows) == sorted(KEYS)
    for other in PAGES:
        if other != page:
            text = other.read_text(encoding="utf-8")
            assert not set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)) & set(KEYS), other


def test_defaults_and_choices_of_the_settings_page_are_those_declared() -> None:
    page = (ROOT / "docs" / "guide" / "settings.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \| (.*) \|$", page, re.MULTILINE)
    declared = settings_schema()["properties"]
    for key, default, what in rows:
        said = declared.get(key, {})
        if said.get("default") is not None:
            value = said["default"]
            shown = f"{value:g}" if isinstance(value, float) else str(value)
            assert f"`{shown}`" in default, f"{key}: {default} is not {shown}"
        for choice in said.get("enum", ()):
            assert choice is None or f"`{choice}`" in what + default, f"{key}: no {choice}"
        if said.get("minimum", 1) > 1:
            assert f"at least {said['minimum']}" in what, key
    assert len(rows) == len(KEYS)


def test_the_readme_is_short() -> None:
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= MAX_README_LINES


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_no_page_speaks_of_this_machine(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert not re.search(r"(?<![\w.])/(home|root|work)/", text), "a path of one machine"
