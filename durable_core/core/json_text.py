"""Reading JSON text that programs have written, and the texts in it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from json.scanner import make_scanner
from typing import Any

_scan = make_scanner(json.JSONDecoder())  # type: ignore[arg-type]  # typeshed asks for a scanner to make one


def read_json(text: str) -> Any:
    """As ``json.loads``, in half the time for what has no space around it: every message and every past result is read.

    Raises:
        json.JSONDecodeError: the text is no JSON.
    """
    try:
        value, end = _scan(text, 0)
    except (StopIteration, ValueError):
        return json.loads(text)
    return value if end == len(text) else json.loads(text)


_TEXT = frozenset({str, type(None)})

Document = Mapping[str, Any]


def text_members(
    document: Document, names: Sequence[str], member: Callable[[Document, str], str | None]
) -> list[str | None]:
    """Many members that are texts or null, in one pass.

    Args:
        member: gives one of them; asked if not all are such, and raises what the caller's readers expect.
    """
    values = list(map(document.get, names))
    return values if _TEXT.issuperset(map(type, values)) else [member(document, name) for name in names]
