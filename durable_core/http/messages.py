"""Requests and responses of the management API, whatever server carries them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from durable_core.core import ticks
from durable_core.core.history import OrchestrationStatus

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

    def number(self, name: str, default: int) -> int:
        """A whole number, 0 or more.

        Raises:
            ValueError: it is something else.
        """
        text = self.text(name)
        if text is None:
            return default
        if not re.fullmatch(r"\s*\d{1,9}\s*", text, re.ASCII):
            raise ValueError(f"{name} must be a whole number, 0 or more, not '{text}'")
        return int(text)

    def seconds(self, name: str) -> float | None:
        """A decimal number; None if it is absent or no such number."""
        text = self.text(name) or ""
        return float(text) if re.fullmatch(r"\s*\d{1,9}(\.\d+)?\s*", text, re.ASCII) else None

    def moment(self, name: str, *, strict: bool = True) -> int | None:
        """A date and time in ticks, None if it is absent.

        Args:
            strict: False takes what cannot be read for absent.

        Raises:
            ValueError: it cannot be read.
        """
        text = self.text(name)
        if text is None:
            return None
        try:
            # A '+' of an offset that was not percent-encoded has become a space.
            return ticks.parse(_DAY.sub(r"\1T00:00:00Z", text.strip()).replace(" ", "+" if "T" in text else "T"))
        except ValueError as error:
            if not strict:
                return None
            raise ValueError(f"{name} must be a date and time such as 2026-01-31T12:00:00Z, not '{text}'") from error

    def statuses(self, name: str) -> list[OrchestrationStatus]:
        """Statuses by name in any case or by number, separated by commas or repeated.

        Raises:
            ValueError: one is no status.
        """
        wanted = name.lower()
        items = [item.strip() for key, value in self._pairs if key == wanted for item in value.split(",")]
        return [_status(item) for item in items if item]


_DAY = re.compile(r"(\d{4}-\d\d-\d\d)$", re.ASCII)
_STATUSES = {status.name.lower(): status for status in OrchestrationStatus}


def _status(text: str) -> OrchestrationStatus:
    found = _STATUSES.get(text.lower())
    if found is None and text.isascii() and text.isdigit() and int(text) in list(OrchestrationStatus):
        found = OrchestrationStatus(int(text))
    if found is None:
        raise ValueError(
            f"'{text}' is no runtimeStatus; use {', '.join(status.name for status in OrchestrationStatus)}"
        )
    return found


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
