"""Which Neural Compressor which host is for, and what is said where it is another one."""

from __future__ import annotations

import importlib.metadata
import sys
from pathlib import Path

import pytest

from nc_sigopt_strategy.errors import MissingExtraError, ModelError, UnsupportedVersionError
from nc_sigopt_strategy.hosts import find
from nc_sigopt_strategy.hosts.inc.registration import check_version
from nc_sigopt_strategy.hosts.inc3 import versions
from nc_sigopt_strategy.hosts.inc_version import release_of


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Neural Compressor of the test's version, TensorFlow, and nothing else."""
    real = importlib.metadata.version

    def version(name: str) -> str:
        return str(request.param) if name == "neural_compressor" else real(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    there = ("neural_compressor", "tensorflow")
    monkeypatch.setattr(find, "_is_there", lambda module: module in there)


def files(folder: Path) -> tuple[Path, Path]:
    frozen, keras = folder / "m.pb", folder / "m.keras"
    frozen.touch()
    keras.touch()
    return frozen, keras


@pytest.mark.parametrize("version", ["3.8", "3.8.1", "3.10", "3.10rc1", "4.0"])
def test_versions_of_this_host(version: str) -> None:
    versions.check_inc3_version(version)
    with pytest.raises(UnsupportedVersionError, match="host='inc3'"):
        check_version(version)


@pytest.mark.parametrize("version", ["2.5", "2.6", "3.0", "3.7.1"])
def test_earlier_versions_are_named_with_the_way_out(version: str) -> None:
    with pytest.raises(UnsupportedVersionError) as refused:
        versions.check_inc3_version(version)
    assert f"Neural Compressor {version} is installed" in str(refused.value)
    assert "host='inc'" in str(refused.value)


def test_releases() -> None:
    found = [release_of(version) for version in ("3.10", "3.10rc1", "4", "3.8.1.dev0", "unknown")]
    assert found == [(3, 10), (3, 10), (4, 0), (3, 8), (0, 0)]


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("installed", "host"), [("2.6", "inc"), ("3.7.1", "inc"), ("3.8", "inc3"), ("3.10", "inc3")],
    indirect=["installed"],
)  # fmt: skip
def test_the_version_says_the_host(host: str, tmp_path: Path) -> None:
    frozen, _ = files(tmp_path)
    assert find.host_for(frozen).name == host
    assert [known.name for known in find.installed_hosts(frozen)] == [host]


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("installed", ["3.10"], indirect=True)
def test_keras_models_are_to_be_exported(tmp_path: Path) -> None:
    _, keras = files(tmp_path)
    with pytest.raises(ModelError, match=r"a Keras model.*Export it with model\.export\(folder\)"):
        find.host_for(keras)


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("installed", ["3.10"], indirect=True)
@pytest.mark.parametrize(
    ("module", "kind", "said"),
    [
        ("pkg_resources", UnsupportedVersionError, r"pip install 'setuptools<81'"),
        ("prettytable", MissingExtraError, r"pip install 'nc_sigopt_strategy\[inc3\]'"),
        (
            "neural_compressor.tensorflow.algorithms",
            UnsupportedVersionError,
            r"3\.10 is not as this host knows it.*pip install 'neural-compressor\[tf\]==3\.10'",
        ),
    ],
)
def test_what_cannot_be_imported(
    monkeypatch: pytest.MonkeyPatch, module: str, kind: type[Exception], said: str
) -> None:
    def fails(name: str) -> None:
        error = ModuleNotFoundError(f"No module named {module!r}", name=module)
        raise error if name == versions._PARTS else AssertionError(name)

    monkeypatch.setattr(versions, "needed", lambda *_, **__: None)
    monkeypatch.setattr(versions.importlib, "import_module", fails)
    stderr = sys.stderr
    with pytest.raises(kind, match=said):
        versions.require_inc3()
    assert sys.stderr is stderr
