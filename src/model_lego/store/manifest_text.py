"""A manifest as JSON: how it is read, lifted from older schemas and checked, how it is written, and its JSON Schema."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar, get_args

from pydantic import ValidationError

from model_lego.errors import CorruptComponent, SchemaTooNew
from model_lego.store.exact import Record
from model_lego.store.manifest import SCHEMA, Manifest
from model_lego.store.migrations import MIGRATIONS

#: Letters of a line, and complaints that are shown.
_LINE, _SHOWN = 110, 3

R = TypeVar("R", bound=Record)


def parse_manifest(data: bytes, where: str, *records: type[R]) -> R:
    """Read a manifest from JSON; `where` names it in messages, `records` say what it may hold, each by its kind.

    Raises:
        CorruptComponent: it is not JSON, or not a manifest.
        SchemaTooNew: a newer version of this library wrote it.
    """
    try:
        raw = json.loads(data, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise CorruptComponent(f"{where} is not valid JSON: {error}") from None
    if not isinstance(raw, dict) or type(raw.get("schema")) is not int:
        raise CorruptComponent(f"{where} has no schema number: it is not a manifest of this library")
    if raw["schema"] > SCHEMA:
        raise SchemaTooNew(
            f"{where} has schema {raw['schema']}, this version reads up to {SCHEMA}: install a newer model-lego"
        )
    try:
        return validated(_migrated(raw, where), _of_its_kind(raw.get("kind"), where, records))
    except ValueError as error:
        raise CorruptComponent(f"{where}: {error}") from None


def _of_its_kind(kind: object, where: str, records: Sequence[type[R]]) -> type[R]:
    """The record that holds manifests of a kind; where that is no text, the first one says so."""
    kinds = {name: record for record in records for name in get_args(record.model_fields["kind"].annotation)}
    if isinstance(kind, str) and kind not in kinds:
        raise CorruptComponent(f"{where} is of kind '{kind}', where {' or '.join(kinds)} was expected")
    return kinds.get(str(kind), records[0])


def validated(raw: Mapping[str, Any], record: type[R]) -> R:
    """Check a manifest given as plain JSON values.

    Raises:
        ValueError: a value is missing, unknown or wrong; the message names each by its path.
    """
    try:
        # Through JSON text, so that lists may stand for tuples while every other type stays exact.
        return record.model_validate_json(json.dumps(raw, allow_nan=False))
    except ValidationError as error:
        raise ValueError("; ".join(_complaints(error))) from None
    except (TypeError, RecursionError) as error:
        raise ValueError(str(error)) from None


def to_json(manifest: Record) -> str:
    """Write a manifest as JSON: sorted keys, short values on one line; the same manifest gives the same text."""
    return _pretty(manifest.model_dump(mode="json", by_alias=True), 0) + "\n"


def json_schema() -> str:
    """The JSON Schema of manifests of today's schema, as text; what it cannot say is in docs/format.md."""
    schema = Manifest.model_json_schema() | {"title": f"Manifest of a saved part of model-lego, schema {SCHEMA}"}
    return _pretty({"$schema": "https://json-schema.org/draft/2020-12/schema"} | schema, 0) + "\n"


def _migrated(raw: dict[str, Any], where: str) -> dict[str, Any]:
    """Lift a manifest of an older schema to today's."""
    while raw["schema"] < SCHEMA:
        number = raw["schema"]
        if number not in MIGRATIONS:
            raise CorruptComponent(f"{where} has schema {number}, which never was one")
        raw = MIGRATIONS[number](raw) | {"schema": number + 1}
    return raw


def _complaints(error: ValidationError) -> Iterator[str]:
    """Say in words what is wrong, at most three complaints."""
    for one in error.errors(include_url=False, include_context=False, include_input=False)[:_SHOWN]:
        path = ".".join(str(step) for step in one["loc"])
        words = one["msg"].removeprefix("Value error, ")
        yield f"{path}: {words}" if path else words
    if error.error_count() > _SHOWN:
        yield f"and {error.error_count() - _SHOWN} more"


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _pretty(value: Any, depth: int) -> str:
    """Indent objects and lists, but keep what fits, and every list of numbers, on one line."""
    line = json.dumps(value, sort_keys=True, allow_nan=False)
    flat = isinstance(value, list) and not any(isinstance(item, dict | list | str) for item in value)
    if flat or not isinstance(value, dict | list) or len(line) + 2 * depth <= _LINE:
        return line
    pad, end = "  " * (depth + 1), "  " * depth
    if isinstance(value, list):
        return "[\n" + ",\n".join(pad + _pretty(item, depth + 1) for item in value) + f"\n{end}]"
    items = (f"{pad}{json.dumps(key)}: {_pretty(value[key], depth + 1)}" for key in sorted(value))
    return "{\n" + ",\n".join(items) + f"\n{end}}}"
