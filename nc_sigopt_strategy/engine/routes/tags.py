"""Routes of tags."""

from __future__ import annotations

import re
from dataclasses import dataclass

import sqlalchemy

from nc_sigopt_strategy.engine import documents, validation
from nc_sigopt_strategy.engine.api_error import ApiError, bad_request
from nc_sigopt_strategy.engine.context import Engine, JsonObject, check_client
from nc_sigopt_strategy.engine.routes.pagination import paginate

_COLOR = re.compile(r"#[0-9A-Fa-f]{6}")


@dataclass(frozen=True)
class _Tag:
    id: int
    stored: JsonObject


def create_tag(engine: Engine, data: JsonObject, client_id: str) -> JsonObject:
    """POST clients/{client}/tags."""
    check_client(client_id)
    validation.check_keys(data, ("name", "color"))
    name = validation.name(validation.required(data, "name"), "name")
    color = validation.text(validation.required(data, "color"), "color")
    if not _COLOR.fullmatch(color):
        raise bad_request(
            f"Invalid value for color: {validation.show(color)}, must be like #12AB9F"
        )
    try:
        tag_id = engine.store.tags.add(name, color)
    except sqlalchemy.exc.IntegrityError:
        raise ApiError(409, f"Tag {name} already exists") from None
    return documents.tag(tag_id, {"name": name, "color": color})


def list_tags(engine: Engine, data: JsonObject, client_id: str) -> JsonObject:
    """GET clients/{client}/tags."""
    check_client(client_id)
    validation.one_of(data.get("sort") or "id", ("id",), "sort")
    ascending = validation.query_boolean(data.get("ascending", False), "ascending")
    tags = [_Tag(tag_id, stored) for tag_id, stored in engine.store.tags.all()]
    page = paginate(tags, data, ascending=ascending)
    return page.document(lambda tag: documents.tag(tag.id, tag.stored))
