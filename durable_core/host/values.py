"""Single values of host.json and of bindings: checked, and ``%NAME%`` looked up (functions-host 5)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from durable_core.errors import ConfigurationError
from durable_core.host.settings import option

_REFERENCE = re.compile(r"%([^%]+)%")
_TIME_SPAN = re.compile(r"(?:(\d+)\.)?(\d+):(\d+)(?::(\d+(?:\.\d+)?))?")


def app_setting(environ: Mapping[str, str], name: str) -> str | None:
    """An app setting by its name, whose letter case does not count; None if it is not set."""
    exact = environ.get(name)
    if exact is not None:
        return exact
    return next((value for key, value in environ.items() if key.lower() == name.lower()), None)


def text(document: Mapping[str, Any], name: str, environ: Mapping[str, str], *, where: str = "") -> str | None:
    """A text, None if it is missing or empty; a whole ``%NAME%`` stands for the app setting NAME.

    Raises:
        ConfigurationError: that setting is not set.
    """
    value = option(document, name)
    if value is None or value == "":
        return None
    reference = _REFERENCE.fullmatch(str(value))
    if reference is None:
        return str(value)
    found = app_setting(environ, reference[1])
    if not found:
        raise ConfigurationError(
            f"host.json: {where}{name} refers to the app setting {reference[1]}, which is not set."
        )
    return found


def resolved(value: str, environ: Mapping[str, str], what: str) -> str:
    """A property of a binding with every ``%NAME%`` in it replaced.

    Args:
        what: names function and property in the error.

    Raises:
        ConfigurationError: a setting is not set.
    """

    def setting(reference: re.Match[str]) -> str:
        found = app_setting(environ, reference[1])
        if not found:
            raise ConfigurationError(f"{what} refers to the app setting {reference[1]}, which is not set.")
        return found

    return _REFERENCE.sub(setting, value)


def integer(document: Mapping[str, Any], name: str, default: int, least: int, most: int | None = None) -> int:
    value = option(document, name)
    if value is None:
        return default
    label = name[0].upper() + name[1:]
    try:
        number = int(value)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"host.json: {label} must be an integer, not {value!r}.") from error
    if number < least or (most is not None and number > most):
        wanted = f"between {least} and {most}" if most is not None else "a positive integer value"
        raise ConfigurationError(f"host.json: {label} must be {wanted}, but it is {number}.")
    return number


def boolean(document: Mapping[str, Any], name: str, default: bool) -> bool:
    value = option(document, name)
    if value is None:
        return default
    if isinstance(value, bool):
        return value
    if str(value).lower() in ("true", "false"):
        return str(value).lower() == "true"
    raise ConfigurationError(f"host.json: {name} must be true or false, not {value!r}.")


def seconds(
    document: Mapping[str, Any], name: str, default: float, *, least: float | None = None, most: float | None = None
) -> float:
    """A time span in seconds.

    Args:
        least, most: what is allowed; without ``least`` anything above 0.

    Raises:
        ConfigurationError: it is no time span, or not allowed.
    """
    value = option(document, name)
    if value is None:
        return default
    found = parse_time_span(str(value))
    too_short = found is None or (found <= 0 if least is None else found < least)
    if found is None or too_short or (most is not None and found > most):
        limits = f" of {least or 0:g} to {most:g} seconds" if most is not None else ""
        raise ConfigurationError(
            f"host.json: {name} must be a positive time span like 00:00:30{limits}, not {value!r}."
        )
    return found


def parse_time_span(text: str) -> float | None:
    """Seconds of a .NET TimeSpan text such as ``00:05:00`` or ``1.12:00:00``; None if it is none."""
    found = _TIME_SPAN.fullmatch(text.strip())
    if found is None:
        return None
    days, hours, minutes, seconds = found.groups()
    return ((int(days or 0) * 24 + int(hours)) * 60 + int(minutes)) * 60 + float(seconds or 0)


def choice(document: Mapping[str, Any], name: str, accepted: Mapping[str, Any], default: str) -> Any:
    """What ``accepted`` holds for the option's text, whose letter case does not count.

    Raises:
        ConfigurationError: it is none of the accepted ones, which the text lists.
    """
    value = option(document, name)
    wanted = default if value is None or value == "" else str(value)
    found = {key.lower(): item for key, item in accepted.items()}
    if wanted.lower() not in found:
        raise ConfigurationError(f"host.json: {name} must be {', '.join(accepted)}, not {value!r}.")
    return found[wanted.lower()]
