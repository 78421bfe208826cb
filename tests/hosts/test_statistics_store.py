"""The store of calibration statistics, in memory and on disk."""

from __future__ import annotations

import io
import json
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nc_sigopt_strategy.hosts import statistics_store
from nc_sigopt_strategy.hosts.statistics_store import Section, StatisticsStore, digest_of

LOADER: list[int] = []
ARRAYS = {"Min a:0": np.array([1.5, -2.0], np.float32), "kl counts b": np.arange(4)}


def the_file(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


def filled(folder: Path, digest: str = "data") -> Section:
    section = StatisticsStore(folder, digest).section(LOADER, "graph", "100")
    section.add(ARRAYS)
    return section


def test_digest_keeps_parts_apart() -> None:
    assert digest_of("ab", "c") != digest_of("a", "bc")
    assert digest_of("ab") == digest_of(b"ab")


def test_a_run_shares_its_sections() -> None:
    store = StatisticsStore()
    store.section(LOADER, "graph", "100").add(ARRAYS)
    assert "Min a:0" in store.section(LOADER, "graph", "100")
    assert len(store.section(LOADER, "graph", "50")) == 0
    assert store.section(LOADER, "graph", "100").missing(["x", "Min a:0", "x"]) == ["x"]


def test_nothing_is_shared_across_dataloaders() -> None:
    store = StatisticsStore()
    store.section(LOADER, "graph").add(ARRAYS)
    equal_but_another: list[int] = []
    assert len(store.section(equal_but_another, "graph")) == 0
    assert len(store.section(LOADER, "graph")) == len(ARRAYS)


def test_a_later_run_finds_them(tmp_path: Path) -> None:
    filled(tmp_path)
    again = StatisticsStore(tmp_path, "data").section(LOADER, "graph", "100")
    assert len(again) == len(ARRAYS)
    for name, array in ARRAYS.items():
        assert again[name].dtype == array.dtype
        np.testing.assert_array_equal(again[name], array)


def test_added_later_is_kept_too(tmp_path: Path) -> None:
    filled(tmp_path).add({"new": np.array(True)})
    assert (
        len(StatisticsStore(tmp_path, "data").section(LOADER, "graph", "100")) == len(ARRAYS) + 1
    )


@pytest.mark.parametrize(
    ("digest", "parts"),
    [("other data", ("graph", "100")), ("data", ("other graph", "100")), ("data", ("graph", "9"))],
)
def test_nothing_is_shared_across_graph_data_or_size(
    tmp_path: Path, digest: str, parts: tuple[str, ...]
) -> None:
    filled(tmp_path)
    assert len(StatisticsStore(tmp_path, digest).section(LOADER, *parts)) == 0


def test_without_a_digest_of_the_data_nothing_is_kept(tmp_path: Path) -> None:
    StatisticsStore(tmp_path).section(LOADER, "graph").add(ARRAYS)
    assert list(tmp_path.iterdir()) == []


def _truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def _flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(bytes(data))


def _foreign(path: Path) -> None:
    path.write_bytes(b"not an archive")


def _emptied(path: Path) -> None:
    path.write_bytes(b"")


def _rewritten(path: Path, **header: Any) -> None:
    with np.load(path) as archive:
        arrays = {name: archive[name] for name in archive.files}
    changed = {**json.loads(str(arrays.pop("header"))), **header}
    with path.open("wb") as stream:
        np.savez(stream, header=np.array(json.dumps(changed)), **arrays)


def _of_another_model(path: Path) -> None:
    _rewritten(path, key="0" * 64)


def _of_another_format(path: Path) -> None:
    _rewritten(path, format=99)


def _with_changed_numbers(path: Path) -> None:
    with np.load(path) as archive:
        arrays = {name: archive[name] for name in archive.files}
    arrays["array/Min a:0"] = np.array([9.0, 9.0], np.float32)
    with path.open("wb") as stream:
        np.savez(stream, **arrays)


def _with_pickled_objects(path: Path) -> None:
    with path.open("wb") as stream:
        np.savez(stream, header=np.array({"key": "x"}, dtype=object))


def _a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _a_link(path: Path) -> None:
    path.rename(path.parent.parent / "elsewhere.npz")
    path.symlink_to(path.parent.parent / "elsewhere.npz")


def _a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _unpacks_to_more(path: Path) -> None:
    with np.load(path) as archive:
        header = archive["header"]
    zeros = bytes(1_000_000)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, io.BytesIO() as stream:
        np.save(stream, header)
        archive.writestr("header.npy", stream.getvalue())
        with archive.open("array/Min a:0.npy", "w", force_zip64=True) as member:
            for _ in range(1200):
                member.write(zeros)


def _of_no_numbers(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("header.npy", b"\x93NUMPY\x01\x00\xff\xff" + b"{" * 65535)


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (_truncated, "not a statistics file"),
        (_flipped, "not a statistics file"),
        (_foreign, "not a statistics file"),
        (_emptied, "not a statistics file"),
        (_with_pickled_objects, "not a statistics file"),
        (_a_folder, "it is no file"),
        (_a_link, "it is a link"),
        (_a_pipe, "it is no file"),
        (_unpacks_to_more, "it unpacks to 1200 MB"),
        (_of_no_numbers, "not a statistics file"),
        (_of_another_model, "of another model, other data or other versions"),
        (_of_another_format, "format is 99"),
        (_with_changed_numbers, "content is damaged"),
    ],
    ids=lambda value: getattr(value, "__name__", "")[1:],
)
def test_a_file_that_cannot_be_trusted_is_named_and_ignored(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: Any, why: str
) -> None:
    filled(tmp_path)
    path = the_file(tmp_path)
    damage(path)
    section = StatisticsStore(tmp_path, "data").section(LOADER, "graph", "100")
    assert len(section) == 0
    assert str(path) in caplog.text
    assert why in caplog.text


