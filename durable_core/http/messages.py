"""Requests and responses of the management API, whatever server carries them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

JSON = "application/json; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Request:
    """One call.

    Attributes:
        method: in upper case.
        path: below the API's base, still percent-encoded.
        query: the raw query string.
        headers: names in lower case.
        url: the whole address, as the caller wrote it.
    """

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    url: str = ""

    def parameters(self) -> Query:
        return Query(parse_qsl(self.query, keep_blank_values=True))


class Query:
    """Query parameters; names are compared without regard to case (http-and-protocol 1.3)."""

    def __init__(self, pairs: Sequence[tuple[str, str]]) -> None:
        self._pairs = [(name.lower(), value) for name, value in pairs]

    def text(self, name: str) -> str | None:
        """The first value that is not blank; an empty parameter counts as absent."""
        wanted = name.lower()
        return next((value for key, value in self._pairs if key == wanted and value.strip()), None)

    def flag(self, name: str, default: bool) -> bool:
        """``true`` or ``false`` in any case; anything else leaves the default."""
        value = (self.text(name) or "").lower()
        return value == "true" if value in ("true", "false") else default


@dataclass(frozen=True, slots=True)
class Response:
    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


def json_response(status: int, document: Any, headers: Mapping[str, str] | None = None) -> Response:
    """A compact JSON answer."""
    body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace")
    return Response(status, body, {"Content-Type": JSON, **(headers or {})})


def refusal(status: int, message: str, exception_message: str | None = None) -> Response:
    """An error answer: ``Message``, and what was wrong in detail."""
    document = {"Message": message}
    if exception_message is not None:
        document["ExceptionMessage"] = exception_message
    return json_response(status, document)
