"""local.settings.json, read as Azure Functions Core Tools reads it (functions-host 9)."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from durable_core.errors import ConfigurationError
from durable_core.host.settings import option, read_json

_HIGHEST_PORT = 65535


@dataclass(frozen=True, slots=True)
class LocalSettings:
    """What local.settings.json says; empty if there is no such file.

    Attributes:
        values: for the environment.
        cors: origins separated by commas, or ``*``.
        cors_credentials: whether their requests may carry cookies.
    """

    values: Mapping[str, str] = field(default_factory=dict)
    port: int | None = None
    address: str | None = None
    cors: str | None = None
    cors_credentials: bool = False


def read_local_settings(root: Path) -> LocalSettings:
    """Read local.settings.json of an app. Names of its members are compared without regard to case.

    Raises:
        ConfigurationError: it is no JSON, is encrypted, or has something that cannot be used; the text names it.
    """
    path = root / "local.settings.json"
    document = read_json(path)
    if document is None:
        return LocalSettings()
    if str(option(document, "IsEncrypted")).lower() != "false":
        raise ConfigurationError(
            f"{path} is encrypted (IsEncrypted is missing or true), and only Azure Functions Core Tools can read it. "
            'Run `func settings decrypt`, or write "IsEncrypted": false into it if its values are plain text.'
        )
    environment = {name: _value(path, "Values", name, value) for name, value in _object(path, document, "Values")}
    for name, value in _object(path, document, "ConnectionStrings"):
        text = option(value, "ConnectionString") if isinstance(value, dict) else value
        environment[f"ConnectionStrings:{name}"] = _value(path, "ConnectionStrings", name, text)
    host = dict(_object(path, document, "Host"))
    return LocalSettings(
        environment,
        _port(path, option(host, "LocalHttpPort")),
        _text(path, host, "LocalHttpAddress"),
        _text(path, host, "CORS"),
        str(option(host, "CORSCredentials")).lower() == "true",
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


def _object(path: Path, document: Mapping[str, Any], name: str) -> list[tuple[str, Any]]:
    found = option(document, name)
    if found is None:
        return []
    if not isinstance(found, dict):
        raise ConfigurationError(f'{path}: "{name}" must be an object.')
    return list(found.items())


def _value(path: Path, section: str, name: str, value: object) -> str:
    """The value of an environment variable, which must be possible."""
    if not isinstance(value, str):
        raise ConfigurationError(f'{path}: "{section}" must hold text only, but "{name}" does not.')
    if not name or "=" in name or "\0" in name + value:
        raise ConfigurationError(f'{path}: "{name}" of "{section}" cannot be an environment variable.')
    return value


def _text(path: Path, host: Mapping[str, Any], name: str) -> str | None:
    found = option(host, name)
    if found is not None and not isinstance(found, str):
        raise ConfigurationError(f"{path}: Host.{name} must be text, not {found!r}.")
    return found


def _port(path: Path, value: object) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not str(value).isdecimal() or int(str(value)) > _HIGHEST_PORT:
        raise ConfigurationError(f"{path}: Host.LocalHttpPort must be a number up to {_HIGHEST_PORT}, not {value!r}.")
    return int(str(value))
