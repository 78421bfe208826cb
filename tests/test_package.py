"""The package as a whole: imports, registration, versions."""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from nc_sigopt_strategy.errors import UnsupportedVersionError
from nc_sigopt_strategy.hosts.inc.calibration.temp_files import ReclaimedTempFiles
from nc_sigopt_strategy.hosts.inc.logged_errors import LoggedErrors
from nc_sigopt_strategy.hosts.inc.registration import check_version
from nc_sigopt_strategy.tuning.interrupts import InterruptWatch

PACKAGE = Path(__file__).parents[1] / "nc_sigopt_strategy"
# Which modules may import what; everything else may not.
# Which rooms may import what; everything else may not.
ALLOWED = {
    "neural_compressor": ("hosts", "space"),
    "sigopt": ("client", "engine"),
    "optuna": ("engine", "sampling"),
    "tensorflow": ("backends", "hosts"),
    "onnxruntime": ("backends", "hosts"),
    "openvino": ("backends", "hosts"),
    "nncf": ("hosts",),
    "torch": ("backends", "hosts"),
    "torchao": ("backends", "hosts"),
    "starlette": ("server",),
    "uvicorn": ("server",),
    "h11": ("server",),
    "optuna_dashboard": ("server",),
}


def _imports(path: Path) -> set[str]:
    """Top-level names of the packages that a file imports, at whatever depth."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: p.stem)
def test_other_packages_are_imported_in_their_rooms_only(path: Path) -> None:
    room = path.relative_to(PACKAGE).parts[0]
    imports = _imports(path)
    for package, allowed in ALLOWED.items():
        assert package not in imports or room in allowed, f"{path.name} imports {package}"


def run(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.strip()


@pytest.mark.parametrize(
    "imports",
    [
        "import nc_sigopt_strategy, neural_compressor",
        "import neural_compressor, nc_sigopt_strategy",
        "import nc_sigopt_strategy, neural_compressor, importlib; "
        "importlib.reload(nc_sigopt_strategy)",
        "import nc_sigopt_strategy.hosts.inc.strategy",
        "import nc_sigopt_strategy.hosts.inc.inc_host",
        "import nc_sigopt_strategy.hosts.inc.fitting",
        "import nc_sigopt_strategy.hosts.inc.given_model",
        "import nc_sigopt_strategy.testing.contract",
        "from nc_sigopt_strategy import SigOptTuneStrategy",
    ],
)
def test_registers_in_any_order(imports: str) -> None:
    said = run(
        f"{imports}\n"
        "import nc_sigopt_strategy\n"
        "from neural_compressor import config\n"
        "from neural_compressor.strategy import STRATEGIES\n"
        "assert STRATEGIES['sigopt'] is nc_sigopt_strategy.SigOptTuneStrategy\n"
        "auto = STRATEGIES['auto']\n"
        "assert auto.func.__module__ == 'nc_sigopt_strategy.hosts.inc.registration'\n"
        "assert auto.args[0].__name__ == 'AutoTuneStrategy'\n"
        "config.TuningCriterion(strategy='basic')\n"
        "print(config.TuningCriterion(strategy='sigopt').strategy)"
    )
    assert said.splitlines()[-1] == "sigopt"


def test_wrong_names_are_still_refused() -> None:
    said = run(
        "import nc_sigopt_strategy\n"
        "from neural_compressor import config\n"
        "try:\n    config.TuningCriterion(strategy='sigoptt')\n"
        "except AssertionError as error:\n    print('refused')\n"
    )
    assert "refused" in said


def test_importing_the_package_alone_is_light() -> None:
    said = run(
        "import sys, nc_sigopt_strategy, nc_sigopt_strategy.cli.main\n"
        "heavy = ('tensorflow', 'neural_compressor', 'optuna', 'starlette')\n"
        "print([m for m in heavy if m in sys.modules])"
    )
    assert said == "[]"


@pytest.mark.parametrize("variable", [None, "Not A Project"])
def test_client_imports_anywhere(variable: str | None) -> None:
    environment = {} if variable is None else {"SIGOPT_PROJECT": variable}
    code = (
        "import os; os.chdir('/')\n"
        "import nc_sigopt_strategy.client.sigopt_client as client\n"
        "print(client.Connection.__name__, os.environ.get('SIGOPT_PROJECT'))"
    )
    assert run(code, **environment) == f"Connection {variable}"


@pytest.mark.parametrize("version", ["2.6", "2.6.1", "3.0", "3.7.1"])
def test_supported_versions(version: str) -> None:
    check_version(version)


@pytest.mark.parametrize("version", ["2.5.1", "3.8", "3.10", "4.0"])
def test_unsupported_versions_name_the_range(version: str) -> None:
    with pytest.raises(UnsupportedVersionError, match=r">=2\.6,<3\.8"):
        check_version(version)


def _mkstemp_of(module: str) -> Any:
    """A function that makes a temporary file as code of another module would."""
    space: dict[str, Any] = {"__name__": module, "tempfile": tempfile}
    exec("def make():\n    return tempfile.mkstemp(suffix='.log')", space)
    return space["make"]


def test_temp_files_are_reclaimed() -> None:
    before = len(os.listdir("/proc/self/fd"))
    real = tempfile.mkstemp
    make = _mkstemp_of("neural_compressor.adaptor")
    with ReclaimedTempFiles() as files:
        made = [make() for _ in range(5)]
        os.close(made[0][0])  # one that its maker did close
        os.unlink(made[1][1])  # and one that was deleted
        os.close(made[1][0])
        files.reclaim()
        assert len(os.listdir("/proc/self/fd")) == before
        last = make()
        kept = tempfile.mkstemp()  # called from here: a user's own file
        os.close(kept[0])
    assert tempfile.mkstemp is real
    assert os.path.exists(kept[1])
    os.unlink(kept[1])
    assert len(os.listdir("/proc/self/fd")) == before
    assert not any(os.path.exists(path) for _, path in [*made, last])


def test_reclaiming_spares_a_reused_descriptor(tmp_path: Path) -> None:
    with ReclaimedTempFiles() as files:
        descriptor, _ = _mkstemp_of("neural_compressor.adaptor")()
        os.close(descriptor)
        with (tmp_path / "other").open("w") as other:
            assert other.fileno() == descriptor, "the number is free and taken again"
            files.reclaim()
            other.write("still open")
    assert (tmp_path / "other").read_text() == "still open"


def test_logged_cause_is_part_of_the_reason() -> None:
    import logging

    with LoggedErrors() as logged:
        logging.getLogger("neural_compressor").error("Fail to quantize graph due to X.")
        assert logged.reason(AssertionError()) == (
            "AssertionError (INC logged: Fail to quantize graph due to X.)"
        )
    assert (
        LoggedErrors().reason(ValueError("plain\nsecond line")) == "ValueError: plain; second line"
    )


def test_held_interrupts_wait() -> None:
    done = []
    with (  # noqa: PT012
        InterruptWatch() as watch,
        pytest.raises(KeyboardInterrupt),
        watch.held(),
    ):
        signal.raise_signal(signal.SIGINT)
        done.append("both steps")
    assert done == ["both steps"]
    assert watch.by_person
