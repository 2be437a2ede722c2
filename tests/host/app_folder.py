"""Throw-away app folders."""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import dedent
from typing import Any

HEADER = """
import azure.functions as func
import durable_core as df

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)
"""


def write_app(folder: Path, source: str, host: Any = None, settings: Any = None, *, header: bool = True) -> Path:
    """Write function_app.py, and host.json and local.settings.json if they are given (text is written as it is)."""
    (folder / "function_app.py").write_text((HEADER if header else "") + dedent(source), encoding="utf-8")
    for name, content in (("host.json", host), ("local.settings.json", settings)):
        if content is not None:
            text = content if isinstance(content, str) else json.dumps(content)
            (folder / name).write_text(text, encoding="utf-8")
    return folder
