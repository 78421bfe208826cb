"""Imagenette: ten classes of ImageNet that everyone may download.

Published by fast.ai, https://github.com/fastai/imagenette; here its edition with a shorter side of
320 pixels.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from nc_sigopt_benchmarks.datasets.class_folders import class_folder_images
from nc_sigopt_benchmarks.datasets.download import Archive, download
from nc_sigopt_benchmarks.datasets.imagenet import check_folder
from nc_sigopt_benchmarks.datasets.labelled_images import ImageFiles, subfolders
from nc_sigopt_benchmarks.datasets.synsets import IMAGENETTE
from nc_sigopt_benchmarks.datasets.unpacking import unpack
from nc_sigopt_benchmarks.models.digits import cache_folder
from nc_sigopt_strategy.errors import DataError

_VALIDATION = "val"
IMAGENETTE_320 = Archive(
    name="imagenette2-320",
    url="https://s3.amazonaws.com/fast-ai-imageclas/imagenette2-320.tgz",
    md5="3df6f0d01a2c9592104656642f5e78a3",
    way_out="Where there is no network, download the file elsewhere and name it, or the folder "
    "unpacked from it, in data.path; or set data.source to digits, with a digits model.",
)


def imagenette_images(
    path: Path | None, tell: Callable[[str], None], archive: Archive = IMAGENETTE_320
) -> ImageFiles:
    """The images of Imagenette's validation part.

    Args:
        path: The unpacked folder or the ``.tgz``; ``None`` to take it from the cache folder,
            downloaded first if need be.
        tell: Gets lines of text during a download.
        archive: What is downloaded.

    Raises:
        DataError: There is no such folder or file, it is damaged, or cannot be downloaded.
    """
    try:
        if path is None:
            folder = _downloaded(archive, tell)
        elif path.is_file():
            folder = _unpacked(path, tell)
        else:
            check_folder(path)
            folder = _validation_part(path)
        return class_folder_images(folder, IMAGENETTE)
    except OSError as error:
        raise DataError(
            f"Imagenette cannot be read or kept: {error}.",
            "Make that place readable and writable, free some disk space, or set XDG_CACHE_HOME "
            "to another folder.",
        ) from error


def _downloaded(archive: Archive, tell: Callable[[str], None]) -> Path:
    target = cache_folder() / f"{archive.name}-{archive.md5[:12]}"
    if not target.is_dir():
        packed = target.with_name(f"{target.name}.tgz")
        download(archive, packed, tell)
        try:
            unpack(packed, _VALIDATION, target)
        finally:
            packed.unlink(missing_ok=True)
    return target


def _unpacked(path: Path, tell: Callable[[str], None]) -> Path:
    """A given archive unpacked into the cache folder, where it stays until the file changes."""
    facts = path.stat()
    key = f"{path.resolve()} {facts.st_size} {facts.st_mtime_ns}"
    name = f"{path.stem}-{hashlib.sha256(key.encode()).hexdigest()[:12]}"
    target = cache_folder() / name
    if not target.is_dir():
        tell(f"Unpacking {path} into {target}")
        unpack(path, _VALIDATION, target)
    return target


def _validation_part(folder: Path) -> Path:
    """The folder of the class folders: ``val``, also one level deeper, or the folder itself."""
    inner = subfolders(folder)
    for root in [folder, *inner] if len(inner) == 1 else [folder]:
        if (root / _VALIDATION).is_dir():
            return root / _VALIDATION
    if not inner:
        raise DataError(
            f"The folder {folder} holds no folders of classes.",
            "Point data.path at the unpacked imagenette2-320, which has val/ in it.",
        )
    return folder
