"""Inputs as the original Python stack writes them: JSON inside a JSON string (captures python-stack)."""

from __future__ import annotations

import json
from typing import Any

from durable_core.model.encoding import InputEncoding
from durable_core.model.serialization import decode, decode_activity_input, encode_spaced


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

    def read_input(self, text: str | None) -> Any:
        return _again(decode(text))

    def read_activity_input(self, text: str | None) -> Any:
        return _again(decode_activity_input(text))


def _again(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return decode(value)
    except json.JSONDecodeError:
        return value


ENCODED_TWICE = TwiceEncoded()
