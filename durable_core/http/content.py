"""JSON that callers send: read strictly, kept compactly."""

from __future__ import annotations

import json
from typing import Any


def json_text(body: bytes | str) -> str:
    """The compact text of one JSON value.

    Raises:
        ValueError: it is no JSON value; the text says where and why.
    """
    try:
        value = json.loads(body, parse_constant=_no_number, parse_float=_finite)
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    except RecursionError:
        raise ValueError("the JSON value is nested too deeply") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"a JSON value in UTF-8 was expected: {error.reason} at byte {error.start}") from None
    # Half a surrogate pair, which storage could not encode, stays the escape that it was.
    return text if text.isascii() or _is_encodable(text) else json.dumps(value, separators=(",", ":"))


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no JSON value")


def _finite(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError(f"the number {text[:40]} is too large")
    return value


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
