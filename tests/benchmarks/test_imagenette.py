"""Imagenette: downloaded from a local server, unpacked, or refused."""

from __future__ import annotations

import hashlib
import io
import tarfile
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from nc_sigopt_benchmarks.config.run_config import DataConfig
from nc_sigopt_benchmarks.datasets import load_splits
from nc_sigopt_benchmarks.datasets.download import Archive
from nc_sigopt_benchmarks.datasets.imagenette import IMAGENETTE_320, imagenette_images
from nc_sigopt_benchmarks.datasets.synsets import IMAGENETTE
from nc_sigopt_benchmarks.models.benchmark_model import BenchmarkModel
from nc_sigopt_strategy.errors import DataError

MODEL = BenchmarkModel("m", "keras", "", Path("m.pb"), ("i",), ("o",), image_size=32, classes=1000)
TOP = "imagenette2-320"


def jpeg() -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (40, 36)).save(content, "JPEG")
    return content.getvalue()


def packed(members: Mapping[str, bytes] | None = None, **special: tarfile.TarInfo) -> bytes:
    """A .tgz of files, and of members that are something else."""
    files = {
        f"{TOP}/{part}/{s}/{s}_1.JPEG": jpeg() for s in IMAGENETTE for part in ("train", "val")
    }
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        for name, data in (files if members is None else members).items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        for info in special.values():
            archive.addfile(info)
    return content.getvalue()


class Server:
    """Serves one body; counts the requests; may announce more than it sends."""

    def __init__(self) -> None:
        self.body = packed()
        self.missing = 0
        self.requests = 0
        served = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                served.requests += 1
                self.send_response(200)
                self.send_header("Content-Length", str(len(served.body) + served.missing))
                self.end_headers()
                self.wfile.write(served.body)

            def log_message(self, *args: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def archive(self) -> Archive:
        host, port = self.http.server_address[:2]
        md5 = hashlib.md5(self.body).hexdigest()
        return replace(IMAGENETTE_320, url=f"http://{host}:{port}/{TOP}.tgz", md5=md5)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Server]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    server = Server()
    thread = threading.Thread(target=server.http.serve_forever, daemon=True)
    thread.start()
    yield server
    server.http.shutdown()
    server.http.server_close()


def kept(tmp_path: Path) -> list[str]:
    folder = tmp_path / "cache" / "nc-sigopt-strategy"
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def silent(line: str) -> None:
    pass


def test_it_is_downloaded_once(server: Server, tmp_path: Path) -> None:
    told: list[str] = []
    images = imagenette_images(None, told.append, server.archive())
    assert sorted(images.labels) == sorted(IMAGENETTE.values())
    assert {path.parts[-2] for path in images.paths} == set(IMAGENETTE)
    assert server.archive().url in told[0]
    assert "checksum right" in told[1]
    assert kept(tmp_path) == [f"{TOP}-{server.archive().md5[:12]}"]
    again = imagenette_images(None, silent, server.archive())
    assert again == images
    assert server.requests == 1


def test_a_wrong_checksum_leaves_nothing(server: Server, tmp_path: Path) -> None:
    archive = server.archive()
    server.body = packed({f"{TOP}/val/n01440764/x.JPEG": jpeg()})
    with pytest.raises(DataError, match=rf"has the MD5 \w+, not {archive.md5}.*data\.path"):
        imagenette_images(None, silent, archive)
    assert kept(tmp_path) == []


def test_a_broken_connection_leaves_nothing(server: Server, tmp_path: Path) -> None:
    archive = server.archive()
    whole = len(server.body)
    server.body, server.missing = server.body[:100], whole - 100
    with pytest.raises(DataError, match=rf"broke while .*: 100 of {whole} bytes.*Try again"):
        imagenette_images(None, silent, archive)
    assert kept(tmp_path) == []
    server.body, server.missing = packed(), 0
    assert len(imagenette_images(None, silent, server.archive())) == 10


def test_no_server(server: Server, tmp_path: Path) -> None:
    archive = replace(server.archive(), url="http://127.0.0.1:9/x.tgz")
    with pytest.raises(DataError, match=r"127\.0\.0\.1:9/x\.tgz cannot be .*data\.path.*digits"):
        imagenette_images(None, silent, archive)
    assert kept(tmp_path) == []


def link(name: str, target: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = tarfile.SYMTYPE, target
    return info


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (lambda: packed({f"{TOP}/val/../../../evil.JPEG": b"x"}), "evil.JPEG' that leads outside"),
        (lambda: packed({"/tmp/val/evil.JPEG": b"x"}), "evil.JPEG' that leads outside"),
        (lambda: packed(link=link(f"{TOP}/val/n01440764/l", "/etc")), "is no file or folder"),
        (lambda: packed({"other/a.JPEG": b"x"}), "no files in a folder val/"),
        (lambda: packed()[:-300], "cannot be unpacked"),
        (lambda: b"no archive", "cannot be unpacked"),
    ],
)
def test_archives_that_are_refused(
    content: Callable[[], bytes], says: str, server: Server, tmp_path: Path
) -> None:
    server.body = content()
    with pytest.raises(DataError, match=says):
        imagenette_images(None, silent, server.archive())
    assert kept(tmp_path) == []
    assert not list(tmp_path.rglob("evil*"))


def test_a_given_archive_and_folder(server: Server, tmp_path: Path) -> None:
    path = tmp_path / f"{TOP}.tgz"
    path.write_bytes(server.body)
    few = DataConfig(source="imagenette", path=path, calibration_images=4, evaluation_images=6)
    splits = load_splits(few, MODEL)
    drawn = [*splits.calibration.labels, *splits.evaluation.labels]
    assert sorted(drawn) == sorted(IMAGENETTE.values())
    assert "10 of the 10 of Imagenette" in splits.description
    with tarfile.open(path) as archive:
        archive.extractall(tmp_path / "by hand")
    for folder in (tmp_path / "by hand", tmp_path / "by hand" / TOP):
        same = load_splits(replace(few, path=folder), MODEL)
        assert (same.evaluation.labels == splits.evaluation.labels).all()
    assert server.requests == 0


def test_wrong_folders(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere does not exist"):
        imagenette_images(tmp_path / "nowhere", silent)
    with pytest.raises(DataError, match=r"holds no folders of classes.*imagenette2-320"):
        imagenette_images(tmp_path, silent)
    (tmp_path / "dogs").mkdir()
    with pytest.raises(DataError, match=r"1 of the 1 folders .*unknown: dogs"):
        imagenette_images(tmp_path, silent)


def test_ten_classes_are_wrong_for_imagenette(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "x.tgz"
    path.write_bytes(server.body)
    with pytest.raises(DataError, match=r"Wrong number of classes: .*0 to 701"):
        load_splits(DataConfig(source="imagenette", path=path), replace(MODEL, classes=10))
