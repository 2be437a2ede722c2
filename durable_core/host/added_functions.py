"""The functions that an app gets inside the real Functions host: its management API and its heartbeat
(functions-host 13.2)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from urllib.parse import quote, urlencode, urlsplit

import azure.functions as func
from azure.functions.decorators.function_app import Function

from durable_core.errors import ConfigurationError
from durable_core.host.core_options import CoreOptions
from durable_core.http import management
from durable_core.http.hubs import Hubs
from durable_core.http.messages import Request, refusal
from durable_core.model.app import Blueprint
from durable_core.model.runtime import client_provider

logger = logging.getLogger("durable_core.host")

MANAGEMENT = "a0durable_management"
HEARTBEAT = "a0durable_heartbeat"
"""The Functions host tries routes in the order of function names: ours come first."""


def added_functions(
    options: CoreOptions,
    prefix: str,
    hubs: Callable[[], Hubs | None],
    app_functions: Sequence[Function],
) -> list[Function]:
    """Management API and heartbeat, as far as they are wanted.

    Args:
        prefix: route prefix of the app, without slashes.
        hubs: called by each function, makes sure that the worker runs; gives the hubs that requests may name.
        app_functions: looked through for routes that would get in the way.
    """
    blueprint = Blueprint()
    base = management_base(prefix, options)

    async def management_api(req: func.HttpRequest) -> func.HttpResponse:
        return await answer(req, base, hubs())

    def heartbeat(timer: func.TimerRequest) -> None:
        hubs()

    if options.management:
        _warn_of_shadows(options.route, app_functions)
        route = blueprint.route(route=f"{options.route}/{{*path}}", auth_level=options.auth_level)
        blueprint.function_name(MANAGEMENT)(route(management_api))
    if options.heartbeat is not None:
        schedule = blueprint.timer_trigger(schedule=options.heartbeat, arg_name="timer", use_monitor=False)
        blueprint.function_name(HEARTBEAT)(schedule(heartbeat))
    return [builder.build(options.auth_level) for builder in blueprint._function_builders]


def management_base(prefix: str, options: CoreOptions) -> str:
    """Path of the management API."""
    return "/" + "/".join(part for part in (prefix, options.route) if part)


async def answer(req: func.HttpRequest, base: str, hubs: Hubs | None = None) -> func.HttpResponse:
    """Answer one request to the management API below the path ``base``."""
    try:
        provider = client_provider()
    except ConfigurationError as error:
        found = refusal(503, str(error))
    else:
        found = await management.handle(management_request(req, base), provider.client, provider.links, hubs)
    return func.HttpResponse(found.body, status_code=found.status, headers=dict(found.headers))


def management_request(req: func.HttpRequest, base: str) -> Request:
    """The request in the terms of the management API: path and query as the caller wrote them."""
    address = urlsplit(req.url)
    if address.path.lower().startswith(f"{base.lower()}/"):
        path = address.path[len(base) :]
    else:  # something in front of the host has rewritten the address
        path = quote(req.route_params.get("path", ""), safe="/%")
    return Request(
        req.method.upper(),
        path,
        address.query or urlencode(dict(req.params)),
        {name.lower(): value for name, value in req.headers.items()},
        req.get_body(),
        req.url,
    )


def _warn_of_shadows(route: str, functions: Sequence[Function]) -> None:
    """The first function by name that matches answers, so one of two overlapping routes is never asked."""
    for function in functions:
        trigger = function.get_trigger()
        if trigger is None or str(trigger.type) != "httpTrigger":
            continue
        name = str(function.get_function_name())
        theirs = str(trigger.get_dict_repr().get("route") or name).strip("/").lower()
        is_below = theirs == route.lower() or theirs.startswith(f"{route.lower()}/")
        is_before = name.lower() < MANAGEMENT and theirs.startswith("{")
        if is_below or is_before:
            shadow, shadowed = (name, "the management API") if is_before else ("the management API", f"'{name}'")
            logger.warning(
                "The routes of function '%s' and of the management API overlap, and '%s' answers for %s; set "
                "extensions.durableCore.management.route in host.json to another segment than '%s'.",
                name,
                shadow,
                shadowed,
                route,
            )
