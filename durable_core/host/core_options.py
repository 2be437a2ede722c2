"""``extensions.durableCore`` of host.json: what only this package has, for apps in the real Functions host
(functions-host 5, 13.2). The host itself ignores the section."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import azure.functions as func

from durable_core.errors import ConfigurationError
from durable_core.host.routing import RESERVED
from durable_core.host.settings import option, section
from durable_core.host.values import boolean, choice, text

_LEVELS = {level.name.lower(): level for level in func.AuthLevel}
_EVERY_MINUTE = "0 * * * * *"


@dataclass(frozen=True, slots=True)
class CoreOptions:
    """What the package adds to an app inside a Functions worker.

    Attributes:
        management: serve the management API.
        route: of the management API, below the route prefix.
        auth_level: of the management API.
        key: what management links carry as ``code``; None passes on the key of the caller.
        heartbeat: schedule of the timer that keeps an idle app awake; None for no such timer.
    """

    management: bool
    route: str
    auth_level: func.AuthLevel
    key: str | None
    heartbeat: str | None


def core_options(host: Mapping[str, Any], environ: Mapping[str, str]) -> CoreOptions:
    """Read and check the section.

    Raises:
        ConfigurationError: an option cannot be used; the text names it.
    """
    where = "extensions.durableCore."
    core = section(host, "extensions", "durableCore")
    management = section(core, "management")
    route = str(option(management, "route") or "durable").strip("/")
    if route.lower().startswith(RESERVED) or not route or "{" in route:
        raise ConfigurationError(
            f"host.json: {where}management.route is '{route}'; it must be plain text that does not begin with "
            f"{' or '.join(RESERVED)}, which the Functions host keeps for itself."
        )
    heartbeat = section(core, "heartbeat")
    schedule = text(heartbeat, "schedule", environ, where=f"{where}heartbeat.") or _EVERY_MINUTE
    return CoreOptions(
        boolean(management, "enabled", True),
        route,
        choice(management, "authLevel", _LEVELS, "function"),
        text(management, "key", environ, where=f"{where}management."),
        schedule if boolean(heartbeat, "enabled", is_deployed(environ)) else None,
    )


def is_deployed(environ: Mapping[str, str]) -> bool:
    """The app runs in Azure, not under ``func start``, which says that it is a development environment."""
    return environ.get("AZURE_FUNCTIONS_ENVIRONMENT", "").lower() != "development" and any(
        environ.get(name) for name in ("WEBSITE_INSTANCE_ID", "WEBSITE_POD_NAME", "CONTAINER_NAME")
    )
