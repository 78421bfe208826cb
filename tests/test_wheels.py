"""The two wheels hold what a user without a checkout needs."""

from __future__ import annotations

import email
import shutil
import subprocess
import sys
import zipfile
from email.message import Message
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CONFIGS = sorted(path.name for path in (ROOT / "configs").glob("*.yaml"))
DATA = "nc_sigopt_benchmarks/research/landscapes/data"
BUILD = "import sys, setuptools.build_meta as b; getattr(b, 'build_' + sys.argv[1])(sys.argv[2])"


def build(what: str, source: Path, to: Path) -> Path:
    """Build a distribution as pip does, without a network."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", BUILD, what, str(to)],
        cwd=source,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    (built,) = to.iterdir()
    return built


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy, because a build leaves files beside the sources."""
    folder = tmp_path_factory.mktemp("checkout")
    leave = shutil.ignore_patterns("build", "*.egg-info", "__pycache__", "notebooks")
    for name in ("nc_sigopt_strategy", "benchmarks", "configs"):
        shutil.copytree(ROOT / name, folder / name, ignore=leave)
    for name in ("README.md", "LICENSE", "pyproject.toml", "setup.cfg"):
        shutil.copy(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def product(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    return zipfile.ZipFile(build("wheel", checkout, tmp_path_factory.mktemp("product")))


@pytest.fixture(scope="module")
def harness(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("harness")
    return zipfile.ZipFile(build("wheel", checkout / "benchmarks", folder))


def metadata(wheel: zipfile.ZipFile) -> Message:
    (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    return email.message_from_bytes(wheel.read(name))


@pytest.mark.parametrize("name", ["product", "harness"])
def test_licence_and_author_are_in_both(name: str, request: pytest.FixtureRequest) -> None:
    wheel: zipfile.ZipFile = request.getfixturevalue(name)
    (licence,) = (entry for entry in wheel.namelist() if entry.endswith("LICENSE"))
    assert wheel.read(licence) == (ROOT / "LICENSE").read_bytes()
    said = metadata(wheel)
    assert said["Author"] == "The nc_sigopt_strategy authors"
    assert said["License"] == "Apache-2.0"
    assert set(said["Requires-Python"].split(",")) == {">=3.10", "<3.14"}
    assert any(entry.endswith("py.typed") for entry in wheel.namelist())


def test_the_readme_is_the_products_description(product: zipfile.ZipFile) -> None:
    assert metadata(product).get_payload().strip().startswith("# nc_sigopt_strategy")


def test_the_harness_holds_configurations_and_landscapes(harness: zipfile.ZipFile) -> None:
    names = harness.namelist()
    for config in CONFIGS:
        assert f"nc_sigopt_benchmarks/configs/{config}" in names
    landscapes = {Path(name).name for name in names if name.startswith(f"{DATA}/")}
    assert landscapes == {path.name for path in (ROOT / "benchmarks" / DATA).iterdir()}


def test_a_source_distribution_gives_the_same_wheel(
    checkout: Path, harness: zipfile.ZipFile, tmp_path: Path
) -> None:
    for name in ("sdist", "unpacked", "wheel"):
        (tmp_path / name).mkdir()
    archive = build("sdist", checkout / "benchmarks", tmp_path / "sdist")
    shutil.unpack_archive(archive, tmp_path / "unpacked")
    (source,) = (tmp_path / "unpacked").iterdir()
    again = zipfile.ZipFile(build("wheel", source, tmp_path / "wheel"))
    assert sorted(again.namelist()) == sorted(harness.namelist())


def test_a_configuration_is_found_by_name_without_a_checkout(
    harness: zipfile.ZipFile, tmp_path: Path
) -> None:
    harness.extractall(tmp_path / "installed")
    (tmp_path / "empty").mkdir()
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from pathlib import Path\n"
        "from nc_sigopt_benchmarks.commands.run_configs import read_run_config\n"
        "config = read_run_config(Path('quick'))\n"
        "print(config.name, config.path)"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, str(tmp_path / "installed")],
        cwd=tmp_path / "empty",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    name, path = done.stdout.split()
    assert name == "quick"
    assert Path(path).is_relative_to(tmp_path / "installed")
