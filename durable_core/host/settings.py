"""host.json, read as the Functions host reads it (functions-host 5)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from durable_core.errors import ConfigurationError

_OVERRIDE = "azurefunctionsjobhost__"


def read_host_json(root: Path, environ: Mapping[str, str]) -> dict[str, Any]:
    """host.json with the overrides from the environment; a minimal one if the file is missing.

    Raises:
        ConfigurationError: it is no JSON, or has another version than "2.0".
    """
    path = root / "host.json"
    document = read_json(path)
    if document is None:
        document = {"version": "2.0"}
    if document.get("version") != "2.0":
        raise ConfigurationError(
            f'{path}: the host.json file must have "version": "2.0", but it has {document.get("version")!r}.'
        )
    for name, value in environ.items():
        if name.lower().startswith(_OVERRIDE):
            _override(document, name[len(_OVERRIDE) :].split("__"), value)
    return document


def section(document: Mapping[str, Any], *path: str) -> Mapping[str, Any]:
    """A nested object of host.json, names compared without regard to case; empty if it is missing."""
    current: Any = document
    for depth, name in enumerate(path, 1):
        current = option(current, name)
        if current is None:
            return {}
        if not isinstance(current, dict):
            raise ConfigurationError(f"host.json: {'.'.join(path[:depth])} must be an object.")
    found: Mapping[str, Any] = current
    return found


def option(document: Mapping[str, Any], name: str) -> Any:
    """A member of an object, its name compared without regard to case; None if it is missing."""
    wanted = name.lower()
    return next((value for key, value in document.items() if key.lower() == wanted), None)


def _override(document: dict[str, Any], path: list[str], value: str) -> None:
    current = document
    for name in path[:-1]:
        key = next((key for key in current if key.lower() == name.lower()), name)
        inner = current.get(key)
        if not isinstance(inner, dict):
            inner = current[key] = {}
        current = inner
    last = next((key for key in current if key.lower() == path[-1].lower()), path[-1])
    current[last] = value


def read_json(path: Path) -> dict[str, Any] | None:
    """The JSON object in a file, None if there is no such file.

    Raises:
        ConfigurationError: the file holds something else.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from error
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigurationError(
            f"{path} is no valid JSON, line {error.lineno}, column {error.colno}: {error.msg}."
        ) from error
    if not isinstance(document, dict):
        raise ConfigurationError(f"{path} must hold a JSON object.")
    return document


def connection_name(document: Mapping[str, Any]) -> str:
    """Name of the storage connection setting of the task hub."""
    provider = section(document, "extensions", "durableTask", "storageProvider")
    return str(option(provider, "connectionName") or option(provider, "connectionStringName") or "Storage")


def route_prefix(document: Mapping[str, Any]) -> str:
    """``extensions.http.routePrefix`` without slashes; may be empty."""
    value = option(section(document, "extensions", "http"), "routePrefix")
    return "api" if value is None else str(value).strip("/")