class _Runs:
    """What a pickle runs when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("packed", [True, False])
def test_nothing_in_a_file_is_run(tmp_path: Path, packed: bool) -> None:
    cache, ran = tmp_path / "cache", tmp_path / "ran"
    filled(cache)
    path = the_file(cache)
    if packed:
        hostile = np.array([_Runs(ran)], dtype=object)
        with path.open("wb") as stream:
            np.savez(stream, header=hostile, **{"array/Min a:0": hostile})
    else:
        path.write_bytes(pickle.dumps(_Runs(ran)))
    assert len(StatisticsStore(cache, "data").section(LOADER, "graph", "100")) == 0
    assert not ran.exists()


def test_a_file_of_another_user_is_made_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(tmp_path)
    path = the_file(tmp_path)
    if os.geteuid() == 0:
        os.chown(path, 12345, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 12345)
    assert len(StatisticsStore(tmp_path, "data").section(LOADER, "graph", "100")) == 0
    assert "another user's" in caplog.text


def test_what_a_link_leads_to_is_never_written(tmp_path: Path) -> None:
    cache, precious = tmp_path / "cache", tmp_path / "precious"
    filled(cache)
    path = the_file(cache)
    path.unlink()
    precious.write_text("precious")
    path.symlink_to(precious)
    path.with_name(f"{path.name}.{os.getpid()}.partial").symlink_to(precious)
    filled(cache)
    assert precious.read_text() == "precious"
    assert not path.is_symlink()
    assert len(StatisticsStore(cache, "data").section(LOADER, "graph", "100")) == len(ARRAYS)


def test_what_cannot_be_statistics_is_made_again_with_all_of_its_file(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    filled(tmp_path)
    section = StatisticsStore(tmp_path, "data").section(LOADER, "graph", "100")
    section.add({"own": np.ones(1)})
    section.expect({"absent": lambda array: False, "own": lambda array: False})
    assert len(section) == 3
    section.expect({"Min a:0": lambda array: array.shape == (3,)})
    assert section.missing([*ARRAYS, "own"]) == list(ARRAYS)
    assert caplog.text.count("'Min a:0'") == 1
    section.add(ARRAYS)
    section.expect({"Min a:0": lambda array: False})
    assert not section.missing([*ARRAYS, "own"])


def test_more_than_would_be_read_is_not_written(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statistics_store, "LARGEST_CONTENT", 8)
    filled(tmp_path)
    assert not list(tmp_path.iterdir())
    assert "more than would be read again" in caplog.text


def test_a_damaged_file_is_made_again(tmp_path: Path) -> None:
    filled(tmp_path)
    _truncated(the_file(tmp_path))
    filled(tmp_path)
    assert len(StatisticsStore(tmp_path, "data").section(LOADER, "graph", "100")) == len(ARRAYS)


def test_a_folder_that_cannot_be_written_costs_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    blocked = tmp_path / "a-file"
    blocked.write_text("")
    section = filled(blocked / "cache")
    assert "not kept on disk" in caplog.text
    assert len(section) == len(ARRAYS)
