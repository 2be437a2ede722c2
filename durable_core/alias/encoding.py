"""Inputs as the original Python stack writes them: JSON inside a JSON string (captures python-stack)."""

from __future__ import annotations

import json
from typing import Any

from durable_core.core.tasks import Decode
from durable_core.model.encoding import InputEncoding
from durable_core.model.serialization import decode, decode_activity_input, decode_or_text, encode_spaced
from durable_core.model.typed import checked_decode


def _twice(value: Any, what: str) -> str:
    return json.dumps(encode_spaced(value, what))


class TwiceEncoded(InputEncoding):
    """Written twice; read once, then again if that gave text, and the text is kept if it is no JSON.

    So inputs that others write once, the HTTP API for example, are read as well.
    """

    def start_input(self, value: Any, what: str) -> str | None:
        return None if value is None else _twice(value, what)

    def call_input(self, value: Any, what: str) -> str:
        return _twice(value, what)

    def activity_input(self, value: Any, activity: str) -> str:
        text = _twice(value, f"the input of activity '{activity}'")
        return f"[{text}]"

    def event_data(self, value: Any, what: str) -> str:
        return _twice(value, what)

    def read_input(self, text: str | None, expected: type | None = None) -> Any:
        read = checked_decode(expected)
        inner = _inner(text)
        return read(text if inner is None else inner)

    def shown_input(self, text: str | None) -> Any:
        value = decode_or_text(text)
        return decode_or_text(value) if isinstance(value, str) else value

    def typed(self, expected: type | None) -> Decode:
        return checked_decode(expected)

    def read_activity_input(self, text: str | None, expected: type | None = None) -> Any:
        value = decode_activity_input(text, expected)
        if not isinstance(value, str):
            return value
        try:
            return decode(value, expected)
        except json.JSONDecodeError:
            return value


def _inner(text: str | None) -> str | None:
    """The JSON text inside a JSON string; None if the text is something else."""
    if text is None or not text.lstrip().startswith('"'):
        return None
    inner = json.loads(text)
    try:
        json.loads(inner)
    except ValueError:
        return None
    return str(inner)


ENCODED_TWICE = TwiceEncoded()
