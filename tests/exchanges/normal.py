"""What two answers must have in common: all but ids, times, keys, tokens, stack traces and the order of names."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

_TIME = re.compile(r"\d{4}-\d\d-\d\d([T ])\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)?")
_GUID = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}")
_KNOWN = re.compile(r"(are the known \w+ functions: )(.*?)\.$", re.DOTALL)
_DETAILS = re.compile(r" \n \{.*", re.DOTALL)
_HEADERS = ("content-type", "location", "retry-after", "www-authenticate", "x-ms-continuation-token")
_LARGE = re.compile(r"x{100000}")


def headers(given: Mapping[str, str]) -> dict[str, str]:
    """The headers that count; a token only counts as one."""
    found = {name.lower(): value for name, value in given.items() if name.lower() in _HEADERS}
    if "x-ms-continuation-token" in found:
        found["x-ms-continuation-token"] = "{token}"
    return {name: _text(value) for name, value in sorted(found.items())}


def body(given: bytes) -> str:
    """JSON with its members in order, or the text itself."""
    text = given.decode()
    try:
        document = json.loads(text)
    except ValueError:
        return text
    if isinstance(document, dict) and "Message" in document:
        document = {name: value for name, value in document.items() if name in ("Message", "ExceptionMessage")}
    # How a document is spaced tells who wrote it: the extension, or a function.
    spaced = text.startswith(('{"', '[{"')) and '": ' in text[:40]
    return ("spaced " if spaced else "") + json.dumps(value(document), ensure_ascii=False, indent=1)


def value(given: Any) -> Any:
    """A part of a document."""
    if isinstance(given, dict):
        return {_text(name): _member(name, item) for name, item in given.items()}
    if isinstance(given, list):
        return _in_order([value(item) for item in given])
    return _text(given) if isinstance(given, str) else given


def _in_order(items: list[Any]) -> list[Any]:
    """Results that came together stand in the order of their texts: which was first is chance."""
    ordered: list[Any] = []
    for item in items:
        together = item.get("EventType") == "TaskCompleted" if isinstance(item, dict) else False
        index = len(ordered)
        while together and index and ordered[index - 1].get("EventType") == "TaskCompleted":
            if json.dumps(ordered[index - 1]) <= json.dumps(item):
                break
            index -= 1
        ordered.insert(index, item)
    return ordered


def _member(name: str, given: Any) -> Any:
    if name in ("createdTime", "lastUpdatedTime") and isinstance(given, str):
        return re.sub(r"\d", "0", given)
    if name == "Details" and isinstance(given, str):
        return "{details}"
    if name == "Input" and isinstance(given, str) and given.startswith("{"):
        return value(json.loads(given))
    return value(given)


def _text(given: str) -> str:
    given = _LARGE.sub("{x repeated 100000 times}", given)
    given = _TIME.sub(r"{time}\1\3", given)
    given = _GUID.sub("{guid}", given)
    given = _DETAILS.sub(" \\\\n {details}", given)
    known = _KNOWN.search(given)
    if known:
        given = given.replace(known[2], ", ".join(sorted(known[2].split(", "))))
    return given
