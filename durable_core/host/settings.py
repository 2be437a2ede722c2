"""host.json and local.settings.json, read as the Functions host reads them (functions-host 5, 9)."""

from __future__ import annotations

import json
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from durable_core.errors import ConfigurationError

_OVERRIDE = "azurefunctionsjobhost__"


@dataclass(frozen=True, slots=True)
class LocalSettings:
    """What local.settings.json says; empty if there is no such file.

    Attributes:
        cors: origins separated by commas, or ``*``.
        cors_credentials: whether their requests may carry cookies.
    """

    values: Mapping[str, str] = field(default_factory=dict)
    port: int | None = None
    address: str | None = None
    cors: str | None = None
    cors_credentials: bool = False


def read_local_settings(root: Path) -> LocalSettings:
    """Read local.settings.json of an app.

    Raises:
        ConfigurationError: it is no JSON, is encrypted, or has values that are no text.
    """
    path = root / "local.settings.json"
    document = _read_json(path)
    if document is None:
        return LocalSettings()
    if document.get("IsEncrypted", True) is not False:
        raise ConfigurationError(
            f"{path} is encrypted (IsEncrypted is missing or true), and only Azure Functions Core Tools can read it. "
            'Run `func settings decrypt`, or write "IsEncrypted": false into it if its values are plain text.'
        )
    values = document.get("Values") or {}
    if not isinstance(values, dict) or not all(isinstance(value, str) for value in values.values()):
        raise ConfigurationError(f'{path}: "Values" must be an object whose values are all text.')
    environment = dict(values)
    for name, value in (document.get("ConnectionStrings") or {}).items():
        environment[f"ConnectionStrings:{name}"] = value if isinstance(value, str) else str(value["ConnectionString"])
    host = document.get("Host") or {}
    port = host.get("LocalHttpPort")
    return LocalSettings(
        environment,
        int(port) if port is not None else None,
        host.get("LocalHttpAddress"),
        host.get("CORS"),
        str(host.get("CORSCredentials", "")).lower() == "true",
    )


def apply_local_settings(settings: LocalSettings, environ: MutableMapping[str, str]) -> list[str]:
    """Put the values into the environment; returns the names that were already there and win."""
    skipped = []
    for name, value in settings.values.items():
        if name in environ:
            if environ[name] != value:
                skipped.append(name)
        else:
            environ[name] = value
    return skipped


def read_host_json(root: Path, environ: Mapping[str, str]) -> dict[str, Any]:
    """host.json with the overrides from the environment; a minimal one if the file is missing.

    Raises:
        ConfigurationError: it is no JSON, or has another version than "2.0".
    """
    path = root / "host.json"
    document = _read_json(path)
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
    for name in path:
        current = option(current, name) or {}
        if not isinstance(current, dict):
            raise ConfigurationError(f"host.json: {'.'.join(path)} must be an object.")
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


def _read_json(path: Path) -> dict[str, Any] | None:
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


def route_prefix(document: Mapping[str, Any]) -> str:
    """``extensions.http.routePrefix`` without slashes; may be empty."""
    value = option(section(document, "extensions", "http"), "routePrefix")
    return "api" if value is None else str(value).strip("/")
