"""The captures under ``tests/golden``, as the tests read them."""

from __future__ import annotations

import base64
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from durable_core.storage.base import DateTime, Value

GOLDEN = Path(__file__).parent / "golden"


def lines(path: str) -> list[Any]:
    """The entries of a ``.jsonl`` file."""
    with (GOLDEN / path).open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def documents(path: str) -> Any:
    return json.loads((GOLDEN / path).read_text(encoding="utf-8"))


def columns(row: dict[str, Any]) -> dict[str, Value]:
    """A captured row with its types; the service's own Timestamp is left out."""
    return {
        name: DateTime(cell["value"]) if cell["type"] == "Edm.DateTime" else cell["value"]
        for name, cell in row.items()
        if name != "Timestamp"
    }


@lru_cache
def message_texts() -> list[tuple[str, str, str]]:
    """(where, queue, JSON text) of every captured queue message."""
    found = []
    files = sorted(path.relative_to(GOLDEN).as_posix() for path in GOLDEN.glob("*/messages.jsonl"))
    for path in [*files, "python-stack/tracing.jsonl", "python-stack/versions.jsonl"]:
        for number, entry in enumerate(lines(path)):
            text = entry.get("text")
            if text:
                plain = text if text.startswith("{") else base64.b64decode(text).decode()
                found.append((f"{path}:{number}", entry.get("queue", ""), plain))
    return found
