"""Routes of files that belong to runs. What is in them travels elsewhere, by signed addresses."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from nc_sigopt_strategy.engine import validation
from nc_sigopt_strategy.engine.api_error import bad_request, not_found
from nc_sigopt_strategy.engine.context import Engine, JsonObject, unix_now
from nc_sigopt_strategy.engine.database.run_tables import StoredPart
from nc_sigopt_strategy.engine.documents import CLIENT_ID
from nc_sigopt_strategy.engine.routes.runs.training_runs import run_with

FILE = "file"
_MD5_BYTES = 16
_MAX_NAME = 255


def create_file(engine: Engine, data: JsonObject, run_id: str) -> JsonObject:
    """POST training_runs/{run}/files: say what will be in a file; its bytes come afterwards."""
    run = run_with(engine, run_id)
    if not engine.keeps_files:
        raise not_found("Files of runs are not kept here")
    validation.check_keys(
        data, ("name", "filename", "content_length", "content_md5", "content_type")
    )
    names = {
        key: None if data.get(key) is None else validation.name(data[key], key, _MAX_NAME)
        for key in ("name", "filename")
    }
    if names["name"] is None and names["filename"] is None:
        raise bad_request("One of name and filename must be given")
    made = engine.store.runs.add_part(
        run.id,
        FILE,
        {
            **names,
            "created": unix_now(),
            "content_length": validation.integer(
                validation.required(data, "content_length"), "content_length", 1
            ),
            "content_type": validation.name(
                validation.required(data, "content_type"), "content_type", _MAX_NAME
            ),
            "content_md5": _md5(validation.required(data, "content_md5")),
        },
    )
    engine.store.runs.change(run, lambda kept: {**kept, "files": [*kept["files"], str(made.id)]})
    return _document(made)


def fetch_file(engine: Engine, data: JsonObject, file_id: str) -> JsonObject:
    """GET files/{file}: what is in a file, not its bytes."""
    found = engine.store.runs.part(int(file_id), FILE) if engine.keeps_files else None
    if found is None:
        raise not_found(f"No file {file_id}")
    return _document(found)


def _md5(value: Any) -> str:
    text = validation.text(value, "content_md5")
    try:
        digest = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        digest = b""
    if len(digest) != _MD5_BYTES:
        raise bad_request(f"content_md5 must be an MD5 digest in base64, got {text[:60]!r}")
    return text


def _document(file: StoredPart) -> JsonObject:
    return {
        "object": "file",
        "id": str(file.id),
        "client": CLIENT_ID,
        "user": None,
        "training_run": str(file.run),
        **{key: file.document[key] for key in (
            "created", "name", "filename", "content_length", "content_type", "content_md5",
        )},
    }  # fmt: skip
