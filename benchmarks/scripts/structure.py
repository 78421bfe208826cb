"""How the code base is built, in figures: sizes, rooms, floors, arrows, circles.

    python benchmarks/scripts/structure.py                      the working tree
    python benchmarks/scripts/structure.py --rev e2c1719        a commit beside it, and the change
    python benchmarks/scripts/structure.py --rev A --to B       two commits
    python benchmarks/scripts/structure.py nc_sigopt_strategy   these package folders only

Standard library only. What the words mean:

- A *room* is what lies at a package's top: a folder or a file, ``__init__.py`` excepted.
- An *arrow* leads from a room to one that it imports, however often. Imports inside of functions
  and for type checkers count, relative ones too.
- *Floors* are the rooms (or files) on the longest way along the arrows; a circle is one floor.
- A *circle* is a set of rooms (or of files) each of which imports all others, directly or not.
- *Parameters* are all that a function takes but ``self`` and ``cls``; ``*args`` is one.
- ``Any`` is counted wherever it stands in code, imports of it left out.
- A *duplicated block* is a run of at least six lines that stand elsewhere too, every copy counted;
  blank lines, comments, imports, docstrings and lone brackets are left out.
"""

from __future__ import annotations

import argparse
import ast
import io
import statistics
import subprocess
import sys
import tarfile
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("nc_sigopt_strategy", "benchmarks/nc_sigopt_benchmarks")
LONG_FILE, LONG_FUNCTION, MANY_PARAMETERS, BLOCK = 400, 55, 8, 6

Graph = dict[str, set[str]]
_Function = ast.FunctionDef | ast.AsyncFunctionDef
_IMPORTS = (ast.Import, ast.ImportFrom)


@dataclass(frozen=True)
class Module:
    """One file of a package.

    Attributes:
        name: Dotted name inside of the package; empty for the package's own ``__init__``.
        is_package: Whether it is an ``__init__.py``.
        lines: Its text.
        tree: The same, parsed.
    """

    name: str
    is_package: bool
    lines: list[str]
    tree: ast.Module


