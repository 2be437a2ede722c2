"""Rows as the table service's JSON, with the type annotations of the captures (golden/dtfx/calls.jsonl).

Written and read by hand: every checkpoint encodes a handful of rows, every replay decodes a whole history.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Mapping
from functools import lru_cache
from json.encoder import encode_basestring_ascii as _text
from typing import Any

from durable_core.storage.base import DateTime, Entity, Guid, Int64, Row, Value

_NOT_FINITE = {math.inf: '"Infinity"', -math.inf: '"-Infinity"'}


def encode_entity(entity: Entity) -> str:
    """The ASCII JSON of a row; a property whose type JSON cannot tell is followed by its ``@odata.type``.

    Raises:
        TypeError: a property holds what no column can.
    """
    parts: list[str] = []
    columns: Mapping[str, Any] = entity  # the exact type tells more than ``isinstance``, and faster
    for name, value in columns.items():
        kind = type(value)
        if kind is str:
            parts.append(_plain(name) + _text(value))
        elif kind is DateTime:
            parts.append(_plain(name) + _text(value) + _annotation(name, "DateTime"))
        elif kind is bool:
            parts.append(_plain(name) + ("true" if value else "false"))
        elif kind is int:
            parts.append(f"{_plain(name)}{value}")
        elif value is None:
            parts.append(_plain(name) + "null")
        elif kind is Int64:
            parts.append(f'{_plain(name)}"{value}"{_annotation(name, "Int64")}')
        elif kind is Guid:
            parts.append(_plain(name) + _text(value) + _annotation(name, "Guid"))
        elif isinstance(value, float):
            number = repr(float(value)) if math.isfinite(value) else _NOT_FINITE.get(value, '"NaN"')
            parts.append(_plain(name) + number + _annotation(name, "Double"))
        elif isinstance(value, bytes):
            parts.append(f'{_plain(name)}"{base64.b64encode(value).decode()}"{_annotation(name, "Binary")}')
        else:
            raise TypeError(f"column {name} holds a {kind.__name__}, which a table cannot keep")
    return "{" + ",".join(parts) + "}"


@lru_cache(maxsize=1024)
def _plain(name: str) -> str:
    return _text(name) + ":"


@lru_cache(maxsize=1024)
def _annotation(name: str, kind: str) -> str:
    return f',{_text(name + "@odata.type")}:"Edm.{kind}"'


def decode_entity(entity: Mapping[str, Any]) -> Row:
    """A row of an answer with minimal metadata."""
    values = dict(entity)
    etag = ""
    for name in entity:
        if "." not in name:
            continue  # a column: their names have neither dots nor @
        value = values.pop(name)
        if name == "odata.etag":
            etag = value
        elif name.endswith("@odata.type"):
            column = name[:-11]
            read = _READ.get(value)
            if read is not None and column != "Timestamp":
                values[column] = read(values[column])
    stamp = values.get("Timestamp")
    if stamp is not None:
        values["Timestamp"] = DateTime(stamp)  # of the service, in its own form
    return Row(values, etag)


def _date(value: str) -> DateTime:
    if len(value) == 28:
        return DateTime(value)
    whole, _, fraction = value.removesuffix("Z").partition(".")
    return DateTime(f"{whole}.{fraction[:7].ljust(7, '0')}Z")


_READ: Mapping[str, Callable[[Any], Value]] = {
    "Edm.DateTime": _date,
    "Edm.Int64": Int64,
    "Edm.Guid": Guid,
    "Edm.Double": float,
    "Edm.Binary": base64.b64decode,
}
