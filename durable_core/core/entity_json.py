"""What the JSON of entity messages and entity state have in common (orchestration-semantics 9.3, task-hub 11)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from durable_core.core import ticks
from durable_core.core.json_text import read_json


class Unzoned(int):
    """Ticks that were read from a text without ``Z``; they are written without it again.

    .NET drops the zone when it adds a tick to a label, so both forms occur (golden python-stack).
    """

    __slots__ = ()


NEVER = Unzoned(0)
""".NET's ``DateTime.MinValue``."""
_NEVER_TEXT = "0001-01-01T00:00:00"

_encoder = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def dumps(document: Mapping[str, Any]) -> str:
    """Minified JSON in the order of the members, non-ASCII characters as they are."""
    text = _encoder.encode(document)
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:  # half a surrogate pair: no storage service takes that, so it is escaped
            return json.dumps(document, separators=(",", ":"))
    return text


def loads(text: str | None, what: str) -> dict[str, Any]:
    """The members of a JSON object.

    Raises:
        ValueError: the text is no JSON object; the error names ``what``.
    """
    try:
        document = read_json(text or "")
    except ValueError as error:
        raise ValueError(f"{what} is no JSON: {error}") from error
    if not isinstance(document, dict):
        raise ValueError(f"{what} is no JSON object")
    return document


def time_text(value: int) -> str:
    """A date as .NET's serialiser writes it into entity payloads."""
    if value == 0:
        return _NEVER_TEXT
    text = ticks.format_message(value)
    return text[:-1] if isinstance(value, Unzoned) else text


def read_time(value: Any) -> int:
    """Ticks of a date member; an absent one is ``NEVER``.

    Raises:
        ValueError: it is no date.
    """
    if value is None or value == _NEVER_TEXT:
        return NEVER
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no date")
    moment = ticks.parse(value)
    return moment if moment and value[-1:] in "Zz" else Unzoned(moment)


def text_member(document: Mapping[str, Any], name: str) -> str | None:
    """A member that must be text or null.

    Raises:
        ValueError: it is something else.
    """
    value = document.get(name)
    if value is not None and not isinstance(value, str):
        raise ValueError(f"member '{name}' is {value!r}, not text")
    return value