def read_package(folder: Path) -> list[Module]:
    """All modules of a package folder."""
    modules = []
    for path in sorted(folder.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        parts = path.relative_to(folder).with_suffix("").parts
        is_package = parts[-1] == "__init__"
        name = ".".join(parts[:-1] if is_package else parts)
        modules.append(Module(name, is_package, text.splitlines(), ast.parse(text)))
    return modules


# What is imported.


def imported_names(module: Module, package: str) -> Iterator[str]:
    """Dotted names inside of the package that a module imports.

    ``from package.a import b`` gives ``a.b``: b may be a module or something in a.
    """
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = _base(module, node, package)
            names = [f"{base}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            if name.split(".")[0] == package:
                yield name.partition(".")[2]


def _base(module: Module, node: ast.ImportFrom, package: str) -> str:
    if node.level == 0:
        return node.module or ""
    here = [package, *filter(None, module.name.split("."))]
    up = node.level - (1 if module.is_package else 0)
    return ".".join([*here[: len(here) - up], *filter(None, [node.module])])


def module_graph(modules: list[Module], package: str) -> Graph:
    """Which module imports which; a name that is no module stands for what defines it."""
    known = {module.name for module in modules}
    graph: Graph = {module.name: set() for module in modules}
    for module in modules:
        for name in imported_names(module, package):
            while name not in known:
                name = name.rpartition(".")[0]
            if name != module.name:
                graph[module.name].add(name)
    return graph


def room_graph(graph: Graph) -> Graph:
    """The same between rooms; the package's own ``__init__`` is no room."""
    rooms: Graph = {}
    for module, targets in graph.items():
        if module:
            own = module.split(".")[0]
            rooms.setdefault(own, set()).update(
                target.split(".")[0] for target in targets if target
            )
    return {room: targets - {room} for room, targets in rooms.items()}


def circles(graph: Graph) -> list[set[str]]:
    """Sets of more than one node that all reach each other, largest first."""
    reached = {node: _reached(graph, node) for node in graph}
    found = {
        frozenset({other for other in reached[node] if node in reached[other]}) for node in graph
    }
    return sorted(
        (set(one) for one in found if len(one) > 1), key=lambda one: (-len(one), min(one))
    )


def _reached(graph: Graph, start: str) -> set[str]:
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        for target in graph[waiting.pop()] - seen:
            seen.add(target)
            waiting.append(target)
    return seen


def floors(graph: Graph) -> int:
    """How many nodes the longest way has, each circle taken for one node."""
    home = {node: node for node in graph}
    for circle in circles(graph):
        home |= dict.fromkeys(circle, min(circle))
    condensed: Graph = {node: set() for node in home.values()}
    for node, targets in graph.items():
        condensed[home[node]] |= {home[target] for target in targets} - {home[node]}
    heights: dict[str, int] = {}

    def height(node: str) -> int:
        if node not in heights:
            heights[node] = 1 + max((height(below) for below in condensed[node]), default=0)
        return heights[node]

    return max((height(node) for node in condensed), default=0)


# What is written.


def functions(module: Module) -> Iterator[tuple[str, int, int]]:
    """Name, lines and parameters of every function of a module."""
    for node in ast.walk(module.tree):
        if isinstance(node, _Function):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            yield node.name, lines, _parameters(node)


def _parameters(function: _Function) -> int:
    taken = function.args
    names = [arg.arg for arg in (*taken.posonlyargs, *taken.args)]
    own = 1 if names and names[0] in ("self", "cls") else 0
    stars = sum(arg is not None for arg in (taken.vararg, taken.kwarg))
    return len(names) - own + len(taken.kwonlyargs) + stars


def anys(module: Module) -> int:
    """How often ``Any`` is used."""
    return sum(
        (isinstance(node, ast.Name) and node.id == "Any")
        or (isinstance(node, ast.Attribute) and node.attr == "Any")
        for node in ast.walk(module.tree)
    )


def duplicated_blocks(modules: list[Module]) -> int:
    """How many blocks stand in more than one place."""
    texts = [_code_lines(module) for module in modules]
    windows = Counter(window for text in texts for window in _windows(text))
    blocks = 0
    for text in texts:
        repeated = [windows[window] > 1 for window in _windows(text)]
        blocks += sum(
            here and not before for before, here in zip([False, *repeated], repeated, strict=False)
        )
    return blocks


def _windows(text: list[str]) -> list[tuple[str, ...]]:
    return [tuple(text[i : i + BLOCK]) for i in range(len(text) - BLOCK + 1)]


def _code_lines(module: Module) -> list[str]:
    left_out: set[int] = set()
    for node in ast.walk(module.tree):
        is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if isinstance(node, ast.stmt) and (is_text or isinstance(node, _IMPORTS)):
            left_out.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    stripped = ((number, line.strip()) for number, line in enumerate(module.lines, 1))
    return [
        line
        for number, line in stripped
        if number not in left_out and line.strip("()[]{},:") and not line.startswith("#")
    ]


# The table.


@dataclass(frozen=True)
class Package:
    """A package as it is measured.

    Attributes:
        folder: Where it lies in the repository.
        modules: Its files.
        others: Names of the other packages that are measured.
    """

    folder: str
    modules: list[Module]
    others: tuple[str, ...]

    @property
    def name(self) -> str:
        """The name that it is imported by."""
        return Path(self.folder).name


def figures(package: Package) -> dict[str, str]:
    """Everything that is measured of one package, by what it is called."""
    return {**_file_figures(package), **_function_figures(package), **_graph_figures(package)}


def _file_figures(package: Package) -> dict[str, str]:
    lengths = {module.name or "__init__": len(module.lines) for module in package.modules}
    at_top = [m for m in package.modules if m.name == "" or _is_top_file(m)]
    texts = ["\n".join(module.lines) for module in package.modules]
    naming = [text for text in texts if any(other in text for other in package.others)]
    return {
        "files": str(len(lengths)),
        "files at the package's top": str(len(at_top)),
        "lines in all": str(sum(lengths.values())),
        "lines of the median file": f"{statistics.median(lengths.values()):.0f}",
        "lines of the longest file": _largest(lengths),
        f"files of more than {LONG_FILE} lines": str(
            sum(length > LONG_FILE for length in lengths.values())
        ),
        "files that name the other package": str(len(naming)),
    }


def _function_figures(package: Package) -> dict[str, str]:
    found = [
        (f"{module.name}.{name}", lines, parameters)
        for module in package.modules
        for name, lines, parameters in functions(module)
    ]
    return {
        "functions": str(len(found)),
        f"functions of more than {LONG_FUNCTION} lines": str(
            sum(lines > LONG_FUNCTION for _, lines, _ in found)
        ),
        "most parameters of a function": _largest({name: most for name, _, most in found}),
        f"functions with more than {MANY_PARAMETERS} parameters": str(
            sum(parameters > MANY_PARAMETERS for *_, parameters in found)
        ),
        "uses of Any": str(sum(map(anys, package.modules))),
        f"duplicated blocks ({BLOCK} lines or more)": str(duplicated_blocks(package.modules)),
    }


def _graph_figures(package: Package) -> dict[str, str]:
    by_module = module_graph(package.modules, package.name)
    by_room = room_graph(by_module)
    return {
        "rooms": str(len(by_room)),
        "floors": str(floors(by_room)),
        "floors of files": str(floors(by_module)),
        "arrows between rooms": str(sum(map(len, by_room.values()))),
        "circles of rooms": _circle_text(by_room),
        "circles of files": _circle_text(by_module),
    }


def _is_top_file(module: Module) -> bool:
    return not module.is_package and "." not in module.name


def _largest(values: Mapping[str, int]) -> str:
    name = max(values, key=lambda one: values[one])
    return f"{values[name]} ({name})"


def _circle_text(graph: Graph) -> str:
    found = circles(graph)
    if not found:
        return "0"
    return f"{len(found)} ({'; '.join(', '.join(sorted(circle)) for circle in found)})"


# Where the files come from.


def measured(root: Path, folders: tuple[str, ...]) -> dict[str, dict[str, str]]:
    """Package folder to its figures, for a tree of files."""
    names = [Path(folder).name for folder in folders]
    found = {}
    for folder, name in zip(folders, names, strict=True):
        if not (root / folder).is_dir():
            raise SystemExit(f"{folder} is not a folder of the repository.")
        others = tuple(other for other in names if other != name)
        found[folder] = figures(Package(folder, read_package(root / folder), others))
    return found


def measured_at(revision: str, folders: tuple[str, ...]) -> dict[str, dict[str, str]]:
    """The same for a commit."""
    archive = _git("archive", "--format=tar", revision, *folders)
    with tempfile.TemporaryDirectory() as temporary:
        with tarfile.open(fileobj=io.BytesIO(archive)) as files:
            files.extractall(temporary, filter="data")
        return measured(Path(temporary), folders)


def changed(revision: str, to: str | None) -> list[str]:
    """What git says of the lines between a commit and another, or the working tree."""
    ends = [revision] if to is None else [revision, to]
    kinds = {
        "Python outside of tests": ("*.py", ":!tests"),
        "tests": ("tests",),
        "everything": (".",),
    }
    return [
        f"{kind}: {_git('diff', '-M', '--shortstat', *ends, '--', *paths).decode().strip()}"
        for kind, paths in kinds.items()
    ]


def _git(*arguments: str) -> bytes:
    done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr.decode().strip())
    return done.stdout


def print_tables(columns: Mapping[str, dict[str, dict[str, str]]]) -> None:
    """A table in Markdown for each package, a column for each state."""
    for folder in next(iter(columns.values())):
        print(f"\n| {folder} | {' | '.join(columns)} |")
        print("|---" * (1 + len(columns)) + "|")
        for figure in next(iter(columns.values()))[folder]:
            cells = (tables[folder][figure] for tables in columns.values())
            print(f"| {figure} | {' | '.join(cells)} |")


def main(arguments: list[str]) -> None:
    """Read the command line, print the tables."""
    parser = argparse.ArgumentParser(description="How the code base is built, in figures.")
    parser.add_argument("--rev", metavar="REV", help="a commit to compare with")
    parser.add_argument("--to", metavar="REV", help="measure this commit, not the working tree")
    parser.add_argument("folders", metavar="PACKAGE_FOLDER", nargs="*", default=PACKAGES)
    given = parser.parse_args(arguments)
    folders = tuple(given.folders)
    columns = {given.rev: measured_at(given.rev, folders)} if given.rev else {}
    if given.to:
        columns[given.to] = measured_at(given.to, folders)
    else:
        columns["working tree"] = measured(ROOT, folders)
    print_tables(columns)
    if given.rev:
        print(f"\nFrom {given.rev} to {given.to or 'the working tree'}, renames followed:")
        print("\n".join(f"- {line}" for line in changed(given.rev, given.to)))


if __name__ == "__main__":
    main(sys.argv[1:])
